// A real-time guest in miniature: its CPU's private timer interrupts it, and it tells how long
// after the timer's expiry its handler began: the timer goes on counting from its reload value, and
// the first thing behind the vector reads it. The global timer, which nobody sets, tells whether an
// expiry between two of which it heard was without an interrupt of its own: a tick that is lost.
//
//   period=COUNT   of the timer, 100 MHz in QEMU (100,000: 1 ms)
//   samples=COUNT  for one line of the report (1,000)
//   uart=0..3      console (0)
//   busy=1         computes between interrupts instead of waiting for them
//   masked=1       waits with its interrupts masked, as Linux and many kernels do
//   lines=COUNT    halts after so many of the report: a branch to itself with interrupts off
//   unheard=1      between two ticks the global timer's comparator runs out, too, its line masked
#include "armv7/gic.hpp"
#include "common/option.hpp"
#include "common/text.hpp"

extern "C" {
extern const guest::u32 latency_vectors[];
volatile guest::u32 timer_at_entry;
}

namespace {

using guest::u32, guest::u64;

struct Statistics {
  u32 least = 0xffffffff, most = 0, count = 0;
  u32 lost = 0;
  u64 sum = 0;

  void add(u32 value) {
    least = value < least ? value : least;
    most = value > most ? value : most;
    sum += value;
    ++count;
  }
};

u32 period;
u32 last_expiry;  // by the global timer
bool is_unheard;
Statistics statistics;

// Expiries since the last one of which we knew, by its distance on the global timer: to the nearest
// number, because that timer is read a little later, once more and once less.
[[nodiscard]] u32 expiries_until(u32 expiry) {
  const u32 round = period + 1;
  return (expiry - last_expiry + round / 2) / round;
}

bool on_interrupt(guest::TrapFrame& frame) {
  const u32 line = guest::acknowledge();
  if (line == guest::kTimerLine) {
    // It stays 0 for one tick before it has its reload value again (DDI 0407I, 4.1).
    const u32 counter = timer_at_entry;
    const u32 latency = counter == 0 ? 0 : period + 1 - counter;
    statistics.add(latency);
    const u32 expiry = guest::read32(guest::kGlobalTimer) - latency;
    if (const u32 count = expiries_until(expiry); count > 1) statistics.lost += count - 1;
    last_expiry = expiry;
    guest::write32(guest::kPrivateTimer + 12, 1);
    if (is_unheard) guest::write32(guest::kGlobalTimer + 12, 1);
  }
  if ((line & 0x3ff) < guest::kSpurious - 3) guest::end_interrupt(line);
  frame.lr -= 4;
  return true;
}

// Ticks of the timer, of 10 ns.
void print_line(const char* name, u32 ticks) {
  guest::print(name);
  guest::print_number(ticks * 10);
  guest::print(" ns");
}

void report(const Statistics& measured) {
  print_line("latency least ", measured.least);
  print_line(", mean ", static_cast<u32>(measured.sum) / measured.count);
  print_line(", most ", measured.most);
  guest::print(" of ");
  guest::print_number(measured.count);
  guest::print(", lost ");
  guest::print_number(measured.lost);
  guest::print("\n");
}

// Runs out in the middle between two ticks; again, once its event is cleared.
void start_comparator() {
  constexpr u32 kControl = 8, kLow = 16, kHigh = 20, kIncrement = 24, kAll = 0xf;
  const u32 first = last_expiry + period / 2;
  const u32 high = guest::read32(guest::kGlobalTimer + 4);
  guest::write32(guest::kGlobalTimer + kLow, first);
  guest::write32(guest::kGlobalTimer + kHigh, first < last_expiry ? high + 1 : high);
  guest::write32(guest::kGlobalTimer + kIncrement, period + 1);
  guest::write32(guest::kGlobalTimer + kControl, kAll);
}

[[noreturn]] void halt() {
  for (;;) asm volatile("cpsid aif\n1: b 1b");
}

}  // namespace

extern "C" [[noreturn]] void guest_main(u32 tree) {
  guest::keep_command_line(guest::boot_arguments(tree));
  guest::open_console(guest::option("uart").number(0));
  guest::print("latency starts\n");
  period = guest::option("period").number(100'000);
  const u32 samples = guest::option("samples").number(1'000);
  u32 lines = guest::option("lines").number(0xffffffff);
  is_unheard = guest::option("unheard").is("1");
  const bool busy = guest::option("busy").is("1"), masked = guest::option("masked").is("1");

  auto* table = const_cast<u32*>(latency_vectors);
  for (u32 n = 0; n < 8; ++n) table[8 + n] = guest::handlers[n];
  guest::make_executable(guest::address_of(latency_vectors), 64);
  guest::VectorBase::write(guest::address_of(latency_vectors));
  guest::set_hook(guest::Exception::Irq, on_interrupt);
  guest::start_interrupts();
  guest::enable_line(guest::kTimerLine);
  last_expiry = guest::read32(guest::kGlobalTimer);
  guest::start_timer(period, true);
  if (is_unheard) start_comparator();
  guest::enable_interrupts();
  for (;;) {
    while (*const_cast<volatile u32*>(&statistics.count) < samples) {
      if (busy) continue;
      if (masked) guest::disable_interrupts();
      guest::wait_for_interrupt();
      guest::enable_interrupts();
    }
    guest::disable_interrupts();
    const Statistics measured = statistics;
    statistics = {};
    guest::enable_interrupts();
    report(measured);
    if (--lines == 0) halt();
  }
}
