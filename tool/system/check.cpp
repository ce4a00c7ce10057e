// What each partition and the machine must satisfy by themselves; memory, owners and command lines
// are in files of their own.
#include "system/check.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>

#include "base/file.hpp"
#include "loader/initramfs.hpp"
#include "loader/kernel.hpp"
#include "system/board.hpp"

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
  } else if (machine.memory % (1 << 20) != 0) {
    error(machine.memory_where, "the machine's memory is not a multiple of 1 MiB",
          fmt::format("set memory = \"{} MiB\"", (machine.memory >> 20) + 1));
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
  const bool good =
      !partition.name.empty() && partition.name.size() < plan::kNameSize &&
      std::ranges::all_of(
          partition.name,
          [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
          });
  if (!good) {
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
  const bool pae = kernel.package.find("-pae") != std::string::npos;
  const bool amd64 = kernel.package.find("-amd64") != std::string::npos;
  if (!pae && !amd64) return;
  add_error(
      system, kernel.where,
      fmt::format("{}: a {} kernel is not supported yet", kernel.package, pae ? "PAE" : "64-bit"),
      "use the package linux-image-686", diagnostics);
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
  if (partition.owns("pci") && partition.interrupts != plan::InterruptController::IoApic) {
    add_error(system, partition.interrupts_where,
              fmt::format("{} owns PCI, whose interrupts arrive at the I/O APIC", partition.name),
              "set interrupts = \"ioapic\" (its default here), or remove \"pci\"", diagnostics);
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
  if (partition.disk) {
    check_file(system, partition.disk->file, partition.disk->where, "disk", diagnostics);
  }
  if (partition.network) check_network(system, *partition.network, diagnostics);
  check_devices(system, partition, diagnostics);
  check_cmdline(system, partition, diagnostics);
}

void check_artifacts(const System& system, const Partition& partition,
                     const PartitionArtifacts& artifacts, Diagnostics& diagnostics) {
  const auto error = [&](Position where, const std::filesystem::path& file,
                         const loader::Problem& problem) {
    const std::string name = file.empty() ? partition.name : file.string();
    add_error(system, where, fmt::format("{}: {}", name, problem.what), problem.remedy,
              diagnostics);
  };
  if (artifacts.initramfs) {
    if (const auto problem = loader::check_initramfs(artifacts.initramfs->bytes)) {
      error(partition.initramfs ? partition.initramfs->where : partition.where,
            artifacts.initramfs->path, *problem);
    }
  }
  const auto kernel = loader::read_kernel(artifacts.kernel.bytes, partition.kernel);
  if (!kernel) return error(partition.kernel.where, artifacts.kernel.path, kernel.error());
  if (kernel->format == KernelFormat::BzImage && !artifacts.initramfs && !partition.disk) {
    diagnostics.push_back(
        {Severity::Warning, system.at(partition.where),
         fmt::format("{} has neither initramfs nor disk: its Linux will panic for "
                     "want of a root file system",
                     partition.name),
         "add initramfs = { busybox = true }, or a disk"});
  }
  const bool takes_text =
      kernel->format == KernelFormat::BzImage || kernel->format == KernelFormat::Multiboot;
  if (!takes_text && !partition.cmdline.empty()) {
    error(partition.cmdline_where, artifacts.kernel.path,
          {fmt::format("a kernel of this kind takes no command line ({})", kernel->summary),
           "remove 'cmdline'"});
  }
  if (!takes_text && artifacts.initramfs) {
    error(partition.initramfs ? partition.initramfs->where : partition.where, artifacts.kernel.path,
          {fmt::format("a kernel of this kind takes no initramfs ({})", kernel->summary),
           "remove 'initramfs'"});
  }
}

}  // namespace

void add_error(const System& system, Position position, std::string what, std::string remedy,
               Diagnostics& diagnostics) {
  diagnostics.push_back({Severity::Error, system.at(position), std::move(what), std::move(remedy)});
}

Diagnostics check(const System& system) {
  Diagnostics diagnostics;
  check_machine(system, diagnostics);
  if (system.partitions.empty() || system.partitions.size() > plan::kMaxPartitions) {
    add_error(system, {}, fmt::format("{} partitions", system.partitions.size()),
              fmt::format("define 1 to {} with [[partition]]", plan::kMaxPartitions), diagnostics);
  }
  for (const Partition& partition : system.partitions) {
    check_partition(system, partition, diagnostics);
  }
  check_memory(system, diagnostics);
  check_owners(system, diagnostics);
  check_links(system, diagnostics);
  return diagnostics;
}

Diagnostics check(const System& system, const Artifacts& artifacts) {
  Diagnostics diagnostics = check(system);
  for (std::size_t i = 0; i < system.partitions.size() && i < artifacts.size(); ++i) {
    check_artifacts(system, system.partitions[i], artifacts[i], diagnostics);
  }
  return diagnostics;
}

}  // namespace mezzo::system
