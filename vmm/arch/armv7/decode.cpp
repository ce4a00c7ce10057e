// The A32 decoder: an index into the table of encodings, made at compile time; operands; what is
// UNPREDICTABLE by their values.
//
// What the instructions do is none of its business. Source: ARM DDI 0406C, in the sections that the
// table names.
#include "arch/armv7/decode.hpp"

#include <bit>
#include <cstddef>

#include "arch/armv7/encodings.hpp"

namespace mezzo::armv7 {
namespace {

using namespace detail;
using enum Op;

// Where to look for a word: conditional or not, and bits 27:20.
constexpr std::size_t kKeys = 512;
constexpr std::size_t key_of(std::uint32_t word) {
  return (word >> 28 == 15 ? 256u : 0u) | (word >> 20 & 0xff);
}
constexpr bool may_match(const Row& row, std::size_t key) {
  const auto word = static_cast<std::uint32_t>(key & 0xff) << 20;
  return row.is_conditional() == (key < 256) && ((word ^ row.match) & row.mask & 0x0ff00000) == 0;
}

constexpr std::size_t kCandidateCount = [] {
  std::size_t count = 0;
  for (std::size_t key = 0; key < kKeys; ++key) {
    for (const Row& row : kRows) count += may_match(row, key) ? 1 : 0;
  }
  return count;
}();

// The rows of key k, by number: those from first[k] up to first[k + 1].
struct Index {
  std::array<std::uint16_t, kKeys + 1> first{};
  std::array<std::uint8_t, kCandidateCount> row{};
};
static_assert(kRows.size() <= 256 && kCandidateCount < 65536);

constexpr Index kIndex = [] {
  Index index;
  std::size_t next = 0;
  for (std::size_t key = 0; key < kKeys; ++key) {
    index.first[key] = static_cast<std::uint16_t>(next);
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      if (may_match(kRows[i], key)) index.row[next++] = static_cast<std::uint8_t>(i);
    }
  }
  index.first[kKeys] = static_cast<std::uint16_t>(next);
  return index;
}();

const Row* find_row(std::uint32_t word) {
  const std::size_t key = key_of(word);
  for (std::size_t i = kIndex.first[key]; i < kIndex.first[key + 1]; ++i) {
    const Row& row = kRows[kIndex.row[i]];
    if (row.matches(word)) return &row;
  }
  return nullptr;
}

constexpr std::uint8_t nibble(std::uint32_t word, unsigned lowest) {
  return static_cast<std::uint8_t>(word >> lowest & 15);
}
constexpr bool bit(std::uint32_t word, unsigned number) { return (word >> number & 1) != 0; }

// ARMExpandImm, A5.2.4.
constexpr std::uint32_t expand_immediate(std::uint32_t word) {
  return std::rotr(word & 0xff, static_cast<int>(2 * (word >> 8 & 15)));
}

// DecodeImmShift, A8.4.3.
void read_shifted_register(std::uint32_t word, Instruction& instruction) {
  instruction.register_operand = true;
  instruction.rm = nibble(word, 0);
  instruction.shift = static_cast<Shift>(word >> 5 & 3);
  instruction.shift_amount = word >> 7 & 31;
  if (instruction.shift_amount != 0 || instruction.shift == Shift::Lsl) return;
  const bool rotate = instruction.shift == Shift::Ror;
  if (rotate) instruction.shift = Shift::Rrx;
  instruction.shift_amount = rotate ? 1 : 32;
}

void read_transfer(std::uint32_t word, const Row& row, Instruction& instruction) {
  instruction.rn = nibble(word, 16);
  instruction.rt = nibble(word, 12);
  instruction.size = row.size;
  instruction.sign_extended = row.sign_extended;
  instruction.pre_indexed = bit(word, 24);
  instruction.add = bit(word, 23);
  instruction.writeback = !instruction.pre_indexed || bit(word, 21);
  if (row.size == 8) instruction.rt2 = static_cast<std::uint8_t>((instruction.rt + 1) & 15);
  if (row.form == Form::WordImmediate) {
    instruction.immediate = word & 0xfff;
  } else if (row.form == Form::ExtraImmediate) {
    instruction.immediate = (word >> 4 & 0xf0) | (word & 15);
  } else if (row.form == Form::WordRegister) {
    read_shifted_register(word, instruction);
  } else {
    instruction.register_operand = true;
    instruction.rm = nibble(word, 0);
  }
}

void read_multiple(std::uint32_t word, Instruction& instruction) {
  instruction.pre_indexed = bit(word, 24);
  instruction.add = bit(word, 23);
  instruction.writeback = bit(word, 21);
}

void read_exclusive(std::uint32_t word, const Row& row, Instruction& instruction) {
  const bool store = row.op == StoreExclusive;
  instruction.rn = nibble(word, 16);
  instruction.rd = store ? nibble(word, 12) : std::uint8_t{0};
  instruction.rt = nibble(word, store ? 0 : 12);
  instruction.size = row.size;
  if (row.size == 8) instruction.rt2 = static_cast<std::uint8_t>((instruction.rt + 1) & 15);
}

void read_state_operands(std::uint32_t word, const Row& row, Instruction& instruction) {
  switch (row.form) {
    case Form::Cps:
      instruction.interrupts = static_cast<Interrupts>(word >> 18 & 3);
      instruction.psr_bits = word & 0x1c0;
      instruction.changes_mode = bit(word, 17);
      instruction.mode = word & 31;
      break;
    case Form::Setend:
      instruction.immediate = word >> 9 & 1;
      break;
    case Form::Rfe:
      instruction.rn = nibble(word, 16);
      read_multiple(word, instruction);
      break;
    case Form::Srs:
      instruction.mode = word & 31;
      read_multiple(word, instruction);
      break;
    case Form::Mrs:
      instruction.rd = nibble(word, 12);
      break;
    case Form::MsrRegister:
      instruction.psr_mask = nibble(word, 16);
      instruction.register_operand = true;
      instruction.rm = nibble(word, 0);
      break;
    case Form::MsrImmediate:
      instruction.psr_mask = nibble(word, 16);
      instruction.immediate = expand_immediate(word);
      break;
    case Form::MrsBanked:
    case Form::MsrBanked:
      instruction.immediate = (word >> 17 & 0x20) | (word >> 4 & 0x10) | (word >> 16 & 15);
      if (row.form == Form::MrsBanked) instruction.rd = nibble(word, 12);
      if (row.form == Form::MsrBanked) instruction.rm = nibble(word, 0);
      break;
    default:
      break;
  }
}

void read_alu_operands(std::uint32_t word, const Row& row, Instruction& instruction) {
  instruction.alu = static_cast<Alu>(word >> 21 & 15);
  instruction.rn = nibble(word, 16);
  instruction.rd = nibble(word, 12);
  if (row.form == Form::AluRegister) {
    read_shifted_register(word, instruction);
  } else {
    instruction.immediate = expand_immediate(word);
  }
}

void read_coprocessor_operands(std::uint32_t word, const Row& row, Instruction& instruction) {
  instruction.rt = nibble(word, 12);
  if (row.form == Form::FloatingPointRegister) {
    instruction.crn = nibble(word, 16);
    return;
  }
  instruction.coprocessor = nibble(word, 8);
  instruction.crm = nibble(word, 0);
  if (row.form == Form::CoprocessorPair) {
    instruction.opc1 = nibble(word, 4);
    instruction.rt2 = nibble(word, 16);
    return;
  }
  instruction.opc1 = word >> 21 & 7;
  instruction.crn = nibble(word, 16);
  instruction.opc2 = word >> 5 & 7;
}

void read_operands(std::uint32_t word, const Row& row, Instruction& instruction) {
  switch (row.form) {
    case Form::AluRegister:
    case Form::AluImmediate:
      return read_alu_operands(word, row, instruction);
    case Form::Immediate24:
      instruction.immediate = word & 0xffffff;
      return;
    case Form::Immediate12And4:
      instruction.immediate = (word >> 4 & 0xfff0) | (word & 15);
      return;
    case Form::Immediate4:
      instruction.immediate = word & 15;
      return;
    case Form::CoprocessorRegister:
    case Form::CoprocessorPair:
    case Form::FloatingPointRegister:
      return read_coprocessor_operands(word, row, instruction);
    case Form::WordImmediate:
    case Form::WordRegister:
    case Form::ExtraImmediate:
    case Form::ExtraRegister:
      return read_transfer(word, row, instruction);
    case Form::Multiple:
      instruction.rn = nibble(word, 16);
      instruction.registers = word & 0xffff;
      return read_multiple(word, instruction);
    case Form::Exclusive:
      return read_exclusive(word, row, instruction);
    case Form::Swap:
      instruction.rn = nibble(word, 16);
      instruction.rt = nibble(word, 12);
      instruction.rm = nibble(word, 0);
      instruction.size = row.size;
      return;
    default:
      return read_state_operands(word, row, instruction);
  }
}

constexpr std::uint8_t kPc = 15;

bool is_predictable_cps(const Instruction& i) {
  const bool touches_interrupts = i.interrupts != Interrupts::Keep;
  return static_cast<unsigned>(i.interrupts) != 1 && touches_interrupts == (i.psr_bits != 0) &&
         (touches_interrupts || i.changes_mode) && (i.changes_mode || i.mode == 0);
}

bool is_predictable_transfer(const Instruction& i) {
  const bool dual = i.op == LoadDual || i.op == StoreDual;
  const bool base_lost = i.rn == i.rt || (dual && i.rn == i.rt2);
  if (i.register_operand && i.rm == kPc) return false;
  if (i.writeback && (i.rn == kPc || base_lost)) return false;
  if (dual) {
    const bool offset_lost = i.register_operand && (i.rm == i.rt || i.rm == i.rt2);
    return i.rt % 2 == 0 && i.rt2 != kPc && !(i.op == LoadDual && offset_lost);
  }
  return i.rt != kPc || (i.size == 4 && i.op != LoadUnprivileged);
}

bool is_predictable_multiple(const Instruction& i) {
  const bool loads_base = i.op == LoadMultiple || i.op == LoadMultipleReturn;
  return i.rn != kPc && i.registers != 0 && !(loads_base && i.writeback && bit(i.registers, i.rn));
}

bool is_predictable_exclusive(const Instruction& i) {
  if (i.rn == kPc || i.rt == kPc) return false;
  if (i.size == 8 && (i.rt % 2 != 0 || i.rt2 == kPc)) return false;
  if (i.op == LoadExclusive) return true;
  return i.rd != kPc && i.rd != i.rn && i.rd != i.rt && !(i.size == 8 && i.rd == i.rt2);
}

// The UNPREDICTABLE cases that no mask expresses.
bool is_predictable(std::uint32_t word, const Row& row, const Instruction& i) {
  switch (row.form) {
    case Form::Cps:
      return is_predictable_cps(i);
    case Form::Rfe:
      return i.rn != kPc;
    case Form::Mrs:
    case Form::MrsBanked:
      return i.rd != kPc;
    case Form::MsrRegister:
      return i.psr_mask != 0 && i.rm != kPc;
    case Form::MsrImmediate:
      return i.psr_mask != 0;
    case Form::MsrBanked:
      return i.rm != kPc;
    case Form::CoprocessorRegister:
      return i.rt != kPc || i.op == Mrc;
    case Form::CoprocessorPair:
      return i.rt != kPc && i.rt2 != kPc && !(i.op == Mrrc && i.rt == i.rt2);
    case Form::FloatingPointRegister:
      return i.rt != kPc || (i.op == Vmrs && i.crn == 1);  // to the flags, from FPSCR only
    case Form::WordImmediate:
    case Form::WordRegister:
      return is_predictable_transfer(i);
    case Form::ExtraImmediate:
    case Form::ExtraRegister:
      return is_predictable_transfer(i) && !(row.size == 8 && !i.pre_indexed && bit(word, 21));
    case Form::Multiple:
      return is_predictable_multiple(i);
    case Form::Exclusive:
      return is_predictable_exclusive(i);
    case Form::Swap:
      return i.rt != kPc && i.rm != kPc && i.rn != kPc && i.rn != i.rt && i.rn != i.rm;
    case Form::Immediate12And4:
      return i.condition == kAlways;
    default:
      return true;
  }
}

// Conditions that are the highest hexadecimal digit of kernel addresses, wherever the guest splits
// its address space: 3 and 4, 7 and 8, B and C (modules, and kernel).
constexpr std::uint16_t kAddressConditions = 1u << 3 | 1u << 4 | 1u << 7 | 1u << 8 | 3u << 11;

// Of MSR with a constant, which has few fixed bits: whether it writes a mode that exists (B1.3.1)
// to the CPSR.
bool sets_known_mode(const Instruction& i) {
  constexpr std::uint32_t kModes = 0x888f0000;  // as in table B1-1, but for Monitor and Hyp
  return i.op == MsrCpsr && (i.psr_mask & 1) != 0 && (kModes >> (i.immediate & 31) & 1) != 0;
}

// What the row says of the word; Op::Other if that is unpredictable.
Instruction decode_row(std::uint32_t word, const Row& row) {
  Instruction instruction{.op = row.op};
  if (row.is_conditional()) instruction.condition = nibble(word, 28);
  read_operands(word, row, instruction);
  if (is_predictable(word, row, instruction)) return instruction;
  return {.condition = instruction.condition};
}

}  // namespace

Instruction decode(std::uint32_t word) {
  const Row* const row = find_row(word);
  if (row != nullptr) return decode_row(word, *row);
  return {.condition = word >> 28 == 15 ? kAlways : nibble(word, 28)};
}

namespace detail {

// What rows of interest have in common that may match a key, those of DataToPc apart from the
// others.
constexpr Shapes shapes_of(std::size_t key) {
  Shapes shapes;
  for (const Row& row : kRows) {
    const bool wanted = row.sensitive != Sensitive::No || row.op == Svc || row.op == Mcr;
    if (!wanted || !may_match(row, key)) continue;
    shapes[row.op == DataToPc ? 0 : 1].widen(row.mask, row.match);
  }
  return shapes;
}

constinit const Filter kFilter = [] {
  Filter filter;
  std::size_t count = 1;  // 0: no interest
  for (std::size_t key = 0; key < kKeys; ++key) {
    const Shapes wanted = shapes_of(key);
    std::size_t number = 0;
    while (number < count && filter.shapes[number] != wanted) ++number;
    if (number == count) filter.shapes[count++] = wanted;
    const auto value = static_cast<std::uint8_t>(number);
    if (key >= 256) filter.shapes_of[15 * 256 + key % 256] = value;
    for (std::size_t condition = 0; key < 256 && condition < 15; ++condition) {
      filter.shapes_of[condition * 256 + key] = value;
    }
  }
  return filter;
}();

Sensitivity sensitivity_in_table(std::uint32_t word) {
  const Row* const row = find_row(word);
  if (row == nullptr || row->sensitive == Sensitive::No) return Sensitivity::None;
  const Instruction instruction = decode_row(word, *row);
  if (instruction.op == Other) return Sensitivity::None;
  // At PL0 MSR writes N, Z, C, V, Q (flags) and GE (status), but no A bit (extension) and no mode,
  // I or F (control): B1.3.3, CPSRWriteByInstr.
  const bool only_flags = (instruction.psr_mask & 3) == 0;
  if (row->sensitive == Sensitive::UnlessFlags && only_flags) return Sensitivity::None;
  const bool doubtful_constant = row->form == Form::MsrImmediate && !sets_known_mode(instruction);
  const bool ambiguous = row->sensitive == Sensitive::Ambiguous || doubtful_constant ||
                         (kAddressConditions >> instruction.condition & 1) != 0;
  return ambiguous ? Sensitivity::Ambiguous : Sensitivity::Certain;
}

}  // namespace detail
}  // namespace mezzo::armv7
