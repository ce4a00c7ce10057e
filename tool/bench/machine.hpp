// The systems that are compared: what they are, and what boots them in QEMU. All run the same
// programs on the same emulated machine; time is virtual, one nanosecond for each instruction.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/guest.hpp"

namespace mezzo::bench {

enum class Host { Bare, Mezzo, Xen };

struct Machine {
  const char* name;          // in results and on the command line
  const char* title;         // for people
  const char* architecture;  // Debian's name
  Host host;
  const char* neighbour = nullptr;  // what a second guest does, as a script; only on Mezzo
  const char* variant = nullptr;    // keys of the guest's partition; another way of Mezzo's
  const char* realtime = nullptr;   // for the real-time kernel, and no other guest: its options
  const char* device = nullptr;     // of its own, which interrupts it in its timer's place

  // A Versatile Express with a Cortex-A9; all others are PCs.
  [[nodiscard]] bool is_armv7() const { return architecture == std::string_view("armhf"); }
};

// In the order of a report. A virtualized system's baseline has the same architecture.
[[nodiscard]] std::span<const Machine> machines();

// What `machine` is compared with: the bare machine, or the one with an idle neighbour.
[[nodiscard]] const Machine& baseline_of(const Machine& machine);

// Whether its neighbour floods its network.
[[nodiscard]] bool is_flooded(const Machine& machine);

// QEMU's options that every machine has: virtual time, one thread, no chance, nothing but what is
// asked for. QEMU's -icount repeats a run exactly only with `sleep=off` and a fixed date.
void append_fixed_time(std::vector<std::string>& command);

// A machine ready to boot one suite.
struct Boot {
  std::vector<std::string> command;  // QEMU's, without output files
  std::vector<Part> parts;
  std::filesystem::path monitor;  // its ELF file, if there is one
  std::string qemu;               // version
  int plugin_api = 1;             // of this QEMU
  bool exact_time = true;         // virtual time says something
};

// Fetches and assembles what `machine` needs for `workload`. Throws UserError.
[[nodiscard]] Boot prepare(const Machine& machine, const Workload& workload,
                           const Sources& sources);

}  // namespace mezzo::bench
