// Loops of cache or TLB maintenance by address, which kernels run over ranges. The exit at the
// first step does the whole range, as far as a bound on the time with interrupts off allows.
//
//   1: MCR p15, .., Rt, c7 or c8, ..   2: ADD Rt, Rt, #n or Rt, Rm   3: CMP Rt, Rn   4: BLO 1
// or, by the bytes that are left:                                    3: SUBS Rn, Rn, Rm  4: BHI 1
#pragma once

#include <algorithm>
#include <array>
#include <optional>

#include "arch/armv7/emulate.hpp"

namespace mezzo::armv7 {

// Four words of such a loop.
struct LoopShape {
  const ControlRegister* row = nullptr;
  std::uint8_t at = 0;                          // Rt
  bool counts_down = false;                     // the bytes that are left
  std::uint8_t end = 0;                         // Rn of 3: the address, or what counts
  std::optional<std::uint8_t> step_register{};  // Rm of 2
  std::uint32_t step = 0;                       // or #n
};
using LoopWords = std::array<std::uint32_t, 4>;
inline constexpr std::uint32_t kLoopBytes = sizeof(LoopWords);

// What it is about to do.
struct MaintenanceLoop {
  const ControlRegister* row;
  std::uint32_t step;                // bytes, not 0
  std::uint32_t limit;               // first address that is not reached
  std::optional<std::uint8_t> rest;  // the register that counts the bytes that are left
};

// `bytes`, which is not 0, rounded up to a number of steps.
[[nodiscard]] constexpr std::uint32_t in_steps(std::uint32_t bytes, std::uint32_t step) {
  if (std::has_single_bit(step)) return (bytes + step - 1) & ~(step - 1);
  return ((bytes - 1) / step + 1) * step;
}

// Whether a loop of `i` makes sense, an MCR of the register in `row`.
[[nodiscard]] constexpr bool is_maintenance_by_address(const Instruction& i,
                                                       const ControlRegister& row) {
  if (i.op != Op::Mcr || i.rt >= 13 || !allows(row.kernel, Rights::Write)) return false;
  if (row.behaviour == Behaviour::Tlb) {
    const auto operation = static_cast<TlbOperation>(row.what);
    return operation == TlbOperation::Address || operation == TlbOperation::AddressOfAll;
  }
  if (row.behaviour != Behaviour::Cache) return false;
  switch (static_cast<CacheOperation>(row.what)) {
    case CacheOperation::CleanInvalidateDataBySetAndWay:
    case CacheOperation::InvalidateInstructions:
    case CacheOperation::InvalidatePrediction:
      return false;
    default:
      return true;
  }
}

// Where cleaning of lines from `at` on, `step` bytes apart, stops for once: after kMostLines, and
// before the address that is counted wraps around. Nothing is to be done at once if that is `at`.
[[nodiscard]] constexpr std::uint32_t lines_end(std::uint32_t at, std::uint32_t limit,
                                                std::uint32_t step) {
  constexpr std::uint32_t kMostLines = 4096, kMostStep = 4096;
  if (limit <= at || step > kMostStep) return at;
  limit = std::min(limit, 0u - step);
  if (limit <= at) return at;
  return limit - at >= kMostLines * step ? at + kMostLines * step : limit;
}

// The loop that the words are, if they are one: the first is `i`, and `row` its
// control_register_of().
[[nodiscard]] constexpr std::optional<LoopShape> loop_of(const LoopWords& words,
                                                         const Instruction& i,
                                                         const ControlRegister* row) {
  constexpr std::uint32_t kBranchLower = 0x3afffffb;   // BLO, 20 bytes before its PC
  constexpr std::uint32_t kBranchHigher = 0x8afffffb;  // BHI, likewise
  if (row == nullptr || !is_maintenance_by_address(i, *row)) return std::nullopt;
  const auto [first, add, compare, branch] = words;
  LoopShape shape{.row = row, .at = i.rt, .counts_down = branch == kBranchHigher};
  const std::uint8_t operand = add & 15;

  const std::uint32_t same = std::uint32_t{i.rt} << 16 | std::uint32_t{i.rt} << 12;
  if ((add & 0xfffff000) == (0xe2800000 | same)) {
    shape.step = std::rotr(add & 0xff, static_cast<int>(add >> 7 & 30));
    if (shape.step == 0) return std::nullopt;
  } else if ((add & 0xfffffff0) == (0xe0800000 | same) && operand < 13 && operand != i.rt) {
    shape.step_register = operand;
  } else {
    return std::nullopt;
  }
  if (shape.counts_down) {
    const std::uint8_t rest = compare >> 12 & 15;
    const std::uint32_t counts = 0xe0500000 | std::uint32_t{rest} << 16 | std::uint32_t{rest} << 12;
    shape.end = rest;
    const bool sound = compare == (counts | operand) && rest < 13 && rest != i.rt;
    if (!shape.step_register || !sound || rest == operand) return std::nullopt;
  } else {
    shape.end = compare & 15;
    const bool sound = (compare & 0xfffffff0) == (0xe1500000 | std::uint32_t{i.rt} << 16);
    if (branch != kBranchLower || !sound || shape.end >= 13 || shape.end == i.rt) {
      return std::nullopt;
    }
  }
  return shape;
}

// A loop of the guest's kernel at its first word. Nothing if the registers make no sense, or the
// processor has not got the one it is about.
template <Machine M>
[[nodiscard]] std::optional<MaintenanceLoop> begin(Context<M>& c, const LoopShape& shape) {
  const std::uint32_t step = shape.step_register ? c.frame.r[*shape.step_register] : shape.step;
  if (step == 0 || !has(c.machine, shape.row->having)) return std::nullopt;
  const std::uint32_t end = c.frame.r[shape.end];
  if (!shape.counts_down) return MaintenanceLoop{shape.row, step, end, std::nullopt};
  const std::uint32_t at = c.frame.r[shape.at];
  const std::uint32_t bytes = std::max(end, 1u);
  if (bytes > 0u - at - step) return std::nullopt;  // around the end of the address space
  return MaintenanceLoop{shape.row, step, at + in_steps(bytes, step), shape.end};
}

// The loop that `i`, the instruction at frame.pc in a guest's kernel, begins; nothing if it begins
// none. `row` is control_register_of(i).
template <Machine M>
[[nodiscard]] std::optional<MaintenanceLoop> maintenance_loop(Context<M>& c, const Instruction& i,
                                                              const ControlRegister* row) {
  if (row == nullptr || !is_maintenance_by_address(i, *row) || c.vcpu.is_user()) {
    return std::nullopt;
  }
  LoopWords words{};
  for (std::uint32_t n = 1; n < words.size(); ++n) {
    const auto word = c.machine.instruction_at(c.frame.pc + 4 * n);
    if (!word) return std::nullopt;
    words[n] = *word;
  }
  const auto shape = loop_of(words, i, row);
  return shape ? begin(c, *shape) : std::nullopt;
}

// The flags of CMP.
[[nodiscard]] constexpr std::uint32_t compare_flags(std::uint32_t left, std::uint32_t right) {
  constexpr std::uint32_t kN = 1u << 31, kZ = 1u << 30, kC = 1u << 29, kV = 1u << 28;
  const std::uint32_t rest = left - right;
  const bool overflow = (((left ^ right) & (left ^ rest)) >> 31) != 0;
  return (rest & kN) | (rest == 0 ? kZ : 0) | (left >= right ? kC : 0) | (overflow ? kV : 0);
}

// One step at `at`, or more: returns the first address that is not done.
template <Machine M>
[[nodiscard]] std::expected<std::uint32_t, Abort> step_of(Context<M>& c,
                                                          const MaintenanceLoop& loop,
                                                          std::uint32_t at) {
  constexpr std::uint32_t kBlock = 1u << 20;  // what the machine drops as easily as a page
  if (loop.row->behaviour == Behaviour::Tlb) {
    const bool whole = at % kBlock == 0 && loop.limit > at && loop.limit - at >= kBlock;
    if (whole && loop.step <= kBlock) {
      c.machine.invalidate_block(GuestVirtual{at});
      return at + in_steps(kBlock, loop.step);
    }
    maintain_tlb(c, static_cast<TlbOperation>(loop.row->what), at);
    return at + loop.step;
  }
  const auto operation = static_cast<CacheOperation>(loop.row->what);
  const std::uint32_t done = c.machine.maintain_lines(operation, at, loop.limit, loop.step);
  if (done != at) return done;
  if (const auto abort = c.machine.maintain_cache(operation, at)) return std::unexpected(*abort);
  const bool covers_all = operation == CacheOperation::InvalidateInstructionsAt ||
                          operation == CacheOperation::InvalidatePredictionAt;
  const bool more = covers_all && loop.limit > at;
  return at + (more ? in_steps(loop.limit - at, loop.step) : loop.step);
}

// What a loop leaves behind when its address has come to `at`.
template <Machine M>
void leave_loop(Context<M>& c, std::uint8_t address, std::uint32_t at, std::uint32_t flags) {
  constexpr std::uint32_t kConditionFlags = 0xf0000000;
  c.frame.r[address] = at;
  c.frame.cpsr = (c.frame.cpsr & ~kConditionFlags) | flags;
  c.frame.pc += kLoopBytes;
}

// Most loops are of one page, for the TLB: runs it if it is such a one, and says whether.
template <Machine M>
[[nodiscard]] bool run_one(Context<M>& c, const LoopShape& shape) {
  const bool simple = shape.row->behaviour == Behaviour::Tlb && !shape.counts_down;
  const std::uint32_t at = c.frame.r[shape.at], limit = c.frame.r[shape.end];
  const std::uint32_t next = at + shape.step;
  const bool one = simple && !shape.step_register && next >= limit && next > at;
  if (!one || !has(c.machine, shape.row->having)) return false;
  maintain_tlb(c, static_cast<TlbOperation>(shape.row->what), at);
  leave_loop(c, shape.at, next, compare_flags(next, limit));
  return true;
}

// Runs it, for a bounded time. Returns Resume: behind the loop, or at its first instruction if
// there is more to do.
template <Machine M>
[[nodiscard]] Verdict run(Context<M>& c, const Instruction& i, const MaintenanceLoop& loop) {
  constexpr std::uint32_t kSteps = 128;
  const std::uint32_t begin = c.frame.r[i.rt];
  const auto reached = [&](std::uint32_t at) {
    c.frame.r[i.rt] = at;
    if (loop.rest) c.frame.r[*loop.rest] -= at - begin;
  };
  std::uint32_t at = begin;
  for (std::uint32_t n = 0; n < kSteps; ++n) {
    const auto next = step_of(c, loop, at);
    if (!next) {
      reached(at);
      return data_abort(next.error());
    }
    const bool many = loop.row->behaviour == Behaviour::Cache && *next - at > loop.step;
    at = *next;
    if (at < loop.limit) {
      if (many) break;
      continue;
    }
    reached(at);
    const std::uint32_t flags = loop.rest
                                    ? compare_flags(c.frame.r[*loop.rest] + loop.step, loop.step)
                                    : compare_flags(at, loop.limit);
    leave_loop(c, i.rt, at, flags);
    return Verdict::resume();
  }
  reached(at);
  return Verdict::resume();
}

}  // namespace mezzo::armv7
