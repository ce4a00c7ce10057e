// Which interrupts of a CPU are the monitor's, and how a guest's are kept away, on the model GIC.
#include "arch/armv7/interrupts.hpp"

#include <gtest/gtest.h>

#include "support/model_gic.hpp"
#include "support/model_registers.hpp"

namespace mezzo::armv7 {
namespace {

using irq::Line;
using test::ModelGic;
using test::ModelRegisters;

constexpr std::uint32_t kCpu = 1, kHeartbeat = 30, kUart = 37;
constexpr std::uint32_t kWatchdog = 0x620;
constexpr plan::Board kBoard{.ram_base = 0,
                             .ram_size = 0,
                             .distributor = 0x1e001000,
                             .interface = 0x1e000100,
                             .private_timer = 0x1e000600};

// The page of one CPU; a watchdog that has run out raises its line until its status is cleared.
struct Machine {
  ModelGic gic;
  ModelRegisters timers;
};
Machine* machine = nullptr;

struct Page {
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
    if (is_interface(offset)) return machine->gic.interface(kCpu).read32(offset - 0x100);
    return machine->timers.block().read32(offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) const {
    if (is_interface(offset)) {
      return machine->gic.interface(kCpu).write32(offset - 0x100, value);
    }
    machine->timers.block().write32(offset, value);
    if (offset == kWatchdog + 0xc) machine->gic.set_level(kHeartbeat, false, kCpu);
  }
  void write8(std::uint32_t, std::uint8_t) const { ADD_FAILURE() << "a byte"; }
  static bool is_interface(std::uint32_t offset) { return offset >= 0x100 && offset < 0x200; }
};
using Interrupts = InterruptsOf<Page>;

struct Fixture : Machine {
  irq::GicDistributor<ModelGic::Distributor> distributor{gic.distributor(kCpu)};
  irq::GicInterface<ModelGic::Interface> guest{gic.interface(kCpu)};
  Interrupts::Filter filter{Interrupts::Block(Page{}, 0x100), irq::LineSet{}.add(Line{kUart}),
                            kCpu};
  Interrupts interrupts;

  Fixture() {
    machine = this;
    distributor.initialize();
    interrupts.initialize(distributor, PrivateLayout::of(kBoard), 1000);
    ModelGic::LineState& uart = gic.line(kUart);
    uart.enabled = true;
    uart.priority = 0xa0;
    uart.target = 1u << kCpu;
  }
  // The guest has the CPU interface for itself, or through the filter.
  void pass_through() {
    interrupts.reset(nullptr);
    guest.set_threshold(0xf0);
  }
  void use_filter() {
    interrupts.reset(&filter);
    write(irq::gicc::kPriorityMask, 0xf0);
    write(irq::gicc::kControl, 1);
  }
  void write(std::uint32_t offset, std::uint32_t value) {
    (void)filter.access({.offset = offset, .write = true, .value = value});
  }
  std::uint32_t read(std::uint32_t offset) { return filter.access({.offset = offset}).value; }
  void beat() { gic.set_level(kHeartbeat, true, kCpu); }
  bool signals() { return gic.signals(kCpu); }
  [[nodiscard]] std::uint32_t word(std::uint32_t offset) {
    return timers.block().read32(kWatchdog + offset);
  }
};

TEST(PrivateLayout, IsInOnePageOrHasNoWatchdog) {
  EXPECT_EQ(PrivateLayout::of(kBoard).interface, 0x100u);
  EXPECT_EQ(PrivateLayout::of(kBoard).watchdog, 0x620u);
  plan::Board board = kBoard;
  board.private_timer = 0x1f000600;
  EXPECT_EQ(PrivateLayout::of(board).watchdog, 0u);
  board.private_timer = 0;
  EXPECT_EQ(PrivateLayout::of(board).watchdog, 0u);
}

TEST(CpuInterrupts, TheHeartbeatIsTheWatchdogAsATimer) {
  Fixture f;
  EXPECT_TRUE(f.interrupts.has_heartbeat());
  EXPECT_EQ(f.word(0x0), 1000 * kPeripheralClockMhz - 1);
  EXPECT_EQ(f.word(0x8), 7u);
  const ModelGic::LineState& line = f.gic.line(kHeartbeat, kCpu);
  EXPECT_TRUE(line.enabled);
  EXPECT_EQ(line.priority, irq::kMonitorPriority);
}

TEST(CpuInterrupts, AHeartbeatIsTakenAndEnded) {
  Fixture f;
  f.pass_through();
  f.beat();
  EXPECT_TRUE(f.signals());
  EXPECT_TRUE(f.interrupts.take_own());
  EXPECT_FALSE(f.signals());
  EXPECT_EQ(f.guest.running_priority(), 0xffu);
  EXPECT_TRUE(f.interrupts.has_beaten());
  EXPECT_TRUE(f.interrupts.take_heartbeat());
  EXPECT_FALSE(f.interrupts.take_heartbeat());
  EXPECT_FALSE(f.interrupts.take_own());
}

TEST(CpuInterrupts, AGuestsInterruptIsLeftToIt) {
  Fixture f;
  f.pass_through();
  f.gic.set_level(kUart, true);
  EXPECT_FALSE(f.interrupts.take_own());
  EXPECT_TRUE(f.signals());
  f.beat();
  EXPECT_TRUE(f.interrupts.take_own());
  EXPECT_TRUE(f.signals());
  EXPECT_EQ(f.guest.acknowledge()->raw, kUart);
}

TEST(CpuInterrupts, APokeIsTheMonitorsToo) {
  Fixture f;
  f.pass_through();
  f.distributor.send(kCpu);
  EXPECT_TRUE(f.interrupts.take_own());
  EXPECT_FALSE(f.signals());
  EXPECT_FALSE(f.interrupts.has_beaten());
}

TEST(CpuInterrupts, WhatIsHeldWaitsAndTheHeartbeatDoesNot) {
  for (const bool filtered : {false, true}) {
    Fixture f;
    filtered ? f.use_filter() : f.pass_through();
    f.gic.set_level(kUart, true);
    EXPECT_TRUE(f.signals());
    EXPECT_FALSE(f.interrupts.is_held());
    EXPECT_TRUE(f.interrupts.hold());
    EXPECT_TRUE(f.interrupts.is_held());
    EXPECT_FALSE(f.signals());
    f.beat();
    EXPECT_TRUE(f.signals());
    EXPECT_TRUE(f.interrupts.take_own());
    EXPECT_FALSE(f.signals());
    f.interrupts.open();
    EXPECT_FALSE(f.interrupts.is_held());
    EXPECT_TRUE(f.signals());
    EXPECT_EQ(f.gic.state.cpus[kCpu].threshold, 0xf0u);
  }
}

TEST(CpuInterrupts, UntilItIsAcknowledgedADeliveredInterruptIsHeldByTheProcessorAlone) {
  Fixture f;
  f.pass_through();
  f.gic.set_level(kUart, true);
  f.interrupts.delivered();
  EXPECT_FALSE(f.interrupts.hold());
  EXPECT_TRUE(f.signals()) << "the guest is to read it";
  ASSERT_EQ(f.guest.acknowledge()->raw, kUart);
  EXPECT_TRUE(f.interrupts.hold());
  f.interrupts.open();
  f.guest.end({kUart});
  EXPECT_TRUE(f.interrupts.hold()) << "it has been acknowledged";
}

TEST(CpuInterrupts, OnlyOfAPassedThroughInterfaceIsReadWhatIsPending) {
  Fixture f;
  EXPECT_EQ(Interrupts{}.pending_register(), std::nullopt) << "no GIC";
  f.use_filter();
  EXPECT_EQ(f.interrupts.pending_register(), std::nullopt);
  f.pass_through();
  EXPECT_EQ(f.interrupts.pending_register(), 0x118u);
}

TEST(CpuInterrupts, AFilteredGuestAcknowledgesWhatIsHeld) {
  Fixture f;
  f.use_filter();
  f.gic.set_level(kUart, true);
  f.interrupts.delivered();
  EXPECT_TRUE(f.interrupts.hold());
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kUart);
  f.gic.set_level(kUart, false);
  f.write(irq::gicc::kEnd, kUart);
  f.beat();
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), 1023u);
  const auto taken = f.filter.take_monitors();
  ASSERT_TRUE(taken.has_value());
  f.interrupts.handle(*taken);
  EXPECT_TRUE(f.interrupts.take_heartbeat());
  EXPECT_EQ(f.guest.running_priority(), 0xffu);
}

TEST(CpuInterrupts, AThresholdThatTheGuestWroteMeanwhileStays) {
  Fixture f;
  f.pass_through();
  ASSERT_TRUE(f.interrupts.hold());
  f.guest.set_threshold(0x80);
  f.interrupts.open();
  EXPECT_EQ(f.gic.state.cpus[kCpu].threshold, 0x80u);
}

TEST(CpuInterrupts, ResetUndoesWhatAGuestDidToTheHeartbeat) {
  Fixture f;
  f.pass_through();
  ASSERT_TRUE(f.interrupts.hold());
  Page{}.write32(kWatchdog + 8, 0);
  Page{}.write32(0x100, 0);
  f.timers.writes.clear();
  f.interrupts.reset(nullptr);
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> expected{
      {kWatchdog + 0x14, 0x12345678u},
      {kWatchdog + 0x14, 0x87654321u},
      {kWatchdog + 0x8, 0u},
      {kWatchdog + 0x0, 1000 * kPeripheralClockMhz - 1},
      {kWatchdog + 0x8, 7u}};
  EXPECT_EQ(f.timers.writes, expected);
  f.beat();
  EXPECT_TRUE(f.interrupts.take_own());
}

TEST(CpuInterrupts, ResetLeavesAHeartbeatAloneThatRunsAsSet) {
  Fixture f;
  f.timers.words[kWatchdog + 4] = 1000;  // its counter: the next one is near
  f.timers.writes.clear();
  f.interrupts.reset(nullptr);
  f.interrupts.reset(nullptr);
  EXPECT_TRUE(f.timers.writes.empty()) << "a partition that ends often would put it off for ever";
}

TEST(CpuInterrupts, ResetStartsAHeartbeatAgainThatDoesNotRunAsSet) {
  struct {
    std::uint32_t offset, value;
  } const changes[] = {{0x0, 0xffffffff},  // reload value
                       {0x4, 0xffffffff},  // counter: the next one would be late
                       {0x8, 0xff07},      // prescaler
                       {0x8, 3},           // no interrupt
                       {0x8, 0xf}};        // watchdog mode
  for (const auto& change : changes) {
    Fixture f;
    Page{}.write32(kWatchdog + change.offset, change.value);
    f.timers.writes.clear();
    f.interrupts.reset(nullptr);
    EXPECT_EQ(f.timers.writes.size(), 5u) << change.offset << ": " << change.value;
    EXPECT_EQ(f.word(0x0), 1000 * kPeripheralClockMhz - 1);
    EXPECT_EQ(f.word(0x8), 7u);
  }
}

// An Allwinner A10: a write to its timers' status clears the ones; lines that are not masked and
// stand at their inputs are signalled.
struct A10 {
  ModelRegisters chip;
  void beat() { chip.words[0xc04] |= 1u << 5; }
};
A10* a10 = nullptr;
struct A10Page {
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
    return a10->chip.block().read32(offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) const {
    const std::uint32_t before = read32(offset);
    a10->chip.block().write32(offset, offset == 0xc04 ? before & ~value : value);
  }
  void write8(std::uint32_t, std::uint8_t) const { ADD_FAILURE() << "a byte"; }
};

struct A10Fixture : A10 {
  InterruptsOf<A10Page> interrupts;
  A10Fixture() {
    a10 = this;
    chip.words[0xc58] = ~0u;
    interrupts.initialize_sun4i(20'000);
  }
  std::uint32_t word(std::uint32_t offset) { return chip.words[offset]; }
};

TEST(CpuInterrupts, AnA10BeatsByTheFiqOfItsLastTimer) {
  A10Fixture f;
  EXPECT_TRUE(f.interrupts.has_heartbeat());
  EXPECT_TRUE(f.interrupts.beats_by_fiq());
  EXPECT_EQ(f.word(0xc64), 480'000u) << "20 ms of 24 MHz";
  EXPECT_EQ(f.word(0xc60), 7u) << "runs, again and again, from the oscillator";
  EXPECT_EQ(f.word(0xc00), 1u << 5);
  EXPECT_EQ(f.word(0x438), 1u << 4) << "an FIQ";
  EXPECT_EQ(f.word(0x448), 1u << 4);
  EXPECT_EQ(f.word(0x458), ~(1u << 4));
  for (const std::uint32_t offset : {0x408u, 0x430u, 0x434u, 0x440u, 0x444u}) {
    EXPECT_EQ(f.word(offset), 0u) << offset;
  }
  EXPECT_EQ(f.word(0x450), ~0u);
}

TEST(CpuInterrupts, AnA10sHeartbeatIsTakenAndCleared) {
  A10Fixture f;
  EXPECT_FALSE(f.interrupts.take_own());
  f.chip.words[0xc04] |= 1;  // the guest's
  f.beat();
  EXPECT_TRUE(f.interrupts.take_own());
  EXPECT_EQ(f.word(0xc04), 1u);
  EXPECT_TRUE(f.interrupts.take_heartbeat());
  EXPECT_FALSE(f.interrupts.take_own());
}

TEST(CpuInterrupts, AnA10HoldsARunningGuestByTheProcessorAndAStoppedOneByItsMasks) {
  A10Fixture f;
  f.interrupts.reset(nullptr);
  f.chip.words[0x450] = 0x12;
  f.chip.words[0x454] = 0;
  f.chip.words[0x458] = 0x3;
  EXPECT_FALSE(f.interrupts.hold());
  EXPECT_EQ(f.word(0x450), 0x12u);
  f.interrupts.silence();
  f.interrupts.silence();
  EXPECT_EQ(f.word(0x450), ~0u);
  EXPECT_EQ(f.word(0x458), ~(1u << 4)) << "it still beats";
  f.interrupts.open();
  EXPECT_EQ(f.word(0x450), 0x12u);
  EXPECT_EQ(f.word(0x454), 0u);
  EXPECT_EQ(f.word(0x458), 0x3u);
}

TEST(CpuInterrupts, AnA10sCounterGoesDownAndTheClockUp) {
  A10Fixture f;
  EXPECT_EQ(f.interrupts.sun4i_now(), 0u);
  f.chip.words[0xc58] -= 1000;
  EXPECT_EQ(f.interrupts.sun4i_now(), 1000u);
  f.chip.words[0xc58] = 5;
  EXPECT_EQ(f.interrupts.sun4i_now(), ~0u - 5u);
  f.chip.words[0xc58] = ~0u - 4;  // from 5 over 0
  EXPECT_EQ(f.interrupts.sun4i_now(), 0xffffffffull + 5);
}

TEST(CpuInterrupts, WithoutAGicOnlyTheProcessorHolds) {
  Fixture f;
  Interrupts none;
  none.reset(nullptr);
  EXPECT_FALSE(none.has_heartbeat());
  EXPECT_FALSE(none.take_own());
  EXPECT_FALSE(none.hold());
  none.silence();
  none.open();
}

}  // namespace
}  // namespace mezzo::armv7
