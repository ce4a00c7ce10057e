// The parser behind table.hpp.
#include "table.hpp"

#include <algorithm>
#include <optional>
#include <sstream>

namespace mezzo::count {

namespace {

std::optional<std::uint64_t> hexadecimal(const std::string& text) {
  try {
    std::size_t used = 0;
    const std::uint64_t value = std::stoull(text, &used, 16);
    return used == text.size() ? std::optional(value) : std::nullopt;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::size_t index_of(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::ranges::find(names, name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  names.push_back(name);
  return names.size() - 1;
}

// One line into the table; false if it is not understood.
bool add_line(Table& table, const std::string& line) {
  std::istringstream words(line);
  std::string kind, name, first, last, more;
  if (!(words >> kind >> name)) return false;
  if (kind == "traps" || kind == "uncounted") {
    (kind == "traps" ? table.trapping : table.uncounted).push_back(index_of(table.domains, name));
    return !(words >> more);
  }
  if (!(words >> first >> last) || words >> more) return false;
  if (kind == "event") {
    const auto address = hexadecimal(last);
    if (address) table.events.push_back({name, index_of(table.domains, first), *address});
    return address.has_value();
  }
  if (kind != "domain") return false;
  const auto from = hexadecimal(first), to = hexadecimal(last);
  if (!from || !to || *to < *from) return false;
  table.ranges.push_back({index_of(table.domains, name), *from, *to});
  return true;
}

}  // namespace

std::size_t Table::domain_of(std::uint64_t address) const {
  for (const Range& range : ranges) {
    if (address >= range.first && address <= range.last) return range.domain;
  }
  return domains.size() - 1;
}

bool Table::traps(std::size_t domain) const {
  return std::ranges::find(trapping, domain) != trapping.end();
}

bool Table::counts(std::size_t domain) const {
  return std::ranges::find(uncounted, domain) == uncounted.end();
}

bool Table::has_events(std::size_t domain) const {
  return std::ranges::find(events, domain, &Event::domain) != events.end();
}

std::expected<Table, std::string> parse_table(std::string_view text) {
  Table table;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line.starts_with('#')) continue;
    if (!add_line(table, line)) {
      return std::unexpected(
          "line " + std::to_string(number) + ": '" + line +
          "' is neither 'domain NAME FIRST LAST' nor 'uncounted NAME' nor 'traps NAME' nor "
          "'event NAME DOMAIN ADDRESS'");
    }
  }
  table.domains.emplace_back("other");
  return table;
}

}  // namespace mezzo::count
