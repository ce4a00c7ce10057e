// mezzo-histogram [SECONDS]: how late the real-time kernel's task was (guest/rtos), as it tells by
// its channel: a histogram, live, of the last second and drawn anew each; or one of so many
// seconds.
//
// An ordinary process of an unmodified Linux. It finds the channel as a PCI function
// (doc/channels.md), maps its memory by sysfs, and waits by reading /dev/uio0 for the doorbell.
// Each second it asks the real-time kernel something and rings, to see how long that takes there
// and back.
#include "common/histogram.hpp"
#include "channel/ring.hpp"
#include "common/text.hpp"
#include "linux/channel.hpp"
#include "rtos/messages.hpp"

namespace guest {
namespace {

using linux_ia32::address_of;
using linux_ia32::Call;
using linux_ia32::call;
using linux_ia32::Channel;
using linux_ia32::Doorbell;
using linux_ia32::now;
using linux_ia32::u32;

// The text that is not written yet.
char text[8192];
u32 text_bytes = 0;

void flush() {
  call(Call::Write, 1, address_of(text), static_cast<long>(text_bytes));
  text_bytes = 0;
}

// The question that the real-time kernel has been asked last.
struct Echo {
  u32 number = 0;
  u32 asked_at = 0;
  u32 took = 0;
  bool open = false;
  rtos::Report answer{};
};

class Viewer {
 public:
  Viewer() = default;

  // 0 seconds: for ever.
  [[noreturn]] void run(u32 seconds) {
    doorbell_.ring();  // the monitor looks by which vector we listen, too
    take();            // what came before somebody looked
    histogram_ = {};
    for (u32 n = 1;; ++n) {
      ask(n);
      const u32 begin = now();
      while (now() - begin < 1'000'000) {
        doorbell_.wait();
        take();
      }
      if (seconds == 0) {
        guest::print("\033[H\033[J");  // top of the screen, and clear it
        show();
        histogram_ = {};
      } else if (n == seconds) {
        show();
        for (;;) call(Call::Exit, 0);
      }
    }
  }

 private:
  void ask(u32 number) {
    echo_ = {.number = number, .asked_at = now(), .open = true};
    if (questions_.send({rtos::QuestionKind::Echo, number})) doorbell_.ring();
  }
  void take() {
    rtos::Report report{};
    for (u32 left = reports_.slots(); left > 0 && reports_.receive(report); --left) {
      switch (report.kind) {
        case rtos::ReportKind::Sample:
          histogram_.add(report.task);
          last_ = report;
          break;
        case rtos::ReportKind::Answer:
          if (!echo_.open || report.number != echo_.number) break;
          echo_.took = now() - echo_.asked_at;
          echo_.open = false;
          echo_.answer = report;
          break;
        default:
          ++senseless_;
      }
    }
  }
  void show() {
    print("tick ", last_.number);
    print(": ", histogram_.count());
    print(" times that the task was late, at most ", histogram_.most());
    guest::print(" counts of the timer\n");
    histogram_.print();
    if (echo_.open) {
      guest::print("no answer yet\n");
    } else {
      print("answer ", echo_.number);
      print(" after ", echo_.took);
      print(" us; rtos: ", echo_.answer.handler);
      print(" lost, ", echo_.answer.task);
      print(" errors; here: ", reports_.errors() + questions_.errors() + senseless_);
      guest::print(" errors\n");
    }
    flush();
  }
  static void print(const char* what, u32 number) {
    guest::print(what);
    print_number(number);
  }

  Channel channel_ = linux_ia32::open_channel();
  Doorbell doorbell_{channel_.number};
  channel::Receiver<rtos::Report> reports_{
      channel::ring_of(channel_.memory, channel_.bytes, 1 - channel_.end), channel_.bytes};
  channel::Sender<rtos::Question> questions_{
      channel::ring_of(channel_.memory, channel_.bytes, channel_.end), channel_.bytes};
  Histogram histogram_;
  rtos::Report last_{};
  Echo echo_;
  u32 senseless_ = 0;
};

}  // namespace

// The terminal's driver puts the carriage returns.
void put(char c) {
  if (c == '\r') return;
  if (text_bytes == sizeof text) flush();
  text[text_bytes++] = c;
}

namespace linux_ia32 {

void run(const int* stack) {
  Viewer viewer;
  viewer.run(stack[0] > 1 ? number_of(reinterpret_cast<const char*>(stack[2])) : 0);
}

}  // namespace linux_ia32
}  // namespace guest
