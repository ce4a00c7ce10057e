// Finding the processors in firmware tables that are right, wrong, or hostile (ACPI 6.4, 5.2.5
// and 5.2.12; MultiProcessor Specification 1.4, chapter 4).
#include "arch/ia32/firmware.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mezzo::ia32 {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t kRsdp = 0xf5ad0, kRsdt = 0x20000, kMadt = 0x21000, kOther = 0x22000;
constexpr std::uint32_t kMpPointer = 0xf6000, kMpTable = 0x9f000;

// One MiB of machine memory; nothing is beyond.
struct Firmware {
  Bytes memory = Bytes(1u << 20);

  [[nodiscard]] std::span<const std::uint8_t> operator()(std::uint32_t at, std::uint32_t bytes) {
    if (at > memory.size() || bytes > memory.size() - at) return {};
    return std::span(memory).subspan(at, bytes);
  }
  void put(std::uint32_t at, const Bytes& bytes) { std::ranges::copy(bytes, &memory[at]); }
};

Bytes text(std::string_view characters) { return {characters.begin(), characters.end()}; }
void append32(Bytes& bytes, std::uint32_t value) {
  for (int n = 0; n < 4; ++n) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * n)));
}
// Makes the bytes sum to zero by the one at `at`.
Bytes sealed(Bytes bytes, std::size_t at) {
  bytes[at] = 0;
  std::uint8_t sum = 0;
  for (const std::uint8_t byte : bytes) sum = static_cast<std::uint8_t>(sum + byte);
  bytes[at] = static_cast<std::uint8_t>(-sum);
  return bytes;
}
Bytes acpi(std::string_view signature, const Bytes& body, std::uint32_t wrong_length = 0) {
  Bytes table = text(signature);
  append32(table, wrong_length != 0 ? wrong_length : static_cast<std::uint32_t>(36 + body.size()));
  table.resize(36);
  table.insert(table.end(), body.begin(), body.end());
  return sealed(table, 9);
}
Bytes rsdp(std::uint32_t rsdt) {
  Bytes bytes = text("RSD PTR ");
  bytes.resize(16);
  append32(bytes, rsdt);
  return sealed(bytes, 8);
}
Bytes local_apic(std::uint8_t id, std::uint32_t flags = 1) {
  Bytes entry{0, 8, 0x77, id};
  append32(entry, flags);
  return entry;
}
Bytes io_apic() { return {1, 12, 9, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}; }
Bytes madt(const std::vector<Bytes>& entries) {
  Bytes body(8);
  for (const Bytes& entry : entries) body.insert(body.end(), entry.begin(), entry.end());
  return acpi("APIC", body);
}
Firmware acpi_firmware(const Bytes& madt_bytes) {
  Firmware firmware;
  Bytes tables;
  append32(tables, kOther);
  append32(tables, kMadt);
  firmware.put(kRsdp, rsdp(kRsdt));
  firmware.put(kRsdt, acpi("RSDT", tables));
  firmware.put(kOther, acpi("FACP", Bytes(80)));
  firmware.put(kMadt, madt_bytes);
  return firmware;
}

Bytes mp_pointer(std::uint32_t table) {
  Bytes bytes = text("_MP_");
  append32(bytes, table);
  bytes.insert(bytes.end(), {1, 4, 0, 0, 0, 0, 0, 0});
  return sealed(bytes, 10);
}
Bytes mp_processor(std::uint8_t id, std::uint8_t flags = 1) {
  Bytes entry{0, id, 0x14, flags};
  entry.resize(20);
  return entry;
}
Bytes mp_table(const std::vector<Bytes>& entries) {
  Bytes body;
  for (const Bytes& entry : entries) body.insert(body.end(), entry.begin(), entry.end());
  Bytes table = text("PCMP");
  const auto length = static_cast<std::uint32_t>(44 + body.size());
  table.push_back(static_cast<std::uint8_t>(length));
  table.push_back(static_cast<std::uint8_t>(length >> 8));
  table.resize(44);
  table.insert(table.end(), body.begin(), body.end());
  return sealed(table, 7);
}
Firmware mp_firmware(const Bytes& table) {
  Firmware firmware;
  firmware.put(kMpPointer, mp_pointer(kMpTable));
  firmware.put(kMpTable, table);
  return firmware;
}

std::vector<int> found(Firmware& firmware, std::uint8_t boot = 0) {
  const Processors processors = find_processors(firmware, boot);
  return {processors.ids.begin(), processors.ids.begin() + processors.count};
}
std::vector<int> found(Firmware&& firmware, std::uint8_t boot = 0) { return found(firmware, boot); }
using Ids = std::vector<int>;

TEST(Firmware, WithoutTablesThereIsTheBootProcessor) {
  EXPECT_EQ(found(Firmware{}), (Ids{0}));
  EXPECT_EQ(found(Firmware{}, 6), (Ids{6}));
}

TEST(Madt, ListsEnabledLocalApicsInTheirOrder) {
  const Bytes table =
      madt({local_apic(4), io_apic(), local_apic(2), local_apic(9, 0), local_apic(6, 3)});
  EXPECT_EQ(found(acpi_firmware(table), 4), (Ids{4, 2, 6}));
}

TEST(Madt, BootProcessorComesFirstAndOnce) {
  const Bytes table = madt({local_apic(0), local_apic(1), local_apic(2)});
  EXPECT_EQ(found(acpi_firmware(table), 2), (Ids{2, 0, 1}));
  EXPECT_EQ(found(acpi_firmware(table), 7), (Ids{7, 0, 1, 2}));
}

// Waking one processor twice would give two partitions one CPU.
TEST(Madt, AProcessorListedTwiceIsOne) {
  const Bytes table = madt({local_apic(0), local_apic(1), local_apic(1), local_apic(0)});
  EXPECT_EQ(found(acpi_firmware(table)), (Ids{0, 1}));
}

// 255 addresses all processors.
TEST(Madt, TheBroadcastIdIsNoProcessor) {
  EXPECT_EQ(found(acpi_firmware(madt({local_apic(0), local_apic(255), local_apic(1)}))),
            (Ids{0, 1}));
}

TEST(Madt, MoreProcessorsThanFitAreLeftOut) {
  std::vector<Bytes> entries;
  for (std::uint8_t id = 0; id < 40; ++id) entries.push_back(local_apic(id));
  const Ids ids = found(acpi_firmware(madt(entries)));
  EXPECT_EQ(ids.size(), 16u);
  EXPECT_EQ(ids.back(), 15);
}

TEST(Madt, EntriesThatDoNotAddUpEndTheList) {
  const Bytes empty_entry{5, 0};
  EXPECT_EQ(found(acpi_firmware(madt({local_apic(0), local_apic(1), empty_entry, local_apic(2)}))),
            (Ids{0, 1}));
  const Bytes too_long{0, 200, 0, 3, 1, 0, 0, 0};
  EXPECT_EQ(found(acpi_firmware(madt({local_apic(0), too_long}))), (Ids{0}));
  const Bytes too_short{0, 4, 0, 3};
  EXPECT_EQ(found(acpi_firmware(madt({local_apic(0), too_short, local_apic(1)}))), (Ids{0, 1}));
  EXPECT_EQ(found(acpi_firmware(madt({local_apic(0), Bytes{0}}))), (Ids{0}));
}

TEST(Madt, ShorterThanItsFixedPartIsEmpty) {
  EXPECT_EQ(processors_of_madt({}).count, 0u);
  EXPECT_EQ(processors_of_madt(acpi("APIC", {})).count, 0u);
}

TEST(AcpiTables, WrongChecksumsArePassedOver) {
  const Bytes good = madt({local_apic(0), local_apic(1)});
  for (const std::uint32_t at : {kRsdp + 9, kRsdt + 20, kMadt + 20}) {
    Firmware firmware = acpi_firmware(good);
    ASSERT_EQ(found(firmware), (Ids{0, 1}));
    ++firmware.memory[at];
    EXPECT_EQ(found(firmware), (Ids{0})) << at;
  }
}

TEST(AcpiTables, WrongLengthsArePassedOver) {
  for (const std::uint32_t length : {1u, 35u, 0x100000u, 0x100001u, 0xffffffffu}) {
    Firmware firmware = acpi_firmware(acpi("APIC", Bytes(64), length));
    EXPECT_EQ(found(firmware), (Ids{0})) << length;
  }
}

TEST(AcpiTables, PointersToNowhereArePassedOver) {
  for (const std::uint32_t address : {0xfffffff0u, 0xfffffu, 0x100000u, 0u}) {
    Firmware firmware;
    firmware.put(kRsdp, rsdp(address));
    EXPECT_EQ(found(firmware), (Ids{0})) << address;
    Bytes tables;
    append32(tables, address);
    append32(tables, kMadt);
    firmware = acpi_firmware(madt({local_apic(0), local_apic(1)}));
    firmware.put(kRsdt, acpi("RSDT", tables));
    EXPECT_EQ(found(firmware), (Ids{0, 1})) << "the table behind it still counts";
  }
}

TEST(AcpiTables, OnlyARootTableIsReadAsOne) {
  Firmware firmware = acpi_firmware(madt({local_apic(0), local_apic(1)}));
  Bytes tables;
  append32(tables, kMadt);
  firmware.put(kRsdt, acpi("XYZW", tables));
  EXPECT_EQ(found(firmware), (Ids{0}));
}

TEST(AcpiTables, RootPointerIsFoundWhereFirmwarePutsIt) {
  const Bytes table = madt({local_apic(0), local_apic(3)});
  for (const std::uint32_t at : {0x9fc00u, 0x9fff0u - 16, 0xe0000u, 0xfffe0u}) {
    Firmware firmware = acpi_firmware(table);
    firmware.put(kRsdp, Bytes(20));
    EXPECT_EQ(found(firmware), (Ids{0}));
    firmware.put(at, rsdp(kRsdt));
    EXPECT_EQ(found(firmware), (Ids{0, 3})) << at;
  }
  Firmware extended = acpi_firmware(table);
  extended.put(kRsdp, Bytes(20));
  extended.put(0x40e, {0x00, 0x80});
  extended.put(0x803f0 - 16, rsdp(kRsdt));
  EXPECT_EQ(found(extended), (Ids{0, 3})) << "the extended BIOS data area";
}

TEST(AcpiTables, RootPointerOffA16ByteBoundaryIsNotOne) {
  Firmware firmware = acpi_firmware(madt({local_apic(0), local_apic(3)}));
  firmware.put(kRsdp, Bytes(20));
  firmware.put(kRsdp + 8, rsdp(kRsdt));
  EXPECT_EQ(found(firmware), (Ids{0}));
}

TEST(MpTable, IsUsedWhenAcpiHasNoProcessors) {
  const Bytes table = mp_table({mp_processor(0, 3),
                                mp_processor(1),
                                mp_processor(2, 0),
                                {1, 0, 'P', 'C', 'I', 0, 0, 0},
                                mp_processor(5)});
  EXPECT_EQ(found(mp_firmware(table)), (Ids{0, 1, 5}));
}

TEST(MpTable, GivesWayToTheMadt) {
  Firmware firmware = acpi_firmware(madt({local_apic(0), local_apic(9)}));
  firmware.put(kMpPointer, mp_pointer(kMpTable));
  firmware.put(kMpTable, mp_table({mp_processor(0), mp_processor(1)}));
  EXPECT_EQ(found(firmware), (Ids{0, 9}));
}

TEST(MpTable, WrongOnesArePassedOver) {
  const Bytes good = mp_table({mp_processor(0), mp_processor(1)});
  Firmware firmware = mp_firmware(good);
  ASSERT_EQ(found(firmware), (Ids{0, 1}));
  ++firmware.memory[kMpTable + 50];
  EXPECT_EQ(found(firmware), (Ids{0})) << "checksum";
  firmware = mp_firmware(good);
  ++firmware.memory[kMpPointer + 8];
  EXPECT_EQ(found(firmware), (Ids{0})) << "the pointer's checksum";
  Bytes other = good;
  other[0] = 'X', other[1] = static_cast<std::uint8_t>(other[1] + 'P' - 'X');
  EXPECT_EQ(found(mp_firmware(other)), (Ids{0})) << "signature";
  Bytes short_one = good;
  short_one[4] = 43;
  EXPECT_EQ(found(mp_firmware(sealed(short_one, 7))), (Ids{0})) << "length";
  firmware = Firmware{};
  firmware.put(kMpPointer, mp_pointer(0xfffffff0));
  EXPECT_EQ(found(firmware), (Ids{0})) << "address";
}

TEST(MpTable, AnEntryCutOffByTheEndDoesNotCount) {
  Bytes cut = mp_processor(1);
  cut.resize(12);
  EXPECT_EQ(found(mp_firmware(mp_table({mp_processor(0), cut}))), (Ids{0}));
}

}  // namespace
}  // namespace mezzo::ia32
