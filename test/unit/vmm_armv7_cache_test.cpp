// All lines of the caches by set and way, on caches as the registers of processors describe them.
#include "arch/armv7/set_and_way.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>
#include <vector>

namespace mezzo::armv7 {
namespace {

struct FakeCaches {
  std::uint32_t levels = 0;
  std::array<std::uint32_t, 7> sizes{};  // CCSIDR of data and unified caches by level
  std::vector<std::uint32_t> lines{};
  std::vector<std::uint32_t> sizes_read{};
  unsigned barriers = 0;

  [[nodiscard]] std::uint32_t level_id() const { return levels; }
  std::uint32_t size_id(std::uint32_t selection) {
    sizes_read.push_back(selection);
    return sizes.at(selection >> 1);
  }
  void clean_and_invalidate(std::uint32_t line) { lines.push_back(line); }
  void barrier() { ++barriers; }
};

// Cortex-A9 (TRM 4.3): level 1 is separate, coherency is at level 1.
TEST(Armv7Caches, TheDataCacheOfACortexA9) {
  FakeCaches caches{.levels = 0x09200003, .sizes = {0x700fe019}};  // 128 sets, 4 ways, 32 bytes
  clean_and_invalidate_all(caches);
  EXPECT_THAT(caches.sizes_read, testing::ElementsAre(0u));
  const std::set<std::uint32_t> all(caches.lines.begin(), caches.lines.end());
  EXPECT_EQ(caches.lines.size(), 128u * 4);
  EXPECT_EQ(all.size(), caches.lines.size());
  EXPECT_EQ(*all.begin(), 0u);
  EXPECT_EQ(*all.rbegin(), 3u << 30 | 127u << 5);
  EXPECT_EQ(caches.barriers, 1u);
}

// Cortex-A8 (TRM 3.2): 32 KiB at level 1, and a unified level 2 of 256 KiB before coherency; the
// first goes out before the second.
TEST(Armv7Caches, BothLevelsOfACortexA8) {
  FakeCaches caches{.levels = 0x0a000023,
                    .sizes = {0x0007e01a | 0x3 << 3 | 127u << 13, 0xf03fe03a}};
  clean_and_invalidate_all(caches);
  EXPECT_THAT(caches.sizes_read, testing::ElementsAre(0u, 2u));
  EXPECT_EQ(caches.lines.size(), 128u * 4 + 512u * 8);
  EXPECT_EQ(caches.lines[128u * 4 - 1] & 0xe, 0u);
  EXPECT_EQ(caches.lines[128u * 4] & 0xe, 2u);
  const std::set<std::uint32_t> all(caches.lines.begin(), caches.lines.end());
  EXPECT_EQ(*all.rbegin(), 7u << 29 | 511u << 6 | 2);
  EXPECT_EQ(caches.barriers, 2u);
}

// Levels with an instruction cache only, or none, have no data; one way needs no bits.
TEST(Armv7Caches, LevelsWithoutData) {
  FakeCaches caches{.levels = 3u << 24 | 4u << 6 | 1u << 3 | 0, .sizes = {1, 1, 1u << 13}};
  clean_and_invalidate_all(caches);
  EXPECT_THAT(caches.sizes_read, testing::ElementsAre(4u));
  EXPECT_THAT(caches.lines, testing::UnorderedElementsAre(4u, 4u | 1u << 4));
}

}  // namespace
}  // namespace mezzo::armv7
