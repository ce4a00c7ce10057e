// Delivery of exceptions and interrupts into a guest, against the manual's description of what the
// processor does (SDM volume 3, 6.12 to 6.15), with ring 1 in the place of the guest's ring 0.
#include "arch/ia32/deliver.hpp"

#include <gtest/gtest.h>

#include "support/fake_guest.hpp"

namespace mezzo::ia32 {
namespace {

using test::FakeGuest;
using Kind = Verdict::Kind;
using status::StopReason;

constexpr std::uint8_t kBreakpoint = 3, kInvalidOpcode = 6, kDoubleFault = 8, kNotPresent = 11,
                       kProtection = 13, kPageFault = 14, kDevice = 0x41;
constexpr std::uint32_t kInIdt = 2, kExternal = 1;  // error code bits

Verdict deliver_fault(FakeGuest& guest, std::uint8_t vector, std::uint32_t error_code = 0) {
  return deliver(guest.context, vector, false, error_code);
}
Verdict deliver_software(FakeGuest& guest, std::uint8_t vector) {
  return deliver(guest.context, vector, true, 0);
}
constexpr Gate kAbsentGate{0, 0x0e00};

TEST(Deliver, FaultInKernelPushesFlagsCsEipAndErrorCodeOnTheSameStack) {
  FakeGuest guest;
  guest.vcpu.idt_settled = true;
  guest.set_handler(kProtection);
  const std::uint32_t flags = guest.frame.eflags;
  EXPECT_EQ(deliver_fault(guest, kProtection, 0x1234).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop - 16);
  EXPECT_EQ(guest.frame.ss, test::kKernelData | 1u);
  EXPECT_EQ(guest.stacked(0), 0x1234u);
  EXPECT_EQ(guest.stacked(1), FakeGuest::kEip);
  EXPECT_EQ(guest.stacked(2), test::kKernelCode | 1u);
  EXPECT_EQ(guest.stacked(3), flags);
  EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + kProtection);
  EXPECT_EQ(guest.frame.cs, test::kKernelCode | 1u);
}

TEST(Deliver, EventsWithoutErrorCodePushNone) {
  FakeGuest guest;
  guest.vcpu.idt_settled = true;
  guest.set_handler(kDevice);
  EXPECT_EQ(deliver_fault(guest, kDevice).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop - 12);
  EXPECT_EQ(guest.stacked(0), FakeGuest::kEip);
}

TEST(Deliver, SoftwareInterruptsOfFaultVectorsPushNoErrorCode) {
  FakeGuest guest;
  guest.set_handler(kProtection);
  EXPECT_EQ(deliver_software(guest, kProtection).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop - 12);
}

TEST(Deliver, EveryVectorWithAnErrorCodePushesIt) {
  for (const unsigned vector : {8u, 10u, 11u, 12u, 13u, 14u, 17u, 21u}) {
    FakeGuest guest;
    guest.set_handler(vector);
    (void)deliver_fault(guest, static_cast<std::uint8_t>(vector), 0x55);
    EXPECT_EQ(guest.frame.esp, FakeGuest::kStackTop - 16) << vector;
    EXPECT_EQ(guest.stacked(0), 0x55u) << vector;
  }
}

TEST(Deliver, FromProcessSwitchesToTheStackOfTheGuestsTaskState) {
  FakeGuest guest;
  guest.set_handler(kPageFault);
  guest.in_process();
  guest.frame.esp = 0xbfff0000;
  const std::uint32_t flags = guest.frame.eflags;
  EXPECT_EQ(deliver_fault(guest, kPageFault, 4).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.ss, test::kKernelData | 1u);
  EXPECT_EQ(guest.frame.esp, FakeGuest::kEntryStackTop - 24);
  EXPECT_EQ(guest.frame.cs, test::kKernelCode | 1u);
  EXPECT_EQ(guest.stacked(0), 4u);
  EXPECT_EQ(guest.stacked(1), FakeGuest::kEip);
  EXPECT_EQ(guest.stacked(2), test::kUserCode | 3u);
  EXPECT_EQ(guest.stacked(3), flags);
  EXPECT_EQ(guest.stacked(4), 0xbfff0000u);
  EXPECT_EQ(guest.stacked(5), test::kUserData | 3u);
}

TEST(Deliver, UpperHalvesOfSegmentRegistersAreNotPushed) {
  FakeGuest guest;
  guest.vcpu.idt_settled = true;
  guest.set_handler(kPageFault);
  guest.in_process();
  guest.frame.cs |= 0xabcd0000;
  guest.frame.ss |= 0xabcd0000;
  (void)deliver_fault(guest, kPageFault, 4);
  EXPECT_EQ(guest.stacked(2), test::kUserCode | 3u);
  EXPECT_EQ(guest.stacked(5), test::kUserData | 3u);
}

TEST(Deliver, InterruptGatesCloseInterruptsAndTrapGatesLeaveThem) {
  for (const bool trap : {false, true}) {
    FakeGuest guest;
    Gate gate = interrupt_gate(test::kKernelCode, 0x1000, 0);
    if (trap) gate.high |= 1u << 8;
    guest.set_gate(kDevice, gate);
    (void)deliver_fault(guest, kDevice);
    EXPECT_EQ((guest.frame.eflags & eflags::kInterrupts) != 0, trap);
  }
}

TEST(Deliver, HandlersStartWithoutTrapNestedTaskAndResumeFlags) {
  FakeGuest guest;
  guest.set_handler(kDevice);
  guest.frame.eflags |= eflags::kTrap | eflags::kNestedTask | eflags::kResume | 0x8d5;
  const std::uint32_t pushed = guest.frame.eflags;
  (void)deliver_fault(guest, kDevice);
  EXPECT_EQ(guest.stacked(2), pushed);
  EXPECT_EQ(guest.frame.eflags, (pushed & ~(eflags::kTrap | eflags::kNestedTask | eflags::kResume |
                                            eflags::kInterrupts)));
}

TEST(Deliver, ConformingHandlerOfAProcessStaysInRing3OnItsStack) {
  FakeGuest guest;
  guest.machine.map(0xbffef000, 0x1000);
  guest.set_gate(kDevice, interrupt_gate(test::kConforming, 0x1000, 0));
  guest.in_process();
  guest.frame.esp = 0xbfff0000;
  EXPECT_EQ(deliver_fault(guest, kDevice).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.cs, test::kConforming | 3u);
  EXPECT_EQ(guest.frame.ss, test::kUserData | 3u);
  EXPECT_EQ(guest.frame.esp, 0xbfff0000u - 12);
}

TEST(Deliver, SixteenBitStacksWrapInTheirLow16BitsAndKeepTheRest) {
  FakeGuest guest;
  guest.set_handler(kDevice);
  guest.frame.ss = test::kStack16 | 1;
  guest.frame.esp = 0x12340004;
  EXPECT_EQ(deliver_fault(guest, kDevice).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.esp, 0x1234fff8u);
  EXPECT_EQ(guest.machine.get<std::uint32_t>(FakeGuest::kStack16Base), guest.frame.eflags | 0x200u);
  EXPECT_EQ(guest.machine.get<std::uint32_t>(FakeGuest::kStack16Base + 0xfff8), FakeGuest::kEip);
}

TEST(Deliver, FlatStackAtAddressZeroDoesNotReachTheMonitorsWindow) {
  FakeGuest guest;
  guest.set_handler(kDevice);
  guest.frame.esp = 0;  // the first push would be at 0xfffffffc
  const Verdict verdict = deliver_fault(guest, kDevice);
  EXPECT_EQ(verdict.kind, Kind::Stop);
  EXPECT_EQ(verdict.reason, StopReason::TripleFault);
}

TEST(Deliver, EarlyKernelFaultsShowThePrivilegeTheKernelBelievesIn) {
  FakeGuest guest;
  guest.set_handler(kProtection);
  guest.set_handler(kDevice);
  (void)deliver_fault(guest, kProtection, 0);
  EXPECT_EQ(guest.stacked(2), test::kKernelCode);
  guest.in_kernel();
  (void)deliver_fault(guest, kDevice);
  EXPECT_EQ(guest.stacked(1), test::kKernelCode | 1u) << "interrupts return without the monitor";
}

TEST(Deliver, FromVirtual8086ModePushesTheDataSegmentsBeyondTheStack) {
  FakeGuest guest;
  guest.set_handler(kPageFault);
  guest.in_process();
  guest.frame.eflags |= eflags::kVirtual8086;
  guest.frame.cs = 0x1000, guest.frame.ss = 0x2000, guest.frame.esp = 0x100;
  guest.stack.es = 0x3000, guest.stack.ds = 0x4000, guest.stack.fs = 0x5000,
  guest.stack.gs = 0xabcd6000;
  EXPECT_EQ(deliver_fault(guest, kPageFault, 4).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.esp, FakeGuest::kEntryStackTop - 40);
  EXPECT_EQ(guest.stacked(2), 0x1000u);
  EXPECT_NE(guest.stacked(3) & eflags::kVirtual8086, 0u);
  EXPECT_EQ(guest.stacked(4), 0x100u);
  EXPECT_EQ(guest.stacked(5), 0x2000u);
  EXPECT_EQ(guest.stacked(6), 0x3000u);
  EXPECT_EQ(guest.stacked(7), 0x4000u);
  EXPECT_EQ(guest.stacked(8), 0x5000u);
  EXPECT_EQ(guest.stacked(9), 0x6000u);
  EXPECT_EQ(guest.frame.eflags & eflags::kVirtual8086, 0u);
  EXPECT_EQ(guest.frame.cs, test::kKernelCode | 1u);
  EXPECT_EQ(guest.frame.ds, 0u);
  EXPECT_EQ(guest.frame.es, 0u);
  EXPECT_EQ(guest.machine.fs_selector, 0u);
}

// ---- what cannot be delivered ----

TEST(Deliver, BenignEventOfAnAbsentGateRaisesSegmentNotPresent) {
  FakeGuest guest;
  guest.set_handler(kNotPresent);
  guest.set_gate(kDevice, kAbsentGate);
  EXPECT_EQ(deliver_fault(guest, kDevice).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + kNotPresent);
  EXPECT_EQ(guest.stacked(0), kDevice * 8u + kInIdt + kExternal);
}

TEST(Deliver, SoftwareInterruptOfAnAbsentGateIsNoExternalEvent) {
  FakeGuest guest;
  guest.set_handler(kNotPresent);
  guest.set_gate(kDevice, kAbsentGate);
  (void)deliver_software(guest, kDevice);
  EXPECT_EQ(guest.stacked(0), kDevice * 8u + kInIdt);
}

TEST(Deliver, BenignEventBeyondTheTableRaisesGeneralProtection) {
  FakeGuest guest;
  guest.set_handler(kProtection);
  guest.set_handler(kDevice);
  guest.vcpu.idt.limit = kDevice * 8 + 6;  // one byte short
  EXPECT_EQ(deliver_fault(guest, kDevice).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + kProtection);
  EXPECT_EQ(guest.stacked(0), kDevice * 8u + kInIdt + kExternal);
}

TEST(Deliver, TheLastGateOfTheTableCounts) {
  FakeGuest guest;
  guest.set_handler(kDevice);
  guest.vcpu.idt.limit = kDevice * 8 + 7;
  (void)deliver_fault(guest, kDevice);
  EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + kDevice);
}

TEST(Deliver, GateOfNoSuchTypeRaisesGeneralProtection) {
  for (const std::uint32_t type : {0u, 2u, 4u, 9u, 12u, 0x1eu}) {
    FakeGuest guest;
    guest.set_handler(kProtection);
    Gate gate = interrupt_gate(test::kKernelCode, 0x1000, 0);
    gate.high = (gate.high & ~0x1f00u) | type << 8;
    guest.set_gate(kDevice, gate);
    (void)deliver_fault(guest, kDevice);
    EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + kProtection) << type;
  }
}

TEST(Deliver, ContributoryFaultThatCannotBeDeliveredBecomesADoubleFault) {
  for (const unsigned vector : {0u, 10u, 11u, 12u, 13u, 14u}) {
    FakeGuest guest;
    for (unsigned n = 0; n < 32; ++n) {
      if (n != vector) guest.set_handler(n);
    }
    EXPECT_EQ(deliver_fault(guest, static_cast<std::uint8_t>(vector), 0x77).kind, Kind::Resume);
    EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + kDoubleFault) << vector;
    EXPECT_EQ(guest.stacked(0), 0u) << "the error code of a double fault is 0";
  }
}

// A device's interrupt or INT n on such a vector is none of those exceptions.
TEST(Deliver, InterruptAtAnExceptionsVectorIsNotContributory) {
  for (const std::uint8_t vector : {std::uint8_t{0}, kDoubleFault, kNotPresent, kPageFault}) {
    FakeGuest guest;
    guest.set_handler(kProtection);
    EXPECT_EQ(deliver_software(guest, vector).kind, Kind::Resume);
    EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + kProtection) << int{vector};
  }
}

TEST(Deliver, DoubleFaultWithoutHandlerEndsThePartition) {
  FakeGuest guest;
  guest.machine.cr2 = 0xc2c2;
  for (const std::uint8_t vector : {kDoubleFault, kProtection, kInvalidOpcode}) {
    const Verdict verdict = deliver_fault(guest, vector);
    EXPECT_EQ(verdict.kind, Kind::Stop);
    EXPECT_EQ(verdict.reason, StopReason::TripleFault);
    EXPECT_EQ(verdict.detail[0], kDoubleFault);
    EXPECT_EQ(verdict.detail[1], FakeGuest::kEip);
    EXPECT_EQ(verdict.detail[2], 0xc2c2u);
  }
}

TEST(Deliver, EmptyInterruptTableIsHowAKernelAsksForAReset) {
  FakeGuest guest;
  guest.vcpu.idt = {0, 0};
  const Verdict verdict = deliver_software(guest, kBreakpoint);
  EXPECT_EQ(verdict.kind, Kind::Stop);
  EXPECT_EQ(verdict.reason, StopReason::Reset);
}

TEST(Deliver, HandlerSegmentMustBePresentCodeOfEnoughPrivilege) {
  struct Case {
    std::uint16_t selector;
    bool process;
  };
  for (const Case bad :
       {Case{0, false}, Case{3, false}, Case{test::kKernelData, false},
        Case{test::kAbsentCode, false}, Case{test::kUserCode, false}, Case{0xf8, false},
        Case{0x1000, false}, Case{0x1000, true}, Case{0x1018, true}, Case{0xfff8, true}}) {
    FakeGuest guest;
    if (bad.process) guest.in_process();
    guest.set_handler(kDoubleFault);
    guest.set_gate(kPageFault, interrupt_gate(bad.selector, 0x1000, 0));
    (void)deliver_fault(guest, kPageFault, 0);
    EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + kDoubleFault) << bad.selector;
  }
}

TEST(Deliver, BenignEventOfABadHandlerSegmentRaisesTheSegmentsFault) {
  for (const unsigned selector : {0u, unsigned{test::kKernelData}, unsigned{test::kUserCode},
                                  unsigned{test::kAbsentCode}, 0x1000u, 0x100u}) {
    const bool absent = selector == test::kAbsentCode;
    FakeGuest guest;
    guest.set_handler(kProtection);
    guest.set_handler(kNotPresent);
    guest.set_gate(kDevice, interrupt_gate(static_cast<std::uint16_t>(selector), 0x1000, 0));
    (void)deliver_fault(guest, kDevice);
    EXPECT_EQ(guest.frame.eip, FakeGuest::kHandler + (absent ? kNotPresent : kProtection))
        << selector;
    EXPECT_EQ(guest.stacked(0), selector | kExternal);
  }
}

TEST(Deliver, ProcessOfAGuestWithoutTaskStateCannotEnterItsKernel) {
  FakeGuest guest;
  guest.set_handler(kPageFault);
  guest.in_process();
  guest.vcpu.task_register = 0;
  EXPECT_EQ(deliver_fault(guest, kPageFault).reason, StopReason::TripleFault);
}

TEST(Deliver, TaskStateInTheMonitorsWindowIsNotRead) {
  FakeGuest guest;
  guest.set_handler(kPageFault);
  guest.in_process();
  guest.vcpu.task_state = {0xfffffff0, 103};  // ESP0 and SS0 would be at 0xfffffff4 and 0xfffffff8
  EXPECT_EQ(deliver_fault(guest, kPageFault).reason, StopReason::TripleFault);
}

TEST(Deliver, NoEventNeedsMoreThanThreeAttempts) {
  for (unsigned vector = 0; vector < 256; ++vector) {
    FakeGuest guest;
    guest.machine.unmap(FakeGuest::kIdt);
    EXPECT_EQ(deliver_fault(guest, static_cast<std::uint8_t>(vector)).kind, Kind::Stop);
    EXPECT_LE(guest.machine.accesses, 3u) << vector;
  }
}

}  // namespace
}  // namespace mezzo::ia32
