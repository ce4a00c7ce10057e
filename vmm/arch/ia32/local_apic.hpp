// This processor's local APIC: start-up messages to the others, and its reset between two lives of
// a guest. A running guest owns it. Source: Intel SDM volume 3, chapter 10.
#pragma once

#include <cstdint>

#include "arch/ia32/instructions.hpp"
#include "arch/ia32/layout.hpp"

namespace mezzo::ia32::local_apic {

enum class Register : std::uint32_t {
  Id = 0x020,
  Version = 0x030,
  TaskPriority = 0x080,
  ProcessorPriority = 0x0a0,
  EndOfInterrupt = 0x0b0,
  SpuriousVector = 0x0f0,
  InService = 0x100,  // eight registers, 16 bytes apart; so the next one
  InterruptRequest = 0x200,
  ErrorStatus = 0x280,
  CommandLow = 0x300,
  CommandHigh = 0x310,
  Timer = 0x320,
  Thermal = 0x330,
  Performance = 0x340,
  LineZero = 0x350,
  LineOne = 0x360,
  Error = 0x370,
  InitialCount = 0x380,
  CurrentCount = 0x390,
  DivideConfiguration = 0x3e0,
};

inline constexpr std::uint32_t kMasked = 1u << 16;
inline constexpr std::uint32_t kTimerDeadline = 2u << 17;  // the timer counts to a TSC value
inline constexpr std::uint32_t kDivideBy1 = 0xb;
inline constexpr std::uint32_t kDeliverNmi = 4u << 8;
inline constexpr std::uint32_t kDeliverInit = 5u << 8;
inline constexpr std::uint32_t kDeliverStartUp = 6u << 8;
inline constexpr std::uint32_t kDeliverExternal = 7u << 8;
inline constexpr std::uint32_t kAssert = 1u << 14;
inline constexpr std::uint32_t kEnabled = 1u << 8;

[[nodiscard]] inline volatile std::uint32_t& at(std::uint32_t offset) {
  return *reinterpret_cast<volatile std::uint32_t*>(layout::kLocalApic + offset);  // NOLINT
}
[[nodiscard]] inline std::uint32_t read(Register reg) {
  return at(static_cast<std::uint32_t>(reg));
}
inline void write(Register reg, std::uint32_t value) {
  at(static_cast<std::uint32_t>(reg)) = value;
}

// Of eight registers, a bit a vector.
[[nodiscard]] inline std::uint32_t word_of(Register first, std::uint32_t word) {
  return at(static_cast<std::uint32_t>(first) + 16 * word);
}

// Calls work(Register) for each entry of the local vector table that this processor has, but for
// its two lines.
template <class Work>
void for_each_entry(Work&& work) {
  for (const Register entry : {Register::Timer, Register::Error}) work(entry);
  const std::uint32_t last = read(Register::Version) >> 16 & 0xff;  // highest entry
  if (last >= 4) work(Register::Performance);
  if (last >= 5) work(Register::Thermal);
}

// By which power of two the timer's clock is divided.
[[nodiscard]] constexpr std::uint32_t divide_shift(std::uint32_t configuration) {
  const std::uint32_t code = (configuration & 3) | (configuration >> 1 & 4);
  return (code + 1) & 7;
}

static_assert(divide_shift(kDivideBy1) == 0 && divide_shift(0) == 1 && divide_shift(0xa) == 7);

// Clocks until the timer runs out, if it counts and interrupts then; else 0.
[[nodiscard]] inline std::uint64_t clocks_to_timer() {
  if ((read(Register::Timer) & (kMasked | kTimerDeadline)) != 0) return 0;
  return std::uint64_t{read(Register::CurrentCount)}
         << divide_shift(read(Register::DivideConfiguration));
}

[[nodiscard]] inline std::uint8_t id() {
  return static_cast<std::uint8_t>(read(Register::Id) >> 24);
}

// Sends `command` to the processor with APIC id `to` and waits until it is accepted.
inline void send(std::uint8_t to, std::uint32_t command) {
  constexpr std::uint32_t kPending = 1u << 12;
  write(Register::CommandHigh, std::uint32_t{to} << 24);
  write(Register::CommandLow, command);
  while ((read(Register::CommandLow) & kPending) != 0) pause();
}

// As send(), while a guest has the local APIC: it may be between its own two writes.
inline void send_beside_guest(std::uint8_t to, std::uint32_t command) {
  constexpr std::uint32_t kPending = 1u << 12;
  while ((read(Register::CommandLow) & kPending) != 0) pause();
  const std::uint32_t destination = read(Register::CommandHigh);
  send(to, command | kAssert);
  write(Register::CommandHigh, destination);
}

// Everything masked but the NMI line, nothing in service, timer stopped. `external`: the 8259A's
// line is this guest's.
inline void reset(bool external) {
  for_each_entry([](Register entry) { write(entry, kMasked | 0xff); });
  write(Register::InitialCount, 0);
  write(Register::TaskPriority, 0);
  write(Register::SpuriousVector, kEnabled | 0xff);
  write(Register::LineZero, external ? kDeliverExternal : kMasked | kDeliverExternal);
  write(Register::LineOne, kDeliverNmi);
  for (std::uint32_t n = 0; n < 256; ++n) {  // one EOI for each vector in service
    std::uint32_t any = 0;
    for (std::uint32_t word = 0; word < 8; ++word) any |= word_of(Register::InService, word);
    if (any == 0) break;
    write(Register::EndOfInterrupt, 0);
  }
}

}  // namespace mezzo::ia32::local_apic
