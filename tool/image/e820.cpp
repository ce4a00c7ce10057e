// Paints the machine's memory in layers and reads the result off.
#include "image/e820.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "firmware/acpi.hpp"
#include "firmware/channel_functions.hpp"

namespace mezzo::image {
namespace {

// Video memory and option ROMs: neither RAM nor reserved, so that a PCI owner may use them.
constexpr Extent kVideoHole = {0xa0000, 0x50000};
constexpr Extent kFlash = {0xfffc0000, 0x40000};

struct Layer {
  Extent extent;
  std::optional<MemoryType> type;  // nothing: absent from the map
};

// The uppermost layer at `address`.
std::optional<MemoryType> type_at(const std::vector<Layer>& layers, std::uint64_t address) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    if (overlap(layer->extent, {address, 1})) return layer->type;
  }
  return std::nullopt;
}

}  // namespace

std::vector<E820Entry> make_e820(const Placement& placement, std::uint64_t machine_memory) {
  std::vector<Layer> layers = {{{0, machine_memory}, MemoryType::Reserved},
                               {kVideoHole, std::nullopt},
                               {kFlash, MemoryType::Reserved}};
  for (const Extent& piece : placement.pieces) layers.push_back({piece, MemoryType::Ram});
  if (placement.acpi != 0) {
    layers.push_back({{placement.acpi, firmware::kAcpiSize}, MemoryType::AcpiData});
  }
  if (placement.nvs != 0) {
    layers.push_back({{placement.nvs, firmware::kNvsSize}, MemoryType::AcpiNvs});
  }
  if (placement.functions != 0) {
    layers.push_back({{placement.functions, firmware::kFunctionsSize}, MemoryType::Reserved});
  }

  std::set<std::uint64_t> edges;
  for (const Layer& layer : layers) {
    edges.insert(layer.extent.base);
    edges.insert(layer.extent.end());
  }
  std::vector<E820Entry> map;
  for (auto edge = edges.begin(); std::next(edge) != edges.end(); ++edge) {
    const auto type = type_at(layers, *edge);
    if (!type) continue;
    const std::uint64_t size = *std::next(edge) - *edge;
    if (!map.empty() && map.back().type == *type && map.back().base + map.back().size == *edge) {
      map.back().size += size;
    } else {
      map.push_back({*edge, size, *type});
    }
  }
  return map;
}

}  // namespace mezzo::image
