// From a guest-physical address to the device that owns the window.
#include "io/mmio.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mezzo::io {
namespace {

using mem::AddressSpace;
using mem::GuestPhysical;
using Kind = AddressSpace::Kind;

struct Recorder {
  Answer answer{};
  std::vector<Access> seen{};
  Answer access(const Access& access) {
    seen.push_back(access);
    return answer;
  }
};

struct Fixture {
  AddressSpace space;
  Recorder first{.answer = {.value = 0x11}}, second{.answer = {.outcome = Outcome::Reboot}};
  Mmio<Recorder, Recorder> mmio{first, second};

  Fixture() {
    EXPECT_TRUE(space.add(
        {.guest = 0x1000, .machine = 0x9000, .size = 0x2000, .kind = Kind::Emulated, .id = 1}));
    EXPECT_TRUE(space.add({.guest = 0x3000,
                           .machine = 0xb000,
                           .size = 0x1000,
                           .kind = Kind::Device,
                           .writable = false,
                           .id = 2}));
    EXPECT_TRUE(space.add(
        {.guest = 0x4000, .machine = 0xc000, .size = 0x1000, .kind = Kind::Emulated, .id = 3}));
    EXPECT_TRUE(
        space.add({.guest = 0x6000, .machine = 0xe000, .size = 0x1000, .kind = Kind::Emulated}));
    EXPECT_TRUE(space.add({.guest = 0x5000, .machine = 0xd000, .size = 0x1000}));
  }
  Answer access(std::uint64_t address, std::uint8_t size, bool write, std::uint32_t value = 0) {
    return mmio.access(space, GuestPhysical{address}, size, write, value);
  }
  [[nodiscard]] bool reached_any() const { return !first.seen.empty() || !second.seen.empty(); }
};

TEST(Mmio, GivesTheDeviceTheOffsetInItsWindow) {
  Fixture f;
  EXPECT_EQ(f.access(0x2ffc, 4, false), Answer::done(0x11));
  EXPECT_EQ(f.access(0x1001, 1, true, 0xabcd).value, 0x11u);
  ASSERT_EQ(f.first.seen.size(), 2u);
  EXPECT_EQ(f.first.seen[0].offset, 0x1ffcu);
  EXPECT_FALSE(f.first.seen[0].write);
  EXPECT_EQ(f.first.seen[1].offset, 1u);
  EXPECT_EQ(f.first.seen[1].value, 0xabcdu);
  EXPECT_TRUE(f.second.seen.empty());
}

TEST(Mmio, WritesToAPageThatIsReadDirectlyAreItsDevices) {
  Fixture f;
  EXPECT_EQ(f.access(0x30a4, 4, true, 1).outcome, Outcome::Reboot);
  ASSERT_EQ(f.second.seen.size(), 1u);
  EXPECT_EQ(f.second.seen[0].offset, 0xa4u);
  EXPECT_EQ(f.access(0x30a4, 4, false).outcome, Outcome::Missing) << "would not have come here";
}

TEST(Mmio, EverythingElseIsMissing) {
  Fixture f;
  EXPECT_EQ(f.access(0x0, 4, false), Answer::missing()) << "nothing there";
  EXPECT_EQ(f.access(0x4000, 4, false), Answer::missing()) << "no such device";
  EXPECT_EQ(f.access(0x6000, 4, false), Answer::missing()) << "no device";
  EXPECT_EQ(f.access(0x5000, 4, true), Answer::missing()) << "memory";
  EXPECT_EQ(f.access(0x1'0000'1000, 4, false), Answer::missing()) << "beyond 4 GiB";
  EXPECT_EQ(f.access(0x1002, 4, false), Answer::missing()) << "misaligned";
  EXPECT_EQ(f.access(0x1000, 8, false), Answer::missing());
  EXPECT_EQ(f.access(0x1000, 0, false), Answer::missing());
  EXPECT_FALSE(f.reached_any());
}

TEST(Mmio, NarrowReadsTakeTheirBytes) {
  EXPECT_EQ(narrow(0x44332211, {.offset = 0, .size = 4}), 0x44332211u);
  EXPECT_EQ(narrow(0x44332211, {.offset = 6, .size = 2}), 0x4433u);
  EXPECT_EQ(narrow(0x44332211, {.offset = 5, .size = 1}), 0x22u);
  EXPECT_EQ(byte_of({.value = 0x44332211}, 3), 0x44);
}

}  // namespace
}  // namespace mezzo::io
