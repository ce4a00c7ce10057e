// The signal handlers behind interrupt.hpp.
#include "base/interrupt.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>

#include "base/error.hpp"

namespace mezzo::base {

namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> noted{0};
std::array<int, 2> wake_up = {-1, -1};
std::array<struct sigaction, kSignals.size()> previous;

void note(int signal) {
  const int saved = errno;
  int none = 0;
  noted.compare_exchange_strong(none, signal);
  const char byte = 0;
  [[maybe_unused]] const auto written = write(wake_up[1], &byte, 1);
  errno = saved;
}

}  // namespace

InterruptScope::InterruptScope() {
  noted = 0;
  if (pipe2(wake_up.data(), O_CLOEXEC | O_NONBLOCK) != 0) wake_up = {-1, -1};
  struct sigaction action{};
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &previous[i]);
}

InterruptScope::~InterruptScope() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous[i], nullptr);
  for (int& fd : wake_up) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
}

int interrupted_by() { return noted; }

void check_interrupt() {
  if (const int signal = noted; signal != 0) throw Interrupted(signal);
}

int interrupt_fd() { return wake_up[0]; }

}  // namespace mezzo::base
