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

void write_lengths(std::ostream& out, const Lengths& lengths) {
  const char* separator = "{";
  for (const auto& [length, count] : lengths) {
    out << separator << '"' << length << "\":" << count;
    separator = ",";
  }
  out << (lengths.empty() ? "{}" : "}");
}

void write_arrivals(std::ostream& out, const Arrivals& arrivals) {
  out << "\"running\":";
  write_lengths(out, arrivals.running);
  out << ",\"waiting\":";
  write_lengths(out, arrivals.waiting);
  out << ",\"longest\":";
  write_list(out, arrivals.longest, [&](std::uint64_t length) { out << length; });
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
  numbers("events", counts.events);
  numbers("event_instructions", counts.event_instructions);
  out << "\"root_switches\":" << counts.root_switches << ",\"pages\":" << counts.pages;
}

}  // namespace

void Counts::add(const Counts& now, const Counts& before) {
  add_difference(instructions, now.instructions, before.instructions);
  add_difference(transitions, now.transitions, before.transitions);
  add_difference(sensitive, now.sensitive, before.sensitive);
  add_difference(events, now.events, before.events);
  add_difference(event_instructions, now.event_instructions, before.event_instructions);
  root_switches += now.root_switches - before.root_switches;
  pages += now.pages - before.pages;
}

void Recorder::sensitive(std::size_t kind, std::size_t domain) {
  if (waits(kind, table_.processor) && table_.counts(domain)) {
    end_stretch();
    stretch_ = counts_.instructions[domain] + 1;
    waited_ = true;
  }
  ++counts_.sensitive[kind * table_.domains.size() + domain];
  if (kind != kRootWrite || table_.traps(domain)) return;
  ++counts_.root_switches;
  counts_.pages += pages_.size();
  pages_.clear();
}

std::uint64_t Recorder::stretch() const { return counts_.instructions[domain_] - stretch_; }

void Recorder::end_stretch() {
  std::uint64_t& longest = arrivals_.longest[domain_];
  longest = std::max(longest, stretch());
}

void Recorder::arrive() {
  const bool waited = entered_ && last_waited_;
  ++(waited ? arrivals_.waiting : arrivals_.running)[entered_ ? last_ : 0];
}

void Recorder::store(std::uint64_t address) {
  const auto found = std::ranges::find(table_.events, address, &Event::address);
  if (found == table_.events.end()) return;
  const auto event = static_cast<std::size_t>(found - table_.events.begin());
  ++counts_.events[event];
  if (event_ == kNone) event_ = event;
}

void Recorder::change_domain(std::size_t domain) {
  if (domain_ != kNone) {
    ++counts_.transitions[domain_ * table_.domains.size() + domain];
    if (table_.has_events(domain_)) {
      const std::size_t event = event_ == kNone ? table_.events.size() : event_;
      const std::uint64_t length = counts_.instructions[domain_] - stay_;
      counts_.event_instructions[event] += length;
      if (event_ != kNone) ++event_lengths_[event][length];
    }
    end_stretch();
    last_ = stretch();
    last_waited_ = waited_;
  }
  domain_ = domain;
  stay_ = stretch_ = counts_.instructions[domain];
  waited_ = false;
  event_ = kNone;
}

void Recorder::begin(std::uint32_t) {
  begin_ = counts_;
  arrivals_ = Arrivals(table_);
}

void Recorder::end(std::uint32_t id) {
  Region& region =
      regions_.try_emplace(id, Region{0, Counts(table_), Arrivals(table_)}).first->second;
  ++region.occurrences;
  region.counts.add(counts_, begin_);
  region.arrivals = arrivals_;
}

std::string to_json(const Table& table, const std::vector<Recorder>& recorders) {
  std::ostringstream out;
  out << "{\"domains\":";
  write_list(out, table.domains, [&](const std::string& name) { out << '"' << name << '"'; });
  out << ",\n\"sensitive\":";
  write_list(out, sensitive_names(table.processor),
             [&](const std::string& name) { out << '"' << name << '"'; });
  out << ",\n\"events\":";
  write_list(out, table.events, [&](const Event& event) { out << '"' << event.name << '"'; });
  out << ",\n\"cpus\":";
  write_list(out, recorders, [&](const Recorder& recorder) {
    out << "\n{\"counts\":{";
    write_counts(out, recorder.counts());
    out << "},\n \"event_lengths\":";
    write_list(out, recorder.event_lengths(),
               [&](const Lengths& lengths) { write_lengths(out, lengths); });
    out << ",\n \"regions\":{";
    const char* separator = "";
    for (const auto& [id, region] : recorder.regions()) {
      out << separator << "\n  \"" << id << "\":{\"occurrences\":" << region.occurrences << ',';
      write_counts(out, region.counts);
      out << ",\"arrivals\":{";
      write_arrivals(out, region.arrivals);
      out << "}}";
      separator = ",";
    }
    out << "}}";
  });
  out << "}\n";
  return out.str();
}

}  // namespace mezzo::count
