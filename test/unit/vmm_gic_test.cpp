// The monitor's own use of the GIC: a clean start, its interrupts, and what stopped guests leave.
#include "irq/gic.hpp"

#include <gtest/gtest.h>

#include "support/model_gic.hpp"

namespace mezzo::irq {
namespace {

using test::ModelGic;

constexpr std::uint32_t kUart = 37, kPrivateTimer = 29;

// A chip as the firmware may leave it, then the monitor's initialization on two CPUs.
struct Started {
  ModelGic gic;
  GicDistributor<ModelGic::Distributor> distributor{gic.distributor(0)};
  GicInterface<ModelGic::Interface> interface{gic.interface(0)};
  GicDistributor<ModelGic::Distributor> other_distributor{gic.distributor(1)};
  GicInterface<ModelGic::Interface> other{gic.interface(1)};

  explicit Started(ModelGic::Architecture architecture = ModelGic::Architecture::One)
      : gic(architecture) {
    for (std::uint32_t n = 0; n < 96; ++n) {
      gic.line(n) = {.enabled = true, .pending = true, .priority = 0x10, .target = 0xf};
    }
    distributor.initialize();
    distributor.initialize_cpu();
    interface.initialize();
    other_distributor.initialize_cpu();
    other.initialize();
  }

  // A line as a guest has set it up.
  void open(std::uint32_t number, std::uint8_t priority, std::uint32_t cpu = 0) {
    ModelGic::LineState& line = gic.line(number, cpu);
    line.enabled = true;
    line.priority = priority;
    line.target = static_cast<std::uint8_t>(1u << cpu);
  }
};

TEST(LineSet, HoldsLinesBelowItsLimit) {
  LineSet set;
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.first(), std::nullopt);
  set.add(Line{33}).add(Line{255}).add(Line{256}).add(Line{1023});
  EXPECT_TRUE(set.contains(Line{33}));
  EXPECT_FALSE(set.contains(Line{32}));
  EXPECT_FALSE(set.contains(Line{256}));
  EXPECT_FALSE(set.contains(Line{0xffffffff}));
  EXPECT_EQ(set.word(1), 2u);
  EXPECT_EQ(set.word(8), 0u);
  EXPECT_EQ(set.first(), Line{33});
  std::uint32_t sum = 0;
  set.for_each([&](Line line) { sum += line.number; });
  EXPECT_EQ(sum, 33u + 255u);
  LineSet other;
  EXPECT_FALSE(set.intersects(other));
  EXPECT_TRUE(set.intersects(other.add(Line{255})));
  set.remove(Line{33}).remove(Line{255});
  EXPECT_TRUE(set.empty());
}

TEST(Gic, StartsWithEverythingMaskedUnroutedAndQuiet) {
  Started on;
  EXPECT_TRUE(on.gic.state.enabled);
  for (std::uint32_t n = 32; n < 96; ++n) {
    EXPECT_EQ(on.gic.line(n), ModelGic::LineState{.priority = 0xff}) << n;
  }
  for (std::uint32_t cpu = 0; cpu < 2; ++cpu) {
    for (std::uint32_t n = 16; n < 32; ++n) EXPECT_FALSE(on.gic.line(n, cpu).enabled) << n;
    EXPECT_TRUE(on.gic.line(kMonitorPoke.number, cpu).enabled);
    EXPECT_FALSE(on.gic.signals(cpu));
  }
}

TEST(Gic, PokesAnotherCpu) {
  Started on;
  on.distributor.send(1);
  EXPECT_FALSE(on.gic.signals(0));
  ASSERT_TRUE(on.gic.signals(1));
  EXPECT_EQ(on.other.highest_pending(), kMonitorPoke);
  const auto taken = on.other.acknowledge();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->line(), kMonitorPoke);
  EXPECT_EQ(taken->sender(), 0u);
  on.other.end(*taken);
  EXPECT_FALSE(on.other.acknowledge());
  EXPECT_EQ(on.other.running_priority(), gicc::kIdlePriority);
}

TEST(Gic, TheMonitorsLineInterruptsAGuestsHandlerAndAGuestWithInterruptsOff) {
  Started on;
  on.open(kUart, kGuestPriorities);
  on.gic.set_level(kUart, true);
  const auto uart = on.interface.acknowledge();  // the guest's handler runs
  ASSERT_TRUE(uart);
  on.distributor.claim(Line{kPrivateTimer}, 0);
  on.gic.line(kPrivateTimer).pending = true;
  EXPECT_TRUE(on.gic.signals(0)) << "preempts";
  const auto timer = on.interface.acknowledge();
  ASSERT_TRUE(timer);
  EXPECT_EQ(timer->line(), Line{kPrivateTimer});
  on.interface.end(*timer);
  on.interface.end(*uart);

  on.interface.set_threshold(kGuestPriorities);
  EXPECT_FALSE(on.gic.signals(0)) << "the guest's line waits";
  on.distributor.send(0);
  EXPECT_TRUE(on.gic.signals(0));
  const auto poke = on.interface.acknowledge();
  ASSERT_TRUE(poke);
  EXPECT_EQ(poke->line(), kMonitorPoke);
}

TEST(Gic, ClaimsAndMasksALine) {
  Started on;
  on.distributor.claim(Line{kUart}, 1);
  EXPECT_EQ(on.gic.line(kUart),
            (ModelGic::LineState{.enabled = true, .priority = kMonitorPriority, .target = 2}));
  on.distributor.mask(Line{kUart});
  EXPECT_FALSE(on.gic.line(kUart).enabled);
  on.distributor.unmask(Line{kUart});
  EXPECT_TRUE(on.gic.line(kUart).enabled);
}

TEST(Gic, WithdrawsPendingLinesThatAreAskedForUnlessTheyAreStillRaised) {
  Started on;
  constexpr std::uint32_t kWord = kUart / 32, kBit = 1u << kUart % 32, kEdge = kBit << 1;
  EXPECT_EQ(on.distributor.withdraw(kWord, ~0u), 0u);
  on.gic.set_level(kUart, true);
  on.gic.line(kUart + 1).pending = true;
  EXPECT_EQ(on.distributor.withdraw(kWord, ~kBit), kEdge);
  EXPECT_FALSE(on.gic.line(kUart + 1).pending);
  EXPECT_EQ(on.distributor.withdraw(kWord, ~0u), kBit);
  EXPECT_EQ(on.distributor.withdraw(kWord, ~0u), kBit) << "a level that has not fallen";
  on.gic.set_level(kUart, false);
  EXPECT_EQ(on.distributor.withdraw(kWord, ~0u), 0u);
}

TEST(Gic, EndsWhatAStoppedGuestLeftActiveTheLastTakenFirst) {
  for (const auto architecture : {ModelGic::Architecture::One, ModelGic::Architecture::Two}) {
    Started on(architecture);
    LineSet lines;
    lines.add(Line{3}).add(Line{kUart}).add(Line{40});
    on.open(kUart, 0xa0);
    on.open(40, 0x40);
    on.open(3, 0x20);
    on.gic.set_level(kUart, true);
    ASSERT_TRUE(on.interface.acknowledge());
    on.gic.set_level(40, true);
    ASSERT_TRUE(on.interface.acknowledge());
    on.distributor.send(0, Line{3});
    ASSERT_TRUE(on.interface.acknowledge());
    ASSERT_EQ(on.interface.running_priority(), 0x20u);
    EXPECT_EQ(most_urgent_active(on.distributor.registers(), lines), Line{3});
    for (const std::uint32_t n : {3u, kUart, 40u}) on.gic.line(n).enabled = false;

    end_abandoned(on.distributor.registers(), on.interface, lines, 0);
    EXPECT_EQ(on.interface.running_priority(), gicc::kIdlePriority);
    for (const std::uint32_t n : {3u, kUart, 40u}) EXPECT_FALSE(on.gic.line(n).active) << n;
  }
}

TEST(Gic, EndsAPriorityWhoseLineTheGuestDeactivatedItself) {
  Started on(ModelGic::Architecture::Two);
  on.open(kUart, 0xa0);
  on.gic.set_level(kUart, true);
  ASSERT_TRUE(on.interface.acknowledge());
  on.gic.line(kUart).active = false;
  on.gic.line(kUart).enabled = false;
  LineSet lines;
  end_abandoned(on.distributor.registers(), on.interface, lines, 0);
  EXPECT_NE(on.interface.running_priority(), gicc::kIdlePriority) << "no line to do it with";
  end_abandoned(on.distributor.registers(), on.interface, lines.add(Line{kUart}), 0);
  EXPECT_EQ(on.interface.running_priority(), gicc::kIdlePriority);
}

}  // namespace
}  // namespace mezzo::irq
