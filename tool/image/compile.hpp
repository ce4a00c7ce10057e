// Compiles a system and its kernels into the plan and the store that the monitor is given.
//
// Everything textual or format-like happens here and below (layout, loader/, firmware/): the
// monitor only copies bytes and starts processors. Writing the result to a file is write.hpp's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "abi/plan.hpp"
#include "firmware/e820.hpp"
#include "system/artifact.hpp"
#include "system/diagnostic.hpp"
#include "system/model.hpp"

namespace mezzo::image {

using firmware::E820Entry;
using firmware::MemoryType;

// A part of the command line that the user did not write.
struct CmdlineAddition {
  std::string text;
  std::string why;
};

// One copy the monitor makes, in words.
struct LoadReport {
  std::string what;
  std::uint32_t destination = 0, file_size = 0, memory_size = 0;
};

// What has been derived for one partition; parallel to plan::Plan::partitions.
struct PartitionReport {
  std::string name;
  std::string cmdline;  // complete, with the blanks the monitor fills
  std::vector<CmdlineAddition> additions;
  std::vector<E820Entry> e820;
  std::vector<LoadReport> loads;
  std::vector<std::string> firmware;  // one line for each table
  std::string kernel_format;          // "bzImage, version 6.1.0-50-686 (...)"
  std::string kernel_package, kernel_version, kernel_sha256;
  std::string initramfs;  // description, empty for none
};

struct CompiledImage {
  plan::Plan plan{};
  system::Bytes store;
  std::uint32_t bundle_address = plan::kBundleLoadAddress;  // where the boot loader puts the plan
  std::vector<PartitionReport> partitions;
  system::Diagnostics warnings;  // of the checker
};

// Checks (system::check) and compiles. `artifacts` has one entry for each partition.
// Errors: everything the checker finds, and what only the layout can find (no room, no `iasl`).
[[nodiscard]] system::Result<CompiledImage> compile(const system::System& system,
                                                    const system::Artifacts& artifacts);

}  // namespace mezzo::image
