// The Allwinner A10's interrupt controller and timers, as the monitor itself uses them: of the six
// timers one beats and one counts, out of the guest's reach, and the one that beats is an FIQ, so
// that it interrupts whatever the guest does, with IRQs masked, too. What the guest sees of the
// page is in device/sun4i_timer.hpp. The machine has one CPU.
// Source: Allwinner A10 User Manual 1.50, chapters 11 (interrupt controller) and 13 (timers).
#pragma once

#include <array>
#include <cstdint>

#include "io/register_block.hpp"

namespace mezzo::irq {

// Offsets in the page 0x01c20000.
namespace sun4i {
inline constexpr std::uint32_t kPageSize = 0x1000;

// Interrupt controller: 32 lines a word.
inline constexpr std::uint32_t kWords = 3;
inline constexpr std::uint32_t kProtection = 0x408;  // 1: only privileged accesses
inline constexpr std::uint32_t kPending = 0x410;
inline constexpr std::uint32_t kFiqPending = 0x420;
inline constexpr std::uint32_t kSelect = 0x430;  // 1: FIQ
inline constexpr std::uint32_t kEnable = 0x440;
inline constexpr std::uint32_t kMask = 0x450;
inline constexpr std::uint32_t kForce = 0x470;

// Timers: a bit each in the first two registers.
inline constexpr std::uint32_t kTimerEnable = 0xc00;  // of interrupts
inline constexpr std::uint32_t kTimerStatus = 0xc04;  // a one written clears
inline constexpr std::uint32_t kTimer = 0xc10, kTimerSize = 0x10;
inline constexpr std::uint32_t kControl = 0x0, kInterval = 0x4, kCurrent = 0x8;   // of each
inline constexpr std::uint32_t kRun = 1, kReload = 2, kFromOscillator = 1u << 2;  // of kControl

inline constexpr std::uint32_t kClockKhz = 24'000;  // the oscillator, undivided

// The monitor's: the last two, of which Linux uses neither.
inline constexpr std::uint32_t kGuestTimers = 4;
inline constexpr std::uint32_t kCounter = 4, kHeartbeat = 5;
inline constexpr std::uint32_t kHeartbeatWord = 68 / 32, kHeartbeatBit = 1u << 68 % 32;

[[nodiscard]] constexpr std::uint32_t timer(std::uint32_t number, std::uint32_t offset) {
  return kTimer + number * kTimerSize + offset;
}
}  // namespace sun4i

// `Page`: the registers above. All functions run with interrupts off.
template <io::RegisterBlock Page>
class Sun4iTimers {
 public:
  explicit Sun4iTimers(Page page) : page_(page) {}

  // Once, before the guest starts: no line is enabled but the heartbeat, which begins.
  void start(std::uint32_t heartbeat_us) {
    using namespace sun4i;
    for (std::uint32_t n = 0; n < kWords; ++n) {
      const std::uint32_t own = n == kHeartbeatWord ? kHeartbeatBit : 0;
      page_.write32(kSelect + n * 4, own);
      page_.write32(kEnable + n * 4, own);
      page_.write32(kMask + n * 4, ~own);
      page_.write32(kForce + n * 4, 0);
    }
    page_.write32(kProtection, 0);
    page_.write32(kTimerEnable, 1u << kHeartbeat);
    run(kCounter, ~0u);
    run(kHeartbeat, heartbeat_us * (kClockKhz / 1000));
    page_.write32(kTimerStatus, 1u << kHeartbeat | 1u << kCounter);
    last_ = count();
  }

  // Takes a heartbeat; false if there is none.
  [[nodiscard]] bool take() const {
    constexpr std::uint32_t kBit = 1u << sun4i::kHeartbeat;
    if ((page_.read32(sun4i::kTimerStatus) & kBit) == 0) return false;
    page_.write32(sun4i::kTimerStatus, kBit);
    return true;
  }

  // Ticks of kClockKhz since start(). To be asked every three minutes at least.
  [[nodiscard]] std::uint64_t now() {
    const std::uint32_t count = this->count();
    ticks_ += last_ - count;  // counts down
    last_ = count;
    return ticks_;
  }

  // Keeps all lines but the heartbeat away from the processor, until release(). Only while the
  // guest does not run.
  void hold() {
    for (std::uint32_t n = 0; n < sun4i::kWords; ++n) {
      const std::uint32_t own = n == sun4i::kHeartbeatWord ? sun4i::kHeartbeatBit : 0;
      masks_[n] = page_.read32(sun4i::kMask + n * 4);
      page_.write32(sun4i::kMask + n * 4, ~own);
    }
  }
  void release() const {
    for (std::uint32_t n = 0; n < sun4i::kWords; ++n) {
      page_.write32(sun4i::kMask + n * 4, masks_[n]);
    }
  }

 private:
  void run(std::uint32_t number, std::uint32_t interval) const {
    using namespace sun4i;
    page_.write32(timer(number, kControl), 0);
    page_.write32(timer(number, kInterval), interval);
    page_.write32(timer(number, kControl), kRun | kReload | kFromOscillator);
  }
  [[nodiscard]] std::uint32_t count() const {
    return page_.read32(sun4i::timer(sun4i::kCounter, sun4i::kCurrent));
  }

  Page page_;
  std::uint32_t last_ = 0;
  std::uint64_t ticks_ = 0;
  std::array<std::uint32_t, sun4i::kWords> masks_{};
};

}  // namespace mezzo::irq
