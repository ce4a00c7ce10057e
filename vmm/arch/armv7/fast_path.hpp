// What the assembly of fast_path.S, interrupt.S and transfers.S needs besides the vCPU: rights for
// the guest's two privileges, and whether it may act at all. C++ keeps it up to date at every exit
// that it handles.
#pragma once

#include <cstdint>

namespace mezzo::armv7 {

struct FastPath {
  // For interrupts that the guest takes at once.
  std::uint32_t irq_vector = 0;     // where its handler is; 0: C++ delivers them
  std::uint32_t pending = 0;        // address of the CPU interface's HPPIR
  std::uint32_t delivered = 0;      // not 0: one has been, of which CpuInterrupts does not know yet
  std::uint32_t transfers_off = 1;  // not 0: what transfers.S does is left to C++
  // From here on for calls and returns, with the vCPU's mode behind.
  // Not 0: every exit goes to C++. Bits: an interrupt waits; the rights below are stale; switched
  // off. Or processes run text in which the monitor has replaced words for their kernel. Or, which
  // concerns returns to a process only, Cpu::missed is to be filled.
  static constexpr std::uint32_t kInterrupt = 1, kStale = 2, kOff = 4, kSharedText = 8,
                                 kMissed = 16;
  std::uint32_t blocked = kOff;
  // The guest's DACR in user mode, and what the processor's is then, in its kernel and in user
  // mode.
  std::uint32_t dacr = 0;
  std::uint32_t kernel_access = 0, user_access = 0;
  std::uint32_t call_vector = 0;  // where the guest's SVC handler is
  std::uint32_t exits = 0;        // address of the partition's counters of exits
};

}  // namespace mezzo::armv7
