// The memory map that one guest is shown.
#pragma once

#include <vector>

#include "image/compile.hpp"
#include "image/layout.hpp"

namespace mezzo::image {

// Its own pieces are RAM, but for the ACPI tables and the PCI functions of its channels; the rest
// of the machine's RAM (the monitor's and the other partitions') is reserved rather than absent, so
// that no device is mapped there. The map is ascending, without overlaps, and neighbours differ in
// type or do not touch.
//   machine_memory  bytes of RAM from 0
[[nodiscard]] std::vector<E820Entry> make_e820(const Placement& placement,
                                               std::uint64_t machine_memory);

}  // namespace mezzo::image
