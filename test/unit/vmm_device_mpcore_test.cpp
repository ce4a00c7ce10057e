// The Cortex-A9 MPCore's private page through its filter: the CPU interface, which must leave the
// monitor's interrupts deliverable, the snoop control unit and the timers.
#include "device/mpcore_private.hpp"

#include <gtest/gtest.h>

#include "irq/gic.hpp"
#include "support/model_gic.hpp"
#include "support/model_registers.hpp"

namespace mezzo::device {
namespace {

using io::Answer;
using irq::Line;
using test::ModelGic;
using test::ModelRegisters;

constexpr std::uint32_t kCpu = 2, kUart = 37, kForeign = 38, kSpurious = 1023;

struct Interface {
  ModelGic gic;
  irq::GicDistributor<ModelGic::Distributor> monitor{gic.distributor(kCpu)};
  irq::GicInterface<ModelGic::Interface> chip{gic.interface(kCpu)};
  FilteredInterface<ModelGic::Interface> guest{gic.interface(kCpu), lines(), kCpu};

  static irq::LineSet lines() { return irq::LineSet{}.add(Line{2}).add(Line{kUart}); }
  Interface() {
    monitor.initialize();
    monitor.initialize_cpu();
    chip.initialize();
    guest.reset();
    open(2, 0x40);
    open(kUart, 0xa0);
    open(kForeign, 0xa0);
  }
  void open(std::uint32_t number, std::uint8_t priority) {
    ModelGic::LineState& line = gic.line(number, kCpu);
    line.enabled = true;
    line.priority = priority;
    line.target = 1u << kCpu;
  }
  std::uint32_t read(std::uint32_t offset) { return guest.access({.offset = offset}).value; }
  void write(std::uint32_t offset, std::uint32_t value) {
    EXPECT_EQ(guest.access({.offset = offset, .write = true, .value = value}), Answer::done());
  }
  void linux_starts() {
    write(irq::gicc::kPriorityMask, 0xf0);
    write(irq::gicc::kControl, 1);
  }
};

TEST(FilteredInterface, TheGuestTakesAndEndsItsInterrupts) {
  Interface f;
  f.gic.set_level(kUart, true);
  EXPECT_FALSE(f.gic.signals(kCpu)) << "off as after reset";
  f.linux_starts();
  EXPECT_TRUE(f.gic.signals(kCpu));
  EXPECT_EQ(f.read(irq::gicc::kHighestPending), kUart);
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kUart);
  EXPECT_EQ(f.read(irq::gicc::kRunningPriority), 0xa0u);
  f.gic.set_level(kUart, false);
  f.write(irq::gicc::kEnd, kUart);
  EXPECT_EQ(f.read(irq::gicc::kRunningPriority), 0xffu);
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kSpurious);
  EXPECT_EQ(f.read(irq::gicc::kImplementer), 0x3901043bu);
}

TEST(FilteredInterface, ASoftwareInterruptComesFromCpu0) {
  Interface f;
  f.linux_starts();
  f.monitor.send(kCpu, Line{2});
  EXPECT_EQ(f.read(irq::gicc::kHighestPending), 2u);
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), 2u);
  f.write(irq::gicc::kEnd, 2);
  EXPECT_FALSE(f.gic.line(2, kCpu).active);
}

TEST(FilteredInterface, OffMasksItsOwnLinesOnly) {
  Interface f;
  f.linux_starts();
  f.gic.set_level(kUart, true);
  f.write(irq::gicc::kControl, 0);
  EXPECT_EQ(f.read(irq::gicc::kControl), 0u);
  EXPECT_FALSE(f.gic.signals(kCpu));
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kSpurious);
  f.monitor.send(kCpu);
  EXPECT_TRUE(f.gic.signals(kCpu));
  const auto taken = f.chip.acknowledge();
  ASSERT_TRUE(taken);
  f.chip.end(*taken);
  f.write(irq::gicc::kControl, 1);
  EXPECT_TRUE(f.gic.signals(kCpu));
}

TEST(FilteredInterface, NothingTheGuestWritesKeepsTheMonitorOut) {
  for (std::uint32_t mask = 0; mask < 256; mask += 8) {
    for (std::uint32_t point = 0; point < 8; ++point) {
      Interface f;
      f.open(kUart, irq::kGuestPriorities);
      f.write(irq::gicc::kControl, 1);
      f.write(irq::gicc::kPriorityMask, 0xff);
      f.write(irq::gicc::kBinaryPoint, point);
      f.gic.set_level(kUart, true);
      EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kUart);
      f.write(irq::gicc::kPriorityMask, mask);
      EXPECT_EQ(f.read(irq::gicc::kPriorityMask), mask) << "as written";
      f.monitor.send(kCpu);
      EXPECT_TRUE(f.gic.signals(kCpu)) << mask << " " << point;
    }
  }
}

TEST(FilteredInterface, AnInterruptOfTheMonitorsThatTheGuestCatchesIsHandedOver) {
  Interface f;
  f.linux_starts();
  f.monitor.send(kCpu);
  f.gic.set_level(kUart, true);
  EXPECT_EQ(f.read(irq::gicc::kHighestPending), kSpurious);
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kSpurious);
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kSpurious) << "until the monitor has taken it";
  f.write(irq::gicc::kEnd, irq::kMonitorPoke.number);  // not the guest's to end
  EXPECT_EQ(f.chip.running_priority(), irq::kMonitorPriority);
  const auto taken = f.guest.take_monitors();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->line(), irq::kMonitorPoke);
  f.chip.end(*taken);
  EXPECT_FALSE(f.guest.take_monitors());
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kUart);
}

TEST(FilteredInterface, HeldLinesWaitUntilTheGuestAsks) {
  Interface f;
  f.linux_starts();
  f.gic.set_level(kUart, true);
  f.guest.hold(true);
  EXPECT_FALSE(f.gic.signals(kCpu));
  f.write(irq::gicc::kPriorityMask, 0xf0);
  EXPECT_FALSE(f.gic.signals(kCpu)) << "still";
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kUart) << "its handler has its interrupts masked";
  f.open(kForeign, 0x30);
  f.write(irq::gicc::kEnd, kUart);
  EXPECT_FALSE(f.gic.signals(kCpu));
  f.guest.hold(false);
  EXPECT_TRUE(f.gic.signals(kCpu)) << "the level is still there";
}

TEST(FilteredInterface, EndsOnlyWhatWasAcknowledgedAndOnce) {
  Interface f;
  f.linux_starts();
  f.gic.set_level(kUart, true);
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), kUart);
  f.monitor.send(kCpu, Line{2});
  EXPECT_EQ(f.read(irq::gicc::kAcknowledge), 2u) << "more urgent";
  f.write(irq::gicc::kEnd, 2);
  f.write(irq::gicc::kEnd, 2);
  EXPECT_EQ(f.chip.running_priority(), 0xa0u) << "a second end would leave the other active";
  f.gic.set_level(kUart, false);
  f.write(irq::gicc::kEnd, kUart);
  EXPECT_EQ(f.chip.running_priority(), irq::gicc::kIdlePriority);
  EXPECT_FALSE(f.gic.line(kUart).active);
}

TEST(FilteredInterface, StrangeAccessesDoNothing) {
  Interface f;
  f.linux_starts();
  f.gic.set_level(kUart, true);
  const auto before = f.gic.state;
  EXPECT_EQ(f.guest.access({.offset = irq::gicc::kAcknowledge, .size = 1}), Answer::done());
  EXPECT_EQ(f.guest.access({.offset = 0, .size = 2, .write = true}), Answer::done());
  EXPECT_EQ(f.guest.access({.offset = 0x100}), Answer::missing());
  EXPECT_EQ(f.guest.access({.offset = 0x2}), Answer::missing());
  for (const std::uint32_t end : {kSpurious, kForeign, 0xffffffffu}) f.write(0x10, end);
  for (const std::uint32_t offset : {0x1cu, 0xd0u, 0xfcu}) f.write(offset, 0xffffffff);
  EXPECT_EQ(f.gic.state, before);
}

struct Page {
  ModelRegisters chip;
  MpcorePrivate<ModelRegisters::Block> guest;

  explicit Page(bool timers = true) : guest(chip.block(), timers ? all() : irq::LineSet{}, kCpu) {}
  static irq::LineSet all() { return irq::LineSet{}.add(Line{27}).add(Line{29}).add(Line{30}); }
  std::uint32_t read(std::uint32_t offset, std::uint8_t size = 4) {
    return guest.access({.offset = offset, .size = size}).value;
  }
  void write(std::uint32_t offset, std::uint32_t value, std::uint8_t size = 4) {
    const io::Access access{.offset = offset, .size = size, .write = true, .value = value};
    EXPECT_EQ(guest.access(access), Answer::done());
  }
};

TEST(MpcorePrivate, TheSnoopControlUnitIsThatOfOneCpuAndStays) {
  Page f;
  f.chip.words = {{0x00, 1}, {0x04, 0x24 << 8 | 0xf << 4 | 3}, {0x08, 0x03030303}, {0x54, 0xfff}};
  EXPECT_EQ(f.read(0x00), 1u);
  EXPECT_EQ(f.read(0x04), 2u << 8 | 1u << 4);
  EXPECT_EQ(f.read(0x08), 0u);
  EXPECT_EQ(f.read(0x54), 0xfffu);
  for (std::uint32_t offset = 0; offset < 0x100; offset += 4) f.write(offset, ~0u);
  EXPECT_TRUE(f.chip.writes.empty());
}

TEST(MpcorePrivate, ItsTimersAreTheChipsWithoutTheWatchdogsReset) {
  Page f;
  for (const std::uint32_t block : {0x600u, 0x620u}) {
    f.write(block, 1000);
    f.write(block + 4, 500);
    f.write(block + 8, 0xffffffff);
    EXPECT_EQ(f.read(block), 1000u);
    EXPECT_EQ(f.chip.words[block + 4], 500u);
    EXPECT_EQ(f.chip.words[block + 8], 0xff07u) << "no watchdog mode";
    f.write(block + 8, 1, 1);
    EXPECT_EQ(f.chip.words[block + 8], 0xff07u);
  }
  f.chip.writes.clear();
  f.write(0x630, 1);
  f.write(0x634, 0x12345678);
  f.write(0x610, 1);
  f.write(0x640, 1);
  EXPECT_TRUE(f.chip.writes.empty());
  EXPECT_EQ(f.read(0x602, 2), 0u);
  EXPECT_EQ(f.read(0x600, 2), 1000u);
}

TEST(MpcorePrivate, TheGlobalCounterIsSharedItsComparatorIsNot) {
  Page f;
  f.chip.words = {{0x200, 0x1234}, {0x204, 7}, {0x208, 0x101}};
  EXPECT_EQ(f.read(0x200), 0x1234u);
  EXPECT_EQ(f.read(0x204), 7u);
  f.write(0x200, 0);
  f.write(0x204, 0);
  f.write(0x208, 0);
  EXPECT_EQ(f.chip.words[0x200], 0x1234u);
  EXPECT_EQ(f.chip.words[0x208], 0x101u);
  f.write(0x208, 0xffffffff);
  EXPECT_EQ(f.chip.words[0x208], 0x10fu);
  f.write(0x210, 99);
  EXPECT_EQ(f.read(0x210), 99u);
  f.chip.writes.clear();
  f.write(0x21c, 1);
  f.write(0x2fc, 1);
  EXPECT_TRUE(f.chip.writes.empty());
}

TEST(MpcorePrivate, TimersWhoseInterruptItLacksAreAbsent) {
  Page f(false);
  f.chip.words = {{0x200, 0x1234}, {0x208, 0x10f}, {0x600, 5}, {0x620, 6}, {0x210, 7}};
  EXPECT_EQ(f.read(0x200), 0x1234u) << "the counter";
  for (const std::uint32_t offset : {0x208u, 0x210u, 0x600u, 0x620u}) {
    EXPECT_EQ(f.read(offset), 0u);
    f.write(offset, ~0u);
  }
  EXPECT_TRUE(f.chip.writes.empty());
}

TEST(MpcorePrivate, AResetStopsItsTimers) {
  Page f;
  f.chip.words = {{0x208, 0x10f}, {0x608, 7}, {0x628, 7}};
  f.guest.reset();
  EXPECT_EQ(f.chip.words[0x208], 0x101u);
  EXPECT_EQ(f.chip.words[0x608], 0u);
  EXPECT_EQ(f.chip.words[0x628], 0u);
  for (const std::uint32_t status : {0x20cu, 0x60cu, 0x62cu}) EXPECT_EQ(f.chip.words[status], 1u);
  EXPECT_EQ(f.chip.words[0x104], irq::kGuestPriorities);
  EXPECT_EQ(f.guest.access({.offset = 0x1000}), Answer::missing());
  EXPECT_EQ(f.guest.access({.offset = 0x1e00}), Answer::missing());
}

TEST(MpcorePrivate, TheCpuInterfaceIsAt100) {
  Page f;
  f.write(0x104, 0xf0);
  f.write(0x100, 1);
  EXPECT_EQ(f.chip.words[0x104], 0xf0u);
  EXPECT_EQ(f.read(0x104), 0xf0u);
  f.chip.words[0x10c] = 1023;
  EXPECT_EQ(f.read(0x10c), 1023u);
}

}  // namespace
}  // namespace mezzo::device
