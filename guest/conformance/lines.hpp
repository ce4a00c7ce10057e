// How conformance is stated: each case prints one line, "name: what happened". What is right is
// what the same binary prints on the bare machine. Where a monitor differs by design the line says
// so and why; only its name is compared then.
#pragma once

#include <cstdint>

namespace guest {

// Starts a line; the parts of a name are separated by a space.
void begin_line(const char* name);
void add_name(const char* part);
void add_name(std::uint32_t number);
void begin_values();
void show(const char* label, std::uint32_t value);  // " label=0x..."
void show(std::uint32_t value);
void show(const char* text);
void show_of(const char* whose, const char* what, std::uint32_t value);     // " whose.what=0x..."
void show_of(const char* whose, std::uint32_t index, std::uint32_t value);  // " whose[index]=0x..."
void end_line();
void end_line_differing(const char* reason);

inline void line(const char* name, std::uint32_t value) {
  begin_line(name);
  begin_values();
  show(value);
  end_line();
}

}  // namespace guest
