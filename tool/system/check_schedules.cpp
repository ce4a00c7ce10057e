// Time tables: windows that do not fit their frame or each other, and partitions that have none.
#include <algorithm>

#include "system/check.hpp"
#include "system/parse.hpp"

namespace mezzo::system {
namespace {

// Of one table: where its windows are.
void check_windows(const System& system, const Schedule& schedule, Diagnostics& diagnostics) {
  const auto error = [&](Position where, std::string what, std::string remedy) {
    add_error(system, where, std::move(what), std::move(remedy), diagnostics);
  };
  if (schedule.frame_us < plan::kMinTimeWindowUs || schedule.frame_us > plan::kMaxFrameUs) {
    error(schedule.frame_where,
          fmt::format("a frame of {} is out of range", time_text(schedule.frame_us)),
          fmt::format("choose from \"{}\" to \"{}\"", time_text(plan::kMinTimeWindowUs),
                      time_text(plan::kMaxFrameUs)));
  }
  if (schedule.windows.size() > plan::kMaxTimeWindows) {
    error(schedule.where,
          fmt::format("{} windows in the time table of processor {}", schedule.windows.size(),
                      schedule.cpu),
          fmt::format("leave at most {}; a shorter frame repeats them", plan::kMaxTimeWindows));
  }
  const TimeWindow* before = nullptr;
  for (const TimeWindow& window : schedule.windows) {
    const std::string& name = system.partitions[window.partition].name;
    const std::uint64_t end = std::uint64_t{window.start_us} + window.length_us;
    if (window.length_us < plan::kMinTimeWindowUs) {
      error(window.where,
            fmt::format("a window of {} for {} is too short to be switched to",
                        time_text(window.length_us), name),
            fmt::format("make it \"{}\" or longer", time_text(plan::kMinTimeWindowUs)));
    } else if (end > schedule.frame_us) {
      error(window.where,
            fmt::format("the window of {} at {} does not end within the frame of {}", name,
                        time_text(window.start_us), time_text(schedule.frame_us)),
            "shorten it, or lengthen the frame");
    }
    if (before != nullptr &&
        window.start_us < std::uint64_t{before->start_us} + before->length_us) {
      error(window.where,
            fmt::format("the window of {} at {} overlaps that of {} at {} (line {})", name,
                        time_text(window.start_us), system.partitions[before->partition].name,
                        time_text(before->start_us), before->where.line),
            "move or shorten one of the two");
    }
    before = &window;
  }
}

// Of one table: whose its windows are.
void check_partitions(const System& system, const Schedule& schedule, Diagnostics& diagnostics) {
  const auto error = [&](Position where, std::string what, std::string remedy) {
    add_error(system, where, std::move(what), std::move(remedy), diagnostics);
  };
  for (const TimeWindow& window : schedule.windows) {
    const Partition& partition = system.partitions[window.partition];
    if (partition.cpu == schedule.cpu) continue;
    error(window.where,
          fmt::format("{} is on processor {}, this is the time table of processor {}",
                      partition.name, partition.cpu, schedule.cpu),
          "remove the window, or change the partition's 'cpu'");
  }
  std::size_t count = 0;
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    const Partition& partition = system.partitions[i];
    if (partition.cpu != schedule.cpu) continue;
    ++count;
    if (partition.armv7.priority) {
      error(partition.armv7.priority_where,
            fmt::format("{} has a priority, but its processor has a time table (line {})",
                        partition.name, schedule.where.line),
            "remove 'priority', or the [[schedule]]");
    }
    if (std::ranges::find(schedule.windows, i, &TimeWindow::partition) == schedule.windows.end()) {
      error(schedule.where,
            fmt::format("{} has no window in the time table of its processor", partition.name),
            fmt::format("add {{ partition = \"{}\", start = ..., length = ... }} to its windows",
                        partition.name));
    }
  }
  if (count < 2) {
    error(schedule.cpu_where,
          fmt::format("processor {} has a time table and {} partition{}", schedule.cpu, count,
                      count == 1 ? "" : "s"),
          "remove the [[schedule]]; it is for two partitions or more");
  }
}

}  // namespace

void check_schedules(const System& system, Diagnostics& diagnostics) {
  for (const Schedule& schedule : system.schedules) {
    const Schedule* first = system.schedule_of(schedule.cpu);
    if (first != &schedule) {
      add_error(system, schedule.cpu_where,
                fmt::format("processor {} has two time tables, the other one in line {}",
                            schedule.cpu, first->where.line),
                "put all windows into one [[schedule]]", diagnostics);
      continue;
    }
    check_windows(system, schedule, diagnostics);
    check_partitions(system, schedule, diagnostics);
  }
}

}  // namespace mezzo::system
