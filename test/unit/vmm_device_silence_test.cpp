// Devices are silenced by exactly the writes that the plan lists for their partition, in its order,
// and none can keep the monitor waiting.
#include "device/silence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mezzo::device {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A device per register: it stays busy for a number of reads after each write.
struct ModelDevices {
  static constexpr std::uint32_t kForEver = ~0U;
  struct Register {
    std::uint32_t busy_bits = 0;
    std::uint32_t busy_reads = 0;
    std::uint32_t others = 0;  // bits that are always read as one
    bool answers = true;
  };
  std::map<std::uint32_t, Register> registers;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> stores;
  std::map<std::uint32_t, std::uint32_t> loads;  // how many

  struct Bus {
    ModelDevices* devices;
    [[nodiscard]] bool store(std::uint32_t address, std::uint32_t word) const {
      devices->stores.emplace_back(address, word);
      return devices->registers[address].answers;
    }
    [[nodiscard]] bool load(std::uint32_t address, std::uint32_t& word) const {
      const Register& found = devices->registers[address];
      const bool is_busy = devices->loads[address]++ < found.busy_reads;
      word = found.others | (is_busy ? found.busy_bits : 0);
      return found.answers;
    }
  };
  [[nodiscard]] Bus bus() { return {this}; }
};

struct Fixture {
  std::unique_ptr<plan::Plan> plan = std::make_unique<plan::Plan>();
  ModelDevices devices;

  void add(std::uint32_t partition, std::uint32_t address, std::uint32_t value,
           std::uint32_t busy = 0) {
    plan->silences[plan->silence_count++] = {partition, address, value, busy};
  }
  std::uint32_t silence(std::uint32_t partition) {
    return device::silence(*plan, partition, devices.bus());
  }
};

TEST(Silence, WritesThePartitionsRowsInTheirOrder) {
  Fixture f;
  f.add(1, 0x10013070, 0);
  f.add(0, 0x10009038, 0);
  f.add(1, 0x10009044, 0x7ff);
  f.add(1, 0x10013070, 1);
  // Not among those that count.
  f.plan->silences[f.plan->silence_count] = {1, 0x4e000000, 1, 0};
  EXPECT_EQ(f.silence(1), 0U);
  EXPECT_THAT(f.devices.stores,
              ElementsAre(std::pair(0x10013070U, 0U), std::pair(0x10009044U, 0x7ffU),
                          std::pair(0x10013070U, 1U)));
  f.devices.stores.clear();
  EXPECT_EQ(f.silence(2), 0U);
  EXPECT_THAT(f.devices.stores, IsEmpty());
}

// A read may have an effect of its own.
TEST(Silence, ReadsOnlyWhereItWaits) {
  Fixture f;
  f.add(0, 0x1000, 7);
  f.add(0, 0x2000, 7, 7);
  EXPECT_EQ(f.silence(0), 0U);
  EXPECT_FALSE(f.devices.loads.contains(0x1000));
  EXPECT_EQ(f.devices.loads[0x2000], 1U);
}

TEST(Silence, WaitsForTheBusyBitsAlone) {
  Fixture f;
  f.add(0, 0x1000, 7, 6);
  f.devices.registers[0x1000] = {.busy_bits = 4, .busy_reads = 25, .others = 0xfffffff9};
  EXPECT_EQ(f.silence(0), 0U);
  EXPECT_EQ(f.devices.loads[0x1000], 26U) << "until it is read as done, and no longer";
}

TEST(Silence, NoDeviceKeepsTheMonitorWaiting) {
  Fixture f;
  f.add(0, 0x1000, 1, 1);
  f.add(0, 0x2000, 1);
  f.devices.registers[0x1000] = {.busy_bits = 1, .busy_reads = ModelDevices::kForEver};
  EXPECT_EQ(f.silence(0), 1U);
  EXPECT_EQ(f.devices.loads[0x1000], kSilencePatience);
  EXPECT_EQ(f.devices.stores.size(), 2U) << "the next one has its turn";
}

TEST(Silence, WhatDoesNotAnswerIsLeftAlone) {
  Fixture f;
  f.add(0, 0x1000, 1, 1);
  f.add(0, 0x2000, 1);
  f.devices.registers[0x1000] = {
      .busy_bits = 1, .busy_reads = ModelDevices::kForEver, .answers = false};
  EXPECT_EQ(f.silence(0), 0U);
  EXPECT_TRUE(f.devices.loads.empty());
  EXPECT_EQ(f.devices.stores.size(), 2U);
}

}  // namespace
}  // namespace mezzo::device
