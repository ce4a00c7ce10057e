// Tables of domains and the reading of counts behind counts.hpp.
#include "bench/counts.hpp"

#include <fmt/format.h>

#include "abi/status.hpp"
#include "arch/armv7/layout.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "bench/guest/operations.hpp"
#include "run/names.hpp"

namespace mezzo::bench {

namespace {

// Where programs, kernels and monitors are in the address space. Before paging is on, kernels run
// at low addresses and count as `user`: so the first part of a boot does.
constexpr char kIa32[] =
    "domain user 0 bfffffff\n"
    "domain kernel c0000000 ffffffff\n";
constexpr char kIa32Mezzo[] =
    "domain user 0 bfffffff\n"
    "domain kernel c0000000 ffbfffff\n"
    "domain monitor ffc00000 ffffffff\n"
    "traps kernel\n";
constexpr char kAmd64[] =
    "domain user 0 7fffffffffff\n"
    "domain kernel ffff800000000000 ffffffffffffffff\n";
// Xen's text and data, and the stubs of its system call entry.
constexpr char kAmd64Xen[] =
    "domain user 0 7fffffffffff\n"
    "domain monitor ffff800000000000 ffff87ffffffffff\n"
    "domain kernel ffff880000000000 ffffffffffffffff\n"
    "traps kernel\n";

// Modules of an Arm kernel are below it. `stubs` is code of the monitor's that its guest's kernel
// runs without leaving (doc/armv7.md).
constexpr char kArmv7[] =
    "domain user 0 beffffff\n"
    "domain kernel bf000000 ffffffff\n";

// The first partition's counters, in the status region at the window's start, as events. Only the
// low half of a counter is at its address: so one increment is one store there.
std::string exit_events(plan::Architecture architecture, std::uint32_t window) {
  constexpr std::size_t kCounters =
      offsetof(status::Region, partitions) + offsetof(status::PartitionStatus, exits);
  std::string table;
  for (std::uint32_t cause = 0; cause < run::exit_causes_of(architecture); ++cause) {
    table += fmt::format("event {} monitor {:x}\n", run::name_of_cause(architecture, cause),
                         window + kCounters + cause * sizeof(std::uint64_t));
  }
  return table;
}

std::string armv7_on_mezzo() {
  using armv7::layout::kWindow;
  constexpr std::uint32_t kWindowEnd = kWindow + armv7::layout::kWindowSize - 1;
  constexpr std::uint32_t kStubs = MEZZO_STUBS, kStubsEnd = kStubs + MEZZO_STUBS_SIZE - 1;
  const std::string table = fmt::format(
      "domain user 0 beffffff\n"
      "domain stubs {:x} {:x}\n"
      "domain monitor {:x} {:x}\n"
      "domain kernel bf000000 ffffffff\n"
      "traps kernel\n",
      kStubs, kStubsEnd, kWindow, kWindowEnd);
  return table + exit_events(plan::Architecture::Armv7, kWindow);
}

// The probe runs at low addresses, on a bare machine as on the monitor.
constexpr char kProbe[] =
    "domain kernel 0 ffbfffff\n"
    "domain monitor ffc00000 ffffffff\n";
constexpr char kProbeMezzo[] =
    "domain kernel 0 ffbfffff\n"
    "domain monitor ffc00000 ffffffff\n"
    "traps kernel\n";

// The real-time kernel runs at low addresses, too, and beside it a Linux.
std::string rtos_on(Host host) {
  constexpr char kUncounted[] = "uncounted kernel\n";
  if (host == Host::Bare) return std::string(kProbe) + kUncounted;
  return std::string(kProbeMezzo) + kUncounted +
         exit_events(plan::Architecture::Ia32, plan::kMonitorWindow);
}

// The figures of one region on one processor.
Json figures_of(const Json& counts, const Json& region) {
  const Json& domains = counts["domains"];
  const std::size_t width = domains.size();
  const double occurrences = region["occurrences"];
  Json figures = {{"instructions", 0.0}, {"occurrences", region["occurrences"]}};
  double all = 0;
  for (std::size_t n = 0; n < width; ++n) {
    const double count = region["instructions"][n];
    all += count;
    if (count != 0) figures[domains[n].get<std::string>()] = count / occurrences;
  }
  figures["instructions"] = all / occurrences;
  double entries = 0;
  for (std::size_t to = 0; to < width; ++to) {
    if (domains[to] != "monitor") continue;
    for (std::size_t from = 0; from < width; ++from) {
      entries += region["transitions"][from * width + to].get<double>();
    }
  }
  figures["monitor entries"] = entries / occurrences;
  figures["root switches"] = region["root_switches"].get<double>() / occurrences;
  // In a run that looked at pages each switch touches some: the kernel's own, at least.
  if (region["pages"] != 0) {
    figures["pages after root switches"] = region["pages"].get<double>() / occurrences;
  }
  const auto add_sensitive = [&](const char* key, const char* domain) {
    Json kinds = Json::object();
    for (std::size_t kind = 0; kind < counts["sensitive"].size(); ++kind) {
      for (std::size_t n = 0; n < width; ++n) {
        const double count = region["sensitive"][kind * width + n];
        if (domains[n] != domain || count == 0) continue;
        kinds[counts["sensitive"][kind].get<std::string>()] = count / occurrences;
      }
    }
    if (!kinds.empty()) figures[key] = kinds;
  };
  // By cause: the monitor's own count, and its instructions in these exits.
  if (counts.contains("events") && !counts["events"].empty()) {
    const Json& names = counts["events"];
    Json exits = Json::object(), instructions = Json::object();
    for (std::size_t n = 0; n < names.size(); ++n) {
      const std::string name = names[n];
      if (region["events"][n] != 0) exits[name] = region["events"][n].get<double>() / occurrences;
      const double count = region["event_instructions"][n];
      if (count != 0) instructions[name] = count / occurrences;
    }
    figures["exits"] = exits;
    figures["monitor by exit"] = instructions;
  }
  add_sensitive("of the kernel", "kernel");
  add_sensitive("of the programs", "user");
  return figures;
}

}  // namespace

std::string domains_of(const Machine& machine, Guest guest) {
  if (guest == Guest::Probe) return machine.host == Host::Bare ? kProbe : kProbeMezzo;
  if (guest == Guest::Rtos) return rtos_on(machine.host);
  if (machine.is_armv7()) return machine.host == Host::Bare ? kArmv7 : armv7_on_mezzo();
  const bool amd64 = machine.architecture == std::string_view("amd64");
  switch (machine.host) {
    case Host::Mezzo:
      return kIa32Mezzo;
    case Host::Xen:
      return kAmd64Xen;
    case Host::Bare:
      break;
  }
  return amd64 ? kAmd64 : kIa32;
}

std::string plugin_argument(const Machine& machine, Guest guest,
                            const std::filesystem::path& plugin,
                            const std::filesystem::path& folder,
                            const std::filesystem::path& counts, bool pages) {
  const auto domains = folder / "domains.txt";
  base::write_file(domains, domains_of(machine, guest));
  std::error_code absent;
  std::filesystem::remove(counts, absent);
  return fmt::format("file={},domains={},out={}{}", plugin.string(), domains.string(),
                     counts.string(), pages ? ",pages=on" : "");
}

Json read_counts(const std::filesystem::path& counts) {
  Json json;
  if (std::filesystem::exists(counts)) json = Json::parse(base::read_file(counts), nullptr, false);
  if (!json.is_object() || !json.contains("cpus")) {
    throw UserError("the counting plugin has written no counts",
                    "QEMU's messages are beside the console, in qemu.txt.");
  }
  return json;
}

Json operation_figures(const Json& counts) {
  Json figures = Json::object();
  const Json& regions = counts["cpus"][0]["regions"];
  for (std::size_t n = 0; n < kOperations.size(); ++n) {
    const auto found = regions.find(std::to_string(n));
    if (found != regions.end()) figures[kOperations[n]] = figures_of(counts, *found);
  }
  if (figures.empty()) throw UserError("the guest has executed no marker");
  return figures;
}

}  // namespace mezzo::bench
