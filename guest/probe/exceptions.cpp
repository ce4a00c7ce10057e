// Probes of exceptions and software interrupts: the right vector, error code and address reach the
// probe's handler, from both rings.
#include "probe.hpp"

namespace probe {
namespace {

constexpr u32 kDpl0Vector = 0x40, kDpl1Vector = 0x41, kDpl3Vector = 0x42, kAbsentVector = 0x43,
              kTrapVector = 0x44, kMonitorVector = 0x45, kTaskVector = 0x46;

template <u32 vector>
u32 interrupt() {
  asm volatile("int %0" : : "i"(vector));
  return 1;
}

bool resume(TrapFrame&) { return true; }

u32 flag_seen;
bool note_flag(TrapFrame&) {
  flag_seen = read_flags() >> 9 & 1;
  return true;
}

void faults() {
  both("divide-error", divide_by_zero, fault(kDivide));
  both("overflow", overflow_into, fault(kOverflow));
  both("bound", bound_exceeded, fault(kBound));
  both(
      "ud2",
      [] {
        asm volatile("ud2");
        return 1u;
      },
      fault(kUndefined));
  both("undefined-opcode", undefined_0fff, fault(kUndefined));
  both(
      "breakpoint",
      [] {
        asm volatile("int3");
        return 1u;
      },
      fault(kBreakpoint));
  write_cr<0>(kControl0 | 1u << 18);  // AM
  kernel("unaligned-read", unaligned_read, done());
  user("unaligned-read", unaligned_read, returns_or(kAlignment));
  write_cr<0>(kControl0);
}

void single_step() {
  kernel("step-nop", step_nop, debug_exception(step_nop_next));
  user("step-nop", step_nop, debug_exception(step_nop_next));
  kernel("step-read-cr0", step_read_cr0, debug_exception(step_read_cr0_next));
  kernel("step-write-cr2", step_write_cr2, debug_exception(step_write_cr2_next));
  kernel("step-mov-ds", step_mov_ds, debug_exception(step_mov_ds_next));
  user("step-over-fault", step_read_cr0, fault(kProtection));
  write_dr<6>(0);
  (void)in_kernel(step_read_cr0);
  kernel("step-dr6", [] { return read_dr<6>() >> 14 & 1; }, value(1));
}

void software_interrupts() {
  for (u32 vector = kDpl0Vector; vector <= kTaskVector; ++vector) set_hook(vector, resume);
  set_gate(kDpl0Vector, kInterruptGate, 0);
  set_gate(kDpl1Vector, kInterruptGate, 1);
  set_gate(kDpl3Vector, kInterruptGate, 3);
  kernel("int-dpl0", interrupt<kDpl0Vector>, done());
  kernel("int-dpl1", interrupt<kDpl1Vector>, done());
  both("int-dpl3", interrupt<kDpl3Vector>, done());
  user("int-dpl0", interrupt<kDpl0Vector>, fault(kProtection, idt_error(kDpl0Vector)));
  user("int-dpl1", interrupt<kDpl1Vector>, fault(kProtection, idt_error(kDpl1Vector)));
  set_raw_gate(kAbsentVector, PROBE_KERNEL_CS, 0, 0x6e00);
  load_own_idt();
  kernel("int-not-present", interrupt<kAbsentVector>, fault_with_any_code(kAbsent));
  user("int-not-present", interrupt<kAbsentVector>, fault(kAbsent, idt_error(kAbsentVector)));
  set_gate(kAbsentVector, kInterruptGate, 0);
  user("int-of-fault-vector", interrupt<kPage>, fault(kProtection, idt_error(kPage)));
  user("int-of-monitor-vector", interrupt<kDouble>, fault(kProtection, idt_error(kDouble)));
}

void gate_kinds() {
  set_gate(kTrapVector, kTrapGate, 3);
  set_hook(kTrapVector, note_flag);
  set_hook(kDpl3Vector, note_flag);
  kernel(
      "trap-gate-keeps-if",
      [] {
        asm volatile("sti; int %0; cli" : : "i"(kTrapVector));
        return flag_seen;
      },
      value(1));
  kernel(
      "interrupt-gate-clears-if",
      [] {
        asm volatile("sti; int %0; cli" : : "i"(kDpl3Vector));
        return flag_seen;
      },
      value(0));
  // A monitor that finds a gate unusable may call it a double fault.
  const Expect bad_gate = differs(fault_with_any_code(kProtection), any_fault());
  set_raw_gate(kMonitorVector, 0x1000, kWindow, kInterruptGate | kUser);
  load_own_idt();
  both("gate-to-monitor-segment", interrupt<kMonitorVector>, bad_gate);
  set_raw_gate(kMonitorVector, 0, 0, kInterruptGate | kUser);
  load_own_idt();
  both("gate-to-null-segment", interrupt<kMonitorVector>, bad_gate);
  set_raw_gate(kTaskVector, 0, 0, kTaskGate | kUser);
  load_own_idt();
  both("task-gate-to-null", interrupt<kTaskVector>, any_fault());
  set_gate(kMonitorVector, kInterruptGate, 0);
  set_gate(kTaskVector, kInterruptGate, 0);
}

void double_fault() {
  set_raw_gate(kPage, PROBE_KERNEL_CS, 0, 0x0e00);  // not present
  load_own_idt();
  kernel("double-fault", [] { return read32(kTestAbsent); }, fault(kDouble));
  user("double-fault", [] { return read32(kTestAbsent); }, fault(kDouble));
  set_gate(kPage, kInterruptGate, 0);
}

}  // namespace

void probe_exceptions() {
  faults();
  single_step();
  software_interrupts();
  gate_kinds();
  double_fault();
}

}  // namespace probe
