// The keys of a system file. doc/system-file.md is their reference for users.
#include "system/parse.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>

#include "base/file.hpp"
#include "system/toml_reader.hpp"

namespace mezzo::system {
namespace {

constexpr std::uint32_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kDefaultDisk = std::uint64_t{640} << 20;
constexpr std::uint32_t kDefaultHeartbeat = 20'000;  // microseconds

// What all the functions below share.
struct Context {
  std::string file;
  std::filesystem::path directory;
  Diagnostics& diagnostics;

  [[nodiscard]] std::filesystem::path resolve(const std::string& name) const {
    return directory / name;  // an absolute name replaces the directory
  }
};

// The table under `key`, or null after a complaint if it is something else.
const toml::table* subtable(TomlReader& reader, std::string_view key, bool required,
                            std::string_view example) {
  const toml::node* node = reader.node(key, required);
  if (node == nullptr) return nullptr;
  if (node->is_table()) return node->as_table();
  reader.error(position_of(node->source()), fmt::format("'{}' must be a table", key),
               fmt::format("write it as {} = {}", key, example));
  return nullptr;
}

std::optional<std::uint32_t> parse_microseconds(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{}) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit == "us") return value;
  if (unit == "ms" && value <= kMax32 / 1000) return value * 1000;
  return std::nullopt;
}

Machine parse_machine(const toml::table& table, const Context& context) {
  TomlReader reader(table, "[machine]", context.file, context.diagnostics);
  Machine machine;
  machine.where = reader.where();
  reader.choice("board", {"pc"});
  machine.memory = reader.size("memory", true).value_or(0);
  machine.memory_where = reader.where("memory");
  machine.cpus = static_cast<unsigned>(reader.number("cpus", 255).value_or(0));
  machine.cpus_where = reader.where("cpus");
  machine.cpu_model = reader.string("cpu").value_or("pentium3");
  machine.cpu_model_where = reader.where("cpu");
  machine.heartbeat_us = kDefaultHeartbeat;
  machine.heartbeat_where = reader.where("heartbeat");
  if (const auto text = reader.string("heartbeat")) {
    if (const auto period = parse_microseconds(*text)) {
      machine.heartbeat_us = *period;
    } else {
      reader.error(machine.heartbeat_where, fmt::format("'{}' is not a time", *text),
                   "write it as \"1 ms\" or \"500 us\"");
    }
  }
  reader.finish();
  return machine;
}

MemorySpec parse_memory(TomlReader& reader, const Context& context) {
  MemorySpec memory;
  memory.where = reader.where("memory");
  const toml::node* node = reader.node("memory", true);
  if (node == nullptr) return memory;
  const toml::array* list = node->as_array();
  if (list == nullptr) {
    memory.size = reader.size("memory");
    return memory;
  }
  for (const toml::node& element : *list) {
    const toml::table* table = element.as_table();
    if (table == nullptr) {
      reader.error(position_of(element.source()), "a memory piece must be a table",
                   "write it as { base = 0x10000, size = \"64 KiB\" }");
      continue;
    }
    TomlReader piece(*table, "a memory piece", context.file, context.diagnostics);
    memory.pieces.push_back({piece.size("base", true).value_or(0),
                             piece.size("size", true).value_or(0), piece.where()});
    piece.finish();
  }
  return memory;
}

std::optional<std::uint32_t> parse_address(TomlReader& reader, std::string_view key) {
  const auto value = reader.number(key, kMax32);
  return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

KernelSpec parse_kernel(TomlReader& partition, const Context& context) {
  KernelSpec kernel;
  kernel.where = partition.where("kernel");
  const toml::table* table =
      subtable(partition, "kernel", true, "{ package = \"linux-image-686\" }");
  if (table == nullptr) return kernel;
  TomlReader reader(*table, "kernel", context.file, context.diagnostics);
  kernel.package = reader.string("package").value_or("");
  if (const auto file = reader.string("file")) kernel.file = context.resolve(*file);
  if (kernel.package.empty() == kernel.file.empty()) {
    reader.error(kernel.where, "a kernel is either a package or a file",
                 "write { package = \"linux-image-686\" } or { file = \"vmlinuz\" }");
  }
  constexpr KernelFormat kFormats[] = {KernelFormat::Auto, KernelFormat::BzImage, KernelFormat::Elf,
                                       KernelFormat::Multiboot, KernelFormat::Raw};
  kernel.format =
      kFormats[reader.choice("format", {"auto", "bzimage", "elf", "multiboot", "raw"}).value_or(0)];
  kernel.load = parse_address(reader, "load");
  kernel.load_where = reader.where("load");
  kernel.entry = parse_address(reader, "entry");
  kernel.entry_where = reader.where("entry");
  const bool raw = kernel.format == KernelFormat::Raw;
  if (raw != (kernel.load.has_value() && kernel.entry.has_value()) ||
      (!raw && (kernel.load || kernel.entry))) {
    reader.error(
        kernel.where,
        raw ? "a raw image needs 'load' and 'entry'" : "'load' and 'entry' are for raw images only",
        raw ? "add them, for example load = 0x100000, entry = 0x100000"
            : "remove them, or set format = \"raw\"");
  }
  reader.finish();
  return kernel;
}

std::string read_text(const std::filesystem::path& path) {
  const base::Bytes bytes = base::read_file(path);
  return {bytes.begin(), bytes.end()};
}

std::string read_script(TomlReader& reader, const std::string& name, const Context& context) {
  const std::filesystem::path path = context.resolve(name);
  if (const std::string problem = base::why_unreadable(path); !problem.empty()) {
    reader.error(reader.where("script_file"),
                 fmt::format("the script {} {}", path.string(), problem),
                 "name a readable file; relative names start at the system file's directory");
    return {};
  }
  return read_text(path);
}

std::optional<InitramfsSpec> parse_initramfs(TomlReader& partition, const Context& context) {
  const toml::table* table = subtable(partition, "initramfs", false, "{ busybox = true }");
  if (table == nullptr) return std::nullopt;
  TomlReader reader(*table, "initramfs", context.file, context.diagnostics);
  InitramfsSpec initramfs;
  initramfs.where = reader.where();
  if (const auto file = reader.string("file")) initramfs.file = context.resolve(*file);
  initramfs.busybox = reader.boolean("busybox").value_or(false);
  for (auto& [module, position] : reader.strings("modules")) initramfs.modules.push_back(module);
  initramfs.script = reader.string("script").value_or("");
  if (const auto name = reader.string("script_file")) {
    initramfs.script = read_script(reader, *name, context);
  }
  initramfs.root = reader.string("root").value_or("");
  if (!initramfs.root.empty() && !initramfs.script.empty()) {
    reader.error(reader.where("root"), "the root file system's own init runs no 'script'",
                 "remove one of them");
  }
  if (const toml::table* files = subtable(reader, "files", false, "{ \"/etc/motd\" = \"motd\" }")) {
    for (const auto& [inside, outside] : *files) {
      const auto name = outside.value_exact<std::string>();
      if (!name || !inside.str().starts_with('/')) {
        reader.error(position_of(outside.source()),
                     "an entry of 'files' is an absolute path in the guest and a file here",
                     "write it as \"/etc/motd\" = \"motd\"");
        continue;
      }
      initramfs.files.emplace(std::string(inside.str()), context.resolve(*name));
    }
  }
  reader.finish();
  const bool assembled = initramfs.busybox || !initramfs.modules.empty() ||
                         !initramfs.script.empty() || !initramfs.files.empty() ||
                         !initramfs.root.empty();
  if (initramfs.busybox == !initramfs.file.empty() || (assembled && !initramfs.busybox)) {
    reader.error(initramfs.where, "an initramfs is either a file or assembled around busybox",
                 "write { file = \"initrd.img\" } or { busybox = true, ... }");
  }
  return initramfs;
}

// "0x70-0x71" or "0x80".
std::optional<PortRange> parse_ports(std::string_view text) {
  const auto port = [](std::string_view word) -> std::optional<std::uint16_t> {
    const bool hex = word.starts_with("0x");
    if (hex) word.remove_prefix(2);
    std::uint16_t value = 0;
    const char* const end = std::to_address(word.end());
    const auto [stop, failure] =
        std::from_chars(std::to_address(word.begin()), end, value, hex ? 16 : 10);
    if (failure != std::errc{} || stop != end) return std::nullopt;
    return value;
  };
  const std::size_t dash = text.find('-');
  const auto first = port(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return PortRange{*first, *last, {}};
}

void parse_resources(TomlReader& reader, Partition& partition) {
  for (auto& [name, position] : reader.strings("devices")) {
    partition.devices.push_back({name, position});
  }
  for (const auto& [text, position] : reader.strings("ports")) {
    if (auto range = parse_ports(text)) {
      range->where = position;
      partition.ports.push_back(*range);
    } else {
      reader.error(position, fmt::format("'{}' is not a range of ports", text),
                   "write it as \"0x70-0x71\"");
    }
  }
  const toml::node* irqs = reader.node("irqs");
  if (irqs == nullptr) return;
  const auto wrong = [&reader](const toml::node& node) {
    reader.error(position_of(node.source()), "'irqs' is a list of numbers from 0 to 15",
                 "write it as irqs = [5, 7]");
  };
  if (!irqs->is_array()) return wrong(*irqs);
  for (const toml::node& element : *irqs->as_array()) {
    const auto line = element.value_exact<std::int64_t>();
    if (!line || *line < 0 || *line > 15) {
      wrong(element);
      continue;
    }
    partition.irqs.push_back({static_cast<std::uint8_t>(*line), position_of(element.source())});
  }
}

void parse_disk(TomlReader& reader, const Context& context, Partition& partition) {
  const toml::table* table =
      subtable(reader, "disk", false, "{ file = \"disk.img\" } or { debian = \"bookworm\" }");
  if (table == nullptr) return;
  TomlReader disk(*table, "disk", context.file, context.diagnostics);
  DiskSpec spec;
  spec.where = disk.where();
  if (const auto file = disk.string("file")) spec.file = context.resolve(*file);
  spec.debian = disk.choice("debian", {"bookworm"}).has_value();
  if (spec.file.empty() != spec.debian) {
    disk.error(spec.where, "a disk is either a file or a Debian root file system",
               "write { file = \"disk.img\" } or { debian = \"bookworm\" }");
  }
  if (spec.debian) {
    for (auto& [package, position] : disk.strings("packages")) spec.packages.push_back(package);
    spec.size = disk.size("size").value_or(kDefaultDisk);
  }
  spec.read_only = disk.boolean("read_only").value_or(spec.debian);
  disk.finish();
  partition.disk = spec;
  if (!partition.owns("ahci")) partition.devices.push_back({"ahci", spec.where});
}

void parse_network(TomlReader& reader, const Context& context, Partition& partition) {
  const toml::table* table = subtable(reader, "network", false, "{ mode = \"user\" }");
  if (table == nullptr) return;
  TomlReader network(*table, "network", context.file, context.diagnostics);
  NetworkSpec spec;
  spec.where = network.where();
  spec.mode = "user";
  network.choice("mode", {"user"});
  for (auto& [forward, position] : network.strings("forward")) spec.forwards.push_back(forward);
  network.finish();
  partition.network = spec;
  if (!partition.owns("e1000")) partition.devices.push_back({"e1000", spec.where});
}

void parse_policy(TomlReader& reader, Partition& partition) {
  reader.choice("paging", {"direct"});
  constexpr plan::FaultPolicy kPolicies[] = {plan::FaultPolicy::Stop, plan::FaultPolicy::Restart};
  partition.fault_policy = kPolicies[reader.choice("on_fault", {"stop", "restart"}).value_or(0)];
  const auto limit = reader.number("restart_limit", kMax32);
  partition.restart_limit = static_cast<std::uint32_t>(limit.value_or(0));
  if (limit && partition.fault_policy == plan::FaultPolicy::Stop) {
    reader.error(reader.where("restart_limit"), "'restart_limit' has no effect without restarts",
                 "set on_fault = \"restart\", or remove it");
  }
}

void parse_interrupts(TomlReader& reader, Partition& partition) {
  using plan::InterruptController;
  constexpr InterruptController kControllers[] = {
      InterruptController::None, InterruptController::IoApic, InterruptController::Pic};
  partition.interrupts_where = reader.where("interrupts");
  const auto chosen = reader.choice("interrupts", {"none", "ioapic", "pic"});
  if (chosen) {
    partition.interrupts = kControllers[*chosen];
  } else if (partition.owns("pci")) {
    partition.interrupts = InterruptController::IoApic;
  }
}

Partition parse_partition(const toml::table& table, const Context& context) {
  TomlReader reader(table, "[[partition]]", context.file, context.diagnostics);
  Partition partition;
  partition.where = reader.where();
  partition.name_where = reader.where("name");
  partition.name = reader.string("name", true).value_or("");
  partition.cpu_where = reader.where("cpu");
  partition.cpu = static_cast<unsigned>(reader.number("cpu", 255, true).value_or(0));
  partition.memory = parse_memory(reader, context);
  partition.kernel = parse_kernel(reader, context);
  partition.initramfs = parse_initramfs(reader, context);
  partition.cmdline_where = reader.where("cmdline");
  partition.cmdline = reader.string("cmdline").value_or("");
  partition.console_where = reader.where("console");
  partition.console = static_cast<unsigned>(
      reader.choice("console", {"none", "com1", "com2", "com3", "com4"}).value_or(0));
  parse_resources(reader, partition);
  parse_disk(reader, context, partition);
  parse_network(reader, context, partition);
  parse_interrupts(reader, partition);
  parse_policy(reader, partition);
  reader.finish();
  return partition;
}

// As many processors as the highest partition needs.
unsigned default_cpus(const System& system) {
  unsigned cpus = 1;
  for (const Partition& partition : system.partitions) cpus = std::max(cpus, partition.cpu + 1);
  return cpus;
}

LinkEnd parse_link_end(const toml::table& table, const Context& context, const System& system) {
  TomlReader reader(table, "an end of a [[link]]", context.file, context.diagnostics);
  LinkEnd end;
  end.where = reader.where();
  const std::string name = reader.string("partition", true).value_or("");
  const auto owner = std::ranges::find(system.partitions, name, &Partition::name);
  if (owner == system.partitions.end()) {
    reader.error(reader.where("partition"), fmt::format("there is no partition '{}'", name),
                 "name one of the [[partition]] tables");
  } else {
    end.partition = static_cast<std::size_t>(owner - system.partitions.begin());
  }
  const auto port = reader.choice("port", {"com1", "com2", "com3", "com4"});
  if (!port) {
    reader.error(end.where, "an end of a link needs a serial port", "add port = \"com3\"");
  }
  end.com = static_cast<unsigned>(port.value_or(0)) + 1;
  end.address = reader.string("address", true).value_or("");
  reader.finish();
  return end;
}

Link parse_link(const toml::table& table, const Context& context, const System& system) {
  TomlReader reader(table, "[[link]]", context.file, context.diagnostics);
  Link link;
  link.where = reader.where();
  const toml::node* ends = reader.node("ends", true);
  const toml::array* list = ends == nullptr ? nullptr : ends->as_array();
  if (list != nullptr && list->size() == link.ends.size() && list->is_homogeneous<toml::table>()) {
    for (std::size_t i = 0; i < link.ends.size(); ++i) {
      link.ends[i] = parse_link_end(*list->get(i)->as_table(), context, system);
    }
  } else if (ends != nullptr) {
    reader.error(position_of(ends->source()), "a link has two ends",
                 "write ends = [{ partition = \"a\", port = \"com3\", address = \"10.77.0.1\" }, "
                 "{ partition = \"b\", port = \"com4\", address = \"10.77.0.2\" }]");
  }
  reader.finish();
  return link;
}

void parse_links(TomlReader& reader, const Context& context, System& system) {
  const toml::node* links = reader.node("link");
  if (links == nullptr) return;
  const toml::array* list = links->as_array();
  if (list == nullptr || !list->is_homogeneous<toml::table>()) {
    reader.error(position_of(links->source()), "'link' must be a list of tables",
                 "start each link with a line [[link]]");
    return;
  }
  for (const toml::node& element : *list) {
    system.links.push_back(parse_link(*element.as_table(), context, system));
  }
}

void parse_root(const toml::table& root, const Context& context, System& system) {
  TomlReader reader(root, "the system file", context.file, context.diagnostics);
  if (const auto name = reader.string("name")) system.name = *name;
  if (const toml::table* machine =
          subtable(reader, "machine", true, "{ memory = \"512 MiB\" } or as [machine]")) {
    system.machine = parse_machine(*machine, context);
  }
  const toml::node* partitions = reader.node("partition", true);
  if (partitions != nullptr) {
    const toml::array* list = partitions->as_array();
    if (list == nullptr || !(list->empty() || list->is_homogeneous<toml::table>())) {
      reader.error(position_of(partitions->source()), "'partition' must be a list of tables",
                   "start each partition with a line [[partition]]");
    } else {
      for (const toml::node& element : *list) {
        system.partitions.push_back(parse_partition(*element.as_table(), context));
      }
    }
  }
  parse_links(reader, context, system);
  reader.finish();
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const char* const end = std::to_address(text.end());
  const auto [stop, failure] = std::from_chars(std::to_address(text.begin()), end, value, base);
  if (failure != std::errc{}) return std::nullopt;
  std::string_view unit(stop, static_cast<std::size_t>(end - stop));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  unsigned shift = 0;
  if (unit == "KiB") {
    shift = 10;
  } else if (unit == "MiB") {
    shift = 20;
  } else if (unit == "GiB") {
    shift = 30;
  } else if (!unit.empty() && unit != "B") {
    return std::nullopt;
  }
  if (value > (std::numeric_limits<std::uint64_t>::max() >> shift)) return std::nullopt;
  return value << shift;
}

Result<System> parse_system(std::string_view text, const std::filesystem::path& file) {
  Diagnostics diagnostics;
  const Context context{file.string(), file.parent_path(), diagnostics};
  const toml::parse_result parsed = toml::parse(text, file.string());
  if (!parsed) {
    const toml::parse_error& failure = parsed.error();
    diagnostics.push_back({Severity::Error,
                           {context.file, position_of(failure.source())},
                           std::string(failure.description()),
                           "correct the TOML syntax here (https://toml.io)"});
    return std::unexpected(diagnostics);
  }
  System system;
  system.file = context.file;
  system.name = file.stem().string();
  parse_root(parsed.table(), context, system);
  if (system.machine.cpus == 0) system.machine.cpus = default_cpus(system);
  if (!diagnostics.empty()) return std::unexpected(diagnostics);
  return system;
}

Result<System> load_system(const std::filesystem::path& path) {
  if (const std::string problem = base::why_unreadable(path); !problem.empty()) {
    return std::unexpected(
        Diagnostics{{Severity::Error,
                     {path.string(), {}},
                     fmt::format("cannot read the system file: it {}", problem),
                     "name an existing file, for example one of example/*.toml"}});
  }
  return parse_system(read_text(path), path);
}

}  // namespace mezzo::system
