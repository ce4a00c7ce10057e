// The GIC of a partition that shares its core with others. Its shared lines are the chip's; its
// private lines and its CPU interface are software (irq/virtual_interface.hpp), because the core's
// are the monitor's.
//
// A shared line: the monitor acknowledges it, masks it in the chip, ends it there, and puts it on
// the partition's list (forward); when the guest ends it, the chip's line is opened again. A line
// that is so held can be pending again in the chip, where it waits.
//
// Both blocks have a chip's registers, so device/gic_distributor.hpp and device/mpcore_private.hpp
// filter them as they filter the chip itself.
#pragma once

#include <cstdint>

#include "io/register_block.hpp"
#include "irq/gic.hpp"
#include "irq/line.hpp"
#include "irq/virtual_interface.hpp"

namespace mezzo::irq {

// `Registers`: the chip's distributor. All functions run on the partition's CPU, interrupts off.
template <io::RegisterBlock Registers>
class VirtualGic {
 public:
  // `cpu`: the number of the partition's CPU.
  VirtualGic(Registers chip, std::uint32_t cpu) : chip_(chip), cpu_(cpu) {}

  // A shared line of the partition's that the monitor has acknowledged and is about to end.
  void forward(Line line) {
    if (line.is_banked() || line.number >= kMaxLines) return;
    write_bit(gicd::kClearEnable, line);
    held_.add(line);
    state_.set_pending(line, true);
  }
  // A private interrupt: of a virtual timer.
  void raise(Line line) {
    if (line.is_banked()) state_.set_pending(line, true);
  }
  // Whether the guest is to be interrupted, as soon as its own mask allows.
  [[nodiscard]] bool signals() const { return state_.signals(); }
  [[nodiscard]] const VirtualInterface& state() const { return state_; }

  // The distributor's registers.
  struct Distributor {
    VirtualGic* gic;
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const { return gic->read(offset); }
    void write32(std::uint32_t offset, std::uint32_t value) const { gic->write(offset, value); }
    void write8(std::uint32_t offset, std::uint8_t value) const { gic->write_byte(offset, value); }
  };
  // The CPU interface's. Software interrupts name the CPU as their sender.
  struct Interface {
    VirtualGic* gic;
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) const {
      const std::uint32_t value = gic->state_.read(offset);
      const bool has_sender = offset == gicc::kAcknowledge || offset == gicc::kHighestPending;
      const bool is_software = has_sender && Line{value}.is_software();
      return is_software ? value | gic->cpu_ << gicc::kSenderShift : value;
    }
    void write32(std::uint32_t offset, std::uint32_t value) const {
      if (const auto ended = gic->state_.write(offset, value)) gic->release(*ended);
    }
    void write8(std::uint32_t, std::uint8_t) const {}  // word accesses only
  };
  [[nodiscard]] Distributor distributor() { return {this}; }
  [[nodiscard]] Interface interface() { return {this}; }

 private:
  static constexpr std::uint32_t kBankSize = 0x80;

  void write_bit(std::uint32_t bank, Line line) const {
    chip_.write32(bank + line.number / 32 * 4, 1u << line.number % 32);
  }
  [[nodiscard]] bool is_edge(Line line) const {
    const std::uint32_t word = chip_.read32(gicd::kConfiguration + line.number / 16 * 4);
    return (word >> line.number % 16 * 2 & 2) != 0;
  }

  // The guest is done with a line: the chip may deliver it again.
  void release(Line line) {
    if (!held_.contains(line) || state_.pending().contains(line) ||
        state_.active().contains(line)) {
      return;
    }
    held_.remove(line);
    if (state_.enabled().contains(line)) write_bit(gicd::kSetEnable, line);
  }
  // The guest masked a line that waits on its list: it waits in the chip from now on, where a level
  // may go away unseen.
  void give_back(Line line) {
    if (!held_.contains(line) || !state_.pending().contains(line)) return;
    state_.set_pending(line, false);
    if (is_edge(line)) write_bit(gicd::kSetPending, line);
    release(line);
  }

  [[nodiscard]] static bool is_bank(std::uint32_t offset) {
    return offset >= gicd::kSetEnable && offset < gicd::kPriority &&
           offset % kBankSize / 4 < LineSet::kWords;
  }
  [[nodiscard]] static bool is_software(std::uint32_t offset) {
    return offset >= gicd::kClearSoftware && offset < gicd::kSetSoftware + kFirstPrivate;
  }

  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const {
    if (is_bank(offset)) return read_bank(offset - offset % kBankSize, offset % kBankSize / 4);
    if (offset >= gicd::kPriority && offset < gicd::kPriority + kMaxLines) {
      std::uint32_t value = 0;
      for (std::uint32_t n = 0; n < 4; ++n) {
        const Line line{offset - gicd::kPriority + n};
        value |= std::uint32_t{state_.priority(line)} << n * 8;
      }
      return value;
    }
    if (is_software(offset)) {
      std::uint32_t value = 0;
      for (std::uint32_t n = 0; n < 4; ++n) {
        const bool pending = state_.pending().contains(Line{offset % kFirstPrivate + n});
        if (pending) value |= 1u << (n * 8 + cpu_);
      }
      return value;
    }
    if (offset == gicd::kConfiguration) return 0xaaaaaaaa;  // software interrupts: edges
    if (offset == gicd::kConfiguration + 4) return private_configuration_;
    return offset == gicd::kInputs ? 0 : chip_.read32(offset);
  }
  [[nodiscard]] std::uint32_t read_bank(std::uint32_t bank, std::uint32_t word) const {
    if (bank <= gicd::kClearEnable) return state_.enabled().word(word);
    if (bank >= gicd::kSetActive) return state_.active().word(word);
    const std::uint32_t waiting = state_.pending().word(word);
    return word == 0 ? waiting : waiting | chip_.read32(gicd::kSetPending + word * 4);
  }

  void write(std::uint32_t offset, std::uint32_t value) {
    if (is_bank(offset)) {
      LineSet lines;
      lines.set_word(offset % kBankSize / 4, value);
      lines.for_each([&](Line line) { write_line(offset - offset % kBankSize, line); });
    } else if (offset == gicd::kSoftware) {  // to itself: the filter makes no other
      state_.set_pending(Line{value & (kFirstPrivate - 1)}, true);
    } else if (offset == gicd::kConfiguration + 4) {
      private_configuration_ = value;
    } else if (offset > gicd::kConfiguration && offset < gicd::kConfiguration + kMaxLines / 4) {
      chip_.write32(offset, value);
    }
  }
  void write_line(std::uint32_t bank, Line line) {
    const bool is_chips = !line.is_banked();
    switch (bank) {
      case gicd::kSetEnable:
        state_.set_enabled(line, true);
        if (is_chips && !held_.contains(line)) write_bit(bank, line);
        return;
      case gicd::kClearEnable:
        state_.set_enabled(line, false);
        if (is_chips) write_bit(bank, line);
        return give_back(line);
      case gicd::kSetPending:
        if (is_chips) return write_bit(bank, line);
        return state_.set_pending(line, true);
      case gicd::kClearPending:
        state_.set_pending(line, false);
        if (is_chips) write_bit(bank, line);
        return release(line);
      case gicd::kClearActive:
        state_.deactivate(line);
        return release(line);
      default:  // nothing sets a line active but its acknowledgement
        return;
    }
  }

  void write_byte(std::uint32_t offset, std::uint8_t value) {
    if (offset >= gicd::kPriority && offset < gicd::kPriority + kMaxLines) {
      const Line line{offset - gicd::kPriority};
      state_.set_priority(line, value);
      if (!line.is_banked()) chip_.write8(offset, value);
    } else if (is_software(offset)) {
      const bool is_from_itself = (value >> cpu_ & 1) != 0;
      const Line line{offset % kFirstPrivate};
      if (is_from_itself) state_.set_pending(line, offset >= gicd::kSetSoftware);
    } else if (offset >= gicd::kTarget + kFirstShared && offset < gicd::kTarget + kMaxLines) {
      chip_.write8(offset, value);
    }
  }

  Registers chip_;
  std::uint32_t cpu_;
  VirtualInterface state_;
  LineSet held_{};  // masked in the chip because they are on the list or in the guest's handler
  std::uint32_t private_configuration_ = 0;  // of lines 16 to 31: kept, without effect
};

}  // namespace mezzo::irq
