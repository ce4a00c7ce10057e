// Which tag of the machine stands for which pages: those of one protection key of the guest's, seen
// with the rights of its kernel or of its user mode. Gives them out as they are needed, and says
// what the register that opens and closes tags must hold.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "mem/shadow_types.hpp"

namespace mezzo::mem {

template <ShadowFormat Format>
class ShadowTags {
 public:
  static constexpr bool kAny = Format::kTags != 0;

  // A key and a view, as one number.
  static constexpr std::uint8_t kNothing = 0xff;
  [[nodiscard]] static constexpr std::uint8_t combine(std::uint8_t key, View view) {
    return static_cast<std::uint8_t>(key << 1 | (view == View::User ? 1 : 0));
  }

  ShadowTags() { forget(); }

  // What a directory entry's tag stands for; nothing of an empty one.
  [[nodiscard]] std::uint8_t meaning(typename Format::Entry entry) const {
    if constexpr (kAny) {
      if (entry != 0) return meaning_[Format::tag(entry)];
    }
    return kNothing;
  }
  [[nodiscard]] bool has(std::uint8_t combined) const {
    return !kAny || tag_[combined] != kNothing;
  }
  [[nodiscard]] bool is_exhausted() const { return kAny && used_ == Format::kTags; }
  // The tag that stands for it: a new one if has() is false, then is_exhausted() must be, too.
  [[nodiscard]] std::uint8_t give(std::uint8_t combined) {
    if constexpr (!kAny) return 0;
    if (has(combined)) return tag_[combined];
    meaning_[used_] = combined;
    tag_[combined] = static_cast<std::uint8_t>(used_);
    seen_ = {};
    return static_cast<std::uint8_t>(used_++);
  }
  // No entry has a tag any more.
  void forget() {
    meaning_.fill(kNothing);
    tag_.fill(kNothing);
    used_ = 0;
    seen_ = {};
  }

  [[nodiscard]] std::uint32_t access(const Format& format, Privilege privilege, bool with_user) {
    const Opened& now = opened(format);
    if (privilege == Privilege::User) return now.user;
    return with_user ? now.kernel | now.user : now.kernel;
  }

 private:
  static_assert(Format::kKeys <= 127);

  // What is open to either view's pages, by what the guest opens.
  struct Opened {
    bool known = false;
    std::uint32_t keys = 0;  // Format::opened_keys()
    std::uint32_t user = 0, kernel = 0;
  };

  // Kernels go to and fro between two values: processes' memory is open, or shut.
  [[nodiscard]] const Opened& opened(const Format& format) {
    const std::uint32_t keys = format.opened_keys();
    const auto is_wanted = [&] { return seen_[last_].known && seen_[last_].keys == keys; };
    if (is_wanted()) return seen_[last_];
    last_ ^= 1;
    if (!is_wanted()) seen_[last_] = look_up(format, keys);
    return seen_[last_];
  }
  [[nodiscard]] Opened look_up(const Format& format, std::uint32_t keys) const {
    Opened result{.known = true, .keys = keys};
    if constexpr (kAny) {
      result.user = Format::kAlwaysOpen;
      result.kernel = Format::kAlwaysOpen | Format::opened(Format::kLentTag);
      for (std::uint32_t tag = 0; tag < used_; ++tag) {
        if (!format.is_open(static_cast<std::uint8_t>(meaning_[tag] >> 1))) continue;
        ((meaning_[tag] & 1) != 0 ? result.user : result.kernel) |= Format::opened(tag);
      }
    }
    return result;
  }

  std::array<std::uint8_t, std::max<std::uint32_t>(Format::kTags, 1)> meaning_{};
  std::array<std::uint8_t, 2 * Format::kKeys> tag_{};  // by key and view
  std::uint32_t used_ = 0;
  std::array<Opened, 2> seen_{};
  std::size_t last_ = 0;
};

}  // namespace mezzo::mem
