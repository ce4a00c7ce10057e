// Emulation of LGDT, LIDT, LLDT and LTR: how a guest's descriptor tables become the processor's.
//
// GDT. Linux writes its live table without a trap (thread-local segments at every task switch), so
// a copy would go stale. The guest's page itself is therefore mapped into the monitor's window, and
// the processor's GDTR points there for ever: the guest's writes take effect at once, the monitor's
// own descriptors lie in the next page, which is not the guest's, and a guest that unmaps its table
// harms nobody. Tables that do not start a page, or share one with other data, are copied. An entry
// of a copy is renewed when LTR, LLDT or a gate of the monitor's names it, and when the processor
// faults on it. What stays stale is an entry that was valid and has since become another valid one.
//
// IDT. The guest's gates are mirrored into the monitor's table when the guest loads its IDT from a
// read-only mapping, which is how Linux says that it will not write it any more; before that every
// vector is delivered by the monitor from the guest's live table. Real-time kernels never say so:
// with them a device's gate is mirrored when it has been used once, and looked at again at each
// exit of the long way. A guest that changes a gate it has used, and then does not exit, is entered
// by the old one.
#pragma once

#include <bit>

#include "abi/hypercall.hpp"
#include "arch/ia32/control_registers.hpp"
#include "arch/ia32/deliver.hpp"
#include "arch/ia32/layout.hpp"

namespace mezzo::ia32 {

struct [[gnu::packed]] TableOperand {
  std::uint16_t limit;
  std::uint32_t base;
};

template <Machine M>
[[nodiscard]] std::optional<TableLocation> read_table_operand(Context<M>& c, const Instruction& i) {
  TableOperand operand{};
  if (!i.memory || !c.machine.read(linear_address(c, *i.memory), &operand, sizeof operand)) {
    return std::nullopt;
  }
  // With a 16-bit operand size only 24 bits of the base are loaded.
  const std::uint32_t mask = i.operand_size == 2 ? 0x00ffffff : 0xffffffff;
  return TableLocation{operand.base & mask, operand.limit};
}

// Whether all of a table of at most a page can be read: it lies on at most two pages.
template <Machine M>
[[nodiscard]] bool is_readable(Context<M>& c, std::uint32_t base, std::uint32_t bytes) {
  std::uint8_t byte = 0;
  return bytes == 0 ||
         (c.machine.read(base, &byte, 1) && c.machine.read(base + bytes - 1, &byte, 1));
}

// Uses the guest's page as its GDT if nothing but the table lies there: the processor's limit is
// the page.
template <Machine M>
[[nodiscard]] bool use_in_place(Context<M>& c, const TableLocation& table, std::uint32_t bytes) {
  if (bytes == 0 || !c.machine.use_guest_gdt(table.base)) return false;
  for (const Descriptor& entry : c.machine.guest_gdt().subspan(bytes / 8)) {
    if (entry != Descriptor{}) return false;
  }
  return true;
}

// Puts the guest's GDT where the processor looks, with ring-0 segments moved to ring 1. A table
// that cannot be read is refused, and the one before it stays.
template <Machine M>
[[nodiscard]] Verdict load_guest_gdt(Context<M>& c, const TableLocation& table) {
  if (table.limit >= plan::kPageSize) return unsupported(Unsupported::LargeGdt);
  const std::uint32_t bytes = (table.limit + 1) & ~7u;
  if (!is_readable(c, table.base, bytes)) return general_protection();
  c.vcpu.gdt_copied = !use_in_place(c, table, bytes);
  if (c.vcpu.gdt_copied) {
    c.machine.use_copied_gdt();
    const std::span<Descriptor> gdt = c.machine.guest_gdt();
    const bool copied = c.machine.read(table.base, gdt.data(), bytes);
    for (std::size_t n = copied ? bytes / 8 : 0; n < gdt.size(); ++n) gdt[n] = Descriptor{};
  }
  for (Descriptor& entry : c.machine.guest_gdt().first(bytes / 8)) {
    const Descriptor ours = deprivilege(entry);
    if (ours != entry) entry = ours;
  }
  c.vcpu.gdt = table;
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict load_gdt_register(Context<M>& c, const Instruction& i) {
  const auto table = read_table_operand(c, i);
  return table ? load_guest_gdt(c, *table) : unreadable_operand(c, i);
}

// The privilege a stub needs so that the guest's own INT n reaches it as it would reach the guest's
// gate. Two kinds get none, so that INT n comes by #GP instead: vectors with an error code, because
// the processor would push no code for INT n; and absent gates, because their fault is at the INT.
// INT3 and INTO are not decoded, so theirs must come directly.
[[nodiscard]] constexpr std::uint8_t stub_privilege(unsigned vector,
                                                    const std::optional<Gate>& gate) {
  if (has_error_code(vector) || is_monitor_vector(vector)) return 0;
  if (gate && gate->present()) return gate->dpl() == 0 ? std::uint8_t{1} : gate->dpl();
  const bool undecoded = vector == static_cast<unsigned>(Vector::Breakpoint) ||
                         vector == static_cast<unsigned>(Vector::Overflow);
  return undecoded ? 1 : 0;
}

// Points every vector at the guest's gate, or at the monitor.
template <Machine M>
void mirror_idt(Context<M>& c) {
  for (unsigned n = 0; n < 256; ++n) {
    const auto vector = static_cast<std::uint8_t>(n);
    if (vector == hypercall::kVector) continue;
    const auto gate = guest_gate(c, vector);
    if (c.vcpu.idt_settled && !is_monitor_vector(n) && gate && gate->present()) {
      if (const auto ours = reflect_gate(*gate, layout::kMonitorCs)) {
        c.machine.use_gate(vector, *ours);
        continue;
      }
    }
    c.machine.use_stub(vector, stub_privilege(n, gate));
  }
}

// Whether the guest maps its IDT without write permission, first and last gate.
template <Machine M>
[[nodiscard]] bool is_idt_read_only(Context<M>& c) {
  const TableLocation& idt = c.vcpu.idt;
  constexpr std::uint32_t kLastByte = 256 * 8 - 1;
  const std::uint32_t last = idt.limit < kLastByte ? idt.limit : kLastByte;
  return c.machine.is_read_only(idt.base) && c.machine.is_read_only(idt.base + last);
}

template <Machine M>
[[nodiscard]] Verdict load_idt_register(Context<M>& c, const Instruction& i) {
  const auto table = read_table_operand(c, i);
  if (!table) return unreadable_operand(c, i);
  c.vcpu.idt = *table;
  c.vcpu.idt_settled = table->limit >= 8 && c.vcpu.paging() && is_idt_read_only(c);
  c.vcpu.used_gates = {};
  mirror_idt(c);
  return Verdict::skip();
}

// Points `vector` at the guest's gate as it is now, if the processor may use it.
template <Machine M>
void renew_gate(Context<M>& c, std::uint8_t vector) {
  const auto gate = guest_gate(c, vector);
  const auto ours =
      gate && gate->present() ? reflect_gate(*gate, layout::kMonitorCs) : std::nullopt;
  if (ours) return c.machine.use_gate(vector, *ours);
  c.machine.use_stub(vector, stub_privilege(vector, gate));
}

// The guest has been entered by `vector`: a real-time one is entered by it directly from now on.
template <Machine M>
void settle_gate(Context<M>& c, std::uint8_t vector) {
  constexpr unsigned kExceptions = 32;
  const Vcpu& v = c.vcpu;
  if (!v.settles_by_use || v.idt_settled || vector < kExceptions || is_monitor_vector(vector)) {
    return;
  }
  c.vcpu.used_gates[vector / 32] |= 1u << vector % 32;
  renew_gate(c, vector);
}

// Takes over what a real-time guest has changed in gates that it has used.
template <Machine M>
void renew_used_gates(Context<M>& c) {
  if (!c.vcpu.settles_by_use) return;
  for (unsigned word = 0; word < c.vcpu.used_gates.size(); ++word) {
    for (std::uint32_t left = c.vcpu.used_gates[word]; left != 0; left &= left - 1) {
      renew_gate(
          c, static_cast<std::uint8_t>(32 * word + static_cast<unsigned>(std::countr_zero(left))));
    }
  }
}

template <Machine M>
[[nodiscard]] Verdict load_local_table(Context<M>& c, const Instruction& i) {
  const auto selector = read_operand16(c, i);
  if (!selector) return unreadable_operand(c, i);
  if ((*selector & 0xfffc) == 0) {
    c.machine.load_ldt(0);
    c.vcpu.ldt_register = 0;
    return Verdict::skip();
  }
  const auto descriptor = (*selector & 4) == 0 ? renewed_descriptor_of(c, *selector) : std::nullopt;
  if (!descriptor || !descriptor->is(SystemType::Ldt)) {
    return general_protection(selector_error(*selector));
  }
  if (!descriptor->present()) {
    return Verdict::inject(static_cast<std::uint8_t>(Vector::SegmentNotPresent),
                           selector_error(*selector));
  }
  // The processor reads the table itself, up to its last selector: it must not find the monitor's
  // memory.
  const std::uint32_t base = descriptor->base();
  const std::uint32_t last = descriptor->limit() < 0xffff ? descriptor->limit() : 0xffff;
  if (base > kLastGuestAddress || last > kLastGuestAddress - base) {
    return general_protection(selector_error(*selector));
  }
  c.machine.load_ldt(*selector);
  c.vcpu.ldt_register = *selector;
  c.vcpu.ldt = {descriptor->base(), descriptor->limit()};
  return Verdict::skip();
}

// The processor's task register stays the monitor's: it decides which stack an exit uses. The
// guest's task state is remembered, for its ring-0 stack (which becomes the ring-1 stack) and its
// I/O bitmap.
template <Machine M>
[[nodiscard]] Verdict load_task_register_of(Context<M>& c, const Instruction& i) {
  const auto selector = read_operand16(c, i);
  if (!selector) return unreadable_operand(c, i);
  const auto descriptor = (*selector & 4) == 0 ? renewed_descriptor_of(c, *selector) : std::nullopt;
  if (!descriptor || !descriptor->is(SystemType::Tss32)) {
    return general_protection(selector_error(*selector));
  }
  if (!descriptor->present()) {
    return Verdict::inject(static_cast<std::uint8_t>(Vector::SegmentNotPresent),
                           selector_error(*selector));
  }
  mark_busy(c, *selector);
  c.vcpu.task_register = *selector;
  c.vcpu.task_state = {descriptor->base(), descriptor->limit()};
  return Verdict::skip();
}

// Takes over the stack that the guest wants for entries from user mode. Linux writes it into its
// task state after LTR without a trap and then leaves it alone, so looking at exits is enough.
template <Machine M>
void follow_kernel_stack(Context<M>& c) {
  if (c.vcpu.task_register == 0) return;
  struct {
    std::uint32_t esp, ss;
  } inner{};
  if (!c.machine.read(c.vcpu.task_state.base + offsetof(TaskState, esp0), &inner, sizeof inner))
    return;
  if ((inner.ss & 0xfffc) == 0) return;
  c.machine.set_kernel_stack(static_cast<std::uint16_t>((inner.ss & 0xfffc) | 1), inner.esp);
}

}  // namespace mezzo::ia32
