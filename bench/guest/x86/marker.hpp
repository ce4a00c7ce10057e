// The marker of operations.hpp on this processor.
#pragma once

#include "bench/guest/operations.hpp"

namespace mezzo::bench {

template <Mark mark, Operation operation>
[[gnu::always_inline]] inline void mark_here() {
  constexpr std::uint32_t kDisplacement =
      kMarker | static_cast<std::uint32_t>(mark) << 12 | static_cast<std::uint32_t>(operation);
  asm volatile(".byte 0x0f, 0x1f, 0x80; .long %c0" ::"i"(kDisplacement) : "memory");
}

}  // namespace mezzo::bench
