// The monitor as a whole on IA-32: the few things that every file of this folder may need.
#pragma once

#include "abi/plan.hpp"
#include "abi/status.hpp"
#include "arch/ia32/cpu.hpp"
#include "core/partition.hpp"
#include "diag/log.hpp"

namespace mezzo::ia32 {

extern plan::Plan the_plan;           // verified, in the monitor's own memory
extern status::Region status_region;  // at the start of the monitor's memory
extern diag::Log log;

// Our own broken invariant: fills the crash record, says so, and stops this CPU for good.
[[noreturn]] void bug(const char* what, const Frame* frame = nullptr);

// ---- lifecycle.cpp: the states of this CPU's partition ----
[[noreturn]] void start_partition(Cpu& cpu);
[[noreturn]] void end_partition(Cpu& cpu, const Verdict& verdict);
[[noreturn]] void park(Cpu& cpu);
// Whether the tool waits for an answer. Looked at on every exit, so that a machine whose HPET
// cannot send the heartbeat still obeys a guest that exits.
[[nodiscard]] inline bool is_commanded() {
  const status::Control& control = status_region.control;
  return __atomic_load_n(&control.requested, __ATOMIC_ACQUIRE) !=
         __atomic_load_n(&control.completed, __ATOMIC_ACQUIRE);
}
// Acts on a command for this CPU's partition, if there is one. Does not return if the partition
// ends.
void obey_control(Cpu& cpu);

// ---- cpu.cpp: the processors ----
// Wakes a processor whose Cpu is prepared, and waits until it has arrived (or says that it has
// not).
void start_processor(Cpu& cpu, std::uint8_t apic_id);
extern "C" [[noreturn]] void cpu_main();

// Lets the HPET send NMIs to every processor. Called by the boot processor when all have loaded
// their IDT: an NMI without one would shut the machine down.
void start_heartbeat();
extern bool has_heartbeat;

// Loads fs and gs; a selector the processor refuses becomes null.
extern "C" void load_fs_gs_safe(std::uint32_t fs, std::uint32_t gs);

}  // namespace mezzo::ia32
