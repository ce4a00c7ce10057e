// The real-time kernel: who runs when, by tasks that write down their turns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "guest/rtos/record.hpp"
#include "guest/rtos/statistics.hpp"
#include "support/rtos_port.hpp"

namespace mezzo {
namespace {

using rtos::Time;
using testing::ElementsAre;
using Port = test::RtosPort;
using Kernel = rtos::Kernel<Port>;
using Semaphore = rtos::Semaphore<Port>;

struct Rtos : testing::Test {
  struct Running {
    rtos::Task task;
    std::array<std::byte, 256 << 10> stack;  // the sanitizers want much
    std::function<void()> body;
    Kernel* kernel;
  };

  std::unique_ptr<Kernel> kernel;
  std::vector<std::string> log;
  std::vector<std::unique_ptr<Running>> tasks;

  Rtos() {
    Port::reset();
    kernel = std::make_unique<Kernel>();
  }
  void say(const std::string& what) { log.push_back(what); }
  // A task that sleeps for ever when its body has come to its end.
  void add(std::uint32_t priority, std::function<void()> body) {
    Running& running = *tasks.emplace_back(std::make_unique<Running>());
    running.body = std::move(body);
    running.kernel = kernel.get();
    kernel->add(
        running.task, running.stack, priority,
        [](void* argument) {
          auto& self = *static_cast<Running*>(argument);
          self.body();
          for (;;) self.kernel->sleep(1'000'000);
        },
        &running);
  }
  // The timer's handler.
  void tick() {
    const auto masks = Port::mask();
    kernel->tick();
    kernel->preempt();
    Port::restore(masks);
  }
  // Until nobody is ready, then a tick, so many times.
  void run(Time ticks) {
    Time left = ticks;
    Port::interrupt = [this] { tick(); };
    kernel->run([&] { return left-- != 0; });
    Port::restore(false);
  }
};

TEST_F(Rtos, TheMostUrgentRunsFirst) {
  add(3, [&] { say("c"); });
  add(1, [&] { say("a"); });
  add(2, [&] { say("b"); });
  add(1, [&] { say("a2"); });
  run(1);
  EXPECT_THAT(log, ElementsAre("a", "a2", "b", "c"));
  EXPECT_EQ(kernel->current(), nullptr);
}

TEST_F(Rtos, OfOnePriorityTheyTakeTurns) {
  for (const char* name : {"a", "b"}) {
    add(1, [this, name] {
      for (int n = 0; n < 3; ++n) {
        say(name);
        kernel->yield();
      }
    });
  }
  run(1);
  EXPECT_THAT(log, ElementsAre("a", "b", "a", "b", "a", "b"));
}

TEST_F(Rtos, SleepersWakeInTheirTicks) {
  for (const Time ticks : {3u, 1u, 2u}) {
    add(ticks, [this, ticks] {
      for (;;) {
        kernel->sleep(ticks);
        say(std::to_string(kernel->now()) + ":" + std::to_string(ticks));
      }
    });
  }
  run(7);
  EXPECT_THAT(log, ElementsAre("1:1", "2:1", "2:2", "3:1", "3:3", "4:1", "4:2", "5:1", "6:1", "6:2",
                               "6:3", "7:1"));
}

TEST_F(Rtos, ASignalPreempts) {
  Semaphore semaphore(*kernel, 0);
  add(1, [&] {
    for (;;) {
      semaphore.wait();
      say("urgent");
    }
  });
  add(2, [&] {
    say("before");
    semaphore.signal();
    say("after");
  });
  run(1);
  EXPECT_THAT(log, ElementsAre("before", "urgent", "after"));
}

TEST_F(Rtos, AHandlerWakesAndTheInterruptedGoesOnFirst) {
  Semaphore semaphore(*kernel, 0);
  add(1, [&] {
    semaphore.wait();
    say("urgent");
  });
  add(2, [&] {
    say("first");
    const auto masks = Port::mask();  // an interrupt, here
    semaphore.signal_from_handler();
    kernel->preempt();
    Port::restore(masks);
    say("first again");
  });
  add(2, [&] { say("second"); });
  run(1);
  EXPECT_THAT(log, ElementsAre("first", "urgent", "first again", "second"));
}

TEST_F(Rtos, WaitingHasAnEnd) {
  Semaphore semaphore(*kernel, 1);
  add(1, [&] {
    say(semaphore.wait_for(0) ? "got" : "none");
    say(semaphore.wait_for(0) ? "got" : "none");
    say(semaphore.wait_for(2) ? "got" : "none");
    say(std::to_string(kernel->now()));
    say(semaphore.wait_for(5) ? "got" : "none");
    say(std::to_string(kernel->now()));
  });
  add(2, [&] {
    kernel->sleep(4);
    semaphore.signal();
  });
  run(9);
  EXPECT_THAT(log, ElementsAre("got", "none", "none", "2", "got", "4"));
  // Nothing is left of the wait that came to its end.
  EXPECT_FALSE(semaphore.wait_for(0));
}

TEST_F(Rtos, TheLongestWaitingGetsItFirst) {
  Semaphore semaphore(*kernel, 0);
  for (const char* name : {"a", "b", "c"}) {
    add(1, [this, &semaphore, name] {
      semaphore.wait();
      say(name);
    });
  }
  add(2, [&] {
    for (int n = 0; n < 3; ++n) semaphore.signal();
  });
  run(1);
  EXPECT_THAT(log, ElementsAre("a", "b", "c"));
}

TEST_F(Rtos, MessagesComeInOrderAndNoneIsLost) {
  rtos::Queue<Port, int, 4> queue(*kernel);
  std::vector<int> received;
  add(2, [&] {
    for (int n = 0; n < 100; ++n) queue.send(n);
  });
  add(1, [&] {
    for (int n = 0; n < 100; ++n) {
      received.push_back(queue.receive());
      if (n % 7 == 0) kernel->sleep(1);
    }
  });
  run(30);
  ASSERT_EQ(received.size(), 100u);
  for (int n = 0; n < 100; ++n) EXPECT_EQ(received[static_cast<std::size_t>(n)], n);
  for (int n = 0; n < 4; ++n) EXPECT_TRUE(queue.send_from_handler(n));
  EXPECT_FALSE(queue.send_from_handler(4));
}

TEST_F(Rtos, AlarmsComeOnceOrAgain) {
  struct Counted {
    rtos::Alarm alarm;
    int count = 0;
  };
  Counted once, again, cancelled;
  const auto count = [](void* who) { ++static_cast<Counted*>(who)->count; };
  kernel->start(once.alarm, 2, 0, count, &once);
  kernel->start(again.alarm, 1, 3, count, &again);
  kernel->start(cancelled.alarm, 1, 1, count, &cancelled);
  EXPECT_TRUE(kernel->cancel(cancelled.alarm));
  EXPECT_FALSE(kernel->cancel(cancelled.alarm));
  for (int n = 0; n < 10; ++n) tick();
  EXPECT_EQ(once.count, 1);
  EXPECT_EQ(again.count, 4);  // 1, 4, 7, 10
  EXPECT_EQ(cancelled.count, 0);
  kernel->start(again.alarm, 100, 0, count, &again);  // anew
  for (int n = 0; n < 50; ++n) tick();
  EXPECT_EQ(again.count, 4);
}

TEST(RtosStatistics, KeepLeastMeanAndMost) {
  rtos::Statistics statistics;
  EXPECT_EQ(statistics.count(), 0u);
  for (const std::uint32_t value : {7u, 3u, 0xffffffffu, 5u}) statistics.add(value);
  EXPECT_EQ(statistics.least(), 3u);
  EXPECT_EQ(statistics.most(), 0xffffffffu);
  EXPECT_EQ(statistics.mean(), 0x40000003u);
  EXPECT_EQ(statistics.count(), 4u);
}

TEST(RtosRecord, TakesTheTicksThatAreWanted) {
  using Added = rtos::Record::Added;
  rtos::Record record;
  EXPECT_EQ(record.add(0, 1), Added::None);
  EXPECT_EQ(record.intervals(), 0u);
  record.want(5, 3);
  EXPECT_EQ(record.add(4, 100), Added::None);
  EXPECT_EQ(record.add(5, 0x1'ffff'fff0), Added::First);
  EXPECT_EQ(record.add(6, 0x2'0000'0010), Added::More);
  EXPECT_EQ(record.add(7, 0x2'0000'0011), Added::Last);
  EXPECT_EQ(record.add(8, 0x2'0000'0012), Added::None);
  ASSERT_EQ(record.intervals(), 2u);
  EXPECT_EQ(record.interval(0), 0x20u);
  EXPECT_EQ(record.interval(1), 1u);
}

}  // namespace
}  // namespace mezzo
