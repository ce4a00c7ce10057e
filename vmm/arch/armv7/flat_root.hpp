// What the monitor's own root has at machine addresses: the board's memory and the devices of the
// plan, of whichever partition, and nothing else. The window is not of this.
//
// A guest has something else at the same virtual addresses, and the TLB is not emptied between the
// two roots. So these entries belong to the monitor's ASID; and where there is one, no entry of a
// guest's may be global (GuestMemory::may_be_global), because that would be found under the
// monitor's ASID, too (DDI 0406C, B3.9.1).
#pragma once

#include <cstdint>
#include <span>

#include "abi/plan.hpp"
#include "arch/armv7/short_descriptor.hpp"

namespace mezzo::armv7 {

// As in a small page: TEX, C, B and S.
inline constexpr std::uint16_t kFlatMemory = 1u << 6 | 3u << 2 | 1u << 10;  // write-back, shared
inline constexpr std::uint16_t kFlatDevice = 1u << 2;                       // shared device

// Writes all of `root`. The plan has been verified.
inline void map_flat(const plan::Plan& plan,
                     std::span<std::uint32_t, ShortDescriptor::kSlots> root) {
  constexpr std::uint32_t kSection = ShortDescriptor::kSlotBytes;
  const auto map = [&](std::uint32_t base, std::uint32_t size, std::uint16_t attributes) {
    if (size == 0) return;
    const std::uint32_t last = (base + size - 1) / kSection;
    for (std::uint32_t slot = base / kSection; slot <= last && slot < root.size(); ++slot) {
      root[slot] =
          ShortDescriptor::monitor_section(mem::HostPhysical{slot * kSection}, attributes, false);
    }
  };
  const plan::Board& board = plan.board;
  for (std::uint32_t& entry : root) entry = 0;
  for (const plan::Window& window : std::span(plan.windows).first(plan.window_count)) {
    if (plan::is_of_machine(window.kind)) map(window.base, window.size, kFlatDevice);
  }
  for (const plan::Silence& row : std::span(plan.silences).first(plan.silence_count)) {
    map(row.address, 4, kFlatDevice);
  }
  for (const std::uint32_t base : {board.distributor, board.interface, board.private_timer}) {
    if (base != 0) map(base, 4, kFlatDevice);
  }
  map(board.ram_base, board.ram_size, kFlatMemory);
}

}  // namespace mezzo::armv7
