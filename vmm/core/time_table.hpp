// A processor's cyclic time table, in the manner of ARINC 653 (part 1, 2.3.1): a major frame that
// repeats, and windows in it, each of one partition. Whose the processor is now, until when, and
// how late it was given to whoever has a window. All boundaries are computed from the moment at
// which the first frame began, so that nothing adds up. Knows neither timers nor partitions.
//
// Times are ticks of one clock that never goes back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "abi/plan.hpp"
#include "core/division.hpp"

namespace mezzo {

class TimeTable {
 public:
  static constexpr std::size_t kMaxWindows = plan::kMaxTimeWindows;
  static constexpr std::size_t kMaxOwners = plan::kMaxPartitions;

  // [begin, begin + length) of each frame.
  struct Window {
    std::size_t owner = 0;
    std::uint32_t begin = 0, length = 0;
  };

  // Between two boundaries: [begin, end) on the clock. Outside of all windows it is nobody's.
  struct Slot {
    std::optional<std::size_t> owner;
    std::uint64_t begin = 0, end = 0;
  };

  // How a window was given to its owner: so long after it began, and behind so many windows of the
  // same owner that were over before it could have them.
  struct Entry {
    std::size_t owner = 0;
    std::uint64_t late = 0, missed = 0;
  };

  // `frame` is not 0.
  explicit constexpr TimeTable(std::uint32_t frame) : frame_(frame) {}

  // The next window in the order of time. False, and nothing is changed, if it is empty, does not
  // lie behind the one before and inside the frame, or is one too many. Before start().
  [[nodiscard]] constexpr bool add(const Window& window) {
    const std::uint32_t from = count_ == 0 ? 0 : end_of(windows_[count_ - 1]);
    const bool fits = window.begin >= from && window.begin <= frame_ && window.length != 0 &&
                      window.length <= frame_ - window.begin;
    if (!fits || count_ == kMaxWindows || window.owner >= kMaxOwners) return false;
    windows_[count_++] = window;
    return true;
  }

  // The first frame begins at `now`.
  constexpr void start(std::uint64_t now) {
    has_started_ = true;
    frame_begin_ = now;
    find(0);
  }
  [[nodiscard]] constexpr bool has_started() const { return has_started_; }

  // Goes on to the slot that `now` is in. Whether it is another one than before.
  constexpr bool advance(std::uint64_t now) {
    if (now < slot_.end) return false;
    if (now - frame_begin_ >= frame_) {
      const Division passed = Division::of(now - frame_begin_, frame_);
      frames_ += passed.quotient;
      frame_begin_ = now - passed.remainder;
    }
    find(static_cast<std::uint32_t>(now - frame_begin_));
    return true;
  }
  // The one found last.
  [[nodiscard]] constexpr const Slot& slot() const { return slot_; }

  // The owner of the present window has the processor from `now` on. Nothing if it had it already,
  // or if this is no window.
  constexpr std::optional<Entry> enter(std::uint64_t now) {
    if (is_entered_ || !slot_.owner) return std::nullopt;
    is_entered_ = true;
    const std::size_t owner = *slot_.owner;
    const std::uint64_t begun = begun_of(owner), known = known_[owner];
    known_[owner] = begun;
    return Entry{owner, now - slot_.begin, begun - known - 1};
  }

 private:
  [[nodiscard]] static constexpr std::uint32_t end_of(const Window& window) {
    return window.begin + window.length;
  }

  // The slot at `phase` of the present frame.
  constexpr void find(std::uint32_t phase) {
    is_entered_ = false;
    begun_ = 0;
    std::uint32_t from = 0;
    while (begun_ < count_ && windows_[begun_].begin <= phase) {
      const Window& window = windows_[begun_++];
      from = end_of(window);
      if (phase < from) return set(window.owner, window.begin, from);
    }
    set(std::nullopt, from, begun_ < count_ ? windows_[begun_].begin : frame_);
  }
  constexpr void set(std::optional<std::size_t> owner, std::uint32_t begin, std::uint32_t end) {
    slot_ = {owner, frame_begin_ + begin, frame_begin_ + end};
  }

  // How many windows of `owner` have begun since the start.
  [[nodiscard]] constexpr std::uint64_t begun_of(std::size_t owner) const {
    std::uint64_t in_frame = 0, up_to_now = 0;
    for (std::size_t n = 0; n < count_; ++n) {
      if (windows_[n].owner != owner) continue;
      ++in_frame;
      if (n < begun_) ++up_to_now;
    }
    return frames_ * in_frame + up_to_now;
  }

  std::uint32_t frame_;
  std::array<Window, kMaxWindows> windows_{};
  std::size_t count_ = 0;
  bool has_started_ = false, is_entered_ = false;
  std::uint64_t frames_ = 0, frame_begin_ = 0;  // whole ones before the present one
  std::size_t begun_ = 0;                       // windows of the present frame up to the slot
  Slot slot_{};
  std::array<std::uint64_t, kMaxOwners> known_{};  // windows that enter() has told of
};

}  // namespace mezzo
