// The command line of our guests: words of the form name=value.
#pragma once

#include <cstdint>

namespace guest {

// Keeps a copy of the command line; what is too long is cut.
void keep_command_line(const char* text);

// What a command line option `name=` says; nothing if it is not there. Ends at a space.
struct Option {
  const char* begin = nullptr;
  std::uint32_t length = 0;
  [[nodiscard]] bool is(const char* text) const;
  [[nodiscard]] std::uint32_t number(std::uint32_t otherwise) const;  // decimal or 0x
};
[[nodiscard]] Option option(const char* name);

}  // namespace guest
