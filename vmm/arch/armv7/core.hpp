// One processor for several partitions, by fixed priority or by a time table. Each partition has a
// struct Cpu of its own, with its own root and its own stack; at any time one of them is in the
// monitor's window (layout.h) and is *current*. What the monitor does for a partition it does on
// that partition's stack, so that it can leave off anywhere and let another partition go on:
// switch_stacks() returns when its caller is current again.
//
// The monitor takes every interrupt here, masks it and puts it on its partition's list
// (irq/virtual_gic.hpp); timers are software (device/shared_core_page.hpp) over the processor's own
// one. By priority, a more urgent partition runs as soon as it has an interrupt to take, at the end
// of the exit that finds it; a less urgent one runs when all others wait. By a time table
// (core/schedule.hpp), nobody runs outside of its windows, and what interrupts it waits on its
// list; the processor's timer ends a window.
//
// All functions run on this processor with interrupts off.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "arch/armv7/devices.hpp"
#include "arch/armv7/private_page.hpp"
#include "core/schedule.hpp"
#include "core/verdict.hpp"
#include "irq/shared_core.hpp"

namespace mezzo::armv7 {

struct Cpu;

// Floating-point registers and thread IDs, which are the processor's own while their guest runs.
struct ProcessorState {
  std::array<std::uint64_t, 32> registers;
  std::uint32_t fpscr;
  std::uint32_t user_writable, user_read_only;
};

class Core {
 public:
  static constexpr std::size_t kMost = plan::kArmv7MaxCpus;

  // Why a partition does not run.
  enum class Rest : std::uint8_t {
    None,
    Waiting,  // for an interrupt
    Dormant,  // for a command: it is paused or stopped
  };

  // Makes `cpu` the next partition in the order of urgency, the first one the most urgent. Before
  // any runs.
  void add(Cpu& cpu);
  // The partitions that were added share by `schedule`. Before any runs.
  void set_schedule(const plan::Schedule& schedule);
  // Whether the partitions are so many, or own lines so, that they cannot share.
  [[nodiscard]] bool is_broken() const { return is_broken_; }
  // `cpu`, which is current, begins to use this processor.
  void start(Cpu& cpu);
  // The guest of `cpu` is built. Returns when it is to run: not before those of all others are.
  void begin(Cpu& cpu);

  // Takes what interrupts this processor: what is the monitor's is done, all else is on its
  // partition's list afterwards.
  void distribute(Cpu& cpu);
  // Whether a heartbeat has come since the last call, whichever partition was current then: the
  // guest of `cpu` is to be looked at.
  [[nodiscard]] bool take_beat(const Cpu& cpu);
  // Lets others run while one of them is more urgent than `cpu` or has its window, or `cpu` rests.
  // Returns with `cpu` current, which has something to do: an interrupt, a command, or to go on;
  // the processor's timer is set then.
  void yield(Cpu& cpu, Rest rest);
  // How the partition ends if it was in the way of another one's window, and the table's policy is
  // to stop it. Once.
  [[nodiscard]] std::optional<Verdict> take_overrun(const Cpu& cpu);
  // The processor's timer is to follow the partitions' once more: one of them has changed.
  void timers_changed() { must_set_timer_ = true; }
  // With the flat root.
  void set_timer();

  // The partition has switched its floating point on: the registers are to be its own.
  void own_floating_point(Cpu& cpu);

 private:
  struct Member {
    Cpu* cpu = nullptr;  // by its machine address: the flat root is loaded where it is used
    Rest rest = Rest::None;
    bool is_built = false;  // once, or a copy of an image was found damaged
    bool has_beaten = false;
  };

  [[nodiscard]] bool are_all_built() const;
  [[nodiscard]] std::optional<std::size_t> choose() const;
  // Which partitions may run now: bit n, member n.
  [[nodiscard]] std::uint32_t admitted() const;
  [[nodiscard]] status::Share& share_of(std::size_t member) const;
  // The time since the last call was the current partition's, if it ran.
  void charge(std::uint64_t time);
  void begin_sharing();
  void follow_table();
  void rest_until_interrupt();
  void switch_to(Cpu& from, std::size_t to);

  irq::SharedCore<SharedDevices::Gic, kMost> lines_;
  std::array<Member, kMost> members_{};
  std::size_t count_ = 0, current_ = 0;
  std::size_t floating_point_ = 0;  // whose registers the processor has
  bool must_set_timer_ = false, is_broken_ = false;

  std::optional<Schedule> table_;
  bool is_sharing_ = false;    // all have been built
  bool has_slept_ = false;     // since follow_table() was here
  std::uint64_t charged_ = 0;  // until when time has been counted
};

}  // namespace mezzo::armv7
