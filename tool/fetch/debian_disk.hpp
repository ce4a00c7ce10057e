// Makes a disk image with a Debian root file system for a guest: packages through mmdebstrap, a
// serial console to log in on, one ext4 file system. Neither the system's apt nor its package
// database is touched, and no root privileges are needed where user namespaces are allowed.
#pragma once

#include <filesystem>

#include "fetch/apt.hpp"
#include "system/artifact.hpp"
#include "system/model.hpp"

namespace mezzo::fetch {

// The image for `spec` in `cache`/disks: the one that is there, or a new one if there is none or
// `refresh` is set. Its name is made of everything that determines its contents but the state of
// the mirror. Throws UserError or Interrupted; then nothing is left behind.
[[nodiscard]] system::DiskArtifact make_debian_disk(const system::DiskSpec& spec,
                                                    const std::filesystem::path& cache,
                                                    bool refresh, const Progress& progress);

}  // namespace mezzo::fetch
