// One function an event kind; times are unwrapped from the newest entry backwards.
#include "run/trace_export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "run/names.hpp"

namespace mezzo::run {
namespace {

using nlohmann::json;

// Tracks are numbered from 1, as viewers hide number 0.
constexpr std::uint32_t number_of(std::uint32_t cpu) { return cpu + 1; }

class Exporter {
 public:
  Exporter(const status::Region& region, std::uint32_t count) : region_(region), count_(count) {}

  [[nodiscard]] json events() const {
    json all = json::array();
    for (std::uint32_t cpu = 0; cpu < region_.cpu_count; ++cpu) {
      const auto exits = exits_of(region_.traces[cpu]);
      const std::string owners = partitions_on(cpu);
      if (exits.empty() && owners.empty()) continue;
      all.push_back(named(cpu, "process_name", owners.empty() ? "the monitor" : owners));
      const char* const times = has_times() ? "" : " (exits in order, their times unknown)";
      all.push_back(named(cpu, "thread_name", fmt::format("CPU {}{}", cpu, times)));
      for (const Exit& exit : exits) all.push_back(instant(cpu, exit));
    }
    for (std::uint32_t i = 0; i < region_.partition_count; ++i) {
      if (region_.partitions[i].started_tsc != 0) all.push_back(life(region_.partitions[i]));
    }
    return all;
  }

 private:
  struct Exit {
    std::uint64_t tsc;
    const status::TraceEntry* entry;
  };

  [[nodiscard]] double microseconds(std::uint64_t ticks) const {
    return static_cast<double>(ticks) * 1000.0 / std::max(region_.tsc_khz, 1u);
  }
  [[nodiscard]] double since_boot(std::uint64_t tsc) const {
    return tsc < region_.boot_tsc ? 0 : microseconds(tsc - region_.boot_tsc);
  }
  // On Arm a clock is too far away to be read at each exit: entries have their number instead.
  [[nodiscard]] bool has_times() const { return region_.architecture != plan::Architecture::Armv7; }
  [[nodiscard]] std::string partitions_on(std::uint32_t cpu) const {
    std::string names;
    for (std::uint32_t i = 0; i < region_.partition_count; ++i) {
      if (region_.partitions[i].cpu != cpu) continue;
      names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(region_.partitions[i]));
    }
    return names;
  }

  // Oldest first. Without times they are put a microsecond apart, up to the last heartbeat.
  [[nodiscard]] std::vector<Exit> exits_of(const status::Trace& trace) const {
    constexpr std::uint32_t kLongestGap = 1u << 31;
    const std::uint32_t shown = std::min({count_, trace.next, status::kTraceEntries});
    std::vector<Exit> exits;
    std::uint64_t tsc = region_.now_tsc;
    for (std::uint32_t n = 1; n <= shown; ++n) {
      const auto& entry = trace.entries[(trace.next - n) % status::kTraceEntries];
      const std::uint32_t back = static_cast<std::uint32_t>(tsc) - entry.tsc_low;
      if (!has_times()) {
        tsc -= region_.tsc_khz / 1000;
      } else if (n == 1) {  // before the last heartbeat or behind it
        tsc +=
            static_cast<std::uint64_t>(-static_cast<std::int64_t>(static_cast<std::int32_t>(back)));
      } else if (back < kLongestGap) {
        tsc -= back;
      } else {
        break;
      }
      exits.push_back({tsc, &entry});
    }
    std::ranges::reverse(exits);
    return exits;
  }

  static json named(std::uint32_t cpu, const char* what, const std::string& text) {
    return {{"ph", "M"},
            {"pid", number_of(cpu)},
            {"tid", number_of(cpu)},
            {"name", what},
            {"args", {{"name", text}}}};
  }
  [[nodiscard]] json instant(std::uint32_t cpu, const Exit& exit) const {
    return {{"ph", "i"},
            {"s", "t"},
            {"pid", number_of(cpu)},
            {"tid", number_of(cpu)},
            {"ts", since_boot(exit.tsc)},
            {"name", name_of_cause(region_.architecture, exit.entry->cause)},
            {"args",
             {{"pc", fmt::format("{:#010x}", exit.entry->pc)},
              {"value", fmt::format("{:#010x}", exit.entry->value)}}}};
  }
  [[nodiscard]] json life(const status::PartitionStatus& partition) const {
    const std::uint64_t end = partition.stopped_tsc != 0 ? partition.stopped_tsc : region_.now_tsc;
    const std::uint64_t ticks = end > partition.started_tsc ? end - partition.started_tsc : 0;
    return {{"ph", "X"},
            {"pid", number_of(partition.cpu)},
            {"tid", number_of(partition.cpu)},
            {"ts", since_boot(partition.started_tsc)},
            {"dur", microseconds(ticks)},
            {"name", name_of(partition)},
            {"args",
             {{"state", name_of(partition.state)},
              {"last stop", name_of(partition.reason)},
              {"restarts", partition.restarts}}}};
  }

  const status::Region& region_;
  std::uint32_t count_;
};

}  // namespace

json chrome_trace(const status::Region& region, std::uint32_t count) {
  return {{"displayTimeUnit", "ns"}, {"traceEvents", Exporter(region, count).events()}};
}

}  // namespace mezzo::run
