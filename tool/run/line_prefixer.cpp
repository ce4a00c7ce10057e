// Byte by byte, because console bytes come in pieces of any size.
#include "run/line_prefixer.hpp"

#include <utility>

namespace mezzo::run {

namespace {

constexpr char kEscape = 0x1b;

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

std::vector<std::string> LinePrefixer::feed(std::string_view bytes) {
  std::vector<std::string> lines;
  for (const char c : bytes) take(c, lines);
  return lines;
}

void LinePrefixer::take(char c, std::vector<std::string>& lines) {
  if (escape_ == Escape::Begun) {
    escape_ = c == '[' ? Escape::Sequence : Escape::None;
    return;
  }
  if (escape_ == Escape::Sequence) {
    if (c >= '@' && c <= '~') escape_ = Escape::None;  // the final byte (ECMA-48, 5.4)
    return;
  }
  if (c == kEscape) {
    escape_ = Escape::Begun;
  } else if (c == '\n') {
    lines.push_back(complete(line_.size()));
  } else if (c == '\b') {
    while (!line_.empty() && continues_character(line_.back())) line_.pop_back();
    if (!line_.empty()) line_.pop_back();
  } else if (c == '\t' || static_cast<unsigned char>(c) >= ' ') {
    if (line_.size() >= kMaxLine && !continues_character(c))
      lines.push_back(complete(line_.size()));
    line_.push_back(c);
  }
}

std::string LinePrefixer::complete(std::size_t length) {
  std::string line = prefix_ + line_.substr(0, length) + "\n";
  line_.erase(0, length);
  return line;
}

std::string LinePrefixer::flush() { return line_.empty() ? std::string() : complete(line_.size()); }

}  // namespace mezzo::run
