#include "common/histogram.hpp"

#include <bit>

#include "common/text.hpp"

namespace guest {
namespace {

// In a column of ten.
void print_wide(std::uint32_t number) {
  constexpr std::uint32_t kGreatest = 1'000'000'000;
  for (std::uint32_t power = kGreatest; power > 1 && number < power; power /= 10) put(' ');
  print_number(number);
}

}  // namespace

void Histogram::add(std::uint32_t value) {
  ++ranges_[std::bit_width(value)];
  ++count_;
  if (value > most_) most_ = value;
}

void Histogram::print() const {
  constexpr std::uint32_t kWidth = 50;
  std::uint32_t largest = 1;
  for (const std::uint32_t range : ranges_) largest = range > largest ? range : largest;
  for (std::uint32_t n = 0; n < kRanges; ++n) {
    if (ranges_[n] == 0) continue;
    guest::print("  from ");
    print_wide(n == 0 ? 0 : 1u << (n - 1));
    guest::print("  ");
    print_wide(ranges_[n]);
    guest::print("  ");
    // A bar's stars, rounded up, without a product that might not fit.
    const std::uint32_t each = largest / kWidth + 1;
    for (std::uint32_t star = 0; star < (ranges_[n] + each - 1) / each; ++star) put('#');
    guest::print("\n");
  }
}

}  // namespace guest
