// How windows are given to their partitions, and what becomes of whoever is in the way.
#include "core/schedule.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mezzo {
namespace {

// Partition 0 has the first 2 ms of every 10, partition 2 the next 5. A tick of the table is 2^4 of
// the status region's, which has 1,000 in a microsecond.
class ScheduleTest : public testing::Test {
 protected:
  static constexpr unsigned kShift = 4;
  static constexpr Schedule::Clock kClock{.status_khz = 1'000'000, .shift = kShift};

  explicit ScheduleTest(plan::OverrunPolicy policy = plan::OverrunPolicy::Log) {
    row_ = {.cpu = 0,
            .frame_us = 10'000,
            .tolerance_us = 100,
            .on_overrun = policy,
            .window_count = 2,
            .windows = {{0, 0, 2000}, {2, 2000, 5000}}};
    for (const std::uint32_t n : {0u, 2u}) plan_.partitions[n].name[0] = static_cast<char>('a' + n);
    schedule_.emplace(row_, plan_, region_, kClock);
  }

  // The table's time, so many microseconds after its start.
  [[nodiscard]] static std::uint64_t at(std::uint64_t microseconds) {
    constexpr std::uint64_t kStart = 12'345'678;
    return kStart + (microseconds * 1000 >> kShift);
  }
  // `running` has run until `us`; then whoever has a window gets the processor.
  void go_on(std::uint64_t us, std::optional<std::size_t> running) {
    (void)schedule_->advance(at(us), running);
    schedule_->enter(at(us), log_);
  }
  [[nodiscard]] const status::Share& share(std::uint32_t n) const {
    return region_.partitions[n].share;
  }

  plan::Plan plan_{};
  plan::Schedule row_{};
  status::Region region_{};
  static inline std::string told_;
  diag::Log log_{region_.log, [](char c) { told_ += c; }};
  std::optional<Schedule> schedule_;
};

class StoppingScheduleTest : public ScheduleTest {
 protected:
  StoppingScheduleTest() : ScheduleTest(plan::OverrunPolicy::Stop) {}
};

TEST_F(ScheduleTest, CountsTicksOfItsClock) {
  EXPECT_EQ(schedule_->ticks_of(10'000), 625'000U);
  EXPECT_FALSE(schedule_->is_broken());
  // The longest frame, by a fast clock.
  row_.frame_us = plan::kMaxFrameUs;
  const Schedule fast(row_, plan_, region_, {.status_khz = 6'000'000, .shift = kShift});
  EXPECT_EQ(fast.ticks_of(plan::kMaxFrameUs), 3'750'000'000U);
  row_.windows[1].start_us = 1999;
  EXPECT_TRUE(Schedule(row_, plan_, region_, kClock).is_broken());
}

TEST_F(ScheduleTest, OwnersArePartitions) {
  EXPECT_FALSE(schedule_->has_started());
  schedule_->start(at(0));
  EXPECT_EQ(schedule_->slot().owner, 0U);
  EXPECT_FALSE(schedule_->advance(at(1999), 0));
  EXPECT_TRUE(schedule_->advance(at(2000), 0));
  EXPECT_EQ(schedule_->slot().owner, 2U);
  EXPECT_TRUE(schedule_->advance(at(7000), 2));
  EXPECT_EQ(schedule_->slot().owner, std::nullopt);
  EXPECT_EQ(schedule_->slot().end, at(10'000));
}

TEST_F(ScheduleTest, TellsHowLateWindowsWere) {
  schedule_->start(at(0));
  go_on(0, std::nullopt);
  go_on(2080, 0);
  EXPECT_EQ(share(2).windows, 1U);
  EXPECT_EQ(share(2).late_ticks, 80'000U);
  EXPECT_EQ(share(2).overruns, 0U);
  told_.clear();
  go_on(12'160, 0);
  EXPECT_EQ(share(2).windows, 2U);
  EXPECT_EQ(share(2).late_ticks, 240'000U);
  EXPECT_EQ(share(2).late_most, 160'000U);
  EXPECT_EQ(share(2).overruns, 1U);
  EXPECT_EQ(told_, "mezzo: c: a window began 160 us late, 0 missed; before it ran a\n");
  go_on(22'150, 0);
  EXPECT_EQ(told_, "mezzo: c: a window began 160 us late, 0 missed; before it ran a\n");
  EXPECT_EQ(share(2).overruns, 2U);
  EXPECT_EQ(share(0).missed, 0U);  // of two, which nobody has entered since
  go_on(30'000, 2);
  EXPECT_EQ(share(0).missed, 2U);
  EXPECT_EQ(share(0).windows, 4U);
  EXPECT_EQ(schedule_->take_overrun(0), std::nullopt);
}

// Two clocks that differ a little: a boundary may be taken for passed before it is.
TEST_F(ScheduleTest, AWindowThatIsEnteredEarlyIsNotLate) {
  schedule_->start(at(0));
  (void)schedule_->advance(at(2000), 0);
  schedule_->enter(at(1998), log_);
  EXPECT_EQ(share(2).windows, 1U);
  EXPECT_EQ(share(2).late_ticks, 0U);
}

TEST_F(StoppingScheduleTest, WhoIsInTheWayIsStoppedOnce) {
  schedule_->start(at(0));
  go_on(2150, 0);
  EXPECT_EQ(schedule_->take_overrun(2), std::nullopt);
  const auto end = schedule_->take_overrun(0);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->kind, Verdict::Kind::Stop);
  EXPECT_EQ(end->reason, status::StopReason::Overrun);
  EXPECT_EQ(end->detail[0], 150U);
  EXPECT_EQ(schedule_->take_overrun(0), std::nullopt);
}

TEST_F(StoppingScheduleTest, NobodyIsStoppedForWhatTheMonitorDid) {
  schedule_->start(at(0));
  go_on(2150, std::nullopt);  // the processor slept
  EXPECT_EQ(schedule_->take_overrun(0), std::nullopt);
  go_on(10'150, 2);
  schedule_->forgive(2);
  EXPECT_EQ(schedule_->take_overrun(2), std::nullopt);
}

}  // namespace
}  // namespace mezzo
