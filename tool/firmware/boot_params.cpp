// Fills boot_params. Offsets: Linux Documentation/arch/x86/zero-page.rst and boot.rst.
#include "firmware/boot_params.hpp"

#include <algorithm>

#include "loader/bytes.hpp"

namespace mezzo::firmware {
namespace {

constexpr std::size_t kAcpiRsdp = 0x070;   // 8 bytes
constexpr std::size_t kE820Count = 0x1e8;  // 1 byte
constexpr std::size_t kSetupHeader = 0x1f1;
constexpr std::size_t kVideoMode = 0x1fa;    // 2 bytes
constexpr std::size_t kLoaderType = 0x210;   // 1 byte
constexpr std::size_t kLoadflags = 0x211;    // 1 byte
constexpr std::size_t kCode32Start = 0x214;  // 4 bytes each from here
constexpr std::size_t kRamdiskImage = 0x218;
constexpr std::size_t kRamdiskSize = 0x21c;
constexpr std::size_t kCmdline = 0x228;
constexpr std::size_t kE820Table = 0x2d0;  // entries of 20 bytes

constexpr std::uint16_t kNormalVideoMode = 0xffff;
constexpr std::uint8_t kUnregisteredLoader = 0xff;
constexpr std::uint8_t kLoadedHigh = 0x01;

}  // namespace

std::vector<std::uint8_t> make_boot_params(const loader::LinuxImage& kernel,
                                           const BootParamsInput& input) {
  using loader::put;
  std::vector<std::uint8_t> page(kBootParamsSize, 0);
  std::ranges::copy(kernel.setup_header, page.begin() + kSetupHeader);
  put(page, kAcpiRsdp, std::uint64_t{input.rsdp_address});
  put(page, kVideoMode, kNormalVideoMode);
  page[kLoaderType] = kUnregisteredLoader;
  page[kLoadflags] = kLoadedHigh;
  put(page, kCode32Start, input.load_address);
  put(page, kRamdiskImage, input.initramfs_address);
  put(page, kRamdiskSize, input.initramfs_size);
  put(page, kCmdline, input.cmdline_address);
  page[kE820Count] = static_cast<std::uint8_t>(input.e820.size());
  std::size_t at = kE820Table;
  for (const E820Entry& entry : input.e820) {
    put(page, at, entry.base);
    put(page, at + 8, entry.size);
    put(page, at + 16, static_cast<std::uint32_t>(entry.type));
    at += 20;
  }
  return page;
}

}  // namespace mezzo::firmware
