// What the real-time kernel needs of a PC: a change of stacks, interrupts on and off, a UART; its
// timers are in timer.hpp. No paging, no process; one processor.
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
  // Halts the processor, or keeps it busy: then it does not return, as handlers do everything.
  static inline bool idle_is_busy = false;
  static void idle() {
    // A long way round, because emulators look around at each jump.
    if (idle_is_busy) asm volatile("sti; 1: .rept 1000; nop; .endr; jmp 1b" : : : "memory");
    asm volatile("sti; hlt; cli" : : : "memory");
  }
};
static_assert(rtos::Port<Port>);

inline constexpr std::uint32_t kLocalApic = 0xfee00000;

inline std::uint8_t in8(std::uint16_t port) {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "d"(port));
  return value;
}
inline void out8(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "d"(port));
}

// Descriptor tables with a gate for each timer, the memory's one to one mapping, the PICs off (a
// bare PC's firmware leaves the timer's on), the UART at `uart`.
void set_up(std::uint16_t uart);
// Tells the monitor, if this is no bare machine, that its partition is alive.
void kick_watchdog();
// Tells it how late we are, in ticks of the TSC, for who watches.
void tell_latency(std::uint32_t mean, std::uint32_t most);

// The first channel that the partition has an end of.
struct ChannelMemory {
  void* memory = nullptr;  // none: there is no channel, or no monitor
  std::uint32_t bytes = 0;
  std::uint32_t end = 0;  // which is ours
};
// Maps it; from now on on_doorbell() is called when the other end rings.
[[nodiscard]] ChannelMemory find_channel();
// Interrupts the other end, if it listens.
void ring_doorbell();

}  // namespace rtos::ia32
