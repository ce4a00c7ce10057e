// A partition's ACPI tables: what hardware its guest is told of.
//
// Direct paging lets a guest reach all of the machine, so this is where shared chips are divided.
// The guest that has the I/O APIC is told of a hardware-reduced machine (no PIC, no PIT, no PM
// registers); the guest that has the PIC of a classic one whose PM registers are a page of its own
// memory; nobody is told of the machine's power-off and reset registers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "abi/plan.hpp"
#include "firmware/channel_functions.hpp"
#include "loader/kernel.hpp"
#include "system/board.hpp"

namespace mezzo::firmware {

// Room for all tables, and for the page the guest keeps as ACPI non-volatile storage.
inline constexpr std::uint32_t kAcpiSize = 16384;
inline constexpr std::uint32_t kNvsSize = 4096;

// Offsets in the NVS page: the FACS (64-byte aligned) and the PM1 event and control registers.
inline constexpr std::uint32_t kNvsFacs = 0;
inline constexpr std::uint32_t kNvsPm1Event = 0x80;    // status and enable, 2 bytes each
inline constexpr std::uint32_t kNvsPm1Control = 0x84;  // 2 bytes

struct AcpiUart {
  unsigned number;  // 1 to 4, as in COM1
  std::uint16_t port;
  std::optional<std::uint8_t> irq;
};

struct AcpiInput {
  std::uint8_t apic_id = 0;
  plan::InterruptController interrupts = plan::InterruptController::None;
  bool pci = false;
  bool rtc = false;
  std::optional<AcpiUart> uart;        // the console's
  std::vector<AcpiUart> links{};       // those of links to other partitions
  std::uint32_t pci_window_start = 0;  // first address above RAM; the board knows the end
  std::uint32_t tables_address = 0;    // 4 KiB aligned
  std::uint32_t nvs_address = 0;       // 4 KiB aligned, used with InterruptController::Pic
  std::vector<ChannelFunction> channels{};
  std::uint32_t functions_address = 0;  // of their configuration space
};

struct AcpiTables {
  std::vector<std::uint8_t> tables;  // for tables_address; the RSDP is at its start
  std::vector<std::uint8_t> nvs;     // for nvs_address; empty if the guest's machine needs none
  std::vector<std::string> summary;  // a line for each table
};

// The DSDT's source text, in ASL.
[[nodiscard]] std::string make_dsdt_source(const AcpiInput& input, const system::BoardInfo& board);

// Compiles the DSDT with `iasl` (Debian package acpica-tools) and builds the other tables around
// it.
[[nodiscard]] loader::Result<AcpiTables> make_acpi_tables(const AcpiInput& input,
                                                          const system::BoardInfo& board);

}  // namespace mezzo::firmware
