// The table of privileged instructions: which exit cause each is counted as, and who emulates it.
// The rows are the rows of the trap-ownership table in doc/.
#pragma once

#include "arch/ia32/msr.hpp"
#include "arch/ia32/transfer.hpp"

namespace mezzo::ia32 {

// What an instruction that reached the monitor by #GP is counted as.
[[nodiscard]] constexpr status::ExitCause exit_cause(const Instruction& i) {
  using enum status::ExitCause;
  switch (i.op) {
    case Op::MovFromCr:
      return i.reg == 0 ? ReadCr0 : i.reg == 2 ? ReadCr2 : i.reg == 3 ? ReadCr3 : ReadCr4;
    case Op::MovToCr:
      return i.reg == 0 ? WriteCr0 : i.reg == 2 ? WriteCr2 : i.reg == 3 ? WriteCr3 : WriteCr4;
    case Op::MovFromDr:
      return ReadDr;
    case Op::MovToDr:
      return WriteDr;
    case Op::Clts:
      return Clts;
    case Op::Lmsw:
      return Lmsw;
    case Op::Invlpg:
      return Invlpg;
    case Op::Lgdt:
      return Lgdt;
    case Op::Lidt:
      return Lidt;
    case Op::Lldt:
      return Lldt;
    case Op::Ltr:
      return Ltr;
    case Op::Rdmsr:
      return ReadMsr;
    case Op::Wrmsr:
      return WriteMsr;
    case Op::Rdpmc:
      return ReadPmc;
    case Op::Rdtsc:
    case Op::Rdtscp:
      return ReadTsc;
    case Op::Hlt:
      return Hlt;
    case Op::Wbinvd:
    case Op::Invd:
      return Wbinvd;
    case Op::Xsetbv:
      return Xsetbv;
    case Op::Sysexit:
      return Sysexit;
    case Op::MovToSeg:
    case Op::PopSeg:
    case Op::LoadFarPointer:
      return MovSeg;
    case Op::FarReturn:
      return FarTransfer;
    case Op::Iret:
      return Iret;
    case Op::In:
    case Op::Out:
      return PortIo;
    default:
      return ReflectedGp;
  }
}

// Instructions that only ring 0 may execute: from a process they are the guest kernel's business.
[[nodiscard]] constexpr bool is_privileged(Op op) {
  switch (op) {
    case Op::In:
    case Op::Out:
    case Op::SoftwareInterrupt:
      return false;
    default:
      return true;
  }
}

// What a #TS, #NP, #SS or #GP of the guest comes to before any instruction is looked at, or
// nothing. An event that could not be delivered (EXT) is not about the instruction at EIP: it is
// reflected. If the selector's entry in a copied GDT was stale, the instruction is tried again.
template <Machine M>
[[nodiscard]] std::optional<Verdict> settle_fault(Context<M>& c, std::uint8_t vector,
                                                  std::uint32_t error_code) {
  constexpr std::uint32_t kExternal = 1, kNotOfGdt = 6;
  if ((error_code & kExternal) != 0) return Verdict::inject(vector, error_code);
  if ((error_code & kNotOfGdt) == 0 && renew_descriptor(c, error_code)) return Verdict::resume();
  return std::nullopt;
}

// Emulates `i`, which raised #GP with `error_code` at the frame's EIP in ring 1 or 3.
template <Machine M>
[[nodiscard]] Verdict emulate(Context<M>& c, const Instruction& i, std::uint32_t error_code) {
  if (c.frame.ring() != 1 && is_privileged(i.op)) return general_protection(error_code);
  if (i.lock) return Verdict::inject(static_cast<std::uint8_t>(Vector::InvalidOpcode));
  switch (i.op) {
    case Op::MovFromCr:
      return move_from_control(c, i);
    case Op::MovToCr:
      return move_to_control(c, i);
    case Op::MovFromDr:
      return move_from_debug(c, i);
    case Op::MovToDr:
      return move_to_debug(c, i);
    case Op::Clts:
      c.vcpu.cr0 &= ~cr0::kTaskSwitched;
      c.machine.clear_task_switched();
      return Verdict::skip();
    case Op::Lmsw:
      return load_machine_status(c, i);
    case Op::Invlpg:
      return invalidate_page_of(c, i);
    case Op::Lgdt:
      return load_gdt_register(c, i);
    case Op::Lidt:
      return load_idt_register(c, i);
    case Op::Lldt:
      return load_local_table(c, i);
    case Op::Ltr:
      return load_task_register_of(c, i);
    case Op::Rdmsr:
      return read_msr(c);
    case Op::Wrmsr:
      return write_msr(c);
    case Op::Rdtsc:
    case Op::Rdtscp: {
      constexpr std::uint32_t kTscAuxiliary = 0xc0000103;
      std::uint64_t auxiliary = 0;
      if (i.op == Op::Rdtscp && c.machine.read_msr(kTscAuxiliary, auxiliary)) {
        c.frame.ecx = static_cast<std::uint32_t>(auxiliary);
      }
      const std::uint64_t now = c.machine.read_tsc();
      c.frame.eax = static_cast<std::uint32_t>(now);
      c.frame.edx = static_cast<std::uint32_t>(now >> 32);
      return Verdict::skip();
    }
    case Op::Hlt:
      return Verdict::wait();
    case Op::Wbinvd:
    case Op::Invd:  // never without write-back: the other partitions' lines are in the same cache
      c.machine.write_back_caches();
      return Verdict::skip();
    case Op::Xsetbv:
      return set_extended_control(c);
    case Op::MovToSeg:
      return move_to_segment(c, i);
    case Op::PopSeg:
      return pop_segment(c, i);
    case Op::LoadFarPointer:
      return load_far_pointer(c, i);
    case Op::FarReturn:
      return return_far(c, i);
    case Op::Iret:
      return return_from_interrupt(c, i);
    case Op::SoftwareInterrupt:
      return software_interrupt(c, i);
    case Op::In:
    case Op::Out:
      return access_port(c, i);
    default:
      return general_protection(error_code);
  }
}

}  // namespace mezzo::ia32
