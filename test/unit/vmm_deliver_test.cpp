// Delivery of exceptions and interrupts into a guest, against the manual's description of what the
// processor does (SDM volume 3, 6.12 to 6.15 and 7.3), with ring 1 in the place of the guest's ring
// 0.
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
// A task state at `linear` that starts the kernel's code on a stack of its own.
void put_task(FakeGuest& guest, std::uint32_t linear, TaskState state = {}) {
  guest.machine.put(linear, state);
}
TaskState kernel_task() {
  TaskState state{};
  state.cr3 = 0x00300000;
  state.eip = 0xc0de0000;
  state.esp = 0xdead0000;
  state.eflags = eflags::kAlwaysSet;
  state.cs = test::kKernelCode;
  state.ss = state.ds = state.es = test::kKernelData;
  state.fs = test::kUserData | 3, state.gs = test::kUserData | 3;
  state.eax = 1, state.ecx = 2, state.edx = 3, state.ebx = 4, state.ebp = 5, state.esi = 6;
  state.edi = 7;
  return state;
}
constexpr Gate kAbsentGate{0, 0x0e00};
Gate task_gate(std::uint16_t selector) { return {std::uint32_t{selector} << 16, 0x8500}; }

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

TEST(Deliver, UnwritableStackLeavesTheInterruptedContextToTheDoubleFault) {
  FakeGuest guest;
  guest.set_handler(kDevice);
  guest.machine.write_protect(FakeGuest::kStackTop - 4);
  put_task(guest, FakeGuest::kOtherTaskState, kernel_task());
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDevice).kind, Kind::Resume);
  const auto old = guest.machine.get<TaskState>(FakeGuest::kTaskState);
  EXPECT_EQ(old.eip, FakeGuest::kEip);
  EXPECT_EQ(old.esp, FakeGuest::kStackTop);
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

// ---- task gates ----

TEST(TaskSwitch, LoadsTheNewTaskAndKeepsTheOldInItsSegment) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  guest.vcpu.cr3 = 0x00200000;
  put_task(guest, FakeGuest::kOtherTaskState, kernel_task());
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  guest.frame.eax = 0xa, guest.frame.ecx = 0xc, guest.frame.edi = 0xd;
  guest.machine.fs_selector = test::kUserData | 3;
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).kind, Kind::Resume);

  const TaskState wanted = kernel_task();
  const Frame& f = guest.frame;
  EXPECT_EQ(f.eip, wanted.eip);
  EXPECT_EQ(f.esp, wanted.esp);
  EXPECT_EQ(f.cs, test::kKernelCode | 1u);
  EXPECT_EQ(f.ss, test::kKernelData | 1u);
  EXPECT_EQ((std::array{f.eax, f.ecx, f.edx, f.ebx, f.ebp, f.esi, f.edi}),
            (std::array{1u, 2u, 3u, 4u, 5u, 6u, 7u}));
  EXPECT_EQ(f.eflags & eflags::kIopl, eflags::kIopl1);
  EXPECT_NE(f.eflags & eflags::kNestedTask, 0u);
  EXPECT_EQ(guest.machine.fs_selector, test::kUserData | 3u);
  EXPECT_EQ(guest.machine.root, wanted.cr3);
  EXPECT_EQ(guest.vcpu.cr3, wanted.cr3);
  EXPECT_EQ(guest.vcpu.task_register, test::kOtherTask);
  EXPECT_EQ(guest.vcpu.task_state.base, FakeGuest::kOtherTaskState);
  EXPECT_EQ(guest.vcpu.task_state.limit, 103u);
  ASSERT_TRUE(guest.machine.cr0.has_value());
  EXPECT_NE(*guest.machine.cr0 & cr0::kTaskSwitched, 0u);

  const auto old = guest.machine.get<TaskState>(FakeGuest::kTaskState);
  EXPECT_EQ(old.eip, FakeGuest::kEip);
  EXPECT_EQ(old.esp, FakeGuest::kStackTop);
  EXPECT_EQ(old.eax, 0xau);
  EXPECT_EQ(old.ecx, 0xcu);
  EXPECT_EQ(old.edi, 0xdu);
  EXPECT_EQ(old.fs, test::kUserData | 3u);
  EXPECT_EQ(old.esp0, FakeGuest::kEntryStackTop) << "static fields are not saved";
  EXPECT_EQ(guest.machine.get<std::uint32_t>(FakeGuest::kOtherTaskState), test::kTask);
}

TEST(TaskSwitch, ANewTaskIsBusySoThatItIsNotEnteredTwice) {
  FakeGuest guest;
  put_task(guest, FakeGuest::kOtherTaskState, kernel_task());
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).kind, Kind::Resume);
  EXPECT_TRUE(guest.descriptor(test::kOtherTask).is(SystemType::Tss32Busy));
  EXPECT_TRUE(guest.descriptor(test::kTask).is(SystemType::Tss32Busy)) << "it is nested";
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).reason, StopReason::TripleFault);
}

TEST(TaskSwitch, OnlyToAPresentAvailableTaskStateOfTheGdt) {
  for (const unsigned selector :
       {0u, 0x1000u, 0x1010u, unsigned{test::kTask}, unsigned{test::kKernelData},
        unsigned{test::kLdt}, unsigned{test::kAbsentTask}, unsigned{test::kOtherTask} | 4}) {
    FakeGuest guest;
    guest.machine.map(0, 0x1000);
    put_task(guest, FakeGuest::kOtherTaskState, kernel_task());
    guest.vcpu.ldt_register = test::kLdt;
    guest.vcpu.ldt = {FakeGuest::kLocalTable, 0xff};
    guest.machine.put(FakeGuest::kLocalTable + test::kOtherTask,
                      tss(FakeGuest::kOtherTaskState, 103));
    guest.set_gate(kDoubleFault, task_gate(static_cast<std::uint16_t>(selector)));
    const Frame before = guest.frame;
    EXPECT_EQ(deliver_fault(guest, kDoubleFault).reason, StopReason::TripleFault) << selector;
    EXPECT_EQ(guest.vcpu.task_register, test::kTask) << selector;
    EXPECT_EQ(guest.frame.eip, before.eip) << selector;
  }
}

TEST(TaskSwitch, TaskStateShorterThanTheManualAllowsIsRefused) {
  FakeGuest guest;
  put_task(guest, FakeGuest::kOtherTaskState, kernel_task());
  guest.set_descriptor(test::kOtherTask, tss(FakeGuest::kOtherTaskState, 102));
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).reason, StopReason::TripleFault);
}

// With a null code selector the monitor's own IRET would fault as if it returned to ring 0.
TEST(TaskSwitch, CodeSegmentMustBeUsableByTheKernelOrAProcess) {
  for (const std::uint32_t cs : {0u, 1u, 3u, 0x10000u, std::uint32_t{test::kKernelData},
                                 std::uint32_t{test::kAbsentCode}, 0x1000u, 0x1003u, 0xfff8u}) {
    FakeGuest guest;
    TaskState state = kernel_task();
    state.cs = cs;
    put_task(guest, FakeGuest::kOtherTaskState, state);
    guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
    EXPECT_EQ(deliver_fault(guest, kDoubleFault).reason, StopReason::TripleFault) << cs;
    EXPECT_NE(guest.frame.ring(), 0u);
  }
}

TEST(TaskSwitch, NeverGivesTheNewTaskRing0OrItsPorts) {
  FakeGuest guest;
  TaskState state = kernel_task();
  state.eflags = ~0u;
  state.cs |= 0xffff0000, state.ss |= 0xffff0000;
  put_task(guest, FakeGuest::kOtherTaskState, state);
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.cs, test::kKernelCode | 1u);
  EXPECT_EQ(guest.frame.ss, test::kKernelData | 1u);
  EXPECT_EQ(guest.frame.eflags & eflags::kIopl, eflags::kIopl1);
  EXPECT_EQ(guest.frame.eflags & eflags::kVirtual8086, 0u);
}

TEST(TaskSwitch, LoadsTheTasksLocalTable) {
  FakeGuest guest;
  guest.vcpu.ldt_register = test::kLdt;
  guest.machine.ldt = test::kLdt;
  put_task(guest, FakeGuest::kOtherTaskState, kernel_task());
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).kind, Kind::Resume);
  EXPECT_EQ(guest.vcpu.ldt_register, 0u) << "kernel_task() has none";
  EXPECT_EQ(guest.machine.ldt, 0u);
}

TEST(TaskSwitch, RootOutsideThePartitionChangesNothing) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  guest.vcpu.cr3 = 0x00200000;
  TaskState state = kernel_task();
  state.cr3 = guest.machine.partition_end;
  put_task(guest, FakeGuest::kOtherTaskState, state);
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).kind, Kind::Stop);
  EXPECT_EQ(guest.vcpu.cr3, 0x00200000u);
  EXPECT_EQ(guest.vcpu.task_register, test::kTask);
  EXPECT_FALSE(guest.machine.root.has_value());
}

TEST(TaskSwitch, WithPagingOffTheRootIsNotLoaded) {
  FakeGuest guest;
  put_task(guest, FakeGuest::kOtherTaskState, kernel_task());
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).kind, Kind::Resume);
  EXPECT_FALSE(guest.machine.root.has_value());
}

TEST(TaskSwitch, NeedsTheNewTaskStateWritable) {
  FakeGuest guest;
  guest.set_descriptor(test::kOtherTask, tss(0xd000, 103));
  put_task(guest, 0xd000, kernel_task());
  guest.machine.write_protect(0xd000);
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).reason, StopReason::TripleFault);
}

TEST(TaskSwitch, AnOldTaskStateThatIsGoneDoesNotKeepTheHandlerFromRunning) {
  FakeGuest guest;
  guest.vcpu.task_state = {0xe000, 103};  // unmapped
  put_task(guest, FakeGuest::kOtherTaskState, kernel_task());
  guest.set_gate(kDoubleFault, task_gate(test::kOtherTask));
  EXPECT_EQ(deliver_fault(guest, kDoubleFault).kind, Kind::Resume);
}

}  // namespace
}  // namespace mezzo::ia32
