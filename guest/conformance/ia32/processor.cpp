// Segments, control registers, PAE with NX, the floating point unit, exceptions.
#include "conformance/ia32/conformance.hpp"

namespace conformance {
namespace {

template <class Store>
void table_register(const char* name, Store&& store) {
  TableRegister table{};
  store(table);
  begin_line(name);
  begin_values();
  show("limit", table.limit);
  show("base", table.base);
  end_line();
}

u32 selector_in_force(char which) {
  u32 selector = 0;
  if (which == 'c') asm("movl %%cs, %0" : "=r"(selector));
  if (which == 's') asm("movl %%ss, %0" : "=r"(selector));
  if (which == 'd') asm("movl %%ds, %0" : "=r"(selector));
  return selector;
}

// --- PAE with NX ---

constexpr u64 kNoExecute = u64{1} << 63;
constexpr u32 kExtendedFeatures = 0xc0000080, kNoExecuteEnable = 0x800;
u32 word = 0x600df00d;
[[gnu::noinline]] u32 answer() {
  asm volatile("");
  return 42;
}
template <class T>
u32 high(T* object) {
  return kHigh + reinterpret_cast<u32>(object);
}

void mark_high(u64 set, u64 clear) {
  for (u32 n = 0; n < kHighPages; ++n) {
    pae_directories[3][n] = (pae_directories[3][n] & ~clear) | set;
  }
  write_cr<3>(address_of(pae_root));
}
u32 read_high() { return read32(high(&word)); }
u32 write_high() {
  write32(high(&word), word);
  return 1;
}
u32 execute_high() { return reinterpret_cast<Body>(high(answer))(); }
void access_high(const char* how) {
  tried("read", read_high, how);
  tried("write", write_high, how);
  tried("execute", execute_high, how);
}

constexpr u32 kTaskSwitched = 8;
u32 use_fpu() {
  u16 control = 0;
  asm volatile("fninit; fnstcw %0" : "=m"(control));
  return control;
}

}  // namespace

// Both: lgdt, ljmp 8, mov ss with RPL 0, lidt, ltr, as set_up_machine() has just done. FreeRTOS
// reads its own CS.
void test_segments() {
  line("own CS", selector_in_force('c'));
  line("own SS", selector_in_force('s'));
  line("own DS", selector_in_force('d'));
  table_register("sgdt", [](TableRegister& table) { asm volatile("sgdt %0" : "=m"(table)); });
  table_register("sidt", [](TableRegister& table) { asm volatile("sidt %0" : "=m"(table)); });
  tried("ljmp 8", far_jump_rpl0);
  tried("ljmp 8 by memory", far_jump_memory_rpl0);
  tried("lcall 8", far_call_rpl0);
  tried("lret to 8", far_return_rpl0);
  tried("iret to 8", iret_rpl0);
  tried("mov ss with RPL 0", mov_ss_rpl0);
  tried("pop ss with RPL 0", pop_ss_rpl0);
  tried("lss with RPL 0", lss_rpl0);
}

void test_rest() {
  line("CR0", read_cr<0>());
  line("CR4", read_cr<4>());
  line("CPUID 1 EDX", cpuid(1).edx);
  line("CPUID 1 EAX", cpuid(1).eax);
  tried("use of the FPU", use_fpu);
  write_cr<0>(kControl0 | kTaskSwitched);
  tried("use of the FPU with CR0.TS", use_fpu);
  asm volatile("clts");
  tried("use of the FPU after clts", use_fpu);
  tried("wbinvd", [] {
    asm volatile("wbinvd");
    return 1u;
  });
  tried("write to a read-only page", [] {
    write32(kTestKernelRead, 1);
    return 1u;
  });
  tried("read of an absent page", [] { return read32(kTestAbsent); });
  tried("divide by zero", divide_by_zero);
  tried("undefined opcode", undefined_0fff);
  tried("breakpoint", [] {
    asm volatile("int3");
    return 1u;
  });
  tried("selector behind the table", mov_ds_beyond);
  tried("unknown vector", [] {
    asm volatile("int $0x77");
    return 1u;
  });
}

// Zephyr: PAE with NX, 2 MiB pages here.
void test_pae() {
  enable_pae();
  line("CR4 with PAE", read_cr<4>());
  access_high("by PAE");
  mark_high(kNoExecute, 0);
  access_high("with the bit of NX, which is off");
  write_msr(kExtendedFeatures, kNoExecuteEnable);
  line("EFER", static_cast<u32>(read_msr(kExtendedFeatures)));
  access_high("with NX");
  mark_high(0, kNoExecute | 2);
  access_high("without NX, read-only");
  start_ticks(62'500);
  line("periodic ticks with PAE", wait_for(ticks, 10));
  stop_ticks();
  disable_pae();
  line("CR4 without PAE", read_cr<4>());
}

}  // namespace conformance
