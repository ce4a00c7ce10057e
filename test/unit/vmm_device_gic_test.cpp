// The filtered distributor: what a partition sees and changes of the shared one.
#include "device/gic_distributor.hpp"

#include <gtest/gtest.h>

#include "support/model_gic.hpp"

namespace mezzo::device {
namespace {

using io::Answer;
using io::Outcome;
using irq::Line;
using test::ModelGic;
using test::ModelLock;

constexpr std::uint32_t kCpu = 1;       // the partition's
constexpr std::uint32_t kUart = 37;     // the partition's
constexpr std::uint32_t kForeign = 38;  // in the same registers as kUart
constexpr std::uint32_t kTimer = 29;

struct Fixture {
  ModelGic gic;
  ModelLock lock;
  irq::GicInterface<ModelGic::Interface> interface{gic.interface(kCpu)};
  FilteredDistributor<ModelGic::Distributor, ModelLock> guest;

  static irq::LineSet lines() {
    irq::LineSet set;
    for (std::uint32_t n = 0; n < 16; ++n) set.add(Line{n});
    return set.add(Line{kTimer}).add(Line{kUart}).add(Line{64});
  }
  explicit Fixture(ModelGic::Architecture architecture = ModelGic::Architecture::One)
      : gic(architecture), guest(gic.distributor(kCpu), lock, lines(), kCpu) {
    const irq::GicDistributor monitor(gic.distributor(kCpu));
    monitor.initialize();
    monitor.initialize_cpu();
    interface.initialize();
    gic.line(kForeign) = {.enabled = true,
                          .pending = true,
                          .active = true,
                          .priority = 0x55,
                          .target = 1,
                          .configuration = 2};
    guest.start();
  }

  std::uint32_t read(std::uint32_t offset, std::uint8_t size = 4) {
    const Answer answer = guest.access({.offset = offset, .size = size});
    EXPECT_EQ(answer.outcome, Outcome::Done);
    return answer.value;
  }
  void write(std::uint32_t offset, std::uint32_t value, std::uint8_t size = 4) {
    const Answer answer =
        guest.access({.offset = offset, .size = size, .write = true, .value = value});
    EXPECT_EQ(answer, Answer::done());
  }
};

TEST(FilteredDistributor, StartsWithItsLinesMaskedQuietAndRoutedToItsCpu) {
  Fixture f;
  EXPECT_EQ(f.gic.line(kUart), (ModelGic::LineState{.priority = 0x20, .target = 1u << kCpu}));
  EXPECT_EQ(f.gic.line(kTimer, kCpu).priority, 0x20);
  EXPECT_EQ(f.read(irq::gicd::kControl), 0u);
}

TEST(FilteredDistributor, ShowsOneCpuAndNoSecurityExtension) {
  Fixture f;
  EXPECT_EQ(f.read(irq::gicd::kType), 2u) << "96 lines";
  EXPECT_EQ(f.read(irq::gicd::kImplementer), 0x0102043bu);
  EXPECT_EQ(f.read(0xfe8), 0xfe8u) << "identification as the chip has it";
  f.write(irq::gicd::kGroup, ~0u);
  EXPECT_EQ(f.read(irq::gicd::kGroup), 0u);
}

TEST(FilteredDistributor, EveryRegisterShowsOwnLinesOnly) {
  Fixture f;
  const auto at = [](std::uint32_t bank) { return bank + 4; };  // lines 32 to 63
  f.write(at(irq::gicd::kSetEnable), ~0u);
  EXPECT_EQ(f.read(at(irq::gicd::kSetEnable)), 1u << 5);
  EXPECT_EQ(f.read(at(irq::gicd::kClearEnable)), 1u << 5);
  f.write(at(irq::gicd::kSetPending), ~0u);
  EXPECT_EQ(f.read(at(irq::gicd::kSetPending)), 1u << 5);
  EXPECT_EQ(f.read(at(irq::gicd::kSetActive)), 0u) << "the other line's is hidden";
  f.write(irq::gicd::kPriority + 36, 0xa0a0a0a0);
  EXPECT_EQ(f.read(irq::gicd::kPriority + 36), 0x0000a000u);
  f.write(irq::gicd::kConfiguration + 8, ~0u);
  EXPECT_EQ(f.read(irq::gicd::kConfiguration + 8), 3u << 10);
  EXPECT_EQ(f.read(irq::gicd::kTarget + 36), 0x00000100u);
  f.gic.set_level(kUart, true);
  f.gic.set_level(kForeign, true);
  EXPECT_EQ(f.read(irq::gicd::kInputs + 4), 1u << 5);

  EXPECT_EQ(f.gic.line(kForeign), (ModelGic::LineState{.enabled = true,
                                                       .pending = true,
                                                       .active = true,
                                                       .level = true,
                                                       .priority = 0x55,
                                                       .target = 1,
                                                       .configuration = 2}));
  EXPECT_FALSE(f.lock.is_held);
}

TEST(FilteredDistributor, MasksItsLinesInsteadOfSwitchingTheChipOff) {
  Fixture f;
  f.write(irq::gicd::kSetEnable + 4, 1u << 5);
  EXPECT_FALSE(f.gic.line(kUart).enabled) << "its distributor is still off";
  f.write(irq::gicd::kControl, 1);
  EXPECT_TRUE(f.gic.line(kUart).enabled);
  EXPECT_EQ(f.read(irq::gicd::kControl), 1u);
  f.write(irq::gicd::kSetEnable + 8, 1);
  EXPECT_TRUE(f.gic.line(64).enabled);
  f.write(irq::gicd::kControl, 0);
  EXPECT_FALSE(f.gic.line(kUart).enabled);
  EXPECT_FALSE(f.gic.line(64).enabled);
  EXPECT_EQ(f.read(irq::gicd::kSetEnable + 4), 1u << 5) << "kept";
  f.write(irq::gicd::kClearEnable + 4, 1u << 5);
  f.write(irq::gicd::kControl, 0xffffffff);
  EXPECT_FALSE(f.gic.line(kUart).enabled);
  EXPECT_TRUE(f.gic.line(64).enabled);
  EXPECT_TRUE(f.gic.state.enabled) << "the chip, throughout";
}

TEST(FilteredDistributor, NoPriorityReachesTheMonitorsBand) {
  Fixture f;
  for (std::uint32_t wanted = 0; wanted < 256; ++wanted) {
    f.write(irq::gicd::kPriority + kUart, wanted, 1);
    EXPECT_EQ(f.gic.line(kUart).priority, std::max(wanted, 0x20u));
  }
  f.write(irq::gicd::kPriority + kForeign, 0, 1);
  EXPECT_EQ(f.gic.line(kForeign).priority, 0x55);
  f.write(irq::gicd::kPriority + 36, 0x3000, 2);
  EXPECT_EQ(f.read(irq::gicd::kPriority + kUart, 1), 0x30u);
  EXPECT_EQ(f.read(irq::gicd::kPriority + 36, 2), 0x3000u);
}

TEST(FilteredDistributor, TargetsStay) {
  Fixture f;
  f.write(irq::gicd::kTarget + 36, 0x0f0f0f0f);
  f.write(irq::gicd::kTarget + kUart, 0, 1);
  EXPECT_EQ(f.gic.line(kUart).target, 1u << kCpu);
  EXPECT_EQ(f.gic.line(kForeign).target, 1u);
  EXPECT_EQ(f.read(irq::gicd::kTarget), 0x01010101u) << "its software interrupts: Linux asks here";
  EXPECT_EQ(f.read(irq::gicd::kTarget + 28), 0x00000100u);
}

TEST(FilteredDistributor, SoftwareInterruptsGoToItselfOnly) {
  Fixture f;
  const auto senders = [&](std::uint32_t cpu) { return f.gic.line(2, cpu).senders; };
  f.write(irq::gicd::kSoftware, 0xfe << 16 | 2);  // to CPUs 1 to 7
  f.write(irq::gicd::kSoftware, 1u << 24 | 2);    // to all others
  f.write(irq::gicd::kSoftware, 3u << 24 | 1u << 16 | 2);
  f.write(irq::gicd::kSoftware, 1u << 16 | irq::kMonitorPoke.number);
  for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
    EXPECT_EQ(senders(cpu), 0) << cpu;
    EXPECT_EQ(f.gic.line(irq::kMonitorPoke.number, cpu).senders, 0) << cpu;
  }
  f.write(irq::gicd::kSoftware, 0xff << 16 | 2);
  EXPECT_EQ(senders(kCpu), 1u << kCpu);
  EXPECT_EQ(senders(0), 0);
  f.gic.line(2, kCpu).senders = 0;
  f.write(irq::gicd::kSoftware, 2u << 24 | 2);
  EXPECT_EQ(senders(kCpu), 1u << kCpu);
  EXPECT_EQ(f.read(irq::gicd::kSetPending), 4u);
}

TEST(FilteredDistributor, PendingSoftwareInterruptsHaveOneSenderCpu0) {
  Fixture f(ModelGic::Architecture::Two);
  f.write(irq::gicd::kSetSoftware, 0xff00ff01);
  EXPECT_EQ(f.gic.line(0, kCpu).senders, 1u << kCpu);
  EXPECT_EQ(f.gic.line(2, kCpu).senders, 0) << "0x00";
  EXPECT_EQ(f.gic.line(1, kCpu).senders, 1u << kCpu);
  f.gic.line(1, kCpu).senders |= 1;  // from the real CPU 0: none of its business
  EXPECT_EQ(f.read(irq::gicd::kSetSoftware), 0x01000101u);
  f.write(irq::gicd::kClearSoftware + 1, 0xff, 1);
  EXPECT_EQ(f.gic.line(1, kCpu).senders, 1);
  f.write(irq::gicd::kSetSoftware + irq::kMonitorPoke.number, 1, 1);
  EXPECT_EQ(f.gic.line(irq::kMonitorPoke.number, kCpu).senders, 0);
}

TEST(FilteredDistributor, NarrowAccessesWhereTheManualHasNoneChangeNothing) {
  Fixture f;
  const auto before = f.gic.state;
  f.write(irq::gicd::kSetEnable + 4, 0xff, 1);
  f.write(irq::gicd::kControl, 1, 2);
  f.write(irq::gicd::kConfiguration + 8, 0xffff, 2);
  f.write(irq::gicd::kSoftware, 2, 1);
  EXPECT_EQ(f.gic.state, before);
  EXPECT_EQ(f.read(irq::gicd::kTarget + kUart, 1), 1u);
}

TEST(FilteredDistributor, RefusesWhatIsNoAccess) {
  Fixture f;
  EXPECT_EQ(f.guest.access({.offset = 0x1000}).outcome, Outcome::Missing);
  EXPECT_EQ(f.guest.access({.offset = 0xfffffffc}).outcome, Outcome::Missing);
  EXPECT_EQ(f.guest.access({.offset = 2, .size = 4}).outcome, Outcome::Missing);
  EXPECT_EQ(f.guest.access({.offset = 0, .size = 3}).outcome, Outcome::Missing);
  EXPECT_EQ(f.guest.access({.offset = 0, .size = 0}).outcome, Outcome::Missing);
}

TEST(FilteredDistributor, AStopLeavesNothingBehind) {
  for (const auto architecture : {ModelGic::Architecture::One, ModelGic::Architecture::Two}) {
    Fixture f(architecture);
    f.write(irq::gicd::kControl, 1);
    f.write(irq::gicd::kPriority + kUart, 0xa0, 1);
    f.write(irq::gicd::kSetEnable + 4, ~0u);
    f.write(irq::gicd::kSetEnable, ~0u);
    f.gic.set_level(kUart, true);
    ASSERT_TRUE(f.interface.acknowledge());  // stops inside this handler
    f.write(irq::gicd::kSoftware, 2u << 24 | 4);
    f.write(irq::gicd::kSoftware, 2u << 24 | 5);
    f.write(irq::gicd::kSetPending, 1u << kTimer);
    f.write(irq::gicd::kSetPending + 8, 1);
    irq::GicDistributor(f.gic.distributor(0)).send(kCpu);  // the monitor's, at the same time
    f.gic.set_level(kUart, false);

    f.guest.stop(f.interface);
    EXPECT_EQ(f.interface.running_priority(), irq::gicc::kIdlePriority);
    f.guest.lines().for_each([&](Line line) {
      const ModelGic::LineState& state = f.gic.line(line.number, kCpu);
      EXPECT_FALSE(state.pending || state.active || state.senders != 0) << line.number;
      EXPECT_FALSE(state.enabled && !line.is_software()) << line.number;
    });
    ASSERT_EQ(f.interface.highest_pending(), irq::kMonitorPoke) << "not lost";
    EXPECT_EQ(f.gic.line(kForeign).priority, 0x55);
    EXPECT_TRUE(f.gic.line(kForeign).active);

    f.guest.start();
    EXPECT_EQ(f.read(irq::gicd::kControl), 0u);
    EXPECT_EQ(f.read(irq::gicd::kSetEnable + 4), 0u);
    EXPECT_EQ(f.gic.line(kUart).priority, 0x20);
  }
}

// What Linux 6.1's gic_dist_init and gic_cpu_init write, and an interrupt through it.
TEST(FilteredDistributor, LinuxSetsItUp) {
  Fixture f;
  f.write(irq::gicd::kControl, 0);
  for (std::uint32_t n = 32; n < 96; n += 4) f.write(irq::gicd::kTarget + n, 0x01010101);
  for (std::uint32_t n = 32; n < 96; n += 16) f.write(irq::gicd::kConfiguration + n / 4, 0);
  for (std::uint32_t n = 32; n < 96; n += 4) f.write(irq::gicd::kPriority + n, 0xa0a0a0a0);
  for (std::uint32_t n = 32; n < 96; n += 32) {
    f.write(irq::gicd::kClearActive + n / 8, ~0u);
    f.write(irq::gicd::kClearEnable + n / 8, ~0u);
  }
  f.write(irq::gicd::kControl, 1);
  f.write(irq::gicd::kClearActive, ~0u);
  f.write(irq::gicd::kClearEnable, ~0u);
  for (std::uint32_t n = 0; n < 32; n += 4) f.write(irq::gicd::kPriority + n, 0xa0a0a0a0);
  f.write(irq::gicd::kSetEnable + 4, 1u << 5);
  f.interface.registers().write32(irq::gicc::kPriorityMask, 0xf0);
  f.gic.set_level(kUart, true);
  EXPECT_TRUE(f.gic.signals(kCpu));
  EXPECT_FALSE(f.gic.signals(0));
  EXPECT_EQ(f.interface.highest_pending(), Line{kUart});
}

}  // namespace
}  // namespace mezzo::device
