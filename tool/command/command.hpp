// The commands of the tool: each add_*() declares one subcommand with its options and what runs it.
// What they do is in fetch/, system/, image/ and run/.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace mezzo::command {

// What the chosen subcommand does; returns the process's exit status. Empty until one is chosen.
using Action = std::function<int()>;

// Parses the arguments, runs the chosen command and reports its errors on stderr.
// Returns the exit status: 0 done, 1 a failure explained on stderr, 2 wrong arguments, 128+n signal
// n.
int main(int argc, char** argv);

}  // namespace mezzo::command
