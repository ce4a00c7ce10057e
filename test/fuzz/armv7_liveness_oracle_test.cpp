// What is said of a word's use of registers, against an emulator that knows nothing of Mezzo: a
// register that is not read changes nothing but, perhaps, itself; and one that is written does not
// depend on what it was.
#include "arch/armv7/liveness.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>

#include "support/armv7_emulator.hpp"

namespace mezzo::armv7 {
namespace {

using test::Armv7Emulator;
using Stop = Armv7Emulator::Stop;

struct alignas(4096) Page {
  std::array<std::uint32_t, 1024> words{};
  bool operator==(const Page&) const = default;
};

struct Armv7Liveness : testing::Test {
  static constexpr std::uint32_t kText = 0x00010000, kData = 0x00800000, kPages = 4;
  Armv7Emulator cpu;
  std::unique_ptr<std::array<Page, kPages>> data = std::make_unique<std::array<Page, kPages>>();
  static constexpr std::uint32_t kTextPages = 8;
  std::unique_ptr<std::array<Page, kTextPages>> text =
      std::make_unique<std::array<Page, kTextPages>>();
  std::mt19937 random{7};

  struct End {
    Frame frame{};
    std::array<Page, kPages> data;
  };

  Armv7Liveness() {
    cpu.map(kData, data.get(), sizeof *data, Armv7Emulator::Use::Data);
    cpu.map(kText, text.get(), sizeof *text, Armv7Emulator::Use::Code);
  }
  std::uint32_t any() { return static_cast<std::uint32_t>(random()); }
  // Addresses of data, as loads and stores of the stack have; or small numbers, which they add.
  std::uint32_t any_value() {
    return any() % 4 == 0 ? any() % 0x10000 : kData + any() % (kPages * 4096);
  }
  // Executes the word at PC; false if it faults.
  bool execute(const Frame& before, std::unique_ptr<End>& end) {
    for (Page& page : *data) page.words.fill(0x5a5a5a5a);
    cpu.set(before);
    const auto outcome = cpu.run(before.pc + 4, 1);
    end = std::make_unique<End>();
    end->frame = cpu.get();
    end->data = *data;
    return outcome.stop == Stop::Arrived;
  }
  // Registers that the word is said not to read have other values.
  void change_what_is_not_read(std::uint32_t word, const RegisterUse& use, const Frame& before,
                               const End& first) {
    std::unique_ptr<End> second;
    for (unsigned r = 0; r < 15; ++r) {
      if ((use.reads >> r & 1) != 0) continue;
      Frame changed = before;
      changed.r[r] ^= any() | 1;
      ASSERT_TRUE(execute(changed, second)) << std::hex << word << " r" << std::dec << r;
      const bool written = (use.writes >> r & 1) != 0;
      ASSERT_EQ(second->frame.r[r], written ? first.frame.r[r] : changed.r[r])
          << std::hex << word << " r" << std::dec << r;
      second->frame.r[r] = first.frame.r[r];
      const bool same = std::memcmp(&second->frame, &first.frame, sizeof first.frame) == 0 &&
                        second->data == first.data;
      ASSERT_TRUE(same) << std::hex << word << " r" << std::dec << r;
    }
  }
};

TEST_F(Armv7Liveness, RegistersThatAreNotReadDoNotMatter) {
  constexpr std::uint32_t kWords = 2000, kApart = 2;
  static_assert(kWords * kApart <= kTextPages * 1024);
  const auto place = [&](std::uint32_t n) -> std::uint32_t& {
    return (*text)[n * kApart / 1024].words[n * kApart % 1024];
  };
  for (std::uint32_t n = 0; n < kWords;) {
    // Of loads and stores those of the stack, which are few.
    std::uint32_t word = (any() & 0x0fffffff) | 0xe0000000;
    if ((word >> 26 & 3) == 1) word = (word & 0xfff0ffff) | 13u << 16;
    const bool coprocessor = (word >> 24 & 15) == 14;  // not for this emulator's mode
    const auto use = register_use(word);
    if (!use || !use->goes_on || coprocessor) continue;
    place(n++) = word;
  }
  unsigned executed = 0, writers = 0;
  for (std::uint32_t n = 0; n < kWords; ++n) {
    const std::uint32_t word = place(n);
    const RegisterUse use = register_use(word).value();
    Frame before{};
    for (auto& r : before.r) r = any_value();
    before.pc = kText + 4 * kApart * n;
    before.cpsr = (any() & 0xf0000000) | psr::kUser;
    std::unique_ptr<End> first;
    if (!execute(before, first)) continue;
    ++executed;
    writers += use.writes != 0 ? 1 : 0;
    change_what_is_not_read(word, use, before, *first);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(executed, kWords / 4);
  EXPECT_GT(writers, kWords / 8);
}

TEST_F(Armv7Liveness, WordsAfterWhichNothingIsKnown) {
  for (const std::uint32_t word : {0xe1a00000u /* NOP */,         0xe320f000u /* NOP */,
                                   0x03a00000u /* MOVEQ */,       0xea000000u /* B */,
                                   0x0b000000u /* BLEQ */,        0xe12fff1eu /* BX LR */,
                                   0xe1a0f00eu /* MOV PC, LR */,  0xe59ff000u /* LDR PC */,
                                   0xe8bd0001u /* POP */,         0xe8bd4000u /* POP {LR} */,
                                   0xe4b10004u /* LDRT */,        0xe0000291u /* MUL */,
                                   0xe1900f9fu /* LDREX */,       0xee013f10u /* MCR SCTLR */,
                                   0xee1f3f10u /* MRC c15 */,     0xef000000u /* SVC */,
                                   0xe7f000f0u /* UDF */,         0xf1020013u /* CPS #mode */,
                                   0xf10a0093u /* CPSIE, mode */, 0xe121f000u /* MSR */,
                                   0xeef80a10u /* VMRS */,        0xe8500000u /* LDM ^ */}) {
    EXPECT_FALSE(register_use(word)) << std::hex << word;
  }
}

TEST_F(Armv7Liveness, TheFirstOneThatIsOverwrittenBeforeItIsRead) {
  constexpr std::uint32_t kMove3 = 0xe3a03000, kMove4 = 0xe3a04000;  // MOV R3, #0
  constexpr std::uint32_t kAdd34 = 0xe0833004;                       // ADD R3, R3, R4
  constexpr std::uint32_t kCall = 0xeb000000, kCpsie = 0xf1080080, kCompare3 = 0xe3530000;
  const auto dead = [](std::initializer_list<std::uint32_t> words, std::uint32_t except = 0) {
    return dead_register(std::span(words), except);
  };
  EXPECT_EQ(dead({kMove3}), 3u);
  EXPECT_EQ(dead({kMove3, kMove4}, 1u << 3), 4u);
  EXPECT_EQ(dead({kAdd34, kMove3, kMove4}), std::nullopt);  // both are read first
  EXPECT_EQ(dead({kCompare3, kMove3}), std::nullopt);
  EXPECT_EQ(dead({kCompare3, kMove4}), 4u);
  EXPECT_EQ(dead({kCpsie, kCall}), 14u);
  EXPECT_EQ(dead({kCall, kMove3}, 1u << 14), std::nullopt);
  EXPECT_EQ(dead({0xe320f000, kMove3}), std::nullopt);
  EXPECT_EQ(dead({kCpsie, kCpsie, kCpsie, kMove3}), std::nullopt);  // too far
  EXPECT_EQ(dead({}), std::nullopt);
  EXPECT_EQ(dead({0xee113f10 /* MRC SCTLR, R3 */}), 3u);
  EXPECT_EQ(dead({0xee1d3f90 /* MRC TPIDRPRW, R3 */}), 3u);
  EXPECT_EQ(dead({0xee0d3f70 /* MCR TPIDRURO, R3 */, kMove3}), std::nullopt);
  EXPECT_EQ(dead({0xe59d3000 /* LDR R3, [SP] */}), 3u);
  EXPECT_EQ(dead({0xe5910000 /* LDR R0, [R1] */, kMove3}), std::nullopt);
  EXPECT_EQ(dead({0xe3a0d000 /* MOV SP, #0 */}), std::nullopt);
}

}  // namespace
}  // namespace mezzo::armv7
