// Software interrupts, the PICs, the local APIC, two kinds of tick, and locks.
#include "conformance/ia32/conformance.hpp"
#include "rtos/ia32/timer.hpp"

namespace conformance {
namespace {

// --- software interrupts ---

constexpr u32 kYields = 1000;
volatile u32 yields;
TrapFrame last_yield;
u32 flags_in_handler;

bool on_yield(TrapFrame& frame) {
  yields = yields + 1;
  last_yield = frame;
  flags_in_handler = read_flags();
  return true;
}
u32 yield() {
  asm volatile("int %0" : : "i"(kYieldVector));
  return yields;
}
u32 yield_often() {
  for (u32 n = 0; n < kYields; ++n) yield();
  return yields;
}
void yield_by(u32 dpl, const char* how) {
  set_gate(kYieldVector, kInterruptGate, dpl);
  yields = 0;
  tried("int 0x20", yield, how);
  tried("int 0x20 often", yield_often, how);
}

// A task that has never run is entered by an IRET from the frame that its creator has written: CS
// 8, interrupts on (pxPortInitialiseStack of FreeRTOS). Here the handler of a yield writes it.
u32 new_task_flags;
[[gnu::naked]] void new_task() {
  asm volatile("pushfl\n\tcli\n\tpopl %0\n\tint %1\n\tud2"
               : "=m"(new_task_flags)
               : "i"(kYieldVector));
}
TrapFrame left;
bool switch_task(TrapFrame& frame) {
  constexpr u32 kInterruptsOn = 0x202;
  yields = yields + 1;
  if (yields == 1) {
    left = frame;
    frame.eip = reinterpret_cast<u32>(new_task);
    frame.cs = PROBE_KERNEL_CS;
    frame.eflags = kInterruptsOn;
  } else {
    frame.eip = left.eip;
    frame.cs = left.cs;
    frame.eflags = left.eflags;
  }
  return true;
}

// --- ticks ---

bool on_tick(TrapFrame&) {
  ticks = ticks + 1;
  end_of_interrupt();
  return true;
}
constexpr u32 kPeriod = 62'500, kShort = 10'000;  // of the local APIC's clock by 16: 1 ms, 160 us

// One interrupt, a while from now.
void tick_once() {
  set_hook(kTickVector, on_tick);
  apic(kDivide, 0x3);
  apic(kTimer, kTickVector);
  apic(kInitialCount, kShort);
}

volatile u32 messages, urgent_in_handler;
bool on_message(TrapFrame&) {
  messages = messages + 1;
  end_of_interrupt();
  return true;
}
void send_to_self(u32 vector) {
  apic(kCommandHigh, apic(kApicId));
  apic(kCommandLow, 0x4000 | vector);
  while ((apic(kCommandLow) & 1u << 12) != 0) {
  }
}

volatile u32 hpet_ticks;
const rtos::ia32::Timer* hpet;
bool on_hpet_tick(TrapFrame&) {
  hpet_ticks = hpet_ticks + 1;
  hpet->end_of_interrupt();
  return true;
}

u32 wait_by_hlt(u32 wanted) {
  const u32 before = ticks;
  while (ticks - before < wanted) asm volatile("sti; hlt; cli");
  return ticks - before;
}

}  // namespace

volatile u32 ticks;
void start_ticks(u32 period) {
  constexpr u32 kPeriodic = 1u << 17, kDivideBy16 = 0x3;
  set_hook(kTickVector, on_tick);
  ticks = 0;
  apic(kDivide, kDivideBy16);
  apic(kTimer, kPeriodic | kTickVector);
  apic(kInitialCount, period);
}
void stop_ticks() { apic(kInitialCount, 0); }

// FreeRTOS: `int 0x20` gives the processor up, by a gate that its kernel alone uses.
void test_yields() {
  set_hook(kYieldVector, on_yield);
  yield_by(0, "by a gate of DPL 0");
  yield_by(1, "by a gate of DPL 1");
  yield_by(3, "by a gate of DPL 3");
  line("CS in the frame of a yield", last_yield.cs);
  line("EFLAGS.IF in the handler", flags_in_handler >> 9 & 1);
  set_hook(kYieldVector, switch_task);
  yields = 0;
  tried("yield to a new task and back", yield);
  line("EFLAGS.IF of the new task", new_task_flags >> 9 & 1);
}

// Both: the PICs are the guest's own to initialize and mask. The PIT, which the firmware leaves on
// the first line, is not heard of any more.
void test_pic() {
  constexpr u16 kPics[] = {0x20, 0xa0};
  constexpr u32 kFirstVector = 0x28;
  static volatile u32 heard;
  for (u32 n = 0; n < 16; ++n) {
    set_hook(kFirstVector + n, [](TrapFrame&) {
      heard = heard + 1;
      return true;
    });
  }
  for (const u16 pic : kPics) {
    const bool first = pic == kPics[0];
    const auto data = static_cast<u16>(pic + 1);
    out8(pic, 0x11);
    out8(data, static_cast<u8>(first ? kFirstVector : kFirstVector + 8));
    out8(data, first ? 4 : 2);
    out8(data, 1);
    out8(data, 0xff);
    line(first ? "mask of the first PIC" : "mask of the second PIC", in8(data));
  }
  asm volatile("sti");
  pass(kWhile);
  asm volatile("cli");
  line("interrupts of masked PICs", heard);
}

// Both: a local APIC of its own, at its page. FreeRTOS masks what it does not use.
void test_local_apic() {
  line("local APIC id", apic(kApicId));
  line("local APIC line 0 at first", apic(kLineZero));
  apic(kSpurious, 0x1ff);
  line("spurious vector and enable", apic(kSpurious));
  for (const u32 entry : {kTimer, kThermal, kPerformance, kLineZero, kLineOne, kError}) {
    apic(entry, 1u << 16 | 0xff);
    begin_line("local vector table");
    guest::add_name(entry);
    begin_values();
    show(apic(entry));
    end_line();
  }
  for (const u32 by : {0x0u, 0x3u, 0xbu}) {
    apic(kDivide, by);
    line("divide configuration", apic(kDivide));
  }
  for (const u32 priority : {0x10u, 0xf0u, 0x0u}) {
    apic(kTaskPriority, priority);
    line("task priority", apic(kTaskPriority));
  }
  constexpr u32 kBase = 0x1b;
  line("IA32_APIC_BASE", static_cast<u32>(read_msr(kBase)));
  write_msr(kBase, read_msr(kBase));
  set_hook(kMessageVector, on_message);
  send_to_self(kMessageVector);
  line("message to itself", wait_for(messages, 1));
}

// FreeRTOS: the local APIC's timer, periodic, at vector 0x21. Waiting by HLT, too.
void test_ticks() {
  apic(kTaskPriority, 0);
  start_ticks(kPeriod);
  line("periodic ticks at 0x21", wait_for(ticks, 50));
  line("reload within the period", apic(kCurrentCount) <= kPeriod ? 1 : 0);
  line("ticks out of HLT", wait_by_hlt(20));
  // One of a class that a handler of the tick's lets in.
  set_hook(kUrgentVector, [](TrapFrame&) {
    urgent_in_handler = urgent_in_handler + apic_bit(kInService, kTickVector);
    end_of_interrupt();
    return true;
  });
  set_hook(kTickVector, [](TrapFrame&) {
    send_to_self(kUrgentVector);
    asm volatile("sti; nop; cli");
    ticks = ticks + 1;
    end_of_interrupt();
    return true;
  });
  ticks = 0;
  (void)wait_for(ticks, 5);
  line("a more urgent one within it", urgent_in_handler >= 5 ? 1 : urgent_in_handler);
  stop_ticks();
  asm volatile("sti");
  pass(kWhile);  // one may have been waiting
  const u32 before = ticks;
  pass(kWhile);
  asm volatile("cli");
  line("ticks after the stop", ticks - before);
}

// Zephyr: pushf, cli, ..., popf around what must be alone, nested; FreeRTOS: the task priority.
void test_locks() {
  ticks = 0;
  asm volatile("sti");
  const u32 outer = read_flags();
  asm volatile("cli");
  tick_once();
  pass(kWhile);
  begin_line("locked by cli");
  begin_values();
  show("ticks", ticks);
  show("requested", apic_bit(kRequested, kTickVector));
  const u32 inner = read_flags();
  asm volatile("cli");
  write_flags(inner);
  show("unlocked once", ticks);
  write_flags(outer);
  asm volatile("nop; cli");
  show("unlocked twice", ticks);
  end_line();
  line("EFLAGS", read_flags() & ~0xd5u);  // but for what arithmetic leaves

  ticks = 0;
  asm volatile("sti");
  apic(kTaskPriority, kTickVector & 0xf0);
  tick_once();
  pass(kWhile);
  begin_line("locked by the task priority");
  begin_values();
  show("ticks", ticks);
  show("requested", apic_bit(kRequested, kTickVector));
  apic(kTaskPriority, 0);
  show("unlocked", wait_for(ticks, 1));
  end_line();
}

// Zephyr: the HPET, set anew for each tick. Of its ways of interrupting the one by message.
void test_hpet() {
  constexpr u32 kHpet = 0xfed00000, kPeriodOf = 4, kConfiguration = 0x10, kComparator1 = 0x120;
  line("period of the HPET", read32(kHpet + kPeriodOf));
  static constexpr char kName[] = "hpet";
  hpet = rtos::ia32::find_timer({.begin = kName, .length = sizeof kName - 1});
  set_hook(hpet->vector, on_hpet_tick);
  hpet->start(hpet->usual_period);
  line("configuration of the HPET", read32(kHpet + kConfiguration));
  line("configuration of comparator 1", read32(kHpet + kComparator1));
  line("one-shot ticks of the HPET", wait_for(hpet_ticks, 20));
  write32(kHpet + kComparator1, 0);
}

}  // namespace conformance
