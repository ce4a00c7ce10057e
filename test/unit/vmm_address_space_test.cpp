// Guest-physical intervals: what may be added, and what every address then is, held against a map
// that lists each page.
#include "mem/address_space.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace mezzo::mem {
namespace {

using Kind = AddressSpace::Kind;
using Interval = AddressSpace::Interval;

constexpr std::uint32_t kPage = kPageSize;

struct PieceRow {
  std::uint32_t base, guest_base, size;
};

AddressSpace board() {
  AddressSpace space;
  EXPECT_TRUE(space.add({.guest = 0x60000000, .machine = 0x68000000, .size = 0x08000000}));
  EXPECT_TRUE(
      space.add({.guest = 0x10009000, .machine = 0x1000a000, .size = kPage, .kind = Kind::Device}));
  EXPECT_TRUE(space.add({.guest = 0x1e001000,
                         .machine = 0x1e001000,
                         .size = kPage,
                         .kind = Kind::Emulated,
                         .id = 3}));
  EXPECT_TRUE(space.add({.guest = 0x40000000,
                         .machine = 0x40000000,
                         .size = 0x04000000,
                         .kind = Kind::Device,
                         .writable = false}));
  return space;
}

TEST(AddressSpace, AnswersWithKindMachineAddressAndBytesToTheEnd) {
  const AddressSpace space = board();
  const auto memory = space.lookup(GuestPhysical{0x60001234});
  EXPECT_EQ(memory.kind, Kind::Memory);
  EXPECT_TRUE(memory.writable);
  EXPECT_EQ(memory.machine, HostPhysical{0x68001234});
  EXPECT_EQ(memory.bytes, 0x08000000u - 0x1234u);

  const auto device = space.lookup(GuestPhysical{0x10009ffc});
  EXPECT_EQ(device.kind, Kind::Device);
  EXPECT_EQ(device.machine, HostPhysical{0x1000affc});
  EXPECT_EQ(device.bytes, 4u);

  const auto emulated = space.lookup(GuestPhysical{0x1e001100});
  EXPECT_EQ(emulated.kind, Kind::Emulated);
  EXPECT_EQ(emulated.id, 3);

  EXPECT_FALSE(space.lookup(GuestPhysical{0x40000000}).writable);
}

TEST(AddressSpace, WhatIsNotNamedIsAbsentUpToTheNextInterval) {
  const AddressSpace space = board();
  EXPECT_EQ(space.lookup(GuestPhysical{0}).kind, Kind::None);
  EXPECT_EQ(space.lookup(GuestPhysical{0}).bytes, 0x10009000u);
  EXPECT_EQ(space.lookup(GuestPhysical{0x1000a000}).kind, Kind::None) << "a machine address";
  EXPECT_EQ(space.lookup(GuestPhysical{0x68000000}).kind, Kind::None) << "a machine address";
  EXPECT_EQ(space.lookup(GuestPhysical{0x68000000}).bytes, 0x98000000u) << "up to 4 GiB";
  EXPECT_EQ(space.lookup(GuestPhysical{0xffffffff}).bytes, 1u);
  for (const std::uint64_t above : {0x1'0000'0000u, 0x1'6000'0000u, 0xff'6000'0000u}) {
    EXPECT_EQ(space.lookup(GuestPhysical{above}).kind, Kind::None) << above;
    EXPECT_EQ(space.guest_of(HostPhysical{above}), std::nullopt) << above;
  }
  EXPECT_EQ(AddressSpace{}.lookup(GuestPhysical{0}).bytes, 0xffffffffu);
}

TEST(AddressSpace, MemoryIsGivenOnlyInOnePiece) {
  AddressSpace space = board();
  EXPECT_TRUE(space.add({.guest = 0x68000000, .machine = 0x64000000, .size = kPage}));
  EXPECT_EQ(space.memory(GuestPhysical{0x67fffffc}, 4), HostPhysical{0x6ffffffc});
  EXPECT_EQ(space.memory(GuestPhysical{0x67fffffd}, 4), std::nullopt) << "into the next piece";
  EXPECT_EQ(space.memory(GuestPhysical{0x10009000}, 4), std::nullopt) << "a device";
  EXPECT_EQ(space.memory(GuestPhysical{0x68001000}, 0), std::nullopt) << "nothing there";
}

TEST(AddressSpace, MachineAddressesLeadBackToTheGuests) {
  const AddressSpace space = board();
  EXPECT_EQ(space.guest_of(HostPhysical{0x68000000}), GuestPhysical{0x60000000});
  EXPECT_EQ(space.guest_of(HostPhysical{0x6fffffff}), GuestPhysical{0x67ffffff});
  EXPECT_EQ(space.guest_of(HostPhysical{0x1000a004}), GuestPhysical{0x10009004});
  EXPECT_EQ(space.guest_of(HostPhysical{0x60000000}), std::nullopt) << "not this guest's";
  EXPECT_EQ(space.guest_of(HostPhysical{0x1e001000}), std::nullopt) << "emulated: never mapped";
}

TEST(AddressSpace, RefusesWhatIsMisalignedEmptyOrWraps) {
  AddressSpace space;
  EXPECT_FALSE(space.add({.guest = 0x1001, .machine = 0x1000, .size = kPage}));
  EXPECT_FALSE(space.add({.guest = 0x1000, .machine = 0x1200, .size = kPage}));
  EXPECT_FALSE(space.add({.guest = 0x1000, .machine = 0x1000, .size = 0x100}));
  EXPECT_FALSE(space.add({.guest = 0x1000, .machine = 0x1000, .size = 0}));
  EXPECT_FALSE(space.add({.guest = 0xfffff000, .machine = 0x1000, .size = 2 * kPage}));
  EXPECT_FALSE(space.add({.guest = 0x1000, .machine = 0xfffff000, .size = 2 * kPage}));
  EXPECT_FALSE(space.add({.guest = 0, .machine = 0, .size = kPage, .kind = Kind::None}));
  EXPECT_TRUE(space.intervals().empty());
  EXPECT_TRUE(space.add({.guest = 0xfffff000, .machine = 0xffffe000, .size = kPage}));
  EXPECT_EQ(space.lookup(GuestPhysical{0xffffffff}).machine, HostPhysical{0xffffefff});
}

TEST(AddressSpace, RefusesOverlapsInEitherAddress) {
  AddressSpace space = board();
  const std::size_t before = space.intervals().size();
  EXPECT_FALSE(space.add({.guest = 0x67fff000, .machine = 0x20000000, .size = kPage}));
  EXPECT_FALSE(space.add({.guest = 0x5ffff000, .machine = 0x20000000, .size = 2 * kPage}));
  EXPECT_FALSE(space.add({.guest = 0, .machine = 0x20000000, .size = 0x7ffff000}));
  EXPECT_FALSE(space.add({.guest = 0x20000000, .machine = 0x68000000, .size = kPage}));
  EXPECT_FALSE(space.add(
      {.guest = 0x1e001000, .machine = 0x20000000, .size = kPage, .kind = Kind::Emulated}));
  EXPECT_EQ(space.intervals().size(), before);
  EXPECT_TRUE(space.add(
      {.guest = 0x20000000, .machine = 0x1e001000, .size = kPage, .kind = Kind::Emulated}))
      << "a filtered chip may be behind several windows";
}

TEST(AddressSpace, IsBounded) {
  AddressSpace space;
  for (std::uint32_t n = AddressSpace::kMaxIntervals; n > 0; --n) {
    EXPECT_TRUE(space.add({.guest = n * 2 * kPage, .machine = n * kPage, .size = kPage}));
  }
  EXPECT_FALSE(space.add({.guest = 0, .machine = 0, .size = kPage}));
  EXPECT_EQ(space.intervals().size(), AddressSpace::kMaxIntervals);
  EXPECT_TRUE(std::ranges::is_sorted(space.intervals(), {}, &Interval::guest));
}

TEST(AddressSpace, TakesThePlansPieces) {
  const std::vector<PieceRow> good{{0x68000000, 0x60000000, 0x100000},
                                   {0x66000000, 0x60100000, 0x100000}};
  AddressSpace space;
  EXPECT_TRUE(space.add_memory(good));
  EXPECT_EQ(space.memory(GuestPhysical{0x60100010}, 16), HostPhysical{0x66000010});
  EXPECT_FALSE(space.add_memory(std::vector<PieceRow>{{0x68000000, 0x70000000, 0x1000}}));
}

// Random intervals in a small space, against a map of pages.
TEST(AddressSpace, AgreesWithAListOfPages) {
  std::mt19937 random(4);
  const auto below = [&](std::uint32_t limit) {
    return static_cast<std::uint32_t>(random() % limit);
  };
  for (int round = 0; round < 200; ++round) {
    AddressSpace space;
    std::map<std::uint32_t, Interval> pages;          // guest page -> the interval it is in
    std::map<std::uint32_t, std::uint32_t> machines;  // machine page -> guest page
    for (int n = 0; n < 40; ++n) {
      const Interval added{.guest = below(256) * kPage,
                           .machine = below(512) * kPage,
                           .size = (1 + below(12)) * kPage,
                           .kind = static_cast<Kind>(1 + below(3)),
                           .writable = below(2) == 0,
                           .id = static_cast<std::uint8_t>(n)};
      bool is_free = true;
      std::map<std::uint32_t, Interval> new_pages = pages;
      for (std::uint32_t at = 0; at < added.size; at += kPage) {
        is_free &= new_pages.emplace(added.guest + at, added).second;
        is_free &= added.kind == Kind::Emulated || !machines.contains(added.machine + at);
      }
      ASSERT_EQ(space.add(added), is_free);
      if (!is_free) continue;
      pages = new_pages;
      for (std::uint32_t at = 0; at < added.size && added.kind != Kind::Emulated; at += kPage) {
        machines[added.machine + at] = added.guest + at;
      }
    }
    for (std::uint32_t page = 0; page < 300; ++page) {
      const std::uint32_t address = page * kPage + below(kPage);
      const auto got = space.lookup(GuestPhysical{address});
      const auto entry = pages.find(page * kPage);
      if (entry == pages.end()) {
        ASSERT_EQ(got.kind, Kind::None);
        const auto next = pages.upper_bound(address);
        ASSERT_EQ(got.bytes,
                  next == pages.end() ? 0u - address - (address == 0) : next->first - address);
        continue;
      }
      const Interval& interval = entry->second;
      ASSERT_EQ(got.kind, interval.kind);
      ASSERT_EQ(got.id, interval.id);
      ASSERT_EQ(got.writable, interval.writable);
      ASSERT_EQ(got.machine, HostPhysical{interval.machine + (address - interval.guest)});
      ASSERT_EQ(got.offset, address - interval.guest);
      ASSERT_EQ(got.bytes, interval.size - (address - interval.guest));
    }
    for (std::uint32_t page = 0; page < 540; ++page) {
      const auto back = machines.find(page * kPage);
      const auto got = space.guest_of(HostPhysical{page * kPage + 1});
      ASSERT_EQ(got, back == machines.end() ? std::nullopt
                                            : std::optional(GuestPhysical{back->second + 1}));
    }
  }
}

}  // namespace
}  // namespace mezzo::mem
