// Decompresses what kernels and archives are packed with: gzip and XZ.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mezzo::loader {

// What came out of one stream, and how many bytes of the input it took.
struct Unpacked {
  std::vector<std::uint8_t> bytes;
  std::size_t consumed = 0;
};

// The first stream in `packed`, whose integrity is verified. Nothing if it is damaged, truncated,
// or larger than `limit` bytes when unpacked. Bytes behind the stream are ignored.
[[nodiscard]] std::optional<Unpacked> unpack_gzip(std::span<const std::uint8_t> packed,
                                                  std::size_t limit);
[[nodiscard]] std::optional<Unpacked> unpack_xz(std::span<const std::uint8_t> packed,
                                                std::size_t limit);

}  // namespace mezzo::loader
