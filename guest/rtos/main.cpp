// The example: a handler of the timer's interrupt that measures how late it is, a task that
// measures how late it is woken, and one of less urgency that reports and works in between.
//
//   com=1..4            UART of the reports (1)
//   timer=lapic|pit|hpet|rtc  what ticks (ia32/timer.hpp)
//   period=COUNTS       of that timer, for a tick (the timer's usual one)
//   every=TICKS         between reports (1000)
//   reports=N           then it halts (0: never)
//   kicks=N             of its watchdog: one with each of the first N reports (0)
//   idle=halt|poll      whether the processor waits by HLT, or keeps running (halt)
//   record=N from=TICK  no reports: the handler notes when each of N ticks came, from that one on;
//                       then the intervals between them are told, in counts of the TSC
//
// If the system has a channel, each tick's times go to its other end, which is interrupted each
// `ring=TICKS` (100), and whose questions are answered.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "bench/guest/x86/marker.hpp"
#include "channel/ring.hpp"
#include "common/option.hpp"
#include "common/text.hpp"
#include "core/division.hpp"
#include "rtos/ia32/port.hpp"
#include "rtos/ia32/timer.hpp"
#include "rtos/messages.hpp"
#include "rtos/record.hpp"
#include "rtos/statistics.hpp"

namespace {

using mezzo::Division;
using mezzo::bench::Mark;
using mezzo::bench::mark_here;
using mezzo::bench::Operation;
using rtos::Record;
using rtos::Statistics;
using rtos::ia32::Port;

// The channel's two directions, and what has become of them.
struct Link {
  channel::Sender<rtos::Report> reports;
  channel::Receiver<rtos::Question> questions;
  std::uint32_t sent = 0, lost = 0, answered = 0, senseless = 0;

  explicit Link(const rtos::ia32::ChannelMemory& own)
      : reports(channel::ring_of(own.memory, own.bytes, own.end), own.bytes),
        questions(channel::ring_of(own.memory, own.bytes, 1 - own.end), own.bytes) {}

  [[nodiscard]] std::uint32_t errors() const {
    return reports.errors() + questions.errors() + senseless;
  }
  // Several tasks send.
  void send(const rtos::Report& report) {
    const auto masks = Port::mask();
    ++(reports.send(report) ? sent : lost);
    Port::restore(masks);
  }
};

rtos::Kernel<Port> kernel;
rtos::Semaphore<Port> ticked(kernel, 0), recorded(kernel, 0), rung(kernel, 0);
const rtos::ia32::Timer* timer;
std::uint32_t period, every, reports, ring, kicks;
Statistics in_handler, in_task;       // counts of the timer since it was due
std::uint64_t first_came, last_came;  // the first tick of all, and the last one, by the TSC
std::uint32_t handler_age;            // the last one's
Record record;
std::optional<Link> link;

struct Stack {
  alignas(16) std::array<std::byte, 8192> bytes;
};
Stack measuring_stack, answering_stack, telling_stack;
rtos::Task measuring, answering, telling;

void measure(void*) {
  for (;;) {
    ticked.wait();
    const std::uint32_t age = timer->age(period);
    const auto masks = Port::mask();
    in_task.add(age);
    const rtos::Report sample{rtos::ReportKind::Sample, kernel.now(), handler_age, age};
    Port::restore(masks);
    if (!link) continue;
    link->send(sample);
    if (sample.number % ring == 0) rtos::ia32::ring_doorbell();
  }
}

// The other end may ring, and write, whatever it likes.
void answer(void*) {
  for (;;) {
    rung.wait();
    rtos::Question question{};
    bool answered = false;
    for (auto left = link->questions.slots(); left > 0 && link->questions.receive(question);
         --left) {
      if (question.kind != rtos::QuestionKind::Echo) {
        ++link->senseless;
        continue;
      }
      link->send({rtos::ReportKind::Answer, question.number, link->lost, link->errors()});
      ++link->answered;
      answered = true;
    }
    if (answered) rtos::ia32::ring_doorbell();
  }
}

void print(const char* name, const Statistics& statistics) {
  guest::print(name);
  if (statistics.count() == 0) return guest::print("none");
  guest::print_number(statistics.least());
  guest::print("/");
  guest::print_number(statistics.mean());
  guest::print("/");
  guest::print_number(statistics.most());
}

void print(const Link& of) {
  guest::print("rtos channel: ");
  guest::print_number(of.sent);
  guest::print(" sent, ");
  guest::print_number(of.lost);
  guest::print(" lost, ");
  guest::print_number(of.answered);
  guest::print(" answered, ");
  guest::print_number(of.errors());
  guest::print(" errors\n");
}

void report(void*) {
  rtos::Time next = 0;
  for (std::uint32_t n = 0; reports == 0 || n < reports; ++n) {
    kernel.sleep_until(next += every);
    const auto masks = Port::mask();
    const Statistics handler = in_handler, task = in_task;
    in_handler = in_task = {};
    const rtos::Time now = kernel.now();
    const std::uint64_t ticks = last_came - first_came;
    Port::restore(masks);
    guest::print("rtos ");
    guest::print_number(now);
    guest::print(" ticks, ");
    guest::print_number(handler.count());
    print(" measured: handler ", handler);
    print(", task ", task);
    guest::print("\n");
    if (n < kicks) rtos::ia32::kick_watchdog();
    const auto by_tsc = [&](std::uint32_t counts) {
      const std::uint64_t a_tick = Division::of(ticks, now - 1).quotient;
      return static_cast<std::uint32_t>(Division::of(counts * a_tick, period).quotient);
    };
    if (now > 1) rtos::ia32::tell_latency(by_tsc(handler.mean()), by_tsc(handler.most()));
    if (link) print(*link);
  }
  guest::print("rtos ends\n");
  stop_for_ever();
}

// In the form of the benchmark's guests (bench/guest/init.sh).
void tell_record(void*) {
  recorded.wait();
  guest::print("@begin ticks\n");
  for (std::uint32_t n = 0; n < record.intervals(); ++n) {
    constexpr std::uint32_t kInLine = 16;
    guest::print_number(record.interval(n));
    guest::print(n % kInLine == kInLine - 1 || n + 1 == record.intervals() ? "\n" : " ");
  }
  guest::print("@status 0\n@end\n");
  guest::print_number(kernel.now());
  guest::print(" ticks\nrtos ends\n");
  stop_for_ever();
}

// What happens from the first tick to the last is a region of the benchmark's counting plugin.
void note(std::uint64_t came) {
  switch (record.add(kernel.now(), came)) {
    case Record::Added::First:
      return mark_here<Mark::Begin, Operation::Ticks>();
    case Record::Added::Last:
      mark_here<Mark::End, Operation::Ticks>();
      return recorded.signal_from_handler();
    case Record::Added::None:
    case Record::Added::More:
      return;
  }
}

struct MultibootInfo {
  std::uint32_t flags, memory_low, memory_high, boot_device, command_line;
};

std::uint16_t console_port() {
  constexpr std::uint16_t kPorts[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
  return kPorts[(guest::option("com").number(1) - 1) % 4];
}

}  // namespace

// `came`: by the TSC, before anything else was done.
extern "C" void on_timer(std::uint64_t came) {
  note(came);
  if (kernel.now() == 0) first_came = came;
  last_came = came;
  handler_age = timer->age(period);
  in_handler.add(handler_age);
  timer->end_of_interrupt();
  ticked.signal_from_handler();
  kernel.tick();
  kernel.preempt();
}

extern "C" void on_doorbell() {
  rtos::ia32::end_apic_interrupt();
  rung.signal_from_handler();
  kernel.preempt();
}

extern "C" [[noreturn]] void rtos_main(std::uint32_t magic, const MultibootInfo* info) {
  constexpr std::uint32_t kMultibootMagic = 0x2badb002, kHasCommandLine = 1u << 2;
  if (magic == kMultibootMagic && (info->flags & kHasCommandLine) != 0) {
    guest::keep_command_line(reinterpret_cast<const char*>(info->command_line));
  }
  rtos::ia32::set_up(console_port());
  timer = rtos::ia32::find_timer(guest::option("timer"));
  if (timer == nullptr) {
    guest::print("rtos: timer= is none that it knows\n");
    stop_for_ever();
  }
  period = guest::option("period").number(timer->usual_period);
  every = guest::option("every").number(1000);
  reports = guest::option("reports").number(0);
  kicks = guest::option("kicks").number(0);
  Port::idle_is_busy = guest::option("idle").is("poll");
  const std::uint32_t count = guest::option("record").number(0);
  record.want(guest::option("from").number(0), count);
  ring = guest::option("ring").number(100);
  guest::print("rtos starts\n");
  kernel.add(measuring, measuring_stack.bytes, 1, measure, nullptr);
  kernel.add(telling, telling_stack.bytes, 10, count == 0 ? report : tell_record, nullptr);
  if (const auto own = rtos::ia32::find_channel(); own.memory != nullptr) {
    link.emplace(own);
    kernel.add(answering, answering_stack.bytes, 5, answer, nullptr);
  }
  timer->start(period);
  kernel.run([] { return true; });
  stop_for_ever();
}
