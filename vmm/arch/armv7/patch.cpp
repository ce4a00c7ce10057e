// The parts of patching that know no memory: the dictionary of replaced words, and whether a word
// stands among instructions.
#include "arch/armv7/patch.hpp"

namespace mezzo::armv7 {
namespace {

constexpr std::uint32_t kAl = 14;

bool is_always(std::uint32_t word) { return word >> 28 == kAl; }

// Whether nothing but an instruction with condition AL or without a condition is likely to look so.
// Among random words one in sixteen does.
bool is_code_like(std::uint32_t word) {
  const bool barrier = (word & 0xffffff00) == 0xf57ff000;  // CLREX, DSB, DMB, ISB: A5.7.1
  const bool preload = (word & 0xfd70f000) == 0xf550f000;  // PLD with an offset
  return is_always(word) || barrier || preload || (word >> 28 == 15 && is_sensitive(word));
}

// An instruction after which the next word is not executed, so that constants may follow.
bool ends_a_block(std::uint32_t word) {
  if (!is_always(word)) return false;
  const bool branch = (word & 0x0f000000) == 0x0a000000 || (word & 0x0ffffff0) == 0x012fff10;
  const bool permanently_undefined = (word & 0x0ff000f0) == 0x07f000f0;
  const bool data_to_pc = (word & 0x0c00f000) == 0x0000f000 && (word & 0x01800000) != 0x01000000;
  const bool load_to_pc = (word & 0x0c10f000) == 0x0410f000;
  const bool pop_to_pc = (word & 0x0e108000) == 0x08108000;
  return branch || permanently_undefined || data_to_pc || load_to_pc || pop_to_pc;
}

// Kernels and their modules keep addresses of text and data between their functions: of anything
// within 64 MiB.
bool is_address_nearby(std::uint32_t word, GuestVirtual address) {
  constexpr std::uint32_t kReach = 64u << 20;
  return word - address.value() + kReach < 2 * kReach;
}

}  // namespace

bool is_among_code(std::uint32_t word, GuestVirtual address, const Surroundings& around) {
  const auto& before = around.before;
  const auto& after = around.after;
  if (word >> 28 < kAl) {
    const bool more = is_code_like(before[1]) || is_code_like(after[1]);
    return is_code_like(before[0]) && !ends_a_block(before[0]) && is_code_like(after[0]) && more &&
           !is_address_nearby(word, address);
  }
  const int near_before = (is_code_like(before[0]) ? 1 : 0) + (is_code_like(before[1]) ? 1 : 0);
  const int near_after = (is_code_like(after[0]) ? 1 : 0) + (is_code_like(after[1]) ? 1 : 0);
  return near_before + near_after >= 3 || (near_before == 2 && is_code_like(before[2])) ||
         (near_after == 2 && is_code_like(after[2]));
}

void Dictionary::reset() {
  words_ = {};
  slots_ = {};
  size_ = 0;
}

std::optional<std::uint32_t> Dictionary::replacement(std::uint32_t word) {
  const std::uint32_t condition = word >> 28 == 15 ? kAl : word >> 28;
  const std::uint32_t svc = condition << 28 | 0x0f000000 | kFirstNumber;
  std::uint32_t slot = word * 0x9e3779b1u >> 19;
  static_assert(kSlots == 1u << (32 - 19));
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, slot = (slot + 1) % kSlots) {
    const std::uint32_t entry = slots_[slot];
    if (entry != 0 && words_[entry - 1] == word) return svc + entry - 1;
    if (entry != 0) continue;
    if (size_ == kCapacity) return std::nullopt;
    words_[size_++] = word;
    slots_[slot] = static_cast<std::uint16_t>(size_);
    return svc + size_ - 1;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> Dictionary::original_in_range(std::uint32_t word) const {
  const std::uint32_t index = (word & 0xffffff) - kFirstNumber;
  if (index >= size_) return std::nullopt;
  const std::uint32_t original = words_[index];
  const std::uint32_t condition = original >> 28 == 15 ? kAl : original >> 28;
  if (word >> 28 != condition) return std::nullopt;
  return original;
}

}  // namespace mezzo::armv7
