// The systems that are compared: what they are, and what boots them in QEMU. All run the same
// programs on the same emulated machine; time is virtual, one nanosecond for each instruction.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/apt.hpp"

namespace mezzo::bench {

enum class Host { Bare, Mezzo, Xen };

struct Machine {
  const char* name;          // in results and on the command line
  const char* title;         // for people
  const char* architecture;  // Debian's name
  Host host;
};

// In the order of a report. A virtualized system's native twin has the same architecture.
[[nodiscard]] std::span<const Machine> machines();

// The bare machine that `machine` is compared with.
[[nodiscard]] const Machine& native_of(const Machine& machine);

// A Debian package or file that takes part in a run.
struct Part {
  std::string name, version, sha256;
};

// A machine ready to boot one suite.
struct Boot {
  std::vector<std::string> command;  // QEMU's, without output files
  std::vector<Part> parts;
};

struct Sources {
  std::filesystem::path cache;      // base::cache_directory()
  std::filesystem::path build;      // of the guest programs and the monitor
  std::filesystem::path guest;      // bench/guest in the checkout
  std::filesystem::path directory;  // where boot files are written
  bool refresh = false;
  fetch::Progress progress;
};

// Fetches and assembles what `machine` needs to run the shell script `suite` (see
// bench/guest/init.sh). Throws UserError.
[[nodiscard]] Boot prepare(const Machine& machine, std::string_view suite, const Sources& sources);

}  // namespace mezzo::bench
