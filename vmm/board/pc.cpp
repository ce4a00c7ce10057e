// Port-level work on the PC's shared chips.
#include "board/pc.hpp"

#include "arch/ia32/instructions.hpp"

namespace mezzo::board::pc {
namespace {

using ia32::in;
using ia32::out;

constexpr std::uint16_t kPicMasterMask = 0x21, kPicSlaveMask = 0xa1;
constexpr std::uint16_t kPitCounter2 = 0x42, kPitMode = 0x43, kSpeaker = 0x61;
constexpr std::uint16_t kPciAddress = 0xcf8, kPciData = 0xcfc;

void mask_pic() {
  out<std::uint8_t>(kPicMasterMask, 0xff);
  out<std::uint8_t>(kPicSlaveMask, 0xff);
}

// Mode 0 with no count: the output stays low and the counter raises no interrupt.
void stop_pit() { out<std::uint8_t>(kPitMode, 0x30); }

// Source: Intel 82093AA, 3.0. The index register is left as it was.
class IoApic {
 public:
  static constexpr std::uint32_t kMasked = 1u << 16;

  explicit IoApic(std::uint32_t base)
      : select_(reinterpret_cast<volatile std::uint32_t*>(base)),         // NOLINT
        window_(reinterpret_cast<volatile std::uint32_t*>(base + 16)) {}  // NOLINT

  void mask() const {
    constexpr std::uint32_t kVersion = 1;
    const std::uint32_t last = read(kVersion) >> 16 & 0xff;
    for (std::uint32_t pin = 0; pin <= last; ++pin) mask(pin);
  }
  void mask(std::uint32_t pin) const { write(kTable + 2 * pin, kMasked); }
  // The low half of a pin's entry.
  [[nodiscard]] std::uint32_t entry(std::uint32_t pin) const { return read(kTable + 2 * pin); }
  // Edges of `pin`, high when active, or the level, go to one processor.
  void route(std::uint32_t pin, std::uint8_t to, std::uint8_t vector, bool by_level = false) const {
    constexpr std::uint32_t kLevel = 1u << 15;
    write(kTable + 2 * pin + 1, std::uint32_t{to} << 24);
    write(kTable + 2 * pin, vector | (by_level ? kLevel : 0));
  }

 private:
  static constexpr std::uint32_t kTable = 0x10;

  [[nodiscard]] std::uint32_t read(std::uint32_t index) const {
    const std::uint32_t before = *select_;
    *select_ = index;
    const std::uint32_t value = *window_;
    *select_ = before;
    return value;
  }
  void write(std::uint32_t index, std::uint32_t value) const {
    const std::uint32_t before = *select_;
    *select_ = index;
    *window_ = value;
    *select_ = before;
  }

  volatile std::uint32_t* select_;
  volatile std::uint32_t* window_;
};

void disable_bus_master(std::uint32_t function) {
  constexpr std::uint32_t kEnable = 1u << 31, kCommand = 4, kBusMaster = 1u << 2;
  out<std::uint32_t>(kPciAddress, kEnable | function << 8 | kCommand);
  const auto command = in<std::uint16_t>(kPciData);
  out<std::uint16_t>(kPciData, static_cast<std::uint16_t>(command & ~kBusMaster));
}

// Interrupts off, FIFOs empty and off, no break, no modem lines: as after power-on.
void reset_uart(std::uint16_t port) {
  const auto write = [port](unsigned reg, std::uint8_t value) {
    out(static_cast<std::uint16_t>(port + reg), value);
  };
  write(3, 0);
  write(1, 0);
  write(2, 7);
  write(2, 0);
  write(4, 0);
}

}  // namespace

void put_debug(char character) { out(kDebugPort, static_cast<std::uint8_t>(character)); }

bool reports_error() {
  constexpr std::uint8_t kSystemError = 0x80, kChannelCheck = 0x40;
  return (in<std::uint8_t>(kSpeaker) & (kSystemError | kChannelCheck)) != 0;
}

void wait_pit(std::uint16_t counts) {
  constexpr std::uint8_t kGate = 1, kSpeakerOn = 2, kExpired = 0x20;
  const auto speaker = in<std::uint8_t>(kSpeaker);
  out<std::uint8_t>(kSpeaker, static_cast<std::uint8_t>((speaker & ~kSpeakerOn) | kGate));
  out<std::uint8_t>(kPitMode, 0xb0);  // counter 2, both bytes, mode 0
  out(kPitCounter2, static_cast<std::uint8_t>(counts));
  out(kPitCounter2, static_cast<std::uint8_t>(counts >> 8));
  while ((in<std::uint8_t>(kSpeaker) & kExpired) == 0) ia32::pause();
  out(kSpeaker, speaker);
}

void mask_all(std::uint32_t io_apic) {
  mask_pic();
  stop_pit();
  IoApic(io_apic).mask();
}

void route_pit(std::uint32_t io_apic, std::uint8_t to, std::uint8_t vector) {
  constexpr std::uint32_t kPitPin = 2;  // where boards lead ISA interrupt 0
  IoApic(io_apic).route(kPitPin, to, vector);
}

void listen(std::uint32_t io_apic, std::uint32_t line, std::uint8_t to, std::uint8_t vector) {
  constexpr std::uint32_t kIsaLines = 16;
  constexpr std::uint16_t kLevels = 0x4d0;  // a bit an ISA line: PCI's are levels
  const IoApic chip(io_apic);
  if ((chip.entry(line) & IoApic::kMasked) == 0) return;
  const auto levels =
      line < kIsaLines ? in<std::uint8_t>(static_cast<std::uint16_t>(kLevels + line / 8)) : ~0u;
  chip.route(line, to, vector, (levels >> line % 8 & 1) != 0);
}
void stop_listening(std::uint32_t io_apic, std::uint32_t line, std::uint8_t vector) {
  const IoApic chip(io_apic);
  const std::uint32_t entry = chip.entry(line);
  if ((entry & IoApic::kMasked) == 0 && static_cast<std::uint8_t>(entry) == vector) chip.mask(line);
}

std::uint8_t vector_of(std::uint32_t io_apic, std::uint32_t line) {
  constexpr std::uint8_t kFirst = 32;
  constexpr std::uint32_t kDelivery = 6u << 8;  // 0: fixed, or to one of several
  const std::uint32_t entry = IoApic(io_apic).entry(line);
  const auto vector = static_cast<std::uint8_t>(entry);
  const bool raises = (entry & (IoApic::kMasked | kDelivery)) == 0 && vector >= kFirst;
  return raises ? vector : std::uint8_t{0};
}

void quiesce(const plan::Partition& partition, std::uint32_t io_apic) {
  for (std::uint32_t n = 0; n < partition.bus_master_count; ++n) {
    disable_bus_master(partition.bus_masters[n]);
  }
  if (partition.interrupts == plan::InterruptController::IoApic) IoApic(io_apic).mask();
  if (partition.interrupts == plan::InterruptController::Pic) {
    mask_pic();
    stop_pit();
  }
  if (partition.uart_port != 0) reset_uart(static_cast<std::uint16_t>(partition.uart_port));
  for (const std::uint32_t port : partition.link_ports) {
    if (port != 0) reset_uart(static_cast<std::uint16_t>(port));
  }
}

}  // namespace mezzo::board::pc
