// Instructions that read, change, save and restore program status, in every mode.
#include "armv7/tables.hpp"
#include "conformance/conformance.hpp"

namespace guest {
namespace {

// System mode has no SPSR and no user registers other than its own: there is no telling what an
// instruction does there that needs one (B9.3).
[[nodiscard]] bool is_unpredictable(const Mode& mode, const Word& word) {
  struct Pattern {
    u32 mask, match;
  };
  constexpr Pattern kPatterns[] = {
      {0x0fbf0fff, 0x010f0000},  // MRS
      {0x0fb0f000, 0x0320f000},  // MSR with a constant
      {0x0fb0fff0, 0x0120f000},  // MSR with a register
      {0x0e400000, 0x08400000},  // LDM and STM with ^, SRS
  };
  if (mode.number != psr::kSystem) return false;
  constexpr u32 kSaved = 1u << 22;
  for (const Pattern& pattern : kPatterns) {
    if ((word.instruction & pattern.mask) == pattern.match && (word.instruction & kSaved) != 0) {
      return word.instruction >> 28 != 15 || (word.instruction & 0x0e500000) == 0x08400000;
    }
  }
  return false;
}

[[nodiscard]] const char* difference_of(const Mode& mode, const Word& word) {
  const bool reads_status = (word.instruction & 0x0fff0fff) == 0x010f0000;
  if (mode.number != psr::kUser || !reads_status) return nullptr;
  return "what MRS reads besides the flags in User mode is unknown (B9.3.8)";
}

void run_table(const char* name, const Word* first, const Word* last) {
  for (const Mode& mode : kModes) {
    for (const Word* word = first; word != last; ++word) {
      if (is_unpredictable(mode, *word)) continue;
      begin_line(name);
      add_name(mode.name);
      add_name(word->name);
      run_word(mode, *word, word_input(mode, 0x11111111), difference_of(mode, *word));
    }
  }
}

// Values for MSR: nothing, all but execution state, other modes, modes that do not exist.
constexpr u32 kStatusValues[] = {0x00000010, 0xf8ff01df, 0xa00a0092,
                                 0x600001d3, 0x00000154, 0x0000020};

void status_writes() {
  for (const Mode& mode : kModes) {
    for (const Word* word = words_msr; word != words_msr_end; ++word) {
      if (is_unpredictable(mode, *word)) continue;
      for (const u32 value : kStatusValues) {
        begin_line("msr");
        add_name(mode.name);
        add_name(word->name);
        add_name(value);
        run_word(mode, *word, word_input(mode, value));
      }
    }
  }
}

[[nodiscard]] bool is_rfe(const Word& word) { return word.instruction >> 28 == 15; }

constexpr u32 kReturnValues[] = {0x00000010, 0xf80f01d0, 0x800001d1, 0x400000d2, 0x200000d3,
                                 0x10000197, 0x000001db, 0x000001df, 0x000001d4};

void returns() {
  for (const Mode& mode : kModes) {
    for (const Word* word = words_return; word != words_return_end; ++word) {
      // In System mode there is no SPSR to return by, and no telling what happens.
      if (mode.number == psr::kSystem && !is_rfe(*word)) continue;
      for (const u32 status : kReturnValues) {
        for (u32 n = 0; n < kBlockWords; ++n) {
          block[n] = is_rfe(*word) && n % 2 != 0 ? status : word_end(mode);
        }
        WordState before = word_input(mode, 0x11111111);
        before.spsr = status;
        begin_line("return");
        add_name(mode.name);
        add_name(word->name);
        add_name(status);
        run_word(mode, *word, before);
        if (mode.number == psr::kUser) break;
      }
    }
  }
}

void odd_returns() {
  for (const Mode& mode : kModes) {
    if (!mode.has_spsr()) continue;
    for (const Word* word = words_odd_return; word != words_odd_return_end; ++word) {
      WordState before = word_input(mode, 0x11111111);
      before.spsr = 0x800001d3;
      begin_line("return");
      add_name(mode.name);
      add_name(word->name);
      run_word(mode, *word, before, "QEMU takes it for a jump, against B9.3.20");
    }
  }
}

void banked() {
  for (u32 n = 0; n < kBlockWords; ++n) block[n] = 0xb10c0000 + n;
  run_table("banked", words_banked, words_banked_end);
}

void run_all() {
  run_table("state", words_state, words_state_end);
  status_writes();
  returns();
  odd_returns();
  banked();
  run_table("other", words_other, words_other_end);
}

}  // namespace

void test_program_status() {
  // Where a kernel has its code, and a monitor may do more than replace single words.
  constexpr u32 kKernelText = 0xc0000000;
  run_all();
  map_one_to_one(first_table);
  for (u32 at = 0; at < 4 * kMiB; at += kMiB) {
    first_table[(kKernelText + at) / kMiB] = descriptor::section(kRam + at, kEveryone);
  }
  translate_by(first_table);
  run_all();
  run_words_at(kKernelText - kRam);
  run_all();
  run_words_at(0);
  stop_translating();
}

}  // namespace guest
