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
    constexpr std::uint32_t kCanRepeat = 1u << 4, kRepeat = 1u << 3, kSetValue = 1u << 6;
    if ((read(kTimer) & (kCanMessage | kCanRepeat)) != (kCanMessage | kCanRepeat)) return false;
    write(kConfiguration, 0);
    address_nmi(kTimer, to);
    write(kTimer, kMessage | kRepeat | kSetValue | kEnable | kOnly32);
    write(kTimer + kValue, ticks() + ticks_of(microseconds));
    write(kTimer + kValue, ticks_of(microseconds));
    run();
    return true;
  }
  // Comparator 1, which a partition may have.
  void stop_partition_timer() const { write(kPartitionTimer, 0); }

  // Comparator 2 can send NMIs to the processor with APIC id `to`, from now on. False if it cannot.
  [[nodiscard]] bool prepare_single_nmi(std::uint8_t to) const {
    if ((read(kSingleTimer) & kCanMessage) == 0) return false;
    address_nmi(kSingleTimer, to);
    return true;
  }
  // Sends one in so many ticks, fewer than 2^31. False if so few that it may not be sent at all.
  [[nodiscard]] bool send_nmi_in(std::uint32_t count) const {
    const std::uint32_t due = ticks() + count;
    write(kSingleTimer + kValue, due);
    write(kSingleTimer, kMessage | kEnable | kOnly32);
    return static_cast<std::int32_t>(due - ticks()) > 0;
  }
  // Does not send it.
  void cancel_nmi() const { write(kSingleTimer, 0); }

 private:
  // Of a comparator's first register.
  static constexpr std::uint32_t kCanMessage = 1u << 15, kMessage = 1u << 14;
  static constexpr std::uint32_t kEnable = 1u << 2, kOnly32 = 1u << 8;
  static constexpr std::uint32_t kValue = 8, kMessageRegister = 16;  // its other ones

  void address_nmi(std::uint32_t timer, std::uint8_t to) const {
    constexpr std::uint32_t kMessageAddress = 0xfee00000, kNmi = 0x400;
    write(timer + kMessageRegister, kNmi);
    write(timer + kMessageRegister + 4, kMessageAddress | std::uint32_t{to} << 12);
  }

  static constexpr std::uint32_t kMaxPeriodFs = 100'000'000;
  static constexpr std::uint32_t kConfiguration = 0x10, kCounter = 0xf0;
  static constexpr std::uint32_t kTimer = 0x100, kPartitionTimer = 0x120, kSingleTimer = 0x140;

  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const {
    return *reinterpret_cast<volatile std::uint32_t*>(base_ + offset);  // NOLINT
  }
  void write(std::uint32_t offset, std::uint32_t value) const {
    *reinterpret_cast<volatile std::uint32_t*>(base_ + offset) = value;  // NOLINT
  }
  std::uint32_t base_;
};

}  // namespace mezzo::irq
