// A processor's time table at work: whose window it is, how each window was given to its partition,
// and who is stopped for having been in the way. Knows neither timers nor how one partition follows
// another.
//
// Times are ticks of one clock that never goes back.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "abi/plan.hpp"
#include "abi/status.hpp"
#include "core/division.hpp"
#include "core/time_table.hpp"
#include "core/verdict.hpp"
#include "diag/log.hpp"

namespace mezzo {

class Schedule {
 public:
  // A tick is 2^shift ticks of the clock that the status region tells the time by, which has so
  // many in a millisecond. The longest frame has fewer than 2^32 ticks.
  struct Clock {
    std::uint32_t status_khz = 0;
    unsigned shift = 0;
  };

  // `plan` and `region` outlive this object.
  Schedule(const plan::Schedule& row, const plan::Plan& plan, status::Region& region, Clock clock)
      : plan_(plan),
        region_(region),
        clock_(clock),
        on_overrun_(row.on_overrun),
        tolerance_(ticks_of(row.tolerance_us)),
        table_(ticks_of(row.frame_us)) {
    for (const plan::TimeWindow& window : std::span(row.windows).first(row.window_count)) {
      is_broken_ |= !table_.add({.owner = window.partition,
                                 .begin = ticks_of(window.start_us),
                                 .length = ticks_of(window.length_us)});
    }
  }

  // Whether the windows do not fit the frame.
  [[nodiscard]] bool is_broken() const { return is_broken_; }
  [[nodiscard]] std::uint32_t ticks_of(std::uint32_t microseconds) const {
    constexpr std::uint32_t kThousand = 1000;
    const std::uint64_t thousandths = std::uint64_t{microseconds} * clock_.status_khz;
    const Division ticks = Division::of(thousandths, kThousand);
    return static_cast<std::uint32_t>(ticks.quotient >> clock_.shift);
  }

  // The first frame begins at `now`.
  void start(std::uint64_t now) { table_.start(now); }
  [[nodiscard]] bool has_started() const { return table_.has_started(); }

  // Goes on to the slot that `now` is in; `running` is the partition that has run until now, if one
  // has. Whether it is another slot than before.
  bool advance(std::uint64_t now, std::optional<std::size_t> running) {
    if (!table_.advance(now)) return false;
    last_ran_ = running;
    return true;
  }
  // The one found last. Its owner is a partition.
  [[nodiscard]] const TimeTable::Slot& slot() const { return table_.slot(); }

  // The owner of the present window has the processor from `now` on, and uses it or lets it sleep.
  void enter(std::uint64_t now, diag::Log& log) {
    const auto entry = table_.enter(std::max(now, slot().begin));
    if (!entry) return;
    status::Share& share = region_.partitions[entry->owner].share;
    const std::uint64_t late = entry->late << clock_.shift;
    share.windows = share.windows + 1 + entry->missed;
    share.missed = share.missed + entry->missed;
    share.late_ticks = share.late_ticks + late;
    const bool is_worst = late > share.late_most;
    if (is_worst) share.late_most = late;
    if (entry->late <= tolerance_ && entry->missed == 0) return;
    share.overruns = share.overruns + 1;
    const auto late_us =
        static_cast<std::uint32_t>(Division::of(late * 1000, clock_.status_khz).quotient);
    // Each new worst one, so that the log is not filled by what comes in every frame.
    if (is_worst) {
      log.line(name_of(entry->owner), ": a window began ", late_us, " us late, ",
               static_cast<std::uint32_t>(entry->missed), " missed; before it ran ",
               last_ran_ ? name_of(*last_ran_) : "nobody");
    }
    if (on_overrun_ == plan::OverrunPolicy::Stop && last_ran_) {
      overrun_us_[*last_ran_] = std::max(late_us, 1u);
    }
  }

  // How the partition ends if it was in the way of another one's window, and the policy is to stop
  // it. Once.
  [[nodiscard]] std::optional<Verdict> take_overrun(std::size_t partition) {
    const std::uint32_t overrun = std::exchange(overrun_us_[partition], 0);
    if (overrun == 0) return std::nullopt;
    return Verdict::stop(status::StopReason::Overrun, overrun);
  }
  // Whether that would be something.
  [[nodiscard]] bool has_overrun(std::size_t partition) const {
    return overrun_us_[partition] != 0;
  }
  // What the monitor did to build the partition's guest is not the guest's fault.
  void forgive(std::size_t partition) { overrun_us_[partition] = 0; }

 private:
  [[nodiscard]] const char* name_of(std::size_t partition) const {
    return plan_.partitions[partition].name;
  }

  const plan::Plan& plan_;
  status::Region& region_;
  Clock clock_;
  plan::OverrunPolicy on_overrun_;
  std::uint32_t tolerance_;
  TimeTable table_;
  bool is_broken_ = false;
  std::optional<std::size_t> last_ran_;  // as the present slot began; nobody: the processor slept
  std::array<std::uint32_t, plan::kMaxPartitions> overrun_us_{};  // for which one is to be stopped
};

}  // namespace mezzo
