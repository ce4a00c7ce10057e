// The interrupt controller as the monitor itself uses it: a clean start, its own lines, and the
// acknowledgement where the monitor takes an interrupt before its partition does. What guests see
// of it is in device/gic_distributor.hpp and device/mpcore_private.hpp.
//
// GIC architecture 1 and 2, as one security state sees it: all interrupts are in group 0, signalled
// as IRQ. Source: ARM IHI 0048B (GIC architecture specification 2.0); DDI 0407 (Cortex-A9 MPCore).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "io/register_block.hpp"
#include "irq/line.hpp"

namespace mezzo::irq {

// Distributor registers, IHI 0048B 4.3. The banks of one bit a line have 32 words, 0x80 bytes.
namespace gicd {
inline constexpr std::uint32_t kControl = 0x000;
inline constexpr std::uint32_t kType = 0x004;
inline constexpr std::uint32_t kImplementer = 0x008;
inline constexpr std::uint32_t kGroup = 0x080;
inline constexpr std::uint32_t kSetEnable = 0x100;
inline constexpr std::uint32_t kClearEnable = 0x180;
inline constexpr std::uint32_t kSetPending = 0x200;
inline constexpr std::uint32_t kClearPending = 0x280;
inline constexpr std::uint32_t kSetActive = 0x300;
inline constexpr std::uint32_t kClearActive = 0x380;
inline constexpr std::uint32_t kPriority = 0x400;       // a byte a line
inline constexpr std::uint32_t kTarget = 0x800;         // a byte a line: bitmap of CPUs
inline constexpr std::uint32_t kConfiguration = 0xc00;  // two bits a line: the upper one is "edge"
inline constexpr std::uint32_t kInputs = 0xd00;         // levels: word 0 the private lines
inline constexpr std::uint32_t kSoftware = 0xf00;
inline constexpr std::uint32_t kClearSoftware = 0xf10;  // a byte an interrupt: bitmap of senders
inline constexpr std::uint32_t kSetSoftware = 0xf20;
inline constexpr std::uint32_t kIdentification = 0xfd0;
inline constexpr std::uint32_t kSize = 0x1000;

inline constexpr std::uint32_t kEnableBit = 1;         // of kControl
inline constexpr std::uint32_t kLinesMask = 0x1f;      // of kType: 32-line words, less one
inline constexpr std::uint32_t kToSelf = 2u << 24;     // of kSoftware: target list filter
inline constexpr std::uint32_t kTargetListShift = 16;  // likewise
}  // namespace gicd

// CPU interface registers, IHI 0048B 4.4.
namespace gicc {
inline constexpr std::uint32_t kControl = 0x00;
inline constexpr std::uint32_t kPriorityMask = 0x04;
inline constexpr std::uint32_t kBinaryPoint = 0x08;
inline constexpr std::uint32_t kAcknowledge = 0x0c;
inline constexpr std::uint32_t kEnd = 0x10;
inline constexpr std::uint32_t kRunningPriority = 0x14;
inline constexpr std::uint32_t kHighestPending = 0x18;
inline constexpr std::uint32_t kImplementer = 0xfc;
inline constexpr std::uint32_t kSize = 0x100;

inline constexpr std::uint32_t kEnableBit = 1;  // of kControl
inline constexpr std::uint32_t kLineMask = 0x3ff;
inline constexpr std::uint32_t kSenderShift = 10;  // of a software generated interrupt: its CPU
inline constexpr std::uint32_t kSpurious = 1023;
inline constexpr std::uint32_t kIdlePriority = 0xff;
}  // namespace gicc

// Priorities: the lower the value, the more urgent. Those below kGuestPriorities are the monitor's:
// no guest can give a line of its own one, nor mask or outrank them. With 32-step priorities
// (Cortex-A9) and the binary point at most kMaxBinaryPoint they preempt whatever a guest handles.
inline constexpr std::uint8_t kMonitorPriority = 0x00;
inline constexpr std::uint8_t kGuestPriorities = 0x20;
inline constexpr std::uint32_t kMaxBinaryPoint = 4;  // group priority: bits [7:5] at least

// The software generated interrupt by which a CPU's monitor pokes another's. Linux uses 0 to 7.
inline constexpr Line kMonitorPoke{15};

template <io::RegisterBlock Registers>
class GicDistributor {
 public:
  explicit constexpr GicDistributor(Registers registers) : registers_(registers) {}

  // Shared lines: none enabled, pending, or routed to a CPU; level-sensitive, of least priority.
  // Called once, before another CPU runs the monitor. Leaves the distributor on.
  void initialize() const {
    registers_.write32(gicd::kControl, 0);
    const std::uint32_t words = (registers_.read32(gicd::kType) & gicd::kLinesMask) + 1;
    for (std::uint32_t n = 1; n < words; ++n) {
      silence(n);
      registers_.write32(gicd::kConfiguration + n * 8, 0);
      registers_.write32(gicd::kConfiguration + n * 8 + 4, 0);
      for (std::uint32_t at = n * 32; at < n * 32 + 32; at += 4) {
        registers_.write32(gicd::kPriority + at, 0xffffffff);
        registers_.write32(gicd::kTarget + at, 0);
      }
    }
    registers_.write32(gicd::kControl, gicd::kEnableBit);
  }

  // The calling CPU's own lines: all disabled but kMonitorPoke, of least priority.
  void initialize_cpu() const {
    silence(0);
    for (std::uint32_t at = 0; at < kFirstShared; at += 4) {
      registers_.write32(gicd::kPriority + at, 0xffffffff);
    }
    registers_.write8(gicd::kPriority + kMonitorPoke.number, kMonitorPriority);
    registers_.write32(gicd::kSetEnable, 1u << kMonitorPoke.number);
  }

  // Gives a line to the monitor itself, on `cpu`, above all guests. A banked line: on this CPU.
  void claim(Line line, std::uint32_t cpu) const {
    mask(line);
    if (!line.is_banked()) {
      registers_.write8(gicd::kTarget + line.number, static_cast<std::uint8_t>(1u << cpu));
    }
    registers_.write8(gicd::kPriority + line.number, kMonitorPriority);
    unmask(line);
  }
  void mask(Line line) const { write_bit(gicd::kClearEnable, line); }
  void unmask(Line line) const { write_bit(gicd::kSetEnable, line); }

  // Of the lines 32 * word to 32 * word + 31 that `lines` names: those that are pending. They are
  // not any more, unless they are still raised.
  [[nodiscard]] std::uint32_t withdraw(std::uint32_t word, std::uint32_t lines) const {
    const std::uint32_t pending = registers_.read32(gicd::kSetPending + word * 4) & lines;
    if (pending != 0) registers_.write32(gicd::kClearPending + word * 4, pending);
    return pending;
  }

  // Interrupts `cpu` (0 to 7) with a software generated interrupt.
  void send(std::uint32_t cpu, Line line = kMonitorPoke) const {
    registers_.write32(gicd::kSoftware, 1u << (gicd::kTargetListShift + cpu) | line.number);
  }

  [[nodiscard]] const Registers& registers() const { return registers_; }

 private:
  void write_bit(std::uint32_t bank, Line line) const {
    registers_.write32(bank + line.number / 32 * 4, 1u << line.number % 32);
  }
  void silence(std::uint32_t word) const {
    for (const std::uint32_t bank : {gicd::kClearEnable, gicd::kClearPending, gicd::kClearActive}) {
      registers_.write32(bank + word * 4, 0xffffffff);
    }
    registers_.write32(gicd::kGroup + word * 4, 0);
  }
  Registers registers_;
};

// What an acknowledgement returned; the same value ends the interrupt.
struct Acknowledged {
  std::uint32_t raw = gicc::kSpurious;

  [[nodiscard]] constexpr Line line() const { return Line{raw & gicc::kLineMask}; }
  [[nodiscard]] constexpr std::uint32_t sender() const { return raw >> gicc::kSenderShift & 7; }
};

// The calling CPU's interface. Every function is for that CPU only, with interrupts off.
template <io::RegisterBlock Registers>
class GicInterface {
 public:
  explicit constexpr GicInterface(Registers registers) : registers_(registers) {}

  // Lets every priority but the least through.
  void initialize() const {
    registers_.write32(gicc::kBinaryPoint, 0);
    set_threshold(0xff);
    registers_.write32(gicc::kControl, gicc::kEnableBit);
  }

  // Only lines more urgent than `priority` interrupt this CPU. With kGuestPriorities the monitor's
  // own get through and a guest's wait: how a guest with its interrupts off is left reachable.
  void set_threshold(std::uint8_t priority) const {
    registers_.write32(gicc::kPriorityMask, priority);
  }

  // Takes the most urgent pending interrupt; nothing if it was withdrawn (spurious).
  [[nodiscard]] std::optional<Acknowledged> acknowledge() const {
    const Acknowledged taken{registers_.read32(gicc::kAcknowledge)};
    return is_line(taken.raw) ? std::optional(taken) : std::nullopt;
  }
  void end(Acknowledged taken) const { registers_.write32(gicc::kEnd, taken.raw); }

  // The interrupt that acknowledge() would take, without taking it.
  [[nodiscard]] std::optional<Line> highest_pending() const {
    const std::uint32_t raw = registers_.read32(gicc::kHighestPending);
    return is_line(raw) ? std::optional(Line{raw & gicc::kLineMask}) : std::nullopt;
  }

  // Of the most urgent interrupt that is active; kIdlePriority if none is.
  [[nodiscard]] std::uint32_t running_priority() const {
    return registers_.read32(gicc::kRunningPriority) & 0xff;
  }

  [[nodiscard]] const Registers& registers() const { return registers_; }

 private:
  [[nodiscard]] static constexpr bool is_line(std::uint32_t raw) {
    return (raw & gicc::kLineMask) < 1020;
  }
  Registers registers_;
};

// The active interrupt of `lines` that is the most urgent: on one CPU, the one it took last.
template <io::RegisterBlock Registers>
[[nodiscard]] std::optional<Line> most_urgent_active(const Registers& distributor,
                                                     const LineSet& lines) {
  LineSet active;
  for (std::uint32_t n = 0; n < LineSet::kWords; ++n) {
    if (lines.word(n) == 0) continue;
    active.set_word(n, lines.word(n) & distributor.read32(gicd::kSetActive + n * 4));
  }
  std::optional<Line> found;
  std::uint32_t least = 0x100;
  active.for_each([&](Line line) {
    const std::uint32_t four = distributor.read32(gicd::kPriority + line.number / 4 * 4);
    const std::uint32_t priority = four >> line.number % 4 * 8 & 0xff;
    if (priority < least) found = line;
    least = std::min(least, priority);
  });
  return found;
}

// Ends what a guest left active on this CPU when it was stopped inside a handler. `lines`: the
// guest's, all masked; `cpu`: this one, also the sender of its software generated interrupts.
template <io::RegisterBlock Registers, io::RegisterBlock CpuRegisters>
void end_abandoned(const Registers& distributor, const GicInterface<CpuRegisters>& interface,
                   const LineSet& lines, std::uint32_t cpu) {
  const std::optional<Line> any = lines.first();
  for (std::uint32_t n = 0; n < kMaxLines && any; ++n) {
    if (interface.running_priority() == gicc::kIdlePriority) break;
    // If none is active, the guest deactivated a line without ending it: any end drops the
    // priority.
    const Line line = most_urgent_active(distributor, lines).value_or(*any);
    interface.end({line.number | (line.is_software() ? cpu << gicc::kSenderShift : 0)});
  }
  for (std::uint32_t n = 0; n < LineSet::kWords; ++n) {
    if (lines.word(n) != 0) distributor.write32(gicd::kClearActive + n * 4, lines.word(n));
  }
}

}  // namespace mezzo::irq
