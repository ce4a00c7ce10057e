// The suite realtime: figures of intervals between ticks, and the claims made of them.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "base/error.hpp"
#include "bench/execute.hpp"
#include "bench/realtime.hpp"

namespace mezzo::bench {
namespace {

// A real-time kernel's record of `intervals`, and 300 instructions of the monitor before each.
Ran recorded(const std::string& intervals) {
  return {.console = parse_console("@begin ticks\n" + intervals + "\n@status 0\n@end\n"),
          .counts = Json::parse(R"({"domains": ["kernel", "monitor"], "events": ["hlt", "nmi"],
            "cpus": [{"regions": {"28": {"events": [3, 0], "arrivals":
              {"running": {}, "waiting": {"40": 3}, "longest": [9, 700]}}}}]})")};
}

TEST(BenchRealtime, FiguresAreOfTheIntervals) {
  const Json figures = realtime_figures(recorded("999847 999848\n999847 1000447"));
  const Json& intervals = figures["intervals"];
  EXPECT_EQ(intervals["count"], 4);
  EXPECT_DOUBLE_EQ(intervals["mean"], 999997.25);
  EXPECT_EQ(intervals["least"], 999847);
  EXPECT_EQ(intervals["most"], 1000447);
  EXPECT_NEAR(intervals["deviation"], 259.66, 0.01);
  EXPECT_EQ(intervals["lost"], 0);
  EXPECT_EQ(figures["histogram"], Json({{"999.8", 3}, {"1000.4", 1}}));
  EXPECT_EQ(figures["timeline"]["most"], Json({1000447}));
  EXPECT_EQ(figures["arrivals"]["waiting"], Json({{"40", 3}}));
  EXPECT_EQ(figures["longest in the monitor"], 700);
  EXPECT_EQ(figures["exits"], Json({{"hlt", 3}}));
}

TEST(BenchRealtime, ATickThatIsLostIsCounted) {
  EXPECT_EQ(realtime_figures(recorded("999847 1999695 999848"))["intervals"]["lost"], 1);
}

TEST(BenchRealtime, WhatIsMissingIsAnErrorAndNoFigure) {
  EXPECT_THROW((void)realtime_figures(recorded("")), UserError);
  Ran run = recorded("999847");
  run.exact_time = false;
  EXPECT_FALSE(realtime_figures(run).contains("intervals"));
  run.counts["cpus"][0]["regions"] = Json::object();
  EXPECT_THROW((void)realtime_figures(run), UserError);
}

TEST(BenchRealtime, TheNeighboursClockIsOfTheSecondsThatItWasAtWork) {
  Ran run = recorded("999847");
  std::string said = "@begin flood\n";
  for (int second = 3; second < 9; ++second) {
    said +=
        "@clock " + std::to_string(second) + " " + std::to_string(second * 1'000'010'000ll) + "\n";
  }
  run.neighbour = parse_console(said);
  EXPECT_EQ(realtime_figures(run)["clock"],
            Json({{"seconds", 5}, {"nanoseconds", 5'000'050'000ll}}));
  run.neighbour = parse_console("@begin flood\n@clock 1 1000000000\n");
  EXPECT_THROW((void)realtime_figures(run), UserError);
}

// Cells of the machines without load and with, of as many intervals as are wanted.
Json realtime_result(const std::string& idle, const std::string& flooded, const char* waiting) {
  Json cells = Json::array();
  for (const auto& [name, interval] :
       {std::pair("rt-direct-halt", idle), {"rt-direct-halt-flood", flooded}}) {
    std::string intervals;
    for (int n = 0; n < 5000; ++n) intervals += (n == 7 ? interval : "999848") + " ";
    Ran run = recorded(intervals);
    run.counts["cpus"][0]["regions"]["28"]["arrivals"]["waiting"] = Json::parse(waiting);
    cells.push_back({{"suite", "realtime"}, {"machine", name}, {"figures", realtime_figures(run)}});
  }
  return {{"cells", cells}};
}

std::string verdicts(const Json& result) {
  std::string text;
  for (const Json& claim : realtime_claims(result)) {
    text += claim["claim"].get<std::string>() + (claim["met"].get<bool>() ? "+ " : "- ");
  }
  return text;
}

TEST(BenchRealtime, ClaimsAreMetOrNot) {
  EXPECT_EQ(verdicts(realtime_result("999847", "999847", R"({"40": 5000})")),
            "R1+ R2+ R4+ R5+ R6+ ");
  EXPECT_EQ(verdicts(realtime_result("999847", "999857", R"({"40": 5000})")),
            "R1+ R2- R4+ R5+ R6+ ");
  EXPECT_EQ(verdicts(realtime_result("999847", "1999695", R"({"40": 5000})")),
            "R1- R2- R4+ R5- R6+ ");
  EXPECT_EQ(verdicts(realtime_result("999847", "999847", R"({"40": 4999, "41": 1})")),
            "R1+ R2+ R4+ R5+ R6- ");
  EXPECT_EQ(verdicts(realtime_result("999847", "999847", R"({"61": 5000})")),
            "R1+ R2+ R4+ R5+ R6- ");
  EXPECT_TRUE(realtime_claims({{"cells", Json::array()}}).empty());
}

// Whose interrupts may take no longer way than the timer's.
TEST(BenchRealtime, ADevicesPathIsComparedWithTheTimers) {
  const auto with_device = [](const char* running, const char* waiting) {
    Json result = realtime_result("999847", "999847", R"({"40": 5000})");
    Ran run = recorded("");
    run.exact_time = false;
    Json& arrivals = run.counts["cpus"][0]["regions"]["28"]["arrivals"];
    arrivals["running"] = Json::parse(running);
    arrivals["waiting"] = Json::parse(waiting);
    result["cells"].push_back(
        {{"suite", "realtime"}, {"machine", "rt-device-halt"}, {"figures", realtime_figures(run)}});
    return verdicts(result);
  };
  EXPECT_EQ(with_device("{}", R"({"40": 5000})"), "R1+ R2+ R4+ R5+ R6+ R8+ ");
  EXPECT_EQ(with_device(R"({"0": 50})", R"({"40": 5000})"), "R1+ R2+ R4+ R5+ R6+ R8+ ");
  EXPECT_EQ(with_device("{}", R"({"41": 5000})"), "R1+ R2+ R4+ R5+ R6+ R8- ");
  EXPECT_EQ(with_device(R"({"1": 1})", R"({"40": 5000})"), "R1+ R2+ R4+ R5+ R6+ R8- ");
}

TEST(BenchRealtime, ClaimsArePrintedAndCounted) {
  Json one = realtime_result("999847", "999847", R"({"61": 5000})");
  EXPECT_EQ(realtime_claims_text(one), "");
  one["realtime claims"] = realtime_claims(one);
  EXPECT_NE(realtime_claims_text(one).find("4 of 5 are met.\n"), std::string::npos);
  EXPECT_NE(realtime_table(one).find("waiting 61: 5000"), std::string::npos);
}

}  // namespace
}  // namespace mezzo::bench
