// Runs other programs to their end and gives back what they said. Long-lived children (QEMU) are
// started here too, but watched by their owner.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mezzo::base {

struct Command {
  std::vector<std::string> argv;                                   // argv[0] is looked up in PATH
  std::filesystem::path directory{};                               // where it runs; empty: here
  std::vector<std::pair<std::string, std::string>> environment{};  // added to ours
};

struct Finished {
  int status = 0;      // exit status; 128 + n if signal n ended it; 127 if it could not be started
  std::string output;  // stdout and stderr as they came
};

using LineSink = std::function<void(std::string_view)>;

// Runs `command` with stdin empty and waits. `on_line`, if given, sees each complete line as it
// comes. The child dies with us. Throws Interrupted, after ending the child, if a signal was noted.
Finished run(const Command& command, const LineSink& on_line = {});

// Starts `command` with stdin empty and stdout and stderr going to the file `log`; it is killed
// when we die, and is in a process group of its own so that the terminal's Ctrl-C does not reach
// it. Returns its process id. Throws UserError if it cannot be started.
pid_t start(const Command& command, const std::filesystem::path& log);

// The full path of `program` in PATH, or empty.
std::filesystem::path find_program(std::string_view program);

}  // namespace mezzo::base
