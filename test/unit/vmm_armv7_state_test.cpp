// CPS, MRS, MSR and the exception returns of an ARMv7 guest's kernel, each against the manual's
// description of it with privileges (DDI 0406C B9.3), from encodings through the decoder; and what
// of them a process gets.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "arch/armv7/emulate.hpp"
#include "support/armv7_guest.hpp"
#include "support/armv7_verdict.hpp"

namespace mezzo::armv7 {
namespace {

using test::Armv7Guest;
using test::is_kind;
using test::is_undefined;
using test::is_unsupported;
using test::kArmv7Modes;
using test::resumes;
using test::skips;

constexpr std::uint32_t kCpsidI = 0xf10c0080, kCpsieI = 0xf1080080, kCpsidAif = 0xf10c01c0,
                        kCpsieAif = 0xf10801c0, kCpsUser = 0xf1020010, kCpsSystem = 0xf102001f,
                        kCpsidIfIrq = 0xf10e00d2, kCpsMonitor = 0xf1020016;
constexpr std::uint32_t kMrs = 0xe10f3000, kMsrC = 0xe121f002, kMsrX = 0xe122f002,
                        kMsrFsxc = 0xe12ff002, kMsrF = 0xe128f002, kMsrImmediate = 0xe321f0d2,
                        kMsrNoMode = 0xe321f0d6;
constexpr std::uint32_t kMrsSpsr = 0xe14f3000, kMsrSpsrFsxc = 0xe16ff002, kMsrSpsrC = 0xe161f002,
                        kMsrSpsrF = 0xe168f002;
constexpr std::uint32_t kMovsPcLr = 0xe1b0f00e, kSubsPcLr4 = 0xe25ef004;

// ---- conditions ----

TEST(Armv7Condition, AllAgainstAllFlags) {
  for (std::uint32_t flags = 0; flags < 16; ++flags) {
    const bool n = flags & 8, z = flags & 4, c = flags & 2, v = flags & 1;
    const std::vector<bool> expected{
        z,          !z,     c,      !c,           n,           !n,  v, !v, c && !z,
        !(c && !z), n == v, n != v, !z && n == v, z || n != v, true};
    for (std::uint8_t condition = 0; condition < 15; ++condition) {
      EXPECT_EQ(condition_passed(condition, flags << 28), expected[condition])
          << int{condition} << " " << flags;
    }
  }
}

TEST(Armv7Condition, AFailedConditionSkips) {
  Armv7Guest guest;
  const Frame before = guest.frame;
  EXPECT_TRUE(skips(guest.execute((kMovsPcLr & 0x0fffffff) | 0)));  // EQ, Z clear
  EXPECT_TRUE(skips(guest.execute(0x0e010f10)));                    // mcreq p15, 0, r0, c1, c0, 0
  EXPECT_TRUE(skips(guest.execute(0x06000010)));                    // undefined, EQ
  EXPECT_EQ(guest.frame.pc, before.pc);
  EXPECT_EQ(guest.vcpu.mode, psr::kSupervisor);
}

TEST(Armv7Condition, ThumbIsNotDecoded) {
  Armv7Guest process(psr::kUser), kernel;
  process.frame.cpsr |= psr::kThumb;
  kernel.frame.cpsr |= psr::kThumb;
  EXPECT_TRUE(is_undefined(process.execute(kCpsidI)));
  EXPECT_TRUE(is_unsupported(kernel.execute(kCpsidI), Unsupported::ThumbKernel));
}

// ---- CPS ----

TEST(Armv7Cps, MasksInEveryMode) {
  for (const std::uint32_t mode : kArmv7Modes) {
    Armv7Guest guest(mode);
    guest.vcpu.set_masks(0);
    const bool privileged = mode != psr::kUser;
    EXPECT_TRUE(skips(guest.execute(kCpsidI)));
    EXPECT_EQ(guest.vcpu.masks(), privileged ? psr::kIrqOff : 0);
    EXPECT_TRUE(skips(guest.execute(kCpsidAif)));
    EXPECT_EQ(guest.vcpu.masks(), privileged ? psr::kMasks : 0);
    EXPECT_TRUE(skips(guest.execute(kCpsieI)));
    EXPECT_EQ(guest.vcpu.masks(), privileged ? psr::kAbortOff | psr::kFiqOff : 0);
    EXPECT_TRUE(skips(guest.execute(kCpsieAif)));
    EXPECT_EQ(guest.vcpu.masks(), 0u);
    EXPECT_EQ(guest.vcpu.mode, mode);
    EXPECT_EQ(guest.shared.psr, mode);
  }
}

TEST(Armv7Cps, Modes) {
  Armv7Guest guest;
  guest.vcpu.set_masks(0);
  EXPECT_TRUE(skips(guest.execute(kCpsidIfIrq)));
  EXPECT_EQ(guest.vcpu.mode, psr::kIrq);
  EXPECT_EQ(guest.vcpu.masks(), psr::kIrqOff | psr::kFiqOff);
  EXPECT_EQ(guest.frame.r[13], Armv7Guest::value_of(13, psr::kIrq));
  EXPECT_TRUE(skips(guest.execute(kCpsMonitor)));  // no such mode
  EXPECT_EQ(guest.vcpu.mode, psr::kIrq);
  EXPECT_TRUE(skips(guest.execute(kCpsSystem)));
  EXPECT_EQ(guest.vcpu.mode, psr::kSystem);
  EXPECT_TRUE(skips(guest.execute(kCpsUser)));
  EXPECT_TRUE(guest.vcpu.is_user());
  EXPECT_TRUE(skips(guest.execute(kCpsSystem)));  // no way back
  EXPECT_TRUE(guest.vcpu.is_user());
}

// ---- MRS, MSR ----

TEST(Armv7Mrs, ReadsTheVirtualStatusWithoutExecutionState) {
  for (const std::uint32_t mode : kArmv7Modes) {
    Armv7Guest guest(mode);
    guest.vcpu.set_masks(psr::kIrqOff | psr::kAbortOff);
    guest.frame.cpsr = 0xf80f0200 | psr::kJazelle | psr::kIfThen | Armv7Guest::kProcessor;
    EXPECT_TRUE(skips(guest.execute(kMrs)));
    EXPECT_EQ(guest.frame.r[3], 0xf80f0380 | mode);
  }
}

TEST(Armv7Msr, EveryFieldFromEveryMode) {
  for (const std::uint32_t mode : kArmv7Modes) {
    for (std::uint32_t fields = 1; fields < 16; ++fields) {
      Armv7Guest guest(mode);
      guest.vcpu.set_masks(0);
      guest.frame.r[2] = 0xffffffe0 | psr::kUndefined;
      EXPECT_TRUE(skips(guest.execute(0xe120f002 | fields << 16)));
      const bool privileged = mode != psr::kUser;
      const bool c = fields & 1, x = fields & 2, s = fields & 4, f = fields & 8;
      EXPECT_EQ(guest.frame.cpsr, (f ? 0xf8000000 : 0) | (s ? 0x000f0000 : 0) | (x ? 0x200 : 0) |
                                      Armv7Guest::kProcessor);
      EXPECT_EQ(guest.vcpu.masks(),
                privileged ? (x ? psr::kAbortOff : 0) | (c ? psr::kIrqOff | psr::kFiqOff : 0) : 0);
      EXPECT_EQ(guest.vcpu.mode, privileged && c ? psr::kUndefined : mode);
    }
  }
}

TEST(Armv7Msr, FieldsThatAreNotNamedStay) {
  Armv7Guest guest;
  guest.vcpu.set_masks(psr::kMasks);
  guest.frame.cpsr = 0xf80f0200 | Armv7Guest::kProcessor;
  guest.frame.r[2] = psr::kSupervisor;
  EXPECT_TRUE(skips(guest.execute(kMsrC)));
  EXPECT_EQ(guest.vcpu.masks(), psr::kAbortOff);
  EXPECT_EQ(guest.frame.cpsr, 0xf80f0200 | Armv7Guest::kProcessor);
  EXPECT_TRUE(skips(guest.execute(kMsrX)));
  EXPECT_EQ(guest.vcpu.masks(), 0u);
  EXPECT_TRUE(skips(guest.execute(kMsrF)));
  EXPECT_EQ(guest.frame.cpsr, 0x000f0000 | Armv7Guest::kProcessor);
}

TEST(Armv7Msr, ImmediateSwitchesBanks) {
  Armv7Guest guest;
  EXPECT_TRUE(skips(guest.execute(kMsrImmediate)));
  EXPECT_EQ(guest.vcpu.mode, psr::kIrq);
  EXPECT_EQ(guest.vcpu.masks(), psr::kMasks);
  EXPECT_EQ(guest.frame.r[14], Armv7Guest::value_of(14, psr::kIrq));
  EXPECT_TRUE(skips(guest.execute(kMsrNoMode)));
  EXPECT_EQ(guest.vcpu.mode, psr::kIrq);
}

TEST(Armv7Msr, NeitherThumbNorIfThen) {
  Armv7Guest guest;
  guest.frame.r[2] = psr::kThumb | psr::kIfThen | psr::kJazelle | psr::kSupervisor;
  EXPECT_TRUE(skips(guest.execute(kMsrFsxc)));
  EXPECT_EQ(guest.frame.cpsr, Armv7Guest::kProcessor);
}

TEST(Armv7Spsr, EachModeHasItsOwn) {
  for (const std::uint32_t mode :
       {psr::kFiq, psr::kIrq, psr::kSupervisor, psr::kAbort, psr::kUndefined}) {
    Armv7Guest guest(mode);
    guest.frame.r[2] = 0xff1fffff;
    EXPECT_TRUE(skips(guest.execute(kMsrSpsrFsxc)));
    EXPECT_EQ(guest.shared.spsr, 0xff0fffffu);
    guest.frame.r[2] = 0;
    EXPECT_TRUE(skips(guest.execute(kMsrSpsrF)));
    EXPECT_EQ(guest.shared.spsr, 0x000fffffu);
    EXPECT_TRUE(skips(guest.execute(kMsrSpsrC)));
    EXPECT_TRUE(skips(guest.execute(kMrsSpsr)));
    EXPECT_EQ(guest.frame.r[3], 0x000fff00u);
    // Another mode's is another.
    change_mode(guest.vcpu, guest.frame,
                mode == psr::kIrq ? std::uint32_t{psr::kAbort} : std::uint32_t{psr::kIrq});
    EXPECT_TRUE(skips(guest.execute(kMrsSpsr)));
    EXPECT_EQ(guest.frame.r[3], psr::kUser);
  }
}

TEST(Armv7Spsr, UserAndSystemHaveNone) {
  for (const std::uint32_t mode : {psr::kUser, psr::kSystem}) {
    Armv7Guest guest(mode);
    for (const std::uint32_t word :
         {kMrsSpsr, kMsrSpsrFsxc, kMovsPcLr, kSubsPcLr4, 0xe8fd800fu}) {  // ldm sp!, {r0-r3, pc}^
      EXPECT_TRUE(is_undefined(guest.execute(word)));
    }
    EXPECT_TRUE(guest.machine.is_untouched());
  }
}

// ---- exception returns ----

// Prepares r1, r2 and r14, and an SPSR of a process.
void prepare_return(Armv7Guest& guest) {
  guest.shared.spsr = 0x60000000 | psr::kUser;
  guest.frame.r[1] = 0x80000010;
  guest.frame.r[2] = 0x00000100;
  guest.frame.r[14] = 0x00010008;
}

TEST(Armv7Return, EveryDataProcessingInstruction) {
  struct Case {
    std::uint32_t word, with_carry, without_carry;
  };
  const std::vector<Case> cases{
      {kMovsPcLr, 0x10008, 0x10008},        {kSubsPcLr4, 0x10004, 0x10004},
      {0xe25ef008, 0x10000, 0x10000},        // subs pc, lr, #8
      {0xe091f102, 0x80000410, 0x80000410},  // adds pc, r1, r2, lsl #2
      {0xe0b1f002, 0x80000110, 0x80000110},  // adcs pc, r1, r2: bit 0 is dropped
      {0xe0d1f002, 0x7fffff10, 0x7fffff0c},  // sbcs
      {0xe0f1f002, 0x800000f0, 0x800000ec},  // rscs
      {0xe071f002, 0x800000f0, 0x800000f0},  // rsbs
      {0xe011f002, 0x00000000, 0x00000000},  // ands
      {0xe031f002, 0x80000110, 0x80000110},  // eors
      {0xe191f002, 0x80000110, 0x80000110},  // orrs
      {0xe1d1f002, 0x80000010, 0x80000010},  // bics
      {0xe1f0f001, 0x7fffffec, 0x7fffffec},  // mvns pc, r1
      {0xe1b0f061, 0xc0000008, 0x40000008},  // rrxs pc, r1
      {0xe1b0f041, 0xfffffffc, 0xfffffffc},  // asrs pc, r1, #32
      {0xe1b0f021, 0x00000000, 0x00000000},  // lsrs pc, r1, #32
      {0xe1b0f261, 0x08000000, 0x08000000},  // rors pc, r1, #4: 0x08000001
  };
  for (const Case& each : cases) {
    for (const bool carry : {false, true}) {
      Armv7Guest guest(psr::kIrq);
      prepare_return(guest);
      if (carry) guest.frame.cpsr |= 1u << 29;
      ASSERT_TRUE(resumes(guest.execute(each.word))) << std::hex << each.word;
      EXPECT_EQ(guest.frame.pc, carry ? each.with_carry : each.without_carry)
          << std::hex << each.word;
      EXPECT_EQ(guest.frame.cpsr, 0x60000000u | Armv7Guest::kProcessor);
      EXPECT_TRUE(guest.vcpu.is_user());
      EXPECT_EQ(guest.vcpu.masks(), 0u);
      EXPECT_EQ(guest.frame.r[14], Armv7Guest::value_of(14, psr::kUser));
    }
  }
}

TEST(Armv7Return, PcAsAnOperandIsTwoInstructionsAhead) {
  Armv7Guest guest;
  prepare_return(guest);
  ASSERT_TRUE(resumes(guest.execute(0xe29ff004)));  // adds pc, pc, #4
  EXPECT_EQ(guest.frame.pc, Armv7Guest::kCode + 12);
}

TEST(Armv7Return, LoadMultipleFillsTheModeThatIsLeft) {
  Armv7Guest guest(psr::kIrq);
  prepare_return(guest);
  guest.shared.spsr = psr::kSupervisor | psr::kIrqOff;
  guest.frame.r[9] = Armv7Guest::kData;
  for (std::uint32_t n = 0; n < 4; ++n) guest.machine.put(Armv7Guest::kData + 4 * n, 0x100 + 4 * n);
  ASSERT_TRUE(resumes(guest.execute(0xe8d9e001)));  // ldm r9, {r0, sp, lr, pc}^
  EXPECT_EQ(guest.frame.r[0], 0x100u);
  EXPECT_EQ(guest.frame.pc, 0x10cu);
  EXPECT_EQ(guest.vcpu.mode, psr::kSupervisor);
  EXPECT_EQ(guest.frame.r[13], Armv7Guest::value_of(13, psr::kSupervisor));
  EXPECT_EQ(guest.vcpu.bank(BankName::Irq).sp, 0x104u);
  EXPECT_EQ(guest.vcpu.bank(BankName::Irq).lr, 0x108u);
}

TEST(Armv7Return, LoadMultipleWritesItsBaseBack) {
  Armv7Guest guest;
  prepare_return(guest);
  guest.frame.r[13] = Armv7Guest::kData + 0x100;
  guest.machine.put(Armv7Guest::kData + 0x110, 0x8001);  // r0 to r3 are zeroes
  ASSERT_TRUE(resumes(guest.execute(0xe8fd800f)));       // ldm sp!, {r0-r3, pc}^
  EXPECT_EQ(guest.frame.pc, 0x8000u);
  EXPECT_EQ(guest.vcpu.bank(BankName::Supervisor).sp, Armv7Guest::kData + 0x114);
  EXPECT_EQ(guest.frame.r[13], Armv7Guest::value_of(13, psr::kUser));

  Armv7Guest down;
  prepare_return(down);
  down.frame.r[0] = Armv7Guest::kData + 8;
  down.machine.put(Armv7Guest::kData, 5);
  down.machine.put(Armv7Guest::kData + 4, 0x9000);
  ASSERT_TRUE(resumes(down.execute(0xe9708002)));  // ldmdb r0!, {r1, pc}^
  EXPECT_EQ(down.frame.r[1], 5u);
  EXPECT_EQ(down.frame.pc, 0x9000u);
  EXPECT_EQ(down.frame.r[0], Armv7Guest::kData);
}

TEST(Armv7Return, AnAbortedReturnHasChangedNothing) {
  Armv7Guest guest(psr::kIrq);
  prepare_return(guest);
  guest.frame.r[9] = Armv7Guest::kData + 0x2000 - 8;
  const Frame before = guest.frame;
  EXPECT_TRUE(test::aborts(guest.execute(0xe8d9e001), 0x57, Armv7Guest::kData + 0x2000));
  EXPECT_EQ(std::memcmp(&before, &guest.frame, sizeof before), 0);
  EXPECT_EQ(guest.vcpu.mode, psr::kIrq);
  guest.frame.r[9] = Armv7Guest::kData + 2;
  EXPECT_TRUE(test::aborts(guest.execute(0xe8d9e001), 0x1, Armv7Guest::kData + 2));
}

TEST(Armv7Return, RfeInEachDirection) {
  struct Case {
    std::uint32_t word, first, base;  // relative to r1
  };
  for (const Case& each : {Case{0xf8b10a00, 0, 8},               // rfeia r1!
                           Case{0xf9910a00, 4, 0},               // rfeib r1
                           Case{0xf8110a00, 0u - 4, 0},          // rfeda r1
                           Case{0xf9310a00, 0u - 8, 0u - 8}}) {  // rfedb r1!
    for (const std::uint32_t mode : {psr::kSystem, psr::kSupervisor, psr::kFiq}) {
      Armv7Guest guest(mode);
      constexpr std::uint32_t kBase = Armv7Guest::kData + 0x100;
      guest.frame.r[1] = kBase;
      guest.machine.put(kBase + each.first, 0x8003);
      guest.machine.put(kBase + each.first + 4, 0x80000000 | psr::kUser | psr::kThumb);
      ASSERT_TRUE(resumes(guest.execute(each.word)));
      EXPECT_EQ(guest.frame.pc, 0x8002u);
      EXPECT_EQ(guest.frame.cpsr, 0x80000020u | Armv7Guest::kProcessor);
      EXPECT_TRUE(guest.vcpu.is_user());
      EXPECT_EQ(guest.frame.r[1], kBase + each.base);
      EXPECT_EQ(guest.machine.accesses, 2u);
    }
  }
  Armv7Guest process(psr::kUser);
  EXPECT_TRUE(is_undefined(process.execute(0xf8b10a00)));
}

TEST(Armv7Return, WhateverTheSharedPageHoldsAModeStaysAMode) {
  for (std::uint32_t low = 0; low < 256; ++low) {
    Armv7Guest guest(psr::kAbort);
    guest.shared.spsr = 0xffffff00 | low;
    const Verdict verdict = guest.execute(kMovsPcLr);
    EXPECT_TRUE(psr::is_mode(guest.vcpu.mode));
    EXPECT_EQ(guest.frame.cpsr & (psr::kModeMask | psr::kMasks), Armv7Guest::kProcessor);
    EXPECT_TRUE(verdict.kind == Verdict::Kind::Resume || verdict.kind == Verdict::Kind::Stop);
  }
}

// ---- hints, calls ----

TEST(Armv7Emulate, HintsCallsAndWhatDoesNotExist) {
  for (const std::uint32_t mode : {psr::kUser, psr::kSupervisor}) {
    Armv7Guest guest(mode);
    EXPECT_TRUE(is_kind(guest.execute(0xe320f003), Verdict::Kind::Wait));  // wfi
    for (const std::uint32_t word : {0xe320f001u, 0xe320f002u, 0xe320f004u}) {
      EXPECT_TRUE(skips(guest.execute(word)));  // yield, wfe, sev
    }
    const Verdict call = guest.execute(0xef001234);
    EXPECT_EQ(call.vector, static_cast<unsigned>(Exception::SupervisorCall));
    EXPECT_TRUE(is_undefined(guest.execute(0xe1600070)));  // smc #0
    EXPECT_TRUE(is_undefined(guest.execute(0xe1400070)));  // hvc #0
    EXPECT_TRUE(is_undefined(guest.execute(0xe7f000f0)));  // udf #0
    EXPECT_TRUE(skips(guest.execute(0xf1010200)));         // setend be
    EXPECT_EQ(guest.frame.cpsr, psr::kEndian | Armv7Guest::kProcessor);
    EXPECT_TRUE(skips(guest.execute(0xf1010000)));
    EXPECT_EQ(guest.frame.cpsr, Armv7Guest::kProcessor);
  }
}

TEST(Armv7Emulate, MakesTheAccessesThatItSaysItMakes) {
  const std::vector<std::pair<std::uint32_t, bool>> words{
      {0xe5913000, true},    // ldr r3, [r1]
      {0xe5813000, true},    // str r3, [r1]
      {0xe1c140d0, true},    // ldrd r4, r5, [r1]
      {0xe1c140f0, true},    // strd r4, r5, [r1]
      {0xe891001c, true},    // ldm r1, {r2-r4}
      {0xe881001c, true},    // stm r1, {r2-r4}
      {0xe8d1001c, true},    // ldm r1, {r2-r4}^
      {0xe8c1001c, true},    // stm r1, {r2-r4}^
      {0xe8d18004, true},    // ldm r1, {r2, pc}^
      {0xe4b13004, true},    // ldrt r3, [r1], #4
      {0xe4a13004, true},    // strt r3, [r1], #4
      {0xf8910a00, true},    // rfeia r1
      {0xf8cd0513, true},    // srsia sp, #19
      {0xe1913f9f, false},   // ldrex r3, [r1]
      {0xe1813f92, false},   // strex r3, r2, [r1]
      {0xe1013092, true},    // swp r3, r2, [r1]
      {0xed913b00, false},   // vldr d3, [r1]
      {0xee110f10, false}};  // mrc p15, 0, r0, c1, c0, 0
  for (const auto& [word, expected] : words) {
    Armv7Guest guest;
    guest.frame.r[1] = guest.frame.r[13] = Armv7Guest::kData;
    EXPECT_EQ(makes_access(decode(word).op), expected) << std::hex << word;
    (void)guest.execute(word);
    EXPECT_EQ(guest.machine.accesses != 0, expected) << std::hex << word;
  }
}

TEST(Armv7Emulate, ExitCauses) {
  using enum status::Armv7Exit;
  const std::vector<std::pair<std::uint32_t, status::Armv7Exit>> causes{
      {kCpsidI, Cps},
      {0xf1010200, Cps},
      {kMrs, ReadCpsr},
      {kMsrC, WriteCpsr},
      {kMrsSpsr, SavedPsr},
      {kMsrSpsrC, SavedPsr},
      {kMovsPcLr, ExceptionReturn},
      {0xe8fd800f, ExceptionReturn},
      {0xf8b10a00, ExceptionReturn},
      {0xe8d07f00, UserBank},
      {0xe8c07f00, UserBank},
      {0xf8ed0513, UserBank},
      {0xe4313004, Unprivileged},
      {0xe4a13004, Unprivileged},
      {0xe320f003, Wait},
      {0xee100f10, Identification},
      {0xee110f10, SystemControl},
      {0xee120f10, Translation},
      {0xee030f10, DomainAccess},
      {0xee150f10, FaultStatus},
      {0xee1d0f90, ThreadId},
      {0xee070f3b, CacheOperation},
      {0xee080f37, TlbOperation},
      {0xee070f18, AddressTranslation},
      {0xee190f1c, Performance},
      {0xee100e10, Debug},
      {0xeef83a10, FloatingPoint},
      {0xee140f10, OtherCoprocessor},
      {0xec510f0e, OtherCoprocessor},
      {0xef000000, SupervisorCall},
      {0xe5913000, DeviceAccess},
      {0xe1600070, UndefinedInstruction},
      {0xe7f000f0, UndefinedInstruction}};
  for (const auto& [word, cause] : causes) {
    EXPECT_EQ(exit_cause(decode(word)), cause) << std::hex << word;
  }
}

}  // namespace
}  // namespace mezzo::armv7
