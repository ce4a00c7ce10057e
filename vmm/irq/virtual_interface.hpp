// A CPU interface in software, for partitions that share a core: the monitor takes every interrupt
// there and puts it on its partition's list, and the guest acknowledges and ends it here. Pure
// state: it touches no chip. Lines keep their own priorities and preempt each other as on a GIC.
// Source: ARM IHI 0048B, 3.3 and 4.4.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "irq/gic.hpp"
#include "irq/line.hpp"

namespace mezzo::irq {

class VirtualInterface {
 public:
  [[nodiscard]] const LineSet& enabled() const { return enabled_; }
  [[nodiscard]] const LineSet& pending() const { return pending_; }
  [[nodiscard]] const LineSet& active() const { return active_; }
  [[nodiscard]] std::uint8_t priority(Line line) const {
    return line.number < kMaxLines ? priority_[line.number] : 0xff;
  }

  // The distributor's side: state of single lines, those from kMaxLines on ignored.
  void set_enabled(Line line, bool enabled) { put(enabled_, line, enabled); }
  void set_pending(Line line, bool pending) { put(pending_, line, pending); }
  void deactivate(Line line) { active_.remove(line); }
  void set_priority(Line line, std::uint8_t priority) {
    if (line.number < kMaxLines) priority_[line.number] = priority;
  }

  // Whether the guest's IRQ input is asserted.
  [[nodiscard]] bool signals() const { return next().has_value(); }

  // The guest's registers, offsets from the interface's base.
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) {
    switch (offset) {
      case gicc::kControl:
        return is_on_ ? gicc::kEnableBit : 0;
      case gicc::kPriorityMask:
        return threshold_;
      case gicc::kBinaryPoint:
        return binary_point_;
      case gicc::kAcknowledge:
        return acknowledge();
      case gicc::kRunningPriority:
        return running_priority();
      case gicc::kHighestPending: {
        const std::optional<Line> line = most_urgent();
        return is_on_ && line ? line->number : gicc::kSpurious;
      }
      case gicc::kImplementer:
        return kIdentification;
      default:
        return 0;
    }
  }

  // The line that the guest has ended, if the write was that.
  std::optional<Line> write(std::uint32_t offset, std::uint32_t value) {
    switch (offset) {
      case gicc::kControl:
        is_on_ = (value & gicc::kEnableBit) != 0;
        break;
      case gicc::kPriorityMask:
        threshold_ = value & 0xff;
        break;
      case gicc::kBinaryPoint:
        binary_point_ = value & 7;
        break;
      case gicc::kEnd: {
        const Line line{value & gicc::kLineMask};
        if (!active_.contains(line)) break;
        active_.remove(line);
        return line;
      }
      default:
        break;
    }
    return std::nullopt;
  }

 private:
  static constexpr std::uint32_t kIdentification = 0x3901243b;  // Cortex-A9 (DDI 0407I, chapter 3)

  static void put(LineSet& set, Line line, bool in) {
    if (in) {
      set.add(line);
    } else {
      set.remove(line);
    }
  }

  // The most urgent line that is enabled, pending and not active; of equals the lowest.
  [[nodiscard]] std::optional<Line> most_urgent() const {
    LineSet ready;
    for (std::uint32_t n = 0; n < LineSet::kWords; ++n) {
      ready.set_word(n, enabled_.word(n) & pending_.word(n) & ~active_.word(n));
    }
    std::optional<Line> best;
    ready.for_each([&](Line line) {
      if (!best || priority(line) < priority(*best)) best = line;
    });
    return best;
  }
  [[nodiscard]] std::uint32_t running_priority() const {
    std::uint32_t least = gicc::kIdlePriority;
    active_.for_each([&](Line line) { least = std::min<std::uint32_t>(least, priority(line)); });
    return least;
  }

  // The line that an acknowledgement takes now.
  [[nodiscard]] std::optional<Line> next() const {
    if (!is_on_ || pending_.empty()) return std::nullopt;
    const std::optional<Line> line = most_urgent();
    if (!line || priority(*line) >= threshold_) return std::nullopt;
    const std::uint32_t group = ~((2u << binary_point_) - 1) & 0xff;
    const bool preempts =
        active_.empty() || (priority(*line) & group) < (running_priority() & group);
    return preempts ? line : std::nullopt;
  }
  [[nodiscard]] std::uint32_t acknowledge() {
    const std::optional<Line> line = next();
    if (!line) return gicc::kSpurious;
    pending_.remove(*line);
    active_.add(*line);
    return line->number;
  }

  LineSet enabled_{}, pending_{}, active_{};
  std::array<std::uint8_t, kMaxLines> priority_{};
  bool is_on_ = false;
  std::uint32_t threshold_ = 0, binary_point_ = 0;
};

}  // namespace mezzo::irq
