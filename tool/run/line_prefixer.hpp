// Turns the bytes of one console into whole lines for a shared screen. Escape sequences and control
// characters of the guest are left out: a guest must not move the cursor of a screen it shares.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mezzo::run {

class LinePrefixer {
 public:
  // `prefix` is put before each line.
  explicit LinePrefixer(std::string prefix) : prefix_(std::move(prefix)) {}

  // Takes console bytes in pieces of any size and returns the lines that they complete, each with
  // the prefix and a newline. A line longer than kMaxLine bytes is broken between characters.
  [[nodiscard]] std::vector<std::string> feed(std::string_view bytes);

  // The unfinished line (a prompt, for example), with prefix and newline; empty if there is none.
  [[nodiscard]] std::string flush();

  // The unfinished line as it stands, without prefix.
  [[nodiscard]] const std::string& unfinished() const { return line_; }

  static constexpr std::size_t kMaxLine = 1024;

 private:
  enum class Escape { None, Begun, Sequence };

  void take(char c, std::vector<std::string>& lines);
  [[nodiscard]] std::string complete(std::size_t length);

  std::string prefix_;
  std::string line_;
  Escape escape_ = Escape::None;
};

}  // namespace mezzo::run
