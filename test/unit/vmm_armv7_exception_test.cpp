// Exceptions into and out of an ARMv7 guest, in every mode, against the manual's tables (DDI 0406C
// B1.8.3, B1.9).
#include "arch/armv7/exception.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "support/armv7_guest.hpp"
#include "support/armv7_verdict.hpp"

namespace mezzo::armv7 {
namespace {

using test::Armv7Guest;
using test::is_unsupported;
using test::kArmv7Modes;
using test::resumes;

struct Expected {
  Exception exception;
  std::uint32_t mode, offset_arm, offset_thumb, masks, vector;
};

// Tables B1-3, B1-6 and B1-7, and the masks of each exception's pseudocode.
constexpr std::array kExceptions{
    Expected{Exception::Undefined, psr::kUndefined, 4, 2, psr::kIrqOff, 0x04},
    Expected{Exception::SupervisorCall, psr::kSupervisor, 4, 2, psr::kIrqOff, 0x08},
    Expected{Exception::PrefetchAbort, psr::kAbort, 4, 4, psr::kIrqOff | psr::kAbortOff, 0x0c},
    Expected{Exception::DataAbort, psr::kAbort, 8, 8, psr::kIrqOff | psr::kAbortOff, 0x10},
    Expected{Exception::Irq, psr::kIrq, 4, 4, psr::kIrqOff | psr::kAbortOff, 0x18},
    Expected{Exception::Fiq, psr::kFiq, 4, 4, psr::kMasks, 0x1c},
};

TEST(Armv7Exception, EntryFromEveryMode) {
  for (const Expected& e : kExceptions) {
    for (const std::uint32_t mode : kArmv7Modes) {
      for (const std::uint32_t masks : {0u, psr::kFiqOff, psr::kAbortOff, psr::kMasks}) {
        Armv7Guest guest(mode);
        guest.vcpu.set_masks(masks);
        guest.vcpu.control.vbar = 0x80004000;
        guest.frame.cpsr = 0xf80f0200 | Armv7Guest::kProcessor;
        ASSERT_TRUE(resumes(deliver(guest.context, raise(e.exception))));
        EXPECT_EQ(guest.vcpu.mode, e.mode);
        EXPECT_EQ(guest.vcpu.masks(), masks | e.masks);
        EXPECT_EQ(guest.shared.spsr, 0xf80f0200 | masks | mode);
        EXPECT_EQ(guest.frame.r[14], Armv7Guest::kCode + e.offset_arm);
        EXPECT_EQ(guest.frame.r[13], Armv7Guest::value_of(13, e.mode));
        EXPECT_EQ(guest.frame.r[8],
                  Armv7Guest::value_of(8, e.mode == psr::kFiq ? psr::kFiq : psr::kUser));
        EXPECT_EQ(guest.frame.pc, 0x80004000 + e.vector);
        EXPECT_EQ(guest.frame.cpsr, 0xf80f0000 | Armv7Guest::kProcessor);  // E is SCTLR.EE: 0
      }
    }
  }
}

TEST(Armv7Exception, EntryFromThumbProcess) {
  constexpr std::uint32_t kState = psr::kThumb | psr::kIfThen;
  for (const Expected& e : kExceptions) {
    Armv7Guest guest(psr::kUser);
    guest.vcpu.set_masks(0);
    guest.frame.cpsr = kState | Armv7Guest::kProcessor;
    ASSERT_TRUE(resumes(deliver(guest.context, raise(e.exception))));
    EXPECT_EQ(guest.shared.spsr, kState | psr::kUser);
    EXPECT_EQ(guest.frame.r[14], Armv7Guest::kCode + e.offset_thumb);
    EXPECT_EQ(guest.frame.cpsr, Armv7Guest::kProcessor);
  }
}

TEST(Armv7Exception, AKernelInThumbStateIsNotSupported) {
  for (const Expected& e : kExceptions) {
    Armv7Guest guest(psr::kSystem);
    guest.frame.cpsr |= psr::kThumb;
    EXPECT_TRUE(
        is_unsupported(deliver(guest.context, raise(e.exception)), Unsupported::ThumbKernel));
  }
}

TEST(Armv7Exception, HighVectorsWinOverTheBaseRegister) {
  Armv7Guest guest;
  guest.vcpu.control.vbar = 0x80004000;
  guest.vcpu.control.sctlr |= sctlr::kHighVectors;
  ASSERT_TRUE(resumes(deliver(guest.context, raise(Exception::Irq))));
  EXPECT_EQ(guest.frame.pc, 0xffff0018u);
}

TEST(Armv7Exception, AbortsLeaveStatusAndAddress) {
  Armv7Guest guest;
  const Abort abort{FaultStatus::DomainPage, 3, true, GuestVirtual{0x1234}};
  ASSERT_TRUE(resumes(deliver(guest.context, data_abort(abort))));
  EXPECT_EQ(guest.vcpu.control.dfsr, 0x83bu);  // WnR, domain 3, FS 0b01011
  EXPECT_EQ(guest.vcpu.control.dfar, 0x1234u);
  EXPECT_EQ(guest.vcpu.control.ifsr | guest.vcpu.control.ifar, 0u);

  const Abort fetch{FaultStatus::TranslationSection, 3, false, GuestVirtual{0x5678}};
  ASSERT_TRUE(resumes(deliver(guest.context, prefetch_abort(fetch))));
  EXPECT_EQ(guest.vcpu.control.ifsr, 0x5u);
  EXPECT_EQ(guest.vcpu.control.ifar, 0x5678u);
  EXPECT_EQ(guest.vcpu.control.dfsr, 0x83bu);

  ASSERT_TRUE(resumes(deliver(guest.context, raise(Exception::Irq))));
  EXPECT_EQ(guest.vcpu.control.dfar, 0x1234u);
}

// Table B3-23: FS[4] is bit 10, FS[3:0] bits 3:0.
TEST(Armv7Exception, FaultStatusEncodings) {
  using enum FaultStatus;
  const std::vector<std::pair<FaultStatus, std::uint32_t>> encodings{
      {Alignment, 0b00001},
      {Debug, 0b00010},
      {AccessFlagSection, 0b00011},
      {CacheMaintenance, 0b00100},
      {TranslationSection, 0b00101},
      {AccessFlagPage, 0b00110},
      {TranslationPage, 0b00111},
      {External, 0b01000},
      {DomainSection, 0b01001},
      {DomainPage, 0b01011},
      {ExternalOnWalkSection, 0b01100},
      {PermissionSection, 0b01101},
      {ExternalOnWalkPage, 0b01110},
      {PermissionPage, 0b01111},
      {AsynchronousExternal, 1u << 10 | 0b0110}};
  for (const auto& [status, encoding] : encodings) {
    const Abort abort{status, 0, false, GuestVirtual{}};
    EXPECT_EQ(abort.instruction_status(), encoding);
    EXPECT_EQ(abort.data_status(), encoding);
  }
}

TEST(Armv7Exception, FaultStatusIsSplitOverTwoFields) {
  const Abort abort{FaultStatus::AsynchronousExternal, 0, false, GuestVirtual{}};
  EXPECT_EQ(abort.data_status(), 0x406u);
}

TEST(Armv7Exception, ReturnToEveryModeRestoresWhatEntryFound) {
  for (const Expected& e : kExceptions) {
    for (const std::uint32_t mode : kArmv7Modes) {
      Armv7Guest guest(mode);
      guest.vcpu.set_masks(psr::kFiqOff);
      guest.frame.cpsr = 0xa80a0200 | Armv7Guest::kProcessor;
      const Frame before = guest.frame;
      // Registers that the exception's mode shares with the interrupted one are lost.
      const bool same_bank = bank_of(mode) == bank_of(e.mode);
      ASSERT_TRUE(resumes(deliver(guest.context, raise(e.exception))));
      ASSERT_TRUE(resumes(return_from_exception(guest.context, guest.shared.spsr,
                                                guest.frame.r[14] - e.offset_arm)));
      EXPECT_EQ(guest.vcpu.mode, mode);
      EXPECT_EQ(guest.vcpu.masks(), psr::kFiqOff);
      EXPECT_EQ(guest.frame.pc, before.pc);
      EXPECT_EQ(guest.frame.cpsr, before.cpsr);
      for (unsigned n = 0; n < 15; ++n) {
        if (n == 14 && same_bank) continue;
        EXPECT_EQ(guest.frame.r[n], before.r[n]) << n;
      }
    }
  }
}

TEST(Armv7Exception, ReturnToThumbProcessKeepsItsState) {
  Armv7Guest guest;
  const std::uint32_t status = psr::kUser | psr::kThumb | psr::kIfThen | 0x90000000;
  ASSERT_TRUE(resumes(return_from_exception(guest.context, status, 0x8003)));
  EXPECT_EQ(guest.frame.pc, 0x8002u);
  EXPECT_EQ(guest.frame.cpsr, status);
  EXPECT_TRUE(guest.vcpu.is_user());
  EXPECT_EQ(guest.vcpu.masks(), 0u);
}

TEST(Armv7Exception, ReturnToThumbKernelIsNotSupported) {
  for (const std::uint32_t mode : kArmv7Modes) {
    if (mode == psr::kUser) continue;
    Armv7Guest guest;
    EXPECT_TRUE(is_unsupported(return_from_exception(guest.context, mode | psr::kThumb, 0x8000),
                               Unsupported::ThumbKernel));
  }
}

TEST(Armv7Exception, ReturnToNoModeKeepsTheMode) {
  for (std::uint32_t wanted = 0; wanted < 32; ++wanted) {
    if (psr::is_mode(wanted)) continue;
    Armv7Guest guest(psr::kIrq);
    ASSERT_TRUE(resumes(return_from_exception(guest.context, wanted | psr::kAbortOff, 0x8007)));
    EXPECT_EQ(guest.vcpu.mode, psr::kIrq);
    EXPECT_EQ(guest.vcpu.masks(), psr::kAbortOff);
    EXPECT_EQ(guest.frame.pc, 0x8004u);
  }
}

TEST(Armv7Exception, ReturnTakesNoExecutionStateThatNoProcessorHas) {
  for (std::uint32_t bits = 0; bits < 8; ++bits) {
    Armv7Guest guest;
    const std::uint32_t status = psr::kUser | ((bits & 1) != 0 ? psr::kThumb : 0) |
                                 ((bits & 2) != 0 ? psr::kJazelle : 0) |
                                 ((bits & 4) != 0 ? psr::kIfThen : 0) | psr::kReserved;
    ASSERT_TRUE(resumes(return_from_exception(guest.context, status, 0)));
    const bool thumb = (bits & 1) != 0;
    EXPECT_EQ(guest.frame.cpsr, thumb ? status & ~psr::kReserved : psr::kUser);
  }
}

TEST(Armv7Exception, TheProcessorsOwnModeIsNeverTheGuests) {
  for (std::uint32_t mode = 0; mode < 32; ++mode) {
    Armv7Guest guest;
    ASSERT_TRUE(resumes(return_from_exception(guest.context, mode | psr::kMasks, 0)));
    EXPECT_EQ(guest.frame.cpsr & (psr::kModeMask | psr::kMasks), Armv7Guest::kProcessor);
  }
}

}  // namespace
}  // namespace mezzo::armv7
