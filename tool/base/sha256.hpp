// SHA-256 (FIPS 180-4), for comparing files with the checksums that Debian publishes.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace mezzo::base {

// The digest of `bytes` as 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256(std::span<const std::uint8_t> bytes);

}  // namespace mezzo::base
