// The page of this CPU's GIC interface and, on a Cortex-A9, of its timers, or of an Allwinner A10's
// interrupt controller and timers: in the monitor's window, so reachable under every root.
#pragma once

#include <cstdint>

#include "arch/armv7/instructions.hpp"
#include "arch/armv7/interrupts.hpp"
#include "arch/armv7/layout.hpp"
#include "arch/armv7/registers.hpp"
#include "io/register_block.hpp"

namespace mezzo::armv7 {

struct PrivatePage {
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
    return *pointer_to<volatile std::uint32_t>(layout::kPrivatePage + offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) const {
    *pointer_to<volatile std::uint32_t>(layout::kPrivatePage + offset) = value;
    data_barrier();
  }
  void write8(std::uint32_t offset, std::uint8_t value) const {
    *pointer_to<volatile std::uint8_t>(layout::kPrivatePage + offset) = value;
    data_barrier();
  }
};
static_assert(io::RegisterBlock<PrivatePage>);

using CpuInterrupts = InterruptsOf<PrivatePage>;

// Whether an IRQ is signalled to this CPU: the guest's, or the monitor's own.
[[nodiscard]] inline bool is_interrupt_pending() {
  return (InterruptStatus::read() & psr::kIrqOff) != 0;
}
// Likewise, or an FIQ, which is the monitor's own.
[[nodiscard]] inline bool is_anything_pending() {
  return (InterruptStatus::read() & (psr::kIrqOff | psr::kFiqOff)) != 0;
}

}  // namespace mezzo::armv7
