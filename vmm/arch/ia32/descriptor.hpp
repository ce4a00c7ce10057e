// Segment descriptors and IDT gates: what their bits mean, how to make them, and how a guest's
// become ones that the processor may be given while the guest runs in ring 1.
//
// Values only: nothing here reads or writes a table. Sources: Intel SDM volume 3, 3.4.5
// (segments), 3.5 (system descriptors), 6.11 (gates).
#pragma once

#include <cstdint>
#include <optional>

#include "abi/plan.hpp"

namespace mezzo::ia32 {

// The last linear address a cut segment reaches.
inline constexpr std::uint32_t kLastGuestAddress = plan::kMonitorWindow - 1;

// System descriptor and gate types (S = 0). SDM volume 3, table 3-2.
enum class SystemType : std::uint8_t {
  Tss16 = 1,
  Ldt = 2,
  Tss16Busy = 3,
  CallGate16 = 4,
  TaskGate = 5,
  InterruptGate16 = 6,
  TrapGate16 = 7,
  Tss32 = 9,
  Tss32Busy = 11,
  CallGate32 = 12,
  InterruptGate32 = 14,
  TrapGate32 = 15,
};

// A GDT or LDT entry, as it lies in memory.
struct Descriptor {
  std::uint32_t low = 0;
  std::uint32_t high = 0;

  bool operator==(const Descriptor&) const = default;

  // First linear address.
  [[nodiscard]] constexpr std::uint32_t base() const {
    return (low >> 16) | (high & 0xff) << 16 | (high & 0xff000000);
  }
  // Last offset in bytes, granularity applied. An expand-down segment begins after it.
  [[nodiscard]] constexpr std::uint32_t limit() const {
    const std::uint32_t field = (low & 0xffff) | (high & 0x000f0000);
    return granular() ? field << 12 | 0xfff : field;
  }
  [[nodiscard]] constexpr std::uint8_t type() const { return (high >> 8) & 15; }
  [[nodiscard]] constexpr bool is_code_or_data() const { return bit(12); }  // S
  [[nodiscard]] constexpr std::uint8_t dpl() const { return (high >> 13) & 3; }
  [[nodiscard]] constexpr bool present() const { return bit(15); }
  [[nodiscard]] constexpr bool is_default32() const { return bit(22); }  // D or B
  [[nodiscard]] constexpr bool granular() const { return bit(23); }      // G: limit in 4 KiB units

  [[nodiscard]] constexpr bool is_code() const { return is_code_or_data() && bit(11); }
  [[nodiscard]] constexpr bool is_data() const { return is_code_or_data() && !bit(11); }
  [[nodiscard]] constexpr bool conforming() const { return is_code() && bit(10); }
  [[nodiscard]] constexpr bool expands_down() const { return is_data() && bit(10); }
  [[nodiscard]] constexpr bool accessed() const { return is_code_or_data() && bit(8); }
  [[nodiscard]] constexpr bool is(SystemType wanted) const {
    return !is_code_or_data() && type() == static_cast<std::uint8_t>(wanted);
  }

  // Whether offsets up to the limit run past 4 GiB and begin again at linear address 0.
  [[nodiscard]] constexpr bool wraps() const { return base() > ~limit(); }

  // The same descriptor with another field.
  [[nodiscard]] constexpr Descriptor with_dpl(std::uint8_t dpl) const {
    return {low, (high & ~(3u << 13)) | std::uint32_t{dpl} << 13};
  }
  [[nodiscard]] constexpr Descriptor with_accessed() const { return {low, high | 1u << 8}; }
  // `limit` is the last offset in bytes. From 1 MiB on only multiples of 4 KiB less one byte can be
  // expressed: other values are rounded down.
  [[nodiscard]] constexpr Descriptor with_limit(std::uint32_t limit) const {
    const bool pages = limit >= 1u << 20;
    const std::uint32_t field = !pages                     ? limit
                                : (limit & 0xfff) == 0xfff ? limit >> 12
                                                           : (limit >> 12) - 1;
    return {(low & 0xffff0000) | (field & 0xffff),
            (high & ~0x008f0000u) | (field & 0x000f0000) | (pages ? 1u << 23 : 0)};
  }

 private:
  [[nodiscard]] constexpr bool bit(unsigned number) const { return (high >> number & 1) != 0; }
};
static_assert(sizeof(Descriptor) == 8);

// A present 32-bit code segment (readable, accessed), base 0. `limit`: last offset in bytes.
[[nodiscard]] constexpr Descriptor flat_code(std::uint8_t dpl, std::uint32_t limit) {
  return Descriptor{0, 0x00409b00}.with_dpl(dpl).with_limit(limit);
}
// A present 32-bit data segment (writable, accessed), base 0. `limit`: last offset in bytes.
[[nodiscard]] constexpr Descriptor flat_data(std::uint8_t dpl, std::uint32_t limit) {
  return Descriptor{0, 0x00409300}.with_dpl(dpl).with_limit(limit);
}
// A present, available 32-bit TSS at linear address `base`; `limit`: last offset in bytes. And an
// LDT.
[[nodiscard]] constexpr Descriptor tss(std::uint32_t base, std::uint32_t limit) {
  return Descriptor{base << 16, (base & 0xff000000) | (base >> 16 & 0xff) | 0x00008900}.with_limit(
      limit);
}

[[nodiscard]] constexpr Descriptor ldt(std::uint32_t base, std::uint32_t limit) {
  return Descriptor{base << 16, (base & 0xff000000) | (base >> 16 & 0xff) | 0x00008200}.with_limit(
      limit);
}

// What a guest's GDT or LDT entry becomes in a table that the processor uses.
//   - Code and data of DPL 0 get DPL 1, present or not; Accessed is preset, so that the processor
//     does not write to the table.
//   - Their limit is cut so that they end below the monitor's window; one that lies in the window
//     from its first byte on becomes null. Left alone are segments that wrap at 4 GiB (per-CPU
//     data, TLS with negative offsets) and expand-down ones, because cutting would break
//     their legal uses: through those a hostile kernel, not an accident, can reach the window. See
//     doc/.
//   - Gates and reserved types become null.
//   - LDT and TSS descriptors stay, because LLDT and LTR, which the monitor emulates, want to find
//     them; but a TSS gets DPL 0, so that no far jump from ring 1 or 3 can switch to it.
[[nodiscard]] Descriptor deprivilege(Descriptor guest);

// An IDT entry, as it lies in memory.
struct Gate {
  std::uint32_t low = 0;
  std::uint32_t high = 0;

  bool operator==(const Gate&) const = default;

  [[nodiscard]] constexpr std::uint32_t offset() const {
    return (low & 0xffff) | (high & 0xffff0000);
  }
  [[nodiscard]] constexpr std::uint16_t selector() const {
    return static_cast<std::uint16_t>(low >> 16);
  }
  [[nodiscard]] constexpr std::uint8_t dpl() const { return (high >> 13) & 3; }
  [[nodiscard]] constexpr bool present() const { return (high >> 15 & 1) != 0; }
  [[nodiscard]] constexpr bool is(SystemType wanted) const {
    return (high >> 8 & 0x1f) == static_cast<std::uint8_t>(wanted);
  }
  [[nodiscard]] constexpr bool is_task_gate() const { return is(SystemType::TaskGate); }
  // An interrupt gate, 16 or 32 bits: interrupts are off in the handler.
  [[nodiscard]] constexpr bool is_interrupt_gate() const {
    return is(SystemType::InterruptGate16) || is(SystemType::InterruptGate32);
  }
  // A trap gate, 16 or 32 bits: the handler keeps the interrupt flag.
  [[nodiscard]] constexpr bool is_trap_gate() const {
    return is(SystemType::TrapGate16) || is(SystemType::TrapGate32);
  }
  // Whether the handler finds a 32-bit frame.
  [[nodiscard]] constexpr bool is_32() const {
    return is(SystemType::InterruptGate32) || is(SystemType::TrapGate32);
  }

  [[nodiscard]] constexpr Gate with_dpl(std::uint8_t dpl) const {
    return {low, (high & ~(3u << 13)) | std::uint32_t{dpl} << 13};
  }
};
static_assert(sizeof(Gate) == 8);

// A present 32-bit interrupt gate: interrupts are off in the handler at selector:offset.
[[nodiscard]] constexpr Gate interrupt_gate(std::uint16_t selector, std::uint32_t offset,
                                            std::uint8_t dpl) {
  return {std::uint32_t{selector} << 16 | (offset & 0xffff),
          (offset & 0xffff0000) | 0x8e00 | std::uint32_t{dpl} << 13};
}

// What a guest's IDT entry becomes in the IDT that the processor uses, for a vector that may go
// straight into the guest: DPL 0 becomes 1, so that INT n and exceptions work from ring 1 as they
// did from ring 0.
//   first_monitor_selector  from here on the GDT holds the monitor's own descriptors
// Nothing for what the processor must not be given, and the monitor delivers (or refuses) itself:
// entries that are no interrupt or trap gate, and gates whose selector names one of the monitor's
// descriptors, because its handler would run in ring 0.
[[nodiscard]] std::optional<Gate> reflect_gate(Gate guest, std::uint16_t first_monitor_selector);

}  // namespace mezzo::ia32
