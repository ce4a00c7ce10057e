// The trace rings for a viewer: Trace Event Format, which ui.perfetto.dev and chrome://tracing
// open.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "abi/status.hpp"

namespace mezzo::run {

// The last `count` exits of each processor as instants, on a track for the processor that is named
// by the partitions on it, and a slice for each partition since its last start. Times are in
// microseconds since the monitor's start. An entry has 32 bits of its time: the list of a processor
// goes back to the first gap of more than half of that, and its end is taken for no further from
// the last heartbeat.
// Source: "Trace Event Format", Google, 2016 (M, i and X events).
[[nodiscard]] nlohmann::json chrome_trace(const status::Region& region, std::uint32_t count);

}  // namespace mezzo::run
