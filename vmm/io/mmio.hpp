// A guest's access to a device that the monitor emulates: from the guest-physical address to the
// device that owns the window. Knows no instruction set: who decoded the access puts the value into
// the guest's register.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include "mem/address_space.hpp"

namespace mezzo::io {

struct Access {
  std::uint32_t offset = 0;  // from the start of the device's window
  std::uint8_t size = 4;     // bytes: 1, 2 or 4
  bool write = false;
  std::uint32_t value = 0;  // of a write, in the low `size` bytes
};

enum class Outcome : std::uint8_t {
  Done,      // a read's value is in Answer::value, zero-extended
  Missing,   // nothing answers there: the guest takes a synchronous external abort
  PowerOff,  // the guest switched its machine off
  Reboot,    // the guest asked for a reset
  Kick,      // the guest kicked its watchdog
};

struct Answer {
  Outcome outcome = Outcome::Done;
  std::uint32_t value = 0;

  [[nodiscard]] static constexpr Answer done(std::uint32_t value = 0) { return {.value = value}; }
  [[nodiscard]] static constexpr Answer kick() { return {.outcome = Outcome::Kick}; }
  [[nodiscard]] static constexpr Answer missing() { return {.outcome = Outcome::Missing}; }

  bool operator==(const Answer&) const = default;
};

// A device answers every access that is_sound() and lies in its window, whatever its value: where
// the hardware ignores a write or reads as zero, so does the device; where nothing decodes the
// address, it says Missing.
template <class T>
concept Device = requires(T device, const Access& access) {
  { device.access(access) } -> std::same_as<Answer>;
};

// Of a size that exists, and naturally aligned: others never reach a device (an unaligned access to
// device memory is an alignment fault, ARM DDI 0406C A3.2.2).
[[nodiscard]] constexpr bool is_sound(const Access& access) {
  const bool has_size = access.size == 1 || access.size == 2 || access.size == 4;
  return has_size && (access.offset & (access.size - 1u)) == 0;
}

// The bytes that a narrow read at `offset` takes from the aligned word `word` around it.
[[nodiscard]] constexpr std::uint32_t narrow(std::uint32_t word, const Access& access) {
  const std::uint32_t shifted = word >> (access.offset % 4 * 8);
  return access.size == 4 ? shifted : shifted & ((1u << access.size * 8) - 1);
}
// Byte `n` of a write.
[[nodiscard]] constexpr std::uint8_t byte_of(const Access& access, std::uint32_t n) {
  return static_cast<std::uint8_t>(access.value >> n * 8);
}

// The emulated devices of one partition. A window's id in the address space is the place of its
// device in this list, counted from 1; 0 is none.
template <Device... Devices>
class Mmio {
 public:
  explicit constexpr Mmio(Devices&... devices) : devices_(devices...) {}

  // One access at `address` to what `space` says is emulated there, or is a device whose page is
  // read directly but whose writes are the monitor's. Everything else is Missing, also an access
  // that leaves its window.
  [[nodiscard]] constexpr Answer access(const mem::AddressSpace& space, mem::GuestPhysical address,
                                        std::uint8_t size, bool write, std::uint32_t value) const {
    using Kind = mem::AddressSpace::Kind;
    const auto found = space.lookup(address);
    const bool is_ours =
        found.kind == Kind::Emulated || (found.kind == Kind::Device && !found.writable && write);
    const Access access{.offset = found.offset, .size = size, .write = write, .value = value};
    if (!is_ours || !is_sound(access) || size > found.bytes) return Answer::missing();
    return dispatch(found.id, access, std::index_sequence_for<Devices...>{});
  }

 private:
  template <std::size_t... Places>
  [[nodiscard]] constexpr Answer dispatch(std::uint8_t id, const Access& access,
                                          std::index_sequence<Places...>) const {
    Answer answer = Answer::missing();
    (void)((id == Places + 1 && ((answer = std::get<Places>(devices_).access(access)), true)) ||
           ...);
    return answer;
  }

  std::tuple<Devices&...> devices_;
};

}  // namespace mezzo::io
