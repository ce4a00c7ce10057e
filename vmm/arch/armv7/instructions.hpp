// One wrapper for each machine instruction that C++ cannot spell, and the declarations of entry.S
// and boot.S. Nothing here decides anything. Source: ARM DDI 0406C, B4 (system control registers).
#pragma once

#include <cstdint>

namespace mezzo::armv7 {

// A register of coprocessor 15 by its place: opc1, CRn, CRm, opc2.
template <unsigned Opc1, unsigned Crn, unsigned Crm, unsigned Opc2>
struct Cp15 {
  [[nodiscard]] static std::uint32_t read() { return __builtin_arm_mrc(15, Opc1, Crn, Crm, Opc2); }
  static void write(std::uint32_t value) {
    asm volatile("" : : : "memory");
    __builtin_arm_mcr(15, Opc1, value, Crn, Crm, Opc2);
    asm volatile("" : : : "memory");
  }
};

// ThumbEE's and Jazelle's registers are not for PL0, which would share them with other partitions:
// TEECR.XED (DDI 0406C, B4.1.150) and JOSCR.CD (A2.10.2).
inline void close_execution_environments() {
  __builtin_arm_mcr(14, 6, 1, 0, 0, 0);
  __builtin_arm_mcr(14, 7, 1, 1, 0, 0);
}

using Midr = Cp15<0, 0, 0, 0>;
using CacheType = Cp15<0, 0, 0, 1>;
using Mpidr = Cp15<0, 0, 0, 5>;
using CacheSizeId = Cp15<1, 0, 0, 0>;
using CacheLevelId = Cp15<1, 0, 0, 1>;
using CacheSizeSelection = Cp15<2, 0, 0, 0>;
using Sctlr = Cp15<0, 1, 0, 0>;
using Cpacr = Cp15<0, 1, 0, 2>;
using Ttbr0 = Cp15<0, 2, 0, 0>;
using Ttbcr = Cp15<0, 2, 0, 2>;
using Dacr = Cp15<0, 3, 0, 0>;
using Dfsr = Cp15<0, 5, 0, 0>;
using Ifsr = Cp15<0, 5, 0, 1>;
using Dfar = Cp15<0, 6, 0, 0>;
using Ifar = Cp15<0, 6, 0, 2>;
using InvalidateInstructions = Cp15<0, 7, 5, 0>;      // ICIALLU
using InvalidatePrediction = Cp15<0, 7, 5, 6>;        // BPIALL
using CleanDataAt = Cp15<0, 7, 10, 1>;                // DCCMVAC
using CleanDataToUnificationAt = Cp15<0, 7, 11, 1>;   // DCCMVAU
using CleanInvalidateDataSetWay = Cp15<0, 7, 14, 2>;  // DCCISW
using CleanInvalidateDataAt = Cp15<0, 7, 14, 1>;      // DCCIMVAC
using InvalidateTlb = Cp15<0, 8, 7, 0>;               // TLBIALL
using InvalidateTlbAt = Cp15<0, 8, 7, 1>;             // TLBIMVA: address and ASID
using InvalidateTlbContext = Cp15<0, 8, 7, 2>;        // TLBIASID
using VectorBase = Cp15<0, 12, 0, 0>;                 // VBAR
using InterruptStatus = Cp15<0, 12, 1, 0>;            // ISR
using ContextId = Cp15<0, 13, 0, 1>;
using ThreadUserWritable = Cp15<0, 13, 0, 2>;  // TPIDRURW
using ThreadUserReadOnly = Cp15<0, 13, 0, 3>;  // TPIDRURO
using ConfigurationBase = Cp15<4, 15, 0, 0>;   // CBAR (Cortex-A9 TRM 4.3.24)

inline void instruction_barrier() { asm volatile("isb" : : : "memory"); }
inline void data_barrier() { asm volatile("dsb" : : : "memory"); }
inline void wait_for_interrupt() { asm volatile("wfi" : : : "memory"); }
inline void send_event() { asm volatile("dsb; sev" : : : "memory"); }

// Floating-point system registers (B6.1).
[[nodiscard]] inline std::uint32_t read_fpsid() {
  std::uint32_t value;
  asm volatile(".fpu neon\n\tvmrs %0, fpsid" : "=r"(value));
  return value;
}
[[nodiscard]] inline std::uint32_t read_mvfr0() {
  std::uint32_t value;
  asm volatile(".fpu neon\n\tvmrs %0, mvfr0" : "=r"(value));
  return value;
}
[[nodiscard]] inline std::uint32_t read_mvfr1() {
  std::uint32_t value;
  asm volatile(".fpu neon\n\tvmrs %0, mvfr1" : "=r"(value));
  return value;
}
[[nodiscard]] inline std::uint32_t read_fpscr() {
  std::uint32_t value;
  asm volatile(".fpu neon\n\tvmrs %0, fpscr" : "=r"(value) : : "memory");
  return value;
}
inline void write_fpscr(std::uint32_t value) {
  asm volatile(".fpu neon\n\tvmsr fpscr, %0" : : "r"(value) : "memory");
}
inline void write_fpexc(std::uint32_t value) {
  asm volatile(".fpu neon\n\tvmsr fpexc, %0" : : "r"(value) : "memory");
}

extern "C" {
[[noreturn]] void launch();
// Waits for an interrupt as the guest of this CPU's frame, which goes on behind its WFI.
[[noreturn]] void sleep_as_guest();
void set_stacks();
void switch_stacks(std::uint32_t root, std::uint32_t asid);
void save_registers(std::uint64_t* registers, bool all);
void load_registers(const std::uint64_t* registers, bool all);
std::uint64_t guest_load(std::uint32_t address);
void guest_store(std::uint32_t address, std::uint32_t word, bool* aborted);
[[nodiscard]] bool guest_load_four(std::uint32_t address, std::uint32_t* words);
[[nodiscard]] bool guest_store_three(std::uint32_t address, std::uint32_t first,
                                     std::uint32_t second, std::uint32_t third);
std::uint32_t device_load_8(std::uint32_t address, bool* aborted);
std::uint32_t device_load_16(std::uint32_t address, bool* aborted);
std::uint32_t device_load_32(std::uint32_t address, bool* aborted);
void device_store_8(std::uint32_t address, std::uint32_t value, bool* aborted);
void device_store_16(std::uint32_t address, std::uint32_t value, bool* aborted);
void device_store_32(std::uint32_t address, std::uint32_t value, bool* aborted);
// Of the lines from `at` on, `step` bytes apart, below `limit`: the first one that is not done,
// because it is at the limit or its address is not mapped.
std::uint32_t cache_lines_clean(std::uint32_t at, std::uint32_t limit, std::uint32_t step);
std::uint32_t cache_lines_clean_to_unification(std::uint32_t at, std::uint32_t limit,
                                               std::uint32_t step);
std::uint32_t cache_lines_clean_invalidate(std::uint32_t at, std::uint32_t limit,
                                           std::uint32_t step);
bool cache_clean(std::uint32_t address);
bool cache_clean_to_unification(std::uint32_t address);
bool cache_clean_invalidate(std::uint32_t address);
extern const char vectors[];
extern volatile std::uint32_t released_cpu;
extern const std::uint32_t mezzo_bundle_address;
}

// Machine memory and devices, inside a FlatMemory only; and addresses of the monitor's own.
template <class T>
[[nodiscard]] inline T* pointer_to(std::uint32_t address) {
  return reinterpret_cast<T*>(address);  // NOLINT(performance-no-int-to-ptr)
}
template <class T>
[[nodiscard]] inline std::uint32_t address_of(const T& object) {
  return reinterpret_cast<std::uint32_t>(&object);
}

}  // namespace mezzo::armv7
