// Machine memory first, then the inside of each partition.
//
// Source: Linux Documentation/arm/booting.rst (what must not overlap, and how far apart things may
// be), arch/arm/boot/compressed/head.S (a zImage finds its memory's base by rounding down to
// 128 MiB).
#include "image/layout_armv7.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::image {
namespace {

using system::Diagnostics;
using system::KernelFormat;

constexpr std::uint64_t kMiB = 1 << 20;
// Linux maps this much of its memory directly whatever its split and vmalloc area are; the
// initramfs and the device tree must be in it.
constexpr std::uint64_t kLowmem = 512 * kMiB;
constexpr std::uint64_t kZImageReach = 128 * kMiB;
// Below the kernel's text are its first page tables (16 KiB).
constexpr std::uint64_t kPageTables = 0x4000;
constexpr std::uint64_t kTreeGrowth = 32 << 10;  // of a device tree by what the tool adds

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t unit) {
  return value / unit * unit;
}

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return round_down(value + unit - 1, unit);
}

std::uint32_t narrow(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

// Machine memory of all partitions.
class MachineMemory {
 public:
  explicit MachineMemory(const system::System& system)
      : system_(system), board_(system::board_info(system.machine.board)), layout_{} {
    layout_.partitions.resize(system.partitions.size());
  }

  system::Result<Armv7Layout> run() {
    place_top();
    take_explicit();
    for (const bool identity : {true, false}) {
      for (std::size_t i = 0; i < system_.partitions.size(); ++i) {
        const system::Partition& partition = system_.partitions[i];
        if (partition.memory.size && system::has_bus_master(system_, partition) == identity) {
          place_span(i, identity);
        }
      }
    }
    if (has_errors(diagnostics_)) return std::unexpected(diagnostics_);
    return std::move(layout_);
  }

 private:
  void place_top() {
    std::uint64_t top = board_.ram_base + system_.machine.memory - plan::kArmv7MonitorSize;
    layout_.monitor_base = narrow(top);
    for (const system::Partition& partition : system_.partitions) {
      // The checker has compared the sum of all with the machine's memory.
      top -= std::min(round_up(partition.armv7.shadow_memory, kMiB), top);
      layout_.shadows.push_back(narrow(top));
    }
    top_ = top;
  }

  void take_explicit() {
    for (std::size_t i = 0; i < system_.partitions.size(); ++i) {
      std::uint64_t guest = board_.ram_base;
      for (const system::MemoryPiece& piece : system_.partitions[i].memory.pieces) {
        guest = piece.guest_base.value_or(guest);
        layout_.partitions[i].pieces.push_back(
            {narrow(piece.base), narrow(piece.size), narrow(guest)});
        taken_.push_back({piece.base, piece.size});
        guest += piece.size;
      }
    }
  }

  void place_span(std::size_t index, bool identity) {
    const system::Partition& partition = system_.partitions[index];
    const std::uint64_t size = *partition.memory.size;
    std::vector<std::uint64_t> candidates = {board_.ram_base};
    if (!identity) {
      for (const Extent& other : taken_) candidates.push_back(other.end());
      std::ranges::sort(candidates);
    }
    for (const std::uint64_t base : candidates) {
      const Extent span{base, size};
      const bool is_free = std::ranges::none_of(
          taken_, [&span](const Extent& other) { return overlap(other, span); });
      if (!is_free || span.end() > top_) continue;
      taken_.push_back(span);
      layout_.partitions[index].pieces = {{narrow(base), narrow(size), narrow(board_.ram_base)}};
      return;
    }
    if (identity) return refuse_identity(partition);
    add_error(
        system_, partition.memory.where,
        fmt::format("no room for the {} MiB of {} in one stretch", size / kMiB, partition.name),
        "raise memory in [machine], give the partition less, or list its memory pieces",
        diagnostics_);
  }

  void refuse_identity(const system::Partition& partition) {
    add_error(system_, partition.memory.where,
              fmt::format("{} has a device that masters the bus, so that its memory must start at "
                          "{:#x}, where there is no room for it",
                          partition.name, board_.ram_base),
              "let it have the first place: give other partitions other memory, or give this one "
              "devices with programmed I/O",
              diagnostics_);
  }

  const system::System& system_;
  const system::BoardInfo& board_;
  Armv7Layout layout_;
  std::vector<Extent> taken_;
  std::uint64_t top_ = 0;
  Diagnostics diagnostics_;
};

// The inside of one partition.
class Inside {
 public:
  Inside(const system::System& system, const system::Partition& partition,
         const loader::KernelImage& kernel, const system::PartitionArtifacts& artifacts,
         Armv7Placement& placement, Diagnostics& diagnostics)
      : system_(system),
        partition_(partition),
        kernel_(kernel),
        artifacts_(artifacts),
        placement_(placement),
        diagnostics_(diagnostics),
        main_{placement.pieces.front().guest_base, placement.pieces.front().size} {}

  void run() {
    place_kernel();
    if (takes_device_tree(partition_, kernel_)) place_data();
    for (std::size_t i = 0; i < kernel_.segments.size(); ++i) check_segment(kernel_.segments[i]);
  }

 private:
  void error(system::Position where, std::string what, std::string remedy) {
    add_error(system_, where, std::move(what), std::move(remedy), diagnostics_);
  }

  // Where the kernel will be while it runs, and before it has unpacked itself.
  void place_kernel() {
    for (const loader::Segment& segment : kernel_.segments) {
      taken_.push_back({segment.address, segment.memory_size});
    }
    if (kernel_.format != KernelFormat::ZImage) return;
    const loader::ZImage& zimage = kernel_.zimage;
    const std::uint64_t text = main_.base + zimage.text_offset;
    constexpr std::uint64_t kUsualSize = 32 * kMiB;  // of a kernel that does not tell
    const std::uint64_t size =
        (zimage.unpacked_size != 0 ? zimage.unpacked_size : kUsualSize) + zimage.bss_size;
    taken_.push_back({text - kPageTables, size + kPageTables});
    if (partition_.kernel.decompress && !zimage.unpacked.empty()) {
      placement_.kernel = narrow(text);
      return;
    }
    const std::uint64_t start = round_up(text + size, kMiB);
    placement_.kernel = narrow(start);
    taken_.push_back({start, zimage.memory_size});
    if (start + zimage.memory_size > main_.base + kZImageReach) {
      error(partition_.kernel.where,
            fmt::format("the zImage of {} is too large to unpack itself", partition_.name),
            "remove decompress = false, or use a smaller kernel");
    }
  }

  // Initramfs and device tree, at the end of what Linux maps directly.
  void place_data() {
    const std::uint64_t end = std::min(main_.end(), main_.base + kLowmem);
    const std::uint64_t tree_size =
        artifacts_.device_tree ? artifacts_.device_tree->bytes.size() : 0;
    placement_.device_tree_room = narrow(round_up(tree_size + kTreeGrowth, plan::kPageSize));
    const std::uint64_t initramfs = artifacts_.initramfs ? artifacts_.initramfs->bytes.size() : 0;
    const bool chosen = partition_.initramfs && partition_.initramfs->address;
    const std::uint64_t needed =
        placement_.device_tree_room + (chosen ? 0 : round_up(initramfs, plan::kPageSize));
    if (needed > end - main_.base || !has_room(end - needed)) return too_small(needed);
    placement_.device_tree = narrow(end - placement_.device_tree_room);
    if (initramfs == 0) return;
    placement_.initramfs = chosen ? *partition_.initramfs->address : narrow(end - needed);
    if (chosen) check_initramfs({placement_.initramfs, initramfs});
  }

  // Whether all of the kernel is below `limit`, or, if it is not a Linux, elsewhere.
  [[nodiscard]] bool has_room(std::uint64_t limit) const {
    return std::ranges::none_of(taken_, [&](const Extent& extent) {
      return extent.end() > limit &&
             (kernel_.format == KernelFormat::ZImage || extent.base < main_.end());
    });
  }

  void too_small(std::uint64_t data) {
    std::uint64_t top = main_.base;
    for (const Extent& extent : taken_) top = std::max(top, extent.end());
    const std::uint64_t needed = (top - main_.base + data + kMiB - 1) / kMiB;
    error(partition_.memory.where,
          fmt::format("the memory of {} is too small: its kernel, initramfs and device tree need "
                      "{} MiB in its first piece, which has {} MiB",
                      partition_.name, needed, main_.size / kMiB),
          fmt::format("give it at least {} MiB, or a smaller initramfs", needed + 16));
  }

  // An initramfs where the user wants it.
  void check_initramfs(const Extent& initramfs) {
    const system::Position where = partition_.initramfs->where;
    const std::string range = fmt::format("the initramfs of {} at {:#x}-{:#x}", partition_.name,
                                          initramfs.base, initramfs.end() - 1);
    const std::string remedy = "remove 'address', so that the tool chooses a free place";
    const Extent tree{placement_.device_tree, placement_.device_tree_room};
    const auto other = std::ranges::find_if(
        taken_, [&initramfs](const Extent& extent) { return overlap(extent, initramfs); });
    if (other != taken_.end()) {
      error(where,
            fmt::format("{} is in the way of its kernel, which takes {:#x}-{:#x}", range,
                        other->base, other->end() - 1),
            remedy);
    } else if (overlap(tree, initramfs)) {
      error(where, fmt::format("{} covers its device tree at {:#x}", range, tree.base), remedy);
    } else if (initramfs.base < main_.base ||
               initramfs.end() > std::min(main_.end(), main_.base + kLowmem)) {
      error(where,
            fmt::format("{} is outside the memory that Linux maps directly, {:#x}-{:#x}", range,
                        main_.base, std::min(main_.end(), main_.base + kLowmem) - 1),
            remedy);
    }
  }

  void check_segment(const loader::Segment& segment) {
    if (placement_.machine(segment.address, segment.memory_size)) return;
    error(partition_.kernel.where,
          fmt::format("the kernel of {} has a segment at {:#x}-{:#x}, outside its memory, which it "
                      "sees at {:#x}-{:#x}",
                      partition_.name, segment.address,
                      std::uint64_t{segment.address} + segment.memory_size - 1, main_.base,
                      main_.end() - 1),
          "link the kernel to addresses inside, or give the partition more memory");
  }

  const system::System& system_;
  const system::Partition& partition_;
  const loader::KernelImage& kernel_;
  const system::PartitionArtifacts& artifacts_;
  Armv7Placement& placement_;
  Diagnostics& diagnostics_;
  Extent main_;  // the first piece, as the guest sees it
  std::vector<Extent> taken_;
};

}  // namespace

std::optional<std::uint32_t> Armv7Placement::machine(std::uint64_t address,
                                                     std::uint64_t size) const {
  for (const plan::Piece& piece : pieces) {
    if (address >= piece.guest_base && address - piece.guest_base <= piece.size &&
        size <= piece.size - (address - piece.guest_base)) {
      return narrow(piece.base + (address - piece.guest_base));
    }
  }
  return std::nullopt;
}

bool takes_device_tree(const system::Partition& partition, const loader::KernelImage& kernel) {
  return kernel.format == KernelFormat::ZImage || !partition.armv7.device_tree.empty();
}

system::Result<Armv7Layout> place_armv7(const system::System& system,
                                        std::span<const loader::KernelImage> kernels,
                                        const system::Artifacts& artifacts) {
  auto layout = MachineMemory(system).run();
  if (!layout) return layout;
  Diagnostics diagnostics;
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    Inside(system, system.partitions[i], kernels[i], artifacts[i], layout->partitions[i],
           diagnostics)
        .run();
  }
  if (has_errors(diagnostics)) return std::unexpected(diagnostics);
  return layout;
}

system::Result<std::uint32_t> place_bundle(const system::System& system, const Armv7Layout& layout,
                                           std::uint64_t bundle_size) {
  const std::uint64_t base = system::board_info(system.machine.board).ram_base;
  const std::uint64_t top = layout.shadows.empty() ? layout.monitor_base : layout.shadows.back();
  std::uint64_t used = base;
  for (const Armv7Placement& partition : layout.partitions) {
    for (const plan::Piece& piece : partition.pieces) {
      used = std::max(used, std::uint64_t{piece.base} + piece.size);
    }
  }
  const std::uint64_t size = round_up(bundle_size, kMiB);
  if (used + size <= top) return narrow(top - size);
  const std::uint64_t missing = (used + size - top + kMiB - 1) / kMiB;
  Diagnostics diagnostics;
  add_error(system, system.machine.memory_where,
            fmt::format("no room for the monitor: it keeps {} MiB of pristine copies, {} MiB of "
                        "shadow page tables and {} MiB of its own at the top of {} MiB",
                        size / kMiB, (layout.monitor_base - top) / kMiB,
                        plan::kArmv7MonitorSize / kMiB, system.machine.memory / kMiB),
            fmt::format("raise memory in [machine] to {} MiB, or give the partitions {} MiB less",
                        system.machine.memory / kMiB + missing, missing),
            diagnostics);
  return std::unexpected(diagnostics);
}

}  // namespace mezzo::image
