// The other privileged instructions a guest kernel executes in ring 1, each against the manual's
// description of it in ring 0 (SDM volume 2), from encodings through the decoder; and what of them
// a process gets: its kernel's #GP.
#include "arch/ia32/emulate.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "support/execute.hpp"

namespace mezzo::ia32 {
namespace {

using test::Code;
using test::execute;
using test::execute16;
using test::FakeGuest;
using test::kLmswEax;
using test::kMovCr0Eax;
using test::kMovCr3Eax;
using test::kMovCr4Eax;
using test::kProtection;
using test::raises;
using Kind = Verdict::Kind;
using status::ExitCause;

constexpr std::uint32_t kData = 0x9100;

// ---- the rest of ring 0 ----

TEST(Emulate, ProcessesGetTheirKernelsGeneralProtectionFault) {
  for (const Code& code : {kMovCr0Eax,
                           kMovCr3Eax,
                           kMovCr4Eax,
                           kLmswEax,
                           Code{0x0f, 0x20, 0xc0},
                           Code{0x0f, 0x21, 0xc0},
                           Code{0x0f, 0x23, 0xc0},
                           Code{0x0f, 0x06},
                           Code{0x0f, 0x01, 0x38},
                           Code{0x0f, 0x01, 0x15, 0, 0x91, 0, 0},
                           Code{0x0f, 0x01, 0x1d, 0, 0x91, 0, 0},
                           Code{0x0f, 0x00, 0xd0},
                           Code{0x0f, 0x00, 0xd8},
                           Code{0x0f, 0x32},
                           Code{0x0f, 0x30},
                           Code{0x0f, 0x31},
                           Code{0xf4},
                           Code{0x0f, 0x09},
                           Code{0x0f, 0x08},
                           Code{0x0f, 0x01, 0xd1},
                           Code{0x8e, 0xd0},
                           Code{0x17},
                           Code{0xcb},
                           Code{0xcf},
                           Code{0x0f, 0x35},
                           Code{0x0f, 0x33},
                           Code{0x90}}) {
    FakeGuest guest;
    guest.in_process();
    guest.machine.map(0, 0x10000);
    guest.machine.msrs[0] = 0;
    const Frame before = guest.frame;
    EXPECT_TRUE(raises(execute(guest, code, 0x1234), kProtection, 0x1234)) << int{code[1]};
    EXPECT_EQ(std::memcmp(&before, &guest.frame, sizeof before), 0) << int{code[1]};
    EXPECT_FALSE(guest.machine.cr0 || guest.machine.cr4 || guest.machine.root);
    EXPECT_TRUE(guest.machine.debug.empty() && guest.machine.invalidated.empty());
    EXPECT_EQ(guest.machine.cache_write_backs + guest.machine.task_switched_cleared, 0u);
  }
}

TEST(Emulate, InstructionsOfNobodyKeepTheProcessorsErrorCode) {
  FakeGuest guest;
  for (const Code& code : {Code{0x90}, Code{0x0f, 0x33}, Code{0x0f, 0x35}, Code{0x6e}, Code{}}) {
    EXPECT_TRUE(raises(execute(guest, code, 0xabc), kProtection, 0xabc));
  }
}

TEST(Emulate, HaltWaits) {
  FakeGuest guest;
  EXPECT_EQ(execute(guest, {0xf4}).kind, Kind::Wait);
}

TEST(Emulate, CachesAreWrittenBackEvenByInvd) {
  FakeGuest guest;
  EXPECT_EQ(execute(guest, {0x0f, 0x09}).kind, Kind::Skip);
  EXPECT_EQ(execute(guest, {0x0f, 0x08}).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.cache_write_backs, 2u);
}

TEST(Emulate, TimeStampHasTwoHalves) {
  FakeGuest guest;
  guest.machine.tsc = 0x123456789abcdef0;
  EXPECT_EQ(execute(guest, {0x0f, 0x31}).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.edx, 0x12345678u);
  EXPECT_EQ(guest.frame.eax, 0x9abcdef0u);
}

TEST(Emulate, ExtendedControlRegistersAreTheProcessorsToRefuse) {
  FakeGuest guest;
  guest.frame.ecx = 0, guest.frame.eax = 7, guest.frame.edx = 1;
  EXPECT_EQ(execute(guest, {0x0f, 0x01, 0xd1}).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.xcr_writes, (std::vector<std::array<std::uint32_t, 3>>{{0, 7, 1}}));
  guest.machine.has_xcr = false;
  EXPECT_TRUE(raises(execute(guest, {0x0f, 0x01, 0xd1}), kProtection, 0));
}

// ---- addresses ----

TEST(LinearAddress, AddsBaseScaledIndexAndDisplacementModulo32Bits) {
  FakeGuest guest;
  guest.frame.ebx = 0xffffff00, guest.frame.esi = 0x100;
  const MemoryOperand operand{.base = 3, .index = 6, .scale = 3, .displacement = 0xffffffff};
  EXPECT_EQ(linear_address(guest.context, operand), 0x6ffu);
}

TEST(LinearAddress, SixteenBitOffsetsWrapBeforeTheSegmentsBaseIsAdded) {
  FakeGuest guest;
  guest.frame.ebx = 0x1234fff0;
  guest.frame.ss = test::kStack16 | 1;
  const MemoryOperand operand{
      .base = 3, .displacement = 0x20, .address16 = true, .segment = Segment::Ss};
  EXPECT_EQ(linear_address(guest.context, operand), FakeGuest::kStack16Base + 0x10);
}

TEST(LinearAddress, Virtual8086SegmentsAreSelectorTimes16) {
  FakeGuest guest;
  guest.in_process();
  guest.frame.eflags |= eflags::kVirtual8086;
  guest.frame.ds = 0xffff;
  EXPECT_EQ(linear_address(guest.context, {.displacement = 0x10, .address16 = true}), 0x100000u);
}

// ---- the counters ----

TEST(ExitCause, EveryControlRegisterHasItsOwn) {
  const std::array reads{ExitCause::ReadCr0, ExitCause::ReadCr2, ExitCause::ReadCr3,
                         ExitCause::ReadCr4};
  const std::array writes{ExitCause::WriteCr0, ExitCause::WriteCr2, ExitCause::WriteCr3,
                          ExitCause::WriteCr4};
  const std::array<std::uint8_t, 4> modrm{0xc0, 0xd0, 0xd8, 0xe0};
  for (std::size_t n = 0; n < 4; ++n) {
    EXPECT_EQ(exit_cause(test::decoded({0x0f, 0x20, modrm[n]})), reads[n]);
    EXPECT_EQ(exit_cause(test::decoded({0x0f, 0x22, modrm[n]})), writes[n]);
  }
}

TEST(ExitCause, OfTheOthers) {
  EXPECT_EQ(exit_cause(test::decoded({0x0f, 0x06})), ExitCause::Clts);
  EXPECT_EQ(exit_cause(test::decoded({0x0f, 0x01, 0x38})), ExitCause::Invlpg);
  EXPECT_EQ(exit_cause(test::decoded({0xf4})), ExitCause::Hlt);
  EXPECT_EQ(exit_cause(test::decoded({0xcf})), ExitCause::Iret);
  EXPECT_EQ(exit_cause(test::decoded({0xcb})), ExitCause::FarTransfer);
  EXPECT_EQ(exit_cause(test::decoded({0xee})), ExitCause::PortIo);
  EXPECT_EQ(exit_cause(test::decoded({0xcd, 0x80})), ExitCause::ReflectedGp);
  EXPECT_EQ(exit_cause(test::decoded({0x90})), ExitCause::ReflectedGp);
}

TEST(Emulate, SixteenBitTablesLoad24BitBases) {
  FakeGuest guest;
  guest.machine.put(kData, std::uint16_t{7});
  guest.machine.put(kData + 2, 0xab123456u);
  guest.frame.ebx = kData;
  EXPECT_EQ(execute16(guest, {0x0f, 0x01, 0x1f}).kind, Kind::Skip);  // lidt [bx]
  EXPECT_EQ(guest.vcpu.idt.base, 0x00123456u);
}

}  // namespace
}  // namespace mezzo::ia32
