// First fit, low to high, around what the user and the kernels have fixed.
#include "image/memory.hpp"

#include <algorithm>
#include <limits>

#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::image {
namespace {

using system::Diagnostics;
using system::KernelFormat;
using system::kLegacyHoleBase;
using system::kLegacyHoleEnd;

constexpr std::uint64_t kLowPieceSize = 0x10000;    // enough for Linux' real-mode trampoline
constexpr std::uint64_t kFirstLowPiece = 0x10000;   // page 0 and the start-up page stay below
constexpr std::uint64_t kSpanAlignment = 16 << 20;  // Linux' usual kernel alignment
constexpr std::uint64_t kImageAlignment = 4 << 20;

bool is_linux(const loader::KernelImage& kernel) {
  return kernel.format == KernelFormat::BzImage && kernel.linux_image.is_linux;
}

// Where the kernel must lie: nowhere in particular if it can be moved.
std::vector<Extent> fixed_parts(const loader::KernelImage& kernel) {
  const loader::LinuxImage& image = kernel.linux_image;
  if (kernel.format == KernelFormat::BzImage && !image.relocatable) {
    return {{image.preferred_address, image.init_size}};
  }
  std::vector<Extent> parts;
  for (const loader::Segment& segment : kernel.segments) {
    parts.push_back({segment.address, segment.memory_size});
  }
  return parts;
}

bool has_low_memory(const std::vector<Extent>& pieces) {
  return std::ranges::any_of(pieces, [](const Extent& piece) {
    const std::uint64_t base = std::max(piece.base, std::uint64_t{plan::kPageSize});
    return std::min(piece.end(), kLegacyHoleBase) >= base + kLowPieceSize;
  });
}

// `extents` without what `hole` covers.
std::vector<Extent> subtract(const std::vector<Extent>& extents, const Extent& hole) {
  std::vector<Extent> rest;
  for (const Extent& extent : extents) {
    if (!overlap(extent, hole)) {
      rest.push_back(extent);
      continue;
    }
    if (extent.base < hole.base) rest.push_back({extent.base, hole.base - extent.base});
    if (extent.end() > hole.end()) rest.push_back({hole.end(), extent.end() - hole.end()});
  }
  return rest;
}

class MemoryPlanner {
 public:
  MemoryPlanner(const system::System& system, std::span<const loader::KernelImage> kernels)
      : system_(system), kernels_(kernels), pieces_(system.partitions.size()) {}

  system::Result<std::vector<std::vector<Extent>>> run() {
    take_explicit();
    for (const bool fixed : {true, false}) {
      for (std::size_t i = 0; i < pieces_.size(); ++i) {
        const bool has_fixed = !fixed_parts(kernels_[i]).empty();
        if (system_.partitions[i].memory.size && has_fixed == fixed) place_span(i);
      }
    }
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (is_linux(kernels_[i]) && !pieces_[i].empty()) ensure_low_memory(i);
    }
    give_first_page();
    for (auto& list : pieces_) std::ranges::sort(list, {}, &Extent::base);
    if (has_errors(diagnostics_)) return std::unexpected(diagnostics_);
    return std::move(pieces_);
  }

 private:
  void take_explicit() {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      for (const system::MemoryPiece& piece : system_.partitions[i].memory.pieces) {
        pieces_[i].push_back({piece.base, piece.size});
        taken_.push_back({piece.base, piece.size});
      }
    }
  }

  // True if nobody has any of `span` above the legacy hole. Low memory is divided later.
  [[nodiscard]] bool is_free(const Extent& span) const {
    if (span.base == 0 && low_owner_) return false;
    return std::ranges::none_of(taken_, [&span](const Extent& other) {
      return other.end() > kLegacyHoleEnd && overlap(other, span);
    });
  }

  // Bases worth trying for partition `index`, ascending.
  [[nodiscard]] std::vector<std::uint64_t> candidates(std::size_t index) const {
    const auto parts = fixed_parts(kernels_[index]);
    if (!parts.empty()) {
      return {0,
              std::ranges::min(parts, {}, &Extent::base).base / kImageAlignment * kImageAlignment};
    }
    std::vector<std::uint64_t> bases = {0, kSpanAlignment};
    for (const Extent& other : taken_) {
      bases.push_back((other.end() + kSpanAlignment - 1) / kSpanAlignment * kSpanAlignment);
    }
    std::ranges::sort(bases);
    return bases;
  }

  [[nodiscard]] bool covers_kernel(std::size_t index, const Extent& span) const {
    return std::ranges::all_of(fixed_parts(kernels_[index]), [&span](const Extent& part) {
      return part.base >= span.base && part.end() <= span.end();
    });
  }

  void place_span(std::size_t index) {
    const system::Partition& partition = system_.partitions[index];
    const std::uint64_t size = *partition.memory.size;
    for (const std::uint64_t base : candidates(index)) {
      const Extent span{base, size};
      if (span.end() > monitor_base(system_.machine)) break;
      if (!is_free(span) || !covers_kernel(index, span)) continue;
      taken_.push_back(span);
      pieces_[index] = {span};
      if (base == 0) {
        low_owner_ = index;
        pieces_[index] =
            subtract(pieces_[index], {kLegacyHoleBase, kLegacyHoleEnd - kLegacyHoleBase});
        cut_explicit_low_pieces(index);
      }
      return;
    }
    if (!explain_fixed_kernel(index)) {
      add_error(
          system_, partition.memory.where,
          fmt::format("no room for the {} MiB of {} in one stretch", size >> 20, partition.name),
          "raise memory in [machine], give the partition less, or list its memory pieces",
          diagnostics_);
    }
  }

  // Whether the reason is where the kernel must lie. Then it is said.
  bool explain_fixed_kernel(std::size_t index) {
    constexpr std::uint64_t kMiB = 1 << 20;
    const system::Partition& partition = system_.partitions[index];
    const auto parts = fixed_parts(kernels_[index]);
    if (parts.empty()) return false;
    const std::uint64_t first = std::ranges::min(parts, {}, &Extent::base).base;
    const std::uint64_t end = std::ranges::max(parts, {}, &Extent::end).end();
    const std::string kernel =
        fmt::format("the kernel of {} must lie at {:#x}-{:#x}", partition.name, first, end - 1);
    const std::uint64_t base = candidates(index).back();
    if (end - base > *partition.memory.size) {
      add_error(system_, partition.memory.where,
                fmt::format("{}, and does not fit into {} KiB of memory from {:#x} on", kernel,
                            *partition.memory.size >> 10, base),
                fmt::format("give it at least {} MiB", (end - base + kMiB - 1) / kMiB),
                diagnostics_);
      return true;
    }
    const auto has_it = [&](const std::vector<Extent>& pieces) {
      return std::ranges::any_of(
          pieces, [&](const Extent& piece) { return overlap(piece, {first, end - first}); });
    };
    const auto owner = std::ranges::find_if(pieces_, has_it);
    if (owner == pieces_.end()) return false;
    add_error(
        system_, partition.memory.where,
        fmt::format("{}, where {} has its memory", kernel,
                    system_.partitions[static_cast<std::size_t>(owner - pieces_.begin())].name),
        "link one of the two to another address, or list the other's memory pieces elsewhere: "
        "each has the addresses of the machine",
        diagnostics_);
    return true;
  }

  void cut_explicit_low_pieces(std::size_t index) {
    for (std::size_t other = 0; other < pieces_.size(); ++other) {
      if (other == index) continue;
      for (const Extent& piece : pieces_[other]) {
        if (piece.base < kLegacyHoleBase) pieces_[index] = subtract(pieces_[index], piece);
      }
    }
  }

  // A Linux guest without conventional memory gets 64 KiB of it.
  void ensure_low_memory(std::size_t index) {
    if (has_low_memory(pieces_[index])) return;
    const system::Partition& partition = system_.partitions[index];
    if (!partition.memory.size) {
      add_error(system_, partition.memory.where,
                fmt::format("{} has no 64 KiB of memory between 0x1000 and 0x9efff, which Linux "
                            "needs for its trampoline",
                            partition.name),
                "add a piece such as { base = 0x10000, size = \"64 KiB\" }", diagnostics_);
      return;
    }
    for (std::uint64_t base = kFirstLowPiece; base + kLowPieceSize <= kLegacyHoleBase;
         base += kLowPieceSize) {
      const Extent piece{base, kLowPieceSize};
      if (!may_take_low(piece)) continue;
      if (low_owner_) pieces_[*low_owner_] = subtract(pieces_[*low_owner_], piece);
      pieces_[index].push_back(piece);
      taken_.push_back(piece);
      return;
    }
    add_error(system_, partition.memory.where,
              fmt::format("no 64 KiB of low memory are left for {}", partition.name),
              "give other partitions less memory below 640 KiB", diagnostics_);
  }

  // Some Linux has page 0, where all of them look for an MP table first (compile_ia32.cpp).
  void give_first_page() {
    const Extent page{0, plan::kPageSize};
    const auto has_it = [&page](const std::vector<Extent>& pieces) {
      return std::ranges::any_of(pieces,
                                 [&page](const Extent& piece) { return overlap(piece, page); });
    };
    if (std::ranges::any_of(pieces_, has_it)) return;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (!is_linux(kernels_[i]) || !system_.partitions[i].memory.size) continue;
      pieces_[i].push_back(page);
      return;
    }
  }

  // Low memory may be cut from a partition that gave only a size, unless its kernel is linked
  // there.
  [[nodiscard]] bool may_take_low(const Extent& piece) const {
    const bool taken = std::ranges::any_of(taken_, [&](const Extent& other) {
      const bool cut_from = low_owner_ && other.base == 0 && other.end() > kLegacyHoleEnd;
      return !cut_from && overlap(other, piece);
    });
    if (taken || !low_owner_) return !taken;
    return std::ranges::none_of(fixed_parts(kernels_[*low_owner_]),
                                [&piece](const Extent& part) { return overlap(piece, part); });
  }

  const system::System& system_;
  std::span<const loader::KernelImage> kernels_;
  std::vector<std::vector<Extent>> pieces_;
  std::vector<Extent> taken_;
  std::optional<std::size_t> low_owner_;  // the partition whose span starts at 0
  Diagnostics diagnostics_;
};

}  // namespace

std::uint64_t monitor_base(const system::Machine& machine) {
  return machine.memory - system::board_info(machine.board).firmware_top - plan::kMonitorSize;
}

std::uint64_t channel_base(const system::System& system, std::size_t index) {
  std::uint64_t base = monitor_base(system.machine);
  for (std::size_t n = 0; n <= index; ++n) base -= system.channels[n].size;
  return base;
}

system::Result<std::vector<std::vector<Extent>>> place_memory(
    const system::System& system, std::span<const loader::KernelImage> kernels) {
  return MemoryPlanner(system, kernels).run();
}

}  // namespace mezzo::image
