// What a system file's kernels, initramfs and device trees have become once they are on this
// machine: bytes with their provenance. The fetch code makes them, the checker and the image
// compiler use them.
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

// A board's device tree in its binary form, as it came with the kernel or from the user.
struct DeviceTreeArtifact {
  std::filesystem::path path;
  Bytes bytes;
  std::string sha256;
};

struct PartitionArtifacts {
  KernelArtifact kernel;
  std::optional<DeviceTreeArtifact> device_tree;  // ARMv7: for every partition that is to have one
  std::optional<InitramfsArtifact> initramfs;
  std::optional<DiskArtifact> disk;
};

// In the order of System::partitions.
using Artifacts = std::vector<PartitionArtifacts>;

}  // namespace mezzo::system
