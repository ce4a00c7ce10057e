// Commands that talk to a running monitor: stat, top, trace, log, stop, restart, pause, resume.
#include <fmt/format.h>
#include <poll.h>

#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"
#include "command/command.hpp"
#include "run/control.hpp"
#include "run/machine_ram.hpp"
#include "run/names.hpp"
#include "run/result.hpp"
#include "run/run_dir.hpp"
#include "run/status_text.hpp"
#include "run/trace_export.hpp"

namespace mezzo::command {

namespace {

constexpr std::chrono::milliseconds kAnswerTimeout{5000};
constexpr int kWatchMs = 1000;

struct Options {
  std::string run;  // empty: the only one
  std::string partition;
  bool json = false;
  bool watch = false;
  std::uint32_t entries = 20;
  std::string chrome;  // file; empty: a table
};

status::Region require_snapshot(const run::LiveRun& live, const run::MachineRam& ram) {
  const auto region = run::snapshot(ram.region(live.info.status_offset));
  if (!region) {
    throw UserError(fmt::format("the monitor of '{}' has not started yet", live.info.name),
                    "Try again in a moment; if it stays so, look at the terminal it runs on.");
  }
  return *region;
}

void print_status(const Options& options, const run::LiveRun& live, const status::Region& region) {
  if (!options.json) {
    fmt::print("{} on {} processors, {} heartbeats\n\n{}", live.info.name, region.cpu_count,
               region.heartbeats, run::partition_table(region));
    return;
  }
  nlohmann::json partitions = nlohmann::json::array();
  for (std::size_t i = 0; i < region.partition_count; ++i) {
    partitions.push_back(run::partition_json(region, i));
  }
  fmt::print("{}", run::to_text({{"schema", run::kResultVersion},
                                 {"run", live.info.name},
                                 {"system_file", live.info.system_file},
                                 {"monitor", run::monitor_json(region)},
                                 {"partitions", partitions}}));
}

// Whether a second has passed: false once the user wants no more. Ends with an explanation if the
// run is gone.
bool wait_a_second(const run::LiveRun& live) {
  pollfd interrupt = {.fd = base::interrupt_fd(), .events = POLLIN, .revents = 0};
  if (poll(&interrupt, 1, kWatchMs) != 0) return false;
  static_cast<void>(run::find_run(live.info.name));
  return true;
}

int stat(const Options& options) {
  const run::LiveRun live = run::find_run(options.run);
  const run::MachineRam ram = run::MachineRam::open(live.info.ram);
  for (;;) {
    if (options.watch) fmt::print("\033[H\033[2J");
    print_status(options, live, require_snapshot(live, ram));
    std::fflush(stdout);
    if (!options.watch || !wait_a_second(live)) return 0;
  }
}

int top(const Options& options) {
  const run::LiveRun live = run::find_run(options.run);
  const run::MachineRam ram = run::MachineRam::open(live.info.ram);
  status::Region before = require_snapshot(live, ram);
  while (wait_a_second(live)) {
    const status::Region now = require_snapshot(live, ram);
    fmt::print("\033[H\033[2J{} on {} processors, {} heartbeats; Ctrl-C ends this\n\n{}",
               live.info.name, now.cpu_count, now.heartbeats, run::rate_table(before, now));
    std::fflush(stdout);
    before = now;
  }
  return 0;
}

int trace(const Options& options) {
  const run::LiveRun live = run::find_run(options.run);
  const run::MachineRam ram = run::MachineRam::open(live.info.ram);
  const status::Region region = require_snapshot(live, ram);
  if (options.chrome.empty()) {
    fmt::print("{}", run::trace_table(region, options.entries));
    return 0;
  }
  base::write_file(options.chrome, run::to_text(run::chrome_trace(region, status::kTraceEntries)));
  fmt::print("{} is written; open it at https://ui.perfetto.dev or chrome://tracing\n",
             options.chrome);
  return 0;
}

int log(const Options& options) {
  const run::LiveRun live = run::find_run(options.run);
  const run::MachineRam ram = run::MachineRam::open(live.info.ram);
  fmt::print("{}", run::log_text(require_snapshot(live, ram).log));
  return 0;
}

int command(const Options& options, status::Command command, std::string_view done) {
  const run::LiveRun live = run::find_run(options.run);
  const std::uint32_t partition = run::find_partition(live.info, options.partition);
  const run::MachineRam ram = run::MachineRam::open(live.info.ram);
  const status::Region before = require_snapshot(live, ram);
  const status::CommandResult result =
      run::send_command(ram.region(live.info.status_offset).control, live.path / "control.lock",
                        command, partition, kAnswerTimeout);
  if (result == status::CommandResult::Done) {
    fmt::print("{} {}\n", options.partition, done);
    return 0;
  }
  throw UserError(fmt::format("{}: {} (it is {})", options.partition, run::name_of(result),
                              run::name_of(before.partitions[partition].state)),
                  "`mezzo stat` shows the states.");
}

CLI::App* add(CLI::App& app, const std::string& name, const std::string& description,
              const std::shared_ptr<Options>& options) {
  CLI::App* const subcommand = app.add_subcommand(name, description);
  subcommand->add_option("--run", options->run, "which run, if there are several")
      ->type_name("NAME");
  return subcommand;
}

void add_command(CLI::App& app, Action& action, const std::shared_ptr<Options>& options,
                 const char* name, const char* description, status::Command what,
                 const char* done) {
  CLI::App* const subcommand = add(app, name, description, options);
  subcommand->add_option("partition", options->partition, "the partition's name")
      ->required()
      ->type_name("NAME");
  subcommand->callback([&action, options, what, done] {
    action = [options, what, done] { return command(*options, what, done); };
  });
}

}  // namespace

void add_monitor_commands(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* const stat_command =
      add(app, "stat", "Show partitions: state, uptime, exits by cause, restarts", options);
  stat_command->add_flag("--json", options->json, "as JSON (doc/result-schema.md)");
  stat_command->add_flag("--watch", options->watch, "again every second, until Ctrl-C");
  stat_command->callback([&action, options] { action = [options] { return stat(*options); }; });

  add(app, "top", "Show what the partitions do, every second, until Ctrl-C", options)
      ->callback([&action, options] { action = [options] { return top(*options); }; });

  add_command(app, action, options, "stop", "Stop a partition; the others run on",
              status::Command::Stop, "is stopped");
  add_command(app, action, options, "restart", "Start a partition anew from pristine copies",
              status::Command::Restart, "is restarted");
  add_command(app, action, options, "pause", "Hold a partition where it is", status::Command::Pause,
              "is paused");
  add_command(app, action, options, "resume", "Let a paused partition go on",
              status::Command::Resume, "runs again");

  CLI::App* const trace_command =
      add(app, "trace", "Show the last exits of each processor", options);
  trace_command->add_option("-n,--entries", options->entries, "how many (at most 256)")
      ->type_name("COUNT");
  trace_command
      ->add_option("--chrome", options->chrome,
                   "all of them into a file for ui.perfetto.dev or chrome://tracing")
      ->type_name("FILE.json");
  trace_command->callback([&action, options] { action = [options] { return trace(*options); }; });
  add(app, "log", "Show the monitor's own messages", options)->callback([&action, options] {
    action = [options] { return log(*options); };
  });
}

}  // namespace mezzo::command
