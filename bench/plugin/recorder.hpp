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
// matrix [from * domains + to], `sensitive` one of [kind * domains + domain].
struct Counts {
  std::vector<std::uint64_t> instructions, transitions, sensitive;
  std::uint64_t root_switches = 0;  // that ended a count of pages
  std::uint64_t pages = 0;          // touched from one root switch to the next, summed up

  explicit Counts(const Table& table)
      : instructions(table.domains.size()),
        transitions(table.domains.size() * table.domains.size()),
        sensitive(kSensitive.size() * table.domains.size()) {}

  // Adds `now - before`.
  void add(const Counts& now, const Counts& before);
};

struct Region {
  std::uint64_t occurrences = 0;
  Counts counts;
};

class Recorder {
 public:
  explicit Recorder(const Table& table) : table_(table), counts_(table), begin_(table) {}

  void instruction(std::size_t domain) { ++counts_.instructions[domain]; }
  // The first instruction of a block: the only place where the domain can change.
  void block(std::size_t domain) {
    if (domain == domain_) return;
    if (domain_ != kNone) ++counts_.transitions[domain_ * table_.domains.size() + domain];
    domain_ = domain;
  }
  // An instruction of `kind`, an index in kSensitive.
  void sensitive(std::size_t kind, std::size_t domain);
  void touch(std::uint64_t address) { pages_.insert(address >> kPageBits); }

  // Region `id` begins: counts from here on are its. Regions do not overlap; a second begin forgets
  // the first.
  void begin(std::uint32_t id);
  // Region `id` ends. Without a begin it counts from the start of the run.
  void end(std::uint32_t id);

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const std::map<std::uint32_t, Region>& regions() const { return regions_; }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  static constexpr unsigned kPageBits = 12;

  const Table& table_;
  Counts counts_, begin_;
  std::size_t domain_ = kNone;
  std::map<std::uint32_t, Region> regions_;
  std::unordered_set<std::uint64_t> pages_;
};

// The result as JSON: {"domains": [...], "sensitive": [...], "cpus": [{"counts": {...}, "regions":
// {"ID": {"occurrences": n, ...}}}]}, in counts the members of Counts.
[[nodiscard]] std::string to_json(const Table& table, const std::vector<Recorder>& recorders);

}  // namespace mezzo::count
