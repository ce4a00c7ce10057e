// Whether a plan can be executed on this machine: the last check before anything is started, made
// by the monitor itself because the image may be damaged and the machine another than the tool
// thought.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "abi/plan.hpp"
#include "core/checksum.hpp"

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
  BadArchitecture,        // made for a monitor of another architecture
  BadMonitorSize,         // not what a monitor of that architecture takes
  BadCounts,              // more rows than the format holds, or rows that name missing ones
  BadStoreChecksum,       // index: load
  MonitorNotRam,          // the monitor's memory or the store is not all RAM
  PieceNotRam,            // index: piece
  PieceMisaligned,        // index: piece
  PieceMoved,             // index: piece; seen elsewhere by a guest that owns its page tables
  PiecesOverlap,          // index: piece; also with the monitor or the store
  LoadOutsidePartition,   // index: load
  LoadOutsideStore,       // index: load
  CpuTwice,               // index: partition; ARMv7: with the same priority
  NoSuchCpu,              // index: partition
  BadName,                // index: partition
  EntryOutsidePartition,  // index: partition
  FieldOutsidePartition,  // index: partition
  BadWatchdog,            // index: partition
  SilenceOutsideDevices,  // index: silence
  PoolNotOwn,             // index: partition; of shadow tables
  LineNotOwn,             // index: partition
  WindowNotOwn,           // index: window
  BadSchedule,            // index: schedule; windows, frame, or a CPU that has another one
  ScheduleOfOthers,       // index: schedule; not exactly the partitions of its CPU
  BadTimer,               // index: partition
  BadChannel,             // index: channel; not memory of its own, or not between two partitions
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
    case PlanError::BadArchitecture:
      return "the plan is for another architecture";
    case PlanError::BadMonitorSize:
      return "the plan keeps another size for the monitor than it takes";
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
    case PlanError::PieceMoved:
      return "its guest cannot see it elsewhere: piece";
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
    case PlanError::BadWatchdog:
      return "a watchdog's time or policy is out of range: partition";
    case PlanError::SilenceOutsideDevices:
      return "not a register of its partition's devices: silence";
    case PlanError::PoolNotOwn:
      return "its shadow tables are not in memory of their own: partition";
    case PlanError::LineNotOwn:
      return "an interrupt of another one's: partition";
    case PlanError::WindowNotOwn:
      return "not device registers of its partition alone: window";
    case PlanError::BadSchedule:
      return "windows that overlap, or are out of bounds: schedule";
    case PlanError::ScheduleOfOthers:
      return "not a window for each partition of its CPU and for no other: schedule";
    case PlanError::BadTimer:
      return "a timer that is not its own, or cannot be forwarded: partition";
    case PlanError::BadChannel:
      return "not memory of its own between two partitions: channel";
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
[[nodiscard]] inline PlanCheck verify_header(const plan::Plan& plan,
                                             plan::Architecture architecture) {
  if (plan.magic != plan::kMagic) return {PlanError::BadMagic};
  if (plan.version != plan::kVersion) return {PlanError::BadVersion};
  if (plan.size != sizeof plan) return {PlanError::BadSize};
  // The checksum is made with its own field 0.
  const auto* bytes = reinterpret_cast<const unsigned char*>(&plan);
  constexpr std::uint32_t kAt = offsetof(plan::Plan, crc32);
  constexpr unsigned char kZero[4] = {};
  std::uint32_t crc = checksum_of(bytes, kAt);
  crc = checksum_of(kZero, sizeof kZero, crc);
  crc = checksum_of(bytes + kAt + 4, sizeof plan - kAt - 4, crc);
  if (crc != plan.crc32) return {PlanError::BadChecksum};
  if (plan.architecture != architecture) return {PlanError::BadArchitecture};
  if (plan.monitor_size != plan::monitor_size(architecture)) return {PlanError::BadMonitorSize};
  if (plan.partition_count == 0 || plan.partition_count > plan::kMaxPartitions ||
      plan.piece_count > plan::kMaxPieces || plan.load_count > plan::kMaxLoads ||
      plan.window_count > plan::kMaxWindows || plan.silence_count > plan::kMaxSilences ||
      plan.schedule_count > plan::kMaxSchedules ||

      plan.channel_count > plan::kMaxChannels) {
    return {PlanError::BadCounts};
  }
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    const plan::Partition& row = plan.partitions[n];
    const bool inside = contains(0, plan.piece_count, row.first_piece, row.piece_count) &&
                        contains(0, plan.load_count, row.first_load, row.load_count) &&
                        contains(0, plan.window_count, row.first_window, row.window_count) &&
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

// Whether [base, base + size) meets memory of the monitor's, of a partition's, or of one of the
// first `channels` channels.
[[nodiscard]] inline bool is_taken(const plan::Plan& plan, std::uint32_t base, std::uint32_t size,
                                   std::uint32_t pieces, std::uint32_t channels) {
  bool taken = overlap(base, size, plan.monitor_base, plan.monitor_size) ||
               overlap(base, size, plan.store_base, plan.store_size);
  for (std::uint32_t n = 0; n < pieces; ++n) {
    taken |= overlap(base, size, plan.pieces[n].base, plan.pieces[n].size);
  }
  for (std::uint32_t n = 0; n < channels; ++n) {
    taken |= overlap(base, size, plan.channels[n].base, plan.channels[n].size);
  }
  return taken;
}

// Channels: memory of their own, two partitions, doorbells at lines of an I/O APIC that its end
// has.
[[nodiscard]] inline PlanCheck verify_channels(const plan::Plan& plan,
                                               std::span<const MemoryRange> ram) {
  constexpr std::uint32_t kMaxInputs = 120;  // whose registers an 8-bit index reaches
  for (std::uint32_t n = 0; n < plan.channel_count; ++n) {
    const plan::Channel& row = plan.channels[n];
    const bool good_memory = row.base % plan::kPageSize == 0 && row.size % plan::kPageSize == 0 &&
                             row.size != 0 && is_ram(ram, row.base, row.size) &&
                             !is_taken(plan, row.base, row.size, plan.piece_count, n);
    bool good_ends = row.ends[0].partition != row.ends[1].partition;
    for (const plan::ChannelEnd& end : row.ends) {
      if (end.partition >= plan.partition_count) return {PlanError::BadChannel, n};
      const plan::Partition& owner = plan.partitions[end.partition];
      good_ends &= end.line == plan::kNoLine ||
                   (end.line < kMaxInputs && owner.interrupts == plan::InterruptController::IoApic);
    }
    if (!good_memory || !good_ends) return {PlanError::BadChannel, n};
  }
  return {};
}

// Memory: everything the plan names is RAM, aligned, and nobody's twice.
[[nodiscard]] inline PlanCheck verify_memory(const plan::Plan& plan,
                                             std::span<const MemoryRange> ram) {
  const auto aligned = [](std::uint32_t value) { return value % plan::kPageSize == 0; };
  const bool monitor_good =
      aligned(plan.monitor_base) && aligned(plan.store_base) &&
      is_ram(ram, plan.monitor_base, plan.monitor_size) &&
      is_ram(ram, plan.store_base, plan.store_size) &&
      !overlap(plan.monitor_base, plan.monitor_size, plan.store_base, plan.store_size);
  if (!monitor_good) return {PlanError::MonitorNotRam};
  for (std::uint32_t n = 0; n < plan.piece_count; ++n) {
    const plan::Piece& piece = plan.pieces[n];
    if (!aligned(piece.base) || !aligned(piece.guest_base) || !aligned(piece.size) ||
        piece.size == 0) {
      return {PlanError::PieceMisaligned, n};
    }
    if (plan.architecture == plan::Architecture::Ia32 && piece.guest_base != piece.base) {
      return {PlanError::PieceMoved, n};
    }
    if (!is_ram(ram, piece.base, piece.size)) return {PlanError::PieceNotRam, n};
    if (is_taken(plan, piece.base, piece.size, n, 0)) return {PlanError::PiecesOverlap, n};
  }
  return verify_channels(plan, ram);
}

// Whether [address, address + bytes) lies in one piece of the partition.
[[nodiscard]] inline bool owns(const plan::Plan& plan, const plan::Partition& row,
                               std::uint32_t address, std::uint32_t bytes) {
  for (std::uint32_t p = row.first_piece; p < row.first_piece + row.piece_count; ++p) {
    if (contains(plan.pieces[p].base, plan.pieces[p].size, address, bytes)) return true;
  }
  return false;
}

// Whether the guest-physical address is in one piece of the partition.
[[nodiscard]] inline bool owns_guest(const plan::Plan& plan, const plan::Partition& row,
                                     std::uint32_t address) {
  for (std::uint32_t p = row.first_piece; p < row.first_piece + row.piece_count; ++p) {
    if (contains(plan.pieces[p].guest_base, plan.pieces[p].size, address, 1)) return true;
  }
  return false;
}

[[nodiscard]] inline bool is_in_store(const plan::Plan& plan, const plan::Load& load) {
  return load.file_size <= load.memory_size &&
         contains(0, plan.store_size, load.store_offset, load.file_size);
}

// Whether the row writes to a register that its partition's guest could write to itself, and not to
// memory. Windows are machine addresses.
[[nodiscard]] inline bool is_in_devices(const plan::Plan& plan, const plan::Silence& row) {
  constexpr std::uint32_t kWord = 4;
  if (row.partition >= plan.partition_count || row.address % kWord != 0) return false;
  if (overlap(plan.board.ram_base, plan.board.ram_size, row.address, kWord)) return false;
  const plan::Partition& owner = plan.partitions[row.partition];
  for (std::uint32_t w = owner.first_window; w < owner.first_window + owner.window_count; ++w) {
    const plan::Window& window = plan.windows[w];
    const bool is_direct = window.kind == plan::WindowKind::Direct;
    if (is_direct && contains(window.base, window.size, row.address, kWord)) return true;
  }
  return false;
}

// The time table of `cpu`; null if it has none. Of a plan whose counts are verified.
[[nodiscard]] inline const plan::Schedule* schedule_of(const plan::Plan& plan, std::uint32_t cpu) {
  for (std::uint32_t n = 0; n < plan.schedule_count; ++n) {
    if (plan.schedules[n].cpu == cpu) return &plan.schedules[n];
  }
  return nullptr;
}

// Whether the windows are in the order of time, long enough, and inside the frame.
[[nodiscard]] inline bool has_good_windows(const plan::Schedule& schedule) {
  if (schedule.frame_us > plan::kMaxFrameUs) return false;
  if (schedule.window_count == 0 || schedule.window_count > plan::kMaxTimeWindows) return false;
  std::uint32_t end = 0;
  for (const plan::TimeWindow& window : std::span(schedule.windows).first(schedule.window_count)) {
    if (window.length_us < plan::kMinTimeWindowUs || window.start_us < end) return false;
    if (!contains(0, schedule.frame_us, window.start_us, window.length_us)) return false;
    end = window.start_us + window.length_us;
  }
  return true;
}

// Whether the partitions with windows are those of the CPU, and more than one.
[[nodiscard]] inline bool serves_its_cpu(const plan::Plan& plan, const plan::Schedule& schedule) {
  std::uint32_t served = 0, own = 0, count = 0;  // bit n: partition n
  for (const plan::TimeWindow& window : std::span(schedule.windows).first(schedule.window_count)) {
    if (window.partition >= plan.partition_count) return false;
    served |= 1u << window.partition;
  }
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    if (plan.partitions[n].cpu != schedule.cpu) continue;
    own |= 1u << n;
    ++count;
  }
  return served == own && count > 1;
}

// Time tables. Of a plan whose counts are verified.
[[nodiscard]] inline PlanCheck verify_schedules(const plan::Plan& plan) {
  static_assert(plan::kMaxPartitions <= 32);
  for (std::uint32_t n = 0; n < plan.schedule_count; ++n) {
    const plan::Schedule& schedule = plan.schedules[n];
    const bool is_first = schedule_of(plan, schedule.cpu) == &schedule;
    if (!is_first || !has_good_windows(schedule)) return {PlanError::BadSchedule, n};
    if (!serves_its_cpu(plan, schedule)) return {PlanError::ScheduleOfOthers, n};
  }
  return {};
}

// What a partition of an IA-32 machine has beside: known kinds, a timer of its own, and a forwarder
// that is another CPU.
[[nodiscard]] inline bool is_ia32_good(const plan::Plan& plan, std::uint32_t index,
                                       std::uint32_t cpu_count) {
  constexpr std::uint32_t kFirstVector = 32, kVectors = 256;
  const plan::Partition& row = plan.partitions[index];
  const plan::Ia32& own = row.ia32;
  if (own.real_time > 1 || own.idle > plan::IdleWait::Poll || own.timer > plan::Timer::Hpet) {
    return false;
  }
  for (std::uint32_t n = 0; n < index; ++n) {
    if (own.timer != plan::Timer::LocalApic && plan.partitions[n].ia32.timer == own.timer) {
      return false;
    }
  }
  if (own.timer == plan::Timer::Pit && row.interrupts != plan::InterruptController::Pic)
    return false;
  if (own.is_forwarded == 0) return true;
  return own.timer == plan::Timer::Pit && own.forwarder < cpu_count && own.forwarder != row.cpu &&
         own.timer_vector >= kFirstVector && own.timer_vector < kVectors;
}

// Whether two partitions can share a processor of an IA-32 machine: a real-time one that has
// nothing but its local APIC, and lets go of the processor, and one that has the PIC, and no
// channel whose doorbell would interrupt it.
[[nodiscard]] inline bool can_share_ia32(const plan::Plan& plan, std::uint32_t first,
                                         std::uint32_t second) {
  if (plan.partitions[first].ia32.real_time == 0) std::swap(first, second);
  const plan::Partition &urgent = plan.partitions[first], &other = plan.partitions[second];
  const auto has_second = [&](const plan::Channel& channel) {
    return channel.ends[0].partition == second || channel.ends[1].partition == second;
  };
  const auto has_pic = [](const plan::Partition& row) {
    return row.interrupts == plan::InterruptController::Pic;
  };
  return urgent.ia32.real_time != 0 && other.ia32.real_time == 0 &&
         std::ranges::none_of(std::span(plan.channels).first(plan.channel_count), has_second) &&
         std::ranges::count_if(std::span(plan.partitions).first(plan.partition_count), has_pic) ==
             1 &&
         urgent.ia32.timer == plan::Timer::LocalApic &&
         urgent.interrupts == plan::InterruptController::None && has_pic(other) &&
         urgent.ia32.idle == plan::IdleWait::Halt && other.ia32.idle == plan::IdleWait::Halt;
}

// Whether two partitions can have the same processor.
[[nodiscard]] inline bool can_share(const plan::Plan& plan, std::uint32_t first,
                                    std::uint32_t second) {
  if (plan.architecture == plan::Architecture::Ia32) return can_share_ia32(plan, first, second);
  const plan::Partition &one = plan.partitions[first], &other = plan.partitions[second];
  return schedule_of(plan, one.cpu) != nullptr || one.armv7.priority != other.armv7.priority;
}

// Partitions: CPUs that exist and are given once, or to partitions that can share, and nothing that
// the monitor writes, or the guest starts at, outside.
[[nodiscard]] inline PlanCheck verify_partitions(const plan::Plan& plan, std::uint32_t cpu_count) {
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    const plan::Partition& row = plan.partitions[n];
    if (row.cpu >= cpu_count) return {PlanError::NoSuchCpu, n};
    for (std::uint32_t m = 0; m < n; ++m) {
      if (plan.partitions[m].cpu == row.cpu && !can_share(plan, m, n)) {
        return {PlanError::CpuTwice, n};
      }
    }
    if (plan.architecture == plan::Architecture::Ia32 && !is_ia32_good(plan, n, cpu_count)) {
      return {PlanError::BadTimer, n};
    }
    if (!owns_guest(plan, row, row.entry)) return {PlanError::EntryOutsidePartition, n};
    if (row.watchdog_us > plan::kMaxWatchdogUs || row.watchdog_boot_us > plan::kMaxWatchdogUs ||
        row.on_watchdog > plan::WatchdogPolicy::Restart) {
      return {PlanError::BadWatchdog, n};
    }
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
  if (const PlanCheck schedules = verify_schedules(plan); !schedules.good()) return schedules;
  for (std::uint32_t n = 0; n < plan.silence_count; ++n) {
    if (!is_in_devices(plan, plan.silences[n])) return {PlanError::SilenceOutsideDevices, n};
  }
  return {};
}

// The copies in the store are as the tool wrote them. `store`: plan.store_size readable bytes.
[[nodiscard]] inline PlanCheck verify_store(const plan::Plan& plan, const unsigned char* store) {
  for (std::uint32_t n = 0; n < plan.load_count; ++n) {
    const plan::Load& load = plan.loads[n];
    if (!is_in_store(plan, load)) return {PlanError::LoadOutsideStore, n};
    if (checksum_of(store + load.store_offset, load.file_size) != load.crc32) {
      return {PlanError::BadStoreChecksum, n};
    }
  }
  return {};
}

}  // namespace mezzo
