// Finds whatever two partitions both claim: names, processors, consoles, devices, interrupts,
// ports.
#include <algorithm>
#include <set>

#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::system {
namespace {

using plan::InterruptController;

// A range of numbers of some kind that a partition wants for itself.
struct Claim {
  const Partition* owner;
  std::string what;  // why it is claimed
  unsigned first, last;
  Position where;
};

// Reports each pair of claims of different partitions that meet.
void report_conflicts(const System& system, std::string_view kind, bool hexadecimal,
                      const std::vector<Claim>& claims, std::string_view remedy,
                      Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < claims.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const Claim &first = claims[j], &second = claims[i];
      const unsigned common = std::max(first.first, second.first);
      if (first.owner == second.owner || common > std::min(first.last, second.last)) continue;
      const std::string number =
          hexadecimal ? fmt::format("{:#x}", common) : fmt::format("{}", common);
      add_error(system, second.where,
                fmt::format("{} {} has two owners: {} ({}) and {} ({}, line {})", kind, number,
                            second.owner->name, second.what, first.owner->name, first.what,
                            first.where.line),
                std::string(remedy), diagnostics);
    }
  }
}

void check_names(const System& system, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const Partition &first = system.partitions[j], &second = system.partitions[i];
      if (first.name != second.name) continue;
      add_error(system, second.name_where,
                fmt::format("the name '{}' is taken by the partition of line {}", second.name,
                            first.name_where.line),
                "give each partition a name of its own", diagnostics);
    }
  }
}

void check_devices(const System& system, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    for (const DeviceUse& use : system.partitions[i].devices) {
      for (std::size_t j = 0; j < i; ++j) {
        if (!system.partitions[j].owns(use.name)) continue;
        add_error(system, use.where,
                  fmt::format("device '{}' has two owners: {} and {}", use.name,
                              system.partitions[i].name, system.partitions[j].name),
                  "remove it from one of them", diagnostics);
      }
    }
  }
}

// Partitions that share a processor use the monitor's memory of processors that have no partition;
// that of the first one is always in use.
void check_shares(const System& system, Diagnostics& diagnostics) {
  const BoardInfo& board = board_info(system.machine.board);
  std::set<unsigned> used;
  unsigned spare = plan::kArmv7MaxCpus - 1;
  for (const Partition& partition : system.partitions) {
    if (used.insert(partition.cpu).second) {
      if (partition.cpu != 0) --spare;
      continue;
    }
    if (board.armv7.private_timer == 0) {
      add_error(system, partition.cpu_where,
                fmt::format("a processor of board {} cannot be shared", board.name),
                "leave out all partitions of it but one", diagnostics);
      return;
    }
  }
  const std::size_t sharing = system.partitions.size() - used.size();
  if (sharing <= spare) return;
  add_error(system, system.partitions.back().cpu_where,
            fmt::format("{} partitions share the processor of another one; there is room for {}",
                        sharing, spare),
            "leave out some partitions", diagnostics);
}

// Partitions may share a processor of an ARMv7 board, by fixed priority where it has no time table.
void check_priorities(const System& system, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const Partition &first = system.partitions[j], &second = system.partitions[i];
      const unsigned priority = second.armv7.priority.value_or(0);
      if (first.cpu != second.cpu || first.armv7.priority.value_or(0) != priority) continue;
      if (system.schedule_of(second.cpu) != nullptr) continue;
      add_error(system, second.cpu_where,
                fmt::format("processor {} has two owners of priority {}: {} and {} (line {})",
                            second.cpu, priority, second.name, first.name, first.cpu_where.line),
                "give each a 'cpu' or a 'priority' of its own, or the processor a [[schedule]]",
                diagnostics);
    }
  }
}

void check_controllers(const System& system, Diagnostics& diagnostics) {
  for (const InterruptController chip : {InterruptController::IoApic, InterruptController::Pic}) {
    const Partition* owner = nullptr;
    for (const Partition& partition : system.partitions) {
      if (partition.interrupts != chip) continue;
      if (owner != nullptr) {
        const bool pic = chip == InterruptController::Pic;
        add_error(system, partition.interrupts_where,
                  fmt::format("the {} has two owners: {} and {}", pic ? "PIC" : "I/O APIC",
                              partition.name, owner->name),
                  "give one of them interrupts = \"none\" or the other controller", diagnostics);
      } else {
        owner = &partition;
      }
    }
  }
}

// Interrupts or ports of the links' UARTs.
void add_link_claims(const System& system, bool irqs, std::vector<Claim>& claims) {
  const BoardInfo& board = board_info(system.machine.board);
  for (const Link& link : system.links) {
    for (const LinkEnd& end : link.ends) {
      const BoardUart& uart = board.uart(end.com);
      const unsigned first = irqs ? uart.irq : uart.port;
      claims.push_back({&system.partitions[end.partition], std::string(uart.name), first,
                        irqs ? first : first + 7, end.where});
    }
  }
}

std::vector<Claim> irq_claims(const System& system) {
  const BoardInfo& board = board_info(system.machine.board);
  std::vector<Claim> claims;
  add_link_claims(system, true, claims);
  for (const Partition& partition : system.partitions) {
    if (partition.console != 0) {
      const BoardUart& uart = board.uart(partition.console);
      claims.push_back(
          {&partition, std::string(uart.name), uart.irq, uart.irq, partition.console_where});
    }
    for (const DeviceUse& use : partition.devices) {
      const BoardDevice* device = board.find(use.name);
      if (device == nullptr) continue;
      for (const unsigned irq : device->irqs) {
        claims.push_back({&partition, use.name, irq, irq, use.where});
      }
    }
    for (const IrqLine& line : partition.irqs) {
      claims.push_back({&partition, "irqs", line.line, line.line, line.where});
    }
  }
  return claims;
}

std::vector<Claim> port_claims(const System& system) {
  constexpr BoardPorts kPicPorts[] = {{0x20, 0x21}, {0x40, 0x43}, {0xa0, 0xa1}};
  const BoardInfo& board = board_info(system.machine.board);
  std::vector<Claim> claims;
  add_link_claims(system, false, claims);
  for (const Partition& partition : system.partitions) {
    if (partition.console != 0) {
      const BoardUart& uart = board.uart(partition.console);
      claims.push_back(
          {&partition, std::string(uart.name), uart.port, uart.port + 7U, partition.console_where});
    }
    if (partition.interrupts == InterruptController::Pic) {
      for (const BoardPorts& ports : kPicPorts) {
        claims.push_back(
            {&partition, "PIC and PIT", ports.first, ports.last, partition.interrupts_where});
      }
    }
    for (const DeviceUse& use : partition.devices) {
      const BoardDevice* device = board.find(use.name);
      if (device == nullptr) continue;
      for (const BoardPorts& ports : device->ports) {
        claims.push_back({&partition, use.name, ports.first, ports.last, use.where});
      }
    }
    for (const PortRange& range : partition.ports) {
      claims.push_back({&partition, "ports", range.first, range.last, range.where});
    }
  }
  return claims;
}

// Two users of one device or console are reported once, not for each of its ports and interrupts.
void drop_shared_owner_claims(const System& system, std::vector<Claim>& claims) {
  std::vector<std::pair<std::string, const Partition*>> first_owner;
  std::erase_if(claims, [&](const Claim& claim) {
    const bool exclusive = claim.what.starts_with("COM") || claim.what.starts_with("UART") ||
                           claim.what == "PIC and PIT" ||
                           board_info(system.machine.board).find(claim.what) != nullptr;
    if (!exclusive) return false;
    for (const auto& [what, owner] : first_owner) {
      if (what == claim.what) return owner != claim.owner;
    }
    first_owner.emplace_back(claim.what, claim.owner);
    return false;
  });
}

}  // namespace

bool has_bus_master(const System& system, const Partition& partition) {
  const BoardInfo& board = board_info(system.machine.board);
  return std::ranges::any_of(partition.devices, [&board](const DeviceUse& use) {
    const BoardDevice* device = board.find(use.name);
    return device != nullptr && device->bus_master;
  });
}

void check_owners(const System& system, Diagnostics& diagnostics) {
  const BoardInfo& board = board_info(system.machine.board);
  const unsigned first_uart = board.is_armv7() ? 0 : 1;
  check_names(system, diagnostics);
  std::vector<Claim> consoles;
  for (const Partition& partition : system.partitions) {
    if (partition.console != 0) {
      const unsigned number = partition.console - 1 + first_uart;
      consoles.push_back({&partition, "console", number, number, partition.console_where});
    }
  }
  for (const Link& link : system.links) {
    for (const LinkEnd& end : link.ends) {
      consoles.push_back({&system.partitions[end.partition], "link", end.com, end.com, end.where});
    }
  }
  if (board.is_armv7()) {
    check_priorities(system, diagnostics);
    check_shares(system, diagnostics);
  } else {
    check_sharing(system, diagnostics);
  }
  report_conflicts(system, board.is_armv7() ? "serial port UART" : "serial port COM", false,
                   consoles, "give one of them another port", diagnostics);
  check_devices(system, diagnostics);
  check_controllers(system, diagnostics);
  std::vector<Claim> irqs = irq_claims(system);
  drop_shared_owner_claims(system, irqs);
  report_conflicts(system, "interrupt", false, irqs, "give one of them another device or line",
                   diagnostics);
  if (board.is_armv7()) return;
  std::vector<Claim> ports = port_claims(system);
  drop_shared_owner_claims(system, ports);
  report_conflicts(system, "port", true, ports, "remove it from one of them", diagnostics);
}

}  // namespace mezzo::system
