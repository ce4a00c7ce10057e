// Finds the contradictions in a system: between partitions, with the machine, with the kernels.
//
// It changes nothing and derives nothing. What shows only when addresses are chosen (memory too
// small for a kernel, no room for the monitor) is found by image/layout.hpp.
#pragma once

#include "system/artifact.hpp"
#include "system/diagnostic.hpp"
#include "system/model.hpp"

namespace mezzo::system {

// What can be said before anything is fetched: overlaps, owners, CPUs, sizes, command lines.
// Returns errors and warnings, those of one partition together.
[[nodiscard]] Diagnostics check(const System& system);

// The above, and what needs the kernels, initramfs and device trees themselves: formats,
// truncation, word size, PAE, corrupted archives, other boards' trees; and whether the board has
// ever been tried. `artifacts` has one entry for each partition.
[[nodiscard]] Diagnostics check(const System& system, const Artifacts& artifacts);

// The parts of the first check, for it alone.
void check_memory(const System& system, Diagnostics& diagnostics);  // IA-32
void check_armv7_memory(const System& system, Diagnostics& diagnostics);
void check_owners(const System& system, Diagnostics& diagnostics);
void check_links(const System& system, Diagnostics& diagnostics);
void check_schedules(const System& system, Diagnostics& diagnostics);
void check_sharing(const System& system, Diagnostics& diagnostics);  // IA-32
void check_timers(const System& system, Diagnostics& diagnostics);
void check_channels(const System& system, Diagnostics& diagnostics);
void check_cmdline(const System& system, const Partition& partition, Diagnostics& diagnostics);

// True if `name` can be that of a partition or a channel.
[[nodiscard]] bool is_name(const std::string& name);

// True if one of the partition's devices reads and writes memory by machine addresses.
[[nodiscard]] bool has_bus_master(const System& system, const Partition& partition);

// Adds an error at `position` of the system file.
void add_error(const System& system, Position position, std::string what, std::string remedy,
               Diagnostics& diagnostics);

}  // namespace mezzo::system
