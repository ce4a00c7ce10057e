// Rebuilds the monitor's ELF with the bundle as one more segment, and wraps it into an ISO.
//
// The file is laid out anew, because GRUB wants the program headers, and every boot loader the
// multiboot header, within the first 8 KiB.
#include "image/write.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/file.hpp"
#include "base/process.hpp"
#include "image/layout.hpp"
#include "loader/bytes.hpp"
#include "loader/kernel.hpp"

namespace mezzo::image {
namespace {

using loader::ByteView;
using loader::get;
using loader::put;
using system::Bytes;
using system::Diagnostics;

constexpr std::size_t kElfHeader = 52, kProgramHeader = 32, kSectionHeader = 40, kSymbol = 16;
constexpr std::size_t kEntry = 24;  // in the ELF header
constexpr std::uint32_t kLoadable = 1;
constexpr std::size_t kPage = plan::kPageSize;
constexpr std::string_view kBundleSymbol = "mezzo_bundle_address";
constexpr const char* kRebuild = "rebuild the monitor";

Diagnostics problem(std::string what, std::string remedy) {
  return {{system::Severity::Error, {}, std::move(what), std::move(remedy)}};
}

// A PT_LOAD of the file to be written.
struct Segment {
  std::uint32_t virtual_address, physical_address, memory_size, flags;
  Bytes bytes;
};

std::vector<Segment> read_segments(ByteView elf) {
  std::vector<Segment> segments;
  const std::size_t table = get<std::uint32_t>(elf, 28);
  const std::size_t entry_size = get<std::uint16_t>(elf, 42);
  for (std::size_t i = 0; i < get<std::uint16_t>(elf, 44); ++i) {
    const ByteView header = elf.subspan(table + i * entry_size, kProgramHeader);
    if (get<std::uint32_t>(header, 0) != kLoadable || get<std::uint32_t>(header, 20) == 0) continue;
    const ByteView file =
        elf.subspan(get<std::uint32_t>(header, 4), get<std::uint32_t>(header, 16));
    segments.push_back({get<std::uint32_t>(header, 8), get<std::uint32_t>(header, 12),
                        get<std::uint32_t>(header, 20), get<std::uint32_t>(header, 24),
                        Bytes(file.begin(), file.end())});
  }
  return segments;
}

// Value of the symbol called `name`, or nothing.
std::optional<std::uint32_t> find_symbol(ByteView elf, std::string_view name) {
  constexpr std::uint32_t kSymbolTable = 2;
  const std::size_t table = get<std::uint32_t>(elf, 32);
  const std::size_t count = get<std::uint16_t>(elf, 48);
  const auto section = [elf, table](std::size_t index) {
    return elf.subspan(table + index * kSectionHeader, kSectionHeader);
  };
  if (table + count * kSectionHeader > elf.size()) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    if (get<std::uint32_t>(section(i), 4) != kSymbolTable) continue;
    const std::size_t symbols = get<std::uint32_t>(section(i), 16);
    const std::size_t size = get<std::uint32_t>(section(i), 20);
    const std::size_t names = get<std::uint32_t>(section(get<std::uint32_t>(section(i), 24)), 16);
    for (std::size_t at = symbols; at + kSymbol <= std::min(symbols + size, elf.size());
         at += kSymbol) {
      const std::size_t start = names + get<std::uint32_t>(elf, at);
      if (start + name.size() < elf.size() && elf[start + name.size()] == 0 &&
          std::memcmp(&elf[start], name.data(), name.size()) == 0) {
        return get<std::uint32_t>(elf, at + 4);
      }
    }
  }
  return std::nullopt;
}

// Tells the monitor where its bundle will be. False if it has no word for it.
bool patch_bundle_address(ByteView elf, std::vector<Segment>& segments, std::uint32_t address) {
  const auto symbol = find_symbol(elf, kBundleSymbol);
  if (!symbol) return false;
  for (Segment& segment : segments) {
    const std::uint32_t offset = *symbol - segment.virtual_address;
    if (*symbol < segment.virtual_address || offset + std::size_t{4} > segment.bytes.size()) {
      continue;
    }
    put(std::span(segment.bytes), offset, address);
    return true;
  }
  return false;
}

Segment make_bundle(const CompiledImage& image) {
  const std::size_t store = (sizeof(plan::Plan) + kPage - 1) / kPage * kPage;
  Bytes bytes(store + image.store.size(), 0);
  std::memcpy(bytes.data(), &image.plan, sizeof image.plan);
  std::ranges::copy(image.store, bytes.begin() + static_cast<std::ptrdiff_t>(store));
  const auto size = static_cast<std::uint32_t>(bytes.size());
  constexpr std::uint32_t kReadable = 4;
  return {image.bundle_address, image.bundle_address, size, kReadable, std::move(bytes)};
}

// The ELF file with `segments`; everything else in its header is `original`'s.
Bytes assemble(ByteView original, const std::vector<Segment>& segments, std::uint32_t entry) {
  const auto aligned = [](std::size_t size) { return (size + kPage - 1) / kPage * kPage; };
  Bytes file(original.begin(), original.begin() + kElfHeader);
  put(std::span(file), kEntry, entry);
  put(std::span(file), 28, static_cast<std::uint32_t>(kElfHeader));
  put(std::span(file), 32, std::uint32_t{0});  // no sections
  put(std::span(file), 42, static_cast<std::uint16_t>(kProgramHeader));
  put(std::span(file), 44, static_cast<std::uint16_t>(segments.size()));
  put(std::span(file), 46, std::uint32_t{0});
  put(std::span(file), 50, std::uint16_t{0});
  file.resize(kElfHeader + segments.size() * kProgramHeader);
  std::size_t header = kElfHeader;
  for (const Segment& segment : segments) {
    // Offset and address are congruent modulo the page size, as loaders that map files expect.
    const std::size_t offset = aligned(file.size()) + segment.physical_address % kPage;
    file.resize(offset);
    const std::span<std::uint8_t> bytes(file);
    put(bytes, header, kLoadable);
    put(bytes, header + 4, static_cast<std::uint32_t>(offset));
    put(bytes, header + 8, segment.virtual_address);
    put(bytes, header + 12, segment.physical_address);
    put(bytes, header + 16, static_cast<std::uint32_t>(segment.bytes.size()));
    put(bytes, header + 20, segment.memory_size);
    put(bytes, header + 24, segment.flags);
    put(bytes, header + 28, static_cast<std::uint32_t>(kPage));
    header += kProgramHeader;
    file.insert(file.end(), segment.bytes.begin(), segment.bytes.end());
  }
  return file;
}

system::Result<void> run_grub(const std::filesystem::path& folder,
                              const std::filesystem::path& iso) {
  const std::string install = "apt-get install grub-common grub-pc-bin xorriso mtools";
  for (const char* program : {"grub-mkrescue", "xorriso"}) {
    if (base::find_program(program).empty()) {
      return std::unexpected(problem(fmt::format("'{}' is missing", program), install));
    }
  }
  const base::Finished finished = base::run({{"grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o",
                                              iso.string(), (folder / "root").string()},
                                             {},
                                             {}});
  if (finished.status == 0) return {};
  return std::unexpected(
      problem(fmt::format("grub-mkrescue failed:\n{}", finished.output), install));
}

// The monitor's segments, as they are to be loaded. Errors: it is not what it should be.
system::Result<std::vector<Segment>> monitor_segments(const CompiledImage& image,
                                                      ByteView monitor_elf) {
  const bool armv7 = image.plan.architecture == plan::Architecture::Armv7;
  if (const auto readable = loader::read_elf(monitor_elf, image.plan.architecture); !readable) {
    return std::unexpected(problem("the monitor: " + readable.error().what, kRebuild));
  }
  if (!armv7 && !loader::find_multiboot_header(monitor_elf)) {
    return std::unexpected(problem("the monitor's ELF file has no multiboot header", kRebuild));
  }
  std::vector<Segment> segments = read_segments(monitor_elf);
  if (!patch_bundle_address(monitor_elf, segments, image.bundle_address)) {
    return std::unexpected(
        problem(fmt::format("the monitor has no initialized word '{}'", kBundleSymbol), kRebuild));
  }
  if (!armv7) return segments;
  // Its physical addresses count from its place, which depends on the size of the board's memory.
  for (Segment& segment : segments) {
    if (segment.physical_address > plan::kMonitorSize ||
        segment.memory_size > plan::kMonitorSize - segment.physical_address) {
      return std::unexpected(problem("the monitor is larger than its memory", kRebuild));
    }
    segment.physical_address += image.plan.monitor_base;
    segment.virtual_address = segment.physical_address;
  }
  return segments;
}

}  // namespace

system::Result<Bytes> make_elf(const CompiledImage& image, ByteView monitor_elf) {
  const bool armv7 = image.plan.architecture == plan::Architecture::Armv7;
  auto segments = monitor_segments(image, monitor_elf);
  if (!segments) return std::unexpected(segments.error());
  const Segment bundle = make_bundle(image);
  for (const Segment& segment : *segments) {
    if (overlap({segment.physical_address, segment.memory_size},
                {bundle.physical_address, bundle.memory_size})) {
      return std::unexpected(
          problem(fmt::format("the monitor's memory at {:#x} overlaps the bundle's at {:#x}",
                              segment.physical_address, bundle.physical_address),
                  kRebuild));
    }
  }
  segments->push_back(bundle);
  const std::uint32_t entry =
      get<std::uint32_t>(monitor_elf, kEntry) + (armv7 ? image.plan.monitor_base : 0);
  Bytes file = assemble(monitor_elf, *segments, entry);
  if (!armv7 && !loader::find_multiboot_header(file)) {
    return std::unexpected(
        problem("the multiboot header is not in the monitor's first segment", kRebuild));
  }
  return file;
}

system::Result<void> write_elf(const CompiledImage& image, ByteView monitor_elf,
                               const std::filesystem::path& path) {
  const auto file = make_elf(image, monitor_elf);
  if (!file) return std::unexpected(file.error());
  base::write_file(path, *file);
  return {};
}

system::Result<void> write_iso(const CompiledImage& image, ByteView monitor_elf,
                               const std::filesystem::path& path) {
  if (image.plan.architecture != plan::Architecture::Ia32) {
    return std::unexpected(problem("a CD image is for a PC only",
                                   "write an ELF or an image for U-Boot: -o mezzo.elf, "
                                   "-o mezzo.uimage"));
  }
  const auto file = make_elf(image, monitor_elf);
  if (!file) return std::unexpected(file.error());
  const base::TemporaryDirectory folder(std::filesystem::temp_directory_path(), "mezzo-iso");
  const std::filesystem::path grub = folder.path() / "root/boot/grub";
  base::make_directory(grub);
  base::write_file(folder.path() / "root/boot/mezzo.elf", *file);
  base::write_file(grub / "grub.cfg",
                   std::string_view("set timeout=0\nset default=0\n"
                                    "menuentry 'Mezzo' {\n  multiboot /boot/mezzo.elf\n}\n"));
  const std::filesystem::path iso = folder.path() / "mezzo.iso";
  if (const auto made = run_grub(folder.path(), iso); !made) return made;
  base::write_file(path, base::read_file(iso));
  return {};
}

}  // namespace mezzo::image
