// Whether a plan can be executed on this machine: the last check before anything is started, made
// by the monitor itself because the image may be damaged and the machine another than the tool
// thought.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/plan.hpp"

namespace mezzo {

// A stretch of RAM, as the firmware reports it.
struct MemoryRange {
  std::uint64_t base;
  std::uint64_t size;
};

enum class PlanError : std::uint32_t {
  None = 0,
  BadMagic,
  BadVersion,
  BadSize,
  BadChecksum,
  BadCounts,              // more rows than the format holds, or rows that name missing ones
  BadStoreChecksum,       // index: load
  MonitorNotRam,          // the monitor's memory or the store is not all RAM
  PieceNotRam,            // index: piece
  PieceMisaligned,        // index: piece
  PiecesOverlap,          // index: piece; also with the monitor or the store
  LoadOutsidePartition,   // index: load
  LoadOutsideStore,       // index: load
  CpuTwice,               // index: partition
  NoSuchCpu,              // index: partition
  BadName,                // index: partition
  EntryOutsidePartition,  // index: partition
  FieldOutsidePartition,  // index: partition
};

[[nodiscard]] constexpr const char* describe(PlanError error) {
  switch (error) {
    case PlanError::None:
      return "good";
    case PlanError::BadMagic:
      return "there is no plan in the image";
    case PlanError::BadVersion:
      return "the plan is of another version";
    case PlanError::BadSize:
      return "the plan has another size";
    case PlanError::BadChecksum:
      return "the plan's checksum is wrong";
    case PlanError::BadCounts:
      return "the plan's row counts are wrong";
    case PlanError::BadStoreChecksum:
      return "a guest's copy is damaged: checksum of load";
    case PlanError::MonitorNotRam:
      return "the monitor's memory is not RAM on this machine";
    case PlanError::PieceNotRam:
      return "not RAM on this machine: piece";
    case PlanError::PieceMisaligned:
      return "not on page boundaries: piece";
    case PlanError::PiecesOverlap:
      return "overlaps another piece or the monitor: piece";
    case PlanError::LoadOutsidePartition:
      return "outside its partition: load";
    case PlanError::LoadOutsideStore:
      return "outside the image: load";
    case PlanError::CpuTwice:
      return "a CPU with two partitions: partition";
    case PlanError::NoSuchCpu:
      return "the machine lacks the CPU of partition";
    case PlanError::BadName:
      return "a name without end: partition";
    case PlanError::EntryOutsidePartition:
      return "starts outside its memory: partition";
    case PlanError::FieldOutsidePartition:
      return "its clock frequency goes outside its memory: partition";
  }
  return "unknown error";
}

struct PlanCheck {
  PlanError error = PlanError::None;
  std::uint32_t index = 0;
  [[nodiscard]] bool good() const { return error == PlanError::None; }
};

[[nodiscard]] constexpr bool contains(std::uint64_t base, std::uint64_t size, std::uint64_t inner,
                                      std::uint64_t inner_size) {
  return inner >= base && inner_size <= size && inner - base <= size - inner_size;
}
[[nodiscard]] constexpr bool overlap(std::uint64_t a, std::uint64_t a_size, std::uint64_t b,
                                     std::uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

// Header, checksum and counts: what must hold before a row may be read.
[[nodiscard]] inline PlanCheck verify_header(const plan::Plan& plan) {
  if (plan.magic != plan::kMagic) return {PlanError::BadMagic};
  if (plan.version != plan::kVersion) return {PlanError::BadVersion};
  if (plan.size != sizeof plan) return {PlanError::BadSize};
  // The checksum is made with its own field 0.
  const auto* bytes = reinterpret_cast<const unsigned char*>(&plan);
  constexpr std::uint32_t kAt = offsetof(plan::Plan, crc32);
  constexpr unsigned char kZero[4] = {};
  std::uint32_t crc = plan::crc32(bytes, kAt);
  crc = plan::crc32(kZero, sizeof kZero, crc);
  crc = plan::crc32(bytes + kAt + 4, sizeof plan - kAt - 4, crc);
  if (crc != plan.crc32) return {PlanError::BadChecksum};
  if (plan.partition_count == 0 || plan.partition_count > plan::kMaxPartitions ||
      plan.piece_count > plan::kMaxPieces || plan.load_count > plan::kMaxLoads) {
    return {PlanError::BadCounts};
  }
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    const plan::Partition& row = plan.partitions[n];
    const bool inside = contains(0, plan.piece_count, row.first_piece, row.piece_count) &&
                        contains(0, plan.load_count, row.first_load, row.load_count) &&
                        row.piece_count > 0 && row.bus_master_count <= plan::kMaxBusMasters;
    if (!inside) return {PlanError::BadCounts, n};
    for (std::uint32_t m = 0; m < n; ++m) {
      const plan::Partition& other = plan.partitions[m];
      const bool shares =
          overlap(row.first_piece, row.piece_count, other.first_piece, other.piece_count);
      if (shares) return {PlanError::BadCounts, n};
    }
    if (row.name[plan::kNameSize - 1] != 0) return {PlanError::BadName, n};
  }
  return {};
}

// Whether [base, base + size) is all RAM, and none of it beyond 4 GiB.
[[nodiscard]] inline bool is_ram(std::span<const MemoryRange> ram, std::uint32_t base,
                                 std::uint32_t size) {
  if (!contains(0, std::uint64_t{1} << 32, base, size)) return false;
  for (const MemoryRange& range : ram) {
    if (contains(range.base, range.size, base, size)) return true;
  }
  return false;
}

// Memory: everything the plan names is RAM, aligned, and nobody's twice.
[[nodiscard]] inline PlanCheck verify_memory(const plan::Plan& plan,
                                             std::span<const MemoryRange> ram) {
  const auto aligned = [](std::uint32_t value) { return value % plan::kPageSize == 0; };
  const bool monitor_good =
      aligned(plan.monitor_base) && aligned(plan.store_base) &&
      is_ram(ram, plan.monitor_base, plan::kMonitorSize) &&
      is_ram(ram, plan.store_base, plan.store_size) &&
      !overlap(plan.monitor_base, plan::kMonitorSize, plan.store_base, plan.store_size);
  if (!monitor_good) return {PlanError::MonitorNotRam};
  for (std::uint32_t n = 0; n < plan.piece_count; ++n) {
    const plan::Piece& piece = plan.pieces[n];
    if (!aligned(piece.base) || !aligned(piece.size) || piece.size == 0) {
      return {PlanError::PieceMisaligned, n};
    }
    if (!is_ram(ram, piece.base, piece.size)) return {PlanError::PieceNotRam, n};
    bool taken = overlap(piece.base, piece.size, plan.monitor_base, plan::kMonitorSize) ||
                 overlap(piece.base, piece.size, plan.store_base, plan.store_size);
    for (std::uint32_t m = 0; m < n; ++m) {
      taken |= overlap(piece.base, piece.size, plan.pieces[m].base, plan.pieces[m].size);
    }
    if (taken) return {PlanError::PiecesOverlap, n};
  }
  return {};
}

// Whether [address, address + bytes) lies in one piece of the partition.
[[nodiscard]] inline bool owns(const plan::Plan& plan, const plan::Partition& row,
                               std::uint32_t address, std::uint32_t bytes) {
  for (std::uint32_t p = row.first_piece; p < row.first_piece + row.piece_count; ++p) {
    if (contains(plan.pieces[p].base, plan.pieces[p].size, address, bytes)) return true;
  }
  return false;
}

[[nodiscard]] inline bool is_in_store(const plan::Plan& plan, const plan::Load& load) {
  return load.file_size <= load.memory_size &&
         contains(0, plan.store_size, load.store_offset, load.file_size);
}

// Partitions: CPUs that exist and are given once, and nothing that the monitor writes, or the guest
// starts at, outside.
[[nodiscard]] inline PlanCheck verify_partitions(const plan::Plan& plan, std::uint32_t cpu_count) {
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    const plan::Partition& row = plan.partitions[n];
    if (row.cpu >= cpu_count) return {PlanError::NoSuchCpu, n};
    for (std::uint32_t m = 0; m < n; ++m) {
      if (plan.partitions[m].cpu == row.cpu) return {PlanError::CpuTwice, n};
    }
    if (!owns(plan, row, row.entry, 1)) return {PlanError::EntryOutsidePartition, n};
    const bool has_field = row.tsc_khz_field != 0;
    if (has_field && !owns(plan, row, row.tsc_khz_field, plan::kTscFieldSize)) {
      return {PlanError::FieldOutsidePartition, n};
    }
    for (std::uint32_t l = row.first_load; l < row.first_load + row.load_count; ++l) {
      const plan::Load& load = plan.loads[l];
      if (!is_in_store(plan, load)) return {PlanError::LoadOutsideStore, l};
      if (!owns(plan, row, load.destination, load.memory_size)) {
        return {PlanError::LoadOutsidePartition, l};
      }
    }
  }
  return {};
}

// The copies in the store are as the tool wrote them. `store`: plan.store_size readable bytes.
[[nodiscard]] inline PlanCheck verify_store(const plan::Plan& plan, const unsigned char* store) {
  for (std::uint32_t n = 0; n < plan.load_count; ++n) {
    const plan::Load& load = plan.loads[n];
    if (!is_in_store(plan, load)) return {PlanError::LoadOutsideStore, n};
    if (plan::crc32(store + load.store_offset, load.file_size) != load.crc32) {
      return {PlanError::BadStoreChecksum, n};
    }
  }
  return {};
}

}  // namespace mezzo
