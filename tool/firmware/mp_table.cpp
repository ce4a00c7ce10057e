// Source: Intel MultiProcessor Specification 1.4, chapter 4.
#include "firmware/mp_table.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "loader/bytes.hpp"

namespace mezzo::firmware {
namespace {

constexpr std::size_t kPointerSize = 16;
constexpr std::size_t kHeaderSize = 44;
constexpr std::size_t kProcessorSize = 20;
constexpr std::size_t kBusSize = 8, kInterruptSize = 8;
constexpr std::uint8_t kSpecRevision = 4;  // 1.4
constexpr std::uint8_t kProcessorEnabledBoot = 3;
constexpr std::uint8_t kLocalApicVersion = 0x14;

// Stores at `at` the byte that makes the sum of all `bytes` zero.
void set_checksum(std::span<std::uint8_t> bytes, std::size_t at) {
  bytes[at] = 0;
  const unsigned sum = std::accumulate(bytes.begin(), bytes.end(), 0U);
  bytes[at] = static_cast<std::uint8_t>(0U - sum);
}

}  // namespace

std::vector<std::uint8_t> make_mp_table(std::uint8_t apic_id, std::uint32_t local_apic) {
  using loader::put;
  std::vector<std::uint8_t> all(
      kPointerSize + kHeaderSize + kProcessorSize + kBusSize + kInterruptSize, 0);
  const std::span<std::uint8_t> bytes(all);

  const auto pointer = bytes.first(kPointerSize);
  std::memcpy(pointer.data(), "_MP_", 4);
  put(pointer, 4, kMpTableAddress + std::uint32_t{kPointerSize});
  pointer[8] = kPointerSize / 16;
  pointer[9] = kSpecRevision;
  set_checksum(pointer, 10);

  const auto table = bytes.subspan(kPointerSize);
  std::memcpy(table.data(), "PCMP", 4);
  put(table, 4, static_cast<std::uint16_t>(table.size()));
  table[6] = kSpecRevision;
  std::memcpy(&table[8], "MEZZO   PARTITION   ", 20);
  put(table, 34, std::uint16_t{3});  // entries
  put(table, 36, local_apic);

  const auto processor = table.subspan(kHeaderSize);
  processor[1] = apic_id;
  processor[2] = kLocalApicVersion;
  processor[3] = kProcessorEnabledBoot;

  // A bus and an interrupt of it, because Linux takes a table without interrupts for a bug.
  const auto bus = processor.subspan(kProcessorSize);
  bus[0] = 1;
  std::memcpy(&bus[2], "ISA   ", 6);
  const auto interrupt = bus.subspan(kBusSize);
  interrupt[0] = 3;
  interrupt[6] = 0xff;  // any I/O APIC
  set_checksum(table, 7);
  return all;
}

}  // namespace mezzo::firmware
