// What a multiboot loader hands over, as far as the monitor reads it: the memory map. A loader can
// be wrong: the walk ends within the map's length, whatever its entries say.
// Source: Multiboot Specification 0.6.96, 3.3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "arch/ia32/firmware.hpp"
#include "core/verify.hpp"

namespace mezzo::ia32 {

inline constexpr std::uint32_t kMultibootMagic = 0x2badb002;
struct MultibootInfo {
  std::uint32_t flags;
  std::uint32_t before_map[10];
  std::uint32_t map_length, map_address;

  [[nodiscard]] bool has_map() const { return (flags & 1u << 6) != 0; }
};
static_assert(offsetof(MultibootInfo, map_length) == 44);

// The first RAM ranges of the map.
struct RamMap {
  std::array<MemoryRange, 32> ranges;
  std::size_t count = 0;

  [[nodiscard]] std::span<const MemoryRange> all() const { return std::span(ranges).first(count); }
};

// Reads the map of `length` bytes at machine address `address`. It ends early at an entry too short
// to be one, and where memory does.
template <MachineMemory R>
[[nodiscard]] RamMap read_memory_map(R&& read, std::uint32_t address, std::uint32_t length) {
  // An entry: its size without this word, base and length (64 bits each), type.
  constexpr std::uint32_t kSizeField = 4, kEntry = 24, kRam = 1;
  RamMap map;
  for (std::uint64_t at = 0; at + kEntry <= length && map.count < map.ranges.size();) {
    const auto entry = read(address + static_cast<std::uint32_t>(at), kEntry);
    if (entry.empty() || read32(entry, 0) < kEntry - kSizeField) break;
    const auto read64 = [&](std::size_t field) {
      return read32(entry, field) | std::uint64_t{read32(entry, field + 4)} << 32;
    };
    if (read32(entry, 20) == kRam) map.ranges[map.count++] = {read64(4), read64(12)};
    at += std::uint64_t{read32(entry, 0)} + kSizeField;
  }
  return map;
}

}  // namespace mezzo::ia32
