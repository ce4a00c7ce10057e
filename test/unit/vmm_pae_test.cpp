// Roots of guests with PAE: which tables of pointers can be loaded, and what a load changes.
#include "arch/ia32/pae.hpp"

#include <gtest/gtest.h>

#include "support/pae_memory.hpp"

namespace mezzo::ia32::pae {
namespace {

using test::PaeMemory;

constexpr std::uint32_t kTable = PaeMemory::kBase + 0x2fe0;  // the last one of its page
constexpr std::uint32_t kDirectory = PaeMemory::kBase + 0x5000;

struct PaeRoot : testing::Test {
  PaeRoot() { memory.table(kTable) = honest; }

  RootResult take(std::uint32_t cr3 = kTable) { return memory.take(cr3); }
  // A load of honest pointers but that number `index` is `pointer`.
  RootResult take_with(std::size_t index, std::uint64_t pointer) {
    memory.table(kTable) = honest;
    memory.table(kTable)[index] = pointer;
    return take();
  }

  const Pointers honest{0x00401001, 0, 0x00403019, kDirectory | 1};
  PaeMemory memory;
};

TEST_F(PaeRoot, PointersAreTakenOverAndTheWindowIsPutIntoTheLastDirectory) {
  memory.word(kDirectory + 509 * 8) = 0x1234;
  ASSERT_EQ(take(), RootResult::Installed);
  EXPECT_EQ(memory.pointers, honest);
  EXPECT_EQ(memory.word(kDirectory + 509 * 8), 0x1234U);
  EXPECT_EQ(memory.word(kDirectory + 510 * 8), PaeMemory::kWindow.entries[0]);
  EXPECT_EQ(memory.word(kDirectory + 511 * 8), PaeMemory::kWindow.entries[1]);
  EXPECT_EQ(memory.table(kTable), honest) << "the guest's own table stays as it is";
}

TEST_F(PaeRoot, WhatTheGuestHasOverwrittenIsPutBackAtTheNextLoad) {
  ASSERT_EQ(take(), RootResult::Installed);
  for (const std::uint32_t entry : {510U, 511U}) {
    memory.word(kDirectory + entry * 8) ^= std::uint64_t{1} << 40;
    ASSERT_EQ(take(), RootResult::Installed);
    EXPECT_EQ(memory.word(kDirectory + entry * 8), PaeMemory::kWindow.entries[entry - 510]);
  }
}

TEST_F(PaeRoot, WithoutADirectoryForTheLastGibTheMonitorsIsUsed) {
  for (const std::uint64_t absent :
       {std::uint64_t{0}, std::uint64_t{kDirectory}, ~std::uint64_t{1}}) {
    ASSERT_EQ(take_with(3, absent), RootResult::Installed);
    EXPECT_EQ(memory.pointers[3], PaeMemory::kWindow.directory);
    EXPECT_EQ(memory.word(kDirectory + 511 * 8), 0U);
  }
}

TEST_F(PaeRoot, AbsentPointersAreTakenAsZero) {
  ASSERT_EQ(take_with(1, ~1ULL), RootResult::Installed);
  EXPECT_EQ(memory.pointers, honest);
}

TEST_F(PaeRoot, BitsThatAreNoAddressInCr3AreIgnored) {
  EXPECT_EQ(take(kTable | 0x1f), RootResult::Installed);
  EXPECT_EQ(memory.pointers, honest);
}

TEST_F(PaeRoot, ReservedBitsAreRefusedAsTheProcessorDoes) {
  for (std::size_t index = 0; index < 4; ++index) {
    for (const unsigned bit : {1U, 2U, 5U, 6U, 7U, 8U, 52U, 62U, 63U}) {
      const std::uint64_t pointer = kDirectory | 1 | std::uint64_t{1} << bit;
      EXPECT_EQ(take_with(index, pointer), RootResult::ReservedBits) << index << " " << bit;
    }
    for (const unsigned bit : {3U, 4U, 9U, 10U, 11U}) {
      const std::uint32_t directory = index == 3 ? kDirectory : kDirectory + 0x1000;
      const std::uint64_t pointer = directory | 1 | std::uint64_t{1} << bit;
      EXPECT_EQ(take_with(index, pointer), RootResult::Installed) << index << " " << bit;
      EXPECT_EQ(memory.pointers[index], pointer);
    }
  }
}

TEST_F(PaeRoot, ARefusedRootChangesNothing) {
  ASSERT_EQ(take(), RootResult::Installed);
  memory.word(kDirectory + 511 * 8) = 0;
  EXPECT_EQ(take_with(0, 0x00401003), RootResult::ReservedBits);
  EXPECT_EQ(take_with(0, 0x100401001), RootResult::OutsidePartition);
  EXPECT_EQ(take_with(3, PaeMemory::kEnd | 1), RootResult::OutsidePartition);
  EXPECT_EQ(memory.pointers, honest);
  EXPECT_EQ(memory.word(kDirectory + 511 * 8), 0U);
}

TEST_F(PaeRoot, DirectoriesAbove4GibAreNobodys) {
  for (std::size_t index = 0; index < 4; ++index) {
    for (const unsigned bit : {32U, 35U, 36U, 51U}) {
      const std::uint64_t pointer = kDirectory | 1 | std::uint64_t{1} << bit;
      EXPECT_EQ(take_with(index, pointer), RootResult::OutsidePartition) << index << " " << bit;
    }
  }
}

TEST_F(PaeRoot, TheLastDirectoryMustBeThePartitionsMemory) {
  for (const std::uint32_t directory :
       {0U, PaeMemory::kBase - 0x1000, PaeMemory::kEnd, PaeMemory::kMonitor, 0xfffff000U}) {
    EXPECT_EQ(take_with(3, directory | 1), RootResult::OutsidePartition) << directory;
  }
  EXPECT_EQ(take_with(3, (PaeMemory::kEnd - 0x1000) | 1), RootResult::Installed);
}

// As Linux does while it starts: one directory for the first GiB and for the last one.
TEST_F(PaeRoot, TheLastDirectoryMayServeAnotherGibToo) {
  EXPECT_EQ(take_with(0, kDirectory | 1), RootResult::Installed);
  EXPECT_EQ(memory.pointers[0], memory.pointers[3]);
}

TEST_F(PaeRoot, TheTableMustBeThePartitionsMemory) {
  for (const std::uint32_t table : {0U, PaeMemory::kBase - 0x20, PaeMemory::kEnd,
                                    PaeMemory::kMonitor, 0xffffffe0U, 0xffffffffU}) {
    EXPECT_EQ(take(table), RootResult::OutsidePartition) << table;
  }
  memory.table(PaeMemory::kEnd - 0x20) = honest;
  EXPECT_EQ(take(PaeMemory::kEnd - 0x20), RootResult::Installed);
}

TEST_F(PaeRoot, ATableInItsOwnDirectoryIsReadBeforeTheWindowIsWritten) {
  const Pointers in_directory{0x00401001, 0, 0, kDirectory | 1};
  memory.table(kDirectory + 0xfe0) = in_directory;
  ASSERT_EQ(take(kDirectory + 0xfe0), RootResult::Installed);
  EXPECT_EQ(memory.pointers, in_directory);
  EXPECT_EQ(take(kDirectory + 0xfe0), RootResult::ReservedBits);
}

}  // namespace
}  // namespace mezzo::ia32::pae
