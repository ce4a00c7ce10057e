// What stands for parts of a board that no guest gets.
//
// Sources: the boards' trees in Linux (arch/arm/boot/dts/vexpress-v2m.dtsi, vexpress-v2p-ca9.dts,
// sun4i-a10.dtsi, imx6qdl-sabrelite.dtsi, zynq-7000.dtsi) and the bindings of the nodes made here
// (power/reset/syscon-poweroff.yaml, syscon-reboot.yaml, clock/fixed-clock.yaml, virtio/mmio.yaml,
// mmc/mmc-controller.yaml).
#include <algorithm>

#include <fmt/format.h>

#include "firmware/device_tree.hpp"

namespace mezzo::firmware {
namespace {

bool has_window(const DeviceTreeInput& input, std::uint32_t address) {
  return std::ranges::any_of(input.windows, [address](const plan::Window& window) {
    return address >= window.guest_base && address - window.guest_base < window.size;
  });
}

// The path of the first node whose compatible list has `compatible`; empty: there is none.
std::string find(const Fdt& tree, std::string_view compatible) {
  std::string found;
  tree.walk("/", [&](const std::string& path) {
    if (found.empty() && tree.lists(path, "compatible", compatible)) found = path;
    return found.empty();
  });
  return found;
}

std::vector<std::string> find_all(const Fdt& tree, std::string_view compatible) {
  std::vector<std::string> found;
  tree.walk("/", [&](const std::string& path) {
    if (tree.lists(path, "compatible", compatible)) found.push_back(path);
    return true;
  });
  return found;
}

std::uint32_t add_fixed_clock(Fdt& tree, const std::string& name, std::uint32_t hertz) {
  const std::string path = tree.add("/", name);
  tree.set(path, "compatible", std::string_view("fixed-clock"));
  tree.set(path, "#clock-cells", {0});
  tree.set(path, "clock-frequency", {hertz});
  return tree.phandle(path);
}

// The board's oscillators are set through the system registers. As they are nobody's to set, each
// becomes a fixed clock of the lowest frequency of its range, which is what they run at (the
// UARTs': 24 MHz).
void fix_vexpress_clocks(Fdt& tree) {
  for (const std::string& bus : find_all(tree, "arm,vexpress,config-bus")) {
    for (const std::string& child : tree.children(bus)) {
      const auto range = tree.cells(child, "freq-range");
      if (!tree.lists(child, "compatible", "arm,vexpress-osc") || !range || range->empty()) {
        tree.remove(child);  // voltages, temperatures, the machine's power switch
        continue;
      }
      tree.set(child, "compatible", std::string_view("fixed-clock"));
      tree.set(child, "clock-frequency", {range->front()});
      tree.remove(child, "freq-range");
      tree.remove(child, "arm,vexpress-sysreg,func");
    }
    tree.remove(bus, "compatible");
    tree.remove(bus, "arm,vexpress,config-bridge");
  }
}

// The system controller (SP810), which chooses the timers' clock, is no guest's: 1 MHz.
void fix_vexpress_timers(Fdt& tree) {
  const std::uint32_t megahertz = add_fixed_clock(tree, "mezzo-timer-clock", 1'000'000);
  for (const std::string& timer : find_all(tree, "arm,sp804")) {
    const auto clocks = tree.cells(timer, "clocks");
    if (clocks && !clocks->empty()) {
      tree.set(timer, "clocks", {megahertz, megahertz, clocks->back()});
    }
  }
}

// What else is in the Cortex-A9's private page.
void fix_private_page(Fdt& tree) {
  // Without its frequency, Linux measures it against another clock, which a guest's time away from
  // the processor makes wrong.
  constexpr std::uint32_t kPeripheralClock = 100'000'000;  // QEMU's; see doc/armv7.md
  const std::string private_timer = find(tree, "arm,cortex-a9-twd-timer");
  if (!private_timer.empty()) {
    tree.set(private_timer, "clocks",
             {add_fixed_clock(tree, "mezzo-private-clock", kPeripheralClock)});
  }
  // The monitor's heartbeat and its time base, and what no guest needs.
  for (const char* compatible :
       {"arm,cortex-a9-twd-wdt", "arm,cortex-a9-global-timer", "arm,cortex-a9-scu"}) {
    tree.remove(find(tree, compatible));
  }
}

// A node of a driver that switches the machine off (compatible "syscon-poweroff") or resets it
// ("syscon-reboot") by writing `value` at `offset` of the registers that `phandle` names.
void add_power(Fdt& tree, const char* name, std::string_view compatible, std::uint32_t phandle,
               std::uint32_t offset, std::uint32_t value) {
  const std::string path = tree.add("/", name);
  tree.set(path, "compatible", compatible);
  tree.set(path, "regmap", {phandle});
  tree.set(path, "offset", {offset});
  tree.set(path, "value", {value});
}

// Power-off and reset are commands that the monitor takes as the guest's end. Linux' driver for the
// system registers is left out, because with it comes a clock that is read in the same page, which
// traps: the scheduler's clock would be an exit each time.
void add_vexpress_power(Fdt& tree) {
  constexpr std::uint32_t kRegisters = 0x10000000, kSize = 0x1000;
  // SYS_CFGCTRL (ARM DUI 0447, 4.4.15): start, write, function in bits 25 to 20.
  constexpr std::uint32_t kControl = 0xa4, kStartWrite = 0xc0000000;
  constexpr std::uint32_t kShutdown = kStartWrite | 8 << 20, kReboot = kStartWrite | 9 << 20;
  const std::string registers = tree.add("/", fmt::format("system-registers@{:x}", kRegisters));
  tree.set(registers, "compatible", std::string_view("syscon"));
  tree.set(registers, "reg", {kRegisters, kSize});
  const std::uint32_t phandle = tree.phandle(registers);
  add_power(tree, "mezzo-poweroff", "syscon-poweroff", phandle, kControl, kShutdown);
  add_power(tree, "mezzo-reboot", "syscon-reboot", phandle, kControl, kReboot);
}

void add_vexpress_virtio(Fdt& tree, const DeviceTreeInput& input) {
  constexpr std::uint32_t kFirst = 0x10013000, kSize = 0x200, kCount = 4, kFirstSpi = 40;
  constexpr std::uint32_t kSpi = 0, kRisingEdge = 1;
  if (!has_window(input, kFirst)) return;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const std::uint32_t address = kFirst + i * kSize;
    const std::string path = tree.add("/", fmt::format("virtio_mmio@{:x}", address));
    tree.set(path, "compatible", std::string_view("virtio,mmio"));
    tree.set(path, "reg", {address, kSize});
    tree.set(path, "interrupts", {kSpi, kFirstSpi + i, kRisingEdge});
  }
}

void set_console(Fdt& tree, const DeviceTreeInput& input, std::string_view compatible) {
  if (input.console == nullptr) return;
  // UARTs are the only nodes of their kind that are left, one for each that the partition has.
  const std::string uart = find(tree, compatible);
  if (!uart.empty()) tree.set("/chosen", "stdout-path", uart);
}

// Without the pin that tells, the card is there for good or looked for again and again.
void fix_card(Fdt& tree, const DeviceTreeInput& input, std::string_view compatible) {
  for (const std::string& card : find_all(tree, compatible)) {
    tree.remove(card, "cd-gpios");
    tree.remove(card, "wp-gpios");
    tree.set_flag(card, "non-removable");
    if (!input.has_disk) tree.set(card, "status", std::string_view("disabled"));
  }
}

void adapt_vexpress(Fdt& tree, const DeviceTreeInput& input) {
  // The system registers' own node, with pins and lamps, and what else hangs on parts removed.
  for (const char* compatible : {"arm,vexpress-sysreg", "gpio-leds"}) {
    tree.remove(find(tree, compatible));
  }
  tree.remove("/hsb@e0000000");  // the other tile's bus, with nothing on it
  fix_vexpress_clocks(tree);
  fix_vexpress_timers(tree);
  fix_private_page(tree);
  add_vexpress_power(tree);
  add_vexpress_virtio(tree, input);
  fix_card(tree, input, "arm,pl180");
  set_console(tree, input, "arm,pl011");
}

void adapt_cubieboard(Fdt& tree, const DeviceTreeInput& input) {
  for (const char* path : {"/thermal-zones", "/display-engine", "/hdmi-connector", "/leds"}) {
    tree.remove(path);
  }
  // Linux' driver for the watchdog, a module, reads the register back that it writes, which QEMU
  // does not model. Only what resets the machine is left of it: one write, without a module.
  const std::string watchdog = find(tree, "allwinner,sun4i-a10-wdt");
  if (!watchdog.empty()) {
    constexpr std::uint32_t kMode = 4, kEnableAndReset = 3;
    tree.set(watchdog, "compatible", std::string_view("syscon"));
    tree.remove(watchdog, "interrupts");
    tree.remove(watchdog, "clocks");
    add_power(tree, "mezzo-reboot", "syscon-reboot", tree.phandle(watchdog), kMode,
              kEnableAndReset);
  }
  set_console(tree, input, "snps,dw-apb-uart");
}

// Displays, sound and keys hang on parts that are removed.
void adapt_sabrelite(Fdt& tree, const DeviceTreeInput& input) {
  for (const char* compatible :
       {"fsl,imx6q-ldb", "fsl,imx-capture-subsystem", "fsl,imx-display-subsystem",
        "fsl,imx-parallel-display", "fsl,imx-audio-sgtl5000", "gpio-keys"}) {
    tree.remove(find(tree, compatible));
  }
  fix_private_page(tree);
  fix_card(tree, input, "fsl,imx6q-usdhc");
  set_console(tree, input, "fsl,imx6q-uart");
}

void adapt_zynq(Fdt& tree, const DeviceTreeInput& input) {
  fix_private_page(tree);
  fix_card(tree, input, "arasan,sdhci-8.9a");
  // Boards enable what they have wired up; which UART that is, is for the system file to say.
  if (input.console == nullptr) return;
  const std::string uart = find(tree, "xlnx,xuartps");
  if (uart.empty()) return;
  tree.set(uart, "status", std::string_view("okay"));
  tree.set(tree.add("/", "aliases"), "serial0", uart);
  set_console(tree, input, "xlnx,xuartps");
}

}  // namespace

void adapt_to_board(Fdt& tree, const DeviceTreeInput& input) {
  switch (input.board) {
    case system::Board::VexpressA9:
      return adapt_vexpress(tree, input);
    case system::Board::Cubieboard:
      return adapt_cubieboard(tree, input);
    case system::Board::Sabrelite:
      return adapt_sabrelite(tree, input);
    case system::Board::Zynq:
      return adapt_zynq(tree, input);
    case system::Board::Pc:
      return;
  }
}

}  // namespace mezzo::firmware
