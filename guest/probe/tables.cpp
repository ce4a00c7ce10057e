// Probes of descriptor tables that an honest kernel would not load: empty, unmapped, at the end of
// the address space, in the monitor. Each is put right before anything needs it, so a bare machine
// goes on as if nothing had happened, and so must one with a monitor.
#include "probe.hpp"

namespace probe {
namespace {

constexpr u32 kUnmapped = kTestAbsent;

template <u16 limit, u32 base>
u32 gdt_at() {
  load_gdt(limit, base);
  load_own_gdt();
  reload_segments();
  return 1;
}
template <u16 limit, u32 base>
u32 idt_at() {
  load_idt(limit, base);
  load_own_idt();
  return 1;
}

// A monitor may refuse a table that it cannot read with #GP; it must go on in any case.
Expect done_or_refused() { return differs(done(), returns_or(kProtection)); }

void gdt() {
  user("lgdt", gdt_at<0xfff, 0>, fault(kProtection));
  kernel("lgdt-empty", gdt_at<0, 0>, done_or_refused());
  kernel("lgdt-unmapped", gdt_at<0xff, kUnmapped>, done_or_refused());
  kernel("lgdt-in-window", gdt_at<0xff, kWindow>, done_or_refused());
  kernel("lgdt-end-of-space", gdt_at<0xfff, 0xfffff800>, done_or_refused());
  kernel("lgdt-before-window", gdt_at<0xfff, kWindow - 0x800>, done_or_refused());
  kernel("lgdt-odd", gdt_at<0x13, 0xffffffff>, done_or_refused());
  load_own_gdt();
  reload_segments();
  kernel(
      "lgdt-operand-absent",
      [] {
        asm volatile("lgdt (%0)" : : "r"(kUnmapped));
        return 1u;
      },
      page_fault(0, kUnmapped));
  kernel(
      "sgdt",
      [] {
        TableRegister table{};
        asm volatile("sgdt %0" : "=m"(table));
        return u32{table.limit};
      },
      differs(value(0xfff), returns()));
}

void idt() {
  user("lidt", idt_at<0x7ff, 0>, fault(kProtection));
  kernel("lidt-empty", idt_at<0, 0>, done());
  kernel("lidt-unmapped", idt_at<0x7ff, kUnmapped>, done());
  kernel("lidt-in-window", idt_at<0x7ff, kWindow>, done());
  kernel("lidt-end-of-space", idt_at<0xffff, 0xfffffc00>, done());
  kernel(
      "lidt-operand-absent",
      [] {
        asm volatile("lidt (%0)" : : "r"(kUnmapped));
        return 1u;
      },
      page_fault(0, kUnmapped));
  load_own_idt();
}

void local_table() {
  static u64 ldt[2] = {0x00cff3000000ffff, 0};
  const u32 base = address_of(ldt);
  user(
      "lldt",
      [] {
        load_ldt(0);
        return 1u;
      },
      fault(kProtection));
  kernel(
      "lldt-null",
      [] {
        load_ldt(0);
        return 1u;
      },
      done());
  kernel(
      "lldt-no-ldt",
      [] {
        load_ldt(PROBE_KERNEL_DS);
        return 1u;
      },
      fault(kProtection, PROBE_KERNEL_DS));
  kernel(
      "lldt-beyond-table",
      [] {
        load_ldt(0x2000);
        return 1u;
      },
      fault(kProtection, 0x2000));
  set_descriptor(PROBE_LDT, base << 16 | (sizeof ldt - 1),
                 (base & 0xff000000) | 0x8200 | (base >> 16 & 0xff));
  kernel(
      "lldt",
      [] {
        load_ldt(PROBE_LDT);
        return 1u;
      },
      done());
  const Body use = [] {
    asm volatile("movl %0, %%fs" : : "r"(7));
    return 1u;
  };
  both("segment-of-ldt", use, done());
  set_descriptor(PROBE_LDT, 0x000000ff | (kUnmapped & 0xffff) << 16,
                 (kUnmapped & 0xff000000) | 0x8200 | (kUnmapped >> 16 & 0xff));
  kernel(
      "lldt-unmapped",
      [] {
        load_ldt(PROBE_LDT);
        return 1u;
      },
      done());
  kernel("segment-of-unmapped-ldt", use, page_fault(0, kUnmapped));
  set_descriptor(PROBE_LDT, 0x000000ff, 0xff0082c0);
  kernel(
      "lldt-in-window",
      [] {
        load_ldt(PROBE_LDT);
        return 1u;
      },
      differs(done(), fault(kProtection, PROBE_LDT)));
  set_descriptor(PROBE_LDT, base << 16, 0x200 | (base & 0xff000000) | (base >> 16 & 0xff));
  kernel(
      "lldt-not-present",
      [] {
        load_ldt(PROBE_LDT);
        return 1u;
      },
      fault(kAbsent, PROBE_LDT));
  load_ldt(0);
}

void task_register() {
  user(
      "ltr",
      [] {
        load_task(PROBE_TSS);
        return 1u;
      },
      fault(kProtection));
  kernel(
      "ltr-null",
      [] {
        load_task(0);
        load_own_task();
        return 1u;
      },
      returns_or(kProtection));  // QEMU's TCG accepts it
  kernel(
      "ltr-busy",
      [] {
        load_task(PROBE_TSS);
        return 1u;
      },
      fault(kProtection, PROBE_TSS));
  kernel(
      "ltr-data",
      [] {
        load_task(PROBE_KERNEL_DS);
        return 1u;
      },
      fault(kProtection, PROBE_KERNEL_DS));
  static constexpr u32 kCr2 = 0x12345678;
  const auto task_at = [](const char* name, u32 base, u32 limit) {
    set_descriptor(PROBE_SPARE_A, base << 16 | limit,
                   (base & 0xff000000) | 0x8900 | (base >> 16 & 0xff));
    kernel(
        name,
        [] {
          load_task(PROBE_SPARE_A);
          write_cr<2>(kCr2);
          write_cr<3>(read_cr<3>());  // a monitor may look at the task state now
          const u32 cr2 = read_cr<2>();
          load_own_task();
          return cr2;
        },
        value(kCr2));
  };
  task_at("ltr-unmapped", kUnmapped, 0x67);
  // The stack pointer is there and as ever, the segment is on the next page.
  test_page[1023] = address_of(trap_stack_top);
  task_at("ltr-across-the-end", kTestRemapped + 0xff8, 0x67);
  task_at("ltr-in-window", kWindow, 0x67);
  task_at("ltr-end-of-space", 0xffffffff, 0x67);
  task_at("ltr-empty", address_of(test_page), 0);
  set_descriptor(PROBE_SPARE_A, 0, 0);
  // The good task state still serves entries from user mode.
  user("user-mode-after-ltr", [] { return 1u; }, done());
}

}  // namespace

void probe_tables() {
  gdt();
  idt();
  local_table();
  task_register();
}

}  // namespace probe
