// A chip that a guest may look at and not change: reads reach the chip, writes are ignored.
//
// On Versatile Express that is the SP810 system controller (0x10001000): it selects the timers'
// clocks, which the monitor sets once for all partitions, and a write to its status register resets
// the board. Source: ARM DDI 0254 (SP810).
#pragma once

#include <cstdint>

#include "io/mmio.hpp"
#include "io/register_block.hpp"

namespace mezzo::device {

template <io::RegisterBlock Registers>
class ReadOnlyRegisters {
 public:
  // `size`: bytes of the chip, a multiple of 4; beyond, nothing answers.
  ReadOnlyRegisters(Registers registers, std::uint32_t size) : registers_(registers), size_(size) {}

  [[nodiscard]] io::Answer access(const io::Access& access) const {
    if (!io::is_sound(access) || access.offset >= size_) return io::Answer::missing();
    if (access.write) return io::Answer::done();
    return io::Answer::done(io::narrow(registers_.read32(access.offset & ~3u), access));
  }

 private:
  Registers registers_;
  std::uint32_t size_;
};

}  // namespace mezzo::device
