// A CPU's interrupts, of which some are the monitor's and all others are its guest's: which one
// this is, and keeping the guest's away while the guest has interrupts off. Knows nothing of
// exceptions or of the guest's state; trap.cpp does.
//
// The guest runs with the processor's own mask open, so that the heartbeat gets through whatever
// the guest does. What must wait until the guest unmasks it is held back by the priority mask of
// the CPU interface. Two exceptions: a board without GIC, and the moment between the delivery of an
// interrupt and its acknowledgement by a guest whose CPU interface is passed through (it would read
// a held one as spurious). Then the processor's mask is closed, and the heartbeat waits, too, but
// on an Allwinner A10, where it is an FIQ and waits for nothing.
//
// A guest with the interface passed through can make its CPU unreachable in other ways, too: switch
// the interface off, stop the watchdog, acknowledge the heartbeat itself. It still obeys at each
// exit. WindowKind::Interface leaves it none of these. All functions run on their CPU with
// interrupts off. Source: DDI 0407I (Cortex-A9 MPCore), 4.1 and 4.2; IHI 0048B (GIC), 4.4.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "abi/plan.hpp"
#include "device/gic_interface.hpp"
#include "device/mpcore_private.hpp"
#include "io/register_block.hpp"
#include "irq/gic.hpp"
#include "irq/sun4i.hpp"
#include "mem/address.hpp"

namespace mezzo::armv7 {

// PERIPHCLK, which the timers of a Cortex-A9 count.
inline constexpr std::uint32_t kPeripheralClockMhz = 100;

// Where a CPU's own page of registers has what the monitor needs (Cortex-A9 MPCore TRM, 1.5).
struct PrivateLayout {
  std::uint32_t interface = 0;
  std::uint32_t watchdog = 0;  // 0: none in this page

  [[nodiscard]] static constexpr PrivateLayout of(const plan::Board& board) {
    constexpr std::uint32_t kOffset = mem::kPageSize - 1;
    PrivateLayout layout{.interface = board.interface & kOffset};
    if (board.private_timer != 0 && (board.private_timer ^ board.interface) <= kOffset) {
      layout.watchdog = (board.private_timer & kOffset) + device::mpcore::kWatchdog -
                        device::mpcore::kPrivateTimer;
    }
    return layout;
  }
};

// `Page`: the CPU's own page; its writes have reached the chip when they return.
template <io::RegisterBlock Page>
class InterruptsOf {
 public:
  using Block = device::Part<Page>;
  using Filter = device::FilteredInterface<Block>;

  // Switches this CPU's interface and the heartbeat on; all lines but the monitor's are off. Once
  // on each CPU that has a GIC, when the distributor is initialized.
  template <io::RegisterBlock Registers>
  void initialize(const irq::GicDistributor<Registers>& distributor, const PrivateLayout& layout,
                  std::uint32_t heartbeat_us) {
    has_gic_ = true;
    layout_ = layout;
    distributor.initialize_cpu();
    interface().initialize();
    if (layout_.watchdog == 0) return;
    period_ = heartbeat_us * kPeripheralClockMhz;
    distributor.claim(kHeartbeat, 0);
    start_heartbeat();
  }

  // Likewise, on the CPU of an Allwinner A10.
  void initialize_sun4i(std::uint32_t heartbeat_us) {
    sun4i_.emplace(Page{});
    sun4i_->start(heartbeat_us);
  }

  [[nodiscard]] bool has_heartbeat() const { return period_ != 0 || sun4i_; }
  // Whether it is an FIQ. Elsewhere there are none.
  [[nodiscard]] bool beats_by_fiq() const { return sun4i_.has_value(); }
  // Ticks of an A10's counter since initialize_sun4i().
  [[nodiscard]] std::uint64_t sun4i_now() { return sun4i_->now(); }

  // The guest begins or has ended. `filter`: through which it sees the CPU interface; nullptr if
  // the interface is passed through.
  void reset(Filter* filter) {
    filter_ = filter;
    is_delivered_ = is_held_ = false;
    if (!has_gic_) return;
    if (filter_ != nullptr) {
      filter_->reset();
    } else {
      interface().initialize();
    }
    if (!is_heartbeat_as_set()) start_heartbeat();  // which would put off the next one
  }

  // Handles what the monitor itself is interrupted by. False if nothing was.
  bool take_own() {
    if (sun4i_ && sun4i_->take()) return heartbeat_ = true;
    if (!has_gic_) return false;
    bool any = false;
    for (;;) {
      const std::optional<irq::Line> line = interface().highest_pending();
      if (line != kHeartbeat && line != irq::kMonitorPoke) return any;
      const std::optional<irq::Acknowledged> taken = interface().acknowledge();
      if (!taken) return any;
      any = true;
      handle(*taken);
    }
  }
  // A guest to which the interface is passed through, and which acknowledges at the very moment of
  // a heartbeat, takes that one, and would leave it active for ever. Ends it in the guest's place;
  // false if nothing of the monitor's is active.
  bool take_stolen() {
    if (!has_gic_ || filter_ != nullptr) return false;
    if (interface().running_priority() != irq::kMonitorPriority) return false;
    const bool beaten = (watchdog().read32(device::mpcore::kStatus) & 1) != 0;
    handle({beaten ? kHeartbeat.number : irq::kMonitorPoke.number});
    return true;
  }
  // One of them that is acknowledged already.
  void handle(irq::Acknowledged taken) {
    if (taken.line() == kHeartbeat) {
      heartbeat_ = true;
      watchdog().write32(device::mpcore::kStatus, 1);
    }
    interface().end(taken);
  }
  // Whether a heartbeat has come since the last call of take_heartbeat().
  [[nodiscard]] bool has_beaten() const { return heartbeat_; }
  [[nodiscard]] bool take_heartbeat() { return std::exchange(heartbeat_, false); }

  // Where in the page is written which interrupt is the most urgent; nothing for a guest to which
  // the CPU interface is not passed through.
  [[nodiscard]] std::optional<std::uint32_t> pending_register() const {
    if (!has_gic_ || filter_ != nullptr) return std::nullopt;
    return layout_.interface + irq::gicc::kHighestPending;
  }

  // An interrupt has been delivered to the guest, which will acknowledge it.
  void delivered() { is_delivered_ = true; }

  // Keeps the guest's lines from interrupting this CPU until open(). False if only the processor's
  // own mask can.
  [[nodiscard]] bool hold() {
    if (!has_gic_) return false;
    if (filter_ == nullptr && is_delivered_) {
      if (interface().running_priority() == irq::gicc::kIdlePriority) return false;
      is_delivered_ = false;
    }
    silence();
    return true;
  }
  // Likewise, and never only by the processor's mask: for a guest that does not run.
  void silence() {
    if (!(has_gic_ || sun4i_) || is_held_) return;
    is_held_ = true;
    if (sun4i_) return sun4i_->hold();
    if (filter_ != nullptr) return filter_->hold(true);
    threshold_ = static_cast<std::uint8_t>(threshold());
    interface().set_threshold(irq::kGuestPriorities);
  }
  // Whether something waits that the CPU does not show, from hold() to open().
  [[nodiscard]] bool is_held() const { return is_held_; }
  // A guest that has written another threshold meanwhile keeps its own.
  void open() {
    if (!is_held_) return;
    is_held_ = false;
    if (sun4i_) return sun4i_->release();
    if (filter_ != nullptr) return filter_->hold(false);
    if (threshold() == irq::kGuestPriorities) interface().set_threshold(threshold_);
  }

  [[nodiscard]] irq::GicInterface<Block> interface() const {
    return irq::GicInterface(Block(Page{}, layout_.interface));
  }

 private:
  static constexpr irq::Line kHeartbeat = device::mpcore::kWatchdogLine;

  [[nodiscard]] Block watchdog() const { return Block(Page{}, layout_.watchdog); }
  [[nodiscard]] std::uint32_t threshold() const {
    return interface().registers().read32(irq::gicc::kPriorityMask);
  }

  static constexpr std::uint32_t kBeats =
      device::mpcore::kEnable | device::mpcore::kAutoReload | device::mpcore::kInterrupt;

  // Whether the watchdog is as start_heartbeat() has left it, and its next event not farther away.
  [[nodiscard]] bool is_heartbeat_as_set() const {
    if (period_ == 0) return true;  // there is none
    return watchdog().read32(device::mpcore::kControl) == kBeats &&
           watchdog().read32(device::mpcore::kLoad) == period_ - 1 &&
           watchdog().read32(device::mpcore::kCounter) < period_;
  }
  // In timer mode: the end of watchdog mode, where a guest may have left it, takes two words.
  void start_heartbeat() const {
    if (period_ == 0) return;
    constexpr std::uint32_t kDisable = 0x14;
    watchdog().write32(kDisable, 0x12345678);
    watchdog().write32(kDisable, 0x87654321);
    watchdog().write32(device::mpcore::kControl, 0);
    watchdog().write32(device::mpcore::kLoad, period_ - 1);
    watchdog().write32(device::mpcore::kControl, kBeats);
  }

  PrivateLayout layout_{};
  bool has_gic_ = false;
  bool heartbeat_ = false;
  bool is_delivered_ = false, is_held_ = false;
  std::uint8_t threshold_ = 0;  // the guest's, while it is held
  std::uint32_t period_ = 0;    // of the heartbeat, in ticks of the watchdog; 0: there is none
  Filter* filter_ = nullptr;
  std::optional<irq::Sun4iTimers<Page>> sun4i_;
};

}  // namespace mezzo::armv7
