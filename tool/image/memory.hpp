// Divides the machine's memory among the partitions; what lies inside each is layout.hpp's.
#pragma once

#include <span>
#include <vector>

#include "image/layout.hpp"

namespace mezzo::image {

// Base of the monitor's memory: kMonitorSize bytes below what firmware may keep at the top of RAM.
[[nodiscard]] std::uint64_t monitor_base(const system::Machine& machine);

// Base of channel `index`: each below the one before, the first below the monitor.
[[nodiscard]] std::uint64_t channel_base(const system::System& system, std::size_t index);

// The pieces of each partition, ascending, parallel to system.partitions.
[[nodiscard]] system::Result<std::vector<std::vector<Extent>>> place_memory(
    const system::System& system, std::span<const loader::KernelImage> kernels);

}  // namespace mezzo::image
