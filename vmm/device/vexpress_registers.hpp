// The system registers of the Versatile Express motherboard (0x10000000) as a guest may use them:
// identification, card detection and the 24 MHz counter are the board's; power-off and reset end
// the guest and not the board; oscillators seem to change for this guest only.
//
// | register                     | read                  | write                                  |
// |------------------------------|-----------------------|----------------------------------------|
// | ID, SW, 100HZ, MCI, CFGSW,   | the board's           | ignored                                |
// | 24MHZ, MISC, PROCID          |                       |                                        |
// | LED                          | what the guest wrote  | kept                                   |
// | FLAGS, NVFLAGS               | 0                     | ignored: no secondary CPU starts there |
// | CFGDATA, CFGCTRL, CFGSTAT    | the guest's           | a command, answered here               |
// | others                       | 0                     | ignored                                |
//
// Source: ARM DUI 0447 (V2M-P1), chapter 4; ARM DUI 0448 (V2P-CA9).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "io/mmio.hpp"
#include "io/register_block.hpp"

namespace mezzo::device {

// What the board's configuration controllers answer, in hertz and microvolts, by device number.
struct VexpressBoard {
  std::span<const std::uint32_t> motherboard_clocks, motherboard_voltages;
  std::span<const std::uint32_t> daughterboard_clocks, daughterboard_voltages;
};

// DUI 0447 and DUI 0448, the values after reset; QEMU's vexpress-a9 answers the same.
namespace vexpress_a9 {
inline constexpr std::array<std::uint32_t, 6> kMotherboardClocks{
    50'000'000, 23'750'000, 24'000'000, 24'000'000, 24'000'000, 24'000'000};
inline constexpr std::array<std::uint32_t, 1> kMotherboardVoltages{3'300'000};
inline constexpr std::array<std::uint32_t, 3> kDaughterboardClocks{45'000'000, 23'750'000,
                                                                   66'670'000};
inline constexpr std::array<std::uint32_t, 6> kDaughterboardVoltages{
    1'000'000, 1'000'000, 1'000'000, 1'800'000, 900'000, 3'300'000};
inline constexpr VexpressBoard kBoard{kMotherboardClocks, kMotherboardVoltages,
                                      kDaughterboardClocks, kDaughterboardVoltages};
}  // namespace vexpress_a9

namespace vexpress {
inline constexpr std::uint32_t kId = 0x00, kSwitches = 0x04, kLeds = 0x08, k100Hz = 0x24;
inline constexpr std::uint32_t kFlagsSet = 0x30, kFlagsClear = 0x34;
inline constexpr std::uint32_t kMci = 0x48, kConfigurationSwitches = 0x58, k24MHz = 0x5c;
inline constexpr std::uint32_t kMiscellaneous = 0x60, kProcessor0 = 0x84, kProcessor1 = 0x88;
inline constexpr std::uint32_t kData = 0xa0, kControl = 0xa4, kStatus = 0xa8;
inline constexpr std::uint32_t kSize = 0x1000;

// Fields of kControl, bits of kStatus.
inline constexpr std::uint32_t kStart = 1u << 31, kWrite = 1u << 30, kUndefined = 3u << 18;
inline constexpr std::uint32_t kComplete = 1, kError = 2;

enum class Function : std::uint8_t {
  Oscillator = 1,
  Voltage = 2,
  Reset = 5,
  Multiplexer = 7,
  Shutdown = 8,
  Reboot = 9,
  DviMode = 11,
};
enum class Site : std::uint8_t { Motherboard = 0, Daughterboard = 1 };

struct Command {
  bool write;
  std::uint8_t controller, position;  // only 0 exists here
  Function function;
  Site site;
  std::uint32_t device;

  static constexpr Command of(std::uint32_t control) {
    return {.write = (control & kWrite) != 0,
            .controller = static_cast<std::uint8_t>(control >> 26 & 0xf),
            .position = static_cast<std::uint8_t>(control >> 12 & 0xf),
            .function = static_cast<Function>(control >> 20 & 0x3f),
            .site = static_cast<Site>(control >> 16 & 3),
            .device = control & 0xfff};
  }
};
}  // namespace vexpress

template <io::RegisterBlock Registers>
class VexpressRegisters {
 public:
  // Direct: the guest has the page read-only and reads past the monitor, as fast as the 24 MHz
  // counter behind its clock wants, so the board's configuration registers must show what a command
  // answered. For one partition of the machine at most; the others take Trapped.
  enum class Reads : std::uint8_t { Trapped, Direct };

  VexpressRegisters(Registers registers, const VexpressBoard& board, Reads reads)
      : registers_(registers), board_(board), reads_(reads) {
    reset();
  }

  // As after power-on: the partition starts.
  void reset() {
    leds_ = data_ = control_ = status_ = 0;
    std::ranges::copy(first(board_.motherboard_clocks), motherboard_clocks_.begin());
    std::ranges::copy(first(board_.daughterboard_clocks), daughterboard_clocks_.begin());
  }

  [[nodiscard]] io::Answer access(const io::Access& access) {
    if (!io::is_sound(access) || access.offset >= vexpress::kSize) return io::Answer::missing();
    if (!access.write) return io::Answer::done(io::narrow(read(access.offset & ~3u), access));
    // Registers have word accesses only (DUI 0447 4.1).
    return access.size == 4 ? write(access.offset, access.value) : io::Answer::done();
  }

 private:
  static constexpr std::size_t kMaxClocks = 10;
  using Clocks = std::array<std::uint32_t, kMaxClocks>;

  [[nodiscard]] static std::span<const std::uint32_t> first(std::span<const std::uint32_t> clocks) {
    return clocks.first(std::min(clocks.size(), kMaxClocks));
  }

  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const {
    switch (offset) {
      case vexpress::kId:
      case vexpress::kSwitches:
      case vexpress::k100Hz:
      case vexpress::kMci:
      case vexpress::kConfigurationSwitches:
      case vexpress::k24MHz:
      case vexpress::kMiscellaneous:
      case vexpress::kProcessor0:
      case vexpress::kProcessor1:
        return registers_.read32(offset);
      case vexpress::kLeds:
        return leds_;
      case vexpress::kData:
        return data_;
      case vexpress::kControl:
        return control_;
      case vexpress::kStatus:
        return status_;
      default:
        return 0;
    }
  }

  [[nodiscard]] io::Answer write(std::uint32_t offset, std::uint32_t value) {
    switch (offset) {
      case vexpress::kLeds:
        leds_ = value & 0xff;
        break;
      case vexpress::kData:
        data_ = value;
        break;
      case vexpress::kStatus:
        status_ = value & (vexpress::kComplete | vexpress::kError);
        break;
      case vexpress::kControl:
        control_ = value & ~(vexpress::kStart | vexpress::kUndefined);
        if ((value & vexpress::kStart) != 0) return run(vexpress::Command::of(value));
        break;
      default:
        break;
    }
    return io::Answer::done();
  }

  [[nodiscard]] io::Answer run(const vexpress::Command& command) {
    using vexpress::Function;
    const bool exists = command.controller == 0 && command.position == 0 &&
                        (command.site == vexpress::Site::Motherboard ||
                         command.site == vexpress::Site::Daughterboard);
    bool done = false;
    io::Outcome outcome = io::Outcome::Done;
    if (exists && command.write) {
      done = write_to(command, outcome);
    } else if (exists) {
      const std::optional<std::uint32_t> value = read_from(command);
      done = value.has_value();
      data_ = value.value_or(data_);
    }
    status_ = vexpress::kComplete | (done ? 0 : vexpress::kError);
    if (reads_ == Reads::Direct) show(command, done);
    return {.outcome = outcome};
  }

  [[nodiscard]] Clocks& clocks(const vexpress::Command& command) {
    return command.site == vexpress::Site::Motherboard ? motherboard_clocks_
                                                       : daughterboard_clocks_;
  }
  [[nodiscard]] std::size_t clock_count(const vexpress::Command& command) const {
    const bool on_motherboard = command.site == vexpress::Site::Motherboard;
    return first(on_motherboard ? board_.motherboard_clocks : board_.daughterboard_clocks).size();
  }

  [[nodiscard]] std::optional<std::uint32_t> read_from(const vexpress::Command& command) {
    const bool on_motherboard = command.site == vexpress::Site::Motherboard;
    if (command.function == vexpress::Function::Oscillator &&
        command.device < clock_count(command)) {
      return clocks(command)[command.device];
    }
    const auto voltages =
        on_motherboard ? board_.motherboard_voltages : board_.daughterboard_voltages;
    if (command.function == vexpress::Function::Voltage && command.device < voltages.size()) {
      return voltages[command.device];
    }
    return std::nullopt;
  }

  // Whether the command exists. No value reaches the board.
  [[nodiscard]] bool write_to(const vexpress::Command& command, io::Outcome& outcome) {
    using vexpress::Function;
    if (command.function == Function::Oscillator) {
      if (command.device >= clock_count(command)) return false;
      clocks(command)[command.device] = data_;
      return true;
    }
    if (command.function == Function::Reset && command.device == 0) {  // of either board
      outcome = io::Outcome::Reboot;
      return true;
    }
    if (command.site != vexpress::Site::Motherboard || command.device != 0) return false;
    switch (command.function) {
      case Function::Shutdown:
        outcome = io::Outcome::PowerOff;
        return true;
      case Function::Reboot:
        outcome = io::Outcome::Reboot;
        return true;
      case Function::Multiplexer:  // where the picture comes from, and its format
      case Function::DviMode:
        return true;
      default:
        return false;
    }
  }

  // Makes the board's registers show the answer: by the same command if it only reads, else by one
  // that only reads and ends in the same way (the motherboard's one voltage; function 0).
  void show(const vexpress::Command& command, bool done) const {
    const auto as_read = static_cast<std::uint32_t>(vexpress::Function::Voltage) << 20;
    std::uint32_t control = done ? as_read : 0;
    if (done && !command.write) control = control_;
    registers_.write32(vexpress::kData, data_);
    registers_.write32(vexpress::kStatus, 0);
    registers_.write32(vexpress::kControl, control | vexpress::kStart);
  }

  Registers registers_;
  const VexpressBoard& board_;
  Reads reads_;
  std::uint32_t leds_ = 0, data_ = 0, control_ = 0, status_ = 0;
  Clocks motherboard_clocks_{}, daughterboard_clocks_{};  // as this guest has set them
};

}  // namespace mezzo::device
