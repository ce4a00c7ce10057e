// Probes of ports, device interrupts and HLT.
#include "probe.hpp"

namespace probe {
namespace {

constexpr u32 kTimerVector = 0x50;
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

u32 wait_for_tick() {
  const u32 before = ticks;
  const u64 start = read_tsc();
  while (ticks == before) {
    if (read_tsc() - start > 20'000'000'000) return 0;
  }
  return 1;
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

void probe_interrupts() {
  set_gate(kTimerVector, kInterruptGate, 0);
  set_hook(kTimerVector, tick);
  enable_local_apic(kTimerVector);
  kernel(
      "hlt-until-timer",
      [] {
        const u32 before = ticks;
        start_timer(kShortTime, false);
        asm volatile("sti; hlt; cli");
        return ticks - before;
      },
      done());
  kernel(
      "timer-in-kernel",
      [] {
        start_timer(kShortTime, false);
        asm volatile("sti");
        const u32 result = wait_for_tick();
        asm volatile("cli");
        return result;
      },
      done());
  start_timer(kShortTime, false);
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
}

}  // namespace probe
