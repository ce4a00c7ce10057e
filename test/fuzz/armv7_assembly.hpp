// A decoded A32 instruction written out as assembly, in Capstone's spelling with its aliases.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <sstream>
#include <string>

#include "arch/armv7/decode.hpp"

namespace mezzo::test {

class Armv7Assembly {
 public:
  explicit Armv7Assembly(const armv7::Instruction& instruction) : i_(instruction) {}

  [[nodiscard]] std::string text() {
    write();
    return out_.str();
  }

 private:
  using Op = armv7::Op;

  static std::string reg(unsigned number) {
    constexpr std::array<const char*, 16> kNames{"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7",
                                                 "r8", "sb", "sl", "fp", "ip", "sp", "lr", "pc"};
    return kNames.at(number);
  }

  // Numbers above 9 in hexadecimal.
  static std::string number(std::uint32_t value) {
    std::ostringstream out;
    if (value > 9) out << "0x" << std::hex;
    out << value;
    return out.str();
  }
  static std::string constant(std::uint32_t value) { return '#' + number(value); }
  static std::string decimal(unsigned value) { return '#' + std::to_string(value); }

  [[nodiscard]] std::string condition() const {
    constexpr std::array<const char*, 15> kNames{"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc",
                                                 "hi", "ls", "ge", "lt", "gt", "le", ""};
    return kNames.at(i_.condition);
  }

  void mnemonic(const std::string& name) { out_ << name << condition() << ' '; }

  [[nodiscard]] std::string shift() const {
    constexpr std::array<const char*, 5> kNames{"lsl", "lsr", "asr", "ror", "rrx"};
    if (i_.shift == armv7::Shift::Rrx) return ", rrx";
    if (i_.shift_amount == 0) return "";
    return std::string(", ") + kNames.at(static_cast<unsigned>(i_.shift)) + ' ' +
           decimal(i_.shift_amount);
  }

  [[nodiscard]] std::string offset() const {
    const std::string sign = i_.add ? "" : "-";
    if (i_.register_operand) return sign + reg(i_.rm) + shift();
    return '#' + sign + number(i_.immediate);
  }

  [[nodiscard]] std::string address() const {
    const bool no_offset = !i_.register_operand && i_.immediate == 0 && i_.add;
    const bool unprivileged = i_.op == Op::LoadUnprivileged || i_.op == Op::StoreUnprivileged;
    if (!i_.pre_indexed) return '[' + reg(i_.rn) + "], " + offset();
    if (no_offset && !i_.writeback && !unprivileged) return '[' + reg(i_.rn) + ']';
    return '[' + reg(i_.rn) + ", " + offset() + (i_.writeback ? "]!" : "]");
  }

  void transfer(const std::string& name) {
    const bool dual = i_.size == 8;
    const std::string size = dual ? "d" : i_.size == 1 ? "b" : i_.size == 2 ? "h" : "";
    const bool unprivileged = i_.op == Op::LoadUnprivileged || i_.op == Op::StoreUnprivileged;
    const bool popped = i_.op == Op::Load && i_.rn == 13 && i_.size == 4 && !i_.pre_indexed &&
                        i_.add && !i_.register_operand && i_.immediate == 4;
    if (popped) {
      mnemonic("pop");
      out_ << '{' << reg(i_.rt) << '}';
      return;
    }
    mnemonic(name + (i_.sign_extended ? "s" : "") + size + (unprivileged ? "t" : ""));
    out_ << reg(i_.rt) << ", ";
    if (dual) out_ << reg(i_.rt2) << ", ";
    out_ << address();
  }
  [[nodiscard]] std::string direction(const std::string& of_increment_after) const {
    if (i_.add) return i_.pre_indexed ? "ib" : of_increment_after;
    return i_.pre_indexed ? "db" : "da";
  }

  void multiple(bool load, bool caret) {
    const bool on_stack = i_.rn == 13 && i_.writeback && !caret && std::popcount(i_.registers) > 1;
    if (on_stack && load && i_.add && !i_.pre_indexed) {
      mnemonic("pop");
    } else if (on_stack && !load && !i_.add && i_.pre_indexed) {
      mnemonic("push");
    } else {
      mnemonic((load ? "ldm" : "stm") + direction(""));
      out_ << reg(i_.rn) << (i_.writeback ? "!, " : ", ");
    }
    const char* separator = "{";
    for (unsigned n = 0; n < 16; ++n) {
      if ((i_.registers >> n & 1) == 0) continue;
      out_ << separator << reg(n);
      separator = ", ";
    }
    out_ << (caret ? "} ^" : "}");
  }

  void exclusive(const std::string& name) {
    mnemonic(name + (i_.size == 8 ? "d" : i_.size == 1 ? "b" : i_.size == 2 ? "h" : ""));
    if (i_.op == Op::StoreExclusive) out_ << reg(i_.rd) << ", ";
    out_ << reg(i_.rt) << ", ";
    if (i_.size == 8) out_ << reg(i_.rt2) << ", ";
    out_ << '[' << reg(i_.rn) << ']';
  }

  void change_state() {
    constexpr std::array<const char*, 4> kNames{"", "", "ie", "id"};
    out_ << "cps" << kNames.at(static_cast<unsigned>(i_.interrupts)) << ' ';
    if ((i_.psr_bits & 0x100) != 0) out_ << 'a';
    if ((i_.psr_bits & 0x80) != 0) out_ << 'i';
    if ((i_.psr_bits & 0x40) != 0) out_ << 'f';
    if (i_.changes_mode) out_ << (i_.psr_bits != 0 ? ", " : "") << constant(i_.mode);
  }

  void write_status() {
    mnemonic("msr");
    const bool saved = i_.op == Op::MsrSpsr;
    if (!saved && i_.psr_mask == 8) {
      out_ << "apsr_nzcvq";
    } else if (!saved && i_.psr_mask == 4) {
      out_ << "apsr_g";
    } else if (!saved && i_.psr_mask == 12) {
      out_ << "apsr_nzcvqg";
    } else {
      out_ << (saved ? "spsr_" : "cpsr_");
      for (unsigned field = 4; field-- > 0;) {
        if ((i_.psr_mask >> field & 1) != 0) out_ << "cxsf"[field];
      }
    }
    out_ << ", " << (i_.register_operand ? reg(i_.rm) : constant(i_.immediate));
  }

  void alu_to_pc() {
    constexpr std::array<const char*, 16> kNames{"and", "eor", "sub", "rsb", "add", "adc",
                                                 "sbc", "rsc", "",    "",    "",    "",
                                                 "orr", "mov", "bic", "mvn"};
    const bool has_first = i_.alu != armv7::Alu::Mov && i_.alu != armv7::Alu::Mvn;
    if (i_.alu == armv7::Alu::Mov && i_.register_operand) {
      if (i_.shift == armv7::Shift::Rrx) {
        mnemonic("rrxs");
        out_ << "pc, " << reg(i_.rm);
        return;
      }
      if (i_.shift_amount != 0) {  // printed as LSL, LSR, ASR or ROR, with the amount as a constant
        mnemonic(shift().substr(2, 3) + 's');
        out_ << "pc, " << reg(i_.rm) << ", " << constant(i_.shift_amount);
        return;
      }
    }
    mnemonic(std::string(kNames.at(static_cast<unsigned>(i_.alu))) + 's');
    out_ << "pc, ";
    if (has_first) out_ << reg(i_.rn) << ", ";
    out_ << (i_.register_operand ? reg(i_.rm) + shift() : constant(i_.immediate));
  }

  void coprocessor_register(const std::string& name) {
    mnemonic(name);
    const bool to_flags = i_.op == Op::Mrc && i_.rt == 15;
    out_ << 'p' << +i_.coprocessor << ", " << constant(i_.opc1) << ", "
         << (to_flags ? "apsr_nzcv" : reg(i_.rt)) << ", c" << +i_.crn << ", c" << +i_.crm << ", "
         << constant(i_.opc2);
  }
  void coprocessor_pair(const std::string& name) {
    mnemonic(name);
    out_ << 'p' << +i_.coprocessor << ", " << constant(i_.opc1) << ", " << reg(i_.rt) << ", "
         << reg(i_.rt2) << ", c" << +i_.crm;
  }

  [[nodiscard]] std::string floating_point_register() const {
    switch (i_.crn) {
      case 0:
        return "fpsid";
      case 1:
        return "fpscr";
      case 6:
        return "mvfr1";
      case 7:
        return "mvfr0";
      case 8:
        return "fpexc";
      case 9:
        return "fpinst";
      case 10:
        return "fpinst2";
      default:
        return "";
    }
  }

  void hint(const std::string& name) { out_ << name << condition(); }
  void call(const std::string& name) {
    mnemonic(name);
    out_ << constant(i_.immediate);
  }

  void write() {
    switch (i_.op) {
      case Op::Other:
      case Op::FloatingPoint:
      case Op::MrsBanked:  // Capstone is of no use for these two
      case Op::MsrBanked:
        break;
      case Op::Cps:
        return change_state();
      case Op::MrsCpsr:
        mnemonic("mrs");
        out_ << reg(i_.rd) << ", apsr";
        break;
      case Op::MrsSpsr:
        mnemonic("mrs");
        out_ << reg(i_.rd) << ", spsr";
        break;
      case Op::MsrCpsr:
      case Op::MsrSpsr:
        return write_status();
      case Op::Setend:
        out_ << "setend " << (i_.immediate != 0 ? "be" : "le");
        break;
      case Op::DataToPc:
        return alu_to_pc();
      case Op::LoadMultipleReturn:
      case Op::LoadMultipleUser:
        return multiple(true, true);
      case Op::StoreMultipleUser:
        return multiple(false, true);
      case Op::LoadMultiple:
        return multiple(true, false);
      case Op::StoreMultiple:
        return multiple(false, false);
      case Op::Rfe:
        out_ << "rfe" << direction("ia") << ' ' << reg(i_.rn) << (i_.writeback ? "!" : "");
        break;
      case Op::Srs:
        out_ << "srs" << direction("ia") << " sp" << (i_.writeback ? "!, " : ", ")
             << constant(i_.mode);
        break;
      case Op::LoadUnprivileged:
      case Op::Load:
      case Op::LoadDual:
        return transfer("ldr");
      case Op::StoreUnprivileged:
      case Op::Store:
      case Op::StoreDual:
        return transfer("str");
      case Op::LoadExclusive:
        return exclusive("ldrex");
      case Op::StoreExclusive:
        return exclusive("strex");
      case Op::Swap:
        mnemonic(i_.size == 1 ? "swpb" : "swp");
        out_ << reg(i_.rt) << ", " << reg(i_.rm) << ", [" << reg(i_.rn) << ']';
        break;
      case Op::Wfi:
        return hint("wfi");
      case Op::Wfe:
        return hint("wfe");
      case Op::Sev:
        return hint("sev");
      case Op::Yield:
        return hint("yield");
      case Op::Mcr:
        return coprocessor_register("mcr");
      case Op::Mrc:
        return coprocessor_register("mrc");
      case Op::Mcrr:
        return coprocessor_pair("mcrr");
      case Op::Mrrc:
        return coprocessor_pair("mrrc");
      case Op::Vmrs:
        mnemonic("vmrs");
        out_ << (i_.rt == 15 ? "apsr_nzcv" : reg(i_.rt)) << ", " << floating_point_register();
        break;
      case Op::Vmsr:
        mnemonic("vmsr");
        out_ << floating_point_register() << ", " << reg(i_.rt);
        break;
      case Op::Smc:
        return call("smc");
      case Op::Hvc:
        return call("hvc");
      case Op::Svc:
        return call("svc");
    }
  }

  const armv7::Instruction i_;
  std::ostringstream out_;
};

inline std::string assembly(const armv7::Instruction& instruction) {
  return Armv7Assembly(instruction).text();
}

}  // namespace mezzo::test
