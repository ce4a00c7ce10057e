// Finds every contradiction in a system: between partitions, with the machine, with the kernels.
//
// It changes nothing and derives nothing; image/compile.hpp relies on what it has established.
#pragma once

#include "system/artifact.hpp"
#include "system/diagnostic.hpp"
#include "system/model.hpp"

namespace mezzo::system {

// What can be said before anything is fetched: overlaps, owners, CPUs, sizes, command lines.
// Returns errors and warnings in the order of the file.
[[nodiscard]] Diagnostics check(const System& system);

// The above, and everything that needs the kernels and initramfs themselves: formats, truncation,
// word size, PAE, corrupted archives, memory too small for them, addresses they cannot run at.
// `artifacts` has one entry for each partition.
[[nodiscard]] Diagnostics check(const System& system, const Artifacts& artifacts);

}  // namespace mezzo::system
