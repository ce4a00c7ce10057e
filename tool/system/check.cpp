// What each partition and the machine must satisfy by themselves; memory, owners and command lines
// are in files of their own.
#include "system/check.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <memory>

#include "base/file.hpp"
#include "firmware/device_tree.hpp"
#include "loader/initramfs.hpp"
#include "loader/kernel.hpp"
#include "system/board.hpp"
#include "system/parse.hpp"

namespace mezzo::system {
namespace {

constexpr std::uint32_t kMinHeartbeat = 100, kMaxHeartbeat = 100000;  // microseconds

void check_machine(const System& system, Diagnostics& diagnostics) {
  const Machine& machine = system.machine;
  const BoardInfo& board = board_info(machine.board);
  const auto error = [&](Position where, std::string what, std::string remedy) {
    add_error(system, where, std::move(what), std::move(remedy), diagnostics);
  };
  if (machine.memory < board.min_memory || machine.memory > board.max_memory) {
    error(machine.memory_where,
          fmt::format("board {} has from {} to {} MiB of memory, not {} bytes", board.name,
                      board.min_memory >> 20, board.max_memory >> 20, machine.memory),
          fmt::format("set memory to something between, for example \"512 MiB\""));
  } else if (machine.memory % board.memory_step != 0) {
    const std::uint64_t step = board.memory_step;
    error(machine.memory_where,
          fmt::format("the machine's memory is not a multiple of {} MiB", step >> 20),
          fmt::format("set memory = \"{} MiB\"", (machine.memory / step + 1) * step >> 20));
  }
  if (machine.cpus > board.max_cpus) {
    error(machine.cpus_where,
          fmt::format("{} processors are more than the {} of board {}", machine.cpus,
                      board.max_cpus, board.name),
          fmt::format("set cpus to at most {}", board.max_cpus));
  }
  if (machine.heartbeat_us < kMinHeartbeat || machine.heartbeat_us > kMaxHeartbeat) {
    error(machine.heartbeat_where,
          fmt::format("a heartbeat of {} us is out of range", machine.heartbeat_us),
          fmt::format("choose from \"{} us\" to \"{} ms\"", kMinHeartbeat, kMaxHeartbeat / 1000));
  }
}

void check_name(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  if (!is_name(partition.name)) {
    add_error(system, partition.name_where,
              fmt::format("'{}' cannot be a partition's name", partition.name),
              fmt::format("use 1 to {} letters, digits, '-' and '_'", plan::kNameSize - 1),
              diagnostics);
  }
}

void check_file(const System& system, const std::filesystem::path& file, Position where,
                std::string_view what, Diagnostics& diagnostics) {
  const std::string problem = file.empty() ? std::string() : base::why_unreadable(file);
  if (problem.empty()) return;
  add_error(system, where, fmt::format("the {} {} {}", what, file.string(), problem),
            "correct the name; relative names start at the system file's directory", diagnostics);
}

void check_kernel_package(const System& system, const KernelSpec& kernel,
                          Diagnostics& diagnostics) {
  struct Kind {
    std::string_view word, name;
  };
  constexpr std::array kUnsupported = {Kind{"-lpae", "LPAE"}, Kind{"-amd64", "64-bit"},
                                       Kind{"-arm64", "64-bit"}};
  for (const Kind& kind : kUnsupported) {
    if (kernel.package.find(kind.word) == std::string::npos) continue;
    const BoardInfo& board = board_info(system.machine.board);
    return add_error(system, kernel.where,
                     fmt::format("{}: a {} kernel is not supported{}", kernel.package, kind.name,
                                 board.is_armv7() ? "" : " yet"),
                     fmt::format("write kernel = {}", board.kernel_example()), diagnostics);
  }
}

// Whether QEMU's model of a processor has PAE: all newer ones than the Pentium have, unless it is
// taken away.
bool has_pae(std::string_view model) {
  constexpr std::array<std::string_view, 2> kWithout = {"486", "pentium"};
  return std::ranges::find(kWithout, model.substr(0, model.find(','))) == kWithout.end() &&
         !model.contains("-pae") && !model.contains("pae=off");
}

void check_devices(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  const BoardInfo& board = board_info(system.machine.board);
  for (const DeviceUse& use : partition.devices) {
    const BoardDevice* device = board.find(use.name);
    if (device == nullptr) {
      std::vector<std::string_view> names;
      for (const BoardDevice& known : board.devices) names.push_back(known.name);
      add_error(system, use.where, fmt::format("board {} has no device '{}'", board.name, use.name),
                fmt::format("use one of: {}", fmt::join(names, ", ")), diagnostics);
    } else if (device->on_pci && !partition.owns("pci")) {
      add_error(system, use.where,
                fmt::format("{} needs '{}', but does not own PCI", partition.name, use.name),
                "add \"pci\" to its devices, or give the device to the partition that has it",
                diagnostics);
    }
  }
  if (board.is_armv7()) return;
  if (partition.owns("pci") && partition.interrupts != plan::InterruptController::IoApic) {
    add_error(system, partition.interrupts_where,
              fmt::format("{} owns PCI, whose interrupts arrive at the I/O APIC", partition.name),
              "set interrupts = \"ioapic\" (its default here), or remove \"pci\"", diagnostics);
  }
}

// A heartbeat finds out that the time is over, so that it cannot be shorter than one.
void check_watchdog(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  if (partition.watchdog_us == 0) return;
  const BoardInfo& board = board_info(system.machine.board);
  if (board.is_armv7() && board.armv7.watchdog == 0) {
    add_error(system, partition.watchdog_where,
              fmt::format("nothing on board {} lets a guest kick a watchdog", board.name),
              "remove 'watchdog'", diagnostics);
  }
  const auto check_time = [&](Position where, std::uint32_t time) {
    if (time >= system.machine.heartbeat_us && time <= plan::kMaxWatchdogUs) return;
    add_error(system, where, fmt::format("a watchdog of {} is out of range", time_text(time)),
              fmt::format("choose from \"{}\", the machine's heartbeat, to \"{}\"",
                          time_text(system.machine.heartbeat_us), time_text(plan::kMaxWatchdogUs)),
              diagnostics);
  };
  check_time(partition.watchdog_where, partition.watchdog_us);
  if (partition.watchdog_boot_us != 0) {
    check_time(partition.watchdog_boot_where, partition.watchdog_boot_us);
  }
}

bool is_port_number(std::string_view text) {
  unsigned value = 0;
  const char* const end = std::to_address(text.end());
  const auto [stop, failure] = std::from_chars(std::to_address(text.begin()), end, value);
  return failure == std::errc{} && stop == end && value >= 1 && value <= 65535;
}

void check_network(const System& system, const NetworkSpec& network, Diagnostics& diagnostics) {
  for (const std::string& forward : network.forwards) {
    const std::size_t first = forward.find(':');
    const std::size_t second = forward.find(':', first == std::string::npos ? first : first + 1);
    const bool good =
        second != std::string::npos &&
        (forward.starts_with("tcp:") || forward.starts_with("udp:")) &&
        is_port_number(std::string_view(forward).substr(first + 1, second - first - 1)) &&
        is_port_number(std::string_view(forward).substr(second + 1));
    if (!good) {
      add_error(system, network.where, fmt::format("'{}' is not a forwarded port", forward),
                "write it as \"tcp:HOSTPORT:GUESTPORT\", for example \"tcp:2222:22\"", diagnostics);
    }
  }
}

void check_partition(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  check_name(system, partition, diagnostics);
  if (partition.cpu >= system.machine.cpus) {
    add_error(system, partition.cpu_where,
              fmt::format("{} wants processor {}, but the machine has {}", partition.name,
                          partition.cpu, system.machine.cpus),
              "set cpus in [machine], or choose a lower 'cpu' (they count from 0)", diagnostics);
  }
  check_kernel_package(system, partition.kernel, diagnostics);
  check_file(system, partition.kernel.file, partition.kernel.where, "kernel", diagnostics);
  if (partition.initramfs) {
    check_file(system, partition.initramfs->file, partition.initramfs->where, "initramfs",
               diagnostics);
    for (const auto& [inside, file] : partition.initramfs->files) {
      check_file(system, file, partition.initramfs->where, "file", diagnostics);
    }
  }
  check_file(system, partition.armv7.device_tree, partition.armv7.device_tree_where, "device tree",
             diagnostics);
  if (partition.disk) {
    check_file(system, partition.disk->file, partition.disk->where, "disk", diagnostics);
  }
  if (partition.network) check_network(system, *partition.network, diagnostics);
  check_devices(system, partition, diagnostics);
  check_watchdog(system, partition, diagnostics);
  check_cmdline(system, partition, diagnostics);
}

// What is wrong with one partition's files, whose contents are known.
class ArtifactCheck {
 public:
  ArtifactCheck(const System& system, const Partition& partition,
                const PartitionArtifacts& artifacts, Diagnostics& diagnostics)
      : system_(system),
        board_(board_info(system.machine.board)),
        partition_(partition),
        artifacts_(artifacts),
        diagnostics_(diagnostics) {}

  void run() {
    if (artifacts_.initramfs) {
      if (const auto problem = loader::check_initramfs(artifacts_.initramfs->bytes)) {
        error(initramfs_where(), artifacts_.initramfs->path, *problem);
      }
    }
    const auto kernel =
        loader::read_kernel(artifacts_.kernel.bytes, partition_.kernel, board_.architecture);
    if (!kernel) return error(partition_.kernel.where, artifacts_.kernel.path, kernel.error());
    const bool starts_as_linux =
        kernel->format == KernelFormat::BzImage || kernel->format == KernelFormat::ZImage;
    const bool is_linux = starts_as_linux && kernel->linux_image.is_linux;
    const bool wants_tree = board_.is_armv7() && (kernel->format == KernelFormat::ZImage ||
                                                  !partition_.armv7.device_tree.empty());
    if (is_linux) check_root();
    if (kernel->linux_image.needs_pae) check_processor(kernel->summary);
    if (wants_tree) check_tree();
    if (is_linux && board_.is_armv7()) check_high_memory();
    if (!starts_as_linux && !wants_tree && kernel->format != KernelFormat::Multiboot) {
      check_unused(kernel->summary);
    }
  }

 private:
  void error(Position where, const std::filesystem::path& file, const loader::Problem& problem) {
    const std::string name = file.empty() ? partition_.name : file.string();
    add_error(system_, where, fmt::format("{}: {}", name, problem.what), problem.remedy,
              diagnostics_);
  }

  [[nodiscard]] Position initramfs_where() const {
    return partition_.initramfs ? partition_.initramfs->where : partition_.where;
  }

  void check_root() {
    if (artifacts_.initramfs || partition_.disk) return;
    diagnostics_.push_back(
        {Severity::Warning, system_.at(partition_.where),
         fmt::format("{} has neither initramfs nor disk: its Linux will panic for "
                     "want of a root file system",
                     partition_.name),
         "add initramfs = { busybox = true }, or a disk"});
  }

  void check_processor(const std::string& kernel) {
    if (has_pae(system_.machine.cpu_model)) return;
    error(system_.machine.cpu_model_where, artifacts_.kernel.path,
          {fmt::format("the kernel needs PAE, which the processor '{}' has not ({})",
                       system_.machine.cpu_model, kernel),
           fmt::format("set cpu = \"{}\" in [machine], or use a kernel without PAE, for example "
                       "the package linux-image-686",
                       board_.cpu_model)});
  }

  void check_tree() {
    const Position where = partition_.armv7.device_tree.empty()
                               ? partition_.kernel.where
                               : partition_.armv7.device_tree_where;
    if (!artifacts_.device_tree) {
      return error(
          where, artifacts_.kernel.path,
          {fmt::format("there is no device tree {} with the kernel", board_.armv7.device_tree),
           "add device_tree = \"FILE.dtb\" to the partition"});
    }
    const auto problem =
        firmware::check_device_tree(artifacts_.device_tree->bytes, system_.machine.board);
    if (problem) error(where, artifacts_.device_tree->path, *problem);
  }

  // A Linux with high memory maps its pages where the monitor's stubs are (doc/armv7.md).
  void check_high_memory() {
    constexpr std::uint64_t kLowmem = std::uint64_t{768} << 20;
    std::uint64_t end = partition_.memory.size.value_or(0), next = 0;
    for (const MemoryPiece& piece : partition_.memory.pieces) {
      next = (piece.guest_base ? *piece.guest_base - board_.ram_base : next) + piece.size;
      end = std::max(end, next);
    }
    if (end <= kLowmem) return;
    error(partition_.memory.where, "",
          {fmt::format("memory up to {:#x} is more than a Linux can have here: it maps what is "
                       "above {:#x} where the monitor is",
                       board_.ram_base + end - 1, board_.ram_base + kLowmem),
           "give it at most 768 MiB"});
  }

  void check_unused(const std::string& summary) {
    const std::string tree = board_.is_armv7() ? ", or name a 'device_tree' to pass it in" : "";
    if (!partition_.cmdline.empty()) {
      error(partition_.cmdline_where, artifacts_.kernel.path,
            {fmt::format("a kernel of this kind takes no command line ({})", summary),
             "remove 'cmdline'" + tree});
    }
    if (artifacts_.initramfs) {
      error(initramfs_where(), artifacts_.kernel.path,
            {fmt::format("a kernel of this kind takes no initramfs ({})", summary),
             "remove 'initramfs'" + tree});
    }
  }

  const System& system_;
  const BoardInfo& board_;
  const Partition& partition_;
  const PartitionArtifacts& artifacts_;
  Diagnostics& diagnostics_;
};

}  // namespace

bool is_name(const std::string& name) {
  return !name.empty() && name.size() < plan::kNameSize &&
         std::ranges::all_of(
             name,
             [](char c) {
               return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
             });
}

void add_error(const System& system, Position position, std::string what, std::string remedy,
               Diagnostics& diagnostics) {
  diagnostics.push_back({Severity::Error, system.at(position), std::move(what), std::move(remedy)});
}

Diagnostics check(const System& system) {
  Diagnostics diagnostics;
  check_machine(system, diagnostics);
  const BoardInfo& board = board_info(system.machine.board);
  if (system.partitions.empty() || system.partitions.size() > board.max_partitions) {
    add_error(system, {},
              fmt::format("{} partitions on board {}", system.partitions.size(), board.name),
              board.max_partitions == 1
                  ? "define one with [[partition]]"
                  : fmt::format("define 1 to {} with [[partition]]", board.max_partitions),
              diagnostics);
  }
  for (const Partition& partition : system.partitions) {
    check_partition(system, partition, diagnostics);
  }
  if (board.is_armv7()) {
    check_armv7_memory(system, diagnostics);
  } else {
    check_memory(system, diagnostics);
  }
  check_owners(system, diagnostics);
  check_links(system, diagnostics);
  check_schedules(system, diagnostics);
  check_timers(system, diagnostics);
  check_channels(system, diagnostics);
  return diagnostics;
}

Diagnostics check(const System& system, const Artifacts& artifacts) {
  Diagnostics diagnostics = check(system);
  const BoardInfo& board = board_info(system.machine.board);
  if (!board.untested.empty()) {
    diagnostics.push_back({Severity::Warning, system.at(system.machine.where),
                           fmt::format("board {} is untested: {}", board.name, board.untested),
                           "see doc/guide.md, \"Bringing up a new board\", before you rely on it"});
  }
  for (std::size_t i = 0; i < system.partitions.size() && i < artifacts.size(); ++i) {
    ArtifactCheck(system, system.partitions[i], artifacts[i], diagnostics).run();
  }
  return diagnostics;
}

}  // namespace mezzo::system
