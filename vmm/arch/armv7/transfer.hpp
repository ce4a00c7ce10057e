// Loads and stores that the monitor does for the guest: those with a process's rights (LDRT and its
// kind), those of the user mode's registers (LDM and STM with ^), of return state (SRS), and
// ordinary ones, which get here where an address is not plain memory. Source: ARM DDI 0406C, A3.2,
// A8.8 and B9.3.
//
// Choices: an aborted instruction has changed no register; memory may have changed below the
// address that aborted (B1.9.8 allows it for multiple transfers and for unaligned ones).
#pragma once

#include <array>
#include <bit>

#include "arch/armv7/decode.hpp"
#include "arch/armv7/exception.hpp"

namespace mezzo::armv7 {

// A register as an operand: the PC is two instructions ahead (A2.3).
[[nodiscard]] constexpr std::uint32_t operand(const Frame& frame, unsigned number) {
  return number == kProgramCounter ? frame.pc + 8 : frame.r[number];
}

// `value` shifted as data processing and register offsets do, for amounts as the decoder gives them
// (A8.4.3).
[[nodiscard]] constexpr std::uint32_t shifted(std::uint32_t value, Shift shift, unsigned amount,
                                              bool carry) {
  switch (shift) {
    case Shift::Lsl:
      return amount < 32 ? value << amount : 0;
    case Shift::Lsr:
      return amount < 32 ? value >> amount : 0;
    case Shift::Asr: {
      const bool negative = value >> 31 != 0;
      const std::uint32_t sign = negative ? 0xffffffff : 0;
      if (amount >= 32) return sign;
      return amount == 0 ? value : value >> amount | sign << (32 - amount);
    }
    case Shift::Ror:
      return std::rotr(value, static_cast<int>(amount & 31));
    case Shift::Rrx:
      return value >> 1 | (carry ? 1u << 31 : 0);
  }
  return value;
}

[[nodiscard]] constexpr bool carry_flag(const Frame& frame) { return (frame.cpsr >> 29 & 1) != 0; }

// The second operand of data processing, and the offset of a transfer.
[[nodiscard]] constexpr std::uint32_t flexible_operand(const Frame& frame, const Instruction& i) {
  if (!i.register_operand) return i.immediate;
  return shifted(operand(frame, i.rm), i.shift, i.shift_amount, carry_flag(frame));
}

// `value` of `size` bytes as the guest's byte order has it in a register, or the way back.
[[nodiscard]] constexpr std::uint32_t ordered(const Frame& frame, std::uint32_t value,
                                              std::uint32_t size) {
  if ((frame.cpsr & psr::kEndian) == 0 || size == 1) return value;
  return std::byteswap(value) >> (32 - 8 * size);
}

// Loads `size` (1, 2 or 4) bytes. An address within the guest's own word, unless it is unaligned:
// then a byte at a time, as the processor may.
template <Machine M>
[[nodiscard]] std::optional<Abort> load(Context<M>& c, std::uint32_t address, std::uint32_t size,
                                        Privilege privilege, std::uint32_t& value) {
  std::uint32_t raw = 0;
  const std::uint32_t step = (address & (size - 1)) == 0 ? size : 1;
  if (step != size && (c.vcpu.control.sctlr & sctlr::kAlignment) != 0) {
    return Abort{.status = FaultStatus::Alignment, .address = GuestVirtual{address}};
  }
  for (std::uint32_t done = 0; done < size; done += step) {
    std::uint32_t part = 0;
    const auto abort = c.machine.read(GuestVirtual{address + done}, &part, step, privilege);
    if (abort) return abort;
    raw |= part << 8 * done;
  }
  value = ordered(c.frame, raw, size);
  return std::nullopt;
}

// Stores the lower `size` bytes of `value`, likewise.
template <Machine M>
[[nodiscard]] std::optional<Abort> store(Context<M>& c, std::uint32_t address, std::uint32_t size,
                                         Privilege privilege, std::uint32_t value) {
  const std::uint32_t raw = ordered(c.frame, value, size);
  const std::uint32_t step = (address & (size - 1)) == 0 ? size : 1;
  if (step != size && (c.vcpu.control.sctlr & sctlr::kAlignment) != 0) {
    return Abort{.status = FaultStatus::Alignment, .write = true, .address = GuestVirtual{address}};
  }
  for (std::uint32_t done = 0; done < size; done += step) {
    const std::uint32_t part = raw >> 8 * done;
    const auto abort = c.machine.write(GuestVirtual{address + done}, &part, step, privilege);
    if (abort) return abort;
  }
  return std::nullopt;
}

// Multiple and dual transfers need word alignment whatever SCTLR.A says (A3.2.1).
[[nodiscard]] constexpr std::optional<Abort> misaligned(std::uint32_t address, bool write) {
  if (address % 4 == 0) return std::nullopt;
  return Abort{.status = FaultStatus::Alignment, .write = write, .address = GuestVirtual{address}};
}

// The words of a multiple transfer: where the first lies, and what writeback leaves in the base.
struct Block {
  std::uint32_t first, end;
};
[[nodiscard]] constexpr Block block_of(const Instruction& i, std::uint32_t base,
                                       std::uint32_t words) {
  const std::uint32_t bytes = words * 4;
  const std::uint32_t lowest = i.add ? base : base - bytes;
  // Upwards before, and downwards after, leave out the word at the base's own side.
  return {i.pre_indexed == i.add ? lowest + 4 : lowest, i.add ? base + bytes : base - bytes};
}

using Words = std::array<std::uint32_t, 16>;

// Loads `count` words from `first` on; nothing of it is in a register yet.
template <Machine M>
[[nodiscard]] std::optional<Abort> load_block(Context<M>& c, std::uint32_t first,
                                              std::uint32_t count, Words& words) {
  if (const auto abort = misaligned(first, false)) return abort;
  constexpr std::uint32_t kAtOnce = 4;
  const bool plain = c.privilege() == Privilege::Kernel && (c.frame.cpsr & psr::kEndian) == 0;
  for (std::uint32_t n = 0; n < count;) {
    const std::uint32_t at = first + 4 * n;
    const bool on_one_page = at % mem::kPageSize <= mem::kPageSize - 4 * kAtOnce;
    if (plain && on_one_page && count - n >= kAtOnce && c.machine.load_four(at, &words[n])) {
      n += kAtOnce;
      continue;
    }
    if (const auto abort = load(c, at, 4, c.privilege(), words[n])) return abort;
    ++n;
  }
  return std::nullopt;
}

template <Machine M>
[[nodiscard]] std::optional<Abort> store_block(Context<M>& c, std::uint32_t first,
                                               std::uint32_t count, const Words& words) {
  if (const auto abort = misaligned(first, true)) return abort;
  for (std::uint32_t n = 0; n < count; ++n) {
    if (const auto abort = store(c, first + 4 * n, 4, c.privilege(), words[n])) return abort;
  }
  return std::nullopt;
}

// Writes the PC as a load does: bit 0 selects Thumb (A2.3.2, LoadWritePC).
template <Machine M>
[[nodiscard]] Verdict branch_to_loaded(Context<M>& c, std::uint32_t target) {
  const bool thumb = (target & 1) != 0;
  if (thumb && !c.vcpu.is_user()) return unsupported(Unsupported::ThumbKernel, target);
  c.frame.pc = target & (thumb ? ~1u : ~3u);
  if (thumb) c.frame.cpsr |= psr::kThumb;
  return Verdict::resume();
}

// Where a single or dual transfer goes, and what is left in its base register.
struct Target {
  std::uint32_t address, base;
};
[[nodiscard]] constexpr Target target_of(const Frame& frame, const Instruction& i) {
  const std::uint32_t base = operand(frame, i.rn);
  const std::uint32_t offset = flexible_operand(frame, i);
  const std::uint32_t moved = i.add ? base + offset : base - offset;
  return {i.pre_indexed ? moved : base, i.writeback ? moved : base};
}

[[nodiscard]] constexpr std::uint32_t extended(const Instruction& i, std::uint32_t value) {
  if (!i.sign_extended) return value;
  const std::uint32_t sign = 1u << (8 * i.size - 1);
  return (value ^ sign) - sign;
}

// LDR, LDRB, LDRH, LDRSB, LDRSH; with `privilege` User, their T forms.
template <Machine M>
[[nodiscard]] Verdict load_single(Context<M>& c, const Instruction& i, Privilege privilege) {
  const Target target = target_of(c.frame, i);
  std::uint32_t value = 0;
  if (const auto abort = load(c, target.address, i.size, privilege, value)) {
    return data_abort(*abort);
  }
  if (i.writeback) c.frame.r[i.rn] = target.base;
  if (i.rt == kProgramCounter) return branch_to_loaded(c, value);
  c.frame.r[i.rt] = extended(i, value);
  return Verdict::skip();
}

// STR, STRB, STRH; with `privilege` User, their T forms.
template <Machine M>
[[nodiscard]] Verdict store_single(Context<M>& c, const Instruction& i, Privilege privilege) {
  const Target target = target_of(c.frame, i);
  const std::uint32_t value = operand(c.frame, i.rt);
  if (const auto abort = store(c, target.address, i.size, privilege, value)) {
    return data_abort(*abort);
  }
  if (i.writeback) c.frame.r[i.rn] = target.base;
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict load_dual(Context<M>& c, const Instruction& i) {
  const Target target = target_of(c.frame, i);
  Words words{};
  if (const auto abort = load_block(c, target.address, 2, words)) return data_abort(*abort);
  if (i.writeback) c.frame.r[i.rn] = target.base;
  c.frame.r[i.rt] = words[0];
  c.frame.r[i.rt2] = words[1];
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict store_dual(Context<M>& c, const Instruction& i) {
  const Target target = target_of(c.frame, i);
  const Words words{c.frame.r[i.rt], c.frame.r[i.rt2]};
  if (const auto abort = store_block(c, target.address, 2, words)) return data_abort(*abort);
  if (i.writeback) c.frame.r[i.rn] = target.base;
  return Verdict::skip();
}

// SWP, SWPB (A8.8.229).
template <Machine M>
[[nodiscard]] Verdict swap(Context<M>& c, const Instruction& i) {
  const std::uint32_t address = c.frame.r[i.rn], stored = c.frame.r[i.rm];
  if (i.size == 4) {
    if (const auto abort = misaligned(address, false)) return data_abort(*abort);
  }
  std::uint32_t loaded = 0;
  if (const auto abort = load(c, address, i.size, c.privilege(), loaded)) return data_abort(*abort);
  if (const auto abort = store(c, address, i.size, c.privilege(), stored)) {
    return data_abort(*abort);
  }
  c.frame.r[i.rt] = loaded;
  return Verdict::skip();
}

[[nodiscard]] constexpr std::uint32_t count_of(const Instruction& i) {
  return static_cast<std::uint32_t>(std::popcount(i.registers));
}

// LDM of the current mode's registers, the PC aside: its word is the last in `words`.
template <Machine M>
[[nodiscard]] std::optional<Abort> load_registers(Context<M>& c, const Instruction& i,
                                                  Words& words) {
  const Block block = block_of(i, c.frame.r[i.rn], count_of(i));
  if (const auto abort = load_block(c, block.first, count_of(i), words)) return abort;
  std::uint32_t next = 0;
  for (unsigned number = 0; number < kProgramCounter; ++number) {
    if ((i.registers >> number & 1) != 0) c.frame.r[number] = words[next++];
  }
  if (i.writeback) c.frame.r[i.rn] = block.end;
  return std::nullopt;
}

template <Machine M>
[[nodiscard]] Verdict load_multiple(Context<M>& c, const Instruction& i) {
  Words words{};
  if (const auto abort = load_registers(c, i, words)) return data_abort(*abort);
  if ((i.registers >> kProgramCounter & 1) != 0) return branch_to_loaded(c, words[count_of(i) - 1]);
  return Verdict::skip();
}

// STM of the registers that `value_of` gives.
template <Machine M, class ValueOf>
[[nodiscard]] Verdict store_registers(Context<M>& c, const Instruction& i, ValueOf value_of) {
  const Block block = block_of(i, c.frame.r[i.rn], count_of(i));
  Words words{};
  std::uint32_t next = 0;
  for (unsigned number = 0; number <= kProgramCounter; ++number) {
    if ((i.registers >> number & 1) != 0) words[next++] = value_of(number);
  }
  if (const auto abort = store_block(c, block.first, next, words)) return data_abort(*abort);
  if (i.writeback) c.frame.r[i.rn] = block.end;
  return Verdict::skip();
}

template <Machine M>
[[nodiscard]] Verdict store_multiple(Context<M>& c, const Instruction& i) {
  return store_registers(c, i, [&](unsigned number) { return operand(c.frame, number); });
}

// STM with ^ (B9.3.17): registers as User mode sees them, from any mode with privileges.
template <Machine M>
[[nodiscard]] Verdict store_user_registers(Context<M>& c, const Instruction& i) {
  if (c.vcpu.is_user()) return undefined();
  return store_registers(c, i, [&](unsigned number) {
    return number == kProgramCounter ? operand(c.frame, kProgramCounter)
                                     : user_register(c.vcpu, c.frame, number);
  });
}

// LDM with ^, without the PC (B9.3.6), likewise.
template <Machine M>
[[nodiscard]] Verdict load_user_registers(Context<M>& c, const Instruction& i) {
  if (c.vcpu.is_user()) return undefined();
  const Block block = block_of(i, c.frame.r[i.rn], count_of(i));
  Words words{};
  if (const auto abort = load_block(c, block.first, count_of(i), words)) return data_abort(*abort);
  std::uint32_t next = 0;
  for (unsigned number = 0; number < kProgramCounter; ++number) {
    if ((i.registers >> number & 1) != 0) user_register(c.vcpu, c.frame, number) = words[next++];
  }
  return Verdict::skip();
}

// SRS (B9.3.16): LR and SPSR of the current mode to the stack of mode `i.mode`.
template <Machine M>
[[nodiscard]] Verdict store_return_state(Context<M>& c, const Instruction& i) {
  if (!c.vcpu.has_spsr() || !psr::is_mode(i.mode)) return undefined();
  const bool own = bank_of(i.mode) == bank_of(c.vcpu.mode);
  std::uint32_t& stack = own ? c.frame.r[13] : c.vcpu.bank(bank_of(i.mode)).sp;
  const Block block = block_of(i, stack, 2);
  const Words words{c.frame.r[14], c.vcpu.shared->spsr};
  if (const auto abort = store_block(c, block.first, 2, words)) return data_abort(*abort);
  if (i.writeback) stack = block.end;
  return Verdict::skip();
}

}  // namespace mezzo::armv7
