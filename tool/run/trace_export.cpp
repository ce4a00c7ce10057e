// One function an event kind; times are unwrapped from the newest entry backwards.
#include "run/trace_export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "run/names.hpp"

namespace mezzo::run {
namespace {

using nlohmann::json;

// A track for each partition on a processor: viewers group them by partition. Tracks are numbered
// from 1, as viewers hide number 0.
struct Track {
  std::uint32_t partition, cpu;
};

class Exporter {
 public:
  Exporter(const status::Region& region, std::uint32_t count) : region_(region), count_(count) {}

  [[nodiscard]] json events() const {
    json all = json::array();
    for (std::uint32_t i = 0; i < region_.partition_count; ++i) {
      const Track track{i, region_.partitions[i].cpu};
      const char* const times = has_times() ? "" : " (exits in order, their times unknown)";
      all.push_back(named(track, "process_name", name_of(region_.partitions[i])));
      all.push_back(named(track, "thread_name", fmt::format("CPU {}{}", track.cpu, times)));
      if (region_.partitions[i].started_tsc != 0) all.push_back(life(track));
    }
    for (std::uint32_t cpu = 0; cpu < region_.cpu_count; ++cpu) add_exits(cpu, all);
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
  [[nodiscard]] bool is_switch(const status::TraceEntry& entry) const {
    return entry.cause == (has_times()
                               ? static_cast<std::uint32_t>(status::ExitCause::PartitionSwitch)
                               : static_cast<std::uint32_t>(status::Armv7Exit::PartitionSwitch));
  }
  // Whose exits are those at the beginning: of who is switched from first, or else of who is now.
  [[nodiscard]] std::uint32_t first_owner(std::uint32_t cpu, const std::vector<Exit>& exits) const {
    for (const Exit& exit : exits) {
      if (is_switch(*exit.entry)) return exit.entry->value >> 16;
    }
    const auto own = std::span(region_.partitions).first(region_.partition_count);
    const auto first = std::ranges::find(own, cpu, &status::PartitionStatus::cpu);
    return static_cast<std::uint32_t>(first - own.begin());
  }
  void add_exits(std::uint32_t cpu, json& to) const {
    const std::vector<Exit> exits = exits_of(region_.traces[cpu]);
    Track track{first_owner(cpu, exits), cpu};
    for (const Exit& exit : exits) {
      if (is_switch(*exit.entry)) track.partition = exit.entry->value & 0xffff;
      to.push_back(instant(track, exit));
    }
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

  static json on(const Track& track, const char* phase) {
    return {{"ph", phase}, {"pid", track.partition + 1}, {"tid", track.cpu + 1}};
  }
  static json named(const Track& track, const char* what, std::string_view text) {
    json event = on(track, "M");
    event.update({{"name", what}, {"args", {{"name", text}}}});
    return event;
  }
  [[nodiscard]] json instant(const Track& track, const Exit& exit) const {
    json event = on(track, "i");
    event.update({{"s", "t"},
                  {"ts", since_boot(exit.tsc)},
                  {"name", name_of_cause(region_.architecture, exit.entry->cause)},
                  {"args",
                   {{"pc", fmt::format("{:#010x}", exit.entry->pc)},
                    {"value", fmt::format("{:#010x}", exit.entry->value)}}}});
    return event;
  }
  [[nodiscard]] json life(const Track& track) const {
    const status::PartitionStatus& partition = region_.partitions[track.partition];
    const std::uint64_t end = partition.stopped_tsc != 0 ? partition.stopped_tsc : region_.now_tsc;
    const std::uint64_t ticks = end > partition.started_tsc ? end - partition.started_tsc : 0;
    json event = on(track, "X");
    event.update({{"ts", since_boot(partition.started_tsc)},
                  {"dur", microseconds(ticks)},
                  {"name", name_of(partition)},
                  {"args",
                   {{"state", name_of(partition.state)},
                    {"last stop", name_of(partition.reason)},
                    {"restarts", partition.restarts}}}});
    return event;
  }

  const status::Region& region_;
  std::uint32_t count_;
};

}  // namespace

json chrome_trace(const status::Region& region, std::uint32_t count) {
  return {{"displayTimeUnit", "ns"}, {"traceEvents", Exporter(region, count).events()}};
}

}  // namespace mezzo::run
