// The part that is the same for all boards.
//
// Sources: Devicetree Specification 0.4, sections 2.3 (addresses), 3 (nodes that every tree has);
// Linux Documentation/devicetree/bindings/chosen.txt.
#include "firmware/device_tree.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace mezzo::firmware {
namespace {

// How addresses below a bus become those of the processor.
struct Bus {
  std::uint32_t address_cells = 2, size_cells = 1;  // the specification's defaults
  bool reachable = true;                            // false below a bus without `ranges`
  struct Range {
    std::uint64_t child, cpu, size;
  };
  std::vector<Range> ranges;  // empty: addresses are the same

  [[nodiscard]] std::optional<std::uint64_t> translate(std::uint64_t address) const {
    if (!reachable) return std::nullopt;
    if (ranges.empty()) return address;
    for (const Range& range : ranges) {
      if (address >= range.child && address - range.child < range.size) {
        return range.cpu + (address - range.child);
      }
    }
    return std::nullopt;
  }
};

// A number of `count` cells; the upper ones of three are dropped.
std::uint64_t take(std::span<const std::uint32_t> cells, std::size_t at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 32 | cells[at + i];
  return value;
}

// The bus that the node at `path`, itself on `parent`, makes for its children.
Bus bus_of(const Fdt& tree, const std::string& path, const Bus& parent) {
  Bus bus;
  bus.address_cells = tree.number(path, "#address-cells", 2);
  bus.size_cells = tree.number(path, "#size-cells", 1);
  if (path == "/") return bus;
  const auto ranges = tree.cells(path, "ranges");
  bus.reachable = parent.reachable && ranges.has_value();
  if (!bus.reachable) return bus;
  const std::size_t row = std::size_t{bus.address_cells} + parent.address_cells + bus.size_cells;
  if (ranges->empty()) {
    bus.ranges = parent.ranges;
    return bus;
  }
  for (std::size_t at = 0; row != 0 && at + row <= ranges->size(); at += row) {
    const std::uint64_t upper = take(*ranges, at + bus.address_cells, parent.address_cells);
    const auto cpu = parent.translate(upper);
    if (!cpu) continue;
    bus.ranges.push_back({take(*ranges, at, bus.address_cells), *cpu,
                          take(*ranges, at + row - bus.size_cells, bus.size_cells)});
  }
  bus.reachable = !bus.ranges.empty();
  return bus;
}

// Tells the devices inside the partition's windows from the others.
class Survey {
 public:
  Survey(const Fdt& tree, std::span<const plan::Window> windows) : tree_(tree), windows_(windows) {
    visit_children("/", bus_of(tree_, "/", {}));
  }

  // Paths of nodes outside.
  [[nodiscard]] const std::vector<std::string>& unreachable() const { return unreachable_; }
  // One line for each device inside that is not disabled.
  [[nodiscard]] const std::vector<std::string>& reachable() const { return reachable_; }

 private:
  void visit_children(const std::string& path, const Bus& bus) {
    for (const std::string& child : tree_.children(path)) {
      const bool not_a_device = path == "/" && (child == "/cpus" || child == "/chosen" ||
                                                child == "/aliases" || is_memory(child));
      if (!not_a_device) visit(child, bus);
    }
  }

  [[nodiscard]] bool is_memory(const std::string& path) const {
    return tree_.text(path, "device_type") == "memory";
  }

  void visit(const std::string& path, const Bus& bus) {
    const auto reg = tree_.cells(path, "reg");
    // A bus may list the range that it covers.
    const bool is_bus = tree_.lists(path, "compatible", "simple-bus");
    if (is_bus || !reg || reg->size() < bus.address_cells || bus.address_cells == 0) {
      return visit_children(path, bus_of(tree_, path, bus));
    }
    const auto address = bus.translate(take(*reg, 0, bus.address_cells));
    // What has an address of another kind (on I2C, say) goes or stays with its bus, and so does
    // what is inside a device.
    if (!address) {
      if (bus.reachable) unreachable_.push_back(path);
      return;
    }
    if (!in_window(*address)) return unreachable_.push_back(path);
    if (tree_.text(path, "status").value_or("okay") == "okay") {
      reachable_.push_back(fmt::format("{:#x} {} ({})", *address, path.substr(path.rfind('/') + 1),
                                       tree_.text(path, "compatible").value_or("?")));
    }
  }

  [[nodiscard]] bool in_window(std::uint64_t address) const {
    return std::ranges::any_of(windows_, [address](const plan::Window& window) {
      return address >= window.guest_base && address - window.guest_base < window.size;
    });
  }

  const Fdt& tree_;
  std::span<const plan::Window> windows_;
  std::vector<std::string> unreachable_, reachable_;
};

// One processor, called 0 whichever it is: a guest has one and is shown a uniprocessor.
void leave_one_cpu(Fdt& tree) {
  bool found = false;
  for (const std::string& path : tree.children("/cpus")) {
    const bool cpu = tree.text(path, "device_type") == "cpu";
    if (!cpu || found) {
      tree.remove(path);  // others, maps of clusters, idle states
      continue;
    }
    found = true;
    tree.set(path, "reg", {0});
    // Its clock and voltage are not one guest's to change.
    for (const char* property :
         {"enable-method", "operating-points", "operating-points-v2", "#cooling-cells"}) {
      tree.remove(path, property);
    }
  }
}

void set_memory(Fdt& tree, const DeviceTreeInput& input) {
  for (const std::string& path : tree.children("/")) {
    if (tree.text(path, "device_type") == "memory") tree.remove(path);
  }
  if (input.memory.empty()) return;
  Fdt::Cells reg;
  const auto put = [&reg](std::uint32_t cells, std::uint32_t value) {
    if (cells == 2) reg.push_back(0);
    reg.push_back(value);
  };
  for (const plan::Piece& piece : input.memory) {
    put(tree.number("/", "#address-cells", 2), piece.guest_base);
    put(tree.number("/", "#size-cells", 1), piece.size);
  }
  const std::string path =
      tree.add("/", fmt::format("memory@{:x}", input.memory.front().guest_base));
  tree.set(path, "device_type", std::string_view("memory"));
  tree.set(path, "reg", reg);
}

void set_chosen(Fdt& tree, const DeviceTreeInput& input) {
  tree.remove("/chosen");
  const std::string chosen = tree.add("/", "chosen");
  tree.set(chosen, "bootargs", input.cmdline);
  if (input.initramfs_size != 0) {
    tree.set(chosen, "linux,initrd-start", {input.initramfs_address});
    tree.set(chosen, "linux,initrd-end", {input.initramfs_address + input.initramfs_size});
  }
}

bool refers_to_phandle(std::string_view property) {
  return property.ends_with("-supply") || property.ends_with("-gpios") || property == "dmas" ||
         property == "memory-region" || property == "next-level-cache";
}

// Drops aliases and references to nodes that are gone, where a driver would wait for them for ever.
void remove_dangling(Fdt& tree) {
  for (const std::string& name : tree.properties("/aliases")) {
    const auto target = tree.text("/aliases", name.c_str());
    if (target && !tree.has(*target)) tree.remove("/aliases", name.c_str());
  }
  tree.walk("/", [&tree](const std::string& path) {
    for (const std::string& name : tree.properties(path)) {
      if (!refers_to_phandle(name)) continue;
      const auto value = tree.cells(path, name.c_str());
      if (value && !value->empty() && !tree.has_phandle(value->front())) {
        tree.remove(path, name.c_str());
      }
    }
    return true;
  });
}

bool has_memory(const Fdt& tree) {
  const auto nodes = tree.children("/");
  return std::ranges::any_of(nodes, [&tree](const std::string& path) {
    return tree.text(path, "device_type") == "memory";
  });
}

}  // namespace

std::optional<loader::Problem> check_device_tree(loader::ByteView tree, system::Board board) {
  const system::BoardInfo& info = system::board_info(board);
  const std::string remedy = fmt::format(
      "use {} of the kernel's package (the default), or one compiled by dtc for this board",
      info.armv7.device_tree);
  const auto opened = Fdt::open(tree);
  if (!opened) return loader::Problem{"this is no device tree, or a damaged one", remedy};
  if (!opened->lists("/", "compatible", info.armv7.compatible)) {
    return loader::Problem{fmt::format("the device tree is for '{}', not for '{}' (board {})",
                                       opened->text("/", "compatible").value_or("?"),
                                       info.armv7.compatible, info.name),
                           remedy};
  }
  // Boards whose boot loader fills the memory in have none in their trees.
  if (info.armv7.tree_has_memory && !has_memory(*opened)) {
    return loader::Problem{"the device tree has no memory", remedy};
  }
  if (opened->children("/cpus").empty()) {
    return loader::Problem{"the device tree has no processor", remedy};
  }
  return std::nullopt;
}

DeviceTree make_device_tree(loader::ByteView tree, const DeviceTreeInput& input) {
  auto opened = Fdt::open(tree);
  if (!opened) return {};
  DeviceTree result;
  for (const std::string& path : Survey(*opened, input.windows).unreachable()) {
    opened->remove(path);
  }
  leave_one_cpu(*opened);
  opened->remove("/pmu");  // the monitor lets no guest count
  opened->remove("/reserved-memory");
  set_chosen(*opened, input);
  adapt_to_board(*opened, input);
  set_memory(*opened, input);
  remove_dangling(*opened);
  result.summary = Survey(*opened, input.windows).reachable();
  result.blob = opened->pack();
  return result;
}

}  // namespace mezzo::firmware
