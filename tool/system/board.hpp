// What the tool knows about each board: its devices, their ports, interrupts and bus masters.
//
// Facts only, as one constexpr description for each board. Sources: QEMU's hw/i386/pc_piix.c and
// hw/isa/piix3.c for addresses, SeaBIOS src/fw/pciinit.c for the interrupt routing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "system/model.hpp"

namespace mezzo::system {

struct BoardPorts {
  std::uint16_t first, last;
};

// A device that one partition can own.
struct BoardDevice {
  std::string_view name;
  std::string_view what;                    // for reports
  bool on_pci;                              // needs the owner of PCI configuration space
  std::optional<std::uint16_t> bus_master;  // bus<<8 | device<<3 | function
  std::span<const std::uint8_t> irqs;       // ISA lines it raises
  std::span<const BoardPorts> ports;        // fixed ports
};

struct BoardUart {
  std::uint16_t port;
  std::uint8_t irq;
};

struct BoardInfo {
  std::string_view name;
  unsigned max_cpus;
  std::uint64_t min_memory, max_memory;
  std::uint64_t firmware_top;  // bytes at the top of RAM that firmware may keep for its tables
  std::uint32_t io_apic_address;
  std::uint32_t local_apic_address;
  std::uint32_t pci_window_end;      // last byte of the PCI memory window below 4 GiB
  std::array<std::uint8_t, 4> pirq;  // interrupt that firmware routes PCI links A to D to
  std::array<BoardUart, 4> uarts;
  std::span<const BoardDevice> devices;

  // The device called `device`, or null.
  [[nodiscard]] const BoardDevice* find(std::string_view device) const;
};

[[nodiscard]] const BoardInfo& board_info(Board board);

// Low memory that no partition may have: the extended BIOS data area, video memory and ROMs.
inline constexpr std::uint64_t kLegacyHoleBase = 0x9f000;
inline constexpr std::uint64_t kLegacyHoleEnd = 0x100000;
// Where the monitor's start-up code for the other processors is while the loads are made.
inline constexpr std::uint64_t kStartupBase = 0x8000;
inline constexpr std::uint64_t kStartupEnd = 0x9000;
// A 32-bit Linux with the default vmalloc area maps memory below this directly; its image, boot
// parameters and tables must be there.
inline constexpr std::uint64_t kLowmemEnd = 0x36000000;

}  // namespace mezzo::system
