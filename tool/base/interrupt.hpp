// Ctrl-C and termination as something that code between two steps can ask for, so that it can undo
// what is half-done. Signals are only noted here; who waits in poll() uses the wake-up descriptor.
#pragma once

namespace mezzo::base {

// From construction to destruction SIGINT, SIGTERM and SIGHUP do not end the process; they are
// noted. At most one exists at a time.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

// The first signal noted since the scope began, 0 for none.
[[nodiscard]] int interrupted_by();

// Throws Interrupted if a signal was noted.
void check_interrupt();

// Becomes readable when a signal is noted; -1 outside of a scope. Not to be read or closed.
[[nodiscard]] int interrupt_fd();

}  // namespace mezzo::base
