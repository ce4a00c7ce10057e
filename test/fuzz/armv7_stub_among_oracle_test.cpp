// Stubs of words that mean something by what is around them, executed by an emulator.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "abi/plan.hpp"
#include "armv7_stub_oracle.hpp"

namespace mezzo::armv7 {
namespace {

using namespace oracle;

struct Among : StubRollBack {
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

// A loop that cleans a table for walkers: SUBS of what is left, and DSB ISHST behind it.
struct LoopRegisters {
  std::uint32_t at = 0, rest = 1, step = 2;
};
using LoopWords = std::array<std::uint32_t, 5>;
constexpr LoopWords table_loop(const LoopRegisters& r) {
  return {0xee070f3a | r.at << 12,                            // MCR DCCMVAC
          0xe0800000 | r.at << 16 | r.at << 12 | r.step,      // ADD
          0xe0500000 | r.rest << 16 | r.rest << 12 | r.step,  // SUBS
          0x8afffffb,                                         // BHI
          0xf57ff04a};                                        // DSB ISHST
}
constexpr LoopWords kTableLoop = table_loop({});

struct TableLoop : Among {
  static constexpr std::uint32_t kIndex = 10, kAt = kPage + 4 * kIndex, kBehind = kAt + 16;

  void put_loop(std::uint32_t index, const LoopWords& words = kTableLoop) {
    std::ranges::copy(words, page.begin() + index);
  }
  [[nodiscard]] bool has_stub(std::uint32_t index) {
    return bench.text(kPage + 4 * index) != page[index];
  }
  // A kernel about to run the loop, always the same otherwise.
  struct Run {
    std::mt19937 same{1};
    StubCase test;
    Run(StubBench& bench, const LoopRegisters& registers, std::uint32_t bytes, std::uint32_t step)
        : test(bench, same, psr::kSupervisor) {
      test.frame().r[registers.rest] = bytes;
      test.frame().r[registers.step] = step;
      test.load(kAt);
    }
  };
  // With its stub, and left in its middle, the loop ends as without.
  void compare(const LoopRegisters& registers, std::uint32_t line, std::uint32_t bytes,
               std::uint32_t step) {
    constexpr unsigned kMany = 100'000, kLeft = 16;
    const std::uint32_t branch = bench.text(kAt);
    const Run natural(bench, registers, bytes, step);
    bench.text(kAt) = 0xe1a00000;  // nothing
    ASSERT_EQ(bench.cpu.run(kBehind, kMany).stop, Stop::Arrived);
    const Frame end = bench.cpu.get();
    bench.text(kAt) = branch;
    for (unsigned steps = 0; steps < kLeft; ++steps) {
      Run left(bench, registers, bytes, step);
      const auto outcome = bench.cpu.run(kBehind, steps == 0 ? kMany : steps);
      Frame frame = bench.cpu.get();
      const bool arrived = outcome.stop == Stop::Arrived;
      if (steps == 0) {
        ASSERT_TRUE(arrived);
        if (step == line) EXPECT_LE(outcome.steps, 15u);
      }
      if (!arrived && Stubs::contains(frame.pc)) {
        ASSERT_EQ(bench.stubs().roll_back(frame, bench.shared()), page[kIndex]);
      }
      bench.shared().saved = {left.test.any(), left.test.any()};
      bench.cpu.set(frame);
      if (!arrived) ASSERT_EQ(bench.cpu.run(kBehind, kMany).stop, Stop::Arrived);
      const Frame again = bench.cpu.get();
      ASSERT_EQ(std::memcmp(&again, &end, sizeof end), 0) << "left after " << steps;
    }
  }
};

TEST_F(TableLoop, LeavesBehindWhatItWouldHave) {
  struct {
    std::uint32_t line;
    LoopRegisters registers;
  } constexpr kCases[] = {{32, {}}, {64, {4, 3, 12}}, {32, {10, 8, 7}}, {128, {6, 11, 0}}};
  for (const auto& [line, registers] : kCases) {
    bench.stubs().reset(bench.code(), HostPhysical{StubBench::kCode}, {.line = line});
    put_loop(kIndex, table_loop(registers));
    patch_page();
    ASSERT_TRUE(has_stub(kIndex));
    for (const std::uint32_t bytes : {0u, 1u, line - 1, line, line + 1, 2 * line, 2048u, 2049u}) {
      for (const std::uint32_t step : {line, line + 16, 0x80000000u, 0xffffffffu}) {
        SCOPED_TRACE(testing::Message() << bytes << " by " << step << ", lines of " << line);
        compare(registers, line, bytes, step);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(TableLoop, OthersAreDoneByTheMonitor) {
  const auto with = [](std::size_t n, std::uint32_t word) {
    auto words = kTableLoop;
    words[n] = word;
    return words;
  };
  put_loop(10, with(4, 0xf57ff04f));   // DSB SY: for devices
  put_loop(20, with(4, 0xf57ff05a));   // DMB ISHST
  put_loop(30, with(0, 0xee070f3e));   // DCCIMVAC
  put_loop(40, with(0, 0x1e070f3a));   // MCRNE
  put_loop(50, with(1, 0xe2800020));   // ADD R0, R0, #32
  put_loop(60, with(2, 0xe0411002));   // SUB
  put_loop(70, with(2, 0xe0511003));   // another step
  put_loop(80, with(2, 0xe0500002));   // of the address itself
  put_loop(90, with(3, 0x8afffffa));   // from further above
  put_loop(100, with(3, 0xcafffffb));  // BGT
  put_loop(1019);
  page[110] = kTableLoop[0];
  patch_page();
  EXPECT_TRUE(has_stub(1019));
  for (std::uint32_t index = 10; index <= 110; index += 10) {
    EXPECT_FALSE(has_stub(index)) << index;
  }
  put_loop(1020);  // DSB is on the next page
  patch_page();
  EXPECT_FALSE(has_stub(1020));
  // Lines of another size, of which no instruction has the number, and left out.
  put_loop(kIndex);
  for (const StubOptions& options :
       {StubOptions{.line = 256}, StubOptions{.slow_paths = plan::kFastTableFlush}}) {
    bench.stubs().reset(bench.code(), HostPhysical{StubBench::kCode}, options);
    patch_page();
    EXPECT_FALSE(has_stub(kIndex));
  }
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
