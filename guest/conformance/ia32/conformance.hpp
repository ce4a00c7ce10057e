// The cases of the IA-32 guest: what real-time kernels for a bare PC do, access by access, on the
// machine that the probe's support code sets up. FreeRTOS' port IA32_flat and Zephyr's board
// qemu_x86 are the models; each part says whose habit it is.
#pragma once

#include "conformance/lines.hpp"
#include "probe.hpp"

namespace conformance {

using namespace probe;
using guest::begin_line, guest::begin_values, guest::end_line, guest::line, guest::show;

// The line of a body that the kernel runs: what it returns, or the exception that it raises. `how`
// is the second part of its name.
void tried(const char* name, Body body, const char* how = nullptr);

// Waits, with interrupts on, until `count` has reached `wanted`; returns what it is then, or what
// it has come to in five seconds.
[[nodiscard]] u32 wait_for(const volatile u32& count, u32 wanted);
// For so many counts of the TSC nothing is done.
void pass(u64 counts);
inline constexpr u64 kWhile = 20'000'000;

// The local APIC's registers, by their offset (Intel SDM volume 3, 10.4.1).
inline constexpr u32 kApic = 0xfee00000;
inline constexpr u32 kApicId = 0x20, kTaskPriority = 0x80, kSpurious = 0xf0, kInService = 0x100,
                     kRequested = 0x200, kCommandLow = 0x300, kCommandHigh = 0x310, kTimer = 0x320,
                     kThermal = 0x330, kPerformance = 0x340, kLineZero = 0x350, kLineOne = 0x360,
                     kError = 0x370, kInitialCount = 0x380, kCurrentCount = 0x390, kDivide = 0x3e0;
inline u32 apic(u32 offset) { return read32(kApic + offset); }
inline void apic(u32 offset, u32 value) { write32(kApic + offset, value); }
// Whether the bit of `vector` is set in the eight registers from `bank` on.
inline u32 apic_bit(u32 bank, u32 vector) {
  return apic(bank + vector / 32 * 0x10) >> vector % 32 & 1;
}

// Vectors. FreeRTOS' are 0x20 and 0x21.
inline constexpr u32 kYieldVector = 0x20, kTickVector = 0x21, kMessageVector = 0x22,
                     kUrgentVector = 0x51;
extern volatile u32 ticks;  // of kTickVector, counted by the handler that start_ticks() sets
void start_ticks(u32 period);
void stop_ticks();

void test_segments();
void test_yields();
void test_pic();
void test_local_apic();
void test_ticks();
void test_locks();
void test_hpet();
void test_pae();
void test_rest();

}  // namespace conformance
