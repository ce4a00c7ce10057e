// The table that tells the plugin what an address means. Lines of text:
//
//   domain NAME FIRST LAST   instructions at these addresses (hexadecimal, inclusive) belong to
//   NAME traps NAME               in this domain a MOV to CR3 does not switch roots, but asks a
//   monitor to
//
// The first domain that matches counts; what matches none is in the domain `other`, which is last.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace mezzo::count {

struct Range {
  std::size_t domain;  // index in Table::domains
  std::uint64_t first, last;
};

struct Table {
  std::vector<std::string> domains;  // `other` is the last one
  std::vector<Range> ranges;
  std::vector<std::size_t> trapping;  // domains

  // The domain of an instruction at `address`.
  [[nodiscard]] std::size_t domain_of(std::uint64_t address) const;
  [[nodiscard]] bool traps(std::size_t domain) const;
};

// Reads a table. Error: what is wrong, with its line number.
[[nodiscard]] std::expected<Table, std::string> parse_table(std::string_view text);

}  // namespace mezzo::count
