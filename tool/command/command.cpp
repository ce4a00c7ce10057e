// The command line as a whole: help, version, dispatch and the reporting of errors.
#include "command/command.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <new>
#include <system_error>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "mezzo_build.hpp"

namespace mezzo::command {

namespace {

int report(const UserError& error) {
  fmt::print(stderr, "mezzo: {}\n", error.what());
  if (!error.remedy().empty()) fmt::print(stderr, "  {}\n", error.remedy());
  return 1;
}

// What stdio still holds is written; an error of the whole output becomes one of the command.
void flush_output() {
  if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category());
}

int report(const std::system_error& error) {
  // Whoever reads our output has seen enough (`mezzo log | head`).
  if (error.code() == std::errc::broken_pipe) return 128 + SIGPIPE;
  const bool about_file = dynamic_cast<const std::filesystem::filesystem_error*>(&error) != nullptr;
  return report(
      UserError(about_file ? error.what() : "cannot write the output: " + error.code().message(),
                base::remedy_for(error.code().value())));
}

int run(const Action& action) {
  try {
    const base::InterruptScope interrupts;
    const int status = action();
    flush_output();
    return status;
  } catch (const UserError& error) {
    return report(error);
  } catch (const Interrupted& interrupted) {
    fmt::print(stderr, "\nmezzo: interrupted; nothing is left half-done\n");
    return 128 + interrupted.signal();
  } catch (const std::system_error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(UserError("there is not enough memory", "Close other programs."));
  } catch (const std::exception& error) {
    fmt::print(stderr, "mezzo: internal error: {}\n", error.what());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a write beyond `ulimit -f` then fails with EFBIG
  CLI::App app{"Mezzo"};
  Action action;
  app.name("mezzo");
  app.set_version_flag("--version", std::string("mezzo ") + build::kVersion);
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  add_system_commands(app, action);
  add_run_commands(app, action);
  add_monitor_commands(app, action);
  add_console_command(app, action);
  add_bench_command(app, action);
  add_test_command(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run(action);
}

}  // namespace mezzo::command
