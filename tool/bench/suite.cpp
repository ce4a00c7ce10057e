// The table of suites behind suite.hpp.
#include "bench/suite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "bench/counts.hpp"
#include "bench/lmbench.hpp"
#include "bench/realtime.hpp"

namespace mezzo::bench {

namespace {

const LmbenchRow& row_named(std::string_view name) {
  const auto rows = lmbench_rows();
  return *std::ranges::find_if(rows, [&](const LmbenchRow& row) { return row.name == name; });
}

Json lmbench_figures(const Ran& run) {
  const Console& console = run.console;
  if (!console.missing.empty()) {
    throw UserError(
        fmt::format("lmbench's helper '{}' does not run in the guest, so its figures "
                    "would measure a failure",
                    console.missing.front()));
  }
  Json figures = Json::object();
  for (const Row& row : console.rows) {
    const LmbenchRow& known = row_named(row.name);
    const auto figure = lmbench_figure(known, row.output);
    if (row.status != 0 || !figure) {
      throw UserError(fmt::format("lmbench's '{}' gave no figure (status {}):\n{}", row.name,
                                  row.status, row.output));
    }
    figures[row.name] = {{"instructions", *figure}};
  }
  return figures;
}

std::string micro_script(bool) { return "run micro /bin/micro\n"; }

Json counted_figures(const Ran& run) {
  for (const Row& row : run.console.rows) {
    if (row.status != 0) {
      throw UserError(
          fmt::format("'{}' failed (status {}):\n{}", row.name, row.status, row.output));
    }
  }
  return operation_figures(run.counts);
}

constexpr std::array kSuites{
    Suite{.name = "lmbench",
          .what = "latencies and bandwidths by lmbench, in instructions",
          .counts = false,
          .guest = Guest::Linux,
          .text = lmbench_script,
          .figures = lmbench_figures},
    Suite{.name = "micro",
          .what = "instructions by domain, exits and root switches of each operation",
          .counts = true,
          .guest = Guest::Linux,
          .text = micro_script,
          .figures = counted_figures},
    Suite{.name = "monitor",
          .what = "single exits of a bare kernel in ring 1; the same in ring 0",
          .counts = true,
          .guest = Guest::Probe,
          .text = [](bool) { return std::string("mode=bench"); },
          .figures = counted_figures},
    Suite{.name = "two-guests",
          .what = "the operations of micro while a second guest idles, or does its worst",
          .counts = true,
          .guest = Guest::Linux,
          .text = [](bool) { return "sleep 8\n" + micro_script(false); },
          .figures = counted_figures,
          .beside_neighbours = true},
    Suite{
        .name = "realtime",
        .what = "ticks of a real-time kernel alone and beside a Linux, and the way to its handler",
        .counts = true,
        .guest = Guest::Rtos,
        .text = realtime_text,
        .figures = realtime_figures,
        .variants = true},
    Suite{.name = "armv7",
          .what =
              "micro on a Cortex-A9, with exits by cause; and with ways past the monitor left out",
          .counts = true,
          .guest = Guest::Linux,
          .text = micro_script,
          .figures = counted_figures,
          .armv7 = true,
          .variants = true},
    Suite{.name = "armv7-lmbench",
          .what = "lmbench on a Cortex-A9, in instructions",
          .counts = false,
          .guest = Guest::Linux,
          .text = lmbench_script,
          .figures = lmbench_figures,
          .armv7 = true},
};

}  // namespace

std::span<const Suite> suites() { return kSuites; }

}  // namespace mezzo::bench
