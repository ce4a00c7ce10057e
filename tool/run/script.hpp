// Types a script into a guest's shell and finds out how it ended. Knows nothing of terminals, files
// or partitions: bytes in, bytes out, and the time, so that it can be tested without any.
//
// A script is typed line by line, each when the shell shows its prompt ("# ", "$ ", or "> " inside
// of a command). Blank lines are skipped. Lines that start with @ are for the typist:
//   @wait TEXT      go on when TEXT has appeared since the last thing typed
//   @send TEXT      type TEXT and Enter now, without waiting for a prompt
//   @sleep SECONDS  wait that long
// At the end the shell is asked for the last command's status. If the guest stops while its last
// line runs (poweroff), that is success.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mezzo::run {

using Time = std::chrono::steady_clock::time_point;

struct ScriptStep {
  enum class Kind { Type, Wait, Send, Sleep };
  Kind kind = Kind::Type;
  std::string text;
  std::chrono::milliseconds delay{0};
};

// Throws UserError for an unknown @ line; `name` is the file's, for the message.
[[nodiscard]] std::vector<ScriptStep> parse_script(std::string_view text, std::string_view name);

class Script {
 public:
  explicit Script(std::vector<ScriptStep> steps) : steps_(std::move(steps)) {}

  // Console bytes of the guest.
  void output(std::string_view bytes, Time now);

  // What is to be typed now; empty if nothing. To be asked after each output and a few times a
  // second.
  [[nodiscard]] std::string input(Time now);

  // The guest's partition has stopped for good.
  void stopped();

  [[nodiscard]] bool done() const { return done_; }
  // The status of the last command, or nothing if that was never learnt.
  [[nodiscard]] std::optional<int> exit_status() const { return exit_status_; }
  // What it waits for, for messages: "the prompt before `uname -a`".
  [[nodiscard]] std::string waiting_for() const;

 private:
  [[nodiscard]] bool at_prompt() const;
  [[nodiscard]] bool disturbed_prompt(Time now) const;
  std::string type(std::string_view text, Time now);
  void end_line();

  std::vector<ScriptStep> steps_;
  std::size_t next_ = 0;
  std::string line_;         // the unfinished line of the guest's output
  std::string last_line_;    // the line before it
  std::string since_typed_;  // output since the last thing typed
  bool echoed_ = true;       // the guest has ended a line since then
  bool asked_status_ = false;
  bool done_ = false;
  bool in_escape_ = false;
  std::optional<Time> sleep_until_;
  Time last_output_{};
  std::optional<int> exit_status_;
};

}  // namespace mezzo::run
