// Checks the partitions' memory on an ARMv7 board: against each other, against the machine, and
// with what masters the bus.
#include <algorithm>

#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::system {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kAddressSpace = std::uint64_t{1} << 32;
constexpr std::uint64_t kShadowUnit = 16 << 10;  // a first-level table's size and alignment
// What is kept there whatever the guest does: stubs and the least number of tables (1 MiB), and a
// little for each page of its memory, to find the entries that map it.
constexpr std::uint64_t kLeastShadow = kMiB, kPerShadow = 512;
constexpr std::uint64_t kMostShadow = 256 * kMiB;

struct OwnedPiece {
  const Partition* owner;
  const MemoryPiece* piece;
  std::uint64_t guest_base;

  [[nodiscard]] std::uint64_t end() const { return piece->base + piece->size; }
  [[nodiscard]] std::uint64_t guest_end() const { return guest_base + piece->size; }
};

std::string range(std::uint64_t base, std::uint64_t end) {
  return fmt::format("{:#x}-{:#x}", base, end - 1);
}

std::uint64_t round_up(std::uint64_t value) { return (value + kMiB - 1) / kMiB * kMiB; }

// The partition's pieces with the addresses that its guest sees.
std::vector<OwnedPiece> pieces_of(const System& system, const Partition& partition) {
  std::vector<OwnedPiece> pieces;
  std::uint64_t guest = board_info(system.machine.board).ram_base;
  for (const MemoryPiece& piece : partition.memory.pieces) {
    guest = piece.guest_base.value_or(guest);
    pieces.push_back({&partition, &piece, guest});
    guest += piece.size;
  }
  return pieces;
}

void check_piece(const System& system, const OwnedPiece& owned, Diagnostics& diagnostics) {
  const MemoryPiece& piece = *owned.piece;
  const auto error = [&](std::string what, std::string remedy) {
    add_error(system, piece.where, std::move(what), std::move(remedy), diagnostics);
  };
  if (piece.size == 0) return error("a memory piece of no size", "give it a size, or remove it");
  if (piece.base % kMiB != 0 || piece.size % kMiB != 0 || owned.guest_base % kMiB != 0) {
    return error(fmt::format("base {:#x}, size {:#x} or the guest's address {:#x} is not a "
                             "multiple of 1 MiB",
                             piece.base, piece.size, owned.guest_base),
                 "use multiples of 0x100000: they are mapped by sections");
  }
  const BoardInfo& board = board_info(system.machine.board);
  const std::uint64_t end = board.ram_base + system.machine.memory;
  if (piece.base < board.ram_base || piece.base >= end || piece.size > end - piece.base) {
    return error(
        fmt::format("memory {} of {} is outside the machine's, {}", range(piece.base, owned.end()),
                    owned.owner->name, range(board.ram_base, end)),
        "move it, make it smaller, or raise memory in [machine]");
  }
  if (owned.guest_base < board.ram_base || owned.guest_end() > kAddressSpace) {
    error(fmt::format("{} would see memory at {}, where the board has devices", owned.owner->name,
                      range(owned.guest_base, owned.guest_end())),
          fmt::format("use addresses from {:#x} on, or leave 'guest' out", board.ram_base));
  }
}

void check_overlaps(const System& system, const std::vector<OwnedPiece>& pieces,
                    Diagnostics& diagnostics) {
  const auto error = [&](const OwnedPiece& second, std::string what) {
    add_error(system, second.piece->where, std::move(what), "move or shrink one of the two",
              diagnostics);
  };
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const OwnedPiece &first = pieces[j], &second = pieces[i];
      if (std::max(first.piece->base, second.piece->base) < std::min(first.end(), second.end())) {
        error(second, fmt::format("memory {} of {} overlaps {} of {} (line {})",
                                  range(second.piece->base, second.end()), second.owner->name,
                                  range(first.piece->base, first.end()), first.owner->name,
                                  first.piece->where.line));
      }
      if (first.owner == second.owner && std::max(first.guest_base, second.guest_base) <
                                             std::min(first.guest_end(), second.guest_end())) {
        error(second, fmt::format("{} would see two pieces of memory at {}", second.owner->name,
                                  range(second.guest_base, second.guest_end())));
      }
    }
  }
}

void check_size(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  const std::uint64_t size = *partition.memory.size;
  if (size != 0 && size % kMiB == 0) return;
  add_error(system, partition.memory.where,
            fmt::format("{} bytes of memory are not a multiple of 1 MiB", size),
            fmt::format("use \"{} MiB\"", std::max(round_up(size), kMiB) >> 20), diagnostics);
}

std::uint64_t memory_of(const Partition& partition) {
  std::uint64_t size = std::min(partition.memory.size.value_or(0), kAddressSpace);
  for (const MemoryPiece& piece : partition.memory.pieces) {
    size += std::min(piece.size, kAddressSpace);
  }
  return size;
}

void check_shadow(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  const std::uint64_t size = partition.armv7.shadow_memory;
  const std::uint64_t needed = kLeastShadow + memory_of(partition) / kPerShadow;
  const std::uint64_t least =
      std::min((needed + kShadowUnit - 1) / kShadowUnit * kShadowUnit, kMostShadow);
  const auto error = [&](std::string what, std::string remedy) {
    add_error(system, partition.armv7.shadow_memory_where, std::move(what), std::move(remedy),
              diagnostics);
  };
  if (size < least || size > kMostShadow) {
    error(fmt::format("{} KiB for the shadow page tables of {} are too {}", size >> 10,
                      partition.name, size < least ? "few" : "many"),
          fmt::format("choose from \"{} KiB\" to \"{} MiB\"; \"{} MiB\" is the default",
                      least >> 10, kMostShadow >> 20, Armv7Spec::kDefaultShadowMemory >> 20));
  } else if (size % kShadowUnit != 0) {
    error(fmt::format("{} bytes of shadow memory are not a multiple of 16 KiB", size),
          fmt::format("use \"{} MiB\"", round_up(size) >> 20));
  }
}

// Where a device writes is the machine's address; there is nothing that could translate it.
void check_identity(const System& system, const Partition& partition,
                    const std::vector<OwnedPiece>& pieces, Diagnostics& diagnostics) {
  const bool moved = std::ranges::any_of(
      pieces, [](const OwnedPiece& owned) { return owned.piece->base != owned.guest_base; });
  if (!moved) return;
  const BoardInfo& board = board_info(system.machine.board);
  for (const DeviceUse& use : partition.devices) {
    const BoardDevice* device = board.find(use.name);
    if (device == nullptr || !device->bus_master) continue;
    std::vector<std::string_view> others;
    for (const auto list : {board.disk_devices, board.network_devices}) {
      for (const std::string_view name : list) {
        if (!board.find(name)->bus_master) others.push_back(name);
      }
    }
    add_error(system, use.where,
              fmt::format("'{}' masters the bus by machine addresses, but {} does not see its "
                          "memory where the machine has it",
                          use.name, partition.name),
              fmt::format("use devices with programmed I/O ({}), or write memory as a size or as "
                          "pieces that are the same for both",
                          fmt::join(others, ", ")),
              diagnostics);
  }
}

// Without pieces, the tool gives the first place to the one partition that needs it.
void check_first_place(const System& system, Diagnostics& diagnostics) {
  const Partition* first = nullptr;
  for (const Partition& partition : system.partitions) {
    if (!partition.memory.size || !has_bus_master(system, partition)) continue;
    if (first == nullptr) {
      first = &partition;
      continue;
    }
    add_error(system, partition.where,
              fmt::format("{} and {} both have devices that master the bus, but only one of them "
                          "can see its memory where the machine has it",
                          first->name, partition.name),
              "give one of them devices with programmed I/O only", diagnostics);
  }
}

}  // namespace

void check_armv7_memory(const System& system, Diagnostics& diagnostics) {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 40;  // so that sums do not overflow
  std::vector<OwnedPiece> all;
  std::uint64_t total = plan::kArmv7MonitorSize;
  for (const Partition& partition : system.partitions) {
    check_shadow(system, partition, diagnostics);
    total += std::min(round_up(std::min(partition.armv7.shadow_memory, kHuge)), kHuge);
    if (partition.memory.size) {
      check_size(system, partition, diagnostics);
      total += std::min(*partition.memory.size, kHuge);
    } else if (partition.memory.pieces.empty()) {
      add_error(system, partition.memory.where, fmt::format("{} has no memory", partition.name),
                "write memory = \"256 MiB\", or list its pieces", diagnostics);
    }
    const std::vector<OwnedPiece> pieces = pieces_of(system, partition);
    for (const OwnedPiece& owned : pieces) {
      check_piece(system, owned, diagnostics);
      total += std::min(owned.piece->size, kHuge);
    }
    check_identity(system, partition, pieces, diagnostics);
    all.insert(all.end(), pieces.begin(), pieces.end());
  }
  check_overlaps(system, all, diagnostics);
  check_first_place(system, diagnostics);
  if (all.size() > plan::kMaxPieces) {
    add_error(system, all[plan::kMaxPieces].piece->where,
              fmt::format("{} memory pieces are more than {}", all.size(), plan::kMaxPieces),
              "join neighbouring pieces", diagnostics);
  }
  if (total > system.machine.memory) {
    add_error(
        system, system.machine.memory_where,
        fmt::format("the partitions, their shadow page tables and the monitor need {} MiB, the "
                    "machine has {} MiB",
                    (total + kMiB - 1) >> 20, system.machine.memory >> 20),
        "raise memory in [machine], or give the partitions less", diagnostics);
  }
}

}  // namespace mezzo::system
