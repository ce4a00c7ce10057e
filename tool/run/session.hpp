// A running machine as its user sees it: consoles on one terminal, keys, scripts, state changes,
// and the reason for which it ends. Does not start or stop anything; run.hpp does.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "abi/status.hpp"
#include "run/console.hpp"
#include "run/escape_keys.hpp"
#include "run/monitor_log.hpp"

namespace mezzo::run {

enum class Outcome {
  Done,          // all scripts have ended with status 0
  ScriptFailed,  // a script ended with another status, or its guest stopped before its end
  AllStopped,    // no partition runs any more
  Quit,          // the user's Ctrl-A q
  Timeout,
  Interrupted,
  MachineEnded,    // QEMU ended by itself
  MonitorFailed,   // the monitor found its own invariant broken
  MonitorRefused,  // the monitor did not accept the plan or the machine
};

[[nodiscard]] std::string_view name_of(Outcome outcome);

struct SessionOptions {
  bool interactive = false;  // the terminal on stdin drives the consoles
  bool colour = false;
  std::optional<std::chrono::seconds> timeout;
};

class Session {
 public:
  //   region       the status region of the machine that is running
  //   monitor_log  what its monitor says; must outlive us
  //   machine_fd   readable when the machine has ended
  Session(std::vector<Console>& consoles, const status::Region& region, MonitorLog& monitor_log,
          int machine_fd, SessionOptions options);

  // Serves everything until the end. Needs an InterruptScope.
  [[nodiscard]] Outcome run();

 private:
  void serve_consoles(const std::vector<pollfd>& fds, Time now);
  void show(std::size_t index, const std::string& bytes);
  void serve_keys();
  [[nodiscard]] std::optional<Outcome> handle(const KeyEvent& event);
  void attach(std::size_t index);
  void watch();
  [[nodiscard]] std::optional<Outcome> look_at_machine(Time now);
  void tell_scripts(const status::Region& seen, Time now);
  void report_state_changes(const status::Region& now);
  void show_monitor_log();
  [[nodiscard]] std::optional<Outcome> scripts_outcome() const;
  [[nodiscard]] bool all_at_prompt() const;
  void say(const std::string& text) const;

  std::vector<Console>& consoles_;
  const status::Region& region_;
  MonitorLog& monitor_log_;
  LinePrefixer monitor_lines_;
  int machine_fd_;
  SessionOptions options_;
  EscapeKeys keys_;
  std::optional<std::size_t> attached_;
  std::optional<Outcome> outcome_;
  bool was_attached_ = false;
  std::vector<std::vector<std::string>> missed_;  // by console, lines while another was attached
  std::vector<status::State> states_;
  std::vector<std::uint32_t> restarts_;
  std::vector<std::optional<Time>> stopped_since_;
  std::optional<Time> all_stopped_since_;
  Time last_output_{};
};

}  // namespace mezzo::run
