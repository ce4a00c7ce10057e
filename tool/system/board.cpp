// The boards' descriptions.
//
// Sources: for `pc`, QEMU's hw/i386/pc_piix.c and hw/isa/piix3.c for addresses, SeaBIOS
// src/fw/pciinit.c for the interrupt routing; for `vexpress-a9`, ARM DUI 0447 (Motherboard Express
// uATX) and ARM DUI 0448 (CoreTile Express A9x4), and QEMU's hw/arm/vexpress.c for virtio; for
// `cubieboard`, the Allwinner A10 User Manual and QEMU's hw/arm/allwinner-a10.c; for `sabrelite`,
// the i.MX 6Dual/6Quad Reference Manual (IMX6DQRM), chapters 2 (memory map) and 3 (interrupts); for
// `zynq`, the Zynq-7000 Technical Reference Manual (UG585), chapters 4 (addresses) and 7
// (interrupts), and appendix B.
#include "system/board.hpp"

#include <fmt/format.h>

#include "system/board_silence.hpp"

namespace mezzo::system {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint32_t kPage = plan::kPageSize;
using plan::WindowKind;

// The board `pc`.

constexpr std::uint8_t kPciIrqs[] = {10, 11};
constexpr std::uint8_t kRtcIrqs[] = {8};
constexpr BoardPorts kPciPorts[] = {{0xcf8, 0xcff}};
constexpr BoardPorts kRtcPorts[] = {{0x70, 0x71}};

constexpr BoardDevice kPcDevices[] = {
    {.name = "pci",
     .what = "PCI configuration space and bus",
     .irqs = kPciIrqs,
     .ports = kPciPorts},
    {.name = "rtc",
     .what = "real-time clock and its alarm interrupt",
     .irqs = kRtcIrqs,
     .ports = kRtcPorts},
    {.name = "e1000",
     .what = "Intel e1000 network card at 00:03.0",
     .on_pci = true,
     .bus_master = true,
     .pci_function = std::uint16_t{3 << 3}},
    // Linux without a PIC cannot use the legacy interrupts of the PIIX3's IDE controller.
    {.name = "ahci",
     .what = "AHCI disk controller at 00:04.0",
     .on_pci = true,
     .bus_master = true,
     .pci_function = std::uint16_t{4 << 3}},
};

// Lines of their own for COM3 and COM4, not those of COM1 and COM2: nothing is shared.
constexpr BoardUart kPcUarts[] = {{"com1", "COM1", "ttyS0,115200", 0x3f8, 0, 4},
                                  {"com2", "COM2", "ttyS1,115200", 0x2f8, 0, 3},
                                  {"com3", "COM3", "ttyS2,115200", 0x3e8, 0, 5},
                                  {"com4", "COM4", "ttyS3,115200", 0x2e8, 0, 7}};
constexpr std::string_view kPcDisks[] = {"ahci"};
constexpr std::string_view kPcNetworks[] = {"e1000"};

constexpr BoardInfo kPc = {
    .name = "pc",
    .architecture = plan::Architecture::Ia32,
    .cpu_model = "pentium3",
    .kernel_package = "linux-image-686",
    .max_cpus = plan::kMaxPartitions,
    .max_partitions = plan::kMaxPartitions,
    .ram_base = 0,
    .min_memory = 16 * kMiB,
    .max_memory = 3072 * kMiB,
    .memory_step = kMiB,
    .firmware_top = 1 * kMiB,
    .io_apic_address = 0xfec00000,
    .local_apic_address = 0xfee00000,
    .pci_window_end = 0xfebfffff,
    .channel_line = 20,  // 20 to 23: no device's, as the PCI links are ISA interrupts
    .pirq = {10, 10, 11, 11},
    .uarts = kPcUarts,
    .devices = kPcDevices,
    .disk_devices = kPcDisks,
    .network_devices = kPcNetworks,
    .machine = "pc",
};

// The board `vexpress-a9`. Interrupts are the GIC's numbers: shared peripheral interrupt n is n +
// 32.

constexpr std::uint8_t kEthernetIrqs[] = {47}, kCardIrqs[] = {41, 42},
                       kVirtioIrqs[] = {72, 73, 74, 75}, kTimer0Irqs[] = {34}, kTimer1Irqs[] = {35},
                       kClockIrqs[] = {36};
constexpr BoardRegion kEthernet[] = {{0x4e000000, 16 * kPage}}, kCard[] = {{0x10005000, kPage}},
                      kVirtio[] = {{0x10013000, kPage}}, kTimer0[] = {{0x10011000, kPage}},
                      kTimer1[] = {{0x10012000, kPage}}, kClock[] = {{0x10017000, kPage}};

constexpr BoardDevice kVexpressDevices[] = {
    {.name = "smsc911x",
     .what = "LAN9118 network chip, by programmed I/O",
     .irqs = kEthernetIrqs,
     .regions = kEthernet,
     .silence = silence::kSmsc911x},
    {.name = "pl181",
     .what = "PL181 SD card interface, by programmed I/O",
     .irqs = kCardIrqs,
     .regions = kCard,
     .silence = silence::kPl181},
    {.name = "virtio",
     .what = "QEMU's four virtio-mmio transports, which are in one page",
     .bus_master = true,
     .irqs = kVirtioIrqs,
     .regions = kVirtio,
     .silence = silence::kVirtio},
    {.name = "timer0",
     .what = "SP804 dual timer 0",
     .irqs = kTimer0Irqs,
     .regions = kTimer0,
     .silence = silence::kSp804},
    {.name = "timer1",
     .what = "SP804 dual timer 1",
     .irqs = kTimer1Irqs,
     .regions = kTimer1,
     .silence = silence::kSp804},
    {.name = "rtc",
     .what = "PL031 real-time clock",
     .irqs = kClockIrqs,
     .regions = kClock,
     .silence = silence::kPl031},
};

constexpr BoardUart kVexpressUarts[] = {{"uart0", "UART0", "ttyAMA0", 0, 0x10009000, 37},
                                        {"uart1", "UART1", "ttyAMA1", 0, 0x1000a000, 38},
                                        {"uart2", "UART2", "ttyAMA2", 0, 0x1000b000, 39},
                                        {"uart3", "UART3", "ttyAMA3", 0, 0x1000c000, 40}};
// The page of the Cortex-A9's private peripherals becomes WindowKind::Interface for partitions that
// share a processor.
constexpr BoardRegion kVexpressCommon[] = {{0x10000000, kPage, WindowKind::SystemRegisters},
                                           {0x1e000000, kPage, WindowKind::Direct},
                                           {0x1e001000, kPage, WindowKind::Distributor}};
constexpr std::string_view kVexpressTimers[] = {"timer0", "timer1"};
constexpr std::string_view kVexpressDisks[] = {"pl181", "virtio"};
constexpr std::string_view kVexpressNetworks[] = {"smsc911x", "virtio"};

constexpr BoardInfo kVexpressA9 = {
    .name = "vexpress-a9",
    .architecture = plan::Architecture::Armv7,
    .cpu_model = "cortex-a9",
    .kernel_package = "linux-image-armmp",
    .max_cpus = 4,
    .max_partitions = plan::kMaxPartitions,
    .ram_base = 0x60000000,
    .min_memory = 64 * kMiB,
    .max_memory = 1024 * kMiB,
    .memory_step = kMiB,
    .firmware_top = 0,
    .uarts = kVexpressUarts,
    .devices = kVexpressDevices,
    .disk_devices = kVexpressDisks,
    .network_devices = kVexpressNetworks,
    .armv7 = {.device_tree = "vexpress-v2p-ca9.dtb",
              .compatible = "arm,vexpress,v2p-ca9",
              .tree_has_memory = true,
              .common = kVexpressCommon,
              .timers = kVexpressTimers,
              .distributor = 0x1e001000,
              .interface = 0x1e000100,
              .private_timer = 0x1e000600,
              .watchdog = 0x1000f000,
              .uart_silence = silence::kPl011},
    .machine = "vexpress-a9",
};

// The board `cubieboard`: one processor, one partition. Interrupts are the A10's own numbers.

constexpr std::uint8_t kEmacIrqs[] = {55}, kMmcIrqs[] = {32}, kSataIrqs[] = {56};
constexpr BoardRegion kEmac[] = {{0x01c0b000, kPage}}, kMmc[] = {{0x01c0f000, kPage}},
                      kSata[] = {{0x01c18000, kPage}};

constexpr BoardDevice kCubieboardDevices[] = {
    {.name = "emac",
     .what = "network interface",
     .irqs = kEmacIrqs,
     .regions = kEmac,
     .silence = silence::kSun4iEmac},
    {.name = "mmc0",
     .what = "SD card interface",
     .bus_master = true,
     .irqs = kMmcIrqs,
     .regions = kMmc,
     .silence = silence::kSunxiMmc},
    {.name = "sata",
     .what = "AHCI disk controller",
     .bus_master = true,
     .irqs = kSataIrqs,
     .regions = kSata,
     .silence = silence::kAhci},
};
constexpr BoardUart kCubieboardUarts[] = {{"uart0", "UART0", "ttyS0,115200", 0, 0x01c28000, 1}};
// The system control (which unit has which SRAM), and a page with the clocks, the interrupt
// controller, the pins, the timers with the watchdog, and the real-time clock.
constexpr BoardRegion kCubieboardCommon[] = {{0x01c00000, kPage, WindowKind::Direct},
                                             {0x01c20000, kPage, WindowKind::SunxiTimer}};
constexpr std::string_view kCubieboardDisks[] = {"mmc0", "sata"};
constexpr std::string_view kCubieboardNetworks[] = {"emac"};

constexpr BoardInfo kCubieboard = {
    .name = "cubieboard",
    .architecture = plan::Architecture::Armv7,
    .cpu_model = "cortex-a8",
    .kernel_package = "linux-image-armmp",
    .max_cpus = 1,
    .max_partitions = 1,
    .ram_base = 0x40000000,
    .min_memory = 512 * kMiB,
    .max_memory = 1024 * kMiB,
    .memory_step = 512 * kMiB,
    .firmware_top = 0,
    .uarts = kCubieboardUarts,
    .devices = kCubieboardDevices,
    .disk_devices = kCubieboardDisks,
    .network_devices = kCubieboardNetworks,
    .armv7 = {.device_tree = "sun4i-a10-cubieboard.dtb",
              .compatible = "allwinner,sun4i-a10",
              .tree_has_memory = false,
              .common = kCubieboardCommon,
              .timers = {},
              .distributor = 0,
              .interface = 0,
              .private_timer = 0,
              .uart_silence = silence::kSun4iUart},
    .machine = "cubieboard",
};

// The board `sabrelite`: i.MX6 Quad. Its clocks, pins and power domains are one for the whole chip,
// so one partition has them all; the watchdogs and the reset controller, which reset the machine,
// are nobody's. Interrupts are the GIC's numbers.

constexpr std::uint8_t kGptIrqs[] = {87}, kUsdhc3Irqs[] = {56}, kUsdhc4Irqs[] = {57},
                       kFecIrqs[] = {150, 151}, kGpioIrqs[] = {98,  99,  100, 101, 102, 103, 104,
                                                               105, 106, 107, 108, 109, 110, 111};
constexpr BoardRegion kGpt[] = {{0x02098000, 4 * kPage}}, kUsdhc3[] = {{0x02198000, 4 * kPage}},
                      kUsdhc4[] = {{0x0219c000, 4 * kPage}}, kFec[] = {{0x02188000, 4 * kPage}},
                      kGpio[] = {{0x0209c000, 7 * 4 * kPage}};

constexpr BoardDevice kSabreliteDevices[] = {
    {.name = "fec",
     .what = "gigabit network interface",
     .bus_master = true,
     .irqs = kFecIrqs,
     .regions = kFec,
     .silence = silence::kImxFec},
    {.name = "usdhc3",
     .what = "SD card interface",
     .bus_master = true,
     .irqs = kUsdhc3Irqs,
     .regions = kUsdhc3,
     .silence = silence::kUsdhc},
    {.name = "usdhc4",
     .what = "micro-SD card interface",
     .bus_master = true,
     .irqs = kUsdhc4Irqs,
     .regions = kUsdhc4,
     .silence = silence::kUsdhc},
    {.name = "gpio",
     .what = "pins 1 to 7",
     .irqs = kGpioIrqs,
     .regions = kGpio,
     .silence = silence::kImxGpio},
    {.name = "gpt",
     .what = "general purpose timer",
     .irqs = kGptIrqs,
     .regions = kGpt,
     .silence = silence::kImxGpt},
};
// As the manual numbers them, from 1; on the board, the second one is for people.
constexpr BoardUart kSabreliteUarts[] = {{"uart1", "UART1", "ttymxc0,115200", 0, 0x02020000, 58},
                                         {"uart2", "UART2", "ttymxc1,115200", 0, 0x021e8000, 59}};
// The private page and the distributor; clock controller and, one page of 16 KiB on, the analog
// part with its PLLs; general power controller, through which all interrupts go; pins.
constexpr BoardRegion kSabreliteCommon[] = {
    {0x00a00000, kPage, WindowKind::Direct},     {0x00a01000, kPage, WindowKind::Distributor},
    {0x020c4000, 4 * kPage, WindowKind::Direct}, {0x020c8000, kPage, WindowKind::Direct},
    {0x020dc000, kPage, WindowKind::Direct},     {0x020e0000, kPage, WindowKind::Direct}};
constexpr std::string_view kSabreliteTimers[] = {"gpt"};
constexpr std::string_view kSabreliteDisks[] = {"usdhc4"};
constexpr std::string_view kSabreliteNetworks[] = {"fec"};

constexpr BoardInfo kSabrelite = {
    .name = "sabrelite",
    .architecture = plan::Architecture::Armv7,
    .cpu_model = "cortex-a9",
    .kernel_package = "linux-image-armmp",
    .max_cpus = 1,
    .max_partitions = 1,
    .ram_base = 0x10000000,
    .min_memory = 64 * kMiB,
    .max_memory = 1024 * kMiB,
    .memory_step = kMiB,
    .firmware_top = 0,
    .uarts = kSabreliteUarts,
    .devices = kSabreliteDevices,
    .disk_devices = kSabreliteDisks,
    .network_devices = kSabreliteNetworks,
    .armv7 = {.device_tree = "imx6q-sabrelite.dtb",
              .compatible = "fsl,imx6q-sabrelite",
              .tree_has_memory = true,
              .common = kSabreliteCommon,
              .timers = kSabreliteTimers,
              .distributor = 0x00a01000,
              .interface = 0x00a00100,
              .private_timer = 0x00a00600,
              .uart_silence = silence::kImxUart,
              .clocks = silence::kImx6Clocks},
    .machine = "sabrelite",
};

// The board `zynq`: any with a Zynq-7000, as far as the chip decides. The system level control
// registers (clocks, resets, pins) are one page for the whole chip, so one partition has it.
// Interrupts are the GIC's numbers.

constexpr std::uint8_t kTtc0Irqs[] = {42, 43, 44}, kTtc1Irqs[] = {69, 70, 71},
                       kGem0Irqs[] = {54, 55}, kGem1Irqs[] = {77, 78}, kSdio0Irqs[] = {56},
                       kSdio1Irqs[] = {79}, kZynqGpioIrqs[] = {52};
constexpr BoardRegion kTtc0[] = {{0xf8001000, kPage}}, kTtc1[] = {{0xf8002000, kPage}},
                      kGem0[] = {{0xe000b000, kPage}}, kGem1[] = {{0xe000c000, kPage}},
                      kSdio0[] = {{0xe0100000, kPage}}, kSdio1[] = {{0xe0101000, kPage}},
                      kZynqGpio[] = {{0xe000a000, kPage}};

constexpr BoardDevice kZynqDevices[] = {
    {.name = "gem0",
     .what = "gigabit network interface 0",
     .bus_master = true,
     .irqs = kGem0Irqs,
     .regions = kGem0,
     .silence = silence::kZynqGem},
    {.name = "gem1",
     .what = "gigabit network interface 1",
     .bus_master = true,
     .irqs = kGem1Irqs,
     .regions = kGem1,
     .silence = silence::kZynqGem},
    {.name = "sdio0",
     .what = "SD card interface 0",
     .bus_master = true,
     .irqs = kSdio0Irqs,
     .regions = kSdio0,
     .silence = silence::kSdhci},
    {.name = "sdio1",
     .what = "SD card interface 1",
     .bus_master = true,
     .irqs = kSdio1Irqs,
     .regions = kSdio1,
     .silence = silence::kSdhci},
    {.name = "gpio",
     .what = "pins",
     .irqs = kZynqGpioIrqs,
     .regions = kZynqGpio,
     .silence = silence::kZynqGpio},
    {.name = "ttc0",
     .what = "triple timer counter 0",
     .irqs = kTtc0Irqs,
     .regions = kTtc0,
     .silence = silence::kZynqTtc},
    {.name = "ttc1",
     .what = "triple timer counter 1",
     .irqs = kTtc1Irqs,
     .regions = kTtc1,
     .silence = silence::kZynqTtc},
};
// Linux' name is that of the alias serial0, which is given to the console.
constexpr BoardUart kZynqUarts[] = {{"uart0", "UART0", "ttyPS0,115200", 0, 0xe0000000, 59},
                                    {"uart1", "UART1", "ttyPS0,115200", 0, 0xe0001000, 82}};
constexpr BoardRegion kZynqCommon[] = {{0xf8000000, kPage, WindowKind::Direct},
                                       {0xf8f00000, kPage, WindowKind::Direct},
                                       {0xf8f01000, kPage, WindowKind::Distributor}};
constexpr std::string_view kZynqTimers[] = {"ttc0", "ttc1"};
constexpr std::string_view kZynqDisks[] = {"sdio0"};
constexpr std::string_view kZynqNetworks[] = {"gem0"};

constexpr BoardInfo kZynq = {
    .name = "zynq",
    .architecture = plan::Architecture::Armv7,
    .cpu_model = "cortex-a9",
    .kernel_package = {},
    .max_cpus = 1,
    .max_partitions = 1,
    .ram_base = 0,
    .min_memory = 64 * kMiB,
    .max_memory = 1024 * kMiB,
    .memory_step = kMiB,
    .firmware_top = 0,
    .uarts = kZynqUarts,
    .devices = kZynqDevices,
    .disk_devices = kZynqDisks,
    .network_devices = kZynqNetworks,
    .armv7 = {.device_tree = "zynq-zc702.dtb",
              .compatible = "xlnx,zynq-7000",
              .tree_has_memory = true,
              .common = kZynqCommon,
              .timers = kZynqTimers,
              .distributor = 0xf8f01000,
              .interface = 0xf8f00100,
              .private_timer = 0xf8f00600,
              .uart_silence = silence::kZynqUart,
              .clocks = silence::kZynqClocks},
    .machine = "xilinx-zynq-a9",
    .untested = "its description is from the chip's manual, and no kernel of Debian's supports it",
};

constexpr Board kBoards[] = {Board::Pc, Board::VexpressA9, Board::Cubieboard, Board::Sabrelite,
                             Board::Zynq};

}  // namespace

const BoardDevice* BoardInfo::find(std::string_view device) const {
  for (const BoardDevice& candidate : devices) {
    if (candidate.name == device) return &candidate;
  }
  return nullptr;
}

std::string BoardInfo::kernel_example() const {
  return kernel_package.empty() ? "{ file = \"zImage\" }"
                                : fmt::format("{{ package = \"{}\" }}", kernel_package);
}

const BoardInfo& board_info(Board board) {
  switch (board) {
    case Board::Pc:
      return kPc;
    case Board::VexpressA9:
      return kVexpressA9;
    case Board::Cubieboard:
      return kCubieboard;
    case Board::Sabrelite:
      return kSabrelite;
    case Board::Zynq:
      return kZynq;
  }
  return kPc;
}

std::vector<std::string> board_names() {
  std::vector<std::string> names;
  for (const Board board : kBoards) names.emplace_back(board_info(board).name);
  return names;
}

}  // namespace mezzo::system
