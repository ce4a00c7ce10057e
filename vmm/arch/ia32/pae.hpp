// A page-table root under physical-address extension (CR4.PAE): the table of four pointers to page
// directories, a GiB each, that CR3 names. Decides whether a guest's can be loaded, and puts the
// monitor's window into its last directory. Source: Intel SDM volume 3, 4.4.1.
//
// The processor reads the four pointers when CR3 is loaded, and keeps them. So does the monitor: it
// takes them over into a table of its own, which is what the machine's CR3 names. Whatever the
// guest writes into its table afterwards has no effect before its next load, as on a bare machine.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "arch/ia32/context.hpp"
#include "core/partition.hpp"

namespace mezzo::ia32::pae {

inline constexpr std::uint64_t kPresent = 1;
// With any of these in a pointer that is present, the load is a general protection fault.
inline constexpr std::uint64_t kReserved = 0xfff0000000000000 | 0x1e6;
inline constexpr std::uint64_t kAddress = 0x000ffffffffff000;
inline constexpr std::uint32_t kDirectoryEntries = 512;

using Pointers = std::array<std::uint64_t, 4>;
inline constexpr std::uint32_t kPointersAlignment = sizeof(Pointers);

// The monitor's part of each root.
struct Window {
  std::array<std::uint64_t, 2> entries;  // the last ones of the directory of the last GiB
  std::uint64_t directory;  // pointer to a directory with these only, for a guest that has none
};

// Takes the pointers of the table that `cr3` names over into `pointers`, with the window in the
// last directory. `map_page`: (machine address of a page) -> std::uint64_t*, its words, until the
// next call. What is not Installed has changed neither `pointers` nor the guest's memory.
//
// Only the last directory must be the partition's, because the monitor writes into it. The others
// must be where machines of this board have memory, below 4 GiB, because which bits above are
// reserved is the processor's affair.
template <class MapPage>
[[nodiscard]] RootResult take_root(const Partition& partition, std::uint32_t cr3,
                                   const Window& window, MapPage&& map_page, Pointers& pointers) {
  const std::uint32_t table = cr3 & ~(kPointersAlignment - 1);
  if (!partition.owns(table, sizeof(Pointers))) return RootResult::OutsidePartition;
  Pointers taken;
  std::copy_n(map_page(table & ~(plan::kPageSize - 1)) + table % plan::kPageSize / 8, taken.size(),
              taken.begin());
  for (std::uint64_t& pointer : taken) {
    if ((pointer & kPresent) == 0) pointer = 0;
    if ((pointer & kReserved) != 0) return RootResult::ReservedBits;
  }
  const auto above4gib = [](std::uint64_t pointer) { return pointer >> 32 != 0; };
  if (std::ranges::any_of(taken, above4gib)) return RootResult::OutsidePartition;

  std::uint64_t& last = taken.back();
  if (last == 0) {
    last = window.directory;
  } else {
    const auto directory = static_cast<std::uint32_t>(last & kAddress);
    if (!partition.owns(directory, plan::kPageSize)) return RootResult::OutsidePartition;
    std::uint64_t* const end = map_page(directory) + kDirectoryEntries;
    if (!std::ranges::equal(window.entries, std::span(end - 2, 2))) {
      std::ranges::copy(window.entries, end - 2);
    }
  }
  pointers = taken;
  return RootResult::Installed;
}

}  // namespace mezzo::ia32::pae
