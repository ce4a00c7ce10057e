// Interrupts: at which instruction each way of switching them on takes a pending one; waiting; the
// timer; exclusive accesses between interrupts.
#include <initializer_list>

#include "armv7/gic.hpp"
#include "armv7/tables.hpp"
#include "conformance/conformance.hpp"

namespace guest {
namespace {

constexpr u32 kSoftwareLine = 3;
u32 taken_line;

// Ends what run() was interrupted by.
void take() {
  taken_line = acknowledge();
  if ((taken_line & 0x3ff) < 1020) end_interrupt(taken_line);
}

struct Unmask {
  const char* name;
  Body body;
};
constexpr Unmask kUnmasks[] = {
    {"cps", unmask_by_cps},
    {"msr", unmask_by_msr},
    {"movs", unmask_by_movs},
    {"rfe", unmask_by_rfe},
    {"ldm", unmask_by_ldm},
    {"return to user", unmask_by_return_to_user},
    {"mode change", unmask_by_mode_change},
    {"on and off", unmask_and_mask},
};

void pending() {
  for (const bool pended : {true, false}) {
    for (const Unmask& unmask : kUnmasks) {
      if (pended) raise(kSoftwareLine);
      const u32 waiting = InterruptStatus::read();
      const Taken taken = run(psr::kMasks | psr::kSupervisor, unmask.body);
      begin_line(pended ? "pending, unmasked by" : "nothing pending, unmasked by");
      add_name(unmask.name);
      begin_values();
      show("isr", waiting);
      show(taken, address_of(unmask.body));
      if (taken.is(Exception::Irq)) {
        take();
        show("line", taken_line);
      }
      if (pended && !taken.is(Exception::Irq)) {  // QEMU has no place for one between the two
        take();
      }
      show("then", InterruptStatus::read());
      // An interrupt between two instructions is allowed, not required.
      if (unmask.body == unmask_and_mask && pended) {
        end_line_differing("it may or may not be taken between the two");
      } else {
        end_line();
      }
    }
  }
}

// An interrupt of a process: its TPIDRURW is as it was, and the kernel has its TPIDRPRW.
void thread_ids() {
  constexpr u32 kWrite = 0xee0d2f50 /* MCR TPIDRURW, R2 */, kRead = 0xee1d3f50 /* MRC, to R3 */;
  using Privileged = Cp15<0, 13, 0, 4>;
  for (u32 round = 0; round < 3; ++round) {
    Privileged::write(0x66666666 + round);
    WordState after;
    WordState before = word_input(kUser, 0);
    before.r[2] = 0x77777777 + round;
    (void)execute_word(kUser, kWrite, before, &after);
    raise(kSoftwareLine);
    const Taken taken =
        run((psr::kMasks & ~psr::kIrqOff) | psr::kUser, [](u32) { asm volatile("nop; nop"); });
    begin_line("thread ids of the interrupted");
    begin_values();
    show("exception", static_cast<u32>(taken.exception));
    show(Cp15<0, 13, 0, 2>::read());
    show(Privileged::read());
    if (taken.is(Exception::Irq)) take();
    (void)execute_word(kUser, kRead, before, &after);
    show(after.r[3]);
    end_line();
  }
}

// Every mode can be interrupted, and the handler knows which it was.
void modes() {
  for (const Mode& mode : kModes) {
    if (mode.number == psr::kIrq) continue;  // whose LR it would take
    raise(kSoftwareLine);
    const Taken taken =
        run((psr::kMasks & ~psr::kIrqOff) | mode.number, [](u32) { asm volatile("nop; nop"); });
    begin_line("interrupted");
    add_name(mode.name);
    begin_values();
    show("exception", static_cast<u32>(taken.exception));
    show("spsr", taken.frame.spsr);
    show("in", taken.frame.cpsr);
    if (taken.is(Exception::Irq)) take();
    show("line", taken_line);
    end_line();
  }
}

// The filter of the processor's interface, and of the distributor.
void filters() {
  raise(kSoftwareLine);
  write32(kInterface + gicc::kPriorityMask, 0);
  const u32 closed = InterruptStatus::read();
  write32(kInterface + gicc::kPriorityMask, 0xf0);
  const u32 open = InterruptStatus::read();
  const u32 highest = read32(kInterface + gicc::kHighestPending);
  const u32 line = acknowledge();
  const u32 running = read32(kInterface + gicc::kRunningPriority);
  const u32 active = read32(kDistributor + gicd::kActive) & 0xffff;
  const u32 after = InterruptStatus::read();
  end_interrupt(line);
  begin_line("acknowledged by hand");
  begin_values();
  show("closed", closed);
  show("open", open);
  show("highest", highest);
  show("line", line);
  show("running", running);
  show("active", active);
  show("then", after);
  show("at the end", read32(kInterface + gicc::kRunningPriority));
  show("spurious", acknowledge());
  end_line();
  disable_line(kTimerLine);
  start_timer(100, false);
  while ((read32(kPrivateTimer + 12) & 1) == 0) {
  }
  const u32 masked = InterruptStatus::read();
  enable_line(kTimerLine);
  const u32 unmasked = InterruptStatus::read();
  const u32 taken = acknowledge();
  stop_timer();
  end_interrupt(taken);
  begin_line("timer masked in the distributor");
  begin_values();
  show(masked);
  show(unmasked);
  show(taken);
  show(InterruptStatus::read());
  end_line();
}

// Two lines of different priority: the more urgent one interrupts the handler of the other.
void priorities() {
  constexpr u32 kUrgent = 5, kUsual = 4;
  memory_at<volatile u8>(kDistributor + gicd::kPriority + kUrgent) = 0x40;
  memory_at<volatile u8>(kDistributor + gicd::kPriority + kUsual) = 0x80;
  raise(kUsual);
  raise(kUrgent);
  const u32 first = acknowledge();
  raise(kUrgent);
  const u32 nested = InterruptStatus::read();
  end_interrupt(first);
  const u32 second = acknowledge();
  end_interrupt(second);
  const u32 third = acknowledge();
  raise(kUrgent);
  const u32 preempting = InterruptStatus::read();
  const u32 fourth = acknowledge();
  end_interrupt(fourth);
  end_interrupt(third);
  begin_line("priorities");
  begin_values();
  for (const u32 value : {first, nested, second, third, preempting, fourth}) show(value);
  show(acknowledge());
  end_line();
}

u32 ticks;
bool count_tick(TrapFrame& frame) {
  const u32 line = acknowledge();
  if (line == kTimerLine) {
    ++ticks;
    write32(kPrivateTimer + 12, 1);
  }
  if ((line & 0x3ff) < 1020) end_interrupt(line);
  frame.lr -= 4;
  return true;
}

// Sleeps until ticks is not `n` any more. Masked between the look and the sleep, or an interrupt
// there would be slept through.
void sleep_through(u32 n) {
  for (;;) {
    disable_interrupts();
    const bool done = memory_at<volatile u32>(address_of(&ticks)) != n;
    if (!done) wait_for_interrupt();
    enable_interrupts();
    if (done) return;
  }
}

void waiting() {
  set_hook(Exception::Irq, count_tick);
  for (const Mode& mode : {kSupervisor, Mode{"sys", psr::kSystem}}) {
    ticks = 0;
    const Taken taken = run((psr::kMasks & ~psr::kIrqOff) | mode.number, [](u32) {
      for (u32 n = 0; n < 3; ++n) {
        start_timer(10'000, false);
        sleep_through(n);
      }
      stop_timer();
    });
    begin_line("waited for the timer");
    add_name(mode.name);
    begin_values();
    show(taken, 0);
    show(ticks);
    end_line();
  }
  // Masked: it wakes, and nothing is taken until the mask goes.
  ticks = 0;
  start_timer(10'000, false);
  Taken taken = run(psr::kMasks | psr::kSupervisor, wait_masked);
  begin_line("waited with interrupts masked");
  begin_values();
  show(taken, 0);
  show(ticks);
  show("isr", InterruptStatus::read());
  enable_interrupts();
  disable_interrupts();
  show(ticks);
  end_line();
  // A process waits: a hint, which may do nothing.
  ticks = 0;
  taken = run((psr::kMasks & ~psr::kIrqOff) | psr::kUser, [](u32) {
    start_timer(1'000'000, false);
    while (memory_at<volatile u32>(address_of(&ticks)) == 0) asm volatile("wfi");
  });
  begin_line("a process waited");
  begin_values();
  show(taken, 0);
  show(ticks);
  end_line();
  stop_timer();
  set_hook(Exception::Irq, nullptr);
}

void exclusives() {
  struct Case {
    const char* name;
    Body body;
  };
  constexpr Case kCases[] = {{"word", exclusive_plain},
                             {"after clrex", exclusive_cleared},
                             {"doubleword", exclusive_double},
                             {"byte", exclusive_byte},
                             {"halfword", exclusive_half}};
  alignas(8) static u32 words[4];
  for (const Mode& mode : {kSupervisor, kUser}) {
    for (const Case& each : kCases) {
      words[0] = 0x10ff;
      words[1] = 7;
      words[2] = 0xffffffff;
      begin_line("exclusive");
      add_name(mode.name);
      add_name(each.name);
      begin_values();
      // The first run may find pages that must be filled.
      Taken taken = run(psr::kMasks | mode.number, each.body, address_of(words));
      taken = run(psr::kMasks | mode.number, each.body, address_of(words));
      show(taken, 0);
      show("failed", words[2]);
      show(words[1]);
      end_line();
    }
    set_hook(Exception::Irq, count_tick);
    ticks = 0;
    words[0] = 0;
    start_timer(3'000, true);
    constexpr u32 kAdded = 100'000, kMost = 1'000;
    u32 wanted = 0;
    for (u32 n = 0; n < kMost && ticks < 20; ++n) {
      (void)run((psr::kMasks & ~psr::kIrqOff) | mode.number, exclusive_many, address_of(words));
      wanted += kAdded;
    }
    stop_timer();
    set_hook(Exception::Irq, nullptr);
    begin_line("exclusive between interrupts");
    add_name(mode.name);
    begin_values();
    show("lost", wanted - words[0]);
    show(ticks < 20 ? "not interrupted" : "interrupted");
    end_line();
  }
}

}  // namespace

void test_interrupts() {
  start_interrupts();
  enable_line(kTimerLine);
  stop_timer();
  for (const bool translated : {false, true}) {
    map_one_to_one(first_table);
    if (translated) translate_by(first_table);
    pending();
    thread_ids();
    modes();
    filters();
    priorities();
    waiting();
    exclusives();
  }
  stop_translating();
}

}  // namespace guest
