// Layout of the tables.
#include "run/status_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "run/names.hpp"
#include "run/result.hpp"

namespace mezzo::run {

namespace {

// The most frequent causes of `exits`, numbers by cause, as rates in `seconds`.
std::string busiest(const std::vector<std::uint64_t>& exits, plan::Architecture architecture,
                    double seconds) {
  constexpr std::size_t kShown = 4;
  std::vector<std::uint32_t> causes(exits.size());
  std::iota(causes.begin(), causes.end(), 0u);
  std::ranges::sort(causes, [&](std::uint32_t a, std::uint32_t b) {
    return exits[a] != exits[b] ? exits[a] > exits[b] : a < b;
  });
  causes.resize(std::min(kShown, causes.size()));
  std::string text;
  for (const std::uint32_t cause : causes) {
    if (exits[cause] == 0) break;
    text += fmt::format("{}{} {:.0f}", text.empty() ? "" : ", ", name_of_cause(architecture, cause),
                        static_cast<double>(exits[cause]) / seconds);
  }
  return text;
}

// What a partition got of the processor that it shares, in `ticks`.
std::string share(const status::Share& before, const status::Share& now, std::uint64_t ticks) {
  if (now.since_tsc == 0 || ticks == 0) return "-";
  const std::uint64_t ran = now.run_ticks - std::min(before.run_ticks, now.run_ticks);
  return fmt::format("{:.1f}%", 100.0 * static_cast<double>(ran) / static_cast<double>(ticks));
}

// How late a guest is by its own word, or else its windows: on average and at most.
std::string lateness(const nlohmann::json& partition) {
  const auto text = [](double mean, double most) {
    return fmt::format("{:.1f}/{:.1f}", mean, most);
  };
  const nlohmann::json& told = partition["latency"];
  if (!told.is_null()) return text(told["mean_us"], told["most_us"]);
  const nlohmann::json& share = partition["share"];
  if (share.is_null() || share["windows"].is_null()) return "-";
  return text(share["windows"]["late_mean_us"], share["windows"]["late_most_us"]);
}

// How the windows of a partition began; empty if it has none.
std::string windows_text(const nlohmann::json& partition) {
  const nlohmann::json& share = partition["share"];
  if (share.is_null() || share["windows"].is_null()) return {};
  const nlohmann::json& windows = share["windows"];
  return fmt::format(
      "\nWindows of {}: {} begun, late {:.1f} us on average and {:.1f} us at most, "
      "{} overruns, {} missed\n",
      partition["name"].get<std::string>(), windows["begun"].get<std::uint64_t>(),
      windows["late_mean_us"].get<double>(), windows["late_most_us"].get<double>(),
      windows["overruns"].get<std::uint64_t>(), windows["missed"].get<std::uint64_t>());
}

// What a partition's watchdog has seen; empty if that is nothing.
std::string watchdog_text(const nlohmann::json& partition) {
  const nlohmann::json& watchdog = partition["watchdog"];
  if (watchdog["kicks"] == 0 && watchdog["expiries"] == 0) return {};
  std::string text =
      fmt::format("\nWatchdog of {}: kicked {} times, has run out {} times\n",
                  partition["name"].get<std::string>(), watchdog["kicks"].get<std::uint32_t>(),
                  watchdog["expiries"].get<std::uint32_t>());
  if (watchdog["restart_most_us"] == 0.0) return text;
  return text + fmt::format("  from there to the first instruction: {:.1f} ms, at most {:.1f} ms\n",
                            watchdog["restart_us"].get<double>() / 1000,
                            watchdog["restart_most_us"].get<double>() / 1000);
}

}  // namespace

std::string rate_table(const status::Region& before, const status::Region& now) {
  const std::uint64_t ticks = now.now_tsc - before.now_tsc;
  const double seconds = static_cast<double>(ticks) / (std::max(now.tsc_khz, 1u) * 1000.0);
  std::string text =
      fmt::format("{:<16} {:<10} {:>3} {:>6} {:>16} {:>8} {:>10}  {}\n", "PARTITION", "STATE",
                  "CPU", "SHARE", "LATE, us", "RESTARTS", "EXITS/S", "MOST OF THEM, A SECOND");
  for (std::size_t i = 0; i < now.partition_count; ++i) {
    const status::PartitionStatus& partition = now.partitions[i];
    std::vector<std::uint64_t> exits(exit_causes_of(now.architecture));
    for (std::size_t cause = 0; cause < exits.size(); ++cause) {
      const std::uint64_t old = before.partitions[i].exits[cause];
      exits[cause] = partition.exits[cause] - std::min(old, partition.exits[cause]);
    }
    const auto total = std::accumulate(exits.begin(), exits.end(), std::uint64_t{0});
    text +=
        fmt::format("{:<16} {:<10} {:>3} {:>6} {:>16} {:>8} {:>10}  {}\n", name_of(partition),
                    name_of(partition.state), partition.cpu,
                    share(before.partitions[i].share, partition.share, ticks),
                    lateness(partition_json(now, i)), partition.restarts,
                    ticks == 0 ? "-" : fmt::format("{:.0f}", static_cast<double>(total) / seconds),
                    ticks == 0 ? "" : busiest(exits, now.architecture, seconds));
  }
  return text;
}

std::string partition_table(const status::Region& region) {
  std::string text = fmt::format("{:<16} {:<10} {:<14} {:>3} {:>10} {:>8} {:>12}\n", "PARTITION",
                                 "STATE", "LAST STOP", "CPU", "UPTIME", "RESTARTS", "EXITS");
  std::string more;
  for (std::size_t i = 0; i < region.partition_count; ++i) {
    const status::PartitionStatus& partition = region.partitions[i];
    const nlohmann::json facts = partition_json(region, i);
    const std::uint64_t total =
        std::accumulate(std::begin(partition.exits), std::end(partition.exits), std::uint64_t{0});
    text += fmt::format("{:<16} {:<10} {:<14} {:>3} {:>8.1f} s {:>8} {:>12}\n",
                        facts["name"].get<std::string>(), name_of(partition.state),
                        name_of(partition.reason), partition.cpu,
                        facts["uptime_seconds"].get<double>(), partition.restarts, total);
    more += windows_text(facts) + watchdog_text(facts);
  }
  text += more;
  for (std::uint32_t line = 0; line < plan::kMaxLines; ++line) {
    if (region.strays[line] == 0) continue;
    text += fmt::format("\nInterrupt {} is nobody's: found raised at {} heartbeats, masked\n", line,
                        region.strays[line]);
  }
  for (std::size_t i = 0; i < region.partition_count; ++i) {
    const status::PartitionStatus& partition = region.partitions[i];
    std::vector<std::pair<std::uint64_t, std::string_view>> exits;
    for (std::uint32_t cause = 0; cause < exit_causes_of(region.architecture); ++cause) {
      if (partition.exits[cause] == 0) continue;
      exits.emplace_back(partition.exits[cause], name_of_cause(region.architecture, cause));
    }
    std::ranges::sort(exits, std::greater());
    text += fmt::format("\nExits of {}:\n", name_of(partition));
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
