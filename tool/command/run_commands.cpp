// run and demo.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/places.hpp"
#include "command/command.hpp"
#include "command/prepare.hpp"
#include "image/compile.hpp"
#include "run/run.hpp"

namespace mezzo::command {

namespace {

constexpr int kDemoTimeout = 300;  // seconds; headless only

struct Options {
  std::string file;
  std::string arch = "ia32", board;  // demo
  bool headless = false;
  std::vector<std::string> scripts;  // FILE or PARTITION=FILE
  int timeout = 0;                   // seconds; 0: none
  std::string result;
  bool refresh = false;
};

run::PartitionScript read_script(const std::string& text) {
  run::PartitionScript script;
  std::string file = text;
  if (const auto equals = text.find('='); equals != std::string::npos) {
    script.partition = text.substr(0, equals);
    file = text.substr(equals + 1);
  }
  const base::Bytes bytes = base::read_file(file, base::Pipes::Allowed);
  script.steps =
      run::parse_script({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file);
  return script;
}

void print_provenance(const image::CompiledImage& image) {
  for (const image::PartitionReport& partition : image.partitions) {
    const std::string kernel =
        partition.kernel_package.empty()
            ? "kernel file"
            : fmt::format("{} {}", partition.kernel_package, partition.kernel_version);
    fmt::print("mezzo: {}: {}, SHA-256 {}\n", partition.name, kernel, partition.kernel_sha256);
  }
  std::fflush(stdout);
}

int run_system(const Options& options) {
  if (!options.result.empty()) base::check_writable(options.result);
  run::RunOptions run_options;
  run_options.headless = options.headless;
  run_options.result = options.result;
  if (options.timeout > 0) run_options.timeout = std::chrono::seconds(options.timeout);
  for (const std::string& script : options.scripts) {
    run_options.scripts.push_back(read_script(script));
  }
  const system::System system = load(options.file);
  const system::Artifacts artifacts = fetch_all(system, options.refresh);
  const image::CompiledImage image = compile(system, artifacts);
  print_provenance(image);
  return run::run(system, artifacts, image, monitor_elf(image.plan.architecture), run_options);
}

const char* demo_system(const Options& options) {
  const bool armv7 = options.arch == "armv7";
  if (!armv7 && !options.board.empty()) {
    throw UserError(fmt::format("--board {} needs --arch armv7", options.board));
  }
  if (options.board == "cubieboard") return "cubieboard.toml";
  return armv7 ? "two-linux-armv7.toml" : "demo.toml";
}

int demo(Options options) {
  const auto example = base::source_directory() / "example";
  options.file = (example / demo_system(options)).string();
  if (options.headless) {
    if (options.scripts.empty()) options.scripts = {(example / "demo.script").string()};
    if (options.timeout == 0) options.timeout = kDemoTimeout;
  }
  return run_system(options);
}

void add_options(CLI::App& command, const std::shared_ptr<Options>& options) {
  command.add_flag("--headless", options->headless,
                   "no keyboard: type the scripts, print the consoles, exit with a status");
  command
      .add_option("--script", options->scripts,
                  "type FILE's lines into every Linux guest's shell, or into one partition's\n"
                  "console")
      ->type_name("[NAME=]FILE");
  command.add_option("--timeout", options->timeout, "give up after this time (exit status 124)")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--result", options->result, "write the result as JSON (doc/result-schema.md)")
      ->type_name("FILE");
  command.add_flag("--update", options->refresh, "ask the mirror for newer packages first");
}

}  // namespace

void add_run_commands(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* const run =
      app.add_subcommand("run", "Boot a system in QEMU, consoles on this terminal");
  run->add_option("system", options->file, "the system file")->required()->type_name("SYSTEM.toml");
  add_options(*run, options);
  run->footer(
      "Consoles: each line is shown with its partition's name until all guests show a prompt; "
      "then\n"
      "the keyboard goes to one of them. Ctrl-A three times: next; Ctrl-A h: all keys.\n"
      "Exit status: 0 done, 1 failed, 124 time-out, 128+n signal n.");
  run->callback([&action, options] { action = [options] { return run_system(*options); }; });
  CLI::App* const demo_command = app.add_subcommand(
      "demo",
      "Two unmodified Linux guests and a real-time kernel side by side (example/demo.toml);\n"
      "on Arm the Linux guests alone (example/two-linux-armv7.toml)");
  demo_command
      ->add_option("--arch", options->arch,
                   "the processors: ia32, a PC (default); or armv7, a Versatile Express with\n"
                   "Cortex-A9")
      ->type_name("NAME")
      ->check(CLI::IsMember({"ia32", "armv7"}));
  demo_command
      ->add_option("--board", options->board,
                   "with --arch armv7: vexpress-a9 (default); or cubieboard, one guest on a\n"
                   "Cortex-A8")
      ->type_name("NAME")
      ->check(CLI::IsMember({"vexpress-a9", "cubieboard"}));
  add_options(*demo_command, options);
  demo_command->footer(
      "Without --headless you get a shell on each. Ctrl-A three times: next; "
      "Ctrl-A q: end.");
  demo_command->callback([&action, options] { action = [options] { return demo(*options); }; });
}

}  // namespace mezzo::command
