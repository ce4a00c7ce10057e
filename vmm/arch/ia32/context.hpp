// What emulation works on: the machine, the virtual CPU, the interrupted context; and addresses
// formed from them. The machine is a template parameter, so that the same code runs on the
// processor and in host tests.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "arch/ia32/decode.hpp"
#include "arch/ia32/descriptor.hpp"
#include "arch/ia32/registers.hpp"
#include "arch/ia32/vcpu.hpp"
#include "core/channel.hpp"
#include "core/verdict.hpp"

namespace mezzo::ia32 {

// How a new page-table root was taken. ReservedBits: the processor would have refused it.
enum class RootResult : std::uint8_t { Installed, OutsidePartition, ReservedBits };

// What emulation needs of the processor and of the partition's memory. Every access to guest memory
// may fail, and then has no effect that the monitor depends on.
template <class M>
concept Machine = requires(M m, std::uint32_t n, std::uint64_t& value, void* to, const void* from,
                           std::uint16_t selector, std::uint8_t vector, Interrupt target) {
  // Guest-linear memory, below the monitor's window only.
  { m.read(n, to, n) } -> std::same_as<bool>;
  { m.write(n, from, n) } -> std::same_as<bool>;
  // Control and debug registers of the processor.
  { m.read_cr2() } -> std::same_as<std::uint32_t>;
  { m.write_cr2(n) };
  { m.write_cr0(n) };
  { m.write_cr4(n) } -> std::same_as<bool>;
  { m.install_root(n, RootKind::Directory) } -> std::same_as<RootResult>;
  { m.install_identity() };
  { m.invalidate(n) };
  { m.read_debug(n) } -> std::same_as<std::uint32_t>;
  { m.write_debug(n, n) };
  { m.read_msr(n, value) } -> std::same_as<bool>;
  { m.write_msr(n, value) } -> std::same_as<bool>;
  { m.write_xcr(n, n, n) } -> std::same_as<bool>;
  { m.read_tsc() } -> std::same_as<std::uint64_t>;
  { m.kick_watchdog() };
  { m.write_back_caches() };
  { m.clear_task_switched() };
  // Descriptor tables as the processor uses them.
  { m.guest_gdt() } -> std::same_as<std::span<Descriptor>>;
  { m.use_guest_gdt(n) } -> std::same_as<bool>;
  { m.use_copied_gdt() };
  { m.is_read_only(n) } -> std::same_as<bool>;
  { m.use_stub(vector, n) };
  { m.use_gate(vector, Gate{}) };
  { m.set_kernel_stack(selector, n) };
  { m.load_ldt(selector) };
  { m.fs() } -> std::same_as<std::uint16_t>;
  { m.gs() } -> std::same_as<std::uint16_t>;
  { m.load_fs_gs(selector, selector) };
  // Ports, for processes that their kernel allows some.
  { m.in(selector, n) } -> std::same_as<std::uint32_t>;
  { m.out(selector, n, n) };
  // Raises a vector on a processor: another partition's doorbell.
  { m.interrupt(target) };
};

template <Machine M>
struct Context {
  M& machine;
  Vcpu& vcpu;
  Frame& frame;
};

// The descriptor a selector names in the guest's GDT or LDT, or nothing: null, beyond the limit,
// unreadable.
template <Machine M>
[[nodiscard]] std::optional<Descriptor> descriptor_of(Context<M>& c, std::uint32_t selector) {
  const std::uint32_t offset = selector & 0xfff8;
  if ((selector & 4) != 0) {
    Descriptor descriptor{};
    if (c.vcpu.ldt_register == 0 || offset + 7 > c.vcpu.ldt.limit) return std::nullopt;
    if (!c.machine.read(c.vcpu.ldt.base + offset, &descriptor, sizeof descriptor)) {
      return std::nullopt;
    }
    return descriptor;
  }
  const std::span<Descriptor> gdt = c.machine.guest_gdt();
  if (offset == 0 || offset + 7 > c.vcpu.gdt.limit || offset / 8 >= gdt.size()) return std::nullopt;
  return gdt[offset / 8];
}

// Takes what the guest has written since LGDT to the entry of a copied GDT that `selector` names.
// Whether the copy changed.
template <Machine M>
[[nodiscard]] bool renew_descriptor(Context<M>& c, std::uint32_t selector) {
  const std::uint32_t offset = selector & 0xfff8;
  const bool in_copy = c.vcpu.gdt_copied && (selector & 4) == 0 && offset != 0;
  Descriptor guest{};
  if (!in_copy || offset + 7 > c.vcpu.gdt.limit ||
      !c.machine.read(c.vcpu.gdt.base + offset, &guest, sizeof guest)) {
    return false;
  }
  const Descriptor renewed = deprivilege(guest);
  return std::exchange(c.machine.guest_gdt()[offset / 8], renewed) != renewed;
}

// The descriptor a selector names, as the guest's memory has it now.
template <Machine M>
[[nodiscard]] std::optional<Descriptor> renewed_descriptor_of(Context<M>& c,
                                                              std::uint32_t selector) {
  (void)renew_descriptor(c, selector);
  return descriptor_of(c, selector);
}

template <Machine M>
[[nodiscard]] std::uint16_t selector_of(Context<M>& c, Segment segment) {
  switch (segment) {
    case Segment::Es:
      return static_cast<std::uint16_t>(c.frame.es);
    case Segment::Cs:
      return static_cast<std::uint16_t>(c.frame.cs);
    case Segment::Ss:
      return static_cast<std::uint16_t>(c.frame.ss);
    case Segment::Ds:
      return static_cast<std::uint16_t>(c.frame.ds);
    case Segment::Fs:
      return c.machine.fs();
    case Segment::Gs:
      return c.machine.gs();
  }
  return 0;
}

// The base address of a segment; 0 for one whose descriptor is gone (flat, as the monitor's spare
// ones).
template <Machine M>
[[nodiscard]] std::uint32_t segment_base(Context<M>& c, std::uint16_t selector) {
  if ((c.frame.eflags & eflags::kVirtual8086) != 0) return std::uint32_t{selector} << 4;
  const auto descriptor = descriptor_of(c, selector);
  return descriptor ? descriptor->base() : 0;
}

// The linear address of a memory operand.
template <Machine M>
[[nodiscard]] std::uint32_t linear_address(Context<M>& c, const MemoryOperand& operand) {
  std::uint32_t offset = operand.displacement;
  if (operand.base) offset += c.frame.general(*operand.base);
  if (operand.index) offset += c.frame.general(*operand.index) << operand.scale;
  if (operand.address16) offset &= 0xffff;
  return segment_base(c, selector_of(c, operand.segment)) + offset;
}

// Reads a 16-bit register-or-memory operand.
template <Machine M>
[[nodiscard]] std::optional<std::uint16_t> read_operand16(Context<M>& c, const Instruction& i) {
  if (!i.memory) return static_cast<std::uint16_t>(c.frame.general(i.rm));
  std::uint16_t value = 0;
  if (!c.machine.read(linear_address(c, *i.memory), &value, sizeof value)) return std::nullopt;
  return value;
}

// A #GP, #SS, #NP or #TS about a selector carries its index and table as error code.
[[nodiscard]] constexpr std::uint32_t selector_error(std::uint32_t selector) {
  return selector & 0xfffc;
}

[[nodiscard]] constexpr Verdict general_protection(std::uint32_t error_code = 0) {
  return Verdict::inject(static_cast<std::uint8_t>(Vector::GeneralProtection), error_code);
}

// What an instruction meets whose operand at `linear` the monitor could not read: the page fault
// that the processor would have raised had it got that far. The first byte decides which of two
// pages is absent.
template <Machine M>
[[nodiscard]] Verdict unreadable_at(Context<M>& c, std::uint32_t linear) {
  std::uint8_t first = 0;
  if (c.machine.read(linear, &first, sizeof first)) linear = (linear | (plan::kPageSize - 1)) + 1;
  if (linear >= plan::kMonitorWindow) return general_protection();
  c.machine.write_cr2(linear);
  return Verdict::inject(static_cast<std::uint8_t>(Vector::PageFault), 0);
}
template <Machine M>
[[nodiscard]] Verdict unreadable_operand(Context<M>& c, const Instruction& i) {
  return i.memory ? unreadable_at(c, linear_address(c, *i.memory)) : general_protection();
}

}  // namespace mezzo::ia32
