// The shadow engine under random guests, in all its instantiations; see support/shadow_world.hpp
// for what is checked after each step.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "support/shadow_guest_ia32.hpp"
#include "support/shadow_world.hpp"

namespace mezzo::test {
namespace {

using mem::Separation;

struct Dice {
  std::mt19937 generator;
  std::uint32_t operator()(std::uint32_t end) {
    return static_cast<std::uint32_t>(generator()) % end;
  }
};

template <class Guest>
void run(Separation separation, std::uint32_t tables, unsigned seeds, unsigned steps) {
  using World = ShadowWorld<Guest, Dice>;
  const mem::ShadowShape shape{
      .contexts = 3, .pages = World::Machine::kPages, .separation = separation};
  mem::ShadowCounters all{};
  unsigned users_slots_met = 0;
  for (unsigned seed = 1; seed <= seeds; ++seed) {
    Dice dice{std::mt19937(seed)};
    World world(dice, separation, World::Engine::pool_bytes(shape, tables));
    ASSERT_TRUE(world.shadow.is_usable());
    for (unsigned n = 0; n < steps && world.problem().empty(); ++n) world.step();
    ASSERT_EQ(world.problem(), "") << "seed " << seed;
    const mem::ShadowCounters& counters = world.shadow.counters();
    users_slots_met += world.users_slots_met();
    all.fills += counters.fills;
    all.prefills += counters.prefills;
    all.evictions += counters.evictions;
    all.recycles += counters.recycles;
    all.retags += counters.retags;
  }
  EXPECT_GT(all.fills, steps * seeds / 20);
  EXPECT_GT(all.prefills, 0u);
  if (tables < 16) EXPECT_GT(all.evictions, 0u);
  if (Guest::kHasContexts) EXPECT_GT(all.recycles, 0u);
  const bool has_views = Guest::Format::kTags != 0 && separation == Separation::OneRoot;
  EXPECT_EQ(users_slots_met != 0, has_views);
}

constexpr unsigned kSeeds = 6, kSteps = 900;

TEST(ShadowRandom, ShortDescriptorsDomains) {
  run<ArmGuest>(Separation::OneRoot, 40, kSeeds, kSteps);
}
TEST(ShadowRandom, ShortDescriptorsDomainsFewTables) {
  run<ArmGuest>(Separation::OneRoot, 8, kSeeds, kSteps);
}
TEST(ShadowRandom, ShortDescriptorsRoots) {
  run<ArmGuest>(Separation::TwoRoots, 80, kSeeds, kSteps);
}
TEST(ShadowRandom, ShortDescriptorsRootsFewTables) {
  run<ArmGuest>(Separation::TwoRoots, 8, kSeeds, kSteps);
}
TEST(ShadowRandom, Ia32OneRoot) {
  run<Ia32Guest<std::uint32_t>>(Separation::OneRoot, 30, kSeeds, kSteps);
}
TEST(ShadowRandom, Ia32TwoRoots) {
  run<Ia32Guest<std::uint32_t>>(Separation::TwoRoots, 8, kSeeds, kSteps);
}
TEST(ShadowRandom, PaeOneRoot) {
  run<Ia32Guest<std::uint64_t>>(Separation::OneRoot, 30, kSeeds, kSteps);
}
TEST(ShadowRandom, PaeTwoRoots) {
  run<Ia32Guest<std::uint64_t>>(Separation::TwoRoots, 8, kSeeds, kSteps);
}

}  // namespace
}  // namespace mezzo::test
