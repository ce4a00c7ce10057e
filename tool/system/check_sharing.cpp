// Who can share a processor of a PC: a real-time partition, which has the local APIC, and one
// other, whose interrupts come by the PIC.
#include <algorithm>

#include "system/check.hpp"

namespace mezzo::system {
namespace {

using plan::IdleWait;
using plan::InterruptController;

class SharingCheck {
 public:
  SharingCheck(const System& system, const Partition& urgent, const Partition& other,
               Diagnostics& diagnostics)
      : system_(system), urgent_(urgent), other_(other), diagnostics_(diagnostics) {}

  void run() {
    if (urgent_.ia32.timer != plan::Timer::LocalApic) {
      error(urgent_.ia32.timer_where,
            fmt::format("{} shares its processor, whose local APIC is all that can interrupt it",
                        urgent_.name),
            "set timer = \"lapic\", or give it a processor of its own");
    } else if (urgent_.interrupts != InterruptController::None) {
      error(urgent_.interrupts_where,
            fmt::format("{} shares its processor, whose local APIC is all that can interrupt it",
                        urgent_.name),
            "set interrupts = \"none\", or give it a processor of its own");
    }
    if (other_.interrupts != InterruptController::Pic) {
      error(other_.interrupts_where,
            fmt::format("{} shares the processor of {}, which has the local APIC: only the PIC is "
                        "left to interrupt it",
                        other_.name, urgent_.name),
            "set interrupts = \"pic\" and remove the device \"pci\", or give it a processor of its "
            "own");
    }
    if (urgent_.ia32.idle != IdleWait::Halt) {
      error(urgent_.ia32.idle_where,
            fmt::format("{} would never let go of the processor that it shares", urgent_.name),
            "set idle = \"halt\", or give it a processor of its own");
    }
    check_channels();
  }

 private:
  void error(Position where, std::string what, std::string remedy) {
    add_error(system_, where, std::move(what), std::move(remedy), diagnostics_);
  }

  // A doorbell comes by the local APIC.
  void check_channels() {
    const auto index = static_cast<std::size_t>(&other_ - system_.partitions.data());
    for (const std::size_t n : system_.channels_of(index)) {
      const Channel& channel = system_.channels[n];
      error(channel.ends_where,
            fmt::format("{} cannot hear the doorbell of {}: the local APIC is {}'s, which shares "
                        "its processor",
                        other_.name, channel.name, urgent_.name),
            fmt::format("give {} a processor of its own, or name another partition", other_.name));
    }
  }

  const System& system_;
  const Partition &urgent_, &other_;
  Diagnostics& diagnostics_;
};

}  // namespace

void check_sharing(const System& system, Diagnostics& diagnostics) {
  for (auto second = system.partitions.begin(); second != system.partitions.end(); ++second) {
    const auto is_on_it = [&](const Partition& other) { return other.cpu == second->cpu; };
    const auto first = std::ranges::find_if(system.partitions.begin(), second, is_on_it);
    if (first == second) continue;
    if (std::find_if(first + 1, second, is_on_it) != second) {
      add_error(system, second->cpu_where,
                fmt::format("{} is the third partition of processor {}", second->name, second->cpu),
                "give it a 'cpu' of its own; two can share one", diagnostics);
    } else if (first->ia32.real_time == second->ia32.real_time) {
      add_error(system, second->cpu_where,
                fmt::format("processor {} has two owners: {} and {} (line {}), {}", second->cpu,
                            second->name, first->name, first->cpu_where.line,
                            first->ia32.real_time ? "both of them real-time partitions"
                                                  : "neither of them a real-time partition"),
                "give each partition a 'cpu' of its own; kind = \"realtime\" and another one can "
                "share one",
                diagnostics);
    } else {
      const bool is_first = first->ia32.real_time;
      SharingCheck(system, is_first ? *first : *second, is_first ? *second : *first, diagnostics)
          .run();
    }
  }
}

}  // namespace mezzo::system
