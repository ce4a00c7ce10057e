// Time tables: whose the processor is at any time, against a model that looks at every tick, and
// how late windows are given.
#include "core/time_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace mezzo {
namespace {

using Window = TimeTable::Window;

constexpr std::uint64_t kStart = 1'000'003;

TimeTable started(std::uint32_t frame, const std::vector<Window>& windows,
                  std::uint64_t start = kStart) {
  TimeTable table(frame);
  for (const Window& window : windows) EXPECT_TRUE(table.add(window));
  table.start(start);
  return table;
}

TEST(TimeTable, RefusesWindowsThatDoNotFit) {
  TimeTable table(100);
  EXPECT_TRUE(table.add({0, 10, 20}));
  EXPECT_FALSE(table.add({1, 29, 5})) << "overlaps";
  EXPECT_FALSE(table.add({1, 5, 5})) << "before the one before";
  EXPECT_FALSE(table.add({1, 40, 0})) << "empty";
  EXPECT_FALSE(table.add({1, 40, 61})) << "ends behind the frame";
  EXPECT_FALSE(table.add({1, 101, 1}));
  EXPECT_FALSE(table.add({1, 40, 0xfffffff0})) << "no sum overflows";
  EXPECT_FALSE(table.add({TimeTable::kMaxOwners, 40, 1}));
  EXPECT_TRUE(table.add({1, 30, 70}));
  EXPECT_FALSE(table.add({1, 100, 1}));
}

TEST(TimeTable, HasRoomForSoManyWindows) {
  TimeTable table(1000);
  for (std::uint32_t n = 0; n < TimeTable::kMaxWindows; ++n) EXPECT_TRUE(table.add({0, n * 2, 1}));
  EXPECT_FALSE(table.add({0, 900, 1}));
}

TEST(TimeTable, SlotsFollowEachOther) {
  TimeTable table = started(100, {{0, 0, 20}, {1, 30, 60}});
  const auto slot = [&](std::uint64_t at) {
    table.advance(kStart + at);
    return table.slot();
  };
  EXPECT_EQ(table.slot().owner, 0u);
  EXPECT_EQ(table.slot().end, kStart + 20);
  EXPECT_FALSE(table.advance(kStart + 19));
  EXPECT_EQ(slot(20).owner, std::nullopt) << "a gap";
  EXPECT_EQ(table.slot().end, kStart + 30);
  EXPECT_EQ(slot(30).owner, 1u);
  EXPECT_EQ(slot(90).owner, std::nullopt);
  EXPECT_EQ(table.slot().end, kStart + 100);
  EXPECT_EQ(slot(100).owner, 0u);
  EXPECT_EQ(slot(100'000'000'035).owner, 1u) << "a thousand million frames later";
  EXPECT_EQ(table.slot().begin, kStart + 100'000'000'030);
}

TEST(TimeTable, LatenessIsFromTheBeginningOfTheWindow) {
  TimeTable table = started(100, {{0, 0, 20}, {1, 30, 60}});
  auto entry = table.enter(kStart + 4);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->owner, 0u);
  EXPECT_EQ(entry->late, 4u);
  EXPECT_EQ(entry->missed, 0u);
  EXPECT_FALSE(table.enter(kStart + 5)) << "once";
  table.advance(kStart + 21);
  EXPECT_FALSE(table.enter(kStart + 21)) << "nobody's";
  // Window 1 of the first frame and both of the second are over before anybody looks again.
  table.advance(kStart + 235);
  entry = table.enter(kStart + 240);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->owner, 1u);
  EXPECT_EQ(entry->late, 10u);
  EXPECT_EQ(entry->missed, 2u);
  table.advance(kStart + 300);
  entry = table.enter(kStart + 300);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->owner, 0u);
  EXPECT_EQ(entry->late, 0u);
  EXPECT_EQ(entry->missed, 2u);
}

// Any table, looked at at any times: the slot is what a look at every single tick says, boundaries
// do not drift, and every window that began is either entered or missed.
TEST(TimeTable, AgreesWithAModelThatLooksAtEveryTick) {
  std::mt19937 random(1);
  const auto below = [&](std::uint32_t bound) {
    return static_cast<std::uint32_t>(random()) % bound;
  };
  for (int round = 0; round < 500; ++round) {
    const std::uint32_t frame = 1 + below(60);
    std::vector<Window> windows;
    for (std::uint32_t at = below(4); at < frame && windows.size() < TimeTable::kMaxWindows;) {
      const std::uint32_t length = std::min(1 + below(8), frame - at);
      windows.push_back({below(3), at, length});
      at += length + below(4);
    }
    const auto owner_at = [&](std::uint64_t tick) -> std::optional<std::size_t> {
      const std::uint64_t phase = tick % frame;
      for (const Window& window : windows) {
        if (phase >= window.begin && phase < window.begin + window.length) return window.owner;
      }
      return std::nullopt;
    };
    TimeTable table = started(frame, windows);
    std::array<std::uint64_t, 3> told{};
    std::uint64_t tick = 0;
    for (int step = 0; step < 200; ++step) {
      tick += below(below(10) == 0 ? 500 : 6);
      table.advance(kStart + tick);
      const TimeTable::Slot& slot = table.slot();
      ASSERT_EQ(slot.owner, owner_at(tick)) << "tick " << tick << " of a frame of " << frame;
      ASSERT_LE(slot.begin, kStart + tick);
      ASSERT_GT(slot.end, kStart + tick);
      for (std::uint64_t at = slot.begin; at < slot.end; ++at) {
        ASSERT_EQ(owner_at(at - kStart), slot.owner);
      }
      const auto entry = table.enter(kStart + tick);
      if (!entry) continue;
      ASSERT_EQ(entry->owner, *slot.owner);
      ASSERT_EQ(entry->late, kStart + tick - slot.begin);
      told[entry->owner] += 1 + entry->missed;
      std::uint64_t begun = 0;
      for (const Window& window : windows) {
        if (window.owner != entry->owner || window.begin > tick) continue;
        begun += (tick - window.begin) / frame + 1;
      }
      ASSERT_EQ(told[entry->owner], begun);
    }
  }
}

}  // namespace
}  // namespace mezzo
