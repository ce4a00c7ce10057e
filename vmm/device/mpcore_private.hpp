// The private page of a Cortex-A9 MPCore (0x1e000000 on Versatile Express) as one partition sees
// it: snoop control unit, CPU interface, global timer, private timer and watchdog.
//
// What is the CPU's own passes: timers, and interrupts by device/gic_interface.hpp. What all CPUs
// share is only shown: the snoop control unit, as that of one CPU, and the global timer's counter.
// A timer whose interrupt is not the partition's is absent (reads as 0). The watchdog is a second
// timer; its watchdog mode, which would reset the machine, cannot be selected.
// All functions run on the partition's CPU. Source: ARM DDI 0407I (Cortex-A9 MPCore), chapters 2-4.
#pragma once

#include <cstdint>

#include "device/gic_interface.hpp"
#include "io/mmio.hpp"
#include "io/register_block.hpp"
#include "irq/line.hpp"

namespace mezzo::device {

namespace mpcore {
inline constexpr std::uint32_t kScu = 0x000, kInterface = 0x100, kGlobalTimer = 0x200;
inline constexpr std::uint32_t kPrivateTimer = 0x600, kWatchdog = 0x620;
inline constexpr std::uint32_t kSize = 0x1000;

inline constexpr irq::Line kGlobalTimerLine{27}, kPrivateTimerLine{29}, kWatchdogLine{30};

// Snoop control unit.
inline constexpr std::uint32_t kScuConfiguration = 0x04, kScuPower = 0x08, kScuInvalidate = 0x0c;
inline constexpr std::uint32_t kScuLast = 0x54;

// Timers: offsets in each block.
inline constexpr std::uint32_t kLoad = 0x0, kCounter = 0x4, kControl = 0x8, kStatus = 0xc;
inline constexpr std::uint32_t kGlobalLow = 0x0, kGlobalHigh = 0x4, kComparatorLow = 0x10;
inline constexpr std::uint32_t kComparatorHigh = 0x14, kIncrement = 0x18;

// Bits of kControl. Of the global timer, the comparator, interrupt and increment bits are each
// CPU's, the enable bit and the prescaler are shared.
inline constexpr std::uint32_t kEnable = 1, kAutoReload = 2, kInterrupt = 4;
inline constexpr std::uint32_t kComparator = 2, kAutoIncrement = 8;
inline constexpr std::uint32_t kPrescaler = 0xff00;
inline constexpr std::uint32_t kTimerControl = kPrescaler | kInterrupt | kAutoReload | kEnable;
inline constexpr std::uint32_t kGlobalControl = kAutoIncrement | kInterrupt | kComparator;
}  // namespace mpcore

// A part of another block of registers.
template <io::RegisterBlock Registers>
class Part {
 public:
  Part(Registers registers, std::uint32_t base) : registers_(registers), base_(base) {}
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
    return registers_.read32(base_ + offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) const {
    registers_.write32(base_ + offset, value);
  }
  void write8(std::uint32_t offset, std::uint8_t value) const {
    registers_.write8(base_ + offset, value);
  }

 private:
  Registers registers_;
  std::uint32_t base_;
};

template <io::RegisterBlock Registers>
class MpcorePrivate {
 public:
  // `lines`: the partition's; `cpu`: the number of its CPU (0 to 3).
  MpcorePrivate(Registers registers, const irq::LineSet& lines, std::uint32_t cpu)
      : registers_(registers),
        lines_(lines),
        cpu_(cpu),
        interface_(Part(registers, mpcore::kInterface), lines, cpu) {}

  [[nodiscard]] FilteredInterface<Part<Registers>>& interface() { return interface_; }

  // The partition starts or has stopped: its timers are off, its interrupts masked.
  void reset() {
    for (const std::uint32_t timer : {mpcore::kPrivateTimer, mpcore::kWatchdog}) {
      if (!owns_timer(timer)) continue;
      registers_.write32(timer + mpcore::kControl, 0);
      registers_.write32(timer + mpcore::kStatus, 1);
    }
    if (lines_.contains(mpcore::kGlobalTimerLine)) {
      write_global_control(0);
      registers_.write32(mpcore::kGlobalTimer + mpcore::kStatus, 1);
    }
    interface_.reset();
  }

  [[nodiscard]] io::Answer access(const io::Access& access) {
    if (!io::is_sound(access) || access.offset >= mpcore::kSize) return io::Answer::missing();
    if (access.offset >= mpcore::kInterface && access.offset < mpcore::kGlobalTimer) {
      io::Access inner = access;
      inner.offset -= mpcore::kInterface;
      return interface_.access(inner);
    }
    if (!access.write) return io::Answer::done(io::narrow(read(access.offset & ~3u), access));
    if (access.size == 4) write(access.offset, access.value);  // word accesses only
    return io::Answer::done();
  }

 private:
  [[nodiscard]] bool owns_timer(std::uint32_t block) const {
    return lines_.contains(block == mpcore::kPrivateTimer ? mpcore::kPrivateTimerLine
                                                          : mpcore::kWatchdogLine);
  }
  // The private timer or watchdog register at `offset` is the partition's.
  [[nodiscard]] bool is_timer(std::uint32_t offset) const {
    const std::uint32_t block = offset & ~0x1fu;
    const bool exists = block == mpcore::kPrivateTimer || block == mpcore::kWatchdog;
    return exists && offset - block <= mpcore::kStatus && owns_timer(block);
  }
  [[nodiscard]] static bool is_global(std::uint32_t offset) {
    return offset >= mpcore::kGlobalTimer && offset <= mpcore::kGlobalTimer + mpcore::kIncrement;
  }

  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const {
    if (offset <= mpcore::kScuLast) return read_scu(offset);
    const bool is_counter = offset == mpcore::kGlobalTimer + mpcore::kGlobalLow ||
                            offset == mpcore::kGlobalTimer + mpcore::kGlobalHigh;
    const bool is_own =
        is_timer(offset) || (is_global(offset) && lines_.contains(mpcore::kGlobalTimerLine));
    return is_counter || is_own ? registers_.read32(offset) : 0;
  }

  [[nodiscard]] std::uint32_t read_scu(std::uint32_t offset) const {
    switch (offset) {
      case mpcore::kScuConfiguration: {  // one CPU, coherent; the size of its tag RAM
        constexpr std::uint32_t kCoherent = 1u << 4;
        const std::uint32_t tags = registers_.read32(offset) >> (8 + 2 * cpu_) & 3;
        return tags << 8 | kCoherent;
      }
      case mpcore::kScuPower:
      case mpcore::kScuInvalidate:
        return 0;
      default:
        return registers_.read32(offset);
    }
  }

  void write(std::uint32_t offset, std::uint32_t value) {
    if (is_timer(offset)) {
      const bool is_control = offset % 0x20 == mpcore::kControl;
      registers_.write32(offset, is_control ? value & mpcore::kTimerControl : value);
      return;
    }
    if (!is_global(offset) || !lines_.contains(mpcore::kGlobalTimerLine)) return;
    switch (offset - mpcore::kGlobalTimer) {
      case mpcore::kControl:
        return write_global_control(value);
      case mpcore::kStatus:
      case mpcore::kComparatorLow:
      case mpcore::kComparatorHigh:
      case mpcore::kIncrement:
        return registers_.write32(offset, value);
      default:
        return;
    }
  }
  // The shared bits are the monitor's, and constant once it has started.
  void write_global_control(std::uint32_t value) {
    const std::uint32_t offset = mpcore::kGlobalTimer + mpcore::kControl;
    const std::uint32_t shared = registers_.read32(offset) & ~mpcore::kGlobalControl;
    registers_.write32(offset, shared | (value & mpcore::kGlobalControl));
  }

  Registers registers_;
  irq::LineSet lines_;
  std::uint32_t cpu_;
  FilteredInterface<Part<Registers>> interface_;
};

}  // namespace mezzo::device
