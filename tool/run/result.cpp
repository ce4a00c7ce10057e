// JSON out of plain values.
#include "run/result.hpp"

#include <cstring>

#include "mezzo_build.hpp"
#include "run/names.hpp"

namespace mezzo::run {

namespace {

using nlohmann::json;

// Seconds that partition has run in its present incarnation, by the machine's clock.
double uptime(const status::Region& region, const status::PartitionStatus& partition) {
  const std::uint64_t end = partition.stopped_tsc != 0 ? partition.stopped_tsc : region.now_tsc;
  if (region.tsc_khz == 0 || partition.started_tsc == 0 || end < partition.started_tsc) return 0;
  return static_cast<double>(end - partition.started_tsc) / (1000.0 * region.tsc_khz);
}

double microseconds(const status::Region& region, std::uint64_t ticks) {
  return region.tsc_khz == 0 ? 0 : static_cast<double>(ticks) * 1000.0 / region.tsc_khz;
}

// Null for a partition that shares its processor with nobody.
json share_json(const status::Region& region, const status::Share& share) {
  if (share.since_tsc == 0 || region.now_tsc <= share.since_tsc) return nullptr;
  json windows = nullptr;
  if (share.windows != 0) {
    const std::uint64_t entered = share.windows - share.missed;
    const double together = microseconds(region, share.late_ticks);
    windows = {{"begun", share.windows},
               {"late_mean_us", entered == 0 ? 0 : together / static_cast<double>(entered)},
               {"late_most_us", microseconds(region, share.late_most)},
               {"overruns", share.overruns},
               {"missed", share.missed}};
  }
  const auto since = static_cast<double>(region.now_tsc - share.since_tsc);
  return {{"seconds", microseconds(region, share.run_ticks) / 1e6},
          {"of_processor", static_cast<double>(share.run_ticks) / since},
          {"windows", std::move(windows)}};
}

json watchdog_json(const status::Region& region, const status::Watchdog& watchdog) {
  return {{"kicks", watchdog.kicks},
          {"expiries", watchdog.expiries},
          {"restart_us", microseconds(region, watchdog.restart_ticks)},
          {"restart_most_us", microseconds(region, watchdog.restart_most)}};
}

// Null for a guest that has told nothing.
json latency_json(const status::Region& region, const status::Latency& latency) {
  if (latency.most == 0) return nullptr;
  return {{"mean_us", microseconds(region, latency.mean)},
          {"most_us", microseconds(region, latency.most)}};
}

json crash_json(const status::CrashRecord& crash) {
  if (crash.valid == 0) return nullptr;
  return {{"cpu", crash.cpu},
          {"vector", crash.vector},
          {"error_code", crash.error_code},
          {"eip", crash.eip},
          {"cs", crash.cs},
          {"eflags", crash.eflags},
          {"esp", crash.esp},
          {"cr0", crash.cr0},
          {"cr2", crash.cr2},
          {"cr3", crash.cr3},
          {"cr4", crash.cr4},
          {"registers", crash.registers},
          {"message", std::string(crash.message, strnlen(crash.message, sizeof(crash.message)))}};
}

json script_json(const PartitionFacts& facts) {
  if (!facts.has_script) return nullptr;
  return {{"done", facts.script_done},
          {"exit_status", facts.script_status ? json(*facts.script_status) : json(nullptr)}};
}

// The status of a partition whose monitor never started.
json unborn() {
  return {{"state", name_of(status::State::Built)},
          {"reason", name_of(status::StopReason::None)},
          {"detail", json::array({0, 0, 0, 0})},
          {"restarts", 0},
          {"cpu", nullptr},
          {"uptime_seconds", 0.0},
          {"exits", json::object()},
          {"share", nullptr},
          {"watchdog", watchdog_json({}, {})},
          {"latency", nullptr},
          {"timer_events", {{"forwarded", 0}, {"merged", 0}}}};
}

}  // namespace

json partition_json(const status::Region& region, std::size_t index) {
  const status::PartitionStatus& partition = region.partitions[index];
  json exits = json::object();
  for (std::uint32_t cause = 0; cause < exit_causes_of(region.architecture); ++cause) {
    exits[std::string(name_of_cause(region.architecture, cause))] = partition.exits[cause];
  }
  return {{"name", name_of(partition)},
          {"state", name_of(partition.state)},
          {"reason", name_of(partition.reason)},
          {"detail", partition.detail},
          {"restarts", partition.restarts},
          {"cpu", partition.cpu},
          {"uptime_seconds", uptime(region, partition)},
          {"exits", std::move(exits)},
          {"share", share_json(region, partition.share)},
          {"watchdog", watchdog_json(region, partition.watchdog)},
          {"latency", latency_json(region, partition.latency)},
          {"timer_events", {{"forwarded", partition.forwarded}, {"merged", partition.merged}}}};
}

json strays_json(const status::Region& region) {
  json lines = json::array();
  for (std::uint32_t line = 0; line < plan::kMaxLines; ++line) {
    if (region.strays[line] != 0) {
      lines.push_back({{"line", line}, {"heartbeats", region.strays[line]}});
    }
  }
  return lines;
}

json monitor_json(const std::optional<status::Region>& region) {
  if (!region) return nullptr;
  return {{"abi_version", region->version}, {"cpus", region->cpu_count},
          {"tsc_khz", region->tsc_khz},     {"heartbeats", region->heartbeats},
          {"strays", strays_json(*region)}, {"crash", crash_json(region->crash)}};
}

json make_result(const RunFacts& facts, const std::optional<status::Region>& region) {
  json partitions = json::array();
  for (std::size_t i = 0; i < facts.partitions.size(); ++i) {
    const PartitionFacts& partition = facts.partitions[i];
    json entry = region && i < region->partition_count ? partition_json(*region, i) : unborn();
    entry["name"] = partition.name;
    entry["kernel"] = {{"package", partition.kernel_package},
                       {"version", partition.kernel_version},
                       {"sha256", partition.kernel_sha256}};
    entry["initramfs_sha256"] = partition.initramfs_sha256;
    entry["cmdline"] = partition.cmdline;
    entry["console"] = partition.console;
    entry["script"] = script_json(partition);
    partitions.push_back(std::move(entry));
  }
  return {{"schema", kResultVersion},
          {"mezzo", build::kVersion},
          {"system", facts.system},
          {"system_file", facts.system_file},
          {"outcome", facts.outcome},
          {"exit_status", facts.exit_status},
          {"started", facts.started},
          {"seconds", facts.seconds},
          {"qemu", {{"version", facts.qemu_version}, {"command", facts.qemu_command}}},
          {"monitor", monitor_json(region)},
          {"monitor_log", facts.monitor_log},
          {"partitions", std::move(partitions)}};
}

std::string to_text(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace mezzo::run
