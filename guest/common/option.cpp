#include "common/option.hpp"

namespace guest {
namespace {

char command_line[512];

}  // namespace

void keep_command_line(const char* text) {
  std::uint32_t n = 0;
  for (; n < sizeof command_line - 1 && text[n] != 0; ++n) command_line[n] = text[n];
  command_line[n] = 0;
}

Option option(const char* name) {
  for (const char* at = command_line; *at != 0;) {
    std::uint32_t i = 0;
    while (name[i] != 0 && at[i] == name[i]) ++i;
    const bool starts_word = at == command_line || at[-1] == ' ';
    if (starts_word && name[i] == 0 && at[i] == '=') {
      Option result{at + i + 1, 0};
      while (result.begin[result.length] != 0 && result.begin[result.length] != ' ') {
        ++result.length;
      }
      return result;
    }
    ++at;
  }
  return {};
}

bool Option::is(const char* text) const {
  for (std::uint32_t i = 0; i < length; ++i) {
    if (text[i] != begin[i]) return false;  // also at the end of `text`
  }
  return begin != nullptr && text[length] == 0;
}

std::uint32_t Option::number(std::uint32_t otherwise) const {
  if (length == 0) return otherwise;
  const bool hex = length > 2 && begin[0] == '0' && begin[1] == 'x';
  std::uint32_t result = 0;
  for (std::uint32_t i = hex ? 2 : 0; i < length; ++i) {
    const auto c = static_cast<std::uint32_t>(begin[i]);
    const std::uint32_t digit = c >= 'a' ? c - 'a' + 10 : c - '0';
    result = result * (hex ? 16 : 10) + digit;
  }
  return result;
}

}  // namespace guest
