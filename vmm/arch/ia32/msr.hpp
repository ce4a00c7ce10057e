// Model-specific registers: which a guest may read and write on its own CPU.
//
// Reading is harmless and goes to the processor. Writing is allowed where the register belongs to
// this CPU alone and cannot lead into the monitor; other writes are accepted and ignored, as on a
// machine whose firmware has locked them. Source: Intel SDM volume 4, chapter 2.
#pragma once

#include "arch/ia32/control_registers.hpp"

namespace mezzo::ia32 {

namespace msr {
inline constexpr std::uint32_t kApicBase = 0x1b;
inline constexpr std::uint32_t kSpeculationControl = 0x48;
inline constexpr std::uint32_t kPredictionCommand = 0x49;
inline constexpr std::uint32_t kSysenterCs = 0x174;
inline constexpr std::uint32_t kSysenterEsp = 0x175;
inline constexpr std::uint32_t kSysenterEip = 0x176;
inline constexpr std::uint32_t kMachineCheckStatus = 0x17a;
inline constexpr std::uint32_t kMachineCheckControl = 0x17b;
inline constexpr std::uint32_t kPageAttributes = 0x277;
inline constexpr std::uint64_t kPageAttributesAtReset = 0x0007040600070406;  // SDM 3A, 11.12.4
inline constexpr std::uint32_t kMachineCheckBanks = 0x400;
inline constexpr std::uint32_t kMachineCheckBanksEnd = 0x480;
inline constexpr std::uint32_t kTscDeadline = 0x6e0;
inline constexpr std::uint32_t kExtendedFeatures = 0xc0000080;
}  // namespace msr

// Each byte of the page attribute table must be a memory type, and the first must stay write-back:
// the monitor's own pages use it. SDM volume 3, 11.12.
[[nodiscard]] constexpr bool is_acceptable_pat(std::uint64_t value) {
  if ((value & 0xff) != 6) return false;
  for (int entry = 0; entry < 8; ++entry) {
    const auto type = static_cast<unsigned>(value >> (entry * 8)) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

[[nodiscard]] constexpr bool is_passed_through(std::uint32_t number) {
  return number == msr::kSpeculationControl || number == msr::kPredictionCommand ||
         number == msr::kMachineCheckStatus || number == msr::kMachineCheckControl ||
         number == msr::kTscDeadline ||
         (number >= msr::kMachineCheckBanks && number < msr::kMachineCheckBanksEnd);
}

template <Machine M>
[[nodiscard]] Verdict read_msr(Context<M>& c) {
  std::uint64_t value = 0;
  switch (c.frame.ecx) {
    case msr::kSysenterCs:
      value = c.vcpu.sysenter_cs;
      break;
    case msr::kSysenterEsp:
      value = c.vcpu.sysenter_esp;
      break;
    case msr::kSysenterEip:
      value = c.vcpu.sysenter_eip;
      break;
    default:
      // Before the guest can handle a #GP, an unknown register reads as 0.
      if (!c.machine.read_msr(c.frame.ecx, value) && c.vcpu.idt_settled)
        return general_protection();
  }
  c.frame.eax = static_cast<std::uint32_t>(value);
  c.frame.edx = static_cast<std::uint32_t>(value >> 32);
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict write_msr(Context<M>& c) {
  std::uint64_t value = (std::uint64_t{c.frame.edx} << 32) | c.frame.eax;
  switch (c.frame.ecx) {
    case msr::kSysenterCs:
      c.vcpu.sysenter_cs = c.frame.eax;
      return Verdict::skip();
    case msr::kSysenterEsp:
      c.vcpu.sysenter_esp = c.frame.eax;
      return Verdict::skip();
    case msr::kSysenterEip:
      c.vcpu.sysenter_eip = c.frame.eax;
      return Verdict::skip();
    case msr::kExtendedFeatures:
      // Of the rest only what page tables need; SYSCALL would enter ring 0.
      if ((value & efer::kLongModeEnable) != 0) return unsupported(Unsupported::LongMode);
      value &= efer::kNoExecuteEnable;
      break;
    case msr::kPageAttributes:
      if (!is_acceptable_pat(value)) return general_protection();
      break;
    default: {
      if (is_passed_through(c.frame.ecx)) break;
      std::uint64_t present = 0;
      const bool unknown = !c.machine.read_msr(c.frame.ecx, present);
      return unknown && c.vcpu.idt_settled ? general_protection() : Verdict::skip();
    }
  }
  if (!c.machine.write_msr(c.frame.ecx, value) && c.vcpu.idt_settled) return general_protection();
  return Verdict::skip();
}

}  // namespace mezzo::ia32
