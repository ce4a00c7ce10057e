// Every stub, executed by an emulator that knows nothing of Mezzo, against the monitor's emulation
// of the same word: what it does, where it must not go on, and that it can be left before any of
// its instructions.
#include "armv7_stub_oracle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "abi/plan.hpp"

namespace mezzo::armv7 {
namespace {

using namespace oracle;
using Oracle = StubOracle;

TEST_F(Oracle, EveryWordInEverySlot) {
  const std::vector<std::uint32_t> words = words_with_stubs();
  const std::vector<std::uint32_t> at = sites(StubRegion::kSlots);
  std::vector<std::uint32_t> put;
  // In an order that puts each word at many offsets of a page.
  while (put.size() < at.size()) {
    const std::uint32_t word = words[(put.size() * 7 + put.size() / words.size()) % words.size()];
    if (!bench.patch(word, at[put.size()])) break;
    put.push_back(word);
  }
  ASSERT_GT(put.size(), StubRegion::kSlots / 3);
  // A supervisor call from the region is a return to user mode: nothing else has one.
  EXPECT_TRUE(std::ranges::none_of(bench.code(), [](std::uint32_t code) {
    return (code & 0x0f000000) == 0x0f000000 && code >> 28 != 15;
  }));
  EXPECT_GE(bench.stubs().used() + 2, StubRegion::kSlots * 9 / 10);
  for (std::size_t n = 0; n < put.size(); ++n) {
    compare(put[n], at[n]);
    if (HasFatalFailure()) return;
  }
}

TEST_F(Oracle, WordsThatHaveNoStub) {
  constexpr std::uint32_t kAt = 0xc0300000;
  const auto has_stub = [&](std::uint32_t word) { return bench.patch(word, kAt); };
  for (const std::uint32_t r : {13u, 15u}) {
    for (const std::uint32_t word :
         {mrs(r), msr(r), mrs_spsr(r), msr_spsr(r), store_user_bank(r)}) {
      EXPECT_FALSE(has_stub(word)) << std::hex << word;
    }
    for (const std::uint32_t write : kComparing) EXPECT_FALSE(has_stub(write | r << 12));
    for (const std::uint32_t transfer : kTransfers) EXPECT_FALSE(has_stub(transfer | r << 12));
  }
  for (const std::uint32_t word :
       {0xf1020013u /* CPS mode */, 0xf10e0093u /* CPSID I, mode */, 0xe129f000u /* MSR CPSR_fc */,
        0xe321f0d3u /* MSR CPSR_c, # */, 0xe169f000u /* MSR SPSR_fc */, 0xe8c06000u /* STMIA ^ */,
        0xe9400001u /* STMDB {R0}^ */, 0xe320f003u /* WFI */, 0xe1b0f00eu /* MOVS PC, LR */,
        unprivileged(true, false, 3, 13), unprivileged(false, true, 15, 3),
        0xe6b13002u /* LDRT, register */, 0xe0f130b2u /* LDRHT */, 0xee0d0f90u /* MCR TPIDRPRW */,
        0xee070f3au /* MCR DCCMVAC, alone */, 0xe9527fffu /* LDMDB R2, {R0-LR}^, alone */,
        0x0e1d0f50u /* MRCEQ TPIDRURW */}) {
    EXPECT_FALSE(has_stub(word)) << std::hex << word;
  }
  EXPECT_EQ(bench.stubs().used(), 0u);
}

TEST_F(Oracle, EachFastPathCanBeLeftOut) {
  constexpr std::uint32_t kAt = 0xc0300000;
  const auto stubs_of = [&](const StubOptions& options) {
    bench.stubs().reset(bench.code(), HostPhysical{StubBench::kCode}, options);
    std::set<std::uint32_t> with;
    for (const std::uint32_t word : words_with_stubs()) {
      if (bench.patch(word, kAt)) with.insert(word);
    }
    return with;
  };
  const auto all = stubs_of({});
  EXPECT_EQ(all.size(), words_with_stubs().size());
  const auto without_masks = stubs_of({.slow_paths = plan::kFastMasks});
  EXPECT_FALSE(without_masks.contains(cps(false, 2)));
  EXPECT_FALSE(without_masks.contains(mrs_spsr(3)));
  EXPECT_TRUE(without_masks.contains(0xee1d0f50));
  const auto without_threads = stubs_of({.slow_paths = plan::kFastThreadId});
  EXPECT_FALSE(without_threads.contains(0xee1d0f50));
  EXPECT_FALSE(without_threads.contains(kWriteFpexc));
  EXPECT_TRUE(without_threads.contains(cps(false, 2)));
  const auto without_domains = stubs_of({.slow_paths = plan::kFastDomainAccess});
  EXPECT_FALSE(without_domains.contains(0xee030f10));
  EXPECT_FALSE(without_domains.contains(0xee020f10));
  const auto strict = stubs_of({.lazy_domains = false});
  EXPECT_FALSE(strict.contains(0xee030f10));
  EXPECT_FALSE(strict.contains(0xee130f10));
  EXPECT_TRUE(strict.contains(0xee020f10));
  const std::uint32_t load = unprivileged(true, false, 0, 4, 16, false);
  EXPECT_TRUE(all.contains(load));
  EXPECT_FALSE(strict.contains(load));
  EXPECT_FALSE(stubs_of({.slow_paths = plan::kFastTransfers}).contains(load));
  EXPECT_FALSE(stubs_of({.slow_paths = plan::kFastReturn}).contains(kWriteThread));
}

// ---- where a stub must not go on ----

struct Exits : StubOracle {
  static constexpr std::uint32_t kFirst = 0xc0300000;

  // Those that are executed always, one after the other from kFirst on.
  std::vector<std::uint32_t> patched_words() {
    std::vector<std::uint32_t> words;
    for (const std::uint32_t word : words_with_stubs()) {
      if (decode(word).condition != kAl) continue;
      EXPECT_TRUE(bench.patch(word, kFirst + 4 * static_cast<std::uint32_t>(words.size())));
      words.push_back(word);
    }
    return words;
  }
  // The word's stub exits, in a way that the monitor takes for an exit of the word's, and the frame
  // is rolled back to where the word was.
  void expect_exit(StubCase& test, std::uint32_t word, std::uint32_t at) {
    SCOPED_TRACE(testing::Message() << std::hex << word << " at " << at);
    test.load(at);
    const auto outcome = bench.cpu.run(at + 4);
    ASSERT_EQ(outcome.stop, Stop::Fault);
    const bool rang = Stubs::contains(outcome.address) ||
                      outcome.address - StubRegion::kAlarm < StubRegion::kRegion;
    EXPECT_TRUE(rang) << std::hex << outcome.address;
    Frame frame = bench.cpu.get();
    EXPECT_EQ(bench.stubs().roll_back(frame, bench.shared()), word);
    bench.cpu.set(frame);
    EXPECT_EQ(test.difference(), nullptr);
  }
};

TEST_F(Exits, AWaitingInterruptStopsWhatMayAllowIt) {
  const std::vector<std::uint32_t> words = patched_words();
  for (std::size_t n = 0; n < words.size(); ++n) {
    const std::uint32_t word = words[n], at = kFirst + 4 * static_cast<std::uint32_t>(n);
    const Instruction i = decode(word);
    const bool enables =
        (i.op == Op::Cps && i.interrupts == Interrupts::Enable) || i.op == Op::MsrCpsr;
    StubCase test(bench, random, psr::kSupervisor);
    prepare(test, word);
    test.shared().doorbell = StubRegion::kAlarm;
    if (enables) {
      expect_exit(test, word, at);
    } else {
      test.load(at);
      EXPECT_EQ(bench.cpu.run(at + 4).stop, Stop::Arrived) << std::hex << word;
    }
  }
}

TEST_F(Exits, AnotherModeOrStateStopsMsr) {
  constexpr std::uint32_t kAt = 0xbf123450;
  ASSERT_TRUE(bench.patch(msr(3), kAt));
  for (const std::uint32_t doorbell : {StubRegion::kDoorbell, StubRegion::kAlarm}) {
    for (std::uint32_t low = 0; low < 256; ++low) {
      StubCase test(bench, random, psr::kSupervisor);
      test.frame().r[3] = (test.any() & ~0xffu) | low;
      test.shared().doorbell = doorbell;
      if (doorbell == StubRegion::kAlarm || (low & 0x3f) != psr::kSupervisor) {
        expect_exit(test, msr(3), kAt);
        continue;
      }
      test.load(kAt);
      ASSERT_EQ(bench.cpu.run(kAt + 4).stop, Stop::Arrived);
      (void)test.execute(msr(3));
      EXPECT_EQ(test.difference(), nullptr);
    }
  }
}

TEST_F(Exits, AnotherValueStopsWritesThatCompare) {
  const std::vector<std::uint32_t> words = patched_words();
  for (std::size_t n = 0; n < words.size(); ++n) {
    const std::uint32_t word = words[n], at = kFirst + 4 * static_cast<std::uint32_t>(n);
    if (!compares(word)) continue;
    for (std::uint32_t bit = maintains_code(word) ? 30 : 0; bit < 32; ++bit) {
      StubCase test(bench, random, psr::kSupervisor);
      prepare(test, word);
      test.frame().r[operand_of(word)] ^= 1u << bit;
      expect_exit(test, word, at);
    }
  }
}

// What may have the kernel's rights is not for an unprivileged access: from the first such MiB on.
TEST_F(Exits, TheKernelsOwnMemoryStopsUnprivilegedAccesses) {
  constexpr std::uint32_t kAt = 0xc0300000, kEnd = 0xbf0;
  for (unsigned n = 0; n < 4; ++n) {
    const bool load = (n & 1) != 0, byte = (n & 2) != 0;
    const std::uint32_t word = unprivileged(load, byte, 3, 5);
    ASSERT_TRUE(bench.patch(word, kAt + 4 * n));
    for (const std::uint32_t address : {0xbf000000u, 0xc0208000u, 0xfffffff0u, 0xffa00000u}) {
      StubCase test(bench, random, psr::kSupervisor);
      test.frame().r[5] = address;
      test.shared().last_users_slot = kEnd - 1;
      expect_exit(test, word, kAt + 4 * n);
    }
    // Its last byte counts. A process's memory is reached, and is not there.
    for (const std::uint32_t address : {0xbeffffffu, 0xbefffffdu}) {
      StubCase test(bench, random, psr::kSupervisor);
      test.frame().r[5] = address;
      test.shared().last_users_slot = kEnd - 1;
      if (!byte) {
        expect_exit(test, word, kAt + 4 * n);
        continue;
      }
      test.load(kAt + 4 * n);
      const auto outcome = bench.cpu.run(kAt + 4 * n + 4);
      EXPECT_EQ(outcome.stop, Stop::Fault);
      EXPECT_EQ(outcome.address, address);
    }
    // Nothing is said to be a process's.
    StubCase test(bench, random, psr::kSupervisor);
    test.frame().r[5] = Armv7Guest::kData;
    test.shared().last_users_slot = ~0u;
    expect_exit(test, word, kAt + 4 * n);
  }
}

TEST_F(Exits, AConditionThatFailsSkipsTheStub) {
  constexpr std::uint32_t kAt = 0xc0300000;
  for (std::uint32_t condition = 0; condition < 14; ++condition) {
    ASSERT_TRUE(bench.patch(msr(3, condition), kAt + 8 * condition));
    bench.text(kAt + 8 * condition + 4) = 0xe1a00000;
  }
  for (std::uint32_t condition = 0; condition < 14; ++condition) {
    for (std::uint32_t flags = 0; flags < 16; ++flags) {
      StubCase test(bench, random, psr::kSupervisor);
      test.frame().cpsr = flags << 28 | psr::kUser;
      test.frame().r[3] = psr::kIrq;  // the stub cannot do it
      test.load(kAt + 8 * condition);
      const bool passed = condition_passed(static_cast<std::uint8_t>(condition), flags << 28);
      const auto outcome = bench.cpu.run(kAt + 8 * condition + 4);
      EXPECT_EQ(outcome.stop, passed ? Stop::Fault : Stop::Arrived);
      if (!passed) EXPECT_EQ(outcome.steps, 1u);
    }
  }
}

// ---- leaving in the middle ----

using RollBack = StubRollBack;

TEST_F(RollBack, BeforeEachInstructionOfEachStub) {
  std::vector<std::uint32_t> words;
  for (int round = 0; round < 3; ++round) {
    std::ranges::copy_if(words_with_stubs(), std::back_inserter(words),
                         [](std::uint32_t word) { return decode(word).condition == kAl; });
  }
  const auto at = sites(words.size());
  for (std::size_t n = 0; n < words.size(); ++n) ASSERT_TRUE(bench.patch(words[n], at[n]));
  for (std::size_t n = 0; n < words.size(); ++n) {
    StubCase test(bench, random, mode());
    prepare(test, words[n]);
    interrupt_everywhere(test, words[n], at[n]);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace mezzo::armv7
