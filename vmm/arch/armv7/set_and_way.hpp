// This processor's data caches as a whole, line by line. Source: ARM DDI 0406C, B2.2.7 (the example
// there), B4.1.20 (CLIDR), B4.1.19 (CCSIDR).
#pragma once

#include <bit>
#include <cstdint>

namespace mezzo::armv7 {

// Cleans and invalidates every line out to the point of coherency, the inner levels first. Lines
// that other processors have stay there. With interrupts off. `caches`: level_id(); size_id() of
// what CSSELR selects; clean_and_invalidate() one line by the operand of DCCISW; barrier(): DSB.
template <class Caches>
void clean_and_invalidate_all(Caches& caches) {
  constexpr std::uint32_t kFirstWithData = 2;  // of Ctype
  const std::uint32_t levels = caches.level_id();
  const std::uint32_t coherent = levels >> 24 & 7;
  for (std::uint32_t level = 0; level < coherent; ++level) {
    if ((levels >> 3 * level & 7) < kFirstWithData) continue;
    const std::uint32_t size = caches.size_id(level << 1);
    const std::uint32_t set_shift = (size & 7) + 4;
    const std::uint32_t last_way = size >> 3 & 0x3ff, last_set = size >> 13 & 0x7fff;
    const int way_shift = last_way == 0 ? 0 : std::countl_zero(last_way);
    for (std::uint32_t way = 0; way <= last_way; ++way) {
      for (std::uint32_t set = 0; set <= last_set; ++set) {
        caches.clean_and_invalidate(way << way_shift | set << set_shift | level << 1);
      }
    }
    caches.barrier();
  }
}

}  // namespace mezzo::armv7
