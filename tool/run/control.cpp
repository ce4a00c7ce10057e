// The sender's half of the mailbox protocol that abi/status.hpp describes.
#include "run/control.hpp"

#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"

namespace mezzo::run {

status::CommandResult send_command(status::Control& mailbox, const std::filesystem::path& lock,
                                   status::Command command, std::uint32_t partition,
                                   std::chrono::milliseconds timeout) {
  const base::FileLock one_at_a_time(lock);
  std::atomic_ref requested(mailbox.requested);
  std::atomic_ref completed(mailbox.completed);
  mailbox.command = command;
  mailbox.partition = partition;
  const std::uint32_t ticket = requested.load() + 1;
  requested.store(ticket, std::memory_order_release);

  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (completed.load(std::memory_order_acquire) != ticket) {
    base::check_interrupt();
    if (std::chrono::steady_clock::now() > deadline) {
      throw UserError(
          fmt::format("the monitor has not answered within {} ms", timeout.count()),
          "`mezzo stat` shows whether its heartbeat still counts, `mezzo log` what it said last; "
          "end the machine by Ctrl-C where it was started.");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return mailbox.result;
}

}  // namespace mezzo::run
