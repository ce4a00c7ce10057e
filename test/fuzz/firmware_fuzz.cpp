// Fuzzer: firmware tables against the search for processors. The input becomes the memory where
// firmware keeps them; checksums are made right for structures at places that the input names, or
// none would pass.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "arch/ia32/firmware.hpp"

namespace mezzo::test {
namespace {

constexpr std::uint32_t kBios = 0xe0000, kBiosSize = 0x2000;

class Firmware {
 public:
  // A chain of tables whose contents are the input's, then bytes of it anywhere, then right
  // checksums.
  explicit Firmware(FuzzedDataProvider& data) {
    if (data.ConsumeBool()) {
      plant(data, "RSD PTR ", kPointerAt, 20, {16, kRootAt});
      plant(data, "RSDT", kRootAt, 40, {36, kTableAt});
      plant(data, "APIC", kTableAt, data.ConsumeIntegralInRange<std::uint32_t>(36, 200), {});
    }
    if (data.ConsumeBool()) {
      plant(data, "_MP_", kPointerAt + 0x40, 16, {4, kConfigurationAt});
      plant(data, "PCMP", kConfigurationAt, data.ConsumeIntegralInRange<std::uint32_t>(36, 200),
            {});
    }
    while (data.remaining_bytes() > 0) {
      memory_[data.ConsumeIntegralInRange<std::uint32_t>(0, kBiosSize - 1)] =
          data.ConsumeIntegral<std::uint8_t>();
    }
    for (const Sum& sum : sums_) fix(sum);
  }

  // Exactly the bytes asked for, in a block of their own, so that reading past them is found.
  std::span<const std::uint8_t> operator()(std::uint32_t address, std::uint32_t bytes) {
    const std::uint32_t offset = address - kBios;
    if (offset >= kBiosSize || bytes > kBiosSize - offset) return {};
    const auto begin = memory_.begin() + offset;
    const auto& copy = copies_.emplace_back(begin, begin + bytes);
    return copy;
  }

 private:
  static constexpr std::uint32_t kPointerAt = 0x100, kRootAt = 0x200, kTableAt = 0x400,
                                 kConfigurationAt = 0x800;
  struct Link {
    std::uint32_t at = 0, target = 0;
  };
  struct Sum {
    std::uint32_t offset, size, at;
  };

  void put32(std::uint32_t offset, std::uint32_t value) {
    std::memcpy(memory_.data() + offset, &value, 4);
  }
  // A table of `size` bytes; the ones that say their length do so in bytes 4 to 7 (PCMP: 4 and 5).
  void plant(FuzzedDataProvider& data, std::string_view signature, std::uint32_t at,
             std::uint32_t size, Link link) {
    const auto body = data.ConsumeBytes<std::uint8_t>(size);
    std::copy(body.begin(), body.end(), memory_.begin() + at);
    std::copy(signature.begin(), signature.end(), memory_.begin() + at);
    const bool pointer = signature == "RSD PTR " || signature == "_MP_";
    if (signature == "PCMP") {
      memory_[at + 4] = static_cast<std::uint8_t>(size);
      memory_[at + 5] = 0;
    } else if (!pointer) {
      put32(at + 4, size);
    }
    if (link.at != 0) put32(at + link.at, kBios + link.target);
    sums_.push_back({at, size, pointer ? size - 1u : 7u});
    if (signature == "RSD PTR ") sums_.back().at = 8;
    if (signature == "RSDT" || signature == "APIC") sums_.back().at = 9;
  }
  void fix(const Sum& sum) {
    std::uint8_t total = 0;
    for (std::uint32_t n = 0; n < sum.size; ++n) {
      total = static_cast<std::uint8_t>(total + memory_[sum.offset + n]);
    }
    std::uint8_t& byte = memory_[sum.offset + sum.at];
    byte = static_cast<std::uint8_t>(byte - total);
  }

  std::vector<std::uint8_t> memory_ = std::vector<std::uint8_t>(kBiosSize);
  std::vector<Sum> sums_;
  std::vector<std::vector<std::uint8_t>> copies_;
};

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  constexpr std::uint8_t kBoot = 7;
  mezzo::test::Firmware firmware(data);
  const auto found = mezzo::ia32::find_processors(firmware, kBoot);
  const bool good = found.count >= 1 && found.count <= found.ids.size() && found.ids[0] == kBoot;
  if (!good) std::abort();
  return 0;
}
