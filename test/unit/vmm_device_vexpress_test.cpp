// Versatile Express: system registers and the read-only system controller, as guests use them.
#include "device/vexpress_registers.hpp"

#include <gtest/gtest.h>

#include "device/read_only_registers.hpp"
#include "support/model_registers.hpp"

namespace mezzo::device {
namespace {

using io::Answer;
using io::Outcome;
using test::ModelRegisters;
using Registers = VexpressRegisters<ModelRegisters::Block>;
using Reads = Registers::Reads;

constexpr std::uint32_t kStart = 1u << 31, kWrite = 1u << 30;

constexpr std::uint32_t command(std::uint32_t function, std::uint32_t site, std::uint32_t device) {
  return kStart | function << 20 | site << 16 | device;
}

struct Fixture {
  ModelRegisters chip;
  Registers guest;

  explicit Fixture(Reads reads = Reads::Trapped)
      : guest(chip.block(), vexpress_a9::kBoard, reads) {}

  std::uint32_t read(std::uint32_t offset, std::uint8_t size = 4) {
    const Answer answer = guest.access({.offset = offset, .size = size});
    EXPECT_EQ(answer.outcome, Outcome::Done);
    return answer.value;
  }
  Outcome write(std::uint32_t offset, std::uint32_t value, std::uint8_t size = 4) {
    return guest.access({.offset = offset, .size = size, .write = true, .value = value}).outcome;
  }
  // As Linux's vexpress_syscfg_exec does: the outcome, with status and data left to be read.
  Outcome run(std::uint32_t control, std::uint32_t data = 0xdeadbeef) {
    EXPECT_EQ(read(vexpress::kControl) & kStart, 0u);
    EXPECT_EQ(write(vexpress::kData, data), Outcome::Done);
    EXPECT_EQ(write(vexpress::kStatus, 0), Outcome::Done);
    return write(vexpress::kControl, control);
  }
};

TEST(VexpressRegisters, IdentificationAndCountersAreTheBoards) {
  Fixture f;
  for (const std::uint32_t offset : {0x0u, 0x4u, 0x24u, 0x48u, 0x58u, 0x5cu, 0x60u, 0x84u, 0x88u}) {
    f.chip.words[offset] = 0x01900000 + offset;
    EXPECT_EQ(f.read(offset), 0x01900000 + offset);
    EXPECT_EQ(f.write(offset, 0), Outcome::Done);
  }
  EXPECT_EQ(f.read(0x86, 2), 0x0190u);
  EXPECT_EQ(f.read(0x84, 1), 0x84u);
  EXPECT_TRUE(f.chip.writes.empty());
}

TEST(VexpressRegisters, LedsAreItsOwnAndFlagsStartNobody) {
  Fixture f;
  EXPECT_EQ(f.write(vexpress::kLeds, 0x1ff), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kLeds), 0xffu);
  f.chip.words[vexpress::kFlagsSet] = 0x60100000;
  EXPECT_EQ(f.write(vexpress::kFlagsClear, ~0u), Outcome::Done);
  EXPECT_EQ(f.write(vexpress::kFlagsSet, 0x60008000), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kFlagsSet), 0u) << "nor shows where the monitor's CPUs started";
  EXPECT_EQ(f.read(0xf00), 0u);
  EXPECT_TRUE(f.chip.writes.empty());
}

TEST(VexpressRegisters, OscillatorsAndVoltagesAnswer) {
  Fixture f;
  EXPECT_EQ(f.run(command(1, 0, 1)), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kStatus), vexpress::kComplete);
  EXPECT_EQ(f.read(vexpress::kData), 23'750'000u);
  EXPECT_EQ(f.run(command(1, 1, 2)), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kData), 66'670'000u);
  EXPECT_EQ(f.run(command(2, 1, 4)), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kData), 900'000u);
  EXPECT_EQ(f.run(command(2, 0, 0)), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kData), 3'300'000u);
  EXPECT_TRUE(f.chip.writes.empty());
}

TEST(VexpressRegisters, AnOscillatorChangesForThisGuestUntilItsReset) {
  Fixture f;
  EXPECT_EQ(f.run(command(1, 1, 1) | kWrite, 65'000'000), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kStatus), vexpress::kComplete);
  EXPECT_EQ(f.run(command(1, 1, 1)), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kData), 65'000'000u);
  EXPECT_EQ(f.run(command(1, 0, 1)), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kData), 23'750'000u) << "the motherboard's";
  f.guest.reset();
  EXPECT_EQ(f.run(command(1, 1, 1)), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kData), 23'750'000u);
  EXPECT_TRUE(f.chip.writes.empty());
}

TEST(VexpressRegisters, WhatDoesNotExistEndsWithAnErrorAndKeepsTheData) {
  Fixture f;
  for (const std::uint32_t control :
       {command(1, 0, 6), command(1, 1, 3), command(1, 0, 0xfff), command(2, 1, 6),
        command(2, 2, 0), command(4, 0, 0), command(63, 3, 4095), command(1, 0, 0) | 1u << 26,
        command(1, 0, 0) | 1u << 12, command(2, 0, 0) | kWrite, command(8, 0, 0),
        command(8, 1, 0) | kWrite, command(9, 0, 1) | kWrite, command(1, 0, 6) | kWrite}) {
    EXPECT_EQ(f.run(control, 0x1234), Outcome::Done) << std::hex << control;
    EXPECT_EQ(f.read(vexpress::kStatus), vexpress::kComplete | vexpress::kError);
    EXPECT_EQ(f.read(vexpress::kData), 0x1234u);
  }
}

TEST(VexpressRegisters, PowerOffAndResetEndTheGuest) {
  Fixture f;
  EXPECT_EQ(f.run(command(8, 0, 0) | kWrite, 0), Outcome::PowerOff);
  EXPECT_EQ(f.run(command(9, 0, 0) | kWrite, 0), Outcome::Reboot);
  EXPECT_EQ(f.run(command(5, 1, 0) | kWrite, 0), Outcome::Reboot);
  EXPECT_EQ(f.run((command(8, 0, 0) | kWrite) & ~kStart, 0), Outcome::Done) << "not started";
  EXPECT_EQ(f.run(command(7, 0, 0) | kWrite, 1), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kStatus), vexpress::kComplete);
  EXPECT_EQ(f.run(command(11, 0, 0) | kWrite, 1), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kStatus), vexpress::kComplete);
  EXPECT_TRUE(f.chip.writes.empty());
}

TEST(VexpressRegisters, NarrowWritesAndStrangeAccessesDoNothing) {
  Fixture f;
  EXPECT_EQ(f.write(vexpress::kControl + 2, 0xc080, 2), Outcome::Done);
  EXPECT_EQ(f.read(vexpress::kControl), 0u);
  EXPECT_EQ(f.guest.access({.offset = 0x1000}), Answer::missing());
  EXPECT_EQ(f.guest.access({.offset = 0x1, .size = 2}), Answer::missing());
}

// A guest that reads past the monitor must find the answer in the board's registers; only commands
// that change nothing may get there.
TEST(VexpressRegisters, WithDirectReadsTheBoardShowsTheAnswer) {
  Fixture f(Reads::Direct);
  EXPECT_EQ(f.run(command(1, 1, 2)), Outcome::Done);
  const std::pair<std::uint32_t, std::uint32_t> last{vexpress::kControl, command(1, 1, 2)};
  EXPECT_EQ(f.chip.writes.back(), last);
  for (std::uint32_t function = 0; function < 64; ++function) {
    for (const std::uint32_t bits : {0u, kWrite, 1u << 16, kWrite | 1u << 16}) {
      f.chip.writes.clear();
      (void)f.run(command(function, 0, 0) | bits, 42);
      ASSERT_EQ(f.chip.writes.size(), 3u);
      const std::uint32_t shown = f.chip.writes.back().second;
      EXPECT_EQ(shown & kWrite, 0u) << function;
      const std::uint32_t shown_function = shown >> 20 & 0x3f;
      const bool is_error = (f.read(vexpress::kStatus) & vexpress::kError) != 0;
      EXPECT_EQ(shown_function == 0, is_error) << function;
      EXPECT_LE(shown_function, 2u) << function;
    }
  }
}

TEST(ReadOnlyRegisters, ReadsReachTheChipAndWritesDoNot) {
  ModelRegisters chip;
  chip.words[0x0] = 0x00a80044;
  const ReadOnlyRegisters guest(chip.block(), 0x1000);
  EXPECT_EQ(guest.access({.offset = 0}), Answer::done(0x00a80044));
  EXPECT_EQ(guest.access({.offset = 2, .size = 1}), Answer::done(0xa8));
  EXPECT_EQ(guest.access({.offset = 4, .size = 4, .write = true, .value = 1}), Answer::done());
  EXPECT_EQ(guest.access({.offset = 0x1000}), Answer::missing());
  EXPECT_TRUE(chip.writes.empty());
}

}  // namespace
}  // namespace mezzo::device
