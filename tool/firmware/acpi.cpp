// Builds RSDP, RSDT, XSDT, FADT, MADT and FACS. Source: ACPI specification 5.0, chapter 5.
#include "firmware/acpi.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <numeric>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/process.hpp"
#include "loader/bytes.hpp"

namespace mezzo::firmware {
namespace {

using loader::put;
using plan::InterruptController;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kHeaderSize = 36;
constexpr std::size_t kRsdpSize = 36;
constexpr std::size_t kFacsSize = 64;
constexpr std::size_t kTableAlignment = 16;

// Stores at `at` the byte that makes the sum of `bytes` zero.
void set_checksum(std::span<std::uint8_t> bytes, std::size_t at) {
  bytes[at] = 0;
  const unsigned sum = std::accumulate(bytes.begin(), bytes.end(), 0U);
  bytes[at] = static_cast<std::uint8_t>(0U - sum);
}

// A table of `size` bytes with its header filled; finish() sets the checksum.
Bytes start_table(const char* signature, std::size_t size, std::uint8_t revision) {
  Bytes table(size, 0);
  std::memcpy(table.data(), signature, 4);
  put(std::span(table), 4, static_cast<std::uint32_t>(size));
  table[8] = revision;
  std::memcpy(&table[10], "MEZZO PARTITN ", 14);
  put(std::span(table), 24, std::uint32_t{1});
  std::memcpy(&table[28], "MEZO", 4);
  put(std::span(table), 32, std::uint32_t{1});
  return table;
}

Bytes finish(Bytes table) {
  set_checksum(table, 9);
  return table;
}

Bytes make_madt(const AcpiInput& input, const system::BoardInfo& board) {
  constexpr std::size_t kFixed = 44, kLocalApic = 8, kIoApic = 12;
  const bool io_apic = input.interrupts == InterruptController::IoApic;
  Bytes table = start_table("APIC", kFixed + kLocalApic + (io_apic ? kIoApic : 0), 3);
  put(std::span(table), 36, board.local_apic_address);
  const bool pc_compatible = input.interrupts == InterruptController::Pic;
  put(std::span(table), 40, std::uint32_t{pc_compatible ? 1U : 0U});  // PCAT_COMPAT: has a PIC
  table[kFixed] = 0;                                                  // processor local APIC
  table[kFixed + 1] = kLocalApic;
  table[kFixed + 2] = input.apic_id;  // ACPI processor id
  table[kFixed + 3] = input.apic_id;
  put(std::span(table), kFixed + 4, std::uint32_t{1});  // enabled
  if (io_apic) {
    const std::size_t at = kFixed + kLocalApic;
    table[at] = 1;  // I/O APIC
    table[at + 1] = kIoApic;
    put(std::span(table), at + 4, board.io_apic_address);
  }
  return finish(std::move(table));
}

// A generic address structure for `bits` at `address` in memory.
void put_address(std::span<std::uint8_t> table, std::size_t at, std::uint8_t bits,
                 std::uint32_t address) {
  table[at] = 0;  // system memory
  table[at + 1] = bits;
  table[at + 3] = bits == 16 ? 2 : 3;  // access size: word or double word
  put(table, at + 4, std::uint64_t{address});
}

Bytes make_fadt(const AcpiInput& input, std::uint32_t dsdt) {
  constexpr std::size_t kSize = 268;  // revision 5
  constexpr std::uint32_t kWbinvd = 1U << 0, kNoPowerButton = 1U << 4, kNoSleepButton = 1U << 5,
                          kNoRtcWake = 1U << 6, kHeadless = 1U << 12, kHardwareReduced = 1U << 20;
  constexpr std::uint16_t kBootNoVga = 1U << 2, kBootNoAspm = 1U << 4;
  Bytes table = start_table("FACP", kSize, 5);
  const std::span<std::uint8_t> bytes(table);
  put(bytes, 40, dsdt);
  put(bytes, 140, std::uint64_t{dsdt});
  std::uint32_t flags = kWbinvd | kNoPowerButton | kNoSleepButton | kNoRtcWake | kHeadless;
  if (input.interrupts == InterruptController::Pic) {
    put(bytes, 36, input.nvs_address + kNvsFacs);
    put(bytes, 46, std::uint16_t{9});      // SCI
    put(bytes, 96, std::uint16_t{0xfff});  // no C2
    put(bytes, 98, std::uint16_t{0xfff});  // no C3
    bytes[88] = 4;                         // PM1 event length
    bytes[89] = 2;                         // PM1 control length
    put(bytes, 132, std::uint64_t{input.nvs_address} + kNvsFacs);
    put_address(bytes, 148, 32, input.nvs_address + kNvsPm1Event);
    put_address(bytes, 172, 16, input.nvs_address + kNvsPm1Control);
  } else {
    flags |= kHardwareReduced;
  }
  put(bytes, 109, static_cast<std::uint16_t>(kBootNoVga | kBootNoAspm));  // and no 8042
  put(bytes, 112, flags);
  return finish(std::move(table));
}

Bytes make_nvs() {
  constexpr std::uint16_t kSciEnable = 1;
  Bytes page(kNvsSize, 0);
  std::memcpy(&page[kNvsFacs], "FACS", 4);
  put(std::span(page), kNvsFacs + 4, std::uint32_t{kFacsSize});
  page[kNvsFacs + 32] = 2;  // version
  put(std::span(page), kNvsPm1Control, kSciEnable);
  return page;
}

// Where the configuration space of the channels' bus is.
Bytes make_mcfg(const AcpiInput& input) {
  constexpr std::size_t kFixed = 44, kAllocation = 16;
  Bytes table = start_table("MCFG", kFixed + kAllocation, 1);
  put(std::span(table), kFixed, std::uint64_t{input.functions_address});
  put(std::span(table), kFixed + 8, kFunctionsSegment);  // buses 0 to 0
  return finish(std::move(table));
}

// RSDT (4-byte) and XSDT (8-byte) entries.
Bytes make_root_table(bool extended, std::span<const std::uint32_t> tables) {
  const std::size_t entry = extended ? 8 : 4;
  Bytes root = start_table(extended ? "XSDT" : "RSDT", kHeaderSize + tables.size() * entry, 1);
  for (std::size_t n = 0; n < tables.size(); ++n) {
    put(std::span(root), kHeaderSize + n * entry, tables[n]);
  }
  return finish(std::move(root));
}

Bytes make_rsdp(std::uint32_t rsdt, std::uint32_t xsdt) {
  Bytes rsdp(kRsdpSize, 0);
  std::memcpy(rsdp.data(), "RSD PTR ", 8);
  std::memcpy(&rsdp[9], "MEZZO ", 6);
  rsdp[15] = 2;
  put(std::span(rsdp), 16, rsdt);
  put(std::span(rsdp), 20, std::uint32_t{kRsdpSize});
  put(std::span(rsdp), 24, std::uint64_t{xsdt});
  set_checksum(std::span(rsdp).first(20), 8);
  set_checksum(rsdp, 32);
  return rsdp;
}

loader::Result<Bytes> compile_dsdt(const std::string& source) {
  if (base::find_program("iasl").empty()) {
    return std::unexpected(loader::Problem{"the ACPI compiler 'iasl' is missing",
                                           "install it: apt-get install acpica-tools"});
  }
  const base::TemporaryDirectory folder(std::filesystem::temp_directory_path(), "mezzo-acpi");
  base::write_file(folder.path() / "dsdt.asl", source);
  const base::Finished finished =
      base::run({{"iasl", "-p", "dsdt", "dsdt.asl"}, folder.path(), {}});
  if (finished.status != 0) {
    return std::unexpected(loader::Problem{
        fmt::format("iasl cannot compile the partition's DSDT:\n{}", finished.output),
        "report this as a bug, with the system file"});
  }
  return base::read_file(folder.path() / "dsdt.aml");
}

std::vector<std::string> summarize(const AcpiInput& input, std::size_t dsdt_size) {
  std::string devices = input.pci ? "PCI root bridge" : "no PCI";
  if (input.uart) devices += fmt::format(", COM{}", input.uart->number);
  for (const AcpiUart& link : input.links) devices += fmt::format(", COM{}", link.number);
  if (input.rtc) devices += ", RTC";
  if (!input.channels.empty()) devices += ", PCI root bridge of the channels";
  const char* controller = input.interrupts == InterruptController::IoApic ? "I/O APIC"
                           : input.interrupts == InterruptController::Pic  ? "PIC"
                                                                           : "no other controller";
  std::vector<std::string> lines = {
      fmt::format("ACPI RSDP at {:#x}, RSDT, XSDT", input.tables_address),
      fmt::format("ACPI FADT: {}, no reset register, no _S5",
                  input.interrupts == InterruptController::Pic ? "with PM1 registers in memory"
                                                               : "hardware-reduced"),
      fmt::format("ACPI MADT: local APIC {}, {}", input.apic_id, controller),
      fmt::format("ACPI DSDT: {} bytes: {}", dsdt_size, devices)};
  if (!input.channels.empty()) {
    lines.push_back(fmt::format("ACPI MCFG: PCI segment {} at {:#x}", kFunctionsSegment,
                                input.functions_address));
  }
  return lines;
}

}  // namespace

loader::Result<AcpiTables> make_acpi_tables(const AcpiInput& input,
                                            const system::BoardInfo& board) {
  const auto dsdt = compile_dsdt(make_dsdt_source(input, board));
  if (!dsdt) return std::unexpected(dsdt.error());

  AcpiTables result;
  result.tables.resize(kRsdpSize);  // filled last
  const auto place = [&result, &input](const Bytes& table) {
    const std::size_t at = (result.tables.size() + kTableAlignment - 1) & ~(kTableAlignment - 1);
    result.tables.resize(at);
    result.tables.insert(result.tables.end(), table.begin(), table.end());
    return input.tables_address + static_cast<std::uint32_t>(at);
  };
  const std::uint32_t dsdt_address = place(*dsdt);
  std::vector<std::uint32_t> tables = {place(make_fadt(input, dsdt_address)),
                                       place(make_madt(input, board))};
  if (!input.channels.empty()) tables.push_back(place(make_mcfg(input)));
  const std::uint32_t rsdt = place(make_root_table(false, tables));
  const std::uint32_t xsdt = place(make_root_table(true, tables));
  std::ranges::copy(make_rsdp(rsdt, xsdt), result.tables.begin());
  if (result.tables.size() > kAcpiSize) {
    return std::unexpected(loader::Problem{
        fmt::format("the ACPI tables take {} bytes of {}", result.tables.size(), kAcpiSize),
        "report this as a bug, with the system file"});
  }
  if (input.interrupts == InterruptController::Pic) result.nvs = make_nvs();
  result.summary = summarize(input, dsdt->size());
  return result;
}

}  // namespace mezzo::firmware
