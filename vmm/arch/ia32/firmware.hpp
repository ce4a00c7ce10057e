// Finds the processors in the firmware's tables: the ACPI MADT, else the MP configuration table.
// Firmware can be wrong: every length is checked, and a table that does not add up is passed over.
// Sources: ACPI 6.4, 5.2.5 (RSDP), 5.2.12 (MADT); MultiProcessor Specification 1.4, chapter 4.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace mezzo::ia32 {

// Local APIC ids of the enabled processors, in the firmware's order, each once.
struct Processors {
  std::array<std::uint8_t, 16> ids{};
  std::uint32_t count = 0;

  constexpr void add(std::uint8_t id) {
    constexpr std::uint8_t kAllProcessors = 0xff;
    if (id == kAllProcessors) return;
    for (std::uint32_t n = 0; n < count; ++n) {
      if (ids[n] == id) return;
    }
    if (count < ids.size()) ids[count++] = id;
  }
};

// Reads machine memory: (address, bytes) -> that many bytes, or an empty span if there are none.
template <class R>
concept MachineMemory = requires(R read, std::uint32_t n) {
  { read(n, n) } -> std::same_as<std::span<const std::uint8_t>>;
};

[[nodiscard]] inline std::uint32_t read16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return bytes[at] | std::uint32_t{bytes[at + 1]} << 8;
}
[[nodiscard]] inline std::uint32_t read32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return read16(bytes, at) | read16(bytes, at + 2) << 16;
}
[[nodiscard]] inline bool sums_to_zero(std::span<const std::uint8_t> bytes) {
  std::uint8_t sum = 0;
  for (const std::uint8_t byte : bytes) sum = static_cast<std::uint8_t>(sum + byte);
  return !bytes.empty() && sum == 0;
}
[[nodiscard]] inline bool starts_with(std::span<const std::uint8_t> bytes, const char* signature) {
  const std::size_t length = std::strlen(signature);
  return bytes.size() >= length && std::memcmp(bytes.data(), signature, length) == 0;
}

// Looks for a structure on 16-byte boundaries where firmware puts them: the extended BIOS data
// area, the last KiB of base memory, the BIOS itself. Returns its address.
template <MachineMemory R>
[[nodiscard]] std::optional<std::uint32_t> scan(R&& read, const char* signature,
                                                std::uint32_t length) {
  struct Area {
    std::uint32_t base, size;
  };
  const auto ebda = read(0x40e, 2);
  const std::uint32_t segment = ebda.size() == 2 ? read16(ebda, 0) : 0;
  for (const Area area : {Area{segment << 4, 1024}, Area{0x9fc00, 1024}, Area{0xe0000, 0x20000}}) {
    if (area.base < 0x400) continue;
    for (std::uint32_t at = area.base; at < area.base + area.size; at += 16) {
      const auto bytes = read(at, length);
      if (starts_with(bytes, signature) && sums_to_zero(bytes)) return at;
    }
  }
  return std::nullopt;
}

// A whole ACPI table with its checksum right, or nothing.
template <MachineMemory R>
[[nodiscard]] std::span<const std::uint8_t> acpi_table(R&& read, std::uint32_t address) {
  constexpr std::uint32_t kHeader = 36, kLargest = 1u << 20;
  const auto header = read(address, kHeader);
  if (header.empty()) return {};
  const std::uint32_t length = read32(header, 4);
  if (length < kHeader || length > kLargest) return {};
  const auto table = read(address, length);
  return sums_to_zero(table) ? table : std::span<const std::uint8_t>{};
}

// Local APIC entries (type 0) of a MADT.
[[nodiscard]] inline Processors processors_of_madt(std::span<const std::uint8_t> madt) {
  Processors found;
  constexpr std::size_t kFirst = 44;
  constexpr std::uint32_t kEnabled = 1;
  for (std::size_t at = kFirst; at + 2 <= madt.size();) {
    const std::size_t length = madt[at + 1];
    if (length < 2 || at + length > madt.size()) break;
    const bool local_apic = madt[at] == 0 && length >= 8;
    if (local_apic && (read32(madt, at + 4) & kEnabled) != 0) found.add(madt[at + 3]);
    at += length;
  }
  return found;
}

template <MachineMemory R>
[[nodiscard]] Processors processors_of_acpi(R&& read) {
  constexpr std::uint32_t kRsdp = 20;
  const auto rsdp = scan(read, "RSD PTR ", kRsdp);
  if (!rsdp) return {};
  const auto rsdt = acpi_table(read, read32(read(*rsdp, kRsdp), 16));
  if (!starts_with(rsdt, "RSDT")) return {};
  for (std::size_t at = 36; at + 4 <= rsdt.size(); at += 4) {
    const auto table = acpi_table(read, read32(rsdt, at));
    if (starts_with(table, "APIC")) return processors_of_madt(table);
  }
  return {};
}

template <MachineMemory R>
[[nodiscard]] Processors processors_of_mp_table(R&& read) {
  constexpr std::uint32_t kPointer = 16, kHeader = 44, kProcessorSize = 20, kOtherSize = 8;
  const auto pointer = scan(read, "_MP_", kPointer);
  if (!pointer) return {};
  const std::uint32_t address = read32(read(*pointer, kPointer), 4);
  const auto header = read(address, kHeader);
  if (!starts_with(header, "PCMP")) return {};
  const std::uint32_t length = read16(header, 4);
  const auto table = length >= kHeader ? read(address, length) : std::span<const std::uint8_t>{};
  if (!sums_to_zero(table)) return {};
  Processors found;
  for (std::size_t at = kHeader; at < table.size();) {
    const bool processor = table[at] == 0;
    const std::size_t size = processor ? kProcessorSize : kOtherSize;
    if (at + size > table.size()) break;
    if (processor && (table[at + 3] & 1) != 0) found.add(table[at + 1]);
    at += size;
  }
  return found;
}

// All enabled processors, the one with APIC id `boot` first. At least that one.
template <MachineMemory R>
[[nodiscard]] Processors find_processors(R&& read, std::uint8_t boot) {
  Processors listed = processors_of_acpi(read);
  if (listed.count == 0) listed = processors_of_mp_table(read);
  Processors result;
  result.add(boot);
  for (std::uint32_t n = 0; n < listed.count; ++n) result.add(listed.ids[n]);
  return result;
}

}  // namespace mezzo::ia32
