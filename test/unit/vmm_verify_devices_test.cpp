// What a plan gives partitions of an ARMv7 machine beside memory: each row that is another's, the
// monitor's, or memory, is refused.
#include "core/verify_devices.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace mezzo {
namespace {

constexpr std::uint32_t kMiB = 1u << 20, kRam = 0x60000000, kPage = plan::kPageSize;
constexpr std::uint32_t kPrivate = 0x1e000000, kDistributor = 0x1e001000;

// Two partitions of a Versatile Express, each with its private page, a UART and a pool.
std::unique_ptr<plan::Plan> good_plan() {
  auto plan = std::make_unique<plan::Plan>();
  plan->architecture = plan::Architecture::Armv7;
  plan->board = {kRam, 256 * kMiB, kDistributor, kPrivate + 0x100, kPrivate + 0x600};
  plan->monitor_base = kRam + 252 * kMiB;
  plan->monitor_size = plan::kArmv7MonitorSize;
  plan->store_base = kRam + 200 * kMiB;
  plan->store_size = kMiB;
  plan->partition_count = plan->piece_count = 2;
  plan->window_count = 6;
  for (std::uint32_t n = 0; n < 2; ++n) {
    plan::Partition& row = plan->partitions[n];
    row.cpu = row.first_piece = n;
    row.piece_count = 1;
    row.first_window = 3 * n;
    row.window_count = 3;
    row.armv7.shadow_base = kRam + (240 + 4 * n) * kMiB;
    row.armv7.shadow_size = 4 * kMiB;
    row.armv7.lines[0] = 1u << 29;
    row.armv7.lines[1] = 1u << (5 + n);
    plan->pieces[n] = {kRam + n * 64 * kMiB, 64 * kMiB, kRam};
    plan->windows[3 * n] = {kPrivate, kPrivate, kPage, plan::WindowKind::Direct};
    plan->windows[3 * n + 1] = {kDistributor, kDistributor, kPage, plan::WindowKind::Distributor};
    const std::uint32_t uart = 0x10009000 + n * kPage;
    plan->windows[3 * n + 2] = {uart, uart, kPage, plan::WindowKind::Direct};
  }
  return plan;
}

void expect(const std::function<void(plan::Plan&)>& change, PlanError error, std::uint32_t index) {
  const auto plan = good_plan();
  change(*plan);
  const PlanCheck check = verify_devices(*plan);
  EXPECT_STREQ(describe(check.error), describe(error));
  EXPECT_EQ(check.index, index);
}

TEST(VerifyDevices, AcceptsAGoodPlan) {
  expect([](plan::Plan&) {}, PlanError::None, 0);
  expect([](plan::Plan& p) { p.windows[5] = {0, 1, 2, plan::WindowKind::Ignored}; },
         PlanError::None, 0);
}

TEST(VerifyDevices, APoolIsMemoryOfItsOwn) {
  const auto moved = [](std::uint32_t base) {
    expect([&](plan::Plan& p) { p.partitions[1].armv7.shadow_base = base; }, PlanError::PoolNotOwn,
           1);
  };
  moved(kRam + 244 * kMiB + kPage);  // not aligned
  moved(kRam - 4 * kMiB);            // no RAM
  moved(kRam + 253 * kMiB);
  moved(0xffc00000);
  moved(kRam + 128 * kMiB - 16 * 1024);  // in a piece
  moved(kRam + 197 * kMiB);              // in the store
  moved(kRam + 249 * kMiB);              // in the monitor
  moved(kRam + 243 * kMiB);              // in another pool
  expect([](plan::Plan& p) { p.partitions[0].armv7.shadow_size = 0; }, PlanError::PoolNotOwn, 0);
  expect([](plan::Plan& p) { p.partitions[0].armv7.shadow_size = 0xffffffff; },
         PlanError::PoolNotOwn, 0);
}

TEST(VerifyDevices, AWindowIsNoMemoryAndNobodysTwice) {
  const auto changed = [](std::uint32_t base, std::uint32_t size, plan::WindowKind kind,
                          std::uint32_t index = 5) {
    expect([&](plan::Plan& p) { p.windows[5] = {0x10000000, base, size, kind}; },
           PlanError::WindowNotOwn, index);
  };
  using enum plan::WindowKind;
  changed(0x10009000, kPage, Direct, 2);      // another one's
  changed(0x10008000, 4 * kPage, Direct, 2);  // likewise, among more
  changed(kRam + 252 * kMiB, kPage, Direct);  // the monitor
  changed(kRam - kPage, 2 * kPage, Direct);   // partly memory
  changed(kRam, kPage, Interface);            // memory, filtered
  changed(kDistributor, kPage, Direct);       // the distributor itself
  changed(kPrivate, 2 * kPage, Direct);       // with the private page
  changed(0x1000a800, kPage, Direct);
  changed(0x1000a000, 0, Direct);
  changed(0x1000a000, kPage / 2, Direct);
  changed(0xfffff000, 2 * kPage, Direct);
  changed(0x1000a000, kPage, Count);
  changed(0x1000a000, kPage, static_cast<plan::WindowKind>(0xffffffff));
}

// What each CPU has its own of is mapped only for a partition that has the CPU to itself.
TEST(VerifyDevices, APrivatePageIsNotMappedOnASharedCpu) {
  expect([](plan::Plan& p) { p.partitions[1].cpu = 0; }, PlanError::WindowNotOwn, 0);
  expect(
      [](plan::Plan& p) {
        p.partitions[1].cpu = 0;
        p.windows[0].kind = p.windows[3].kind = plan::WindowKind::Interface;
      },
      PlanError::None, 0);
}

TEST(VerifyDevices, ALineIsOnePartitions) {
  expect([](plan::Plan& p) { p.partitions[1].armv7.lines[1] |= 1u << 5; }, PlanError::LineNotOwn,
         1);
  expect(
      [](plan::Plan& p) {
        for (plan::Partition& row : p.partitions) row.armv7.lines[7] = 1u << 31;
      },
      PlanError::LineNotOwn, 1);
}

}  // namespace
}  // namespace mezzo
