// Interrupt lines of a GIC, by their interrupt ID, and sets of them. A guest's number of a line is
// the machine's: lines are given or hidden, never renumbered.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <optional>

namespace mezzo::irq {

inline constexpr std::uint32_t kMaxLines = 256;  // of the GICs that we drive (Cortex-A9: at most)
inline constexpr std::uint32_t kFirstPrivate = 16;  // 0 to 15: software generated interrupts
inline constexpr std::uint32_t kFirstShared = 32;   // below: each CPU has its own (banked)

struct Line {
  std::uint32_t number = 0;

  [[nodiscard]] constexpr bool is_software() const { return number < kFirstPrivate; }
  [[nodiscard]] constexpr bool is_banked() const { return number < kFirstShared; }
  auto operator<=>(const Line&) const = default;
};

class LineSet {
 public:
  static constexpr std::uint32_t kWords = kMaxLines / 32;

  // Lines from kMaxLines on are in no set.
  [[nodiscard]] constexpr bool contains(Line line) const {
    return line.number < kMaxLines && (words_[line.number / 32] >> line.number % 32 & 1) != 0;
  }
  constexpr LineSet& add(Line line) { return put(line, true); }
  constexpr LineSet& remove(Line line) { return put(line, false); }

  // Lines 32n to 32n+31, the lowest in bit 0; 0 beyond the last word.
  [[nodiscard]] constexpr std::uint32_t word(std::uint32_t n) const {
    return n < kWords ? words_[n] : 0;
  }
  constexpr void set_word(std::uint32_t n, std::uint32_t bits) {
    if (n < kWords) words_[n] = bits;
  }

  [[nodiscard]] constexpr bool empty() const { return !first().has_value(); }
  [[nodiscard]] constexpr bool intersects(const LineSet& other) const {
    for (std::uint32_t n = 0; n < kWords; ++n) {
      if ((words_[n] & other.words_[n]) != 0) return true;
    }
    return false;
  }

  [[nodiscard]] constexpr std::optional<Line> first() const {
    for (std::uint32_t n = 0; n < kWords; ++n) {
      if (words_[n] != 0)
        return Line{n * 32 + static_cast<std::uint32_t>(std::countr_zero(words_[n]))};
    }
    return std::nullopt;
  }
  // Calls `visit(Line)` for each, by rising number.
  template <class Visit>
  constexpr void for_each(Visit&& visit) const {
    for (std::uint32_t n = 0; n < kWords; ++n) {
      for (std::uint32_t bits = words_[n]; bits != 0; bits &= bits - 1) {
        visit(Line{n * 32 + static_cast<std::uint32_t>(std::countr_zero(bits))});
      }
    }
  }

  bool operator==(const LineSet&) const = default;

 private:
  constexpr LineSet& put(Line line, bool in) {
    if (line.number >= kMaxLines) return *this;
    const std::uint32_t bit = 1u << line.number % 32;
    std::uint32_t& word = words_[line.number / 32];
    word = in ? word | bit : word & ~bit;
    return *this;
  }
  std::array<std::uint32_t, kWords> words_{};
};

}  // namespace mezzo::irq
