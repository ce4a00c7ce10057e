// The DSDT as ASL text: PCI root bridge, UART, clock and channels of one partition.
#include <fmt/format.h>

#include "firmware/acpi.hpp"

namespace mezzo::firmware {
namespace {

constexpr unsigned kPciSlots = 32;

// Interrupt pins of all slots. Firmware routes pin p (0 is INTA) of slot s to link (s + p - 1) mod
// 4 (SeaBIOS, pci_slot_get_pirq), and each link to one input of the I/O APIC.
std::string pci_routing(const system::BoardInfo& board) {
  std::string text = "      Name (_PRT, Package () {\n";
  for (unsigned slot = 1; slot < kPciSlots; ++slot) {
    for (unsigned pin = 0; pin < 4; ++pin) {
      text += fmt::format("        Package () {{ 0x{:04X}FFFF, {}, 0, {} }},\n", slot, pin,
                          board.pirq[(slot + pin - 1) & 3]);
    }
  }
  return text + "      })\n";
}

std::string pci_root(const AcpiInput& input, const system::BoardInfo& board) {
  return fmt::format(
             R"(    Device (PCI0) {{
      Name (_HID, EisaId ("PNP0A03"))
      Name (_UID, 0)
      Name (_BBN, 0)
      Name (_ADR, 0)
      Name (_CRS, ResourceTemplate () {{
        WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
          0x0000, 0x0000, 0x00FF, 0x0000, 0x0100)
        IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
        WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
          0x0000, 0x0000, 0x0CF7, 0x0000, 0x0CF8)
        WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
          0x0000, 0x0D00, 0xFFFF, 0x0000, 0xF300)
        DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
          0x00000000, 0x000A0000, 0x000BFFFF, 0x00000000, 0x00020000)
        DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
          0x00000000, 0x{:08X}, 0x{:08X}, 0x00000000, 0x{:08X})
      }})
)",
             input.pci_window_start, board.pci_window_end,
             board.pci_window_end - input.pci_window_start + 1) +
         pci_routing(board) + "    }\n";
}

std::string uart(const AcpiUart& uart) {
  const std::string irq = uart.irq ? fmt::format("        IRQNoFlags () {{{}}}\n", *uart.irq) : "";
  return fmt::format(
      R"(    Device (COM{0}) {{
      Name (_HID, EisaId ("PNP0501"))
      Name (_UID, {0})
      Name (_CRS, ResourceTemplate () {{
        IO (Decode16, 0x{1:04X}, 0x{1:04X}, 0x00, 0x08)
{2}      }})
    }}
)",
      uart.number, uart.port, irq);
}

std::string rtc(bool with_interrupt) {
  return fmt::format(
      R"(    Device (RTC) {{
      Name (_HID, EisaId ("PNP0B00"))
      Name (_CRS, ResourceTemplate () {{
        IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
{}      }})
    }}
)",
      with_interrupt ? "        IRQNoFlags () {8}\n" : "");
}

// A PCI interrupt is level-triggered unless a link device says otherwise; a doorbell is an edge.
std::string doorbell(std::size_t pin, std::uint8_t line) {
  return fmt::format(
      R"(    Device (LNK{0}) {{
      Name (_HID, EisaId ("PNP0C0F"))
      Name (_UID, {0})
      Name (_STA, 0x0B)
      Name (_PRS, ResourceTemplate () {{
        Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) {{{1}}}
      }})
      Method (_CRS) {{ Return (_PRS) }}
      Method (_SRS, 1) {{ }}
    }}
)",
      pin, line);
}

// One window for each, so that Linux finds no room for anything else.
std::string channels(const std::vector<ChannelFunction>& functions) {
  std::string links, windows, routing;
  for (std::size_t pin = 0; pin < functions.size(); ++pin) {
    const ChannelFunction& function = functions[pin];
    links += doorbell(pin, function.line);
    windows += fmt::format(
        "        DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, "
        "ReadWrite,\n"
        "          0x00000000, 0x{:08X}, 0x{:08X}, 0x00000000, 0x{:08X})\n",
        function.base, function.base + (function.size - 1), function.size);
    routing += fmt::format("        Package () {{ 0x0000FFFF, {0}, LNK{0}, 0 }},\n", pin);
  }
  return links + fmt::format(
                     R"(    Device (CHAN) {{
      Name (_HID, EisaId ("PNP0A03"))
      Name (_UID, 1)
      Name (_SEG, {})
      Name (_BBN, 0)
      Name (_CRS, ResourceTemplate () {{
        WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
          0x0000, 0x0000, 0x0000, 0x0000, 0x0001)
{}      }})
      Name (_PRT, Package () {{
{}      }})
    }}
)",
                     kFunctionsSegment, windows, routing);
}

}  // namespace

std::string make_dsdt_source(const AcpiInput& input, const system::BoardInfo& board) {
  std::string text =
      "DefinitionBlock (\"\", \"DSDT\", 2, \"MEZZO \", \"PARTITN \", 0x00000001) {\n"
      "  Scope (\\_SB) {\n";
  if (input.pci) text += pci_root(input, board);
  if (input.uart) text += uart(*input.uart);
  for (const AcpiUart& link : input.links) text += uart(link);
  if (input.rtc) text += rtc(input.interrupts != plan::InterruptController::None);
  if (!input.channels.empty()) text += channels(input.channels);
  return text + "  }\n}\n";
}

}  // namespace mezzo::firmware
