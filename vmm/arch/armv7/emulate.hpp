// The instructions by which a guest's kernel asks for privileges it has not: what each does, and
// what it is counted as. The rows are the rows of the trap-ownership table in doc/. Source: ARM DDI
// 0406C, B9.3.
//
// Choices where the manual says unpredictable, beyond those of the decoder: a mode that does not
// exist is not entered, the rest of the instruction is done; an SPSR in User or System mode, and an
// exception return from them, is undefined, except RFE in System mode, which is allowed. SMC and
// HVC are undefined: there is no firmware behind the guest.
#pragma once

#include "arch/armv7/control.hpp"
#include "arch/armv7/transfer.hpp"

namespace mezzo::armv7 {

// What an instruction that reached the monitor is counted as.
[[nodiscard]] constexpr Armv7Exit exit_cause(const Instruction& i) {
  switch (i.op) {
    case Op::Cps:
    case Op::Setend:
      return Armv7Exit::Cps;
    case Op::MrsCpsr:
      return Armv7Exit::ReadCpsr;
    case Op::MsrCpsr:
      return Armv7Exit::WriteCpsr;
    case Op::MrsSpsr:
    case Op::MsrSpsr:
      return Armv7Exit::SavedPsr;
    case Op::DataToPc:
    case Op::LoadMultipleReturn:
    case Op::Rfe:
      return Armv7Exit::ExceptionReturn;
    case Op::LoadMultipleUser:
    case Op::StoreMultipleUser:
    case Op::Srs:
      return Armv7Exit::UserBank;
    case Op::LoadUnprivileged:
    case Op::StoreUnprivileged:
      return Armv7Exit::Unprivileged;
    case Op::Wfi:
    case Op::Wfe:
      return Armv7Exit::Wait;
    case Op::Mcr:
    case Op::Mrc: {
      const ControlRegister* const row = control_register_of(i);
      return row != nullptr ? row->exit : Armv7Exit::OtherCoprocessor;
    }
    case Op::Mcrr:
    case Op::Mrrc:
      return Armv7Exit::OtherCoprocessor;
    case Op::Vmrs:
    case Op::Vmsr:
    case Op::FloatingPoint:
      return Armv7Exit::FloatingPoint;
    case Op::Svc:
      return Armv7Exit::SupervisorCall;
    case Op::Load:
    case Op::Store:
    case Op::LoadDual:
    case Op::StoreDual:
    case Op::Swap:
    case Op::LoadMultiple:
    case Op::StoreMultiple:
      return Armv7Exit::DeviceAccess;
    default:
      return Armv7Exit::UndefinedInstruction;
  }
}

// Whether an instruction with `condition` (0 to 14) is executed under `cpsr` (A8.3).
[[nodiscard]] constexpr bool condition_passed(std::uint8_t condition, std::uint32_t cpsr) {
  const bool n = (cpsr >> 31 & 1) != 0, z = (cpsr >> 30 & 1) != 0;
  const bool c = (cpsr >> 29 & 1) != 0, v = (cpsr >> 28 & 1) != 0;
  const bool holds = [&] {
    switch (condition >> 1) {
      case 0:
        return z;
      case 1:
        return c;
      case 2:
        return n;
      case 3:
        return v;
      case 4:
        return c && !z;
      case 5:
        return n == v;
      case 6:
        return n == v && !z;
      default:
        return true;
    }
  }();
  return condition >= kAlways || holds != ((condition & 1) != 0);
}

// Whether emulate() makes the access of a load or store for the guest. Where one that it does not
// make is refused (exclusive, swap, floating point), the guest must be let do it by itself.
[[nodiscard]] constexpr bool makes_access(Op op) {
  switch (op) {
    case Op::Load:
    case Op::Store:
    case Op::LoadDual:
    case Op::StoreDual:
    case Op::LoadMultiple:
    case Op::StoreMultiple:
    case Op::LoadMultipleUser:
    case Op::StoreMultipleUser:
    case Op::LoadMultipleReturn:
    case Op::LoadUnprivileged:
    case Op::StoreUnprivileged:
    case Op::Swap:
    case Op::Rfe:
    case Op::Srs:
      return true;
    default:
      return false;
  }
}

// Goes on after the instruction at frame.pc, which a Skip says is done.
inline void finish_instruction(Frame& frame) { frame.pc += 4; }

// Enters `mode` if it exists, from a mode with privileges, within one instruction stream.
inline void enter_mode(Vcpu& vcpu, Frame& frame, std::uint32_t mode) {
  if (psr::is_mode(mode)) change_mode(vcpu, frame, mode);
}

// CPS (B9.3.2). In User mode it does nothing.
template <Machine M>
[[nodiscard]] Verdict change_state(Context<M>& c, const Instruction& i) {
  if (c.vcpu.is_user()) return Verdict::skip();
  const std::uint32_t masks = c.vcpu.masks();
  if (i.interrupts == Interrupts::Enable) c.vcpu.set_masks(masks & ~std::uint32_t{i.psr_bits});
  if (i.interrupts == Interrupts::Disable) c.vcpu.set_masks(masks | i.psr_bits);
  if (i.changes_mode) enter_mode(c.vcpu, c.frame, i.mode);
  return Verdict::skip();
}

// MRS from the CPSR (B9.3.8): execution state but for E reads as zero.
template <Machine M>
[[nodiscard]] Verdict read_status(Context<M>& c, const Instruction& i) {
  constexpr std::uint32_t kReadable =
      psr::kFlags | psr::kGreaterEqual | psr::kEndian | psr::kMasks | psr::kModeMask;
  c.frame.r[i.rd] = c.vcpu.status(c.frame) & kReadable;
  return Verdict::skip();
}

[[nodiscard]] constexpr std::uint32_t status_operand(const Frame& frame, const Instruction& i) {
  return i.register_operand ? frame.r[i.rm] : i.immediate;
}

// MSR to the CPSR (B9.3.11, CPSRWriteByInstr in B1.3.3): not the execution state; in User mode
// neither masks nor mode.
template <Machine M>
[[nodiscard]] Verdict write_status(Context<M>& c, const Instruction& i) {
  constexpr std::uint32_t kWritable = psr::kFlags | psr::kGreaterEqual | psr::kEndian;
  const std::uint32_t fields = psr_field_bits(i.psr_mask);
  const std::uint32_t value = status_operand(c.frame, i);
  const std::uint32_t live = fields & kWritable;
  c.frame.cpsr = (c.frame.cpsr & ~live) | (value & live);
  if (c.vcpu.is_user()) return Verdict::skip();
  c.vcpu.set_masks((c.vcpu.masks() & ~fields) | (value & fields));
  if ((fields & psr::kModeMask) != 0) enter_mode(c.vcpu, c.frame, value & psr::kModeMask);
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict read_saved_status(Context<M>& c, const Instruction& i) {
  if (!c.vcpu.has_spsr()) return undefined();
  c.frame.r[i.rd] = c.vcpu.shared->spsr;
  return Verdict::skip();
}

// MSR to the SPSR: any value is kept; what it means is for the exception return to say.
template <Machine M>
[[nodiscard]] Verdict write_saved_status(Context<M>& c, const Instruction& i) {
  if (!c.vcpu.has_spsr()) return undefined();
  const std::uint32_t fields = psr_field_bits(i.psr_mask) & ~psr::kReserved;
  std::uint32_t& spsr = c.vcpu.shared->spsr;
  spsr = (spsr & ~fields) | (status_operand(c.frame, i) & fields);
  return Verdict::skip();
}

// The result of data processing on `a` and `b` (A8.8); the flags come from elsewhere.
[[nodiscard]] constexpr std::uint32_t data_result(Alu alu, std::uint32_t a, std::uint32_t b,
                                                  bool carry) {
  const std::uint32_t borrow = carry ? 0 : 1;
  switch (alu) {
    case Alu::And:
      return a & b;
    case Alu::Eor:
      return a ^ b;
    case Alu::Sub:
      return a - b;
    case Alu::Rsb:
      return b - a;
    case Alu::Add:
      return a + b;
    case Alu::Adc:
      return a + b + (1 - borrow);
    case Alu::Sbc:
      return a - b - borrow;
    case Alu::Rsc:
      return b - a - borrow;
    case Alu::Orr:
      return a | b;
    case Alu::Mov:
      return b;
    case Alu::Bic:
      return a & ~b;
    case Alu::Mvn:
      return ~b;
  }
  return 0;
}

// MOVS PC, LR and all others that write the PC with S (B9.3.20).
template <Machine M>
[[nodiscard]] Verdict return_by_data_processing(Context<M>& c, const Instruction& i) {
  if (!c.vcpu.has_spsr()) return undefined();
  const std::uint32_t pc =
      data_result(i.alu, operand(c.frame, i.rn), flexible_operand(c.frame, i), carry_flag(c.frame));
  return return_from_exception(c, c.vcpu.shared->spsr, pc);
}

// LDM with ^ and the PC (B9.3.5): the registers, and the base, are those of the mode that is left.
template <Machine M>
[[nodiscard]] Verdict return_by_load_multiple(Context<M>& c, const Instruction& i) {
  if (!c.vcpu.has_spsr()) return undefined();
  Words words{};
  if (const auto abort = load_registers(c, i, words)) return data_abort(*abort);
  return return_from_exception(c, c.vcpu.shared->spsr, words[count_of(i) - 1]);
}

// RFE (B9.3.13): PC and CPSR from memory.
template <Machine M>
[[nodiscard]] Verdict return_from_memory(Context<M>& c, const Instruction& i) {
  if (c.vcpu.is_user()) return undefined();
  const Block block = block_of(i, c.frame.r[i.rn], 2);
  Words words{};
  if (const auto abort = load_block(c, block.first, 2, words)) return data_abort(*abort);
  if (i.writeback) c.frame.r[i.rn] = block.end;
  return return_from_exception(c, words[1], words[0]);
}

template <Machine M>
[[nodiscard]] Verdict set_endian(Context<M>& c, const Instruction& i) {
  c.frame.cpsr = (c.frame.cpsr & ~psr::kEndian) | (i.immediate != 0 ? psr::kEndian : 0);
  return Verdict::skip();
}

// The instructions that an exit is about: condition passed, ARM state.
template <Machine M>
[[nodiscard]] Verdict execute(Context<M>& c, const Instruction& i, const ControlRegister* control) {
  switch (i.op) {
    case Op::Cps:
      return change_state(c, i);
    case Op::Setend:
      return set_endian(c, i);
    case Op::MrsCpsr:
      return read_status(c, i);
    case Op::MsrCpsr:
      return write_status(c, i);
    case Op::MrsSpsr:
      return read_saved_status(c, i);
    case Op::MsrSpsr:
      return write_saved_status(c, i);
    case Op::DataToPc:
      return return_by_data_processing(c, i);
    case Op::LoadMultipleReturn:
      return return_by_load_multiple(c, i);
    case Op::Rfe:
      return return_from_memory(c, i);
    case Op::Srs:
      return store_return_state(c, i);
    case Op::LoadMultipleUser:
      return load_user_registers(c, i);
    case Op::StoreMultipleUser:
      return store_user_registers(c, i);
    case Op::LoadUnprivileged:
      return load_single(c, i, Privilege::User);
    case Op::StoreUnprivileged:
      return store_single(c, i, Privilege::User);
    case Op::Load:
      return load_single(c, i, c.privilege());
    case Op::Store:
      return store_single(c, i, c.privilege());
    case Op::LoadDual:
      return load_dual(c, i);
    case Op::StoreDual:
      return store_dual(c, i);
    case Op::Swap:
      return swap(c, i);
    case Op::LoadMultiple:
      return load_multiple(c, i);
    case Op::StoreMultiple:
      return store_multiple(c, i);
    case Op::Wfi:
      return Verdict::wait();
    case Op::Wfe:
    case Op::Sev:
    case Op::Yield:
      return Verdict::skip();
    case Op::Mcr:
    case Op::Mrc:
      return access_control(c, i, control);
    case Op::Vmrs:
    case Op::Vmsr:
      return access_floating_point_system(c, i);
    case Op::Svc:
      return raise(Exception::SupervisorCall);
    default:
      return undefined();
  }
}

// Emulates `i`, the instruction at frame.pc, which was undefined without privileges or has been
// replaced. Returns Skip (the caller calls finish_instruction), Resume (the PC is written), Wait,
// Inject or Stop. Thumb code is not decoded: a process's is undefined, a kernel's is unsupported.
// `control` is control_register_of(i), for a caller that has looked it up before.
template <Machine M>
[[nodiscard]] Verdict emulate(Context<M>& c, const Instruction& i, const ControlRegister* control) {
  if ((c.frame.cpsr & psr::kThumb) != 0) {
    return c.vcpu.is_user() ? undefined() : unsupported(Unsupported::ThumbKernel, c.frame.pc);
  }
  if (!condition_passed(i.condition, c.frame.cpsr)) return Verdict::skip();
  return execute(c, i, control);
}
template <Machine M>
[[nodiscard]] Verdict emulate(Context<M>& c, const Instruction& i) {
  return emulate(c, i, control_register_of(i));
}

}  // namespace mezzo::armv7
