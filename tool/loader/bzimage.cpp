// Reads a Linux bzImage: its setup header, whether it is whole, and whether it can run here.
//
// Sources: Linux Documentation/arch/x86/boot.rst (header fields), arch/x86/boot/tools/build.c (the
// checksum), arch/x86/boot/cpuflags.c and cpucheck.c (`req_flags`, the CPU features it insists on).
#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <zlib.h>

#include "loader/bytes.hpp"
#include "loader/kernel.hpp"

namespace mezzo::loader {
namespace {

constexpr std::size_t kSetupSects = 0x1f1;
constexpr std::size_t kSyssize = 0x1f4;
constexpr std::size_t kHeaderJump = 0x201;  // its value + 0x202 is the header's end
constexpr std::size_t kVersion = 0x206;
constexpr std::size_t kKernelVersion = 0x20e;
constexpr std::size_t kLoadflags = 0x211;
constexpr std::size_t kInitrdMax = 0x22c;
constexpr std::size_t kAlignment = 0x230;
constexpr std::size_t kRelocatable = 0x234;
constexpr std::size_t kXloadflags = 0x236;
constexpr std::size_t kCmdlineSize = 0x238;
constexpr std::size_t kPreferred = 0x258;
constexpr std::size_t kInitSize = 0x260;

constexpr std::uint8_t kLoadedHigh = 1;
constexpr std::size_t kParagraph = 16;            // unit of the payload's size
constexpr std::uint16_t kKernel64 = 1;            // XLF_KERNEL_64
constexpr std::uint16_t kOldestProtocol = 0x20a;  // init_size and pref_address

Problem truncated(std::size_t size, std::size_t wanted) {
  return {fmt::format("the kernel is truncated: {} bytes, its header says {}", size, wanted),
          "fetch or copy the file again"};
}

// The features that the setup code checks before it goes on: the array `req_flags`, found as an
// aligned word that requires an FPU and CMPXCHG8B and nothing unusual, before at least 18 words of
// which only NOPL may be set. Nothing if there is no such place.
std::optional<std::pair<std::uint32_t, std::uint32_t>> required_cpu_features(ByteView setup) {
  constexpr std::uint32_t kFpuAndCx8 = 0x101;
  constexpr std::uint32_t kPossible = 0x0700a169;  // FPU PSE MSR PAE CX8 PGE CMOV FXSR XMM XMM2
  constexpr std::uint32_t kLongMode = 1U << 29;
  constexpr std::uint32_t kNopl = 1U << 20;
  constexpr std::size_t kWords = 19;
  for (std::size_t at = 0x400; at + kWords * 4 <= setup.size(); at += 4) {
    const auto first = get<std::uint32_t>(setup, at);
    const auto second = get<std::uint32_t>(setup, at + 4);
    if ((first & kFpuAndCx8) != kFpuAndCx8 || (first & ~kPossible) != 0) continue;
    if ((second & ~kLongMode) != 0) continue;
    bool rest_clear = true;
    for (std::size_t i = 2; i < kWords; ++i) {
      const std::uint32_t allowed = i == 3 ? kNopl : 0;
      rest_clear = rest_clear && (get<std::uint32_t>(setup, at + i * 4) & ~allowed) == 0;
    }
    if (rest_clear) return std::pair{first, second};
  }
  return std::nullopt;
}

// "6.1.0-50-686-pae" of the whole version string.
std::string release(const LinuxImage& image) {
  return image.version.substr(0, image.version.find(' '));
}

std::optional<Problem> unsupported(ByteView setup, const LinuxImage& image) {
  const auto features = required_cpu_features(setup);
  const bool named64 = image.version.find("-amd64") != std::string::npos;
  const bool loads64 =
      image.protocol >= 0x20c && (get<std::uint16_t>(setup, kXloadflags) & kKernel64) != 0;
  if (loads64 || named64 || (features && features->second != 0)) {
    return Problem{fmt::format("a 64-bit kernel is not supported yet ({})", release(image)),
                   "use a 32-bit kernel, for example the package linux-image-686"};
  }
  return std::nullopt;
}

bool needs_pae(ByteView setup, const LinuxImage& image) {
  constexpr std::uint32_t kPae = 1U << 6;
  const auto features = required_cpu_features(setup);
  return image.version.find("-pae") != std::string::npos ||
         (features && (features->first & kPae) != 0);
}

// Linux' begins with its release, such as "6.1.0"; that of another program which starts in the same
// way (memtest86+) with a name.
bool is_linux_version(std::string_view version) {
  return !version.empty() && version.front() >= '0' && version.front() <= '9';
}

std::string version_string(ByteView bytes, std::size_t setup_size) {
  const std::size_t start = get<std::uint16_t>(bytes, kKernelVersion) + std::size_t{0x200};
  const std::size_t end_of_setup = std::min(setup_size, bytes.size());
  if (start == 0x200 || start >= end_of_setup) return "unknown version";
  const ByteView rest = bytes.subspan(start, end_of_setup - start);
  const auto end = std::ranges::find(rest, std::uint8_t{0});
  return {rest.begin(), end};
}

// A bzImage ends with the complement of its CRC-32, so that the CRC of the whole is ~0. Signing
// changes the PE header's checksum and certificate entry afterwards; they count as zero.
bool checksum_matches(ByteView image) {
  std::vector<std::uint8_t> copy(image.begin(), image.end());
  const std::size_t pe = get<std::uint32_t>(image, 0x3c);
  if (pe + 0xa0 <= 0x1f1 && get<std::uint32_t>(image, pe) == 0x00004550) {  // "PE\0\0"
    const std::size_t optional = pe + 24;
    const bool pe32_plus = get<std::uint16_t>(image, optional) == 0x20b;
    const std::size_t certificate = optional + (pe32_plus ? 144 : 128);
    std::fill_n(copy.begin() + static_cast<std::ptrdiff_t>(optional) + 64, 4, std::uint8_t{0});
    std::fill_n(copy.begin() + static_cast<std::ptrdiff_t>(certificate), 8, std::uint8_t{0});
  }
  // build.c starts from ~0 and stores the register without a final complement.
  return crc32(0, copy.data(), static_cast<uInt>(copy.size())) == 0xffffffff;
}

LinuxImage read_header(ByteView bytes, std::size_t setup_size, std::size_t payload_size) {
  LinuxImage image;
  image.version = version_string(bytes, setup_size);
  image.protocol = get<std::uint16_t>(bytes, kVersion);
  image.relocatable = bytes[kRelocatable] != 0;
  image.alignment = get<std::uint32_t>(bytes, kAlignment);
  image.preferred_address = static_cast<std::uint32_t>(get<std::uint64_t>(bytes, kPreferred));
  image.init_size = get<std::uint32_t>(bytes, kInitSize);
  image.initrd_max = get<std::uint32_t>(bytes, kInitrdMax);
  image.cmdline_max = get<std::uint32_t>(bytes, kCmdlineSize);
  const std::size_t header_end = 0x202 + std::size_t{bytes[kHeaderJump]};
  image.setup_header = bytes.subspan(kSetupSects, header_end - kSetupSects);
  image.payload = bytes.subspan(setup_size, payload_size);
  return image;
}

}  // namespace

Result<KernelImage> read_bzimage(ByteView bytes) {
  if (bytes.size() < 0x400) return std::unexpected(truncated(bytes.size(), 0x400));
  const auto protocol = get<std::uint16_t>(bytes, kVersion);
  if (protocol < kOldestProtocol || (bytes[kLoadflags] & kLoadedHigh) == 0) {
    return std::unexpected(
        Problem{fmt::format("boot protocol {}.{} is too old, or the image has real-mode code only",
                            protocol >> 8, protocol & 0xff),
                "use a bzImage of Linux 2.6.31 or newer, or a program with a 32-bit entry"});
  }
  const std::size_t sectors = bytes[kSetupSects] == 0 ? 4 : bytes[kSetupSects];
  const std::size_t setup_size = (sectors + 1) * 512;
  const std::size_t wanted = get<std::uint32_t>(bytes, kSyssize) * std::size_t{kParagraph};
  // Linux' build pads the file; other programs' may end within the last paragraph.
  const bool linux_kernel = is_linux_version(version_string(bytes, setup_size));
  const std::size_t missing_at_most = linux_kernel ? 0 : kParagraph - 1;
  if (bytes.size() < setup_size || bytes.size() + missing_at_most < setup_size + wanted) {
    return std::unexpected(truncated(bytes.size(), setup_size + wanted));
  }
  const std::size_t payload_size = std::min(wanted, bytes.size() - setup_size);
  KernelImage kernel;
  kernel.format = system::KernelFormat::BzImage;
  kernel.linux_image = read_header(bytes, setup_size, payload_size);
  if (auto problem = unsupported(bytes.first(setup_size), kernel.linux_image)) {
    return std::unexpected(*problem);
  }
  kernel.linux_image.is_linux = linux_kernel;
  kernel.linux_image.needs_pae = needs_pae(bytes.first(setup_size), kernel.linux_image);
  const std::uint32_t alignment = kernel.linux_image.alignment;
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 ||
      kernel.linux_image.init_size < payload_size) {
    return std::unexpected(
        Problem{"the kernel's setup header contradicts itself", "fetch or copy the file again"});
  }
  if (linux_kernel && !checksum_matches(bytes.first(setup_size + payload_size))) {
    return std::unexpected(Problem{"the kernel is corrupted: its own checksum does not match",
                                   "fetch or copy the file again"});
  }
  kernel.summary = "bzImage, version " + kernel.linux_image.version;
  return kernel;
}

}  // namespace mezzo::loader
