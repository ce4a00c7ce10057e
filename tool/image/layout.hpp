// Chooses addresses: memory of the partitions that gave only a size, what lies where in each of
// them, and the monitor's own memory.
//
// The order: pieces that the user placed, then partitions whose kernel has fixed addresses, then
// the rest from low to high. A Linux guest above gets 64 KiB of low memory for its real-mode
// trampoline, cut from the partition that has low memory. The monitor is at the top of RAM, the
// channels below it, then the store.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "abi/plan.hpp"
#include "loader/kernel.hpp"
#include "system/artifact.hpp"
#include "system/diagnostic.hpp"
#include "system/model.hpp"

namespace mezzo::image {

struct Extent {
  std::uint64_t base = 0, size = 0;

  [[nodiscard]] std::uint64_t end() const { return base + size; }
  bool operator==(const Extent&) const = default;
};

// True if the two have a byte in common.
[[nodiscard]] constexpr bool overlap(const Extent& a, const Extent& b) {
  return a.base < b.end() && b.base < a.end();
}

// Machine addresses; 0 for what a kernel of this format has not.
struct Placement {
  std::vector<Extent> pieces;  // ascending
  std::uint32_t kernel = 0;    // of a bzImage's protected-mode part
  std::uint32_t initramfs = 0;
  std::uint32_t boot_info = 0;  // Linux boot_params or multiboot information, one page
  std::uint32_t cmdline = 0;    // one page
  std::uint32_t acpi = 0;       // firmware::kAcpiSize bytes
  std::uint32_t nvs = 0;        // firmware::kNvsSize bytes
  std::uint32_t functions = 0;  // firmware::kFunctionsSize bytes, if it has_functions()
};

// Whether the guest of partition `index` finds its channels as PCI functions: a Linux that drives
// PCI.
[[nodiscard]] bool has_functions(const system::System& system,
                                 std::span<const loader::KernelImage> kernels, std::size_t index);

struct MonitorPlacement {
  std::uint32_t monitor_base = 0;
  std::uint32_t store_base = 0;
  std::uint32_t bundle_address = 0;  // where the boot loader puts the plan and the store
};

// Places all partitions. `kernels` and `artifacts` are parallel to system.partitions.
// Errors: no room, a kernel outside its partition's memory, memory too small for the kernel.
[[nodiscard]] system::Result<std::vector<Placement>> place_partitions(
    const system::System& system, std::span<const loader::KernelImage> kernels,
    const system::Artifacts& artifacts);

// Places the monitor, and a store and bundle of the given sizes in bytes.
[[nodiscard]] system::Result<MonitorPlacement> place_monitor(const system::System& system,
                                                             std::span<const Placement> partitions,
                                                             std::uint64_t store_size,
                                                             std::uint64_t bundle_size);

}  // namespace mezzo::image
