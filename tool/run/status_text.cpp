// Layout of the tables.
#include "run/status_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "run/names.hpp"
#include "run/result.hpp"

namespace mezzo::run {

std::string partition_table(const status::Region& region) {
  std::string text = fmt::format("{:<16} {:<10} {:<14} {:>3} {:>10} {:>8} {:>12}\n", "PARTITION",
                                 "STATE", "LAST STOP", "CPU", "UPTIME", "RESTARTS", "EXITS");
  for (std::size_t i = 0; i < region.partition_count; ++i) {
    const status::PartitionStatus& partition = region.partitions[i];
    const nlohmann::json facts = partition_json(region, i);
    const std::uint64_t total =
        std::accumulate(std::begin(partition.exits), std::end(partition.exits), std::uint64_t{0});
    text += fmt::format("{:<16} {:<10} {:<14} {:>3} {:>8.1f} s {:>8} {:>12}\n",
                        facts["name"].get<std::string>(), name_of(partition.state),
                        name_of(partition.reason), partition.cpu,
                        facts["uptime_seconds"].get<double>(), partition.restarts, total);
  }
  for (std::size_t i = 0; i < region.partition_count; ++i) {
    const status::PartitionStatus& partition = region.partitions[i];
    std::vector<std::pair<std::uint64_t, std::string_view>> exits;
    for (std::uint32_t cause = 0; cause < exit_causes_of(region.architecture); ++cause) {
      if (partition.exits[cause] == 0) continue;
      exits.emplace_back(partition.exits[cause], name_of_cause(region.architecture, cause));
    }
    std::ranges::sort(exits, std::greater());
    text += fmt::format("\nExits of {}:\n",
                        std::string_view(partition.name, strnlen(partition.name, plan::kNameSize)));
    for (const auto& [count, cause] : exits) text += fmt::format("  {:>12}  {}\n", count, cause);
  }
  return text;
}

std::string trace_table(const status::Region& region, std::uint32_t count) {
  std::string text;
  for (std::uint32_t cpu = 0; cpu < region.cpu_count; ++cpu) {
    const status::Trace& trace = region.traces[cpu];
    const std::uint32_t shown = std::min({count, trace.next, status::kTraceEntries});
    text += fmt::format("CPU {}: {} exits recorded, the last {}\n", cpu, trace.next, shown);
    for (std::uint32_t i = trace.next - shown; i != trace.next; ++i) {
      const status::TraceEntry& entry = trace.entries[i % status::kTraceEntries];
      text += fmt::format("  {:>10}  {:<16}  pc {:08x}  value {:08x}\n", entry.tsc_low,
                          name_of_cause(region.architecture, entry.cause), entry.pc, entry.value);
    }
  }
  return text;
}

}  // namespace mezzo::run
