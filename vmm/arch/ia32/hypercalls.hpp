// Answers hypercalls (abi/hypercall.hpp). Arguments come from a guest kernel and are believed
// nothing.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "abi/hypercall.hpp"
#include "arch/ia32/context.hpp"
#include "core/channel.hpp"
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

// Interrupts the other end. Whether it listens.
template <Machine M>
bool ring(Context<M>& c, const plan::Plan& plan, const Doorbells& doorbells,
          const ChannelEnd& end) {
  const auto target = doorbells.ring(plan, end);
  if (target) c.machine.interrupt(*target);
  return target.has_value();
}

// The calls about a channel, the one that the partition has at index EBX. Returns EAX.
template <Machine M>
[[nodiscard]] std::uint32_t answer_channel(Context<M>& c, const Partition& partition,
                                           Doorbells& doorbells) {
  using hypercall::Call;
  Frame& f = c.frame;
  const plan::Plan& plan = partition.plan();
  const auto end = nth_end(plan, partition.index(), f.ebx);
  if (!end) return hypercall_error(hypercall::Error::BadArgument);
  const plan::Channel& channel = plan.channels[end->channel];
  switch (static_cast<Call>(f.eax)) {
    case Call::Channel:
      f.ebx = channel.base;
      f.ecx = channel.size;
      f.edx = end->which;
      return 0;
    case Call::Listen: {
      const bool good = f.ecx == 0 || (f.ecx >= Doorbells::kFirstVector && f.ecx <= 255 &&
                                       !is_event_vector(f.ecx));
      // An end with a line listens by that.
      if (!good || channel.ends[end->which].line != plan::kNoLine) {
        return hypercall_error(hypercall::Error::BadArgument);
      }
      doorbells.listen(*end, static_cast<std::uint8_t>(f.ecx));
      return 0;
    }
    default:
      return ring(c, plan, doorbells, *end) ? 1 : 0;
  }
}

// Executes the hypercall in the frame's registers. Returns Resume, Stop or Restart.
template <Machine M, class Log>
[[nodiscard]] Verdict answer_hypercall(Context<M>& c, const Partition& partition,
                                       Doorbells& doorbells, Log& log) {
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
    case Call::TellLatency:
      partition.tell_latency(f.ebx, f.ecx);
      f.eax = 0;
      break;
    case Call::Channel:
    case Call::Listen:
    case Call::Ring:
      f.eax = answer_channel(c, partition, doorbells);
      break;
    default:
      f.eax = hypercall_error(hypercall::Error::UnknownCall);
  }
  return Verdict::resume();
}

}  // namespace mezzo::ia32
