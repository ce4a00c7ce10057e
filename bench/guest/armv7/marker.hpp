// The marker of operations.hpp on this processor.
#pragma once

#include "bench/guest/operations.hpp"

namespace mezzo::bench {

template <Mark mark, Operation operation>
[[gnu::always_inline]] inline void mark_here() {
  constexpr std::uint32_t kWord =
      (mark == Mark::Begin ? kArmBegin : kArmEnd) | static_cast<std::uint32_t>(operation);
  asm volatile(".inst %c0" ::"i"(kWord) : "memory");
}

}  // namespace mezzo::bench
