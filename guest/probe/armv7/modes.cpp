// Single purposes: ways for a partition to end, to hog its CPU, or to be a neighbour that shows
// whether it is disturbed. `mode=NAME` on the command line.
#include "armv7/gic.hpp"
#include "armv7/tables.hpp"
#include "probe/armv7/probe.hpp"

namespace probe {
namespace {

constexpr u32 kSystemRegisters = 0x10000000;

// Versatile Express: a command to the board's configuration controller (DUI 0447, 4.1.14).
void configure(u32 function) { write32(kSystemRegisters + 0xa4, 0xc0000000 | function << 20); }
void power_off() { configure(8); }
void reboot() { configure(9); }

volatile u32 ticks;
bool tick(guest::TrapFrame& frame) {
  const u32 line = guest::acknowledge();
  if (line == guest::kTimerLine) {
    ticks = ticks + 1;
    write32(guest::kPrivateTimer + 12, 1);
  }
  if ((line & 0x3ff) < 1020) guest::end_interrupt(line);
  frame.lr -= 4;
  return true;
}

// A line for every timer interrupt: a gap in the numbers is a lost line, one in the times a delay.
//   timer=COUNT  of the private timer between two lines (1,000,000: 10 ms in QEMU)
void count() {
  guest::set_hook(Exception::Irq, tick);
  guest::start_interrupts();
  guest::enable_line(guest::kTimerLine);
  guest::start_timer(guest::option("timer").number(1'000'000), true);
  for (u32 printed = 0;;) {
    // Interrupts off between the look and the WFI, or a tick between them would be slept through.
    guest::disable_interrupts();
    if (printed == ticks) guest::wait_for_interrupt();
    guest::enable_interrupts();
    if (printed == ticks) continue;
    ++printed;
    guest::print("count ");
    guest::print_number(printed);
    guest::print(" late ");
    guest::print_number(ticks - printed);
    guest::print("\n");
  }
}

// Not B to itself with interrupts off, which is a halt.
void spin() { asm volatile("cpsid aif\n1:\tnop\n\tb 1b"); }
void sleep() {
  for (;;) asm volatile("cpsid aif\n\twfi");
}

// Data aborts as fast as they can be had, for ever; undefined instructions; supervisor calls.
void abort_storm() {
  for (;;) (void)in_mode(kUser, [](u32 at) { (void)read32(at); }, 0xc0000000);
}
void undefined_storm() {
  for (;;) (void)in_mode(kUser, [](u32) { asm volatile("udf #0"); });
}

// No handler can be reached: every exception raises another.
void vectors_lost() {
  guest::VectorBase::write(kWindow);
  asm volatile("udf #0");
}
void tables_lost() {
  guest::Ttbr0::write(0xfffc0000);
  guest::tables_written();
}

// As a Thumb-2 kernel begins: an ARM entry, then system registers from Thumb code.
void thumb_kernel() {
  asm volatile(
      "add r0, pc, #1\n\tbx r0\n\t.thumb\n\tmrc p15, 0, r0, c1, c0, 0\n1:\tb 1b\n\t.arm\n\t.balign "
      "4"
      :
      :
      : "r0");
}
void thumb_vectors() { guest::Sctlr::write(guest::Sctlr::read() | 1u << 30); }
void big_endian() { guest::Sctlr::write(guest::Sctlr::read() | 1u << 25); }

// Nothing gets through to this CPU as an IRQ any more, if the guest's writes reach the chip.
void deaf() {
  write32(guest::kInterface + guest::gicc::kControl, 9);  // as FIQ
  write32(guest::kInterface + guest::gicc::kPriorityMask, 0);
  write32(guest::kInterface + guest::gicc::kControl, 0);
  spin();
}

// All it can do to interrupts, again and again.
void interrupt_storm() {
  guest::start_interrupts();
  for (u32 n = 0;; ++n) {
    write32(guest::kDistributor + guest::gicd::kSoftware, (n & 0x3) << 24 | 0x00ff0000 | (n & 15));
    write32(guest::kDistributor + guest::gicd::kSetPending + n % 8 * 4, 0xffffffff);
    write32(guest::kDistributor + guest::gicd::kClearEnable + n % 8 * 4, 0xffffffff);
    write32(guest::kDistributor + guest::gicd::kSetEnable + n % 8 * 4, 0xffffffff);
    const u32 line = guest::acknowledge();
    guest::end_interrupt(line);
  }
}

struct NamedMode {
  const char* name;
  void (*run)();
};
constexpr NamedMode kNamedModes[] = {
    {"count", count},
    {"spin", spin},
    {"sleep", sleep},
    {"deaf", deaf},
    {"abort-storm", abort_storm},
    {"undefined-storm", undefined_storm},
    {"interrupt-storm", interrupt_storm},
    {"vectors-lost", vectors_lost},
    {"tables-lost", tables_lost},
    {"thumb-kernel", thumb_kernel},
    {"thumb-vectors", thumb_vectors},
    {"big-endian", big_endian},
    {"power-off", power_off},
    {"reboot", reboot},
};

}  // namespace

void run_mode(const guest::Option& mode) {
  for (const NamedMode& known : kNamedModes) {
    if (!mode.is(known.name)) continue;
    guest::print("probe mode ");
    guest::print(known.name);
    guest::print("\n");
    known.run();
    guest::print("probe: the mode ended\n");
    guest::stop_for_ever();
  }
}

}  // namespace probe
