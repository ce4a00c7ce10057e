// The times at which ticks came, one after the other, until there are as many as wanted.
#pragma once

#include <array>
#include <cstdint>

namespace rtos {

class Record {
 public:
  static constexpr std::uint32_t kMost = 8192;

  // Ticks `first` and following, `count` of them but at most kMost.
  void want(std::uint32_t first, std::uint32_t count) {
    first_ = first;
    wanted_ = count < kMost ? count : kMost;
  }
  enum class Added { None, First, More, Last };
  // `stamp`: of any clock; what is told of it are differences, which must be below 2^32.
  Added add(std::uint32_t tick, std::uint64_t stamp) {
    if (tick < first_ || count_ == wanted_) return Added::None;
    stamps_[count_++] = static_cast<std::uint32_t>(stamp);
    if (count_ == wanted_) return Added::Last;
    return count_ == 1 ? Added::First : Added::More;
  }
  // There is one less than stamps.
  [[nodiscard]] std::uint32_t intervals() const { return count_ == 0 ? 0 : count_ - 1; }
  [[nodiscard]] std::uint32_t interval(std::uint32_t n) const {
    return stamps_[n + 1] - stamps_[n];
  }

 private:
  std::array<std::uint32_t, kMost> stamps_{};
  std::uint32_t first_ = 0, wanted_ = 0, count_ = 0;
};

}  // namespace rtos
