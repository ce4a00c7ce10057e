// The boards' descriptions.
#include "system/board.hpp"

namespace mezzo::system {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

constexpr std::uint8_t kPciIrqs[] = {10, 11};
constexpr std::uint8_t kRtcIrqs[] = {8};
constexpr BoardPorts kPciPorts[] = {{0xcf8, 0xcff}};
constexpr BoardPorts kRtcPorts[] = {{0x70, 0x71}};

constexpr BoardDevice kPcDevices[] = {
    {"pci", "PCI configuration space and bus", false, std::nullopt, kPciIrqs, kPciPorts},
    {"rtc", "real-time clock and its alarm interrupt", false, std::nullopt, kRtcIrqs, kRtcPorts},
    {"e1000", "Intel e1000 network card at 00:03.0", true, std::uint16_t{3 << 3}, {}, {}},
    // Linux without a PIC cannot use the legacy interrupts of the PIIX3's IDE controller.
    {"ahci", "AHCI disk controller at 00:04.0", true, std::uint16_t{4 << 3}, {}, {}},
};

constexpr BoardInfo kPc = {
    .name = "pc",
    .max_cpus = plan::kMaxPartitions,
    .min_memory = 16 * kMiB,
    .max_memory = 3072 * kMiB,
    .firmware_top = 1 * kMiB,
    .io_apic_address = 0xfec00000,
    .local_apic_address = 0xfee00000,
    .pci_window_end = 0xfebfffff,
    .pirq = {10, 10, 11, 11},
    // Lines of their own for COM3 and COM4, not those of COM1 and COM2: nothing is shared.
    .uarts = {{{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 5}, {0x2e8, 7}}},
    .devices = kPcDevices,
};

}  // namespace

const BoardDevice* BoardInfo::find(std::string_view device) const {
  for (const BoardDevice& candidate : devices) {
    if (candidate.name == device) return &candidate;
  }
  return nullptr;
}

const BoardInfo& board_info(Board board) {
  switch (board) {
    case Board::Pc:
      return kPc;
  }
  return kPc;
}

}  // namespace mezzo::system
