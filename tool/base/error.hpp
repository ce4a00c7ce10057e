// The one exception of the tool: a failure that its user can do something about.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace mezzo {

// Says what failed, where, and what to do about it. main() prints it and exits with status 1.
class UserError : public std::runtime_error {
 public:
  // `what` names the failure and its place; `remedy` is an instruction ("" if there is none).
  explicit UserError(const std::string& what, std::string remedy = {})
      : std::runtime_error(what), remedy_(std::move(remedy)) {}

  [[nodiscard]] const std::string& remedy() const { return remedy_; }

 private:
  std::string remedy_;
};

// Thrown when Ctrl-C (SIGINT) or SIGTERM ended what was under way. main() exits with 128 + signal.
class Interrupted : public std::runtime_error {
 public:
  explicit Interrupted(int signal) : std::runtime_error("interrupted"), signal_(signal) {}

  [[nodiscard]] int signal() const { return signal_; }

 private:
  int signal_;
};

}  // namespace mezzo
