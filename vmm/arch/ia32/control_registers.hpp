// Emulation of MOV to and from control and debug registers, CLTS, LMSW, INVLPG and XSETBV.
// Source: Intel SDM volume 3, 2.5 and 17.2.
#pragma once

#include "arch/ia32/context.hpp"

namespace mezzo::ia32 {

// `detail` of StopReason::Unsupported.
enum class Unsupported : std::uint32_t { LongMode = 2, LargeGdt = 3 };

[[nodiscard]] constexpr Verdict unsupported(Unsupported what) {
  return Verdict::stop(status::StopReason::Unsupported, static_cast<std::uint32_t>(what));
}

// Loads `root` on the machine; what else than the next instruction it comes to, `cause` having
// wanted it.
template <Machine M>
[[nodiscard]] std::optional<Verdict> install_root(Context<M>& c, std::uint32_t root, RootKind kind,
                                                  status::ExitCause cause) {
  switch (c.machine.install_root(root, kind)) {
    case RootResult::Installed:
      return std::nullopt;
    case RootResult::ReservedBits:
      return general_protection();
    case RootResult::OutsidePartition:
      break;
  }
  return Verdict::stop(status::StopReason::Forbidden, static_cast<std::uint32_t>(cause),
                       c.frame.eip, root);
}

template <Machine M>
[[nodiscard]] Verdict load_root(Context<M>& c, std::uint32_t value) {
  if (c.vcpu.paging()) {
    const auto refused = install_root(c, value, c.vcpu.root_kind(), status::ExitCause::WriteCr3);
    if (refused) return *refused;
  }
  c.vcpu.cr3 = value;
  return Verdict::skip();
}

// Changes of these bits make the processor read the table of pointers again (SDM volume 3, 4.4.1).
inline constexpr std::uint32_t kCr0ReadsPointers =
    cr0::kPaging | cr0::kCacheDisable | cr0::kNotWriteThrough;
inline constexpr std::uint32_t kCr4ReadsPointers =
    cr4::kPae | cr4::kGlobalPages | cr4::kLargePages | cr4::kSupervisorExecution;

template <Machine M>
[[nodiscard]] Verdict load_cr0(Context<M>& c, std::uint32_t value) {
  Vcpu& v = c.vcpu;
  const bool paging = (value & cr0::kPaging) != 0;
  const bool bad = (paging && (value & cr0::kProtection) == 0) ||
                   ((value & cr0::kNotWriteThrough) != 0 && (value & cr0::kCacheDisable) == 0);
  if (bad) return general_protection();
  if ((value & cr0::kProtection) == 0) {
    // Real mode: a kernel on its way to a reset. There is nothing to run it in.
    return Verdict::stop(status::StopReason::Reset, 0, c.frame.eip);
  }
  const RootKind kind = v.root_kind();
  const std::uint32_t loads = kind == RootKind::Pointers ? kCr0ReadsPointers : cr0::kPaging;
  if (paging && ((value ^ v.cr0) & loads) != 0) {
    const auto refused = install_root(c, v.cr3, kind, status::ExitCause::WriteCr0);
    if (refused) return *refused;
  }
  if (!paging && v.paging()) c.machine.install_identity();
  v.cr0 = value | cr0::kExtensionType;
  c.machine.write_cr0(v.cr0);
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict load_cr4(Context<M>& c, std::uint32_t value) {
  Vcpu& v = c.vcpu;
  // Bits the machine lacks fault there; bits that are not the guest's are kept for it to read back.
  if (!c.machine.write_cr4(value & cr4::kGuestOwned)) return general_protection();
  const RootKind kind = root_kind(value);
  const std::uint32_t loads = kind == RootKind::Pointers ? kCr4ReadsPointers : cr4::kPae;
  if (v.paging() && ((value ^ v.cr4) & loads) != 0) {
    const auto refused = install_root(c, v.cr3, kind, status::ExitCause::WriteCr4);
    if (refused) {
      (void)c.machine.write_cr4(v.cr4 & cr4::kGuestOwned);
      return *refused;
    }
  }
  v.cr4 = value;
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict move_from_control(Context<M>& c, const Instruction& i) {
  std::uint32_t& target = c.frame.general(i.rm);
  switch (i.reg) {
    case 0:
      target = c.vcpu.cr0;
      break;
    case 2:
      target = c.machine.read_cr2();
      break;
    case 3:
      target = c.vcpu.cr3;
      break;
    case 4:
      target = c.vcpu.cr4;
      break;
    default:
      return Verdict::inject(static_cast<std::uint8_t>(Vector::InvalidOpcode));
  }
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict move_to_control(Context<M>& c, const Instruction& i) {
  const std::uint32_t value = c.frame.general(i.rm);
  switch (i.reg) {
    case 0:
      return load_cr0(c, value);
    case 2:
      c.machine.write_cr2(value);
      return Verdict::skip();
    case 3:
      return load_root(c, value);
    case 4:
      return load_cr4(c, value);
    default:
      return Verdict::inject(static_cast<std::uint8_t>(Vector::InvalidOpcode));
  }
}

// LMSW sets the low four bits of CR0, and cannot clear PE.
template <Machine M>
[[nodiscard]] Verdict load_machine_status(Context<M>& c, const Instruction& i) {
  const auto value = read_operand16(c, i);
  if (!value) return unreadable_operand(c, i);
  return load_cr0(c, (c.vcpu.cr0 & ~0xeu) | (*value & 0xfu));
}

template <Machine M>
[[nodiscard]] Verdict invalidate_page_of(Context<M>& c, const Instruction& i) {
  if (!i.memory) return Verdict::inject(static_cast<std::uint8_t>(Vector::InvalidOpcode));
  const std::uint32_t linear = linear_address(c, *i.memory);
  if (linear < plan::kMonitorWindow) c.machine.invalidate(linear);
  return Verdict::skip();
}

// DR4 and DR5 are other names of DR6 and DR7, unless the debugging extensions are on.
template <Machine M>
[[nodiscard]] bool has_debug_register(Context<M>& c, std::uint8_t number) {
  const bool alias = number == 4 || number == 5;
  return !alias || (c.vcpu.cr4 & cr4::kDebugging) == 0;
}

template <Machine M>
[[nodiscard]] Verdict move_from_debug(Context<M>& c, const Instruction& i) {
  if (!has_debug_register(c, i.reg)) {
    return Verdict::inject(static_cast<std::uint8_t>(Vector::InvalidOpcode));
  }
  c.frame.general(i.rm) = c.machine.read_debug(i.reg);
  return Verdict::skip();
}

// Breakpoints on I/O ports (type 10b, with CR4.DE) would hit the monitor's own port accesses.
[[nodiscard]] constexpr std::uint32_t without_port_breakpoints(std::uint32_t debug_control) {
  for (unsigned n = 0; n < 4; ++n) {
    const bool port = (debug_control >> (16 + 4 * n) & 3) == 2;
    if (port) debug_control &= ~(3u << 2 * n);
  }
  return debug_control;
}

// Debug registers are the guest's, except that no breakpoint may hit inside the monitor, and that
// the guest may not trap its own debug-register accesses (DR7.GD): they trap already.
template <Machine M>
[[nodiscard]] Verdict move_to_debug(Context<M>& c, const Instruction& i) {
  constexpr std::uint32_t kGeneralDetect = 1u << 13;
  if (!has_debug_register(c, i.reg)) {
    return Verdict::inject(static_cast<std::uint8_t>(Vector::InvalidOpcode));
  }
  std::uint32_t value = c.frame.general(i.rm);
  if (i.reg <= 3 && value >= plan::kMonitorWindow) value = 0;
  if (i.reg == 5 || i.reg == 7) value = without_port_breakpoints(value & ~kGeneralDetect);
  c.machine.write_debug(i.reg, value);
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict set_extended_control(Context<M>& c) {
  if (!c.machine.write_xcr(c.frame.ecx, c.frame.eax, c.frame.edx)) return general_protection();
  return Verdict::skip();
}

}  // namespace mezzo::ia32
