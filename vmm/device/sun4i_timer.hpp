// Allwinner A10: the page 0x01c20000, which holds clocks, interrupt controller, pins and timers of
// a machine with one CPU, hence one partition. Everything is the guest's but
// - the watchdog, which would reset the monitor with it: that one runs here, and its end is the
//   guest's reboot;
// - two timers with the line of one, and what makes lines FIQs (irq/sun4i.hpp): writes of them are
//   ignored;
// - the protection of the interrupt controller from unprivileged accesses, which the guest's are.
//
// The guest may have the page read-only, so that only writes come here. It then sees what is the
// monitor's, and the mode register in the chip shows what it wrote, without the enable bit, which
// is never set there.
// Source: Allwinner A10 User Manual 1.50, chapters 11 (interrupt controller) and 13 (timers).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "io/mmio.hpp"
#include "io/register_block.hpp"
#include "irq/sun4i.hpp"

namespace mezzo::device {

namespace sun4i {
using namespace irq::sun4i;

inline constexpr std::uint32_t kWatchdogControl = 0xc90;
inline constexpr std::uint32_t kWatchdogMode = 0xc94;

inline constexpr std::uint32_t kRestart = 1;                                // of kWatchdogControl
inline constexpr std::uint32_t kArmed = 1, kReset = 2, kIntervalShift = 3;  // of kWatchdogMode

// Half seconds, by the interval field.
inline constexpr std::array<std::uint8_t, 16> kIntervals{1,  2,  4,  6,  8,  10, 12, 16,
                                                         20, 24, 28, 32, 32, 32, 32, 32};
}  // namespace sun4i

// Clock::now() are ticks that never go back.
template <io::RegisterBlock Registers, class Clock>
class Sun4iTimer {
 public:
  Sun4iTimer(Registers registers, Clock clock, std::uint64_t ticks_per_half_second)
      : registers_(registers), clock_(clock), half_second_(ticks_per_half_second) {}

  // As after power-on: the partition starts.
  void reset() { silence(0); }
  // The partition has ended: nothing of its own interrupts any more.
  void stop() { silence(~0u); }

  // Whether the watchdog has run out. To be asked now and then, as a stuck guest never comes here.
  [[nodiscard]] bool expired() const { return deadline_ && clock_.now() >= *deadline_; }

  [[nodiscard]] io::Answer access(const io::Access& access) {
    if (!io::is_sound(access) || access.offset >= sun4i::kPageSize) return io::Answer::missing();
    const std::uint32_t offset = access.offset & ~3u;
    if (!access.write) {
      const std::uint32_t word = offset == sun4i::kWatchdogMode ? mode_ : registers_.read32(offset);
      return io::Answer::done(io::narrow(word, access));
    }
    // These blocks have word accesses only.
    if (access.size == 4) write(offset, access.value);
    return {.outcome = expired() ? io::Outcome::Reboot : io::Outcome::Done};
  }

 private:
  void write(std::uint32_t offset, std::uint32_t value) {
    if (offset == sun4i::kWatchdogControl) {
      if ((value & sun4i::kRestart) != 0) restart();
    } else if (offset == sun4i::kWatchdogMode) {
      const std::uint32_t before = std::exchange(mode_, value);
      registers_.write32(offset, value & ~sun4i::kArmed);
      if (before != mode_ || !deadline_) restart();
    } else if (const auto rights = rights_at(offset); rights.writable != 0) {
      registers_.write32(offset, (value & rights.writable) | rights.kept);
    }
  }

  // Of a register: the bits that are the guest's, and those of the monitor's that are to stay set.
  struct Rights {
    std::uint32_t writable = ~0u, kept = 0;
  };
  [[nodiscard]] static constexpr Rights rights_at(std::uint32_t offset) {
    using namespace sun4i;
    constexpr std::uint32_t kWord = kHeartbeatWord * 4;
    constexpr std::uint32_t kTimers = 1u << kCounter | 1u << kHeartbeat;
    switch (offset) {
      case kProtection:
      case kSelect:
      case kSelect + 4:
      case kSelect + 8:
        return {.writable = 0};
      case kPending + kWord:
      case kFiqPending + kWord:
      case kMask + kWord:
      case kForce + kWord:
        return {.writable = ~kHeartbeatBit};
      case kEnable + kWord:
        return {.writable = ~kHeartbeatBit, .kept = kHeartbeatBit};
      case kTimerEnable:
        return {.writable = ~kTimers, .kept = 1u << kHeartbeat};
      case kTimerStatus:
        return {.writable = ~kTimers};
      default:
        return {.writable = offset - timer(kCounter, 0) < 2 * kTimerSize ? 0 : ~0u};
    }
  }

  // The guest's lines off, and masked where `masks` has ones; its timers and its watchdog off.
  void silence(std::uint32_t masks) {
    using namespace sun4i;
    mode_ = 0;
    deadline_.reset();
    registers_.write32(kWatchdogMode, 0);
    for (std::uint32_t n = 0; n < kWords; ++n) {
      write(kEnable + n * 4, 0);
      write(kMask + n * 4, masks);
      write(kForce + n * 4, 0);
    }
    for (std::uint32_t n = 0; n < kGuestTimers; ++n) write(timer(n, kControl), 0);
    write(kTimerEnable, 0);
    write(kTimerStatus, ~0u);
  }

  // The shortest interval is how a kernel resets the machine (drivers count in whole seconds): it
  // has run out at once. Without the reset bit the watchdog would only interrupt, which is not
  // emulated: no driver uses it.
  void restart() {
    constexpr std::uint32_t kBites = sun4i::kArmed | sun4i::kReset;
    if ((mode_ & kBites) != kBites) return deadline_.reset();
    const std::uint32_t interval = mode_ >> sun4i::kIntervalShift & 0xf;
    deadline_ = clock_.now() + (interval == 0 ? 0 : sun4i::kIntervals[interval] * half_second_);
  }

  Registers registers_;
  Clock clock_;
  std::uint64_t half_second_;  // ticks
  std::uint32_t mode_ = 0;     // as the guest wrote it
  std::optional<std::uint64_t> deadline_;
};

}  // namespace mezzo::device
