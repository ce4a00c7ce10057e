// How often something took how long, and its picture in text.
#pragma once

#include <cstdint>

namespace guest {

class Histogram {
 public:
  void add(std::uint32_t value);
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t most() const { return most_; }
  // A line for each range that has values: its least one, how many, and a bar.
  void print() const;

 private:
  static constexpr std::uint32_t kRanges = 33;  // each twice as wide as the one before
  std::uint32_t ranges_[kRanges]{};
  std::uint32_t count_ = 0, most_ = 0;
};

}  // namespace guest
