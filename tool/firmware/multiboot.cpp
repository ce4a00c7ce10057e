// Source: Multiboot Specification 0.6.96, section 3.3.
#include "firmware/multiboot.hpp"

#include "loader/bytes.hpp"

namespace mezzo::firmware {
namespace {

constexpr std::uint32_t kHasMemory = 1U << 0, kHasCmdline = 1U << 2, kHasModules = 1U << 3,
                        kHasMap = 1U << 6;
constexpr std::size_t kModuleAt = 0x80, kMapAt = 0xa0;
constexpr std::size_t kMapEntrySize = 24;
constexpr std::size_t kMaxEntries = 128;
constexpr std::uint64_t kMiB = 1 << 20;

}  // namespace

std::vector<std::uint8_t> make_multiboot_info(const MultibootInput& input) {
  using loader::put;
  std::vector<std::uint8_t> page(kMultibootInfoSize, 0);
  const std::span<std::uint8_t> bytes(page);
  std::uint32_t flags = kHasMemory | kHasMap;
  std::uint64_t lower = 0, upper = 0;  // bytes of RAM from 0 and from 1 MiB
  std::size_t at = kMapAt;
  for (const E820Entry& entry : input.e820.first(std::min(input.e820.size(), kMaxEntries))) {
    put(bytes, at, static_cast<std::uint32_t>(kMapEntrySize - 4));
    put(bytes, at + 4, entry.base);
    put(bytes, at + 12, entry.size);
    put(bytes, at + 20, static_cast<std::uint32_t>(entry.type));
    at += kMapEntrySize;
    if (entry.type != MemoryType::Ram) continue;
    if (entry.base == 0) lower = entry.size;
    if (entry.base <= kMiB && entry.base + entry.size > kMiB) {
      upper = entry.base + entry.size - kMiB;
    }
  }
  put(bytes, 4, static_cast<std::uint32_t>(lower / 1024));
  put(bytes, 8, static_cast<std::uint32_t>(upper / 1024));
  if (input.cmdline_address != 0) {
    flags |= kHasCmdline;
    put(bytes, 16, input.cmdline_address);
  }
  if (input.module_address != 0) {
    flags |= kHasModules;
    put(bytes, 20, std::uint32_t{1});
    put(bytes, 24, input.info_address + static_cast<std::uint32_t>(kModuleAt));
    put(bytes, kModuleAt, input.module_address);
    put(bytes, kModuleAt + 4, input.module_address + input.module_size);
    put(bytes, kModuleAt + 8, input.cmdline_address);
  }
  put(bytes, 44, static_cast<std::uint32_t>(at - kMapAt));
  put(bytes, 48, input.info_address + static_cast<std::uint32_t>(kMapAt));
  put(bytes, 0, flags);
  return page;
}

}  // namespace mezzo::firmware
