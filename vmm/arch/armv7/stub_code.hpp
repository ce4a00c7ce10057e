// What the stubs are in words: for each frequent sensitive instruction of a guest's kernel, code
// for PL0 that does the same on the state that guest and monitor share. Reads and writes no memory.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "arch/armv7/stub_region.hpp"

namespace mezzo::armv7 {

// What the partition wants of stubs.
struct StubOptions {
  std::uint32_t slow_paths = 0;  // plan::FastPath bits that are left out
  bool lazy_domains = true;      // DACR takes effect at the next exit
  std::uint32_t line = 32;       // bytes of a line of the data cache
};

inline constexpr unsigned kNoRegister = 16;

// What a word means among those around it.
struct Meaning {
  bool threads = false;        // the kernel may keep its current thread in TPIDRURO
  bool leaves_kernel = false;  // MCR TPIDRURO: what the process is to have
  std::uint32_t call = 0;      // LDM ^: the SVC by which the monitor does all of the return
  bool cleans_table = false;   // DCCMVAC: of an entry of a translation table
  // It begins a loop of DCCMVAC that cleans a table: what counts the bytes that are left, and what
  // holds the step.
  unsigned rest = kNoRegister, step = kNoRegister;
  unsigned dead = kNoRegister;  // a register that it does not name and that is dead behind it
};

// The SVC of a return stub: bits 7:0 are what SP is raised by, and R0 may be kept.
inline constexpr std::uint32_t kReturnCall = 0xefa60000, kKeepsFirst = 1u << 12;

// Words that mean something by what is around them.
inline constexpr std::uint32_t kTransferMask = 0xffff0fff;        // without Rt
inline constexpr std::uint32_t kCleanCode = 0xee070f3b;           // MCR DCCMVAU
inline constexpr std::uint32_t kInvalidateCode = 0xee070f35;      // MCR ICIMVAU
[[nodiscard]] constexpr bool writes_thread(std::uint32_t word) {  // MCR TPIDRURO
  return (word & kTransferMask) == 0xee0d0f70;
}
[[nodiscard]] constexpr bool cleans_line(std::uint32_t word) {  // MCR DCCMVAC, of any condition
  return (word & kTransferMask & 0x0fffffff) == 0x0e070f3a && word >> 28 != 15;
}
[[nodiscard]] constexpr bool maintains_code(std::uint32_t word) {  // MCR DCCMVAU, ICIMVAU
  return (word & kTransferMask) == kCleanCode || (word & kTransferMask) == kInvalidateCode;
}
[[nodiscard]] constexpr bool reads_psr(std::uint32_t word) {  // MRS CPSR
  return (word & 0x0fff0fff) == 0x010f0000 && word >> 28 != 15;
}
[[nodiscard]] constexpr bool makes_unprivileged_access(std::uint32_t word) {  // LDRT and the like
  return (word & 0x0d200000) == 0x04200000 && word >> 28 != 15;
}
// MRC TPIDRPRW and MRC TPIDRURW, always executed. While the guest's kernel runs, TPIDRURW holds its
// TPIDRPRW: where the first is executed, the second takes its place. On a patched page it is always
// that, as a guest's own is replaced without exception (Sensitivity::Certain).
[[nodiscard]] constexpr bool reads_kernel_thread(std::uint32_t word) {
  return (word & kTransferMask) == 0xee1d0f90;
}
[[nodiscard]] constexpr bool reads_user_thread(std::uint32_t word) {
  return (word & kTransferMask) == 0xee1d0f50;
}
inline constexpr std::uint32_t kOtherThread = 0xee1d0f90 ^ 0xee1d0f50;
[[nodiscard]] constexpr unsigned transferred(std::uint32_t word) { return word >> 12 & 15; }

class StubCode {
 public:
  // Code to be put at `address`, a slot that is_good(), for `word` at `site`. Flags and all
  // registers but those that the word, or the loop that it begins, writes and the one that is dead
  // are kept. Empty if no stub does what it means.
  [[nodiscard]] static StubCode of(std::uint32_t word, std::uint32_t site, std::uint32_t address,
                                   const StubOptions& options, const Meaning& meaning);

  [[nodiscard]] bool empty() const { return count_ == 0; }
  // Whether it does what the word means among those around it, and only there.
  [[nodiscard]] bool relies_on_others() const { return relies_on_others_; }
  [[nodiscard]] std::span<const std::uint32_t> words() const {
    return std::span(words_).first(count_);
  }
  [[nodiscard]] std::uint32_t slots() const {
    return (count_ + StubRegion::kSlotWords - 1) / StubRegion::kSlotWords;
  }

 private:
  std::array<std::uint32_t, StubRegion::kLongest> words_{};
  std::uint32_t count_ = 0;
  bool relies_on_others_ = false;
};

// Registers that the stub with this `code` at `address` borrows, in the order of
// SharedState::saved: its first instructions save them there, one each, and nothing writes there
// afterwards.
[[nodiscard]] std::array<unsigned, 2> borrowed_registers(std::span<const std::uint32_t, 2> code,
                                                         std::uint32_t address);

}  // namespace mezzo::armv7
