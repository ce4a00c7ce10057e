// Which translation tables this processor walks: the guest's shadow tables, or the monitor's own,
// in which all memory and devices are flat. The monitor's window is in both, so its code runs on
// across a switch; it switches only when it needs what the other one has, and leaves the rest to
// the way back.
#pragma once

#include <cstdint>

#include "arch/armv7/instructions.hpp"

namespace mezzo::armv7 {

// ASIDs of the processor. Those of guests' roots begin after them.
inline constexpr std::uint32_t kSwitchingAsid = 0, kMonitorAsid = 1;

// What TTBR0 takes besides the address: walks are cacheable (write-back, write-allocate) and, on
// processors with the multiprocessing extensions, shared (DDI 0406C, B4.1.154).
[[nodiscard]] inline std::uint32_t walk_attributes() {
  constexpr std::uint32_t kUniprocessor = 1u << 0 | 1u << 3, kMultiprocessor = 0x4a;
  return (Mpidr::read() >> 31) != 0 ? kMultiprocessor : kUniprocessor;
}

// Makes `table` (machine address) the root with `asid`. Between the two writes only global entries
// may be walked, so the ASID is one that nothing uses (B3.10.4).
inline void load_root(std::uint32_t table, std::uint32_t asid) {
  ContextId::write(kSwitchingAsid);
  instruction_barrier();
  Ttbr0::write(table);
  instruction_barrier();
  ContextId::write(asid);
  instruction_barrier();
}

struct LoadedRoot {
  std::uint32_t table = 0;
  std::uint32_t asid = 0;
  bool operator==(const LoadedRoot&) const = default;
};

class Roots {
 public:
  // `flat`: the monitor's own root, which is loaded.
  void adopt_flat(std::uint32_t flat) {
    flat_ = guest_ = {flat, kMonitorAsid};
    loaded_ = Loaded::Flat;
  }
  // What the guest is to run with.
  void set_guest(LoadedRoot guest) {
    if (guest == guest_) return;
    guest_ = guest;
    if (loaded_ == Loaded::Guest) loaded_ = Loaded::FormerGuest;
  }
  [[nodiscard]] const LoadedRoot& guest() const { return guest_; }
  // Likewise, and it is loaded already.
  void adopt_guest(LoadedRoot guest) {
    guest_ = guest;
    loaded_ = Loaded::Guest;
  }
  [[nodiscard]] const LoadedRoot& flat() const { return flat_; }

  // Flat machine memory and devices are reachable from here on; guest-virtual addresses are not.
  void use_flat() {
    if (loaded_ == Loaded::Flat) return;
    loaded_ = Loaded::Flat;
    load_root(flat_.table, flat_.asid);
  }
  // The other way round.
  void use_guest() {
    if (loaded_ == Loaded::Guest) return;
    loaded_ = Loaded::Guest;
    load_root(guest_.table, guest_.asid);
  }

 private:
  enum class Loaded : std::uint32_t { Flat, Guest, FormerGuest };
  LoadedRoot flat_, guest_;
  Loaded loaded_ = Loaded::Flat;
};

}  // namespace mezzo::armv7
