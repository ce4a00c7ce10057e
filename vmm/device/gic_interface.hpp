// The GIC's CPU interface as its guest sees it. Interrupts reach the chip's registers, so that the
// guest acknowledges and ends its own ones itself; but whatever it writes, the monitor's stay
// deliverable: a guest that switches its interface off, masks every priority or forbids preemption
// does so for its own lines.
//
// | register  | read                                      | write                                |
// |-----------|-------------------------------------------|--------------------------------------|
// | CTLR      | the guest's enable bit                    | off: its lines are masked by PMR     |
// | PMR       | what the guest wrote                      | never below the guests' priorities   |
// | BPR       | the chip's                                | at most kMaxBinaryPoint              |
// | IAR       | the chip's; the monitor's lines: spurious |                                      |
// | EOIR      |                                           | lines that it acknowledged           |
// | RPR, IIDR | the chip's                                |                                      |
// | HPPIR     | own lines, else spurious                  |                                      |
// | others    | 0                                         | ignored                              |
//
// All functions run on the partition's CPU with interrupts off. Source: ARM IHI 0048B, 4.4.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "io/mmio.hpp"
#include "io/register_block.hpp"
#include "irq/gic.hpp"
#include "irq/line.hpp"

namespace mezzo::device {

template <io::RegisterBlock Registers>
class FilteredInterface {
 public:
  // `lines`: the partition's; `cpu`: the number of its CPU, which the guest takes for CPU 0.
  FilteredInterface(Registers registers, const irq::LineSet& lines, std::uint32_t cpu)
      : registers_(registers), lines_(lines), cpu_(cpu) {
    lines_.remove(irq::kMonitorPoke);
  }

  // As after reset, also when the partition stops: nothing of its own is signalled.
  void reset() {
    is_on_ = is_held_ = false;
    threshold_ = 0;
    acknowledged_ = {};
    registers_.write32(irq::gicc::kBinaryPoint, 0);
    registers_.write32(irq::gicc::kControl, irq::gicc::kEnableBit);
    apply();
  }

  // Keeps the partition's lines from interrupting this CPU, or no longer. For a guest that has its
  // interrupts masked: the CPU's own mask can stay open, and the monitor's lines get through.
  void hold(bool held) {
    if (std::exchange(is_held_, held) != held) apply();
  }

  // An interrupt of the monitor's that was taken by the guest's read of IAR, which saw a spurious
  // one. Whoever called access() asks after it, handles it, and ends it at the chip's interface.
  [[nodiscard]] std::optional<irq::Acknowledged> take_monitors() {
    return std::exchange(monitors_, std::nullopt);
  }

  // Offsets from the interface's base. Registers have word accesses only.
  [[nodiscard]] io::Answer access(const io::Access& access) {
    if (!io::is_sound(access) || access.offset >= irq::gicc::kSize) return io::Answer::missing();
    if (access.size != 4) return io::Answer::done();
    if (!access.write) return io::Answer::done(read(access.offset));
    write(access.offset, access.value);
    return io::Answer::done();
  }

 private:
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) {
    switch (offset) {
      case irq::gicc::kControl:
        return is_on_ ? irq::gicc::kEnableBit : 0;
      case irq::gicc::kPriorityMask:
        return threshold_;
      case irq::gicc::kAcknowledge:
        return acknowledge();
      case irq::gicc::kHighestPending:
        return visible(irq::Acknowledged{registers_.read32(offset)});
      case irq::gicc::kBinaryPoint:
      case irq::gicc::kRunningPriority:
      case irq::gicc::kImplementer:
        return registers_.read32(offset);
      default:
        return 0;
    }
  }

  void write(std::uint32_t offset, std::uint32_t value) {
    switch (offset) {
      case irq::gicc::kControl:
        is_on_ = (value & irq::gicc::kEnableBit) != 0;
        return apply();
      case irq::gicc::kPriorityMask:
        threshold_ = static_cast<std::uint8_t>(value);
        return apply();
      case irq::gicc::kBinaryPoint:
        return registers_.write32(offset, std::min(value & 7, irq::kMaxBinaryPoint));
      case irq::gicc::kEnd:
        return end(irq::Line{value & irq::gicc::kLineMask});
      default:
        return;
    }
  }

  // The chip's own interface is always on.
  void apply() const { set_threshold(is_on_ && !is_held_); }
  void set_threshold(bool is_open) const {
    registers_.write32(irq::gicc::kPriorityMask, is_open
                                                     ? std::max(threshold_, irq::kGuestPriorities)
                                                     : irq::kGuestPriorities);
  }

  [[nodiscard]] std::uint32_t acknowledge() {
    if (!is_on_ || monitors_) return irq::gicc::kSpurious;
    // A guest reads this in its handler, with its interrupts masked: then, and only for this, what
    // is held may come.
    if (is_held_) set_threshold(true);
    const std::optional<irq::Acknowledged> taken = irq::GicInterface(registers_).acknowledge();
    if (is_held_) set_threshold(false);
    if (!taken) return irq::gicc::kSpurious;
    if (lines_.contains(taken->line())) {
      acknowledged_.add(taken->line());
    } else {
      monitors_ = taken;
    }
    return visible(*taken);
  }
  [[nodiscard]] std::uint32_t visible(irq::Acknowledged taken) const {
    return lines_.contains(taken.line()) ? taken.line().number : irq::gicc::kSpurious;
  }

  // Ending anything else would unbalance the chip's priorities, with which other lines were left
  // active for ever.
  void end(irq::Line line) {
    if (!acknowledged_.contains(line)) return;
    acknowledged_.remove(line);
    const std::uint32_t sender = line.is_software() ? cpu_ << irq::gicc::kSenderShift : 0;
    registers_.write32(irq::gicc::kEnd, line.number | sender);
  }

  Registers registers_;
  irq::LineSet lines_, acknowledged_;
  std::uint32_t cpu_;
  bool is_on_ = false, is_held_ = false;
  std::uint8_t threshold_ = 0;  // as the guest wrote it
  std::optional<irq::Acknowledged> monitors_;
};

}  // namespace mezzo::device
