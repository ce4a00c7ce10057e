// What is kept of a series of measurements: the least, the greatest, the mean.
#pragma once

#include <cstdint>

namespace rtos {

class Statistics {
 public:
  void add(std::uint32_t value) {
    if (value < least_) least_ = value;
    if (value > most_) most_ = value;
    sum_ += value;
    ++count_;
  }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  // Of one at least:
  [[nodiscard]] std::uint32_t least() const { return least_; }
  [[nodiscard]] std::uint32_t most() const { return most_; }
  // Of up to 2^32 values; rounded down. A 32-bit processor divides no more than this by itself.
  [[nodiscard]] std::uint32_t mean() const {
    std::uint32_t quotient = 0;
    std::uint64_t rest = sum_;
    for (int bit = 31; bit >= 0; --bit) {
      const std::uint64_t part = std::uint64_t{count_} << bit;
      if (rest < part) continue;
      rest -= part;
      quotient |= 1u << bit;
    }
    return quotient;
  }

 private:
  std::uint32_t least_ = ~0u, most_ = 0, count_ = 0;
  std::uint64_t sum_ = 0;
};

}  // namespace rtos
