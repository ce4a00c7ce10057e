// Probes of ports, device interrupts and HLT.
#include <initializer_list>

#include "probe.hpp"

namespace probe {
namespace {

constexpr u32 kTimerVector = 0x50;
constexpr u32 kAlignmentVector = 17, kReservedVector = 30;
constexpr u16 kOpenPort = 0x80, kClosedPort = 0x84;
constexpr u32 kShortTime = 200000;  // of the local APIC's timer

volatile u32 ticks;
bool tick(TrapFrame&) {
  ticks = ticks + 1;
  end_of_interrupt();
  return true;
}

template <u16 port>
u32 out_byte() {
  out8(port, 0);
  return 1;
}
template <u16 port>
u32 outs_byte() {
  static const u8 zero = 0;
  asm volatile("outsb" : : "S"(&zero), "d"(port));
  return 1;
}

// The tick may come before anybody waits for it.
volatile u32 ticks_before;
void start_tick() {
  ticks_before = ticks;
  start_timer(kShortTime, false);
}

u32 wait_for_tick() {
  const u64 start = read_tsc();
  while (ticks == ticks_before) {
    if (read_tsc() - start > 20'000'000'000) return 0;
  }
  return 1;
}

u32 timer_with_interrupts_on() {
  start_tick();
  asm volatile("sti");
  const u32 result = wait_for_tick();
  asm volatile("cli");
  return result;
}

u32 hlt_until_timer() {
  const u32 before = ticks;
  start_timer(kShortTime, false);
  asm volatile("sti; hlt; cli");
  return ticks - before;
}

}  // namespace

void probe_ports() {
  task_state.bitmap[kOpenPort / 8] &= static_cast<u8>(~(1u << kOpenPort % 8));
  both("out-allowed", out_byte<kOpenPort>, done());
  kernel("out", out_byte<kClosedPort>, done());
  user("out", out_byte<kClosedPort>, fault(kProtection));
  privileged("in", [] { return in8(kClosedPort) & 0u; }, value(0));
  kernel("outs-allowed", outs_byte<kOpenPort>, done());
  // The monitor emulates IN and OUT of processes, not the string forms.
  user("outs-allowed", outs_byte<kOpenPort>, differs(done(), fault(kProtection)));
  user("outs", outs_byte<kClosedPort>, fault(kProtection));
  user(
      "in-16-bit-half-allowed",
      [] {
        u16 value;
        asm volatile("inw %1, %0" : "=a"(value) : "d"(static_cast<u16>(kOpenPort)));
        return 1u;
      },
      fault(kProtection));
  task_state.bitmap[kOpenPort / 8] = 0xff;
  user("out-no-longer-allowed", out_byte<kOpenPort>, fault(kProtection));
}

// A device may use a vector that the processor would give an error code as an exception. The
// handler is the timer's own, which expects none.
void timer_at_exception_vectors() {
  for (const u32 vector : {kAlignmentVector, kReservedVector}) {
    set_raw_gate(vector, PROBE_KERNEL_CS, address_of(vector_stubs) + kTimerVector * 16,
                 kInterruptGate);
    load_own_idt();
    enable_local_apic(vector);
    kernel("timer-at-exception-vector", timer_with_interrupts_on, done());
    kernel("hlt-until-timer-at-exception-vector", hlt_until_timer, done());
    start_tick();
    user_flags |= 0x200;
    user("timer-at-exception-vector", wait_for_tick, done());
    user_flags &= ~0x200u;
    set_gate(vector, kInterruptGate, 0);
  }
  both("iopl-after-interrupts", [] { return read_flags() >> 12 & 3; }, differs(value(0), value(1)));
}

void probe_interrupts() {
  set_gate(kTimerVector, kInterruptGate, 0);
  set_hook(kTimerVector, tick);
  enable_local_apic(kTimerVector);
  kernel("hlt-until-timer", hlt_until_timer, done());
  kernel("timer-in-kernel", timer_with_interrupts_on, done());
  start_tick();
  user_flags |= 0x200;
  user("timer-in-user", wait_for_tick, done());
  user_flags &= ~0x200u;
  kernel(
      "no-timer-with-cli",
      [] {
        const u32 before = ticks;
        start_timer(kShortTime, false);
        const u64 start = read_tsc();
        while (read_tsc() - start < 20'000'000) {
        }
        const u32 early = ticks - before;
        asm volatile("sti; nop; cli");
        return early << 8 | (ticks - before);
      },
      done());
  timer_at_exception_vectors();
}

}  // namespace probe
