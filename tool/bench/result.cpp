// Reading, printing and comparing results.
#include "bench/result.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "bench/realtime.hpp"

namespace mezzo::bench {

namespace {

std::string number(double value) {
  return value >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.1f}", value);
}

// What any machine has a figure of, in the order of the first one that has it: a hypercall, say,
// is not for a bare machine.
std::vector<std::string> operations_of(const Json& result, const Suite& suite) {
  std::vector<std::string> names;
  for (const Json& cell : result["cells"]) {
    if (cell["suite"] != suite.name) continue;
    for (const auto& [name, ignored] : cell["figures"].items()) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

// One suite's part: a line for each operation, a column for each machine.
void add_suite(std::string& text, const Json& result, const Suite& suite) {
  std::vector<const Machine*> columns;
  for (const Machine& machine : machines()) {
    if (cell_of(result, suite.name, machine.name) != nullptr) columns.push_back(&machine);
  }
  if (columns.empty()) return;
  text += fmt::format("\n{:<24}", suite.name);
  for (const Machine* machine : columns) {
    text += fmt::format("{:>14}", machine->name);
    if (&baseline_of(*machine) != machine) text += fmt::format("{:>8}", "ratio");
  }
  text += "\n";
  for (const std::string& operation : operations_of(result, suite)) {
    text += fmt::format("{:<24}", operation);
    for (const Machine* machine : columns) {
      const auto figure = [&](const Machine& of) -> std::optional<double> {
        const Json* const cell = cell_of(result, suite.name, of.name);
        if (cell == nullptr || !cell->contains(operation)) return std::nullopt;
        return instructions_of((*cell)[operation]);
      };
      const auto value = figure(*machine);
      text += fmt::format("{:>14}", value ? number(*value) : "-");
      if (&baseline_of(*machine) == machine) continue;
      const auto baseline = figure(baseline_of(*machine));
      text +=
          fmt::format("{:>8}", value && baseline ? fmt::format("{:.3f}", *value / *baseline) : "-");
    }
    text += "\n";
  }
}

// Calls `visit(name, then, now)` for each number that both have, named by its keys.
template <class Visit>
void each_pair(const Json& then, const Json& now, const std::string& name, const Visit& visit) {
  if (then.is_number() && now.is_number()) {
    return visit(name, then.get<double>(), now.get<double>());
  }
  if (!then.is_object() || !now.is_object()) return;
  for (const auto& [key, value] : now.items()) {
    if (then.contains(key)) each_pair(then[key], value, name + ": " + key, visit);
  }
}

bool is_mezzo(std::string_view name) {
  return std::ranges::any_of(machines(), [&](const Machine& machine) {
    return machine.host == Host::Mezzo && name == machine.name;
  });
}

// What more of is a regression. Other parts of an operation are not: they move with the guest's
// timer, which strikes elsewhere as soon as the monitor is an instruction longer.
bool is_guarded(std::string_view name) {
  return name.ends_with(": instructions") || name.ends_with(": monitor entries");
}

}  // namespace

std::string text_of(const Json& result) {
  return result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json read_result(const std::filesystem::path& path) {
  const base::Bytes bytes = base::read_file(path);
  const Json result = Json::parse(bytes, nullptr, false);
  if (!result.is_object() || !result.contains("schema") || !result.contains("cells")) {
    throw UserError(fmt::format("{} is no benchmark result", path.string()),
                    "Name a result.json that `mezzo bench` wrote.");
  }
  if (result["schema"] != kSchema) {
    throw UserError(fmt::format("{} has schema version {}, and this is for version {}",
                                path.string(), result["schema"].dump(), kSchema),
                    "Measure again with this version, or compare with the version that wrote it.");
  }
  return result;
}

const Json* cell_of(const Json& result, std::string_view suite, std::string_view machine) {
  for (const Json& cell : result["cells"]) {
    if (cell["suite"] == suite && cell["machine"] == machine) return &cell["figures"];
  }
  return nullptr;
}

std::optional<double> instructions_of(const Json& operation) {
  const auto found = operation.find("instructions");
  if (found == operation.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::string table_of(const Json& result) {
  std::string text =
      "Instructions for each operation, and their ratio to the bare machine's\n(of two guests: to "
      "the one beside an idle neighbour):\n";
  for (const Suite& suite : suites()) {
    if (suite.guest != Guest::Rtos) add_suite(text, result, suite);
  }
  return text + realtime_table(result);
}

Comparison compare(const Json& earlier, const Json& later, double threshold) {
  constexpr double kPercent = 100;
  Comparison comparison;
  for (const Json& cell : later["cells"]) {
    const std::string suite = cell["suite"], machine = cell["machine"];
    const Json* const before = cell_of(earlier, suite, machine);
    if (before == nullptr) continue;
    each_pair(*before, cell["figures"], "", [&](const std::string& name, double then, double now) {
      if (then == now) return;
      const double change = then == 0 ? kPercent : (now / then - 1) * kPercent;
      const bool regression = is_mezzo(machine) && is_guarded(name) && change > threshold;
      comparison.regressions += regression ? 1 : 0;
      comparison.text +=
          fmt::format("{:<8}{:<14}{:<44}{:>14}{:>14}{:>+9.2f}%{}\n", suite, machine, name.substr(2),
                      number(then), number(now), change, regression ? "  more than before" : "");
    });
  }
  return comparison;
}

}  // namespace mezzo::bench
