// One wrapper for each machine instruction that C++ cannot spell, and the declarations of entry.S.
// Nothing here decides anything.
#pragma once

#include <cstdint>

#include "arch/ia32/registers.hpp"

namespace mezzo::ia32 {

template <int number>
[[nodiscard]] inline std::uint32_t read_cr() {
  std::uint32_t value;
  asm volatile("movl %%cr%c1, %0" : "=r"(value) : "i"(number));
  return value;
}
template <int number>
inline void write_cr(std::uint32_t value) {
  asm volatile("movl %0, %%cr%c1" : : "r"(value), "i"(number) : "memory");
}
template <int number>
[[nodiscard]] inline std::uint32_t read_dr() {
  std::uint32_t value;
  asm volatile("movl %%db%c1, %0" : "=r"(value) : "i"(number));
  return value;
}
template <int number>
inline void write_dr(std::uint32_t value) {
  asm volatile("movl %0, %%db%c1" : : "r"(value), "i"(number));
}

inline void invalidate_page(std::uint32_t linear) {
  asm volatile("invlpg (%0)" : : "r"(linear) : "memory");
}
inline void write_back_invalidate() { asm volatile("wbinvd" : : : "memory"); }
inline void clear_task_switched() { asm volatile("clts"); }
inline void initialize_fpu() { asm volatile("fninit"); }
// `image`: as FXSAVE and XSAVE write it, 64-byte aligned.
inline void load_fpu(const void* image) { asm volatile("fxrstor (%0)" : : "r"(image) : "memory"); }
inline void save_fpu(void* image) { asm volatile("fxsave (%0)" : : "r"(image) : "memory"); }
inline void load_extended_state(const void* image) {
  asm volatile("xrstor (%0)" : : "r"(image), "a"(~0u), "d"(~0u) : "memory");
}

struct CpuId {
  std::uint32_t eax, ebx, ecx, edx;
};
// Subleaf 0.
[[nodiscard]] inline CpuId cpuid(std::uint32_t leaf) {
  CpuId result{leaf, 0, 0, 0};
  asm volatile("cpuid" : "+a"(result.eax), "=b"(result.ebx), "+c"(result.ecx), "=d"(result.edx));
  return result;
}
inline void halt() { asm volatile("hlt"); }
inline void pause() { asm volatile("pause"); }

[[nodiscard]] inline std::uint64_t read_tsc() {
  std::uint32_t low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return (std::uint64_t{high} << 32) | low;
}

struct [[gnu::packed]] TableRegister {
  std::uint16_t limit;
  std::uint32_t base;
};
inline void load_gdt(const TableRegister& table) {
  asm volatile("lgdt %0" : : "m"(table) : "memory");
}
inline void load_idt(const TableRegister& table) {
  asm volatile("lidt %0" : : "m"(table) : "memory");
}
inline void load_task_register(std::uint16_t selector) {
  asm volatile("ltr %0" : : "r"(selector) : "memory");
}
inline void load_ldt(std::uint16_t selector) {
  asm volatile("lldt %0" : : "r"(selector) : "memory");
}
inline void clear_fs_gs() { asm volatile("movl %0, %%fs; movl %0, %%gs" : : "r"(0)); }
[[nodiscard]] inline std::uint16_t read_fs() {
  std::uint32_t selector;
  asm volatile("movl %%fs, %0" : "=r"(selector));
  return static_cast<std::uint16_t>(selector);
}
[[nodiscard]] inline std::uint16_t read_gs() {
  std::uint32_t selector;
  asm volatile("movl %%gs, %0" : "=r"(selector));
  return static_cast<std::uint16_t>(selector);
}

template <class Value>
[[nodiscard]] inline Value in(std::uint16_t port) {
  Value value;
  asm volatile("in %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
template <class Value>
inline void out(std::uint16_t port, Value value) {
  asm volatile("out %0, %1" : : "a"(value), "Nd"(port));
}

extern "C" {
[[noreturn]] void launch(Frame* frame);
void idle_sleep();
void idle_look();
void idle_wait(bool polls);
void idle_wait_end();
void fast_idle();  // likewise on the short way: where it waits, and where it goes on
void fast_idle_end();
void fast_idle_woken();
void unblock_nmi();
std::uint32_t guest_copy(void* to, const void* from, std::uint32_t bytes);
bool read_msr_safe(std::uint32_t msr, std::uint32_t value[2]);
bool write_msr_safe(std::uint32_t msr, std::uint32_t low, std::uint32_t high);
bool write_cr4_safe(std::uint32_t value);
bool write_xcr_safe(std::uint32_t number, std::uint32_t low, std::uint32_t high);
void relocate(std::uint32_t to, std::uint32_t from, std::uint32_t bytes, std::uint32_t directory);
}

}  // namespace mezzo::ia32
