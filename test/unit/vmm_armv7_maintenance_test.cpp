// Loops of maintenance by address: recognised, done as the guest's own instructions would, and for
// a bounded time.
#include "arch/armv7/maintenance_loop.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "arch/armv7/decoded.hpp"
#include "support/armv7_guest.hpp"

namespace mezzo::armv7 {
namespace {

using test::Armv7Guest;

constexpr std::uint32_t kFlush = 0xee080f37;        // MCR p15, 0, R0, c8, c7, 1 (TLBIMVA)
constexpr std::uint32_t kClean = 0xee070f3a;        // MCR p15, 0, R0, c7, c10, 1 (DCCMVAC)
constexpr std::uint32_t kAddRegister = 0xe0800002;  // ADD R0, R0, R2
constexpr std::uint32_t kAddPage = 0xe2800a01;      // ADD R0, R0, #4096
constexpr std::uint32_t kCompare = 0xe1500001;      // CMP R0, R1
constexpr std::uint32_t kLoop = 0x3afffffb;         // BLO

struct LoopMachine : test::Armv7Machine {
  [[nodiscard]] std::optional<std::uint32_t> instruction_at(std::uint32_t at) {
    if (!text.contains(at)) return std::nullopt;
    return text[at];
  }
  void invalidate_block(GuestVirtual) { ++blocks; }
  // As the processor's: so many lines at once, and none that is not mapped.
  [[nodiscard]] std::uint32_t maintain_lines(CacheOperation, std::uint32_t at, std::uint32_t limit,
                                             std::uint32_t step) {
    for (std::uint32_t n = 0; n < most_lines && at < limit; ++n, at += step) ++lines;
    return at;
  }
  std::map<std::uint32_t, std::uint32_t> text;
  std::uint32_t most_lines = 1000;
  unsigned blocks = 0, lines = 0;
};

struct Armv7MaintenanceLoop : testing::Test {
  LoopMachine machine;
  Armv7Guest guest;
  Context<LoopMachine> context{machine, guest.vcpu, guest.frame};

  // Runs the loop once; false if it is none.
  bool run_once(std::uint32_t first, std::uint32_t add) {
    const std::uint32_t pc = Armv7Guest::kCode;
    machine.text = {{pc, first}, {pc + 4, add}, {pc + 8, kCompare}, {pc + 12, kLoop}};
    guest.frame.pc = pc;
    const Instruction instruction = decode(first);
    const auto loop = maintenance_loop(context, instruction, control_register_of(instruction));
    if (!loop) return false;
    EXPECT_EQ(run(context, instruction, *loop).kind, Verdict::Kind::Resume);
    return true;
  }
};

TEST(Armv7Lines, EndWithinABoundAndTheAddressSpace) {
  EXPECT_EQ(lines_end(0x1000, 0x2000, 32), 0x2000u);
  EXPECT_EQ(lines_end(0x1000, 0x1000, 32), 0x1000u);
  EXPECT_EQ(lines_end(0x2000, 0x1000, 32), 0x2000u);
  EXPECT_EQ(lines_end(0x1000, 0xf0000000, 32), 0x1000u + 4096 * 32);
  EXPECT_EQ(lines_end(0x1000, 0xf0000000, 0x2000), 0x1000u);  // too far apart
  // The next line would be at the beginning again, and below the limit.
  EXPECT_EQ(lines_end(0xfffffffe, 0xffffffff, 2), 0xfffffffeu);
  EXPECT_EQ(lines_end(0xffffff00, 0xffffffff, 64), 0xffffffc0u);
}

TEST_F(Armv7MaintenanceLoop, GoesOnBehindItWithTheFlagsOfTheComparison) {
  guest.frame.r[0] = 0x10000;
  guest.frame.r[1] = 0x18000;
  ASSERT_TRUE(run_once(kFlush, kAddPage));
  EXPECT_EQ(machine.tlb.size(), 8u);
  EXPECT_EQ(machine.tlb.back().address, 0x17000u);
  EXPECT_EQ(guest.frame.r[0], 0x18000u);
  EXPECT_EQ(guest.frame.pc, Armv7Guest::kCode + 16);
  EXPECT_EQ(guest.frame.cpsr >> 28, 0b0110u);  // Z and C: equal
}

// A loop of one page, done without looking further, is what it is in steps.
TEST_F(Armv7MaintenanceLoop, OnePageIsDoneAlike) {
  const auto one = [&](std::uint32_t first, std::uint32_t add, std::uint32_t at,
                       std::uint32_t limit) {
    const Instruction instruction = decode(first);
    const auto shape =
        loop_of({first, add, kCompare, kLoop}, instruction, control_register_of(instruction));
    guest.frame.r[0] = at;
    guest.frame.r[1] = limit;
    guest.frame.pc = Armv7Guest::kCode;
    guest.frame.cpsr |= 0xf0000000;
    machine.tlb.clear();
    return run_one(context, shape.value());
  };
  for (const auto& [at, limit] : {std::pair{0x10000u, 0x11000u},
                                  {0x10000u, 0x10004u},
                                  {0x10000u, 0u},
                                  {0x10000u, 0x10000u},
                                  {0x7ffff000u, 0x80000000u},
                                  {0xffee1000u, 0xffee2000u}}) {
    ASSERT_TRUE(one(kFlush, kAddPage, at, limit)) << std::hex << at;
    const Frame quick = guest.frame;
    const auto flushed = machine.tlb;
    EXPECT_EQ(flushed.size(), 1u);
    guest.frame.r[0] = at;
    machine.tlb.clear();
    ASSERT_TRUE(run_once(kFlush, kAddPage));
    EXPECT_EQ(std::memcmp(&quick, &guest.frame, sizeof quick), 0) << std::hex << at;
    EXPECT_EQ(machine.tlb.size(), 1u);
    EXPECT_EQ(machine.tlb.back().address, flushed.back().address);
  }
  EXPECT_FALSE(one(kFlush, kAddPage, 0x10000, 0x11004));    // two
  EXPECT_FALSE(one(kFlush, kAddPage, 0xfffff000, 0x1000));  // around the end
  EXPECT_FALSE(one(kFlush, kAddRegister, 0x10000, 0x10004));
  EXPECT_FALSE(one(kClean, kAddPage, 0x10000, 0x11000));
}

// What is remembered of four words is what they say, however alike others are.
TEST_F(Armv7MaintenanceLoop, IsRememberedByItsWords) {
  DecodedWords words;
  DecodedMaintenance maintenance;
  constexpr std::uint32_t kBranchHigher = 0x8afffffb, kSubtract = 0xe0511002,
                          kDifferent = 0xe0513002;
  constexpr LoopWords kLoops[] = {{kFlush, kAddPage, kCompare, kLoop},
                                  {kClean, kAddRegister, kCompare, kLoop},
                                  {kClean, kAddRegister, kSubtract, kBranchHigher}};
  constexpr LoopWords kOthers[] = {{kFlush, kAddPage, kCompare, kBranchHigher},
                                   {kFlush, kAddPage, 0xe1500002, kLoop - 1},
                                   {kClean, kAddRegister, kDifferent, kBranchHigher},
                                   {kClean, kAddPage, kSubtract, kBranchHigher},
                                   {kFlush, 0xe2800000, kCompare, kLoop},
                                   {kFlush, kAddPage, 0xe1500000 /* with itself */, kLoop},
                                   {kFlush, 0xe0800000 /* doubled */, kCompare, kLoop},
                                   {kFlush, 0xe2811a01, kCompare, kLoop}};
  for (int round = 0; round < 2; ++round) {
    for (const LoopWords& each : kLoops) {
      const auto& known = maintenance.look_up(each, words);
      EXPECT_TRUE(known.is_maintenance);
      ASSERT_TRUE(known.loop) << std::hex << each[0];
      EXPECT_EQ(known.loop->at, 0);
      EXPECT_EQ(known.loop->end, 1);
      EXPECT_EQ(known.loop->counts_down, each[3] == kBranchHigher);
      EXPECT_EQ(known.loop->step, each[1] == kAddPage ? 4096u : 0u);
      EXPECT_EQ(known.loop->step_register.has_value(), each[1] == kAddRegister);
      EXPECT_EQ(known.decoded.word, each[0]);
    }
    for (const LoopWords& each : kOthers) {
      const auto& known = maintenance.look_up(each, words);
      EXPECT_TRUE(known.is_maintenance);
      EXPECT_FALSE(known.loop) << std::hex << each[1] << ' ' << each[2] << ' ' << each[3];
    }
    EXPECT_FALSE(maintenance.look_up({kAddPage, kAddPage, kCompare, kLoop}, words).is_maintenance);
  }
}

TEST_F(Armv7MaintenanceLoop, AWholeBlockOfEntriesIsOneStep) {
  guest.frame.r[0] = 0x00100000;
  guest.frame.r[1] = 0x00300000;
  ASSERT_TRUE(run_once(kFlush, kAddPage));
  EXPECT_EQ(machine.blocks, 2u);
  EXPECT_TRUE(machine.tlb.empty());
}

// However long it is and however small its steps: one exit does a bounded part of it.
TEST_F(Armv7MaintenanceLoop, EndsAfterABoundedTime) {
  guest.frame.r[1] = 0xc0000000;
  guest.frame.r[2] = 1;
  guest.frame.r[0] = 0x1004;
  ASSERT_TRUE(run_once(kFlush, kAddRegister));
  EXPECT_LE(machine.tlb.size(), 128u);
  EXPECT_EQ(guest.frame.r[0], 0x1004 + machine.tlb.size());
  EXPECT_EQ(guest.frame.pc, Armv7Guest::kCode);

  guest.frame.r[0] = 0x1004;
  ASSERT_TRUE(run_once(kClean, kAddRegister));
  EXPECT_EQ(machine.lines, machine.most_lines);
  EXPECT_EQ(guest.frame.r[0], 0x1004 + machine.lines);
  EXPECT_EQ(guest.frame.pc, Armv7Guest::kCode);

  // Lines that are not mapped are done one by one.
  machine.most_lines = 0;
  machine.map(0x2000, 0x10000);
  guest.frame.r[0] = 0x2000;
  ASSERT_TRUE(run_once(kClean, kAddRegister));
  EXPECT_LE(machine.caches.size(), 128u);
  EXPECT_EQ(guest.frame.r[0], 0x2000 + machine.caches.size());
}

TEST_F(Armv7MaintenanceLoop, OtherCodeIsNone) {
  guest.frame.r[1] = 0x18000;
  EXPECT_FALSE(run_once(kFlush, 0xe2811a01));    // another register is added to
  EXPECT_FALSE(run_once(kFlush, 0xe2800000));    // nothing is
  EXPECT_FALSE(run_once(0xee080f17, kAddPage));  // TLBIALL
  EXPECT_FALSE(run_once(0xee070fd5, kAddPage));  // BPIALL
  EXPECT_FALSE(run_once(0xee180f37, kAddPage));  // MRC
}

}  // namespace
}  // namespace mezzo::armv7
