// What each link must satisfy: two partitions, serial ports that nothing else uses, addresses.
// That two partitions do not claim one port is found by check_owners.cpp.
#include <arpa/inet.h>

#include <array>

#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::system {
namespace {

void check_end(const System& system, const LinkEnd& end, Diagnostics& diagnostics) {
  const Partition& partition = system.partitions[end.partition];
  in_addr address{};
  if (inet_pton(AF_INET, end.address.c_str(), &address) != 1) {
    add_error(system, end.where, fmt::format("'{}' is not an IPv4 address", end.address),
              "write it as \"10.77.0.1\"", diagnostics);
  }
  if (partition.interrupts == plan::InterruptController::None) {
    add_error(system, end.where,
              fmt::format("{} has no interrupt controller for its end of the link", partition.name),
              "set interrupts = \"ioapic\" or \"pic\" in that partition", diagnostics);
  }
}

}  // namespace

void check_links(const System& system, Diagnostics& diagnostics) {
  std::array<const LinkEnd*, 5> users{};  // by COM number
  for (const Link& link : system.links) {
    if (link.ends[0].partition == link.ends[1].partition) {
      add_error(system, link.where,
                fmt::format("both ends of the link are in {}",
                            system.partitions[link.ends[0].partition].name),
                "name two partitions", diagnostics);
    }
    for (const LinkEnd& end : link.ends) {
      check_end(system, end, diagnostics);
      const LinkEnd*& user = users[end.com];
      const bool console = system.partitions[end.partition].console == end.com;
      if (console || (user != nullptr && user->partition == end.partition)) {
        add_error(system, end.where,
                  fmt::format("COM{} of {} is used twice, here and as {}", end.com,
                              system.partitions[end.partition].name,
                              console ? "its console" : "an end of another link"),
                  "choose another port", diagnostics);
      }
      user = &end;
    }
  }
}

}  // namespace mezzo::system
