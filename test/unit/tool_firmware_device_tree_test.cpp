// Device trees for guests: what stays, what goes, what is added; and what is no tree for the board.
#include <gtest/gtest.h>

#include "firmware/device_tree.hpp"
#include "tool_armv7_support.hpp"

namespace mezzo::firmware {
namespace {

using system::Board;
using test::Bytes;
using test::make_vexpress_tree;

constexpr plan::Window window(std::uint32_t base, std::uint32_t size = 0x1000) {
  return {base, base, size, plan::WindowKind::Direct};
}

constexpr plan::Piece kMemory[] = {{0x70000000, 0x08000000, 0x60000000}};
constexpr plan::Window kWindows[] = {window(0x10000000), window(0x1e000000),
                                     window(0x1e001000), window(0x1000a000),
                                     window(0x10012000), window(0x4e000000, 0x10000)};

DeviceTreeInput input() {
  DeviceTreeInput made;
  made.memory = kMemory;
  made.windows = kWindows;
  made.cmdline = "console=ttyAMA1";
  made.console = &system::board_info(Board::VexpressA9).uart(2);
  return made;
}

Fdt make(const DeviceTreeInput& given, const Bytes& tree = make_vexpress_tree()) {
  auto opened = Fdt::open(make_device_tree(tree, given).blob);
  EXPECT_TRUE(opened);
  return *opened;
}

TEST(DeviceTree, KeepsWhatTheWindowsCoverAndNothingElse) {
  const Fdt tree = make(input());
  for (const char* path : {"/bus/ethernet@3,2000000", "/bus/fpga/uart@a000",
                           "/bus/fpga/timer@12000", "/timer@1e000600", "/gic@1e001000"}) {
    EXPECT_TRUE(tree.has(path)) << path;
  }
  for (const char* path : {"/bus/flash@0,0", "/bus/fpga/uart@9000", "/bus/fpga/timer@11000",
                           "/bus/fpga/mmci@5000", "/bus/fpga/i2c@16000", "/cache@1e00a000", "/pmu",
                           "/watchdog@1e000620", "/bus/fpga/sysreg@0", "/bus/mcc/reboot"}) {
    EXPECT_FALSE(tree.has(path)) << path;
  }
  EXPECT_FALSE(tree.text("/aliases", "serial0")) << "its UART is gone";
  EXPECT_EQ(tree.text("/aliases", "serial1"), "/bus/fpga/uart@a000");
}

TEST(DeviceTree, TellsMemoryCommandLineAndInitramfs) {
  DeviceTreeInput given = input();
  given.initramfs_address = 0x67000000;
  given.initramfs_size = 0x1234;
  const Fdt tree = make(given);
  EXPECT_EQ(tree.cells("/memory@60000000", "reg"), (Fdt::Cells{0x60000000, 0x08000000}));
  EXPECT_EQ(tree.text("/chosen", "bootargs"), "console=ttyAMA1");
  EXPECT_EQ(tree.number("/chosen", "linux,initrd-start", 0), 0x67000000U);
  EXPECT_EQ(tree.number("/chosen", "linux,initrd-end", 0), 0x67001234U);
  EXPECT_EQ(tree.text("/chosen", "stdout-path"), "/bus/fpga/uart@a000");
  EXPECT_FALSE(make(input()).cells("/chosen", "linux,initrd-start"));
}

TEST(DeviceTree, ShowsOneProcessorCalledZero) {
  const Fdt tree = make(input());
  EXPECT_EQ(tree.children("/cpus"), std::vector<std::string>{"/cpus/cpu@0"});
  EXPECT_EQ(tree.number("/cpus/cpu@0", "reg", 9), 0U);
  EXPECT_FALSE(tree.cells("/cpus/cpu@0", "next-level-cache")) << "the cache controller is gone";
}

TEST(DeviceTree, ClocksDoNotNeedTheSystemRegisters) {
  const Fdt tree = make(input());
  EXPECT_EQ(tree.text("/bus/mcc/osc2", "compatible"), "fixed-clock");
  EXPECT_EQ(tree.number("/bus/mcc/osc2", "clock-frequency", 0), 24000000U);
  EXPECT_EQ(tree.number("/bus/mcc/osc2", "phandle", 0), 5U) << "users still find it";
  const auto clocks = tree.cells("/bus/fpga/timer@12000", "clocks");
  ASSERT_TRUE(clocks);
  ASSERT_EQ(clocks->size(), 3U);
  EXPECT_EQ(clocks->front(), tree.number("/mezzo-timer-clock", "phandle", 0));
  EXPECT_EQ(clocks->back(), 5U);
  EXPECT_EQ(tree.cells("/timer@1e000600", "clocks"),
            (Fdt::Cells{tree.number("/mezzo-private-clock", "phandle", 0)}));
}

TEST(DeviceTree, PowerOffAndResetAreCommandsToTheMonitor) {
  const Fdt tree = make(input());
  EXPECT_EQ(tree.text("/mezzo-poweroff", "compatible"), "syscon-poweroff");
  EXPECT_EQ(tree.number("/mezzo-poweroff", "value", 0), 0xc0800000U);
  EXPECT_EQ(tree.number("/mezzo-reboot", "value", 0), 0xc0900000U);
  EXPECT_EQ(tree.number("/mezzo-reboot", "offset", 0), 0xa4U);
  EXPECT_EQ(tree.number("/mezzo-reboot", "regmap", 0),
            tree.number("/system-registers@10000000", "phandle", 1));
}

// QEMU's watchdog register cannot be read back, which Linux' driver for it does.
TEST(DeviceTree, ACubieboardsWatchdogIsThereForResetsOnly) {
  test::TreeWriter writer;
  writer.text("compatible", "allwinner,sun4i-a10").cells("#address-cells", {1});
  writer.cells("#size-cells", {1});
  writer.device("watchdog@1c20c90", "allwinner,sun4i-a10-wdt", 0x01c20c90);
  writer.cells("interrupts", {24}).cells("clocks", {35}).end();
  constexpr plan::Window kPage[] = {window(0x01c20000)};
  DeviceTreeInput given;
  given.board = Board::Cubieboard;
  given.memory = kMemory;
  given.windows = kPage;
  const Fdt tree = make(given, writer.finish());
  EXPECT_EQ(tree.text("/watchdog@1c20c90", "compatible"), "syscon");
  EXPECT_FALSE(tree.cells("/watchdog@1c20c90", "interrupts"));
  EXPECT_FALSE(tree.cells("/watchdog@1c20c90", "clocks"));
  EXPECT_EQ(tree.text("/mezzo-reboot", "compatible"), "syscon-reboot");
  EXPECT_EQ(tree.number("/mezzo-reboot", "regmap", 0),
            tree.number("/watchdog@1c20c90", "phandle", 1));
  EXPECT_EQ(tree.number("/mezzo-reboot", "offset", 0), 4U) << "its mode";
  EXPECT_EQ(tree.number("/mezzo-reboot", "value", 0), 3U) << "enabled, resets, as soon as it can";
}

TEST(DeviceTree, HasVirtioForItsOwnerOnly) {
  EXPECT_FALSE(make(input()).has("/virtio_mmio@10013000"));
  std::vector<plan::Window> windows(std::begin(kWindows), std::end(kWindows));
  windows.push_back(window(0x10013000));
  DeviceTreeInput given = input();
  given.windows = windows;
  const Fdt tree = make(given);
  EXPECT_EQ(tree.cells("/virtio_mmio@10013600", "reg"), (Fdt::Cells{0x10013600, 0x200}));
  EXPECT_EQ(tree.cells("/virtio_mmio@10013600", "interrupts"), (Fdt::Cells{0, 43, 1}));
}

TEST(DeviceTree, TheCardSlotHasACardOrIsDisabled) {
  std::vector<plan::Window> windows(std::begin(kWindows), std::end(kWindows));
  windows.push_back(window(0x10005000));
  DeviceTreeInput given = input();
  given.windows = windows;
  EXPECT_EQ(make(given).text("/bus/fpga/mmci@5000", "status"), "disabled");
  given.has_disk = true;
  const Fdt tree = make(given);
  EXPECT_FALSE(tree.text("/bus/fpga/mmci@5000", "status"));
  EXPECT_TRUE(tree.cells("/bus/fpga/mmci@5000", "non-removable"));
  EXPECT_FALSE(tree.cells("/bus/fpga/mmci@5000", "cd-gpios"));
}

TEST(DeviceTree, SummaryNamesTheDevices) {
  const DeviceTree made = make_device_tree(make_vexpress_tree(), input());
  EXPECT_NE(std::ranges::find(made.summary, "0x4e000000 ethernet@3,2000000 (smsc,lan9118)"),
            made.summary.end())
      << fmt::format("{}", fmt::join(made.summary, "\n"));
}

TEST(DeviceTree, GrowsForALongCommandLine) {
  DeviceTreeInput given = input();
  given.cmdline = std::string(200 << 10, 'x');
  EXPECT_EQ(make(given).text("/chosen", "bootargs"), given.cmdline);
}

std::string refusal(const Bytes& tree, Board board = Board::VexpressA9) {
  const auto problem = check_device_tree(tree, board);
  if (!problem) return "";
  EXPECT_FALSE(problem->remedy.empty());
  return problem->what;
}

TEST(DeviceTreeCheck, RefusesWhatCannotServe) {
  EXPECT_EQ(refusal(make_vexpress_tree()), "");
  EXPECT_NE(refusal(test::make_zimage()).find("no device tree"), std::string::npos);
  EXPECT_NE(refusal({}).find("no device tree"), std::string::npos);
  EXPECT_NE(refusal(make_vexpress_tree({.memory = false})).find("no memory"), std::string::npos);
  EXPECT_NE(refusal(make_vexpress_tree({.cpus = false})).find("no processor"), std::string::npos);
  EXPECT_NE(refusal(make_vexpress_tree({.compatible = "xlnx,zynq"})).find("'xlnx,zynq'"),
            std::string::npos);
  EXPECT_NE(refusal(make_vexpress_tree(), Board::Cubieboard).find("sun4i"), std::string::npos);
  EXPECT_EQ(refusal(make_vexpress_tree({.compatible = "allwinner,sun4i-a10", .memory = false}),
                    Board::Cubieboard),
            "")
      << "its boot loader fills the memory in";
}

TEST(DeviceTreeCheck, RefusesNodesThatNoPathNames) {
  test::TreeWriter tree;
  tree.text("compatible", "arm,vexpress,v2p-ca9").begin("").end();
  EXPECT_NE(refusal(tree.finish()).find("no device tree"), std::string::npos);
}

TEST(DeviceTreeCheck, ReadsEveryDamagedTreeWithoutHarm) {
  const Bytes sound = make_vexpress_tree();
  for (std::size_t at = 0; at < sound.size(); at += 101) {
    for (const std::uint8_t value : std::initializer_list<std::uint8_t>{0x00, 0x80, 0xff}) {
      Bytes damaged = sound;
      damaged[at] = value;
      if (!check_device_tree(damaged, Board::VexpressA9)) {
        (void)make_device_tree(damaged, input());  // under sanitizers
      }
    }
  }
  for (std::size_t size = 0; size < sound.size(); size += 71) {
    EXPECT_NE(refusal(Bytes(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size))), "");
  }
}

}  // namespace
}  // namespace mezzo::firmware
