// Time tables and watchdogs in the system file: what is read, what is refused, and what the plan
// carries.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "core/verify.hpp"
#include "system/check.hpp"
#include "system/parse.hpp"
#include "tool_armv7_support.hpp"
#include "tool_system_support.hpp"

namespace mezzo::system {
namespace {

using namespace test;

constexpr std::string_view kWindows =
    "  { partition = \"b\", start = \"2 ms\", length = \"8 ms\" },\n"
    "  { partition = \"a\", start = \"0 ms\", length = \"1500 us\" },\n";

// Two partitions on processor 0, and its table; `rest`: of the first one.
std::string with_table(std::string_view windows = kWindows, std::string_view frame = "10 ms",
                       std::string_view more = "", std::string_view rest = "") {
  return vexpress_text(armv7_partition("a", 0, rest) + armv7_partition("b", 0)) +
         fmt::format("[[schedule]]\ncpu = 0\nframe = \"{}\"\n{}\nwindows = [\n{}]\n", frame, more,
                     windows);
}

System parsed(const std::string& text) {
  auto system = parse_system(text, "test.toml");
  EXPECT_TRUE(system) << (system ? "" : all(system.error()));
  return system.value_or(System{});
}

std::string refusal(const std::string& text) {
  const auto system = parse_system(text, "test.toml");
  return all(system ? check(*system) : system.error());
}
void expect_refusal(const std::string& text, std::string_view words) {
  const std::string told = refusal(text);
  EXPECT_NE(told.find(words), std::string::npos) << told;
  EXPECT_NE(told.find("do this: "), std::string::npos) << told;
}

TEST(Schedule, IsReadInTheOrderOfTime) {
  const System system =
      parsed(with_table(kWindows, "10 ms", "on_overrun = \"stop\"\ntolerance = \"1 ms\""));
  ASSERT_EQ(system.schedules.size(), 1U);
  const Schedule& schedule = system.schedules.front();
  EXPECT_EQ(schedule.frame_us, 10'000U);
  EXPECT_EQ(schedule.tolerance_us, 1'000U);
  EXPECT_EQ(schedule.on_overrun, plan::OverrunPolicy::Stop);
  ASSERT_EQ(schedule.windows.size(), 2U);
  EXPECT_EQ(schedule.windows[0].partition, 0U);
  EXPECT_EQ(schedule.windows[0].length_us, 1'500U);
  EXPECT_EQ(schedule.windows[1].start_us, 2'000U);
  EXPECT_TRUE(check(system).empty()) << all(check(system));
}

std::string window(std::string_view partition, std::string_view start, std::string_view length) {
  return fmt::format("  {{ partition = \"{}\", start = \"{}\", length = \"{}\" }},\n", partition,
                     start, length);
}

TEST(Schedule, WindowsThatDoNotFitAreRefused) {
  expect_refusal(with_table(window("a", "0 ms", "5 ms") + window("b", "4 ms", "2 ms")),
                 "the window of b at 4 ms overlaps that of a at 0 ms");
  expect_refusal(with_table(window("a", "0 ms", "5 ms") + window("b", "5 ms", "6 ms")),
                 "the window of b at 5 ms does not end within the frame of 10 ms");
  expect_refusal(with_table(window("a", "0 ms", "0 ms") + window("b", "5 ms", "1 ms")),
                 "a window of 0 ms for a is too short");
  expect_refusal(with_table(window("a", "0 ms", "99 us") + window("b", "5 ms", "1 ms")),
                 "a window of 99 us for a is too short");
  expect_refusal(with_table(window("a", "4294967 ms", "4294967 ms") + window("b", "5 ms", "1 ms")),
                 "does not end within the frame");
  expect_refusal(with_table(kWindows, "50 us"), "a frame of 50 us is out of range");
  expect_refusal(with_table(kWindows, "11 s"), "a frame of 11000 ms is out of range");
  std::string many;
  for (unsigned n = 0; n <= plan::kMaxTimeWindows; ++n) {
    many += window(n % 2 == 0 ? "a" : "b", fmt::format("{} ms", n), "1 ms");
  }
  expect_refusal(with_table(many, "100 ms"), "33 windows in the time table of processor 0");
}

TEST(Schedule, IsForThePartitionsOfItsProcessor) {
  expect_refusal(with_table(window("a", "0 ms", "5 ms") + window("c", "5 ms", "5 ms")),
                 "there is no partition 'c'");
  expect_refusal(with_table(window("a", "0 ms", "5 ms")),
                 "b has no window in the time table of its processor");
  expect_refusal(with_table(kWindows, "10 ms", "", "priority = 0"),
                 "a has a priority, but its processor has a time table");
  const std::string apart = vexpress_text(armv7_partition("a", 0) + armv7_partition("b", 1)) +
                            "[[schedule]]\ncpu = 0\nframe = \"10 ms\"\nwindows = [\n" +
                            std::string(kWindows) + "]\n";
  expect_refusal(apart, "b is on processor 1, this is the time table of processor 0");
  expect_refusal(apart, "processor 0 has a time table and 1 partition");
  const std::string twice = with_table() + "[[schedule]]\ncpu = 0\nframe = \"1 ms\"\nwindows = [" +
                            window("a", "0 ms", "1 ms") + "]\n";
  expect_refusal(twice, "processor 0 has two time tables");
}

TEST(Schedule, MistakesOfFormAreRefused) {
  expect_refusal(with_table(""), "'windows' is a list of tables, and not empty");
  expect_refusal(with_table(window("a", "now", "1 ms")), "'now' is not a time");
  expect_refusal(with_table("  { partition = \"a\", begin = \"0 ms\" },\n"), "unknown key 'begin'");
  expect_refusal(with_table(kWindows, "10 ms", "on_overrun = \"panic\""),
                 "'panic' is not a value of 'on_overrun'");
  expect_refusal("schedule = 3\n" + vexpress_text(armv7_partition("a", 0)),
                 "'schedule' must be a list of tables");
}

// Partitions a and b on processor 0 of a PC, and its table; `a` and `b`: of them.
std::string on_pc(std::string_view a, std::string_view b) {
  return fmt::format(
      "[machine]\nmemory = \"512 MiB\"\n"
      "[[partition]]\nname = \"a\"\ncpu = 0\nmemory = \"64 MiB\"\nkernel = {{ package = \"x\" "
      "}}\n{}\n"
      "[[partition]]\nname = \"b\"\ncpu = 0\nmemory = \"64 MiB\"\nkernel = {{ package = \"x\" "
      "}}\n{}\n"
      "[[schedule]]\ncpu = 0\nframe = \"10 ms\"\nwindows = [\n{}]\n",
      a, b, kWindows);
}

TEST(Schedule, OnAPcIsForARealTimePartitionAndAnother) {
  const auto real_time = "kind = \"realtime\"", with_pic = "interrupts = \"pic\"";
  EXPECT_EQ(refusal(on_pc(real_time, with_pic)), "");
  expect_refusal(on_pc("", with_pic), "processor 0 has two owners");
  expect_refusal(on_pc(real_time, ""), "only the PIC is left to interrupt it");
}

TEST(WatchdogKeys, AreReadAndBounded) {
  const std::string good =
      "watchdog = \"500 ms\"\nwatchdog_boot = \"20 s\"\non_watchdog = \"restart\"\nrestart_limit = "
      "3";
  const System system = parsed(vexpress_text(armv7_partition("a", 0, good)));
  const Partition& partition = system.partitions.front();
  EXPECT_EQ(partition.watchdog_us, 500'000U);
  EXPECT_EQ(partition.watchdog_boot_us, 20'000'000U);
  EXPECT_EQ(partition.on_watchdog, plan::WatchdogPolicy::Restart);
  EXPECT_TRUE(check(system).empty()) << all(check(system));
  const auto one = [](std::string_view rest) {
    return vexpress_text(armv7_partition("a", 0, rest));
  };
  expect_refusal(one("watchdog = \"19 ms\""), "a watchdog of 19 ms is out of range");
  expect_refusal(one("watchdog = \"301 s\""), "a watchdog of 301000 ms is out of range");
  expect_refusal(one("watchdog = \"1 s\"\nwatchdog_boot = \"1 ms\""),
                 "a watchdog of 1 ms is out of range");
  expect_refusal(one("watchdog = \"0 ms\""), "a watchdog waits for some time");
  expect_refusal(one("on_watchdog = \"stop\""), "'on_watchdog' has no effect without a watchdog");
  expect_refusal(one("watchdog_boot = \"2 s\""), "'watchdog_boot' has no effect without");
  expect_refusal(one("watchdog = \"1 s\"\non_watchdog = \"bark\""), "'bark' is not a value");
  expect_refusal("[machine]\nboard = \"cubieboard\"\nmemory = \"512 MiB\"\n" +
                     armv7_partition("a", 0, "watchdog = \"1 s\""),
                 "nothing on board cubieboard lets a guest kick a watchdog");
}

}  // namespace
}  // namespace mezzo::system
