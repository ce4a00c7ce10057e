// What the processor and entry.S leave of the guest at an exit, and the bits of program status and
// system control registers that the monitor reasons about. Values only; no instruction is executed
// here. Source: ARM DDI 0406C (ARMv7-A and -R), B1.3 and B4.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mezzo::armv7 {

// The interrupted guest, which runs in the processor's User mode whatever its own mode is.
struct Frame {
  std::array<std::uint32_t, 15> r;  // of the guest's current mode; r13 and r14 are the USR bank's
  std::uint32_t pc;                 // of the instruction that trapped, or of the next one
  std::uint32_t cpsr;               // the processor's: flags, T, J, IT and E are the guest's
};
inline constexpr std::uint8_t kProgramCounter = 15;  // its number as an operand
static_assert(offsetof(Frame, pc) == 60);
static_assert(offsetof(Frame, cpsr) == 64);
static_assert(sizeof(Frame) == 68);

// Program status registers (B1.3.3).
namespace psr {
inline constexpr std::uint32_t kModeMask = 0x1f;
inline constexpr std::uint32_t kUser = 0x10, kFiq = 0x11, kIrq = 0x12, kSupervisor = 0x13,
                               kAbort = 0x17, kUndefined = 0x1b, kSystem = 0x1f;
inline constexpr std::uint32_t kThumb = 1u << 5;
inline constexpr std::uint32_t kFiqOff = 1u << 6;
inline constexpr std::uint32_t kIrqOff = 1u << 7;
inline constexpr std::uint32_t kAbortOff = 1u << 8;
inline constexpr std::uint32_t kEndian = 1u << 9;  // data accesses are big-endian
inline constexpr std::uint32_t kJazelle = 1u << 24;
inline constexpr std::uint32_t kIfThen = 0x0600fc00;
inline constexpr std::uint32_t kGreaterEqual = 0x000f0000;
inline constexpr std::uint32_t kFlags = 0xf8000000;  // N, Z, C, V, Q
inline constexpr std::uint32_t kMasks = kFiqOff | kIrqOff | kAbortOff;
inline constexpr std::uint32_t kReserved = 0x00f00000;
// What the processor's own CPSR holds for the guest while it runs; mode and masks are the
// monitor's.
inline constexpr std::uint32_t kLive =
    kFlags | kGreaterEqual | kIfThen | kJazelle | kEndian | kThumb;
static_assert((kLive | kMasks | kModeMask | kReserved) == 0xffffffff);
static_assert((kLive & (kMasks | kModeMask | kReserved)) == 0);

// Whether `mode` is one of this processor without its Secure monitor and Hyp modes (table B1-1).
[[nodiscard]] constexpr bool is_mode(std::uint32_t mode) {
  switch (mode) {
    case kUser:
    case kFiq:
    case kIrq:
    case kSupervisor:
    case kAbort:
    case kUndefined:
    case kSystem:
      return true;
    default:
      return false;
  }
}
}  // namespace psr

// Exceptions that a guest can take, by their place in its vector table (table B1-3): what
// Verdict::vector holds.
enum class Exception : std::uint8_t {
  Undefined = 1,
  SupervisorCall = 2,
  PrefetchAbort = 3,
  DataAbort = 4,
  Irq = 6,
  Fiq = 7,
};

// SCTLR (B4.1.130), as Cortex-A8 and Cortex-A9 have it.
namespace sctlr {
inline constexpr std::uint32_t kMmu = 1u << 0;
inline constexpr std::uint32_t kAlignment = 1u << 1;
inline constexpr std::uint32_t kDataCache = 1u << 2;
inline constexpr std::uint32_t kSwap = 1u << 10;
inline constexpr std::uint32_t kBranchPrediction = 1u << 11;
inline constexpr std::uint32_t kInstructionCache = 1u << 12;
inline constexpr std::uint32_t kHighVectors = 1u << 13;
inline constexpr std::uint32_t kRoundRobin = 1u << 14;
inline constexpr std::uint32_t kBigEndianEntry = 1u << 25;
inline constexpr std::uint32_t kTexRemap = 1u << 28;
inline constexpr std::uint32_t kAccessFlag = 1u << 29;
inline constexpr std::uint32_t kThumbEntry = 1u << 30;
// Bits that a guest may change; of the others some are one, the rest zero.
inline constexpr std::uint32_t kWritable =
    kMmu | kAlignment | kDataCache | kSwap | kBranchPrediction | kInstructionCache | kHighVectors |
    kRoundRobin | kBigEndianEntry | kTexRemap | kAccessFlag | kThumbEntry;
inline constexpr std::uint32_t kAlwaysSet = 0x00c50078;
}  // namespace sctlr

namespace ttbcr {
inline constexpr std::uint32_t kWritable = 0x37;  // PD1, PD0, N (B4.1.153, short descriptors)
}

namespace fpexc {
inline constexpr std::uint32_t kEnable = 1u << 30;  // B6.1.38
}

}  // namespace mezzo::armv7
