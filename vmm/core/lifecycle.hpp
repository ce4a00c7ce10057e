// The life of the partition of one CPU: built from pristine copies, running, paused, stopped, and
// again; and the commands by which the tool moves it from one state to the other. Knows no
// architecture: what a processor has to do for each step is the Platform's.
//
// Every function runs on the partition's CPU with interrupts off, and returns to the guest only by
// returning: nothing of what it calls is left on the stack when the guest begins again.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

#include "abi/plan.hpp"
#include "abi/status.hpp"
#include "core/checksum.hpp"
#include "core/health.hpp"
#include "core/partition.hpp"
#include "core/strays.hpp"
#include "diag/log.hpp"

namespace mezzo {

// What the lifecycle needs of a processor and its board.
template <class P>
concept Platform = requires(P platform, std::uint32_t address) {
  // Rests until the next heartbeat; where there is none, a moment.
  platform.sleep();
  // Whether a heartbeat has come since the last call.
  { platform.take_heartbeat() } -> std::same_as<bool>;
  // Whether this is the one processor that tells the tool that the monitor is alive.
  { platform.keeps_time() } -> std::same_as<bool>;
  // At a heartbeat: calls the function with each interrupt line that is nobody's and was raised.
  platform.for_each_stray([](std::uint32_t) {});
  { platform.now() } -> std::same_as<std::uint64_t>;
  // The guest has ended: neither its devices nor its interrupts act any more.
  platform.quiesce();
  // Devices, interrupts and processor as the guest is to find them. Its memory is not loaded yet,
  // but memory() reaches all of it and of the store from here on.
  platform.reset();
  { platform.memory(address) } -> std::same_as<unsigned char*>;  // a machine address
  // So many bytes of the guest's memory have been written: it is to find them there however it
  // begins, without caches perhaps.
  platform.written(address, address);
  // A piece of a long piece of work is done: whoever shares the processor may have it for a while.
  platform.give_way();
  // Whether the copies that the boot loader has only just put into the store need no check.
  { platform.trusts_boot_loader() } -> std::same_as<bool>;
  // The images are loaded: what depends on them. False if the guest cannot be entered.
  { platform.complete() } -> std::same_as<bool>;
};

// What a CPU owes the tool: the answer to `request`, when the commanded state is reached.
struct OwedAnswer {
  bool is_owed = false;
  std::uint32_t request = 0;
};

// A CPU without a partition has this one.
inline constexpr std::uint32_t kNoPartition = ~0u;

// Whether `command` fits a partition in `state`.
[[nodiscard]] constexpr status::CommandResult judge(status::Command command, status::State state) {
  using status::Command;
  using status::State;
  const bool runs = state == State::Running, paused = state == State::Paused;
  const auto result = [](bool fits) {
    return fits ? status::CommandResult::Done : status::CommandResult::WrongState;
  };
  switch (command) {
    case Command::Stop:
      return result(runs || paused);
    case Command::Restart:
      return result(runs || paused || state == State::Stopped);
    case Command::Pause:
      return result(runs);
    case Command::Resume:
      return result(paused);
    case Command::None:
      break;
  }
  return status::CommandResult::UnknownCommand;
}

template <Platform P>
class Lifecycle {
 public:
  enum class Next : std::uint8_t {
    Continue,  // the guest goes on where it was
    Begin,     // the guest has been built anew: its first instruction is next
  };

  // `cpu` and `partition` are indexes in the plan; `owed` outlives this object.
  Lifecycle(P& platform, const plan::Plan& plan, status::Region& region, diag::Log& log,
            std::uint32_t cpu, std::uint32_t partition, OwedAnswer& owed)
      : platform_(platform),
        plan_(plan),
        region_(region),
        log_(log),
        cpu_(cpu),
        index_(partition),
        owed_(owed) {}

  // Builds the partition. Returns when its guest is to begin: at once, or, if a copy of an image is
  // damaged, after a restart that succeeded.
  void start() {
    while (!build()) {
      await_restart();
      partition().restarting();
    }
  }

  // The guest ends as `verdict` (Stop or Restart) says. Returns when it is to begin again: at once,
  // if it asked for that or its fault policy does, or when the tool commands it.
  void end(const Verdict& verdict) {
    platform_.quiesce();
    if (verdict.kind == Verdict::Kind::Restart) return restart();
    Partition ended = partition();
    ended.stopped(verdict, platform_.now());
    answer_if_owed();
    log_.line(ended.row().name, ": stopped, reason ", static_cast<std::uint32_t>(verdict.reason),
              " (", diag::Hex{verdict.detail[0]}, ", ", diag::Hex{verdict.detail[1]}, ", ",
              diag::Hex{verdict.detail[2]}, ")");
    if (ended.restarts_after(verdict.reason)) return restart();
    ended.status().watchdog.expired_tsc = 0;  // whoever restarts it, that is no reaction
    await_restart();
    restart();
  }

  // Acts on a heartbeat, on the tool's command and on the end of the watchdog's patience, if there
  // are any. To be called between two instructions of the guest; a paused partition stays in here.
  [[nodiscard]] Next obey() {
    if (const std::optional<status::Command> command = take_command()) return execute(*command);
    if (!health::is_due(region_, index_)) return Next::Continue;
    end(Verdict::stop(status::StopReason::Watchdog));
    return Next::Begin;
  }

  // What a CPU without a partition does.
  [[noreturn]] void idle() {
    for (;;) {
      (void)take_command();
      platform_.sleep();
    }
  }

 private:
  [[nodiscard]] Partition partition() const {
    return {plan_, plan_.partitions[index_], region_.partitions[index_]};
  }

  [[nodiscard]] bool build() {
    Partition built = partition();
    platform_.reset();
    const std::optional<std::uint32_t> damaged = load_images(built);
    if (damaged || !platform_.complete()) {
      built.stopped(Verdict::stop(status::StopReason::CorruptImage, damaged.value_or(~0u)),
                    platform_.now());
      if (damaged) {
        log_.line(built.row().name, ": pristine copy is damaged, load ", *damaged);
      } else {
        log_.line(built.row().name, ": cannot be built");
      }
      answer_if_owed();
      return false;
    }
    log_.line(built.row().name, ": starts on CPU ", cpu_, " at ", diag::Hex{built.row().entry});
    built.running(platform_.now());
    answer_if_owed();
    return true;
  }

  // Loads the partition's memory anew. Returns the index of a load whose copy is damaged, if any.
  [[nodiscard]] std::optional<std::uint32_t> load_images(const Partition& of) {
    const bool check = of.status().restarts != 0 || !platform_.trusts_boot_loader();
    for (const plan::Load& load : of.loads()) {
      const std::uint32_t copy = plan_.store_base + load.store_offset;
      if (check && checksum(copy, load.file_size) != load.crc32) {
        return static_cast<std::uint32_t>(&load - plan_.loads);
      }
      in_pieces(load.file_size, [&](std::uint32_t at, std::uint32_t bytes) {
        __builtin_memcpy(platform_.memory(load.destination + at), platform_.memory(copy + at),
                         bytes);
        platform_.written(load.destination + at, bytes);
      });
      const std::uint32_t behind = load.destination + load.file_size;
      in_pieces(load.memory_size - load.file_size, [&](std::uint32_t at, std::uint32_t bytes) {
        __builtin_memset(platform_.memory(behind + at), 0, bytes);
        platform_.written(behind + at, bytes);
      });
    }
    return std::nullopt;
  }

  [[nodiscard]] std::uint32_t checksum(std::uint32_t copy, std::uint32_t size) {
    std::uint32_t sum = 0;
    in_pieces(size, [&](std::uint32_t at, std::uint32_t bytes) {
      sum = checksum_of(platform_.memory(copy + at), bytes, sum);
    });
    return sum;
  }

  // Calls work(offset, bytes) for one piece of `size` bytes after the other, with time for others
  // in between.
  template <class Work>
  void in_pieces(std::uint32_t size, Work&& work) {
    constexpr std::uint32_t kPiece = plan::kPageSize;
    for (std::uint32_t at = 0; at < size; at += kPiece) {
      const std::uint32_t left = size - at;
      work(at, left < kPiece ? left : kPiece);
      platform_.give_way();
    }
  }

  void restart() {
    partition().restarting();
    start();
  }

  void await_restart() {
    while (take_command() != status::Command::Restart) platform_.sleep();
  }

  [[nodiscard]] Next pause() {
    status::PartitionStatus& status = partition().status();
    status.state = status::State::Paused;
    answer_if_owed();
    for (;;) {
      if (const auto command = take_command()) {
        if (*command != status::Command::Resume) return execute(*command);
        health::forgive(status.watchdog, platform_.now());
        status.state = status::State::Running;
        answer_if_owed();
        return Next::Continue;
      }
      platform_.sleep();
    }
  }

  // A command that take_command() found fit.
  [[nodiscard]] Next execute(status::Command command) {
    switch (command) {
      case status::Command::Stop:
        end(Verdict::stop(status::StopReason::ByCommand));
        return Next::Begin;
      case status::Command::Restart:
        restart();
        return Next::Begin;
      case status::Command::Pause:
        return pause();
      case status::Command::Resume:
      case status::Command::None:
        break;
    }
    return Next::Continue;
  }

  // The command for this CPU's partition that is to be executed now. What does not fit is answered
  // here.
  [[nodiscard]] std::optional<status::Command> take_command() {
    if (platform_.take_heartbeat()) {
      const std::uint64_t time = platform_.now();
      if (platform_.keeps_time()) {
        region_.heartbeats = region_.heartbeats + 1;
        region_.now_tsc = time;
      }
      health::look_after_all(plan_, region_, time, log_);
      platform_.for_each_stray([this](std::uint32_t line) { count_stray(region_, log_, line); });
    }
    const status::Control& control = region_.control;
    const std::uint32_t request = __atomic_load_n(&control.requested, __ATOMIC_ACQUIRE);
    if (owed_.is_owed || request == __atomic_load_n(&control.completed, __ATOMIC_ACQUIRE)) {
      return std::nullopt;
    }
    if (control.partition >= plan_.partition_count) {
      if (platform_.keeps_time()) answer(request, status::CommandResult::NoSuchPartition);
      return std::nullopt;
    }
    if (control.partition != index_) return std::nullopt;
    const status::Command command = control.command;
    const status::CommandResult result = judge(command, partition().status().state);
    if (result != status::CommandResult::Done) {
      answer(request, result);
      return std::nullopt;
    }
    owed_ = {true, request};
    return command;
  }

  void answer(std::uint32_t request, status::CommandResult result) {
    region_.control.result = result;
    __atomic_store_n(&region_.control.completed, request, __ATOMIC_RELEASE);
  }
  void answer_if_owed() {
    if (!owed_.is_owed) return;
    owed_.is_owed = false;
    answer(owed_.request, status::CommandResult::Done);
  }

  P& platform_;
  const plan::Plan& plan_;
  status::Region& region_;
  diag::Log& log_;
  std::uint32_t cpu_, index_;
  OwedAnswer& owed_;
};

}  // namespace mezzo
