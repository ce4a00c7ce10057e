// What the tool tells the user when something is wrong: what it is, where, and what to do about it.
//
// Every function that can fail on the user's input returns a Result, whose error is a list, because
// one run should show all mistakes and not only the first. Nothing here decides what is a mistake.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace mezzo::system {

// A place in a text file; line and column count from 1, 0 means "the file as a whole".
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  bool operator==(const Position&) const = default;
};

struct Location {
  std::string file;  // as the user named it; empty: no file is concerned
  Position position;
};

enum class Severity { Error, Warning };

struct Diagnostic {
  Severity severity = Severity::Error;
  Location where;
  std::string what;    // one sentence without a full stop
  std::string remedy;  // "do this", one sentence; empty if there is nothing to advise
};

using Diagnostics = std::vector<Diagnostic>;

template <class T>
using Result = std::expected<T, Diagnostics>;

// "file:line:column: error: what\n    do this: remedy", as compilers print, without a final
// newline.
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);

// True if any of them is an error.
[[nodiscard]] bool has_errors(const Diagnostics& diagnostics);

}  // namespace mezzo::system

template <>
struct fmt::formatter<mezzo::system::Diagnostic> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const mezzo::system::Diagnostic& diagnostic, Context& context) const {
    return fmt::formatter<std::string>::format(mezzo::system::to_string(diagnostic), context);
  }
};
