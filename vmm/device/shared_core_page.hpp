// The private page's registers for a partition that shares its core: CPU interface and timers in
// software, the rest the chip's. To be filtered by device/mpcore_private.hpp like the chip itself.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "device/mpcore_private.hpp"
#include "device/mpcore_timer.hpp"
#include "io/register_block.hpp"
#include "irq/line.hpp"

namespace mezzo::device {

// `Gic`: an irq::VirtualGic. Clock::now(): ticks of PERIPHCLK that never go back.
template <io::RegisterBlock Registers, class Gic, class Clock>
class SharedCorePage {
 public:
  SharedCorePage(Registers chip, Gic& gic, Clock clock) : chip_(chip), gic_(gic), clock_(clock) {}

  // Raises the interrupts of the timers that have run out. To be called when next() has come, and
  // before the partition runs again.
  void advance() { advance(clock_.now()); }

  // When advance() has something to do at the earliest: what the monitor sets the core's own timer
  // to. May lie in the past.
  [[nodiscard]] std::optional<std::uint64_t> next() const {
    std::optional<std::uint64_t> earliest;
    for (const auto& at : {global_.next(), private_.next(), watchdog_.next()}) {
      if (at && (!earliest || *at < *earliest)) earliest = at;
    }
    return earliest;
  }

  struct Block {
    SharedCorePage* page;
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const { return page->read(offset); }
    void write32(std::uint32_t offset, std::uint32_t value) const { page->write(offset, value); }
    void write8(std::uint32_t, std::uint8_t) const {}  // word accesses only
  };
  [[nodiscard]] Block block() { return {this}; }

 private:
  // An access and this are of one moment, so that no level falls and rises again in between,
  // unseen.
  void advance(std::uint64_t now) {
    edge(mpcore::kGlobalTimerLine, global_.asserts(now), 0);
    edge(mpcore::kPrivateTimerLine, private_.asserts(now), 1);
    edge(mpcore::kWatchdogLine, watchdog_.asserts(now), 2);
  }
  // The lines are edges: a level that stays interrupts once.
  void edge(irq::Line line, bool level, std::size_t timer) {
    if (level && !levels_[timer]) gic_.raise(line);
    levels_[timer] = level;
  }

  [[nodiscard]] static bool is_in(std::uint32_t offset, std::uint32_t first, std::uint32_t end) {
    return offset >= first && offset < end;
  }
  static constexpr std::uint32_t kTimersEnd = mpcore::kWatchdog + 0x10;

  [[nodiscard]] std::uint32_t read(std::uint32_t offset) {
    using namespace mpcore;
    const std::uint64_t now = clock_.now();
    advance(now);
    if (is_in(offset, kInterface, kGlobalTimer))
      return gic_.interface().read32(offset - kInterface);
    if (is_in(offset, kGlobalTimer, kPrivateTimer)) return global_.read(offset - kGlobalTimer, now);
    if (is_in(offset, kPrivateTimer, kWatchdog)) return private_.read(offset - kPrivateTimer, now);
    if (is_in(offset, kWatchdog, kTimersEnd)) return watchdog_.read(offset - kWatchdog, now);
    return offset < kInterface ? chip_.read32(offset) : 0;
  }
  void write(std::uint32_t offset, std::uint32_t value) {
    using namespace mpcore;
    const std::uint64_t now = clock_.now();
    if (is_in(offset, kInterface, kGlobalTimer)) {
      return gic_.interface().write32(offset - kInterface, value);
    }
    if (is_in(offset, kGlobalTimer, kPrivateTimer)) {
      global_.write(offset - kGlobalTimer, value, now);
    } else if (is_in(offset, kPrivateTimer, kWatchdog)) {
      private_.write(offset - kPrivateTimer, value, now);
    } else if (is_in(offset, kWatchdog, kTimersEnd)) {
      watchdog_.write(offset - kWatchdog, value, now);
    }
    advance(now);
  }

  Registers chip_;
  Gic& gic_;
  Clock clock_;
  Comparator global_;
  DownCounter private_, watchdog_;
  std::array<bool, 3> levels_{};
};

}  // namespace mezzo::device
