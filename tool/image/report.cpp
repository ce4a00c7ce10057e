// Writes the derived plan down for people.
#include "image/report.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "image/report_parts.hpp"
#include "system/board.hpp"

namespace mezzo::image {
namespace {

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
  std::uint64_t copies_end = plan.monitor_base;
  for (std::uint32_t n = 0; n < plan.channel_count; ++n) {
    copies_end = plan.channels[n].base;
    rows.push_back(
        {copies_end, plan.channels[n].size, fmt::format("channel {}", system.channels[n].name)});
  }
  if (plan.store_size != 0) {
    rows.push_back(
        {plan.store_base, copies_end - plan.store_base, "monitor: pristine copies for restarts"});
  }
  rows.push_back({plan.monitor_base, plan.monitor_size, "monitor"});
  const std::uint64_t top = std::uint64_t{plan.monitor_base} + plan.monitor_size;
  rows.push_back({top, machine.memory - top, "firmware tables"});
  text += schedules_text(system) + "memory:\n" + memory_text(std::move(rows), 0);
  return text + fmt::format("  the boot loader puts the plan and the copies at {:#x} first\n",
                            image.bundle_address);
}

// The links that end at partition `index`.
std::string links_text(const system::System& system, std::size_t index) {
  const system::BoardInfo& board = system::board_info(system.machine.board);
  std::string text;
  for (const system::Link& link : system.links) {
    for (std::size_t side = 0; side < link.ends.size(); ++side) {
      const system::LinkEnd &here = link.ends[side], &there = link.ends[1 - side];
      if (here.partition != index) continue;
      const system::BoardUart& uart = board.uart(here.com);
      text += fmt::format("  link: COM{} (ports {:#x}-{:#x}, interrupt {}), {}, to {}, {}\n",
                          here.com, uart.port, uart.port + 7, uart.irq, here.address,
                          system.partitions[there.partition].name, there.address);
    }
  }
  return text;
}

// The channels that partition `index` has an end of.
std::string channels_text(const system::System& system, const plan::Plan& plan, std::size_t index) {
  std::string text;
  for (const std::size_t n : system.channels_of(index)) {
    const plan::Channel& row = plan.channels[n];
    const std::size_t end = row.ends[0].partition == index ? 0 : 1;
    const std::uint32_t line = row.ends[end].line;
    text += fmt::format(
        "  channel: {}, end {}, {} at {:#x}, to {}, its doorbell {}\n", system.channels[n].name,
        end, size_text(row.size), row.base, system.partitions[row.ends[1 - end].partition].name,
        line == plan::kNoLine ? "by hypercall" : fmt::format("is interrupt {}", line));
  }
  return text;
}

std::string devices_text(const system::System& system, const system::Partition& partition) {
  const system::BoardInfo& board = system::board_info(system.machine.board);
  std::string text;
  if (partition.console != 0) {
    const system::BoardUart& uart = board.uart(partition.console);
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
  return text + disk_text(partition);
}

std::string partition_text(const system::System& system, const CompiledImage& image,
                           std::size_t index) {
  const system::Partition& partition = system.partitions[index];
  const PartitionReport& report = image.partitions[index];
  const plan::Partition& row = image.plan.partitions[index];
  std::string text =
      fmt::format("\npartition {}: processor {}, {}, paging direct, on a fault: {}\n", report.name,
                  row.cpu, controller_text(row.interrupts), policy_text(row));
  text += files_text(report);
  text += devices_text(system, partition) + links_text(system, index) +
          channels_text(system, image.plan, index);
  for (const std::string& line : report.firmware) text += fmt::format("  firmware: {}\n", line);
  text += cmdline_text(report);
  text += "  memory map shown to the guest:\n";
  for (const E820Entry& entry : report.e820) {
    text += "  " + row_text({entry.base, entry.size, std::string(type_text(entry.type))});
  }
  text += fmt::format("  loads (entry {:#x}, eax {:#x}, ebx {:#x}, esi {:#x}):\n", row.entry,
                      row.registers[0], row.registers[1], row.registers[2]);
  for (const LoadReport& load : report.loads) {
    text += "  " + row_text({load.destination, load.memory_size, load.what});
  }
  return text;
}

}  // namespace

std::string report(const system::System& system, const CompiledImage& image) {
  std::string text = fmt::format("system {} ({})\n", system.name, system.file);
  const bool armv7 = image.plan.architecture == plan::Architecture::Armv7;
  text += armv7 ? armv7_machine_text(system, image) : machine_text(system, image);
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    text += armv7 ? armv7_partition_text(system, image, i) : partition_text(system, image, i);
  }
  return text;
}

}  // namespace mezzo::image
