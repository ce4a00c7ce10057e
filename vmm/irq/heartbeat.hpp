// The monitor's way back to its CPUs: a periodic NMI that no guest can mask, from an HPET
// comparator that writes the interrupt message itself (FSB delivery), so that neither IO-APIC nor
// PIC is involved. Source: IA-PC HPET specification 1.0a, 2.3; Intel SDM volume 3, 10.11 (message
// format).
#pragma once

#include <cstdint>

namespace mezzo::irq {

// An HPET at a linear address.
class Hpet {
 public:
  explicit Hpet(std::uint32_t base) : base_(base) {}

  [[nodiscard]] bool present() const {
    const std::uint32_t vendor = read(0) >> 16;
    return vendor != 0 && vendor != 0xffff && period_fs() != 0 && period_fs() <= kMaxPeriodFs;
  }
  // Femtoseconds of one tick.
  [[nodiscard]] std::uint32_t period_fs() const { return read(4); }
  [[nodiscard]] std::uint32_t ticks() const { return read(kCounter); }
  // Ticks of `microseconds` (at most a few seconds' worth).
  [[nodiscard]] std::uint32_t ticks_of(std::uint32_t microseconds) const {
    return static_cast<std::uint32_t>(std::uint64_t{microseconds} * 1'000'000 /
                                      (period_fs() / 1000));
  }
  void run() const { write(kConfiguration, 1); }

  // As the APIC id of a message's destination: every processor.
  static constexpr std::uint8_t kAllProcessors = 0xff;

  // Sends an NMI to the processor with APIC id `to` every `microseconds`. False if the chip cannot
  // write messages.
  [[nodiscard]] bool start_nmi(std::uint8_t to, std::uint32_t microseconds) const {
    constexpr std::uint32_t kCanMessage = 1u << 15, kCanRepeat = 1u << 4;
    constexpr std::uint32_t kMessage = 1u << 14, kRepeat = 1u << 3, kSetValue = 1u << 6;
    constexpr std::uint32_t kEnable = 1u << 2, kOnly32 = 1u << 8;
    if ((read(kTimer) & (kCanMessage | kCanRepeat)) != (kCanMessage | kCanRepeat)) return false;
    constexpr std::uint32_t kMessageAddress = 0xfee00000, kNmi = 0x400;
    write(kConfiguration, 0);
    write(kTimerMessage, kNmi);
    write(kTimerMessage + 4, kMessageAddress | std::uint32_t{to} << 12);
    write(kTimer, kMessage | kRepeat | kSetValue | kEnable | kOnly32);
    write(kTimerValue, ticks() + ticks_of(microseconds));
    write(kTimerValue, ticks_of(microseconds));
    run();
    return true;
  }
  // Comparator 1, which a partition may have.
  void stop_partition_timer() const { write(kPartitionTimer, 0); }

 private:
  static constexpr std::uint32_t kMaxPeriodFs = 100'000'000;
  static constexpr std::uint32_t kConfiguration = 0x10, kCounter = 0xf0;
  static constexpr std::uint32_t kTimer = 0x100, kTimerValue = 0x108, kTimerMessage = 0x110;
  static constexpr std::uint32_t kPartitionTimer = 0x120;

  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const {
    return *reinterpret_cast<volatile std::uint32_t*>(base_ + offset);  // NOLINT
  }
  void write(std::uint32_t offset, std::uint32_t value) const {
    *reinterpret_cast<volatile std::uint32_t*>(base_ + offset) = value;  // NOLINT
  }
  std::uint32_t base_;
};

}  // namespace mezzo::irq
