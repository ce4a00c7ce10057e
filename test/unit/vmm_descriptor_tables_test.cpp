// LGDT, LIDT, LLDT and LTR of a guest kernel, against the manual (SDM volume 2), and what of its
// tables the processor is given: nothing that leads out of rings 1 and 3.
#include "arch/ia32/descriptor_tables.hpp"

#include <gtest/gtest.h>

#include "support/execute.hpp"

namespace mezzo::ia32 {
namespace {

using test::FakeGuest;
using test::FakeMachine;
using test::kNotPresent;
using test::kPageFault;
using test::kProtection;
using test::raises;
using Kind = Verdict::Kind;

constexpr std::uint32_t kOperand = 0x9100;
constexpr Descriptor kRing0Code{0x0000ffff, 0x00cf9a00}, kRing0Data{0x0000ffff, 0x00cf9200};
constexpr Descriptor kCallGate{0x00080000, 0x0000ec00};

// Executes LGDT or LIDT with its operand in memory.
Verdict load(FakeGuest& guest, bool idt, std::uint32_t base, std::uint16_t limit,
             bool operand16 = false) {
  guest.machine.put(kOperand, limit);
  guest.machine.put(kOperand + 2, base);
  Instruction i = test::decoded(
      {0x0f, 0x01, idt ? std::uint8_t{0x1d} : std::uint8_t{0x15}, 0x00, 0x91, 0x00, 0x00});
  if (operand16) i.operand_size = 2;
  return idt ? load_idt_register(guest.context, i) : load_gdt_register(guest.context, i);
}
Verdict lgdt(FakeGuest& guest, std::uint32_t base, std::uint16_t limit, bool operand16 = false) {
  return load(guest, false, base, limit, operand16);
}
Verdict lidt(FakeGuest& guest, std::uint32_t base, std::uint16_t limit, bool operand16 = false) {
  return load(guest, true, base, limit, operand16);
}
// LLDT and LTR of AX.
Verdict lldt(FakeGuest& guest, unsigned selector) {
  guest.frame.eax = 0xabcd0000u | selector;
  return load_local_table(guest.context, test::decoded({0x0f, 0x00, 0xd0}));
}
Verdict ltr(FakeGuest& guest, unsigned selector) {
  guest.frame.eax = 0xabcd0000u | selector;
  return load_task_register_of(guest.context, test::decoded({0x0f, 0x00, 0xd8}));
}

// ---- LGDT ----

TEST(LoadGdt, TableThatStartsAPageIsUsedInPlace) {
  FakeGuest guest;
  guest.machine.put(0x40000, Descriptor{});
  guest.machine.put(0x40008, kRing0Code);
  guest.machine.put(0x40010, kRing0Data);
  EXPECT_EQ(lgdt(guest, 0x40000, 23).kind, Kind::Skip);
  EXPECT_TRUE(guest.machine.gdt_in_place);
  EXPECT_EQ(guest.machine.get<Descriptor>(0x40008), deprivilege(kRing0Code));
  EXPECT_EQ(guest.machine.get<Descriptor>(0x40010), deprivilege(kRing0Data));
  EXPECT_EQ(guest.vcpu.gdt.base, 0x40000u);
  EXPECT_EQ(guest.vcpu.gdt.limit, 23u);
}

TEST(LoadGdt, TableThatDoesNotStartAPageIsCopiedAndTheGuestsIsLeftAlone) {
  FakeGuest guest;
  guest.machine.put(0x40808, kRing0Code);
  guest.machine.put(0x40810, kCallGate);
  EXPECT_EQ(lgdt(guest, 0x40800, 23).kind, Kind::Skip);
  EXPECT_FALSE(guest.machine.gdt_in_place);
  EXPECT_EQ(guest.machine.get<Descriptor>(0x40808), kRing0Code);
  EXPECT_EQ(guest.machine.guest_gdt()[1], deprivilege(kRing0Code));
  EXPECT_EQ(guest.machine.guest_gdt()[2], Descriptor{}) << "a call gate would lead into ring 0";
}

TEST(LoadGdt, NothingOfAnEarlierTableStaysBeyondTheLimit) {
  FakeGuest guest;
  for (std::uint32_t n = 1; n < 8; ++n) guest.machine.put(0x40800 + n * 8, kRing0Code);
  EXPECT_EQ(lgdt(guest, 0x40800, 63).kind, Kind::Skip);
  EXPECT_EQ(lgdt(guest, 0x40800, 15).kind, Kind::Skip);
  EXPECT_NE(guest.machine.guest_gdt()[1], Descriptor{});
  for (std::uint32_t n = 2; n < 8; ++n) EXPECT_EQ(guest.machine.guest_gdt()[n], Descriptor{});
}

// The processor's limit is the whole page: what the guest keeps there must not become descriptors.
TEST(LoadGdt, PageSharedWithOtherDataIsCopied) {
  FakeGuest guest;
  guest.machine.put(0x40008, kRing0Code);
  guest.machine.put(0x40010, kCallGate);  // beyond the limit: just eight bytes of somebody's
  EXPECT_EQ(lgdt(guest, 0x40000, 15).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.guest_gdt()[1], deprivilege(kRing0Code));
  EXPECT_EQ(guest.machine.guest_gdt()[2], Descriptor{});
  EXPECT_EQ(guest.machine.get<Descriptor>(0x40010), kCallGate) << "not ours to change";
}

TEST(LoadGdt, HalfAnEntryAtTheEndDoesNotCount) {
  FakeGuest guest;
  guest.machine.put(0x40808, kRing0Code);
  for (const std::uint16_t limit : {std::uint16_t{8}, std::uint16_t{14}}) {
    EXPECT_EQ(lgdt(guest, 0x40800, limit).kind, Kind::Skip);
    EXPECT_EQ(guest.machine.guest_gdt()[1], Descriptor{}) << limit;
  }
  EXPECT_EQ(lgdt(guest, 0x40800, 15).kind, Kind::Skip);
  EXPECT_NE(guest.machine.guest_gdt()[1], Descriptor{});
}

TEST(LoadGdt, EmptyTableNeedsNoMemory) {
  FakeGuest guest;
  EXPECT_EQ(lgdt(guest, 0x77777777, 0).kind, Kind::Skip);
  EXPECT_FALSE(descriptor_of(guest.context, test::kKernelCode).has_value());
}

TEST(LoadGdt, SixteenBitOperandSizeLoads24BitsOfTheBase) {
  FakeGuest guest;
  guest.machine.put(0x00040808, kRing0Code);
  EXPECT_EQ(lgdt(guest, 0xff040800, 15, true).kind, Kind::Skip);
  EXPECT_EQ(guest.vcpu.gdt.base, 0x00040800u);
  EXPECT_EQ(guest.machine.guest_gdt()[1], deprivilege(kRing0Code));
}

TEST(LoadGdt, FullPageIsTheLargestTable) {
  FakeGuest guest;
  guest.machine.map(0x40000, 0x11000);
  guest.machine.put(0x40ff8, kRing0Data);
  EXPECT_EQ(lgdt(guest, 0x40000, 0xfff).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.get<Descriptor>(0x40ff8), deprivilege(kRing0Data));
  for (const std::uint16_t limit : {std::uint16_t{0x1000}, std::uint16_t{0xffff}}) {
    const Verdict verdict = lgdt(guest, 0x40000, limit);
    EXPECT_EQ(verdict.kind, Kind::Stop);
    EXPECT_EQ(verdict.reason, status::StopReason::Unsupported);
    EXPECT_EQ(verdict.detail[0], static_cast<std::uint32_t>(Unsupported::LargeGdt));
  }
}

TEST(LoadGdt, FailingLoadKeepsTheOldTable) {
  FakeGuest guest;
  guest.machine.map(0x40000, 0x1000);  // 0x41000 is not there
  guest.machine.map(0xffbff000, 0x1000);
  struct Case {
    std::uint32_t base;
    std::uint16_t limit;
  };
  for (const Case bad : {Case{0x40f80, 0xff}, Case{0xffbfff80, 0xff}, Case{0xffc00000, 0xff},
                         Case{0xffffff80, 0xff}, Case{0x77777777, 0xff}}) {
    for (const bool in_place : {true, false}) {
      FakeGuest before;
      guest.machine.put(0x40808, kRing0Code);
      ASSERT_EQ(lgdt(guest, in_place ? FakeGuest::kGdt : 0x40800, 0xff).kind, Kind::Skip);
      const Descriptor old = guest.machine.guest_gdt()[1];
      const std::uint32_t old_base = guest.vcpu.gdt.base;
      EXPECT_TRUE(raises(lgdt(guest, bad.base, bad.limit), kProtection, 0)) << bad.base;
      EXPECT_EQ(guest.vcpu.gdt.base, old_base) << bad.base;
      EXPECT_EQ(guest.machine.gdt_in_place, in_place) << bad.base;
      EXPECT_EQ(guest.machine.guest_gdt()[1], old) << bad.base;
    }
  }
}

TEST(LoadGdt, OfAnOperandOnAnAbsentPageIsAPageFaultThere) {
  FakeGuest guest;
  const auto far_away = test::decoded({0x0f, 0x01, 0x15, 0x00, 0x00, 0xff, 0x7f});
  const auto in_window = test::decoded({0x0f, 0x01, 0x15, 0x00, 0x00, 0xc0, 0xff});
  EXPECT_TRUE(raises(load_gdt_register(guest.context, far_away), kPageFault, 0));
  EXPECT_EQ(guest.machine.read_cr2(), 0x7fff0000u);
  EXPECT_TRUE(raises(load_gdt_register(guest.context, in_window), kProtection, 0));
  EXPECT_EQ(guest.vcpu.gdt.base, FakeGuest::kGdt);
}

TEST(LoadGdt, TableChangedWhileItIsReadIsStillSanitised) {
  FakeGuest guest;
  guest.machine.map(0x40000, 0x2000);
  guest.machine.after_read = [](FakeMachine& machine) {
    for (std::uint32_t n = 0; n < 32; ++n)
      machine.put(0x40800 + n * 8, n % 2 ? kCallGate : kRing0Code);
  };
  (void)lgdt(guest, 0x40800, 0xff);
  for (const Descriptor entry : guest.machine.guest_gdt()) EXPECT_EQ(entry, deprivilege(entry));
}

TEST(LoadGdt, TableThatGoesAwayWhileItIsReadLeavesNoRawDescriptor) {
  FakeGuest guest;
  guest.machine.map(0x40000, 0x2000);
  for (std::uint32_t n = 0; n < 16; ++n) guest.machine.put(0x40f80 + n * 8, kCallGate);
  unsigned reads = 0;
  guest.machine.after_read = [&](FakeMachine& machine) {
    if (++reads == 3) machine.unmap(0x41000);  // the operand, the first byte, the last byte
  };
  (void)lgdt(guest, 0x40f80, 0xff);
  for (const Descriptor entry : guest.machine.guest_gdt()) EXPECT_EQ(entry, Descriptor{});
}

// ---- selectors ----

TEST(DescriptorOf, EndsAtTheGuestsLimit) {
  FakeGuest guest;
  guest.vcpu.gdt.limit = test::kUserCode + 6;
  EXPECT_FALSE(descriptor_of(guest.context, test::kUserCode).has_value());
  EXPECT_TRUE(descriptor_of(guest.context, test::kKernelData).has_value());
  guest.vcpu.gdt.limit = test::kUserCode + 7;
  EXPECT_TRUE(descriptor_of(guest.context, test::kUserCode | 3).has_value());
}

TEST(DescriptorOf, NullAndTheMonitorsSelectorsNameNothing) {
  FakeGuest guest;
  guest.vcpu.gdt.limit = 0xffff;
  for (const std::uint32_t selector :
       {0u, 1u, 2u, 3u, 0x1000u, 0x1008u, 0x1018u, 0xfff8u, 0xfffbu}) {
    EXPECT_FALSE(descriptor_of(guest.context, selector).has_value()) << selector;
  }
}

TEST(DescriptorOf, LocalTableEndsAtItsLimitAndHasAFirstEntry) {
  FakeGuest guest;
  guest.machine.put(FakeGuest::kLocalTable, flat_data(3, 1));
  guest.machine.put(FakeGuest::kLocalTable + 8, flat_data(3, 2));
  guest.vcpu.ldt = {FakeGuest::kLocalTable, 14};
  EXPECT_FALSE(descriptor_of(guest.context, 4).has_value()) << "none is loaded";
  guest.vcpu.ldt_register = test::kLdt;
  EXPECT_EQ(descriptor_of(guest.context, 4 | 3), flat_data(3, 1));
  EXPECT_FALSE(descriptor_of(guest.context, 8 | 4).has_value());
  guest.vcpu.ldt.limit = 15;
  EXPECT_EQ(descriptor_of(guest.context, 8 | 4), flat_data(3, 2));
}

TEST(DescriptorOf, LocalTableInTheMonitorsWindowIsNotRead) {
  FakeGuest guest;
  guest.vcpu.ldt_register = test::kLdt;
  guest.vcpu.ldt = {0xffbffff8, 0xffff};
  guest.machine.map(0xffbff000, 0x1000);
  EXPECT_TRUE(descriptor_of(guest.context, 4).has_value());
  EXPECT_FALSE(descriptor_of(guest.context, 8 | 4).has_value());
}

// ---- LIDT ----

TEST(LoadIdt, WritableTableLeavesEveryVectorToTheMonitor) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  for (unsigned n = 0; n < 256; ++n) guest.set_handler(n);
  EXPECT_EQ(lidt(guest, FakeGuest::kIdt, 0x7ff).kind, Kind::Skip);
  EXPECT_FALSE(guest.vcpu.idt_settled);
  for (unsigned n = 0; n < 256; ++n) {
    if (n != hypercall::kVector) {
      EXPECT_TRUE(guest.machine.idt[n].stub.has_value()) << n;
    }
  }
}

TEST(LoadIdt, ARealTimeGuestsGateIsTheProcessorsFromItsFirstUseOn) {
  constexpr std::uint8_t kUsed = 0x40, kOther = 0x41, kException = 14;
  FakeGuest guest;
  guest.vcpu.settles_by_use = true;
  for (unsigned n = 0; n < 256; ++n) guest.set_handler(n);
  EXPECT_EQ(lidt(guest, FakeGuest::kIdt, 0x7ff).kind, Kind::Skip);
  EXPECT_TRUE(guest.machine.idt[kUsed].stub.has_value());
  for (const std::uint8_t n : {kUsed, kException, kEventVector}) settle_gate(guest.context, n);
  ASSERT_TRUE(guest.machine.idt[kUsed].gate.has_value());
  EXPECT_EQ(guest.machine.idt[kUsed].gate->offset(), FakeGuest::kHandler + kUsed);
  for (const std::uint8_t n : {kOther, kException, kEventVector}) {
    EXPECT_TRUE(guest.machine.idt[n].stub.has_value()) << unsigned{n};
  }
  // What the guest changes later is taken over, also what the processor must not have.
  guest.set_gate(kUsed, interrupt_gate(test::kKernelCode, 0x1234, 0));
  renew_used_gates(guest.context);
  ASSERT_TRUE(guest.machine.idt[kUsed].gate.has_value());
  EXPECT_EQ(guest.machine.idt[kUsed].gate->offset(), 0x1234u);
  guest.set_gate(kUsed, interrupt_gate(layout::kMonitorCs, 0x1234, 0));
  renew_used_gates(guest.context);
  EXPECT_TRUE(guest.machine.idt[kUsed].stub.has_value());
  // Another table, another beginning.
  guest.set_handler(kUsed);
  EXPECT_EQ(lidt(guest, FakeGuest::kIdt, 0x7ff).kind, Kind::Skip);
  renew_used_gates(guest.context);
  EXPECT_TRUE(guest.machine.idt[kUsed].stub.has_value());
}

TEST(LoadIdt, OtherGuestsGatesDoNotSettleByUse) {
  FakeGuest guest;
  guest.set_handler(0x40);
  EXPECT_EQ(lidt(guest, FakeGuest::kIdt, 0x7ff).kind, Kind::Skip);
  settle_gate(guest.context, 0x40);
  EXPECT_TRUE(guest.machine.idt[0x40].stub.has_value());
}

TEST(LoadIdt, ReadOnlyTableSettlesAndGivesTheProcessorTheGuestsGates) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  for (unsigned n = 0; n < 256; ++n) guest.set_handler(n, n % 2 ? 3 : 0);
  guest.machine.write_protect(FakeGuest::kIdt);
  EXPECT_EQ(lidt(guest, FakeGuest::kIdt, 0x7ff).kind, Kind::Skip);
  EXPECT_TRUE(guest.vcpu.idt_settled);
  for (unsigned n = 0; n < 256; ++n) {
    const bool monitors =
        n == 2 || n == 8 || (n >= 10 && n <= 13) || n == 18 || (n >= 0xf1 && n <= 0xf3);
    if (n == hypercall::kVector) continue;
    if (monitors) {
      EXPECT_EQ(guest.machine.idt[n].stub, FakeMachine::Stub{0}) << n;
    } else {
      EXPECT_EQ(guest.machine.idt[n].gate,
                interrupt_gate(test::kKernelCode, FakeGuest::kHandler + n, n % 2 ? 3 : 1));
    }
  }
}

TEST(LoadIdt, HypercallVectorStaysTheMonitors) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  guest.set_handler(hypercall::kVector, 3);
  guest.machine.write_protect(FakeGuest::kIdt);
  (void)lidt(guest, FakeGuest::kIdt, 0x7ff);
  EXPECT_FALSE(guest.machine.idt[hypercall::kVector].gate.has_value());
  EXPECT_FALSE(guest.machine.idt[hypercall::kVector].stub.has_value());
}

TEST(LoadIdt, GatesTheProcessorMayNotHaveStayWithTheMonitor) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  guest.set_gate(0x40, {std::uint32_t{test::kOtherTask} << 16, 0x8500});  // task gate
  guest.set_gate(0x41, interrupt_gate(0x1000, 0x1000, 0));                // the monitor's code
  guest.set_gate(0x42, interrupt_gate(0x1018, 0x1000, 3));
  guest.set_gate(0x43, {0, 0x0e00});  // absent
  guest.set_gate(0x44, kCallGate.low == 0 ? Gate{} : Gate{kCallGate.low, kCallGate.high});
  guest.machine.write_protect(FakeGuest::kIdt);
  (void)lidt(guest, FakeGuest::kIdt, 0x7ff);
  for (unsigned n = 0x40; n < 0x45; ++n) {
    EXPECT_TRUE(guest.machine.idt[n].stub.has_value()) << n;
    EXPECT_FALSE(guest.machine.idt[n].gate.has_value()) << n;
  }
}

TEST(LoadIdt, VectorsBeyondTheLimitStayWithTheMonitor) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  for (unsigned n = 0; n < 256; ++n) guest.set_handler(n);
  guest.machine.write_protect(FakeGuest::kIdt);
  (void)lidt(guest, FakeGuest::kIdt, 0x40 * 8 + 6);
  EXPECT_TRUE(guest.machine.idt[0x3f].gate.has_value());
  EXPECT_TRUE(guest.machine.idt[0x40].stub.has_value());
}

TEST(LoadIdt, EmptyTableIsNotSettled) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  guest.machine.write_protect(0);
  EXPECT_EQ(lidt(guest, 0, 0).kind, Kind::Skip);
  EXPECT_FALSE(guest.vcpu.idt_settled);
  EXPECT_EQ(guest.vcpu.idt.limit, 0u);
}

TEST(LoadIdt, TableThatEndsInAWritablePageIsNotSettled) {
  FakeGuest guest;
  guest.vcpu.cr0 |= cr0::kPaging;
  guest.machine.map(0x40000, 0x2000);
  guest.machine.write_protect(0x40000);
  (void)lidt(guest, 0x40900, 0x7ff);
  EXPECT_FALSE(guest.vcpu.idt_settled);
  guest.machine.write_protect(0x41000);
  (void)lidt(guest, 0x40900, 0x7ff);
  EXPECT_TRUE(guest.vcpu.idt_settled);
}

TEST(LoadIdt, TableInTheMonitorsWindowGivesNoGate) {
  FakeGuest guest;
  EXPECT_EQ(lidt(guest, 0xffc00000, 0x7ff).kind, Kind::Skip);
  for (unsigned n = 0; n < 256; ++n) {
    EXPECT_FALSE(guest_gate(guest.context, static_cast<std::uint8_t>(n)).has_value()) << n;
    EXPECT_FALSE(guest.machine.idt[n].gate.has_value()) << n;
  }
}

TEST(StubPrivilege, LetsTheKernelsInterruptsThroughButNoneWithAnErrorCode) {
  const Gate gate = interrupt_gate(test::kKernelCode, 0, 0);
  EXPECT_EQ(stub_privilege(0x80, gate.with_dpl(3)), 3);
  EXPECT_EQ(stub_privilege(0x80, gate), 1);
  EXPECT_EQ(stub_privilege(3, gate.with_dpl(3)), 3);
  for (const unsigned vector : {8u, 10u, 11u, 12u, 13u, 14u, 17u, 21u, 2u, 18u}) {
    EXPECT_EQ(stub_privilege(vector, gate.with_dpl(3)), 0) << vector;
  }
}

// INT n of an absent gate is a fault: EIP must be that of the INT, which only the #GP tells.
TEST(StubPrivilege, InterruptsOfAbsentGatesComeByGeneralProtection) {
  EXPECT_EQ(stub_privilege(0x80, std::nullopt), 0);
  EXPECT_EQ(stub_privilege(0x80, Gate{0, 0x0e00}), 0);
  // INT3 and INTO are not decoded, so these two must come by themselves.
  EXPECT_EQ(stub_privilege(3, std::nullopt), 1);
  EXPECT_EQ(stub_privilege(4, std::nullopt), 1);
}

// ---- LLDT ----

TEST(LoadLocalTable, LoadsAnLdtOfTheGdt) {
  FakeGuest guest;
  EXPECT_EQ(lldt(guest, test::kLdt).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.ldt, test::kLdt);
  EXPECT_EQ(guest.vcpu.ldt_register, test::kLdt);
  EXPECT_EQ(guest.vcpu.ldt.base, FakeGuest::kLocalTable);
  EXPECT_EQ(guest.vcpu.ldt.limit, 0xffu);
}

TEST(LoadLocalTable, NullSelectorsUnloadIt) {
  for (std::uint16_t null = 0; null < 4; ++null) {
    FakeGuest guest;
    ASSERT_EQ(lldt(guest, test::kLdt).kind, Kind::Skip);
    EXPECT_EQ(lldt(guest, null).kind, Kind::Skip);
    EXPECT_EQ(guest.machine.ldt, 0u);
    EXPECT_EQ(guest.vcpu.ldt_register, 0u);
  }
}

TEST(LoadLocalTable, RefusesWhatIsNoPresentLdtOfTheGdt) {
  FakeGuest guest;
  for (const unsigned selector : {unsigned{test::kKernelData}, unsigned{test::kOtherTask},
                                  test::kLdt | 4u, 0x80u, 0x100u, 0x1000u, 0x1010u, 4u}) {
    EXPECT_TRUE(raises(lldt(guest, selector), kProtection, selector & 0xfffcu)) << selector;
  }
  EXPECT_TRUE(raises(lldt(guest, test::kAbsentLdt), kNotPresent, test::kAbsentLdt));
  EXPECT_EQ(guest.machine.ldt, 0u);
  EXPECT_EQ(guest.vcpu.ldt_register, 0u);
}

TEST(LoadLocalTable, MayNotReachIntoTheMonitorsWindow) {
  const auto local_at = [](std::uint32_t base, std::uint32_t limit) {
    Descriptor descriptor = tss(base, limit);
    descriptor.high = (descriptor.high & ~0xf00u) | 0x200;
    return descriptor;
  };
  struct Case {
    std::uint32_t base, limit;
    bool allowed;
  };
  for (const Case c : {Case{0xffc00000, 7, false}, Case{0xfffffff8, 7, false},
                       Case{0xffbffff8, 8, false}, Case{0xffbffff8, 7, true},
                       Case{0xffbf0000, 0xffff, true}, Case{0xffbf0000, 0xffffffff, true},
                       Case{0xffbf0008, 0xffff, false}, Case{0xffbf1000, 0x10000, false}}) {
    FakeGuest guest;
    guest.set_descriptor(test::kLdt, local_at(c.base, c.limit));
    const Verdict verdict = lldt(guest, test::kLdt);
    EXPECT_EQ(verdict.kind == Kind::Skip, c.allowed) << c.base << " " << c.limit;
    if (!c.allowed) {
      EXPECT_TRUE(raises(verdict, kProtection, test::kLdt));
    }
  }
}

TEST(LoadLocalTable, TakesItsSelectorFromMemoryToo) {
  FakeGuest guest;
  guest.machine.put(kOperand, std::uint16_t{test::kLdt});
  const auto from_memory = test::decoded({0x0f, 0x00, 0x15, 0x00, 0x91, 0x00, 0x00});
  EXPECT_EQ(load_local_table(guest.context, from_memory).kind, Kind::Skip);
  EXPECT_EQ(guest.vcpu.ldt_register, test::kLdt);
  guest.machine.unmap(kOperand);
  EXPECT_TRUE(raises(load_local_table(guest.context, from_memory), kPageFault, 0));
}

// ---- LTR ----

TEST(LoadTaskRegister, RemembersTheTaskStateAndMarksItBusy) {
  FakeGuest guest;
  EXPECT_EQ(ltr(guest, test::kOtherTask).kind, Kind::Skip);
  EXPECT_EQ(guest.vcpu.task_register, test::kOtherTask);
  EXPECT_EQ(guest.vcpu.task_state.base, FakeGuest::kOtherTaskState);
  EXPECT_EQ(guest.vcpu.task_state.limit, 103u);
  EXPECT_TRUE(guest.descriptor(test::kOtherTask).is(SystemType::Tss32Busy));
  EXPECT_TRUE(raises(ltr(guest, test::kOtherTask), kProtection, test::kOtherTask)) << "busy now";
}

TEST(LoadTaskRegister, RefusesWhatIsNoAvailableTaskStateOfTheGdt) {
  FakeGuest guest;
  for (const unsigned selector :
       {0u, 3u, unsigned{test::kTask}, unsigned{test::kKernelData}, unsigned{test::kLdt},
        test::kOtherTask | 4u, 0x80u, 0x100u, 0x1010u}) {
    EXPECT_TRUE(raises(ltr(guest, selector), kProtection, selector & 0xfffcu)) << selector;
  }
  EXPECT_TRUE(raises(ltr(guest, test::kAbsentTask), kNotPresent, test::kAbsentTask));
  EXPECT_EQ(guest.vcpu.task_register, test::kTask);
  EXPECT_EQ(guest.vcpu.task_state.base, FakeGuest::kTaskState);
}

// ---- the stack for entries from ring 3 ----

TEST(KernelStack, FollowsWhatTheGuestWritesIntoItsTaskState) {
  FakeGuest guest;
  follow_kernel_stack(guest.context);
  EXPECT_EQ(guest.machine.kernel_stack, (std::pair<std::uint16_t, std::uint32_t>{
                                            test::kKernelData | 1, FakeGuest::kEntryStackTop}));
  guest.machine.put(FakeGuest::kTaskState + 4, 0x12345678u);
  follow_kernel_stack(guest.context);
  EXPECT_EQ(guest.machine.kernel_stack->second, 0x12345678u);
}

TEST(KernelStack, SelectorAlwaysHasRing1) {
  FakeGuest guest;
  for (const std::uint32_t ss : {0x10u, 0x13u, 0xffff0012u, 0x1008u, 0x14u}) {
    guest.machine.put(FakeGuest::kTaskState + 8, ss);
    follow_kernel_stack(guest.context);
    ASSERT_TRUE(guest.machine.kernel_stack.has_value());
    EXPECT_EQ(guest.machine.kernel_stack->first, (ss & 0xfffc) | 1) << ss;
  }
}

TEST(KernelStack, StaysAsItIsWithoutAUsableTaskState) {
  for (int hole = 0; hole < 4; ++hole) {
    FakeGuest guest;
    if (hole == 0) guest.vcpu.task_register = 0;
    if (hole == 1) guest.vcpu.task_state.base = 0xe000;  // unmapped
    if (hole == 2) guest.vcpu.task_state.base = 0xfffffff8;
    if (hole == 3) guest.machine.put(FakeGuest::kTaskState + 8, 3u);  // null
    follow_kernel_stack(guest.context);
    EXPECT_FALSE(guest.machine.kernel_stack.has_value()) << hole;
  }
}

}  // namespace
}  // namespace mezzo::ia32
