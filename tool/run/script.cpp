// The typist's state machine.
#include "run/script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"

namespace mezzo::run {

namespace {

constexpr std::string_view kStatusCommand = "echo mezzo-status:$?";
constexpr std::string_view kStatusAnswer = "mezzo-status:";
constexpr std::chrono::seconds kNudgeAfter{3};
constexpr std::size_t kRemembered = 1 << 16;

ScriptStep parse_line(std::string_view line, std::string_view name, std::size_t number) {
  const std::string_view word = line.substr(0, line.find(' '));
  const std::string text(line.substr(std::min(line.size(), word.size() + 1)));
  if (!word.starts_with('@')) return {.kind = ScriptStep::Kind::Type, .text = std::string(line)};
  if (word == "@wait" && !text.empty()) return {.kind = ScriptStep::Kind::Wait, .text = text};
  if (word == "@send") return {.kind = ScriptStep::Kind::Send, .text = text};
  int seconds = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (word == "@sleep" && result.ec == std::errc{} && result.ptr == text.data() + text.size()) {
    return {.kind = ScriptStep::Kind::Sleep, .text = {}, .delay = std::chrono::seconds(seconds)};
  }
  throw UserError(fmt::format("{}:{}: '{}' is no line for the typist", name, number, line),
                  "There are: @wait TEXT, @send TEXT, @sleep SECONDS.");
}

}  // namespace

std::vector<ScriptStep> parse_script(std::string_view text, std::string_view name) {
  std::vector<ScriptStep> steps;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      steps.push_back(parse_line(line, name, number));
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return steps;
}

void Script::output(std::string_view bytes, Time now) {
  last_output_ = now;
  for (const char c : bytes) {
    if (in_escape_) {
      // A shell may ask for the cursor's position (ESC [ 6 n) after its prompt.
      in_escape_ = c == '[' || (c >= '0' && c <= '9') || c == ';' || c == '?';
    } else if (c == 0x1b) {
      in_escape_ = true;
    } else if (c == '\n') {
      end_line();
    } else if (c != '\r') {
      line_.push_back(c);
      since_typed_.push_back(c);
    }
  }
  if (since_typed_.size() > kRemembered) since_typed_.erase(0, since_typed_.size() - kRemembered);
}

void Script::end_line() {
  if (asked_status_ && line_.starts_with(kStatusAnswer)) {
    int status = 0;
    const char* const digits = line_.data() + kStatusAnswer.size();
    if (std::from_chars(digits, line_.data() + line_.size(), status).ec == std::errc{}) {
      exit_status_ = status;
      done_ = true;
    }
  }
  last_line_ = std::exchange(line_, {});
  since_typed_.push_back('\n');
  echoed_ = true;
}

bool Script::at_prompt() const {
  return echoed_ && (line_.ends_with("# ") || line_.ends_with("$ ") || line_ == "> ");
}

// A message of the kernel can end the line that the prompt stands on; then only Enter brings
// another.
bool Script::disturbed_prompt(Time now) const {
  return echoed_ && line_.empty() && now - last_output_ > kNudgeAfter &&
         last_line_.find("# [") != std::string::npos;
}

std::string Script::type(std::string_view text, Time now) {
  echoed_ = false;
  line_.clear();
  since_typed_.clear();
  last_output_ = now;
  return std::string(text) + "\n";
}

std::string Script::input(Time now) {
  if (done_) return {};
  if (next_ == steps_.size()) {
    if (asked_status_) return {};
    if (!at_prompt()) return disturbed_prompt(now) ? type("", now) : std::string();
    asked_status_ = true;
    return type(kStatusCommand, now);
  }
  const ScriptStep& step = steps_[next_];
  switch (step.kind) {
    case ScriptStep::Kind::Type:
      if (!at_prompt()) return disturbed_prompt(now) ? type("", now) : std::string();
      ++next_;
      return type(step.text, now);
    case ScriptStep::Kind::Wait:
      if (since_typed_.find(step.text) != std::string::npos) ++next_;
      return {};
    case ScriptStep::Kind::Send:
      ++next_;
      return type(step.text, now);
    case ScriptStep::Kind::Sleep:
      if (!sleep_until_) sleep_until_ = now + step.delay;
      if (now >= *sleep_until_) {
        sleep_until_.reset();
        ++next_;
      }
      return {};
  }
  return {};
}

void Script::stopped() {
  if (done_) return;
  done_ = true;
  if (next_ == steps_.size() && !asked_status_) exit_status_ = 0;
}

std::string Script::waiting_for() const {
  if (next_ == steps_.size()) return asked_status_ ? "the last status" : "the end of the last line";
  const ScriptStep& step = steps_[next_];
  switch (step.kind) {
    case ScriptStep::Kind::Type:
      return fmt::format("the prompt before `{}`", step.text);
    case ScriptStep::Kind::Wait:
      return fmt::format("the text '{}'", step.text);
    default:
      return "a pause";
  }
}

}  // namespace mezzo::run
