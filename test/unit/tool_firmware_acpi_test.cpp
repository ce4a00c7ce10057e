// ACPI tables: checksums, what each kind of partition is told of, and that iasl can read them back.
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "base/process.hpp"
#include "firmware/acpi.hpp"
#include "tool_system_support.hpp"

namespace mezzo::firmware {
namespace {

using loader::get;
using plan::InterruptController;
using test::byte_sum;

constexpr std::uint32_t kTables = 0xbffc000;
constexpr std::uint32_t kNvs = 0x17fff000;

AcpiInput alpha() {
  AcpiInput input;
  input.apic_id = 0;
  input.interrupts = InterruptController::IoApic;
  input.pci = true;
  input.rtc = true;
  input.uart = AcpiUart{1, 0x3f8, std::uint8_t{4}};
  input.pci_window_start = 512U << 20;
  input.tables_address = kTables;
  return input;
}

AcpiInput beta() {
  AcpiInput input;
  input.apic_id = 1;
  input.interrupts = InterruptController::Pic;
  input.uart = AcpiUart{2, 0x2f8, std::uint8_t{3}};
  input.pci_window_start = 512U << 20;
  input.tables_address = kTables;
  input.nvs_address = kNvs;
  return input;
}

const system::BoardInfo& board() { return system::board_info(system::Board::Pc); }

AcpiTables made(const AcpiInput& input) {
  auto tables = make_acpi_tables(input, board());
  EXPECT_TRUE(tables.has_value()) << (tables ? "" : tables.error().what);
  return tables.value_or(AcpiTables{});
}

// Follows addresses as a guest does.
class Reader {
 public:
  explicit Reader(const AcpiTables& tables) : tables_(tables.tables) {}

  [[nodiscard]] std::span<const std::uint8_t> at(std::uint64_t address, std::size_t size) const {
    EXPECT_GE(address, kTables);
    EXPECT_LE(address - kTables + size, tables_.size());
    return std::span(tables_).subspan(address - kTables, size);
  }

  // The whole table at `address`, whose signature and checksum are verified.
  [[nodiscard]] std::span<const std::uint8_t> table(std::uint64_t address,
                                                    std::string_view signature) const {
    const auto header = at(address, 36);
    EXPECT_EQ(std::string(header.begin(), header.begin() + 4), signature);
    const auto whole = at(address, get<std::uint32_t>(header, 4));
    EXPECT_EQ(byte_sum(whole), 0U) << signature;
    return whole;
  }

  // The table of that name, found through the RSDP and the XSDT.
  [[nodiscard]] std::span<const std::uint8_t> find(std::string_view signature) const {
    const auto xsdt = table(get<std::uint64_t>(at(kTables, 36), 24), "XSDT");
    for (std::size_t entry = 36; entry < xsdt.size(); entry += 8) {
      const auto address = get<std::uint64_t>(xsdt, entry);
      const auto name = at(address, 4);
      if (std::string(name.begin(), name.end()) == signature) return table(address, signature);
    }
    ADD_FAILURE() << "no " << signature;
    return {};
  }

 private:
  const std::vector<std::uint8_t>& tables_;
};

TEST(Acpi, RsdpLeadsToTheSameTablesBothWays) {
  const AcpiTables tables = made(alpha());
  const Reader reader(tables);
  const auto rsdp = reader.at(kTables, 36);
  EXPECT_EQ(std::string(rsdp.begin(), rsdp.begin() + 8), "RSD PTR ");
  EXPECT_EQ(byte_sum(rsdp.first(20)), 0U);
  EXPECT_EQ(byte_sum(rsdp), 0U);
  EXPECT_EQ(rsdp[15], 2);
  const auto rsdt = reader.table(get<std::uint32_t>(rsdp, 16), "RSDT");
  const auto xsdt = reader.table(get<std::uint64_t>(rsdp, 24), "XSDT");
  ASSERT_EQ(rsdt.size(), 44U);
  ASSERT_EQ(xsdt.size(), 52U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(get<std::uint32_t>(rsdt, 36 + 4 * i), get<std::uint64_t>(xsdt, 36 + 8 * i));
  }
  EXPECT_LE(tables.tables.size(), kAcpiSize);
}

TEST(Acpi, IoApicPartitionIsHardwareReduced) {
  const AcpiTables tables = made(alpha());
  const Reader reader(tables);
  const auto fadt = reader.find("FACP");
  EXPECT_EQ(fadt.size(), 268U);
  EXPECT_EQ(fadt[8], 5) << "the flag needs revision 5";
  const auto flags = get<std::uint32_t>(fadt, 112);
  EXPECT_NE(flags & 1U << 20, 0U) << "hardware-reduced";
  EXPECT_EQ(flags & 1U << 10, 0U) << "no reset register";
  EXPECT_EQ(get<std::uint16_t>(fadt, 109), 1U << 2 | 1U << 4) << "no VGA, no ASPM, no 8042";
  EXPECT_EQ(get<std::uint64_t>(fadt, 152), 0U) << "no PM1 event block";
  EXPECT_EQ(get<std::uint64_t>(fadt, 176), 0U) << "no PM1 control block";
  EXPECT_TRUE(tables.nvs.empty());
  const auto dsdt = reader.table(get<std::uint64_t>(fadt, 140), "DSDT");
  EXPECT_EQ(get<std::uint32_t>(fadt, 40), get<std::uint64_t>(fadt, 140));
  EXPECT_EQ(dsdt[8], 2);
}

TEST(Acpi, MadtListsOneProcessorAndTheIoApic) {
  const AcpiTables tables = made(alpha());
  const auto madt = Reader(tables).find("APIC");
  EXPECT_EQ(get<std::uint32_t>(madt, 36), 0xfee00000U);
  EXPECT_EQ(get<std::uint32_t>(madt, 40), 0U) << "no PIC";
  ASSERT_EQ(madt.size(), 44U + 8 + 12);
  EXPECT_EQ(madt[44], 0);
  EXPECT_EQ(madt[47], 0) << "APIC id";
  EXPECT_EQ(madt[48], 1) << "enabled";
  EXPECT_EQ(madt[52], 1);
  EXPECT_EQ(get<std::uint32_t>(madt, 56), 0xfec00000U);
  EXPECT_EQ(get<std::uint32_t>(madt, 60), 0U) << "first interrupt";
}

TEST(Acpi, PicPartitionHasItsRegistersInItsOwnMemory) {
  const AcpiTables tables = made(beta());
  const Reader reader(tables);
  const auto fadt = reader.find("FACP");
  EXPECT_EQ(get<std::uint32_t>(fadt, 112) & 1U << 20, 0U) << "not hardware-reduced";
  EXPECT_EQ(get<std::uint16_t>(fadt, 46), 9U) << "SCI";
  EXPECT_EQ(get<std::uint32_t>(fadt, 48), 0U) << "no SMI command port";
  EXPECT_EQ(get<std::uint32_t>(fadt, 56), 0U) << "no PM1 event port";
  EXPECT_EQ(fadt[148], 0) << "system memory";
  EXPECT_EQ(fadt[149], 32) << "bits";
  EXPECT_EQ(get<std::uint64_t>(fadt, 152), kNvs + kNvsPm1Event);
  EXPECT_EQ(fadt[172], 0) << "system memory";
  EXPECT_EQ(fadt[173], 16) << "bits";
  EXPECT_EQ(get<std::uint64_t>(fadt, 176), kNvs + kNvsPm1Control);
  EXPECT_EQ(get<std::uint64_t>(fadt, 132), kNvs + kNvsFacs);
  ASSERT_EQ(tables.nvs.size(), kNvsSize);
  EXPECT_EQ(std::string(tables.nvs.begin(), tables.nvs.begin() + 4), "FACS");
  EXPECT_EQ(get<std::uint16_t>(tables.nvs, kNvsPm1Control), 1U) << "SCI_EN preset";
  const auto madt = reader.find("APIC");
  ASSERT_EQ(madt.size(), 44U + 8) << "no I/O APIC";
  EXPECT_EQ(madt[47], 1) << "APIC id";
  EXPECT_EQ(get<std::uint32_t>(madt, 40), 1U) << "PCAT_COMPAT";
}

TEST(Acpi, PartitionWithoutControllerHasItsLocalApicOnly) {
  AcpiInput input = beta();
  input.interrupts = InterruptController::None;
  const AcpiTables tables = made(input);
  const Reader reader(tables);
  EXPECT_NE(get<std::uint32_t>(reader.find("FACP"), 112) & 1U << 20, 0U);
  const auto madt = reader.find("APIC");
  EXPECT_EQ(madt.size(), 44U + 8);
  EXPECT_EQ(get<std::uint32_t>(madt, 40), 0U);
}

TEST(Acpi, SourceNamesWhatThePartitionOwnsAndNothingElse) {
  const std::string owner = make_dsdt_source(alpha(), board());
  EXPECT_NE(owner.find("PNP0A03"), std::string::npos);
  EXPECT_NE(owner.find("PNP0B00"), std::string::npos);
  EXPECT_NE(owner.find("IO (Decode16, 0x03F8, 0x03F8, 0x00, 0x08)"), std::string::npos);
  EXPECT_NE(owner.find("IRQNoFlags () {4}"), std::string::npos);
  EXPECT_NE(owner.find("0x20000000, 0xFEBFFFFF, 0x00000000, 0xDEC00000"), std::string::npos)
      << "the PCI window starts after RAM";
  EXPECT_EQ(owner.find("_S5"), std::string::npos) << "nobody may power the machine off";
  const std::string other = make_dsdt_source(beta(), board());
  EXPECT_EQ(other.find("PNP0A03"), std::string::npos);
  EXPECT_EQ(other.find("PNP0B00"), std::string::npos);
  EXPECT_NE(other.find("0x02F8"), std::string::npos);
}

// SeaBIOS routes links A to D to 10, 10, 11, 11; slot 3's INTA is on link C, slot 4's on link D.
TEST(Acpi, PciInterruptsFollowTheFirmwaresRouting) {
  const std::string source = make_dsdt_source(alpha(), board());
  EXPECT_NE(source.find("{ 0x0001FFFF, 0, 0, 10 }"), std::string::npos);
  EXPECT_NE(source.find("{ 0x0001FFFF, 3, 0, 11 }"), std::string::npos);
  EXPECT_NE(source.find("{ 0x0002FFFF, 0, 0, 10 }"), std::string::npos);
  EXPECT_NE(source.find("{ 0x0003FFFF, 0, 0, 11 }"), std::string::npos);
  EXPECT_NE(source.find("{ 0x0003FFFF, 2, 0, 10 }"), std::string::npos);
  EXPECT_NE(source.find("{ 0x0004FFFF, 0, 0, 11 }"), std::string::npos);
  EXPECT_NE(source.find("{ 0x0005FFFF, 0, 0, 10 }"), std::string::npos);
}

TEST(Acpi, DisassemblerReadsTheDsdtBack) {
  const AcpiTables tables = made(alpha());
  const Reader reader(tables);
  const auto dsdt = reader.table(get<std::uint64_t>(reader.find("FACP"), 140), "DSDT");
  const base::TemporaryDirectory folder(std::filesystem::temp_directory_path(), "acpi-test");
  base::write_file(folder.path() / "dsdt.aml", dsdt);
  const base::Finished finished = base::run({{"iasl", "-d", "dsdt.aml"}, folder.path(), {}});
  ASSERT_EQ(finished.status, 0) << finished.output;
  const auto text = base::read_file(folder.path() / "dsdt.dsl");
  const std::string source(text.begin(), text.end());
  EXPECT_NE(source.find("Device (PCI0)"), std::string::npos);
  EXPECT_NE(source.find("Device (COM1)"), std::string::npos);
  EXPECT_NE(source.find("Device (RTC)"), std::string::npos);
}

}  // namespace
}  // namespace mezzo::firmware
