// What a system file's kernels and initramfs have become once they are on this machine: bytes with
// their provenance. The fetch code makes them, the checker and the image compiler use them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mezzo::system {

using Bytes = std::vector<std::uint8_t>;

struct KernelArtifact {
  std::filesystem::path path;  // where the bytes were read from
  Bytes bytes;
  std::string package;  // empty for a file of the user's
  std::string version;  // of the package
  std::string sha256;   // of `bytes`, lower-case hexadecimal
};

struct InitramfsArtifact {
  std::filesystem::path path;  // empty if it was assembled in memory
  Bytes bytes;
  std::string description;  // for reports, for example "busybox-static 1:1.35.0-4, 3 modules"
  std::string sha256;
};

struct DiskArtifact {
  std::filesystem::path path;  // raw image
  std::string description;     // for reports
};

struct PartitionArtifacts {
  KernelArtifact kernel;
  std::optional<InitramfsArtifact> initramfs;
  std::optional<DiskArtifact> disk;
};

// In the order of System::partitions.
using Artifacts = std::vector<PartitionArtifacts>;

}  // namespace mezzo::system
