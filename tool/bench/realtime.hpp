// The suite `realtime`: when the ticks of a real-time kernel come, on the bare machine and beside a
// Linux on Mezzo, and what the monitor does before each. From a run's consoles and counts to
// figures, a table, and the claims R1 to R7 of doc/benchmark.md.
#pragma once

#include <string>

#include "bench/execute.hpp"
#include "bench/suite.hpp"

namespace mezzo::bench {

// Virtual time that the record takes, so that a neighbour must have been at work for longer.
inline constexpr int kRecordSeconds = 5;

// The command line of guest/rtos, but for what Machine::realtime adds.
[[nodiscard]] std::string realtime_text(bool quick);

// The figures of a run (doc/bench.schema.json, "realtime"), but for intervals if `run` has no exact
// time. Throws UserError if something is missing.
[[nodiscard]] Json realtime_figures(const Ran& run);

// For a terminal; empty if `result` has no cell of this suite.
[[nodiscard]] std::string realtime_table(const Json& result);

// What the experiment is to show (doc/bench.schema.json, "realtime claim"), as far as `result` has
// the cells for it.
[[nodiscard]] Json realtime_claims(const Json& result);

// The result's claims for a terminal, a line each and one that counts them; empty without any.
[[nodiscard]] std::string realtime_claims_text(const Json& result);

}  // namespace mezzo::bench
