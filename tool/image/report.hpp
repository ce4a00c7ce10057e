// The derived plan in words: what `mezzo check` prints.
#pragma once

#include <string>

#include "image/compile.hpp"
#include "system/model.hpp"

namespace mezzo::image {

// Memory map of the machine; for each partition its CPU, memory, loads, memory map, firmware
// tables, devices and command line, with what was added to it and why. Plain text, lines end in
// '\n'.
[[nodiscard]] std::string report(const system::System& system, const CompiledImage& image);

}  // namespace mezzo::image
