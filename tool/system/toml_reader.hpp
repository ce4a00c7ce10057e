// Reads typed values out of one TOML table and remembers which keys were asked for, so that the
// rest can be reported as unknown. It knows TOML, but no key of the system file.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "system/diagnostic.hpp"

namespace mezzo::system {

// Where a node or key was written.
[[nodiscard]] Position position_of(const toml::source_region& region);

class TomlReader {
 public:
  // `what` names the table in messages, for example "[machine]". Both references must outlive it.
  TomlReader(const toml::table& table, std::string what, std::string file, Diagnostics& diagnostics)
      : table_(table), what_(std::move(what)), file_(std::move(file)), diagnostics_(diagnostics) {}

  // The node under `key`, or null; marks the key as known. With `required`, absence is an error.
  const toml::node* node(std::string_view key, bool required = false);

  // Typed access: nothing if the key is absent or (reported) of another type.
  std::optional<std::string> string(std::string_view key, bool required = false);
  std::optional<std::uint64_t> number(std::string_view key, std::uint64_t max,
                                      bool required = false);
  std::optional<bool> boolean(std::string_view key);
  std::vector<std::pair<std::string, Position>> strings(std::string_view key);

  // A table; `example` is shown after "key = " if it is something else.
  const toml::table* table(std::string_view key, bool required, std::string_view example);

  // "192 MiB" or a number of bytes.
  std::optional<std::uint64_t> size(std::string_view key, bool required = false);

  // "500 us", "20 ms" or "3 s", in microseconds.
  std::optional<std::uint32_t> microseconds(std::string_view key, bool required = false);

  // One of `names`: its index.
  std::optional<std::size_t> choice(std::string_view key, const std::vector<std::string>& names);

  // Position of the value under `key`, or of the table itself.
  [[nodiscard]] Position where(std::string_view key) const;
  [[nodiscard]] Position where() const { return position_of(table_.source()); }

  void error(Position position, std::string what, std::string remedy);

  // Reports each of `keys` that is there: it means nothing on this `board`.
  void refuse(std::initializer_list<std::string_view> keys, std::string_view board);

  // Reports every key that nobody asked for, with the most similar known one.
  void finish();

 private:
  void wrong_type(std::string_view key, const toml::node& node, std::string_view wanted);

  const toml::table& table_;
  std::string what_;
  std::string file_;
  Diagnostics& diagnostics_;
  std::vector<std::string> known_;
};

}  // namespace mezzo::system
