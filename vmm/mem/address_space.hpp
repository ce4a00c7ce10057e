// What a partition's guest-physical addresses are: disjoint intervals, each of memory, of a device
// that is passed through, or of one that the monitor emulates. Whatever the plan does not name is
// absent, the monitor's own memory above all, so no lookup can lead there.
//
// Built when the partition starts and constant while it runs, so lookups need no lock. A lookup is
// on the path of every shadow miss: one comparison for the main memory, a binary search otherwise.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "mem/address.hpp"

namespace mezzo::mem {

class AddressSpace {
 public:
  static constexpr std::size_t kMaxIntervals = 32 + 64;  // pieces of memory and windows of devices

  enum class Kind : std::uint8_t { None, Memory, Device, Emulated };

  // [guest, +size) is [machine, +size). All three are multiples of the page size, the size is not 0
  // and neither end passes 4 GiB. `machine` of an emulated window is for the device behind it: no
  // mapping is ever made of it, and it may be shared (a filtered chip).
  struct Interval {
    std::uint32_t guest = 0;
    std::uint32_t machine = 0;
    std::uint32_t size = 0;  // bytes
    Kind kind = Kind::Memory;
    bool writable = true;
    std::uint8_t id = 0;  // Emulated: which device; a number of the caller's
  };

  struct Found {
    Kind kind = Kind::None;
    bool writable = false;
    std::uint8_t id = 0;
    HostPhysical machine{};    // of the address itself; unless kind is None
    std::uint32_t offset = 0;  // from the interval's start
    std::uint32_t bytes = 0;   // from the address on, with the same answer and contiguous in the
                               // machine; for None: to the next interval, at most 2^32 - 1
  };

  // Adds an interval. False, and nothing is changed, if it is misaligned, empty, wraps, overlaps
  // another one in guest addresses or, unless one of the two is emulated, in machine addresses, or
  // if there are too many: a broken plan.
  [[nodiscard]] constexpr bool add(const Interval& interval) {
    if (!is_sound(interval) || count_ == kMaxIntervals || overlaps_any(interval)) return false;
    std::size_t at = count_++;
    for (; at > 0 && intervals_[at - 1].guest > interval.guest; --at) {
      intervals_[at] = intervals_[at - 1];
    }
    intervals_[at] = interval;
    if (interval.kind == Kind::Memory && interval.size > main_.size) main_ = interval;
    return true;
  }

  // Adds rows {base, guest_base, size} of the plan as memory. False as soon as one is refused.
  template <class Pieces>
  [[nodiscard]] constexpr bool add_memory(const Pieces& pieces) {
    return std::ranges::all_of(pieces, [this](const auto& piece) {
      return add({.guest = piece.guest_base, .machine = piece.base, .size = piece.size});
    });
  }

  // What is at `address`. Any address may be asked for, also beyond 4 GiB.
  [[nodiscard]] constexpr Found lookup(GuestPhysical address) const {
    if (address.value() > kLast) return {.bytes = kLast};
    const auto guest = static_cast<std::uint32_t>(address.value());
    if (guest - main_.guest < main_.size) return found(main_, guest);
    const std::size_t next = first_above(guest);
    if (next > 0) {
      const Interval& candidate = intervals_[next - 1];
      if (guest - candidate.guest < candidate.size) return found(candidate, guest);
    }
    return {.bytes = next < count_ ? intervals_[next].guest - guest : bytes_to_end(guest)};
  }

  // Machine address of [address, +bytes) if all of it is one interval of memory.
  [[nodiscard]] constexpr std::optional<HostPhysical> memory(GuestPhysical address,
                                                             std::uint32_t bytes) const {
    const Found at = lookup(address);
    if (at.kind != Kind::Memory || at.bytes < bytes) return std::nullopt;
    return at.machine;
  }

  // The guest's address of a byte of its memory or of a device passed through to it.
  [[nodiscard]] constexpr std::optional<GuestPhysical> guest_of(HostPhysical machine) const {
    if (machine.value() > kLast) return std::nullopt;
    const auto address = static_cast<std::uint32_t>(machine.value());
    for (const Interval& interval : intervals()) {
      const std::uint32_t offset = address - interval.machine;
      if (interval.kind != Kind::Emulated && offset < interval.size) {
        return GuestPhysical{interval.guest + offset};
      }
    }
    return std::nullopt;
  }

  // All of them, by rising guest address.
  [[nodiscard]] constexpr std::span<const Interval> intervals() const {
    return std::span(intervals_).first(count_);
  }

 private:
  static constexpr std::uint32_t kLast = 0xffffffff;

  [[nodiscard]] static constexpr bool is_sound(const Interval& interval) {
    const auto fits = [&](std::uint32_t base) { return interval.size - 1 <= kLast - base; };
    const std::uint32_t all = interval.guest | interval.machine | interval.size;
    return all % kPageSize == 0 && interval.size != 0 && interval.kind != Kind::None &&
           fits(interval.guest) && fits(interval.machine);
  }
  // Both sound, so neither wraps.
  [[nodiscard]] static constexpr bool overlap(std::uint32_t a, std::uint32_t a_size,
                                              std::uint32_t b, std::uint32_t b_size) {
    return a - b < b_size || b - a < a_size;
  }
  [[nodiscard]] constexpr bool overlaps_any(const Interval& added) const {
    return std::ranges::any_of(intervals(), [&](const Interval& other) {
      const bool emulated = added.kind == Kind::Emulated || other.kind == Kind::Emulated;
      return overlap(added.guest, added.size, other.guest, other.size) ||
             (!emulated && overlap(added.machine, added.size, other.machine, other.size));
    });
  }

  // Index of the first interval that begins above `guest`.
  [[nodiscard]] constexpr std::size_t first_above(std::uint32_t guest) const {
    std::size_t low = 0, high = count_;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (intervals_[middle].guest <= guest) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  [[nodiscard]] static constexpr Found found(const Interval& interval, std::uint32_t guest) {
    const std::uint32_t offset = guest - interval.guest;
    return {.kind = interval.kind,
            .writable = interval.writable,
            .id = interval.id,
            .machine = HostPhysical{interval.machine + offset},
            .offset = offset,
            .bytes = interval.size - offset};
  }
  [[nodiscard]] static constexpr std::uint32_t bytes_to_end(std::uint32_t guest) {
    return guest == 0 ? kLast : 0u - guest;
  }

  std::array<Interval, kMaxIntervals> intervals_{};  // [0, count_): sorted by guest address
  std::size_t count_ = 0;
  Interval main_{};  // a copy of the largest memory; of size 0 as long as there is none
};

}  // namespace mezzo::mem
