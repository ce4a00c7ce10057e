#include "common/text.hpp"

namespace guest {
namespace {

void print_digits(std::uint32_t number) {
  for (unsigned shift = 32; shift > 0; shift -= 4) {
    put("0123456789abcdef"[number >> (shift - 4) & 15]);
  }
}

}  // namespace

void print(const char* text) {
  for (; *text != 0; ++text) {
    if (*text == '\n') put('\r');
    put(*text);
  }
}

void print_number(std::uint32_t number) {
  char digits[11];
  unsigned at = sizeof digits - 1;
  digits[at] = 0;
  do {
    digits[--at] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  print(digits + at);
}

void print_hex(std::uint32_t number) {
  print("0x");
  print_digits(number);
}

void print_hex64(std::uint64_t number) {
  print_hex(static_cast<std::uint32_t>(number >> 32));
  print_digits(static_cast<std::uint32_t>(number));
}

}  // namespace guest
