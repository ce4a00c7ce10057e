// A partition at run time: its row of the plan, its row of the status region, and the state machine
// between them. Knows no architecture; who calls it owns the partition's CPU.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "abi/plan.hpp"
#include "abi/status.hpp"
#include "core/health.hpp"
#include "core/verdict.hpp"

namespace mezzo {

class Partition {
 public:
  constexpr Partition(const plan::Plan& plan, const plan::Partition& row,
                      status::PartitionStatus& status)
      : plan_(plan), row_(row), status_(status) {}

  [[nodiscard]] const plan::Plan& plan() const { return plan_; }
  [[nodiscard]] const plan::Partition& row() const { return row_; }
  [[nodiscard]] std::uint32_t index() const {
    return static_cast<std::uint32_t>(&row_ - plan_.partitions);
  }
  [[nodiscard]] status::PartitionStatus& status() const { return status_; }
  [[nodiscard]] std::span<const plan::Piece> pieces() const {
    return std::span(plan_.pieces).subspan(row_.first_piece, row_.piece_count);
  }
  [[nodiscard]] std::span<const plan::Load> loads() const {
    return std::span(plan_.loads).subspan(row_.first_load, row_.load_count);
  }

  // The largest of its pieces of memory.
  [[nodiscard]] const plan::Piece& largest_piece() const {
    return *std::ranges::max_element(pieces(), {}, &plan::Piece::size);
  }

  // Whether [address, address + bytes) is memory of this partition.
  [[nodiscard]] bool owns(std::uint32_t address, std::uint32_t bytes) const {
    for (const plan::Piece& piece : pieces()) {
      const std::uint32_t offset = address - piece.base;
      if (offset < piece.size && bytes <= piece.size - offset) return true;
    }
    return false;
  }

  // Whether the partition's policies restart it after an end for `reason`.
  [[nodiscard]] bool restarts_after(status::StopReason reason) const {
    const bool by_watchdog = reason == status::StopReason::Watchdog;
    const bool wanted = by_watchdog
                            ? row_.on_watchdog == plan::WatchdogPolicy::Restart
                            : row_.fault_policy == plan::FaultPolicy::Restart && is_fault(reason);
    return wanted && (row_.restart_limit == 0 || status_.restarts < row_.restart_limit);
  }

  void running(std::uint64_t now) {
    status_.started_tsc = now;
    status_.stopped_tsc = 0;
    status_.latency = {};
    health::begin(row_, status_.watchdog, now);
    status_.state = status::State::Running;
  }
  // Its first instruction is next. Others may have had its processor since it was built, so its
  // watchdog's time begins anew.
  void enters(std::uint64_t now) const {
    status::Watchdog& watchdog = status_.watchdog;
    health::begin(row_, watchdog, now);
    if (watchdog.expired_tsc == 0) return;
    watchdog.restart_ticks = now - watchdog.expired_tsc;
    watchdog.restart_most = std::max(watchdog.restart_most, watchdog.restart_ticks);
    watchdog.expired_tsc = 0;
  }
  void stopped(const Verdict& verdict, std::uint64_t now) {
    status_.reason = verdict.reason;
    for (unsigned n = 0; n < verdict.detail.size(); ++n) status_.detail[n] = verdict.detail[n];
    status_.stopped_tsc = now;
    status_.state = status::State::Stopped;
  }
  void restarting() {
    status_.restarts = status_.restarts + 1;
    status_.state = status::State::Restarting;
  }

  // The guest is alive.
  void kick(std::uint64_t now) const { health::kick(row_, status_.watchdog, now); }
  // So late it says that it has been, in ticks of the TSC.
  void tell_latency(std::uint32_t mean, std::uint32_t most) const {
    status_.latency = {mean, most};
  }

  void count(status::ExitCause cause) { ++status_.exits[static_cast<std::uint32_t>(cause)]; }

 private:
  // Whether the guest did not want to end.
  [[nodiscard]] static bool is_fault(status::StopReason reason) {
    return reason != status::StopReason::ByCommand && reason != status::StopReason::BySelf &&
           reason != status::StopReason::Halted;
  }

  const plan::Plan& plan_;
  const plan::Partition& row_;
  status::PartitionStatus& status_;
};

}  // namespace mezzo
