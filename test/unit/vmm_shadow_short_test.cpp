// The shadow engine with the short-descriptor format: what single misses and invalidations do.
#include "support/arm_shadow.hpp"

namespace mezzo::test {
namespace {

class ShadowShort : public ArmShadow {};

TEST_P(ShadowShort, KernelPageIsForTheKernelAlone) {
  page(0xc0001000, Machine::kGuest + 0x5000 + kSmall + kKernelOnly + kCached);
  EXPECT_EQ(miss(0xc0001010, Access::Write, Privilege::Kernel).outcome, Outcome::Filled);
  const Seen kernel = seen(0xc0001010, Privilege::Kernel);
  EXPECT_TRUE(kernel.write);
  EXPECT_FALSE(kernel.execute);
  EXPECT_EQ(kernel.physical, Machine::kMachine + 0x5010);
  EXPECT_FALSE(seen(0xc0001010, Privilege::User).mapped);
  const auto result = miss(0xc0001010, Access::Read, Privilege::User);
  EXPECT_EQ(result.outcome, Outcome::GuestFault);
  EXPECT_EQ(result.fault.status(), 0b01111u);
}

TEST_P(ShadowShort, UserPageServesBoth) {
  page(0x8000, Machine::kGuest + 0x6000 + kSmall + kUserWrites + kNotGlobal, 1, 1);
  EXPECT_EQ(miss(0x8004, Access::Write, Privilege::User).outcome, Outcome::Filled);
  EXPECT_TRUE(seen(0x8004, Privilege::User).write);
  EXPECT_TRUE(seen(0x8004, Privilege::User).execute);
  const auto result = miss(0x8004, Access::Write, Privilege::Kernel);
  EXPECT_EQ(result.outcome, Outcome::Filled);
  EXPECT_EQ(result.through_user_view, GetParam() == Separation::OneRoot);
  EXPECT_TRUE(seen(0x8004, Privilege::Kernel).write);
  EXPECT_TRUE(seen(0x8004, Privilege::User).write);
}

TEST_P(ShadowShort, ExecutionByTheKernelNeedsThePartition) {
  section(0xc0200000, (Machine::kGuest + 0x200000) | 2 | 1u << 10);
  EXPECT_EQ(miss(0xc0200000, Access::Write, Privilege::Kernel).outcome, Outcome::Filled);
  EXPECT_EQ(shadow.counters().prefills, 0u);  // a section
  EXPECT_TRUE(seen(0xc02ff000, Privilege::Kernel).write);
  const auto result = miss(0xc0201004, Access::Execute, Privilege::Kernel);
  EXPECT_EQ(result.outcome, Outcome::NeedsExecute);
  EXPECT_EQ(result.physical, GuestPhysical{Machine::kGuest + 0x201004});
  EXPECT_EQ(result.machine, HostPhysical{Machine::kMachine + 0x201000});
  machine.state_of(result.machine) = {.writable = false, .executable = true};
  shadow.forget_page(result.machine);
  EXPECT_FALSE(seen(0xc0200000, Privilege::Kernel).mapped);
  EXPECT_EQ(miss(0xc0201004, Access::Execute, Privilege::Kernel).outcome, Outcome::Filled);
  EXPECT_TRUE(seen(0xc0201004, Privilege::Kernel).execute);
  EXPECT_FALSE(seen(0xc0201004, Privilege::Kernel).write);
  EXPECT_EQ(miss(0xc0201004, Access::Write, Privilege::Kernel).outcome, Outcome::WriteProtected);
  EXPECT_EQ(miss(0xc0202004, Access::Write, Privilege::Kernel).outcome, Outcome::Filled);
  EXPECT_TRUE(seen(0xc0202004, Privilege::Kernel).write);
}

TEST_P(ShadowShort, NothingIsFilledAhead) {
  Machine alone(kPoolBytes);
  Engine without(
      alone, HostPhysical{Machine::kPool}, kPoolBytes,
      {.contexts = 4, .pages = Machine::kPages, .separation = GetParam(), .ahead = false},
      GuestVirtual{kWindow}, kMonitor);
  without.set_translation(controls);
  alone.put(GuestPhysical{kFirst}, kSecond | 1);
  for (std::uint32_t n = 0; n < 16; ++n) {  // a large page, and a small one
    alone.put(GuestPhysical{kSecond + n * 4}, Machine::kGuest | 1 | kUserReads | kNotGlobal);
  }
  alone.put(GuestPhysical{kSecond + 16 * 4},
            (Machine::kGuest + 0x10000) | kSmall | kUserReads | kNotGlobal);
  EXPECT_EQ(without.miss(GuestVirtual{0x4000}, Access::Read, Privilege::User).outcome,
            Outcome::Filled);
  without.preload(GuestVirtual{0x10000}, std::nullopt);
  EXPECT_EQ(without.counters().prefills, 0u);
}

// A copy on write: the page moves and may be written, which the next access finds.
TEST_P(ShadowShort, ChangedPageIsThereAtOnce) {
  small_page(0x8000, 0x6000, kUserReads | kNotGlobal);
  EXPECT_TRUE(fills(0x8000, Access::Read, Privilege::User));
  const auto change = [&](std::uint32_t offset, std::uint32_t bits) {
    small_page(0x8000, offset, bits);
    shadow.invalidate_address(GuestVirtual{0x8000}, 0);
    shadow.preload(GuestVirtual{0x8000}, 0);
  };
  change(0x7000, kUserWrites | kNotGlobal);
  EXPECT_TRUE(seen(0x8000, Privilege::User).write);
  EXPECT_EQ(seen(0x8000, Privilege::User).physical, Machine::kMachine + 0x7000);
  EXPECT_EQ(shadow.counters().fills, 1u);
  // A kernel that has closed the domain does the same.
  controls.dacr = 0;
  update();
  change(0x6000, kUserWrites | kNotGlobal);
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
  controls.dacr = 0x55555555;
  update();
  EXPECT_EQ(seen(0x8000, Privilege::User).physical, Machine::kMachine + 0x6000);
  machine.put(GuestPhysical{kSecond + 8 * 4}, 0);
  shadow.invalidate_address(GuestVirtual{0x8000}, 0);
  shadow.preload(GuestVirtual{0x8000}, 0);
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
  small_page(0x8000, 0x6000, kUserReads | kNotGlobal);
  shadow.preload(GuestVirtual{0x8000}, 5);  // of another context
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
}

// The guest's kernel is to be seen where it first runs a page.
TEST_P(ShadowShort, NothingIsPreloadedToBeRunByTheKernel) {
  small_page(0xc0008000, 0x6000, kKernelOnly);
  EXPECT_TRUE(fills(0xc0008000, Access::Read, Privilege::Kernel));
  small_page(0xc0009000, 0x7000, kKernelOnly);
  shadow.preload(GuestVirtual{0xc0009000}, 0);
  EXPECT_TRUE(seen(0xc0009000, Privilege::Kernel).write);
  EXPECT_FALSE(seen(0xc0009000, Privilege::Kernel).execute);
  shadow.preload(GuestVirtual{kWindow}, 0);
  shadow.preload(GuestVirtual{0xc0300000}, 0);  // nothing of the slot is known yet
  EXPECT_FALSE(seen(0xc0300000, Privilege::Kernel).mapped);
}

TEST_P(ShadowShort, ContextsKeepTheirEntries) {
  page(0x8000, Machine::kGuest + 0x6000 + kSmall + kUserWrites + kNotGlobal);
  controls.contextidr = 7;
  update();
  EXPECT_EQ(miss(0x8000, Access::Write, Privilege::User).outcome, Outcome::Filled);
  const mem::Root seven = shadow.current();
  controls.contextidr = 9;
  update();
  EXPECT_NE(shadow.current(), seven);
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
  page(0x8000, Machine::kGuest + 0x7000 + kSmall + kUserWrites + kNotGlobal);
  EXPECT_EQ(miss(0x8000, Access::Write, Privilege::User).outcome, Outcome::Filled);
  EXPECT_EQ(seen(0x8000, Privilege::User).physical, Machine::kMachine + 0x7000);
  controls.contextidr = 7;
  update();
  EXPECT_EQ(shadow.current(), seven);
  EXPECT_EQ(seen(0x8000, Privilege::User).physical, Machine::kMachine + 0x6000);
  shadow.invalidate_address(GuestVirtual{0x8000}, 7);
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
  controls.contextidr = 9;
  update();
  EXPECT_TRUE(seen(0x8000, Privilege::User).mapped);
  shadow.invalidate_context(9);
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
}

// A process that has ended leaves its root to the next one, rather than one that only sleeps.
TEST_P(ShadowShort, AnEmptiedContextIsTheFirstToBeGivenAway) {
  page(0x8000, Machine::kGuest + 0x6000 + kSmall + kUserWrites + kNotGlobal);
  const auto run = [&](std::uint32_t asid) {
    controls.contextidr = asid;
    update();
    EXPECT_EQ(miss(0x8000, Access::Read, Privilege::User).outcome, Outcome::Filled);
    return shadow.current(Privilege::User);
  };
  const mem::Root one = run(11);
  const mem::Root two = run(12);
  (void)run(13);
  shadow.invalidate_context(12);
  EXPECT_EQ(run(14), two);
  EXPECT_EQ(shadow.counters().recycles, 1u);
  EXPECT_EQ(shadow.recycled(), 12u);
  EXPECT_EQ(run(11), one);
  // The current one is not given away, nor one that is in use again.
  shadow.invalidate_context(11);
  EXPECT_NE(run(15), one);
  EXPECT_EQ(run(11), one);
  EXPECT_EQ(shadow.recycled(), 0u);
  shadow.invalidate_context(13);
  (void)run(13);
  EXPECT_EQ(shadow.counters().recycles, 2u);
  // Without any, the one that was current longest ago.
  (void)run(16);
  EXPECT_EQ(shadow.counters().recycles, 3u);
  EXPECT_EQ(shadow.recycled(), 14u);
}

TEST_P(ShadowShort, DomainsFollowTheGuest) {
  page(0x8000, Machine::kGuest + 0x6000 + kSmall + kUserWrites + kNotGlobal, 0, 1);
  EXPECT_EQ(miss(0x8000, Access::Write, Privilege::User).outcome, Outcome::Filled);
  controls.dacr = 0x55555551;
  update();
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
  EXPECT_FALSE(seen(0x8000, Privilege::Kernel).mapped);
  EXPECT_EQ(miss(0x8000, Access::Write, Privilege::User).fault.data_status(), 0x1bu);
  controls.dacr = 0x55555555;
  update();
  EXPECT_TRUE(seen(0x8000, Privilege::User).write);
  EXPECT_FALSE(seen(0x8000, Privilege::Kernel, false).mapped);
}

TEST_P(ShadowShort, OutsideThePartition) {
  section(0x00100000, 0x40000000 | 2 | 3u << 10);
  section(0x00200000, 0x12300000 | 1);
  page(0x00300000, Machine::kEmulated | kSmall | kUserWrites, 2);
  page(0x00301000, Machine::kDevice | kSmall | kUserWrites, 2);
  EXPECT_EQ(miss(0x00100000, Access::Read, Privilege::Kernel).outcome, Outcome::Nothing);
  EXPECT_EQ(miss(0x00200000, Access::Read, Privilege::Kernel).fault.status(), 0b01110u);
  EXPECT_EQ(miss(0x00300004, Access::Read, Privilege::Kernel).outcome, Outcome::Emulated);
  EXPECT_EQ(miss(0x00301000, Access::Read, Privilege::Kernel).outcome, Outcome::Filled);
  EXPECT_EQ(miss(kWindow, Access::Read, Privilege::Kernel).outcome, Outcome::MonitorWindow);
  EXPECT_EQ(miss(kWindow + 0x1fffff, Access::Read, Privilege::User).outcome,
            Outcome::MonitorWindow);
}

TEST_P(ShadowShort, TranslationOff) {
  controls.sctlr = 0;
  update();
  EXPECT_EQ(miss(Machine::kGuest + 0x100000, Access::Write, Privilege::Kernel).outcome,
            Outcome::Filled);
  EXPECT_TRUE(seen(Machine::kGuest + 0x180000, Privilege::Kernel, false).write);
  EXPECT_EQ(miss(Machine::kSecondGuest, Access::Write, Privilege::Kernel).outcome, Outcome::Filled);
  EXPECT_TRUE(seen(Machine::kSecondGuest + 0xf000, Privilege::Kernel, false).write);
  controls.sctlr = 1;
  update();
  EXPECT_FALSE(seen(Machine::kGuest + 0x100000, Privilege::Kernel).mapped);
}

INSTANTIATE_TEST_SUITE_P(Separations, ShadowShort,
                         testing::Values(mem::Separation::OneRoot, mem::Separation::TwoRoots));

}  // namespace
}  // namespace mezzo::test
