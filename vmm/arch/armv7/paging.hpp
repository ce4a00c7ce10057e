// The monitor's own translation tables: the window that is in every root, and the flat view of
// memory and devices that only the monitor's own roots have.
#pragma once

#include <array>
#include <cstdint>

#include "arch/armv7/cpu.hpp"

namespace mezzo::armv7 {

// Makes [at, at + bytes) of machine memory reachable in the root of the boot code.
void map_for_boot(std::uint32_t at, std::uint32_t bytes);

// Builds a CPU's own root. The plan has been taken.
void build_root(Cpu& cpu);

// The first-level entries of the window, for every root of `cpu`'s guest.
[[nodiscard]] std::array<std::uint32_t, 2> window_entries(const Cpu& cpu);

// Maps the page that `cpu`'s guest and its stubs share with the monitor at layout::kSharedPage.
void map_shared_page(Cpu& cpu, HostPhysical shared);

}  // namespace mezzo::armv7
