// Chooses the reader for a kernel's format; raw images are read here.
#include "loader/kernel.hpp"

#include <fmt/format.h>

#include "loader/bytes.hpp"

namespace mezzo::loader {
namespace {

using system::KernelFormat;

std::string_view name_of(KernelFormat format) {
  switch (format) {
    case KernelFormat::Auto:
      return "auto";
    case KernelFormat::BzImage:
      return "bzimage";
    case KernelFormat::Elf:
      return "elf";
    case KernelFormat::Multiboot:
      return "multiboot";
    case KernelFormat::Raw:
      return "raw";
    case KernelFormat::ZImage:
      return "zimage";
  }
  return "?";
}

Result<KernelImage> read_raw(ByteView bytes, const system::KernelSpec& spec) {
  const std::uint32_t load = spec.load.value_or(0);
  const std::uint32_t entry = spec.entry.value_or(0);
  if (bytes.empty() || bytes.size() > 0xffffffffU - load) {
    return std::unexpected(
        Problem{fmt::format("a raw image of {} bytes does not fit at {:#x}", bytes.size(), load),
                "give a 'load' address with room for it below 4 GiB"});
  }
  const auto size = static_cast<std::uint32_t>(bytes.size());
  if (entry < load || entry - load >= size) {
    return std::unexpected(Problem{fmt::format("entry {:#x} is outside the image at {:#x}-{:#x}",
                                               entry, load, load + size - 1),
                                   "give the address of the first instruction inside the image"});
  }
  KernelImage image;
  image.format = KernelFormat::Raw;
  image.segments.push_back({load, bytes, size});
  image.entry = entry;
  image.summary = fmt::format("raw image, {} bytes", size);
  return image;
}

bool is_elf(ByteView bytes) {
  return bytes.size() >= 4 && get<std::uint32_t>(bytes, 0) == 0x464c457f;  // "\x7fELF"
}

// The formats of each architecture.
bool is_for(KernelFormat format, plan::Architecture architecture) {
  const bool arm = architecture == plan::Architecture::Armv7;
  switch (format) {
    case KernelFormat::BzImage:
    case KernelFormat::Multiboot:
      return !arm;
    case KernelFormat::ZImage:
      return arm;
    default:
      return true;
  }
}

Problem unrecognized(ByteView bytes, plan::Architecture architecture) {
  const bool arm = architecture == plan::Architecture::Armv7;
  if (bytes.empty()) return {"the kernel file is empty", "name a kernel file"};
  return {
      fmt::format("this is no kernel: neither a {} nor an ELF file{}", arm ? "zImage" : "bzImage",
                  arm ? "" : ", and without a multiboot header that says where it goes"),
      "name a kernel file, or say format = \"raw\" with 'load' and 'entry'"};
}

}  // namespace

KernelFormat detect_format(ByteView bytes) {
  if (bytes.size() > 0x206 && get<std::uint32_t>(bytes, 0x202) == 0x53726448) {  // "HdrS"
    return KernelFormat::BzImage;
  }
  if (is_elf(bytes)) {
    return find_multiboot_header(bytes) ? KernelFormat::Multiboot : KernelFormat::Elf;
  }
  if (has_multiboot_addresses(bytes)) return KernelFormat::Multiboot;
  // In a big-endian kernel the word is little-endian all the same, or swapped before BE8.
  constexpr std::uint32_t kZImage = 0x016f2818, kSwapped = 0x18286f01;
  if (bytes.size() >= 0x30) {
    const auto magic = get<std::uint32_t>(bytes, 0x24);
    if (magic == kZImage || magic == kSwapped) return KernelFormat::ZImage;
  }
  return KernelFormat::Raw;
}

Result<KernelImage> read_kernel(ByteView bytes, const system::KernelSpec& spec,
                                plan::Architecture architecture) {
  if (spec.format == KernelFormat::Raw) return read_raw(bytes, spec);
  const bool arm = architecture == plan::Architecture::Armv7;
  const KernelFormat detected = detect_format(bytes);
  // A multiboot header means nothing to an Arm board.
  const KernelFormat without_header = is_elf(bytes) ? KernelFormat::Elf : KernelFormat::Raw;
  const KernelFormat found = arm && detected == KernelFormat::Multiboot ? without_header : detected;
  if (found == KernelFormat::Raw) return std::unexpected(unrecognized(bytes, architecture));
  if (!is_for(found, architecture)) {
    return std::unexpected(
        Problem{fmt::format("the kernel is a {}, which is not for {}",
                            found == KernelFormat::ZImage ? "zImage" : "bzImage",
                            arm ? "an Arm processor" : "a PC"),
                fmt::format("use a kernel for this board, for example the package {}",
                            arm ? "linux-image-armmp" : "linux-image-686")});
  }
  const bool elf_wanted = spec.format == KernelFormat::Elf && found == KernelFormat::Multiboot;
  if (spec.format != KernelFormat::Auto && spec.format != found && !elf_wanted) {
    return std::unexpected(Problem{fmt::format("the kernel is {}, not {} as the system file says",
                                               name_of(found), name_of(spec.format)),
                                   "correct 'format', or remove it to have it detected"});
  }
  if (elf_wanted) return read_elf(bytes);
  switch (found) {
    case KernelFormat::BzImage:
      return read_bzimage(bytes);
    case KernelFormat::Multiboot:
      return read_multiboot(bytes);
    case KernelFormat::ZImage:
      return read_zimage(bytes);
    default:
      return read_elf(bytes, architecture);
  }
}

}  // namespace mezzo::loader
