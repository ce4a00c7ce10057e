// Which register holds nothing any more behind a word of a guest's kernel: one that the words after
// it overwrite before they read it. A stub may use it without saving it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace mezzo::armv7 {

// Registers as bits, R0 in bit 0.
struct RegisterUse {
  std::uint32_t reads = 0;   // at least those that it reads
  std::uint32_t writes = 0;  // at most those that it writes, whatever they were
  bool goes_on = true;       // to the next word, whatever happens
};
// What a word does with registers; nothing if that is not known: words with a condition, changes of
// PC, of the mode, and what kernels replace while they run (NOP). A load or store that is not of
// the stack or of text may fault and go on elsewhere, in a fixup of the kernel's, where what it was
// to overwrite may still be used.
[[nodiscard]] std::optional<RegisterUse> register_use(std::uint32_t word);

inline constexpr std::size_t kFarthestUse = 3;  // words that are looked at

// A register that is dead where the words of `behind` are next, none of `except`, nor SP or PC.
[[nodiscard]] std::optional<unsigned> dead_register(std::span<const std::uint32_t> behind,
                                                    std::uint32_t except);

}  // namespace mezzo::armv7
