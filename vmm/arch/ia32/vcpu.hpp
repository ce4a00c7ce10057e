// A virtual CPU of IA-32: what the guest believes its privileged registers hold, where the
// machine's own copy differs or cannot be read back. General registers are in the Frame, the FPU
// and the debug registers are the machine's own: a vCPU never leaves its CPU.
#pragma once

#include <array>
#include <cstdint>

#include "arch/ia32/registers.hpp"

namespace mezzo::ia32 {

struct TableLocation {
  std::uint32_t base = 0;   // linear address in the guest
  std::uint32_t limit = 0;  // offset of the last byte
};

struct Vcpu {
  std::uint32_t cr0 = 0;
  std::uint32_t cr3 = 0;
  std::uint32_t cr4 = 0;

  TableLocation gdt;
  bool gdt_copied = false;  // the processor has a copy of the table at `gdt`, not the table
  TableLocation idt;
  // The machine's IDT holds the guest's own gates. Until then every vector goes through the
  // monitor, because the guest still writes its table.
  bool idt_settled = false;

  std::uint16_t task_register = 0;
  std::uint16_t ldt_register = 0;
  TableLocation task_state;  // from the descriptor that LTR loaded
  TableLocation ldt;         // from the descriptor that LLDT loaded

  std::uint32_t sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;

  // A real-time guest's gates are the machine's one by one, each from its first use on.
  bool settles_by_use = false;
  std::array<std::uint32_t, 256 / 32> used_gates{};  // bit n % 32 of word n / 32: vector n

  // As a kernel's 32-bit entry point expects it: protected mode, paging off.
  [[nodiscard]] static constexpr Vcpu at_entry() {
    Vcpu vcpu;
    vcpu.task_state.base = 0xffffffff;  // until LTR where the fast path does not look
    vcpu.cr0 = cr0::kProtection | cr0::kExtensionType;
    vcpu.gdt.limit = 4 * 8 - 1;  // the boot protocol's selectors 0x10 and 0x18
    return vcpu;
  }

  [[nodiscard]] bool paging() const { return (cr0 & cr0::kPaging) != 0; }
  // Of CR3, now or once paging is on.
  [[nodiscard]] RootKind root_kind() const { return ia32::root_kind(cr4); }
};

}  // namespace mezzo::ia32
