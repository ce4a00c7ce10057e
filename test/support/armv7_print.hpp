// Prints decoded A32 instructions in messages of tests.
#pragma once

#include <ostream>

#include "arch/armv7/decode.hpp"

namespace mezzo::armv7 {

inline void PrintTo(const Instruction& i, std::ostream* out) {
  *out << "op " << unsigned(i.op) << " cond " << +i.condition << " rd " << +i.rd << " rn " << +i.rn
       << " rm " << +i.rm << " rt " << +i.rt << " rt2 " << +i.rt2 << " size " << +i.size << std::hex
       << " registers " << i.registers << " immediate " << i.immediate << std::dec << " shift "
       << unsigned(i.shift) << " by " << +i.shift_amount << (i.register_operand ? " register" : "")
       << (i.pre_indexed ? " pre" : "") << (i.add ? " add" : "") << (i.writeback ? " !" : "")
       << (i.sign_extended ? " signed" : "") << " alu " << unsigned(i.alu) << " mask "
       << +i.psr_mask << " imod " << unsigned(i.interrupts) << std::hex << " bits " << i.psr_bits
       << (i.changes_mode ? " mode " : " no mode ") << +i.mode << std::dec << " p" << +i.coprocessor
       << ' ' << +i.opc1 << ' ' << +i.crn << ' ' << +i.crm << ' ' << +i.opc2;
}

}  // namespace mezzo::armv7
