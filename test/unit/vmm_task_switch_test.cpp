// Delivery through task gates, against the manual's description of a task switch (SDM volume
// 3, 8.3), with ring 1 in the place of the guest's ring 0.
#include "arch/ia32/deliver.hpp"

#include <gtest/gtest.h>

#include "support/fake_guest.hpp"

namespace mezzo::ia32 {
namespace {

using test::FakeGuest;
using Kind = Verdict::Kind;
using status::StopReason;

constexpr std::uint8_t kDoubleFault = 8, kDevice = 0x41;

Verdict deliver_fault(FakeGuest& guest, std::uint8_t vector, std::uint32_t error_code = 0) {
  return deliver(guest.context, vector, false, error_code);
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
Gate task_gate(std::uint16_t selector) { return {std::uint32_t{selector} << 16, 0x8500}; }

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

TEST(TaskSwitch, UnwritableStackLeavesTheInterruptedContextToTheDoubleFault) {
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

}  // namespace
}  // namespace mezzo::ia32
