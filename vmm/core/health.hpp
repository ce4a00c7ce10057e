// The partitions' watchdogs: whether each of them has kicked lately. Every CPU looks after all of
// them at its heartbeat, because the one whose guest hangs may have none; what follows is done by
// the partition's own CPU (core/lifecycle.hpp).
#pragma once

#include <cstdint>

#include "abi/plan.hpp"
#include "abi/status.hpp"
#include "diag/log.hpp"

namespace mezzo::health {

// Time that every CPU can write at once: units of 1,024 ticks, modulo 2^32 (about nine minutes of
// the fastest clock, more than any watchdog's time), and never 0.
inline constexpr unsigned kCoarseShift = 10;
[[nodiscard]] constexpr std::uint32_t coarse(std::uint64_t ticks) {
  return static_cast<std::uint32_t>(ticks >> kCoarseShift) | 1;
}
// So many microseconds, or a little more: what two coarse times are apart is never too small.
[[nodiscard]] constexpr std::uint32_t coarse_of(std::uint32_t microseconds, std::uint32_t tsc_khz) {
  const std::uint64_t ticks = std::uint64_t{microseconds} * ((tsc_khz + 999) / 1000);
  return static_cast<std::uint32_t>(ticks >> kCoarseShift) + 2;
}

// The guest is alive. On its CPU.
inline void kick(const plan::Partition& row, status::Watchdog& watchdog, std::uint64_t now) {
  if (row.watchdog_us == 0) return;
  watchdog.kicks = watchdog.kicks + 1;
  __atomic_store_n(&watchdog.last_kick, coarse(now), __ATOMIC_RELEASE);
}

// A new incarnation begins to be watched: at once if it has a time to boot in, else by its first
// kick. On its CPU.
inline void begin(const plan::Partition& row, status::Watchdog& watchdog, std::uint64_t now) {
  watchdog.kicks = watchdog.has_expired = 0;
  const bool is_watched = row.watchdog_us != 0 && row.watchdog_boot_us != 0;
  __atomic_store_n(&watchdog.last_kick, is_watched ? coarse(now) : 0, __ATOMIC_RELEASE);
}

// The partition did not run for a while, as it was commanded to. On its CPU.
inline void forgive(status::Watchdog& watchdog, std::uint64_t now) {
  watchdog.has_expired = 0;
  if (watchdog.last_kick != 0) {
    __atomic_store_n(&watchdog.last_kick, coarse(now), __ATOMIC_RELEASE);
  }
}

// Whether the watchdog has run out, which one CPU is told only; it is not watched any more then,
// until the next kick.
[[nodiscard]] inline bool take_expiry(const plan::Partition& row, status::Watchdog& watchdog,
                                      std::uint64_t now, std::uint32_t tsc_khz) {
  std::uint32_t last = __atomic_load_n(&watchdog.last_kick, __ATOMIC_ACQUIRE);
  if (row.watchdog_us == 0 || last == 0) return false;
  const std::uint32_t limit =
      coarse_of(watchdog.kicks == 0 ? row.watchdog_boot_us : row.watchdog_us, tsc_khz);
  // Clocks of two CPUs may differ by a little, to either side.
  const auto over = static_cast<std::int32_t>(coarse(now) - last - limit);
  const bool is_before = static_cast<std::int32_t>(coarse(now) - last) < 0;
  if (is_before || over <= 0) return false;
  if (!__atomic_compare_exchange_n(&watchdog.last_kick, &last, 0u, false, __ATOMIC_ACQ_REL,
                                   __ATOMIC_RELAXED)) {
    return false;  // it kicked just now, or another CPU was first
  }
  watchdog.expiries = watchdog.expiries + 1;
  if (row.on_watchdog == plan::WatchdogPolicy::Log) return true;
  watchdog.expired_tsc = now - (static_cast<std::uint64_t>(over) << kCoarseShift);
  __atomic_store_n(&watchdog.has_expired, 1u, __ATOMIC_RELEASE);
  return true;
}

// At a heartbeat of any CPU's.
inline void look_after_all(const plan::Plan& plan, status::Region& region, std::uint64_t now,
                           diag::Log& log) {
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    const plan::Partition& row = plan.partitions[n];
    status::PartitionStatus& status = region.partitions[n];
    if (status.state != status::State::Running) continue;
    if (take_expiry(row, status.watchdog, now, region.tsc_khz)) {
      log.line(row.name, ": its watchdog has run out");
    }
  }
}

// Whether the CPU of partition `index` has something to do for its watchdog: it does it at its next
// heartbeat, or when it looks for commands.
[[nodiscard]] inline bool is_due(const status::Region& region, std::uint32_t index) {
  return __atomic_load_n(&region.partitions[index].watchdog.has_expired, __ATOMIC_ACQUIRE) != 0;
}

}  // namespace mezzo::health
