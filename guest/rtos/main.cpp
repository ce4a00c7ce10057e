// The example: a handler of the timer's interrupt that measures how late it is, a task that
// measures how late it is woken, and one of less urgency that reports and works in between.
//
//   com=1..4       UART of the reports (1)
//   period=COUNTS  of the local APIC's timer, for a tick (1000000)
//   every=TICKS    between reports (1000)
//   reports=N      then it halts (0: never)
//   kicks=N        of its watchdog: one with each of the first N reports (0)
#include <array>
#include <cstddef>
#include <cstdint>

#include "common/option.hpp"
#include "common/text.hpp"
#include "rtos/ia32/port.hpp"

namespace {

using rtos::ia32::Port;

struct Statistics {
  std::uint32_t least = ~0u, most = 0, count = 0;
  std::uint64_t sum = 0;

  void add(std::uint32_t value) {
    if (value < least) least = value;
    if (value > most) most = value;
    sum += value;
    ++count;
  }
  // Of up to 2^32 values.
  [[nodiscard]] std::uint32_t mean() const {
    std::uint32_t quotient = 0;
    std::uint64_t rest = sum;
    for (int bit = 31; bit >= 0 && count != 0; --bit) {
      const std::uint64_t part = std::uint64_t{count} << bit;
      if (rest < part) continue;
      rest -= part;
      quotient |= 1u << bit;
    }
    return quotient;
  }
};

rtos::Kernel<Port> kernel;
rtos::Semaphore<Port> ticked(kernel, 0);
std::uint32_t period, every, reports, kicks;
Statistics in_handler, in_task;  // counts of the timer since it was due

struct Stack {
  alignas(16) std::array<std::byte, 8192> bytes;
};
Stack measuring_stack, reporting_stack;
rtos::Task measuring, reporting;

void measure(void*) {
  for (;;) {
    ticked.wait();
    const std::uint32_t age = rtos::ia32::timer_age(period);
    const auto masks = Port::mask();
    in_task.add(age);
    Port::restore(masks);
  }
}

void print(const char* name, const Statistics& statistics) {
  guest::print(name);
  guest::print_number(statistics.least);
  guest::print("/");
  guest::print_number(statistics.mean());
  guest::print("/");
  guest::print_number(statistics.most);
}

void report(void*) {
  rtos::Time next = kernel.now();
  for (std::uint32_t n = 0; reports == 0 || n < reports; ++n) {
    kernel.sleep_until(next += every);
    const auto masks = Port::mask();
    const Statistics handler = in_handler, task = in_task;
    in_handler = in_task = {};
    Port::restore(masks);
    guest::print("rtos ");
    guest::print_number(kernel.now());
    guest::print(" ticks, ");
    guest::print_number(handler.count);
    print(" measured: handler ", handler);
    print(", task ", task);
    guest::print("\n");
    if (n < kicks) rtos::ia32::kick_watchdog();
  }
  guest::print("rtos ends\n");
  stop_for_ever();
}

struct MultibootInfo {
  std::uint32_t flags, memory_low, memory_high, boot_device, command_line;
};

std::uint16_t console_port() {
  constexpr std::uint16_t kPorts[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
  return kPorts[(guest::option("com").number(1) - 1) % 4];
}

}  // namespace

extern "C" void on_timer() {
  in_handler.add(rtos::ia32::timer_age(period));
  rtos::ia32::end_of_interrupt();
  ticked.signal_from_handler();
  kernel.tick();
  kernel.preempt();
}

extern "C" [[noreturn]] void rtos_main(std::uint32_t magic, const MultibootInfo* info) {
  constexpr std::uint32_t kMultibootMagic = 0x2badb002, kHasCommandLine = 1u << 2;
  if (magic == kMultibootMagic && (info->flags & kHasCommandLine) != 0) {
    guest::keep_command_line(reinterpret_cast<const char*>(info->command_line));
  }
  rtos::ia32::set_up(console_port());
  period = guest::option("period").number(1'000'000);
  every = guest::option("every").number(1000);
  reports = guest::option("reports").number(0);
  kicks = guest::option("kicks").number(0);
  guest::print("rtos starts\n");
  kernel.add(measuring, measuring_stack.bytes, 1, measure, nullptr);
  kernel.add(reporting, reporting_stack.bytes, 10, report, nullptr);
  rtos::ia32::start_timer(period);
  kernel.run([] { return true; });
  stop_for_ever();
}
