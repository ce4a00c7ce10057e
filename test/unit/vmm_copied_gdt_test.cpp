// A GDT that is copied, because it does not start a page, and that the guest writes to after LGDT:
// where the copy is renewed, and which faults are tried again instead of reflected.
#include <gtest/gtest.h>

#include "arch/ia32/emulate.hpp"
#include "support/fake_guest.hpp"

namespace mezzo::ia32 {
namespace {

using test::FakeGuest;
using Kind = Verdict::Kind;

constexpr std::uint32_t kTable = 0x40800, kNewTask = 0x41000;
constexpr std::uint16_t kCode = 0x08, kNew = 0x10, kLast = 0x18;
constexpr std::uint8_t kInvalidTss = 10, kNotPresent = 11, kStackFault = 12, kProtection = 13;
constexpr Descriptor kRing0Code{0x0000ffff, 0x00cf9a00}, kRing0Data{0x0000ffff, 0x00cf9200};
constexpr Descriptor kCallGate{0x00080000, 0x0000ec00};
constexpr std::uint32_t kBusy = 1u << 9;

struct CopiedGdt : testing::Test {
  FakeGuest guest;

  void SetUp() override {
    put(kCode, kRing0Code);
    put(kNew, {});
    put(kLast, {});
    guest.machine.put(0x9100, std::uint16_t{kLast | 7});
    guest.machine.put(0x9102, kTable);
    const auto lgdt = test::decoded({0x0f, 0x01, 0x15, 0x00, 0x91, 0x00, 0x00});
    ASSERT_EQ(load_gdt_register(guest.context, lgdt).kind, Kind::Skip);
    ASSERT_FALSE(guest.machine.gdt_in_place);
  }
  void put(std::uint16_t selector, Descriptor entry) {
    guest.machine.put(kTable + selector, entry);
  }
  Descriptor in_copy(std::uint16_t selector) { return guest.machine.guest_gdt()[selector / 8]; }
  Verdict execute(std::vector<std::uint8_t> bytes, unsigned selector) {
    guest.frame.eax = selector;
    return emulate(guest.context, test::decoded(std::move(bytes)), 0);
  }
  Verdict ltr(unsigned selector) { return execute({0x0f, 0x00, 0xd8}, selector); }
  Verdict lldt(unsigned selector) { return execute({0x0f, 0x00, 0xd0}, selector); }
  std::optional<Verdict> fault(std::uint8_t vector, std::uint32_t error_code) {
    return settle_fault(guest.context, vector, error_code);
  }
};

TEST_F(CopiedGdt, TaskStateWrittenAfterTheTableIsLoaded) {
  put(kNew, tss(kNewTask, 103));
  EXPECT_EQ(ltr(kNew).kind, Kind::Skip);
  EXPECT_EQ(guest.vcpu.task_state.base, kNewTask);
  EXPECT_EQ(guest.machine.get<Descriptor>(kTable + kNew).high & kBusy, kBusy);
  EXPECT_EQ(ltr(kNew).kind, Kind::Inject) << "it is busy now";
  put(kNew, tss(kNewTask, 103));
  EXPECT_EQ(ltr(kNew).kind, Kind::Skip) << "the guest has made it available again";
}

TEST_F(CopiedGdt, MarkingATaskBusyLeavesTheGuestsPrivilegeInItsTable) {
  const Descriptor ring3 = tss(kNewTask, 103).with_dpl(3);
  put(kNew, ring3);
  EXPECT_EQ(ltr(kNew).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.get<Descriptor>(kTable + kNew),
            (Descriptor{ring3.low, ring3.high | kBusy}));
  EXPECT_EQ(in_copy(kNew).dpl(), 0);
}

TEST_F(CopiedGdt, LocalTableWrittenAfterTheTableIsLoaded) {
  const Descriptor local{tss(FakeGuest::kLocalTable, 0xff).low, 0x00008200};
  put(kNew, local);
  EXPECT_EQ(lldt(kNew).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.ldt, kNew);
  EXPECT_EQ(in_copy(kNew), local);
}

TEST_F(CopiedGdt, GatesFindSegmentsAndTasksWrittenAfterTheTableIsLoaded) {
  put(kNew, kRing0Code);
  guest.set_gate(3, interrupt_gate(kNew, FakeGuest::kHandler, 0));
  EXPECT_EQ(deliver(guest.context, 3, true, 0).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.cs, kNew | 1u);

  guest.in_kernel();
  TaskState task{};
  task.cs = kNew;
  task.eip = 0x1234;
  guest.machine.put(kNewTask, task);
  put(kLast, tss(kNewTask, 103));
  guest.set_gate(8, {std::uint32_t{kLast} << 16, 0x8500});
  EXPECT_EQ(deliver(guest.context, 8, false, 0).kind, Kind::Resume);
  EXPECT_EQ(guest.frame.eip, 0x1234u);
  EXPECT_EQ(guest.vcpu.task_register, kLast);
}

TEST_F(CopiedGdt, FaultOfAStaleEntryIsTriedAgainOnce) {
  for (const std::uint8_t vector : {kInvalidTss, kNotPresent, kStackFault, kProtection}) {
    put(kNew, {});
    (void)renew_descriptor(guest.context, kNew);
    EXPECT_FALSE(fault(vector, kNew)) << "nothing has changed";
    put(kNew, kRing0Data);
    const auto verdict = fault(vector, kNew);
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->kind, Kind::Resume);
    EXPECT_EQ(in_copy(kNew), deprivilege(kRing0Data));
    EXPECT_FALSE(fault(vector, kNew)) << "it is not stale any more";
  }
}

TEST_F(CopiedGdt, RenewedEntriesAreSanitised) {
  put(kNew, kRing0Data);
  ASSERT_TRUE(fault(kProtection, kNew));
  put(kNew, kCallGate);
  ASSERT_TRUE(fault(kProtection, kNew));
  EXPECT_EQ(in_copy(kNew), Descriptor{}) << "a call gate would lead into ring 0";
}

TEST_F(CopiedGdt, OtherFaultsAreNotTriedAgain) {
  constexpr std::uint32_t kInIdt = 2, kInLdt = 4;
  put(kNew, kRing0Data);
  guest.machine.put(kTable + kLast + 8, kRing0Data);
  guest.machine.put(kTable, kRing0Data);
  EXPECT_FALSE(fault(kProtection, 0)) << "the null entry";
  EXPECT_FALSE(fault(kProtection, kNew | kInIdt));
  EXPECT_FALSE(fault(kProtection, kNew | kInLdt));
  EXPECT_FALSE(fault(kProtection, kLast + 8)) << "beyond the limit";
  EXPECT_FALSE(fault(kProtection, 0xfff8));
  guest.machine.unmap(kTable);
  EXPECT_FALSE(fault(kProtection, kNew)) << "unreadable";
  EXPECT_EQ(in_copy(kNew), Descriptor{});
}

TEST_F(CopiedGdt, TableInPlaceIsNeverStale) {
  FakeGuest other;
  other.machine.put(FakeGuest::kGdt + test::kFreeTask, kRing0Data);
  EXPECT_FALSE(settle_fault(other.context, kProtection, test::kFreeTask));
  EXPECT_EQ(other.descriptor(test::kFreeTask), kRing0Data);
}

// The boot protocol's segments lie in no memory of the guest's.
TEST_F(CopiedGdt, TheFirstTableIsNobodysCopy) {
  FakeGuest other;
  other.vcpu = Vcpu::at_entry();
  other.machine.use_copied_gdt();
  other.machine.put(0, std::array<Descriptor, 4>{});
  other.machine.guest_gdt()[2] = kRing0Code;
  EXPECT_FALSE(settle_fault(other.context, kProtection, 0x10));
  EXPECT_EQ(other.machine.guest_gdt()[2], kRing0Code);
}

TEST_F(CopiedGdt, UndeliveredEventsAreReflectedUnseen) {
  put(kNew, kRing0Code);
  for (const std::uint32_t error : {kNew | 1u, 0x20 * 8 | 3u, 1u}) {
    const auto verdict = fault(kProtection, error);
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->kind, Kind::Inject);
    EXPECT_EQ(verdict->vector, kProtection);
    EXPECT_EQ(verdict->error_code, error);
    EXPECT_FALSE(verdict->software);
  }
  EXPECT_EQ(in_copy(kNew), Descriptor{}) << "trying again would lose the event";
}

}  // namespace
}  // namespace mezzo::ia32
