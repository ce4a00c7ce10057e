// The block that U-Boot starts: its table, and what the head makes of it. The head itself runs in
// test/system/uboot-armv7.test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "image/uimage.hpp"
#include "loader/bytes.hpp"
#include "tool_system_support.hpp"

namespace mezzo::image {
namespace {

using loader::get;
using loader::put;
using test::Bytes;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t kLow = 0x60300000, kHigh = 0x60400000;
constexpr std::uint32_t kStart = 0x60008000;
const Bytes kHead = {0xaa, 0xbb, 0xcc, 0xdd};

// An Arm ELF whose first part is the one with the higher address: 64 bytes from `high` on, zeros up
// to 128, and 6 bytes from `low` on.
Bytes two_parts(std::uint32_t high, std::uint32_t low) {
  Bytes file = test::make_elf32(high);
  const std::span<std::uint8_t> bytes(file);
  for (std::size_t i = 0x1000; i < file.size(); ++i) file[i] = static_cast<std::uint8_t>(i);
  put(bytes, 18, std::uint16_t{40});
  put(bytes, 44, std::uint16_t{2});
  constexpr std::size_t kSecond = 52 + 32;
  put(bytes, kSecond, std::uint32_t{1});
  put(bytes, kSecond + 4, std::uint32_t{0x1000});
  put(bytes, kSecond + 8, low);
  put(bytes, kSecond + 12, low);
  put(bytes, kSecond + 16, std::uint32_t{6});
  put(bytes, kSecond + 20, std::uint32_t{6});
  return file;
}

// Memory after the head has run in it, as uimage_head.S does it.
struct Memory {
  std::map<std::uint32_t, std::uint8_t> bytes;
  std::uint32_t entry = 0;

  Memory(const Bytes& block, std::uint32_t address, std::size_t head) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      bytes[address + static_cast<std::uint32_t>(i)] = block[i];
    }
    const std::span<const std::uint8_t> table(&block[head], block.size() - head);
    entry = get<std::uint32_t>(table, 4);
    for (std::uint32_t part = get<std::uint32_t>(table, 0); part-- > 0;) {
      const auto row = [&](std::size_t word) {
        return get<std::uint32_t>(table, 8 + part * 16 + word * 4);
      };
      for (std::uint32_t i = row(3); i-- > 0;) {
        bytes[row(0) + i] = i < row(2) ? bytes[address + row(1) + i] : 0;
      }
    }
  }
  [[nodiscard]] Bytes at(std::uint32_t address, std::uint32_t size) const {
    Bytes found;
    for (std::uint32_t i = 0; i < size; ++i) found.push_back(bytes.at(address + i));
    return found;
  }
};

TEST(UImageBlock, PutsEachPartWhereItBelongs) {
  const auto block = make_block(two_parts(kHigh, kLow), kHead, kStart);
  ASSERT_TRUE(block.has_value()) << test::all(block.error());
  EXPECT_EQ(block->size() % 4, 0U);
  EXPECT_TRUE(std::equal(kHead.begin(), kHead.end(), block->begin()));
  const Memory memory(*block, kStart, kHead.size());
  EXPECT_EQ(memory.entry, kHigh + 16);
  EXPECT_THAT(memory.at(kLow, 6), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(memory.at(kHigh + 63, 1), Bytes{63});
  EXPECT_EQ(memory.at(kHigh + 64, 64), Bytes(64, 0));
}

// Parts that begin right behind the block, so that copies and their sources overlap.
TEST(UImageBlock, OverlapsNothingThatIsStillNeeded) {
  constexpr std::uint32_t kBlock = 4 + 8 + 2 * 16 + 8 + 64;  // head, table, parts
  for (std::uint32_t distance = 4; distance <= 72; distance += 4) {
    const std::uint32_t low = kStart + kBlock - 64;
    const auto block = make_block(two_parts(low + distance + 4, low), kHead, kStart);
    if (!block) {
      EXPECT_LT(distance + 4, 64U) << "the high part is clear of the block";
      continue;
    }
    const Memory memory(*block, kStart, kHead.size());
    EXPECT_THAT(memory.at(low, 4), ElementsAre(0, 1, 2, 3)) << distance;
    EXPECT_EQ(memory.at(low + distance + 4, 2), (Bytes{0, 1})) << distance;
    EXPECT_EQ(memory.at(low + distance + 4 + 63, 1), Bytes{63}) << distance;
  }
}

TEST(UImageBlock, RefusesPartsThatTheBlockWouldCover) {
  for (const std::uint32_t low : {kStart - 4096, kStart, kStart + 8}) {
    const auto block = make_block(two_parts(kHigh, low), kHead, kStart);
    ASSERT_FALSE(block.has_value()) << low;
    EXPECT_THAT(test::all(block.error()), HasSubstr("belongs"));
  }
}

TEST(UImageBlock, RefusesWhatIsNoArmElf) {
  EXPECT_FALSE(make_block(Bytes(100, 0), kHead, kStart).has_value());
  EXPECT_FALSE(make_block(test::make_elf32(kHigh), kHead, kStart).has_value()) << "for a PC";
}

TEST(UImage, IsForArmOnly) {
  const auto written = write_uimage({}, {}, kHead, "/nonexistent/file");
  ASSERT_FALSE(written.has_value());
  EXPECT_THAT(test::all(written.error()), HasSubstr("for Arm boards only"));
}

}  // namespace
}  // namespace mezzo::image
