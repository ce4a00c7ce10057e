// termios and the last-resort signal handlers.
#include "run/terminal.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace mezzo::run {

namespace {

constexpr std::array kFatal = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT};
// Colours of the partitions, as SGR parameters: cyan, yellow, magenta, green, blue, red.
constexpr std::array kColours = {36, 33, 35, 32, 34, 31};

termios saved;
bool raw = false;

void restore() {
  if (raw) tcsetattr(STDIN_FILENO, TCSANOW, &saved);
  raw = false;
}

void restore_and_die(int signal_number) {
  restore();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

}  // namespace

RawTerminal::RawTerminal() {
  if (tcgetattr(STDIN_FILENO, &saved) != 0) return;
  termios now = saved;
  cfmakeraw(&now);
  now.c_oflag = saved.c_oflag;
  raw = true;
  for (const int fatal : kFatal) signal(fatal, restore_and_die);
  tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

RawTerminal::~RawTerminal() {
  restore();
  for (const int fatal : kFatal) signal(fatal, SIG_DFL);
}

bool is_terminal(std::FILE* file) { return isatty(fileno(file)) == 1; }

bool wants_colour(std::FILE* file) {
  const char* const no_colour = std::getenv("NO_COLOR");
  return is_terminal(file) && (no_colour == nullptr || *no_colour == '\0');
}

std::string console_prefix(std::string_view name, std::size_t index, std::size_t width,
                           bool colour) {
  if (!colour) return fmt::format("{:<{}} | ", name, width);
  return fmt::format("\033[{}m{:<{}} |\033[0m ", kColours[index % kColours.size()], name, width);
}

}  // namespace mezzo::run
