// Numbers for replaced instructions: which word a trap stands for.
//
// A sensitive word of a guest's kernel is replaced by SVC with the same condition and a number that
// indexes this dictionary of distinct words. So a replaced word says by itself what it was,
// wherever the guest copies it. Words are never forgotten before `reset`, which the partition's
// start does.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace mezzo::armv7 {

class Dictionary {
 public:
  static constexpr std::uint32_t kCapacity = 4096;
  static constexpr std::uint32_t kFirstNumber = 0xa50000;  // SVC's 24 bits: this and those after it

  void reset();

  // The SVC for `word`, which gets a number if it has none. Words without a condition become SVC
  // AL. Nothing if there is no room: more distinct words than a kernel has (the stock one: 300), or
  // words chosen to collide. The partition cannot go on then.
  [[nodiscard]] std::optional<std::uint32_t> replacement(std::uint32_t word);

  // What `word` stands for: nothing unless it is what replacement() gave for some word. A guest's
  // own SVC with a number in use, which no compiler writes, counts as a copy of a replaced word.
  [[nodiscard]] std::optional<std::uint32_t> original(std::uint32_t word) const {
    return is_in_range(word) ? original_in_range(word) : std::nullopt;
  }

  // Whether `word` is an SVC with one of our numbers, in use or not.
  [[nodiscard]] static constexpr bool is_in_range(std::uint32_t word) {
    return (word & 0x0f000000) == 0x0f000000 && word >> 28 != 15 &&
           (word & 0xffffff) - kFirstNumber < kCapacity;
  }

  [[nodiscard]] std::uint32_t size() const { return size_; }

 private:
  [[nodiscard]] std::optional<std::uint32_t> original_in_range(std::uint32_t word) const;

  static constexpr std::uint32_t kSlots = 2 * kCapacity;
  static constexpr std::uint32_t kMaxProbes = 32;  // bounds the time of a lookup

  std::array<std::uint32_t, kCapacity> words_{};
  std::array<std::uint16_t, kSlots> slots_{};  // hash table: index + 1, or 0
  std::uint32_t size_ = 0;
};

}  // namespace mezzo::armv7
