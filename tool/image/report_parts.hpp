// What the reports of both architectures are made of. For report*.cpp only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/compile.hpp"
#include "system/model.hpp"

namespace mezzo::image {

struct Row {
  std::uint64_t base, size;
  std::string what;
};

// "192 MiB", "4 KiB" or "10 bytes": the largest unit that divides it.
[[nodiscard]] std::string size_text(std::uint64_t size);
[[nodiscard]] std::string row_text(const Row& row);
// The rows in the order of their addresses, with what lies between them from `base` on.
[[nodiscard]] std::string memory_text(std::vector<Row> rows, std::uint64_t base);

// The processors' time tables.
[[nodiscard]] std::string schedules_text(const system::System& system);

// Kernel, package, checksum and initramfs.
[[nodiscard]] std::string files_text(const PartitionReport& report);
[[nodiscard]] std::string disk_text(const system::Partition& partition);
[[nodiscard]] std::string policy_text(const plan::Partition& row);
[[nodiscard]] std::string cmdline_text(const PartitionReport& report);

// One architecture each: the machine, and one partition of it.
[[nodiscard]] std::string armv7_machine_text(const system::System& system,
                                             const CompiledImage& image);
[[nodiscard]] std::string armv7_partition_text(const system::System& system,
                                               const CompiledImage& image, std::size_t index);

}  // namespace mezzo::image
