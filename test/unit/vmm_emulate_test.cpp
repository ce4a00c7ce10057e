// The privileged instructions a guest kernel executes in ring 1, each against the manual's
// description of it in ring 0 (SDM volume 2), from encodings through the decoder; and what of them
// a process gets: its kernel's #GP.
#include "arch/ia32/emulate.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "support/fake_guest.hpp"

namespace mezzo::ia32 {
namespace {

using test::FakeGuest;
using test::FakeMachine;
using Kind = Verdict::Kind;
using status::ExitCause;
using status::StopReason;
using Code = std::vector<std::uint8_t>;

constexpr std::uint8_t kInvalidOpcode = 6, kNotPresent = 11, kStackFault = 12, kProtection = 13,
                       kPageFault = 14;
constexpr std::uint32_t kData = 0x9100;

Verdict execute(FakeGuest& guest, const Code& code, std::uint32_t error_code = 0) {
  return emulate(guest.context, test::decoded(code), error_code);
}
Verdict execute16(FakeGuest& guest, const Code& code) {
  return emulate(guest.context, test::decoded(code, false), 0);
}
testing::AssertionResult raises(const Verdict& verdict, std::uint8_t vector, std::uint32_t error) {
  if (verdict.kind == Kind::Inject && verdict.vector == vector && verdict.error_code == error &&
      !verdict.software) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "kind " << static_cast<int>(verdict.kind) << ", vector "
                                     << int{verdict.vector} << ", error " << verdict.error_code;
}
testing::AssertionResult stops(const Verdict& verdict, StopReason reason, std::uint32_t detail) {
  if (verdict.kind == Kind::Stop && verdict.reason == reason && verdict.detail[0] == detail) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << "kind " << static_cast<int>(verdict.kind) << ", reason "
         << static_cast<unsigned>(verdict.reason) << ", detail " << verdict.detail[0];
}

const Code kMovCr0Eax{0x0f, 0x22, 0xc0}, kMovCr2Eax{0x0f, 0x22, 0xd0}, kMovCr3Eax{0x0f, 0x22, 0xd8},
    kMovCr4Eax{0x0f, 0x22, 0xe0}, kLmswEax{0x0f, 0x01, 0xf0};

// ---- control registers ----

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

// ---- segment loads ----

TEST(LoadStackSegment, WithTheKernelsOwnPrivilegeIsLoadedWithRing1) {
  FakeGuest guest;
  guest.frame.eax = 0xffff0000u | test::kKernelData;
  EXPECT_EQ(execute(guest, {0x8e, 0xd0}).kind, Kind::Skip);  // mov ss, ax
  EXPECT_EQ(guest.frame.ss, test::kKernelData | 1u);
  guest.frame.eax = test::kStack16;
  EXPECT_EQ(execute(guest, {0x8e, 0xd0}).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.ss, test::kStack16 | 1u);
}

TEST(LoadStackSegment, RefusesWhatTheManualRefuses) {
  for (const unsigned selector :
       {0u, unsigned{test::kKernelCode}, unsigned{test::kUserData}, unsigned{test::kReadOnlyData},
        unsigned{test::kTask}, unsigned{test::kConforming}, test::kKernelData | 2u, 0x100u, 0x1008u,
        0x1020u, 4u}) {
    FakeGuest guest;
    guest.frame.eax = selector;
    EXPECT_TRUE(raises(execute(guest, {0x8e, 0xd0}), kProtection, selector & 0xfffc)) << selector;
    EXPECT_EQ(guest.frame.ss, test::kKernelData | 1u);
  }
  FakeGuest guest;
  guest.frame.eax = test::kAbsentData;
  EXPECT_TRUE(raises(execute(guest, {0x8e, 0xd0}), kStackFault, test::kAbsentData));
}

TEST(LoadStackSegment, OtherSegmentsLoadsAreTheGuestsOwnFault) {
  for (const std::uint8_t modrm : {std::uint8_t{0xc0}, std::uint8_t{0xd8}, std::uint8_t{0xe0}}) {
    FakeGuest guest;
    guest.frame.eax = 0x1008;
    EXPECT_TRUE(raises(execute(guest, {0x8e, modrm}), kProtection, 0x1008));
  }
}

TEST(PopStackSegment, PopsAsManyBytesAsTheOperandHas) {
  FakeGuest guest;
  guest.push(test::kKernelData);
  EXPECT_EQ(execute(guest, {0x17}).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop);
  guest.push(test::kKernelData);
  EXPECT_EQ(execute(guest, {0x66, 0x17}).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop - 2);
}

TEST(PopStackSegment, SixteenBitStacksWrapInTheirLow16Bits) {
  FakeGuest guest;
  guest.frame.ss = test::kStack16 | 1;
  guest.frame.esp = 0x5678fffc;
  guest.machine.put(FakeGuest::kStack16Base + 0xfffc, std::uint32_t{test::kKernelData});
  EXPECT_EQ(execute(guest, {0x17}).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.esp, 0x56780000u);
}

TEST(LoadFarPointer, StackSegmentAndPointerComeTogetherOrNotAtAll) {
  FakeGuest guest;
  const Code lss{0x0f, 0xb2, 0x1d, 0x00, 0x91, 0x00, 0x00};  // lss ebx, [0x9100]
  guest.machine.put(kData, 0xcafebabeu);
  guest.machine.put(kData + 4, std::uint16_t{test::kStack16});
  guest.frame.ebx = 0;
  EXPECT_EQ(execute(guest, lss).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.ebx, 0xcafebabeu);
  EXPECT_EQ(guest.frame.ss, test::kStack16 | 1u);
  guest.machine.put(kData, 0u);
  guest.machine.put(kData + 4, std::uint16_t{test::kUserData});
  EXPECT_TRUE(raises(execute(guest, lss), kProtection, test::kUserData));
  EXPECT_EQ(guest.frame.ebx, 0xcafebabeu);
  EXPECT_EQ(guest.frame.ss, test::kStack16 | 1u);
}

TEST(LoadFarPointer, UsesWhatItHasCheckedWhenMemoryChanges) {
  FakeGuest guest;
  guest.machine.put(kData, 0x1000u);
  guest.machine.put(kData + 4, std::uint16_t{test::kKernelData});
  guest.machine.after_read = [](FakeMachine& machine) {
    machine.put(kData + 4, std::uint16_t{0x1008});
  };
  EXPECT_EQ(execute(guest, {0x0f, 0xb2, 0x25, 0x00, 0x91, 0x00, 0x00}).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.ss, test::kKernelData | 1u);
  EXPECT_EQ(guest.frame.esp, 0x1000u);
}

// ---- returns ----

TEST(FarReturn, ToTheKernelGoesToRing1AndReleasesTheStack) {
  FakeGuest guest;
  guest.push(0xffff0000u | test::kKernelCode);
  guest.push(0xc0de);
  EXPECT_EQ(execute(guest, {0xca, 0x10, 0x00}).kind, Kind::Resume);  // retf 16
  EXPECT_EQ(guest.frame.cs, test::kKernelCode | 1u);
  EXPECT_EQ(guest.frame.eip, 0xc0deu);
  EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop + 16);
}

TEST(FarReturn, EndsTheFaultThatBroughtItHere) {
  FakeGuest guest;
  guest.frame.eflags |= eflags::kResume;
  guest.push(test::kKernelCode);
  guest.push(0xc0de);
  (void)execute(guest, {0xcb});
  EXPECT_EQ(guest.frame.eflags & eflags::kResume, 0u) << "breakpoints on the next instruction hit";
}

TEST(FarReturn, RefusesWhatTheManualRefuses) {
  for (const unsigned selector :
       {0u, unsigned{test::kKernelData}, unsigned{test::kAbsentCode}, unsigned{test::kUserCode},
        test::kKernelCode | 2u, 0x1000u, 0x100u}) {
    FakeGuest guest;
    guest.push(selector);
    guest.push(0xc0de);
    const Verdict verdict = execute(guest, {0xcb});
    const bool absent = selector == test::kAbsentCode;
    EXPECT_TRUE(raises(verdict, absent ? kNotPresent : kProtection, selector & 0xfffc)) << selector;
    EXPECT_EQ(guest.frame.eip, FakeGuest::kEip);
    EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop - 8);
  }
}

TEST(InterruptReturn, ToTheKernelLoadsFlagsButNotItsPrivilegeOverPorts) {
  for (const std::uint32_t flags : {0u, 0x3202u, 0x202u, ~0u}) {
    FakeGuest guest;
    guest.push(flags);
    guest.push(test::kKernelCode);
    guest.push(0xc0de);
    EXPECT_EQ(execute(guest, {0xcf}).kind, Kind::Resume);
    EXPECT_EQ(guest.frame.eip, 0xc0deu);
    EXPECT_EQ(guest.frame.cs, test::kKernelCode | 1u);
    EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop);
    EXPECT_EQ(guest.frame.eflags & eflags::kIopl, eflags::kIopl1);
    EXPECT_EQ(guest.frame.eflags & eflags::kVirtual8086, 0u);
    EXPECT_EQ(guest.frame.eflags & eflags::kInterrupts, flags & eflags::kInterrupts);
    EXPECT_NE(guest.frame.eflags & eflags::kAlwaysSet, 0u);
  }
}

TEST(InterruptReturn, OnA16BitStackWrapsItsLow16Bits) {
  FakeGuest guest;
  guest.frame.ss = test::kStack16 | 1;
  guest.frame.esp = 0x5678fff4;
  guest.machine.put(FakeGuest::kStack16Base + 0xfff4,
                    std::array<std::uint32_t, 3>{0xc0de, test::kKernelCode, 0x202});
  EXPECT_EQ(execute(guest, {0xcf}).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.eip, 0xc0deu);
  EXPECT_EQ(guest.frame.esp, 0x56780000u);
}

TEST(InterruptReturn, RefusesNestedTasksAndForeignSegments) {
  FakeGuest guest;
  guest.push(0x202);
  guest.push(0x1000);
  guest.push(0xc0de);
  EXPECT_TRUE(raises(execute(guest, {0xcf}), kProtection, 0x1000));
  guest.machine.put(guest.frame.esp + 4, std::uint32_t{test::kKernelCode});
  guest.frame.eflags |= eflags::kNestedTask;
  EXPECT_TRUE(raises(execute(guest, {0xcf}), kProtection, 0));
  EXPECT_EQ(guest.frame.eip, FakeGuest::kEip);
}

TEST(InterruptReturn, StackThatCannotBeReadFaults) {
  FakeGuest guest;
  for (const std::uint32_t esp :
       {0x77777777u, 0xffbffff8u, 0xfffffff8u, FakeGuest::kStackTop - 8}) {
    guest.frame.esp = esp;
    const auto fault = esp >= plan::kMonitorWindow ? kProtection : kPageFault;
    EXPECT_TRUE(raises(execute(guest, {0xcf}), fault, 0)) << esp;
    EXPECT_EQ(guest.frame.esp, esp);
  }
  guest.frame.esp =
      FakeGuest::kStackTop - 8;  // the first words are there, the rest is a page further
  (void)execute(guest, {0xcf});
  EXPECT_EQ(guest.machine.read_cr2(), FakeGuest::kStackTop);
}

// ---- INT n ----

TEST(SoftwareInterrupt, OfAGateTheKernelMayUseIsDeliveredBehindTheInstruction) {
  FakeGuest guest;
  guest.set_handler(0x80, 0);
  guest.frame.eflags |= eflags::kResume;
  const Verdict verdict = execute(guest, {0xcd, 0x80}, 0x80 * 8 + 2);
  EXPECT_EQ(verdict.kind, Kind::Inject);
  EXPECT_TRUE(verdict.software);
  EXPECT_EQ(verdict.vector, 0x80);
  EXPECT_EQ(guest.frame.eip, FakeGuest::kEip + 2);
  EXPECT_EQ(guest.frame.eflags & eflags::kResume, 0u) << "that was the #GP's";
}

TEST(SoftwareInterrupt, OfAProcessNeedsAGateOfRing3) {
  for (const std::uint8_t dpl : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{3}}) {
    FakeGuest guest;
    guest.in_process();
    guest.set_handler(0x80, dpl);
    const Verdict verdict = execute(guest, {0xcd, 0x80}, 0x80 * 8 + 2);
    if (dpl == 3) {
      EXPECT_TRUE(verdict.software);
    } else {
      EXPECT_TRUE(raises(verdict, kProtection, 0x80 * 8 + 2));
      EXPECT_EQ(guest.frame.eip, FakeGuest::kEip);
    }
  }
}

// SDM volume 3, 20.2.7: whatever the gate, if IOPL is less than 3; else the gate's privilege.
TEST(SoftwareInterrupt, OfVirtual8086ModeNeedsIopl3) {
  for (const std::uint8_t dpl : {std::uint8_t{0}, std::uint8_t{3}}) {
    FakeGuest guest;
    guest.in_process();
    guest.set_handler(0x21, dpl);
    guest.frame.eflags |= eflags::kVirtual8086;
    EXPECT_TRUE(raises(execute(guest, {0xcd, 0x21}, 0), kProtection, 0));
    EXPECT_EQ(guest.frame.eip, FakeGuest::kEip);
    guest.frame.eflags |= eflags::kIopl;
    const Verdict verdict = execute(guest, {0xcd, 0x21}, 0x21 * 8 + 2);
    EXPECT_EQ(verdict.software, dpl == 3);
    if (dpl != 3) EXPECT_TRUE(raises(verdict, kProtection, 0x21 * 8 + 2));
  }
}

TEST(SoftwareInterrupt, OfAnAbsentGateIsAFaultAtTheInstruction) {
  FakeGuest guest;
  guest.set_gate(0x80, {std::uint32_t{test::kKernelCode} << 16, 0x6e00});
  EXPECT_TRUE(raises(execute(guest, {0xcd, 0x80}, 0x80 * 8 + 2), kNotPresent, 0x80 * 8 + 2));
  guest.set_gate(0x80, {});
  EXPECT_TRUE(raises(execute(guest, {0xcd, 0x80}, 0x80 * 8 + 2), kProtection, 0x80 * 8 + 2));
  guest.vcpu.idt.limit = 0x80 * 8 + 6;
  guest.set_handler(0x80, 3);
  EXPECT_TRUE(raises(execute(guest, {0xcd, 0x80}, 0x80 * 8 + 2), kProtection, 0x80 * 8 + 2));
  EXPECT_EQ(guest.frame.eip, FakeGuest::kEip);
}

// ---- ports of a process ----

struct Ports : testing::Test {
  FakeGuest guest;
  static constexpr std::uint32_t kMap = 104;

  void SetUp() override {
    guest.in_process();
    set_map(kMap, 0xff);
    guest.frame.eax = 0x11223344;
  }
  void set_map(std::uint16_t offset, std::uint8_t last_byte) {
    guest.machine.map(0x50000, 0x13000);
    guest.vcpu.task_state = {0x50000, kMap + 0x2000};
    guest.machine.put(0x50000 + 102, offset);
    for (std::uint32_t n = 0; n < 0x2000; ++n) guest.machine.put(0x50000 + offset + n, last_byte);
  }
  void allow(std::uint32_t port) {
    const std::uint32_t at = 0x50000 + kMap + port / 8;
    guest.machine.put(
        at, static_cast<std::uint8_t>(guest.machine.get<std::uint8_t>(at) & ~(1u << port % 8)));
  }
  Verdict out_dx(std::uint32_t port, unsigned bytes) {
    guest.frame.edx = 0xffff0000 | port;
    return execute(guest, bytes == 1 ? Code{0xee} : bytes == 2 ? Code{0x66, 0xef} : Code{0xef});
  }
};

TEST_F(Ports, AreClosedUnlessTheBitmapOpensThem) {
  EXPECT_TRUE(raises(out_dx(0x3f8, 1), kProtection, 0));
  allow(0x3f8);
  EXPECT_EQ(out_dx(0x3f8, 1).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.port_writes, (std::vector<FakeMachine::PortAccess>{{0x3f8, 1, 0x44}}));
  EXPECT_TRUE(raises(out_dx(0x3f7, 1), kProtection, 0));
  EXPECT_TRUE(raises(out_dx(0x3f9, 1), kProtection, 0));
}

TEST_F(Ports, WideAccessesNeedEveryBit) {
  for (const std::uint32_t first : {0x1f0u, 0x1f7u, 0x1f5u}) {
    for (const unsigned bytes : {2u, 4u}) {
      for (std::uint32_t missing = 0; missing < bytes; ++missing) {
        set_map(kMap, 0xff);
        for (std::uint32_t n = 0; n < bytes; ++n) {
          if (n != missing) allow(first + n);
        }
        EXPECT_TRUE(raises(out_dx(first, bytes), kProtection, 0)) << first << " " << missing;
        allow(first + missing);
        EXPECT_EQ(out_dx(first, bytes).kind, Kind::Skip) << first;
      }
    }
  }
}

TEST_F(Ports, InputChangesOnlyAsManyBytesAsItReads) {
  allow(0x60), allow(0x61), allow(0x62), allow(0x63);
  guest.machine.ports[0x60] = 0xaabbccdd;
  EXPECT_EQ(execute(guest, {0xe4, 0x60}).kind, Kind::Skip);  // in al, 0x60
  EXPECT_EQ(guest.frame.eax, 0x112233ddu);
  (void)execute(guest, {0x66, 0xe5, 0x60});
  EXPECT_EQ(guest.frame.eax, 0x1122ccddu);
  (void)execute(guest, {0xe5, 0x60});
  EXPECT_EQ(guest.frame.eax, 0xaabbccddu);
  EXPECT_EQ(guest.machine.port_reads,
            (std::vector<FakeMachine::PortAccess>{{0x60, 1, 0}, {0x60, 2, 0}, {0x60, 4, 0}}));
}

// The processor reads two bytes of the bitmap for every access.
TEST_F(Ports, BitmapEndsWithTheTaskState) {
  allow(0x100);
  guest.vcpu.task_state.limit = kMap + 0x100 / 8 + 1;
  EXPECT_EQ(out_dx(0x100, 1).kind, Kind::Skip);
  --guest.vcpu.task_state.limit;
  EXPECT_TRUE(raises(out_dx(0x100, 1), kProtection, 0));
}

TEST_F(Ports, BitmapBeyondTheLimitOpensNothing) {
  set_map(0xffff, 0);
  for (const std::uint32_t port : {0u, 7u, 0x3f8u, 0xffffu}) {
    EXPECT_TRUE(raises(out_dx(port, 1), kProtection, 0)) << port;
  }
  guest.vcpu.task_state.limit = ~0u;
  EXPECT_EQ(out_dx(0xffff, 1).kind, Kind::Skip) << "the last bit there can be";
}

TEST_F(Ports, WithoutTaskStateThereAreNone) {
  set_map(kMap, 0);
  EXPECT_EQ(out_dx(0x3f8, 1).kind, Kind::Skip);
  guest.vcpu.task_register = 0;
  EXPECT_TRUE(raises(out_dx(0x3f8, 1), kProtection, 0));
  guest.vcpu.task_register = test::kTask;
  guest.vcpu.task_state.base = 0x77770000;  // unmapped
  EXPECT_TRUE(raises(out_dx(0x3f8, 1), kProtection, 0));
  guest.vcpu.task_state.base = 0xffffff90;  // io_map_base would be at 0xfffffff6
  EXPECT_TRUE(raises(out_dx(0x3f8, 1), kProtection, 0));
}

TEST_F(Ports, StringInstructionsAreReflected) {
  set_map(kMap, 0);
  EXPECT_TRUE(raises(execute(guest, {0x6e}, 0), kProtection, 0));
  EXPECT_TRUE(guest.machine.port_writes.empty());
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
