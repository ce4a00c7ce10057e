// bench: measures native, Mezzo and Xen side by side, or compares two results.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/places.hpp"
#include "bench/bench.hpp"
#include "bench/claims.hpp"
#include "bench/realtime.hpp"
#include "bench/report.hpp"
#include "command/command.hpp"
#include "command/prepare.hpp"

namespace mezzo::command {

namespace {

constexpr int kSilence = 900;  // seconds: Xen needs minutes for a row under emulation

struct Options {
  std::vector<std::string> suites, machines;
  std::vector<std::string> compare;
  double threshold = 1.0;
  bool quick = false, list = false, refresh = false;
  int timeout = kSilence;
  std::string output, report;
};

int list() {
  fmt::print("Suites (--suite):\n");
  for (const bench::Suite& suite : bench::suites()) {
    fmt::print("  {:<14}{}\n  {:<14}on", suite.name, suite.what, "");
    for (const bench::Machine& machine : bench::machines()) {
      if (suite.runs_on(machine)) fmt::print(" {}", machine.name);
    }
    fmt::print("\n");
  }
  fmt::print("Machines (--machine):\n");
  for (const bench::Machine& machine : bench::machines()) {
    fmt::print("  {:<14}{}\n", machine.name, machine.title);
  }
  return 0;
}

int compare(const Options& options) {
  const bench::Comparison comparison =
      bench::compare(bench::read_result(options.compare[0]), bench::read_result(options.compare[1]),
                     options.threshold);
  if (comparison.text.empty()) {
    fmt::print("No figure differs.\n");
  } else {
    fmt::print("{}", comparison.text);
  }
  if (comparison.regressions == 0) return 0;
  throw UserError(fmt::format("{} of Mezzo's figures are more than {}% higher than before",
                              comparison.regressions, options.threshold));
}

bench::ReportParts report_parts() {
  return {.folder = base::source_directory() / "bench" / "report",
          .echarts = base::build_directory() / "bench" / "report" / "node_modules" / "echarts" /
                     "dist" / "echarts.common.min.js"};
}

// Draws a result that was measured before.
int report(const Options& options) {
  const std::filesystem::path file = options.output.empty()
                                         ? "report.html"
                                         : std::filesystem::path(options.output) / "report.html";
  base::write_file(file, bench::report_of(bench::read_result(options.report), report_parts()));
  fmt::print("The report is {}.\n", file.string());
  return 0;
}

int measure(const Options& options) {
  bench::Options bench_options;
  bench_options.suites = options.suites;
  bench_options.machines = options.machines;
  bench_options.quick = options.quick;
  bench_options.timeout = std::chrono::seconds(options.timeout);
  bench_options.directory = options.output.empty() ? base::build_directory() / "bench" /
                                                         (options.quick ? "quick" : "full")
                                                   : std::filesystem::absolute(options.output);
  bench_options.plugins = base::build_directory() / "bench" / "plugin";
  bench_options.report = report_parts().folder;
  bench_options.sources = {.cache = base::cache_directory(),
                           .build = base::build_directory(),
                           .guest = base::source_directory() / "bench" / "guest",
                           .directory = {},
                           .refresh = options.refresh,
                           .progress = show_progress()};
  const bench::Json result = bench::measure(bench_options);
  fmt::print("{}{}\nThe result is {}.\n", bench::table_of(result),
             bench::claims_text(result) + bench::realtime_claims_text(result),
             (bench_options.directory / "result.json").string());
  const auto page = bench_options.directory / "report.html";
  base::write_file(page, bench::report_of(result, report_parts()));
  fmt::print("To look at: {}.\n", page.string());
  if (const std::size_t missing = result["missing"].size(); missing > 0) {
    throw UserError(fmt::format("{} of {} parts were not measured; why is said above", missing,
                                missing + result["cells"].size()),
                    "Start it again: what has been measured is kept.");
  }
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = app.add_subcommand(
      "bench", "Count instructions of Linux on the bare machine, on Mezzo and on Xen");
  const auto names = [](const auto& all) {
    std::vector<std::string> list;
    for (const auto& one : all) list.emplace_back(one.name);
    return list;
  };
  command->add_option("--suite", options->suites, "only this suite (more than once: these)")
      ->type_name("NAME")
      ->check(CLI::IsMember(names(bench::suites())));
  command->add_option("--machine", options->machines, "only on this machine")
      ->type_name("NAME")
      ->check(CLI::IsMember(names(bench::machines())));
  command->add_flag("--quick", options->quick, "fewer rows of lmbench, no count of pages");
  command->add_flag("--list", options->list, "say which suites and machines there are");
  command
      ->add_option("--output", options->output,
                   "where results go (default: in the build folder; the last run's are replaced)")
      ->type_name("FOLDER");
  command->add_option("--timeout", options->timeout, "give up on a guest silent for so long")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
  command->add_flag("--update", options->refresh, "ask the mirror for newer packages first");
  command->add_option("--compare", options->compare, "say what differs between two results instead")
      ->type_name("OLD.json NEW.json")
      ->expected(2);
  command->add_option("--report", options->report, "draw report.html from a result instead")
      ->type_name("RESULT.json");
  command
      ->add_option("--threshold", options->threshold,
                   "with --compare: percent that a figure of Mezzo's may grow")
      ->type_name("PERCENT");
  command->footer(
      "Figures are instructions of an emulated machine in virtual time, not microseconds on "
      "silicon.\n"
      "An interrupted run goes on where it was; what is measured again is what has changed.\n"
      "Exit status: 0 done, 1 failed or a regression, 128+n signal n.");
  command->callback([&action, options] {
    action = [options] {
      if (options->list) return list();
      if (!options->report.empty()) return report(*options);
      return options->compare.empty() ? measure(*options) : compare(*options);
    };
  });
}

}  // namespace mezzo::command
