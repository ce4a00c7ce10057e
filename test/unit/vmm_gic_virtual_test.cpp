// Partitions that share a core: the monitor takes every interrupt of a model chip and forwards it
// to guests that drive what they take for a GIC and an A9's private page, through the same filters
// that stand before the chip.
#include "irq/virtual_gic.hpp"

#include <gtest/gtest.h>

#include "device/gic_distributor.hpp"
#include "device/mpcore_private.hpp"
#include "device/shared_core_page.hpp"
#include "irq/shared_core.hpp"
#include "support/model_gic.hpp"
#include "support/model_registers.hpp"

namespace mezzo::irq {
namespace {

using test::ModelGic;
using test::ModelLock;
using test::ModelRegisters;
using Gic = VirtualGic<ModelGic::Distributor>;

constexpr std::uint32_t kCpu = 1, kSpurious = 1023;
constexpr std::uint32_t kUart = 37, kNetwork = 47, kTimer = 29;
constexpr std::uint32_t kFirstUart = 38;  // the first, urgent partition's

struct Ticks {
  std::uint64_t* value;
  static inline std::uint64_t passes = 0;  // at each look
  [[nodiscard]] std::uint64_t now() const { return *value += passes; }
};

// A partition as the monitor builds it, and the guest's own accesses.
struct Guest {
  ModelRegisters scu;
  Gic gic;
  device::SharedCorePage<ModelRegisters::Block, Gic, Ticks> page;
  device::FilteredDistributor<Gic::Distributor, ModelLock> distributor;
  device::MpcorePrivate<decltype(page)::Block> private_page;

  Guest(ModelGic& chip, ModelLock& lock, const LineSet& lines, std::uint64_t& time)
      : gic(chip.distributor(kCpu), kCpu),
        page(scu.block(), gic, Ticks{&time}),
        distributor(gic.distributor(), lock, lines, kCpu),
        private_page(page.block(), lines, kCpu) {
    distributor.start();
    private_page.reset();
  }
  std::uint32_t read(std::uint32_t offset) { return distributor.access({.offset = offset}).value; }
  void write(std::uint32_t offset, std::uint32_t value, std::uint8_t size = 4) {
    (void)distributor.access({.offset = offset, .size = size, .write = true, .value = value});
  }
  std::uint32_t read_page(std::uint32_t offset) {
    return private_page.access({.offset = offset}).value;
  }
  void write_page(std::uint32_t offset, std::uint32_t value) {
    (void)private_page.access({.offset = offset, .write = true, .value = value});
  }
  std::uint32_t acknowledge() { return read_page(0x10c); }
  void end(std::uint32_t line) { write_page(0x110, line); }
  void linux_starts() {
    write(gicd::kControl, 1);
    for (std::uint32_t n = 0; n < 96; n += 4) write(gicd::kPriority + n, 0xa0a0a0a0);
    write(gicd::kSetEnable, ~0u);
    write(gicd::kSetEnable + 4, ~0u);
    write_page(0x104, 0xf0);
    write_page(0x100, 1);
  }
};

LineSet private_lines() {
  LineSet lines;
  lines.set_word(0, 0xe800ffff);
  return lines;
}

struct Core {
  std::uint64_t time = 0;
  ModelGic chip;
  ModelLock lock;
  GicDistributor<ModelGic::Distributor> monitor{chip.distributor(kCpu)};
  GicInterface<ModelGic::Interface> interface{chip.interface(kCpu)};
  Guest urgent, other;
  SharedCore<Gic, 4> core;

  static ModelGic& started(ModelGic& chip) {
    const GicDistributor on(chip.distributor(kCpu));
    on.initialize();
    on.initialize_cpu();
    GicInterface(chip.interface(kCpu)).initialize();
    return chip;
  }
  Core()
      : urgent(started(chip), lock, private_lines().add(Line{kFirstUart}), time),
        other(chip, lock, private_lines().add(Line{kUart}).add(Line{kNetwork}), time) {
    EXPECT_TRUE(core.add(urgent.gic, urgent.distributor.lines()));
    EXPECT_TRUE(core.add(other.gic, other.distributor.lines()));
    urgent.linux_starts();
    other.linux_starts();
  }
  // What the monitor does at an IRQ of this core.
  void take_interrupts() {
    while (chip.signals(kCpu)) {
      const auto taken = interface.acknowledge();
      ASSERT_TRUE(taken);
      ASSERT_TRUE(core.forward(taken->line()));
      interface.end(*taken);
    }
  }
};

TEST(VirtualGic, AnInterruptIsForwardedOnceUntilTheGuestHasEndedIt) {
  Core f;
  f.chip.set_level(kUart, true);
  f.take_interrupts();
  EXPECT_FALSE(f.chip.line(kUart).enabled) << "else it would come again at once";
  EXPECT_FALSE(f.chip.line(kUart).active);
  EXPECT_FALSE(f.urgent.gic.signals());
  ASSERT_TRUE(f.other.gic.signals());
  EXPECT_EQ(f.other.read(gicd::kSetPending + 4), 1u << 5);
  EXPECT_EQ(f.other.acknowledge(), kUart);
  EXPECT_FALSE(f.other.gic.signals());
  EXPECT_EQ(f.other.read(gicd::kSetActive + 4), 1u << 5);
  EXPECT_EQ(f.other.read_page(0x114), 0xa0u);
  EXPECT_EQ(f.other.acknowledge(), kSpurious);
  f.other.end(kUart);
  EXPECT_TRUE(f.chip.line(kUart).enabled);
  f.take_interrupts();
  EXPECT_TRUE(f.other.gic.signals()) << "the level is still there";
  EXPECT_EQ(f.other.acknowledge(), kUart);
  f.chip.set_level(kUart, false);
  f.other.end(kUart);
  f.take_interrupts();
  EXPECT_FALSE(f.other.gic.signals());
}

TEST(VirtualGic, PrioritiesAndPreemptionAreTheGuests) {
  Core f;
  f.other.write(gicd::kPriority + kNetwork, 0x40, 1);
  f.chip.set_level(kUart, true);
  f.take_interrupts();
  EXPECT_EQ(f.other.acknowledge(), kUart);
  f.chip.set_level(kNetwork, true);
  f.take_interrupts();
  EXPECT_TRUE(f.other.gic.signals());
  EXPECT_EQ(f.other.read_page(0x118), kNetwork);
  f.other.write_page(0x104, 0x40);
  EXPECT_FALSE(f.other.gic.signals()) << "masked";
  f.other.write_page(0x104, 0xf0);
  EXPECT_EQ(f.other.acknowledge(), kNetwork);
  f.chip.set_level(kNetwork, false);
  f.other.end(kNetwork);
  EXPECT_EQ(f.other.read_page(0x114), 0xa0u);
  f.other.end(kUart);
  EXPECT_EQ(f.other.read_page(0x114), 0xffu);
}

TEST(VirtualGic, WhatTheGuestMasksWaitsInTheChip) {
  Core f;
  f.chip.set_level(kUart, true);
  f.take_interrupts();
  f.other.write(gicd::kClearEnable + 4, 1u << 5);
  EXPECT_FALSE(f.other.gic.signals());
  f.chip.set_level(kUart, false);
  f.other.write(gicd::kSetEnable + 4, 1u << 5);
  f.take_interrupts();
  EXPECT_FALSE(f.other.gic.signals()) << "a level that has gone away";

  f.other.write(gicd::kConfiguration + 8, 2u << 10);
  f.chip.set_level(kUart, true);
  f.take_interrupts();
  f.other.write(gicd::kControl, 0);
  f.chip.set_level(kUart, false);
  EXPECT_FALSE(f.other.gic.signals());
  f.other.write(gicd::kControl, 1);
  f.take_interrupts();
  EXPECT_EQ(f.other.acknowledge(), kUart) << "an edge that has come";
}

TEST(VirtualGic, MaskingInsideTheHandlerKeepsTheLineClosedAtItsEnd) {
  Core f;
  f.chip.set_level(kUart, true);
  f.take_interrupts();
  EXPECT_EQ(f.other.acknowledge(), kUart);
  f.other.write(gicd::kClearEnable + 4, 1u << 5);
  f.other.end(kUart);
  EXPECT_FALSE(f.chip.line(kUart).enabled);
  f.other.write(gicd::kSetEnable + 4, 1u << 5);
  EXPECT_TRUE(f.chip.line(kUart).enabled);
}

TEST(VirtualGic, EnablingAHeldLineOpensItOnlyAtItsEnd) {
  Core f;
  f.chip.set_level(kUart, true);
  f.take_interrupts();
  EXPECT_EQ(f.other.acknowledge(), kUart);
  f.other.write(gicd::kSetEnable + 4, 1u << 5);
  EXPECT_FALSE(f.chip.line(kUart).enabled);
  f.other.write(gicd::kClearPending + 4, 1u << 5);
  EXPECT_FALSE(f.chip.line(kUart).enabled);
  f.other.end(kUart);
  EXPECT_TRUE(f.chip.line(kUart).enabled);
}

TEST(VirtualGic, SoftwareInterruptsArePrivate) {
  Core f;
  f.other.write(gicd::kSoftware, 1u << 16 | 4);
  EXPECT_FALSE(f.chip.signals(kCpu));
  EXPECT_FALSE(f.urgent.gic.signals());
  EXPECT_EQ(f.other.read(gicd::kSetPending), 1u << 4);
  EXPECT_EQ(f.other.read(gicd::kSetSoftware + 4), 1u);
  EXPECT_EQ(f.other.acknowledge(), 4u) << "from CPU 0";
  EXPECT_EQ(f.other.read(gicd::kSetActive), 1u << 4);
  f.other.end(4);
  EXPECT_EQ(f.other.read(gicd::kSetActive), 0u);
  f.other.write(gicd::kSetSoftware + 5, 1, 1);
  EXPECT_TRUE(f.other.gic.signals());
  f.other.write(gicd::kClearSoftware + 5, 1, 1);
  EXPECT_FALSE(f.other.gic.signals());
}

TEST(VirtualGic, PrivateRegistersAreItsOwn) {
  Core f;
  const auto before = f.chip.state.cpus[kCpu];
  f.other.write(gicd::kClearEnable, ~0u);
  f.other.write(gicd::kPriority + kTimer, 0x80, 1);
  f.other.write(gicd::kConfiguration + 4, ~0u);
  f.other.write(gicd::kSetPending, 1u << kTimer);
  EXPECT_EQ(f.other.read(gicd::kPriority + 28), 0xa0a08000u) << "28 is not its own";
  EXPECT_EQ(f.other.read(gicd::kConfiguration + 4), 0xfcc00000u);
  EXPECT_EQ(f.other.read(gicd::kConfiguration), 0x2aaaaaaau) << "without the monitor's";
  EXPECT_EQ(f.other.read(gicd::kInputs), 0u);
  EXPECT_EQ(f.other.read(gicd::kSetPending), 1u << kTimer);
  EXPECT_EQ(f.chip.state.cpus[kCpu], before);
  EXPECT_TRUE(f.urgent.read(gicd::kSetEnable) != 0) << "nor the neighbour's";
}

TEST(VirtualGic, ItsTimerInterruptsWhenItsTimeHasCome) {
  Core f;
  EXPECT_EQ(f.other.page.next(), std::nullopt);
  f.time = 5000;
  f.other.write_page(0x608, 4);  // Linux: one shot
  f.other.write_page(0x604, 100);
  f.other.write_page(0x608, 5);
  EXPECT_EQ(f.other.page.next(), 5100u);
  f.time = 5060;
  EXPECT_EQ(f.other.read_page(0x604), 40u);
  f.other.page.advance();
  EXPECT_FALSE(f.other.gic.signals());
  f.time = 5101;
  f.other.page.advance();
  f.other.page.advance();
  EXPECT_FALSE(f.urgent.gic.signals());
  EXPECT_EQ(f.other.acknowledge(), kTimer);
  f.other.write_page(0x60c, 1);
  f.other.end(kTimer);
  f.other.page.advance();
  EXPECT_FALSE(f.other.gic.signals()) << "once";
  EXPECT_EQ(f.other.page.next(), std::nullopt);
  EXPECT_EQ(f.other.read_page(0x200), 5101u);
}

// Its next round ends at any moment, also while the guest clears the event of the last one.
TEST(VirtualGic, ATimerGoesOnWheneverItExpires) {
  for (std::uint64_t passes = 1; passes < 200; ++passes) {
    Core f;
    Ticks::passes = passes;
    f.other.write_page(0x600, 399);
    f.other.write_page(0x608, 7);
    for (int tick = 0; tick < 1000; ++tick) {
      (void)f.other.read_page(0x60c);
      const auto next = f.other.page.next();
      if (next) f.time = std::max(f.time, *next);
      f.other.page.advance();
      ASSERT_EQ(f.other.acknowledge(), kTimer) << "tick " << tick << ", " << passes;
      (void)f.other.read_page(0x60c);
      f.other.write_page(0x60c, 1);
      f.other.end(kTimer);
    }
    Ticks::passes = 0;
  }
}

TEST(VirtualGic, AStoppedPartitionLeavesItsLinesQuiet) {
  Core f;
  f.other.write(gicd::kConfiguration + 8, 2u << 10);
  f.other.write(gicd::kPriority + kNetwork, 0x40, 1);
  f.chip.set_level(kUart, true);
  f.take_interrupts();
  EXPECT_EQ(f.other.acknowledge(), kUart);
  f.chip.set_level(kNetwork, true);
  f.take_interrupts();
  EXPECT_EQ(f.other.acknowledge(), kNetwork);
  f.chip.set_level(kUart, false);
  f.chip.set_level(kUart, true);  // again, while held
  f.other.write(gicd::kSoftware, 1u << 16 | 4);
  f.other.distributor.stop(GicInterface(f.other.gic.interface()));
  f.other.private_page.reset();
  EXPECT_FALSE(f.other.gic.signals());
  EXPECT_TRUE(f.other.gic.state().active().empty());
  EXPECT_TRUE(f.other.gic.state().pending().empty());
  EXPECT_FALSE(f.chip.line(kUart).enabled || f.chip.line(kUart).pending);
  EXPECT_FALSE(f.chip.line(kNetwork).enabled);
  EXPECT_TRUE(f.chip.line(kFirstUart).enabled) << "the neighbour's";

  f.other.distributor.start();
  f.other.linux_starts();
  f.take_interrupts();
  EXPECT_EQ(f.other.acknowledge(), kUart) << "its next life: level-sensitive again";
}

TEST(SharedCore, TheFirstPartitionWithWorkRuns) {
  Core f;
  EXPECT_EQ(f.core.first_to_run(0b00, 0b11), std::nullopt) << "all asleep";
  EXPECT_EQ(f.core.first_to_run(0b10, 0b01), 1u);
  EXPECT_EQ(f.core.first_to_run(0b11, 0b00), 0u);
  f.chip.set_level(kFirstUart, true);
  f.chip.set_level(kUart, true);
  f.take_interrupts();
  EXPECT_EQ(f.core.first_to_run(0b10, 0b01), 0u) << "preempts";
  EXPECT_EQ(f.core.first_to_run(0b10, 0b00), 1u) << "the first one is stopped";
  EXPECT_EQ(f.urgent.acknowledge(), kFirstUart);
  EXPECT_EQ(f.core.first_to_run(0b00, 0b11), 1u);
}

TEST(SharedCore, ALineHasOneOwner) {
  Core f;
  EXPECT_EQ(f.core.forward(Line{64}), std::nullopt);
  EXPECT_EQ(f.core.forward(kMonitorPoke), std::nullopt) << "the monitor's own";
  EXPECT_EQ(f.core.forward(Line{1023}), std::nullopt);
  EXPECT_FALSE(f.core.add(f.urgent.gic, LineSet{}.add(Line{kUart})));
  EXPECT_TRUE(f.core.add(f.urgent.gic, LineSet{}.add(Line{64})));
  EXPECT_TRUE(f.core.add(f.urgent.gic, LineSet{}.add(Line{5}))) << "private lines: everybody's";
  EXPECT_FALSE(f.core.add(f.urgent.gic, LineSet{})) << "too many";
  EXPECT_EQ(f.core.forward(Line{64}), 2u);
}

TEST(VirtualInterface, IgnoresLinesThatDoNotExist) {
  VirtualInterface state;
  state.set_enabled(Line{256}, true);
  state.set_pending(Line{0xffffffff}, true);
  state.set_priority(Line{1000}, 0);
  EXPECT_EQ(state.priority(Line{1000}), 0xff);
  EXPECT_EQ(state.write(gicc::kEnd, 0xffffffff), std::nullopt);
  EXPECT_EQ(state.write(0x50, 1), std::nullopt);
  EXPECT_EQ(state.read(0x50), 0u);
  EXPECT_EQ(state.read(gicc::kAcknowledge), kSpurious);
  EXPECT_FALSE(state.signals());
}

}  // namespace
}  // namespace mezzo::irq
