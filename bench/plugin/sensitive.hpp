// The sensitive instructions of a processor: those that a monitor must take from a kernel, or would
// have to. What a guest executes of them is what can make it exit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mezzo::count {

enum class Processor : std::uint8_t { X86, X86_64, Arm };

// Recognized by opcode and, where the opcode is shared, by the `reg` field of its ModRM byte.
struct Sensitive {
  const char* name;
  std::uint16_t opcode;  // 0x0fNN for two-byte opcodes
  int reg = -1;          // -1: any
};

inline constexpr std::array kSensitive{
    Sensitive{"write_cr3", 0x0f22, 3},
    Sensitive{"read_cr0", 0x0f20, 0},
    Sensitive{"read_cr2", 0x0f20, 2},
    Sensitive{"read_cr3", 0x0f20, 3},
    Sensitive{"read_cr4", 0x0f20, 4},
    Sensitive{"write_cr0", 0x0f22, 0},
    Sensitive{"write_cr4", 0x0f22, 4},
    Sensitive{"clts", 0x0f06},
    Sensitive{"invlpg", 0x0f01, 7},
    Sensitive{"lgdt", 0x0f01, 2},
    Sensitive{"lidt", 0x0f01, 3},
    Sensitive{"ltr", 0x0f00, 3},
    Sensitive{"lldt", 0x0f00, 2},
    Sensitive{"wbinvd", 0x0f09},
    Sensitive{"rdmsr", 0x0f32},
    Sensitive{"wrmsr", 0x0f30},
    Sensitive{"hlt", 0xf4},
    Sensitive{"cli", 0xfa},
    Sensitive{"sti", 0xfb},
    Sensitive{"pushf", 0x9c},
    Sensitive{"popf", 0x9d},
    Sensitive{"iret", 0xcf},
    Sensitive{"syscall", 0x0f05},
    Sensitive{"sysenter", 0x0f34},
    Sensitive{"int", 0xcd},
};

// Those of 32-bit Arm, in A32 (DDI 0406C, A5): `word & mask == value`, whatever the condition.
struct SensitiveWord {
  const char* name;
  std::uint32_t mask, value;
};

inline constexpr std::array kSensitiveArm{
    SensitiveWord{"write_ttbr0", 0x0fff0fff, 0x0e020f10},
    // What Mezzo puts in place of an instruction (doc/armv7.md).
    SensitiveWord{"patched", 0x0fff0000, 0x0fa50000},
    SensitiveWord{"return stub", 0x0fff0000, 0x0fa60000},
    SensitiveWord{"svc", 0x0f000000, 0x0f000000},
    SensitiveWord{"cps", 0xfff1fe20, 0xf1000000},
    SensitiveWord{"mrs_cpsr", 0x0fff0fff, 0x010f0000},
    SensitiveWord{"mrs_spsr", 0x0fff0fff, 0x014f0000},
    SensitiveWord{"msr_spsr", 0x0ff0fff0, 0x0160f000},
    SensitiveWord{"msr_cpsr", 0x0ff1fff0, 0x0121f000},      // the control field
    SensitiveWord{"movs_pc", 0x0ff0f000, 0x01b0f000},       // from a register
    SensitiveWord{"subs_pc", 0x0ff0f000, 0x0250f000},       // less a constant
    SensitiveWord{"ldm_return", 0x0e508000, 0x08508000},    // with ^ and the PC
    SensitiveWord{"ldm_stm_user", 0x0e400000, 0x08400000},  // with ^
    SensitiveWord{"ldrt_strt", 0x0f200000, 0x04200000},     // words and bytes
    SensitiveWord{"ldrt_strt", 0x0f200010, 0x06200000},     // with a register
    SensitiveWord{"wfi", 0x0fffffff, 0x0320f003},
    SensitiveWord{"tpidrprw", 0x0fef0fff, 0x0e0d0f90},
    SensitiveWord{"tpidruro", 0x0fff0fff, 0x0e0d0f70},  // writes
    SensitiveWord{"dacr", 0x0fef0fff, 0x0e030f10},
    SensitiveWord{"ttb_control", 0x0fef0f1f, 0x0e020f10},
    SensitiveWord{"contextidr", 0x0fef0fff, 0x0e0d0f30},
    SensitiveWord{"sctlr", 0x0fef0f1f, 0x0e010f10},
    SensitiveWord{"fault_status", 0x0fef0f1f, 0x0e050f10},
    SensitiveWord{"fault_address", 0x0fef0f1f, 0x0e060f10},
    SensitiveWord{"cache", 0x0fff0f10, 0x0e070f10},
    SensitiveWord{"tlb", 0x0fff0f10, 0x0e080f10},
};

// Index of the write of the page-table root, for each processor.
inline constexpr std::size_t kRootWrite = 0;

// Whether this is the instruction with which a processor waits for an interrupt.
[[nodiscard]] constexpr bool waits(std::size_t kind, Processor processor) {
  return processor == Processor::Arm ? std::string_view(kSensitiveArm[kind].name) == "wfi"
                                     : kSensitive[kind].opcode == 0xf4;
}

// The names of all kinds, by index.
[[nodiscard]] inline std::vector<std::string> sensitive_names(Processor processor) {
  std::vector<std::string> names;
  if (processor == Processor::Arm) {
    for (const SensitiveWord& kind : kSensitiveArm) names.emplace_back(kind.name);
  } else {
    for (const Sensitive& kind : kSensitive) names.emplace_back(kind.name);
  }
  return names;
}

// The kind of the word that `bytes` begin with, as an instruction of A32, or nothing.
[[nodiscard]] constexpr std::optional<std::size_t> sensitive_word(
    const std::array<std::uint8_t, 8>& bytes) {
  std::uint32_t word = 0;
  for (std::size_t n = 0; n < 4; ++n) word |= std::uint32_t{bytes[n]} << 8 * n;
  // Condition 15 is another set of instructions: of ours, CPS only.
  const bool unconditional = word >> 28 == 15;
  for (std::size_t n = 0; n < kSensitiveArm.size(); ++n) {
    const SensitiveWord& kind = kSensitiveArm[n];
    if ((word & kind.mask) == kind.value && unconditional == (kind.value >> 28 == 15)) return n;
  }
  return std::nullopt;
}

// The kind of the instruction that begins with `bytes` (and may end before), or nothing.
[[nodiscard]] constexpr std::optional<std::size_t> sensitive_opcode(
    const std::array<std::uint8_t, 8>& bytes, bool is64) {
  std::size_t at = 0;
  const auto is_prefix = [is64](std::uint8_t byte) {
    return byte == 0x66 || byte == 0xf2 || byte == 0xf3 || (byte & 0xe7) == 0x26 ||
           (byte & 0xfe) == 0x64 || (is64 && (byte & 0xf0) == 0x40);
  };
  while (at < 5 && is_prefix(bytes[at])) ++at;
  std::uint16_t opcode = bytes[at++];
  if (opcode == 0x0f) opcode = static_cast<std::uint16_t>(0x0f00 | bytes[at++]);
  const int modrm = bytes[at];
  for (std::size_t n = 0; n < kSensitive.size(); ++n) {
    const Sensitive& kind = kSensitive[n];
    if (kind.opcode != opcode) continue;
    // 0f 01 with a register operand is another group of instructions.
    if (opcode == 0x0f01 && modrm >= 0xc0) continue;
    if (kind.reg < 0 || kind.reg == (modrm >> 3 & 7)) return n;
  }
  return std::nullopt;
}

// The kind of an instruction of `processor`, or nothing.
[[nodiscard]] constexpr std::optional<std::size_t> sensitive_kind(
    const std::array<std::uint8_t, 8>& bytes, Processor processor) {
  if (processor == Processor::Arm) return sensitive_word(bytes);
  return sensitive_opcode(bytes, processor == Processor::X86_64);
}

}  // namespace mezzo::count
