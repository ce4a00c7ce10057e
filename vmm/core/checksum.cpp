// Compiled for speed.
#include "core/checksum.hpp"

#include "abi/plan.hpp"

namespace mezzo {

std::uint32_t checksum_of(const unsigned char* bytes, std::uint32_t size, std::uint32_t seed) {
  return plan::crc32(bytes, size, seed);
}

}  // namespace mezzo
