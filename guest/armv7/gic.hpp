// The interrupt controller and the private timer of a Cortex-A9 MPCore on a Versatile Express, as a
// guest that has its CPU to itself uses them. Source: ARM IHI 0048B, 4.3 and 4.4; DDI 0407
// (Cortex-A9 MPCore), 1.5 and 4.
#pragma once

#include "armv7/machine.hpp"

namespace guest {

inline constexpr u32 kPrivate = 0x1e000000;  // SCU, CPU interface, timers
inline constexpr u32 kInterface = kPrivate + 0x100, kGlobalTimer = kPrivate + 0x200,
                     kPrivateTimer = kPrivate + 0x600, kDistributor = kPrivate + 0x1000;
inline constexpr u32 kTimerLine = 29;  // of the private timer
inline constexpr u32 kSpurious = 1023;

// Offsets from kDistributor.
namespace gicd {
inline constexpr u32 kControl = 0x000, kType = 0x004, kSetEnable = 0x100, kClearEnable = 0x180,
                     kSetPending = 0x200, kClearPending = 0x280, kActive = 0x300, kPriority = 0x400,
                     kTarget = 0x800, kConfiguration = 0xc00, kSoftware = 0xf00;
inline constexpr u32 kToSelf = 2u << 24;
}  // namespace gicd
// Offsets from kInterface.
namespace gicc {
inline constexpr u32 kControl = 0x00, kPriorityMask = 0x04, kAcknowledge = 0x0c, kEnd = 0x10,
                     kRunningPriority = 0x14, kHighestPending = 0x18;
}

inline void start_interrupts() {
  write32(kDistributor + gicd::kControl, 1);
  write32(kInterface + gicc::kPriorityMask, 0xf0);
  write32(kInterface + gicc::kControl, 1);
}
inline void enable_line(u32 line) {
  write32(kDistributor + gicd::kSetEnable + line / 32 * 4, 1u << line % 32);
}
inline void disable_line(u32 line) {
  write32(kDistributor + gicd::kClearEnable + line / 32 * 4, 1u << line % 32);
}
[[nodiscard]] inline u32 acknowledge() { return read32(kInterface + gicc::kAcknowledge); }
inline void end_interrupt(u32 acknowledged) { write32(kInterface + gicc::kEnd, acknowledged); }
// Raises a software generated interrupt of this CPU's own.
inline void raise(u32 line) {
  write32(kDistributor + gicd::kSoftware, gicd::kToSelf | line);
  data_barrier();
}

// The private timer counts down from `count`, once or again and again, at PERIPHCLK.
inline void start_timer(u32 count, bool again) {
  write32(kPrivateTimer + 8, 0);
  write32(kPrivateTimer + 12, 1);
  write32(kPrivateTimer + 0, count);
  write32(kPrivateTimer + 8, again ? 7 : 5);
}
[[nodiscard]] inline u32 timer_count() { return read32(kPrivateTimer + 4); }
inline void stop_timer() {
  write32(kPrivateTimer + 8, 0);
  write32(kPrivateTimer + 12, 1);
}

}  // namespace guest
