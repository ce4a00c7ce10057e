// The block and its table, and mkimage.
#include "image/uimage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "base/process.hpp"
#include "image/write.hpp"
#include "loader/bytes.hpp"
#include "loader/kernel.hpp"

namespace mezzo::image {
namespace {

using loader::ByteView;
using loader::put;
using system::Bytes;
using system::Diagnostics;

// As uimage_head.S reads it: number of parts and entry, then a row for each part.
constexpr std::size_t kTableHeader = 8, kRow = 16;

// Boot loaders have their place for kernels (kernel_addr_r) in the first 64 MiB of RAM.
constexpr std::uint32_t kLastPlace = 64 << 20;

Diagnostics problem(std::string what, std::string remedy) {
  return {{system::Severity::Error, {}, std::move(what), std::move(remedy)}};
}

constexpr std::uint32_t whole_words(std::size_t size) {
  return static_cast<std::uint32_t>((size + 3) / 4 * 4);
}

system::Result<void> run_mkimage(const std::filesystem::path& folder) {
  const std::string install = "apt-get install u-boot-tools";
  if (base::find_program("mkimage").empty()) {
    return std::unexpected(problem("'mkimage' is missing", install));
  }
  // As a Linux: U-Boot then leaves with MMU, caches and interrupts off. Started where it was
  // loaded: what U-Boot has to move must not be larger than its CONFIG_SYS_BOOTM_LEN, 8 MiB on some
  // boards.
  const base::Finished finished =
      base::run({.argv = {"mkimage", "-A", "arm", "-O", "linux", "-T", "kernel_noload", "-C",
                          "none", "-a", "0", "-e", "0", "-n", "Mezzo", "-d", "block", "uimage"},
                 .directory = folder});
  if (finished.status == 0) return {};
  return std::unexpected(problem(fmt::format("mkimage failed:\n{}", finished.output), install));
}

}  // namespace

system::Result<Bytes> make_block(ByteView boot_elf, ByteView head, std::uint32_t address) {
  auto elf = loader::read_elf(boot_elf, plan::Architecture::Armv7);
  if (!elf) return std::unexpected(problem("the boot image: " + elf.error().what, ""));
  std::ranges::sort(elf->segments, {}, &loader::Segment::address);
  Bytes block(head.begin(), head.end());
  std::size_t row = block.size();
  block.resize(row + kTableHeader + elf->segments.size() * kRow);
  put(std::span(block), row, static_cast<std::uint32_t>(elf->segments.size()));
  put(std::span(block), row + 4, elf->entry);
  row += kTableHeader;
  for (const loader::Segment& segment : elf->segments) {
    const std::uint32_t size = whole_words(segment.file.size());
    if (segment.address < address || segment.address - address < block.size() + size) {
      return std::unexpected(problem(
          fmt::format("an image of {} MiB and more, loaded by U-Boot to {:#x}, would be where its "
                      "part at {:#x} belongs",
                      (block.size() + size) >> 20, address, segment.address),
          "raise 'memory' in [machine], if the board has more, or use smaller initramfs"));
    }
    put(std::span(block), row, segment.address);
    put(std::span(block), row + 4, static_cast<std::uint32_t>(block.size()));
    put(std::span(block), row + 8, size);
    put(std::span(block), row + 12, std::max(size, whole_words(segment.memory_size)));
    row += kRow;
    block.insert(block.end(), segment.file.begin(), segment.file.end());
    block.resize(whole_words(block.size()));
  }
  return block;
}

system::Result<void> write_uimage(const CompiledImage& image, ByteView monitor_elf, ByteView head,
                                  const std::filesystem::path& path) {
  if (image.plan.architecture != plan::Architecture::Armv7) {
    return std::unexpected(problem("U-Boot images are for Arm boards only",
                                   "write an ELF or a CD image: -o mezzo.elf, -o mezzo.iso"));
  }
  const auto elf = make_elf(image, monitor_elf);
  if (!elf) return std::unexpected(elf.error());
  const auto block = make_block(*elf, head, image.plan.board.ram_base + kLastPlace);
  if (!block) return std::unexpected(block.error());
  const base::TemporaryDirectory folder(std::filesystem::temp_directory_path(), "mezzo-uimage");
  base::write_file(folder.path() / "block", *block);
  if (const auto made = run_mkimage(folder.path()); !made) return made;
  base::write_file(path, base::read_file(folder.path() / "uimage"));
  return {};
}

}  // namespace mezzo::image
