// Channels in the monitor: who has which end, whom a doorbell interrupts, what the hypercalls say
// of it, and which rows of a plan are refused.
#include "core/channel.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "arch/ia32/hypercalls.hpp"
#include "core/verify.hpp"
#include "support/fake_guest.hpp"

namespace mezzo {
namespace {

using hypercall::Call;
using hypercall::Error;

// Three partitions on CPUs 4, 5 and 6; channel 0 is between the last two, channel 1 between the
// first two.
std::unique_ptr<plan::Plan> three_partitions() {
  auto plan = std::make_unique<plan::Plan>();
  plan->partition_count = 3;
  for (std::uint32_t n = 0; n < 3; ++n) {
    plan->partitions[n].cpu = 4 + n;
    plan->partitions[n].first_piece = n;
    plan->partitions[n].piece_count = 1;
    plan->pieces[n] = {n << 24, 1 << 24, n << 24};
  }
  plan->partitions[0].interrupts = plan::InterruptController::IoApic;
  plan->piece_count = 3;
  plan->channel_count = 2;
  plan->channels[0] = {0x5000000, 0x10000, {{1, plan::kNoLine}, {2, plan::kNoLine}}};
  plan->channels[1] = {0x6000000, 0x4000, {{1, plan::kNoLine}, {0, 21}}};
  plan->monitor_base = 0x10000000;
  plan->monitor_size = plan::kMonitorSize;
  plan->store_base = 0xf000000;
  plan->store_size = 0x1000;
  return plan;
}

TEST(Channel, EndsAreFoundByNumberAndInTheirOrder) {
  const auto plan = three_partitions();
  EXPECT_EQ(end_of_channel(*plan, 2, 0)->which, 1u);
  EXPECT_FALSE(end_of_channel(*plan, 2, 1));
  EXPECT_FALSE(end_of_channel(*plan, 1, 2));
  EXPECT_FALSE(end_of_channel(*plan, 1, ~0u));
  EXPECT_EQ(nth_end(*plan, 1, 0)->channel, 0u);
  EXPECT_EQ(nth_end(*plan, 1, 1)->channel, 1u);
  EXPECT_FALSE(nth_end(*plan, 1, 2));
  EXPECT_EQ(nth_end(*plan, 0, 0)->channel, 1u);
  EXPECT_EQ(nth_end(*plan, 0, 0)->which, 1u);
}

TEST(Channel, ADoorbellInterruptsTheOtherEndIfItListens) {
  const auto plan = three_partitions();
  Doorbells doorbells;
  EXPECT_FALSE(doorbells.ring(*plan, {0, 0}));
  doorbells.listen({0, 1}, 0x50);
  const auto target = doorbells.ring(*plan, {0, 0});
  ASSERT_TRUE(target);
  EXPECT_EQ(target->cpu, 6u);
  EXPECT_EQ(target->vector, 0x50);
  EXPECT_FALSE(doorbells.ring(*plan, {0, 1})) << "the end that listens is not the one that rings";
  doorbells.forget(*plan, 1);
  EXPECT_TRUE(doorbells.ring(*plan, {0, 0})) << "somebody else has ended";
  doorbells.forget(*plan, 2);
  EXPECT_FALSE(doorbells.ring(*plan, {0, 0}));
}

struct ChannelCalls : testing::Test {
  struct NoLog {
    void write(auto...) {}
  };
  std::unique_ptr<plan::Plan> plan = three_partitions();
  status::PartitionStatus status{};
  test::FakeGuest guest;
  Doorbells doorbells;

  std::uint32_t call(std::uint32_t partition, Call number, std::uint32_t ebx,
                     std::uint32_t ecx = 0) {
    guest.frame.eax = static_cast<std::uint32_t>(number);
    guest.frame.ebx = ebx;
    guest.frame.ecx = ecx;
    NoLog log;
    const Partition of(*plan, plan->partitions[partition], status);
    const Verdict verdict = ia32::answer_hypercall(guest.context, of, doorbells, log);
    EXPECT_EQ(verdict.kind, Verdict::Kind::Resume);
    return guest.frame.eax;
  }
  static constexpr auto kBad = static_cast<std::uint32_t>(Error::BadArgument);
};

TEST_F(ChannelCalls, TellWhereAChannelIs) {
  EXPECT_EQ(call(1, Call::Channel, 1), 0u);
  EXPECT_EQ(guest.frame.ebx, 0x6000000u);
  EXPECT_EQ(guest.frame.ecx, 0x4000u);
  EXPECT_EQ(guest.frame.edx, 0u);
  EXPECT_EQ(call(2, Call::Channel, 0), 0u);
  EXPECT_EQ(guest.frame.edx, 1u);
}

TEST_F(ChannelCalls, RefuseChannelsOfOthers) {
  for (const Call number : {Call::Channel, Call::Listen, Call::Ring}) {
    EXPECT_EQ(call(2, number, 1, 0x40), kBad);
    EXPECT_EQ(call(2, number, ~0u, 0x40), kBad);
  }
  EXPECT_TRUE(guest.machine.interrupts.empty());
}

TEST_F(ChannelCalls, OnlyVectorsOfDevicesAreListenedBy) {
  for (const std::uint32_t vector : {1u, 2u, 31u, 256u, 0x120u, ~0u}) {
    EXPECT_EQ(call(2, Call::Listen, 0, vector), kBad) << vector;
  }
  EXPECT_EQ(call(1, Call::Ring, 0), 0u);
  for (const std::uint32_t vector : {32u, 255u}) {
    EXPECT_EQ(call(2, Call::Listen, 0, vector), 0u);
    EXPECT_EQ(call(1, Call::Ring, 0), 1u);
    EXPECT_EQ(guest.machine.interrupts.back().vector, vector);
    EXPECT_EQ(guest.machine.interrupts.back().cpu, 6u);
  }
  EXPECT_EQ(call(2, Call::Listen, 0, 0), 0u);
  EXPECT_EQ(call(1, Call::Ring, 0), 0u);
  EXPECT_EQ(guest.machine.interrupts.size(), 2u);
}

TEST_F(ChannelCalls, AnEndWithALineListensByThat) {
  EXPECT_EQ(call(0, Call::Listen, 0, 0x40), kBad);
}

// What the check says after `change`.
PlanError after(const std::function<void(plan::Plan&)>& change) {
  constexpr std::array kRam = {MemoryRange{0, 0x20000000}};
  auto plan = three_partitions();
  change(*plan);
  return verify_memory(*plan, kRam).error;
}

TEST(VerifyChannels, AcceptsGoodOnes) {
  EXPECT_EQ(after([](plan::Plan&) {}), PlanError::None);
}

TEST(VerifyChannels, RefusesWhatIsNotMemoryOfItsOwn) {
  const auto at = [](std::uint32_t base, std::uint32_t size) {
    return after([=](plan::Plan& plan) {
      plan.channels[1].base = base;
      plan.channels[1].size = size;
    });
  };
  EXPECT_EQ(at(0x6000000, 0), PlanError::BadChannel);
  EXPECT_EQ(at(0x6000800, 0x1000), PlanError::BadChannel);
  EXPECT_EQ(at(0x6000000, 0x1800), PlanError::BadChannel);
  EXPECT_EQ(at(0x1ffff000, 0x2000), PlanError::BadChannel) << "beyond RAM";
  EXPECT_EQ(at(0xfffff000, 0x2000), PlanError::BadChannel) << "around the end";
  EXPECT_EQ(at(0x2fff000, 0x2000), PlanError::BadChannel) << "a partition's";
  EXPECT_EQ(at(0x500f000, 0x2000), PlanError::BadChannel) << "another channel's";
  EXPECT_EQ(at(0x10000000, 0x1000), PlanError::BadChannel) << "the monitor's";
  EXPECT_EQ(at(0xf000000, 0x1000), PlanError::BadChannel) << "the store's";
}

TEST(VerifyChannels, RefusesEndsThatCannotBe) {
  const auto with = [](plan::ChannelEnd end) {
    return after([=](plan::Plan& plan) { plan.channels[1].ends[1] = end; });
  };
  EXPECT_EQ(with({1, plan::kNoLine}), PlanError::BadChannel) << "the same partition";
  EXPECT_EQ(with({3, plan::kNoLine}), PlanError::BadChannel);
  EXPECT_EQ(with({~0u, plan::kNoLine}), PlanError::BadChannel);
  EXPECT_EQ(with({2, 21}), PlanError::BadChannel) << "without an I/O APIC";
  EXPECT_EQ(with({0, 120}), PlanError::BadChannel) << "beyond the I/O APIC's registers";
}

}  // namespace
}  // namespace mezzo
