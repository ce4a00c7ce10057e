// Reads a 32-bit Arm zImage: whether it is whole, what it holds, and whether it can run here.
//
// Sources: Linux arch/arm/boot/compressed/head.S (the header), vmlinux.lds.S there (the table
// behind `_table_start`, and where the payload ends), arch/arm/kernel/head.S (what a kernel does
// first).
#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "loader/bytes.hpp"
#include "loader/kernel.hpp"
#include "loader/unpack.hpp"

namespace mezzo::loader {
namespace {

constexpr std::size_t kSwitchToThumb = 0x1c, kBranch = 0x20, kMagic = 0x24, kStart = 0x28,
                      kEnd = 0x2c, kEndian = 0x30, kTableMark = 0x34, kTableOffset = 0x38,
                      kHeaderSize = 0x40;
constexpr std::uint32_t kUsualTextOffset = 0x8000;
constexpr std::size_t kMaxUnpacked = std::size_t{256} << 20;
constexpr std::uint32_t kWorkspace = 1 << 20;  // the decompressor's own heap, stack and data
constexpr std::string_view kFetchAgain = "fetch or copy the file again";
constexpr std::string_view kUseArmmp =
    "use a kernel in Arm code for classic page tables, for example the package linux-image-armmp";

Problem damaged(std::string what) { return {std::move(what), std::string(kFetchAgain)}; }

// The table behind the header of zImages since Linux 4.19 (the text offset: 5.11).
struct Table {
  std::uint32_t payload_end = 0;  // file offset of the unpacked size, which is the payload's last
                                  // word or follows it; 0: there is no table
  std::uint32_t bss_size = 0;
  std::uint32_t text_offset = kUsualTextOffset;
};

Result<Table> read_table(ByteView image) {
  constexpr std::uint32_t kMark = 0x45454545, kTableMagic = 0x5a534c4b;
  Table table;
  if (get<std::uint32_t>(image, kTableMark) != kMark) return table;
  const std::size_t at = get<std::uint32_t>(image, kTableOffset);
  if (at + 16 > image.size()) return std::unexpected(damaged("the kernel's header is damaged"));
  const std::size_t words = get<std::uint32_t>(image, at);
  if (get<std::uint32_t>(image, at + 4) != kTableMagic || words < 4) return table;
  if (words > (image.size() - at) / 4) {
    return std::unexpected(damaged("the kernel's header is damaged"));
  }
  table.payload_end = get<std::uint32_t>(image, at + 8);
  table.bss_size = get<std::uint32_t>(image, at + 12);
  if (words >= 5) table.text_offset = get<std::uint32_t>(image, at + 16);
  constexpr std::uint32_t kMaxTextOffset = 0x08000000, kMaxBss = 0x10000000;
  if (table.payload_end + std::size_t{4} > image.size() || table.bss_size > kMaxBss ||
      table.text_offset > kMaxTextOffset || table.text_offset % 0x1000 != 0) {
    return std::unexpected(damaged("the kernel's header contradicts itself"));
  }
  return table;
}

bool is_thumb2(ByteView image) {
  constexpr std::uint32_t kSubPcPc3 = 0xe24ff003;  // since 4.12
  constexpr std::uint32_t kAdrR12 = 0xe28fc000;    // before: adr r12, 1f; bx r12
  constexpr std::uint32_t kBxR12 = 0xe12fff1c;
  const bool branch = (get<std::uint32_t>(image, kBranch) & 0xfffff000) == kAdrR12 ||
                      get<std::uint32_t>(image, kBranch) == kBxR12;
  return get<std::uint32_t>(image, kSwitchToThumb) == kSubPcPc3 || branch;
}

// An LPAE kernel's first question is whether the processor has the long-descriptor format:
// mrc p15, 0, r3, c0, c1, 4; and r3, r3, #15; cmp r3, #5.
bool is_lpae(ByteView kernel) {
  constexpr std::size_t kHead = 4096;
  const std::size_t end = std::min(kernel.size(), kHead);
  for (std::size_t at = 0; at + 12 <= end; at += 4) {
    if (get<std::uint32_t>(kernel, at) == 0xee103f91 &&
        get<std::uint32_t>(kernel, at + 4) == 0xe203300f &&
        get<std::uint32_t>(kernel, at + 8) == 0xe3530005) {
      return true;
    }
  }
  return false;
}

template <std::size_t size>
bool starts_with(ByteView bytes, const std::array<std::uint8_t, size>& magic) {
  return bytes.size() >= size && std::equal(magic.begin(), magic.end(), bytes.begin());
}

// Finds the payload by trying every place that looks like a stream's beginning: the decompressor in
// front of it has the magic number too.
std::optional<Problem> unpack_payload(ByteView image, const Table& table, ZImage& zimage) {
  constexpr std::array<std::uint8_t, 6> kXz = {0xfd, '7', 'z', 'X', 'Z', 0};
  constexpr std::array<std::uint8_t, 4> kGzip = {0x1f, 0x8b, 8, 0};  // no name
  const std::size_t last = table.payload_end != 0 ? table.payload_end + 4 : image.size();
  const std::size_t limit = zimage.unpacked_size != 0 ? zimage.unpacked_size : kMaxUnpacked;
  bool seen = false;
  for (std::size_t at = kHeaderSize; at + 16 < last; ++at) {
    if (image[at] != kXz[0] && image[at] != kGzip[0]) continue;
    const ByteView rest = image.subspan(at, last - at);
    const bool xz = starts_with(rest, kXz);
    // The kernel is packed with `gzip -n -9`: no time, best compression, on Unix.
    const bool gzip = starts_with(rest, kGzip) && rest[8] == 2 && rest[9] == 3;
    if (!xz && !gzip) continue;
    seen = true;
    auto unpacked = xz ? unpack_xz(rest, limit) : unpack_gzip(rest, limit);
    if (!unpacked || unpacked->bytes.size() < kHeaderSize) continue;
    if (zimage.unpacked_size != 0 && unpacked->bytes.size() != zimage.unpacked_size) continue;
    zimage.unpacked = std::move(unpacked->bytes);
    zimage.unpacked_size = static_cast<std::uint32_t>(zimage.unpacked.size());
    return std::nullopt;
  }
  if (seen) return damaged("the kernel is damaged: what it holds cannot be unpacked");
  zimage.unpack_problem = "compressed by neither gzip nor XZ";
  return std::nullopt;
}

// "6.1.0-50-armmp" of the banner "Linux version 6.1.0-50-armmp (...".
std::string find_version(ByteView kernel) {
  constexpr std::string_view kBanner = "Linux version ";
  for (auto at = kernel.begin();;) {
    at = std::search(at, kernel.end(), kBanner.begin(), kBanner.end());
    if (at == kernel.end()) return "";
    at += static_cast<std::ptrdiff_t>(kBanner.size());
    if (at == kernel.end() || *at < '0' || *at > '9') continue;
    const auto end =
        std::find_if(at, kernel.end(), [](std::uint8_t c) { return c <= ' ' || c > '~'; });
    return {at, end};
  }
}

std::optional<Problem> check_header(ByteView bytes) {
  constexpr std::uint32_t kZImage = 0x016f2818, kBigEndian = 0x01020304;
  if (bytes.size() < kHeaderSize) {
    return damaged(fmt::format("the kernel is truncated: {} bytes", bytes.size()));
  }
  if (get<std::uint32_t>(bytes, kMagic) != kZImage ||
      get<std::uint32_t>(bytes, kEndian) == kBigEndian) {
    return Problem{"a big-endian kernel is not supported", "use a little-endian (armhf) kernel"};
  }
  const auto start = get<std::uint32_t>(bytes, kStart), end = get<std::uint32_t>(bytes, kEnd);
  if (end < start || end - start < kHeaderSize) {
    return damaged("the kernel's header contradicts itself");
  }
  if (end - start > bytes.size()) {
    return damaged(fmt::format("the kernel is truncated: {} bytes, its header says {}",
                               bytes.size(), end - start));
  }
  if (is_thumb2(bytes)) {
    return Problem{"a kernel in Thumb-2 code (CONFIG_THUMB2_KERNEL) is not supported",
                   std::string(kUseArmmp)};
  }
  return std::nullopt;
}

std::string describe(const ZImage& zimage) {
  return fmt::format("zImage{}{}{}", zimage.version.empty() ? "" : ", Linux ", zimage.version,
                     zimage.unpack_problem.empty() ? "" : ", " + zimage.unpack_problem);
}

}  // namespace

Result<KernelImage> read_zimage(ByteView bytes) {
  if (auto problem = check_header(bytes)) return std::unexpected(*problem);
  KernelImage kernel;
  kernel.format = system::KernelFormat::ZImage;
  kernel.file = bytes.first(get<std::uint32_t>(bytes, kEnd) - get<std::uint32_t>(bytes, kStart));
  const auto table = read_table(kernel.file);
  if (!table) return std::unexpected(table.error());
  ZImage& zimage = kernel.zimage;
  zimage.text_offset = table->text_offset;
  zimage.bss_size = table->bss_size;
  zimage.memory_size = static_cast<std::uint32_t>(kernel.file.size()) + kWorkspace;
  if (table->payload_end != 0) {
    zimage.unpacked_size = get<std::uint32_t>(kernel.file, table->payload_end);
    if (zimage.unpacked_size > kMaxUnpacked) {
      return std::unexpected(damaged("the kernel's header contradicts itself"));
    }
  }
  if (auto problem = unpack_payload(kernel.file, *table, zimage)) return std::unexpected(*problem);
  if (is_lpae(zimage.unpacked)) {
    return std::unexpected(
        Problem{"a kernel with LPAE page tables is not supported: the processors "
                "this is made for have none",
                std::string(kUseArmmp)});
  }
  zimage.version = find_version(zimage.unpacked);
  kernel.summary = describe(zimage);
  return kernel;
}

}  // namespace mezzo::loader
