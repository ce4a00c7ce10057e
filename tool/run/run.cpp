// Puts a run together: folder, memory, image, consoles, QEMU, session, result.
#include "run/run.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "image/write.hpp"
#include "run/console.hpp"
#include "run/machine_ram.hpp"
#include "run/monitor_log.hpp"
#include "run/qemu.hpp"
#include "run/result.hpp"
#include "run/run_dir.hpp"
#include "run/session.hpp"
#include "run/terminal.hpp"
#include "system/board.hpp"

namespace mezzo::run {

namespace {

constexpr unsigned kUarts = 4;
constexpr int kTimeoutStatus = 124;  // as timeout(1)

int exit_status(Outcome outcome) {
  switch (outcome) {
    case Outcome::Done:
    case Outcome::AllStopped:
    case Outcome::Quit:
      return 0;
    case Outcome::Timeout:
      return kTimeoutStatus;
    case Outcome::Interrupted:
      return 128 + base::interrupted_by();
    default:
      return 1;
  }
}

// The consoles of all partitions that have one, and QEMU's ends of their UARTs in the board's
// order.
struct Consoles {
  std::vector<Console> ours;
  std::vector<base::Descriptor> qemu = std::vector<base::Descriptor>(kUarts);
};

Consoles make_consoles(const system::System& system, const RunDirectory& directory, bool colour) {
  std::size_t width = 0;
  for (const auto& partition : system.partitions) width = std::max(width, partition.name.size());
  Consoles consoles;
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    const system::Partition& partition = system.partitions[i];
    if (partition.console == 0) continue;
    UartPair uart = make_uart();
    consoles.qemu[partition.console - 1] = std::move(uart.qemu);
    consoles.ours.emplace_back(partition.name, i, console_prefix(partition.name, i, width, colour),
                               std::move(uart.ours), console_socket(directory.path(), i));
    consoles.ours.back().has_shell = partition.initramfs || partition.disk;
  }
  return consoles;
}

// Both ends of a link are QEMU's: what one UART sends arrives at the other.
void connect_links(const system::System& system, Consoles& consoles) {
  for (const system::Link& link : system.links) {
    std::array<int, 2> wire{};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, wire.data()) != 0) {
      base::throw_errno("cannot make sockets");
    }
    for (std::size_t i = 0; i < wire.size(); ++i) {
      consoles.qemu[link.ends[i].com - 1] = base::Descriptor(wire[i]);
    }
  }
}

// A script without a partition's name is for all shells.
void hand_out_scripts(const std::vector<PartitionScript>& scripts, std::vector<Console>& consoles) {
  for (const PartitionScript& script : scripts) {
    bool used = false;
    for (Console& console : consoles) {
      const bool is_meant =
          script.partition.empty() ? console.has_shell : script.partition == console.name();
      if (!is_meant) continue;
      console.script.emplace(script.steps);
      used = true;
    }
    if (used) continue;
    std::vector<std::string> names;
    for (const Console& console : consoles) names.push_back(console.name());
    const std::string partitions =
        fmt::format("Partitions with a console: {}", fmt::join(names, ", "));
    if (script.partition.empty()) {
      throw UserError("no guest has a shell to type the script into",
                      fmt::format("Name the partition: --script NAME=FILE. {}", partitions));
    }
    throw UserError(fmt::format("there is no partition '{}' with a console to type a script into",
                                script.partition),
                    partitions);
  }
}

void write_image(const image::CompiledImage& image, const system::Bytes& monitor_elf,
                 const std::filesystem::path& path) {
  const auto written = image::write_elf(image, monitor_elf, path);
  if (written) return;
  std::string text;
  for (const auto& diagnostic : written.error()) text += to_string(diagnostic) + "\n";
  throw UserError("the boot image could not be written\n" + text);
}

std::vector<PartitionFacts> partition_facts(const system::Artifacts& artifacts,
                                            const image::CompiledImage& image,
                                            const Consoles& consoles) {
  std::vector<PartitionFacts> all;
  for (std::size_t i = 0; i < image.partitions.size(); ++i) {
    const image::PartitionReport& report = image.partitions[i];
    PartitionFacts& facts = all.emplace_back();
    facts.name = report.name;
    facts.kernel_package = report.kernel_package;
    facts.kernel_version = report.kernel_version;
    facts.kernel_sha256 = report.kernel_sha256;
    facts.cmdline = report.cmdline;
    if (artifacts[i].initramfs) facts.initramfs_sha256 = artifacts[i].initramfs->sha256;
    const auto owner = std::ranges::find(consoles.ours, i, &Console::partition);
    if (owner == consoles.ours.end()) continue;
    const Console& console = *owner;
    facts.console = console.transcript();
    if (!console.script) continue;
    facts.has_script = true;
    facts.script_done = console.script->done();
    facts.script_status = console.script->exit_status();
  }
  return all;
}

// What went wrong, for those outcomes that need an explanation.
void explain(Outcome outcome, const Consoles& consoles, const Qemu& qemu) {
  for (const Console& console : consoles.ours) {
    if (!console.script) continue;
    const Script& script = *console.script;
    if (!script.done()) {
      fmt::print(stderr, "mezzo: {}: the script was waiting for {}\n", console.name(),
                 script.waiting_for());
    } else if (!script.exit_status()) {
      fmt::print(stderr,
                 "mezzo: {}: stopped before its script was through; it was waiting for {}\n",
                 console.name(), script.waiting_for());
    } else if (*script.exit_status() != 0) {
      fmt::print(stderr, "mezzo: {}: the script ended with status {}\n", console.name(),
                 *script.exit_status());
    }
  }
  if (outcome == Outcome::Interrupted) {
    fmt::print(stderr, "mezzo: interrupted; the machine is off\n");
  } else if (outcome == Outcome::MachineEnded) {
    fmt::print(stderr, "mezzo: the machine ended by itself. QEMU said:\n{}", qemu.messages());
  } else if (outcome == Outcome::Timeout) {
    fmt::print(stderr, "mezzo: the time given by --timeout is over\n");
  } else if (outcome == Outcome::MonitorRefused) {
    fmt::print(stderr, "mezzo: the monitor did not start the partitions; its reason is above\n");
  }
}

std::vector<std::filesystem::path> disk_images(const system::Artifacts& artifacts) {
  std::vector<std::filesystem::path> images;
  for (const system::PartitionArtifacts& partition : artifacts) {
    images.push_back(partition.disk ? partition.disk->path : std::filesystem::path());
  }
  return images;
}

}  // namespace

int run(const system::System& system, const system::Artifacts& artifacts,
        const image::CompiledImage& image, const system::Bytes& monitor_elf,
        const RunOptions& options) {
  using std::chrono::steady_clock;
  const auto start = steady_clock::now();
  RunFacts facts;
  facts.started = fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)));
  const system::BoardInfo& board = system::board_info(system.machine.board);
  const QemuVersion version = find_qemu(board.architecture);
  RunDirectory directory(system.name);
  QemuFiles files = {.image = directory.path() / "image.elf",
                     .ram = {},
                     .directory = directory.path(),
                     .disks = disk_images(artifacts)};
  write_image(image, monitor_elf, files.image);
  files.ram = directory.choose_ram(system.machine.memory);
  const MachineRam ram = MachineRam::create(files.ram, system.machine.memory);
  const std::uint64_t status_offset = image.plan.monitor_base - board.ram_base;
  const status::Region& region = ram.region(status_offset);
  Consoles consoles = make_consoles(system, directory, wants_colour(stdout));
  connect_links(system, consoles);
  hand_out_scripts(options.scripts, consoles.ours);
  const auto debug_port = directory.path() / "monitor.log";
  base::write_file(debug_port, "");
  // Arm boards have no such port.
  MonitorLog monitor_log = board.is_armv7() ? MonitorLog(region.log) : MonitorLog(debug_port);

  std::vector<int> uart_fds;
  for (const base::Descriptor& fd : consoles.qemu) uart_fds.push_back(fd.get());
  facts.qemu_command = qemu_arguments(system, files, uart_fds);
  facts.qemu_version = version.text;
  RunInfo info = {.name = directory.name(),
                  .pid = getpid(),
                  .system_file = system.file,
                  .ram = files.ram,
                  .status_offset = status_offset,
                  .partitions = {}};
  for (const auto& partition : system.partitions) info.partitions.push_back(partition.name);

  base::check_interrupt();
  const Qemu qemu(facts.qemu_command, directory.path() / "qemu.log");
  for (base::Descriptor& fd : consoles.qemu) fd.reset();
  directory.publish(info);
  const bool interactive = !options.headless && is_terminal(stdin) && is_terminal(stdout);
  Session session(
      consoles.ours, region, monitor_log, qemu.fd(),
      {.interactive = interactive, .colour = wants_colour(stdout), .timeout = options.timeout});
  const Outcome outcome = session.run();
  fmt::print("\n");
  explain(outcome, consoles, qemu);

  if (!options.result.empty()) {
    facts.system = system.name;
    facts.system_file = system.file;
    facts.outcome = name_of(outcome);
    facts.exit_status = exit_status(outcome);
    facts.seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
    monitor_log.next();
    facts.monitor_log = monitor_log.seen();
    facts.partitions = partition_facts(artifacts, image, consoles);
    base::write_file(options.result, to_text(make_result(facts, snapshot(region))));
  }
  return exit_status(outcome);
}

}  // namespace mezzo::run
