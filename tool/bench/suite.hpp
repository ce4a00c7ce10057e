// The suites: what each measures, on which machines, by which script, and how a run becomes
// figures.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "bench/execute.hpp"
#include "bench/machine.hpp"

namespace mezzo::bench {

using Json = nlohmann::ordered_json;

// What a run has left behind.
struct Ran {
  Console console;
  Json counts{};        // the plugin's output, null for suites without
  Console neighbour{};  // without rows if there is none
  bool quick = false;
  bool exact_time = true;  // Boot's, if it is the timer's ticks that are counted
};

struct Suite {
  const char* name;
  const char* what;
  bool counts;  // runs under the counting plugin
  Guest guest;
  // The guest's script or command line, and the figures of a run: an object with one entry for each
  // operation. Throws UserError if the run lacks a figure.
  std::string (*text)(bool quick);
  Json (*figures)(const Ran& run);

  bool beside_neighbours = false;  // on the machines that have one, and no others
  bool armv7 = false;              // on Arm boards, and no others
  bool variants = false;           // also on what differs in a key only

  [[nodiscard]] bool runs_on(const Machine& machine) const {
    if (machine.realtime != nullptr || guest == Guest::Rtos) {
      return machine.realtime != nullptr && guest == Guest::Rtos;
    }
    if ((machine.neighbour != nullptr) != beside_neighbours) return false;
    if (machine.is_armv7() != armv7 || (machine.variant != nullptr && !variants)) return false;
    return guest == Guest::Linux || machine.architecture == std::string_view("i386");
  }
};

[[nodiscard]] std::span<const Suite> suites();

}  // namespace mezzo::bench
