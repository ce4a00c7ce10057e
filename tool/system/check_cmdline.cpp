// Refuses kernel parameters that contradict what a guest of this monitor must be told, and what is
// no text.
//
// The list is about Linux; a parameter that another kernel gives another meaning would be refused
// too, which nobody has missed so far. What the tool itself adds is in image/cmdline.hpp.
#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <sstream>

#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::system {
namespace {

struct Forbidden {
  std::string_view parameter;  // with '=' at its end: any value
  std::string_view why;
};

constexpr std::array kAlways = {
    Forbidden{"reservetop=", "the monitor's share of the address space is fixed"},
    Forbidden{"clearcpuid=", "the tool derives it from the machine's 'cpu'"},
    Forbidden{"tsc_early_khz=", "the monitor measures and fills it"},
    Forbidden{"tsc=", "guests have no other clock to compare the TSC with"},
    Forbidden{"notsc", "guests have no other clock"},
    Forbidden{"reboot=", "other methods would reset the whole machine"},
    Forbidden{"nolapic", "the local APIC is the guest's timer"},
    Forbidden{"disableapic", "the local APIC is the guest's timer"},
    Forbidden{"nolapic_timer", "the local APIC is the guest's timer"},
    Forbidden{"apic=", "the tool chooses how interrupts are addressed"},
    Forbidden{"acpi=", "the guest's ACPI tables tell it what it owns"},
    Forbidden{"noacpi", "the guest's ACPI tables tell it what it owns"},
    Forbidden{"mem=", "the memory map comes from the plan"},
    Forbidden{"memmap=", "the memory map comes from the plan"},
    Forbidden{"hpet=", "the HPET is the monitor's"},
    Forbidden{"idle=mwait", "MWAIT cannot be executed outside ring 0"},
};

constexpr std::array kPciOwner = {
    Forbidden{"pci=off", "this partition owns PCI"},
    Forbidden{"pci=noacpi", "interrupt routing comes from the ACPI tables"},
    Forbidden{"noapic", "its interrupts arrive at the I/O APIC"},
};

constexpr std::array kArmv7 = {
    Forbidden{"mem=", "the device tree tells the guest its memory"},
    Forbidden{"initrd=", "the device tree tells where the initramfs is"},
    Forbidden{"initrdmem=", "the device tree tells where the initramfs is"},
    Forbidden{"vmalloc=", "with more of it, Linux would map high memory where the monitor is"},
    Forbidden{"earlycon=", "it takes an address, which may be another partition's"},
    Forbidden{"earlyprintk", "the kernel's own address for it may be another partition's"},
};

// The word as the kernel compares it: without quotes, and in the name '-' is '_'
// (Documentation/admin-guide/kernel-parameters.rst).
std::string normalized(std::string word) {
  std::erase(word, '"');
  std::replace(word.begin(),
               word.begin() + static_cast<std::ptrdiff_t>(std::min(word.find('='), word.size())),
               '-', '_');
  return word;
}

std::optional<Forbidden> find_forbidden(std::string_view word, std::span<const Forbidden> list) {
  for (const Forbidden& entry : list) {
    const bool any_value = entry.parameter.ends_with('=');
    if (any_value ? word.starts_with(entry.parameter) : word == entry.parameter) return entry;
  }
  return std::nullopt;
}

// The serial port that "console=ttyS1,115200" names, from 1.
std::optional<unsigned> console_number(const BoardInfo& board, std::string_view word) {
  constexpr std::string_view kPrefix = "console=";
  if (!word.starts_with(kPrefix)) return std::nullopt;
  const auto device = [](std::string_view text) { return text.substr(0, text.find(',')); };
  const std::string_view named = device(word.substr(kPrefix.size()));
  for (unsigned number = 1; number <= board.uarts.size(); ++number) {
    if (device(board.uart(number).console) == named) return number;
  }
  return std::nullopt;
}

void check_console(const System& system, const Partition& partition, std::string_view word,
                   Diagnostics& diagnostics) {
  const auto number = console_number(board_info(system.machine.board), word);
  if (!number || *number == partition.console) return;
  for (const Partition& other : system.partitions) {
    if (&other == &partition || other.console != *number) continue;
    add_error(system, partition.cmdline_where,
              fmt::format("'{}' is the serial port of {}", word, other.name),
              "remove it: the partition's own console is added by the tool", diagnostics);
  }
}

// A NUL would end the line, and what else is no text would reach people's terminals.
void check_characters(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  const auto control = std::ranges::find_if(partition.cmdline, [](unsigned char character) {
    return std::iscntrl(character) != 0 && std::isspace(character) == 0;
  });
  if (control == partition.cmdline.end()) return;
  add_error(system, partition.cmdline_where,
            fmt::format("the command line of {} has the character {:#04x}", partition.name,
                        static_cast<unsigned char>(*control)),
            "remove it", diagnostics);
}

}  // namespace

void check_cmdline(const System& system, const Partition& partition, Diagnostics& diagnostics) {
  const bool armv7 = board_info(system.machine.board).is_armv7();
  check_characters(system, partition, diagnostics);
  std::istringstream words(partition.cmdline);
  for (std::string word; words >> word;) {
    if (word == "--") break;  // the rest is for init
    const std::string compared = normalized(word);
    auto forbidden = armv7 ? find_forbidden(compared, kArmv7) : find_forbidden(compared, kAlways);
    if (!forbidden && partition.owns("pci")) forbidden = find_forbidden(compared, kPciOwner);
    if (forbidden) {
      add_error(system, partition.cmdline_where,
                fmt::format("the command line of {} must not contain '{}': {}", partition.name,
                            word, forbidden->why),
                "remove it; 'mezzo check' shows what the tool adds itself", diagnostics);
    }
    check_console(system, partition, word, diagnostics);
  }
}

}  // namespace mezzo::system
