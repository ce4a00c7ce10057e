// The counting plugin seen from outside: how it is loaded for a machine, and what its output means.
#pragma once

#include <filesystem>
#include <string>

#include "bench/suite.hpp"

namespace mezzo::bench {

// What addresses mean on `machine` when it runs `guest` (bench/plugin/table.hpp).
[[nodiscard]] std::string domains_of(const Machine& machine, Guest guest);

// QEMU's -plugin argument. `pages`: count pages touched between root switches too, which is slow.
// Writes the machine's table of domains into `folder`; the counts go to
// the file `counts`.
[[nodiscard]] std::string plugin_argument(const Machine& machine, Guest guest,
                                          const std::filesystem::path& plugin,
                                          const std::filesystem::path& folder,
                                          const std::filesystem::path& counts, bool pages);

// The plugin's output, once QEMU has ended. Throws UserError if it did not write any.
[[nodiscard]] Json read_counts(const std::filesystem::path& counts);

// For each operation (bench/guest/operations.hpp) that occurred: its mean instructions in all and
// by domain, entries into the monitor and root switches.
[[nodiscard]] Json operation_figures(const Json& counts);

}  // namespace mezzo::bench
