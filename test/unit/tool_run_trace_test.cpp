// The trace rings in the form that viewers open: whose exits they are, and when they were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/trace.hpp"
#include "run/trace_export.hpp"

namespace mezzo::run {
namespace {

using testing::Contains;

// Of two processors, each with a partition.
class TraceExport : public testing::Test {
 protected:
  TraceExport() {
    region_.cpu_count = region_.partition_count = 2;
    std::strcpy(region_.partitions[0].name, "alpha");
    std::strcpy(region_.partitions[1].name, "beta");
    region_.partitions[1].cpu = 1;
  }

  std::unique_ptr<status::Region> memory_ = std::make_unique<status::Region>();
  status::Region& region_ = *memory_;
};

// An entry has 32 bits of its time: the end of the list is near the last heartbeat, and what is
// before a gap that cannot be told is left out.
TEST_F(TraceExport, ATraceForViewersHasTimesSinceTheStart) {
  region_.tsc_khz = 1'000'000;
  region_.boot_tsc = 0x5'0000'0000;
  region_.now_tsc = 0x6'0000'1000;
  region_.partitions[0].started_tsc = 0x5'0000'0000;
  region_.partitions[0].stopped_tsc = 0x5'0000'07d0;  // 2 us
  region_.partitions[1].started_tsc = 0;
  const auto put = [&](std::uint32_t n, std::uint32_t low) {
    region_.traces[1].entries[n % status::kTraceEntries] = {low, 2, 0xc0001234, n};
  };
  region_.traces[0].next = 0;
  region_.traces[1].next = 300;
  put(299, 0x00002000);  // behind the heartbeat
  put(298, 0xffffff00);  // before it
  put(297, 0x7fffff01);
  put(296, 0x80000000);  // more than half of 32 bits earlier, or anything
  put(295, 0);
  const nlohmann::json trace = chrome_trace(region_, status::kTraceEntries);
  std::vector<double> times;
  std::vector<std::string> tracks, lives;
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == "M") tracks.push_back(event["args"]["name"]);
    if (event["ph"] == "X") lives.push_back(event["name"]);
    if (event["ph"] != "i") continue;
    EXPECT_EQ(event["name"], "read_cr2");
    EXPECT_EQ(event["args"]["pc"], "0xc0001234");
    EXPECT_EQ(event["tid"], 2);
    times.push_back(event["ts"]);
  }
  const auto at = [&](std::uint64_t tsc) {
    return static_cast<double>(tsc - region_.boot_tsc) / 1000;
  };
  EXPECT_EQ(times, (std::vector<double>{at(0x5'7fff'ff01), at(0x5'ffff'ff00), at(0x6'0000'2000)}));
  EXPECT_EQ(lives, std::vector<std::string>{"alpha"});
  EXPECT_THAT(tracks, Contains("CPU 1"));
  EXPECT_EQ(chrome_trace(region_, 1)["traceEvents"].size() + 2, trace["traceEvents"].size());
}

// What is behind a switch is the other partition's, what is before the first one that of who had
// the processor.
TEST_F(TraceExport, ATraceOfASharedProcessorHasATrackForEachPartition) {
  region_.tsc_khz = 1'000'000;
  region_.boot_tsc = 0;
  region_.now_tsc = 5'000'000;
  region_.partitions[0].cpu = region_.partitions[1].cpu = 1;
  constexpr auto kSwitch = static_cast<std::uint32_t>(status::ExitCause::PartitionSwitch);
  region_.traces[0].next = 0;
  status::Trace& trace = region_.traces[1];
  trace.next = 0;
  for (const status::TraceEntry& entry : {status::TraceEntry{1000, 2, 0, 0},
                                          {2000, kSwitch, 0, 1u << 16 | 0},
                                          {3000, 2, 0, 0},
                                          {4000, kSwitch, 0, 0u << 16 | 1},
                                          {5000, 2, 0, 0}}) {
    record(trace, entry);
  }
  std::vector<int> owners;
  const nlohmann::json seen = chrome_trace(region_, status::kTraceEntries);
  for (const auto& event : seen["traceEvents"]) {
    if (event["ph"] == "i") owners.push_back(event["pid"].get<int>() - 1);
  }
  EXPECT_EQ(owners, (std::vector<int>{1, 0, 0, 1, 1}));
}

TEST_F(TraceExport, ATraceWithoutTimesIsInOrder) {
  region_.architecture = plan::Architecture::Armv7;
  region_.tsc_khz = 1'000'000;
  region_.boot_tsc = 0;
  region_.now_tsc = 5'000'000;  // 5 ms
  region_.traces[0].next = 0;
  region_.traces[1].next = 2;
  region_.traces[1].entries[0] = {0, 2, 0xc0001234, 0};
  region_.traces[1].entries[1] = {1, 2, 0xc0001234, 0};
  std::vector<double> times;
  std::vector<std::string> tracks;
  const nlohmann::json trace = chrome_trace(region_, status::kTraceEntries);
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == "M") tracks.push_back(event["args"]["name"]);
    if (event["ph"] == "i") times.push_back(event["ts"]);
  }
  EXPECT_EQ(times, (std::vector<double>{4998, 4999}));
  EXPECT_THAT(tracks, Contains("CPU 1 (exits in order, their times unknown)"));
}

}  // namespace
}  // namespace mezzo::run
