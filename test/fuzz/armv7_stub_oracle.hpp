// What the tests of stubs share: words that have one, a kernel about to execute them, and leaving a
// stub in its middle.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "support/armv7_stub_bench.hpp"

namespace mezzo::armv7::oracle {

using test::Armv7Guest;
using test::StubBench;
using test::StubCase;
using Stop = test::Armv7Emulator::Stop;

inline constexpr std::uint32_t kAl = 14;
// Instructions, by their fields.
constexpr std::uint32_t cps(bool enable, std::uint32_t aif) {
  return 0xf1080000 | (enable ? 0 : 1u << 18) | aif << 6;
}
constexpr std::uint32_t mrs(std::uint32_t rd, std::uint32_t condition = kAl) {
  return condition << 28 | 0x010f0000 | rd << 12;
}
constexpr std::uint32_t msr(std::uint32_t rn, std::uint32_t condition = kAl) {
  return condition << 28 | 0x0121f000 | rn;
}
constexpr std::uint32_t mrs_spsr(std::uint32_t rd, std::uint32_t condition = kAl) {
  return condition << 28 | 0x014f0000 | rd << 12;
}
constexpr std::uint32_t msr_spsr(std::uint32_t rn, std::uint32_t condition = kAl) {
  return condition << 28 | 0x016ff000 | rn;
}
constexpr std::uint32_t store_user_bank(std::uint32_t rn, std::uint32_t condition = kAl) {
  return condition << 28 | 0x09406000 | rn << 16;
}
// LDRT, LDRBT, STRT and STRBT: up or down by so many bytes afterwards.
constexpr std::uint32_t unprivileged(bool load, bool byte, std::uint32_t rt, std::uint32_t rn,
                                     std::uint32_t bytes = 4, bool up = true,
                                     std::uint32_t condition = kAl) {
  return condition << 28 | 0x04200000 | (up ? 1u << 23 : 0) | (byte ? 1u << 22 : 0) |
         (load ? 1u << 20 : 0) | rn << 16 | rt << 12 | bytes;
}
inline constexpr std::uint32_t kWriteThread = 0xee0d0f70, kWriteFpexc = 0xeee80a10;
inline constexpr std::uint32_t kComparing[] = {kWriteThread, kWriteFpexc, kCleanCode,
                                               kInvalidateCode};
constexpr bool compares(std::uint32_t word) {
  return std::ranges::count(kComparing, word & kTransferMask) != 0;
}
// Reads and writes of registers that are words of the shared state.
inline constexpr std::uint32_t kTransfers[] = {
    0xee1d0f50, 0xee0d0f50, 0xee130f10, 0xee030f10, 0xee110f10, 0xee150f10, 0xee150f30,
    0xee160f10, 0xee160f50, 0xee100f30, 0xee100f10, 0xee120f10, 0xee020f10, 0xeef80a10};

inline constexpr std::uint32_t kUsable[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14};

// All words that have a stub wherever they are; what is said of TPIDRURO and FPEXC by their writes
// is another thing.
inline std::vector<std::uint32_t> words_with_stubs() {
  std::vector<std::uint32_t> words;
  for (std::uint32_t aif = 1; aif < 8; ++aif) {
    words.push_back(cps(true, aif));
    words.push_back(cps(false, aif));
  }
  for (const std::uint32_t r : kUsable) {
    for (const std::uint32_t condition : {kAl, 0u, 5u, 9u, 12u}) {
      words.push_back(mrs(r, condition));
      words.push_back(msr(r, condition));
      words.push_back(mrs_spsr(r, condition));
      words.push_back(msr_spsr(r, condition));
      words.push_back(store_user_bank(r, condition));
    }
    for (unsigned n = 0; n < 4; ++n) {
      const std::uint32_t rn = kUsable[(r + 1 + 3 * n) % std::size(kUsable)];
      if (rn != r) words.push_back(unprivileged((n & 1) != 0, (n & 2) != 0, r, rn, 16 * n, r > 5));
    }
    for (const std::uint32_t transfer : kTransfers) words.push_back(transfer | r << 12);
    for (const std::uint32_t write : kComparing) words.push_back(write | r << 12);
  }
  return words;
}

// Where kernels and their modules are, and both ends of what stubs reach: some pages each, but for
// their last word.
inline std::vector<std::uint32_t> sites(std::size_t count) {
  constexpr std::uint32_t kBytes = 3 * mem::kPageSize - 4;
  constexpr std::uint32_t kPages[] = {0xbe000000, 0xbf000000, 0xbf7fe000, 0xbfdfd000, 0xc0208000,
                                      0xc0300000, 0xc0a34000, 0xc15fd000, 0xc1bfd000};
  std::vector<std::uint32_t> all;
  for (std::uint32_t offset = kBytes - 4; offset < kBytes && all.size() < count; offset -= 4) {
    for (const std::uint32_t page : kPages) all.push_back(page + offset);
  }
  return all;
}

// The register that a word names as its operand.
inline std::uint32_t operand_of(std::uint32_t word) {
  const Instruction i = decode(word);
  return i.op == Op::MsrCpsr || i.op == Op::MsrSpsr ? i.rm
         : i.op == Op::StoreMultipleUser            ? i.rn
         : makes_unprivileged_access(word)          ? i.rn
                                                    : i.rt;
}

// Operands with which the stub goes on.
inline void prepare(StubCase& test, std::uint32_t word) {
  const Instruction i = decode(word);
  std::uint32_t& operand = test.frame().r[operand_of(word)];
  if (i.op == Op::StoreMultipleUser) operand = Armv7Guest::kData + 8 + operand % 0x1ff0 / 4 * 4;
  if (makes_unprivileged_access(word)) {
    operand = Armv7Guest::kData + operand % 0x2000 / i.size * i.size;
    test.shared().last_users_slot = operand >> 20;
  }
  if (i.op == Op::MsrSpsr) operand &= ~psr::kReserved;
  if (i.op == Op::MsrCpsr) operand = (operand & ~0x3fu) | test.guest().vcpu.mode;
  if (writes_thread(word)) {
    operand = test.shared().kernels_thread;
    // Nothing but the monitor's own emulation changes these two.
    test.guest().machine.thread_ids[1] = operand;
  }
  if ((word & kTransferMask) == kWriteFpexc) operand = test.shared().fpexc;
  if (maintains_code(word)) operand |= 0xc0000000;
}

struct StubOracle : testing::Test {
  StubBench bench;
  std::mt19937 random{1};

  std::uint32_t mode() {
    constexpr std::uint32_t kModes[] = {psr::kSupervisor, psr::kIrq, psr::kAbort, psr::kUndefined,
                                        psr::kFiq};
    return kModes[random() % std::size(kModes)];
  }
  // The word at `at`, by its stub and by emulation, does the same.
  void compare(std::uint32_t word, std::uint32_t at) {
    SCOPED_TRACE(testing::Message() << std::hex << word << " at " << at);
    StubCase test(bench, random, mode());
    prepare(test, word);
    test.load(at);
    const auto outcome = bench.cpu.run(at + 4);
    ASSERT_EQ(outcome.stop, Stop::Arrived) << std::hex << outcome.address;
    if (!maintains_code(word)) ASSERT_EQ(test.execute(word).kind, Verdict::Kind::Skip);
    if (maintains_code(word)) test.frame().pc += 4;  // nothing else
    ASSERT_EQ(test.difference(), nullptr);
  }
};

struct StubRollBack : StubOracle {
  // Leaves the stub before each of its instructions: the monitor goes back, others use the borrowed
  // places meanwhile, and the word executed again ends as if nothing had been.
  void interrupt_everywhere(StubCase& test, std::uint32_t word, std::uint32_t at) {
    SCOPED_TRACE(testing::Message() << std::hex << word << " at " << at);
    test.load(at);
    const unsigned length = bench.cpu.run(at + 4).steps;
    const Frame end = bench.cpu.get();
    ASSERT_EQ(end.pc, at + 4);
    const SharedState shared_end = bench.shared();
    for (unsigned steps = 1; steps < length; ++steps) {
      test.load(at);
      ASSERT_EQ(bench.cpu.run(at + 4, steps).stop, Stop::TooLong);
      Frame frame = bench.cpu.get();
      const auto rolled = bench.stubs().roll_back(frame, bench.shared());
      ASSERT_EQ(rolled, word) << steps;
      for (unsigned n = 0; n < 15; ++n) {
        const bool written = frame.r[n] == end.r[n];
        EXPECT_TRUE(written || frame.r[n] == test.frame().r[n] || is_destination(word, n))
            << "r" << n << " after " << steps;
      }
      EXPECT_EQ(frame.pc, steps + 1 == length ? at + 4 : at);
      EXPECT_EQ(frame.cpsr, test.frame().cpsr);
      bench.shared().saved = {test.any(), test.any()};
      bench.cpu.set(frame);
      ASSERT_EQ(bench.cpu.run(at + 4).stop, Stop::Arrived);
      const Frame again = bench.cpu.get();
      EXPECT_EQ(std::memcmp(&again, &end, sizeof end), 0) << "after " << steps;
      SharedState shared = bench.shared();
      shared.saved = shared_end.saved;
      EXPECT_EQ(std::memcmp(&shared, &shared_end, sizeof shared), 0) << "after " << steps;
    }
  }
  static bool is_destination(std::uint32_t word, unsigned n) {
    const Instruction i = decode(word);
    return i.op == Op::MrsCpsr && i.rd == n;
  }
};

}  // namespace mezzo::armv7::oracle
