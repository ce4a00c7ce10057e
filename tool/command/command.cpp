// The command line as a whole: help, version, dispatch and the reporting of errors.
#include "command/command.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "base/error.hpp"
#include "mezzo_build.hpp"

namespace mezzo::command {

namespace {

int report(const UserError& error) {
  fmt::print(stderr, "mezzo: {}\n", error.what());
  if (!error.remedy().empty()) fmt::print(stderr, "  {}\n", error.remedy());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Mezzo"};
  Action action;
  app.set_version_flag("--version", std::string("mezzo ") + build::kVersion);
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
    return action ? action() : 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const UserError& error) {
    return report(error);
  } catch (const Interrupted& interrupted) {
    fmt::print(stderr, "\nmezzo: interrupted\n");
    return 128 + interrupted.signal();
  } catch (const std::exception& error) {
    fmt::print(stderr, "mezzo: internal error: {}\n", error.what());
    return 1;
  }
}

}  // namespace mezzo::command
