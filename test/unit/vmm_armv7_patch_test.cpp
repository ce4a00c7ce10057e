// Patching of guest kernel code: the dictionary, what is replaced and what is taken for a constant,
// restoring, stores, branches to stubs, and the order of cache maintenance.
#include "arch/armv7/patch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <random>
#include <vector>

#include "support/armv7_patch_memory.hpp"

namespace mezzo::armv7 {
namespace {

using test::PatchMemory;
using test::StubPolicy;
using Step = PatchMemory::Step;
using Event = PatchMemory::Event;
using testing::Contains;
using testing::ElementsAre;

constexpr std::uint32_t kNop = 0xe1a00000, kCpsid = 0xf10c0080, kCpsie = 0xf1080080,
                        kMrs = 0xe10f3000, kMsrNe = 0x1121f003, kMovsPcLr = 0xe1b0f00e,
                        kStrbtNe = 0x14e02000, kReturn = 0xe8bd8070;
constexpr std::uint32_t kFirst = 0xefa50000;  // SVC AL with number 0
const GuestVirtual kKernel{0xc0300000};

template <class Policy>
struct Fixture {
  using Pages = PatchedPages<PatchMemory, Policy, 32>;

  explicit Fixture(std::uint32_t page_count = 2)
      : memory(page_count), pages(std::make_unique<Pages>()) {
    pages->reset(memory, policy);
  }

  PatchResult patch(std::uint32_t number = 0) {
    return pages->patch_page(PatchMemory::page(number), kKernel + number * mem::kPageSize);
  }
  bool execute(std::uint32_t index) {
    return pages->put_branch(PatchMemory::at(index), kKernel + 4 * index);
  }
  std::uint32_t& word(std::uint32_t index) { return memory.words.at(index); }
  std::uint32_t original(std::uint32_t index) {
    return pages->original_word(PatchMemory::at(index));
  }
  StoreResult store(std::uint32_t index, std::uint32_t value) {
    return pages->store(PatchMemory::at(index), 4, value);
  }

  PatchMemory memory;
  Policy policy;
  std::unique_ptr<Pages> pages;
};
using Traps = Fixture<TrapAll>;
using Stubs = Fixture<StubPolicy>;

TEST(Armv7Dictionary, NumbersDistinctWords) {
  Dictionary dictionary;
  EXPECT_EQ(dictionary.replacement(kCpsid), kFirst);
  EXPECT_EQ(dictionary.replacement(kMrs), kFirst + 1);
  EXPECT_EQ(dictionary.replacement(kCpsid), kFirst);
  EXPECT_EQ(dictionary.replacement(kMsrNe), 0x1fa50002u);
  EXPECT_EQ(dictionary.size(), 3u);
  EXPECT_EQ(dictionary.original(kFirst), kCpsid);
  EXPECT_EQ(dictionary.original(kFirst + 1), kMrs);
  EXPECT_EQ(dictionary.original(0x1fa50002), kMsrNe);
}

TEST(Armv7Dictionary, KnowsOnlyWhatItGave) {
  Dictionary dictionary;
  EXPECT_EQ(dictionary.original(kFirst), std::nullopt);
  ASSERT_TRUE(dictionary.replacement(kMsrNe));
  EXPECT_EQ(dictionary.original(kFirst), std::nullopt);      // another condition
  EXPECT_EQ(dictionary.original(0x1fa50001), std::nullopt);  // not in use
  EXPECT_EQ(dictionary.original(0x1fa4ffff), std::nullopt);  // below
  EXPECT_EQ(dictionary.original(0x1fa51000), std::nullopt);  // above
  EXPECT_EQ(dictionary.original(0x1ea50000), std::nullopt);  // no SVC
  EXPECT_EQ(dictionary.original(0xffa50000), std::nullopt);  // no condition
  EXPECT_TRUE(Dictionary::is_in_range(0x1fa50fff));
  EXPECT_FALSE(Dictionary::is_in_range(0x1fa51000));
  dictionary.reset();
  EXPECT_EQ(dictionary.size(), 0u);
  EXPECT_EQ(dictionary.original(0x1fa50000), std::nullopt);
}

TEST(Armv7Dictionary, TakesThousandsOfWordsAndThenNoMore) {
  Dictionary dictionary;
  std::mt19937 random(1);
  std::vector<std::uint32_t> words;
  while (words.size() < 3000) {
    const auto word = static_cast<std::uint32_t>(random());
    ASSERT_TRUE(dictionary.replacement(word));
    words.push_back(word);
  }
  for (const std::uint32_t word : words) {
    const std::uint32_t condition = word >> 28 == 15 ? 14 : word >> 28;
    EXPECT_EQ(*dictionary.replacement(word) >> 28, condition);
    EXPECT_EQ(dictionary.original(*dictionary.replacement(word)), word);
  }
  std::uint32_t refused = 0;
  for (int i = 0; i < 5000; ++i) {
    refused += dictionary.replacement(static_cast<std::uint32_t>(random())) ? 0 : 1;
  }
  EXPECT_GT(refused, 3000u);
  EXPECT_LE(dictionary.size(), Dictionary::kCapacity);
  EXPECT_TRUE(dictionary.replacement(words.front()));
}

TEST(Armv7Patch, ReplacesSensitiveWordsOnly) {
  Traps f;
  f.word(1) = kCpsid;
  f.word(2) = kMrs;
  f.word(1023) = kCpsid;
  f.word(1024) = kCpsid;  // the next page
  EXPECT_FALSE(f.pages->patched_at(PatchMemory::page(0)));
  EXPECT_EQ(f.patch(), PatchResult::Patched);
  EXPECT_EQ(f.pages->patched_at(PatchMemory::page(0)), kKernel);
  EXPECT_EQ(f.word(0), kNop);
  EXPECT_EQ(f.word(1), kFirst);
  EXPECT_EQ(f.word(2), kFirst + 1);
  EXPECT_EQ(f.word(1023), kFirst);
  EXPECT_EQ(f.word(1024), kCpsid);
  EXPECT_EQ(f.original(0), kNop);
  EXPECT_EQ(f.original(1), kCpsid);
  EXPECT_EQ(f.original(1024), kCpsid);
  EXPECT_EQ(f.pages->counters().traps, 3u);
  EXPECT_EQ(f.pages->counters().pages, 1u);
}

TEST(Armv7Patch, UnpatchingRestoresEveryWord) {
  std::mt19937 random(7);
  Traps f(1);
  for (std::uint32_t& word : f.memory.words) {
    word = random() % 4 == 0 ? kCpsid + static_cast<std::uint32_t>(random() % 4 * 0x40)
                             : static_cast<std::uint32_t>(random());
  }
  const std::vector<std::uint32_t> before = f.memory.words;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  EXPECT_NE(f.memory.words, before);
  for (std::uint32_t i = 0; i < 1024; ++i) EXPECT_EQ(f.original(i), before[i]);
  EXPECT_TRUE(f.pages->unpatch_page(PatchMemory::page(0)));
  EXPECT_EQ(f.memory.words, before);
  EXPECT_FALSE(f.pages->unpatch_page(PatchMemory::page(0)));
}

TEST(Armv7Patch, CopiesOfReplacedWordsCountAsReplaced) {
  Traps f;
  f.word(5) = kCpsid;
  f.word(6) = kMsrNe;
  ASSERT_EQ(f.patch(0), PatchResult::Patched);
  std::copy_n(f.memory.words.begin(), 1024, f.memory.words.begin() + 1024);  // the guest copies it
  EXPECT_EQ(f.pages->original_word(PatchMemory::at(1024 + 5)), kFirst);      // data, as yet
  ASSERT_EQ(f.patch(1), PatchResult::Patched);
  EXPECT_EQ(f.word(1024 + 5), kFirst);
  EXPECT_EQ(f.original(1024 + 5), kCpsid);
  EXPECT_EQ(f.original(1024 + 6), kMsrNe);
  EXPECT_EQ(f.pages->dictionary().size(), 2u);
  f.pages->unpatch_page(PatchMemory::page(1));
  EXPECT_EQ(f.word(1024 + 5), kCpsid);
  EXPECT_EQ(f.word(1024 + 6), kMsrNe);
}

TEST(Armv7Patch, AGuestsOwnSvcInTheRangeKeepsItsMeaning) {
  Traps f(1);
  const std::uint32_t own = kFirst + 1;  // will be the number of the second word replaced
  f.word(1) = own;
  f.word(2) = kCpsid;
  f.word(3) = kMrs;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  EXPECT_EQ(f.original(1), own);
  EXPECT_EQ(f.original(2), kCpsid);
  EXPECT_EQ(f.original(3), kMrs);
  EXPECT_EQ(f.pages->dictionary().original(f.word(1)), own);
  f.pages->unpatch_page(PatchMemory::page(0));
  EXPECT_EQ(f.word(1), own);
}

TEST(Armv7Patch, StoresGoIntoTheGuestsWords) {
  Traps f(1);
  f.word(1) = kCpsid;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  EXPECT_EQ(f.store(1, kNop).kind, StoreResult::Kind::Stored);
  EXPECT_EQ(f.word(1), kNop);
  EXPECT_EQ(f.store(1, kMrs).stores, 2u);
  EXPECT_EQ(f.word(1), kFirst + 1);
  EXPECT_EQ(f.original(1), kMrs);
  // mrs r3 becomes mrs r4, by its second byte; then nothing known, by the upper half.
  EXPECT_EQ(f.pages->store(PatchMemory::at(1) + 1, 1, 0x40).kind, StoreResult::Kind::Stored);
  EXPECT_EQ(f.original(1), 0xe10f4000u);
  EXPECT_NE(f.word(1), 0xe10f4000u);
  EXPECT_EQ(f.pages->store(PatchMemory::at(1) + 2, 2, 0xe3a0).kind, StoreResult::Kind::Stored);
  EXPECT_EQ(f.word(1), 0xe3a04000u);
  EXPECT_EQ(f.pages->counters().stores, 4u);
}

TEST(Armv7Patch, UnalignedStoresAndTheEndOfThePage) {
  Traps f;
  f.word(1) = 0x44332211;
  f.word(2) = 0x88776655;
  f.word(1023) = 0xccbbaa99;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  (void)f.pages->store(PatchMemory::at(1) + 3, 4, 0xd4c3b2a1);
  EXPECT_EQ(f.word(1), 0xa1332211u);
  EXPECT_EQ(f.word(2), 0x88d4c3b2u);
  (void)f.pages->store(PatchMemory::at(1) + 3, 2, 0xffff7766);
  EXPECT_EQ(f.word(1), 0x66332211u);
  EXPECT_EQ(f.word(2), 0x88d4c377u);
  (void)f.pages->store(PatchMemory::at(1023) + 2, 4, 0x01020304);
  EXPECT_EQ(f.word(1023), 0x0304aa99u);
  EXPECT_EQ(f.word(1024), kNop);
  EXPECT_EQ(f.store(1024, 1).kind, StoreResult::Kind::NotPatched);
  EXPECT_EQ(f.word(1024), kNop);
}

TEST(Armv7Patch, AStoreMayWriteBackWhatAReadShowed) {
  Traps f(1);
  f.word(1) = kCpsid;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  const std::uint32_t shown = f.word(1);
  (void)f.store(1, 0xe7f001f8);  // a kprobe's undefined instruction
  EXPECT_EQ(f.original(1), 0xe7f001f8u);
  (void)f.store(1, shown);
  EXPECT_EQ(f.original(1), kCpsid);
}

TEST(Armv7Patch, CountsStoresWithoutOverflow) {
  Traps f(1);
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  for (int i = 0; i < 70000; ++i) (void)f.store(3, kNop);
  EXPECT_EQ(f.store(3, kNop).stores, 0xffffu);
}

TEST(Armv7Patch, WhatIsExecutedBranches) {
  constexpr std::uint32_t kReadThread = StubPolicy::kReadThreadId | 7 << 12;
  Stubs f(1);
  f.word(1) = kCpsid;
  f.word(2) = kReadThread;
  f.word(3) = kMrs;
  f.word(4) = kCpsie;
  const std::vector<std::uint32_t> before = f.memory.words;
  EXPECT_FALSE(f.execute(1));  // not patched
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  EXPECT_EQ(f.word(1), kFirst);
  EXPECT_EQ(f.word(2), kReadThread);
  EXPECT_EQ(f.word(3), StubPolicy::branch_of(kMrs, kKernel + 12));  // at once
  EXPECT_EQ(f.word(4), kFirst + 1);
  EXPECT_TRUE(f.execute(1));
  EXPECT_TRUE(f.execute(2));
  EXPECT_FALSE(f.execute(4));
  EXPECT_FALSE(f.execute(5));
  EXPECT_FALSE(f.pages->put_branch(PatchMemory::at(1), kKernel + 0x1004));  // not where it runs
  EXPECT_EQ(f.word(1), StubPolicy::branch_of(kCpsid, kKernel + 4));
  EXPECT_EQ(f.word(2), StubPolicy::branch_of(kReadThread, kKernel + 8));
  EXPECT_EQ(f.word(4), kFirst + 1);
  EXPECT_FALSE(f.execute(1));  // it does already: whoever exits there exits for another reason
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(f.original(i), before[i]);
  EXPECT_EQ(f.pages->counters().branches, 4u);
  EXPECT_EQ(f.pages->counters().traps, 2u);
  f.pages->unpatch_page(PatchMemory::page(0));
  EXPECT_EQ(f.memory.words, before);
}

// What is said to be around a word is the guest's, whatever has become of it.
TEST(Armv7Patch, PoliciesSeeTheGuestsWordsAround) {
  Stubs f(1);
  for (std::uint32_t i = 0; i < 1024; ++i)
    f.word(i) = std::array{kCpsid, kMrs, kCpsie, kNop}[i % 4];
  const std::vector<std::uint32_t> words = f.memory.words;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  for (const std::uint32_t n : {0u, 4u, 8u, 512u, 1012u, 1020u}) ASSERT_TRUE(f.execute(n));
  for (const std::uint32_t n : {0u, 4u, 8u, 512u, 1012u, 1020u}) {
    (void)f.execute(n);
    const Surroundings& around = f.policy.surroundings;
    for (std::uint32_t i = 0; i < around.before.size(); ++i) {
      EXPECT_EQ(around.before[i], n < i + 1 ? 0 : words[n - i - 1]);
    }
    for (std::uint32_t i = 0; i < around.after.size(); ++i) {
      EXPECT_EQ(around.after[i], n + 1 + i < 1024 ? words[n + 1 + i] : 0);
    }
  }
}

TEST(Armv7Patch, ABranchIsKnownOnlyWhereItWasPut) {
  Stubs f;
  f.word(1) = kCpsid;
  ASSERT_EQ(f.patch(0), PatchResult::Patched);
  ASSERT_EQ(f.patch(1), PatchResult::Patched);
  ASSERT_TRUE(f.execute(1));
  const std::uint32_t branch = f.word(1);
  (void)f.store(2, branch);  // the guest's own branch, or a copy
  EXPECT_EQ(f.original(2), branch);
  (void)f.store(1024 + 1, branch);
  EXPECT_EQ(f.original(1024 + 1), branch);
  (void)f.store(1, kNop);
  EXPECT_EQ(f.original(1), kNop);
  (void)f.store(1, branch);  // written back
  EXPECT_EQ(f.original(1), kCpsid);
  f.pages->unpatch_page(PatchMemory::page(0));
  EXPECT_EQ(f.word(1), kCpsid);
  EXPECT_EQ(f.word(2), branch);
  // The guest has kept the branch, and puts it back before the page is run again.
  f.word(1) = branch;
  ASSERT_EQ(f.patch(0), PatchResult::Patched);
  EXPECT_EQ(f.original(1), kCpsid);
  f.pages->unpatch_page(PatchMemory::page(0));
  EXPECT_EQ(f.word(1), kCpsid);
}

TEST(Armv7Patch, APageRunsWhereItIsPatchedFor) {
  Stubs f(1);
  f.word(1) = kCpsid;
  const HostPhysical page = PatchMemory::page(0);
  const GuestVirtual alias{0xf0900000};
  EXPECT_FALSE(f.pages->runs_at(page, kKernel));
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  EXPECT_TRUE(f.pages->runs_at(page, kKernel));
  EXPECT_FALSE(f.pages->runs_at(page, alias));
  ASSERT_TRUE(f.execute(1));
  EXPECT_EQ(f.word(1), StubPolicy::branch_of(kCpsid, kKernel + 4));
  f.memory.recording = true;
  ASSERT_EQ(f.pages->patch_page(page, alias), PatchResult::Patched);
  EXPECT_FALSE(f.pages->runs_at(page, kKernel));
  EXPECT_TRUE(f.pages->runs_at(page, alias));
  EXPECT_FALSE(f.execute(1));
  ASSERT_TRUE(f.pages->put_branch(PatchMemory::at(1), alias + 4));
  EXPECT_EQ(f.word(1), StubPolicy::branch_of(kCpsid, alias + 4));
  EXPECT_EQ(f.original(1), kCpsid);
  EXPECT_THAT(f.memory.events, Contains(Event{Step::Unpatched, PatchMemory::kBase}));
  f.pages->unpatch_page(page);
  EXPECT_EQ(f.word(1), kCpsid);
}

TEST(Armv7Patch, StubsArePublishedWithTheBranchesToThem) {
  Stubs f(1);
  f.word(1) = kMrs;
  f.word(2) = kCpsid;
  f.memory.recording = true;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  constexpr std::uint32_t kBase = PatchMemory::kBase;
  EXPECT_THAT(
      f.memory.events,
      ElementsAre(Event{Step::Write, kBase + 4, 4}, Event{Step::Write, kBase + 8, 4},
                  Event{Step::Clean, StubPolicy::kCode, 4}, Event{Step::Clean, kBase + 4, 8},
                  Event{Step::Barrier}, Event{Step::InvalidateInstructions}, Event{Step::Barrier},
                  Event{Step::Patched, kBase}));
  f.memory.events.clear();
  ASSERT_TRUE(f.execute(2));
  EXPECT_THAT(
      f.memory.events,
      ElementsAre(Event{Step::Write, kBase + 8, 4}, Event{Step::Clean, StubPolicy::kCode, 4},
                  Event{Step::Clean, kBase + 8, 4}, Event{Step::Barrier},
                  Event{Step::InvalidateInstructions}, Event{Step::Barrier}));
}

TEST(Armv7Patch, MakesRoomByUnpatching) {
  Traps f(64);
  for (std::uint32_t i = 0; i < 64; ++i) {
    f.word(i * 1024) = kCpsid;
    PatchResult result = f.patch(i);
    if (result == PatchResult::NoRoom) {
      EXPECT_EQ(f.word(i * 1024), kCpsid);
      const HostPhysical victim = f.pages->victim(PatchMemory::page(i));
      EXPECT_TRUE(f.pages->unpatch_page(victim));
      EXPECT_EQ(f.memory.read(victim), kCpsid);
      result = f.patch(i);
    }
    EXPECT_EQ(result, PatchResult::Patched);
  }
  std::uint32_t patched = 0;
  f.pages->unpatch_all([&](HostPhysical) { ++patched; });
  EXPECT_LE(patched, 32u);
  EXPECT_GE(patched, 16u);
  for (std::uint32_t i = 0; i < 64; ++i) {
    EXPECT_EQ(f.word(i * 1024), kCpsid);
    EXPECT_FALSE(f.pages->patched_at(PatchMemory::page(i)));
  }
}

// More distinct words of certain sensitivity than the dictionary holds: MSR, under conditions that
// addresses do not begin with.
std::vector<std::uint32_t> many_sensitive_words() {
  std::vector<std::uint32_t> words;
  for (const std::uint32_t condition : {0u, 1u, 2u, 5u, 6u, 9u, 10u, 13u, 14u}) {
    for (std::uint32_t mask = 1; mask < 16; ++mask) {
      if ((mask & 3) == 0) continue;
      const std::uint32_t fields = condition << 28 | mask << 16;
      for (std::uint32_t rm = 0; rm < 15; ++rm) words.push_back(fields | 0x0120f000 | rm);
      for (std::uint32_t constant = 0x10; (mask & 1) != 0 && constant < 0x100; ++constant) {
        const std::uint32_t mode = constant & 31;
        if ((mode >= 0x10 && mode <= 0x13) || mode == 0x1f) {
          words.push_back(fields | 0x0320f000 | constant);
        }
      }
    }
  }
  return words;
}

TEST(Armv7Patch, AFullDictionaryLeavesThePageAsItWas) {
  const std::vector<std::uint32_t> words = many_sensitive_words();
  const auto page_count = static_cast<std::uint32_t>(words.size() / 1024 + 2);
  ASSERT_GT(words.size(), Dictionary::kCapacity);
  Traps f(page_count);
  std::copy(words.begin(), words.end(), f.memory.words.begin());
  std::uint32_t number = 0;
  while (number < page_count && f.patch(number) == PatchResult::Patched) ++number;
  ASSERT_LT(number, page_count);
  EXPECT_FALSE(f.pages->patched_at(PatchMemory::page(number)));
  for (std::uint32_t i = number * 1024; i < (number + 1) * 1024 && i < words.size(); ++i) {
    EXPECT_EQ(f.word(i), words[i]);
  }
  // The pages before are intact, and a store that needs a new number says so.
  EXPECT_EQ(f.original(0), words[0]);
  EXPECT_EQ(f.store(0, words[words.size() - 1]).kind, StoreResult::Kind::DictionaryFull);
  EXPECT_EQ(f.original(0), words[0]);
  EXPECT_EQ(f.store(0, words[1]).kind, StoreResult::Kind::Stored);
}

TEST(Armv7Patch, ResetForgetsEverything) {
  Traps f(1);
  f.word(1) = kCpsid;
  f.word(2) = kMrs;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  f.pages->reset(f.memory, f.policy);
  EXPECT_FALSE(f.pages->patched_at(PatchMemory::page(0)));
  EXPECT_EQ(f.pages->dictionary().size(), 0u);
  EXPECT_EQ(f.original(2), kFirst + 1);
  EXPECT_EQ(f.pages->counters().pages, 0u);
}

// ---- what is code and what is not ----

// Puts words at 512 on, among NOPs, and says whether the one at `index` of them is replaced.
bool is_replaced(std::initializer_list<std::uint32_t> words, std::uint32_t index) {
  Traps f(1);
  std::copy(words.begin(), words.end(), f.memory.words.begin() + 512);
  EXPECT_EQ(f.patch(), PatchResult::Patched);
  return f.word(512 + index) != *(words.begin() + index);
}

TEST(Armv7PatchContext, ExceptionReturnsOfTheKernel) {
  // The end of a vector stub, before its table of addresses.
  EXPECT_TRUE(is_replaced({0xe20ee00f, 0xe1a0000d, 0xe79fe10e, kMovsPcLr, 0xc0300ec0, 0xc0300aa0,
                           0xc0300aa0, 0xc0300aa0},
                          3));
  // ret_fast_syscall: ldmdb r2, {r0 - lr}^; nop; add sp, sp, #72; movs pc, lr; udf
  EXPECT_TRUE(is_replaced({0xe9527fff, kNop, 0xe28dd048, kMovsPcLr, 0xe7f001f2}, 0));
  EXPECT_TRUE(is_replaced({0xe9527fff, kNop, 0xe28dd048, kMovsPcLr, 0xe7f001f2}, 3));
  // strbtne r2, [r0], #0 of __clear_user
  EXPECT_TRUE(is_replaced({0x14c02001, 0x14c02001, 0xe3110001, kStrbtNe, 0xe3a00000, kReturn}, 3));
}

TEST(Armv7PatchContext, LiteralPools) {
  // One address between two functions, which looks like eorsgt pc, pc, r0, lsl #4 and strhtgt.
  EXPECT_FALSE(is_replaced({kReturn, 0xc03df200, 0xe92d4070, 0xe24dd008}, 1));
  EXPECT_FALSE(is_replaced({kReturn, 0xc0e083bc, 0xe92d4070, 0xe24dd008}, 1));
  EXPECT_FALSE(is_replaced({0xe12fff1e, kStrbtNe, 0xe92d4070, 0xe24dd008}, 1));
  EXPECT_FALSE(is_replaced({0xeafffffe, kStrbtNe, 0xe92d4070, 0xe24dd008}, 1));
  EXPECT_FALSE(is_replaced({0xe49df004, kStrbtNe, 0xe92d4070, 0xe24dd008}, 1));
  EXPECT_FALSE(is_replaced({0xe1a0f00e, kStrbtNe, 0xe92d4070, 0xe24dd008}, 1));
  EXPECT_FALSE(is_replaced({0xe7f001f2, kStrbtNe, 0xe92d4070, 0xe24dd008}, 1));
  // After a call that does not return: by its being an address of the kernel.
  EXPECT_FALSE(is_replaced({0xebfffffe, 0xc0e083bc, 0xe92d4070, 0xe24dd008}, 1));
  // Two and more.
  EXPECT_FALSE(is_replaced({kReturn, 0x12345678, kStrbtNe, 0xe92d4070}, 2));
}

TEST(Armv7PatchContext, JumpTables) {
  EXPECT_FALSE(
      is_replaced({0x908ff102, 0xea000010, 0xc0b1f924, 0xc0b1f934, 0xc0b1f944, 0xc0b1f954}, 3));
}

TEST(Armv7PatchContext, TablesOfConstants) {
  // From SHA-256's and others: conditions as they come, and one that looks like ldmda r2, {...}^.
  EXPECT_FALSE(is_replaced({0x428a2f98, 0x71374491, 0xe85298a5, 0x3956c25b, 0x59f111f1}, 2));
  std::mt19937 random(3);
  std::uint32_t replaced = 0;
  for (int page = 0; page < 200; ++page) {
    Traps f(1);
    for (std::uint32_t& word : f.memory.words) word = static_cast<std::uint32_t>(random());
    ASSERT_EQ(f.patch(), PatchResult::Patched);
    replaced += f.pages->counters().traps;
  }
  EXPECT_LT(replaced, 30u);  // of 204,800; 3,000 look sensitive
}

TEST(Armv7PatchContext, CertainWordsNeedNone) {
  EXPECT_TRUE(is_replaced({0x12345678, 0x12345678, kCpsid, 0x12345678, 0x12345678}, 2));
  EXPECT_TRUE(is_replaced({0x12345678, 0x12345678, kMsrNe, 0x12345678, 0x12345678}, 2));
}

TEST(Armv7PatchContext, EdgesOfThePage) {
  Traps f(1);
  f.word(0) = kMovsPcLr;
  f.word(1023) = kMovsPcLr;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  EXPECT_EQ(f.word(0), kFirst);
  EXPECT_EQ(f.word(1023), kFirst);
}

TEST(Armv7PatchContext, StoresChangeWhatIsAround) {
  Traps f(1);
  std::fill(f.memory.words.begin(), f.memory.words.end(), 0u);
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  (void)f.store(10, kMovsPcLr);
  EXPECT_EQ(f.word(10), kMovsPcLr);
  (void)f.store(9, kNop);
  (void)f.store(11, kNop);
  EXPECT_EQ(f.word(10), kMovsPcLr);
  (void)f.store(12, kCpsid);
  EXPECT_EQ(f.original(10), kMovsPcLr);
  EXPECT_NE(f.word(10), kMovsPcLr);
  (void)f.store(9, 0);
  EXPECT_EQ(f.word(10), kMovsPcLr);
}

// ---- maintenance ----

TEST(Armv7PatchMaintenance, CleanedThenInvalidatedBeforeThePageMayRun) {
  Traps f;
  f.word(3) = kCpsid;
  f.word(700) = kCpsid;
  f.memory.recording = true;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  const std::uint32_t base = PatchMemory::kBase;
  EXPECT_THAT(f.memory.events,
              ElementsAre(Event{Step::Write, base + 12, 4}, Event{Step::Write, base + 2800, 4},
                          Event{Step::Clean, base + 12, 2792}, Event{Step::Barrier},
                          Event{Step::InvalidateInstructions}, Event{Step::Barrier},
                          Event{Step::Patched, base}));
  f.memory.events.clear();
  f.pages->unpatch_page(PatchMemory::page(0));
  EXPECT_THAT(f.memory.events,
              ElementsAre(Event{Step::Write, base + 12, 4}, Event{Step::Write, base + 2800, 4},
                          Event{Step::Clean, base + 12, 2792}, Event{Step::Barrier},
                          Event{Step::InvalidateInstructions}, Event{Step::Barrier},
                          Event{Step::Unpatched, base}));
}

TEST(Armv7PatchMaintenance, NothingWrittenNothingMaintained) {
  Traps f;
  f.memory.recording = true;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  ASSERT_EQ(f.patch(), PatchResult::Patched);  // it is already
  EXPECT_THAT(f.memory.events, ElementsAre(Event{Step::Patched, PatchMemory::kBase}));
}

TEST(Armv7PatchMaintenance, StoresToo) {
  Traps f;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  f.memory.recording = true;
  (void)f.pages->store(PatchMemory::at(5) + 2, 4, 0x11111111);
  const std::uint32_t base = PatchMemory::kBase;
  EXPECT_THAT(f.memory.events,
              ElementsAre(Event{Step::Write, base + 20, 4}, Event{Step::Write, base + 24, 4},
                          Event{Step::Clean, base + 20, 8}, Event{Step::Barrier},
                          Event{Step::InvalidateInstructions}, Event{Step::Barrier}));
  f.memory.events.clear();
  (void)f.store(7, kNop);  // what is there
  EXPECT_TRUE(f.memory.events.empty());
}

// A guest that fetches past the caches: what it wrote is read, what it is to run is out in memory,
// and no line of the page stays behind to be read or written back later.
TEST(Armv7PatchMaintenance, OutToMemoryForAGuestWithoutCaches) {
  Traps f;
  f.word(3) = kCpsid;
  f.pages->set_uncached(true);
  f.memory.recording = true;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  const std::uint32_t base = PatchMemory::kBase;
  const Event before{Step::CleanToMemory, base, mem::kPageSize}, after = before;
  const Event word{Step::Write, base + 12, 4}, barrier{Step::Barrier};
  const Event instructions{Step::InvalidateInstructions};
  EXPECT_THAT(f.memory.events, ElementsAre(before, barrier, word, after, barrier, instructions,
                                           barrier, Event{Step::Patched, base}));
  f.memory.events.clear();
  (void)f.store(3, kNop);
  EXPECT_THAT(f.memory.events, ElementsAre(word, after, barrier, instructions, barrier));
  f.memory.events.clear();
  f.pages->unpatch_page(PatchMemory::page(0));
  EXPECT_THAT(f.memory.events,
              ElementsAre(after, barrier, instructions, barrier, Event{Step::Unpatched, base}));
}

TEST(Armv7PatchMaintenance, NothingWrittenLeavesNoLineForAGuestWithoutCaches) {
  Traps f;
  f.pages->set_uncached(true);
  f.memory.recording = true;
  ASSERT_EQ(f.patch(), PatchResult::Patched);
  const Event page{Step::CleanToMemory, PatchMemory::kBase, mem::kPageSize};
  EXPECT_EQ(f.memory.events.front(), page);
  EXPECT_EQ(std::ranges::count(f.memory.events, page), 2);
}

}  // namespace
}  // namespace mezzo::armv7
