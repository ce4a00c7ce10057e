// Whether what a plan gives partitions of an ARMv7 machine beside memory is theirs alone: pools for
// their shadow tables, device registers, interrupt lines. As verify.hpp, the monitor's own check.
#pragma once

#include <cstdint>

#include "abi/plan.hpp"
#include "core/verify.hpp"

namespace mezzo {

// The pool of shadow tables is RAM, and nobody's else.
[[nodiscard]] inline bool is_pool_own(const plan::Plan& plan, std::uint32_t index) {
  constexpr std::uint32_t kAlignment = 16u << 10;
  const plan::Armv7& pool = plan.partitions[index].armv7;
  const auto is_apart = [&](std::uint32_t base, std::uint32_t size) {
    return !overlap(pool.shadow_base, pool.shadow_size, base, size);
  };
  bool own =
      pool.shadow_base % kAlignment == 0 && pool.shadow_size != 0 &&
      contains(plan.board.ram_base, plan.board.ram_size, pool.shadow_base, pool.shadow_size) &&
      is_apart(plan.monitor_base, plan.monitor_size) && is_apart(plan.store_base, plan.store_size);
  for (std::uint32_t n = 0; n < plan.piece_count; ++n) {
    own = own && is_apart(plan.pieces[n].base, plan.pieces[n].size);
  }
  for (std::uint32_t n = 0; n < index; ++n) {
    const plan::Armv7& other = plan.partitions[n].armv7;
    own = own && is_apart(other.shadow_base, other.shadow_size);
  }
  return own;
}

// Whether each CPU has registers of its own at these addresses, as in a Cortex-A9's private page.
[[nodiscard]] inline bool is_private(const plan::Board& board, const plan::Window& window) {
  return board.interface != 0 && window.size == plan::kPageSize &&
         window.base == (board.interface & ~(plan::kPageSize - 1));
}

[[nodiscard]] inline bool shares_cpu(const plan::Plan& plan, const plan::Partition& row) {
  std::uint32_t count = 0;
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    if (plan.partitions[n].cpu == row.cpu) ++count;
  }
  return count > 1;
}

// A window of a partition's leads to no memory and to nothing of the monitor's; a mapped one to
// nothing that another partition has mapped, but for what each CPU has its own of.
[[nodiscard]] inline bool is_window_own(const plan::Plan& plan, std::uint32_t owner,
                                        const plan::Window& window) {
  const auto aligned = [](std::uint32_t value) { return value % plan::kPageSize == 0; };
  if (window.kind >= plan::WindowKind::Count) return false;
  if (!plan::is_of_machine(window.kind)) return true;
  const plan::Board& board = plan.board;
  if (!aligned(window.base) || !aligned(window.size) || window.size == 0) return false;
  if (!contains(0, std::uint64_t{1} << 32, window.base, window.size)) return false;
  if (overlap(window.base, window.size, board.ram_base, board.ram_size)) return false;
  if (window.kind != plan::WindowKind::Direct) return true;
  if (is_private(board, window)) return !shares_cpu(plan, plan.partitions[owner]);
  const std::uint32_t interface = board.interface & ~(plan::kPageSize - 1);
  for (const std::uint32_t page : {board.distributor, interface}) {
    if (page != 0 && overlap(window.base, window.size, page, plan::kPageSize)) return false;
  }
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    const plan::Partition& other = plan.partitions[n];
    if (n == owner) continue;
    for (std::uint32_t w = other.first_window; w < other.first_window + other.window_count; ++w) {
      const bool taken =
          plan.windows[w].kind == plan::WindowKind::Direct &&
          overlap(window.base, window.size, plan.windows[w].base, plan.windows[w].size);
      if (taken) return false;
    }
  }
  return true;
}

// Every line is one partition's. Those below 32 are each CPU's own.
[[nodiscard]] inline bool are_lines_own(const plan::Plan& plan, std::uint32_t index) {
  for (std::uint32_t n = 0; n < index; ++n) {
    for (std::uint32_t word = 1; word < plan::kMaxLines / 32; ++word) {
      const bool both =
          (plan.partitions[index].armv7.lines[word] & plan.partitions[n].armv7.lines[word]) != 0;
      if (both) return false;
    }
  }
  return true;
}

// After verify_header(), which says that the rows exist.
[[nodiscard]] inline PlanCheck verify_devices(const plan::Plan& plan) {
  for (std::uint32_t n = 0; n < plan.partition_count; ++n) {
    if (!is_pool_own(plan, n)) return {PlanError::PoolNotOwn, n};
    if (!are_lines_own(plan, n)) return {PlanError::LineNotOwn, n};
    const plan::Partition& row = plan.partitions[n];
    for (std::uint32_t w = row.first_window; w < row.first_window + row.window_count; ++w) {
      if (!is_window_own(plan, n, plan.windows[w])) return {PlanError::WindowNotOwn, w};
    }
  }
  return {};
}

}  // namespace mezzo
