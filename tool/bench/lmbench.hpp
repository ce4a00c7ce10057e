// The lmbench suite (L. McVoy, C. Staelin, USENIX 1996; Debian's package, non-free): which of its
// programs are run, with which arguments, and how their words become figures.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mezzo::bench {

enum class Unit { Instructions, InstructionsPerMegabyte };

struct LmbenchRow {
  const char* name;
  const char* command;  // for the guest's shell
  const char* what;     // for people
  Unit unit = Unit::Instructions;
  bool quick = false;  // part of --quick
};

[[nodiscard]] std::span<const LmbenchRow> lmbench_rows();

// The shell script that runs the rows (of --quick only, if asked), for bench/guest/init.sh.
[[nodiscard]] std::string lmbench_script(bool quick);

// The programs that the rows need, by name in the package.
[[nodiscard]] std::span<const char* const> lmbench_programs();

// The figure in the output of one row, in instructions per operation or per megabyte: virtual time
// runs at one instruction per nanosecond. Nothing if the output has none.
[[nodiscard]] std::optional<double> lmbench_figure(const LmbenchRow& row, std::string_view output);

}  // namespace mezzo::bench
