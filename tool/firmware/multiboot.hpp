// The information block that a multiboot 1 kernel is started with.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "firmware/e820.hpp"

namespace mezzo::firmware {

inline constexpr std::uint32_t kMultibootMagic = 0x2badb002;  // in EAX at the entry
inline constexpr std::uint32_t kMultibootInfoSize = 4096;

// Machine addresses; 0 for what there is not.
struct MultibootInput {
  std::uint32_t info_address = 0;  // where the block will be, for EBX
  std::uint32_t cmdline_address = 0;
  std::uint32_t module_address = 0, module_size = 0;
  std::span<const E820Entry> e820;  // ascending; at most 128 entries are given
};

// The block's page: information structure, module list, memory map.
[[nodiscard]] std::vector<std::uint8_t> make_multiboot_info(const MultibootInput& input);

}  // namespace mezzo::firmware
