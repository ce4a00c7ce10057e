// Timers of real-time partitions, and who forwards their interrupts.
#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "system/check.hpp"

namespace mezzo::system {
namespace {

void check_pit(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  if (partition.interrupts == plan::InterruptController::Pic) return;
  add_error(
      system, partition.ia32.timer_where,
      fmt::format("the PIT interrupts through the PIC, which {} does not have", partition.name),
      "set interrupts = \"pic\", or leave 'interrupts' out", diagnostics);
}

void check_hpet(const System& system, std::size_t index, Diagnostics& diagnostics) {
  const Partition& partition = system.partitions[index];
  const auto others = std::span(system.partitions).first(index);
  const auto owner = std::ranges::find_if(
      others, [](const Partition& other) { return other.ia32.timer == plan::Timer::Hpet; });
  if (owner == others.end()) return;
  add_error(system, partition.ia32.timer_where,
            fmt::format("timer 'hpet' has two owners: {} and {} (line {})", partition.name,
                        owner->name, owner->ia32.timer_where.line),
            "give one of them another timer", diagnostics);
}

void check_forwarder(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  const Ia32Spec& spec = partition.ia32;
  const auto error = [&](std::string what, std::string remedy) {
    add_error(system, spec.forwarded_by_where, std::move(what), std::move(remedy), diagnostics);
  };
  if (spec.timer != plan::Timer::Pit) {
    return error("only the PIT's interrupts can be forwarded",
                 "set timer = \"pit\", or remove 'forwarded_by'");
  }
  const Partition* forwarder = system.find(spec.forwarded_by);
  if (forwarder == nullptr) {
    return error(fmt::format("there is no partition '{}'", spec.forwarded_by),
                 "name the partition whose processor is to take the interrupts");
  }
  if (forwarder == &partition) {
    error(fmt::format("{} cannot forward its own interrupts", partition.name),
          "name another partition, or remove 'forwarded_by'");
  } else if (forwarder->ia32.real_time) {
    error(fmt::format("{} is a real-time partition itself", forwarder->name),
          "name one that is not");
  }
}

}  // namespace

void check_timers(const System& system, Diagnostics& diagnostics) {
  for (std::size_t n = 0; n < system.partitions.size(); ++n) {
    const Partition& partition = system.partitions[n];
    if (partition.ia32.timer == plan::Timer::Pit) check_pit(system, partition, diagnostics);
    if (partition.ia32.timer == plan::Timer::Hpet) check_hpet(system, n, diagnostics);
    if (!partition.ia32.forwarded_by.empty()) check_forwarder(system, partition, diagnostics);
  }
}

}  // namespace mezzo::system
