// The order of work behind bench.hpp.
#include "bench/bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/sha256.hpp"
#include "bench/claims.hpp"
#include "bench/counts.hpp"
#include "bench/realtime.hpp"
#include "loader/kernel.hpp"
#include "mezzo_build.hpp"
#include "run/qemu.hpp"

namespace mezzo::bench {

namespace {

// Raised whenever the way changes in which output becomes figures: what is kept is measured anew.
constexpr int kFigures = 1;

// A suite's name stands for those that begin with it and a hyphen, too.
bool chosen(const std::vector<std::string>& names, const Suite& suite) {
  const std::string_view whole = suite.name;
  return names.empty() || std::ranges::any_of(names, [&](const std::string& name) {
           return whole == name || whole.starts_with(name + "-");
         });
}

// A quick run has no variants and no load beside a real-time kernel, unless it is asked for one.
bool chosen(const std::vector<std::string>& names, const Machine& machine, bool quick) {
  const bool left_out =
      machine.variant != nullptr || (machine.realtime != nullptr && is_flooded(machine));
  return (names.empty() && !(quick && left_out)) ||
         std::ranges::find(names, machine.name) != names.end();
}

std::string digest(std::string_view text) {
  return base::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

Json parts_of(const Boot& boot) {
  Json parts = Json::array();
  for (const Part& part : boot.parts) {
    parts.push_back({{"name", part.name}, {"version", part.version}, {"sha256", part.sha256}});
  }
  return parts;
}

// The command without the folders of this machine, so that it is the same in every checkout.
Json command_of(const Boot& boot, const Sources& sources) {
  Json command = Json::array();
  for (std::string argument : boot.command) {
    for (const auto& folder : {sources.cache, sources.directory, sources.build}) {
      const std::string prefix = folder.string() + "/";
      for (std::size_t at; (at = argument.find(prefix)) != std::string::npos;) {
        argument.erase(at, prefix.size());
      }
    }
    command.push_back(argument);
  }
  return command;
}

// What a monitor's ELF takes: bytes in the file that are loaded, and bytes of memory with what is
// zero.
Json size_of(const std::filesystem::path& monitor, plan::Architecture architecture) {
  const base::Bytes bytes = base::read_file(monitor);
  system::KernelSpec spec;
  spec.format = system::KernelFormat::Elf;
  const auto image = loader::read_kernel(bytes, spec, architecture);
  if (!image) {
    throw UserError(fmt::format("{} is no ELF: {}", monitor.string(), image.error().what));
  }
  std::uint64_t loaded = 0, memory = 0;
  for (const loader::Segment& segment : image->segments) {
    loaded += segment.file.size();
    memory += segment.memory_size;
  }
  return {{"loaded", loaded}, {"memory", memory}};
}

class Run {
 public:
  explicit Run(const Options& options) : options_(options) {}

  Json cell(const Suite& suite, const Machine& machine) {
    Sources sources = options_.sources;
    sources.directory = options_.directory / "boot" / machine.name;
    const Boot boot = prepare(machine, {suite.guest, suite.text(options_.quick)}, sources);
    const auto folder =
        options_.directory / "cells" / fmt::format("{}-{}", suite.name, machine.name);
    const std::string key = key_of(suite, machine, boot, sources);
    if (const auto kept = recall(folder, key)) {
      fmt::print(stderr, "mezzo: {} on {}: measured before\n", suite.name, machine.name);
      return *kept;
    }
    Json cell = measure_cell(suite, machine, boot, folder);
    cell["command"] = command_of(boot, sources);
    if (!boot.monitor.empty()) {
      cell["monitor"] = size_of(
          boot.monitor, machine.is_armv7() ? plan::Architecture::Armv7 : plan::Architecture::Ia32);
    }
    cell["key"] = key;
    base::write_file(folder / "cell.json", text_of(cell));
    return cell;
  }

 private:
  // A neighbour that has not begun its load, or has ended it, is no neighbour.
  static Console neighbour_in(const std::filesystem::path& console, bool must_work) {
    const base::Bytes text = base::read_file(console);
    Console said = parse_console({reinterpret_cast<const char*>(text.data()), text.size()});
    if (!must_work || (!said.rows.empty() && said.rows.back().status < 0)) return said;
    throw UserError("the neighbour did not do what it should",
                    fmt::format("Its console is {}.", console.string()));
  }

  // What a figure depends on: equal keys, equal figures.
  std::string key_of(const Suite& suite, const Machine& machine, const Boot& boot,
                     const Sources& sources) const {
    std::string text = fmt::format("{} {} {} {}\n{}", kSchema, kFigures, boot.qemu, suite.name,
                                   command_of(boot, sources).dump());
    text += parts_of(boot).dump();
    for (const std::string_view argument : boot.command) {
      const bool made = std::ranges::any_of(std::array{".elf", ".uimage", ".dtb"},
                                            [&](auto end) { return argument.ends_with(end); });
      if (made) text += base::sha256(base::read_file(argument));
    }
    if (suite.counts) {
      text += base::sha256(base::read_file(plugin_of(boot)));
      text += domains_of(machine, suite.guest);
      text += counts_pages(suite) ? " pages" : "";
    }
    return digest(text);
  }

  [[nodiscard]] bool counts_pages(const Suite& suite) const {
    return suite.guest == Guest::Linux && !suite.beside_neighbours && !suite.armv7 &&
           !options_.quick;
  }

  static std::optional<Json> recall(const std::filesystem::path& folder, const std::string& key) {
    if (!std::filesystem::exists(folder / "cell.json")) return std::nullopt;
    Json cell = Json::parse(base::read_file(folder / "cell.json"), nullptr, false);
    if (!cell.is_object() || !cell.contains("key") || cell["key"] != key) return std::nullopt;
    return cell;
  }

  Json measure_cell(const Suite& suite, const Machine& machine, const Boot& boot,
                    const std::filesystem::path& folder) const {
    base::make_directory(folder);
    Execution execution{.command = boot.command,
                        .directory = folder,
                        .has_neighbour = machine.neighbour != nullptr,
                        .timeout = options_.timeout,
                        .on_row = [&](std::string_view row) {
                          fmt::print(stderr, "mezzo: {} on {}: {}\n", suite.name, machine.name,
                                     row);
                        }};
    fmt::print(stderr, "mezzo: {} on {}: starting\n", suite.name, machine.name);
    const auto counts = folder / "counts.json";
    if (suite.counts) {
      const auto plugin = plugin_argument(machine, suite.guest, plugin_of(boot), folder, counts,
                                          counts_pages(suite));
      execution.command.insert(execution.command.end(), {"-plugin", plugin});
    }
    Ran run{.console = execute(execution),
            .counts = suite.counts ? read_counts(counts) : Json(),
            .quick = options_.quick,
            .exact_time = boot.exact_time && machine.device == nullptr};
    if (machine.neighbour != nullptr && machine.device == nullptr) {
      // The real-time kernel's starts beside it, and in a quick run is no further than that.
      run.neighbour =
          neighbour_in(folder / "neighbour.txt", machine.realtime == nullptr || !options_.quick);
    }
    const Json figures = suite.figures(run);
    return {{"suite", suite.name},     {"machine", machine.name},
            {"qemu", boot.qemu},       {"kernel", run.console.kernel},
            {"parts", parts_of(boot)}, {"command", nullptr},
            {"figures", figures}};
  }

  [[nodiscard]] std::filesystem::path plugin_of(const Boot& boot) const {
    auto plugin = options_.plugins / fmt::format("mezzo-count-v{}.so", boot.plugin_api);
    if (std::filesystem::exists(plugin)) return plugin;
    throw UserError(fmt::format("the counting plugin {} is not built", plugin.string()),
                    "Start the benchmark by ./mezzo bench, which builds what it needs.");
  }

  const Options& options_;
};

}  // namespace

Json measure(const Options& options) {
  Run run(options);
  Json result = {{"schema", kSchema},
                 {"mezzo", build::kVersion},
                 {"quick", options.quick},
                 {"cells", Json::array()},
                 {"missing", Json::array()}};
  for (const Suite& suite : suites()) {
    if (!chosen(options.suites, suite)) continue;
    for (const Machine& machine : machines()) {
      if (!suite.runs_on(machine) || !chosen(options.machines, machine, options.quick)) continue;
      try {
        result["cells"].push_back(run.cell(suite, machine));
      } catch (const UserError& error) {
        fmt::print(stderr, "mezzo: {} on {}: {}\n", suite.name, machine.name, error.what());
        if (!error.remedy().empty()) fmt::print(stderr, "    do this: {}\n", error.remedy());
        result["missing"].push_back(
            {{"suite", suite.name}, {"machine", machine.name}, {"why", error.what()}});
      }
    }
  }
  if (result["cells"].empty() && result["missing"].empty()) {
    throw UserError("none of the chosen suites runs on a chosen machine",
                    "What runs where, says: mezzo bench --list");
  }
  if (Json claims = armv7_claims(result, read_published(options.report)); !claims.empty()) {
    result["claims"] = std::move(claims);
  }
  if (Json claims = realtime_claims(result); !claims.empty()) {
    result["realtime claims"] = std::move(claims);
  }
  base::write_file(options.directory / "result.json", text_of(result));
  return result;
}

}  // namespace mezzo::bench
