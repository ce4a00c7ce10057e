// Every stub, executed by an emulator that knows nothing of Mezzo, against the monitor's emulation
// of the same word: what it does, where it must not go on, and that it can be left before any of
// its instructions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "abi/plan.hpp"
#include "support/armv7_stub_bench.hpp"

namespace mezzo::armv7 {
namespace {

using test::Armv7Emulator;
using test::Armv7Guest;
using test::StubBench;
using test::StubCase;
using Stop = Armv7Emulator::Stop;

constexpr std::uint32_t kAl = 14;
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
constexpr std::uint32_t kWriteThread = 0xee0d0f70, kWriteFpexc = 0xeee80a10;
constexpr std::uint32_t kComparing[] = {kWriteThread, kWriteFpexc, kCleanCode, kInvalidateCode};
constexpr bool compares(std::uint32_t word) {
  return std::ranges::count(kComparing, word & kTransferMask) != 0;
}
// Reads and writes of registers that are words of the shared state.
constexpr std::uint32_t kTransfers[] = {0xee1d0f90, 0xee130f10, 0xee030f10, 0xee110f10, 0xee150f10,
                                        0xee150f30, 0xee160f10, 0xee160f50, 0xee100f30, 0xee100f10,
                                        0xee120f10, 0xee020f10, 0xeef80a10};

constexpr std::uint32_t kUsable[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14};

// All words that have a stub wherever they are; what is said of TPIDRURO and FPEXC by their writes
// is another thing.
std::vector<std::uint32_t> words_with_stubs() {
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
std::vector<std::uint32_t> sites(std::size_t count) {
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
std::uint32_t operand_of(std::uint32_t word) {
  const Instruction i = decode(word);
  return i.op == Op::MsrCpsr || i.op == Op::MsrSpsr ? i.rm
         : i.op == Op::StoreMultipleUser            ? i.rn
         : makes_unprivileged_access(word)          ? i.rn
                                                    : i.rt;
}

// Operands with which the stub goes on.
void prepare(StubCase& test, std::uint32_t word) {
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

struct Oracle : testing::Test {
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
        0x0e1d0f90u /* MRCEQ TPIDRPRW */}) {
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
  EXPECT_TRUE(without_masks.contains(0xee1d0f90));
  const auto without_threads = stubs_of({.slow_paths = plan::kFastThreadId});
  EXPECT_FALSE(without_threads.contains(0xee1d0f90));
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

struct Exits : Oracle {
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

struct RollBack : Oracle {
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

// ---- words that mean something among others ----

struct Among : RollBack {
  static constexpr std::uint32_t kPage = 0xc0300000;
  std::array<std::uint32_t, 1024> page{};

  Among() { page.fill(0xe1a00000); }
  // The page's words, all of which are executed.
  void patch_page() {
    for (std::uint32_t n = 0; n < page.size(); ++n) {
      const std::uint32_t at = kPage + 4 * n;
      if (!bench.patch(page[n], at, around(n))) bench.text(at) = page[n];
    }
  }
  [[nodiscard]] Surroundings around(std::uint32_t n) const {
    Surroundings words;
    for (std::uint32_t i = 0; i < words.before.size() && i < n; ++i) {
      words.before[i] = page[n - 1 - i];
    }
    for (std::uint32_t i = 0; i < words.after.size() && n + 1 + i < page.size(); ++i) {
      words.after[i] = page[n + 1 + i];
    }
    return words;
  }
  // Where the branch at an address leads.
  std::uint32_t stub_of(std::uint32_t at) {
    const auto distance = static_cast<std::int32_t>(bench.text(at) << 8) >> 6;
    return at + 8 + static_cast<std::uint32_t>(distance);
  }
  void put_return(std::uint32_t index, std::uint32_t load) {
    page[index] = load;
    page[index + 1] = 0xe1a00000;
    page[index + 2] = 0xe28dd048;
    page[index + 3] = 0xe1b0f00e;
  }
};

// A stub need not save a register that the next words overwrite: it and they together do what they
// should, also if the stub is left in its middle.
TEST_F(Among, ARegisterThatIsDeadBehindAWordIsNotSaved) {
  constexpr std::uint32_t kMove = 0xe3a00000;  // MOV R0, #
  constexpr std::uint32_t kFirst = 8, kApart = 4;
  std::vector<std::uint32_t> words;
  std::ranges::copy_if(words_with_stubs(), std::back_inserter(words), [](std::uint32_t word) {
    const Op op = decode(word).op;
    const bool borrows = op == Op::Cps || op == Op::MrsCpsr || op == Op::MsrCpsr ||
                         op == Op::StoreMultipleUser || compares(word);
    return borrows && decode(word).condition == kAl && !writes_thread(word);
  });
  std::map<std::uint32_t, unsigned> dead;  // by index
  for (std::uint32_t n = 0; n < words.size(); ++n) {
    const std::uint32_t index = kFirst + kApart * n;
    unsigned r = random() % 13;
    const unsigned end = decode(words[n]).op == Op::MsrCpsr ? 8 : 13;  // others are banked
    r %= end;
    while (r == (words[n] & 15) || r == (words[n] >> 12 & 15) || r == (words[n] >> 16 & 15)) {
      r = (r + 1) % end;
    }
    page.at(index) = words[n];
    page.at(index + 1) = kMove | r << 12 | n % 256;
    dead[index] = r;
  }
  patch_page();
  for (const auto& [index, r] : dead) {
    const std::uint32_t word = page[index], at = kPage + 4 * index;
    SCOPED_TRACE(testing::Message() << std::hex << word << ", dead: r" << r);
    const std::uint32_t slot = bench.stubs().slot_at(stub_of(at)).value();
    const auto code = bench.code().subspan(slot * Stubs::kSlotWords).first<2>();
    const auto borrowed = borrowed_registers(code, Stubs::address_of(slot));
    EXPECT_EQ(borrowed[0] == kNoRegister, decode(word).op != Op::MsrCpsr);  // needs one more
    EXPECT_EQ(borrowed[1], kNoRegister);
    EXPECT_NE(borrowed[0], r);

    bool arrived = false;
    for (unsigned steps = 0; !arrived; ++steps) {
      std::mt19937 same(index);
      StubCase test(bench, same, psr::kSupervisor);
      prepare(test, word);
      test.load(at);
      arrived = bench.cpu.run(at + 4, steps).stop == Stop::Arrived;
      Frame frame = bench.cpu.get();
      if (steps > 0 && !arrived) {
        ASSERT_EQ(bench.stubs().roll_back(frame, bench.shared()), word);
      }
      bench.shared().saved = {test.any(), test.any()};
      bench.cpu.set(frame);
      ASSERT_EQ(bench.cpu.run(at + 8).stop, Stop::Arrived);
      if (!maintains_code(word)) ASSERT_EQ(test.execute(word).kind, Verdict::Kind::Skip);
      test.frame().r[r] = page[index + 1] & 255;
      test.frame().pc = at + 8;
      ASSERT_EQ(test.difference(), nullptr) << "left after " << steps;
    }
  }
}

// A change of modes is emulated, and then what the stub has overwritten would be another mode's.
TEST_F(Among, AChangeOfModesKeepsBankedRegisters) {
  constexpr std::uint32_t kMove = 0xe3a00001;  // MOV R0, #1
  for (const std::uint32_t r : {8u, 12u, 14u}) {
    page[10] = msr(3);
    page[11] = kMove | r << 12;
    patch_page();
    StubCase test(bench, random, psr::kSupervisor);
    test.frame().r[3] = psr::kFiq | psr::kMasks;
    test.load(kPage + 40);
    ASSERT_EQ(bench.cpu.run(kPage + 44).stop, Stop::Fault);
    Frame frame = bench.cpu.get();
    ASSERT_EQ(bench.stubs().roll_back(frame, bench.shared()), page[10]);
    bench.cpu.set(frame);
    EXPECT_EQ(test.difference(), nullptr) << "r" << r;
  }
}

// Linux asks first whether walks of translation tables miss the caches.
TEST_F(Among, AFlushOfATablesEntryIsNothing) {
  constexpr std::uint32_t kTest = 0xe3120101;   // TST R2, #0x40000000
  constexpr std::uint32_t kFlush = 0x1e075f3a;  // MCRNE DCCMVAC, R5
  page[10] = kTest;
  page[11] = kFlush;
  page[21] = kFlush;  // alone
  page[30] = kTest;
  page[31] = (kFlush & 0x0fffffff) | 0x2u << 28;  // another condition
  page[40] = kTest;
  page[41] = kFlush;
  page[42] = 0xe0855002;  // ADD R5, R5, R2: a loop
  patch_page();
  EXPECT_EQ(bench.stubs().original(bench.text(kPage + 44), GuestVirtual{kPage + 44}), kFlush);
  for (const std::uint32_t index : {21u, 31u, 41u}) {
    EXPECT_EQ(bench.text(kPage + 4 * index), page[index]);
  }
  StubCase test(bench, random, psr::kSupervisor);
  test.frame().cpsr &= ~(1u << 30);
  test.load(kPage + 44);
  ASSERT_EQ(bench.cpu.run(kPage + 48).stop, Stop::Arrived);
  test.frame().pc += 4;
  EXPECT_EQ(test.difference(), nullptr);
}

TEST_F(Among, AReturnToUserModeIsACall) {
  put_return(10, 0xe9527fff);
  put_return(20, 0xe9527ffe);
  put_return(1020, 0xe9527fff);
  patch_page();
  for (const std::uint32_t index : {10u, 20u, 1020u}) {
    const std::uint32_t at = kPage + 4 * index;
    StubCase test(bench, random, psr::kSupervisor);
    test.load(at);
    const auto outcome = bench.cpu.run(at + 4);
    EXPECT_EQ(outcome.stop, Stop::Call);
    Frame frame = bench.cpu.get();
    const std::uint32_t slot = Stubs::slot_at(frame.pc).value();
    EXPECT_EQ(frame.pc, Stubs::address_of(slot));
    EXPECT_EQ(bench.code()[slot * Stubs::kSlotWords],
              kReturnCall | 0x48u | (index == 20 ? kKeepsFirst : 0));
    frame.pc += 4;  // as a supervisor call leaves it
    EXPECT_EQ(bench.stubs().roll_back(frame, bench.shared()), page[index]);
    bench.cpu.set(frame);
    EXPECT_EQ(test.difference(), nullptr);
  }
}

TEST_F(Among, WhatOnlyLooksLikeAReturnIsNone) {
  put_return(10, 0xe9527fff);
  page[13] = 0xe1a0f00e;  // MOV PC, LR
  put_return(20, 0xe9527fff);
  page[21] = 0xe1a01001;
  put_return(30, 0xe9527fff);
  page[32] = 0xe28dd901;  // rotated
  put_return(40, 0xe9537fff);
  put_return(1021, 0xe9527fff);  // MOVS is not on the page
  patch_page();
  for (const std::uint32_t index : {10u, 20u, 30u, 40u, 1021u}) {
    EXPECT_EQ(bench.text(kPage + 4 * index), page[index]) << index;
  }
}

TEST_F(Among, TheThreadOfTheProcessIsKeptForIt) {
  page[8] = kWriteThread | 3 << 12;
  put_return(10, 0xe9527fff);
  page[40] = kWriteThread | 3 << 12;
  patch_page();
  StubCase test(bench, random, psr::kSupervisor);
  interrupt_everywhere(test, page[8], kPage + 32);
  EXPECT_EQ(bench.shared().process_thread, test.frame().r[3]);
  EXPECT_EQ(bench.shared().kernels_thread, test.shared().kernels_thread);
  // The other one compares.
  test.load(kPage + 160);
  EXPECT_EQ(bench.cpu.run(kPage + 164).stop, Stop::Fault);
}

TEST_F(Among, ALineBehindAStoreIsNotCleaned) {
  constexpr std::uint32_t kClean = 0xee070f3a, kStore = 0xe5801004, kStoreOther = 0xe5821004;
  page[10] = kStore;
  page[11] = kClean;
  page[20] = kStore;
  page[23] = kClean;
  page[30] = kStore;
  page[34] = kClean;  // too far
  page[40] = kStoreOther;
  page[41] = kClean;
  page[50] = kStore;
  page[51] = kClean;
  page[52] = 0xe2800020;  // ADD R0, R0, #32: a loop
  patch_page();
  for (const std::uint32_t index : {11u, 23u}) {
    StubCase test(bench, random, psr::kSupervisor);
    interrupt_everywhere(test, kClean, kPage + 4 * index);
  }
  for (const std::uint32_t index : {34u, 41u, 51u}) {
    EXPECT_EQ(bench.text(kPage + 4 * index), kClean) << index;
  }
  // The same word at the same address, among others now: the stub that does nothing is not for it.
  page[10] = 0xe1a00000;
  patch_page();
  EXPECT_EQ(bench.text(kPage + 44), kClean);
}

// The vectors' handlers, and the template of an optimized kprobe.
TEST_F(Among, WhatTheGuestCopiesHasNoBranches) {
  constexpr std::uint32_t kReadSaved = 0xe14fe000, kStoreAll = 0xe88d7fff;
  page[10] = kReadSaved;
  page[11] = 0xe58de008;  // STR LR, [SP, #8]
  page[12] = mrs(0);
  page[20] = kStoreAll;
  page[23] = mrs(4);
  page[30] = mrs(0);
  patch_page();
  EXPECT_EQ(bench.text(kPage + 48), page[12]);
  EXPECT_EQ(bench.text(kPage + 92), page[23]);
  EXPECT_NE(bench.text(kPage + 120), page[30]);
}

}  // namespace
}  // namespace mezzo::armv7
