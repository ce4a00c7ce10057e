// Little-endian numbers in a byte sequence, and nothing else.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mezzo::loader {

// The T at `offset`, which must lie inside `bytes`.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T get(std::span<const std::uint8_t> bytes, std::size_t offset) {
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) {
    value = static_cast<T>(static_cast<std::uint64_t>(value) << 8 | bytes[offset + i]);
  }
  return value;
}

// Stores `value` at `offset`, which must lie inside `bytes`.
template <std::unsigned_integral T>
constexpr void put(std::span<std::uint8_t> bytes, std::size_t offset, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes[offset + i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

}  // namespace mezzo::loader
