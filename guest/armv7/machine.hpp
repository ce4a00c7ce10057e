// An ARMv7-A machine as a bare-metal guest sees it: program status, coprocessor registers,
// exceptions. Written as for the bare board, because that is what a guest believes to run on.
// Source: ARM DDI 0406C, B1.3, B1.8, B4.1.
#pragma once

#include <cstddef>
#include <cstdint>

#include "armv7/leave.h"

namespace guest {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

namespace psr {
inline constexpr u32 kUser = 0x10, kFiq = 0x11, kIrq = 0x12, kSupervisor = 0x13, kAbort = 0x17,
                     kUndefined = 0x1b, kSystem = 0x1f, kModeMask = 0x1f;
inline constexpr u32 kThumb = 1u << 5, kFiqOff = 1u << 6, kIrqOff = 1u << 7, kAbortOff = 1u << 8;
inline constexpr u32 kMasks = kFiqOff | kIrqOff | kAbortOff;
}  // namespace psr

struct Mode {
  const char* name;
  u32 number;
  [[nodiscard]] constexpr bool has_spsr() const {
    return number != psr::kUser && number != psr::kSystem;
  }
};
inline constexpr Mode kUser{"usr", psr::kUser}, kSupervisor{"svc", psr::kSupervisor};
inline constexpr Mode kModes[] = {kUser,
                                  kSupervisor,
                                  {"sys", psr::kSystem},
                                  {"irq", psr::kIrq},
                                  {"fiq", psr::kFiq},
                                  {"abt", psr::kAbort},
                                  {"und", psr::kUndefined}};

// ---- instructions ----

template <unsigned Opc1, unsigned Crn, unsigned Crm, unsigned Opc2>
struct Cp15 {
  [[nodiscard]] static u32 read() { return __builtin_arm_mrc(15, Opc1, Crn, Crm, Opc2); }
  static void write(u32 value) {
    asm volatile("" : : : "memory");
    __builtin_arm_mcr(15, Opc1, value, Crn, Crm, Opc2);
    asm volatile("isb" : : : "memory");
  }
};
using Mpidr = Cp15<0, 0, 0, 5>;
using Sctlr = Cp15<0, 1, 0, 0>;
using Cpacr = Cp15<0, 1, 0, 2>;
using Ttbr0 = Cp15<0, 2, 0, 0>;
using Ttbr1 = Cp15<0, 2, 0, 1>;
using Ttbcr = Cp15<0, 2, 0, 2>;
using Dacr = Cp15<0, 3, 0, 0>;
using Dfsr = Cp15<0, 5, 0, 0>;
using Ifsr = Cp15<0, 5, 0, 1>;
using Dfar = Cp15<0, 6, 0, 0>;
using Ifar = Cp15<0, 6, 0, 2>;
using Par = Cp15<0, 7, 4, 0>;
using InvalidateInstructions = Cp15<0, 7, 5, 0>;     // ICIALLU
using InvalidatePrediction = Cp15<0, 7, 5, 6>;       // BPIALL
using TranslateKernelRead = Cp15<0, 7, 8, 0>;        // ATS1CPR
using TranslateKernelWrite = Cp15<0, 7, 8, 1>;       // ATS1CPW
using TranslateUserRead = Cp15<0, 7, 8, 2>;          // ATS1CUR
using TranslateUserWrite = Cp15<0, 7, 8, 3>;         // ATS1CUW
using CleanToUnification = Cp15<0, 7, 11, 1>;        // DCCMVAU
using InvalidateTlb = Cp15<0, 8, 7, 0>;              // TLBIALL
using InvalidateTlbAddress = Cp15<0, 8, 7, 1>;       // TLBIMVA
using InvalidateTlbContext = Cp15<0, 8, 7, 2>;       // TLBIASID
using InvalidateTlbAddressOfAll = Cp15<0, 8, 7, 3>;  // TLBIMVAA
using VectorBase = Cp15<0, 12, 0, 0>;                // VBAR
using InterruptStatus = Cp15<0, 12, 1, 0>;           // ISR
using ContextId = Cp15<0, 13, 0, 1>;                 // CONTEXTIDR

inline void data_barrier() { asm volatile("dsb" : : : "memory"); }
inline void instruction_barrier() { asm volatile("isb" : : : "memory"); }
inline void enable_interrupts() { asm volatile("cpsie i" : : : "memory"); }
inline void disable_interrupts() { asm volatile("cpsid i" : : : "memory"); }
inline void wait_for_interrupt() { asm volatile("dsb; wfi" : : : "memory"); }

template <class T>
inline T& memory_at(u32 address) {
  return *reinterpret_cast<T*>(address);
}
// One instruction each, whatever the compiler thinks: an abort is part of the experiment.
[[nodiscard]] inline u32 read32(u32 address) {
  u32 value;
  asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline void write32(u32 address, u32 value) {
  asm volatile("str %0, [%1]" : : "r"(value), "r"(address) : "memory");
}
template <class T>
[[nodiscard]] inline u32 address_of(const volatile T* object) {
  return reinterpret_cast<u32>(object);
}
template <class R, class... A>
[[nodiscard]] inline u32 address_of(R (*function)(A...)) {
  return reinterpret_cast<u32>(function);
}

// Makes words that were written as data ready to be executed (B2.2.9).
void make_executable(u32 address, u32 bytes);

// ---- exceptions ----

enum class Exception : u32 {
  None = 0xff,  // the run left by itself
  Reset = 0,
  Undefined = 1,
  SupervisorCall = 2,
  PrefetchAbort = 3,
  DataAbort = 4,
  Irq = 6,
  Fiq = 7,
};

// What a handler has on its stack; it returns to `lr` under `spsr`.
struct TrapFrame {
  u32 spsr, cpsr;  // cpsr: in the handler
  u32 r[13];
  u32 lr;
};

// How a guarded run ended.
struct Taken {
  Exception exception{};
  TrapFrame frame{};
  u32 dfsr = 0, dfar = 0;  // of a data abort
  u32 ifsr = 0, ifar = 0;  // of a prefetch abort

  [[nodiscard]] bool is(Exception what) const { return exception == what; }
  [[nodiscard]] bool left() const { return is(Exception::None); }
};

// Runs body(argument) under `psr`, the modes' stacks being empty, until it returns, takes an
// exception, or executes svc #GUEST_LEAVE. Exceptions that a hook takes do not count.
using Body = void (*)(u32 argument);
[[nodiscard]] Taken run(u32 psr, Body body, u32 argument = 0);

// Called for an exception before it ends a run. Returns true to go back to the frame.
using Hook = bool (*)(TrapFrame& frame);
void set_hook(Exception exception, Hook hook);

// Where an interrupt or the exception's own instruction came from, by what LR holds (table B1-7).
[[nodiscard]] u32 origin(Exception exception, const TrapFrame& frame);

// ---- what the machine has ----

void open_console(u32 number = 0);  // of the board's UARTs, 0 to 3
// The text of /chosen/bootargs in the device tree at `tree`, or "".
[[nodiscard]] const char* boot_arguments(u32 tree);

extern "C" {
extern const u32 vectors[8], handlers[8];  // the table, and where its entries lead
extern char image_begin[], image_end[], mode_stacks[];
[[noreturn]] void stop_for_ever();
}

}  // namespace guest
