// Watchdogs: when they run out, who is told, and what a kick, a pause and a new life do to them.
#include "core/health.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace mezzo::health {
namespace {

constexpr std::uint32_t kKhz = 1'000'000;  // a tick is a nanosecond
constexpr std::uint64_t kMs = 1'000'000;   // ticks

struct Watched {
  plan::Partition row{};
  status::Watchdog watchdog{};
  std::uint64_t now = 77 * kMs;

  explicit Watched(plan::WatchdogPolicy policy, std::uint32_t boot_us = 0) {
    row.watchdog_us = 500'000;
    row.watchdog_boot_us = boot_us;
    row.on_watchdog = policy;
    begin(row, watchdog, now);
  }
  void kick_now() { kick(row, watchdog, now); }
  [[nodiscard]] bool expires() { return take_expiry(row, watchdog, now, kKhz); }
};

TEST(Watchdog, IsNotWatchedBeforeItsFirstKick) {
  Watched w(plan::WatchdogPolicy::Restart);
  w.now += 100'000 * kMs;
  EXPECT_FALSE(w.expires());
  w.kick_now();
  w.now += 500 * kMs;
  EXPECT_FALSE(w.expires());
  w.now += 3 * kMs;
  EXPECT_TRUE(w.expires());
  EXPECT_EQ(w.watchdog.expiries, 1u);
  EXPECT_EQ(w.watchdog.has_expired, 1u);
  EXPECT_NEAR(static_cast<double>(w.watchdog.expired_tsc), 77.0 * kMs + 100'500.0 * kMs, 1.0 * kMs)
      << "when it ran out, not when it was found";
  EXPECT_FALSE(w.expires()) << "one CPU is told";
}

TEST(Watchdog, HasATimeToBootIn) {
  Watched w(plan::WatchdogPolicy::Stop, 3'000'000);
  w.now += 2'999 * kMs;
  EXPECT_FALSE(w.expires());
  w.kick_now();
  w.now += 499 * kMs;
  EXPECT_FALSE(w.expires());
  w.now += 3 * kMs;
  EXPECT_TRUE(w.expires());
  Watched hangs(plan::WatchdogPolicy::Stop, 3'000'000);
  hangs.now += 3'001 * kMs;
  EXPECT_TRUE(hangs.expires());
}

TEST(Watchdog, KicksKeepItQuietHoweverLong) {
  Watched w(plan::WatchdogPolicy::Stop);
  // Past the end of 32 bits of coarse time, twice.
  for (int n = 0; n < 20'000; ++n) {
    w.kick_now();
    w.now += 499 * kMs;
    ASSERT_FALSE(w.expires()) << n;
  }
  EXPECT_EQ(w.watchdog.kicks, 20'000u);
}

TEST(Watchdog, LogOnlyCountsAndTheNextKickArmsItAgain) {
  Watched w(plan::WatchdogPolicy::Log);
  w.kick_now();
  w.now += 501 * kMs;
  EXPECT_TRUE(w.expires());
  EXPECT_EQ(w.watchdog.has_expired, 0u);
  EXPECT_EQ(w.watchdog.expired_tsc, 0u);
  w.now += 5'000 * kMs;
  EXPECT_FALSE(w.expires());
  w.kick_now();
  w.now += 501 * kMs;
  EXPECT_TRUE(w.expires());
  EXPECT_EQ(w.watchdog.expiries, 2u);
}

TEST(Watchdog, AClockThatIsALittleBehindSeesNoExpiry) {
  Watched w(plan::WatchdogPolicy::Stop);
  w.kick_now();
  w.now -= kMs;
  EXPECT_FALSE(w.expires());
}

TEST(Watchdog, APauseIsNoSilence) {
  Watched w(plan::WatchdogPolicy::Stop);
  w.kick_now();
  w.now += 10'000 * kMs;
  forgive(w.watchdog, w.now);
  EXPECT_FALSE(w.expires());
  w.now += 501 * kMs;
  EXPECT_TRUE(w.expires());
  Watched silent(plan::WatchdogPolicy::Stop);
  forgive(silent.watchdog, silent.now);
  silent.now += 10'000 * kMs;
  EXPECT_FALSE(silent.expires()) << "it had not kicked before";
}

TEST(Watchdog, ANewLifeBeginsUnwatched) {
  Watched w(plan::WatchdogPolicy::Restart);
  w.kick_now();
  w.now += 501 * kMs;
  EXPECT_TRUE(w.expires());
  begin(w.row, w.watchdog, w.now);
  EXPECT_EQ(w.watchdog.has_expired, 0u);
  EXPECT_EQ(w.watchdog.kicks, 0u);
  EXPECT_EQ(w.watchdog.expiries, 1u);
  w.now += 501 * kMs;
  EXPECT_FALSE(w.expires());
}

TEST(Watchdog, WithoutOneKicksMeanNothing) {
  Watched w(plan::WatchdogPolicy::Restart);
  w.row.watchdog_us = 0;
  w.kick_now();
  EXPECT_EQ(w.watchdog.kicks, 0u);
  w.now += 100'000 * kMs;
  EXPECT_FALSE(w.expires());
}

TEST(Watchdog, EachCpuLooksAfterAllThatRun) {
  plan::Plan plan{};
  status::Region region{};
  region.tsc_khz = kKhz;
  diag::Log log{region.log, [](char) {}};
  plan.partition_count = 3;
  for (std::uint32_t n = 0; n < 3; ++n) {
    plan.partitions[n].name[0] = static_cast<char>('a' + n);
    plan.partitions[n].watchdog_us = 1000;
    plan.partitions[n].on_watchdog = plan::WatchdogPolicy::Stop;
    region.partitions[n].state = status::State::Running;
    kick(plan.partitions[n], region.partitions[n].watchdog, kMs);
  }
  region.partitions[1].state = status::State::Paused;
  kick(plan.partitions[2], region.partitions[2].watchdog, 9 * kMs);
  look_after_all(plan, region, 9 * kMs, log);
  EXPECT_TRUE(is_due(region, 0));
  EXPECT_FALSE(is_due(region, 1)) << "paused";
  EXPECT_FALSE(is_due(region, 2)) << "kicked";
  EXPECT_EQ(std::string_view(region.log.text, region.log.written),
            "mezzo: a: its watchdog has run out\n");
}

}  // namespace
}  // namespace mezzo::health
