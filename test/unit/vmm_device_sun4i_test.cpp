// Allwinner A10: everything passes but the watchdog, which ends the guest alone, and what is the
// monitor's.
#include "device/sun4i_timer.hpp"

#include <gtest/gtest.h>

#include "support/model_registers.hpp"

namespace mezzo::device {
namespace {

using io::Answer;
using io::Outcome;
using test::ModelRegisters;

constexpr std::uint32_t kMode = 0xc94, kControl = 0xc90;
constexpr std::uint32_t kReload = 1 | 0xa57 << 1;

struct Ticks {
  const std::uint64_t* value;
  [[nodiscard]] std::uint64_t now() const { return *value; }
};

struct Fixture {
  ModelRegisters chip;
  std::uint64_t time = 1000;
  Sun4iTimer<ModelRegisters::Block, Ticks> guest{chip.block(), Ticks{&time}, 100};

  Outcome write(std::uint32_t offset, std::uint32_t value, std::uint8_t size = 4) {
    return guest.access({.offset = offset, .size = size, .write = true, .value = value}).outcome;
  }
  std::uint32_t read(std::uint32_t offset) { return guest.access({.offset = offset}).value; }
};

TEST(Sun4iTimer, TheRestOfThePagePasses) {
  Fixture f;
  f.chip.words[0xc24] = 0x12345678;
  EXPECT_EQ(f.read(0xc24), 0x12345678u);
  EXPECT_EQ(f.guest.access({.offset = 0xc26, .size = 2}).value, 0x1234u);
  for (const std::uint32_t offset : {0x0u, 0x410u, 0x820u, 0xc10u, 0xc8cu, 0xc98u, 0xffcu}) {
    EXPECT_EQ(f.write(offset, offset + 1), Outcome::Done);
    EXPECT_EQ(f.chip.words[offset], offset + 1);
  }
  EXPECT_EQ(f.write(0xc10, 0, 1), Outcome::Done);
  EXPECT_EQ(f.chip.words[0xc10], 0xc11u) << "word accesses only";
  EXPECT_EQ(f.guest.access({.offset = 0x1000}), Answer::missing());
}

// Linux 6.1, sunxi_wdt_restart; with the page read directly it sees the chip's register.
TEST(Sun4iTimer, LinuxRestarts) {
  for (const bool reads_directly : {false, true}) {
    Fixture f;
    const auto mode = [&] { return reads_directly ? f.chip.words[kMode] : f.read(kMode); };
    EXPECT_EQ(f.write(kMode, (mode() & ~2u) | 2), Outcome::Done);
    EXPECT_EQ(f.write(kMode, (mode() & ~(0xfu << 3)) | 1), Outcome::Reboot);
    EXPECT_EQ(f.chip.words[kMode] & 1, 0u) << "never runs in the chip";
  }
}

TEST(Sun4iTimer, AWatchdogThatIsFedDoesNotBite) {
  Fixture f;
  EXPECT_EQ(f.write(kMode, 3 | 5 << 3), Outcome::Done);  // 5 s: 1000 ticks
  EXPECT_EQ(f.read(kMode), 3u | 5 << 3);
  EXPECT_EQ(f.chip.words[kMode], 2u | 5 << 3);
  for (int n = 0; n < 5; ++n) {
    f.time += 900;
    EXPECT_FALSE(f.guest.expired());
    EXPECT_EQ(f.write(kControl, kReload), Outcome::Done);
  }
  EXPECT_EQ(f.chip.words.count(kControl), 0u);
  f.time += 999;
  EXPECT_EQ(f.write(kMode, 3 | 5 << 3), Outcome::Done) << "the same mode feeds nothing";
  EXPECT_FALSE(f.guest.expired());
  f.time += 1;
  EXPECT_TRUE(f.guest.expired());
  EXPECT_EQ(f.write(0xc10, 0), Outcome::Reboot) << "noticed at the next access at the latest";
}

constexpr std::uint32_t kLine68 = 1u << 4;  // of the third word: timer 5, which beats

TEST(Sun4iTimer, TheMonitorsTimersAndTheirLineStayTheMonitors) {
  for (const std::uint32_t value : {0u, ~0u}) {
    Fixture f;
    for (std::uint32_t offset = 0xc50; offset < 0xc70; offset += 4) {
      EXPECT_EQ(f.write(offset, value), Outcome::Done);
      EXPECT_EQ(f.chip.words.count(offset), 0u) << offset;
    }
    for (const std::uint32_t offset : {0x408u, 0x430u, 0x434u, 0x438u}) {
      EXPECT_EQ(f.write(offset, value), Outcome::Done);
      EXPECT_EQ(f.chip.words.count(offset), 0u) << offset;
    }
    for (const std::uint32_t offset : {0x418u, 0x428u, 0x448u, 0x458u, 0x478u, 0xc00u, 0xc04u}) {
      EXPECT_EQ(f.write(offset, value), Outcome::Done);
    }
    EXPECT_EQ(f.chip.words[0x448], value | kLine68) << "enabled";
    EXPECT_EQ(f.chip.words[0x458], value & ~kLine68) << "never masked";
    EXPECT_EQ(f.chip.words[0x478], value & ~kLine68) << "never forced";
    EXPECT_EQ(f.chip.words[0xc00], (value & ~0x30u) | 0x20u);
    EXPECT_EQ(f.chip.words[0xc04], value & ~0x30u) << "never cleared";
  }
}

// The other words of the same registers, and the other timers.
TEST(Sun4iTimer, TheGuestsLinesAndTimersAreItsOwn) {
  Fixture f;
  for (const std::uint32_t offset :
       {0x410u, 0x414u, 0x440u, 0x444u, 0x450u, 0x454u, 0x470u, 0x474u, 0x480u, 0xc10u, 0xc4cu}) {
    EXPECT_EQ(f.write(offset, ~0u), Outcome::Done);
    EXPECT_EQ(f.chip.words[offset], ~0u) << offset;
  }
}

TEST(Sun4iTimer, AStopLeavesNothingOfTheGuestThatInterrupts) {
  Fixture f;
  for (std::uint32_t offset = 0x440; offset < 0x480; offset += 4) (void)f.write(offset, ~0u);
  for (std::uint32_t timer = 0; timer < 4; ++timer) (void)f.write(0xc10 + timer * 16, 5);
  (void)f.write(kMode, 3 | 1 << 3);
  f.guest.stop();
  for (std::uint32_t n = 0; n < 3; ++n) {
    const std::uint32_t own = n == 2 ? kLine68 : 0;
    EXPECT_EQ(f.chip.words[0x440 + n * 4], own) << "enabled";
    EXPECT_EQ(f.chip.words[0x450 + n * 4], ~own) << "masked";
    EXPECT_EQ(f.chip.words[0x470 + n * 4], 0u) << "forced";
  }
  for (std::uint32_t timer = 0; timer < 4; ++timer) EXPECT_EQ(f.chip.words[0xc10 + timer * 16], 0u);
  EXPECT_EQ(f.chip.words[0xc00], 0x20u);
  EXPECT_EQ(f.chip.words[0xc04], ~0x30u) << "cleared";
  f.time += 1'000'000;
  EXPECT_FALSE(f.guest.expired());
  f.guest.reset();
  EXPECT_EQ(f.chip.words[0x450], 0u);
  EXPECT_EQ(f.chip.words[0x440], 0u);
}

TEST(Sun4iTimer, OffOrWithoutResetItNeverExpires) {
  Fixture f;
  EXPECT_EQ(f.write(kMode, 1 | 1 << 3), Outcome::Done);
  f.time += 1'000'000;
  EXPECT_FALSE(f.guest.expired());
  EXPECT_EQ(f.write(kMode, 3 | 1 << 3), Outcome::Done);
  EXPECT_EQ(f.write(kMode, 2 | 1 << 3), Outcome::Done);
  f.time += 1'000'000;
  EXPECT_FALSE(f.guest.expired());
  EXPECT_EQ(f.write(kMode, 3 | 15 << 3), Outcome::Done) << "16 s at most";
  f.time += 3200;
  EXPECT_TRUE(f.guest.expired());
  f.guest.reset();
  EXPECT_FALSE(f.guest.expired());
  EXPECT_EQ(f.read(kMode), 0u);
}

}  // namespace
}  // namespace mezzo::device
