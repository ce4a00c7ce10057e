// Brings everything a system file names onto this machine and into memory: kernels and initramfs,
// from Debian packages or from the user's files.
#pragma once

#include <filesystem>

#include "fetch/apt.hpp"
#include "system/artifact.hpp"
#include "system/model.hpp"

namespace mezzo::fetch {

struct Options {
  std::filesystem::path cache;  // base::cache_directory()
  bool refresh = false;         // ask the mirror for newer packages
  Progress progress;
  std::filesystem::path slip_program{};  // guest/slip as built, for guests at the end of a link
};

// One entry for each partition, in order. Without network as far as the cache has the packages.
// Throws UserError or Interrupted; what was complete by then stays in the cache.
[[nodiscard]] system::Artifacts fetch(const system::System& system, const Options& options);

}  // namespace mezzo::fetch
