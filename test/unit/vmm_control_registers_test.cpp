// The control and debug registers of a guest kernel in ring 1, against the manual's description of
// them in ring 0 (SDM volume 2), from encodings through the decoder.
#include "arch/ia32/emulate.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/execute.hpp"

namespace mezzo::ia32 {
namespace {

using test::Code;
using test::execute;
using test::FakeGuest;
using test::kInvalidOpcode;
using test::kLmswEax;
using test::kMovCr0Eax;
using test::kMovCr2Eax;
using test::kMovCr3Eax;
using test::kMovCr4Eax;
using test::kProtection;
using test::raises;
using test::stops;
using Kind = Verdict::Kind;
using status::ExitCause;
using status::StopReason;

TEST(ReadControl, GivesTheGuestsOwnValues) {
  FakeGuest guest;
  guest.vcpu.cr0 = 0x11111111, guest.vcpu.cr3 = 0x33333333, guest.vcpu.cr4 = 0x44444444;
  guest.machine.cr2 = 0x22222222;
  EXPECT_EQ(execute(guest, {0x0f, 0x20, 0xc1}).kind, Kind::Skip);  // mov ecx, cr0
  EXPECT_EQ(guest.frame.ecx, 0x11111111u);
  (void)execute(guest, {0x0f, 0x20, 0xd7});  // mov edi, cr2
  EXPECT_EQ(guest.frame.edi, 0x22222222u);
  (void)execute(guest, {0x0f, 0x20, 0xdd});  // mov ebp, cr3
  EXPECT_EQ(guest.frame.ebp, 0x33333333u);
  (void)execute(guest, {0x0f, 0x20, 0xe4});  // mov esp, cr4
  EXPECT_EQ(guest.frame.esp, 0x44444444u);
}

TEST(WriteCr0, ImpossibleCombinationsFaultAndChangeNothing) {
  FakeGuest guest;
  const std::uint32_t before = guest.vcpu.cr0;
  for (const std::uint32_t value :
       {cr0::kPaging, cr0::kProtection | cr0::kNotWriteThrough, cr0::kNotWriteThrough}) {
    guest.frame.eax = value;
    EXPECT_TRUE(raises(execute(guest, kMovCr0Eax), kProtection, 0)) << value;
  }
  EXPECT_EQ(guest.vcpu.cr0, before);
  EXPECT_FALSE(guest.machine.cr0.has_value());
}

TEST(WriteCr0, LeavingProtectedModeIsAReset) {
  FakeGuest guest;
  guest.frame.eax = cr0::kExtensionType;
  EXPECT_TRUE(stops(execute(guest, kMovCr0Eax), StopReason::Reset, 0));
}

TEST(WriteCr0, SettingPagingInstallsTheRootThatWasLoadedBefore) {
  FakeGuest guest;
  guest.frame.eax = 0x00200018;
  EXPECT_EQ(execute(guest, kMovCr3Eax).kind, Kind::Skip);
  EXPECT_FALSE(guest.machine.root.has_value());
  guest.frame.eax = cr0::kProtection | cr0::kPaging;
  EXPECT_EQ(execute(guest, kMovCr0Eax).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.root, 0x00200018u);
  EXPECT_TRUE(guest.vcpu.paging());
  guest.frame.eax = cr0::kProtection;
  EXPECT_EQ(execute(guest, kMovCr0Eax).kind, Kind::Skip);
  EXPECT_TRUE(guest.machine.identity);
}

TEST(WriteCr0, PagingWithARootOutsideThePartitionEndsIt) {
  FakeGuest guest;
  guest.vcpu.cr3 = guest.machine.partition_end;
  guest.frame.eax = cr0::kProtection | cr0::kPaging;
  const Verdict verdict = execute(guest, kMovCr0Eax);
  EXPECT_TRUE(
      stops(verdict, StopReason::Forbidden, static_cast<std::uint32_t>(ExitCause::WriteCr0)));
  EXPECT_EQ(verdict.detail[1], FakeGuest::kEip);
  EXPECT_EQ(verdict.detail[2], guest.machine.partition_end);
  EXPECT_FALSE(guest.vcpu.paging());
}

TEST(WriteCr0, ReadsBackWithExtensionTypeSet) {
  FakeGuest guest;
  guest.frame.eax = cr0::kProtection | cr0::kTaskSwitched | cr0::kCacheDisable;
  (void)execute(guest, kMovCr0Eax);
  (void)execute(guest, {0x0f, 0x20, 0xc3});  // mov ebx, cr0
  EXPECT_EQ(guest.frame.ebx, guest.frame.eax | cr0::kExtensionType);
}

TEST(LoadMachineStatus, SetsTheLowFourBitsAndCannotClearProtection) {
  FakeGuest guest;
  guest.vcpu.cr0 = cr0::kProtection | cr0::kExtensionType | cr0::kWriteProtect | cr0::kEmulation;
  guest.frame.eax = 0xffff0000 | cr0::kTaskSwitched;
  EXPECT_EQ(execute(guest, kLmswEax).kind, Kind::Skip);
  EXPECT_EQ(guest.vcpu.cr0,
            cr0::kProtection | cr0::kExtensionType | cr0::kWriteProtect | cr0::kTaskSwitched);
}

TEST(ClearTaskSwitched, ClearsItInBoth) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kTaskSwitched | cr0::kMonitorCoprocessor;
  EXPECT_EQ(execute(guest, {0x0f, 0x06}).kind, Kind::Skip);
  EXPECT_EQ(guest.vcpu.cr0 & (cr0::kTaskSwitched | cr0::kMonitorCoprocessor),
            cr0::kMonitorCoprocessor);
  EXPECT_EQ(guest.machine.task_switched_cleared, 1u);
}

TEST(WriteCr3, RootsOfThePartitionAreInstalledOthersEndIt) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  guest.frame.eax = guest.machine.partition_end - 4096;
  EXPECT_EQ(execute(guest, kMovCr3Eax).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.root, guest.frame.eax);
  const std::uint32_t good = guest.frame.eax;
  for (const std::uint32_t bad : {guest.machine.partition_end, 0xfffff000u, 0xfffffff8u}) {
    guest.frame.eax = bad;
    EXPECT_TRUE(stops(execute(guest, kMovCr3Eax), StopReason::Forbidden,
                      static_cast<std::uint32_t>(ExitCause::WriteCr3)));
    EXPECT_EQ(guest.vcpu.cr3, good);
    EXPECT_EQ(guest.machine.root, good);
  }
}

TEST(WriteCr4, OnlyTheGuestsBitsReachTheProcessor) {
  FakeGuest guest;
  constexpr std::uint32_t kUmip = 1u << 11, kSmep = 1u << 20, kSmap = 1u << 21, kVmx = 1u << 13;
  guest.frame.eax =
      cr4::kGlobalPages | cr4::kFxsr | cr4::kLargePages | kUmip | kSmep | kSmap | kVmx;
  EXPECT_EQ(execute(guest, kMovCr4Eax).kind, Kind::Skip);
  ASSERT_TRUE(guest.machine.cr4.has_value());
  EXPECT_EQ(*guest.machine.cr4, cr4::kGlobalPages | cr4::kFxsr);
  (void)execute(guest, {0x0f, 0x20, 0xe3});  // mov ebx, cr4
  EXPECT_EQ(guest.frame.ebx, guest.frame.eax);
}

TEST(WriteCr4, BitsTheProcessorLacksFaultAndChangeNothing) {
  FakeGuest guest;
  guest.machine.refused_cr4 = cr4::kXsave;
  guest.frame.eax = cr4::kXsave | cr4::kFxsr;
  EXPECT_TRUE(raises(execute(guest, kMovCr4Eax), kProtection, 0));
  EXPECT_EQ(guest.vcpu.cr4, 0u);
  EXPECT_FALSE(guest.machine.cr4.has_value());
}

TEST(WriteCr4, PhysicalAddressExtensionEndsThePartition) {
  FakeGuest guest;
  guest.frame.eax = cr4::kPae | cr4::kLargePages;
  EXPECT_TRUE(stops(execute(guest, kMovCr4Eax), StopReason::Unsupported,
                    static_cast<std::uint32_t>(Unsupported::Pae)));
  EXPECT_FALSE(guest.machine.cr4.has_value());
}

TEST(WriteCr2, IsTheMachines) {
  FakeGuest guest;
  guest.frame.eax = 0xdeadbeef;
  EXPECT_EQ(execute(guest, kMovCr2Eax).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.cr2, 0xdeadbeefu);
}

TEST(InvalidatePage, TakesTheOperandsLinearAddressButNoneOfTheMonitors) {
  FakeGuest guest;
  guest.frame.eax = 0x12345678;
  EXPECT_EQ(execute(guest, {0x0f, 0x01, 0x38}).kind, Kind::Skip);  // invlpg [eax]
  guest.frame.eax = 0xffbfffff;
  (void)execute(guest, {0x0f, 0x01, 0x38});
  for (const std::uint32_t address : {0xffc00000u, 0xffe40000u, 0xffffffffu}) {
    guest.frame.eax = address;
    EXPECT_EQ(execute(guest, {0x0f, 0x01, 0x38}).kind, Kind::Skip);
  }
  EXPECT_EQ(guest.machine.invalidated, (std::vector<std::uint32_t>{0x12345678, 0xffbfffff}));
}

// ---- debug registers ----

TEST(DebugRegisters, NoBreakpointInTheMonitor) {
  FakeGuest guest;
  for (const unsigned number : {0u, 1u, 2u, 3u}) {
    const auto modrm = static_cast<std::uint8_t>(0xc0 | number << 3);
    guest.frame.eax = 0xffbffffc;
    EXPECT_EQ(execute(guest, {0x0f, 0x23, modrm}).kind, Kind::Skip);
    EXPECT_EQ(guest.machine.debug[number], 0xffbffffcu);
    for (const std::uint32_t address : {0xffc00000u, 0xffffffffu}) {
      guest.frame.eax = address;
      (void)execute(guest, {0x0f, 0x23, modrm});
      EXPECT_EQ(guest.machine.debug[number], 0u);
    }
  }
}

TEST(DebugRegisters, GeneralDetectStaysOff) {
  FakeGuest guest;
  for (const std::uint8_t modrm : {std::uint8_t{0xe8}, std::uint8_t{0xf8}}) {  // dr5, dr7
    guest.frame.eax = ~0u;
    (void)execute(guest, {0x0f, 0x23, modrm});
    EXPECT_EQ(guest.machine.debug[(modrm >> 3) & 7], ~0u & ~(1u << 13));
  }
}

TEST(DebugRegisters, ReadTheMachines) {
  FakeGuest guest;
  guest.machine.debug[6] = 0xffff4ff0;
  EXPECT_EQ(execute(guest, {0x0f, 0x21, 0xf3}).kind, Kind::Skip);  // mov ebx, dr6
  EXPECT_EQ(guest.frame.ebx, 0xffff4ff0u);
}

TEST(DebugRegisters, OldNamesAreInvalidWithDebuggingExtensions) {
  FakeGuest guest;
  guest.vcpu.cr4 = cr4::kDebugging;
  for (const std::uint8_t opcode : {std::uint8_t{0x21}, std::uint8_t{0x23}}) {
    EXPECT_TRUE(raises(execute(guest, {0x0f, opcode, 0xe0}), kInvalidOpcode, 0));  // dr4
    EXPECT_TRUE(raises(execute(guest, {0x0f, opcode, 0xe8}), kInvalidOpcode, 0));  // dr5
  }
  EXPECT_TRUE(guest.machine.debug.empty());
}

}  // namespace
}  // namespace mezzo::ia32
