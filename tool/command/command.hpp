// The commands of the tool: each add_*() declares subcommands with their options and what runs
// them. What they do is in fetch/, system/, image/ and run/.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace mezzo::command {

// What the chosen subcommand does; returns the process's exit status. Empty until one is chosen.
using Action = std::function<int()>;

void add_system_commands(CLI::App& app, Action& action);   // check, fetch, image
void add_run_commands(CLI::App& app, Action& action);      // run, demo
void add_monitor_commands(CLI::App& app, Action& action);  // stat, trace, log, stop, ...
void add_console_command(CLI::App& app, Action& action);   // console
void add_bench_command(CLI::App& app, Action& action);     // bench
void add_test_command(CLI::App& app, Action& action);      // test

// Parses the arguments, runs the chosen command and reports its errors on stderr.
// Returns the exit status: 0 done, 1 a failure explained on stderr, 2 wrong arguments, 128+n signal
// n.
int main(int argc, char** argv);

}  // namespace mezzo::command
