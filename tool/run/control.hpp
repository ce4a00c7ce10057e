// Tells a running monitor what to do with a partition, through the mailbox in its status region.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "abi/status.hpp"

namespace mezzo::run {

// Sends `command` for partition number `partition` and waits for the answer.
//   lock     a file that serialises the senders
//   timeout  the monitor looks at the mailbox at each heartbeat, so a second is plenty
// Throws UserError if it does not answer in time, or Interrupted.
[[nodiscard]] status::CommandResult send_command(status::Control& mailbox,
                                                 const std::filesystem::path& lock,
                                                 status::Command command, std::uint32_t partition,
                                                 std::chrono::milliseconds timeout);

}  // namespace mezzo::run
