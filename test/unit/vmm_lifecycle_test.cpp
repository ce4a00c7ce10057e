// The states of a partition and the commands that move it, on a processor made of plain data.
#include "core/lifecycle.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mezzo {
namespace {

using status::Command;
using status::CommandResult;
using status::State;
using status::StopReason;

constexpr std::uint32_t kStore = 0x100, kMemory = 0x200, kFile = 8, kLoaded = 16;

// Bytes for machine memory, and a script of what happens while the CPU sleeps.
struct FakePlatform {
  std::array<unsigned char, 0x400> machine{};
  std::array<unsigned char, 0x400> behind_caches{};  // what a guest without caches finds
  std::deque<std::function<void()>> while_asleep{};
  std::vector<std::string> calls{};
  bool heartbeat = false, timekeeper = true, completes = true, trusts = false;
  std::vector<std::uint32_t> strays{};
  std::uint64_t time = 100;
  int ways_given = 0;

  void sleep() {
    ASSERT_FALSE(while_asleep.empty()) << "sleeps for ever";
    const auto next = while_asleep.front();
    while_asleep.pop_front();
    next();
  }
  bool take_heartbeat() { return std::exchange(heartbeat, false); }
  [[nodiscard]] bool keeps_time() const { return timekeeper; }
  template <class Work>
  void for_each_stray(Work&& work) {
    for (const std::uint32_t line : strays) work(line);
  }
  std::uint64_t now() { return ++time; }
  void quiesce() { calls.emplace_back("quiesce"); }
  void reset() { calls.emplace_back("reset"); }
  unsigned char* memory(std::uint32_t address) { return &machine.at(address); }
  void written(std::uint32_t address, std::uint32_t bytes) {
    for (std::uint32_t n = 0; n < bytes; ++n)
      behind_caches.at(address + n) = machine.at(address + n);
  }
  void give_way() { ++ways_given; }
  [[nodiscard]] bool trusts_boot_loader() const { return trusts; }
  bool complete() {
    calls.emplace_back("complete");
    return completes;
  }
};
static_assert(Platform<FakePlatform>);
using Life = Lifecycle<FakePlatform>;
using Next = Life::Next;

struct Fixture {
  FakePlatform platform;
  plan::Plan plan{};
  status::Region region{};
  diag::Log log{region.log, [](char) {}};
  OwedAnswer owed;
  Life life{platform, plan, region, log, 0, 1, owed};

  Fixture() {
    plan.store_base = kStore;
    plan.partition_count = 2;
    plan::Partition& row = plan.partitions[1];
    row.name[0] = 'g';
    row.first_load = 3;
    row.load_count = 1;
    for (std::uint32_t n = 0; n < kFile; ++n) {
      platform.machine[kStore + 4 + n] = static_cast<unsigned char>(n + 1);
    }
    plan.loads[3] = {.destination = kMemory,
                     .store_offset = 4,
                     .file_size = kFile,
                     .memory_size = kLoaded,
                     .crc32 = plan::crc32(&platform.machine[kStore + 4], kFile)};
    spoil_memory();
  }
  void spoil_memory() {
    for (std::uint32_t n = 0; n < kLoaded; ++n) {
      platform.machine[kMemory + n] = platform.behind_caches[kMemory + n] = 0xee;
    }
  }
  [[nodiscard]] bool is_loaded() const {
    for (std::uint32_t n = 0; n < kLoaded; ++n) {
      const unsigned wanted = n < kFile ? n + 1 : 0;
      if (platform.machine[kMemory + n] != wanted) return false;
      if (platform.behind_caches[kMemory + n] != wanted) return false;
    }
    return true;
  }
  void command(Command what, std::uint32_t partition = 1) {
    region.control.command = what;
    region.control.partition = partition;
    region.control.requested = region.control.requested + 1;
  }
  void later(Command what, std::uint32_t partition = 1) {
    platform.while_asleep.emplace_back([this, what, partition] { command(what, partition); });
  }
  [[nodiscard]] bool is_answered(CommandResult result) const {
    return region.control.completed == region.control.requested && region.control.result == result;
  }
  [[nodiscard]] status::PartitionStatus& row() { return region.partitions[1]; }
  [[nodiscard]] bool logged(std::string_view text) const {
    return std::string_view(region.log.text, region.log.written).find(text) !=
           std::string_view::npos;
  }
  void start() {
    life.start();
    platform.calls.clear();
  }
};

TEST(Lifecycle, GivesWayAfterEachPieceOfALoad) {
  Fixture f;
  f.start();
  EXPECT_EQ(f.platform.ways_given, 3) << "verified, copied, cleared behind";
}

TEST(Lifecycle, JudgesEveryCommandInEveryState) {
  constexpr auto kDone = CommandResult::Done, kWrong = CommandResult::WrongState;
  const auto row = [](Command command) {
    std::vector<CommandResult> results;
    for (const State state :
         {State::Built, State::Running, State::Paused, State::Stopped, State::Restarting}) {
      results.push_back(judge(command, state));
    }
    return results;
  };
  EXPECT_EQ(row(Command::Stop), (std::vector{kWrong, kDone, kDone, kWrong, kWrong}));
  EXPECT_EQ(row(Command::Restart), (std::vector{kWrong, kDone, kDone, kDone, kWrong}));
  EXPECT_EQ(row(Command::Pause), (std::vector{kWrong, kDone, kWrong, kWrong, kWrong}));
  EXPECT_EQ(row(Command::Resume), (std::vector{kWrong, kWrong, kDone, kWrong, kWrong}));
  EXPECT_EQ(row(Command::None), (std::vector(5, CommandResult::UnknownCommand)));
  EXPECT_EQ(row(static_cast<Command>(99)), (std::vector(5, CommandResult::UnknownCommand)));
}

TEST(Lifecycle, StartLoadsTheImagesBetweenResetAndCompletion) {
  Fixture f;
  f.life.start();
  EXPECT_EQ(f.platform.calls, (std::vector<std::string>{"reset", "complete"}));
  EXPECT_TRUE(f.is_loaded());
  EXPECT_EQ(f.row().state, State::Running);
  EXPECT_NE(f.row().started_tsc, 0u);
  EXPECT_EQ(f.row().stopped_tsc, 0u);
  EXPECT_EQ(f.row().restarts, 0u);
  EXPECT_TRUE(f.logged("g: starts on CPU 0"));
}

TEST(Lifecycle, ADamagedCopyStopsThePartitionUntilARestartSucceeds) {
  Fixture f;
  unsigned char& damaged = f.platform.machine[kStore + 5];
  const unsigned char good = damaged;
  damaged = 0;
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_EQ(f.row().state, State::Stopped);
    EXPECT_EQ(f.row().reason, StopReason::CorruptImage);
    EXPECT_EQ(f.row().detail[0], 3u);
    f.command(Command::Restart);
  });
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_EQ(f.row().state, State::Stopped);
    EXPECT_TRUE(f.is_answered(CommandResult::Done));
    damaged = good;
    f.command(Command::Restart);
  });
  f.life.start();
  EXPECT_TRUE(f.platform.while_asleep.empty());
  EXPECT_EQ(f.row().state, State::Running);
  EXPECT_EQ(f.row().restarts, 2u);
  EXPECT_TRUE(f.is_loaded());
  EXPECT_TRUE(f.is_answered(CommandResult::Done));
}

TEST(Lifecycle, ABootLoaderThatIsTrustedIsTrustedOnce) {
  Fixture f;
  f.platform.trusts = true;
  f.platform.machine[kStore + 5] = 0;
  f.life.start();
  EXPECT_EQ(f.row().state, State::Running);
  f.command(Command::Restart);
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_EQ(f.row().state, State::Stopped);
    EXPECT_EQ(f.row().reason, StopReason::CorruptImage);
    f.platform.machine[kStore + 5] = 2;
    f.command(Command::Restart);
  });
  EXPECT_EQ(f.life.obey(), Next::Begin);
  EXPECT_TRUE(f.is_loaded());
}

TEST(Lifecycle, APartitionThatCannotBeBuiltSaysSo) {
  Fixture f;
  f.platform.completes = false;
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_EQ(f.row().reason, StopReason::CorruptImage);
    EXPECT_EQ(f.row().detail[0], ~0u);
    EXPECT_TRUE(f.logged("g: cannot be built"));
    f.platform.completes = true;
    f.command(Command::Restart);
  });
  f.life.start();
  EXPECT_EQ(f.row().state, State::Running);
}

TEST(Lifecycle, WithoutACommandTheGuestGoesOn) {
  Fixture f;
  f.start();
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_TRUE(f.platform.calls.empty());
}

TEST(Lifecycle, OneCpuCountsHeartbeats) {
  Fixture f;
  f.start();
  f.platform.heartbeat = true;
  (void)f.life.obey();
  (void)f.life.obey();
  EXPECT_EQ(f.region.heartbeats, 1u);
  EXPECT_EQ(f.region.now_tsc, f.platform.time);
  Life other(f.platform, f.plan, f.region, f.log, 1, 1, f.owed);
  f.platform.heartbeat = true;
  f.platform.timekeeper = false;
  (void)other.obey();
  EXPECT_EQ(f.region.heartbeats, 1u);
}

TEST(Lifecycle, StopsByCommandAndStaysStoppedUntilARestart) {
  Fixture f;
  f.plan.partitions[1].fault_policy = plan::FaultPolicy::Restart;
  f.start();
  f.command(Command::Stop);
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_EQ(f.row().state, State::Stopped);
    EXPECT_EQ(f.row().reason, StopReason::ByCommand);
    EXPECT_NE(f.row().stopped_tsc, 0u);
    EXPECT_TRUE(f.is_answered(CommandResult::Done));
    f.command(Command::Pause);
  });
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_TRUE(f.is_answered(CommandResult::WrongState));
    f.platform.calls.emplace_back("restart");
    f.spoil_memory();
    f.command(Command::Restart);
  });
  EXPECT_EQ(f.life.obey(), Next::Begin);
  EXPECT_EQ(f.platform.calls,
            (std::vector<std::string>{"quiesce", "restart", "reset", "complete"}));
  EXPECT_TRUE(f.is_loaded());
  EXPECT_EQ(f.row().state, State::Running);
  EXPECT_EQ(f.row().restarts, 1u);
}

TEST(Lifecycle, RestartsARunningGuest) {
  Fixture f;
  f.start();
  f.spoil_memory();
  f.command(Command::Restart);
  EXPECT_EQ(f.life.obey(), Next::Begin);
  EXPECT_EQ(f.platform.calls, (std::vector<std::string>{"reset", "complete"}));
  EXPECT_TRUE(f.is_loaded());
  EXPECT_TRUE(f.is_answered(CommandResult::Done));
  EXPECT_EQ(f.row().restarts, 1u);
}

TEST(Lifecycle, PausesUntilItIsResumed) {
  Fixture f;
  f.start();
  f.command(Command::Pause);
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_EQ(f.row().state, State::Paused);
    EXPECT_TRUE(f.is_answered(CommandResult::Done));
    f.command(Command::Pause);
  });
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_TRUE(f.is_answered(CommandResult::WrongState));
    f.command(Command::Resume);
  });
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_EQ(f.row().state, State::Running);
  EXPECT_TRUE(f.is_answered(CommandResult::Done));
  EXPECT_TRUE(f.platform.calls.empty());
  EXPECT_TRUE(f.platform.while_asleep.empty());
}

TEST(Lifecycle, APausedGuestCanBeStoppedAndRestarted) {
  Fixture f;
  f.start();
  f.command(Command::Pause);
  f.later(Command::Stop);
  f.later(Command::Restart);
  EXPECT_EQ(f.life.obey(), Next::Begin);
  EXPECT_EQ(f.row().state, State::Running);
  f.command(Command::Pause);
  f.later(Command::Restart);
  EXPECT_EQ(f.life.obey(), Next::Begin);
  EXPECT_EQ(f.row().restarts, 2u);
}

TEST(Lifecycle, AnswersOnlyForItsOwnPartition) {
  Fixture f;
  f.start();
  f.command(Command::Stop, 0);
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_NE(f.region.control.completed, f.region.control.requested);
  EXPECT_EQ(f.row().state, State::Running);
}

TEST(Lifecycle, OneCpuRefusesAPartitionThatDoesNotExist) {
  Fixture f;
  f.start();
  f.command(Command::Stop, 2);
  f.platform.timekeeper = false;
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_NE(f.region.control.completed, f.region.control.requested);
  f.platform.timekeeper = true;
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_TRUE(f.is_answered(CommandResult::NoSuchPartition));
}

TEST(Lifecycle, RefusesAnUnknownCommand) {
  Fixture f;
  f.start();
  f.command(static_cast<Command>(17));
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_TRUE(f.is_answered(CommandResult::UnknownCommand));
}

TEST(Lifecycle, AFaultRestartsByPolicyUpToItsLimit) {
  Fixture f;
  f.plan.partitions[1].fault_policy = plan::FaultPolicy::Restart;
  f.plan.partitions[1].restart_limit = 2;
  f.start();
  for (std::uint32_t n = 1; n <= 2; ++n) {
    f.life.end(Verdict::stop(StopReason::Reset, 7, 8, 9));
    EXPECT_EQ(f.row().restarts, n);
    EXPECT_EQ(f.row().state, State::Running);
    EXPECT_EQ(f.row().reason, StopReason::Reset);
    EXPECT_EQ(f.row().detail[1], 8u);
  }
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_EQ(f.row().state, State::Stopped);
    f.command(Command::Restart);
  });
  f.life.end(Verdict::stop(StopReason::Reset));
  EXPECT_TRUE(f.platform.while_asleep.empty());
  EXPECT_EQ(f.row().restarts, 3u);
}

TEST(Lifecycle, AGuestThatSwitchedItselfOffIsNotRestartedByPolicy) {
  for (const StopReason reason : {StopReason::Halted, StopReason::BySelf}) {
    Fixture f;
    f.plan.partitions[1].fault_policy = plan::FaultPolicy::Restart;
    f.start();
    f.later(Command::Restart);
    f.life.end(Verdict::stop(reason));
    EXPECT_TRUE(f.platform.while_asleep.empty());
  }
}

TEST(Lifecycle, AFaultWithoutPolicyStaysStopped) {
  Fixture f;
  f.start();
  f.later(Command::Restart);
  f.life.end(Verdict::stop(StopReason::Forbidden));
  EXPECT_TRUE(f.platform.while_asleep.empty());
}

TEST(Lifecycle, LinesOfNobodyAreCountedAndToldOfTwice) {
  Fixture f;
  f.start();
  f.platform.strays = {34};
  const auto beat = [&] {
    f.platform.heartbeat = true;
    EXPECT_EQ(f.life.obey(), Next::Continue);
  };
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_EQ(f.region.strays[34], 0u) << "without a heartbeat";
  beat();
  EXPECT_EQ(f.region.strays[34], 1u);
  EXPECT_TRUE(f.logged("interrupt 34 was raised and is nobody's"));
  for (std::uint32_t n = 2; n < kStorm; ++n) beat();
  EXPECT_FALSE(f.logged("a storm"));
  beat();
  EXPECT_TRUE(f.logged("interrupt 34 is nobody's and a storm"));
  const std::uint32_t written = f.region.log.written;
  beat();
  EXPECT_EQ(f.region.log.written, written);
  EXPECT_EQ(f.region.strays[34], kStorm + 1);
}

// A guest that has kicked once, and not for as long as it may.
struct Silent : Fixture {
  explicit Silent(plan::WatchdogPolicy policy) {
    region.tsc_khz = 1'000'000;
    plan.partitions[1].watchdog_us = 1000;
    plan.partitions[1].on_watchdog = policy;
    start();
    health::kick(plan.partitions[1], row().watchdog, platform.time);
    platform.time += 2'000'000;
    platform.heartbeat = true;
  }
};

TEST(Lifecycle, AWatchdogRestartsAndTheTimeIsTaken) {
  Silent f(plan::WatchdogPolicy::Restart);
  f.spoil_memory();
  EXPECT_EQ(f.life.obey(), Next::Begin);
  EXPECT_EQ(f.platform.calls, (std::vector<std::string>{"quiesce", "reset", "complete"}));
  EXPECT_TRUE(f.is_loaded());
  EXPECT_EQ(f.row().state, State::Running);
  EXPECT_EQ(f.row().reason, StopReason::Watchdog);
  EXPECT_EQ(f.row().restarts, 1u);
  EXPECT_EQ(f.row().watchdog.expiries, 1u);
  EXPECT_TRUE(f.logged("g: its watchdog has run out"));
  Partition(f.plan, f.plan.partitions[1], f.row()).enters(f.platform.time + 5000);
  EXPECT_NEAR(static_cast<double>(f.row().watchdog.restart_ticks), 1'005'000.0, 10'000.0);
  EXPECT_EQ(f.row().watchdog.restart_most, f.row().watchdog.restart_ticks);
  f.platform.heartbeat = true;
  f.platform.time += 2'000'000;
  EXPECT_EQ(f.life.obey(), Next::Continue) << "not watched before it kicks";
}

TEST(Lifecycle, AWatchdogStopsWhateverTheFaultPolicy) {
  Silent f(plan::WatchdogPolicy::Stop);
  f.plan.partitions[1].fault_policy = plan::FaultPolicy::Restart;
  f.platform.while_asleep.emplace_back([&] {
    EXPECT_EQ(f.row().state, State::Stopped);
    EXPECT_EQ(f.row().reason, StopReason::Watchdog);
    f.command(Command::Restart);
  });
  EXPECT_EQ(f.life.obey(), Next::Begin);
  Partition(f.plan, f.plan.partitions[1], f.row()).enters(f.platform.time);
  EXPECT_EQ(f.row().watchdog.restart_ticks, 0u) << "the user restarted it";
}

TEST(Lifecycle, WatchdogsRestartsHaveTheLimit) {
  Silent f(plan::WatchdogPolicy::Restart);
  f.plan.partitions[1].restart_limit = 1;
  f.row().restarts = 1;
  f.later(Command::Restart);
  EXPECT_EQ(f.life.obey(), Next::Begin);
  EXPECT_TRUE(f.platform.while_asleep.empty());
}

TEST(Lifecycle, AWatchdogThatOnlyLogsChangesNothing) {
  Silent f(plan::WatchdogPolicy::Log);
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_EQ(f.row().watchdog.expiries, 1u);
  EXPECT_TRUE(f.platform.calls.empty());
}

TEST(Lifecycle, AnotherCpusHeartbeatFindsIt) {
  Silent f(plan::WatchdogPolicy::Restart);
  Life other(f.platform, f.plan, f.region, f.log, 1, 0, f.owed);
  EXPECT_EQ(other.obey(), Next::Continue);
  EXPECT_TRUE(health::is_due(f.region, 1));
  EXPECT_EQ(f.life.obey(), Next::Begin) << "without one of its own";
}

TEST(Lifecycle, APauseIsNoSilence) {
  Silent f(plan::WatchdogPolicy::Restart);
  f.platform.heartbeat = false;
  f.command(Command::Pause);
  f.platform.while_asleep.emplace_back([&] { f.platform.heartbeat = true; });
  f.later(Command::Resume);
  EXPECT_EQ(f.life.obey(), Next::Continue);
  f.platform.heartbeat = true;
  EXPECT_EQ(f.life.obey(), Next::Continue);
  EXPECT_EQ(f.row().watchdog.expiries, 0u);
}

TEST(Lifecycle, AGuestMayRestartItself) {
  Fixture f;
  f.start();
  f.life.end(Verdict::restart());
  EXPECT_EQ(f.platform.calls, (std::vector<std::string>{"quiesce", "reset", "complete"}));
  EXPECT_EQ(f.row().restarts, 1u);
  EXPECT_EQ(f.row().reason, StopReason::None);
}

}  // namespace
}  // namespace mezzo
