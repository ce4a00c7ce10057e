// The words that results and tables use for the values of abi/status.hpp. Part of the documented
// result schema: a name never changes its meaning.
#pragma once

#include <string_view>

#include "abi/status.hpp"

namespace mezzo::run {

// "unknown" for a value that this version of the tool does not know.
[[nodiscard]] std::string_view name_of(status::State state);
[[nodiscard]] std::string_view name_of(status::StopReason reason);
[[nodiscard]] std::string_view name_of(status::CommandResult result);

// What the system file calls it; valid as long as `partition`.
[[nodiscard]] std::string_view name_of(const status::PartitionStatus& partition);

// What a guest wanted that stopped for StopReason::Unsupported with `what` as its first detail, in
// words for people; empty if this version of the tool does not know.
[[nodiscard]] std::string_view words_for_unsupported(std::uint32_t what);

// How many exit causes a monitor of `architecture` counts, and what each is called.
[[nodiscard]] std::uint32_t exit_causes_of(plan::Architecture architecture);
[[nodiscard]] std::string_view name_of_cause(plan::Architecture architecture, std::uint32_t cause);

}  // namespace mezzo::run
