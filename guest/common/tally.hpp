// Experiments of a guest, counted and reported a line each:
//   probe NAME WHERE -> WHAT HAPPENED [(differs by design)] [FAILED, expected ...]
// and at the end "probe done: N passed, M failed".
#pragma once

#include "common/text.hpp"

namespace guest {

// Starts the line of an experiment and counts it.
void begin_probe(const char* name, const char* where, bool good);
// Ends it, after what happened has been printed; a bad one needs what was expected in between.
void end_probe();
void skip(const char* name, const char* why);
// The last line.
void summarize();

}  // namespace guest
