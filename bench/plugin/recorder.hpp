// The counters of one virtual CPU, and the regions between markers that they are added to. Knows
// nothing of QEMU.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "sensitive.hpp"
#include "table.hpp"

namespace mezzo::count {

// Everything that is counted. `instructions` is parallel to Table::domains; `transitions` is a
// matrix [from * domains + to], `sensitive` one of [kind * domains + domain]. `events` is parallel
// to Table::events; so is `event_instructions`: those of the event's domain from the way into it to
// the way out of it, if the event was the first on that stay. One number more is for stays without
// one.
struct Counts {
  std::vector<std::uint64_t> instructions, transitions, sensitive, events, event_instructions;
  std::uint64_t root_switches = 0;  // that ended a count of pages
  std::uint64_t pages = 0;          // touched from one root switch to the next, summed up

  explicit Counts(const Table& table)
      : instructions(table.domains.size()),
        transitions(table.domains.size() * table.domains.size()),
        sensitive(sensitive_names(table.processor).size() * table.domains.size()),
        events(table.events.size()),
        event_instructions(table.events.size() + 1) {}

  // Adds `now - before`.
  void add(const Counts& now, const Counts& before);
};

// Of stretches of instructions: how many there were of each length.
using Lengths = std::map<std::uint64_t, std::uint64_t>;

// How interrupts came, and what could have held them up. A stretch ends where the domain changes,
// and where the processor begins to wait.
struct Arrivals {
  // Instructions of another domain right before an arrival's: none if the handler's own was
  // interrupted. `waiting`: of that domain since the processor waited there.
  Lengths running, waiting;
  std::vector<std::uint64_t> longest;  // stretch, of each domain

  explicit Arrivals(const Table& table) : longest(table.domains.size()) {}
};

struct Region {
  std::uint64_t occurrences = 0;
  Counts counts;
  Arrivals arrivals;  // of its last occurrence
};

class Recorder {
 public:
  explicit Recorder(const Table& table)
      : table_(table),
        counts_(table),
        begin_(table),
        event_lengths_(table.events.size()),
        arrivals_(table) {}

  void instruction(std::size_t domain) { ++*counter(domain); }
  // The count of a domain's instructions; stays where it is.
  [[nodiscard]] std::uint64_t* counter(std::size_t domain) { return &counts_.instructions[domain]; }
  // The first instruction of a block: the only place where the domain can change. A handler's is
  // one.
  void block(std::size_t domain) {
    entered_ = domain != domain_;
    if (entered_) change_domain(domain);
  }
  // An instruction of `kind`, an index in sensitive_names(), that has not been counted yet.
  void sensitive(std::size_t kind, std::size_t domain);
  // The next instruction is the first of a handler.
  void arrive();
  // A store to `address` by a domain that has events.
  void store(std::uint64_t address);
  void touch(std::uint64_t address) { pages_.insert(address >> kPageBits); }

  // Region `id` begins: counts from here on are its. Regions do not overlap; a second begin forgets
  // the first.
  void begin(std::uint32_t id);
  // Region `id` ends. Without a begin it counts from the start of the run.
  void end(std::uint32_t id);

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const std::map<std::uint32_t, Region>& regions() const { return regions_; }
  // For each event of the table, of the whole run: how many stays, of which it was the first event,
  // took so many instructions of its domain.
  [[nodiscard]] const std::vector<Lengths>& event_lengths() const { return event_lengths_; }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  static constexpr unsigned kPageBits = 12;

  void change_domain(std::size_t domain);
  // Of this domain, since it was entered or the processor waited.
  [[nodiscard]] std::uint64_t stretch() const;
  void end_stretch();

  const Table& table_;
  Counts counts_, begin_;
  std::size_t domain_ = kNone;
  std::uint64_t stay_ = 0;     // instructions of this domain when it was entered
  std::size_t event_ = kNone;  // the first one since then
  std::map<std::uint32_t, Region> regions_;
  std::vector<Lengths> event_lengths_;
  Arrivals arrivals_;          // since the region's begin
  std::uint64_t stretch_ = 0;  // instructions of this domain when its stretch began
  bool entered_ = false;       // the domain, by this very block
  bool waited_ = false;        // in this domain, since it was entered
  std::uint64_t last_ = 0;     // length of the stretch before that
  bool last_waited_ = false;
  std::unordered_set<std::uint64_t> pages_;
};

// The result as JSON: {"domains": [...], "sensitive": [...], "events": [...], "cpus": [{"counts":
// {...}, "event_lengths": [{"LENGTH": n, ...}], "regions": {"ID": {"occurrences": n, ...}}}]}, in
// counts the members of Counts.
[[nodiscard]] std::string to_json(const Table& table, const std::vector<Recorder>& recorders);

}  // namespace mezzo::count
