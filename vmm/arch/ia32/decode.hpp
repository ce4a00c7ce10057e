// Decoder for the instructions that reach the monitor by #GP (or, from user mode, by an I/O check).
//
// It answers one question: which privileged instruction do these bytes spell, how long is it, and
// what are its operands. It computes no address and touches no memory but the bytes it is given;
// whatever is not in its table is `Op::Other`, which the monitor reflects to the guest. Source:
// Intel SDM volume 2, opcode maps.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace mezzo::ia32 {

inline constexpr unsigned kMaxInstructionLength = 15;

enum class Op : std::uint8_t {
  Other,      // a complete instruction or not: none of ours
  MovFromCr,  // reg: CR number, rm: general register
  MovToCr,
  MovFromDr,  // reg: DR number, rm: general register
  MovToDr,
  Clts,
  Lmsw,    // operand: rm or memory, 16 bits
  Invlpg,  // memory
  Lgdt,    // memory
  Lidt,    // memory
  Lldt,    // operand: rm or memory, 16 bits
  Ltr,     // operand: rm or memory, 16 bits
  Rdmsr,
  Wrmsr,
  Rdpmc,
  Rdtsc,
  Rdtscp,
  Hlt,
  Wbinvd,
  Invd,
  Xsetbv,
  Sysexit,
  Sysenter,
  Cli,
  Sti,
  MovToSeg,        // reg: segment register, operand: rm or memory, 16 bits
  PopSeg,          // reg: segment register
  LoadFarPointer,  // LDS, LES, LSS, LFS, LGS: segment: segment register, reg: general register,
                   // memory
  FarJump,         // direct: selector and immediate; or memory (m16:32)
  FarCall,         // likewise
  FarReturn,       // immediate: bytes to release
  Iret,
  SoftwareInterrupt,  // immediate: vector (INT n; INT3, INTO and ICEBP do not come here)
  In,                 // operand_size bytes; port in immediate, or in DX if port_in_dx
  Out,
  Ins,   // rep; memory: ES:(E)DI; the port is in DX, the count in CX or ECX by memory's address16
  Outs,  // rep; memory: segment:(E)SI
};

// Register numbers as the processor encodes them.
enum class Segment : std::uint8_t { Es = 0, Cs, Ss, Ds, Fs, Gs };

// base + (index << scale) + displacement, modulo 2^32 (2^16 with 16-bit addressing).
struct MemoryOperand {
  std::optional<std::uint8_t> base{};   // general register 0 to 7
  std::optional<std::uint8_t> index{};  // general register 0 to 7, never 4
  std::uint8_t scale = 0;               // 0 to 3
  std::uint32_t displacement = 0;       // sign-extended
  bool address16 = false;
  Segment segment = Segment::Ds;  // after default (SS for ESP/EBP/BP bases) and override

  bool operator==(const MemoryOperand&) const = default;
};

struct Instruction {
  Op op = Op::Other;
  std::uint8_t length = 0;        // bytes, 1 to 15; 0 with Op::Other
  std::uint8_t operand_size = 4;  // 1, 2 or 4: after the mode's default, the 66 prefix and the Op
  std::uint8_t reg = 0;           // what the Op says; 0 if it says nothing
  std::uint8_t rm = 0;            // ModRM.rm, when the operand is a register
  std::optional<MemoryOperand> memory{};
  std::uint32_t immediate = 0;
  std::uint16_t selector = 0;     // direct far transfers
  Segment segment = Segment::Ds;  // LoadFarPointer's target; source segment of OUTS after override
  bool port_in_dx = false;
  bool rep = false;   // REP or REPNE, which INS and OUTS do not tell apart
  bool lock = false;  // with any of our Ops but MovFromCr and MovToCr the processor raises #UD

  bool operator==(const Instruction&) const = default;
};

// Decodes the instruction at the start of `bytes`.
//   bytes   what could be read at CS:EIP, at most 15 bytes are looked at
//   code32  the code segment's D bit: 32-bit (true) or 16-bit defaults
// Never fails: unknown, truncated and over-long encodings are Op::Other.
[[nodiscard]] Instruction decode(std::span<const std::uint8_t> bytes, bool code32);

}  // namespace mezzo::ia32
