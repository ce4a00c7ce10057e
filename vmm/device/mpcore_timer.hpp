// The Cortex-A9 MPCore's private timer, watchdog (as a timer) and global timer comparator in
// software, for partitions that share a core: the core's own timer is then the monitor's. Counters
// are computed from the time when somebody asks; no tick costs anything.
//
// Time is in ticks of the chips' common clock (PERIPHCLK), as the global timer counts them, and
// never goes back. Source: ARM DDI 0407I, chapter 4.
#pragma once

#include <cstdint>
#include <optional>

#include "core/division.hpp"
#include "device/mpcore_private.hpp"

namespace mezzo::device {

// Counts down from a value, raises its event at 0, and starts again from the load value or stops.
class DownCounter {
 public:
  [[nodiscard]] std::uint32_t read(std::uint32_t offset, std::uint64_t now) {
    advance(now);
    switch (offset) {
      case mpcore::kLoad:
        return load_;
      case mpcore::kCounter:
        return counter(now);
      case mpcore::kControl:
        return control_;
      case mpcore::kStatus:
        return has_event_ ? 1 : 0;
      default:
        return 0;
    }
  }

  void write(std::uint32_t offset, std::uint32_t value, std::uint64_t now) {
    advance(now);
    switch (offset) {
      case mpcore::kLoad:
        load_ = value;
        return start(value, now);
      case mpcore::kCounter:
        return start(value, now);
      case mpcore::kControl: {
        const std::uint32_t left = counter(now);
        control_ = value & mpcore::kTimerControl;
        return start(left == 0 && reloads() ? load_ : left, now);
      }
      case mpcore::kStatus:
        if ((value & 1) != 0) has_event_ = false;
        return;
      default:
        return;
    }
  }

  // The level of the interrupt line at `now`.
  [[nodiscard]] bool asserts(std::uint64_t now) {
    advance(now);
    return has_event_ && (control_ & mpcore::kInterrupt) != 0;
  }

  // When the line will rise next, if nobody writes until then. Not before the guest has cleared the
  // last event, so a short period costs the monitor nothing that the guest does not pay for.
  [[nodiscard]] std::optional<std::uint64_t> next() const {
    if (has_event_ || (control_ & mpcore::kInterrupt) == 0) return std::nullopt;
    return expiry();
  }

 private:
  [[nodiscard]] bool runs() const { return (control_ & mpcore::kEnable) != 0 && left_ != 0; }
  [[nodiscard]] bool reloads() const { return (control_ & mpcore::kAutoReload) != 0; }
  [[nodiscard]] std::uint32_t ticks() const { return (control_ >> 8 & 0xff) + 1; }

  void start(std::uint32_t value, std::uint64_t now) {
    left_ = value;
    origin_ = now;
    is_reload_ = false;
  }
  [[nodiscard]] std::optional<std::uint64_t> expiry() const {
    if (!runs()) return std::nullopt;
    return origin_ + left_ * ticks();
  }
  // Of a counter that has not run out since its last advance().
  [[nodiscard]] std::uint32_t counter(std::uint64_t now) const {
    if (!runs()) return static_cast<std::uint32_t>(left_);
    const std::uint64_t passed = Division::of(now - origin_, ticks()).quotient;
    return is_reload_ && passed == 0 ? 0 : static_cast<std::uint32_t>(left_ - passed);
  }

  // Brings the state up to `now`. A round after the first takes load + 1 counts, the first of them
  // at 0.
  void advance(std::uint64_t now) {
    const std::optional<std::uint64_t> at = expiry();
    if (!at || now < *at) return;
    has_event_ = true;
    start(0, now);
    if (!reloads() || load_ == 0) return;
    left_ = std::uint64_t{load_} + 1;
    origin_ = now - Division::of(now - *at, left_ * ticks()).remainder;
    is_reload_ = true;
  }

  std::uint32_t load_ = 0, control_ = 0;
  bool has_event_ = false, is_reload_ = false;
  std::uint64_t origin_ = 0;  // when
  std::uint64_t left_ = 0;    // so many counts were left
};

// Compares the time with a value; may move the value on by a constant.
class Comparator {
 public:
  [[nodiscard]] std::uint32_t read(std::uint32_t offset, std::uint64_t now) {
    advance(now);
    switch (offset) {
      case mpcore::kGlobalLow:
        return static_cast<std::uint32_t>(now);
      case mpcore::kGlobalHigh:
        return static_cast<std::uint32_t>(now >> 32);
      case mpcore::kControl:
        return control_ | mpcore::kEnable;  // the counter runs, undivided
      case mpcore::kStatus:
        return has_event_ ? 1 : 0;
      case mpcore::kComparatorLow:
        return static_cast<std::uint32_t>(value_);
      case mpcore::kComparatorHigh:
        return static_cast<std::uint32_t>(value_ >> 32);
      case mpcore::kIncrement:
        return increment_;
      default:
        return 0;
    }
  }

  void write(std::uint32_t offset, std::uint32_t value, std::uint64_t now) {
    advance(now);
    switch (offset) {
      case mpcore::kControl:
        control_ = value & mpcore::kGlobalControl;
        break;
      case mpcore::kStatus:
        if ((value & 1) != 0) has_event_ = false;
        break;
      case mpcore::kComparatorLow:
        value_ = (value_ >> 32 << 32) | value;
        break;
      case mpcore::kComparatorHigh:
        value_ = std::uint64_t{value} << 32 | static_cast<std::uint32_t>(value_);
        break;
      case mpcore::kIncrement:
        increment_ = value;
        break;
      default:
        break;
    }
  }

  [[nodiscard]] bool asserts(std::uint64_t now) {
    advance(now);
    return has_event_ && (control_ & mpcore::kInterrupt) != 0;
  }
  [[nodiscard]] std::optional<std::uint64_t> next() const {
    constexpr std::uint32_t kArmed = mpcore::kComparator | mpcore::kInterrupt;
    if (has_event_ || (control_ & kArmed) != kArmed) return std::nullopt;
    return value_;
  }

 private:
  void advance(std::uint64_t now) {
    if ((control_ & mpcore::kComparator) == 0 || now < value_) return;
    has_event_ = true;
    if ((control_ & mpcore::kAutoIncrement) == 0 || increment_ == 0) return;
    value_ += (Division::of(now - value_, increment_).quotient + 1) * increment_;
  }

  std::uint64_t value_ = 0;
  std::uint32_t control_ = 0, increment_ = 0;
  bool has_event_ = false;
};

}  // namespace mezzo::device
