// Modes: ways to end on purpose, and loads for the others' tests. `mode=NAME` on the command line.
#include "abi/hypercall.hpp"
#include "probe.hpp"

namespace probe {
namespace {

constexpr u32 kTimerVector = 0x50;

void hypercall(mezzo::hypercall::Call call) {
  u32 first_argument = 0;
  asm volatile("int %[vector]"
               : "+a"(call), "+b"(first_argument)
               : [vector] "i"(mezzo::hypercall::kVector)
               : "ecx", "edx", "memory");
}

// How a PC kernel resets the machine when nothing else works.
void triple_fault() {
  load_idt(0, 0);
  asm volatile("int3");
}

void double_fault_without_handler() {
  load_idt(0xff, address_of(test_page));  // gates that are not present
  asm volatile("ud2");
}

void halt_for_ever() { stop_for_ever(); }

void spin() { asm volatile("cli; 1: jmp 1b"); }

volatile u32 ticks;
bool tick(TrapFrame&) {
  ticks = ticks + 1;
  end_of_interrupt();
  return true;
}

// A line for every timer interrupt: a gap in the numbers is a lost line, one in the times a delay.
//   timer=COUNT  of the local APIC between two lines (10,000,000: 10 ms in QEMU)
void count() {
  set_gate(kTimerVector, kInterruptGate, 0);
  set_hook(kTimerVector, tick);
  enable_local_apic(kTimerVector);
  start_timer(option("timer").number(10'000'000), true);
  asm volatile("sti");
  for (u32 printed = 0;;) {
    if (printed == ticks) {
      // Interrupts off between the look and the HLT, or a tick between them would be slept through.
      asm volatile("cli");
      if (printed == ticks) asm volatile("sti; hlt");
      asm volatile("sti");
      continue;
    }
    ++printed;
    print("count ");
    print_number(printed);
    print(" tsc ");
    print_hex64(read_tsc());
    print("\n");
  }
}

// Rings the doorbell of its first channel a hundred times a second, of a TSC of 1 GHz.
void ring() {
  constexpr u32 kPause = 10'000'000;
  for (u64 next = read_tsc();; next += kPause) {
    while (read_tsc() < next) {
    }
    hypercall(mezzo::hypercall::Call::Ring);
  }
}

// A storm on a line that nobody has: the PIT's, 100,000 times a second, the first of the PIC and
// the third of the I/O APIC. A kernel can start it, as its ports are not enforced; the line is
// masked at both. Whatever arrives but the local APIC's timer would end this by an unexpected
// vector.
void line_storm() {
  constexpr u16 kPitControl = 0x43, kPitChannel0 = 0x40, kPic = 0x20;
  constexpr u8 kRateGenerator = 0x34, kCounts = 12, kReadRequests = 0x0a;
  out8(kPitControl, kRateGenerator);
  out8(kPitChannel0, kCounts);
  out8(kPitChannel0, 0);
  set_gate(kTimerVector, kInterruptGate, 0);
  set_hook(kTimerVector, tick);
  enable_local_apic(kTimerVector);
  start_timer(10'000'000, true);
  kernel(
      "storm-reaches-nobody",
      [] {
        asm volatile("sti");
        while (ticks < 100) {
        }
        asm volatile("cli");
        return u32{ticks >= 100};
      },
      done());
  kernel(
      "storm-is-requested",
      [] {
        out8(kPic, kReadRequests);
        return in8(kPic) & 1u;
      },
      done());
  kernel("storm-is-masked-at-pic", [] { return in8(kPic + 1) & 1u; }, done());
  kernel(
      "storm-is-masked-at-io-apic",
      [] {
        constexpr u32 kIoApic = 0xfec00000, kEntry2 = 0x14;
        write32(kIoApic, kEntry2);
        return read32(kIoApic + 0x10) >> 16 & 1;
      },
      done());
  summarize();
  asm volatile("sti; 1: hlt; jmp 1b");
}

// The monitor's own vectors, sent by a guest to itself: as if a line that nobody has had been
// raised, a timer had been forwarded, another processor had a message.
void forged_messages() {
  constexpr u32 kCommand = 0xfee00300, kToSelf = 1u << 18;
  constexpr u32 kFirst = 0xf1, kLast = 0xf3, kTimes = 10'000;
  enable_local_apic(kTimerVector);
  asm volatile("sti");
  for (u32 n = 0; n < kTimes; ++n) {
    for (u32 vector = kFirst; vector <= kLast; ++vector) write32(kCommand, kToSelf | vector);
  }
  asm volatile("cli");
  kernel("forged-messages-survived", [] { return u32{1}; }, done());
  summarize();
  asm volatile("sti; 1: hlt; jmp 1b");
}

// Entries from user mode have no usable stack.
void bad_stack() {
  task_state.esp0 = kTestAbsent + 0x800;
  (void)in_user([] { return 1u; });
}

void unmapped_idt() {
  load_idt(0x7ff, kTestAbsent);
  asm volatile("ud2");
}

void page_directory_elsewhere() { write_cr<3>(option("cr3").number(0xfffff000)); }

// Takes the monitor's entry out of the directory in use: the documented hole of direct paging. On a
// bare machine nothing happens.
void directory_hole() {
  page_directory[1023] = 0;
  write_cr<3>(read_cr<3>());
  print("still here\n");
}

void large_gdt() {
  load_gdt(0xffff, 0);
  load_own_gdt();
  print("still here\n");
}

void real_mode() { write_cr<0>(kControl0 & ~0x80000001u); }

alignas(32) u64 low_root[4], bad_root[4];

u32 load_bad_root() {
  write_cr<3>(address_of(bad_root));
  return 1;
}
void refused_root(const char* name, u32 index, u64 pointer) {
  for (u32 i = 0; i < 4; ++i) bad_root[i] = pae_root[i];
  bad_root[index] = pointer;
  kernel(name, load_bad_root, fault(kProtection));
}

// What the manual says of PAE, as a guest kernel may try it.
void pae() {
  enable_pae();
  for (u32 i = 0; i < 3; ++i) low_root[i] = pae_root[i];
  print("PAE paging is on\n");
  const Body see_high = [] { return u32{read32(kHigh + address_of(pae_root)) == pae_root[0]}; };
  kernel("pae-last-gib", see_high, done());
  refused_root("pae-writable-pointer", 0, pae_root[0] | 2);
  refused_root("pae-large-pointer", 3, pae_root[3] | 0x80);
  refused_root("pae-no-execute-pointer", 2, pae_root[2] | u64{1} << 63);
  const Body load_low = [] {
    write_cr<3>(address_of(low_root));
    return u32{read_cr<3>() == address_of(low_root)};
  };
  kernel("pae-no-last-gib", load_low, done());
  kernel("pae-read-absent-gib", see_high, page_fault(0, kHigh + address_of(pae_root)));
  // The processor has read the pointers: what is written there now is for the next load.
  kernel(
      "pae-pointers-are-kept",
      [] {
        for (u64& pointer : low_root) pointer = ~0ull;
        write_cr<2>(1);
        return read_cr<2>();
      },
      done());
  kernel(
      "pae-reads-pointers-for-global-pages",
      [] {
        write_cr<4>(kPse | kPae | kPge);
        return 1u;
      },
      fault(kProtection));
  kernel(
      "pae-load-root",
      [] {
        write_cr<3>(address_of(pae_root));
        return 1u;
      },
      done());
  kernel("pae-last-gib-again", see_high, done());
  kernel(
      "pae-off",
      [] {
        disable_pae();
        return u32{read_cr<4>() == kPse};
      },
      done());
  enable_pae();
  kernel("pae-on-again", see_high, done());
  summarize();
}

void pae_root_elsewhere() {
  enable_pae();
  write_cr<3>(option("cr3").number(0xffffffe0));
}
void pae_directory_elsewhere() {
  enable_pae();
  pae_root[3] = option("directory").number(0xfffff000) | 1;
  write_cr<3>(address_of(pae_root));
}

// Extended state after a restart: none of it may be what the life before left there. The word that
// tells the lives apart is in memory that no restart writes.
//   keep=ADDRESS  of that word (0xb00000)
alignas(16) u8 fpu_image[512];
u32 dirty_fpu() {
  static const u32 pattern[4] = {0xdeadbeef, 1, 2, 3};
  static const u32 rounding_up = 0x5f80;
  asm volatile("fld1; fldpi");
  asm volatile("movups %0, %%xmm0; movups %0, %%xmm7" : : "m"(pattern));
  asm volatile("ldmxcsr %0" : : "m"(rounding_up));
  if (!cpu_has_avx()) return 0;
  asm volatile("xsetbv" : : "a"(7), "c"(0), "d"(0));
  asm volatile("vinsertf128 $1, %xmm0, %ymm0, %ymm0");
  return 0;
}
// All bits that are not as after a reset (control word: as after FNINIT).
u32 left_in_fpu() {
  u32 left = 0, upper = 0;
  if (cpu_has_xsave()) {
    u32 xcr0;
    asm volatile("xgetbv" : "=a"(xcr0), "=d"(upper) : "c"(0));
    left = (xcr0 ^ 1) | upper;
  }
  asm volatile("fxsave %0" : "=m"(fpu_image));
  constexpr u32 kTags = 4, kMxcsr = 24, kRegisters = 32, kEnd = 288;
  const u32 image = address_of(fpu_image);
  left |= (read32(image) ^ 0x37f) | (read32(image + kTags) & 0xff);
  left |= read32(image + kMxcsr) ^ 0x1f80;
  for (u32 at = kRegisters; at < kEnd; at += 4) left |= read32(image + at);
  if (!cpu_has_avx()) return left;
  asm volatile("xsetbv" : : "a"(7), "c"(0), "d"(0));
  asm volatile("vextractf128 $1, %%ymm0, %0" : "=m"(fpu_image));
  for (u32 at = 0; at < 16; at += 4) left |= read32(image + at);
  return left;
}
void fpu_over_restart() {
  constexpr u32 kSecondLife = 0x326e6432;
  const u32 keep = option("keep").number(0xb00000);
  if (!cpu_has_sse()) return skip("fpu-over-restart", "this processor has no SSE");
  write_cr<4>(kPse | kOsFxsr | (cpu_has_xsave() ? kOsXsave : 0));
  if (read32(keep) != kSecondLife) {
    kernel("fpu-at-start", left_in_fpu, value(0));
    kernel("dirty-fpu", dirty_fpu, value(0));
    write32(keep, kSecondLife);
    hypercall(mezzo::hypercall::Call::RestartSelf);
  }
  write32(keep, 0);
  kernel("fpu-after-restart", left_in_fpu, value(0));
  summarize();
}

struct Mode {
  const char* name;
  void (*run)();
};
constexpr Mode kModes[] = {
    {"crash-triple", triple_fault},
    {"crash-double", double_fault_without_handler},
    {"crash-hlt", halt_for_ever},
    {"crash-stack", bad_stack},
    {"crash-idt", unmapped_idt},
    {"spin", spin},
    {"bench", bench_exits},
    {"count", count},
    {"ring", ring},
    {"line-storm", line_storm},
    {"forged-messages", forged_messages},
    {"cr3-elsewhere", page_directory_elsewhere},
    {"directory-hole", directory_hole},
    {"large-gdt", large_gdt},
    {"real-mode", real_mode},
    {"pae", pae},
    {"pae-root-elsewhere", pae_root_elsewhere},
    {"pae-directory-elsewhere", pae_directory_elsewhere},
    {"fpu-over-restart", fpu_over_restart},
    {"stop-self", [] { hypercall(mezzo::hypercall::Call::StopSelf); }},
    {"restart-self", [] { hypercall(mezzo::hypercall::Call::RestartSelf); }},
};

}  // namespace

void run_mode(const Option& mode) {
  for (const Mode& known : kModes) {
    if (!mode.is(known.name)) continue;
    print("probe mode ");
    print(known.name);
    print("\n");
    known.run();
    print("probe: the mode ended\n");
    stop_for_ever();
  }
}

}  // namespace probe
