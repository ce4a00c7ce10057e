// Writes a compiled system as something that boots: on a PC a multiboot ELF, or an ISO with GRUB
// around it; on an ARMv7 board an ELF whose addresses are the machine's.
#pragma once

#include <filesystem>
#include <span>

#include "image/compile.hpp"

namespace mezzo::image {

// The boot image in memory: the monitor's ELF with one more PT_LOAD that holds the plan and the
// store.
//   monitor_elf  `mezzo-vmm.elf` or `mezzo-vmm-armv7.elf`, ELF32 with its symbol table; the
//                physical addresses and the entry of the latter count from Plan::monitor_base
// Errors: the monitor is no such ELF, or its memory overlaps the bundle's.
[[nodiscard]] system::Result<system::Bytes> make_elf(const CompiledImage& image,
                                                     std::span<const std::uint8_t> monitor_elf);

// make_elf() into the file `path`, for QEMU's `-kernel`. The file appears whole or not at
// all.
[[nodiscard]] system::Result<void> write_elf(const CompiledImage& image,
                                             std::span<const std::uint8_t> monitor_elf,
                                             const std::filesystem::path& path);

// A CD image with GRUB (grub-mkrescue from Debian's grub-pc-bin, xorriso and mtools) that boots the
// same ELF.
[[nodiscard]] system::Result<void> write_iso(const CompiledImage& image,
                                             std::span<const std::uint8_t> monitor_elf,
                                             const std::filesystem::path& path);

}  // namespace mezzo::image
