// Guests' trees on the boards with an i.MX6 and a Zynq-7000, from small trees of the shape of
// theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "firmware/device_tree.hpp"
#include "tool_armv7_support.hpp"

namespace mezzo::firmware {
namespace {

using system::Board;
using test::Bytes;
using testing::HasSubstr;

// What a partition with `devices` and the first UART called `console` reaches.
DeviceTreeInput input(Board board, std::string_view console, std::vector<std::string_view> devices,
                      std::vector<plan::Window>& windows) {
  const system::BoardInfo& info = system::board_info(board);
  DeviceTreeInput made;
  made.board = board;
  const auto add = [&windows](std::uint32_t base, std::uint32_t size) {
    windows.push_back({base, base, size, plan::WindowKind::Direct});
  };
  for (const system::BoardRegion& region : info.armv7.common) add(region.base, region.size);
  for (const std::string_view name : devices) {
    for (const system::BoardRegion& region : info.find(name)->regions) {
      add(region.base, region.size);
    }
  }
  for (const system::BoardUart& uart : info.uarts) {
    if (uart.key != console) continue;
    made.console = &uart;
    add(uart.base, plan::kPageSize);
  }
  made.windows = windows;
  return made;
}

void begin_board(test::TreeWriter& tree, std::string_view compatible) {
  tree.text("compatible", compatible).cells("#address-cells", {1}).cells("#size-cells", {1});
  tree.begin("cpus").cells("#address-cells", {1}).cells("#size-cells", {0});
  tree.begin("cpu@0").text("device_type", "cpu").cells("reg", {0}).end().end();
  tree.begin("memory").text("device_type", "memory").cells("reg", {0, 0x20000000}).end();
}

void begin_bus(test::TreeWriter& tree, const char* name) {
  tree.begin(name).text("compatible", "simple-bus").cells("ranges", {});
  tree.cells("#address-cells", {1}).cells("#size-cells", {1});
}

Bytes imx6_tree() {
  test::TreeWriter tree;
  begin_board(tree, "fsl,imx6q-sabrelite");
  tree.begin("display-subsystem").text("compatible", "fsl,imx-display-subsystem").end();
  begin_bus(tree, "soc");
  tree.device("timer@a00600", "arm,cortex-a9-twd-timer", 0xa00600).end();
  tree.device("interrupt-controller@a01000", "arm,cortex-a9-gic", 0xa01000).end();
  tree.device("cache-controller@a02000", "arm,pl310-cache", 0xa02000).end();
  begin_bus(tree, "bus@2000000");
  tree.cells("reg", {0x2000000, 0x100000});
  tree.device("serial@2020000", "fsl,imx6q-uart", 0x2020000).end();
  tree.device("timer@2098000", "fsl,imx6q-gpt", 0x2098000).end();
  tree.device("watchdog@20bc000", "fsl,imx6q-wdt", 0x20bc000).end();
  tree.device("clock-controller@20c4000", "fsl,imx6q-ccm", 0x20c4000).end();
  tree.device("snvs@20cc000", "fsl,sec-v4.0-mon", 0x20cc000).end();
  tree.end();
  begin_bus(tree, "bus@2100000");
  tree.cells("reg", {0x2100000, 0x100000});
  tree.device("mmc@2198000", "fsl,imx6q-usdhc", 0x2198000).cells("cd-gpios", {9, 0, 1}).end();
  tree.device("mmc@219c000", "fsl,imx6q-usdhc", 0x219c000).cells("cd-gpios", {9, 6, 1}).end();
  tree.device("serial@21e8000", "fsl,imx6q-uart", 0x21e8000).end();
  tree.end().end();
  return tree.finish();
}

Bytes zynq_tree() {
  test::TreeWriter tree;
  begin_board(tree, "xlnx,zynq-7000");
  begin_bus(tree, "axi");
  tree.device("serial@e0000000", "xlnx,xuartps", 0xe0000000).text("status", "disabled").end();
  tree.device("serial@e0001000", "xlnx,xuartps", 0xe0001000).text("status", "okay").end();
  tree.device("mmc@e0100000", "arasan,sdhci-8.9a", 0xe0100000).text("status", "okay").end();
  tree.device("slcr@f8000000", "xlnx,zynq-slcr", 0xf8000000).end();
  tree.device("timer@f8001000", "cdns,ttc", 0xf8001000).end();
  tree.device("watchdog@f8005000", "cdns,wdt-r1p2", 0xf8005000).end();
  tree.device("timer@f8f00200", "arm,cortex-a9-global-timer", 0xf8f00200).end();
  tree.device("timer@f8f00600", "arm,cortex-a9-twd-timer", 0xf8f00600).end();
  tree.device("interrupt-controller@f8f01000", "arm,cortex-a9-gic", 0xf8f01000).end();
  tree.end();
  return tree.finish();
}

Fdt made(const Bytes& tree, const DeviceTreeInput& given) {
  EXPECT_FALSE(check_device_tree(tree, given.board));
  auto opened = Fdt::open(make_device_tree(tree, given).blob);
  EXPECT_TRUE(opened);
  return *opened;
}

TEST(SabreliteTree, KeepsWhatIsOnBusesWithRegistersOfTheirOwn) {
  std::vector<plan::Window> windows;
  const auto given = input(Board::Sabrelite, "uart2", {"gpt"}, windows);
  const Fdt tree = made(imx6_tree(), given);
  for (const char* path :
       {"/soc/bus@2000000/timer@2098000", "/soc/bus@2000000/clock-controller@20c4000",
        "/soc/bus@2100000/serial@21e8000", "/soc/interrupt-controller@a01000"}) {
    EXPECT_TRUE(tree.has(path)) << path;
  }
  EXPECT_EQ(tree.text("/chosen", "stdout-path"), "/soc/bus@2100000/serial@21e8000");
  EXPECT_EQ(tree.number("/mezzo-private-clock", "clock-frequency", 0), 100'000'000U);
}

// Neither reset nor power-off of the machine, and nothing that hangs on what is gone.
TEST(SabreliteTree, HasNothingThatEndsTheMachine) {
  std::vector<plan::Window> windows;
  const auto given = input(Board::Sabrelite, "uart1", {"gpt", "usdhc3"}, windows);
  const Fdt tree = made(imx6_tree(), given);
  for (const char* path : {"/soc/bus@2000000/watchdog@20bc000", "/soc/bus@2000000/snvs@20cc000",
                           "/soc/cache-controller@a02000", "/soc/bus@2100000/serial@21e8000",
                           "/soc/bus@2100000/mmc@219c000", "/display-subsystem"}) {
    EXPECT_FALSE(tree.has(path)) << path;
  }
}

TEST(SabreliteTree, CardsAreThereForGood) {
  std::vector<plan::Window> windows;
  auto given = input(Board::Sabrelite, "uart2", {"gpt", "usdhc3", "usdhc4"}, windows);
  given.has_disk = true;
  const Fdt tree = made(imx6_tree(), given);
  for (const char* path : {"/soc/bus@2100000/mmc@2198000", "/soc/bus@2100000/mmc@219c000"}) {
    EXPECT_TRUE(tree.cells(path, "non-removable")) << path;
    EXPECT_FALSE(tree.cells(path, "cd-gpios")) << path;
  }
}

TEST(ZynqTree, EnablesTheConsoleAndCallsItTheFirst) {
  std::vector<plan::Window> windows;
  const auto given = input(Board::Zynq, "uart0", {"ttc0"}, windows);
  const Fdt tree = made(zynq_tree(), given);
  EXPECT_EQ(tree.text("/axi/serial@e0000000", "status"), "okay");
  EXPECT_EQ(tree.text("/aliases", "serial0"), "/axi/serial@e0000000");
  EXPECT_EQ(tree.text("/chosen", "stdout-path"), "/axi/serial@e0000000");
  EXPECT_FALSE(tree.has("/axi/serial@e0001000"));
}

// The monitor's time base and heartbeat are in a page that the guest has.
TEST(ZynqTree, LeavesTheMonitorsTimersOut) {
  std::vector<plan::Window> windows;
  const auto given = input(Board::Zynq, "uart1", {"ttc0", "sdio0"}, windows);
  const Fdt tree = made(zynq_tree(), given);
  EXPECT_TRUE(tree.has("/axi/timer@f8f00600"));
  EXPECT_TRUE(tree.has("/axi/slcr@f8000000"));
  EXPECT_FALSE(tree.has("/axi/timer@f8f00200"));
  EXPECT_FALSE(tree.has("/axi/watchdog@f8005000"));
  EXPECT_EQ(tree.text("/axi/mmc@e0100000", "status"), "disabled") << "there is no card";
}

TEST(ZynqTree, IsNotTakenForAnother) {
  const auto problem = check_device_tree(zynq_tree(), Board::Sabrelite);
  ASSERT_TRUE(problem);
  EXPECT_THAT(problem->what, HasSubstr("the device tree is for 'xlnx,zynq-7000'"));
  EXPECT_THAT(problem->remedy, HasSubstr("imx6q-sabrelite.dtb"));
}

}  // namespace
}  // namespace mezzo::firmware
