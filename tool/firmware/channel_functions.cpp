// Source: PCI Local Bus Specification 3.0, 6.1 (header type 0) and 6.7 (capabilities).
#include "firmware/channel_functions.hpp"

#include "abi/plan.hpp"
#include "loader/bytes.hpp"

namespace mezzo::firmware {
namespace {

using loader::put;

void put_function(std::span<std::uint8_t> page, const ChannelFunction& function, unsigned pin,
                  bool is_one_of_several) {
  constexpr std::uint16_t kMemoryEnabled = 1 << 1;
  // The interrupt always seems pending: its line is shared with nothing.
  constexpr std::uint16_t kInterruptPending = 1 << 3, kHasCapabilities = 1 << 4;
  constexpr std::uint8_t kMemoryController = 0x05, kSeveral = 0x80;
  put(page, 0x00, kChannelVendor);
  put(page, 0x02, kChannelDevice);
  put(page, 0x04, kMemoryEnabled);
  put(page, 0x06, static_cast<std::uint16_t>(kInterruptPending | kHasCapabilities));
  put(page, 0x08, function.end);  // revision
  put(page, 0x0b, kMemoryController);
  put(page, 0x0e, is_one_of_several ? kSeveral : std::uint8_t{0});
  put(page, 0x2c, kChannelVendor);  // subsystem
  put(page, 0x2e, function.number);
  constexpr std::uint8_t kCapability = 0x40;
  put(page, 0x34, kCapability);
  put(page, 0x3c, function.line);
  put(page, 0x3d, static_cast<std::uint8_t>(pin));

  // Enhanced Allocation with one entry of three words, in the place of base address register 0.
  constexpr std::uint8_t kEnhancedAllocation = 0x14, kEntries = 1;
  constexpr std::uint32_t kWordsBehind = 2, kMemory = 0u << 8, kNothing = 0xffu << 16,
                          kEnabled = 1u << 31;
  put(page, kCapability, kEnhancedAllocation);
  put(page, kCapability + 2, kEntries);
  put(page, kCapability + 4, kWordsBehind | kMemory | kNothing | kEnabled);
  put(page, kCapability + 8, function.base);
  put(page, kCapability + 12, (function.size - 1) & ~3u);
}

}  // namespace

std::vector<std::uint8_t> make_functions(std::span<const ChannelFunction> functions) {
  std::vector<std::uint8_t> pages(functions.size() * plan::kPageSize, 0);
  for (std::size_t n = 0; n < functions.size(); ++n) {
    put_function(std::span(pages).subspan(n * plan::kPageSize, plan::kPageSize), functions[n],
                 static_cast<unsigned>(n) + 1, functions.size() > 1);
  }
  return pages;
}

}  // namespace mezzo::firmware
