// Descriptor tables, page tables and the local APIC of the probe.
#include "machine.hpp"

#include <initializer_list>

namespace probe {
namespace {

constexpr u32 kEntries = 512;
constexpr u32 kLocalApic = 0xfee00000;
constexpr u32 kPresent = 1, kWritable = 2, kUserPage = 4, kNoCache = 0x10, kLarge = 0x80;

// On a page of its own, as Linux's: a monitor may want to use it in place.
alignas(4096) u64 gdt[kEntries];
alignas(4096) u64 idt[256];
alignas(4096) u32 image_table[1024];
u32 idt_base;

u32 first_cs() {
  u32 cs;
  asm volatile("movl %%cs, %0" : "=r"(cs));
  return cs;
}

void set_up_gdt() {
  write_descriptor(PROBE_KERNEL_CS, kFlatLow, kFlatCode);
  write_descriptor(PROBE_KERNEL_DS, kFlatLow, kFlatData);
  write_descriptor(PROBE_USER_CS, kFlatLow, kFlatCode | kUser);
  write_descriptor(PROBE_USER_DS, kFlatLow, kFlatData | kUser);
  load_own_gdt();
  reload_segments();
}

void set_up_idt() {
  idt_base = address_of(idt);
  for (u32 vector = 0; vector < 256; ++vector) {
    set_raw_gate(vector, PROBE_KERNEL_CS, address_of(vector_stubs) + vector * 16, kInterruptGate);
  }
  for (const u32 vector : {3u, 4u, 5u, u32{PROBE_LEAVE_USER_VECTOR}}) {
    set_raw_gate(vector, PROBE_KERNEL_CS, address_of(vector_stubs) + vector * 16,
                 kInterruptGate | kUser);
  }
  load_own_idt();
}

void set_up_task() {
  task_state.ss0 = PROBE_KERNEL_DS;
  task_state.esp0 = address_of(trap_stack_top);
  task_state.bitmap_offset = offsetof(TaskState, bitmap);
  for (u8& byte : task_state.bitmap) byte = 0xff;
  const u32 base = address_of(&task_state);
  write_descriptor(PROBE_TSS, base << 16 | (sizeof task_state - 1),
                   (base & 0xff000000) | 0x8900 | (base >> 16 & 0xff));
  load_own_gdt();
  load_own_task();
}

}  // namespace

alignas(4096) u32 page_directory[1024];
alignas(4096) u32 second_directory[1024];
alignas(4096) u32 test_table[1024];
alignas(4096) u32 test_page[1024];
alignas(4096) u32 other_page[1024];
alignas(4096) u64 pae_directories[4][512];
alignas(32) u64 pae_root[4];
alignas(4096) TaskState task_state;
u32 user_flags = 2;
u32 first_ss;

void write_descriptor(u32 selector, u32 low, u32 high) {
  gdt[selector / 8] = u64{high} << 32 | low;
}
void set_descriptor(u32 selector, u32 low, u32 high) {
  write_descriptor(selector, low, high);
  load_own_gdt();
}
u32 descriptor_high(u32 selector) { return static_cast<u32>(gdt[selector / 8] >> 32); }
void load_own_gdt() { load_gdt(sizeof gdt - 1, address_of(gdt)); }

void set_raw_gate(u32 vector, u16 selector, u32 offset, u32 type) {
  idt[vector] = u64{(offset & 0xffff0000) | type} << 32 | u32{selector} << 16 | (offset & 0xffff);
}
void set_gate(u32 vector, u32 type, u32 dpl) {
  set_raw_gate(vector, PROBE_KERNEL_CS, address_of(vector_stubs) + vector * 16, type | dpl << 13);
  load_own_idt();
}
void load_own_idt() { load_idt(sizeof idt - 1, idt_base); }
void settle_idt() {
  test_table[(kIdtAlias >> 12) % 1024] = address_of(idt) | kPresent;
  invalidate(kIdtAlias);
  idt_base = kIdtAlias;
  load_own_idt();
}

void load_own_task() {
  gdt[PROBE_TSS / 8] &= ~(u64{0x200} << 32);
  load_task(PROBE_TSS);
}

void enable_paging() {
  constexpr u32 kLargePage = 0x400000;
  for (u32 i = 0; i < 256; ++i) page_directory[i] = i * kLargePage | kLarge | kWritable | kPresent;
  const u32 image = address_of(image_begin) / kLargePage;
  for (u32 i = 0; i < 1024; ++i) {
    image_table[i] = (image * kLargePage + i * 4096) | kUserPage | kWritable | kPresent;
  }
  page_directory[image] = address_of(image_table) | kUserPage | kWritable | kPresent;
  page_directory[kLocalApic >> 22] =
      (kLocalApic & 0xffc00000) | kLarge | kNoCache | kWritable | kPresent;
  page_directory[kTest >> 22] = address_of(test_table) | kUserPage | kWritable | kPresent;
  page_directory[kReserved >> 22] = 1u << 21 | kLarge | kUserPage | kWritable | kPresent;
  const u32 page = address_of(test_page) | kPresent;
  test_table[1] = page;
  test_table[2] = page | kWritable;
  test_table[3] = page | kUserPage;
  test_table[4] = page | kUserPage | kWritable;
  test_table[5] = page | kUserPage | kWritable;
  write_cr<4>(kPse);
  write_cr<3>(address_of(page_directory));
  write_cr<0>(kControl0);
}

// All memory one to one, but for the beginning of the last GiB.
void enable_pae() {
  for (u32 i = 0; i < 2048; ++i)
    (&pae_directories[0][0])[i] = u64{i} << 21 | kLarge | kWritable | kPresent;
  for (u32 i = 0; i < 4; ++i) pae_root[i] = address_of(pae_directories[i]) | kPresent;
  for (u32 i = 0; i < kHighPages; ++i) pae_directories[3][i] = pae_directories[0][i];
  write_cr<0>(kControl0 & ~kPaging);
  write_cr<4>(kPse | kPae);
  write_cr<3>(address_of(pae_root));
  write_cr<0>(kControl0);
}
void disable_pae() {
  write_cr<0>(kControl0 & ~kPaging);
  write_cr<4>(kPse);
  write_cr<3>(address_of(page_directory));
  write_cr<0>(kControl0);
}

void enable_local_apic(u32 vector) {
  write32(kLocalApic + 0xf0, 0x1ff);  // enabled; spurious interrupts by vector 0xff
  write32(kLocalApic + 0x80, 0);      // every priority
  write32(kLocalApic + 0x3e0, 0xb);   // timer: divide by 1
  write32(kLocalApic + 0x320, vector);
}
void start_timer(u32 count, bool periodic) {
  constexpr u32 kPeriodic = 1u << 17;
  const u32 lvt = read32(kLocalApic + 0x320) & 0xff;
  write32(kLocalApic + 0x320, lvt | (periodic ? kPeriodic : 0));
  write32(kLocalApic + 0x380, count);
}
void end_of_interrupt() { write32(kLocalApic + 0xb0, 0); }

void set_up_machine() {
  // On a bare PC the firmware left the timer interrupt of the PICs on, at the vector of #DF. Under
  // the monitor they may be somebody else's.
  if ((first_cs() & 3) == 0) {
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
  }
  set_up_gdt();
  asm volatile("movl %%ss, %0" : "=r"(first_ss));
  set_up_idt();
  set_up_task();
  enable_paging();
}

}  // namespace probe
