// The monitor's own messages: kept in the status region's ring, and copied to the board's debug
// port. Not a console for guests, and never called with guest text of unbounded length.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include "abi/status.hpp"

namespace mezzo::diag {

// Wraps a number to be printed in hexadecimal.
struct Hex {
  std::uint32_t value;
};

// Where one character of the log goes besides the ring; a board provides it.
using CharacterSink = void (*)(char);

class Log {
 public:
  constexpr Log(status::Log& ring, CharacterSink sink) : ring_(ring), sink_(sink) {}

  // Appends each argument and a newline. Safe from every CPU; lines of two CPUs may interleave.
  template <class... Parts>
  void line(const Parts&... parts) {
    put("mezzo: ");
    (put(parts), ...);
    put('\n');
  }

  void put(char character) {
    ring_.text[ring_.written % status::kLogSize] = character;
    ring_.written = ring_.written + 1;
    sink_(character);
  }
  void put(std::string_view text) {
    for (const char character : text) put(character);
  }
  void put(const char* text) { put(std::string_view(text)); }
  void put(Hex number);
  template <std::unsigned_integral Number>
  void put(Number number) {
    put_decimal(number);
  }

 private:
  void put_decimal(std::uint32_t number);

  status::Log& ring_;
  CharacterSink sink_;
};

}  // namespace mezzo::diag
