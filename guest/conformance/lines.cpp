#include "conformance/lines.hpp"

#include "common/text.hpp"

namespace guest {

void begin_line(const char* name) { print(name); }
void add_name(const char* part) {
  print(" ");
  print(part);
}
void add_name(std::uint32_t number) {
  print(" ");
  print_hex(number);
}
void begin_values() { print(":"); }
void show(const char* label, std::uint32_t value) {
  print(" ");
  print(label);
  print("=");
  print_hex(value);
}
void show(std::uint32_t value) {
  print(" ");
  print_hex(value);
}
void show(const char* text) {
  print(" ");
  print(text);
}

void show_of(const char* whose, const char* what, std::uint32_t value) {
  print(" ");
  print(whose);
  print(".");
  print(what);
  print("=");
  print_hex(value);
}
void show_of(const char* whose, std::uint32_t index, std::uint32_t value) {
  print(" ");
  print(whose);
  print("[");
  print_number(index);
  print("]=");
  print_hex(value);
}

void end_line() { print("\n"); }
void end_line_differing(const char* reason) {
  print(" (by design: ");
  print(reason);
  print(")\n");
}

}  // namespace guest
