// What leads to other code, stacks or ports than a guest kernel in ring 1 is given by the
// processor: loads of SS, far returns, IRET, INT n and the ports of processes, against the manual
// (SDM volume 2), from encodings through the decoder.
#include "arch/ia32/emulate.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "support/execute.hpp"

namespace mezzo::ia32 {
namespace {

using test::Code;
using test::execute;
using test::FakeGuest;
using test::FakeMachine;
using test::kNotPresent;
using test::kPageFault;
using test::kProtection;
using test::kStackFault;
using test::raises;
using Kind = Verdict::Kind;

constexpr std::uint32_t kData = 0x9100;

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

// Of the bus nothing is touched.
TEST_F(Ports, TheWatchdogsIsTheMonitors) {
  EXPECT_TRUE(raises(out_dx(hypercall::kWatchdogPort, 1), kProtection, 0));
  EXPECT_EQ(guest.machine.kicks, 0u) << "its kernel has not allowed it";
  allow(hypercall::kWatchdogPort);
  EXPECT_EQ(out_dx(hypercall::kWatchdogPort, 1).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.kicks, 1u);
  EXPECT_TRUE(guest.machine.port_writes.empty());
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

}  // namespace
}  // namespace mezzo::ia32
