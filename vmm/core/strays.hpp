// Interrupts by lines that no partition has: such a line stays masked, and what comes by it is
// counted and told of.
#pragma once

#include <cstdint>

#include "abi/status.hpp"
#include "diag/log.hpp"

namespace mezzo {

// From so many on it is a storm, of which the log tells once more.
inline constexpr std::uint32_t kStorm = 100;

// `line`, below plan::kMaxLines, was raised since the last heartbeat. On the CPU that looks for
// them.
inline void count_stray(status::Region& region, diag::Log& log, std::uint32_t line) {
  const std::uint32_t count = region.strays[line] + 1;
  region.strays[line] = count;
  if (count == 1) log.line("interrupt ", line, " was raised and is nobody's: it is masked");
  if (count == kStorm) log.line("interrupt ", line, " is nobody's and a storm: it stays masked");
}

}  // namespace mezzo
