// An ARMv7 machine in words: two addresses for each stretch of memory, the guest's and the
// machine's.
#include <fmt/format.h>

#include "image/report_parts.hpp"
#include "system/board.hpp"
#include "system/parse.hpp"

namespace mezzo::image {
namespace {

std::string_view kind_text(plan::WindowKind kind) {
  switch (kind) {
    case plan::WindowKind::Direct:
      return "direct";
    case plan::WindowKind::Distributor:
      return "interrupt distributor: its own lines only";
    case plan::WindowKind::Interface:
      return "interrupt interface and private timer, emulated";
    case plan::WindowKind::SystemRegisters:
      return "system registers, emulated";
    case plan::WindowKind::SunxiTimer:
      return "clocks, interrupts, pins, timers: direct but for the watchdog";
    case plan::WindowKind::Ignored:
      return "reads as zero";
    case plan::WindowKind::Watchdog:
      return "watchdog, emulated";
    case plan::WindowKind::Count:
      break;
  }
  return "?";
}

std::string devices_text(const system::System& system, const system::Partition& partition) {
  const system::BoardInfo& board = system::board_info(system.machine.board);
  std::string text;
  if (partition.console != 0) {
    const system::BoardUart& uart = board.uart(partition.console);
    text += fmt::format("  console: {} ({:#x}, interrupt {})\n", uart.name, uart.base, uart.irq);
  }
  for (const system::DeviceUse& use : partition.devices) {
    const system::BoardDevice* device = board.find(use.name);
    if (device == nullptr) continue;
    text += fmt::format("  device: {}: {}{}\n", device->name, device->what,
                        device->bus_master ? ", a bus master" : "");
  }
  return text + disk_text(partition);
}

std::string windows_text(const plan::Plan& plan, const plan::Partition& row) {
  std::string text = "  device registers it reaches:\n";
  for (std::uint32_t i = 0; i < row.window_count; ++i) {
    const plan::Window& window = plan.windows[row.first_window + i];
    text += "  " + row_text({window.guest_base, window.size, std::string(kind_text(window.kind))});
  }
  text += "  interrupts:";
  for (unsigned line = 0; line < plan::kMaxLines; ++line) {
    if ((row.armv7.lines[line / 32] >> line % 32 & 1) != 0) text += fmt::format(" {}", line);
  }
  return text + "\n";
}

std::string guest_memory_text(const plan::Plan& plan, const plan::Partition& row) {
  std::string text = "  memory as the guest sees it:\n";
  for (std::uint32_t i = 0; i < row.piece_count; ++i) {
    const plan::Piece& piece = plan.pieces[row.first_piece + i];
    text += "  " + row_text({piece.guest_base, piece.size,
                             piece.base == piece.guest_base
                                 ? std::string("the same in the machine")
                                 : fmt::format("in the machine at {:#x}", piece.base)});
  }
  return text;
}

}  // namespace

std::string armv7_machine_text(const system::System& system, const CompiledImage& image) {
  const system::Machine& machine = system.machine;
  const system::BoardInfo& board = system::board_info(machine.board);
  std::string text =
      fmt::format("machine: board {}, {} of {} processors ({}), {} of memory\n", board.name,
                  machine.cpus, board.max_cpus, machine.cpu_model, size_text(machine.memory));
  std::vector<Row> rows;
  const plan::Plan& plan = image.plan;
  for (std::uint32_t p = 0; p < plan.partition_count; ++p) {
    const plan::Partition& partition = plan.partitions[p];
    for (std::uint32_t i = 0; i < partition.piece_count; ++i) {
      const plan::Piece& piece = plan.pieces[partition.first_piece + i];
      rows.push_back({piece.base, piece.size, image.partitions[p].name});
    }
    rows.push_back({partition.armv7.shadow_base, partition.armv7.shadow_size,
                    "monitor: shadow page tables of " + image.partitions[p].name});
  }
  rows.push_back({image.bundle_address,
                  plan.store_base - image.bundle_address + std::uint64_t{plan.store_size},
                  "monitor: plan and pristine copies"});
  rows.push_back({plan.monitor_base, plan.monitor_size, "monitor"});
  return text + schedules_text(system) + "memory:\n" + memory_text(std::move(rows), board.ram_base);
}

std::string armv7_partition_text(const system::System& system, const CompiledImage& image,
                                 std::size_t index) {
  const system::Partition& partition = system.partitions[index];
  const PartitionReport& report = image.partitions[index];
  const plan::Partition& row = image.plan.partitions[index];
  std::string text = fmt::format(
      "\npartition {}: processor {}{}, paging shadow, views by {}, user access {}, on a fault: "
      "{}\n",
      report.name, row.cpu,
      row.armv7.priority == 0 ? "" : fmt::format(" at priority {}", row.armv7.priority),
      row.armv7.view == plan::View::Domains ? "domains" : "roots",
      row.armv7.user_access == plan::UserAccess::Lazy ? "lazy" : "strict", policy_text(row));
  text += files_text(report) + devices_text(system, partition);
  for (const std::string& line : report.firmware) text += fmt::format("  device tree: {}\n", line);
  text += cmdline_text(report) + guest_memory_text(image.plan, row) + windows_text(image.plan, row);
  text += fmt::format("  loads, by machine addresses (entry {:#x}, r1 {:#x}, r2 {:#x}):\n",
                      row.entry, row.registers[1], row.registers[2]);
  for (const LoadReport& load : report.loads) {
    text += "  " + row_text({load.destination, load.memory_size, load.what});
  }
  return text;
}

}  // namespace mezzo::image
