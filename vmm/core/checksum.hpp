// The checksum of the plan and of the copies in the store.
#pragma once

#include <cstdint>

namespace mezzo {

// As plan::crc32(), but a function of its own: most of a start and of a restart is spent in it, and
// who calls it is compiled for size.
[[nodiscard]] std::uint32_t checksum_of(const unsigned char* bytes, std::uint32_t size,
                                        std::uint32_t seed = 0);

}  // namespace mezzo
