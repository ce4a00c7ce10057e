// Finds whatever two partitions both claim: names, processors, consoles, devices, interrupts,
// ports.
#include <algorithm>

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
      const BoardUart& uart = board.uarts[end.com - 1];
      const unsigned first = irqs ? uart.irq : uart.port;
      claims.push_back({&system.partitions[end.partition], fmt::format("COM{}", end.com), first,
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
      const unsigned irq = board.uarts[partition.console - 1].irq;
      claims.push_back(
          {&partition, fmt::format("COM{}", partition.console), irq, irq, partition.console_where});
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
      const unsigned port = board.uarts[partition.console - 1].port;
      claims.push_back({&partition, fmt::format("COM{}", partition.console), port, port + 7,
                        partition.console_where});
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
    const bool exclusive = claim.what.starts_with("COM") || claim.what == "PIC and PIT" ||
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

void check_owners(const System& system, Diagnostics& diagnostics) {
  check_names(system, diagnostics);
  std::vector<Claim> cpus, consoles;
  for (const Partition& partition : system.partitions) {
    cpus.push_back({&partition, "cpu", partition.cpu, partition.cpu, partition.cpu_where});
    if (partition.console != 0) {
      consoles.push_back(
          {&partition, "console", partition.console, partition.console, partition.console_where});
    }
  }
  for (const Link& link : system.links) {
    for (const LinkEnd& end : link.ends) {
      consoles.push_back({&system.partitions[end.partition], "link", end.com, end.com, end.where});
    }
  }
  report_conflicts(system, "processor", false, cpus, "give each partition a 'cpu' of its own",
                   diagnostics);
  report_conflicts(system, "serial port COM", false, consoles, "give one of them another port",
                   diagnostics);
  check_devices(system, diagnostics);
  check_controllers(system, diagnostics);
  std::vector<Claim> irqs = irq_claims(system);
  drop_shared_owner_claims(system, irqs);
  report_conflicts(system, "interrupt", false, irqs, "give one of them another device or line",
                   diagnostics);
  std::vector<Claim> ports = port_claims(system);
  drop_shared_owner_claims(system, ports);
  report_conflicts(system, "port", true, ports, "remove it from one of them", diagnostics);
}

}  // namespace mezzo::system
