// Regions and output behind recorder.hpp.
#include "recorder.hpp"

#include <algorithm>
#include <sstream>

namespace mezzo::count {

namespace {

void add_difference(std::vector<std::uint64_t>& to, const std::vector<std::uint64_t>& now,
                    const std::vector<std::uint64_t>& before) {
  for (std::size_t n = 0; n < to.size(); ++n) to[n] += now[n] - before[n];
}

template <class List, class Write>
void write_list(std::ostream& out, const List& list, const Write& write) {
  const char* separator = "[";
  for (const auto& item : list) {
    out << separator;
    write(item);
    separator = ",";
  }
  out << (list.empty() ? "[]" : "]");
}

void write_counts(std::ostream& out, const Counts& counts) {
  const auto numbers = [&](const char* name, const std::vector<std::uint64_t>& list) {
    out << '"' << name << "\":";
    write_list(out, list, [&](std::uint64_t value) { out << value; });
    out << ',';
  };
  numbers("instructions", counts.instructions);
  numbers("transitions", counts.transitions);
  numbers("sensitive", counts.sensitive);
  out << "\"root_switches\":" << counts.root_switches << ",\"pages\":" << counts.pages;
}

}  // namespace

void Counts::add(const Counts& now, const Counts& before) {
  add_difference(instructions, now.instructions, before.instructions);
  add_difference(transitions, now.transitions, before.transitions);
  add_difference(sensitive, now.sensitive, before.sensitive);
  root_switches += now.root_switches - before.root_switches;
  pages += now.pages - before.pages;
}

void Recorder::sensitive(std::size_t kind, std::size_t domain) {
  ++counts_.sensitive[kind * table_.domains.size() + domain];
  if (kind != kRootWrite || table_.traps(domain)) return;
  ++counts_.root_switches;
  counts_.pages += pages_.size();
  pages_.clear();
}

void Recorder::begin(std::uint32_t) { begin_ = counts_; }

void Recorder::end(std::uint32_t id) {
  Region& region = regions_.try_emplace(id, Region{0, Counts(table_)}).first->second;
  ++region.occurrences;
  region.counts.add(counts_, begin_);
}

std::string to_json(const Table& table, const std::vector<Recorder>& recorders) {
  std::ostringstream out;
  out << "{\"domains\":";
  write_list(out, table.domains, [&](const std::string& name) { out << '"' << name << '"'; });
  out << ",\n\"sensitive\":";
  write_list(out, kSensitive, [&](const Sensitive& kind) { out << '"' << kind.name << '"'; });
  out << ",\n\"cpus\":";
  write_list(out, recorders, [&](const Recorder& recorder) {
    out << "\n{\"counts\":{";
    write_counts(out, recorder.counts());
    out << "},\n \"regions\":{";
    const char* separator = "";
    for (const auto& [id, region] : recorder.regions()) {
      out << separator << "\n  \"" << id << "\":{\"occurrences\":" << region.occurrences << ',';
      write_counts(out, region.counts);
      out << '}';
      separator = ",";
    }
    out << "}}";
  });
  out << "}\n";
  return out.str();
}

}  // namespace mezzo::count
