// What the real-time kernel needs of a PC: a change of stacks, interrupts on and off, the local
// APIC's timer, a UART. No paging, no process; one processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "rtos/kernel.hpp"

extern "C" {
void switch_stacks(void** from, void* to);
void begin_task();
[[noreturn]] void stop_for_ever();
}

namespace rtos::ia32 {

struct Port {
  using Masks = std::uint32_t;  // EFLAGS

  static Masks mask() {
    Masks flags;
    asm volatile("pushfl; popl %0; cli" : "=r"(flags) : : "memory");
    return flags;
  }
  static void restore(Masks flags) {
    constexpr Masks kInterrupts = 1u << 9;
    if ((flags & kInterrupts) != 0) asm volatile("sti" : : : "memory");
  }
  static void* prepare(std::span<std::byte> stack, Entry entry, void* argument) {
    // As switch_stacks() leaves a stack: EDI, ESI, EBX, EBP, where to go on.
    auto* top = reinterpret_cast<std::uint32_t*>(stack.data() + stack.size() / 16 * 16);
    *--top = reinterpret_cast<std::uint32_t>(begin_task);
    *--top = 0;
    *--top = reinterpret_cast<std::uint32_t>(entry);
    *--top = reinterpret_cast<std::uint32_t>(argument);
    *--top = 0;
    return top;
  }
  static void switch_to(void*& from, void* to) { switch_stacks(&from, to); }
  static void idle() { asm volatile("sti; hlt; cli" : : : "memory"); }
};
static_assert(rtos::Port<Port>);

inline std::uint64_t time_stamp() {
  std::uint32_t low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return std::uint64_t{high} << 32 | low;
}

// Descriptor tables, the memory's one to one mapping, the PICs off (a bare PC's firmware leaves the
// timer's on), the UART at `uart`.
void set_up(std::uint16_t uart);
// An interrupt, which calls on_timer(), each `period` counts of the local APIC's timer.
void start_timer(std::uint32_t period);
// Counts since the last one.
[[nodiscard]] std::uint32_t timer_age(std::uint32_t period);
void end_of_interrupt();
// Tells the monitor, if this is no bare machine, that its partition is alive.
void kick_watchdog();

}  // namespace rtos::ia32
