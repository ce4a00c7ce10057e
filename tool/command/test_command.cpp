// test: hands over to ctest in the build folder.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/places.hpp"
#include "command/command.hpp"
#include "command/prepare.hpp"

namespace mezzo::command {

namespace {

struct Options {
  std::vector<std::string> labels;
  std::string name;
  bool soak = false;
};

int run_tests(const Options& options) {
  std::vector<std::string> arguments = {
      "ctest",
      "--test-dir",
      base::build_directory().string(),
      "--output-on-failure",
      "--no-tests=error",
      "--parallel",
      std::to_string(std::max(1u, std::thread::hardware_concurrency()))};
  std::string labels;
  for (const std::string& label : options.labels)
    labels += (labels.empty() ? "^" : "|^") + label + "$";
  if (!labels.empty()) arguments.insert(arguments.end(), {"-L", labels});
  if (!options.soak) arguments.insert(arguments.end(), {"-LE", "soak"});
  if (!options.name.empty()) arguments.insert(arguments.end(), {"-R", options.name});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  base::throw_errno("cannot start ctest");
}

}  // namespace

void add_test_command(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = app.add_subcommand("test", "Run the project's tests");
  command
      ->add_option("labels", options->labels,
                   "which kinds: unit, fuzz, system, lint (default: all)")
      ->type_name("LABEL...")
      ->check(CLI::IsMember({"unit", "fuzz", "system", "lint"}));
  command->add_option("-R,--tests", options->name, "only tests whose name matches")
      ->type_name("REGEX");
  command->add_flag("--soak", options->soak, "the long ones too (a hundred restarts of Linux)");
  command->callback([&action, options] { action = [options] { return run_tests(*options); }; });
}

}  // namespace mezzo::command
