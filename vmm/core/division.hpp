// Division of 64-bit numbers without the run-time library, on processors that may have no divider.
#pragma once

#include <cstdint>

namespace mezzo {

// Quotient and remainder. `divisor` is not 0.
struct Division {
  std::uint64_t quotient = 0;
  std::uint64_t remainder = 0;

  static constexpr Division of(std::uint64_t dividend, std::uint64_t divisor) {
    if (divisor == 1) return {dividend, 0};
    Division result;
    for (int bit = 63; bit >= 0; --bit) {
      const bool carry = result.remainder >> 63 != 0;
      result.remainder = result.remainder << 1 | (dividend >> bit & 1);
      result.quotient <<= 1;
      if (!carry && result.remainder < divisor) continue;
      result.remainder -= divisor;
      result.quotient |= 1;
    }
    return result;
  }
};

}  // namespace mezzo
