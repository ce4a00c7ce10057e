// The sensitive instructions of x86: those that a monitor must take from a kernel, or would have
// to. What a guest executes of them is what can make it exit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mezzo::count {

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
inline constexpr std::size_t kRootWrite = 0;  // index of write_cr3

// The kind of the instruction that begins with `bytes` (and may end before), or nothing.
[[nodiscard]] constexpr std::optional<std::size_t> sensitive_kind(
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

}  // namespace mezzo::count
