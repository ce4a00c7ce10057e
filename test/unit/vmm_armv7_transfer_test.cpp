// Loads and stores that the monitor does for an ARMv7 guest: with a process's rights, of user
// registers, of return state, and ordinary ones; against the manual (DDI 0406C A8.8, B9.3), with
// writeback, order, alignment, byte order and aborts.
#include "arch/armv7/transfer.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "support/armv7_guest.hpp"
#include "support/armv7_verdict.hpp"

namespace mezzo::armv7 {
namespace {

using test::aborts;
using test::Armv7Guest;
using test::Armv7Machine;
using test::is_undefined;
using test::is_unsupported;
using test::kArmv7Modes;
using test::resumes;
using test::skips;

constexpr std::uint32_t kBase = Armv7Guest::kData + 0x100;
constexpr std::uint32_t kEnd = Armv7Guest::kData + 0x2000;  // nothing is mapped from here on

TEST(Armv7Shift, AsTheDecoderGivesThem) {
  constexpr std::uint32_t kValue = 0x80000011;
  EXPECT_EQ(shifted(kValue, Shift::Lsl, 0, true), kValue);
  EXPECT_EQ(shifted(kValue, Shift::Lsl, 31, true), 0x80000000u);
  EXPECT_EQ(shifted(kValue, Shift::Lsr, 1, true), 0x40000008u);
  EXPECT_EQ(shifted(kValue, Shift::Lsr, 32, true), 0u);
  EXPECT_EQ(shifted(kValue, Shift::Asr, 4, true), 0xf8000001u);
  EXPECT_EQ(shifted(kValue, Shift::Asr, 32, true), 0xffffffffu);
  EXPECT_EQ(shifted(0x7fffffff, Shift::Asr, 32, true), 0u);
  EXPECT_EQ(shifted(kValue, Shift::Ror, 4, true), 0x18000001u);
  EXPECT_EQ(shifted(kValue, Shift::Rrx, 1, true), 0xc0000008u);
  EXPECT_EQ(shifted(kValue, Shift::Rrx, 1, false), 0x40000008u);
}

// ---- LDRT, STRT and their kind ----

struct Single {
  std::uint32_t word;
  std::uint32_t size;
  std::uint32_t loaded;  // of 0x9abcdef0 at the base; for stores, what is in memory after
  std::int32_t moves;    // the base, with r2 = 8
};
const std::vector<Single> kLoads{{0xe4313004, 4, 0x9abcdef0, -4},    // ldrt r3, [r1], #-4
                                 {0xe6b13102, 4, 0x9abcdef0, 32},    // ldrt r3, [r1], r2, lsl #2
                                 {0xe4f13001, 1, 0x000000f0, 1},     // ldrbt r3, [r1], #1
                                 {0xe0f130b2, 2, 0x0000def0, 2},     // ldrht r3, [r1], #2
                                 {0xe07130d1, 1, 0xfffffff0, -1},    // ldrsbt r3, [r1], #-1
                                 {0xe0b130f2, 2, 0xffffdef0, 8}};    // ldrsht r3, [r1], r2
const std::vector<Single> kStores{{0xe4a13004, 4, 0x12345678, 4},    // strt r3, [r1], #4
                                  {0xe6213002, 4, 0x12345678, -8},   // strt r3, [r1], -r2
                                  {0xe4e13001, 1, 0x9abcde78, 1},    // strbt r3, [r1], #1
                                  {0xe06130b2, 2, 0x9abc5678, -2}};  // strht r3, [r1], #-2

void prepare(Armv7Guest& guest) {
  guest.frame.r[1] = kBase;
  guest.frame.r[2] = 8;
  guest.frame.r[3] = 0x12345678;
  guest.machine.put(kBase, 0x9abcdef0);
}

TEST(Armv7Unprivileged, LoadsAndMovesTheBase) {
  for (const std::uint32_t mode : kArmv7Modes) {
    for (const Single& each : kLoads) {
      Armv7Guest guest(mode);
      prepare(guest);
      EXPECT_TRUE(skips(guest.execute(each.word))) << std::hex << each.word;
      EXPECT_EQ(guest.frame.r[3], each.loaded) << std::hex << each.word;
      EXPECT_EQ(guest.frame.r[1], kBase + static_cast<std::uint32_t>(each.moves));
      EXPECT_FALSE(guest.machine.broke_contract);
    }
  }
}

TEST(Armv7Unprivileged, StoresAndMovesTheBase) {
  for (const std::uint32_t mode : kArmv7Modes) {
    for (const Single& each : kStores) {
      Armv7Guest guest(mode);
      prepare(guest);
      EXPECT_TRUE(skips(guest.execute(each.word))) << std::hex << each.word;
      EXPECT_EQ(guest.machine.get(kBase), each.loaded) << std::hex << each.word;
      EXPECT_EQ(guest.frame.r[1], kBase + static_cast<std::uint32_t>(each.moves));
      EXPECT_FALSE(guest.machine.broke_contract);
    }
  }
}

TEST(Armv7Unprivileged, HasTheRightsOfAProcess) {
  for (const bool readable : {false, true}) {
    for (const Single& each : kLoads) {
      Armv7Guest guest;
      prepare(guest);
      guest.machine.map(kBase, 4, {.user_read = readable, .user_write = false});
      const Verdict verdict = guest.execute(each.word);
      if (readable) {
        EXPECT_TRUE(skips(verdict));
        continue;
      }
      EXPECT_TRUE(aborts(verdict, 0x5f, kBase));
      EXPECT_EQ(guest.frame.r[3], 0x12345678u);
      EXPECT_EQ(guest.frame.r[1], kBase);
    }
    for (const Single& each : kStores) {
      Armv7Guest guest;
      prepare(guest);
      guest.machine.map(kBase, 4, {.user_read = true, .user_write = readable});
      const Verdict verdict = guest.execute(each.word);
      if (readable) {
        EXPECT_TRUE(skips(verdict));
        continue;
      }
      EXPECT_TRUE(aborts(verdict, 0x85f, kBase));
      EXPECT_EQ(guest.machine.get(kBase), 0x9abcdef0u);
      EXPECT_EQ(guest.frame.r[1], kBase);
    }
  }
}

TEST(Armv7Unprivileged, ReadOnlyForTheKernelMayBeWritableForProcesses) {
  // Not that AP could say so; but the kernel's rights are not what is asked.
  Armv7Guest guest;
  prepare(guest);
  guest.machine.map(kBase, 4, {.kernel_write = false});
  EXPECT_TRUE(skips(guest.execute(0xe4a13004)));
}

// ---- ordinary ones ----

TEST(Armv7Transfer, OrdinaryOnesHaveTheRightsOfTheMode) {
  constexpr std::uint32_t kLdr = 0xe5913000, kStr = 0xe5813000;  // r3, [r1]
  Armv7Guest kernel, process(psr::kUser);
  for (Armv7Guest* guest : {&kernel, &process}) {
    prepare(*guest);
    guest->machine.map(kBase, 4, {.user_read = false, .user_write = false});
  }
  EXPECT_TRUE(skips(kernel.execute(kLdr)));
  EXPECT_EQ(kernel.frame.r[3], 0x9abcdef0u);
  EXPECT_TRUE(skips(kernel.execute(kStr)));
  EXPECT_TRUE(aborts(process.execute(kLdr), 0x5f, kBase));
  EXPECT_TRUE(aborts(process.execute(kStr), 0x85f, kBase));
}

TEST(Armv7Transfer, AddressingModes) {
  Armv7Guest guest;
  prepare(guest);
  guest.machine.put(kBase + 4, 0x11);
  EXPECT_TRUE(skips(guest.execute(0xe5b13004)));  // ldr r3, [r1, #4]!
  EXPECT_EQ(guest.frame.r[3], 0x11u);
  EXPECT_EQ(guest.frame.r[1], kBase + 4);
  guest.frame.r[2] = 4;
  EXPECT_TRUE(skips(guest.execute(0xe11130b2)));  // ldrh r3, [r1, -r2]
  EXPECT_EQ(guest.frame.r[3], 0xdef0u);
  EXPECT_EQ(guest.frame.r[1], kBase + 4);
  EXPECT_TRUE(skips(guest.execute(0xe7813102)));  // str r3, [r1, r2, lsl #2]
  EXPECT_EQ(guest.machine.get(kBase + 20), 0xdef0u);
  EXPECT_TRUE(skips(guest.execute(0xe4413001)));  // strb r3, [r1], #-1
  EXPECT_EQ(guest.machine.get(kBase + 4), 0xf0u);
  EXPECT_EQ(guest.frame.r[1], kBase + 3);
}

TEST(Armv7Transfer, LoadOfThePcBranches) {
  for (const std::uint32_t mode : {psr::kUser, psr::kSupervisor}) {
    Armv7Guest guest(mode);
    prepare(guest);
    guest.machine.put(kBase, 0x8002);
    EXPECT_TRUE(resumes(guest.execute(0xe591f000)));  // ldr pc, [r1]
    EXPECT_EQ(guest.frame.pc, 0x8000u);
    guest.machine.put(kBase, 0x9003);
    const Verdict to_thumb = guest.execute(0xe591f000);
    if (mode == psr::kUser) {
      EXPECT_TRUE(resumes(to_thumb));
      EXPECT_EQ(guest.frame.pc, 0x9002u);
      EXPECT_EQ(guest.frame.cpsr, psr::kThumb | Armv7Guest::kProcessor);
    } else {
      EXPECT_TRUE(is_unsupported(to_thumb, Unsupported::ThumbKernel));
    }
  }
}

TEST(Armv7Transfer, RelativeToThePc) {
  Armv7Guest guest;
  guest.machine.put(Armv7Guest::kCode + 8 + 0x10, 77);
  EXPECT_TRUE(skips(guest.execute(0xe59f3010)));  // ldr r3, [pc, #16]
  EXPECT_EQ(guest.frame.r[3], 77u);
  guest.frame.r[1] = kBase;
  EXPECT_TRUE(skips(guest.execute(0xe581f000)));  // str pc, [r1]
  EXPECT_EQ(guest.machine.get(kBase), Armv7Guest::kCode + 8);
}

TEST(Armv7Transfer, Dual) {
  Armv7Guest guest;
  guest.frame.r[1] = kBase;
  guest.machine.put(kBase + 8, 1);
  guest.machine.put(kBase + 12, 2);
  EXPECT_TRUE(skips(guest.execute(0xe1e140d8)));  // ldrd r4, r5, [r1, #8]!
  EXPECT_EQ(guest.frame.r[4], 1u);
  EXPECT_EQ(guest.frame.r[5], 2u);
  EXPECT_EQ(guest.frame.r[1], kBase + 8);
  guest.frame.r[1] = kBase + 0x20;
  EXPECT_TRUE(skips(guest.execute(0xe04140f8)));  // strd r4, r5, [r1], #-8
  EXPECT_EQ(guest.machine.get(kBase + 0x20), 1u);
  EXPECT_EQ(guest.machine.get(kBase + 0x24), 2u);
  EXPECT_EQ(guest.frame.r[1], kBase + 0x18);
  guest.frame.r[1] = kEnd - 12;
  EXPECT_TRUE(aborts(guest.execute(0xe1e140d8), 0x57, kEnd));
  EXPECT_EQ(guest.frame.r[4], 1u);
  EXPECT_EQ(guest.frame.r[1], kEnd - 12);
}

// On a page of patched text: nothing else brings one here.
TEST(Armv7Transfer, Swap) {
  Armv7Guest guest;
  prepare(guest);
  EXPECT_TRUE(skips(guest.execute(0xe1014093)));  // swp r4, r3, [r1]
  EXPECT_EQ(guest.frame.r[4], 0x9abcdef0u);
  EXPECT_EQ(guest.machine.get(kBase), 0x12345678u);
  EXPECT_TRUE(skips(guest.execute(0xe1413094)));  // swpb r3, r4, [r1]
  EXPECT_EQ(guest.frame.r[3], 0x78u);
  EXPECT_EQ(guest.machine.get(kBase), 0x123456f0u);
  guest.frame.r[1] = kBase + 1;
  EXPECT_TRUE(aborts(guest.execute(0xe1014093), 0x1, kBase + 1));
  EXPECT_TRUE(skips(guest.execute(0xe1413094)));
  guest.frame.r[1] = kEnd;
  EXPECT_TRUE(aborts(guest.execute(0xe1014093), 0x57, kEnd));
  EXPECT_EQ(guest.frame.r[4], 0x9abcdef0u);
}

TEST(Armv7Transfer, Multiple) {
  Armv7Guest guest;
  guest.frame.r[1] = kBase;
  for (std::uint32_t n = 0; n < 4; ++n) guest.machine.put(kBase + 4 * n, 0x100 * n);
  EXPECT_TRUE(skips(guest.execute(0xe991001c)));  // ldmib r1, {r2-r4}
  EXPECT_EQ(guest.frame.r[2], 0x100u);
  EXPECT_EQ(guest.frame.r[4], 0x300u);
  EXPECT_EQ(guest.frame.r[1], kBase);
  EXPECT_TRUE(resumes(guest.execute(0xe8b18014)));  // ldm r1!, {r2, r4, pc}
  EXPECT_EQ(guest.frame.pc, 0x200u);
  EXPECT_EQ(guest.frame.r[4], 0x100u);
  EXPECT_EQ(guest.frame.r[1], kBase + 12);
  EXPECT_TRUE(skips(guest.execute(0xe9218014)));  // stmdb r1!, {r2, r4, pc}
  EXPECT_EQ(guest.frame.r[1], kBase);
  EXPECT_EQ(guest.machine.get(kBase), 0u);
  EXPECT_EQ(guest.machine.get(kBase + 4), 0x100u);
  EXPECT_EQ(guest.machine.get(kBase + 8), 0x208u);
}

// ---- alignment and byte order ----

TEST(Armv7Transfer, UnalignedIsDoneByteByByteUnlessTheGuestWantsAFault) {
  for (const std::uint32_t at : {kBase + 1, kBase + 2, kBase + 3, Armv7Guest::kData + 0xffe}) {
    Armv7Guest guest;
    prepare(guest);
    guest.frame.r[1] = at;
    EXPECT_TRUE(skips(guest.execute(0xe4a13004)));  // strt r3, [r1], #4
    EXPECT_EQ(guest.machine.get(at), 0x12345678u);
    guest.frame.r[1] = at;
    guest.frame.r[3] = 0;
    EXPECT_TRUE(skips(guest.execute(0xe5913000)));  // ldr r3, [r1]
    EXPECT_EQ(guest.frame.r[3], 0x12345678u);
    EXPECT_FALSE(guest.machine.broke_contract);
    guest.vcpu.control.sctlr |= sctlr::kAlignment;
    EXPECT_TRUE(aborts(guest.execute(0xe5913000), 0x1, at));
    EXPECT_TRUE(aborts(guest.execute(0xe4a13004), 0x801, at));
  }
}

TEST(Armv7Transfer, UnalignedHalfwords) {
  Armv7Guest guest;
  prepare(guest);
  guest.frame.r[1] = kBase + 1;
  EXPECT_TRUE(skips(guest.execute(0xe0f130b2)));  // ldrht r3, [r1], #2
  EXPECT_EQ(guest.frame.r[3], 0xbcdeu);
  EXPECT_FALSE(guest.machine.broke_contract);
}

TEST(Armv7Transfer, UnalignedAcrossIntoNothing) {
  Armv7Guest guest;
  guest.frame.r[1] = kEnd - 2;
  guest.frame.r[3] = 5;
  EXPECT_TRUE(aborts(guest.execute(0xe5913000), 0x57, kEnd));
  EXPECT_EQ(guest.frame.r[3], 5u);
  EXPECT_TRUE(aborts(guest.execute(0xe5813000), 0x857, kEnd));
}

TEST(Armv7Transfer, MultipleAndDualMustBeAligned) {
  for (const std::uint32_t word : {0xe991001cu, 0xe1c140d8u, 0xe8d17f00u, 0xf8910a00u}) {
    Armv7Guest guest;  // ldmib, ldrd r4, r5, [r1, #8], ldm ^, rfeia r1
    guest.frame.r[1] = kBase + 2;
    const Verdict verdict = guest.execute(word);
    EXPECT_EQ(verdict.error_code, 0x1u);
    EXPECT_EQ(verdict.detail[0] & 3, 2u);
    EXPECT_EQ(guest.machine.accesses, 0u);
  }
  for (const std::uint32_t word : {0xe9218014u, 0xe04140f8u, 0xe8c17f00u}) {
    Armv7Guest guest;
    guest.frame.r[1] = kBase + 1;
    EXPECT_EQ(guest.execute(word).error_code, 0x801u);
    EXPECT_EQ(guest.machine.accesses, 0u);
  }
}

TEST(Armv7Transfer, BigEndianData) {
  Armv7Guest guest;
  prepare(guest);
  guest.frame.cpsr |= psr::kEndian;
  EXPECT_TRUE(skips(guest.execute(0xe5913000)));
  EXPECT_EQ(guest.frame.r[3], 0xf0debc9au);
  EXPECT_TRUE(skips(guest.execute(0xe0d130b0)));  // ldrh r3, [r1]
  EXPECT_EQ(guest.frame.r[3], 0xf0deu);
  EXPECT_TRUE(skips(guest.execute(0xe0d130f0)));  // ldrsh r3, [r1]
  EXPECT_EQ(guest.frame.r[3], 0xfffff0deu);
  guest.frame.r[3] = 0x11223344;
  EXPECT_TRUE(skips(guest.execute(0xe1c130b0)));  // strh r3, [r1]
  EXPECT_EQ(guest.machine.get(kBase), 0x9abc4433u);
  EXPECT_TRUE(skips(guest.execute(0xe5c13000)));  // strb r3, [r1]
  EXPECT_EQ(guest.machine.get(kBase), 0x9abc4444u);
}

// ---- LDM and STM with ^ ----

struct Direction {
  std::uint32_t bits;   // P and U
  std::uint32_t first;  // of seven words, relative to the base
};
const std::vector<Direction> kDirections{
    {1u << 23, 0}, {3u << 23, 4}, {0, 0u - 24}, {1u << 24, 0u - 28}};

TEST(Armv7UserRegisters, StoredFromEveryModeInEachDirection) {
  for (const std::uint32_t mode : kArmv7Modes) {
    for (const Direction& direction : kDirections) {
      Armv7Guest guest(mode);
      guest.frame.r[0] = kBase;
      const Verdict verdict = guest.execute(0xe8407f00 | direction.bits);  // stm r0, {r8-r14}^
      if (mode == psr::kUser) {
        EXPECT_TRUE(is_undefined(verdict));
        continue;
      }
      EXPECT_TRUE(skips(verdict));
      for (unsigned n = 8; n < 15; ++n) {
        EXPECT_EQ(guest.machine.get(kBase + direction.first + 4 * (n - 8)),
                  Armv7Guest::value_of(n, psr::kUser))
            << mode << " r" << n;
      }
      EXPECT_EQ(guest.frame.r[0], kBase);
    }
  }
}

TEST(Armv7UserRegisters, LoadedInEveryModeInEachDirection) {
  for (const std::uint32_t mode : kArmv7Modes) {
    for (const Direction& direction : kDirections) {
      Armv7Guest guest(mode);
      guest.frame.r[0] = kBase;
      for (unsigned n = 8; n < 15; ++n) {
        guest.machine.put(kBase + direction.first + 4 * (n - 8), 0x55550000 | n);
      }
      const Verdict verdict = guest.execute(0xe8507f00 | direction.bits);  // ldm r0, {r8-r14}^
      if (mode == psr::kUser) {
        EXPECT_TRUE(is_undefined(verdict));
        continue;
      }
      EXPECT_TRUE(skips(verdict));
      EXPECT_EQ(guest.frame.r[0], kBase);
      // The mode's own are untouched.
      const bool own = mode != psr::kSystem;
      if (own) EXPECT_EQ(guest.frame.r[13], Armv7Guest::value_of(13, mode));
      if (mode == psr::kFiq) EXPECT_EQ(guest.frame.r[8], Armv7Guest::value_of(8, mode));
      change_mode(guest.vcpu, guest.frame, psr::kUser);
      for (unsigned n = 8; n < 15; ++n) EXPECT_EQ(guest.frame.r[n], 0x55550000 | n);
    }
  }
}

TEST(Armv7UserRegisters, LowRegistersAreTheSameAndThePcIsAhead) {
  Armv7Guest guest(psr::kIrq);
  guest.frame.r[0] = kBase;
  guest.frame.r[1] = 7;
  EXPECT_TRUE(skips(guest.execute(0xe940e002)));  // stmdb r0, {r1, sp, lr, pc}^
  EXPECT_EQ(guest.machine.get(kBase - 16), 7u);
  EXPECT_EQ(guest.machine.get(kBase - 12), Armv7Guest::value_of(13, psr::kUser));
  EXPECT_EQ(guest.machine.get(kBase - 8), Armv7Guest::value_of(14, psr::kUser));
  EXPECT_EQ(guest.machine.get(kBase - 4), Armv7Guest::kCode + 8);
  guest.machine.put(kBase, 9);
  EXPECT_TRUE(skips(guest.execute(0xe8d02002)));  // ldm r0, {r1, sp}^
  EXPECT_EQ(guest.frame.r[1], 9u);
}

TEST(Armv7UserRegisters, TheBaseIsTheModesOwn) {
  Armv7Guest guest(psr::kIrq);
  guest.frame.r[13] = kBase;
  EXPECT_TRUE(skips(guest.execute(0xe8cd6000)));  // stm sp, {sp, lr}^
  EXPECT_EQ(guest.machine.get(kBase), Armv7Guest::value_of(13, psr::kUser));
}

TEST(Armv7UserRegisters, AnAbortChangesNoRegister) {
  Armv7Guest guest(psr::kIrq);
  guest.frame.r[0] = kEnd - 8;
  const Frame before = guest.frame;
  const Vcpu vcpu = guest.vcpu;
  EXPECT_TRUE(aborts(guest.execute(0xe8d07f00), 0x57, kEnd));
  EXPECT_TRUE(aborts(guest.execute(0xe8c07f00), 0x857, kEnd));
  EXPECT_EQ(std::memcmp(&before, &guest.frame, sizeof before), 0);
  EXPECT_EQ(std::memcmp(&vcpu.banks, &guest.vcpu.banks, sizeof vcpu.banks), 0);
  EXPECT_EQ(vcpu.other_high, guest.vcpu.other_high);
}

// ---- SRS ----

TEST(Armv7ReturnState, GoesToTheStackOfEveryMode) {
  struct Case {
    std::uint32_t word, first, base;
  };
  for (const Case& each : {Case{0xf8ed0500, 0, 8}, Case{0xf9cd0500, 4, 0},
                           Case{0xf86d0500, 0u - 4, 0u - 8}, Case{0xf96d0500, 0u - 8, 0u - 8}}) {
    for (const std::uint32_t from : kArmv7Modes) {
      for (const std::uint32_t to : kArmv7Modes) {
        Armv7Guest guest(from);
        change_mode(guest.vcpu, guest.frame, to);
        guest.frame.r[13] = kBase;
        change_mode(guest.vcpu, guest.frame, from);
        guest.shared.spsr = 0x12345678;
        const Verdict verdict = guest.execute(each.word | to);
        if (from == psr::kUser || from == psr::kSystem) {
          EXPECT_TRUE(is_undefined(verdict));
          continue;
        }
        EXPECT_TRUE(skips(verdict));
        EXPECT_EQ(guest.machine.get(kBase + each.first), Armv7Guest::value_of(14, from));
        EXPECT_EQ(guest.machine.get(kBase + each.first + 4), 0x12345678u);
        EXPECT_EQ(guest.vcpu.mode, from);
        change_mode(guest.vcpu, guest.frame, to);
        EXPECT_EQ(guest.frame.r[13], kBase + each.base);
      }
    }
  }
}

TEST(Armv7ReturnState, NoModeAndAborts) {
  Armv7Guest guest(psr::kIrq);
  EXPECT_TRUE(is_undefined(guest.execute(0xf8cd0516)));  // srsia sp, #22
  guest.frame.r[13] = kEnd;
  EXPECT_TRUE(aborts(guest.execute(0xf8ed0512), 0x857, kEnd));  // srsia sp!, #18
  EXPECT_EQ(guest.frame.r[13], kEnd);
}

TEST(Armv7ReturnState, SrsAndRfeAreInverse) {
  for (const std::uint32_t mode : {psr::kIrq, psr::kAbort, psr::kFiq}) {
    Armv7Guest guest(mode);
    change_mode(guest.vcpu, guest.frame, psr::kSupervisor);
    guest.frame.r[13] = kBase;
    change_mode(guest.vcpu, guest.frame, mode);
    guest.frame.r[14] = 0x8004;
    guest.shared.spsr = 0xa0000000 | psr::kSystem | psr::kIrqOff;
    EXPECT_TRUE(skips(guest.execute(0xf96d0513)));    // srsdb sp!, #19
    EXPECT_TRUE(skips(guest.execute(0xf1020013)));    // cps #19
    EXPECT_TRUE(resumes(guest.execute(0xf8bd0a00)));  // rfeia sp!
    EXPECT_EQ(guest.frame.pc, 0x8004u);
    EXPECT_EQ(guest.vcpu.status(guest.frame), 0xa0000000 | psr::kSystem | psr::kIrqOff);
    EXPECT_EQ(guest.vcpu.bank(BankName::Supervisor).sp, kBase);
  }
}

}  // namespace
}  // namespace mezzo::armv7
