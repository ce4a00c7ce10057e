// The sanitisers: a guest's descriptors and gates into ones for ring 1. See descriptor.hpp for the
// rules.
#include "arch/ia32/descriptor.hpp"

namespace mezzo::ia32 {
namespace {

// Bit 2 of a selector: it names an LDT entry.
constexpr std::uint16_t kTableIndicator = 4;
constexpr std::uint16_t kSelectorIndex = 0xfff8;

constexpr bool is_tss(Descriptor descriptor) {
  return descriptor.is(SystemType::Tss16) || descriptor.is(SystemType::Tss16Busy) ||
         descriptor.is(SystemType::Tss32) || descriptor.is(SystemType::Tss32Busy);
}

Descriptor deprivilege_system(Descriptor guest) {
  if (is_tss(guest)) return guest.with_dpl(0);
  return guest.is(SystemType::Ldt) ? guest : Descriptor{};
}

}  // namespace

Descriptor deprivilege(Descriptor guest) {
  if (!guest.is_code_or_data()) return deprivilege_system(guest);

  Descriptor result = guest.with_accessed();
  if (result.dpl() == 0) result = result.with_dpl(1);
  if (result.expands_down() || result.wraps()) return result;
  if (result.base() > kLastGuestAddress) return Descriptor{};
  const std::uint32_t last_offset = kLastGuestAddress - result.base();
  return result.limit() > last_offset ? result.with_limit(last_offset) : result;
}

std::optional<Gate> reflect_gate(Gate guest, std::uint16_t first_monitor_selector) {
  if (!guest.is_interrupt_gate() && !guest.is_trap_gate()) return {};
  const bool in_gdt = (guest.selector() & kTableIndicator) == 0;
  if (in_gdt && (guest.selector() & kSelectorIndex) >= first_monitor_selector) return {};
  return guest.dpl() == 0 ? guest.with_dpl(1) : guest;
}

}  // namespace mezzo::ia32
