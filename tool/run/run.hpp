// Boots a compiled system in QEMU and stays with it to its end.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/compile.hpp"
#include "run/script.hpp"
#include "system/artifact.hpp"
#include "system/model.hpp"

namespace mezzo::run {

struct PartitionScript {
  std::string partition;  // empty: every partition that has a console
  std::vector<ScriptStep> steps;
};

struct RunOptions {
  bool headless = false;  // no keyboard, even on a terminal
  std::vector<PartitionScript> scripts;
  std::optional<std::chrono::seconds> timeout;
  std::filesystem::path result;  // empty: none
};

// Runs it. Prints consoles and state changes on stdout.
//   monitor_elf  the monitor, as built
// Returns the exit status: 0 all went as asked; 1 a script failed, or the machine or the monitor
// did; 124 time-out; 128 + n ended by signal n. Throws UserError before the machine is up.
[[nodiscard]] int run(const system::System& system, const system::Artifacts& artifacts,
                      const image::CompiledImage& image, const system::Bytes& monitor_elf,
                      const RunOptions& options);

}  // namespace mezzo::run
