// Statistics and claims behind realtime.hpp.
#include "bench/realtime.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <sstream>
#include <vector>

#include "base/error.hpp"
#include "bench/guest/operations.hpp"
#include "bench/result.hpp"

namespace mezzo::bench {

namespace {

constexpr const char* kSuite = "realtime";

// Of the PIT, whose frequency is 1.193182 MHz, and of the counts for a tick (guest/rtos' usual).
constexpr int kPeriodCounts = 1193;
constexpr double kPeriod = kPeriodCounts * 1e9 / 1193182;  // ns
constexpr int kRecorded = 5001, kQuickRecorded = 501;      // ticks
constexpr int kBin = 100;                                  // ns, of the histogram
constexpr std::size_t kTimeline = 20;                      // intervals to a point

std::vector<double> intervals_of(const Console& console) {
  std::vector<double> intervals;
  if (!console.rows.empty()) {
    std::istringstream words(console.rows.front().output);
    for (double interval; words >> interval;) intervals.push_back(interval);
  }
  if (!intervals.empty()) return intervals;
  throw UserError("the real-time kernel has told no intervals");
}

Json statistics_of(const std::vector<double>& intervals) {
  const double elapsed = std::reduce(intervals.begin(), intervals.end());
  const auto count = static_cast<double>(intervals.size());
  const double mean = elapsed / count;
  double squares = 0;
  for (const double interval : intervals) squares += (interval - mean) * (interval - mean);
  return {{"count", intervals.size()},
          {"mean", mean},
          {"least", std::ranges::min(intervals)},
          {"most", std::ranges::max(intervals)},
          {"deviation", std::sqrt(squares / count)},
          {"lost", static_cast<int>(std::lround(elapsed / kPeriod - count))}};
}

// By the lower end of each bin, in microseconds.
Json histogram_of(const std::vector<double>& intervals) {
  std::map<long, int> bins;
  for (const double interval : intervals) ++bins[std::lround(std::floor(interval / kBin))];
  Json histogram = Json::object();
  for (const auto& [bin, count] : bins) {
    histogram[fmt::format("{:.1f}", static_cast<double>(bin) * kBin / 1000)] = count;
  }
  return histogram;
}

Json timeline_of(const std::vector<double>& intervals) {
  Json least = Json::array(), most = Json::array();
  for (std::size_t n = 0; n < intervals.size(); n += kTimeline) {
    const auto from = intervals.begin() + static_cast<std::ptrdiff_t>(n);
    const auto to = from + static_cast<std::ptrdiff_t>(std::min(kTimeline, intervals.size() - n));
    const auto [low, high] = std::minmax_element(from, to);
    least.push_back(*low);
    most.push_back(*high);
  }
  return {{"every", kTimeline}, {"least", least}, {"most", most}};
}

// What the neighbour's kernel made of the last seconds of the real-time clock's chip.
Json clock_of(const Console& neighbour) {
  std::istringstream lines(neighbour.rows.back().output);
  std::vector<std::pair<long long, long long>> seen;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string mark;
    long long seconds = 0, nanoseconds = 0;
    if (words >> mark >> seconds >> nanoseconds && mark == "@clock") {
      seen.emplace_back(seconds, nanoseconds);
    }
  }
  if (seen.size() <= kRecordSeconds) {
    throw UserError(
        fmt::format("the neighbour's load began only {} s before the record's end, "
                    "which takes {} s",
                    seen.size(), kRecordSeconds));
  }
  return {{"seconds", seen.back().first - seen.front().first},
          {"nanoseconds", seen.back().second - seen.front().second}};
}

// --- claims ---

struct Cell {
  const Machine* machine;
  const Json* figures;
  [[nodiscard]] std::string name() const { return machine->name; }
  [[nodiscard]] const Json& intervals() const { return (*figures)["intervals"]; }
  [[nodiscard]] double interval(const char* what) const { return intervals()[what]; }
  [[nodiscard]] const Json& arrivals(const char* how) const { return (*figures)["arrivals"][how]; }
};

class Claims {
 public:
  explicit Claims(const Json& result) {
    for (const Machine& machine : machines()) {
      const Json* const figures = cell_of(result, kSuite, machine.name);
      if (figures == nullptr) continue;
      const Cell cell{&machine, figures};
      if (machine.host == Host::Bare) continue;
      if (machine.device != nullptr) {
        device_.push_back(cell);
      } else {
        (machine.variant == nullptr ? direct_ : event_).push_back(cell);
      }
    }
  }

  Json all() {
    const bool timed = !direct_.empty() && std::ranges::all_of(direct_, [](const Cell& cell) {
      return cell.figures->contains("intervals");
    });
    if (timed) {
      mean();
      load();
      events();
      bins();
      lost();
    }
    if (!direct_.empty()) path();
    clock();
    if (!device_.empty()) device();
    return std::move(claims_);
  }

 private:
  void add(const char* claim, const char* what, std::string figure, bool met) {
    claims_.push_back({{"claim", claim}, {"what", what}, {"figure", figure}, {"met", met}});
  }
  // Of all direct cells.
  template <class Of>
  [[nodiscard]] double worst(Of of) const {
    double worst = 0;
    for (const Cell& cell : direct_) worst = std::max(worst, of(cell));
    return worst;
  }
  [[nodiscard]] static double width(const Cell& cell) {
    return cell.interval("most") - cell.interval("least");
  }

  void mean() {
    constexpr double kIdeal = 999'847.6, kTolerance = 1;  // ns
    const double error =
        worst([&](const Cell& cell) { return std::abs(cell.interval("mean") - kIdeal); });
    const double count = direct_.front().interval("count");
    add("R1", "the kernel owns the PIT: mean of at least 5,000 intervals 999,847.6 ns, to 1 ns",
        fmt::format("{:.1f} ns of {:.0f}, at most {:.2f} ns off", direct_.front().interval("mean"),
                    count, error),
        error <= kTolerance && count >= kRecorded - 1);
  }
  // Cells of a kernel that waits the same way, without load and with.
  void load() {
    double worst = 0;
    std::string list;
    for (const Cell& flooded : direct_) {
      for (const Cell& idle : direct_) {
        if (idle.name() + "-flood" != flooded.name()) continue;
        double difference = 0;
        for (const char* what : {"least", "most", "deviation"}) {
          difference = std::max(difference, std::abs(flooded.interval(what) - idle.interval(what)));
        }
        worst = std::max(worst, difference);
        list += fmt::format("{}{} {:.2f} ns", list.empty() ? "" : ", ", idle.name(), difference);
      }
    }
    if (list.empty()) return;
    add("R2", "least, most and deviation with a flood of datagrams as without, to 1 ns",
        "apart: " + list, worst <= 1);
  }
  // Cells of the same load.
  void events() {
    bool better = true;
    std::string list;
    for (const Cell& event : event_) {
      for (const Cell& direct : direct_) {
        if (is_flooded(*event.machine) != is_flooded(*direct.machine)) continue;
        const double ours = direct.interval("deviation"), theirs = event.interval("deviation");
        better = better && width(direct) < width(event) && ours < theirs;
        list += fmt::format("{}{} {:.0f} ns, {:.1f} instead of {:.0f}, {:.1f}",
                            list.empty() ? "" : "; ", direct.name(), width(direct), ours,
                            width(event), theirs);
      }
    }
    if (list.empty()) return;
    add("R3", "range and deviation less than by way of another processor, under the same load",
        list, better);
  }
  void bins() {
    const double missing = worst([](const Cell& cell) {
      std::vector<int> counts;
      for (const auto& [bin, count] : (*cell.figures)["histogram"].items()) {
        counts.push_back(count.get<int>());
      }
      std::ranges::sort(counts, std::greater());
      counts.resize(2);
      return 1 - (counts[0] + counts[1]) / cell.interval("count");
    });
    add("R4", "at least 90 % of the intervals in two bins of 0.1 µs",
        fmt::format("{:.2f} %", (1 - missing) * 100), missing <= 0.1);
  }
  void lost() {
    const double lost = worst([](const Cell& cell) { return std::abs(cell.interval("lost")); });
    add("R5", "no tick lost or merged",
        fmt::format("{:.0f} of {:.0f}", lost,
                    worst([](const Cell& cell) { return cell.interval("count"); })),
        lost == 0);
  }
  // How often the monitor has executed how many instructions before a handler's first.
  using Lengths = std::map<long, long>;
  struct Path {
    Lengths running, waiting;

    explicit Path(const std::vector<Cell>& cells) {
      for (const Cell& cell : cells) {
        add(cell.arrivals("running"), running);
        add(cell.arrivals("waiting"), waiting);
      }
    }
    // Nothing while the kernel runs, and one length out of HLT, of `limit` at most.
    [[nodiscard]] bool is_short(long limit) const {
      const bool none = running.empty() || (running.size() == 1 && running.begin()->first == 0);
      return none && (waiting.empty() || (waiting.size() == 1 && waiting.begin()->first <= limit));
    }
    [[nodiscard]] std::string text() const {
      return fmt::format("running {}; out of HLT {}", text(running), text(waiting));
    }

   private:
    static void add(const Json& counts, Lengths& to) {
      for (const auto& [length, count] : counts.items()) to[std::stol(length)] += count.get<long>();
    }
    static std::string text(const Lengths& lengths) {
      if (lengths.empty()) return "not seen";
      std::string list;
      for (const auto& [length, count] : lengths) {
        list += fmt::format("{}{} ({} times)", list.empty() ? "" : ", ", length, count);
      }
      return list;
    }
  };
  static constexpr long kLimit = 60;  // instructions, out of HLT

  void path() {
    const Path path(direct_);
    add("R6",
        "instructions of the monitor before the handler's first: none while the kernel runs, out "
        "of HLT a constant of at most 60",
        path.text(), path.is_short(kLimit));
  }
  // Not more than for the timer's, if that is known.
  void device() {
    const Path path(device_), ticks(direct_);
    const long limit = ticks.waiting.empty() ? kLimit : ticks.waiting.begin()->first;
    add("R8",
        "a device's interrupts (the real-time clock's, line 8) take the same path: as many "
        "instructions of the monitor as the timer's",
        path.text(), path.is_short(limit));
  }
  void clock() {
    constexpr double kTolerance = 100;  // parts per million
    double error = 0;
    bool known = false;
    for (const Cell& cell : direct_) {
      const auto clock = cell.figures->find("clock");
      if (clock == cell.figures->end()) continue;
      known = true;
      const double seconds = (*clock)["seconds"], nanoseconds = (*clock)["nanoseconds"];
      error = std::max(error, std::abs(nanoseconds / seconds / 1e3 - 1e6));
    }
    if (!known) return;
    add("R7",
        "the monitor keeps time by the HPET meanwhile: Linux' clock, which it sets, is within 100 "
        "ppm of the real-time clock's chip",
        fmt::format("{:.1f} ppm", error), error <= kTolerance);
  }

  std::vector<Cell> direct_, event_, device_;
  Json claims_ = Json::array();
};

}  // namespace

std::string realtime_text(bool quick) {
  // `from`: before the one that the machine has, which is for a neighbour at work.
  return quick ? fmt::format("record={} from=100 ", kQuickRecorded)
               : fmt::format("record={} ", kRecorded);
}

Json realtime_figures(const Ran& run) {
  Json figures = Json::object();
  if (run.exact_time) {
    const std::vector<double> intervals = intervals_of(run.console);
    figures["intervals"] = statistics_of(intervals);
    figures["histogram"] = histogram_of(intervals);
    figures["timeline"] = timeline_of(intervals);
  }
  const Json& counts = run.counts;
  const Json& regions = counts["cpus"][0]["regions"];
  const auto region = regions.find(std::to_string(static_cast<int>(Operation::Ticks)));
  if (region == regions.end()) throw UserError("the real-time kernel has recorded no tick");
  const Json& arrivals = (*region)["arrivals"];
  figures["arrivals"] = {{"running", arrivals["running"]}, {"waiting", arrivals["waiting"]}};
  for (std::size_t n = 0; n < counts["domains"].size(); ++n) {
    if (counts["domains"][n] == "monitor") {
      figures["longest in the monitor"] = arrivals["longest"][n];
    }
  }
  Json exits = Json::object();
  for (std::size_t n = 0; n < counts["events"].size(); ++n) {
    const Json& count = (*region)["events"][n];
    if (count != 0) exits[counts["events"][n].get<std::string>()] = count;
  }
  figures["exits"] = exits;
  if (!run.neighbour.rows.empty() && !run.quick) figures["clock"] = clock_of(run.neighbour);
  return figures;
}

std::string realtime_table(const Json& result) {
  std::string text;
  for (const Machine& machine : machines()) {
    const Json* const cell = cell_of(result, kSuite, machine.name);
    if (cell == nullptr) continue;
    if (text.empty()) {
      text = fmt::format("\n{:<24}{:>12}{:>10}{:>10}{:>11}{:>6}  {}\n", "realtime: ns of a tick",
                         "mean", "least", "most", "deviation", "lost",
                         "monitor's instructions before it");
    }
    text += fmt::format("{:<24}", machine.name);
    if (cell->contains("intervals")) {
      const Json& of = (*cell)["intervals"];
      text += fmt::format("{:>12.1f}{:>10.0f}{:>10.0f}{:>11.2f}{:>6}", of["mean"].get<double>(),
                          of["least"].get<double>(), of["most"].get<double>(),
                          of["deviation"].get<double>(), of["lost"].get<int>());
    } else {
      text += fmt::format("{:>12}{:>10}{:>10}{:>11}{:>6}", "-", "-", "-", "-", "-");
    }
    const char* separator = "  ";
    for (const char* how : {"running", "waiting"}) {
      for (const auto& [length, count] : (*cell)["arrivals"][how].items()) {
        text += fmt::format("{}{} {}: {}", separator, how, length, count.get<long>());
        separator = ", ";
      }
    }
    text += fmt::format("; longest {}\n", (*cell)["longest in the monitor"].get<long>());
  }
  return text;
}

Json realtime_claims(const Json& result) { return Claims(result).all(); }

std::string realtime_claims_text(const Json& result) {
  if (!result.contains("realtime claims")) return {};
  std::string text = "\nReal-time behaviour:\n";
  std::size_t met = 0;
  for (const Json& claim : result["realtime claims"]) {
    met += claim["met"].get<bool>() ? 1 : 0;
    text += fmt::format("{} {:<8} {}: {}\n", claim["claim"].get<std::string>(),
                        claim["met"].get<bool>() ? "met" : "not met",
                        claim["what"].get<std::string>(), claim["figure"].get<std::string>());
  }
  return text + fmt::format("{} of {} are met.\n", met, result["realtime claims"].size());
}

}  // namespace mezzo::bench
