// The marker of operations.hpp on this processor.
#pragma once

#include "bench/guest/operations.hpp"
#include "bench/guest/x86/marker.h"

namespace mezzo::bench {

static_assert(kMarker == MEZZO_MARKER && Mark::Arrival == Mark{3});

template <Mark mark, Operation operation>
[[gnu::always_inline]] inline void mark_here() {
  constexpr std::uint32_t kDisplacement =
      kMarker | static_cast<std::uint32_t>(mark) << 12 | static_cast<std::uint32_t>(operation);
  asm volatile(".byte 0x0f, 0x1f, 0x80; .long %c0" ::"i"(kDisplacement) : "memory");
}

}  // namespace mezzo::bench
