// Chooses addresses on an ARMv7 board: which machine memory each partition has, where its kernel,
// initramfs and device tree are as the guest sees them, and where the monitor is.
//
// Every guest sees its memory from the base of the board's RAM on, as an unmodified kernel expects
// it. In the machine, partitions lie from the base of RAM upwards; one with a bus master is the
// first, because its device needs addresses that are the same for both. The top is, downwards: the
// monitor, the partitions' shadow page tables, the plan with the store. All are whole megabytes,
// which a section maps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "abi/plan.hpp"
#include "image/layout.hpp"
#include "loader/kernel.hpp"
#include "system/artifact.hpp"
#include "system/diagnostic.hpp"
#include "system/model.hpp"

namespace mezzo::image {

// Guest-physical addresses unless they say otherwise; 0 for what a kernel of this format has not.
struct Armv7Placement {
  std::vector<plan::Piece> pieces;  // in the guest's order
  std::uint32_t kernel = 0;         // of an unpacked Image or a zImage
  std::uint32_t initramfs = 0;
  std::uint32_t device_tree = 0;
  std::uint32_t device_tree_room = 0;  // bytes kept for it

  // Where the guest's [address, +size) is in the machine; nothing if it is not in one piece.
  [[nodiscard]] std::optional<std::uint32_t> machine(std::uint64_t address,
                                                     std::uint64_t size) const;
};

struct Armv7Layout {
  std::vector<Armv7Placement> partitions;
  std::vector<std::uint32_t> shadows;  // machine addresses of their shadow page tables
  std::uint32_t monitor_base = 0;
};

// True if the partition is given a device tree: a Linux, or any kernel whose user names one.
[[nodiscard]] bool takes_device_tree(const system::Partition& partition,
                                     const loader::KernelImage& kernel);

// Errors: no room, memory too small, an initramfs where the kernel unpacks itself or runs, a kernel
// segment outside the partition's memory, two partitions that need the first place.
[[nodiscard]] system::Result<Armv7Layout> place_armv7(const system::System& system,
                                                      std::span<const loader::KernelImage> kernels,
                                                      const system::Artifacts& artifacts);

// Where the boot loader is to put the plan and the store, of `bundle_size` bytes together.
[[nodiscard]] system::Result<std::uint32_t> place_bundle(const system::System& system,
                                                         const Armv7Layout& layout,
                                                         std::uint64_t bundle_size);

}  // namespace mezzo::image
