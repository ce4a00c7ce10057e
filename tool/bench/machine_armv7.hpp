// The Versatile Express, with or without Mezzo: part of machine.hpp.
#pragma once

#include "bench/guest.hpp"
#include "bench/machine.hpp"

namespace mezzo::bench {

// What boots `files` on `machine`, without parts. Throws UserError.
[[nodiscard]] Boot prepare_armv7(const Machine& machine, const Files& files,
                                 const Sources& sources);

}  // namespace mezzo::bench
