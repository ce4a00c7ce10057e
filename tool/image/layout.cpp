// Where the kernel and what belongs to it lie inside a partition, and where the monitor lies.
#include "image/layout.hpp"

#include <algorithm>

#include "firmware/acpi.hpp"
#include "firmware/channel_functions.hpp"
#include "firmware/mp_table.hpp"
#include "image/memory.hpp"
#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::image {
namespace {

using plan::kPageSize;
using system::Diagnostics;
using system::KernelFormat;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kLowestBundle = 8 * kMiB;  // above the monitor's own image at 1 MiB

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t unit) {
  return value / unit * unit;
}

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return round_down(value + unit - 1, unit);
}

// The part of `piece` that a 32-bit Linux maps directly.
Extent lowmem_part(const Extent& piece) {
  const std::uint64_t end = std::min(piece.end(), system::kLowmemEnd);
  return end > piece.base ? Extent{piece.base, end - piece.base} : Extent{piece.base, 0};
}

// The largest piece within lowmem: everything that has a choice goes there.
Extent main_piece(const std::vector<Extent>& pieces) {
  Extent largest;
  for (const Extent& piece : pieces) {
    const Extent part = lowmem_part(piece);
    if (part.size > largest.size) largest = part;
  }
  return largest;
}

// Hands out addresses from the top of an extent downwards.
class TopDown {
 public:
  explicit TopDown(const Extent& extent) : extent_(extent), top_(extent.end()) {}

  // `size` bytes, aligned, ending below `limit`; 0 after the extent is exhausted.
  std::uint32_t take(std::uint64_t size, std::uint64_t limit = ~std::uint64_t{0},
                     std::uint64_t alignment = kPageSize) {
    const std::uint64_t end = std::min(top_, limit);
    const std::uint64_t base = size <= end ? round_down(end - size, alignment) : 0;
    top_ = std::max(base, extent_.base);
    exhausted_ = exhausted_ || base < extent_.base || size > end;
    return exhausted_ ? 0 : static_cast<std::uint32_t>(base);
  }

  [[nodiscard]] std::uint64_t top() const { return top_; }
  [[nodiscard]] bool exhausted() const { return exhausted_; }

 private:
  Extent extent_;
  std::uint64_t top_;
  bool exhausted_ = false;
};

struct Job {
  const system::System& system;
  const system::Partition& partition;
  const loader::KernelImage& kernel;
  const system::PartitionArtifacts& artifacts;
  Diagnostics& diagnostics;
  bool with_functions = false;

  [[nodiscard]] std::uint64_t initramfs_size() const {
    return artifacts.initramfs ? artifacts.initramfs->bytes.size() : 0;
  }
  void error(system::Position where, std::string what, std::string remedy) const {
    add_error(system, where, std::move(what), std::move(remedy), diagnostics);
  }
};

// Linux, as the 32-bit boot protocol wants it: kernel at the bottom, the rest at the top.
void place_linux(const Job& job, Placement& placement) {
  const loader::LinuxImage& image = job.kernel.linux_image;
  const Extent main = main_piece(placement.pieces);
  TopDown top(main);
  if (job.with_functions) {
    placement.functions =
        top.take(firmware::kFunctionsSize, ~std::uint64_t{0}, firmware::kFunctionsSize);
  }
  if (job.partition.interrupts == plan::InterruptController::Pic) {
    placement.nvs = top.take(firmware::kNvsSize);
  }
  placement.acpi = top.take(firmware::kAcpiSize);
  placement.cmdline = top.take(kPageSize);
  placement.boot_info = top.take(kPageSize);
  if (job.artifacts.initramfs) {
    placement.initramfs = top.take(job.initramfs_size(), std::uint64_t{image.initrd_max} + 1);
  }
  const std::uint64_t kernel =
      image.relocatable
          ? round_up(std::max<std::uint64_t>(main.base, image.preferred_address), image.alignment)
          : image.preferred_address;
  placement.kernel = static_cast<std::uint32_t>(kernel);
  if (!image.relocatable && !overlap(main, {kernel, image.init_size})) {
    return job.error(job.partition.kernel.where,
                     fmt::format("the kernel of {} must lie at {:#x}-{:#x}, outside its memory",
                                 job.partition.name, kernel, kernel + image.init_size - 1),
                     "add a memory piece that covers it");
  }
  if (kernel < main.base || top.exhausted() || kernel + image.init_size > top.top()) {
    const std::uint64_t needed =
        kernel - std::min(main.base, kernel) + image.init_size + (main.end() - top.top());
    job.error(job.partition.memory.where,
              fmt::format("the memory of {} is too small: its kernel, initramfs and tables need {} "
                          "MiB in one piece below {} MiB, the largest has {} MiB",
                          job.partition.name, (needed + kMiB - 1) / kMiB, system::kLowmemEnd / kMiB,
                          main.size / kMiB),
              fmt::format("give it at least {} MiB, or a smaller initramfs",
                          (needed + kMiB - 1) / kMiB + 16));
  }
}

// True if [base, base + size) lies in one of the partition's pieces.
bool inside(const std::vector<Extent>& pieces, std::uint64_t base, std::uint64_t size) {
  return std::ranges::any_of(pieces, [&](const Extent& piece) {
    return base >= piece.base && base + size <= piece.end();
  });
}

void check_segments(const Job& job, const Placement& placement) {
  const Extent startup{system::kStartupBase, system::kStartupEnd - system::kStartupBase};
  for (const loader::Segment& segment : job.kernel.segments) {
    const Extent extent{segment.address, segment.memory_size};
    if (!inside(placement.pieces, extent.base, extent.size)) {
      job.error(job.partition.kernel.where,
                fmt::format("the kernel of {} has a segment at {:#x}-{:#x}, outside its memory",
                            job.partition.name, extent.base, extent.end() - 1),
                "add a memory piece that covers it, or link the kernel to another address");
    } else if (overlap(extent, startup)) {
      job.error(
          job.partition.kernel.where,
          fmt::format("the kernel of {} has a segment at {:#x}-{:#x}, where the monitor starts "
                      "processors from",
                      job.partition.name, extent.base, extent.end() - 1),
          "link it so that it leaves 0x8000-0x8fff free");
    }
  }
}

// A multiboot kernel lies where it was linked; its information block and module go above.
void place_multiboot(const Job& job, Placement& placement) {
  TopDown top(main_piece(placement.pieces));
  placement.cmdline = top.take(kPageSize);
  placement.boot_info = top.take(kPageSize);
  if (job.artifacts.initramfs) placement.initramfs = top.take(job.initramfs_size());
  const Extent taken{top.top(), main_piece(placement.pieces).end() - top.top()};
  const bool collision =
      std::ranges::any_of(job.kernel.segments, [&taken](const loader::Segment& segment) {
        return overlap(taken, {segment.address, segment.memory_size});
      });
  if (top.exhausted() || collision) {
    job.error(
        job.partition.memory.where,
        fmt::format("the memory of {} is too small for its kernel and module", job.partition.name),
        "give it more memory");
  }
}

}  // namespace

bool has_functions(const system::System& system, std::span<const loader::KernelImage> kernels,
                   std::size_t index) {
  return kernels[index].format == KernelFormat::BzImage && system.partitions[index].owns("pci") &&
         !system.channels_of(index).empty();
}

system::Result<std::vector<Placement>> place_partitions(
    const system::System& system, std::span<const loader::KernelImage> kernels,
    const system::Artifacts& artifacts) {
  auto memory = place_memory(system, kernels);
  if (!memory) return std::unexpected(memory.error());
  Diagnostics diagnostics;
  std::vector<Placement> placements;
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    Placement placement{.pieces = std::move((*memory)[i])};
    const Job job{system,       system.partitions[i], kernels[i],
                  artifacts[i], diagnostics,          has_functions(system, kernels, i)};
    check_segments(job, placement);
    if (kernels[i].format == KernelFormat::BzImage) place_linux(job, placement);
    if (kernels[i].format == KernelFormat::Multiboot) place_multiboot(job, placement);
    placements.push_back(std::move(placement));
  }
  if (has_errors(diagnostics)) return std::unexpected(diagnostics);
  return placements;
}

system::Result<MonitorPlacement> place_monitor(const system::System& system,
                                               std::span<const Placement> partitions,
                                               std::uint64_t store_size,
                                               std::uint64_t bundle_size) {
  const std::uint64_t monitor = monitor_base(system.machine);
  const std::uint64_t rounded = round_up(store_size, kPageSize);
  // The channel placed last is the lowest.
  const std::uint64_t top =
      system.channels.empty() ? monitor : channel_base(system, system.channels.size() - 1);
  const std::uint64_t store = rounded <= top ? top - rounded : 0;
  std::uint64_t used = 0;
  for (const Placement& partition : partitions) {
    for (const Extent& piece : partition.pieces) used = std::max(used, piece.end());
  }
  std::uint64_t bundle = plan::kBundleLoadAddress;
  if (bundle + bundle_size > store) bundle = kLowestBundle;
  const std::uint64_t needed = std::max(used, bundle + bundle_size);
  if (needed > store) {
    const std::uint64_t missing = (needed - store + kMiB - 1) / kMiB;
    Diagnostics diagnostics;
    add_error(
        system, system.machine.memory_where,
        fmt::format("no room for the monitor: it keeps {} MiB of pristine copies and 1 MiB of "
                    "its own at the top of {} MiB, where partitions or the boot image are",
                    (rounded + kMiB - 1) / kMiB, system.machine.memory / kMiB),
        fmt::format("raise memory in [machine] to {} MiB, or give the partitions {} MiB less",
                    system.machine.memory / kMiB + missing, missing),
        diagnostics);
    return std::unexpected(diagnostics);
  }
  return MonitorPlacement{static_cast<std::uint32_t>(monitor), static_cast<std::uint32_t>(store),
                          static_cast<std::uint32_t>(bundle)};
}

}  // namespace mezzo::image
