// The monitor as a whole on ARMv7: the few things that every file of this folder may need.
#pragma once

#include "abi/plan.hpp"
#include "abi/status.hpp"
#include "arch/armv7/cpu.hpp"
#include "core/partition.hpp"
#include "diag/log.hpp"

namespace mezzo::armv7 {

extern plan::Plan the_plan;           // verified, in the monitor's own memory
extern status::Region status_region;  // at the start of the monitor's memory
extern diag::Log log;

// Our own broken invariant: fills the crash record, says so, and stops this CPU for good.
[[noreturn]] void bug(const char* what, const Frame* frame = nullptr);

// Machine address less linked address of the monitor's image.
extern std::uint32_t image_offset;

[[nodiscard]] inline Partition partition_of(const Cpu& cpu) {
  return {the_plan, the_plan.partitions[cpu.partition], status_region.partitions[cpu.partition]};
}

// ---- start.cpp ----
// The first partition of a shared processor starts with the processor; the others begin here, when
// they are current for the first time.
extern "C" [[noreturn]] void partition_main();

// ---- lifecycle.cpp: the states of this CPU's partition ----
[[noreturn]] void start_partition(Cpu& cpu);
[[noreturn]] void end_partition(Cpu& cpu, const Verdict& verdict);
[[noreturn]] void park(Cpu& cpu);
// Whether the tool waits for an answer.
[[nodiscard]] inline bool is_commanded() {
  const status::Control& control = status_region.control;
  return __atomic_load_n(&control.requested, __ATOMIC_ACQUIRE) !=
         __atomic_load_n(&control.completed, __ATOMIC_ACQUIRE);
}
// Acts on a command for this CPU's partition, if there is one. Does not return if the partition
// ends.
void obey_control(Cpu& cpu);

// ---- trap.cpp ----
// Loads what the guest is to run with: its root, and its rights in its present mode.
void enter_guest(Cpu& cpu);

// ---- start.cpp ----
// The page of an Allwinner A10's interrupt controller and timers (irq/sun4i.hpp), which every plan
// for its boards gives the one partition; 0: another board.
[[nodiscard]] std::uint32_t sun4i_page();
// Nanoseconds or another steady count, for uptimes: see status::Region::tsc_khz.
[[nodiscard]] std::uint64_t now();

}  // namespace mezzo::armv7
