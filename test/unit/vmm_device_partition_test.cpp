// A partition's devices as the plan names them: windows, dispatch, start and stop.
#include "device/partition_devices.hpp"

#include <gtest/gtest.h>

#include "support/model_gic.hpp"
#include "support/model_registers.hpp"

namespace mezzo::device {
namespace {

using io::Answer;
using io::Outcome;
using mem::AddressSpace;
using mem::GuestPhysical;
using plan::WindowKind;
using test::ModelGic;
using test::ModelLock;
using test::ModelRegisters;

struct NoClock {
  [[nodiscard]] static std::uint64_t now() { return 0; }
};
using Devices = PartitionDevices<ModelRegisters::Block, ModelLock, NoClock, ModelGic::Distributor>;

plan::Window window(std::uint32_t guest, std::uint32_t base, WindowKind kind) {
  return {.guest_base = guest, .base = base, .size = 0x1000, .kind = kind};
}

struct Fixture {
  ModelGic gic;
  ModelLock lock;
  ModelRegisters page, board;
  AddressSpace space;
  Devices devices;

  Fixture() {
    const irq::GicDistributor monitor(gic.distributor(0));
    monitor.initialize();
    monitor.initialize_cpu();
    for (const plan::Window& each : {window(0x1e000000, 0x1e000000, WindowKind::Interface),
                                     window(0x1e001000, 0x1e001000, WindowKind::Distributor),
                                     window(0x10000000, 0x10000000, WindowKind::SystemRegisters),
                                     window(0x10009000, 0x10009000, WindowKind::Direct),
                                     window(0x1e00a000, 0, WindowKind::Ignored),
                                     window(0x01c20000, 0x01c20000, WindowKind::SunxiTimer)}) {
      EXPECT_TRUE(space.add(interval_of(each, true)));
    }
    plan::Armv7 row{};
    row.lines[0] = 0x2800ffff;
    row.lines[1] = 1u << 5;
    const irq::LineSet lines = lines_of(row);
    devices.distributor.emplace(gic.distributor(0), lock, lines, 0u);
    devices.private_page.emplace(page.block(), lines, 0u);
    using System = VexpressRegisters<ModelRegisters::Block>;
    devices.system_registers.emplace(board.block(), vexpress_a9::kBoard, System::Reads::Direct);
    devices.start();
  }
  Answer read(std::uint32_t address) {
    return devices.access(space, GuestPhysical{address}, 4, false, 0);
  }
  Outcome write(std::uint32_t address, std::uint32_t value) {
    return devices.access(space, GuestPhysical{address}, 4, true, value).outcome;
  }
};

TEST(PartitionDevices, EachWindowHasItsDevice) {
  Fixture f;
  EXPECT_EQ(f.read(0x1e001004), Answer::done(2));
  EXPECT_EQ(f.write(0x1e001104, ~0u), Outcome::Done);
  EXPECT_EQ(f.read(0x1e001104), Answer::done(1u << 5));
  EXPECT_EQ(f.write(0x1e000600, 77), Outcome::Done);
  EXPECT_EQ(f.page.words[0x600], 77u);
  EXPECT_EQ(f.write(0x100000a4, 0xc0800000), Outcome::PowerOff);
  EXPECT_EQ(f.read(0x1e00a004), Answer::done(0));
  EXPECT_EQ(f.write(0x1e00a004, 1), Outcome::Done);
}

TEST(PartitionDevices, WhatIsMappedOrAbsentIsMissing) {
  Fixture f;
  EXPECT_EQ(f.read(0x10000000), Answer::missing()) << "read past the monitor";
  EXPECT_EQ(f.read(0x10009000), Answer::missing()) << "mapped";
  EXPECT_EQ(f.write(0x10009000, 1), Outcome::Missing);
  EXPECT_EQ(f.write(0x01c20c94, 3), Outcome::Missing) << "this partition has none";
  EXPECT_EQ(f.read(0x1e002000), Answer::missing());
}

TEST(PartitionDevices, WindowsOfThePlanAreIntervals) {
  using Kind = AddressSpace::Kind;
  const plan::Window system = window(0x10000000, 0x20000000, WindowKind::SystemRegisters);
  EXPECT_EQ(interval_of(system, false).kind, Kind::Emulated);
  EXPECT_EQ(interval_of(system, true).kind, Kind::Device);
  EXPECT_FALSE(interval_of(system, true).writable);
  const plan::Window gic = window(0x1e001000, 0x1e001000, WindowKind::Distributor);
  EXPECT_EQ(interval_of(gic, true).kind, Kind::Emulated);
  const plan::Window uart = window(0x10009000, 0x1000a000, WindowKind::Direct);
  EXPECT_EQ(interval_of(uart, false).kind, Kind::Device);
  EXPECT_TRUE(interval_of(uart, true).writable);
  EXPECT_EQ(interval_of(uart, true).machine, 0x1000a000u);
}

TEST(PartitionDevices, AStopMasksItsLinesAndStopsItsTimer) {
  Fixture f;
  const irq::GicInterface interface(f.gic.interface(0));
  interface.initialize();
  EXPECT_EQ(f.write(0x1e001000, 1), Outcome::Done);
  EXPECT_EQ(f.write(0x1e001104, 1u << 5), Outcome::Done);
  EXPECT_EQ(f.write(0x1e000608, 7), Outcome::Done);
  EXPECT_TRUE(f.gic.line(37).enabled);
  f.devices.stop(interface);
  EXPECT_FALSE(f.gic.line(37).enabled);
  EXPECT_EQ(f.page.words[0x608], 0u);
  f.devices.clear();
  EXPECT_EQ(f.read(0x1e001004), Answer::missing());
}

}  // namespace
}  // namespace mezzo::device
