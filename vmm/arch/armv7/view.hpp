// The guest's view of its memory: which root and which rights the processor has while the guest
// runs in its present mode, and whether those that are loaded still serve. trap.cpp loads them on
// the way back; fast_path.S those that C++ has loaded before.
#pragma once

#include "arch/armv7/instructions.hpp"
#include "arch/armv7/processor.hpp"

namespace mezzo::armv7 {

[[nodiscard]] inline Privilege privilege_of(const Cpu& cpu) {
  return cpu.vcpu.is_user() ? Privilege::User : Privilege::Kernel;
}

[[nodiscard]] inline LoadedRoot root_of(const Cpu& cpu, Privilege privilege) {
  const mem::Root root = cpu.shadow->current(privilege);
  return {static_cast<std::uint32_t>(root.table.value()) | cpu.walk_attributes, root.context};
}

// Whether the root of `privilege` is the one that was loaded for the guest last, and the rights
// that were looked up then still mean the same.
[[nodiscard]] inline bool has_view(const Cpu& cpu, Privilege privilege) {
  return root_of(cpu, privilege) == cpu.roots.guest() &&
         cpu.regrants == cpu.shadow->counters().regrants;
}

// Whether the guest's root and rights are still those that were loaded for it last.
[[nodiscard]] inline bool is_view_loaded(const Cpu& cpu) {
  return has_view(cpu, privilege_of(cpu)) &&
         cpu.shadow->format().controls().dacr == cpu.vcpu.shared->dacr;
}

// Thread ID registers on the way between the guest's user mode and its kernel, which may keep its
// current thread in TPIDRURO, and reads its TPIDRPRW in TPIDRURW (stub_code.hpp).
inline void load_threads(SharedState& shared, Privilege to) {
  if (to == Privilege::User) {
    ThreadUserReadOnly::write(shared.process_thread);
    return ThreadUserWritable::write(shared.tpidrurw);
  }
  shared.tpidrurw = ThreadUserWritable::read();
  ThreadUserReadOnly::write(shared.kernels_thread);
  ThreadUserWritable::write(shared.tpidrprw);
}

// What the guest may access in its present mode. A kernel that has shut itself out of its
// processes' memory is left the rights that it had in the last call, unless that is to be strict:
// opening it again would be an exit.
[[nodiscard]] inline std::uint32_t access_of(Cpu& cpu, Privilege privilege) {
  const std::uint32_t access = cpu.shadow->access_control(privilege, true);
  const bool known = cpu.lazy_domains && cpu.regrants == cpu.shadow->counters().regrants &&
                     (cpu.fast.blocked & FastPath::kStale) == 0;
  return privilege == Privilege::Kernel && known ? access | cpu.fast.kernel_access : access;
}

// Whether the processor has the rights of the guest's present mode: it has not those of a new tag.
[[nodiscard]] inline bool are_rights_loaded(Cpu& cpu) {
  return Dacr::read() == access_of(cpu, privilege_of(cpu));
}

// Loads the guest's root and its rights in a mode of `privilege`.
inline void enter_view(Cpu& cpu, Privilege privilege) {
  if (cpu.shadow->format().controls().dacr != cpu.vcpu.shared->dacr) {
    Processor(cpu).follow_controls();
  }
  cpu.roots.set_guest(root_of(cpu, privilege));
  cpu.roots.use_guest();
  const std::uint32_t access = access_of(cpu, privilege);
  if (Dacr::read() != access) {
    Dacr::write(access);
    instruction_barrier();
  }
}

}  // namespace mezzo::armv7
