// The shared GIC distributor as one partition sees it: only the partition's own lines exist, all
// routed to its one CPU, which it takes for CPU 0.
//
// | register                | own lines                                | other lines        |
// |-------------------------|------------------------------------------|--------------------|
// | enable, pending, active | the chip's, while the partition's virtual| read as 0, writes  |
// |                         | distributor is on; off: all masked       | ignored (RAZ/WI)   |
// | priority                | the chip's, never of the monitor's band  | RAZ/WI             |
// | target                  | always this CPU, writes ignored          | RAZ/WI             |
// | configuration           | the chip's                               | RAZ/WI             |
// | software interrupts     | to itself only                           | ignored            |
//
// Registers that set or clear single bits need no lock against other CPUs; priorities are written
// byte by byte; only the configuration is read, changed and written under the lock. All functions
// run on the partition's CPU, since the first 32 lines are banked. Source: ARM IHI 0048B, 4.3.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "io/mmio.hpp"
#include "io/register_block.hpp"
#include "irq/gic.hpp"
#include "irq/line.hpp"

namespace mezzo::device {

template <io::RegisterBlock Registers, io::Lock Lock>
class FilteredDistributor {
 public:
  // `lines`: the partition's, without those of the monitor; `cpu`: the number of its CPU (0 to 7),
  // whose calls these are; `lock`: the one of this chip for the whole machine.
  FilteredDistributor(Registers registers, Lock& lock, const irq::LineSet& lines, std::uint32_t cpu)
      : registers_(registers), lock_(lock), lines_(lines), cpu_(cpu) {
    lines_.remove(irq::kMonitorPoke);
  }

  // The partition starts: its lines masked, quiet and routed to this CPU.
  void start() {
    quiet();
    lines_.for_each([this](irq::Line line) {
      registers_.write8(irq::gicd::kPriority + line.number, irq::kGuestPriorities);
      if (line.is_banked()) return;
      registers_.write8(irq::gicd::kTarget + line.number, static_cast<std::uint8_t>(1u << cpu_));
    });
    for (std::uint32_t n = 0; n < irq::kMaxLines / 16; ++n) write_configuration(n, 0);
  }

  // The partition has stopped: nothing of it interrupts this CPU or is left active there.
  template <io::RegisterBlock CpuRegisters>
  void stop(const irq::GicInterface<CpuRegisters>& interface) {
    mask_all();
    irq::end_abandoned(registers_, interface, lines_, cpu_);
    quiet();
    drain_software(interface);
  }

  [[nodiscard]] io::Answer access(const io::Access& access) {
    if (!io::is_sound(access) || access.offset >= irq::gicd::kSize) return io::Answer::missing();
    if (access.write) {
      write(access);
      return io::Answer::done();
    }
    return io::Answer::done(io::narrow(read_word(access.offset & ~3u), access));
  }

  [[nodiscard]] const irq::LineSet& lines() const { return lines_; }

 private:
  static constexpr std::uint32_t kBankSize = 0x80;
  static constexpr std::uint32_t kSoftwareLines = 0xffff;  // of word 0

  void mask_all() {
    enabled_ = {};
    is_on_ = false;
    for_each_word([this](std::uint32_t n, std::uint32_t own) {
      registers_.write32(irq::gicd::kClearEnable + n * 4, own);
    });
  }
  void quiet() {
    mask_all();
    for_each_word([this](std::uint32_t n, std::uint32_t own) {
      registers_.write32(irq::gicd::kClearActive + n * 4, own);
      registers_.write32(irq::gicd::kClearPending + n * 4, own);
    });
    lines_.for_each([this](irq::Line line) {  // the bank above ignores software interrupts
      if (line.is_software()) write_sender(irq::gicd::kClearSoftware, line);
    });
  }
  // GIC architecture 1 cannot clear a pending software interrupt, and some chips cannot mask one:
  // it is taken and ended here. So is the monitor's own in front of it, which is then sent again.
  template <io::RegisterBlock CpuRegisters>
  void drain_software(const irq::GicInterface<CpuRegisters>& interface) {
    const std::uint32_t own = lines_.word(0) & kSoftwareLines;
    bool poked = false;
    interface.set_threshold(0xff);
    registers_.write32(irq::gicd::kSetEnable, own);
    for (std::uint32_t n = 0; n < irq::kFirstPrivate; ++n) {
      const std::optional<irq::Line> pending = interface.highest_pending();
      if (!pending || !pending->is_software()) break;
      if (const auto taken = interface.acknowledge()) {
        poked |= taken->line() == irq::kMonitorPoke;
        interface.end(*taken);
      }
    }
    registers_.write32(irq::gicd::kClearEnable, own);
    if (!poked) return;
    registers_.write32(irq::gicd::kSoftware, irq::gicd::kToSelf | irq::kMonitorPoke.number);
  }
  template <class Visit>
  void for_each_word(Visit&& visit) const {
    for (std::uint32_t n = 0; n < irq::LineSet::kWords; ++n) {
      if (lines_.word(n) != 0) visit(n, lines_.word(n));
    }
  }

  [[nodiscard]] std::uint32_t read_word(std::uint32_t offset) const {
    using namespace irq::gicd;
    switch (offset) {
      case kControl:
        return is_on_ ? kEnableBit : 0;
      case kType:  // one CPU, no security extension
        return registers_.read32(kType) & kLinesMask;
      case kImplementer:
        return registers_.read32(kImplementer);
      default:
        break;
    }
    if (offset >= kSetEnable && offset < kPriority) return read_bank(offset);
    if (offset >= kPriority && offset < kPriority + irq::kMaxLines) {
      return registers_.read32(offset) & bytes_mask(offset - kPriority);
    }
    if (offset >= kTarget && offset < kTarget + irq::kMaxLines) {
      return bytes_mask(offset - kTarget) & 0x01010101;  // CPU 0, to its guest
    }
    if (offset >= kConfiguration && offset < kConfiguration + irq::kMaxLines / 4) {
      return registers_.read32(offset) & pairs_mask((offset - kConfiguration) / 4);
    }
    if (offset >= kInputs && offset < kInputs + irq::LineSet::kWords * 4) {
      return read_inputs(offset);
    }
    if (offset >= kClearSoftware && offset < kSetSoftware + irq::kFirstPrivate) {
      const std::uint32_t senders = registers_.read32(offset) >> cpu_;
      return senders & 0x01010101 & bytes_mask(offset % irq::kFirstPrivate);
    }
    return offset >= kIdentification ? registers_.read32(offset) : 0;
  }

  [[nodiscard]] std::uint32_t read_bank(std::uint32_t offset) const {
    const std::uint32_t n = offset % kBankSize / 4;
    if (lines_.word(n) == 0) return 0;
    if (offset < irq::gicd::kSetPending) return enabled_.word(n);
    return registers_.read32(offset) & lines_.word(n);
  }
  // The first word has lines 16 to 31 in its lower half (Cortex-A9, GIC-400).
  [[nodiscard]] std::uint32_t read_inputs(std::uint32_t offset) const {
    const std::uint32_t n = (offset - irq::gicd::kInputs) / 4;
    const std::uint32_t own = n == 0 ? lines_.word(0) >> irq::kFirstPrivate : lines_.word(n);
    return own == 0 ? 0 : registers_.read32(offset) & own;
  }

  void write(const io::Access& access) {
    using namespace irq::gicd;
    const std::uint32_t offset = access.offset;
    if (offset >= kPriority && offset < kPriority + irq::kMaxLines) return write_priorities(access);
    if (offset >= kClearSoftware && offset < kSetSoftware + irq::kFirstPrivate) {
      return write_senders(access);
    }
    if (access.size != 4) return;  // IHI 0048B 4.1.4: the other registers have word accesses only
    if (offset == kControl) return switch_on((access.value & kEnableBit) != 0);
    if (offset == kSoftware) return send(access.value);
    if (offset >= kSetEnable && offset < kPriority) return write_bank(offset, access.value);
    if (offset >= kConfiguration && offset < kConfiguration + irq::kMaxLines / 4) {
      write_configuration((offset - kConfiguration) / 4, access.value);
    }
  }

  // The chip itself stays on, for all: off means that the partition's lines are masked.
  void switch_on(bool on) {
    is_on_ = on;
    for_each_word([&](std::uint32_t n, std::uint32_t) {
      if (enabled_.word(n) == 0) return;
      registers_.write32((on ? irq::gicd::kSetEnable : irq::gicd::kClearEnable) + n * 4,
                         enabled_.word(n));
    });
  }

  void write_bank(std::uint32_t offset, std::uint32_t value) {
    using namespace irq::gicd;
    const std::uint32_t n = offset % kBankSize / 4;
    std::uint32_t bits = value & lines_.word(n);
    switch (offset - n * 4) {
      case kSetEnable:
        enabled_.set_word(n, enabled_.word(n) | bits);
        if (!is_on_) return;
        break;
      case kClearEnable:
        enabled_.set_word(n, enabled_.word(n) & ~bits);
        break;
      case kSetPending:
      case kClearPending:
        if (n == 0) bits &= ~kSoftwareLines;  // by kSoftware and kClearSoftware only
        break;
      default:
        break;
    }
    if (bits != 0) registers_.write32(offset, bits);
  }

  void write_priorities(const io::Access& access) {
    for (std::uint32_t n = 0; n < access.size; ++n) {
      const irq::Line line{access.offset + n - irq::gicd::kPriority};
      if (!lines_.contains(line)) continue;
      registers_.write8(access.offset + n, std::max(io::byte_of(access, n), irq::kGuestPriorities));
    }
  }

  // A software interrupt has one sender to its guest, CPU 0: itself.
  void write_senders(const io::Access& access) {
    for (std::uint32_t n = 0; n < access.size; ++n) {
      const std::uint32_t offset = access.offset + n;
      const irq::Line line{offset % irq::kFirstPrivate};
      if (!lines_.contains(line) || (io::byte_of(access, n) & 1) == 0) continue;
      write_sender(offset - line.number, line);
    }
  }
  void write_sender(std::uint32_t bank, irq::Line line) {
    registers_.write8(bank + line.number, static_cast<std::uint8_t>(1u << cpu_));
  }

  void send(std::uint32_t value) {
    constexpr std::uint32_t kToList = 0, kToItself = 2;
    const std::uint32_t filter = value >> 24 & 3;
    const bool to_itself = filter == kToItself || (filter == kToList && (value >> 16 & 1) != 0);
    const irq::Line line{value & (irq::kFirstPrivate - 1)};
    if (!to_itself || !lines_.contains(line)) return;
    registers_.write32(irq::gicd::kSoftware, irq::gicd::kToSelf | line.number);
  }

  void write_configuration(std::uint32_t n, std::uint32_t value) {
    const std::uint32_t mask = pairs_mask(n);
    if (n == 0 || mask == 0) return;  // software interrupts are edges, read only
    const io::Locked locked(lock_);
    const std::uint32_t offset = irq::gicd::kConfiguration + n * 4;
    registers_.write32(offset, (registers_.read32(offset) & ~mask) | (value & mask));
  }

  // Which bytes of the four lines from `first` on are the partition's.
  [[nodiscard]] std::uint32_t bytes_mask(std::uint32_t first) const {
    const std::uint32_t own = lines_.word(first / 32) >> first % 32;
    std::uint32_t mask = 0;
    for (std::uint32_t n = 0; n < 4; ++n) mask |= (own >> n & 1) * (0xffu << n * 8);
    return mask;
  }
  // Likewise with two bits for each of the sixteen lines of word `n`.
  [[nodiscard]] std::uint32_t pairs_mask(std::uint32_t n) const {
    const std::uint32_t own = lines_.word(n / 2) >> n % 2 * 16 & 0xffff;
    std::uint32_t mask = 0;
    for (std::uint32_t bit = 0; bit < 16; ++bit) mask |= (own >> bit & 1) * (3u << bit * 2);
    return mask;
  }

  Registers registers_;
  Lock& lock_;
  irq::LineSet lines_;
  std::uint32_t cpu_;
  irq::LineSet enabled_{};  // as the guest set them: in the chip while is_on_
  bool is_on_ = false;
};

}  // namespace mezzo::device
