// The region of stubs and the table of them: geometry, which words have one, what a branch was, the
// way back from any place in the region, and what happens when there is no room. What stubs do is
// tested by executing them: fuzz/armv7_stub_oracle_test.cpp.
#include "arch/armv7/stubs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "abi/plan.hpp"
#include "arch/armv7/runnable_memory.hpp"
#include "arch/armv7/short_descriptor.hpp"
#include "mem/shadow.hpp"
#include "support/armv7_patch_memory.hpp"
#include "support/shadow_hardware.hpp"
#include "support/shadow_machine.hpp"

namespace mezzo::armv7 {
namespace {

using test::PatchMemory;

constexpr std::uint32_t kCpsid = 0xf10c0080, kCpsie = 0xf1080080, kMrs = 0xe10f3000,
                        kMsr = 0xe121f003, kMsrNe = 0x1121f003, kReadDomains = 0xee130f10,
                        kNop = 0xe1a00000, kMovsPcLr = 0xe1b0f00e;
const GuestVirtual kKernel{0xc0300000};

// ---- the region ----

TEST(Armv7StubRegion, SlotsAndAddressesAreTheSame) {
  for (std::uint32_t slot = 0; slot < StubRegion::kSlots; ++slot) {
    const std::uint32_t at = StubRegion::address_of(slot);
    ASSERT_TRUE(StubRegion::contains(at));
    ASSERT_EQ(StubRegion::slot_at(at), slot);
    ASSERT_EQ(StubRegion::slot_at(at + StubRegion::kSlotBytes - 1), slot);
  }
}

TEST(Armv7StubRegion, TablesMapCodeAndTheSharedPageAndNothingElse) {
  constexpr std::uint32_t kCode = 0x7a000000, kShared = 0x7f001000;
  std::array<std::uint32_t, StubRegion::kTableEntries> entries{};
  StubRegion::write_tables(entries, HostPhysical{kCode}, HostPhysical{kShared}, true);
  std::uint32_t code = 0, shared = 0;
  for (std::uint32_t n = 0; n < entries.size(); ++n) {
    const std::uint32_t at = StubRegion::kBase + n * mem::kPageSize;
    const std::uint32_t machine = entries[n] & ~4095u, rights = entries[n] >> 4 & 3;
    const bool executable = (entries[n] & 1) == 0;
    if (entries[n] == 0) {
      EXPECT_FALSE(StubRegion::slot_at(at));
      EXPECT_NE(at, StubRegion::kDoorbell);
    } else if (machine == kShared) {
      EXPECT_FALSE(StubRegion::slot_at(at));
      EXPECT_EQ(rights, 3u);
      EXPECT_FALSE(executable);
      ++shared;
    } else {
      EXPECT_EQ(machine, kCode + StubRegion::slot_at(at).value() * StubRegion::kSlotBytes);
      EXPECT_EQ(rights, 2u);  // read-only
      EXPECT_TRUE(executable);
      ++code;
      EXPECT_EQ(entries[n - 1] & ~4095u, kShared);
      EXPECT_EQ(entries[n + 1] & ~4095u, kShared);
    }
  }
  // For the TLB in all contexts, or in none but the current one.
  const auto for_all = entries;
  StubRegion::write_tables(entries, HostPhysical{kCode}, HostPhysical{kShared}, false);
  for (std::uint32_t n = 0; n < entries.size(); ++n) {
    EXPECT_EQ(for_all[n] & 1u << 11, 0u);
    EXPECT_EQ(entries[n], for_all[n] == 0 ? 0 : for_all[n] | 1u << 11);
  }
  EXPECT_EQ(code, StubRegion::kCodeBytes / mem::kPageSize);
  EXPECT_EQ(shared, code + 2);
  for (std::uint32_t n = 1; n < StubRegion::kDoorbellPages; ++n) {
    EXPECT_EQ(entries[(StubRegion::kDoorbell - StubRegion::kBase) / mem::kPageSize + n], 0u);
  }
  // From any stub, what leads off the map does: two words before its end, or earlier.
  for (std::uint32_t slot = 0; slot < StubRegion::kSlots; ++slot) {
    if (!StubRegion::is_good(slot)) continue;
    const std::uint32_t pc = StubRegion::address_of(slot) + 4 * (StubRegion::kLongest - 1);
    const std::uint32_t n = (pc + StubRegion::kOffTheMap - StubRegion::kBase) / mem::kPageSize;
    ASSERT_EQ(entries.at(n), 0u);
  }
}

TEST(Armv7StubRegion, ReachIsThatOfABranch) {
  const auto reaches = [](std::uint32_t from, std::uint32_t to) {
    const auto distance = static_cast<std::int32_t>(to - from - 8);
    return distance >= -(32 << 20) && distance < 32 << 20;
  };
  const std::uint32_t first = StubRegion::address_of(0);
  const std::uint32_t last =
      StubRegion::address_of(StubRegion::kSlots - 1) + 4 * StubRegion::kLongest;
  for (std::uint32_t at = 0xbd000000; at < 0xc2800000; at += 0x10000 - 4) {
    if (!StubRegion::is_in_reach(at)) continue;
    EXPECT_TRUE(reaches(at, first) && reaches(at, last)) << std::hex << at;
    EXPECT_TRUE(reaches(first, at + 4) && reaches(last, at + 4)) << std::hex << at;
  }
  // Kernels and their modules.
  for (const std::uint32_t at : {0xbf000000, 0xbfdffffc, 0xc0008000, 0xc0208000, 0xc1bffffc}) {
    EXPECT_TRUE(StubRegion::is_in_reach(at)) << std::hex << at;
  }
  for (const std::uint32_t at : {0u, 0x60208000u, 0xbdfffffcu, 0xc1c00000u, 0xf0800000u}) {
    EXPECT_FALSE(StubRegion::is_in_reach(at)) << std::hex << at;
  }
}

// ---- the table ----

struct Table : testing::Test {
  static constexpr std::uint32_t kCode = 0x7a000000;
  std::vector<std::uint32_t> code = std::vector<std::uint32_t>(Stubs::kCodeBytes / 4, 0xffffffff);
  std::unique_ptr<Stubs> stubs = std::make_unique<Stubs>();
  SharedState shared;

  Table() { reset(); }
  void reset() { stubs->reset(code, HostPhysical{kCode}, {}); }

  std::optional<std::uint32_t> branch(std::uint32_t word, GuestVirtual at = kKernel) {
    return stubs->branch(word, at, {});
  }
  static std::uint32_t target(std::uint32_t branch, GuestVirtual at) {
    return at.value() + 8 + static_cast<std::uint32_t>(static_cast<std::int32_t>(branch << 8) >> 6);
  }
  std::optional<std::uint32_t> roll_back(std::uint32_t pc) {
    Frame frame{};
    frame.pc = pc;
    return stubs->roll_back(frame, shared);
  }
};
using Armv7Stubs = Table;

TEST_F(Armv7Stubs, BranchesHaveTheConditionAndLeadToTheirStubs) {
  const std::uint32_t always = branch(kCpsid).value();
  const std::uint32_t never_equal = branch(kMsrNe, kKernel + 4).value();
  EXPECT_EQ(always >> 24, 0xeau);
  EXPECT_EQ(never_equal >> 24, 0x1au);
  EXPECT_EQ(roll_back(target(always, kKernel)), kCpsid);
  EXPECT_EQ(roll_back(target(never_equal, kKernel + 4)), kMsrNe);
}

// The kernel's TPIDRPRW is in the machine's TPIDRURW: each read is the other's word, anywhere, and
// at once.
TEST_F(Armv7Stubs, AReadOfTpidrprwIsAnotherRead) {
  constexpr std::uint32_t kReadThread = 0xee1d0f90, kReadUsers = 0xee1d0f50,
                          kCondition = 0xf0000000;
  for (const std::uint32_t at : {0xc0300000u, 0x60208000u, 0xf0800000u}) {
    for (std::uint32_t rt = 0; rt < 16; ++rt) {
      const std::uint32_t word = kReadThread | rt << 12, read = kReadUsers | rt << 12;
      EXPECT_TRUE(stubs->is_due(word, GuestVirtual{at}));
      EXPECT_EQ(stubs->branch(word, GuestVirtual{at}, {}), read);
      EXPECT_EQ(stubs->original(read, GuestVirtual{at}), word);
      EXPECT_TRUE(Stubs::may_have_become(read, GuestVirtual{at}));
      EXPECT_FALSE(Stubs::may_have_become(word, GuestVirtual{at}));
      EXPECT_FALSE(stubs->relies_on_others(read, GuestVirtual{at}));
      // What may be data is left alone, and what is left alone is no other word.
      EXPECT_EQ(sensitivity(read), Sensitivity::Certain);
      for (std::uint32_t condition = 0; condition < 16; ++condition) {
        if (condition == 14) continue;
        const std::uint32_t other = condition << 28;
        EXPECT_EQ(stubs->branch((word & ~kCondition) | other, GuestVirtual{at}, {}), std::nullopt);
        EXPECT_EQ(stubs->original((read & ~kCondition) | other, GuestVirtual{at}), std::nullopt);
      }
    }
  }
  EXPECT_EQ(stubs->used(), 0u);
  for (const std::uint32_t none : {0xfe1d0f90u, 0xee0d0f90u, 0xee1d0fb0u, 0xee1d0e90u}) {
    EXPECT_EQ(stubs->branch(none, kKernel, {}), std::nullopt) << std::hex << none;
  }
  stubs->reset(code, HostPhysical{kCode}, {.slow_paths = plan::kFastThreadId});
  EXPECT_EQ(stubs->branch(kReadThread, kKernel, {}), std::nullopt);
  EXPECT_FALSE(stubs->is_due(kReadThread, kKernel));
}

// On one page with reads of TPIDRURW itself, which are replaced from the beginning.
TEST_F(Armv7Stubs, BothReadsComeBackAsWhatTheyWere) {
  constexpr std::uint32_t kReadThread = 0xee1d3f90, kReadUsers = 0xee1d3f50;
  PatchMemory memory(1);
  const auto patched = std::make_unique<PatchedPages<PatchMemory, Stubs>>();
  patched->reset(memory, *stubs);
  memory.words[10] = kReadThread;
  memory.words[12] = kReadUsers;
  for (std::uint32_t condition = 0; condition < 16; ++condition) {  // perhaps code, perhaps data
    memory.words[100 + 5 * condition] = (kReadUsers & 0x0fffffff) | condition << 28;
  }
  const std::vector<std::uint32_t> before = memory.words;
  ASSERT_TRUE(patch_with_room(*stubs, *patched, memory.page(0), kKernel, [](HostPhysical) {}));
  EXPECT_EQ(memory.words[10], kReadThread);  // exits once
  EXPECT_TRUE(Dictionary::is_in_range(memory.words[12]));
  EXPECT_TRUE(patched->put_branch(memory.at(10), kKernel + 40));
  EXPECT_EQ(memory.words[10], kReadUsers);
  EXPECT_FALSE(patched->put_branch(memory.at(10), kKernel + 40));  // it is there
  EXPECT_EQ(patched->original_word(memory.at(10)), kReadThread);
  EXPECT_TRUE(patched->put_branch(memory.at(12), kKernel + 48));
  EXPECT_EQ(patched->original_word(memory.at(12)), kReadUsers);
  (void)patched->store(memory.at(11), 4, kReadUsers);
  EXPECT_TRUE(Dictionary::is_in_range(memory.words[11]));
  (void)patched->store(memory.at(11), 4, kNop);
  EXPECT_TRUE(patched->unpatch_page(memory.page(0)));
  memory.words[11] = before[11];
  EXPECT_EQ(memory.words, before);
}

TEST_F(Armv7Stubs, WhatIsOutOfReachHasNone) {
  const GuestVirtual far{0x60208000};
  EXPECT_FALSE(branch(kCpsid, far));
  EXPECT_FALSE(branch(kReadDomains, far));
  EXPECT_FALSE(branch(kMovsPcLr));
  EXPECT_EQ(stubs->used(), 0u);
}

// A word is asked for once it has exited twice, and then not for long, unless it got a stub.
TEST_F(Armv7Stubs, AreDueForWhatExitsAgain) {
  EXPECT_FALSE(stubs->is_due(kCpsid, kKernel));
  EXPECT_FALSE(stubs->is_due(kCpsid, kKernel + 4));
  EXPECT_TRUE(stubs->is_due(kCpsid, kKernel));
  for (int n = 0; n < 100; ++n) EXPECT_FALSE(stubs->is_due(kCpsid, kKernel));
  EXPECT_FALSE(stubs->is_due(kMsr, kKernel));  // another word there
  EXPECT_TRUE(stubs->is_due(kMsr, kKernel));
  // What has had a stub there is due at once.
  ASSERT_TRUE(branch(kMsr));
  EXPECT_TRUE(stubs->is_due(kMsr, kKernel));
}

// Words of which so many exit that they are not all remembered, in turn, and among them such as
// never have a stub: all others have one in the end.
TEST_F(Armv7Stubs, AreDueInTheEndWhateverElseExits) {
  constexpr std::uint32_t kWords = 2000;
  std::vector<bool> done(kWords);
  for (int round = 0; round < 40; ++round) {
    for (std::uint32_t n = 0; n < kWords; ++n) {
      const GuestVirtual at = kKernel + 4 * n;
      const std::uint32_t word = n % 3 == 0 ? kMovsPcLr : kMsr;
      if (!done[n] && stubs->is_due(word, at)) done[n] = branch(word, at).has_value();
    }
  }
  for (std::uint32_t n = 0; n < kWords; ++n) EXPECT_EQ(done[n], n % 3 != 0) << n;
}

TEST_F(Armv7Stubs, AWordHasOneStubAtAnAddress) {
  const std::uint32_t first = branch(kMsr).value(), other = branch(kMrs).value();
  const std::uint32_t there = branch(kMsr, kKernel + 4).value();
  EXPECT_EQ(branch(kMsr), first);
  EXPECT_EQ(branch(kMrs), other);
  EXPECT_NE(first, other);
  EXPECT_NE(target(first, kKernel), target(there, kKernel + 4));
  EXPECT_EQ(stubs->used(), 8u);
}

TEST_F(Armv7Stubs, KnowsWhatABranchWas) {
  const std::uint32_t cps = branch(kCpsid).value(), msr = branch(kMsrNe).value();
  EXPECT_EQ(stubs->original(cps, kKernel), kCpsid);
  EXPECT_EQ(stubs->original(msr, kKernel), kMsrNe);
  EXPECT_EQ(stubs->original(cps, kKernel + 4), std::nullopt);
  EXPECT_EQ(stubs->original(cps ^ 0x10000000, kKernel), std::nullopt);  // condition
  EXPECT_EQ(stubs->original(cps ^ 0x01000000, kKernel), std::nullopt);  // BL
  EXPECT_EQ(stubs->original(cps + 1, kKernel), std::nullopt);
  EXPECT_EQ(stubs->original(kCpsid, kKernel), std::nullopt);
  reset();
  EXPECT_EQ(stubs->original(cps, kKernel), std::nullopt);
}

TEST_F(Armv7Stubs, WhatIsWrittenIsToldOnce) {
  EXPECT_EQ(stubs->take_written().bytes, 0u);
  const std::uint32_t made = branch(kCpsid).value();
  const std::uint32_t slot = StubRegion::slot_at(target(made, kKernel)).value();
  const ChangedRange written = stubs->take_written();
  EXPECT_EQ(written.first.value(), kCode + slot * StubRegion::kSlotBytes);
  EXPECT_EQ(written.bytes, 2 * StubRegion::kSlotBytes);
  EXPECT_EQ(stubs->take_written().bytes, 0u);
  (void)branch(kCpsid);
  EXPECT_EQ(stubs->take_written().bytes, 0u);
}

// The guest can branch to any place of the region, with anything in its registers and in what it
// shares.
TEST_F(Armv7Stubs, AnyPlaceOfTheRegionIsAStubsOrNone) {
  std::mt19937 random(1);
  std::map<std::uint32_t, std::uint32_t> words;  // by address
  for (std::uint32_t n = 0; n < 500; ++n) {
    const GuestVirtual at = kKernel + 4 * n;
    const std::uint32_t word = std::array{kCpsid, kCpsie, kMrs, kMsr, kReadDomains}.at(n % 5);
    ASSERT_TRUE(branch(word, at));
    words[at.value()] = word;
  }
  for (std::uint32_t pc = StubRegion::kBase - 64; pc < StubRegion::kBase + StubRegion::kRegion + 64;
       pc += 4) {
    Frame frame{};
    for (std::uint32_t& r : frame.r) r = static_cast<std::uint32_t>(random());
    frame.pc = pc;
    frame.cpsr = 0x80000010;
    for (std::uint32_t& saved : shared.saved) saved = static_cast<std::uint32_t>(random());
    const Frame before = frame;
    const auto word = stubs->roll_back(frame, shared);
    EXPECT_EQ(frame.cpsr, before.cpsr);
    if (!word) {
      EXPECT_EQ(frame.pc, pc);
      EXPECT_TRUE(std::ranges::equal(frame.r, before.r));
      continue;
    }
    // At the word, or behind it where only the branch back is left.
    const bool is_at = words.contains(frame.pc) && words[frame.pc] == *word;
    ASSERT_TRUE(words.contains(frame.pc - (is_at ? 0 : 4))) << std::hex << pc;
    EXPECT_EQ(words[frame.pc - (is_at ? 0 : 4)], *word);
    for (unsigned n = 0; n < 15; ++n) {
      const bool borrowed = frame.r[n] == shared.saved[0] || frame.r[n] == shared.saved[1];
      EXPECT_TRUE(frame.r[n] == before.r[n] || borrowed);
    }
    EXPECT_EQ(frame.r[13], before.r[13]);
  }
}

TEST_F(Armv7Stubs, NothingIsLeftOfTheLastGuest) {
  std::vector<std::uint32_t> places;
  for (std::uint32_t n = 0; n < 1000; ++n) {
    places.push_back(target(branch(kMsr, kKernel + 4 * n).value(), kKernel + 4 * n));
  }
  reset();
  EXPECT_EQ(stubs->used(), 0u);
  EXPECT_THAT(code, testing::Each(0u));
  for (const std::uint32_t place : places) EXPECT_EQ(roll_back(place), std::nullopt);
}

// ---- no room ----

TEST_F(Armv7Stubs, AFullTableRefuses) {
  std::uint32_t n = 0;
  while (branch(kMsr, kKernel + 4 * n)) ++n;
  EXPECT_GT(n, Stubs::kSlots / 3 * 9 / 10);
  EXPECT_TRUE(stubs->wants_release());
  EXPECT_FALSE(branch(kReadDomains, kKernel + 4 * n));
  for (std::uint32_t i = 0; i < n; ++i) EXPECT_TRUE(branch(kMsr, kKernel + 4 * i));
  EXPECT_FALSE(branch(kMsr, kKernel + 4 * n));
  // Nothing can be freed: asked again only after many refusals.
  Stubs::Pages pages;
  for (std::uint32_t i = 0; i < n; i += 1024) pages.insert((kKernel + 4 * i).aligned_down());
  EXPECT_FALSE(stubs->release(pages));
  EXPECT_FALSE(stubs->wants_release());
  EXPECT_FALSE(branch(kMsr, kKernel + 4 * n));
  EXPECT_FALSE(stubs->wants_release());
  for (std::uint32_t i = 0; i < 2000; ++i) (void)branch(kMsr, kKernel + 4 * (n + i));
  EXPECT_TRUE(stubs->wants_release());
}

TEST_F(Armv7Stubs, ReleasesThePagesThatAreNotPatched) {
  std::uint32_t n = 0;
  while (branch(kMsr, kKernel + 4 * n)) ++n;
  const auto is_kept = [](std::uint32_t i) { return i / 1024 % 2 == 0; };
  std::vector<std::uint32_t> branches;
  for (std::uint32_t i = 0; i < n; ++i) branches.push_back(branch(kMsr, kKernel + 4 * i).value());
  Stubs::Pages pages;
  for (std::uint32_t i = 0; i < n; i += 1024) {
    if (is_kept(i)) pages.insert(kKernel + 4 * i);
  }
  ASSERT_TRUE(stubs->release(pages));
  for (std::uint32_t i = 0; i < n; ++i) {
    const GuestVirtual at = kKernel + 4 * i;
    EXPECT_EQ(stubs->original(branches[i], at).has_value(), is_kept(i));
    EXPECT_EQ(roll_back(target(branches[i], at)).has_value(), is_kept(i));
  }
  // Those that are kept are found, and the others' places are used for new ones.
  for (std::uint32_t i = 0; i < n; ++i) {
    if (is_kept(i)) EXPECT_EQ(branch(kMsr, kKernel + 4 * i), branches[i]);
  }
  const GuestVirtual module{0xbf000000};
  std::uint32_t more = 0;
  while (branch(kMsr, module + 4 * more)) ++more;
  EXPECT_GE(more, n / 2 - 1024);
  for (std::uint32_t i = 0; i < n; ++i) {
    const GuestVirtual at = kKernel + 4 * i;
    if (is_kept(i)) EXPECT_EQ(roll_back(target(branches[i], at)), kMsr);
  }
}

// A stub relies on the next words only until one of them changes: a kprobe is put there, or a jump
// label taken.
TEST_F(Armv7Stubs, AStoreBehindAWordEndsWhatItsStubReliedOn) {
  constexpr std::uint32_t kCompare = 0xe3530000, kMove5 = 0xe3a05001, kSave = 0xe5000000;
  PatchMemory memory{1};
  const auto patched = std::make_unique<PatchedPages<PatchMemory, Stubs>>();
  patched->reset(memory, *stubs);
  memory.words[10] = kCpsid;
  memory.words[11] = kCompare;
  memory.words[12] = kCompare;
  memory.words[13] = kMove5;
  const auto saves = [&] {
    const std::uint32_t at = target(memory.words[10], kKernel + 40);
    const std::uint32_t slot = StubRegion::slot_at(at).value();
    return (code[slot * StubRegion::kSlotWords] & 0xff100000) == kSave;  // STR, not LDR
  };
  for (const std::uint32_t changed : {11u, 12u, 13u}) {
    const auto forget = [](HostPhysical) {};
    ASSERT_TRUE(patch_with_room(*stubs, *patched, memory.page(0), kKernel, forget));
    ASSERT_TRUE(patched->put_branch(memory.at(10), kKernel + 40));
    EXPECT_FALSE(saves());
    ASSERT_EQ(patched->store(memory.at(changed), 4, kNop).kind, StoreResult::Kind::Stored);
    EXPECT_EQ(memory.words[10] >> 24, 0xefu);  // a trap again
    EXPECT_EQ(patched->original_word(memory.at(10)), kCpsid);
    ASSERT_TRUE(patched->put_branch(memory.at(10), kKernel + 40));
    EXPECT_TRUE(saves());
    ASSERT_EQ(patched->store(memory.at(changed), 4, changed == 13 ? kMove5 : kCompare).kind,
              StoreResult::Kind::Stored);
    EXPECT_TRUE(saves());  // relies on nothing
    (void)patched->unpatch_page(memory.page(0));
    EXPECT_EQ(memory.words[10], kCpsid);
  }
}

// Nor on what is said by a store before it, or by words far behind it.
TEST_F(Armv7Stubs, AStoreAroundAWordEndsWhatItMeantAmongOthers) {
  constexpr std::uint32_t kStore = 0xe5801004, kClean = 0xee070f3a, kWriteThread = 0xee0d3f70;
  constexpr std::uint32_t kLoadAll = 0xe9527fff, kMove = 0xe1a00000, kAddToSp = 0xe28dd048,
                          kReturn = 0xe1b0f00e;
  PatchMemory memory{1};
  const auto patched = std::make_unique<PatchedPages<PatchMemory, Stubs>>();
  patched->reset(memory, *stubs);
  const auto length = [&](std::uint32_t n) {  // of the stub that a word branches to, without it
    const std::uint32_t at = target(memory.words[n], kKernel + 4 * n);
    const auto stub = std::span(code).subspan(StubRegion::slot_at(at).value() * 4);
    return std::ranges::find(stub, 0xeau, [](std::uint32_t w) { return w >> 24; }) - stub.begin();
  };
  memory.words[10] = kStore;
  memory.words[13] = kClean;
  memory.words[20] = kWriteThread;
  for (const auto& [n, word] :
       {std::pair{31u, kLoadAll}, {32u, kMove}, {33u, kAddToSp}, {34u, kReturn}}) {
    memory.words[n] = word;
  }
  ASSERT_TRUE(patch_with_room(*stubs, *patched, memory.page(0), kKernel, [](HostPhysical) {}));
  EXPECT_EQ(length(13), 0);  // nothing to clean
  EXPECT_EQ(length(20), 1);  // for the process only
  (void)patched->store(memory.at(10), 4, kNop);
  EXPECT_EQ(memory.words[13], kClean);  // exits again
  (void)patched->store(memory.at(10), 4, kStore);
  (void)patched->store(memory.at(13), 4, kClean);
  EXPECT_EQ(length(13), 0);
  (void)patched->store(memory.at(34), 4, kNop);
  EXPECT_GT(length(20), 1);  // compares
}

// Modules come and go, on other pages and at other addresses, beside a kernel that stays.
TEST_F(Armv7Stubs, ModulesComeAndGoWithoutEnd) {
  constexpr std::uint32_t kPages = 24, kKernelPages = 8;
  using Pages = PatchedPages<PatchMemory, Stubs, 64>;
  PatchMemory memory(kPages);
  const auto pages = std::make_unique<Pages>();
  pages->reset(memory, *stubs);
  std::mt19937 random(1);
  const auto any = [&](std::uint32_t end) { return static_cast<std::uint32_t>(random() % end); };
  constexpr std::array kWords{kCpsid, kCpsie, kMrs, kMsr, kMsrNe, kReadDomains, kNop};
  const auto fill = [&](std::uint32_t page) {
    for (std::uint32_t i = 0; i < 1024; ++i) {
      memory.words[page * 1024 + i] = any(4) == 0 ? kWords.at(any(kWords.size())) : kNop;
    }
  };
  const auto patch = [&](std::uint32_t page, GuestVirtual at) {
    std::vector<std::uint32_t> meant(memory.words.begin() + page * 1024,
                                     memory.words.begin() + (page + 1) * 1024);
    ASSERT_TRUE(patch_with_room(*stubs, *pages, PatchMemory::page(page), at, [](HostPhysical) {}));
    for (std::uint32_t i = 0; i < 1024; ++i) {
      const bool has_one = (memory.words[page * 1024 + i] >> 24 & 15) == 0xa;  // at once
      const bool done =
          put_branch_with_room(*stubs, *pages, PatchMemory::at(page * 1024 + i), at + 4 * i);
      ASSERT_EQ(done, meant[i] != kNop && !has_one);
    }
    for (std::uint32_t i = 0; i < 1024; ++i) {
      ASSERT_EQ(pages->original_word(PatchMemory::at(page * 1024 + i)), meant[i]);
    }
  };
  for (std::uint32_t page = 0; page < kKernelPages; ++page) {
    fill(page);
    patch(page, kKernel + page * mem::kPageSize);
  }
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t page = kKernelPages + any(kPages - kKernelPages);
    (void)pages->unpatch_page(PatchMemory::page(page));
    fill(page);
    const PatchCounters before = pages->counters();
    patch(page, GuestVirtual{0xbf000000 + any(64) * mem::kPageSize});
    if (HasFatalFailure()) return;
    // At most 24 pages are patched, which need less than the table has: none has traps for want of
    // room.
    EXPECT_GT(pages->counters().branches, before.branches);
    for (std::uint32_t i = 0; i < 1024; ++i) {
      ASSERT_NE(memory.words[page * 1024 + i] >> 24, 0xefu) << "a trap in round " << round;
    }
  }
  for (std::uint32_t page = 0; page < kKernelPages; ++page) {
    EXPECT_TRUE(pages->runs_at(PatchMemory::page(page), kKernel + page * mem::kPageSize));
  }
}

// Slots that are free between others are no room for a stub of several: patching comes to its end.
TEST_F(Armv7Stubs, ScatteredRoomIsNotLookedForWithoutEnd) {
  constexpr std::uint32_t kSmall = 6600, kFull = 18, kLast = kSmall + kFull;
  const GuestVirtual base{0xbe000000};
  PatchMemory memory(kLast + 1);
  const auto pages = std::make_unique<PatchedPages<PatchMemory, Stubs>>();
  pages->reset(memory, *stubs);
  const auto patch = [&](std::uint32_t page) {
    const GuestVirtual at = base + page * mem::kPageSize;
    if (!patch_with_room(*stubs, *pages, PatchMemory::page(page), at, [](HostPhysical) {})) {
      return 0u;
    }
    std::uint32_t branches = 0;
    for (std::uint32_t i = 0; i < 1024 && memory.words[page * 1024 + i] != kNop; ++i) {
      const HostPhysical word = PatchMemory::at(page * 1024 + i);
      branches += put_branch_with_room(*stubs, *pages, word, at + 4 * i) ? 1 : 0;
    }
    return branches;
  };
  for (std::uint32_t page = 0; page < kSmall; ++page) {
    memory.words[page * 1024] = kReadDomains;
    ASSERT_EQ(patch(page), 1u);
  }
  for (std::uint32_t page = kSmall; page < kLast; ++page) {
    std::fill_n(&memory.words[page * 1024], 1024, kReadDomains);
    (void)patch(page);  // until there is no room
  }
  for (std::uint32_t page = 0; page < kSmall; page += 2) {
    (void)pages->unpatch_page(PatchMemory::page(page));
  }
  std::fill_n(&memory.words[kLast * 1024], 1024, kMsr);
  EXPECT_LT(patch(kLast), 1024u);
}

// ---- a page at two addresses ----

using Hardware = test::ArmHardware;
using Machine = test::ShadowMachine<Hardware>;

// The test machine's pages, of which one is patched for an address.
struct OnePatched {
  HostPhysical page{};
  GuestVirtual address{};
  [[nodiscard]] bool runs_at(HostPhysical at, GuestVirtual where) const {
    return at == page && where == address;
  }
};
struct Pages : Machine {
  using Machine::Machine;
  // As GuestMemory: what is patched is executable.
  [[nodiscard]] mem::Backing backing(GuestPhysical at, std::uint32_t wanted) const {
    return const_cast<Pages*>(this)->Machine::backing(at, wanted, {});
  }
};

struct Armv7Alias : testing::Test {
  using Memory = RunnableMemory<Pages, OnePatched>;
  using Engine = mem::Shadow<ShortDescriptor, Memory>;
  using Access = mem::Access;
  using Outcome = mem::Outcome;
  static constexpr std::uint32_t kPool = 1u << 20, kFirst = Machine::kGuest + 0x4000,
                                 kSecond = Machine::kGuest + 0x8000;
  static constexpr std::uint32_t kText = 0xc0300000, kAlias = 0xf0900000;
  static constexpr std::uint32_t kPhysical = Machine::kGuest + 0x300000;

  Memory memory{kPool};
  OnePatched patched;
  Engine shadow{memory,
                HostPhysical{Machine::kPool},
                kPool,
                {.contexts = 4, .pages = Machine::kPages},
                GuestVirtual{0xffa00000},
                std::span<const std::uint32_t>()};

  Armv7Alias() {
    memory.set_patched_pages(patched);
    // A section for the kernel's text, and a page of it at another address.
    constexpr std::uint32_t kKernelOnly = 1u << 10, kPageKernelOnly = 1u << 4;
    memory.put(mem::GuestPhysical{kFirst + (kText >> 20) * 4}, kPhysical | kKernelOnly | 2);
    memory.put(mem::GuestPhysical{kFirst + (kAlias >> 20) * 4}, kSecond | 1);
    memory.put(mem::GuestPhysical{kSecond}, kPhysical | kPageKernelOnly | 2);
    ShortDescriptor::Controls controls;
    controls.sctlr = 1;
    controls.ttbr0 = kFirst;
    controls.dacr = 1;
    shadow.set_translation(controls);
  }
  Outcome miss(std::uint32_t at, Access access) {
    return shadow.miss(GuestVirtual{at}, access, mem::Privilege::Kernel).outcome;
  }
  void patch(std::uint32_t at, std::uint32_t page = 0) {
    patched.page = *Machine::translate(mem::GuestPhysical{kPhysical + page * mem::kPageSize});
    patched.address = GuestVirtual{at};
    memory.state_of(patched.page) = {.writable = false, .executable = true};
    shadow.forget_page(patched.page);
  }
  bool runs(std::uint32_t at) {
    const auto root = static_cast<std::uint32_t>(shadow.current().table.value());
    const auto leaf = memory.tables.walk(root, at);
    return leaf && leaf->read && leaf->execute;
  }
};

TEST_F(Armv7Alias, APatchedPageIsFilledForExecutionWhereItIsPatchedFor) {
  EXPECT_EQ(miss(kText, Access::Execute), Outcome::NeedsExecute);
  patch(kText);
  EXPECT_EQ(miss(kText, Access::Execute), Outcome::Filled);
  EXPECT_TRUE(runs(kText));
  EXPECT_EQ(miss(kAlias, Access::Execute), Outcome::NeedsExecute);
  // Not by a data access either.
  EXPECT_EQ(miss(kAlias, Access::Read), Outcome::Filled);
  EXPECT_FALSE(runs(kAlias));
  EXPECT_EQ(miss(kAlias, Access::Execute), Outcome::NeedsExecute);
  // The page moves.
  patch(kAlias);
  EXPECT_EQ(miss(kAlias, Access::Execute), Outcome::Filled);
  EXPECT_TRUE(runs(kAlias));
  EXPECT_FALSE(runs(kText));
  EXPECT_EQ(miss(kText, Access::Read), Outcome::Filled);
  EXPECT_FALSE(runs(kText));
}

}  // namespace
}  // namespace mezzo::armv7
