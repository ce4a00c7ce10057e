// Probes of privileged instructions: the kernel's ring must see what ring 0 sees, ring 3 gets
// #GP(0).
#include "probe.hpp"

namespace probe {
namespace {

constexpr u32 kTs = 8, kEm = 4;
constexpr u32 kUnknownMsr = 0x12345;
constexpr u32 kApicBaseMsr = 0x1b, kSysenterCsMsr = 0x174;
constexpr u32 kTimeStampDisable = 4;

template <u32 bit>
u32 write_cr4_bit() {
  write_cr<4>(kPse | 1u << bit);
  write_cr<4>(kPse);
  return 1;
}

void control_registers() {
  privileged("read-cr0", [] { return read_cr<0>(); }, value(kControl0));
  privileged("read-cr3", [] { return read_cr<3>(); }, value(address_of(page_directory)));
  privileged("read-cr4", [] { return read_cr<4>(); }, value(kPse));
  privileged(
      "write-read-cr2",
      [] {
        write_cr<2>(0x12345678);
        return read_cr<2>();
      },
      value(0x12345678));
  privileged(
      "write-read-cr4",
      [] {
        write_cr<4>(kPse | kPge);
        const u32 now = read_cr<4>();
        write_cr<4>(kPse);
        return now;
      },
      cpu_has_global_pages() ? value(kPse | kPge) : fault(kProtection));
  privileged(
      "cr3-low-bits",
      [] {
        write_cr<3>(address_of(page_directory) | 0x18);
        const u32 now = read_cr<3>();
        write_cr<3>(address_of(page_directory));
        return now;
      },
      value(address_of(page_directory) | 0x18));
  // QEMU's TCG repeats such a write for ever on the bare machine.
  if (under_monitor()) {
    kernel("cr4-reserved-bit", write_cr4_bit<31>, returns_or(kProtection));
    if (!cpu_has_xsave()) kernel("cr4-unsupported-bit", write_cr4_bit<18>, returns_or(kProtection));
  }
  kernel("mov-from-cr1", mov_from_cr1, differs(fault(kUndefined), any_fault()));
  user("mov-from-cr1", mov_from_cr1, any_fault());
  kernel("lock-mov-cr0", lock_mov_cr0, differs(survives(), fault(kUndefined)));
  user("lock-mov-cr0", lock_mov_cr0, any_fault());
}

void task_switched_flag() {
  privileged(
      "write-cr0-ts",
      [] {
        write_cr<0>(kControl0 | kTs);
        return read_cr<0>();
      },
      value(kControl0 | kTs));
  both(
      "fpu-with-ts",
      [] {
        asm volatile("fninit; fld1; fstp %%st(0)" ::);
        return 1u;
      },
      fault(kNoFpu));
  privileged(
      "clts",
      [] {
        asm volatile("clts");
        return read_cr<0>();
      },
      value(kControl0));
  both(
      "fpu",
      [] {
        asm volatile("fninit; fld1; fstp %%st(0)" ::);
        return 1u;
      },
      done());
  privileged(
      "lmsw-sets-ts",
      [] {
        asm volatile("lmsw %w0" : : "r"(kControl0 | kTs));
        return read_cr<0>();
      },
      value(kControl0 | kTs));
  privileged(
      "lmsw-keeps-pe",
      [] {
        asm volatile("lmsw %w0" : : "r"(0));
        return read_cr<0>();
      },
      value(kControl0));
  privileged(
      "write-cr0-em",
      [] {
        write_cr<0>(kControl0 | kEm);
        return read_cr<0>();
      },
      value(kControl0 | kEm));
  both(
      "fpu-with-em",
      [] {
        asm volatile("fninit" ::);
        return 1u;
      },
      fault(kNoFpu));
  (void)in_kernel([] {
    write_cr<0>(kControl0);
    return 0u;
  });
}

void time_stamp() {
  both("rdtsc", [] { return static_cast<u32>(read_tsc()) | 1; }, returns());
  write_cr<4>(kPse | kTimeStampDisable);
  privileged("rdtsc-with-tsd", [] { return static_cast<u32>(read_tsc()) | 1; }, returns());
  write_cr<4>(kPse);
  kernel(
      "rdtsc-moves-on",
      [] {
        const u64 before = read_tsc();
        return u32{read_tsc() > before};
      },
      done());
}

void model_specific_registers() {
  privileged(
      "rdmsr-apic-base", [] { return static_cast<u32>(read_msr(kApicBaseMsr)) & 0xfffff800; },
      value(0xfee00800));
  privileged(
      "rdmsr-unknown", [] { return static_cast<u32>(read_msr(kUnknownMsr)); },
      returns_or(kProtection));
  privileged(
      "wrmsr-unknown",
      [] {
        write_msr(kUnknownMsr, 1);
        return 1u;
      },
      returns_or(kProtection));
  privileged(
      "wrmsr-sysenter-cs",
      [] {
        write_msr(kSysenterCsMsr, 0x1234);
        const auto now = static_cast<u32>(read_msr(kSysenterCsMsr));
        write_msr(kSysenterCsMsr, 0);
        return now;
      },
      value(0x1234));
  const u32 refusal = cpu_has_sysenter() ? kProtection : kUndefined;
  both("sysenter-without-cs", sysenter_body, fault(refusal));
  both("sysexit-without-cs", sysexit_body, fault(refusal));
  kernel("rdpmc", rdpmc_0, survives());
  user("rdpmc", rdpmc_0, any_fault());
}

void debug_registers() {
  privileged(
      "write-read-dr0",
      [] {
        write_dr<0>(0x1000);
        return read_dr<0>();
      },
      value(0x1000));
  privileged(
      "write-read-dr3",
      [] {
        write_dr<3>(0x80001234);
        return read_dr<3>();
      },
      value(0x80001234));
  privileged("read-dr7", [] { return read_dr<7>() & 0xffff0fff; }, value(0x400));
  privileged(
      "dr0-in-window",
      [] {
        write_dr<0>(kWindow + 0x100);
        return read_dr<0>();
      },
      differs(value(kWindow + 0x100), survives()));
  static volatile u32 watched;
  kernel(
      "watchpoint",
      [] {
        write_dr<6>(0);
        write_dr<0>(address_of(&watched));
        write_dr<7>(0xd0001);  // DR0, on writes, 4 bytes
        watched = 1;
        asm volatile("nop");
        return 1u;
      },
      fault(kDebug));
  kernel(
      "watchpoint-dr6",
      [] {
        const u32 hit = read_dr<6>() & 15;
        write_dr<7>(0x400);
        write_dr<6>(0);
        return hit;
      },
      value(1));
}

void extended_control() {
  if (!cpu_has_xsave()) {
    both("xsetbv-without-osxsave", xsetbv_xcr0, fault(kUndefined));
    return;
  }
  both("xsetbv-without-osxsave", xsetbv_xcr0, fault(kUndefined));
  write_cr<4>(kPse | 1u << 18);
  privileged("xsetbv", xsetbv_xcr0, done());
  privileged("xsetbv-bad-register", xsetbv_bad, fault(kProtection));
  write_cr<4>(kPse);
}

void interrupt_flag() {
  privileged(
      "cli",
      [] {
        asm volatile("cli");
        return read_flags() >> 9 & 1;
      },
      value(0));
  privileged(
      "sti",
      [] {
        asm volatile("sti; nop");
        const u32 flag = read_flags() >> 9 & 1;
        asm volatile("cli");
        return flag;
      },
      value(1));
  kernel(
      "popf-sets-if",
      [] {
        write_flags(read_flags() | 0x200);
        const u32 flag = read_flags() >> 9 & 1;
        write_flags(read_flags() & ~0x200u);
        return flag << 1 | (read_flags() >> 9 & 1);
      },
      value(2));
  user(
      "popf-leaves-if",
      [] {
        write_flags(read_flags() | 0x200);
        return read_flags() >> 9 & 1;
      },
      value(0));
  both("iopl", [] { return read_flags() >> 12 & 3; }, differs(value(0), value(1)));
}

}  // namespace

void probe_instructions() {
  control_registers();
  task_switched_flag();
  time_stamp();
  model_specific_registers();
  debug_registers();
  extended_control();
  interrupt_flag();
  privileged(
      "wbinvd",
      [] {
        asm volatile("wbinvd");
        return 1u;
      },
      done());
  privileged(
      "invd",
      [] {
        asm volatile("invd");
        return 1u;
      },
      done());
  privileged(
      "invlpg",
      [] {
        invalidate(kTestUserWrite);
        return 1u;
      },
      done());
  user(
      "hlt",
      [] {
        asm volatile("hlt");
        return 1u;
      },
      fault(kProtection));
  both("sixteen-byte-instruction", sixteen_byte_instruction, fault(kProtection));
}

}  // namespace probe
