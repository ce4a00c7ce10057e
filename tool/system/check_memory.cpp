// Checks the partitions' memory on a PC against each other and against the machine.
#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::system {
namespace {

struct OwnedPiece {
  const Partition* owner;
  const MemoryPiece* piece;

  [[nodiscard]] std::uint64_t end() const { return piece->base + piece->size; }
};

std::string range(std::uint64_t base, std::uint64_t end) {
  return fmt::format("{:#x}-{:#x}", base, end - 1);
}

std::uint64_t round_up_to_page(std::uint64_t value) {
  return (value + plan::kPageSize - 1) / plan::kPageSize * plan::kPageSize;
}

void check_piece(const System& system, const OwnedPiece& owned, Diagnostics& diagnostics) {
  const MemoryPiece& piece = *owned.piece;
  const auto error = [&](std::string what, std::string remedy) {
    add_error(system, piece.where, std::move(what), std::move(remedy), diagnostics);
  };
  if (piece.base % plan::kPageSize != 0 || piece.size % plan::kPageSize != 0) {
    error(
        fmt::format("base {:#x} or size {:#x} is not a multiple of 4 KiB", piece.base, piece.size),
        fmt::format("use base = {:#x}, size = {:#x}",
                    piece.base / plan::kPageSize * plan::kPageSize, round_up_to_page(piece.size)));
  }
  if (piece.size == 0) return error("a memory piece of no size", "give it a size, or remove it");
  const std::uint64_t memory = system.machine.memory;
  if (piece.base >= memory || piece.size > memory - piece.base) {
    return error(fmt::format("memory {} of {} is more than the machine has ({} MiB)",
                             range(piece.base, owned.end()), owned.owner->name, memory >> 20),
                 "make it smaller, or raise memory in [machine]");
  }
  if (piece.base < kLegacyHoleEnd && owned.end() > kLegacyHoleBase) {
    error(fmt::format("memory {} of {} covers {}, which firmware and video adapters use",
                      range(piece.base, owned.end()), owned.owner->name,
                      range(kLegacyHoleBase, kLegacyHoleEnd)),
          "split it: one piece up to 0x9f000, one from 0x100000");
  }
}

void check_size(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  const std::uint64_t size = *partition.memory.size;
  if (size == 0 || size % plan::kPageSize != 0) {
    add_error(
        system, partition.memory.where,
        fmt::format("{} bytes of memory are not a multiple of 4 KiB", size),
        fmt::format("use \"{} KiB\"", std::max<std::uint64_t>(round_up_to_page(size) >> 10, 4)),
        diagnostics);
  }
}

void check_overlaps(const System& system, const std::vector<OwnedPiece>& pieces,
                    Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const OwnedPiece &first = pieces[j], &second = pieces[i];
      const std::uint64_t base = std::max(first.piece->base, second.piece->base);
      const std::uint64_t end = std::min(first.end(), second.end());
      if (base >= end) continue;
      add_error(system, second.piece->where,
                fmt::format("memory {} of {} overlaps {} of {} (line {}) in {}",
                            range(second.piece->base, second.end()), second.owner->name,
                            range(first.piece->base, first.end()), first.owner->name,
                            first.piece->where.line, range(base, end)),
                "move or shrink one of the two", diagnostics);
    }
  }
}

}  // namespace

void check_memory(const System& system, Diagnostics& diagnostics) {
  std::vector<OwnedPiece> pieces;
  std::uint64_t total = plan::kMonitorSize + board_info(system.machine.board).firmware_top;
  for (const Partition& partition : system.partitions) {
    const MemorySpec& memory = partition.memory;
    if (memory.size) {
      check_size(system, partition, diagnostics);
      total += std::min(*memory.size, std::uint64_t{1} << 40);
    } else if (memory.pieces.empty()) {
      add_error(system, memory.where, fmt::format("{} has no memory", partition.name),
                "write memory = \"192 MiB\", or list its pieces", diagnostics);
    }
    for (const MemoryPiece& piece : memory.pieces) {
      pieces.push_back({&partition, &piece});
      check_piece(system, pieces.back(), diagnostics);
      total += std::min(piece.size, std::uint64_t{1} << 40);
    }
  }
  for (const Channel& channel : system.channels) {
    total += std::min(channel.size, std::uint64_t{1} << 40);
  }
  check_overlaps(system, pieces, diagnostics);
  if (pieces.size() > plan::kMaxPieces) {
    add_error(system, pieces[plan::kMaxPieces].piece->where,
              fmt::format("{} memory pieces are more than {}", pieces.size(), plan::kMaxPieces),
              "join neighbouring pieces", diagnostics);
  }
  if (total > system.machine.memory) {
    add_error(
        system, system.machine.memory_where,
        fmt::format("the partitions and the monitor need {} MiB, the machine has {} MiB",
                    (total >> 20) + (total % (1 << 20) != 0 ? 1 : 0), system.machine.memory >> 20),
        "raise memory in [machine], or give the partitions less", diagnostics);
  }
}

}  // namespace mezzo::system
