// The keys of a [[partition]]. doc/system-file.md is their reference for users.
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <memory>

#include "base/file.hpp"
#include "system/parse.hpp"
#include "system/parse_parts.hpp"

namespace mezzo::system {
namespace {

constexpr std::uint32_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kDefaultDisk = std::uint64_t{640} << 20;

// What `slow_paths` can list.
struct FastPathName {
  std::string_view name;
  plan::FastPath bit;
};
constexpr std::array kFastPaths = {
    FastPathName{"masks", plan::kFastMasks},
    FastPathName{"thread_id", plan::kFastThreadId},
    FastPathName{"domain_access", plan::kFastDomainAccess},
    FastPathName{"return", plan::kFastReturn},
    FastPathName{"prefill", plan::kFastPrefill},
    FastPathName{"table_flush", plan::kFastTableFlush},
    FastPathName{"vectors", plan::kFastVectors},
    FastPathName{"interrupts", plan::kFastInterrupts},
    FastPathName{"transfers", plan::kFastTransfers},
};

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
    if (!context.board->is_armv7()) piece.refuse({"guest"}, context.board->name);
    memory.pieces.push_back({piece.size("base", true).value_or(0),
                             piece.size("size", true).value_or(0), piece.size("guest"),
                             piece.where()});
    piece.finish();
  }
  return memory;
}

std::optional<std::uint32_t> parse_address(TomlReader& reader, std::string_view key) {
  const auto value = reader.number(key, kMax32);
  return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

KernelFormat parse_format(TomlReader& reader, const BoardInfo& board) {
  if (board.is_armv7()) {
    constexpr KernelFormat kFormats[] = {KernelFormat::Auto, KernelFormat::ZImage,
                                         KernelFormat::Elf, KernelFormat::Raw};
    return kFormats[reader.choice("format", {"auto", "zimage", "elf", "raw"}).value_or(0)];
  }
  constexpr KernelFormat kFormats[] = {KernelFormat::Auto, KernelFormat::BzImage, KernelFormat::Elf,
                                       KernelFormat::Multiboot, KernelFormat::Raw};
  return kFormats[reader.choice("format", {"auto", "bzimage", "elf", "multiboot", "raw"})
                      .value_or(0)];
}

KernelSpec parse_kernel(TomlReader& partition, const Context& context) {
  KernelSpec kernel;
  kernel.where = partition.where("kernel");
  const std::string example = context.board->kernel_example();
  const toml::table* table = partition.table("kernel", true, example);
  if (table == nullptr) return kernel;
  TomlReader reader(*table, "kernel", context.file, context.diagnostics);
  kernel.package = reader.string("package").value_or("");
  kernel.path = reader.string("path").value_or("");
  if (const auto file = reader.string("file")) kernel.file = context.resolve(*file);
  if (!kernel.path.empty() && kernel.package.empty()) {
    reader.error(reader.where("path"), "'path' is a file in a package, and there is no package",
                 "remove it, or name the 'package'");
  }
  if (kernel.package.empty() == kernel.file.empty()) {
    reader.error(kernel.where, "a kernel is either a package or a file",
                 context.board->kernel_package.empty()
                     ? "write " + example
                     : fmt::format("write {} or {{ file = \"vmlinuz\" }}", example));
  }
  kernel.format = parse_format(reader, *context.board);
  if (!context.board->is_armv7()) reader.refuse({"decompress"}, context.board->name);
  kernel.decompress = reader.boolean("decompress").value_or(true);
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
        raw ? fmt::format("add them, for example load = {0:#x}, entry = {0:#x}",
                          context.board->ram_base + 0x100000)
            : std::string("remove them, or set format = \"raw\""));
  }
  reader.finish();
  return kernel;
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
  const toml::table* table = partition.table("initramfs", false, "{ busybox = true }");
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
  if (!context.board->is_armv7()) reader.refuse({"address"}, context.board->name);
  initramfs.address = parse_address(reader, "address");
  if (!initramfs.root.empty() && !initramfs.script.empty()) {
    reader.error(reader.where("root"), "the root file system's own init runs no 'script'",
                 "remove one of them");
  }
  if (const toml::table* files = reader.table("files", false, "{ \"/etc/motd\" = \"motd\" }")) {
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
  constexpr const char* kPackages = "{ strace = [\"/usr/bin/strace\"] }";
  if (const toml::table* packages = reader.table("packages", false, kPackages)) {
    TomlReader names(*packages, "packages", context.file, context.diagnostics);
    for (const auto& [name, files] : *packages) {
      std::vector<std::string>& wanted = initramfs.packages[std::string(name.str())];
      for (auto& [path, position] : names.strings(name.str())) {
        if (path.starts_with('/')) {
          wanted.push_back(path);
        } else {
          reader.error(position, fmt::format("'{}' is not the path of a file in a package", path),
                       fmt::format("write it with a / before it, as in {}", kPackages));
        }
      }
    }
  }
  reader.finish();
  const bool assembled = initramfs.busybox || !initramfs.modules.empty() ||
                         !initramfs.script.empty() || !initramfs.files.empty() ||
                         !initramfs.packages.empty() || !initramfs.root.empty();
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

void parse_devices(TomlReader& reader, Partition& partition) {
  for (auto& [name, position] : reader.strings("devices")) {
    partition.devices.push_back({name, position});
  }
}

// Ports and interrupts of a PC that are no device's of its own.
void parse_resources(TomlReader& reader, Partition& partition) {
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

// Gives the partition the first of `candidates`, unless it has one of them already.
void add_default_device(std::span<const std::string_view> candidates, Position where,
                        Partition& partition) {
  const bool has_one = std::ranges::any_of(
      candidates, [&partition](std::string_view name) { return partition.owns(name); });
  if (!has_one) partition.devices.push_back({std::string(candidates.front()), where});
}

void parse_disk(TomlReader& reader, const Context& context, Partition& partition) {
  constexpr std::string_view kForms =
      "{ file = \"disk.img\" }, { debian = \"bookworm\" } or { size = \"64 MiB\" }";
  const toml::table* table = reader.table("disk", false, kForms);
  if (table == nullptr) return;
  TomlReader disk(*table, "disk", context.file, context.diagnostics);
  DiskSpec spec;
  spec.where = disk.where();
  if (const auto file = disk.string("file")) spec.file = context.resolve(*file);
  // Its packages' programs would have to run here.
  if (context.board->is_armv7()) disk.refuse({"debian", "packages"}, context.board->name);
  spec.debian = disk.choice("debian", {"bookworm"}).has_value();
  const bool empty = spec.file.empty() && !spec.debian;
  if ((!spec.file.empty() && spec.debian) || (empty && disk.node("size") == nullptr)) {
    disk.error(spec.where, "a disk is either a file, a Debian root file system, or empty",
               fmt::format("write {}", kForms));
  }
  if (spec.debian) {
    for (auto& [package, position] : disk.strings("packages")) spec.packages.push_back(package);
  }
  if (spec.file.empty()) spec.size = disk.size("size").value_or(kDefaultDisk);
  spec.read_only = disk.boolean("read_only").value_or(spec.file.empty());
  if (empty && !spec.read_only) {
    disk.error(disk.where("read_only"), "an empty disk keeps nothing after the run",
               "remove it, or make a file: truncate -s 64M disk.img");
  }
  disk.finish();
  partition.disk = spec;
  add_default_device(context.board->disk_devices, spec.where, partition);
}

void parse_network(TomlReader& reader, const Context& context, Partition& partition) {
  const toml::table* table = reader.table("network", false, "{ mode = \"user\" }");
  if (table == nullptr) return;
  TomlReader network(*table, "network", context.file, context.diagnostics);
  NetworkSpec spec;
  spec.where = network.where();
  spec.mode = "user";
  network.choice("mode", {"user"});
  for (auto& [forward, position] : network.strings("forward")) spec.forwards.push_back(forward);
  network.finish();
  partition.network = spec;
  add_default_device(context.board->network_devices, spec.where, partition);
}

void parse_watchdog(TomlReader& reader, Partition& partition) {
  partition.watchdog_where = reader.where("watchdog");
  partition.watchdog_us = reader.microseconds("watchdog").value_or(0);
  partition.watchdog_boot_where = reader.where("watchdog_boot");
  partition.watchdog_boot_us = reader.microseconds("watchdog_boot").value_or(0);
  constexpr plan::WatchdogPolicy kPolicies[] = {
      plan::WatchdogPolicy::Log, plan::WatchdogPolicy::Stop, plan::WatchdogPolicy::Restart};
  const auto policy = reader.choice("on_watchdog", {"log", "stop", "restart"});
  partition.on_watchdog = kPolicies[policy.value_or(0)];
  if (reader.node("watchdog") != nullptr) {
    if (partition.watchdog_us != 0) return;
    return reader.error(partition.watchdog_where, "a watchdog waits for some time",
                        "write watchdog = \"500 ms\", or remove it");
  }
  for (const char* key : {"on_watchdog", "watchdog_boot"}) {
    if (reader.node(key) == nullptr) continue;
    reader.error(reader.where(key), fmt::format("'{}' has no effect without a watchdog", key),
                 "add watchdog = \"500 ms\", or remove it");
  }
}

void parse_policy(TomlReader& reader, const BoardInfo& board, Partition& partition) {
  partition.paging = board.is_armv7() ? Paging::Shadow : Paging::Direct;
  reader.choice("paging", {board.is_armv7() ? "shadow" : "direct"});
  constexpr plan::FaultPolicy kPolicies[] = {plan::FaultPolicy::Stop, plan::FaultPolicy::Restart};
  partition.fault_policy = kPolicies[reader.choice("on_fault", {"stop", "restart"}).value_or(0)];
  parse_watchdog(reader, partition);
  const auto limit = reader.number("restart_limit", kMax32);
  partition.restart_limit = static_cast<std::uint32_t>(limit.value_or(0));
  const bool restarts = partition.fault_policy == plan::FaultPolicy::Restart ||
                        partition.on_watchdog == plan::WatchdogPolicy::Restart;
  if (limit && !restarts) {
    reader.error(reader.where("restart_limit"), "'restart_limit' has no effect without restarts",
                 "set on_fault or on_watchdog = \"restart\", or remove it");
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
  } else if (partition.ia32.timer == plan::Timer::Pit) {
    partition.interrupts = InterruptController::Pic;
  }
}

// The keys of a real-time partition of a PC.
void parse_real_time(TomlReader& reader, Partition& partition) {
  Ia32Spec& spec = partition.ia32;
  spec.real_time = reader.choice("kind", {"general", "realtime"}).value_or(0) == 1;
  if (!spec.real_time) {
    for (const std::string_view key : {"idle", "timer", "forwarded_by", "timer_vector"}) {
      if (reader.node(key) == nullptr) continue;
      reader.error(reader.where(key), fmt::format("'{}' is for real-time partitions", key),
                   "add kind = \"realtime\", or remove it");
    }
    return;
  }
  constexpr plan::IdleWait kWaits[] = {plan::IdleWait::Halt, plan::IdleWait::Poll};
  spec.idle = kWaits[reader.choice("idle", {"halt", "poll"}).value_or(0)];
  constexpr plan::Timer kTimers[] = {plan::Timer::LocalApic, plan::Timer::Pit, plan::Timer::Hpet};
  spec.timer = kTimers[reader.choice("timer", {"lapic", "pit", "hpet"}).value_or(0)];
  spec.idle_where = reader.where("idle");
  spec.timer_where = reader.where("timer");
  spec.forwarded_by = reader.string("forwarded_by").value_or("");
  spec.forwarded_by_where = reader.where("forwarded_by");
  if (const auto vector = reader.number("timer_vector", 255)) {
    spec.timer_vector = static_cast<unsigned>(*vector);
    if (*vector < 32) {
      reader.error(reader.where("timer_vector"), "vectors below 32 are the processor's own",
                   "give a number from 32 to 255");
    } else if (spec.forwarded_by.empty()) {
      reader.error(reader.where("timer_vector"),
                   "'timer_vector' is for interrupts that are forwarded",
                   "add 'forwarded_by', or remove it");
    }
  }
}

// The keys that only an ARMv7 partition has.
void parse_armv7(TomlReader& reader, const Context& context, Partition& partition) {
  Armv7Spec& spec = partition.armv7;
  if (const auto file = reader.string("device_tree")) spec.device_tree = context.resolve(*file);
  spec.device_tree_where = reader.where("device_tree");
  spec.shadow_memory = reader.size("shadow_memory").value_or(Armv7Spec::kDefaultShadowMemory);
  spec.shadow_memory_where = reader.where("shadow_memory");
  constexpr plan::UserAccess kAccess[] = {plan::UserAccess::Lazy, plan::UserAccess::Strict};
  spec.user_access = kAccess[reader.choice("user_access", {"lazy", "strict"}).value_or(0)];
  constexpr plan::View kViews[] = {plan::View::Domains, plan::View::Roots};
  spec.view = kViews[reader.choice("view", {"domains", "roots"}).value_or(0)];
  if (const auto priority = reader.number("priority", 255)) {
    spec.priority = static_cast<unsigned>(*priority);
  }
  spec.priority_where = reader.where("priority");
  for (const auto& [name, position] : reader.strings("slow_paths")) {
    const auto path = std::ranges::find(kFastPaths, name, &FastPathName::name);
    if (path != kFastPaths.end()) {
      spec.slow_paths |= path->bit;
      continue;
    }
    std::vector<std::string_view> names;
    for (const FastPathName& known : kFastPaths) names.push_back(known.name);
    reader.error(position, fmt::format("'{}' is no fast path", name),
                 fmt::format("use some of: {}", fmt::join(names, ", ")));
  }
}

}  // namespace

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
  partition.console = parse_uart(reader, "console", context, true);
  parse_devices(reader, partition);
  parse_disk(reader, context, partition);
  parse_network(reader, context, partition);
  if (context.board->is_armv7()) {
    reader.refuse(
        {"ports", "irqs", "interrupts", "kind", "idle", "timer", "forwarded_by", "timer_vector"},
        context.board->name);
    parse_armv7(reader, context, partition);
  } else {
    reader.refuse({"device_tree", "shadow_memory", "user_access", "view", "slow_paths", "priority"},
                  context.board->name);
    parse_resources(reader, partition);
    parse_real_time(reader, partition);
    parse_interrupts(reader, partition);
  }
  parse_policy(reader, *context.board, partition);
  reader.finish();
  return partition;
}

}  // namespace mezzo::system
