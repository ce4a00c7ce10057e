// A virtual CPU of ARMv7-A: what the guest believes its banked and privileged registers hold. The
// general registers of its current mode are in the Frame, flags and execution state in the frame's
// CPSR; thread ID registers that user code can reach, but for the kernel's view of TPIDRURW, and
// floating point are the machine's own.
// Source: ARM DDI 0406C, B1.3 and B4.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "arch/armv7/registers.hpp"

namespace mezzo::armv7 {

// The guest's state that its patched code reaches without an exit. The guest can write it at any
// time: only the value of a register may come from here, never a decision about the monitor.
struct SharedState {
  std::uint32_t psr = psr::kSupervisor | psr::kMasks;  // A, I, F; the mode is a copy to be read
  std::uint32_t irq_pending = 0;                       // not 0: the guest has an interrupt to take
  std::uint32_t fpexc = 0;                             // a copy to be read
  std::uint32_t dacr = 0;
  std::uint32_t spsr = 0;                   // of the current mode
  std::uint32_t sctlr = sctlr::kAlwaysSet;  // a copy to be read, like all that follow
  std::uint32_t dfsr = 0, ifsr = 0, dfar = 0, ifar = 0;
  std::uint32_t user_sp = 0, user_lr = 0;  // of User mode, in other modes
  std::uint32_t ctr = 0, midr = 0;
  // What the machine's TPIDRURO and TPIDRURW hold while the guest's kernel runs, and what they will
  // when its user mode runs again.
  std::uint32_t kernels_thread = 0, tpidrprw = 0;
  std::uint32_t process_thread = 0, tpidrurw = 0;
  std::uint32_t ttbr0 = 0, ttbr1 = 0;    // of the latter, a copy to be read
  std::uint32_t doorbell = 0;            // an address that may be read, or not: see stubs.hpp
  std::uint32_t last_users_slot = ~0u;   // up to this MiB everything has the rights of processes
  std::array<std::uint32_t, 2> saved{};  // registers that a stub borrows
};
static_assert(std::is_trivially_copyable_v<SharedState> && sizeof(SharedState) == 96);

// The registers of a mode that is not the current one.
struct Bank {
  std::uint32_t sp, lr, spsr;
};
enum class BankName : std::uint8_t { User, Supervisor, Abort, Undefined, Irq, Fiq, Count };

// The bank of a mode that is_mode().
[[nodiscard]] constexpr BankName bank_of(std::uint32_t mode) {
  switch (mode) {
    case psr::kSupervisor:
      return BankName::Supervisor;
    case psr::kAbort:
      return BankName::Abort;
    case psr::kUndefined:
      return BankName::Undefined;
    case psr::kIrq:
      return BankName::Irq;
    case psr::kFiq:
      return BankName::Fiq;
    default:
      return BankName::User;
  }
}

// Virtual system control registers, with the values after a reset of Cortex-A8 and Cortex-A9 where
// a manual states any (Cortex-A9 TRM, 4.2). DACR and TPIDRPRW are in the SharedState.
struct SystemControl {
  std::uint32_t sctlr = sctlr::kAlwaysSet;
  std::uint32_t actlr = 0;
  std::uint32_t cpacr = 0;
  std::uint32_t ttbr0 = 0, ttbr1 = 0, ttbcr = 0;
  std::uint32_t contextidr = 0;
  std::uint32_t prrr = 0x00098aa4, nmrr = 0x44e048e0;
  std::uint32_t dfsr = 0, ifsr = 0, dfar = 0, ifar = 0;
  std::uint32_t par = 0;
  std::uint32_t vbar = 0;
  std::uint32_t csselr = 0;
  std::uint32_t fpexc = 0;
};

struct Vcpu {
  // The guest's own mode: always one that psr::is_mode() knows, and nothing of the guest's writes
  // it but change_mode().
  std::uint32_t mode = psr::kSupervisor;
  // The current mode's entry is stale: its sp and lr are in the frame, its spsr is shared.
  std::array<Bank, static_cast<std::size_t>(BankName::Count)> banks{};
  // r8 to r12 of FIQ mode; in FIQ mode, those of all others.
  std::array<std::uint32_t, 5> other_high{};
  SystemControl control;
  // Where the shared state is: the page that the guest's stubs use, or, without stubs, anywhere.
  SharedState* shared = nullptr;

  // As a kernel's entry point expects it: Supervisor mode, exceptions masked, translation off.
  [[nodiscard]] static constexpr Vcpu at_entry(SharedState& shared) {
    shared = {};
    Vcpu vcpu;
    vcpu.shared = &shared;
    return vcpu;
  }

  [[nodiscard]] bool is_user() const { return mode == psr::kUser; }
  [[nodiscard]] bool has_spsr() const { return mode != psr::kUser && mode != psr::kSystem; }
  [[nodiscard]] bool translating() const { return (control.sctlr & sctlr::kMmu) != 0; }
  [[nodiscard]] std::uint32_t asid() const { return control.contextidr & 0xff; }

  [[nodiscard]] std::uint32_t masks() const { return shared->psr & psr::kMasks; }
  void set_masks(std::uint32_t masks) { shared->psr = mode | (masks & psr::kMasks); }

  [[nodiscard]] Bank& bank(BankName name) { return banks[static_cast<std::size_t>(name)]; }

  // CPSR as the guest's kernel is to read it.
  [[nodiscard]] std::uint32_t status(const Frame& frame) const {
    return (frame.cpsr & psr::kLive) | masks() | mode;
  }
};
static_assert(std::is_trivially_copyable_v<Vcpu>);
static_assert(offsetof(Vcpu, mode) == 0);
static_assert(offsetof(Vcpu, banks) == 4);
static_assert(offsetof(Vcpu, other_high) == 76);
static_assert(offsetof(Vcpu, control) == 96);

// Makes `mode`, one that psr::is_mode() knows, the guest's: saves the registers of the current one
// and brings those of the new one into the frame. Masks and execution state stay. `current` is the
// vCPU's: where it is a constant, little is left of all this.
[[gnu::always_inline]] inline void change_mode(Vcpu& vcpu, Frame& frame, std::uint32_t current,
                                               std::uint32_t mode) {
  const BankName from = bank_of(current), to = bank_of(mode);
  if (from != to) {
    vcpu.bank(from) = {frame.r[13], frame.r[14], vcpu.shared->spsr};
    const Bank& bank = vcpu.bank(to);
    frame.r[13] = bank.sp;
    frame.r[14] = bank.lr;
    vcpu.shared->spsr = bank.spsr;
    if (from == BankName::Fiq || to == BankName::Fiq) {
      for (std::size_t n = 0; n < vcpu.other_high.size(); ++n) {
        const std::uint32_t other = vcpu.other_high[n];
        vcpu.other_high[n] = frame.r[8 + n];
        frame.r[8 + n] = other;
      }
    }
  }
  const std::uint32_t masks = vcpu.masks();
  vcpu.mode = mode;
  vcpu.set_masks(masks);
}

inline void change_mode(Vcpu& vcpu, Frame& frame, std::uint32_t mode) {
  change_mode(vcpu, frame, vcpu.mode, mode);
}

// A register as User mode sees it, wherever it is now. `number` is 0 to 14.
[[nodiscard]] inline std::uint32_t& user_register(Vcpu& vcpu, Frame& frame, unsigned number) {
  const BankName current = bank_of(vcpu.mode);
  if (current == BankName::Fiq && number >= 8 && number <= 12) return vcpu.other_high[number - 8];
  if (current != BankName::User && number == 13) return vcpu.bank(BankName::User).sp;
  if (current != BankName::User && number == 14) return vcpu.bank(BankName::User).lr;
  return frame.r[number];
}

}  // namespace mezzo::armv7
