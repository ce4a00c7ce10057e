// A table of bounded size and bounded time for things found by a machine address: sets of a few
// entries, as in a cache. Whoever cannot be stored because its set is full must be dealt with.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace mezzo::armv7 {

// Entry: has `std::uint32_t key`, 0 if it is free.
// `granule`: keys are different multiples of it, plus 1.
template <class Entry, std::uint32_t capacity, std::uint32_t granule>
class PatchTable {
 public:
  static constexpr std::uint32_t kWays = 16;
  static constexpr std::uint32_t kSets = capacity / kWays;
  static_assert(std::has_single_bit(kSets) && kSets > 1 && std::has_single_bit(granule));

  [[nodiscard]] static constexpr std::uint32_t key_of(std::uint32_t address) {
    return (address & ~(granule - 1)) | 1;
  }

  // In place: an empty table is more than a stack holds.
  void reset() {
    for (Set& set : sets_) set.fill({});
  }

  [[nodiscard]] Entry* find(std::uint32_t key) {
    for (Entry& entry : set_of(key)) {
      if (entry.key == key) return &entry;
    }
    return nullptr;
  }
  [[nodiscard]] const Entry* find(std::uint32_t key) const {
    for (const Entry& entry : sets_[number_of(key)]) {
      if (entry.key == key) return &entry;
    }
    return nullptr;
  }

  // A new entry for a key that is not in the table, with everything else as default; or null.
  [[nodiscard]] Entry* insert(std::uint32_t key) {
    for (Entry& entry : set_of(key)) {
      if (entry.key != 0) continue;
      entry = {};
      entry.key = key;
      return &entry;
    }
    return nullptr;
  }

  // An entry whose removal would make room for `key`; not always the same one.
  [[nodiscard]] Entry& victim(std::uint32_t key) { return set_of(key)[turn_++ % kWays]; }

  template <class Visitor>
  void for_each(Visitor visit) {
    for (auto& set : sets_) {
      for (Entry& entry : set) {
        if (entry.key != 0) visit(entry);
      }
    }
  }

 private:
  using Set = std::array<Entry, kWays>;

  [[nodiscard]] static constexpr std::uint32_t number_of(std::uint32_t key) {
    return (key / granule * 0x9e3779b1u) >> (32 - std::countr_zero(kSets));
  }
  [[nodiscard]] Set& set_of(std::uint32_t key) { return sets_[number_of(key)]; }

  std::array<Set, kSets> sets_{};
  std::uint32_t turn_ = 0;
};

}  // namespace mezzo::armv7
