// What every exit begins and ends with, whichever way it takes.
#pragma once

#include <algorithm>

#include "arch/armv7/instructions.hpp"
#include "arch/armv7/monitor.hpp"
#include "arch/armv7/processor.hpp"
#include "core/trace.hpp"

namespace mezzo::armv7 {

// For the counters and the trace ring: an exit of the guest at `pc`.
inline void record_exit(const Cpu& cpu, status::Armv7Exit cause, std::uint32_t pc,
                        std::uint32_t value) {
  ++pointer_to<std::uint64_t>(cpu.fast.exits)[static_cast<std::uint32_t>(cause)];
  status::Trace& trace = status_region.traces[cpu.index];
  record(trace, {trace.next, static_cast<std::uint32_t>(cause), pc, value});
}

// What stubs and assembly have written since the last exit: TTBR0, and another context.
inline void follow_guest(Cpu& cpu) {
  cpu.vcpu.control.ttbr0 = cpu.vcpu.shared->ttbr0;
  if (cpu.shadow->format().controls().contextidr == cpu.vcpu.control.contextidr) return;
  cpu.roots.adopt_guest(cpu.contexts[cpu.vcpu.asid()]);
  Processor(cpu).follow_controls();
}

// An access that the processor refused. Its registers are read once, at the beginning: an abort of
// the monitor's own overwrites them.
struct Refused {
  std::uint32_t status = 0;  // DFSR or IFSR
  GuestVirtual at;           // of a fetch not the PC, if an instruction goes on in the next page
  Access access = Access::Read;
  const ShadowPaging::MissResult* answer = nullptr;  // of the shadow tables, if they were asked

  // Of an exit by the vector MEZZO_TRAP_DATA_ABORT or MEZZO_TRAP_PREFETCH_ABORT.
  [[nodiscard]] static Refused by(std::uint32_t trap) {
    if (trap == MEZZO_TRAP_PREFETCH_ABORT) {
      return {.status = Ifsr::read(), .at = GuestVirtual{Ifar::read()}, .access = Access::Execute};
    }
    constexpr std::uint32_t kWrite = 1u << 11;
    const std::uint32_t status = Dfsr::read();
    const Access access = (status & kWrite) != 0 ? Access::Write : Access::Read;
    return {.status = status, .at = GuestVirtual{Dfar::read()}, .access = access};
  }

  // Whether for what the tables say (B3.13.3), not for alignment or because a bus failed.
  [[nodiscard]] bool is_by_tables() const {
    switch (status & 0x40f) {
      case 0x3:  // access flag, section
      case 0x5:
      case 0x6:  // access flag, page
      case 0x7:
      case 0x9:
      case 0xb:
      case 0xd:
      case 0xf:
        return true;
      default:
        return false;
    }
  }
};

// Somebody may access a page now: processes may run words that have been replaced for their kernel.
inline void note_execution(Cpu& cpu, GuestPhysical page, Access access, Privilege privilege) {
  if (access != Access::Execute || privilege != Privilege::User) return;
  if (Processor(cpu).has_replaced_words(page)) cpu.fast.blocked |= FastPath::kSharedText;
}

// A process is given an abort: when its kernel returns to it, it will make this access again.
inline void expect_return(Cpu& cpu, GuestVirtual at, Access access) {
  if (cpu.slow_fills || (cpu.fast.blocked & FastPath::kOff) != 0) return;
  cpu.missed = {at, access};
  cpu.fast.blocked |= FastPath::kMissed;
}

// Stubs make a process's access as it is below the first slot that may have the kernel's rights.
inline void share_last_users_slot(Cpu& cpu) {
  constexpr std::uint32_t kFirstLent = StubRegion::kBase / ShortDescriptor::kSlotBytes;
  cpu.vcpu.shared->last_users_slot = std::min(cpu.shadow->users_slots(), kFirstLent) - 1;
}

// Stubs read the fault registers where they are shared.
inline void share_faults(Vcpu& vcpu) {
  SharedState& shared = *vcpu.shared;
  shared.dfsr = vcpu.control.dfsr;
  shared.ifsr = vcpu.control.ifsr;
  shared.dfar = vcpu.control.dfar;
  shared.ifar = vcpu.control.ifar;
}

}  // namespace mezzo::armv7
