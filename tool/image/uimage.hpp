// Wraps a boot image for Arm boards into what U-Boot starts: a uImage. Everything of the image is
// one block of bytes in it, because its parts' places may be U-Boot's own while that runs.
#pragma once

#include <filesystem>
#include <span>

#include "image/compile.hpp"

namespace mezzo::image {

// `head`, a table, and the parts of `boot_elf` in the order of their addresses, for a start
// anywhere up to `address`. The head copies the parts to where they belong
// (arch/armv7/uimage_head.S).
//   boot_elf  as make_elf() returns it
//   head      `mezzo-uimage-head.bin`; a multiple of four bytes
// Errors: a part does not lie above its copy in the block.
[[nodiscard]] system::Result<system::Bytes> make_block(std::span<const std::uint8_t> boot_elf,
                                                       std::span<const std::uint8_t> head,
                                                       std::uint32_t address);

// make_elf() as a uImage in the file `path`, for U-Boot's `bootm`, which starts it where it has
// been loaded, in the first 64 MiB of RAM; made by mkimage (Debian's package u-boot-tools). The
// file appears whole or not at all.
[[nodiscard]] system::Result<void> write_uimage(const CompiledImage& image,
                                                std::span<const std::uint8_t> monitor_elf,
                                                std::span<const std::uint8_t> head,
                                                const std::filesystem::path& path);

}  // namespace mezzo::image
