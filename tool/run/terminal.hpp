// The user's terminal: raw while a guest has it, and always as it was afterwards.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace mezzo::run {

// Puts the terminal on stdin into raw mode (output processing stays on) until destruction. It is
// restored too if the process dies by one of the signals that a bug causes. At most one at a time.
class RawTerminal {
 public:
  RawTerminal();
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
};

[[nodiscard]] bool is_terminal(std::FILE* file);

// True if `file` is a terminal and NO_COLOR is not set (https://no-color.org).
[[nodiscard]] bool wants_colour(std::FILE* file);

// "name | " in the colour of partition number `index`, padded to `width`.
[[nodiscard]] std::string console_prefix(std::string_view name, std::size_t index,
                                         std::size_t width, bool colour);

}  // namespace mezzo::run
