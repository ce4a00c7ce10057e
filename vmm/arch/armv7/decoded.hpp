// Instructions that have exited lately, with what they are counted as: a kernel has few different
// ones, and decoding takes longer than doing what most of them say.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "arch/armv7/decode.hpp"
#include "arch/armv7/emulate.hpp"
#include "arch/armv7/maintenance_loop.hpp"

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
  static constexpr unsigned kBits = 8;
  std::array<Decoded, 1u << kBits> entries_{};
};

// The same for maintenance, with the three words that follow: one that has been done before is
// known by comparing these, whatever the guest has done to its text meanwhile.
class DecodedMaintenance {
 public:
  struct Entry {
    LoopWords words{};  // 0 is no maintenance
    Decoded decoded;
    bool is_maintenance = false;
    bool is_tlb = false;  // an instruction for the TLB, and no loop of it
    std::optional<LoopShape> loop;
  };

  [[nodiscard]] const Entry& look_up(const LoopWords& words, DecodedWords& decoded) {
    Entry& entry = entries_[(words[0] ^ words[3]) * 0x9e3779b1u >> (32 - kBits)];
    // Word by word: a comparison of arrays is a call.
    const LoopWords& known = entry.words;
    const bool same = known[0] == words[0] && known[1] == words[1] && known[2] == words[2] &&
                      known[3] == words[3];
    if (!same) decode_anew(entry, words, decoded);
    return entry;
  }

 private:
  [[gnu::noinline]] static void decode_anew(Entry& entry, const LoopWords& words,
                                            DecodedWords& decoded) {
    using enum status::Armv7Exit;
    entry.words = words;
    entry.decoded = decoded.look_up(words[0]);
    const status::Armv7Exit cause = entry.decoded.cause;
    entry.is_maintenance = cause == TlbOperation || cause == CacheOperation;
    const Instruction& i = entry.decoded.instruction;
    entry.loop = loop_of(words, i, entry.decoded.control);
    entry.is_tlb = cause == TlbOperation && !entry.loop && i.op == Op::Mcr &&
                   allows(entry.decoded.control->kernel, Rights::Write);
  }

  static constexpr unsigned kBits = 5;
  std::array<Entry, 1u << kBits> entries_{};
};

}  // namespace mezzo::armv7
