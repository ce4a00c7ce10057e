// The benchmark: runs the chosen suites on their machines, one after the other, and keeps each cell
// as soon as it is measured, so that an interrupted run goes on from there.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/result.hpp"

namespace mezzo::bench {

struct Options {
  std::vector<std::string> suites, machines;  // names; empty: all
  bool quick = false;
  std::filesystem::path directory;  // of results
  std::chrono::seconds timeout{};   // without a word from a guest
  std::filesystem::path plugins;    // the folder of the counting plugins
  std::filesystem::path report;     // the folder of published figures
  Sources sources;
};

// Measures and writes result.json into the directory. Progress on stderr. What
// cannot be measured is said, and named in the result; the rest is measured. Throws Interrupted,
// and UserError if nothing of what is chosen runs anywhere.
Json measure(const Options& options);

}  // namespace mezzo::bench
