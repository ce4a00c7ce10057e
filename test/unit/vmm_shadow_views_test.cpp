// The shadow engine: whose rights a slot holds, what belongs to all contexts, entries larger than a
// slot, pages that are mapped in several places, and what happens when the pool is small.
#include "support/arm_shadow.hpp"

namespace mezzo::test {
namespace {

class ShadowViews : public ArmShadow {};
INSTANTIATE_TEST_SUITE_P(Separations, ShadowViews,
                         testing::Values(mem::Separation::OneRoot, mem::Separation::TwoRoots));

// As Linux's vector page: its kernel and its processes use pages of the same slot in turn.
TEST_P(ShadowViews, KernelAndUserShareASlot) {
  small_page(0xffff0000, 0x5000, kUserReads);
  small_page(0xffff1000, 0x6000, kKernelOnly);
  for (int n = 0; n < 3; ++n) {
    EXPECT_TRUE(fills(0xffff1000, Access::Write, Privilege::Kernel));
    EXPECT_TRUE(seen(0xffff1000, Privilege::Kernel).write);
    EXPECT_FALSE(seen(0xffff1000, Privilege::User).mapped);
    EXPECT_TRUE(fills(0xffff0000, Access::Read, Privilege::User));
    EXPECT_TRUE(seen(0xffff0000, Privilege::User).read);
    EXPECT_FALSE(seen(0xffff0000, Privilege::User).write);
    EXPECT_FALSE(seen(0xffff1000, Privilege::User).mapped);
  }
}

TEST_P(ShadowViews, KernelRunsNothingThatIsNotItsToRun) {
  small_page(0x8000, 0x5000, kUserWrites | kNotGlobal);
  // What it writes for a process, the process may run, but the kernel not yet.
  EXPECT_TRUE(fills(0x8000, Access::Write, Privilege::Kernel));
  EXPECT_FALSE(seen(0x8000, Privilege::Kernel).execute);
  EXPECT_EQ(miss(0x8000, Access::Execute, Privilege::Kernel).outcome, Outcome::NeedsExecute);
  EXPECT_TRUE(fills(0x8000, Access::Execute, Privilege::User));
  EXPECT_TRUE(seen(0x8000, Privilege::User).execute);
  EXPECT_EQ(miss(0x8000, Access::Execute, Privilege::Kernel).outcome, Outcome::NeedsExecute);
}

TEST_P(ShadowViews, ManagersMayDoEverything) {
  small_page(0x8000, 0x5000, kNotGlobal | 1, 0, 3);  // AP 000, XN
  EXPECT_EQ(miss(0x8000, Access::Read, Privilege::Kernel).outcome, Outcome::GuestFault);
  controls.dacr = 0x555555d5;
  update();
  EXPECT_TRUE(fills(0x8000, Access::Execute, Privilege::User));
  EXPECT_TRUE(fills(0x8000, Access::Write, Privilege::User));
  EXPECT_TRUE(seen(0x8000, Privilege::User).write);
  controls.dacr = 0x55555555;  // no maintenance
  update();
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
  EXPECT_FALSE(seen(0x8000, Privilege::Kernel).mapped);
}

// More keys than the machine has tags: everything starts over, and all of it still works.
TEST_P(ShadowViews, MoreKeysThanTags) {
  controls.dacr = 0xffffffff;
  for (std::uint32_t round = 0; round < 2; ++round) {
    for (std::uint32_t n = 0; n < 16; ++n) {
      const std::uint32_t at = n << 20;
      small_page(at, 0x5000, kUserWrites | kNotGlobal, n, n);
      update();
      EXPECT_TRUE(fills(at, Access::Write, Privilege::User));
      EXPECT_TRUE(seen(at, Privilege::User).write);
      EXPECT_TRUE(fills(at, Access::Execute, Privilege::User));
    }
    controls.dacr = 0x55555555;
  }
  EXPECT_GE(shadow.counters().flushes, 2u);
}

TEST_P(ShadowViews, GlobalPagesAreFilledOnce) {
  section(0xc0000000, (Machine::kGuest + 0x100000) | kSection | kKernelSection);
  small_page(0xc0101000, 0x5000, kKernelOnly);
  EXPECT_TRUE(fills(0xc0000000, Access::Write, Privilege::Kernel));
  EXPECT_TRUE(fills(0xc0101000, Access::Write, Privilege::Kernel));
  for (const std::uint32_t number : {5u, 6u, 7u, 8u, 9u, 5u}) {
    use_context(number);
    EXPECT_TRUE(seen(0xc0012345, Privilege::Kernel).write);
    EXPECT_TRUE(seen(0xc0101000, Privilege::Kernel).write);
    EXPECT_EQ(seen(0xc0101000, Privilege::Kernel).global, GetParam() == Separation::OneRoot);
  }
  shadow.invalidate_context(5);
  EXPECT_TRUE(seen(0xc0101000, Privilege::Kernel).write);
  shadow.invalidate_address(GuestVirtual{0xc0101000}, 6);
  EXPECT_FALSE(seen(0xc0101000, Privilege::Kernel).mapped);
}

// Where the monitor reaches something else by its own root, nothing of the guest's may be global to
// the TLB: an entry like that would be used under any root. Maintenance reaches all contexts.
TEST_P(ShadowViews, NothingIsGlobalWhereTheMonitorReaches) {
  constexpr std::uint32_t kPage = Machine::kPool + 0x3000, kBlock = Machine::kMachine + 0x100000;
  small_page(kPage, 0x5000, kUserWrites);
  section(kBlock, (Machine::kGuest + 0x100000) | kSection | kUserSection);
  for (const std::uint32_t number : {1u, 2u}) {
    use_context(number);
    for (const std::uint32_t at : {kPage, kBlock}) {
      EXPECT_FALSE(seen(at, Privilege::User).mapped);
      EXPECT_TRUE(fills(at, Access::Write, Privilege::User));
      EXPECT_TRUE(seen(at, Privilege::User).write);
      EXPECT_FALSE(seen(at, Privilege::User).global);
    }
  }
  for (const std::uint32_t at : {kPage, kBlock}) shadow.invalidate_address(GuestVirtual{at}, 2);
  for (const std::uint32_t number : {1u, 2u}) {
    use_context(number);
    for (const std::uint32_t at : {kPage, kBlock}) EXPECT_FALSE(seen(at, Privilege::User).mapped);
  }
  shadow.invalidate_all();
  EXPECT_TRUE(fills(kPage, Access::Write, Privilege::Kernel));
  EXPECT_FALSE(seen(kPage, Privilege::Kernel).global);
}

TEST_P(ShadowViews, NothingIsGlobalWhereTheMonitorReachesWithoutTranslation) {
  controls.sctlr = 0;
  update();
  EXPECT_TRUE(fills(Machine::kGuest, Access::Write, Privilege::Kernel));
  EXPECT_EQ(seen(Machine::kGuest, Privilege::Kernel).global, GetParam() == Separation::OneRoot);
  shadow.invalidate_all();
  machine.monitor_is_everywhere = true;
  EXPECT_TRUE(fills(Machine::kGuest, Access::Write, Privilege::Kernel));
  EXPECT_TRUE(seen(Machine::kGuest, Privilege::Kernel).write);
  EXPECT_FALSE(seen(Machine::kGuest, Privilege::Kernel).global);
}

// Global and other pages in one slot are each context's own there, and go from all of them.
TEST_P(ShadowViews, GlobalPageBesideAnother) {
  small_page(0x8000, 0x5000, kUserReads);
  small_page(0x9000, 0x6000, kUserReads | kNotGlobal);
  for (const std::uint32_t number : {1u, 2u}) {
    use_context(number);
    EXPECT_TRUE(fills(0x8000, Access::Read, Privilege::User));
    EXPECT_TRUE(fills(0x9000, Access::Read, Privilege::User));
    EXPECT_FALSE(seen(0x9000, Privilege::User).global);
  }
  // Context 1's page went when the slot was found to be mixed; it is filled again.
  use_context(1);
  EXPECT_TRUE(fills(0x8000, Access::Read, Privilege::User));
  EXPECT_TRUE(fills(0x9000, Access::Read, Privilege::User));
  shadow.invalidate_address(GuestVirtual{0x9000}, 2);
  EXPECT_TRUE(seen(0x8000, Privilege::User).mapped);
  shadow.invalidate_address(GuestVirtual{0x8000}, 2);
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
  use_context(2);
  EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
}

TEST_P(ShadowViews, LargePageGoesAsOne) {
  for (std::uint32_t n = 0; n < 16; ++n) {
    page(0x20000 + n * 0x1000, (Machine::kGuest + 0x10000) | 1 | kUserWrites | kNotGlobal);
  }
  EXPECT_TRUE(fills(0x28000, Access::Read, Privilege::User));
  EXPECT_TRUE(fills(0x21000, Access::Read, Privilege::User));
  EXPECT_TRUE(seen(0x2f000, Privilege::User).write);
  EXPECT_EQ(seen(0x2f123, Privilege::User).physical, Machine::kMachine + 0x1f123);
  shadow.invalidate_address(GuestVirtual{0x2a000}, 0);
  for (std::uint32_t n = 0; n < 16; ++n) {
    EXPECT_FALSE(seen(0x20000 + n * 0x1000, Privilege::User).mapped);
  }
}

TEST_P(ShadowViews, SectionInPagesGoesAsOne) {
  machine.state_of(HostPhysical{Machine::kMachine + 0x105000}) = {.writable = false,
                                                                  .executable = true};
  section(0xc0000000, (Machine::kGuest + 0x100000) | kSection | kKernelSection);
  EXPECT_TRUE(fills(0xc0000000, Access::Write, Privilege::Kernel));
  EXPECT_TRUE(fills(0xc00ff000, Access::Write, Privilege::Kernel));
  // The pages that follow, up to the one that is different.
  EXPECT_TRUE(seen(0xc0004000, Privilege::Kernel).write);
  EXPECT_FALSE(seen(0xc0005000, Privilege::Kernel).mapped);
  shadow.invalidate_address(GuestVirtual{0xc0050000}, 0);
  EXPECT_FALSE(seen(0xc0000000, Privilege::Kernel).mapped);
  EXPECT_FALSE(seen(0xc00ff000, Privilege::Kernel).mapped);
}

TEST_P(ShadowViews, SupersectionGoesAsOne) {
  for (std::uint32_t n = 0; n < 16; ++n) {
    section(0xd0000000 + (n << 20), 0x60000000 | kSection | kSuper | kKernelSection);
  }
  EXPECT_TRUE(fills(0xd0100000, Access::Write, Privilege::Kernel));
  EXPECT_TRUE(fills(0xd0700000, Access::Write, Privilege::Kernel));
  EXPECT_EQ(miss(0xd0800000, Access::Write, Privilege::Kernel).outcome, Outcome::Nothing);
  EXPECT_EQ(seen(0xd07fffff, Privilege::Kernel).physical, Machine::kMachine + 0x7fffff);
  shadow.invalidate_address(GuestVirtual{0xd0f00000}, 0);
  EXPECT_FALSE(seen(0xd0100000, Privilege::Kernel).mapped);
  EXPECT_FALSE(seen(0xd0700000, Privilege::Kernel).mapped);
}

TEST_P(ShadowViews, PageInManyPlacesIsForgotten) {
  section(0xc0000000, (Machine::kGuest + 0x100000) | kSection | kKernelSection);
  section(0xc0100000, (Machine::kGuest + 0x100000) | kSection | kKernelSection);
  EXPECT_TRUE(fills(0xc0003000, Access::Write, Privilege::Kernel));
  EXPECT_TRUE(fills(0xc0103000, Access::Write, Privilege::Kernel));
  small_page(0x8000, 0x103000, kUserWrites | kNotGlobal, 1);
  small_page(0x9000, 0x103000, kUserWrites | kNotGlobal, 1);
  small_page(0xa000, 0x104000, kUserWrites | kNotGlobal, 1);
  for (const std::uint32_t number : {1u, 2u}) {
    use_context(number);
    for (const std::uint32_t at : {0x8000u, 0x9000u, 0xa000u}) {
      EXPECT_TRUE(fills(at, Access::Write, Privilege::User));
    }
  }
  shadow.forget_page(HostPhysical{Machine::kMachine + 0x103000});
  for (const std::uint32_t number : {2u, 1u}) {
    use_context(number);
    EXPECT_FALSE(seen(0x8000, Privilege::User).mapped);
    EXPECT_FALSE(seen(0x9000, Privilege::User).mapped);
    EXPECT_TRUE(seen(0xa000, Privilege::User).mapped);
  }
  EXPECT_FALSE(seen(0xc0003000, Privilege::Kernel).mapped);
  EXPECT_FALSE(seen(0xc0103000, Privilege::Kernel).mapped);
}

TEST_P(ShadowViews, DevicePageIsForgotten) {
  page(0x9000, Machine::kDevice | kSmall | kUserWrites | kNotGlobal);
  EXPECT_TRUE(fills(0x9000, Access::Write, Privilege::User));
  EXPECT_EQ(miss(0x9000, Access::Execute, Privilege::User).outcome, Outcome::Nothing);
  shadow.forget_page(HostPhysical{Machine::kDeviceMachine});
  EXPECT_FALSE(seen(0x9000, Privilege::User).mapped);
}

// The least pool: whatever one instruction needs at once is there when it runs again.
TEST_P(ShadowViews, SmallPoolMakesProgress) {
  constexpr mem::ShadowShape kShape{.contexts = 1, .pages = Machine::kPages};
  const mem::ShadowShape shape{1, kShape.pages, GetParam()};
  const std::uint32_t bytes = Engine::pool_bytes(shape, 8);
  Machine little(bytes);
  {
    Engine none(little, HostPhysical{Machine::kPool}, bytes - 4, shape, GuestVirtual{kWindow},
                kMonitor);
    EXPECT_FALSE(none.is_usable());
    Engine unaligned(little, HostPhysical{Machine::kPool + 0x1000}, bytes, shape,
                     GuestVirtual{kWindow}, kMonitor);
    EXPECT_FALSE(unaligned.is_usable());
  }
  Engine small(little, HostPhysical{Machine::kPool}, bytes, shape, GuestVirtual{kWindow}, kMonitor);
  ASSERT_TRUE(small.is_usable());
  small.set_translation(controls);
  for (std::uint32_t n = 0; n < 32; ++n) {
    little.put(GuestPhysical{kFirst + n * 4}, kSecond | 1);
  }
  little.put(GuestPhysical{kSecond},
             (Machine::kGuest + 0x5000) | kSmall | kUserWrites | kNotGlobal);
  const auto root = [&] {
    return static_cast<std::uint32_t>(small.current(Privilege::User).table.value());
  };
  for (std::uint32_t n = 0; n < 100; ++n) {
    // Four pages in four slots, as an instruction across two of them with an operand across two.
    const std::uint32_t first = n * 7 % 29;
    for (unsigned round = 0;; ++round) {
      ASSERT_LT(round, 5u);
      bool all = true;
      for (std::uint32_t i = 0; i < 4; ++i) {
        const std::uint32_t at = (first + i) << 20;
        if (little.tables.walk(root(), at)) continue;
        all = false;
        ASSERT_EQ(small.miss(GuestVirtual{at}, Access::Write, Privilege::User).outcome,
                  Outcome::Filled);
      }
      if (all) break;
    }
  }
  EXPECT_GT(small.counters().evictions, 50u);
  little.tables.finish();
  EXPECT_THAT(little.tables.errors(), testing::IsEmpty());
}

}  // namespace
}  // namespace mezzo::test
