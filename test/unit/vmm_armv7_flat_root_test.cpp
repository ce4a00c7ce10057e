// The monitor's own root: what is at its machine address there, and what is not there.
#include "arch/armv7/flat_root.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>

#include "support/shadow_hardware.hpp"

namespace mezzo::armv7 {
namespace {

using test::ArmHardware;

constexpr std::uint32_t kMiB = 1u << 20;

struct FlatRoot : testing::Test {
  FlatRoot() {
    plan.board = {.ram_base = 0x60000000,
                  .ram_size = 64 * kMiB,
                  .distributor = 0x1e001000,
                  .interface = 0x1e000000,
                  .private_timer = 0x1e000600};
    plan.windows[0] = {0, 0x10000000, 0x1000, plan::WindowKind::Direct};
    plan.windows[1] = {0, 0x1c0ff000, 0x2000, plan::WindowKind::SystemRegisters};
    plan.windows[2] = {0, 0x30000000, 0x1000, plan::WindowKind::Ignored};
    plan.window_count = 3;
    plan.silences[0].address = 0x4c000004;
    plan.silence_count = 1;
  }
  // Slots that are mapped, but the memory.
  std::set<std::uint32_t> devices() {
    root.fill(0xdeadbeef);
    map_flat(plan, root);
    std::set<std::uint32_t> found;
    for (std::uint32_t slot = 0; slot < root.size(); ++slot) {
      if (root[slot] != 0 && slot * kMiB - plan.board.ram_base >= plan.board.ram_size) {
        found.insert(slot);
      }
    }
    return found;
  }
  plan::Plan plan{};
  std::array<std::uint32_t, 4096> root{};
};

TEST_F(FlatRoot, HasMemoryAndTheDevicesOfThePlanAndNothingElse) {
  EXPECT_EQ(devices(), (std::set<std::uint32_t>{0x100, 0x1c0, 0x1c1, 0x1e0, 0x4c0}));
  for (std::uint32_t at = 0; at < plan.board.ram_size; at += kMiB) {
    EXPECT_NE(root[(plan.board.ram_base + at) / kMiB], 0u);
  }
}

TEST_F(FlatRoot, NothingInItIsForAGuestOrUnderItsRoots) {
  (void)devices();
  for (std::uint32_t slot = 0; slot < root.size(); ++slot) {
    if (root[slot] == 0) continue;
    const auto leaf = ArmHardware::block(root[slot]);
    EXPECT_EQ(leaf.machine, slot * kMiB);
    EXPECT_FALSE(leaf.read || leaf.write || leaf.execute);
    EXPECT_FALSE(leaf.global);
    EXPECT_EQ(leaf.tag, ShortDescriptor::kMonitorDomain);
  }
}

TEST_F(FlatRoot, MemoryIsCachedAndDevicesAreDevices) {
  (void)devices();
  constexpr std::uint32_t kNormalSharedCached = 0b001'11'1, kSharedDevice = 0b000'01'0;
  EXPECT_EQ(ArmHardware::block(root[0x600]).attributes, kNormalSharedCached);
  EXPECT_EQ(ArmHardware::block(root[0x1e0]).attributes, kSharedDevice);
}

// A board without a GIC, whose interrupt controller is a window.
TEST_F(FlatRoot, ABoardMayHaveLess) {
  plan.board.distributor = plan.board.interface = plan.board.private_timer = 0;
  plan.window_count = 1;
  plan.silence_count = 0;
  EXPECT_EQ(devices(), (std::set<std::uint32_t>{0x100}));
}

}  // namespace
}  // namespace mezzo::armv7
