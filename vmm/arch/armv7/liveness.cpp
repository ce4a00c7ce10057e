// Source: ARM DDI 0406C, A5.2 to A5.3 (data processing, loads and stores), A5.5 (BL), A5.7
// (barriers, CPS), B3.17 (TPIDRURO, TPIDRPRW, DACR, SCTLR).
#include "arch/armv7/liveness.hpp"

#include <algorithm>
#include <bit>

namespace mezzo::armv7 {
namespace {

constexpr std::uint32_t kStack = 13, kPc = 15;

constexpr std::uint32_t register_at(std::uint32_t word, unsigned shift) {
  return 1u << (word >> shift & 15);
}

// TST, TEQ, CMP and CMN write no register, MOV and MVN read no Rn. `operand`: what the second one
// reads.
std::optional<RegisterUse> data_processing(std::uint32_t word, std::uint32_t operand) {
  const std::uint32_t opcode = word >> 21 & 15;
  const bool compares = opcode >> 2 == 2, moves = opcode == 13 || opcode == 15;
  if (compares && (word & 1u << 20) == 0) return std::nullopt;  // other instructions
  RegisterUse use{.reads = operand};
  if (!moves) use.reads |= register_at(word, 16);
  if (!compares) use.writes = register_at(word, 12);
  return use;
}

// Single loads and stores of words and bytes. `operand`: what the offset reads.
std::optional<RegisterUse> transfer(std::uint32_t word, std::uint32_t operand) {
  const bool load = (word & 1u << 20) != 0, pre_indexed = (word & 1u << 24) != 0;
  const std::uint32_t base = word >> 16 & 15;
  if (!pre_indexed || (base != kStack && base != kPc)) return std::nullopt;
  RegisterUse use{.reads = operand | register_at(word, 16)};
  (load ? use.writes : use.reads) |= register_at(word, 12);
  const bool writes_back = (word & 1u << 21) != 0;
  if (writes_back) use.reads |= use.writes;  // no new value of the base is relied upon
  return use;
}

std::optional<RegisterUse> any_use(std::uint32_t word) {
  const bool barrier = (word & 0xffffffc0) == 0xf57ff040 && (word & 0x30) != 0x30;
  const bool masks = (word & 0xfff3fe3f) == 0xf1000000;  // CPS that stays in its mode
  if (barrier || masks) return RegisterUse{};
  if (word >> 28 != 14) return std::nullopt;
  const bool is_mrs = (word & 0x0fbf0fff) == 0x010f0000;
  const bool is_movw = (word & 0x0ff00000) == 0x03000000;
  // Of coprocessor 15 what is there on every processor: others may be undefined, and a handler of
  // that leave Rt as it is.
  const std::uint32_t name = word & 0x0fef0fff;
  const bool is_there = name == 0x0e0d0f70 || name == 0x0e0d0f90 || name == 0x0e030f10;
  const bool is_mrc = (word & 1u << 20) != 0 && (is_there || name == 0x0e010f10);
  if (is_mrs || is_movw || is_mrc) return RegisterUse{.writes = register_at(word, 12)};
  if (is_there) return RegisterUse{.reads = register_at(word, 12)};
  switch (word >> 25 & 7) {
    case 0: {
      if ((word & 0x90) == 0x90 || word == 0xe1a00000) return std::nullopt;  // not such, or NOP
      const bool by_register = (word & 0x10) != 0;
      const std::uint32_t shift = by_register ? register_at(word, 8) : 0;
      return data_processing(word, register_at(word, 0) | shift);
    }
    case 1:
      return data_processing(word, 0);
    case 2:
      return transfer(word, 0);
    case 3:
      if ((word & 0x10) != 0) return std::nullopt;
      return transfer(word, register_at(word, 0));
    case 5:
      if ((word & 1u << 24) == 0) return std::nullopt;
      return RegisterUse{.writes = 1u << 14, .goes_on = false};  // BL
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<RegisterUse> register_use(std::uint32_t word) {
  const std::optional<RegisterUse> use = any_use(word);
  if (!use || (use->writes >> kPc & 1) != 0) return std::nullopt;
  return use;
}

std::optional<unsigned> dead_register(std::span<const std::uint32_t> behind, std::uint32_t except) {
  constexpr std::uint32_t kNever = 1u << kStack | 1u << kPc;
  std::uint32_t used = except | kNever;
  for (const std::uint32_t word : behind.first(std::min(behind.size(), kFarthestUse))) {
    const std::optional<RegisterUse> use = register_use(word);
    if (!use) return std::nullopt;
    used |= use->reads;
    const std::uint32_t dead = use->writes & ~used;
    if (dead != 0) return static_cast<unsigned>(std::countr_zero(dead));
    if (!use->goes_on) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace mezzo::armv7
