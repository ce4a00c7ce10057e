// A second opinion on the A32 decoder: Capstone's disassembly of a word against the decoder's
// answer written out in Capstone's spelling. Used by the comparison test and by the fuzzer.
//
// Capstone (4.0, made from LLVM's tables) disassembles much of what the manual calls UNPREDICTABLE,
// which for decode() is Other; `is_unpredictable` says of such a word why that is right. Where
// Capstone is wrong is said at each exception below; there are no others.
#pragma once

#include <capstone/capstone.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "arch/armv7/decode.hpp"
#include "fuzz/armv7_assembly.hpp"

namespace mezzo::test {

class Armv7DecodeOracle {
 public:
  Armv7DecodeOracle() {
    cs_open(CS_ARCH_ARM, CS_MODE_ARM, &handle_);
    cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
    scratch_ = cs_malloc(handle_);
  }
  ~Armv7DecodeOracle() {
    cs_free(scratch_, 1);
    cs_close(&handle_);
  }
  Armv7DecodeOracle(const Armv7DecodeOracle&) = delete;
  Armv7DecodeOracle& operator=(const Armv7DecodeOracle&) = delete;

  // What is wrong with the decoder's answers for `word`, or nothing.
  [[nodiscard]] std::optional<std::string> objection(std::uint32_t word) const {
    const armv7::Instruction ours = armv7::decode(word);
    const std::string theirs = disassemble(word);
    if (cannot_compare(ours)) return std::nullopt;
    const Kind kind = theirs.empty() ? Kind::NotOurs : kind_of(word);
    std::string mine;
    switch (ours.op) {
      case armv7::Op::Other:
        if (kind == Kind::NotOurs || is_unpredictable(word)) break;
        return complain(word, "Other", theirs);
      case armv7::Op::FloatingPoint:  // the whole of the encoding space
        if (kind == Kind::FloatingPoint || theirs.empty() || is_unpredictable(word)) break;
        return complain(word, "FloatingPoint", theirs);
      default:
        mine = assembly(ours);
        if (mine != theirs) return complain(word, mine, theirs);
        if (is_unpredictable(word)) return complain(word, mine, "unpredictable");
    }
    const bool sensitive = kind == Kind::Sensitive && !is_unpredictable(word);
    if (armv7::is_sensitive(word) == sensitive) return std::nullopt;
    return complain(word, sensitive ? "not sensitive" : "sensitive", theirs);
  }

  // "mnemonic operands" in lower case, or nothing if Capstone knows no such instruction.
  [[nodiscard]] std::string disassemble(std::uint32_t word) const {
    const std::array<std::uint8_t, 4> bytes{
        static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(word >> 8),
        static_cast<std::uint8_t>(word >> 16), static_cast<std::uint8_t>(word >> 24)};
    const std::uint8_t* code = bytes.data();
    std::size_t size = bytes.size();
    std::uint64_t address = 0;
    if (!cs_disasm_iter(handle_, &code, &size, &address, scratch_)) return {};
    std::string text = std::string(scratch_->mnemonic) + ' ' + scratch_->op_str;
    std::ranges::transform(text, text.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return rotated(text);
  }

 private:
  enum class Kind : std::uint8_t { NotOurs, Plain, Sensitive, FloatingPoint };

  static std::string complain(std::uint32_t word, std::string_view mine, std::string_view theirs) {
    std::ostringstream out;
    out << std::hex << word << ": ours \"" << mine << "\", Capstone \"" << theirs << '"';
    return out.str();
  }

  static bool bit(std::uint32_t word, unsigned number) { return (word >> number & 1) != 0; }
  static unsigned field(std::uint32_t word, unsigned lowest) { return word >> lowest & 15; }

  // Of the instruction last disassembled.
  [[nodiscard]] Kind kind_of(std::uint32_t word) const {
    switch (scratch_->id) {
      case ARM_INS_CPS:
      case ARM_INS_RFEDA:
      case ARM_INS_RFEDB:
      case ARM_INS_RFEIA:
      case ARM_INS_RFEIB:
      case ARM_INS_SRSDA:
      case ARM_INS_SRSDB:
      case ARM_INS_SRSIA:
      case ARM_INS_SRSIB:
      case ARM_INS_LDRT:
      case ARM_INS_LDRBT:
      case ARM_INS_LDRHT:
      case ARM_INS_LDRSBT:
      case ARM_INS_LDRSHT:
      case ARM_INS_STRT:
      case ARM_INS_STRBT:
      case ARM_INS_STRHT:
      case ARM_INS_WFI:
        return Kind::Sensitive;
      case ARM_INS_LDM:
      case ARM_INS_LDMDA:
      case ARM_INS_LDMDB:
      case ARM_INS_LDMIB:
      case ARM_INS_STM:
      case ARM_INS_STMDA:
      case ARM_INS_STMDB:
      case ARM_INS_STMIB:
      case ARM_INS_POP:
      case ARM_INS_PUSH:
        return scratch_->detail->arm.usermode ? Kind::Sensitive : Kind::Plain;
      case ARM_INS_MRS:
        return bit(word, 9) ? Kind::Plain : Kind::Sensitive;
      case ARM_INS_MSR:
        return kind_of_msr(word);
      case ARM_INS_MCR:
        return is_of_user_thread() ? Kind::Sensitive : Kind::Plain;
      case ARM_INS_MRC:
        return kind_of_mrc(word);
      case ARM_INS_VMRS:
      case ARM_INS_VMSR:
      case ARM_INS_SETEND:
      case ARM_INS_WFE:
      case ARM_INS_SEV:
      case ARM_INS_YIELD:
      case ARM_INS_MCRR:
      case ARM_INS_MRRC:
      case ARM_INS_SMC:
      case ARM_INS_HVC:
      case ARM_INS_SVC:
      case ARM_INS_SWP:
      case ARM_INS_SWPB:
      case ARM_INS_LDR:
      case ARM_INS_LDRB:
      case ARM_INS_LDRH:
      case ARM_INS_LDRSB:
      case ARM_INS_LDRSH:
      case ARM_INS_LDRD:
      case ARM_INS_STR:
      case ARM_INS_STRB:
      case ARM_INS_STRH:
      case ARM_INS_STRD:
      case ARM_INS_LDREX:
      case ARM_INS_LDREXB:
      case ARM_INS_LDREXH:
      case ARM_INS_LDREXD:
      case ARM_INS_STREX:
      case ARM_INS_STREXB:
      case ARM_INS_STREXH:
      case ARM_INS_STREXD:
        return Kind::Plain;
      default:
        if (is_alu_to_pc(word)) return Kind::Sensitive;
        // Capstone has ARMv8's VSEL, VMAXNM and the like, undefined here, in every mode.
        if (word >> 24 == 0xfe) return Kind::NotOurs;
        return scratch_->mnemonic[0] == 'v' || scratch_->mnemonic[0] == 'f' ? Kind::FloatingPoint
                                                                            : Kind::NotOurs;
    }
  }

  // A data-processing instruction that sets the flags and whose first operand is the PC.
  // (Capstone's update_flags is set for some that do not.)
  [[nodiscard]] bool is_alu_to_pc(std::uint32_t word) const {
    const cs_arm& arm = scratch_->detail->arm;
    const bool compares = scratch_->id == ARM_INS_CMP || scratch_->id == ARM_INS_CMN ||
                          scratch_->id == ARM_INS_TST || scratch_->id == ARM_INS_TEQ;
    return word >> 28 != 15 && (word >> 26 & 3) == 0 && bit(word, 20) && !compares &&
           arm.op_count != 0 && arm.operands[0].type == ARM_OP_REG &&
           arm.operands[0].reg == ARM_REG_PC;
  }

  [[nodiscard]] Kind kind_of_msr(std::uint32_t word) const {
    if (!bit(word, 25) && bit(word, 9)) return Kind::Plain;  // banked
    const std::string_view fields(scratch_->op_str);
    return fields.starts_with("apsr") || fields.starts_with("cpsr_s,") ? Kind::Plain
                                                                       : Kind::Sensitive;
  }

  // TPIDRURW
  [[nodiscard]] bool is_of_user_thread() const {
    const std::string_view text(scratch_->op_str);
    return text.starts_with("p15, #0,") && text.ends_with(", c13, c0, #2");
  }
  [[nodiscard]] Kind kind_of_mrc(std::uint32_t word) const {
    if (is_of_user_thread()) return Kind::Sensitive;
    if (field(word, 8) != 14) return Kind::Plain;
    const std::string_view text(scratch_->op_str);
    for (const std::string_view status :
         {", c0, c0, #0", ", c0, c1, #0", ", c1, c0, #0", ", c2, c0, #0"}) {
      if (text.starts_with("p14, #0,") && text.ends_with(status)) return Kind::Sensitive;
    }
    return Kind::Plain;
  }

  // Capstone prints MRS and MSR of banked registers with a wrong condition, and operands that
  // belong to another word; of VMRS and VMSR it knows the registers that LLVM has names for.
  static bool cannot_compare(const armv7::Instruction& ours) {
    using armv7::Op;
    constexpr std::uint32_t kRead = 1u << 0 | 1u << 1 | 3u << 6 | 7u << 8;
    constexpr std::uint32_t kWritten = 1u << 0 | 1u << 1 | 7u << 8;
    return ours.op == Op::MrsBanked || ours.op == Op::MsrBanked ||
           (ours.op == Op::Vmrs && (kRead >> ours.crn & 1) == 0) ||
           (ours.op == Op::Vmsr && (kWritten >> ours.crn & 1) == 0);
  }

  // "#8, #4", which stands for a constant in other than its shortest encoding, becomes one number.
  static std::string rotated(const std::string& text) {
    const std::size_t second = text.rfind(", #");
    const std::size_t first = second == std::string::npos ? second : text.rfind(", #", second - 1);
    if (first == std::string::npos || second == 0) return text;
    const std::string between = text.substr(first + 3, second - first - 3);
    const std::string_view name(text);
    const bool has_constant = name.starts_with("msr") || name.find(" pc, ") != std::string::npos;
    if (!has_constant || between.find_first_not_of("0123456789") != std::string::npos) return text;
    const auto value = static_cast<std::uint32_t>(std::stoul(between));
    const int rotation = std::stoi(text.substr(second + 3));
    std::ostringstream out;
    const std::uint32_t constant = std::rotr(value, rotation);
    out << text.substr(0, first + 3) << (constant > 9 ? "0x" : "") << std::hex << constant;
    return out.str();
  }

  // Whether the manual says UNPREDICTABLE of the instruction last disassembled, or gives its bits
  // other values than `word` has (should be one, should be zero).
  [[nodiscard]] bool is_unpredictable(std::uint32_t word) const {
    const bool t_is_pc = field(word, 12) == 15;
    switch (scratch_->id) {
      case ARM_INS_CPS:
        return is_unpredictable_cps(word);
      case ARM_INS_SETEND:
        return (word & 0x000efdff) != 0;
      case ARM_INS_RFEDA:
      case ARM_INS_RFEDB:
      case ARM_INS_RFEIA:
      case ARM_INS_RFEIB:
        return field(word, 16) == 15 || (word & 0xffff) != 0x0a00;
      case ARM_INS_SRSDA:
      case ARM_INS_SRSDB:
      case ARM_INS_SRSIA:
      case ARM_INS_SRSIB:
        return (word & 0x000fffe0) != 0x000d0500;
      case ARM_INS_MRS:
        return t_is_pc || field(word, 16) != 15 || (word & 0xfff) != 0;
      case ARM_INS_MSR:
        return !t_is_pc || field(word, 16) == 0 ||
               (!bit(word, 25) && ((word & 0xff0) != 0 || field(word, 0) == 15));
      case ARM_INS_WFI:
      case ARM_INS_WFE:
      case ARM_INS_SEV:
      case ARM_INS_YIELD:
        return (word & 0xff00) != 0xf000;
      case ARM_INS_MCR:
        return t_is_pc;
      case ARM_INS_MCRR:
        return t_is_pc || field(word, 16) == 15;
      case ARM_INS_MRRC:
        return t_is_pc || field(word, 16) == 15 || field(word, 12) == field(word, 16);
      case ARM_INS_VMRS:
        return (word & 0xef) != 0 || (t_is_pc && field(word, 16) != 1);
      case ARM_INS_VMSR:
        return (word & 0xef) != 0 || t_is_pc;
      case ARM_INS_SMC:
        return (word & 0xfff00) != 0;
      case ARM_INS_HVC:
        return word >> 28 != 14;
      default:
        return is_alu_to_pc(word) ? is_unpredictable_alu(word) : is_unpredictable_transfer(word);
    }
  }

  static bool is_unpredictable_cps(std::uint32_t word) {
    const unsigned imod = word >> 18 & 3;
    const bool names_flags = (word >> 6 & 7) != 0;
    const bool has_mode = bit(word, 17);
    const bool bad_bits = (word & 0xfe20) != 0 || (!has_mode && (word & 31) != 0);
    return bad_bits || imod == 1 || (imod == 0 ? names_flags || !has_mode : !names_flags);
  }

  // B9.3.20: shifts by a register; MOV and MVN with a first operand.
  static bool is_unpredictable_alu(std::uint32_t word) {
    const bool move = (word >> 21 & 13) == 13;
    return (!bit(word, 25) && bit(word, 4)) || (move && field(word, 16) != 0);
  }

  [[nodiscard]] bool is_unpredictable_transfer(std::uint32_t word) const {
    const unsigned n = field(word, 16), t = field(word, 12), m = field(word, 0);
    switch (scratch_->id) {
      case ARM_INS_SWP:
      case ARM_INS_SWPB:
        return (word & 0xf00) != 0 || t == 15 || m == 15 || n == 15 || n == t || n == m;
      case ARM_INS_LDREX:
      case ARM_INS_LDREXB:
      case ARM_INS_LDREXH:
        return (word & 0xf0f) != 0xf0f || t == 15 || n == 15;
      case ARM_INS_LDREXD:
        return (word & 0xf0f) != 0xf0f || t % 2 == 1 || t == 14 || n == 15;
      case ARM_INS_STREX:
      case ARM_INS_STREXB:
      case ARM_INS_STREXH:
        return (word & 0xf00) != 0xf00 || t == 15 || m == 15 || n == 15 || t == n || t == m;
      case ARM_INS_STREXD:
        return (word & 0xf00) != 0xf00 || t == 15 || m % 2 == 1 || m == 14 || n == 15 || t == n ||
               t == m || t == m + 1;
      case ARM_INS_LDM:
      case ARM_INS_LDMDA:
      case ARM_INS_LDMDB:
      case ARM_INS_LDMIB:
      case ARM_INS_STM:
      case ARM_INS_STMDA:
      case ARM_INS_STMDB:
      case ARM_INS_STMIB:
        return is_unpredictable_multiple(word);
      case ARM_INS_POP:
      case ARM_INS_PUSH:
        if ((word >> 25 & 7) == 4) return is_unpredictable_multiple(word);
        break;
      case ARM_INS_LDRD:
      case ARM_INS_STRD:
        return is_unpredictable_dual(word);
      default:
        break;
    }
    if ((word >> 25 & 7) == 0) {  // halfwords and signed bytes
      const bool by_register = !bit(word, 22);
      if (by_register && ((word & 0xf00) != 0 || m == 15)) return true;
      return t == 15 || (writes_back(word) && (n == 15 || n == t));
    }
    if ((word >> 26 & 3) != 1) return false;
    if (bit(word, 25) && m == 15) return true;
    if (t == 15 && (bit(word, 22) || scratch_->id == ARM_INS_LDRT)) return true;
    return writes_back(word) && (n == 15 || n == t);
  }

  static bool writes_back(std::uint32_t word) { return !bit(word, 24) || bit(word, 21); }

  static bool is_unpredictable_multiple(std::uint32_t word) {
    const unsigned n = field(word, 16);
    const bool load = bit(word, 20), caret = bit(word, 22), writeback = bit(word, 21);
    if (n == 15 || (word & 0xffff) == 0) return true;
    if (caret && writeback && !(load && bit(word, 15))) return true;
    return load && writeback && bit(word, n);
  }

  static bool is_unpredictable_dual(std::uint32_t word) {
    const unsigned n = field(word, 16), t = field(word, 12), m = field(word, 0);
    const bool load = !bit(word, 5), by_register = !bit(word, 22);
    if (t % 2 == 1 || t == 14 || (!bit(word, 24) && bit(word, 21))) return true;
    if (by_register && ((word & 0xf00) != 0 || m == 15)) return true;
    if (by_register && load && (m == t || m == t + 1)) return true;
    return writes_back(word) && (n == 15 || n == t || n == t + 1);
  }

  csh handle_ = 0;
  cs_insn* scratch_ = nullptr;
};

}  // namespace mezzo::test
