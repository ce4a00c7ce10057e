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
  for (const char* line :
       {"domain", "domain user", "domain user 0", "domain user 0 x", "domain user 5 4",
        "domain user 0 1 2", "watch user 0 1", "traps", "event", "event cps monitor",
        "event cps monitor x", "event cps monitor 1 2", "uncounted"}) {
    const auto parsed = parse_table(std::string("domain a 0 1\n") + line);
    ASSERT_FALSE(parsed) << line;
    EXPECT_TRUE(parsed.error().starts_with("line 2: ")) << parsed.error();
  }
}

std::string kind_of(std::array<std::uint8_t, 8> bytes, bool is64 = false) {
  const auto kind = sensitive_kind(bytes, is64 ? Processor::X86_64 : Processor::X86);
  return kind ? kSensitive[*kind].name : "";
}

std::string kind_of_word(std::uint32_t word) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t n = 0; n < 4; ++n) bytes[n] = static_cast<std::uint8_t>(word >> 8 * n);
  const auto kind = sensitive_kind(bytes, Processor::Arm);
  return kind ? kSensitiveArm[*kind].name : "";
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

TEST(Sensitive, WordsOfArmAreRecognizedWhateverTheirCondition) {
  EXPECT_EQ(kind_of_word(0xf10c0080), "cps");       // CPSID I
  EXPECT_EQ(kind_of_word(0xe10f3000), "mrs_cpsr");  // MRS R3, CPSR
  EXPECT_EQ(kind_of_word(0x110f3000), "mrs_cpsr");  // MRSNE
  EXPECT_EQ(kind_of_word(0xe14fe000), "mrs_spsr");
  EXPECT_EQ(kind_of_word(0xe121f003), "msr_cpsr");
  EXPECT_EQ(kind_of_word(0xe128f003), "");  // MSR of the flags
  EXPECT_EQ(kind_of_word(0xe16ff003), "msr_spsr");
  EXPECT_EQ(kind_of_word(0xe1b0f00e), "movs_pc");
  EXPECT_EQ(kind_of_word(0xe1a0f00e), "");  // MOV PC, LR
  EXPECT_EQ(kind_of_word(0xe8fd8000), "ldm_return");
  EXPECT_EQ(kind_of_word(0xe8dd7fff), "ldm_stm_user");
  EXPECT_EQ(kind_of_word(0xe4b02004), "ldrt_strt");  // LDRT
  EXPECT_EQ(kind_of_word(0xe6ef1071), "");           // UXTB
  EXPECT_EQ(kind_of_word(0xe4902004), "");           // LDR R2, [R0], #4
  EXPECT_EQ(kind_of_word(0xee020f10), "write_ttbr0");
  EXPECT_EQ(kind_of_word(0xee1d1f90), "tpidrprw");
  EXPECT_EQ(kind_of_word(0xee030f10), "dacr");
  EXPECT_EQ(kind_of_word(0xee070f3a), "cache");
  EXPECT_EQ(kind_of_word(0xee080f33), "tlb");
  EXPECT_EQ(kind_of_word(0xefa50021), "patched");
  EXPECT_EQ(kind_of_word(0xef000000), "svc");
  EXPECT_EQ(kind_of_word(0xe320f003), "wfi");
  EXPECT_EQ(kind_of_word(0xe320f000), "");
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

// A stay in the monitor belongs to the first event in it, from the way in to the way out.
TEST(Recorder, StoresToCountersAreEvents) {
  const Table known =
      parse_table(std::string(kTable) + "event cps monitor ffc00100\nevent wait monitor ffc00108\n")
          .value();
  Recorder recorder(known);
  const auto stay = [&](std::initializer_list<std::uint64_t> stores) {
    recorder.block(kMonitor);
    recorder.instruction(kMonitor);
    for (const std::uint64_t address : stores) {
      recorder.store(address);
      recorder.instruction(kMonitor);
    }
    recorder.block(kKernel);
  };
  stay({0xffc00100});
  stay({0xffc00108, 0xffc0010c, 0xffc00100});
  stay({});
  EXPECT_EQ(recorder.counts().events, (std::vector<std::uint64_t>{2, 1}));
  EXPECT_EQ(recorder.counts().event_instructions, (std::vector<std::uint64_t>{2, 4, 1}));
  stay({0xffc00100});
  stay({0xffc00100, 0xffc00100});
  EXPECT_EQ(recorder.event_lengths()[0], (Lengths{{2, 2}, {3, 1}}));
  EXPECT_EQ(recorder.event_lengths()[1], (Lengths{{4, 1}}));
  const auto json = nlohmann::json::parse(to_json(known, std::vector{recorder}));
  EXPECT_EQ(json["cpus"][0]["event_lengths"].dump(), R"([{"2":2,"3":1},{"4":1}])");
  EXPECT_TRUE(known.has_events(kMonitor));
  EXPECT_FALSE(known.has_events(kKernel));
}

// What precedes a handler: its own domain, a stay elsewhere, or what is left of one after a wait.
TEST(Recorder, ArrivalsTellWhatWasExecutedBeforeThem) {
  const Table known = table();
  Recorder recorder(known);
  const std::size_t hlt = *sensitive_kind({0xf4}, Processor::X86);
  const auto execute = [&](std::size_t domain, int count) {
    recorder.block(domain);
    for (int n = 0; n < count; ++n) recorder.instruction(domain);
  };
  const auto wait = [&](std::size_t domain) {
    recorder.block(domain);
    recorder.sensitive(hlt, domain);
    recorder.instruction(domain);
  };
  execute(kKernel, 1);
  recorder.arrive();  // forgotten at the region's begin
  recorder.begin(7);
  execute(kKernel, 5);
  execute(kKernel, 0);
  recorder.arrive();
  execute(kMonitor, 9);
  execute(kKernel, 0);
  recorder.arrive();
  wait(kKernel);  // which exits
  execute(kMonitor, 20);
  wait(kMonitor);
  execute(kMonitor, 4);
  wait(kMonitor);
  execute(kMonitor, 3);
  execute(kKernel, 0);
  recorder.arrive();
  execute(kKernel, 2);
  recorder.end(7);
  const Arrivals& arrivals = recorder.regions().at(7).arrivals;
  EXPECT_EQ(arrivals.running, (Lengths{{0, 1}, {9, 1}}));
  EXPECT_EQ(arrivals.waiting, (Lengths{{3, 1}}));
  EXPECT_EQ(arrivals.longest[kMonitor], 20u);
  EXPECT_EQ(arrivals.longest[kUser], 0u);
  const auto json = nlohmann::json::parse(to_json(known, std::vector{recorder}));
  EXPECT_EQ(json["cpus"][0]["regions"]["7"]["arrivals"]["running"].dump(), R"({"0":1,"9":1})");
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
