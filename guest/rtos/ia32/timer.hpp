// What can tick on a PC. Each timer interrupts this processor whenever so many counts of its own
// have passed, at a vector of its own, whose gate leads to on_timer().
#pragma once

#include <cstdint>
#include <span>

#include "common/option.hpp"

namespace rtos::ia32 {

struct Timer {
  const char* name;
  std::uint8_t vector;
  std::uint32_t usual_period;  // in counts
  void (*start)(std::uint32_t period);
  std::uint32_t (*age)(std::uint32_t period);  // counts since it was due
  void (*end_of_interrupt)();
};

// The local APIC's ("lapic"), channel 0 of the 8254 by way of the 8259s ("pit"), the HPET's
// comparator 1 ("hpet"), and the real-time clock by way of the 8259s ("rtc").
[[nodiscard]] std::span<const Timer> timers();
// The one of that name; without a name the first, null if there is none of that name.
[[nodiscard]] const Timer* find_timer(const guest::Option& name);

// Ends an interrupt that has come by the local APIC.
void end_apic_interrupt();

inline constexpr std::uint32_t kSpuriousVector = 0xff;  // of the local APIC
inline constexpr std::uint32_t kPicVector = 0x20;       // of the first 8259's IRQ 0
inline constexpr std::uint32_t kRtcVector = kPicVector + 8;
inline constexpr std::uint32_t kPicSpuriousVector = kPicVector + 7;

}  // namespace rtos::ia32
