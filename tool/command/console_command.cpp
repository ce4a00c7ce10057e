// console: attaches this terminal to a partition of a run that another process drives.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "base/interrupt.hpp"
#include "command/command.hpp"
#include "run/console.hpp"
#include "run/escape_keys.hpp"
#include "run/run_dir.hpp"
#include "run/terminal.hpp"

namespace mezzo::command {

namespace {

constexpr char kHelp[] = "\nCtrl-A d: leave the console   Ctrl-A a: send Ctrl-A\n";

// Passes typed bytes on; returns false when the user wants to leave.
bool pass_keys(run::EscapeKeys& keys, std::string_view typed, int console) {
  for (const run::KeyEvent& event : keys.feed(typed)) {
    switch (event.key) {
      case run::Key::Forward:
        send(console, event.bytes.data(), event.bytes.size(), MSG_NOSIGNAL);
        break;
      case run::Key::Detach:
      case run::Key::Quit:
        return false;
      default:
        fmt::print("{}", kHelp);
        std::fflush(stdout);
    }
  }
  return true;
}

// Until the user leaves, the run ends, or stdin does. Returns what ended it, for the user.
const char* serve(int console) {
  run::EscapeKeys keys;
  std::array<char, 4096> buffer{};
  std::array<pollfd, 3> fds = {{{.fd = console, .events = POLLIN, .revents = 0},
                                {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                                {.fd = base::interrupt_fd(), .events = POLLIN, .revents = 0}}};
  for (;;) {
    poll(fds.data(), fds.size(), -1);
    if (fds[2].revents != 0) return "interrupted";
    if (fds[0].revents != 0) {
      const ssize_t count = read(console, buffer.data(), buffer.size());
      if (count <= 0) return "the machine has ended";
      std::fwrite(buffer.data(), 1, static_cast<std::size_t>(count), stdout);
      std::fflush(stdout);
    }
    if (fds[1].revents != 0) {
      const ssize_t count = read(STDIN_FILENO, buffer.data(), buffer.size());
      if (count <= 0) return "end of input";
      if (!pass_keys(keys, {buffer.data(), static_cast<std::size_t>(count)}, console)) {
        return "left the console; the guest goes on";
      }
    }
  }
}

int attach(const std::string& run_name, const std::string& partition) {
  const run::LiveRun live = run::find_run(run_name);
  const std::uint32_t index = run::find_partition(live.info, partition);
  const base::Descriptor console = run::connect_console(run::console_socket(live.path, index));
  const char* end = nullptr;
  {
    const run::RawTerminal raw;
    fmt::print("--- console of {} (Ctrl-A d: leave) ---\n", partition);
    std::fflush(stdout);
    end = serve(console.get());
  }
  fmt::print("\n--- {} ---\n", end);
  return 0;
}

}  // namespace

void add_console_command(CLI::App& app, Action& action) {
  struct Options {
    std::string run, partition;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* const command = app.add_subcommand("console", "Attach to a partition's console");
  command->add_option("partition", options->partition, "the partition's name")
      ->required()
      ->type_name("NAME");
  command->add_option("--run", options->run, "which run, if there are several")->type_name("NAME");
  command->callback([&action, options] {
    action = [options] { return attach(options->run, options->partition); };
  });
}

}  // namespace mezzo::command
