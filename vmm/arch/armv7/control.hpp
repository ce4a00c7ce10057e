// What coprocessor registers and operations of CP15 and CP14 do, and the floating-point system
// registers. Which exist, and for whom, is the table in control_registers.hpp; choices are stated
// there. Source: ARM DDI 0406C, B3.17, B4.1 and B4.2.
#pragma once

#include <bit>

#include "arch/armv7/control_registers.hpp"
#include "arch/armv7/decode.hpp"
#include "arch/armv7/exception.hpp"

namespace mezzo::armv7 {

// What the guest reads of an identification register whose value on this processor is `real`: one
// CPU, no counters, no debug registers, no ThumbEE, no long descriptors, no virtualization.
[[nodiscard]] constexpr std::uint32_t guest_identity(IdRegister id, std::uint32_t real) {
  constexpr std::uint32_t kMultiprocessing = 1u << 31, kUniprocessor = 1u << 30;
  constexpr std::uint32_t kNoCounters = 0x0f000000;
  constexpr std::uint32_t kShortDescriptors = 3;
  switch (id) {
    case IdRegister::Mpidr:  // B4.1.106
      return (real & kMultiprocessing) != 0 ? kMultiprocessing | kUniprocessor : 0;
    case IdRegister::Pfr0:  // B4.1.93: ThumbEE
      return real & ~0x0000f000u;
    case IdRegister::Pfr1:  // B4.1.94: Generic Timer, virtualization
      return real & ~0x000ff000u;
    case IdRegister::Dfr0:  // B4.1.82
      return kNoCounters;
    case IdRegister::Mmfr0:  // B4.1.89: VMSA support
      return (real & 15) <= kShortDescriptors ? real : (real & ~15u) | kShortDescriptors;
    default:
      return real;
  }
}

// Part numbers of MIDR (B4.1.105).
[[nodiscard]] constexpr std::uint32_t part_number(std::uint32_t midr) { return midr >> 4 & 0xfff; }
inline constexpr std::uint32_t kPartCortexA8 = 0xc08, kPartCortexA9 = 0xc09;

template <Machine M>
[[nodiscard]] bool has(M& machine, Having having) {
  switch (having) {
    case Having::CortexA8:
      return part_number(machine.id_register(IdRegister::Midr)) == kPartCortexA8;
    case Having::CortexA9:
      return part_number(machine.id_register(IdRegister::Midr)) == kPartCortexA9;
    case Having::Multiprocessing:
      return machine.id_register(IdRegister::Mpidr) >> 31 != 0;
    case Having::All:
      break;
  }
  return true;
}

[[nodiscard]] constexpr bool allows(Rights rights, Rights wanted) {
  return (static_cast<unsigned>(rights) & static_cast<unsigned>(wanted)) != 0;
}

// Whether the operand of a cache operation by set and way names a line that this processor has
// (B4.2.1, "Set/way"); the effect of others is unpredictable.
template <Machine M>
[[nodiscard]] bool is_cache_line(M& machine, std::uint32_t operand) {
  const std::uint32_t level = operand >> 1 & 7;
  const std::uint32_t type =
      level == 7 ? 0 : machine.id_register(IdRegister::Clidr) >> 3 * level & 7;
  if (type < 2) return false;  // no cache, or one of instructions only
  const std::uint32_t size = machine.cache_size(level << 1);
  const std::uint32_t line_shift = (size & 7) + 4;
  const std::uint32_t last_way = size >> 3 & 0x3ff, last_set = size >> 13 & 0x7fff;
  const auto way_bits = static_cast<std::uint32_t>(std::bit_width(last_way));
  const std::uint32_t way = way_bits == 0 ? 0 : operand >> (32 - way_bits);
  const std::uint32_t below_way = way_bits == 0 ? operand : operand & (0xffffffffu >> way_bits);
  return way <= last_way && below_way >> line_shift <= last_set;
}

template <Machine M>
[[nodiscard]] Verdict write_system_control(Context<M>& c, std::uint32_t value) {
  SystemControl& control = c.vcpu.control;
  const std::uint32_t wanted = (value & sctlr::kWritable) | sctlr::kAlwaysSet;
  if ((wanted & sctlr::kThumbEntry) != 0) return unsupported(Unsupported::ThumbKernel, c.frame.pc);
  if ((wanted & sctlr::kBigEndianEntry) != 0) {
    return unsupported(Unsupported::BigEndianEntry, c.frame.pc);
  }
  if (wanted == control.sctlr) return Verdict::skip();
  control.sctlr = wanted;
  c.vcpu.shared->sctlr = wanted;
  c.machine.translation_changed(TranslationPart::Control);
  return Verdict::skip();
}

// CPACR (B4.1.40): CP10 and CP11, and Cortex-A9's switches for half of the registers and for
// Advanced SIMD, which are kept and have no effect. Other coprocessors do not exist.
template <Machine M>
void write_coprocessor_access(Context<M>& c, std::uint32_t value) {
  constexpr std::uint32_t kFloatingPoint = 0x00f00000, kSwitches = 0xc0000000;
  const bool present = c.machine.id_register(IdRegister::Fpsid) != 0;
  c.vcpu.control.cpacr = present ? value & (kFloatingPoint | kSwitches) : 0;
  c.machine.floating_point_changed();
}

// ATS1C* (B4.2.4): the answer, or the fault's status, goes to PAR.
template <Machine M>
void translate_address(Context<M>& c, std::uint8_t what, GuestVirtual address) {
  const Access access = (what & 1) != 0 ? Access::Write : Access::Read;
  const Privilege privilege = (what & 2) != 0 ? Privilege::User : Privilege::Kernel;
  const Translated answer = c.machine.translate(address, access, privilege);
  constexpr std::uint32_t kAborted = 1;
  c.vcpu.control.par = answer ? *answer & ~kAborted
                              : kAborted | static_cast<std::uint32_t>(answer.error().status) << 1;
}

template <Machine M>
void maintain_tlb(Context<M>& c, TlbOperation operation, std::uint32_t value) {
  const GuestVirtual page = GuestVirtual{value}.aligned_down();
  const auto asid = static_cast<std::uint8_t>(value);
  switch (operation) {
    case TlbOperation::All:
      return c.machine.invalidate_all();
    case TlbOperation::Address:
      return c.machine.invalidate_address(page, asid);
    case TlbOperation::Context:
      return c.machine.invalidate_context(asid);
    case TlbOperation::AddressOfAll:
      return c.machine.invalidate_address_of_all(page);
  }
}

template <Machine M>
[[nodiscard]] Verdict maintain_cache(Context<M>& c, CacheOperation operation, std::uint32_t value) {
  const bool by_line = operation == CacheOperation::CleanInvalidateDataBySetAndWay;
  if (by_line && !is_cache_line(c.machine, value)) return Verdict::skip();
  if (const auto abort = c.machine.maintain_cache(operation, value)) return data_abort(*abort);
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] std::uint32_t read_control(Context<M>& c, const ControlRegister& row) {
  switch (row.behaviour) {
    case Behaviour::Identity: {
      const auto id = static_cast<IdRegister>(row.what);
      return guest_identity(id, c.machine.id_register(id));
    }
    case Behaviour::CacheSize:
      return c.machine.cache_size(c.vcpu.control.csselr);
    case Behaviour::Field:
    case Behaviour::TranslationField:
      return c.vcpu.control.*row.field;
    case Behaviour::Constant:
      return row.writable;
    case Behaviour::SystemControl:
      return c.vcpu.control.sctlr;
    case Behaviour::FloatingPointAccess:
      return c.vcpu.control.cpacr;
    case Behaviour::Domains:
      return c.vcpu.shared->dacr;
    case Behaviour::KernelThreadId:
      return c.vcpu.shared->tpidrprw;
    case Behaviour::UserThreadId:
      return c.machine.read_thread_id(static_cast<ThreadId>(row.what));
    case Behaviour::InterruptStatus:
      return c.vcpu.shared->irq_pending != 0 ? psr::kIrqOff : 0;  // the same bit (B4.1.98)
    case Behaviour::Cache:
    case Behaviour::Tlb:
    case Behaviour::Translate:
      break;  // write-only, by the table
  }
  return 0;
}

template <Machine M>
[[nodiscard]] Verdict write_control(Context<M>& c, const ControlRegister& row,
                                    std::uint32_t value) {
  switch (row.behaviour) {
    case Behaviour::Field:
      c.vcpu.control.*row.field = value & row.writable;
      break;
    case Behaviour::TranslationField:
      c.vcpu.control.*row.field = value & row.writable;
      c.machine.translation_changed(static_cast<TranslationPart>(row.what));
      break;
    case Behaviour::SystemControl:
      return write_system_control(c, value);
    case Behaviour::FloatingPointAccess:
      write_coprocessor_access(c, value);
      break;
    case Behaviour::Domains:
      c.vcpu.shared->dacr = value;
      c.machine.translation_changed(TranslationPart::Domains);
      break;
    case Behaviour::KernelThreadId:
      c.vcpu.shared->tpidrprw = value;
      c.machine.kernel_thread_changed();
      break;
    case Behaviour::UserThreadId:
      c.machine.write_thread_id(static_cast<ThreadId>(row.what), value);
      break;
    case Behaviour::Cache:
      return maintain_cache(c, static_cast<CacheOperation>(row.what), value);
    case Behaviour::Tlb:
      maintain_tlb(c, static_cast<TlbOperation>(row.what), value);
      break;
    case Behaviour::Translate:
      translate_address(c, row.what, GuestVirtual{value});
      break;
    case Behaviour::Constant:
    case Behaviour::Identity:
    case Behaviour::CacheSize:
    case Behaviour::InterruptStatus:
      break;
  }
  return Verdict::skip();
}

[[nodiscard]] constexpr ControlName control_name(const Instruction& i) {
  return {i.coprocessor, i.crn, i.opc1, i.crm, i.opc2};
}

// The row of an MCR or MRC; nothing if it is another instruction, or names no register.
[[nodiscard]] constexpr const ControlRegister* control_register_of(const Instruction& i) {
  const bool transfers = i.op == Op::Mcr || i.op == Op::Mrc;
  return transfers ? find_control_register(control_name(i)) : nullptr;
}

// MRC or MCR of a coprocessor other than CP10 and CP11; `row` is control_register_of(i). An MRC to
// r15 writes the flags.
template <Machine M>
[[nodiscard]] Verdict access_control(Context<M>& c, const Instruction& i,
                                     const ControlRegister* row) {
  constexpr std::uint32_t kConditionFlags = 0xf0000000;
  const Rights wanted = i.op == Op::Mrc ? Rights::Read : Rights::Write;
  if (row == nullptr || !allows(c.vcpu.is_user() ? row->user : row->kernel, wanted) ||
      !has(c.machine, row->having)) {
    return undefined();
  }
  if (i.op == Op::Mcr) return write_control(c, *row, c.frame.r[i.rt]);
  const std::uint32_t value = read_control(c, *row);
  if (i.rt != kProgramCounter) {
    c.frame.r[i.rt] = value;
  } else {
    c.frame.cpsr = (c.frame.cpsr & ~kConditionFlags) | (value & kConditionFlags);
  }
  return Verdict::skip();
}

// Whether code of `privilege` may use floating-point instructions, FPEXC aside (B1.11.1).
[[nodiscard]] constexpr bool may_access_floating_point(const SystemControl& control,
                                                       Privilege privilege) {
  constexpr std::uint32_t kPrivileged = 0x00500000, kEveryone = 0x00f00000;
  const std::uint32_t needed = privilege == Privilege::User ? kEveryone : kPrivileged;
  return (control.cpacr & needed) == needed;
}

// Whether code of `privilege` may execute any of them: if so, one that was undefined was so for a
// reason of the monitor's.
[[nodiscard]] constexpr bool may_use_floating_point(const SystemControl& control,
                                                    Privilege privilege) {
  return (control.fpexc & fpexc::kEnable) != 0 && may_access_floating_point(control, privilege);
}

// VMRS or VMSR of a register that only privileged code has: FPSID, MVFR0, MVFR1, FPEXC (B6.1.14,
// B6.1.15). FPSCR is the processor's own, and the others do not exist without trapped exceptions.
template <Machine M>
[[nodiscard]] Verdict access_floating_point_system(Context<M>& c, const Instruction& i) {
  constexpr std::uint8_t kFpsid = 0, kMvfr1 = 6, kMvfr0 = 7, kFpexc = 8;
  SystemControl& control = c.vcpu.control;
  if (c.vcpu.is_user() || !may_access_floating_point(control, Privilege::Kernel)) {
    return undefined();
  }
  if (i.op == Op::Vmsr) {
    if (i.crn != kFpexc) return i.crn == kFpsid ? Verdict::skip() : undefined();
    control.fpexc = c.frame.r[i.rt] & fpexc::kEnable;
    c.machine.floating_point_changed();
    return Verdict::skip();
  }
  const auto value = [&]() -> std::optional<std::uint32_t> {
    switch (i.crn) {
      case kFpsid:
        return c.machine.id_register(IdRegister::Fpsid);
      case kMvfr1:
        return c.machine.id_register(IdRegister::Mvfr1);
      case kMvfr0:
        return c.machine.id_register(IdRegister::Mvfr0);
      case kFpexc:
        return control.fpexc;
      default:
        return std::nullopt;
    }
  }();
  if (!value) return undefined();
  c.frame.r[i.rt] = *value;
  return Verdict::skip();
}

}  // namespace mezzo::armv7
