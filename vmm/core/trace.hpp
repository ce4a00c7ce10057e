// The trace ring of a processor, which the tool reads.
#pragma once

#include <cstdint>

#include "abi/status.hpp"

namespace mezzo {

inline void record(status::Trace& trace, const status::TraceEntry& entry) {
  trace.entries[trace.next % status::kTraceEntries] = entry;
  trace.next = trace.next + 1;
}

// The processor goes from one partition to another. `cause`: the architecture's PartitionSwitch.
template <class Cause>
void record_switch(status::Region& region, status::Trace& trace, std::uint32_t time, Cause cause,
                   std::uint32_t from, std::uint32_t to) {
  ++region.partitions[to].exits[static_cast<std::uint32_t>(cause)];
  record(trace, {time, static_cast<std::uint32_t>(cause), 0, from << 16 | to});
}

}  // namespace mezzo
