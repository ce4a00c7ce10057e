// Kinds of addresses as types: a guest's linear address is not the machine's, and neither converts
// into the other, or into a number, unless somebody writes so. Arithmetic wraps like the
// processor's.
#pragma once

#include <compare>
#include <cstdint>

namespace mezzo::mem {

inline constexpr std::uint32_t kPageSize = 4096;

// An address of the kind `Kind`, held in a `Word`. Offsets and sizes are bytes.
template <class Kind, class Word>
class Address {
 public:
  using Value = Word;

  constexpr Address() = default;
  explicit constexpr Address(Word value) : value_(value) {}

  [[nodiscard]] constexpr Word value() const { return value_; }
  auto operator<=>(const Address&) const = default;

  // Rounded to a multiple of `alignment`, a power of two; aligned_up wraps to 0 past the last one.
  [[nodiscard]] constexpr Address aligned_down(Word alignment = kPageSize) const {
    return Address{value_ & ~(alignment - 1)};
  }
  [[nodiscard]] constexpr Address aligned_up(Word alignment = kPageSize) const {
    return Address{value_ + (alignment - 1)}.aligned_down(alignment);
  }
  [[nodiscard]] constexpr bool is_aligned(Word alignment = kPageSize) const {
    return offset_in(alignment) == 0;
  }
  // Distance from the last multiple of `size`, a power of two.
  [[nodiscard]] constexpr Word offset_in(Word size = kPageSize) const {
    return value_ & (size - 1);
  }
  [[nodiscard]] constexpr Word page_number() const { return value_ / kPageSize; }
  [[nodiscard]] static constexpr Address of_page(Word number) {
    return Address{number * kPageSize};
  }

  friend constexpr Address operator+(Address address, Word bytes) {
    return Address{address.value_ + bytes};
  }
  friend constexpr Address operator-(Address address, Word bytes) {
    return Address{address.value_ - bytes};
  }
  friend constexpr Word operator-(Address to, Address from) { return to.value_ - from.value_; }

 private:
  Word value_ = 0;
};

// Linear addresses have 32 bits on all our machines; physical ones may have more under PAE and
// LPAE.
using GuestVirtual = Address<struct GuestVirtualKind, std::uint32_t>;
using GuestPhysical = Address<struct GuestPhysicalKind, std::uint64_t>;
using HostVirtual = Address<struct HostVirtualKind, std::uint32_t>;
using HostPhysical = Address<struct HostPhysicalKind, std::uint64_t>;

}  // namespace mezzo::mem
