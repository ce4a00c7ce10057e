// Words that do not depend on the architecture.
#include "image/report_parts.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "system/parse.hpp"

namespace mezzo::image {

std::string size_text(std::uint64_t size) {
  if (size != 0 && size % (1 << 20) == 0) return fmt::format("{} MiB", size >> 20);
  if (size != 0 && size % (1 << 10) == 0) return fmt::format("{} KiB", size >> 10);
  return fmt::format("{} bytes", size);
}

std::string row_text(const Row& row) {
  return fmt::format("  {:#010x}-{:#010x}  {:>12}  {}\n", row.base, row.base + row.size - 1,
                     size_text(row.size), row.what);
}

std::string memory_text(std::vector<Row> rows, std::uint64_t base) {
  std::ranges::sort(rows, {}, &Row::base);
  std::string text;
  std::uint64_t end = base;
  for (const Row& row : rows) {
    if (row.base > end) text += row_text({end, row.base - end, "unused"});
    text += row_text(row);
    end = row.base + row.size;
  }
  return text;
}

std::string schedules_text(const system::System& system) {
  std::string text;
  for (const system::Schedule& schedule : system.schedules) {
    const bool stops = schedule.on_overrun == plan::OverrunPolicy::Stop;
    text += fmt::format("time table of processor {}: frame {}, tolerance {}, on an overrun: {}\n",
                        schedule.cpu, system::time_text(schedule.frame_us),
                        system::time_text(schedule.tolerance_us), stops ? "stop" : "log");
    for (const system::TimeWindow& window : schedule.windows) {
      text += fmt::format("  at {}: {} for {}\n", system::time_text(window.start_us),
                          system.partitions[window.partition].name,
                          system::time_text(window.length_us));
    }
  }
  return text;
}

std::string files_text(const PartitionReport& report) {
  std::string text = fmt::format("  kernel: {}\n", report.kernel_format);
  if (!report.kernel_package.empty()) {
    text += fmt::format("    package {} {}\n", report.kernel_package, report.kernel_version);
  }
  if (!report.kernel_sha256.empty()) text += fmt::format("    sha256 {}\n", report.kernel_sha256);
  if (!report.initramfs.empty()) text += fmt::format("  initramfs: {}\n", report.initramfs);
  return text;
}

std::string disk_text(const system::Partition& partition) {
  if (!partition.disk) return "";
  const system::DiskSpec& disk = *partition.disk;
  return fmt::format("  disk: {}{}\n",
                     disk.debian         ? "Debian bookworm root file system"
                     : disk.file.empty() ? fmt::format("empty, {} KiB", disk.size / 1024)
                                         : disk.file.string(),
                     disk.read_only ? ", writes are lost at the end of the run" : "");
}

std::string policy_text(const plan::Partition& row) {
  const std::string restart =
      row.restart_limit == 0 ? "restart" : fmt::format("restart, {} times", row.restart_limit);
  std::string text = row.fault_policy == plan::FaultPolicy::Stop ? "stop" : restart;
  if (row.watchdog_us == 0) return text;
  text += fmt::format("; without a kick for {}", system::time_text(row.watchdog_us));
  if (row.watchdog_boot_us != 0) {
    text += fmt::format(", or {} from its start", system::time_text(row.watchdog_boot_us));
  }
  const std::string actions[] = {"log", "stop", restart};
  return text + ": " + actions[static_cast<std::size_t>(row.on_watchdog)];
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

}  // namespace mezzo::image
