// The first steps of Linux' exception handlers, done at once. Its vectors branch to code that saves
// R0, LR and SPSR on a stack of the exception's mode, and returns to Supervisor mode at an address
// from a table, by the mode that was interrupted (arch/arm/kernel/entry-armv.S, vector_stub). Five
// of its eleven instructions would exit. It is recognised word for word; any other code runs as it
// is.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "arch/armv7/dictionary.hpp"
#include "arch/armv7/exception.hpp"

namespace mezzo::armv7 {

struct VectorStub {
  std::uint32_t correction = 0;   // of LR
  std::uint32_t mode_change = 0;  // what the handler's mode is XORed with
  std::uint32_t table = 0;        // sixteen addresses, by the interrupted mode
};

// What is known of each vector, by Exception.
class VectorStubs {
 public:
  // Some text has changed.
  void forget() { state_ = {}; }

  // The stub behind the vector at `at`, if that is known to be one.
  [[nodiscard]] const VectorStub* known(Exception exception, std::uint32_t at) const {
    const State& state = state_[static_cast<std::size_t>(exception) % state_.size()];
    return state.is_stub && state.vector == at ? &state.stub : nullptr;
  }

  // The stub behind the vector at `at`, if it is one.
  template <class Read>
  [[nodiscard]] const VectorStub* find(Exception exception, std::uint32_t at, Read&& read) {
    State& state = state_[static_cast<std::size_t>(exception) % state_.size()];
    if (!state.known || state.vector != at) {
      state.vector = at;
      const auto stub = recognise(at, read);
      state.known = true;
      state.is_stub = stub.has_value();
      if (stub) state.stub = *stub;
    }
    return state.is_stub ? &state.stub : nullptr;
  }

 private:
  struct State {
    bool known = false, is_stub = false;
    std::uint32_t vector = 0;
    VectorStub stub;
  };

  // `read`: the guest's own word at an address, if it can be read.
  template <class Read>
  [[nodiscard]] static std::optional<VectorStub> recognise(std::uint32_t at, Read& read) {
    constexpr std::uint32_t kBranch = 0xea000000, kOffset = 0x00ffffff;
    const std::optional<std::uint32_t> branch = read(at);
    if (!branch || (*branch & ~kOffset) != kBranch) return std::nullopt;
    const auto offset = static_cast<std::int32_t>(*branch << 8) >> 6;
    std::uint32_t pc = at + 8 + static_cast<std::uint32_t>(offset);
    VectorStub stub;
    std::optional<std::uint32_t> word = read(pc);
    if (word && (*word & 0xfffff000) == 0xe24ee000) {  // SUB LR, LR, #n
      stub.correction = std::rotr(*word & 0xff, static_cast<int>(*word >> 7 & 30));
      pc += 4;
    }
    constexpr std::uint32_t kAny = 0xff;
    constexpr std::array kWords = {
        0xe88d4001u,         // STM SP, {R0, LR}
        0xe14fe000u,         // MRS LR, SPSR
        0xe58de008u,         // STR LR, [SP, #8]
        0xe10f0000u,         // MRS R0, CPSR
        0xe2200000u | kAny,  // EOR R0, R0, #n
        0xe16ff000u,         // MSR SPSR_fsxc, R0
        0xe20ee00fu,         // AND LR, LR, #15
        0xe1a0000du,         // MOV R0, SP
        0xe79fe10eu,         // LDR LR, [PC, LR, LSL #2]
        0xe1b0f00eu,         // MOVS PC, LR
    };
    for (const std::uint32_t expected : kWords) {
      word = read(pc);
      pc += 4;
      if (!word) return std::nullopt;
      const bool is_change = (expected & kAny) == kAny;
      if (is_change) stub.mode_change = *word & kAny;
      if (*word != (is_change ? (expected & ~kAny) | stub.mode_change : expected)) {
        return std::nullopt;
      }
    }
    stub.table = pc;
    return stub;
  }

  std::array<State, 8> state_{};
};

// deliver() and then `stub`, which lies behind the exception's vector, for a guest in mode `from`,
// which enters `mode`: neither has the exception's own bank. The kernel's rights and root are
// loaded. Returns false, with nothing changed but what the stub itself would write, if its table or
// its stack cannot be reached.
template <Machine M>
[[nodiscard, gnu::always_inline]] inline bool enter_behind(Context<M>& c, const Verdict& verdict,
                                                           const VectorStub& stub,
                                                           std::uint32_t from, std::uint32_t mode) {
  Vcpu& v = c.vcpu;
  Frame& f = c.frame;
  const auto exception = static_cast<Exception>(verdict.vector);
  const bool thumb = (f.cpsr & psr::kThumb) != 0;
  const std::uint32_t saved = (f.cpsr & psr::kLive) | v.masks() | from;
  const auto target = c.machine.instruction_at(stub.table + (saved & 15) * 4);
  if (!target || (*target & 3) != 0) return false;
  Bank& bank = v.bank(bank_of(handler_mode(exception)));
  const std::uint32_t link = f.pc + link_offset(exception, thumb) - stub.correction;
  if (!c.machine.put_words(bank.sp, f.r[0], link, saved)) return false;

  record_fault(v.control, verdict);
  f.cpsr &= ~(psr::kThumb | psr::kJazelle | psr::kIfThen | psr::kEndian);
  const std::uint32_t masks = (saved | handler_masks(exception)) & psr::kMasks;
  f.r[0] = bank.sp;
  bank.lr = *target;
  bank.spsr = (f.cpsr & psr::kLive) | masks | mode;
  change_mode(v, f, from, mode);
  v.set_masks(masks);
  f.pc = *target;
  return true;
}

// The same from whatever mode the guest is in. False also if it cannot be told what the stub would
// do.
template <Machine M>
[[nodiscard]] bool deliver_through(Context<M>& c, const Verdict& verdict, const VectorStub& stub) {
  const std::uint32_t from = c.vcpu.mode;
  const std::uint32_t through = handler_mode(static_cast<Exception>(verdict.vector));
  const std::uint32_t mode = through ^ stub.mode_change;
  const bool nested = bank_of(from) == bank_of(through);
  const bool stuck = (c.frame.cpsr & psr::kThumb) != 0 && from != psr::kUser;
  if (nested || !psr::is_mode(mode) || mode == psr::kUser || stuck) return false;
  return enter_behind(c, verdict, stub, from, mode);
}

}  // namespace mezzo::armv7
