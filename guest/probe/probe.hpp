// How the probe states an experiment: run a body in the kernel's ring or in ring 3, compare what
// happened with what the bare machine would do (or, where it is meant to differ, with what the
// monitor must do), and print one line.
#pragma once

#include "common/option.hpp"
#include "common/tally.hpp"
#include "common/text.hpp"
#include "machine.hpp"

namespace probe {

using Body = u32 (*)();

struct Outcome {
  bool faulted = false;
  u32 value = 0;  // returned, if it did not fault
  u32 vector = 0, error_code = 0, eip = 0, address = 0;
};

// Runs `body` in the kernel's ring, or in ring 3, until it returns or faults.
[[nodiscard]] Outcome in_kernel(Body body);
[[nodiscard]] Outcome in_user(Body body);

struct Expect {
  enum class Kind : u8 { Value, Returns, Fault, FaultAt, Vector, AnyFault, Either, Anything };
  Kind kind;
  u32 a = 0;             // the value, or the vector
  u32 b = 0;             // the error code
  u32 c = 0;             // the address: CR2 of a page fault, EIP of a debug exception
  bool differs = false;  // on a bare machine by design
};

[[nodiscard]] constexpr Expect value(u32 wanted) { return {Expect::Kind::Value, wanted}; }
[[nodiscard]] constexpr Expect done() { return value(1); }
// Returns something that is not the same everywhere.
[[nodiscard]] constexpr Expect returns() { return {Expect::Kind::Returns}; }
[[nodiscard]] constexpr Expect fault(u32 vector, u32 error_code = 0) {
  return {Expect::Kind::Fault, vector, error_code};
}
[[nodiscard]] constexpr Expect page_fault(u32 error_code, u32 address) {
  return {Expect::Kind::FaultAt, 14, error_code, address};
}
[[nodiscard]] constexpr Expect debug_exception(const char& next) {
  return {Expect::Kind::FaultAt, 1, 0, reinterpret_cast<u32>(&next)};
}
// A fault whose error code processors disagree about.
[[nodiscard]] constexpr Expect fault_with_any_code(u32 vector) {
  return {Expect::Kind::Vector, vector};
}
[[nodiscard]] constexpr Expect any_fault() { return {Expect::Kind::AnyFault}; }
// Processors disagree: returns or raises `vector`.
[[nodiscard]] constexpr Expect returns_or(u32 vector) { return {Expect::Kind::Either, vector}; }
// Whatever happens, the machine goes on.
[[nodiscard]] constexpr Expect survives() { return {Expect::Kind::Anything}; }

// Selector part of an error code for vector `n` of the IDT.
[[nodiscard]] constexpr u32 idt_error(u32 n) { return n * 8 + 2; }

inline constexpr u32 kDivide = 0, kDebug = 1, kBreakpoint = 3, kOverflow = 4, kBound = 5,
                     kUndefined = 6, kNoFpu = 7, kDouble = 8, kTask = 10, kAbsent = 11, kStack = 12,
                     kProtection = 13, kPage = 14, kAlignment = 17;

// Whether this runs under the monitor, found out by the kernel's own CS; and its ring.
[[nodiscard]] bool under_monitor();
[[nodiscard]] u32 kernel_ring();
// Whether this machine checks segment limits (QEMU's TCG does not).
extern bool limits_enforced;

// `bare` on the bare machine, `monitored` under the monitor.
[[nodiscard]] Expect differs(Expect bare, Expect monitored);

// One experiment: one line of output, counted as passed or failed.
void check(const char* name, u32 ring, const Outcome& outcome, Expect expected);
inline void kernel(const char* name, Body body, Expect expected) {
  check(name, kernel_ring(), in_kernel(body), expected);
}
inline void user(const char* name, Body body, Expect expected) {
  check(name, 3, in_user(body), expected);
}
// What only the kernel may do: in ring 3 it is #GP(0).
inline void privileged(const char* name, Body body, Expect expected) {
  kernel(name, body, expected);
  user(name, body, fault(kProtection));
}
inline void both(const char* name, Body body, Expect expected) {
  kernel(name, body, expected);
  user(name, body, expected);
}
using guest::skip, guest::summarize;

// Handler called for a vector before it counts as a fault; returns true to go on after it.
using Hook = bool (*)(TrapFrame& frame);
void set_hook(u32 vector, Hook hook);

// Console and command line.
void open_console(u16 port);
using guest::Option, guest::option, guest::print, guest::print_hex, guest::print_hex64,
    guest::print_number;

// The parts of the suite.
void probe_instructions();
void probe_segments();
void probe_exceptions();
void probe_tables();
void probe_memory();
void probe_ports();
void probe_interrupts();
void probe_hypercalls();

// Single exits for the benchmark (bench/guest/operations.hpp).
void bench_exits();

// Runs the mode named `mode`; returns if there is none of that name. Modes end or never return.
void run_mode(const Option& mode);

extern "C" {
u32 far_jump_rpl0(), far_jump_memory_rpl0(), far_call_rpl0(), far_return_rpl0(),
    far_return_releasing_rpl0(), iret_rpl0(), iret_rpl0_enables_interrupts(), iret_nested_task(),
    far_jump_null(), far_jump_data(), far_jump_spare(), far_call_spare(), far_jump_tss(),
    mov_ss_rpl0(), pop_ss_rpl0(), lss_rpl0(), mov_ss_null(), mov_ss_code(), mov_ss_spare(),
    mov_ss_beyond(), mov_ds_spare(), mov_ds_beyond(), mov_fs_monitor(), write_window_by_ss(),
    step_nop(), step_read_cr0(), step_write_cr2(), step_mov_ds(), lock_mov_cr0(), mov_from_cr1(),
    undefined_0fff(), sixteen_byte_instruction(), xsetbv_xcr0(), xsetbv_bad(), rdpmc_0(),
    sysenter_body(), sysexit_body(), divide_by_zero(), overflow_into(), bound_exceeded(),
    unaligned_read(), call_into_window();
extern const char gate_target, step_nop_next, step_read_cr0_next, step_write_cr2_next,
    step_mov_ds_next;
}

}  // namespace probe
