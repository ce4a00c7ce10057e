// Linux's boot_params ("zero page"): everything a boot loader tells the kernel.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "firmware/e820.hpp"
#include "loader/kernel.hpp"

namespace mezzo::firmware {

inline constexpr std::uint32_t kBootParamsSize = 4096;
inline constexpr std::size_t kMaxE820Entries = 128;  // E820_MAX_ENTRIES_ZEROPAGE

// Machine addresses; 0 for what there is not.
struct BootParamsInput {
  std::uint32_t load_address = 0;  // of the protected-mode kernel, its 32-bit entry
  std::uint32_t cmdline_address = 0;
  std::uint32_t initramfs_address = 0, initramfs_size = 0;
  std::uint32_t rsdp_address = 0;
  std::span<const E820Entry> e820;  // at most kMaxE820Entries, ascending
};

// The page's bytes, for a kernel started at its 32-bit entry with ESI pointing at them. The video
// fields stay zero: the guest has no display.
[[nodiscard]] std::vector<std::uint8_t> make_boot_params(const loader::LinuxImage& kernel,
                                                         const BootParamsInput& input);

}  // namespace mezzo::firmware
