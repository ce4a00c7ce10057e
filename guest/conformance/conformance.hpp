// The cases of the ARMv7 guest: parts, words to execute, and how a run ended.
#pragma once

#include "armv7/machine.hpp"
#include "common/text.hpp"
#include "conformance/lines.hpp"

namespace guest {

// How a run ended, if not by itself; `from`: where its body begins.
void show(const Taken& taken, u32 from);

// ---- one instruction ----

struct Word {
  u32 instruction;
  const char* name;
};
extern "C" {
extern const Word words_state[], words_state_end[], words_msr[], words_msr_end[], words_return[],
    words_return_end[], words_odd_return[], words_odd_return_end[], words_banked[],
    words_banked_end[], words_other[], words_other_end[], words_access[], words_access_end[],
    words_float[], words_float_end[];
}

// Registers before the instruction, and after it. After: r0 means nothing, r13 and r14 are those of
// the mode then.
struct WordState {
  u32 r[15];
  u32 cpsr;
  u32 spsr;
};
// A block of memory whose middle r4 points to.
inline constexpr u32 kBlockWords = 16, kBlockMiddle = 8;
extern u32 block[kBlockWords];

// The registers that a word runs with in `mode`: r1 = `operand`, the others told apart.
[[nodiscard]] WordState word_input(const Mode& mode, u32 operand);
// From here on words are run `distance` bytes above where their pages are linked, at an alias.
void run_words_at(u32 distance);
// Where the word's page goes on, which is what lr and r8 hold.
[[nodiscard]] u32 word_end(const Mode& mode);
// Runs one instruction in `mode` and shows what it changed. `difference`: why that may differ.
void run_word(const Mode& mode, const Word& word, const WordState& before,
              const char* difference = nullptr);
// Runs it and says no more than how it ended; `after` may be null.
[[nodiscard]] Taken execute_word(const Mode& mode, u32 instruction, const WordState& before,
                                 WordState* after);

// ---- the parts ----

void test_program_status();
void test_coprocessors();
void test_translation();
void test_exceptions();
void test_maintenance();
void test_code();
void test_floating_point();
void test_interrupts();

extern "C" {
// bodies.S
void unmask_by_cps(u32), unmask_by_msr(u32), unmask_by_movs(u32), unmask_by_rfe(u32),
    unmask_by_ldm(u32), unmask_by_return_to_user(u32), unmask_by_mode_change(u32),
    unmask_and_mask(u32), wait_masked(u32);
void exclusive_plain(u32), exclusive_cleared(u32), exclusive_double(u32), exclusive_byte(u32),
    exclusive_half(u32), exclusive_many(u32);
void thumb_call(), thumb_undefined(), thumb_load(), thumb_if_then(), thumb_branch(), thumb_leave();
void to_thumb(u32);
void mixed_store(u32), mixed_exclusive(u32), mixed_float(u32), mixed_stack(u32), across_pages(u32);
extern u32 mixed_page[1024], mixed_data[24], copied_code[], copied_code_end[];
}

}  // namespace guest
