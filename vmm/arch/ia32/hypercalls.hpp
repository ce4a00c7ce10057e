// Answers hypercalls (abi/hypercall.hpp). Arguments come from a guest kernel and are believed
// nothing.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "abi/hypercall.hpp"
#include "arch/ia32/context.hpp"
#include "core/partition.hpp"

namespace mezzo::ia32 {

[[nodiscard]] constexpr std::uint32_t hypercall_error(hypercall::Error error) {
  return static_cast<std::uint32_t>(error);
}

// Copies guest text to the log, prefixed with the partition's name. Returns bytes written or an
// error.
template <Machine M, class Log>
[[nodiscard]] std::uint32_t write_console(Context<M>& c, const Partition& partition, Log& log) {
  if (c.frame.ecx > hypercall::kConsoleWriteMax) {
    return hypercall_error(hypercall::Error::BadArgument);
  }
  std::array<char, 64> chunk{};
  for (std::uint32_t done = 0; done < c.frame.ecx;) {
    const auto bytes = std::min<std::uint32_t>(chunk.size(), c.frame.ecx - done);
    if (!c.machine.read(c.frame.ebx + done, chunk.data(), bytes)) {
      return hypercall_error(hypercall::Error::BadAddress);
    }
    const std::string_view text(chunk.data(), bytes);
    if (done == 0) {
      log.write(std::string_view(partition.row().name), ": ", text);
    } else {
      log.write(text);
    }
    done += bytes;
  }
  return c.frame.ecx;
}

// Executes the hypercall in the frame's registers. Returns Resume, Stop or Restart.
template <Machine M, class Log>
[[nodiscard]] Verdict answer_hypercall(Context<M>& c, const Partition& partition, Log& log) {
  using hypercall::Call;
  Frame& f = c.frame;
  switch (static_cast<Call>(f.eax)) {
    case Call::Null:
      f.eax = 0;
      break;
    case Call::Version:
      f.eax = hypercall::kVersion;
      break;
    case Call::PartitionInfo:
      f.eax = 0;
      f.ebx = partition.index();
      f.ecx = partition.row().cpu;
      f.edx = partition.status().restarts;
      break;
    case Call::MemoryStart: {
      const plan::Piece& largest = partition.largest_piece();
      f.eax = largest.base;
      f.ebx = largest.size;
      break;
    }
    case Call::ConsoleWrite:
      f.eax = write_console(c, partition, log);
      break;
    case Call::StopSelf:
      return Verdict::stop(status::StopReason::BySelf, f.eip);
    case Call::RestartSelf:
      return Verdict::restart();
    case Call::Counter:
      if (f.ebx >= status::kExitCauses) {
        f.eax = hypercall_error(hypercall::Error::BadArgument);
        break;
      }
      f.edx = static_cast<std::uint32_t>(partition.status().exits[f.ebx] >> 32);
      f.eax = static_cast<std::uint32_t>(partition.status().exits[f.ebx]);
      break;
    case Call::KickWatchdog:
      c.machine.kick_watchdog();
      f.eax = 0;
      break;
    default:
      f.eax = hypercall_error(hypercall::Error::UnknownCall);
  }
  return Verdict::resume();
}

}  // namespace mezzo::ia32
