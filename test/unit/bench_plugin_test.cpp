// The counting plugin without QEMU: its table, its knowledge of instructions, its regions.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/plugin/recorder.hpp"

namespace mezzo::count {
namespace {

constexpr char kTable[] =
    "# comment\n"
    "domain user 0 bfffffff\n"
    "domain kernel c0000000 ffbfffff\n"
    "domain monitor ffc00000 ffffffff\n"
    "traps kernel\n";
enum : std::size_t { kUser, kKernel, kMonitor, kOther };

Table table() { return parse_table(kTable).value(); }

TEST(CountTable, AddressesHaveDomains) {
  EXPECT_EQ(table().domain_of(0), kUser);
  EXPECT_EQ(table().domain_of(0xbfffffff), kUser);
  EXPECT_EQ(table().domain_of(0xc0000000), kKernel);
  EXPECT_EQ(table().domain_of(0xffffffff), kMonitor);
  EXPECT_EQ(table().domain_of(0x100000000), kOther);
}

TEST(CountTable, BadLinesAreNamed) {
  for (const char* line : {"domain", "domain user", "domain user 0", "domain user 0 x",
                           "domain user 5 4", "domain user 0 1 2", "watch user 0 1", "traps"}) {
    const auto parsed = parse_table(std::string("domain a 0 1\n") + line);
    ASSERT_FALSE(parsed) << line;
    EXPECT_TRUE(parsed.error().starts_with("line 2: ")) << parsed.error();
  }
}

std::string kind_of(std::array<std::uint8_t, 8> bytes, bool is64 = false) {
  const auto kind = sensitive_kind(bytes, is64);
  return kind ? kSensitive[*kind].name : "";
}

TEST(Sensitive, IsRecognizedByOpcodeAndRegister) {
  EXPECT_EQ(kind_of({0x0f, 0x22, 0xd8}), "write_cr3");
  EXPECT_EQ(kind_of({0x0f, 0x20, 0xd0}), "read_cr2");
  EXPECT_EQ(kind_of({0x0f, 0x22, 0xd0}), "");  // MOV to CR2
  EXPECT_EQ(kind_of({0x0f, 0x01, 0x38}), "invlpg");
  EXPECT_EQ(kind_of({0x0f, 0x01, 0xf8}), "");  // SWAPGS
  EXPECT_EQ(kind_of({0x66, 0x0f, 0x01, 0x15}), "lgdt");
  EXPECT_EQ(kind_of({0xf4}), "hlt");
  EXPECT_EQ(kind_of({0x90}), "");
}

TEST(Sensitive, RexIsAPrefixOnlyInLongMode) {
  EXPECT_EQ(kind_of({0x48, 0x0f, 0x00, 0xd8}, true), "ltr");
  EXPECT_EQ(kind_of({0x48, 0xfa}, false), "");  // DEC EAX
}

TEST(Recorder, RegionsHaveWhatLiesBetweenTheirMarkers) {
  const Table known = table();
  Recorder recorder(known);
  recorder.instruction(kUser);
  for (int n = 0; n < 2; ++n) {
    recorder.begin(7);
    recorder.block(kUser);
    recorder.instruction(kUser);
    recorder.block(kMonitor);
    recorder.instruction(kMonitor);
    recorder.instruction(kMonitor);
    recorder.end(7);
    recorder.instruction(kUser);
  }
  const Region& region = recorder.regions().at(7);
  EXPECT_EQ(region.occurrences, 2u);
  EXPECT_EQ(region.counts.instructions, (std::vector<std::uint64_t>{2, 0, 4, 0}));
  EXPECT_EQ(region.counts.transitions[kUser * 4 + kMonitor], 2u);
  EXPECT_EQ(recorder.counts().instructions[kUser], 5u);
}

TEST(Recorder, ARegionWithoutABeginStartsWithTheRun) {
  const Table known = table();
  Recorder recorder(known);
  recorder.instruction(kKernel);
  recorder.end(0);
  EXPECT_EQ(recorder.regions().at(0).counts.instructions[kKernel], 1u);
}

TEST(Recorder, PagesAreCountedFromRootSwitchToRootSwitch) {
  const Table known = table();
  Recorder recorder(known);
  recorder.sensitive(kRootWrite, kMonitor);
  recorder.touch(0x1000);
  recorder.touch(0x1fff);
  recorder.touch(0x2000);
  recorder.sensitive(kRootWrite, kKernel);  // an attempt: the monitor is asked
  recorder.touch(0x3000);
  recorder.sensitive(kRootWrite, kMonitor);
  EXPECT_EQ(recorder.counts().root_switches, 2u);
  EXPECT_EQ(recorder.counts().pages, 3u);
}

TEST(Recorder, WritesJson) {
  const Table known = table();
  std::vector<Recorder> recorders;
  recorders.emplace_back(known);
  recorders[0].instruction(kUser);
  recorders[0].end(3);
  const auto json = nlohmann::json::parse(to_json(known, recorders));
  EXPECT_EQ(json["domains"][kOther], "other");
  EXPECT_EQ(json["sensitive"][kRootWrite], "write_cr3");
  EXPECT_EQ(json["cpus"][0]["regions"]["3"]["instructions"][kUser], 1);
}

}  // namespace
}  // namespace mezzo::count
