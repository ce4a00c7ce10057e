// The table that tells the plugin what an address means. Lines of text, addresses in hexadecimal:
//
//   domain NAME FIRST LAST      instructions at these addresses (inclusive) belong to NAME
//   uncounted NAME              instructions of this domain are not counted, which is faster
//   traps NAME                  in this domain a switch of roots is no switch, but asks a monitor
//   event NAME DOMAIN ADDRESS   a store of DOMAIN to this address is one event of this name: the
//                               address is that of a counter in memory, which it increments
//
// The first domain that matches counts; what matches none is in the domain `other`, which is last.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "sensitive.hpp"

namespace mezzo::count {

struct Range {
  std::size_t domain;  // index in Table::domains
  std::uint64_t first, last;
};

struct Event {
  std::string name;
  std::size_t domain;
  std::uint64_t address;
};

struct Table {
  Processor processor = Processor::X86;
  std::vector<std::string> domains;  // `other` is the last one
  std::vector<Range> ranges;
  std::vector<std::size_t> trapping, uncounted;  // domains
  std::vector<Event> events;

  // The domain of an instruction at `address`.
  [[nodiscard]] std::size_t domain_of(std::uint64_t address) const;
  [[nodiscard]] bool traps(std::size_t domain) const;
  [[nodiscard]] bool counts(std::size_t domain) const;
  // Whether stores of this domain can be events.
  [[nodiscard]] bool has_events(std::size_t domain) const;
};

// Reads a table. Error: what is wrong, with its line number.
[[nodiscard]] std::expected<Table, std::string> parse_table(std::string_view text);

}  // namespace mezzo::count
