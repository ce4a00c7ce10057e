// Running one instruction in a given mode, with known registers, and showing all that it changed:
// registers of its own mode and of the others, status, memory.
#include "conformance/conformance.hpp"

namespace guest {

alignas(64) u32 block[kBlockWords];

extern "C" {
extern const u32 frame_with_spsr[], frame_without_spsr[], frame_word[], frame_rest[], frame_end[];
struct Bank {
  u32 sp, lr, spsr;
};
void write_banks();
void read_banks(Bank* banks);
}

namespace {

constexpr u32 kStackWords = 8;  // that are shown: half of them below the stack pointer
struct {
  WordState before;
  u32 unused[15];
  WordState after;
} words;
static_assert(offsetof(decltype(words), after) == 128);
constexpr u32 kStackBytes = 4096, kHeadroom = 64;
constexpr u32 kBanks = 5;
constexpr const char* kBankNames[kBanks] = {"fiq", "irq", "abt", "und", "usr"};
constexpr u32 kBankModes[kBanks] = {psr::kFiq, psr::kIrq, psr::kAbort, psr::kUndefined,
                                    psr::kSystem};
constexpr u32 kBankStacks[kBanks] = {1, 2, 3, 4, 0};  // by their order in mode_stacks

// A kernel's page is executed by the kernel only, a process's by the process.
struct alignas(4096) Page {
  u32 words[1024];
};
Page kernel_page, user_page, own_stack;

u32 alias;  // from where the words' pages are linked to where they are run

[[nodiscard]] Page& page_of(const Mode& mode) {
  return mode.number == psr::kUser ? user_page : kernel_page;
}
[[nodiscard]] u32 word_index() { return static_cast<u32>(frame_word - frame_with_spsr); }
[[nodiscard]] u32 stack_of_words() { return address_of(own_stack.words + 512); }
[[nodiscard]] u32 stack_of_bank(u32 bank) {
  return address_of(mode_stacks) + (kBankStacks[bank] + 1) * kStackBytes - kHeadroom;
}

void write_frame(Page& page) {
  if (page.words[0] != 0) return;
  const u32 count = static_cast<u32>(frame_end - frame_with_spsr);
  for (u32 n = 0; n < count; ++n) page.words[n] = frame_with_spsr[n];
  make_executable(address_of(page.words), count * 4);
}

constexpr const char* kRegisterNames[15] = {"r0", "r1", "r2",  "r3",  "r4",  "r5", "r6", "r7",
                                            "r8", "r9", "r10", "r11", "r12", "sp", "lr"};

void copy(u32* to, const u32* from, u32 count) {
  for (u32 n = 0; n < count; ++n) to[n] = from[n];
}

void show_registers(const u32* before, const u32* after, u32 count) {
  for (u32 n = 1; n < count; ++n) {
    if (after[n] != before[n]) show(kRegisterNames[n], after[n]);
  }
}

// Everything that a word can change besides the registers of its own mode.
struct Surroundings {
  Bank banks[kBanks];
  u32 block[kBlockWords];
  u32 stacks[kBanks + 1][kStackWords];  // around each stack pointer; the last is the word's own
};

[[nodiscard]] u32* stack_words(u32 n) {
  return &memory_at<u32>((n < kBanks ? stack_of_bank(n) : stack_of_words()) - kStackWords / 2 * 4);
}

void look_around(Surroundings& seen) {
  read_banks(seen.banks);
  copy(seen.block, block, kBlockWords);
  for (u32 n = 0; n <= kBanks; ++n) copy(seen.stacks[n], stack_words(n), kStackWords);
}

// The frame itself has set the stack pointer and LR of the mode that the word began in.
void show_banks(const Surroundings& before, const Surroundings& after, const Mode& mode,
                const Taken& taken) {
  for (u32 n = 0; n < kBanks; ++n) {
    const Bank &was = before.banks[n], &is = after.banks[n];
    const bool handler = !taken.left() && kBankModes[n] == (taken.frame.cpsr & psr::kModeMask);
    const bool own = kBankModes[n] == mode.number ||
                     (kBankModes[n] == psr::kSystem && mode.number == psr::kUser);
    if (handler) continue;
    if (is.sp != (own ? stack_of_words() : was.sp)) show_of(kBankNames[n], "sp", is.sp);
    if (is.lr != (own ? word_end(mode) : was.lr)) show_of(kBankNames[n], "lr", is.lr);
    if (!own && is.spsr != was.spsr) show_of(kBankNames[n], "spsr", is.spsr);
  }
}

void show_memory(const Surroundings& before, const Surroundings& after, const Taken& taken) {
  for (u32 n = 0; n < kBlockWords; ++n) {
    if (before.block[n] != after.block[n]) show_of("block", n, after.block[n]);
  }
  if (!taken.left()) return;  // the handler has used its stack
  for (u32 n = 0; n <= kBanks; ++n) {
    for (u32 m = 0; m < kStackWords; ++m) {
      // The call by which the word's frame was left has used the stack below.
      if (n == kBanks && m < kStackWords / 2) continue;
      if (before.stacks[n][m] == after.stacks[n][m]) continue;
      show_of(n < kBanks ? kBankNames[n] : "own", m, after.stacks[n][m]);
    }
  }
}

}  // namespace

void run_words_at(u32 distance) { alias = distance; }

u32 word_end(const Mode& mode) {
  return alias + address_of(page_of(mode).words + (frame_rest - frame_with_spsr));
}

WordState word_input(const Mode& mode, u32 operand) {
  WordState state{};
  for (u32 n = 0; n < 13; ++n) state.r[n] = n * 0x11111111;
  state.r[1] = operand;
  state.r[4] = address_of(block + kBlockMiddle);
  state.r[5] = state.r[4] - 4;
  state.r[6] = 0;
  state.r[7] = ~word_end(mode);
  state.r[8] = word_end(mode);
  state.r[13] = stack_of_words();
  state.r[14] = word_end(mode);
  state.spsr = 0x10000000 | psr::kMasks | mode.number;
  return state;
}

Taken execute_word(const Mode& mode, u32 instruction, const WordState& before, WordState* after) {
  Page& page = page_of(mode);
  write_frame(page);
  page.words[word_index()] = instruction;
  make_executable(address_of(page.words + word_index()), 4);
  words.before = before;
  words.before.r[0] = address_of(&words);
  words.after = before;
  const u32 skip = mode.has_spsr() ? 0 : static_cast<u32>(frame_without_spsr - frame_with_spsr);
  const auto body = reinterpret_cast<Body>(alias + address_of(page.words + skip));
  const Taken taken = run(psr::kMasks | mode.number, body, address_of(&words));
  if (after != nullptr) *after = words.after;
  return taken;
}

void run_word(const Mode& mode, const Word& word, const WordState& before, const char* difference) {
  static Surroundings surroundings, now;
  for (u32 n = 0; n <= kBanks; ++n) {
    for (u32 m = 0; m < kStackWords; ++m) stack_words(n)[m] = 0;
  }
  write_banks();
  look_around(surroundings);
  for (u32 n = 0; n < kBanks; ++n) surroundings.banks[n].sp = stack_of_bank(n);
  WordState after;
  const Taken taken = execute_word(mode, word.instruction, before, &after);
  look_around(now);

  begin_values();
  show(taken, alias + address_of(page_of(mode).words + word_index()));
  show_registers(before.r, taken.left() ? after.r : taken.frame.r, taken.left() ? 15 : 13);
  if (taken.left()) {
    show("cpsr", taken.frame.spsr);
  }
  show_banks(surroundings, now, mode, taken);
  show_memory(surroundings, now, taken);
  if (difference != nullptr) {
    end_line_differing(difference);
  } else {
    end_line();
  }
  copy(block, surroundings.block, kBlockWords);
}

}  // namespace guest
