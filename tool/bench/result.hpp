// The benchmark's result: one JSON object (doc/benchmark.md) with a cell for each suite and
// machine. It has no times and no paths of the run, so two runs of the same thing give the same
// bytes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "bench/suite.hpp"

namespace mezzo::bench {

inline constexpr int kSchema = 1;

// Reads a result. Throws UserError if the file is none, or of another schema version.
[[nodiscard]] Json read_result(const std::filesystem::path& path);

// The figures of `suite` on `machine`, or null.
[[nodiscard]] const Json* cell_of(const Json& result, std::string_view suite,
                                  std::string_view machine);

// One number of a cell: the operation's `instructions` in all, whatever the suite.
[[nodiscard]] std::optional<double> instructions_of(const Json& operation);

// The result as a table for a terminal: instructions of each operation, ratios to native.
[[nodiscard]] std::string table_of(const Json& result);

// As JSON. What a guest said, of which an error tells the end, need not be UTF-8.
[[nodiscard]] std::string text_of(const Json& result);

struct Comparison {
  std::string text;     // what differs, one line each; empty: nothing
  int regressions = 0;  // of Mezzo's figures, beyond the threshold
};

// What `later` has that `earlier` has not, in figures that both have.
//   threshold  in percent, above which more instructions are a regression
[[nodiscard]] Comparison compare(const Json& earlier, const Json& later, double threshold);

}  // namespace mezzo::bench
