// The instruction decoder: prefixes, one table of opcodes, operands.
//
// It knows the encodings of the instructions the monitor emulates and no others; what they do is
// none of its business. Source: Intel SDM volume 2, chapter 2 (formats) and opcode maps.
#include "arch/ia32/decode.hpp"

#include <array>
#include <cstddef>

namespace mezzo::ia32 {
namespace {

// Which ModRM byte a row of the table wants.
enum class Select : std::uint8_t {
  NoModRm,          // the opcode has none
  Any,              // any
  Memory,           // any that addresses memory
  Extension,        // ModRM.reg == value
  ExtensionMemory,  // ModRM.reg == value, addressing memory
  Exact,            // the whole byte == value
};

// Which operands follow.
enum class Form : std::uint8_t {
  None,
  NoneUnprefixed,   // none, and 66, F2 and F3 make it another instruction
  ControlRegister,  // reg is a CR, rm a general register whatever ModRM.mod says
  DebugRegister,    // likewise with a DR
  Word,             // 16 bits in a register or memory
  SegmentAndWord,   // reg is a segment register; 16 bits in a register or memory
  MemoryOnly,       // the memory operand and nothing else
  FarPointer,       // reg is a general register, `detail` the segment register, and memory
  FarDirect,        // selector and offset in the instruction
  SegmentInOpcode,  // `detail` is the segment register
  Immediate8,
  Immediate16,
  PortImmediate,  // `detail` is 1 for the byte form, else 0
  PortInDx,       // likewise
  String,         // likewise
};

struct Row {
  std::uint16_t opcode;  // 0xOO, or 0x0fOO for the two-byte map
  Select select;
  std::uint8_t value;
  Form form;
  Op op;
  std::uint8_t detail = 0;
};

constexpr std::uint8_t number(Segment segment) { return static_cast<std::uint8_t>(segment); }

// Sorted by opcode.
constexpr auto kRows = std::to_array<Row>({
    {0x07, Select::NoModRm, 0, Form::SegmentInOpcode, Op::PopSeg, number(Segment::Es)},
    {0x17, Select::NoModRm, 0, Form::SegmentInOpcode, Op::PopSeg, number(Segment::Ss)},
    {0x1f, Select::NoModRm, 0, Form::SegmentInOpcode, Op::PopSeg, number(Segment::Ds)},
    {0x6c, Select::NoModRm, 0, Form::String, Op::Ins, 1},
    {0x6d, Select::NoModRm, 0, Form::String, Op::Ins},
    {0x6e, Select::NoModRm, 0, Form::String, Op::Outs, 1},
    {0x6f, Select::NoModRm, 0, Form::String, Op::Outs},
    {0x8e, Select::Any, 0, Form::SegmentAndWord, Op::MovToSeg},
    {0x9a, Select::NoModRm, 0, Form::FarDirect, Op::FarCall},
    {0xc4, Select::Memory, 0, Form::FarPointer, Op::LoadFarPointer, number(Segment::Es)},
    {0xc5, Select::Memory, 0, Form::FarPointer, Op::LoadFarPointer, number(Segment::Ds)},
    {0xca, Select::NoModRm, 0, Form::Immediate16, Op::FarReturn},
    {0xcb, Select::NoModRm, 0, Form::None, Op::FarReturn},
    {0xcd, Select::NoModRm, 0, Form::Immediate8, Op::SoftwareInterrupt},
    {0xcf, Select::NoModRm, 0, Form::None, Op::Iret},
    {0xe4, Select::NoModRm, 0, Form::PortImmediate, Op::In, 1},
    {0xe5, Select::NoModRm, 0, Form::PortImmediate, Op::In},
    {0xe6, Select::NoModRm, 0, Form::PortImmediate, Op::Out, 1},
    {0xe7, Select::NoModRm, 0, Form::PortImmediate, Op::Out},
    {0xea, Select::NoModRm, 0, Form::FarDirect, Op::FarJump},
    {0xec, Select::NoModRm, 0, Form::PortInDx, Op::In, 1},
    {0xed, Select::NoModRm, 0, Form::PortInDx, Op::In},
    {0xee, Select::NoModRm, 0, Form::PortInDx, Op::Out, 1},
    {0xef, Select::NoModRm, 0, Form::PortInDx, Op::Out},
    {0xf4, Select::NoModRm, 0, Form::None, Op::Hlt},
    {0xfa, Select::NoModRm, 0, Form::None, Op::Cli},
    {0xfb, Select::NoModRm, 0, Form::None, Op::Sti},
    {0xff, Select::ExtensionMemory, 3, Form::MemoryOnly, Op::FarCall},
    {0xff, Select::ExtensionMemory, 5, Form::MemoryOnly, Op::FarJump},
    {0x0f00, Select::Extension, 2, Form::Word, Op::Lldt},
    {0x0f00, Select::Extension, 3, Form::Word, Op::Ltr},
    {0x0f01, Select::Exact, 0xd1, Form::NoneUnprefixed, Op::Xsetbv},
    {0x0f01, Select::Exact, 0xf9, Form::None, Op::Rdtscp},
    {0x0f01, Select::ExtensionMemory, 2, Form::MemoryOnly, Op::Lgdt},
    {0x0f01, Select::ExtensionMemory, 3, Form::MemoryOnly, Op::Lidt},
    {0x0f01, Select::Extension, 6, Form::Word, Op::Lmsw},
    {0x0f01, Select::ExtensionMemory, 7, Form::MemoryOnly, Op::Invlpg},
    {0x0f06, Select::NoModRm, 0, Form::None, Op::Clts},
    {0x0f08, Select::NoModRm, 0, Form::None, Op::Invd},
    {0x0f09, Select::NoModRm, 0, Form::None, Op::Wbinvd},
    {0x0f20, Select::Any, 0, Form::ControlRegister, Op::MovFromCr},
    {0x0f21, Select::Any, 0, Form::DebugRegister, Op::MovFromDr},
    {0x0f22, Select::Any, 0, Form::ControlRegister, Op::MovToCr},
    {0x0f23, Select::Any, 0, Form::DebugRegister, Op::MovToDr},
    {0x0f30, Select::NoModRm, 0, Form::None, Op::Wrmsr},
    {0x0f31, Select::NoModRm, 0, Form::None, Op::Rdtsc},
    {0x0f32, Select::NoModRm, 0, Form::None, Op::Rdmsr},
    {0x0f33, Select::NoModRm, 0, Form::None, Op::Rdpmc},
    {0x0f34, Select::NoModRm, 0, Form::None, Op::Sysenter},
    {0x0f35, Select::NoModRm, 0, Form::None, Op::Sysexit},
    {0x0fa1, Select::NoModRm, 0, Form::SegmentInOpcode, Op::PopSeg, number(Segment::Fs)},
    {0x0fa9, Select::NoModRm, 0, Form::SegmentInOpcode, Op::PopSeg, number(Segment::Gs)},
    {0x0fb2, Select::Memory, 0, Form::FarPointer, Op::LoadFarPointer, number(Segment::Ss)},
    {0x0fb4, Select::Memory, 0, Form::FarPointer, Op::LoadFarPointer, number(Segment::Fs)},
    {0x0fb5, Select::Memory, 0, Form::FarPointer, Op::LoadFarPointer, number(Segment::Gs)},
});

// Position of an opcode in kFirstRow: the one-byte map, then the two-byte map.
constexpr std::size_t position(std::uint16_t opcode) {
  return opcode < 0x100 ? opcode : 0x100u + (opcode & 0xffu);
}

// For each opcode one more than the index of its first row; 0: none.
constexpr auto kFirstRow = [] {
  std::array<std::uint8_t, 0x200> first{};
  for (std::size_t i = kRows.size(); i-- > 0;) {
    first[position(kRows[i].opcode)] = static_cast<std::uint8_t>(i + 1);
  }
  return first;
}();

static_assert(kRows.size() < 0xff);
static_assert([] {
  for (std::size_t i = 1; i < kRows.size(); ++i) {
    if (kRows[i - 1].opcode > kRows[i].opcode) return false;
  }
  return true;
}());

// Reads little-endian numbers from the instruction's bytes. Reading past the end is remembered, and
// answers 0.
class Cursor {
 public:
  explicit constexpr Cursor(std::span<const std::uint8_t> bytes)
      : bytes_(bytes.first(bytes.size() < kMaxInstructionLength ? bytes.size()
                                                                : kMaxInstructionLength)) {}

  constexpr std::uint8_t u8() {
    if (next_ == bytes_.size()) {
      exhausted_ = true;
      return 0;
    }
    return bytes_[next_++];
  }
  constexpr std::uint16_t u16() {
    const unsigned low = u8();
    return static_cast<std::uint16_t>(low | unsigned{u8()} << 8);
  }
  constexpr std::uint32_t u32() {
    const std::uint32_t low = u16();
    return low | std::uint32_t{u16()} << 16;
  }
  constexpr std::uint32_t s8() {
    return static_cast<std::uint32_t>(static_cast<std::int8_t>(u8()));
  }
  constexpr std::uint32_t s16() {
    return static_cast<std::uint32_t>(static_cast<std::int16_t>(u16()));
  }

  [[nodiscard]] constexpr bool exhausted() const { return exhausted_; }
  [[nodiscard]] constexpr std::uint8_t consumed() const { return static_cast<std::uint8_t>(next_); }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t next_ = 0;
  bool exhausted_ = false;
};

struct Prefixes {
  bool operand = false;            // 66
  bool address = false;            // 67
  bool lock = false;               // F0
  bool repeat = false;             // F2 or F3
  std::optional<Segment> segment;  // the last one counts
};

struct ModRm {
  std::uint8_t byte;

  [[nodiscard]] constexpr std::uint8_t mod() const { return byte >> 6; }
  [[nodiscard]] constexpr std::uint8_t reg() const { return (byte >> 3) & 7; }
  [[nodiscard]] constexpr std::uint8_t rm() const { return byte & 7; }
  [[nodiscard]] constexpr bool is_register() const { return mod() == 3; }
};

constexpr std::uint8_t kBx = 3, kSp = 4, kBp = 5, kSi = 6, kDi = 7;

// Takes the prefixes and returns the first byte after them.
std::uint8_t read_prefixes(Cursor& in, Prefixes& prefixes) {
  for (;;) {
    const std::uint8_t byte = in.u8();
    switch (byte) {
      case 0x26:
        prefixes.segment = Segment::Es;
        break;
      case 0x2e:
        prefixes.segment = Segment::Cs;
        break;
      case 0x36:
        prefixes.segment = Segment::Ss;
        break;
      case 0x3e:
        prefixes.segment = Segment::Ds;
        break;
      case 0x64:
        prefixes.segment = Segment::Fs;
        break;
      case 0x65:
        prefixes.segment = Segment::Gs;
        break;
      case 0x66:
        prefixes.operand = true;
        break;
      case 0x67:
        prefixes.address = true;
        break;
      case 0xf0:
        prefixes.lock = true;
        break;
      case 0xf2:
      case 0xf3:
        prefixes.repeat = true;
        break;
      default:
        return byte;
    }
  }
}

constexpr bool selects(const Row& row, ModRm modrm) {
  switch (row.select) {
    case Select::NoModRm:
    case Select::Any:
      return true;
    case Select::Memory:
      return !modrm.is_register();
    case Select::Extension:
      return modrm.reg() == row.value;
    case Select::ExtensionMemory:
      return modrm.reg() == row.value && !modrm.is_register();
    case Select::Exact:
      return modrm.byte == row.value;
  }
  return false;
}

const Row* find_row(std::uint16_t opcode, Cursor& in, ModRm& modrm) {
  const std::size_t first = kFirstRow[position(opcode)];
  if (first == 0) return nullptr;
  if (kRows[first - 1].select != Select::NoModRm) modrm.byte = in.u8();
  for (std::size_t i = first - 1; i < kRows.size() && kRows[i].opcode == opcode; ++i) {
    if (selects(kRows[i], modrm)) return &kRows[i];
  }
  return nullptr;
}

// SDM volume 2, table 2-1.
void read_memory16(Cursor& in, ModRm modrm, MemoryOperand& memory) {
  struct Registers {
    std::uint8_t base;
    std::optional<std::uint8_t> index;
  };
  constexpr std::array<Registers, 8> kRegisters{
      {{kBx, kSi}, {kBx, kDi}, {kBp, kSi}, {kBp, kDi}, {kSi, {}}, {kDi, {}}, {kBp, {}}, {kBx, {}}}};
  if (modrm.mod() == 0 && modrm.rm() == 6) {
    memory.displacement = in.s16();
    return;
  }
  memory.base = kRegisters[modrm.rm()].base;
  memory.index = kRegisters[modrm.rm()].index;
  if (modrm.mod() == 1) memory.displacement = in.s8();
  if (modrm.mod() == 2) memory.displacement = in.s16();
}

// SDM volume 2, tables 2-2 and 2-3.
void read_memory32(Cursor& in, ModRm modrm, MemoryOperand& memory) {
  std::uint8_t base = modrm.rm();
  if (base == kSp) {
    const std::uint8_t sib = in.u8();
    base = sib & 7;
    const std::uint8_t index = (sib >> 3) & 7;
    if (index != kSp) {
      memory.index = index;
      memory.scale = sib >> 6;
    }
  }
  if (modrm.mod() == 0 && base == kBp) {
    memory.displacement = in.u32();
    return;
  }
  memory.base = base;
  if (modrm.mod() == 1) memory.displacement = in.s8();
  if (modrm.mod() == 2) memory.displacement = in.u32();
}

MemoryOperand read_memory(Cursor& in, ModRm modrm, const Prefixes& prefixes, bool address16) {
  MemoryOperand memory{.address16 = address16};
  if (address16) {
    read_memory16(in, modrm, memory);
  } else {
    read_memory32(in, modrm, memory);
  }
  const bool stack = memory.base == kBp || (!address16 && memory.base == kSp);
  memory.segment = prefixes.segment.value_or(stack ? Segment::Ss : Segment::Ds);
  return memory;
}

MemoryOperand string_memory(Op op, const Prefixes& prefixes, bool address16) {
  const bool input = op == Op::Ins;  // its ES cannot be overridden
  return {.base = input ? kDi : kSi,
          .address16 = address16,
          .segment = input ? Segment::Es : prefixes.segment.value_or(Segment::Ds)};
}

// What is not defined raises #UD, not #GP: nothing for us.
constexpr bool is_defined(const Row& row, ModRm modrm, const Prefixes& prefixes) {
  const std::uint8_t reg = modrm.reg();
  switch (row.form) {
    case Form::ControlRegister:
      return reg == 0 || (reg >= 2 && reg <= 4);
    case Form::SegmentAndWord:
      return reg <= number(Segment::Gs) && reg != number(Segment::Cs);
    case Form::NoneUnprefixed:
      return !prefixes.operand && !prefixes.repeat;
    default:
      return true;
  }
}

void read_register_or_memory(Cursor& in, ModRm modrm, const Prefixes& prefixes, bool address16,
                             Instruction& instruction) {
  if (modrm.is_register()) {
    instruction.rm = modrm.rm();
  } else {
    instruction.memory = read_memory(in, modrm, prefixes, address16);
  }
}

void read_operands(Cursor& in, const Row& row, ModRm modrm, const Prefixes& prefixes,
                   bool address16, Instruction& instruction) {
  switch (row.form) {
    case Form::None:
    case Form::NoneUnprefixed:
      break;
    case Form::ControlRegister:
    case Form::DebugRegister:
      instruction.operand_size = 4;
      instruction.reg = modrm.reg();
      instruction.rm = modrm.rm();
      break;
    case Form::SegmentAndWord:
      instruction.reg = modrm.reg();
      [[fallthrough]];
    case Form::Word:
      instruction.operand_size = 2;
      read_register_or_memory(in, modrm, prefixes, address16, instruction);
      break;
    case Form::FarPointer:
      instruction.reg = modrm.reg();
      instruction.segment = static_cast<Segment>(row.detail);
      [[fallthrough]];
    case Form::MemoryOnly:
      instruction.memory = read_memory(in, modrm, prefixes, address16);
      break;
    case Form::FarDirect:
      instruction.immediate = instruction.operand_size == 2 ? in.u16() : in.u32();
      instruction.selector = in.u16();
      break;
    case Form::SegmentInOpcode:
      instruction.reg = row.detail;
      break;
    case Form::Immediate8:
      instruction.immediate = in.u8();
      break;
    case Form::Immediate16:
      instruction.immediate = in.u16();
      break;
    case Form::PortImmediate:
    case Form::PortInDx:
    case Form::String:
      if (row.detail == 1) instruction.operand_size = 1;
      instruction.port_in_dx = row.form != Form::PortImmediate;
      if (row.form == Form::PortImmediate) instruction.immediate = in.u8();
      if (row.form == Form::String) {
        instruction.memory = string_memory(row.op, prefixes, address16);
        instruction.segment = instruction.memory->segment;
        instruction.rep = prefixes.repeat;
      }
      break;
  }
}

}  // namespace

Instruction decode(std::span<const std::uint8_t> bytes, bool code32) {
  Cursor in(bytes);
  Prefixes prefixes;
  std::uint16_t opcode = read_prefixes(in, prefixes);
  if (opcode == 0x0f) opcode = static_cast<std::uint16_t>(0x0f00 | in.u8());

  ModRm modrm{0};
  const Row* const row = in.exhausted() ? nullptr : find_row(opcode, in, modrm);
  if (row == nullptr || !is_defined(*row, modrm, prefixes)) return {};

  Instruction instruction{.op = row->op, .lock = prefixes.lock};
  instruction.operand_size = code32 != prefixes.operand ? 4 : 2;
  const bool address16 = code32 == prefixes.address;
  read_operands(in, *row, modrm, prefixes, address16, instruction);
  if (in.exhausted()) return {};
  instruction.length = in.consumed();
  return instruction;
}

}  // namespace mezzo::ia32
