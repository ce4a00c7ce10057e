// Typed access to TOML tables with complaints that carry a position.
#include "system/toml_reader.hpp"

#include <algorithm>
#include <numeric>

#include "system/parse.hpp"

namespace mezzo::system {
namespace {

// Levenshtein distance of two short words.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

Position position_of(const toml::source_region& region) {
  return {region.begin.line, static_cast<std::uint32_t>(region.begin.column)};
}

const toml::node* TomlReader::node(std::string_view key, bool required) {
  known_.emplace_back(key);
  const toml::node* found = table_.get(key);
  if (found == nullptr && required) {
    error(where(), fmt::format("{} has no '{}'", what_, key), fmt::format("add '{} = ...'", key));
  }
  return found;
}

void TomlReader::error(Position position, std::string what, std::string remedy) {
  diagnostics_.push_back({Severity::Error, {file_, position}, std::move(what), std::move(remedy)});
}

void TomlReader::wrong_type(std::string_view key, const toml::node& node, std::string_view wanted) {
  error(position_of(node.source()), fmt::format("'{}' must be {}", key, wanted),
        fmt::format("write it as {}", wanted));
}

std::optional<std::string> TomlReader::string(std::string_view key, bool required) {
  const toml::node* found = node(key, required);
  if (found == nullptr) return std::nullopt;
  const std::optional<std::string> value = found->value_exact<std::string>();
  if (!value) wrong_type(key, *found, "a string in quotes");
  return value;
}

std::optional<std::uint64_t> TomlReader::number(std::string_view key, std::uint64_t max,
                                                bool required) {
  const toml::node* found = node(key, required);
  if (found == nullptr) return std::nullopt;
  const std::optional<std::int64_t> value = found->value_exact<std::int64_t>();
  if (!value || *value < 0 || static_cast<std::uint64_t>(*value) > max) {
    wrong_type(key, *found, fmt::format("a number from 0 to {}", max));
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(*value);
}

std::optional<bool> TomlReader::boolean(std::string_view key) {
  const toml::node* found = node(key);
  if (found == nullptr) return std::nullopt;
  const std::optional<bool> value = found->value_exact<bool>();
  if (!value) wrong_type(key, *found, "true or false");
  return value;
}

std::vector<std::pair<std::string, Position>> TomlReader::strings(std::string_view key) {
  std::vector<std::pair<std::string, Position>> values;
  const toml::node* found = node(key);
  if (found == nullptr) return values;
  const toml::array* list = found->as_array();
  if (list == nullptr) {
    wrong_type(key, *found, "a list of strings, [\"...\"]");
    return values;
  }
  for (const toml::node& element : *list) {
    if (const std::optional<std::string> value = element.value_exact<std::string>()) {
      values.emplace_back(*value, position_of(element.source()));
    } else {
      wrong_type(key, element, "a list of strings, [\"...\"]");
    }
  }
  return values;
}

const toml::table* TomlReader::table(std::string_view key, bool required,
                                     std::string_view example) {
  const toml::node* found = node(key, required);
  if (found == nullptr) return nullptr;
  if (found->is_table()) return found->as_table();
  error(position_of(found->source()), fmt::format("'{}' must be a table", key),
        fmt::format("write it as {} = {}", key, example));
  return nullptr;
}

std::optional<std::uint64_t> TomlReader::size(std::string_view key, bool required) {
  const toml::node* found = node(key, required);
  if (found == nullptr) return std::nullopt;
  if (const auto text = found->value_exact<std::string>()) {
    if (const auto value = parse_size(*text)) return value;
  } else if (const auto number = found->value_exact<std::int64_t>()) {
    if (*number >= 0) return static_cast<std::uint64_t>(*number);
  }
  wrong_type(key, *found, "a size such as \"192 MiB\", \"64 KiB\" or 0x10000");
  return std::nullopt;
}

std::optional<std::uint32_t> TomlReader::microseconds(std::string_view key, bool required) {
  const std::optional<std::string> text = string(key, required);
  if (!text) return std::nullopt;
  if (const auto value = parse_microseconds(*text)) return value;
  error(where(key), fmt::format("'{}' is not a time", *text), "write it as \"1 ms\" or \"500 us\"");
  return std::nullopt;
}

std::optional<std::size_t> TomlReader::choice(std::string_view key,
                                              const std::vector<std::string>& names) {
  const std::optional<std::string> value = string(key);
  if (!value) return std::nullopt;
  const auto found = std::ranges::find(names, *value);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  error(where(key), fmt::format("'{}' is not a value of '{}'", *value, key),
        fmt::format("use one of: {}", fmt::join(names, ", ")));
  return std::nullopt;
}

void TomlReader::refuse(std::initializer_list<std::string_view> keys, std::string_view board) {
  for (const std::string_view key : keys) {
    if (node(key) == nullptr) continue;
    error(where(key), fmt::format("'{}' has no meaning on board {}", key, board), "remove it");
  }
}

Position TomlReader::where(std::string_view key) const {
  const toml::node* found = table_.get(key);
  return found != nullptr ? position_of(found->source()) : where();
}

void TomlReader::finish() {
  for (const auto& [key, value] : table_) {
    const std::string_view name = key.str();
    if (std::ranges::find(known_, name) != known_.end()) continue;
    const auto nearest = std::ranges::min_element(
        known_, {}, [name](const std::string& known) { return edit_distance(known, name); });
    const bool similar = nearest != known_.end() && edit_distance(*nearest, name) <= 2;
    error(position_of(key.source()), fmt::format("unknown key '{}' in {}", name, what_),
          similar ? fmt::format("did you mean '{}'?", *nearest)
                  : fmt::format("remove it; known here are: {}", fmt::join(known_, ", ")));
  }
}

}  // namespace mezzo::system
