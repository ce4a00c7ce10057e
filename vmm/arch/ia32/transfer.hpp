// Instructions that are not privileged but fault in ring 1 because the guest kernel believes that
// it runs in ring 0: loads of SS and returns with RPL 0; and port accesses of processes that their
// kernel allows. Source: Intel SDM volume 2 (MOV, POP, LSS, RET, IRET) and volume 1, 18.5 (I/O
// permission).
#pragma once

#include "abi/hypercall.hpp"
#include "arch/ia32/descriptor_tables.hpp"

namespace mezzo::ia32 {

// Loads SS with a ring-0 selector on behalf of a guest kernel; other faulting loads are its own
// error.
template <Machine M>
[[nodiscard]] Verdict load_stack_segment(Context<M>& c, std::uint16_t selector) {
  if ((selector & 3) != 0 || c.frame.ring() != 1)
    return general_protection(selector_error(selector));
  const auto descriptor = descriptor_of(c, selector);
  constexpr unsigned kWritable = 2;
  if (!descriptor || !descriptor->is_data() || (descriptor->type() & kWritable) == 0 ||
      descriptor->dpl() != 1) {
    return general_protection(selector_error(selector));
  }
  if (!descriptor->present()) {
    return Verdict::inject(static_cast<std::uint8_t>(Vector::StackFault), selector_error(selector));
  }
  c.frame.ss = selector | 1u;
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict move_to_segment(Context<M>& c, const Instruction& i) {
  const auto selector = read_operand16(c, i);
  if (!selector) return unreadable_operand(c, i);
  if (static_cast<Segment>(i.reg) != Segment::Ss) {
    return general_protection(selector_error(*selector));
  }
  return load_stack_segment(c, *selector);
}

// Where the guest's stack top lies, reads words from there, and takes them off.
template <Machine M>
[[nodiscard]] std::uint32_t stack_top(Context<M>& c) {
  const StackSegment stack = stack_segment(c, c.frame.ss);
  return stack.base + (c.frame.esp & stack.mask);
}
template <Machine M>
[[nodiscard]] bool peek(Context<M>& c, void* to, std::uint32_t bytes) {
  return c.machine.read(stack_top(c), to, bytes);
}
template <Machine M>
void release(Context<M>& c, std::uint32_t bytes) {
  const std::uint32_t mask = stack_segment(c, c.frame.ss).mask;
  c.frame.esp = (c.frame.esp & ~mask) | ((c.frame.esp + bytes) & mask);
}

template <Machine M>
[[nodiscard]] Verdict pop_segment(Context<M>& c, const Instruction& i) {
  std::uint16_t selector = 0;
  if (!peek(c, &selector, sizeof selector)) return unreadable_at(c, stack_top(c));
  if (static_cast<Segment>(i.reg) != Segment::Ss) {
    return general_protection(selector_error(selector));
  }
  // The stack pointer moves in the segment that was popped from.
  const std::uint32_t esp = c.frame.esp;
  release(c, i.operand_size);
  const Verdict verdict = load_stack_segment(c, selector);
  if (verdict.kind != Verdict::Kind::Skip) c.frame.esp = esp;
  return verdict;
}

template <Machine M>
[[nodiscard]] Verdict load_far_pointer(Context<M>& c, const Instruction& i) {
  struct [[gnu::packed]] {
    std::uint32_t offset;
    std::uint16_t selector;
  } pointer{};
  if (!i.memory || i.operand_size != 4) return general_protection();
  if (!c.machine.read(linear_address(c, *i.memory), &pointer, sizeof pointer)) {
    return unreadable_operand(c, i);
  }
  if (i.segment != Segment::Ss) return general_protection(selector_error(pointer.selector));
  const Verdict verdict = load_stack_segment(c, pointer.selector);
  if (verdict.kind == Verdict::Kind::Skip) c.frame.general(i.reg) = pointer.offset;
  return verdict;
}

// Whether a return to `selector` is one from ring 1 to what the guest calls ring 0: Resume, or the
// fault.
template <Machine M>
[[nodiscard]] Verdict check_kernel_return(Context<M>& c, std::uint16_t selector) {
  const auto code = descriptor_of(c, selector);
  const bool good = c.frame.ring() == 1 && (selector & 3) == 0 && code && code->is_code() &&
                    (code->conforming() ? code->dpl() <= 1 : code->dpl() == 1);
  if (!good) return general_protection(selector_error(selector));
  if (code->present()) return Verdict::resume();
  return Verdict::inject(static_cast<std::uint8_t>(Vector::SegmentNotPresent),
                         selector_error(selector));
}

template <Machine M>
[[nodiscard]] Verdict return_far(Context<M>& c, const Instruction& i) {
  struct {
    std::uint32_t eip, cs;
  } target{};
  if (i.operand_size != 4) return general_protection();
  if (!peek(c, &target, sizeof target)) return unreadable_at(c, stack_top(c));
  const auto selector = static_cast<std::uint16_t>(target.cs);
  const Verdict verdict = check_kernel_return(c, selector);
  if (verdict.kind != Verdict::Kind::Resume) return verdict;
  c.frame.eip = target.eip;
  c.frame.cs = selector | 1u;
  c.frame.eflags &= ~eflags::kResume;
  release(c, static_cast<std::uint32_t>(sizeof target) + i.immediate);
  return verdict;
}

template <Machine M>
[[nodiscard]] Verdict return_from_interrupt(Context<M>& c, const Instruction& i) {
  struct {
    std::uint32_t eip, cs, flags;
  } target{};
  if (i.operand_size != 4) return general_protection();
  if (!peek(c, &target, sizeof target)) return unreadable_at(c, stack_top(c));
  if ((c.frame.eflags & eflags::kNestedTask) != 0) return general_protection();
  const auto selector = static_cast<std::uint16_t>(target.cs);
  const Verdict verdict = check_kernel_return(c, selector);
  if (verdict.kind != Verdict::Kind::Resume) return verdict;
  c.frame.eip = target.eip;
  c.frame.cs = selector | 1u;
  c.frame.eflags = (target.flags & ~(eflags::kIopl | eflags::kVirtual8086)) | eflags::kAlwaysSet |
                   eflags::kIopl1;
  release(c, sizeof target);
  return verdict;
}

// INT n that the stub's privilege refused: allowed if the guest's own gate allows it. In
// virtual-8086 mode IOPL is asked before the gate.
template <Machine M>
[[nodiscard]] Verdict software_interrupt(Context<M>& c, const Instruction& i) {
  constexpr std::uint32_t kInIdt = 2;
  const auto vector = static_cast<std::uint8_t>(i.immediate);
  const std::uint32_t error_code = std::uint32_t{vector} * 8 + kInIdt;
  const bool virtual_8086 = (c.frame.eflags & eflags::kVirtual8086) != 0;
  if (virtual_8086 && (c.frame.eflags & eflags::kIopl) != eflags::kIopl) {
    return general_protection();
  }
  const auto gate = guest_gate(c, vector);
  const bool is_gate =
      gate && (gate->is_interrupt_gate() || gate->is_trap_gate() || gate->is_task_gate());
  if (!is_gate || (c.frame.ring() != 1 && gate->dpl() != 3)) return general_protection(error_code);
  if (!gate->present()) {
    return Verdict::inject(static_cast<std::uint8_t>(Vector::SegmentNotPresent), error_code);
  }
  c.frame.eip += i.length;
  c.frame.eflags &= ~eflags::kResume;
  return Verdict::software_interrupt(vector);
}

// Whether the guest's task state lets a process use `bytes` ports from `port` on.
template <Machine M>
[[nodiscard]] bool may_use_ports(Context<M>& c, std::uint16_t port, std::uint32_t bytes) {
  const TableLocation& task = c.vcpu.task_state;
  if (c.vcpu.task_register == 0) return false;
  std::uint16_t map = 0;
  if (!c.machine.read(task.base + offsetof(TaskState, io_map_base), &map, sizeof map)) return false;
  std::uint16_t bits = 0;
  const std::uint32_t offset = map + port / 8u;
  if (offset + 1 > task.limit) return false;
  if (!c.machine.read(task.base + offset, &bits, sizeof bits)) return false;
  return ((bits >> (port % 8u)) & ((1u << bytes) - 1u)) == 0;
}

// The watchdog's port is the monitor's; all others are the machine's.
template <Machine M>
[[nodiscard]] Verdict access_port(Context<M>& c, const Instruction& i) {
  const auto port = static_cast<std::uint16_t>(i.port_in_dx ? c.frame.edx : i.immediate);
  if (!may_use_ports(c, port, i.operand_size)) return general_protection();
  const std::uint32_t mask = i.operand_size == 4 ? ~0u : (1u << (i.operand_size * 8)) - 1u;
  if (i.op == Op::Out && port == hypercall::kWatchdogPort) {
    c.machine.kick_watchdog();
  } else if (i.op == Op::In) {
    c.frame.eax = (c.frame.eax & ~mask) | (c.machine.in(port, i.operand_size) & mask);
  } else {
    c.machine.out(port, i.operand_size, c.frame.eax & mask);
  }
  return Verdict::skip();
}

}  // namespace mezzo::ia32
