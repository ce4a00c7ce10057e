// A second opinion on the instruction decoder: the same question answered by Zydis, put into the
// same terms. Used by the exhaustive comparison and by the fuzzer; nothing here is shared with the
// decoder.
#pragma once

#include <Zydis/Zydis.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "arch/ia32/decode.hpp"

namespace mezzo::test {

class DecodeOracle {
 public:
  explicit DecodeOracle(bool code32) {
    ZydisDecoderInit(&decoder_,
                     code32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                     code32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
  }

  // What decode() should answer for `bytes`.
  [[nodiscard]] ia32::Instruction decode(std::span<const std::uint8_t> bytes) const {
    bytes = bytes.first(std::min<std::size_t>(bytes.size(), ia32::kMaxInstructionLength));
    std::vector<std::uint8_t> unlocked(bytes.begin(), bytes.end());
    const std::size_t locks = remove_lock_prefixes(unlocked);
    ia32::Instruction result = decode_unlocked(unlocked);
    if (result.op == ia32::Op::Other) return {};
    result.lock = locks != 0;
    result.length = static_cast<std::uint8_t>(result.length + locks);
    return result;
  }

 private:
  // Zydis rejects LOCK before these instructions (as the processor does); decode() only reports it.
  static std::size_t remove_lock_prefixes(std::vector<std::uint8_t>& bytes) {
    constexpr std::array<std::uint8_t, 11> kPrefixes{0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                                     0x66, 0x67, 0xf0, 0xf2, 0xf3};
    const auto end = std::find_if(bytes.begin(), bytes.end(), [&](std::uint8_t byte) {
      return std::find(kPrefixes.begin(), kPrefixes.end(), byte) == kPrefixes.end();
    });
    const auto kept = std::remove(bytes.begin(), end, 0xf0);
    const auto locks = static_cast<std::size_t>(end - kept);
    bytes.erase(kept, end);
    return locks;
  }

  [[nodiscard]] ia32::Instruction decode_unlocked(std::span<const std::uint8_t> bytes) const {
    ZydisDecodedInstruction zydis;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &zydis,
                                             operands.data()))) {
      return {};
    }
    ia32::Instruction result;
    result.op = op_of(zydis, operands);
    if (result.op == ia32::Op::Other) return {};
    result.length = zydis.length;
    fill_operands(zydis, operands, result);
    return result;
  }

  using Operands = std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT>;

  static bool is_register(const ZydisDecodedOperand& operand, ZydisRegisterClass wanted) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand.reg.value) == wanted;
  }
  static std::uint8_t id(ZydisRegister value) {
    return static_cast<std::uint8_t>(ZydisRegisterGetId(value));
  }

  static ia32::Op move_op(const Operands& operands) {
    using enum ia32::Op;
    if (is_register(operands[0], ZYDIS_REGCLASS_CONTROL)) return MovToCr;
    if (is_register(operands[1], ZYDIS_REGCLASS_CONTROL)) return MovFromCr;
    if (is_register(operands[0], ZYDIS_REGCLASS_DEBUG)) return MovToDr;
    if (is_register(operands[1], ZYDIS_REGCLASS_DEBUG)) return MovFromDr;
    if (is_register(operands[0], ZYDIS_REGCLASS_SEGMENT)) return MovToSeg;
    return Other;
  }

  static ia32::Op op_of(const ZydisDecodedInstruction& zydis, const Operands& operands) {
    using enum ia32::Op;
    const bool far = zydis.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    switch (zydis.mnemonic) {
      case ZYDIS_MNEMONIC_MOV:
        return move_op(operands);
      case ZYDIS_MNEMONIC_CLTS:
        return Clts;
      case ZYDIS_MNEMONIC_LMSW:
        return Lmsw;
      case ZYDIS_MNEMONIC_INVLPG:
        return Invlpg;
      case ZYDIS_MNEMONIC_LGDT:
        return Lgdt;
      case ZYDIS_MNEMONIC_LIDT:
        return Lidt;
      case ZYDIS_MNEMONIC_LLDT:
        return Lldt;
      case ZYDIS_MNEMONIC_LTR:
        return Ltr;
      case ZYDIS_MNEMONIC_RDMSR:
        return Rdmsr;
      case ZYDIS_MNEMONIC_WRMSR:
        return Wrmsr;
      case ZYDIS_MNEMONIC_RDPMC:
        return Rdpmc;
      case ZYDIS_MNEMONIC_RDTSC:
        return Rdtsc;
      case ZYDIS_MNEMONIC_RDTSCP:
        return Rdtscp;
      case ZYDIS_MNEMONIC_HLT:
        return Hlt;
      case ZYDIS_MNEMONIC_WBINVD:
        return Wbinvd;
        return Wbinvd;
      case ZYDIS_MNEMONIC_INVD:
        return Invd;
      case ZYDIS_MNEMONIC_XSETBV:
        return Xsetbv;
      case ZYDIS_MNEMONIC_SYSEXIT:
        return Sysexit;
      case ZYDIS_MNEMONIC_SYSENTER:
        return Sysenter;
      case ZYDIS_MNEMONIC_CLI:
        return Cli;
      case ZYDIS_MNEMONIC_STI:
        return Sti;
      case ZYDIS_MNEMONIC_POP:
        return is_register(operands[0], ZYDIS_REGCLASS_SEGMENT) ? PopSeg : Other;
      case ZYDIS_MNEMONIC_LDS:
      case ZYDIS_MNEMONIC_LES:
      case ZYDIS_MNEMONIC_LFS:
      case ZYDIS_MNEMONIC_LGS:
      case ZYDIS_MNEMONIC_LSS:
        return LoadFarPointer;
      case ZYDIS_MNEMONIC_JMP:
        return far ? FarJump : Other;
      case ZYDIS_MNEMONIC_CALL:
        return far ? FarCall : Other;
      case ZYDIS_MNEMONIC_RET:
        return far ? FarReturn : Other;
      case ZYDIS_MNEMONIC_IRET:
      case ZYDIS_MNEMONIC_IRETD:
        return Iret;
      case ZYDIS_MNEMONIC_INT:
        return SoftwareInterrupt;
      case ZYDIS_MNEMONIC_IN:
        return In;
      case ZYDIS_MNEMONIC_OUT:
        return Out;
      case ZYDIS_MNEMONIC_INSB:
      case ZYDIS_MNEMONIC_INSW:
      case ZYDIS_MNEMONIC_INSD:
        return Ins;
      case ZYDIS_MNEMONIC_OUTSB:
      case ZYDIS_MNEMONIC_OUTSW:
      case ZYDIS_MNEMONIC_OUTSD:
        return Outs;
      default:
        return Other;
    }
  }

  static ia32::MemoryOperand memory_of(const ZydisDecodedInstruction& zydis,
                                       const ZydisDecodedOperand& operand) {
    ia32::MemoryOperand memory;
    if (operand.mem.base != ZYDIS_REGISTER_NONE) memory.base = id(operand.mem.base);
    if (operand.mem.index != ZYDIS_REGISTER_NONE) {
      memory.index = id(operand.mem.index);
      memory.scale = static_cast<std::uint8_t>(std::countr_zero(operand.mem.scale));
    }
    if (operand.mem.disp.has_displacement != 0) {
      memory.displacement = static_cast<std::uint32_t>(operand.mem.disp.value);
      // A displacement of the address's own width is not sign-extended by Zydis.
      if (zydis.address_width == 16) {
        memory.displacement = static_cast<std::uint32_t>(
            static_cast<std::int16_t>(static_cast<std::uint16_t>(operand.mem.disp.value)));
      }
    }
    memory.address16 = zydis.address_width == 16;
    memory.segment = static_cast<ia32::Segment>(id(operand.mem.segment));
    return memory;
  }

  static std::uint8_t operand_size_of(const ZydisDecodedInstruction& zydis, ia32::Op op,
                                      const Operands& operands) {
    using enum ia32::Op;
    switch (op) {
      case MovFromCr:
      case MovToCr:
      case MovFromDr:
      case MovToDr:
        return 4;
      case MovToSeg:
      case Lldt:
      case Ltr:
      case Lmsw:
        return 2;
      case In:
        return static_cast<std::uint8_t>(operands[0].size / 8);
      case Out:
        return static_cast<std::uint8_t>(operands[1].size / 8);
      case Ins:
      case Outs:
        return static_cast<std::uint8_t>(std::find_if(operands.begin(), operands.end(),
                                                      [](const ZydisDecodedOperand& operand) {
                                                        return operand.type ==
                                                               ZYDIS_OPERAND_TYPE_MEMORY;
                                                      })
                                             ->size /
                                         8);
      case Iret:
        return zydis.mnemonic == ZYDIS_MNEMONIC_IRETD ? 4 : 2;
      default: {
        const bool code32 = zydis.machine_mode == ZYDIS_MACHINE_MODE_LEGACY_32;
        const bool changed = (zydis.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0;
        return code32 != changed ? 4 : 2;
      }
    }
  }

  static void fill_operands(const ZydisDecodedInstruction& zydis, const Operands& operands,
                            ia32::Instruction& result) {
    using enum ia32::Op;
    result.operand_size = operand_size_of(zydis, result.op, operands);
    const bool string = result.op == Ins || result.op == Outs;
    for (std::size_t i = 0; i < zydis.operand_count; ++i) {
      const ZydisDecodedOperand& operand = operands[i];
      const bool visible = operand.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN;
      switch (operand.type) {
        case ZYDIS_OPERAND_TYPE_MEMORY:
          if (visible || string) result.memory = memory_of(zydis, operand);
          break;
        case ZYDIS_OPERAND_TYPE_IMMEDIATE:
          result.immediate = static_cast<std::uint32_t>(operand.imm.value.u);
          break;
        case ZYDIS_OPERAND_TYPE_POINTER:
          result.selector = operand.ptr.segment;
          result.immediate = operand.ptr.offset;
          break;
        case ZYDIS_OPERAND_TYPE_REGISTER:
          if (visible || string) fill_register(operand, result);
          break;
        default:
          break;
      }
    }
    if (string) {
      result.segment = result.memory->segment;
      result.rep = (zydis.attributes &
                    (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
    }
    if (result.op == LoadFarPointer) result.segment = far_pointer_segment(zydis.mnemonic);
  }

  static ia32::Segment far_pointer_segment(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
      case ZYDIS_MNEMONIC_LES:
        return ia32::Segment::Es;
      case ZYDIS_MNEMONIC_LFS:
        return ia32::Segment::Fs;
      case ZYDIS_MNEMONIC_LGS:
        return ia32::Segment::Gs;
      case ZYDIS_MNEMONIC_LSS:
        return ia32::Segment::Ss;
      default:
        return ia32::Segment::Ds;
    }
  }

  static void fill_register(const ZydisDecodedOperand& operand, ia32::Instruction& result) {
    using enum ia32::Op;
    switch (ZydisRegisterGetClass(operand.reg.value)) {
      case ZYDIS_REGCLASS_CONTROL:
      case ZYDIS_REGCLASS_DEBUG:
      case ZYDIS_REGCLASS_SEGMENT:
        if (result.op != LoadFarPointer) result.reg = id(operand.reg.value);
        break;
      default:
        if (result.op == In || result.op == Out || result.op == Ins || result.op == Outs) {
          if (operand.reg.value == ZYDIS_REGISTER_DX) result.port_in_dx = true;
        } else if (result.op == LoadFarPointer) {
          result.reg = id(operand.reg.value);
        } else {
          result.rm = id(operand.reg.value);
        }
    }
  }

  ZydisDecoder decoder_{};
};

// For messages: the bytes, and every field of an instruction.
inline std::string describe(std::span<const std::uint8_t> bytes) {
  std::ostringstream out;
  out << std::hex;
  for (const unsigned byte : bytes) out << (byte < 16 ? "0" : "") << byte << ' ';
  return out.str();
}
inline std::string describe(const ia32::Instruction& instruction) {
  const auto number = [](auto value) { return static_cast<unsigned>(value); };
  std::ostringstream out;
  out << "op " << number(instruction.op) << " length " << number(instruction.length)
      << " operand_size " << number(instruction.operand_size) << " reg " << number(instruction.reg)
      << " rm " << number(instruction.rm) << std::hex << " immediate " << instruction.immediate
      << " selector " << instruction.selector << std::dec << " segment "
      << number(instruction.segment) << " dx " << instruction.port_in_dx << " rep "
      << instruction.rep << " lock " << instruction.lock;
  if (const auto& memory = instruction.memory) {
    out << " memory[base " << (memory->base ? int{*memory->base} : -1) << " index "
        << (memory->index ? int{*memory->index} : -1) << " scale " << number(memory->scale)
        << " displacement " << std::hex << memory->displacement << std::dec << " address16 "
        << memory->address16 << " segment " << number(memory->segment) << ']';
  }
  return out.str();
}

}  // namespace mezzo::test
