// The machine as the probe's kernel sees it: instructions, descriptor tables, page tables, its
// local APIC. Written as for ring 0 of a bare PC, because that is what a guest believes to run on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "selectors.hpp"

namespace probe {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// What the stubs leave on the stack.
struct TrapFrame {
  u32 es, ds;
  u32 edi, esi, ebp, esp_at_entry, ebx, edx, ecx, eax;
  u32 vector, error_code;
  u32 eip, cs, eflags;
  u32 user_esp, user_ss;  // only if it came from ring 3

  [[nodiscard]] bool from_user() const { return (cs & 3) == 3; }
};

struct [[gnu::packed]] TableRegister {
  u16 limit;
  u32 base;
};

struct [[gnu::packed]] TaskState {
  u32 link, esp0, ss0, unused[22];
  u16 trap, bitmap_offset;
  u8 bitmap[8192 + 1];
};
static_assert(offsetof(TaskState, bitmap) == 104);

template <int number>
inline u32 read_cr() {
  u32 value;
  asm volatile("movl %%cr%c1, %0" : "=r"(value) : "i"(number));
  return value;
}
template <int number>
inline void write_cr(u32 value) {
  asm volatile("movl %0, %%cr%c1" : : "r"(value), "i"(number) : "memory");
}
template <int number>
inline u32 read_dr() {
  u32 value;
  asm volatile("movl %%db%c1, %0" : "=r"(value) : "i"(number));
  return value;
}
template <int number>
inline void write_dr(u32 value) {
  asm volatile("movl %0, %%db%c1" : : "r"(value), "i"(number));
}
inline u8 in8(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "d"(port));
  return value;
}
inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" : : "a"(value), "d"(port)); }
inline u64 read_tsc() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}
inline u64 read_msr(u32 number) {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
  return u64{high} << 32 | low;
}
inline void write_msr(u32 number, u64 value) {
  asm volatile("wrmsr"
               :
               : "c"(number), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)));
}
inline u32 read_flags() {
  u32 flags;
  asm volatile("pushfl; popl %0" : "=r"(flags));
  return flags;
}
inline void write_flags(u32 flags) { asm volatile("pushl %0; popfl" : : "r"(flags) : "cc"); }
inline void load_gdt(u16 limit, u32 base) {
  const TableRegister table{limit, base};
  asm volatile("lgdt %0" : : "m"(table));
}
inline void load_idt(u16 limit, u32 base) {
  const TableRegister table{limit, base};
  asm volatile("lidt %0" : : "m"(table));
}
inline void load_ldt(u32 selector) { asm volatile("lldt %w0" : : "r"(selector)); }
inline void load_task(u32 selector) { asm volatile("ltr %w0" : : "r"(selector)); }
inline void invalidate(u32 address) { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }
struct CpuId {
  u32 eax, ebx, ecx, edx;
};
inline CpuId cpuid(u32 leaf) {
  CpuId r{leaf, 0, 0, 0};
  asm volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
  return r;
}
inline bool cpu_has_xsave() { return (cpuid(1).ecx >> 26 & 1) != 0; }
inline bool cpu_has_avx() { return (cpuid(1).ecx >> 28 & 1) != 0; }
inline bool cpu_has_sse() { return (cpuid(1).edx >> 25 & 1) != 0; }
inline bool cpu_has_global_pages() { return (cpuid(1).edx >> 13 & 1) != 0; }
inline bool cpu_has_sysenter() { return (cpuid(1).edx >> 11 & 1) != 0; }
template <class T>
inline T& memory_at(u32 address) {
  return *reinterpret_cast<T*>(address);
}
inline u32 read32(u32 address) { return memory_at<const volatile u32>(address); }
inline void write32(u32 address, u32 value) { memory_at<volatile u32>(address) = value; }
template <class T>
inline u32 address_of(const volatile T* object) {
  return reinterpret_cast<u32>(object);
}

// Descriptors and gates.
inline constexpr u32 kFlatCode = 0x00cf9a00, kFlatData = 0x00cf9200;  // high halves, DPL 0
inline constexpr u32 kNotPresent = ~0x8000u;
inline constexpr u32 kUser = 0x6000;  // DPL 3
inline constexpr u32 kFlatLow = 0x0000ffff;
inline constexpr u16 kInterruptGate = 0x8e00, kTrapGate = 0x8f00, kTaskGate = 0x8500;

// Writes a GDT entry and loads the table again, as portable kernels do.
void set_descriptor(u32 selector, u32 low, u32 high);
// Writes it and no more, as Linux does for thread-local segments.
void write_descriptor(u32 selector, u32 low, u32 high);
[[nodiscard]] u32 descriptor_high(u32 selector);
void load_own_gdt();

// Makes vector `vector` lead to this probe's stub, with the given gate type bits and privilege.
void set_gate(u32 vector, u32 type, u32 dpl);
void set_raw_gate(u32 vector, u16 selector, u32 offset, u32 type);
void load_own_idt();
// From here on the IDT is loaded from a read-only mapping, as Linux does when it has settled.
void settle_idt();

extern TaskState task_state;
void load_own_task();  // clears the Busy bit first

// Paging. One directory: memory one to one below 1 GiB (the probe's own image for user mode too),
// the local APIC, and a playground at kTest.
inline constexpr u32 kTest = 0x80000000;
inline constexpr u32 kTestAbsent = kTest;
inline constexpr u32 kTestKernelRead = kTest + 0x1000;
inline constexpr u32 kTestKernelWrite = kTest + 0x2000;
inline constexpr u32 kTestUserRead = kTest + 0x3000;
inline constexpr u32 kTestUserWrite = kTest + 0x4000;
inline constexpr u32 kTestRemapped = kTest + 0x5000;
inline constexpr u32 kIdtAlias = kTest + 0x10000;
inline constexpr u32 kReserved = 0x80400000;  // a 4 MiB page with a reserved bit set
inline constexpr u32 kWindow = 0xffc00000;    // where the monitor lives, if there is one
inline constexpr u32 kControl0 = 0x80010031;  // PG WP NE ET PE
inline constexpr u32 kPse = 0x10, kPge = 0x80, kOsFxsr = 0x200, kOsXsave = 0x40000;

extern u32 page_directory[1024], second_directory[1024], test_table[1024];
extern u32 test_page[1024], other_page[1024];
void enable_paging();

// The same with PAE, but that the last GiB shows the first 16 MiB, which are there.
inline constexpr u32 kPae = 0x20, kPaging = 0x80000000;
inline constexpr u32 kHigh = 0xc0000000, kHighPages = 8;  // of 2 MiB
extern u64 pae_directories[4][512], pae_root[4];
void enable_pae();
void disable_pae();

// Local APIC.
void enable_local_apic(u32 vector);
void start_timer(u32 count, bool periodic);
void end_of_interrupt();

// Everything up to a running kernel with paging, trap handlers and a task state.
void set_up_machine();

extern "C" {
extern const char vector_stubs[], image_begin[], image_end[], trap_stack_top[];
u32 call_in_kernel(u32 (*body)());
u32 call_in_user(u32 (*body)());
[[noreturn]] void recover(u32 value);
[[noreturn]] void stop_for_ever();
void reload_segments();
extern u32 user_flags, first_ss, window_address;
}

}  // namespace probe
