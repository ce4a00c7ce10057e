// What is expected of the port to ARMv7, as a table that a run is held against: the ratio to the
// bare board that each operation may have, and how many times better than the peer's it has to be.
// The numbers are in bench/report/published.json, not here.
#pragma once

#include <filesystem>
#include <string>

#include "bench/suite.hpp"

namespace mezzo::bench {

// Of each operation that `result` has on the bare board and on Mezzo, in the result's order, an
// object (doc/bench.schema.json, "claim"): its ratio, what is expected of it, and whether that is
// met.
//   published  bench/report/published.json: `armv7` has native, virtual, expected, times_better
// Empty if the result lacks one of the two machines.
[[nodiscard]] Json armv7_claims(const Json& result, const Json& published);

// The claims of `result` for a terminal, a line for each and one that counts them; empty without
// any.
[[nodiscard]] std::string claims_text(const Json& result);

// bench/report/published.json in `folder`. Throws UserError if it is missing or no JSON.
[[nodiscard]] Json read_published(const std::filesystem::path& folder);

}  // namespace mezzo::bench
