// What the tool knows about each board: its devices, their addresses, interrupts and bus masters.
//
// Facts only, as one constexpr description for each board. Sources are named there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "system/model.hpp"

namespace mezzo::system {

struct BoardPorts {
  std::uint16_t first, last;
};

// Device registers, whole pages, and how a guest reaches them.
struct BoardRegion {
  std::uint32_t base, size;
  plan::WindowKind kind = plan::WindowKind::Direct;
};

// A write that silences a device: as plan::Silence, with an offset from the device's first page.
struct BoardSilence {
  std::uint32_t offset, value, busy = 0;
};

// A device that one partition can own.
struct BoardDevice {
  std::string_view name;
  std::string_view what;                           // for reports
  bool on_pci = false;                             // needs the owner of PCI configuration space
  bool bus_master = false;                         // reads and writes memory by machine addresses
  std::optional<std::uint16_t> pci_function = {};  // of a bus master: bus<<8 | device<<3 | function
  std::span<const std::uint8_t> irqs = {};         // numbers at the board's interrupt controller
  std::span<const BoardPorts> ports = {};          // IA-32: fixed ports
  std::span<const BoardRegion> regions = {};       // ARMv7
  // ARMv7: what ends its interrupts and its accesses to memory, in this order. Devices that
  // interrupt or master the bus have it.
  std::span<const BoardSilence> silence = {};
};

struct BoardUart {
  std::string_view key;      // in system files: "com1"
  std::string_view name;     // for people: "COM1"
  std::string_view console;  // Linux' name, with the speed if it must be told
  std::uint16_t port;        // IA-32: the first
  std::uint32_t base;        // ARMv7: address of its page
  std::uint8_t irq;
};

// What only ARMv7 boards have.
struct BoardArmv7 {
  std::string_view device_tree;              // file name in a Debian kernel package
  std::string_view compatible;               // what a tree for this board says it is for
  bool tree_has_memory;                      // false: the boot loader fills it in
  std::span<const BoardRegion> common;       // registers that every partition reaches
  std::span<const std::string_view> timers;  // devices of which each Linux needs one: its clock
  // As in plan::Board.
  std::uint32_t distributor, interface, private_timer;
  // Page of an SP805 of the board, which the monitor emulates for partitions with a watchdog; 0:
  // there is none.
  std::uint32_t watchdog = 0;
  std::span<const BoardSilence> uart_silence;  // of each UART
  // What must be written before, by addresses: it lets the devices hear.
  std::span<const BoardSilence> clocks = {};
};

struct BoardInfo {
  std::string_view name;
  plan::Architecture architecture;
  std::string_view cpu_model;       // QEMU's name, unless the system file says another
  std::string_view kernel_package;  // of Debian, to recommend; empty: none supports the board
  unsigned max_cpus, max_partitions;
  std::uint64_t ram_base;
  std::uint64_t min_memory, max_memory, memory_step;
  std::uint64_t firmware_top;  // bytes at the top of RAM that firmware may keep for its tables
  std::uint32_t io_apic_address = 0;
  std::uint32_t local_apic_address = 0;
  std::uint32_t pci_window_end = 0;       // last byte of the PCI memory window below 4 GiB
  std::uint8_t channel_line = 0;          // input of the I/O APIC for the first channel's doorbell
  std::array<std::uint8_t, 4> pirq = {};  // interrupt that firmware routes PCI links A to D to
  std::span<const BoardUart> uarts;       // at most four
  std::span<const BoardDevice> devices;
  // Devices that serve a disk and a network; the first is the default.
  std::span<const std::string_view> disk_devices, network_devices;
  BoardArmv7 armv7 = {};
  std::string_view machine;        // QEMU's name for it
  std::string_view untested = {};  // why it has never been tried, for a warning; empty: it has been

  [[nodiscard]] bool is_armv7() const { return architecture == plan::Architecture::Armv7; }
  // How a system file names a kernel for it.
  [[nodiscard]] std::string kernel_example() const;
  // The device called `device`, or null.
  [[nodiscard]] const BoardDevice* find(std::string_view device) const;
  // The UART that Partition::console and LinkEnd::com mean by `number`, from 1.
  [[nodiscard]] const BoardUart& uart(unsigned number) const { return uarts[number - 1]; }
};

[[nodiscard]] const BoardInfo& board_info(Board board);

// The names of all boards, in the order of the enumeration.
[[nodiscard]] std::vector<std::string> board_names();

// Low memory of a PC that no partition may have: the extended BIOS data area, video memory and
// ROMs.
inline constexpr std::uint64_t kLegacyHoleBase = 0x9f000;
inline constexpr std::uint64_t kLegacyHoleEnd = 0x100000;
// Where the monitor's start-up code for the other processors of a PC is while the loads are made.
inline constexpr std::uint64_t kStartupBase = 0x8000;
inline constexpr std::uint64_t kStartupEnd = 0x9000;
// A 32-bit Linux with the default vmalloc area maps memory below this directly; its image, boot
// parameters and tables must be there. IA-32; on ARMv7 see image/layout_armv7.cpp.
inline constexpr std::uint64_t kLowmemEnd = 0x36000000;

}  // namespace mezzo::system
