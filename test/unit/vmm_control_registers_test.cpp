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

TEST(PushedFlags, AreBelievedIfAGuestCanHaveThem) {
  using namespace eflags;
  for (const std::uint32_t flags :
       {0x1002u, 0x1202u, 0x1ad7u | kTrap, 0x1002u | kNestedTask | kResume}) {
    EXPECT_EQ(possible(flags), flags);
  }
  // Bits that are never set, IOPL, virtual-8086 mode, and the one bit that always is set.
  for (const std::uint32_t flags : {0xc12e3a42u, 0x3342u, 0x21102u, 0x1100u}) {
    EXPECT_EQ(possible(flags) & ~(kArithmetic | kInterrupts), kAlwaysSet | kIopl1) << flags;
    EXPECT_EQ(possible(flags) & (kArithmetic | kInterrupts), flags & (kArithmetic | kInterrupts));
  }
}

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

// ---- PAE ----

// A guest with paging on, and a root of either kind at 0x5000.
struct PagingGuest : FakeGuest {
  explicit PagingGuest(std::uint32_t cr4 = 0) {
    vcpu.cr0 |= cr0::kPaging;
    vcpu.cr3 = 0x5000;
    vcpu.cr4 = cr4;
  }
  Verdict load(const Code& code, std::uint32_t value) {
    frame.eax = value;
    return execute(*this, code);
  }
};

TEST(Pae, TheRootIsATableOfPointersOncePagingIsOn) {
  FakeGuest guest;
  guest.frame.eax = cr4::kPae;
  EXPECT_EQ(execute(guest, kMovCr4Eax).kind, Kind::Skip);
  EXPECT_FALSE(guest.machine.root.has_value());
  guest.frame.eax = 0x00200028;
  EXPECT_EQ(execute(guest, kMovCr3Eax).kind, Kind::Skip);
  guest.frame.eax = cr0::kProtection | cr0::kPaging;
  EXPECT_EQ(execute(guest, kMovCr0Eax).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.root, 0x00200028u);
  EXPECT_EQ(guest.machine.root_kind, RootKind::Pointers);
}

TEST(Pae, IsSwitchedWhilePagingIsOn) {
  PagingGuest guest;
  EXPECT_EQ(guest.load(kMovCr4Eax, cr4::kPae).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.root, 0x5000u);
  EXPECT_EQ(guest.machine.root_kind, RootKind::Pointers);
  EXPECT_EQ(guest.load(kMovCr3Eax, 0x6020).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.root_kind, RootKind::Pointers);
  EXPECT_EQ(guest.load(kMovCr4Eax, 0).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.root, 0x6020u);
  EXPECT_EQ(guest.machine.root_kind, RootKind::Directory);
  EXPECT_EQ(guest.vcpu.cr4, 0u);
}

TEST(Pae, PointersWithReservedBitsFaultAndChangeNothing) {
  PagingGuest guest(cr4::kPae);
  guest.machine.reserved_bits = {0x5000, 0x7000};
  EXPECT_TRUE(raises(guest.load(kMovCr3Eax, 0x7000), kProtection, 0));
  EXPECT_EQ(guest.vcpu.cr3, 0x5000u);
  EXPECT_TRUE(raises(guest.load(kMovCr4Eax, cr4::kPae | cr4::kGlobalPages), kProtection, 0));
  EXPECT_EQ(guest.vcpu.cr4, cr4::kPae);
  EXPECT_EQ(guest.machine.cr4, cr4::kPae) << "put back";
  guest.vcpu.cr0 &= ~cr0::kPaging;
  EXPECT_TRUE(raises(guest.load(kMovCr0Eax, cr0::kProtection | cr0::kPaging), kProtection, 0));
  EXPECT_FALSE(guest.vcpu.paging());
  EXPECT_EQ(guest.machine.root_loads, 0u);
}

TEST(Pae, ARootOutsideThePartitionEndsItAtEachKindOfLoad) {
  const auto forbidden = [](const Verdict& verdict, ExitCause cause) {
    return stops(verdict, StopReason::Forbidden, static_cast<std::uint32_t>(cause));
  };
  PagingGuest guest;
  guest.vcpu.cr3 = guest.machine.partition_end;
  EXPECT_TRUE(forbidden(guest.load(kMovCr4Eax, cr4::kPae), ExitCause::WriteCr4));
  guest.vcpu.cr4 = cr4::kPae;
  EXPECT_TRUE(forbidden(guest.load(kMovCr3Eax, guest.vcpu.cr3), ExitCause::WriteCr3));
}

// SDM volume 3, 4.4.1.
TEST(Pae, PointersAreReadAgainByTheLoadsThatTheManualNames) {
  PagingGuest guest(cr4::kPae);
  const std::uint32_t on = guest.vcpu.cr0 | cr0::kExtensionType;
  auto loads = [&, before = 0u](const Code& code, std::uint32_t value) mutable {
    EXPECT_EQ(guest.load(code, value).kind, Kind::Skip);
    return guest.machine.root_loads - std::exchange(before, guest.machine.root_loads);
  };
  for (const std::uint32_t bit : {cr4::kGlobalPages, cr4::kLargePages, 1u << 20}) {
    EXPECT_EQ(loads(kMovCr4Eax, cr4::kPae | bit), 1u) << bit;
    EXPECT_EQ(loads(kMovCr4Eax, cr4::kPae), 1u) << bit;
  }
  EXPECT_EQ(loads(kMovCr4Eax, cr4::kPae | cr4::kFxsr), 0u);
  EXPECT_EQ(loads(kMovCr0Eax, on | cr0::kCacheDisable), 1u);
  EXPECT_EQ(loads(kMovCr0Eax, on | cr0::kCacheDisable | cr0::kNotWriteThrough), 1u);
  EXPECT_EQ(loads(kMovCr0Eax, on), 1u);
  EXPECT_EQ(loads(kMovCr0Eax, on | cr0::kTaskSwitched), 0u);

  PagingGuest two_levels;
  EXPECT_EQ(two_levels.load(kMovCr4Eax, cr4::kGlobalPages).kind, Kind::Skip);
  EXPECT_EQ(two_levels.load(kMovCr0Eax, on | cr0::kCacheDisable).kind, Kind::Skip);
  EXPECT_EQ(two_levels.machine.root_loads, 0u);
}

TEST(Pae, AProcessorWithoutItFaults) {
  PagingGuest guest;
  guest.machine.refused_cr4 = cr4::kPae;
  EXPECT_TRUE(raises(guest.load(kMovCr4Eax, cr4::kPae), kProtection, 0));
  EXPECT_FALSE(guest.machine.root.has_value());
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
