// The monitor as a whole on IA-32: the few things that every file of this folder may need.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "abi/plan.hpp"
#include "abi/status.hpp"
#include "arch/ia32/cpu.hpp"
#include "core/channel.hpp"
#include "core/partition.hpp"
#include "diag/log.hpp"

namespace mezzo::ia32 {

extern plan::Plan the_plan;           // verified, in the monitor's own memory
extern status::Region status_region;  // at the start of the monitor's memory
extern diag::Log log;
extern Doorbells doorbells;
extern std::array<std::uint8_t, status::kMaxCpus> apic_ids;  // by the plan's number of the CPU

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

// ---- events.cpp: what one processor has for another one's partition ----
// Leads the timers that are forwarded to the processors that forward them. Called before any guest
// runs, and when the I/O APIC has been reset.
void route_forwarded_timers();
// Ends an interrupt of the monitor's own (is_event_vector) on this CPU. Returns the vector by which
// its guest is to be entered, if one is due.
[[nodiscard]] std::optional<std::uint8_t> take_event(const Cpu& cpu, std::uint8_t vector);
// A new life of this CPU's guest begins: what was meant for the last one is forgotten.
void forget_events(const Cpu& cpu);

// ---- strays.cpp: lines that no partition has ----
// Chooses the processor that listens to them: that of the guest with the I/O APIC, or else the
// timekeeper; none, if a real-time partition has it.
void choose_listener();
[[nodiscard]] bool is_listener(std::uint32_t cpu);
// At a heartbeat of `cpu`: the line that has interrupted it since the last one. Another one is
// listened to from now on.
[[nodiscard]] std::optional<std::uint32_t> take_stray(const Cpu& cpu);
// `cpu` has been interrupted by the line that it listens to, if it does. Before that is ended.
void mask_stray(const Cpu& cpu);

// ---- heartbeat.cpp ----
// Lets the HPET send NMIs: to every processor, or, if one of them has a real-time partition, only
// to the one that keeps time. Called by the boot processor when all have loaded their IDT: an NMI
// without one would shut the machine down.
void start_heartbeat();
extern bool has_heartbeat;
// The CPU that keeps time: the first one without a real-time partition, or else the first.
[[nodiscard]] std::uint32_t timekeeper();
// Called for each heartbeat: where only the timekeeper has it, it hands it on to the CPU whose
// partition the tool has a command for, to those whose guests have doorbells at their I/O APIC, and
// to the one that listens to lines that nobody has.
void relay_heartbeat(const Cpu& cpu);

// Loads fs and gs; a selector the processor refuses becomes null.
extern "C" void load_fs_gs_safe(std::uint32_t fs, std::uint32_t gs);

}  // namespace mezzo::ia32
