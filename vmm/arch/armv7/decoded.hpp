// Instructions that have exited lately, with what they are counted as: a kernel has few different
// ones, and decoding takes longer than doing what most of them say.
#pragma once

#include <array>
#include <cstdint>

#include "arch/armv7/decode.hpp"
#include "arch/armv7/emulate.hpp"

namespace mezzo::armv7 {

struct Decoded {
  std::uint32_t word = 0;
  Instruction instruction;  // 0 is AND EQ R0, R0, R0: Op::Other, as a default Instruction
  const ControlRegister* control = nullptr;  // of MCR and MRC
  status::Armv7Exit cause = status::Armv7Exit::UndefinedInstruction;
};

class DecodedWords {
 public:
  [[nodiscard]] const Decoded& look_up(std::uint32_t word) {
    Decoded& entry = entries_[word * 0x9e3779b1u >> (32 - kBits)];
    if (entry.word != word) {
      entry.word = word;
      entry.instruction = decode(word);
      entry.control = control_register_of(entry.instruction);
      entry.cause = exit_cause(entry.instruction);
    }
    return entry;
  }

 private:
  static constexpr unsigned kBits = 7;
  std::array<Decoded, 1u << kBits> entries_{};
};

}  // namespace mezzo::armv7
