// Writes the derived plan down for people.
#include "image/report.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "system/board.hpp"

namespace mezzo::image {
namespace {

struct Row {
  std::uint64_t base, size;
  std::string what;
};

// "192 MiB", "4 KiB" or "10 bytes": the largest unit that divides it.
std::string size_text(std::uint64_t size) {
  if (size != 0 && size % (1 << 20) == 0) return fmt::format("{} MiB", size >> 20);
  if (size != 0 && size % (1 << 10) == 0) return fmt::format("{} KiB", size >> 10);
  return fmt::format("{} bytes", size);
}

std::string row_text(const Row& row) {
  return fmt::format("  {:#010x}-{:#010x}  {:>12}  {}\n", row.base, row.base + row.size - 1,
                     size_text(row.size), row.what);
}

std::string_view type_text(MemoryType type) {
  switch (type) {
    case MemoryType::Ram:
      return "RAM";
    case MemoryType::Reserved:
      return "reserved";
    case MemoryType::AcpiData:
      return "ACPI data";
    case MemoryType::AcpiNvs:
      return "ACPI NVS";
  }
  return "?";
}

std::string_view controller_text(plan::InterruptController interrupts) {
  switch (interrupts) {
    case plan::InterruptController::None:
      return "local APIC only";
    case plan::InterruptController::IoApic:
      return "I/O APIC";
    case plan::InterruptController::Pic:
      return "PIC, with the PIT";
  }
  return "?";
}

std::string machine_text(const system::System& system, const CompiledImage& image) {
  const system::Machine& machine = system.machine;
  std::string text =
      fmt::format("machine: board {}, {} processors ({}), {} of memory, heartbeat every {} us\n",
                  system::board_info(machine.board).name, machine.cpus, machine.cpu_model,
                  size_text(machine.memory), machine.heartbeat_us);
  std::vector<Row> rows;
  const plan::Plan& plan = image.plan;
  for (std::uint32_t p = 0; p < plan.partition_count; ++p) {
    const plan::Partition& partition = plan.partitions[p];
    for (std::uint32_t i = 0; i < partition.piece_count; ++i) {
      const plan::Piece& piece = plan.pieces[partition.first_piece + i];
      rows.push_back({piece.base, piece.size, image.partitions[p].name});
    }
  }
  rows.push_back({system::kLegacyHoleBase, system::kLegacyHoleEnd - system::kLegacyHoleBase,
                  "firmware and video memory"});
  if (plan.store_size != 0) {
    rows.push_back({plan.store_base, plan.monitor_base - plan.store_base,
                    "monitor: pristine copies for restarts"});
  }
  rows.push_back({plan.monitor_base, plan::kMonitorSize, "monitor"});
  const std::uint64_t top = std::uint64_t{plan.monitor_base} + plan::kMonitorSize;
  rows.push_back({top, machine.memory - top, "firmware tables"});
  std::ranges::sort(rows, {}, &Row::base);
  text += "memory:\n";
  std::uint64_t end = 0;
  for (const Row& row : rows) {
    if (row.base > end) text += row_text({end, row.base - end, "unused"});
    text += row_text(row);
    end = row.base + row.size;
  }
  return text + fmt::format("  the boot loader puts the plan and the copies at {:#x} first\n",
                            image.bundle_address);
}

std::string cmdline_text(const PartitionReport& report) {
  if (report.cmdline.empty()) return "";
  std::string text = fmt::format("  command line: {}\n", report.cmdline);
  for (const CmdlineAddition& addition : report.additions) {
    text += fmt::format("    added {:<28} {}\n", addition.text.substr(0, addition.text.find(' ')),
                        addition.why);
  }
  return text;
}

// The links that end at partition `index`.
std::string links_text(const system::System& system, std::size_t index) {
  const system::BoardInfo& board = system::board_info(system.machine.board);
  std::string text;
  for (const system::Link& link : system.links) {
    for (std::size_t side = 0; side < link.ends.size(); ++side) {
      const system::LinkEnd &here = link.ends[side], &there = link.ends[1 - side];
      if (here.partition != index) continue;
      const system::BoardUart& uart = board.uarts[here.com - 1];
      text += fmt::format("  link: COM{} (ports {:#x}-{:#x}, interrupt {}), {}, to {}, {}\n",
                          here.com, uart.port, uart.port + 7, uart.irq, here.address,
                          system.partitions[there.partition].name, there.address);
    }
  }
  return text;
}

std::string devices_text(const system::System& system, const system::Partition& partition) {
  const system::BoardInfo& board = system::board_info(system.machine.board);
  std::string text;
  if (partition.console != 0) {
    const system::BoardUart& uart = board.uarts[partition.console - 1];
    text += fmt::format("  console: COM{} (ports {:#x}-{:#x}, interrupt {})\n", partition.console,
                        uart.port, uart.port + 7, uart.irq);
  }
  for (const system::DeviceUse& use : partition.devices) {
    const system::BoardDevice* device = board.find(use.name);
    if (device == nullptr) continue;
    text += fmt::format("  device: {}: {}{}\n", device->name, device->what,
                        device->bus_master ? ", a bus master" : "");
  }
  for (const system::PortRange& range : partition.ports) {
    text += fmt::format("  ports: {:#x}-{:#x}\n", range.first, range.last);
  }
  for (const system::IrqLine& line : partition.irqs) {
    text += fmt::format("  interrupt: {}\n", line.line);
  }
  if (partition.disk) {
    text += fmt::format(
        "  disk: {}{}\n",
        partition.disk->debian ? "Debian bookworm root file system" : partition.disk->file.string(),
        partition.disk->read_only ? ", writes are lost at the end of the run" : "");
  }
  return text;
}

std::string policy_text(const plan::Partition& row) {
  if (row.fault_policy == plan::FaultPolicy::Stop) return "stop";
  return row.restart_limit == 0 ? "restart" : fmt::format("restart, {} times", row.restart_limit);
}

std::string partition_text(const system::System& system, const CompiledImage& image,
                           std::size_t index) {
  const system::Partition& partition = system.partitions[index];
  const PartitionReport& report = image.partitions[index];
  const plan::Partition& row = image.plan.partitions[index];
  std::string text =
      fmt::format("\npartition {}: processor {}, {}, paging direct, on a fault: {}\n", report.name,
                  row.cpu, controller_text(row.interrupts), policy_text(row));
  text += fmt::format("  kernel: {}\n", report.kernel_format);
  if (!report.kernel_package.empty()) {
    text += fmt::format("    package {} {}\n", report.kernel_package, report.kernel_version);
  }
  if (!report.kernel_sha256.empty()) text += fmt::format("    sha256 {}\n", report.kernel_sha256);
  if (!report.initramfs.empty()) text += fmt::format("  initramfs: {}\n", report.initramfs);
  text += devices_text(system, partition) + links_text(system, index);
  for (const std::string& line : report.firmware) text += fmt::format("  firmware: {}\n", line);
  text += cmdline_text(report);
  text += "  memory map shown to the guest:\n";
  for (const E820Entry& entry : report.e820) {
    text += "  " + row_text({entry.base, entry.size, std::string(type_text(entry.type))});
  }
  text += fmt::format("  loads (entry {:#x}, eax {:#x}, ebx {:#x}, esi {:#x}):\n", row.entry,
                      row.eax, row.ebx, row.esi);
  for (const LoadReport& load : report.loads) {
    text += "  " + row_text({load.destination, load.memory_size, load.what});
  }
  return text;
}

}  // namespace

std::string report(const system::System& system, const CompiledImage& image) {
  std::string text = fmt::format("system {} ({})\n", system.name, system.file);
  text += machine_text(system, image);
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    text += partition_text(system, image, i);
  }
  return text;
}

}  // namespace mezzo::image
