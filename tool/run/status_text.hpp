// The status region as tables for people: what `stat` and `trace` print.
#pragma once

#include <string>

#include "abi/status.hpp"

namespace mezzo::run {

// One line for each partition, then its exits by cause, most frequent first. Lines end in '\n'.
[[nodiscard]] std::string partition_table(const status::Region& region);

// What has happened between two snapshots of a run, the later one second: a line for each partition
// with its exits a second, and of which causes most of them were. By the monitor's clock, which
// goes on at its heartbeats.
[[nodiscard]] std::string rate_table(const status::Region& before, const status::Region& now);

// The last `count` exits of each processor, oldest first.
[[nodiscard]] std::string trace_table(const status::Region& region, std::uint32_t count);

}  // namespace mezzo::run
