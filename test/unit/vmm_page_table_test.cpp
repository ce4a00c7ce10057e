// Address types and the page-table walk: both formats over random tables, against a reference that
// spells each format out by the manual's bit numbers and shares no code with the walk.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <random>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "mem/address.hpp"
#include "mem/page_table.hpp"

namespace mezzo::mem {
namespace {

static_assert(!std::is_convertible_v<std::uint32_t, GuestVirtual>);
static_assert(!std::is_convertible_v<GuestVirtual, std::uint32_t>);
static_assert(!std::is_convertible_v<GuestPhysical, HostPhysical>);
static_assert(!std::is_constructible_v<HostPhysical, GuestPhysical>);
static_assert(!std::is_constructible_v<GuestVirtual, HostVirtual>);

TEST(Address, PageArithmetic) {
  constexpr GuestVirtual address{0x12345678};
  EXPECT_EQ(address.aligned_down(), GuestVirtual{0x12345000});
  EXPECT_EQ(address.aligned_up(), GuestVirtual{0x12346000});
  EXPECT_EQ(address.aligned_down().aligned_up(), address.aligned_down());
  EXPECT_EQ(address.aligned_down(1u << 22), GuestVirtual{0x12000000});
  EXPECT_EQ(address.offset_in(), 0x678u);
  EXPECT_EQ(address.page_number(), 0x12345u);
  EXPECT_EQ(GuestVirtual::of_page(0x12345), address.aligned_down());
  EXPECT_FALSE(address.is_aligned());
  EXPECT_TRUE(address.is_aligned(8));
  EXPECT_LT(address, address + 1);
}

TEST(Address, WrapsLikeTheProcessor) {
  EXPECT_EQ(GuestVirtual{0xffffffff} + 2, GuestVirtual{1});
  EXPECT_EQ(GuestVirtual{1} - 2u, GuestVirtual{0xffffffff});
  EXPECT_EQ(GuestVirtual{0xfffff001}.aligned_up(), GuestVirtual{0});
  EXPECT_EQ(GuestVirtual{0x1000} - GuestVirtual{0x2000}, 0xfffff000u);
}

// Physical memory of one to a few pages; whatever lies elsewhere cannot be read.
template <class Entry>
class Memory {
 public:
  static constexpr std::uint64_t kEntriesPerPage = kPageSize / sizeof(Entry);

  void add_page(std::uint64_t number) { pages_[number].resize(kEntriesPerPage); }
  Entry& at(std::uint64_t address) {
    return pages_.at(address / kPageSize).at(address % kPageSize / sizeof(Entry));
  }
  [[nodiscard]] std::optional<Entry> read(std::uint64_t address) const {
    const auto page = pages_.find(address / kPageSize);
    if (page == pages_.end()) return {};
    return page->second[address % kPageSize / sizeof(Entry)];
  }
  template <class Generator>
  void fill(Generator generate) {
    for (auto& [number, entries] : pages_) {
      for (Entry& entry : entries) entry = generate();
    }
  }

 private:
  std::unordered_map<std::uint64_t, std::vector<Entry>> pages_;
};

template <class Format>
WalkResult walk_in(const Memory<typename Format::Entry>& memory, std::uint64_t root,
                   std::uint32_t address) {
  return walk<Format>(GuestPhysical{root}, GuestVirtual{address},
                      [&](GuestPhysical entry) { return memory.read(entry.value()); });
}

template <class Word>
bool bit(Word word, unsigned number) {
  return (word >> number & 1) != 0;
}
std::unexpected<Miss> miss(unsigned level, MissReason reason) {
  return std::unexpected(Miss{level, reason});
}

// SDM volume 3, table 4-3 to 4-6.
WalkResult reference_ia32(const Memory<std::uint32_t>& memory, std::uint64_t root,
                          std::uint32_t address) {
  const auto pde = memory.read(root + std::uint64_t{address >> 22} * 4);
  if (!pde) return miss(2, MissReason::Unreadable);
  if (!bit(*pde, 0)) return miss(2, MissReason::NotPresent);
  if (bit(*pde, 7)) {
    if (bit(*pde, 21)) return miss(2, MissReason::Reserved);
    std::uint64_t physical = *pde >> 22 << 22 | (address & 0x3fffff);
    for (unsigned i = 0; i < 8; ++i) physical |= std::uint64_t{bit(*pde, 13 + i)} << (32 + i);
    return Translation{
        GuestPhysical{physical}, bit(*pde, 1), bit(*pde, 2), true, bit(*pde, 8), 4u << 20};
  }
  const auto pte = memory.read((*pde >> 12 << 12) + (address >> 12) % 1024 * 4);
  if (!pte) return miss(1, MissReason::Unreadable);
  if (!bit(*pte, 0)) return miss(1, MissReason::NotPresent);
  return Translation{GuestPhysical{(*pte >> 12 << 12) + address % 4096},
                     bit(*pde, 1) && bit(*pte, 1),
                     bit(*pde, 2) && bit(*pte, 2),
                     true,
                     bit(*pte, 8),
                     4096};
}

// SDM volume 3, table 4-8 to 4-11.
WalkResult reference_pae(const Memory<std::uint64_t>& memory, std::uint64_t root,
                         std::uint32_t address) {
  const auto address_of = [](std::uint64_t entry) { return entry << 12 >> 24 << 12; };
  const auto bits = [](std::uint64_t entry, unsigned first, unsigned last) {
    for (unsigned i = first; i <= last; ++i) {
      if (bit(entry, i)) return true;
    }
    return false;
  };
  const auto pdpte = memory.read(root + address / 0x40000000 * 8);
  if (!pdpte) return miss(3, MissReason::Unreadable);
  if (!bit(*pdpte, 0)) return miss(3, MissReason::NotPresent);
  if (bits(*pdpte, 1, 2) || bits(*pdpte, 5, 8) || bits(*pdpte, 52, 63)) {
    return miss(3, MissReason::Reserved);
  }
  const auto pde = memory.read(address_of(*pdpte) + address / 0x200000 % 512 * 8);
  if (!pde) return miss(2, MissReason::Unreadable);
  if (!bit(*pde, 0)) return miss(2, MissReason::NotPresent);
  if (bits(*pde, 52, 62)) return miss(2, MissReason::Reserved);
  if (bit(*pde, 7)) {
    if (bits(*pde, 13, 20)) return miss(2, MissReason::Reserved);
    return Translation{GuestPhysical{(*pde << 12 >> 33 << 21) + address % 0x200000},
                       bit(*pde, 1),
                       bit(*pde, 2),
                       !bit(*pde, 63),
                       bit(*pde, 8),
                       2u << 20};
  }
  const auto pte = memory.read(address_of(*pde) + address / 4096 % 512 * 8);
  if (!pte) return miss(1, MissReason::Unreadable);
  if (!bit(*pte, 0)) return miss(1, MissReason::NotPresent);
  if (bits(*pte, 52, 62)) return miss(1, MissReason::Reserved);
  return Translation{GuestPhysical{address_of(*pte) + address % 4096},
                     bit(*pde, 1) && bit(*pte, 1),
                     bit(*pde, 2) && bit(*pte, 2),
                     !bit(*pde, 63) && !bit(*pte, 63),
                     bit(*pte, 8),
                     4096};
}

// How often each outcome came up: a comparison of nothing but misses would prove little.
struct Tally {
  int small = 0, large = 0, not_present = 0, reserved = 0, unreadable = 0;

  void count(const WalkResult& result) {
    if (result) {
      ++(result->page_size == kPageSize ? small : large);
    } else if (result.error().reason == MissReason::NotPresent) {
      ++not_present;
    } else if (result.error().reason == MissReason::Reserved) {
      ++reserved;
    } else {
      ++unreadable;
    }
  }
  void expect_all_above(int least) const {
    EXPECT_GT(small, least);
    EXPECT_GT(large, least);
    EXPECT_GT(not_present, least);
    EXPECT_GT(reserved, least);
    EXPECT_GT(unreadable, least);
  }
};

constexpr int kTables = 16;
constexpr int kRounds = 40;
constexpr int kWalks = 5000;

TEST(Walk, Ia32AgreesWithReference) {
  std::mt19937 random(11);
  Tally tally;
  Memory<std::uint32_t> memory;
  for (std::uint64_t page = 0; page < kTables; ++page) memory.add_page(page);
  for (int round = 0; round < kRounds; ++round) {
    memory.fill([&] {
      auto entry = static_cast<std::uint32_t>(random());
      if (random() % 4 != 0) entry |= 1;       // present
      if (random() % 4 != 0) entry &= ~0x80u;  // leads to a table
      if ((entry & 0x80) == 0 && random() % 8 != 0) entry &= 0xfff | (kTables - 1) << 12;  // ours
      return entry;
    });
    for (int i = 0; i < kWalks; ++i) {
      const auto address = static_cast<std::uint32_t>(random());
      const std::uint64_t root = random() % (kTables + 1) * kPageSize;
      const WalkResult result = walk_in<Ia32>(memory, root, address);
      ASSERT_EQ(result, reference_ia32(memory, root, address)) << std::hex << address;
      tally.count(result);
    }
  }
  tally.expect_all_above(1000);
}

TEST(Walk, PaeAgreesWithReference) {
  std::mt19937_64 random(12);
  Tally tally;
  Memory<std::uint64_t> memory;
  for (std::uint64_t page = 0; page < kTables; ++page) memory.add_page(page);
  for (int round = 0; round < kRounds; ++round) {
    memory.fill([&] {
      std::uint64_t entry = random();
      if (random() % 8 != 0) entry |= 1;
      if (random() % 8 != 0) entry &= ~0x7ff0000000000000ull;  // no reserved bits
      if (random() % 4 != 0) entry &= ~0x80000000000001e6ull;  // good for the root
      if (random() % 3 != 0) {
        entry &= ~0x80ull;  // a table
      } else if (random() % 2 == 0) {
        entry = (entry & ~0x1fe000ull) | 0x80;  // a good large page
      }
      if ((entry & 0x80) == 0 && random() % 8 != 0) {
        entry &= 0xfff0000000000fffull | (kTables - 1) << 12;
      }
      return entry;
    });
    for (int i = 0; i < kWalks; ++i) {
      const auto address = static_cast<std::uint32_t>(random());
      const std::uint64_t root = random() % (kTables * kPageSize / 32 + 8) * 32;
      const WalkResult result = walk_in<Ia32Pae>(memory, root, address);
      ASSERT_EQ(result, reference_pae(memory, root, address)) << std::hex << address;
      tally.count(result);
    }
  }
  tally.expect_all_above(100);
}

TEST(Walk, LinuxLowmemMapping) {
  Memory<std::uint32_t> memory;
  memory.add_page(1);
  memory.add_page(2);
  memory.at(0x1000 + 0x300 * 4) = 0x000001e3;  // 0xc0000000: 4 MiB, global, kernel
  memory.at(0x1000 + 0x020 * 4) = 0x00002067;  // 0x08000000: a table, user
  memory.at(0x2000 + 0x048 * 4) = 0x12345025;  // 0x08048000: read-only, user
  EXPECT_EQ(walk_in<Ia32>(memory, 0x1000, 0xc0123456),
            (Translation{GuestPhysical{0x123456}, true, false, true, true, 4u << 20}));
  EXPECT_EQ(walk_in<Ia32>(memory, 0x1000, 0x08048abc),
            (Translation{GuestPhysical{0x12345abc}, false, true, true, false, 4096}));
  EXPECT_EQ(walk_in<Ia32>(memory, 0x1000, 0x08049000), miss(1, MissReason::NotPresent));
  EXPECT_EQ(walk_in<Ia32>(memory, 0x1000, 0), miss(2, MissReason::NotPresent));
  EXPECT_EQ(walk_in<Ia32>(memory, 0x5000, 0), miss(2, MissReason::Unreadable));
}

}  // namespace
}  // namespace mezzo::mem
