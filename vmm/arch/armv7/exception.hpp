// Delivering an exception to the guest, and coming back from one. Source: ARM DDI 0406C, B1.8.3,
// B1.9 and B9.1.
//
// Choices where the manual leaves one. A guest kernel is ARM code with little-endian entry:
// SCTLR.TE and EE end the partition when they are set, so entry clears T and E. A return to a mode
// that does not exist keeps the mode and takes the rest, as ARMv8 does; execution state that no
// processor has (J without T, IT without T) is cleared; a return from User or System mode is
// undefined.
#pragma once

#include "arch/armv7/context.hpp"

namespace mezzo::armv7 {

// `detail` of StopReason::Unsupported.
enum class Unsupported : std::uint32_t {
  ThumbKernel = 16,
  BigEndianEntry = 17,
  PatchTableFull = 18,
  FastInterrupt = 19,
};

[[nodiscard]] constexpr Verdict unsupported(Unsupported what, std::uint32_t pc) {
  return Verdict::stop(status::StopReason::Unsupported, static_cast<std::uint32_t>(what), pc);
}

[[nodiscard]] constexpr Verdict raise(Exception exception) {
  return Verdict::inject(static_cast<std::uint8_t>(exception));
}
[[nodiscard]] constexpr Verdict undefined() { return raise(Exception::Undefined); }

[[nodiscard]] constexpr Verdict abort_verdict(Exception exception, std::uint32_t fault_status,
                                              GuestVirtual address) {
  Verdict verdict = Verdict::inject(static_cast<std::uint8_t>(exception), fault_status);
  verdict.detail[0] = address.value();
  return verdict;
}
[[nodiscard]] constexpr Verdict data_abort(const Abort& abort) {
  return abort_verdict(Exception::DataAbort, abort.data_status(), abort.address);
}
[[nodiscard]] constexpr Verdict prefetch_abort(const Abort& abort) {
  return abort_verdict(Exception::PrefetchAbort, abort.instruction_status(), abort.address);
}

// What LR holds beyond the address of the instruction that raised the exception, or, for an
// interrupt, of the one that it came before (tables B1-6 and B1-7).
[[nodiscard]] constexpr std::uint32_t link_offset(Exception exception, bool thumb) {
  switch (exception) {
    case Exception::Undefined:
    case Exception::SupervisorCall:
      return thumb ? 2 : 4;
    case Exception::DataAbort:
      return 8;
    default:
      return 4;
  }
}

[[nodiscard]] constexpr std::uint32_t handler_mode(Exception exception) {
  switch (exception) {
    case Exception::Undefined:
      return psr::kUndefined;
    case Exception::SupervisorCall:
      return psr::kSupervisor;
    case Exception::Irq:
      return psr::kIrq;
    case Exception::Fiq:
      return psr::kFiq;
    default:
      return psr::kAbort;
  }
}

// What an exception adds to the masks (B1.9): IRQ always, FIQ only itself, asynchronous aborts for
// all but calls and undefined instructions.
[[nodiscard]] constexpr std::uint32_t handler_masks(Exception exception) {
  switch (exception) {
    case Exception::Undefined:
    case Exception::SupervisorCall:
      return psr::kIrqOff;
    case Exception::Fiq:
      return psr::kMasks;
    default:
      return psr::kIrqOff | psr::kAbortOff;
  }
}

// Writes the fault registers that an abort of `verdict`, an Inject, has.
inline void record_fault(SystemControl& control, const Verdict& verdict) {
  if (verdict.vector == static_cast<std::uint8_t>(Exception::DataAbort)) {
    control.dfsr = verdict.error_code;
    control.dfar = verdict.detail[0];
  } else if (verdict.vector == static_cast<std::uint8_t>(Exception::PrefetchAbort)) {
    control.ifsr = verdict.error_code;
    control.ifar = verdict.detail[0];
  }
}

// Where the guest's handler of an exception begins (B1.8.1).
[[nodiscard]] constexpr std::uint32_t vector_of(const SystemControl& control, Exception exception) {
  constexpr std::uint32_t kHighVectors = 0xffff0000;
  const bool high = (control.sctlr & sctlr::kHighVectors) != 0;
  return (high ? kHighVectors : control.vbar) + 4u * static_cast<std::uint32_t>(exception);
}

// Enters the guest's handler for `verdict`, an Inject whose vector is an Exception. frame.pc is the
// instruction that raised it, or for an interrupt the next one. Returns Resume; or Stop for a guest
// kernel interrupted in Thumb state, which could not be patched.
template <Machine M>
[[nodiscard]] Verdict deliver(Context<M>& c, const Verdict& verdict) {
  Vcpu& v = c.vcpu;
  Frame& f = c.frame;
  const auto exception = static_cast<Exception>(verdict.vector);
  const bool thumb = (f.cpsr & psr::kThumb) != 0;
  if (thumb && !v.is_user()) return unsupported(Unsupported::ThumbKernel, f.pc);

  record_fault(v.control, verdict);
  const std::uint32_t saved = v.status(f);
  change_mode(v, f, handler_mode(exception));
  v.shared->spsr = saved;
  v.set_masks(saved | handler_masks(exception));
  f.r[14] = f.pc + link_offset(exception, thumb);
  f.cpsr &= ~(psr::kThumb | psr::kJazelle | psr::kIfThen | psr::kEndian);
  f.pc = vector_of(v.control, exception);
  return Verdict::resume();
}

// The execution state that `status` stands for, without combinations that no processor has.
[[nodiscard]] constexpr std::uint32_t execution_state(std::uint32_t status) {
  if ((status & psr::kThumb) == 0) status &= ~(psr::kJazelle | psr::kIfThen);
  return status & psr::kLive;
}

// CPSR := `status`, pc := `pc`, both as an exception return from a mode with privileges does it.
// Every return to a process goes through here. Returns Resume or Stop.
template <Machine M>
[[nodiscard]] Verdict return_from_exception(Context<M>& c, std::uint32_t status, std::uint32_t pc) {
  const std::uint32_t wanted = status & psr::kModeMask;
  const std::uint32_t mode = psr::is_mode(wanted) ? wanted : c.vcpu.mode;
  const bool thumb = (status & psr::kThumb) != 0;
  if (thumb && mode != psr::kUser) return unsupported(Unsupported::ThumbKernel, pc);
  change_mode(c.vcpu, c.frame, mode);
  c.vcpu.set_masks(status);
  c.frame.cpsr = (c.frame.cpsr & ~psr::kLive) | execution_state(status);
  c.frame.pc = pc & (thumb ? ~1u : ~3u);
  return Verdict::resume();
}

}  // namespace mezzo::armv7
