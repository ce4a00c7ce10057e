// The poll loop over consoles, keyboard, clock, signals and the machine itself.
#include "run/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/interrupt.hpp"
#include "run/machine_ram.hpp"
#include "run/names.hpp"
#include "run/terminal.hpp"

namespace mezzo::run {

namespace {

constexpr int kTickMs = 50;
constexpr std::chrono::milliseconds kPromptRest{400};  // a prompt is one if nothing follows it
constexpr std::chrono::milliseconds kDrain{300};       // for a guest's last words, or a restart
constexpr std::size_t kMissedLines = 20;
constexpr char kCtrlC = 0x03;
constexpr char kRefusal[] = "mezzo: cannot start: ";  // how the monitor says so in its log

std::string describe(const status::PartitionStatus& partition) {
  std::string text(name_of(partition.reason));
  if (partition.reason == status::StopReason::Unsupported) {
    const std::string_view words = words_for_unsupported(partition.detail[0]);
    if (!words.empty()) text += fmt::format(", {}", words);
  }
  if (std::ranges::any_of(partition.detail, [](std::uint32_t word) { return word != 0; })) {
    text += fmt::format(" ({:#x}, {:#x}, {:#x}, {:#x})", partition.detail[0], partition.detail[1],
                        partition.detail[2], partition.detail[3]);
  }
  return text;
}

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::Done:
      return "done";
    case Outcome::ScriptFailed:
      return "script_failed";
    case Outcome::AllStopped:
      return "all_stopped";
    case Outcome::Quit:
      return "quit";
    case Outcome::Timeout:
      return "timeout";
    case Outcome::Interrupted:
      return "interrupted";
    case Outcome::MachineEnded:
      return "machine_ended";
    case Outcome::MonitorFailed:
      return "monitor_failed";
    case Outcome::MonitorRefused:
      return "monitor_refused";
  }
  return "unknown";
}

Session::Session(std::vector<Console>& consoles, const status::Region& region,
                 MonitorLog& monitor_log, int machine_fd, SessionOptions options)
    : consoles_(consoles),
      region_(region),
      monitor_log_(monitor_log),
      monitor_lines_(""),
      machine_fd_(machine_fd),
      options_(options),
      missed_(consoles.size()),
      states_(plan::kMaxPartitions, status::State::Built),
      restarts_(plan::kMaxPartitions, 0),
      stopped_since_(plan::kMaxPartitions) {}

Outcome Session::run() {
  std::optional<RawTerminal> raw;
  if (options_.interactive) raw.emplace();
  const Time start = std::chrono::steady_clock::now();
  for (;;) {
    std::vector<pollfd> fds;
    for (Console& console : consoles_) console.add_to(fds);
    fds.push_back({.fd = base::interrupt_fd(), .events = POLLIN, .revents = 0});
    fds.push_back({.fd = machine_fd_, .events = POLLIN, .revents = 0});
    if (options_.interactive) fds.push_back({.fd = STDIN_FILENO, .events = POLLIN, .revents = 0});
    poll(fds.data(), fds.size(), kTickMs);
    const Time now = std::chrono::steady_clock::now();

    serve_consoles(fds, now);
    if (options_.interactive && fds.back().revents != 0) serve_keys();
    if (outcome_) return *outcome_;
    if (base::interrupted_by() != 0) return Outcome::Interrupted;
    if (const auto end = look_at_machine(now)) return *end;
    if (const auto end = scripts_outcome()) return *end;
    const auto machine = std::ranges::find(fds, machine_fd_, &pollfd::fd);
    if (machine->revents != 0) return Outcome::MachineEnded;
    if (options_.timeout && now - start > *options_.timeout) return Outcome::Timeout;
    if (options_.interactive && !was_attached_ && all_at_prompt() &&
        now - last_output_ > kPromptRest) {
      const auto first = std::ranges::find(consoles_, true, &Console::has_shell);
      attach(static_cast<std::size_t>(first - consoles_.begin()));
    }
  }
}

void Session::serve_consoles(const std::vector<pollfd>& fds, Time now) {
  for (std::size_t i = 0; i < consoles_.size(); ++i) {
    Console& console = consoles_[i];
    const std::string bytes = console.serve(fds);
    if (!bytes.empty()) {
      last_output_ = now;
      show(i, bytes);
      if (console.script) console.script->output(bytes, now);
    }
    if (console.script) console.type(console.script->input(now));
  }
}

void Session::show(std::size_t index, const std::string& bytes) {
  const std::vector<std::string> lines = consoles_[index].prefixer.feed(bytes);
  if (attached_ == index) {
    put(bytes);
  } else if (!attached_) {
    for (const std::string& line : lines) put(line);
  } else {
    std::vector<std::string>& missed = missed_[index];
    missed.insert(missed.end(), lines.begin(), lines.end());
    if (missed.size() > kMissedLines) {
      missed.erase(missed.begin(), missed.end() - kMissedLines);
    }
  }
}

void Session::serve_keys() {
  std::array<char, 256> buffer{};
  const ssize_t count = read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count == 0) outcome_ = Outcome::Quit;
  if (count <= 0) return;
  for (const KeyEvent& event : keys_.feed({buffer.data(), static_cast<std::size_t>(count)})) {
    outcome_ = handle(event);
    if (outcome_) return;
  }
}

std::optional<Outcome> Session::handle(const KeyEvent& event) {
  switch (event.key) {
    case Key::Forward:
      if (attached_) {
        consoles_[*attached_].type(event.bytes);
      } else if (event.bytes.find(kCtrlC) != std::string::npos) {
        return Outcome::Quit;
      } else if (!consoles_.empty()) {
        attach(0);
      }
      break;
    case Key::Next:
      if (!consoles_.empty()) attach(attached_ ? (*attached_ + 1) % consoles_.size() : 0);
      break;
    case Key::Select:
      if (event.console < consoles_.size()) attach(event.console);
      break;
    case Key::Watch:
    case Key::Detach:
      watch();
      break;
    case Key::Help:
      put(fmt::format("\n{}", EscapeKeys::kHelp));
      break;
    case Key::Quit:
      return Outcome::Quit;
  }
  return std::nullopt;
}

void Session::attach(std::size_t index) {
  const Console& console = consoles_[index];
  attached_ = index;
  was_attached_ = true;
  put(fmt::format("\n--- console of {} (Ctrl-A three times: next console, Ctrl-A h: help) ---\n",
                  console.name()));
  for (const std::string& line : missed_[index]) put(line);
  missed_[index].clear();
  put(console.prefixer.unfinished());
}

void Session::watch() {
  attached_.reset();
  put("\n--- all consoles (Ctrl-A three times: attach to one, Ctrl-C: end the machine) ---\n");
}

std::optional<Outcome> Session::look_at_machine(Time now) {
  show_monitor_log();
  const std::optional<status::Region> seen = snapshot(region_);
  if (!seen) return std::nullopt;
  if (seen->crash.valid != 0) {
    say(fmt::format("the monitor has failed: {}", seen->crash.message));
    return Outcome::MonitorFailed;
  }
  report_state_changes(*seen);
  const bool none_left =
      seen->partition_count > 0 &&
      std::all_of(seen->partitions, seen->partitions + seen->partition_count,
                  [](const auto& partition) { return partition.state == status::State::Stopped; });
  if (!none_left) all_stopped_since_.reset();
  if (none_left && !all_stopped_since_) all_stopped_since_ = now;
  tell_scripts(*seen, now);
  if (!all_stopped_since_ || now - *all_stopped_since_ < 2 * kDrain) return std::nullopt;
  if (const auto outcome = scripts_outcome()) return outcome;
  return Outcome::AllStopped;
}

// A partition that its policy restarts is stopped for a moment only; its script goes on.
void Session::tell_scripts(const status::Region& seen, Time now) {
  for (Console& console : consoles_) {
    if (!console.script) continue;
    const status::PartitionStatus& partition = seen.partitions[console.partition()];
    std::optional<Time>& since = stopped_since_[console.partition()];
    if (partition.state != status::State::Stopped) {
      since.reset();
    } else if (!since) {
      since = now;
    } else if (now - *since > kDrain) {
      console.script->stopped();
    }
  }
}

void Session::report_state_changes(const status::Region& now) {
  for (std::size_t i = 0; i < now.partition_count; ++i) {
    const status::PartitionStatus& partition = now.partitions[i];
    const std::string_view name = name_of(partition);
    const bool is_stopped = partition.state == status::State::Stopped;  // at the first look, too
    if (partition.restarts != restarts_[i]) {
      say(fmt::format("{} was restarted after: {}", name, describe(partition)));
    } else if (partition.state != states_[i] &&
               (is_stopped || states_[i] != status::State::Built)) {
      say(is_stopped ? fmt::format("{} has stopped: {}", name, describe(partition))
                     : fmt::format("{} is {}", name, name_of(partition.state)));
    }
    states_[i] = partition.state;
    restarts_[i] = partition.restarts;
  }
}

void Session::show_monitor_log() {
  for (const std::string& line : monitor_lines_.feed(monitor_log_.next())) {
    if (!attached_) put(line);
    // Only before the monitor is up: later the text could be a guest's.
    if (!snapshot(region_) && line.starts_with(kRefusal)) outcome_ = Outcome::MonitorRefused;
  }
}

std::optional<Outcome> Session::scripts_outcome() const {
  bool any = false;
  bool failed = false;
  for (const Console& console : consoles_) {
    if (!console.script) continue;
    any = true;
    if (!console.script->done()) return std::nullopt;
    failed = failed || console.script->exit_status() != 0;
  }
  if (!any) return std::nullopt;
  return failed ? Outcome::ScriptFailed : Outcome::Done;
}

bool Session::all_at_prompt() const {
  const auto is_at_prompt = [](const Console& console) {
    return !console.has_shell || console.prefixer.unfinished().ends_with("# ") ||
           console.prefixer.unfinished().ends_with("login: ");
  };
  return std::ranges::any_of(consoles_, &Console::has_shell) &&
         std::ranges::all_of(consoles_, is_at_prompt);
}

void Session::say(const std::string& text) const {
  put(fmt::format("{}mezzo: {}\n", attached_ ? "\n" : "", text));
}

}  // namespace mezzo::run
