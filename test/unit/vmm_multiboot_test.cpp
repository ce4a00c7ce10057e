// The loader's memory map: right, wrong, and made to run out of bounds (Multiboot Specification
// 0.6.96, 3.3).
#include "arch/ia32/multiboot.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace mezzo::ia32 {
namespace {

constexpr std::uint32_t kMap = 0x9000;

// Some bytes of machine memory from kMap on; nothing is elsewhere.
struct Loader {
  std::vector<std::uint8_t> map;
  unsigned reads = 0;

  void add32(std::uint32_t value) {
    for (int n = 0; n < 4; ++n) map.push_back(static_cast<std::uint8_t>(value >> (8 * n)));
  }
  void add(std::uint64_t base, std::uint64_t length, std::uint32_t type, std::uint32_t size = 20) {
    add32(size);
    for (const std::uint64_t value : {base, length}) {
      add32(static_cast<std::uint32_t>(value));
      add32(static_cast<std::uint32_t>(value >> 32));
    }
    add32(type);
  }
  RamMap walk(std::uint32_t length) {
    const auto read = [this](std::uint32_t at, std::uint32_t bytes) {
      ++reads;
      const bool inside = at >= kMap && bytes <= map.size() && at - kMap <= map.size() - bytes;
      return inside ? std::span<const std::uint8_t>(map).subspan(at - kMap, bytes)
                    : std::span<const std::uint8_t>{};
    };
    return read_memory_map(read, kMap, length);
  }
  RamMap walk() { return walk(static_cast<std::uint32_t>(map.size())); }
};

TEST(MemoryMap, ListsRamOnly) {
  Loader loader;
  loader.add(0, 0x9fc00, 1);
  loader.add(0xf0000, 0x10000, 2);
  loader.add(0x100000, 0x3f00000, 1);
  loader.add(0x1'0000'0000, 0x2'0000'0000, 1);
  const RamMap map = loader.walk();
  ASSERT_EQ(map.count, 3u);
  EXPECT_EQ(map.ranges[0].size, 0x9fc00u);
  EXPECT_EQ(map.ranges[1].base, 0x100000u);
  EXPECT_EQ(map.ranges[2].base, 0x1'0000'0000u);
  EXPECT_EQ(map.ranges[2].size, 0x2'0000'0000u);
}

TEST(MemoryMap, EntriesMayBeLongerThanWeKnow) {
  Loader loader;
  loader.add(0, 0x1000, 1, 24);
  loader.add32(0xffffffff);  // extended attributes
  loader.add(0x100000, 0x2000, 1);
  const RamMap map = loader.walk();
  ASSERT_EQ(map.count, 2u);
  EXPECT_EQ(map.ranges[1].base, 0x100000u);
}

TEST(MemoryMap, EntrySizeNeitherWrapsNorStandsStill) {
  for (const std::uint32_t size : {0u, 4u, 19u, 0xfffffffcu, 0xffffffffu, 0xffffffe8u}) {
    Loader loader;
    loader.add(0, 0x1000, 1, size);
    loader.add(0x100000, 0x2000, 1);
    EXPECT_EQ(loader.walk().count, size < 20 ? 0u : 1u) << size;
    EXPECT_EQ(loader.reads, 1u) << size;
  }
}

TEST(MemoryMap, EndsWithItsLengthAndWithMemory) {
  Loader loader;
  loader.add(0, 0x1000, 1);
  loader.add(0x100000, 0x2000, 1);
  EXPECT_EQ(loader.walk(0).count, 0u);
  EXPECT_EQ(loader.walk(23).count, 0u);
  EXPECT_EQ(loader.walk(47).count, 1u);
  EXPECT_EQ(loader.walk(0xffffffff).count, 2u);
}

TEST(MemoryMap, KeepsAsManyRangesAsItHoldsAndNoMore) {
  Loader loader;
  for (std::uint32_t n = 0; n < 100; ++n) loader.add(n * 0x100000, 0x1000, 1);
  const RamMap map = loader.walk();
  EXPECT_EQ(map.count, map.ranges.size());
  EXPECT_EQ(map.all().back().base, 31u * 0x100000);
}

}  // namespace
}  // namespace mezzo::ia32
