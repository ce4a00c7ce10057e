// The tool's side of a running machine: its memory, the mailbox, run folders, results. No QEMU
// (tool_run_qemu_test.cpp): a thread plays the monitor.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "arch/armv7/exception.hpp"
#include "arch/ia32/control_registers.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/process.hpp"
#include "mezzo_build.hpp"
#include "run/control.hpp"
#include "run/machine_ram.hpp"
#include "run/monitor_log.hpp"
#include "run/names.hpp"
#include "run/result.hpp"
#include "run/run_dir.hpp"
#include "run/status_text.hpp"
#include "support/json_schema.hpp"

namespace mezzo::run {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t kBase = 0x100000;
constexpr std::uint64_t kRamSize = 0x200000;

void set_name(status::PartitionStatus& partition, const char* name) {
  std::strncpy(partition.name, name, sizeof(partition.name) - 1);
}

// The status region of a machine with two partitions, one of which has stopped.
void fill(status::Region& region) {
  region.version = status::kVersion;
  region.size = sizeof(status::Region);
  region.cpu_count = 2;
  region.tsc_khz = 1000;
  region.partition_count = 2;
  region.heartbeats = 42;
  region.strays[34] = 7;
  region.now_tsc = 5'000'000;
  set_name(region.partitions[0], "alpha");
  region.partitions[0].state = status::State::Running;
  region.partitions[0].started_tsc = 1'000'000;
  region.partitions[0].exits[static_cast<int>(status::ExitCause::WriteCr3)] = 0x100000001;
  set_name(region.partitions[1], "beta");
  region.partitions[1].state = status::State::Stopped;
  region.partitions[1].reason = status::StopReason::TripleFault;
  region.partitions[1].detail[1] = 0xc0de;
  region.partitions[1].cpu = 1;
  region.partitions[1].restarts = 3;
  region.partitions[1].started_tsc = 1'000'000;
  region.partitions[1].stopped_tsc = 2'500'000;
  region.magic = status::kMagic;
}

class MachineTest : public testing::Test {
 protected:
  void SetUp() override { setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1); }
  void TearDown() override { unsetenv("XDG_RUNTIME_DIR"); }

  base::TemporaryDirectory directory_{std::filesystem::temp_directory_path(), "mezzo-test"};
  MachineRam ram_ = MachineRam::create(directory_.path() / "ram", kRamSize);
  status::Region& region_ = ram_.region(kBase);
};

TEST_F(MachineTest, ShowsNothingBeforeTheMonitorStarts) {
  EXPECT_FALSE(snapshot(region_).has_value());
  fill(region_);
  const MachineRam again = MachineRam::open(directory_.path() / "ram");
  const auto seen = snapshot(again.region(kBase));
  ASSERT_TRUE(seen.has_value());
  EXPECT_STREQ(seen->partitions[1].name, "beta");
  EXPECT_EQ(seen->partitions[0].exits[static_cast<int>(status::ExitCause::WriteCr3)], 0x100000001u);
}

TEST_F(MachineTest, RefusesAnotherVersionAndAPlaceOutsideTheRam) {
  fill(region_);
  region_.version = status::kVersion + 1;
  EXPECT_THROW(static_cast<void>(snapshot(region_)), UserError);
  EXPECT_THROW(static_cast<void>(ram_.region(kRamSize - 4096)), UserError);
  EXPECT_THROW(MachineRam::create(directory_.path() / "ram", kRamSize), UserError);
}

TEST_F(MachineTest, DoesNotBelieveImpossibleCounts) {
  fill(region_);
  region_.partition_count = 1000;
  region_.cpu_count = 1000;
  EXPECT_EQ(snapshot(region_)->partition_count, plan::kMaxPartitions);
  EXPECT_EQ(snapshot(region_)->cpu_count, status::kMaxCpus);
}

TEST_F(MachineTest, UnrollsTheLogRing) {
  status::Log& log = region_.log;
  std::memcpy(log.text, "hello\n", 6);
  log.written = 6;
  EXPECT_EQ(log_text(log), "hello\n");
  std::memset(log.text, 'x', sizeof(log.text));
  std::memcpy(log.text, "d\nnew\n", 6);  // the ring has wrapped: "...xxx" is the oldest line's rest
  log.text[6] = 'o';
  log.text[sizeof(log.text) - 4] = '\n';
  log.written = status::kLogSize + 6;
  EXPECT_EQ(log_text(log), "xxxd\nnew\n");
}

TEST_F(MachineTest, MonitorLogFollowsTheRing) {
  status::Log& log = region_.log;
  const auto write = [&log](std::string_view text) {
    for (const char character : text) {
      log.text[log.written % status::kLogSize] = character;
      ++log.written;
    }
  };
  MonitorLog monitor(log);
  EXPECT_EQ(monitor.next(), "");
  write("first\n");
  EXPECT_EQ(monitor.next(), "first\n");
  EXPECT_EQ(monitor.next(), "");
  write(std::string(status::kLogSize - 3, 'x') + "\n");
  EXPECT_EQ(monitor.next(), std::string(status::kLogSize - 3, 'x') + "\n");
  write("lost" + std::string(status::kLogSize, 'y'));
  EXPECT_EQ(monitor.next(), std::string(status::kLogSize, 'y')) << "only what is still there";
  EXPECT_THAT(monitor.seen(), testing::StartsWith("first\nxxx"));
}

TEST_F(MachineTest, MonitorLogFollowsADebugPort) {
  const auto file = directory_.path() / "monitor.log";
  std::ofstream port(file, std::ios::binary);
  MonitorLog monitor(file);
  EXPECT_EQ(monitor.next(), "");
  port << std::string(10000, 'x') << std::flush;
  EXPECT_EQ(monitor.next().size(), 10000u);
  port << "last\n" << std::flush;
  EXPECT_EQ(monitor.next(), "last\n");
  EXPECT_EQ(monitor.seen().size(), 10005u);
}

TEST_F(MachineTest, CommandReachesTheMonitorAndItsAnswerComesBack) {
  fill(region_);
  std::atomic_bool end{false};
  std::thread monitor([&] {
    std::atomic_ref requested(region_.control.requested);
    std::atomic_ref completed(region_.control.completed);
    while (!end) {
      const std::uint32_t ticket = requested.load(std::memory_order_acquire);
      if (ticket == completed.load()) continue;
      const bool known = region_.control.command == status::Command::Pause;
      region_.control.result = known && region_.control.partition == 1
                                   ? status::CommandResult::Done
                                   : status::CommandResult::WrongState;
      completed.store(ticket, std::memory_order_release);
    }
  });
  const auto send = [&](status::Command command, std::uint32_t partition) {
    return send_command(region_.control, directory_.path() / "lock", command, partition,
                        std::chrono::seconds(10));
  };
  EXPECT_EQ(send(status::Command::Pause, 1), status::CommandResult::Done);
  EXPECT_EQ(send(status::Command::Resume, 1), status::CommandResult::WrongState);
  EXPECT_EQ(send(status::Command::Pause, 0), status::CommandResult::WrongState);
  // Two at once are answered one after the other.
  std::thread other(
      [&] { EXPECT_EQ(send(status::Command::Pause, 1), status::CommandResult::Done); });
  EXPECT_EQ(send(status::Command::Pause, 1), status::CommandResult::Done);
  other.join();
  end = true;
  monitor.join();
  EXPECT_EQ(region_.control.requested, 5u);
}

TEST_F(MachineTest, SilentMonitorIsReportedWithARemedy) {
  fill(region_);
  try {
    static_cast<void>(send_command(region_.control, directory_.path() / "lock",
                                   status::Command::Stop, 0, std::chrono::milliseconds(50)));
    FAIL() << "nobody answered";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("50 ms"));
    EXPECT_THAT(error.remedy(), HasSubstr("mezzo stat"));
  }
}

TEST_F(MachineTest, RunsAreFoundByNameAndTwoOfANameCoexist) {
  EXPECT_THROW(static_cast<void>(find_run("")), UserError);
  const RunDirectory first("demo");
  const RunDirectory second("demo");
  EXPECT_EQ(second.name(), "demo-2");
  const auto publish = [](const RunDirectory& run) {
    run.publish({.name = run.name(),
                 .pid = 1,
                 .system_file = "s",
                 .ram = "/r",
                 .status_offset = kBase,
                 .partitions = {"alpha", "beta"}});
  };
  publish(first);
  EXPECT_EQ(find_run("").info.name, "demo");
  publish(second);
  EXPECT_THROW(static_cast<void>(find_run("")), UserError) << "which of two?";
  EXPECT_THROW(static_cast<void>(find_run("other")), UserError);
  const LiveRun found = find_run("demo-2");
  EXPECT_EQ(found.path, second.path());
  EXPECT_EQ(found.info.status_offset, kBase);
  EXPECT_EQ(find_partition(found.info, "beta"), 1u);
  EXPECT_THROW(static_cast<void>(find_partition(found.info, "gamma")), UserError);
}

TEST_F(MachineTest, LeftoversOfADeadRunAreSwept) {
  const auto dead = directory_.path() / "mezzo" / "dead";
  base::make_directory(dead);
  base::write_file(dead / "lock", "");
  EXPECT_TRUE(live_runs().empty());
  const RunDirectory ours("ours");
  EXPECT_FALSE(std::filesystem::exists(dead));
}

TEST_F(MachineTest, MemoryFilesOfDeadRunsAreSweptAndNoOthers) {
  const auto ours = fmt::format("mezzo-{}-1-", geteuid());
  const auto dead = directory_.path() / (ours + "dead.ram");
  const auto live = directory_.path() / (ours + "live.ram");
  const auto other = directory_.path() / (ours + "live.text");
  base::write_file(dead, "x");
  base::write_file(other, "x");
  {
    const MachineRam running = MachineRam::create(live, kRamSize);
    remove_stale_ram(directory_.path());
    EXPECT_FALSE(std::filesystem::exists(dead));
    EXPECT_TRUE(std::filesystem::exists(live));
    EXPECT_TRUE(std::filesystem::exists(other));
  }
  remove_stale_ram(directory_.path());
  EXPECT_FALSE(std::filesystem::exists(live));
}

TEST(RamPlaces, FirstWithRoomIsChosen) {
  const std::vector<RamPlace> places = {{"/small/ram", 99}, {"/fits/ram", 100}, {"/big/ram", 999}};
  EXPECT_EQ(choose_ram_place(places, 100), "/fits/ram");
  try {
    static_cast<void>(choose_ram_place(places, 1u << 30));
    FAIL() << "there is no room";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("memory of 1024 MiB"));
    EXPECT_THAT(error.what(), HasSubstr("0 MiB in /fits"));
    EXPECT_THAT(error.remedy(), HasSubstr("TMPDIR"));
  }
}

TEST_F(MachineTest, RunDirectoryLeavesNothing) {
  std::filesystem::path path;
  {
    RunDirectory run("gone");
    path = run.path();
    base::write_file(run.choose_ram(4096), "memory");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

nlohmann::json schema() {
  std::ifstream file(std::string(build::kSourceDir) + "/doc/result.schema.json");
  return nlohmann::json::parse(file);
}

RunFacts example_facts() {
  RunFacts facts;
  facts.system = "two";
  facts.outcome = "done";
  facts.started = "2026-01-01T00:00:00Z";
  facts.partitions.resize(2);
  facts.partitions[0].name = "alpha";
  facts.partitions[0].console = "bad byte \xff here";
  facts.partitions[0].has_script = true;
  facts.partitions[1].name = "beta";
  return facts;
}

TEST_F(MachineTest, ResultFollowsItsSchema) {
  fill(region_);
  const nlohmann::json result = make_result(example_facts(), snapshot(region_));
  EXPECT_EQ(test::violations(result, schema()), "");
  EXPECT_EQ(result["partitions"][1]["reason"], "triple_fault");
  EXPECT_EQ(result["partitions"][1]["restarts"], 3);
  EXPECT_EQ(result["partitions"][0]["uptime_seconds"], 4.0);
  EXPECT_EQ(result["partitions"][1]["uptime_seconds"], 1.5);
  EXPECT_EQ(result["partitions"][0]["exits"]["write_cr3"], 0x100000001u);
  EXPECT_TRUE(result["partitions"][0]["script"]["exit_status"].is_null());
  EXPECT_TRUE(result["partitions"][1]["script"].is_null());
  EXPECT_TRUE(result["monitor"]["crash"].is_null());
  EXPECT_EQ(result["monitor"]["strays"], nlohmann::json::parse(R"([{"line":34,"heartbeats":7}])"));
  const std::string text = to_text(result);
  EXPECT_THAT(text, HasSubstr("bad byte \xef\xbf\xbd here"));
  EXPECT_FALSE(nlohmann::json::parse(text).is_null());
}

TEST_F(MachineTest, ResultOfAMonitorThatNeverStartedFollowsTheSchemaToo) {
  const nlohmann::json result = make_result(example_facts(), std::nullopt);
  EXPECT_EQ(test::violations(result, schema()), "");
  EXPECT_TRUE(result["monitor"].is_null());
  EXPECT_EQ(result["partitions"][1]["state"], "built");
}

TEST_F(MachineTest, CrashRecordIsInTheResult) {
  fill(region_);
  region_.crash.valid = 1;
  std::strncpy(region_.crash.message, "an invariant", sizeof(region_.crash.message) - 1);
  const nlohmann::json result = make_result(example_facts(), snapshot(region_));
  EXPECT_EQ(test::violations(result, schema()), "");
  EXPECT_EQ(result["monitor"]["crash"]["message"], "an invariant");
}

TEST(JsonSchema, ValidatorFindsViolations) {
  nlohmann::json result = make_result(example_facts(), std::nullopt);
  result["partitions"][0]["state"] = "dancing";
  EXPECT_NE(test::violations(result, schema()), "");
  result = make_result(example_facts(), std::nullopt);
  result.erase("outcome");
  EXPECT_NE(test::violations(result, schema()), "");
  result = make_result(example_facts(), std::nullopt);
  result["surprise"] = 1;
  EXPECT_NE(test::violations(result, schema()), "");
}

TEST_F(MachineTest, TablesNameWhatTheyCount) {
  fill(region_);
  region_.traces[1].next = 300;
  region_.traces[1].entries[299 % status::kTraceEntries] = {7, 2, 0xc0001234, 5};
  const auto seen = snapshot(region_);
  EXPECT_THAT(partition_table(*seen), HasSubstr("triple_fault"));
  EXPECT_THAT(partition_table(*seen), HasSubstr("4294967297  write_cr3"));
  EXPECT_THAT(partition_table(*seen),
              HasSubstr("Interrupt 34 is nobody's: found raised at 7 heartbeats, masked\n"));
  EXPECT_THAT(trace_table(*seen, 3), HasSubstr("CPU 1: 300 exits recorded, the last 3"));
  EXPECT_THAT(trace_table(*seen, 3), HasSubstr("read_cr2          pc c0001234  value 00000005"));
}

TEST_F(MachineTest, RatesAreOfTheTimeBetween) {
  fill(region_);
  const status::Region before = region_;
  region_.now_tsc += 2'000'000;  // two seconds
  auto& exits = region_.partitions[0].exits;
  for (std::uint32_t cause = 0; cause < 6; ++cause) exits[cause] += 10 * (cause + 1);
  region_.partitions[1].exits[0] = 0;
  const std::string table = rate_table(before, region_);
  EXPECT_THAT(table, HasSubstr("105  write_cr3 30, read_cr3 25, write_cr2 20, read_cr2 15\n"));
  EXPECT_THAT(
      table,
      HasSubstr("beta             stopped      1      -                -        3          0  \n"));
  // Nothing is known before the next heartbeat.
  EXPECT_THAT(
      rate_table(region_, region_),
      HasSubstr("alpha            running      0      -                -        0          -"));
}

TEST_F(MachineTest, SharesWindowsAndWatchdogsAreShown) {
  fill(region_);
  region_.tsc_khz = 1000;
  const std::uint64_t start = region_.now_tsc;
  status::PartitionStatus& alpha = region_.partitions[0];
  alpha.share.since_tsc = start;
  const status::Region before = region_;
  region_.now_tsc += 2'000'000;
  alpha.share = {.since_tsc = start,
                 .run_ticks = 500'000,
                 .windows = 11,
                 .late_ticks = 40,
                 .late_most = 9,
                 .overruns = 2,
                 .missed = 1};
  alpha.watchdog.kicks = 7;
  alpha.watchdog.expiries = 3;
  alpha.watchdog.restart_ticks = 1500;
  alpha.watchdog.restart_most = 2500;
  EXPECT_THAT(rate_table(before, region_),
              HasSubstr("alpha            running      0  25.0%          4.0/9.0        0"));
  const nlohmann::json facts = partition_json(region_, 0);
  EXPECT_EQ(facts["share"]["of_processor"], 0.25);
  EXPECT_EQ(facts["latency"], nullptr) << "it has told nothing";
  alpha.latency = {.mean = 3, .most = 12};
  EXPECT_EQ(partition_json(region_, 0)["latency"]["mean_us"], 3.0);
  EXPECT_THAT(rate_table(before, region_), HasSubstr(" 25.0%         3.0/12.0 "));
  EXPECT_EQ(facts["share"]["windows"]["late_mean_us"], 4.0);
  EXPECT_EQ(partition_json(region_, 1)["share"], nullptr) << "it shares with nobody";
  const std::string table = partition_table(region_);
  EXPECT_THAT(table, HasSubstr("Windows of alpha: 11 begun, late 4.0 us on average and 9.0 us at "
                               "most, 2 overruns, 1 missed\n"));
  EXPECT_THAT(table, HasSubstr("Watchdog of alpha: kicked 7 times, has run out 3 times\n"));
  EXPECT_THAT(table, HasSubstr("to the first instruction: 1.5 ms, at most 2.5 ms\n"));
}

TEST(Names, AreTotalAndDistinct) {
  for (const auto architecture : {plan::Architecture::Ia32, plan::Architecture::Armv7}) {
    std::vector<std::string_view> seen;
    for (std::uint32_t cause = 0; cause < exit_causes_of(architecture); ++cause) {
      const auto name = name_of_cause(architecture, cause);
      EXPECT_THAT(seen, Not(Contains(name)));
      seen.push_back(name);
    }
    EXPECT_EQ(name_of_cause(architecture, exit_causes_of(architecture)), "unknown");
  }
  EXPECT_EQ(name_of_cause(plan::Architecture::Ia32,
                          static_cast<std::uint32_t>(status::ExitCause::MonitorFault)),
            "monitor_fault");
  EXPECT_EQ(name_of_cause(plan::Architecture::Armv7,
                          static_cast<std::uint32_t>(status::Armv7Exit::Hypercall)),
            "hypercall");
  EXPECT_EQ(name_of(status::StopReason::MachineCheck), "machine_check");
  EXPECT_EQ(name_of(status::StopReason::Halted), "halted");
  EXPECT_EQ(name_of(status::State::Restarting), "restarting");
  EXPECT_EQ(name_of(static_cast<status::State>(99)), "unknown");
}

TEST(Names, SayWhatIsNotSupported) {
  const auto words = [](auto what) {
    return words_for_unsupported(static_cast<std::uint32_t>(what));
  };
  EXPECT_EQ(words(ia32::Unsupported::LongMode), "long mode");
  EXPECT_THAT(words(ia32::Unsupported::LargeGdt), HasSubstr("GDT"));
  EXPECT_THAT(words(armv7::Unsupported::ThumbKernel), HasSubstr("Thumb"));
  EXPECT_THAT(words(armv7::Unsupported::BigEndianEntry), HasSubstr("big-endian"));
  EXPECT_THAT(words(armv7::Unsupported::PatchTableFull), HasSubstr("replaced"));
  EXPECT_THAT(words(armv7::Unsupported::FastInterrupt), HasSubstr("FIQ"));
  EXPECT_EQ(words(99), "");
}

}  // namespace
}  // namespace mezzo::run
