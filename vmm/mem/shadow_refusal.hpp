// What the partition lets a mapping of the guest's have, and what becomes of an access that it
// refuses.
#pragma once

#include <cstdint>

#include "mem/shadow_types.hpp"

namespace mezzo::mem {

// What became of an access that the machine refused.
enum class Outcome : std::uint8_t {
  Filled,          // an entry allows it now; run the guest again
  GuestFault,      // by the guest's own tables: inject `fault`
  Emulated,        // `physical` is a device that the monitor emulates
  NeedsExecute,    // the guest may run this page of memory, but its kernel may not yet: make it
                   // executable (forget_page!) and run again
  WriteProtected,  // the guest may write, the partition says no
  Nothing,         // the partition has nothing at `physical`, or nothing that can be run
  MonitorWindow,   // the monitor's own addresses
};

// User mode needs no patches; nobody runs a device unless the partition says so.
template <ShadowFormat Format>
[[nodiscard]] constexpr bool may_execute(const Backing& backing, Privilege privilege) {
  if (!Format::kWithholdsExecute || backing.executable) return true;
  return privilege == Privilege::User && backing.kind == Backing::Kind::Memory;
}

// Whether an access that the guest's tables allow may be made to the page at `backing`: Filled if
// so.
template <ShadowFormat Format>
[[nodiscard, gnu::always_inline]] constexpr Outcome refusal(const Backing& backing, Access access,
                                                            Privilege privilege) {
  if (backing.kind == Backing::Kind::None) return Outcome::Nothing;
  if (!backing.maps(kPageSize)) return Outcome::Emulated;
  if (backing.machine.value() >> Format::kMachineBits != 0) return Outcome::Nothing;
  if (access == Access::Write && !backing.writable) return Outcome::WriteProtected;
  if (access != Access::Execute || may_execute<Format>(backing, privilege)) return Outcome::Filled;
  return backing.kind == Backing::Kind::Memory ? Outcome::NeedsExecute : Outcome::Nothing;
}

// What is left of the guest's rights.
template <ShadowFormat Format>
[[nodiscard, gnu::always_inline]] constexpr Rights limited(Rights rights, const Backing& backing,
                                                           Privilege privilege) {
  const unsigned no_write = backing.writable ? 0 : Rights::kWrite;
  const unsigned no_execute = may_execute<Format>(backing, privilege) ? 0 : Rights::kExecute;
  return rights.without(no_write | no_execute);
}

}  // namespace mezzo::mem
