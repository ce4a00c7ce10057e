// The words that results and tables use for the values of abi/status.hpp. Part of the documented
// result schema: a name never changes its meaning.
#pragma once

#include <string_view>

#include "abi/status.hpp"

namespace mezzo::run {

// "unknown" for a value that this version of the tool does not know.
[[nodiscard]] std::string_view name_of(status::State state);
[[nodiscard]] std::string_view name_of(status::StopReason reason);
[[nodiscard]] std::string_view name_of(status::ExitCause cause);
[[nodiscard]] std::string_view name_of(status::CommandResult result);

}  // namespace mezzo::run
