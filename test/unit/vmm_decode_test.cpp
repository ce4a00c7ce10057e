// The instruction decoder on encodings written by hand from the manual. The exhaustive comparison
// with another decoder is in test/fuzz/.
#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "arch/ia32/decode.hpp"

namespace mezzo::ia32 {
namespace {

constexpr std::uint8_t kEax = 0, kEcx = 1, kEdx = 2, kEbx = 3, kEsp = 4, kEbp = 5, kEsi = 6,
                       kEdi = 7;

Instruction decode32(std::initializer_list<unsigned> bytes) {
  return decode(std::vector<std::uint8_t>(bytes.begin(), bytes.end()), true);
}
Instruction decode16(std::initializer_list<unsigned> bytes) {
  return decode(std::vector<std::uint8_t>(bytes.begin(), bytes.end()), false);
}
std::uint8_t number(Segment segment) { return static_cast<std::uint8_t>(segment); }

TEST(Decode, ControlAndDebugRegisters) {
  const Instruction read = decode32({0x0f, 0x20, 0xd1});  // mov ecx, cr2
  EXPECT_EQ(read.op, Op::MovFromCr);
  EXPECT_EQ(read.reg, 2);
  EXPECT_EQ(read.rm, kEcx);
  EXPECT_EQ(read.length, 3);
  EXPECT_EQ(read.operand_size, 4);
  const Instruction write = decode32({0x0f, 0x22, 0xdf});  // mov cr3, edi
  EXPECT_EQ(write.op, Op::MovToCr);
  EXPECT_EQ(write.reg, 3);
  EXPECT_EQ(write.rm, kEdi);
  EXPECT_EQ(decode32({0x0f, 0x21, 0xfe}).op, Op::MovFromDr);
  EXPECT_EQ(decode32({0x0f, 0x23, 0xc7}).op, Op::MovToDr);
  EXPECT_EQ(decode32({0x0f, 0x20, 0xc8}).op, Op::Other);  // cr1 does not exist
}

TEST(Decode, ControlRegisterMovesIgnoreMod) {
  // As a memory form these would take a SIB byte or a displacement.
  for (const unsigned modrm : {0x04u, 0x05u, 0x44u, 0x85u}) {
    const Instruction instruction = decode32({0x0f, 0x22, modrm});
    EXPECT_EQ(instruction.op, Op::MovToCr);
    EXPECT_EQ(instruction.length, 3);
    EXPECT_FALSE(instruction.memory.has_value());
  }
}

TEST(Decode, LockIsReported) {
  const Instruction instruction = decode32({0xf0, 0x0f, 0x20, 0xc0});
  EXPECT_EQ(instruction.op, Op::MovFromCr);
  EXPECT_TRUE(instruction.lock);
  EXPECT_EQ(instruction.length, 4);
}

TEST(Decode, DescriptorTables) {
  const Instruction lgdt = decode32({0x0f, 0x01, 0x15, 0x78, 0x56, 0x34, 0x12});
  EXPECT_EQ(lgdt.op, Op::Lgdt);
  EXPECT_EQ(lgdt.length, 7);
  ASSERT_TRUE(lgdt.memory.has_value());
  EXPECT_EQ(*lgdt.memory, (MemoryOperand{.displacement = 0x12345678}));
  const Instruction lidt16 = decode16({0x0f, 0x01, 0x1e, 0x34, 0x12});
  EXPECT_EQ(lidt16.op, Op::Lidt);
  EXPECT_EQ(lidt16.operand_size, 2);
  EXPECT_EQ(*lidt16.memory, (MemoryOperand{.displacement = 0x1234, .address16 = true}));
  EXPECT_EQ(decode32({0x0f, 0x01, 0xd0}).op, Op::Other);  // xgetbv, in lgdt's register form
  EXPECT_EQ(decode32({0x0f, 0x01, 0x05, 0, 0, 0, 0}).op, Op::Other);  // sgdt
  EXPECT_EQ(decode32({0x0f, 0x00, 0xd3}).op, Op::Lldt);
  EXPECT_EQ(decode32({0x0f, 0x00, 0xdb}).op, Op::Ltr);
  EXPECT_EQ(decode32({0x0f, 0x00, 0xc3}).op, Op::Other);  // sldt
}

TEST(Decode, MemoryOperands) {
  const Instruction sib = decode32({0x0f, 0x01, 0x7c, 0x8d, 0xfc});  // invlpg [ebp+ecx*4-4]
  EXPECT_EQ(sib.op, Op::Invlpg);
  EXPECT_EQ(*sib.memory, (MemoryOperand{.base = kEbp,
                                        .index = kEcx,
                                        .scale = 2,
                                        .displacement = 0xfffffffc,
                                        .segment = Segment::Ss}));
  const Instruction stack = decode32({0x65, 0x0f, 0x01, 0x3c, 0x24});  // invlpg gs:[esp]
  EXPECT_EQ(*stack.memory, (MemoryOperand{.base = kEsp, .segment = Segment::Gs}));
  const Instruction no_base = decode32({0x0f, 0x01, 0x3c, 0x75, 4, 3, 2, 1});
  EXPECT_EQ(*no_base.memory,
            (MemoryOperand{.index = kEsi, .scale = 1, .displacement = 0x01020304}));
  const Instruction bits16 = decode32({0x67, 0x0f, 0x01, 0x7a, 0xff});  // invlpg [bp+si-1]
  EXPECT_EQ(*bits16.memory, (MemoryOperand{.base = kEbp,
                                           .index = kEsi,
                                           .displacement = 0xffffffff,
                                           .address16 = true,
                                           .segment = Segment::Ss}));
}

TEST(Decode, LastSegmentOverrideCounts) {
  EXPECT_EQ(decode32({0x2e, 0x26, 0x0f, 0x01, 0x38}).memory->segment, Segment::Es);
}

TEST(Decode, InstructionsWithoutOperands) {
  const struct {
    std::vector<std::uint8_t> bytes;
    Op op;
  } cases[] = {{{0x0f, 0x06}, Op::Clts},
               {{0x0f, 0x08}, Op::Invd},
               {{0x0f, 0x09}, Op::Wbinvd},
               {{0xf3, 0x0f, 0x09}, Op::Wbinvd},
               {{0x0f, 0x30}, Op::Wrmsr},
               {{0x0f, 0x31}, Op::Rdtsc},
               {{0x0f, 0x32}, Op::Rdmsr},
               {{0x0f, 0x33}, Op::Rdpmc},
               {{0x0f, 0x34}, Op::Sysenter},
               {{0x0f, 0x35}, Op::Sysexit},
               {{0x0f, 0x01, 0xd1}, Op::Xsetbv},
               {{0x0f, 0x01, 0xf9}, Op::Rdtscp},
               {{0x66, 0x0f, 0x01, 0xd1}, Op::Other},
               {{0xf4}, Op::Hlt},
               {{0xfa}, Op::Cli},
               {{0xfb}, Op::Sti},
               {{0xcf}, Op::Iret},
               {{0xcb}, Op::FarReturn},
               {{0x90}, Op::Other},
               {{0xcc}, Op::Other},
               {{0x0f, 0x0b}, Op::Other}};
  for (const auto& [bytes, op] : cases) {
    const Instruction instruction = decode(bytes, true);
    EXPECT_EQ(instruction.op, op) << int{bytes[0]};
    EXPECT_EQ(instruction.length, op == Op::Other ? 0 : bytes.size()) << int{bytes[0]};
  }
}

TEST(Decode, SegmentLoads) {
  const Instruction move = decode32({0x8e, 0xd0});  // mov ss, eax
  EXPECT_EQ(move.op, Op::MovToSeg);
  EXPECT_EQ(move.reg, number(Segment::Ss));
  EXPECT_EQ(move.rm, kEax);
  EXPECT_EQ(decode32({0x8e, 0xc8}).op, Op::Other);  // cs
  EXPECT_EQ(decode32({0x8e, 0xf0}).op, Op::Other);  // no such register
  EXPECT_EQ(decode32({0x17}).reg, number(Segment::Ss));
  EXPECT_EQ(decode32({0x0f, 0xa9}).reg, number(Segment::Gs));
  EXPECT_EQ(decode32({0x66, 0x1f}).operand_size, 2);
  const Instruction far = decode32({0x0f, 0xb2, 0x24, 0x24});  // lss esp, [esp]
  EXPECT_EQ(far.op, Op::LoadFarPointer);
  EXPECT_EQ(far.segment, Segment::Ss);
  EXPECT_EQ(far.reg, kEsp);
  EXPECT_EQ(*far.memory, (MemoryOperand{.base = kEsp, .segment = Segment::Ss}));
  EXPECT_EQ(decode32({0xc5, 0x13}).segment, Segment::Ds);
  EXPECT_EQ(decode32({0xc5, 0xf8, 0x77}).op, Op::Other);  // vzeroupper
}

TEST(Decode, FarTransfers) {
  const Instruction jump = decode32({0xea, 4, 3, 2, 1, 0x10, 0});
  EXPECT_EQ(jump.op, Op::FarJump);
  EXPECT_EQ(jump.immediate, 0x01020304u);
  EXPECT_EQ(jump.selector, 0x10);
  EXPECT_EQ(jump.length, 7);
  const Instruction jump16 = decode32({0x66, 0xea, 4, 3, 0x10, 0});
  EXPECT_EQ(jump16.immediate, 0x0304u);
  EXPECT_EQ(jump16.operand_size, 2);
  EXPECT_EQ(jump16.length, 6);
  EXPECT_EQ(decode32({0x9a, 0, 0, 0, 0, 8, 0}).op, Op::FarCall);
  EXPECT_EQ(decode32({0xff, 0x29}).op, Op::FarJump);  // jmp far [ecx]
  EXPECT_EQ(decode32({0xff, 0x19}).op, Op::FarCall);
  EXPECT_EQ(decode32({0xff, 0x21}).op, Op::Other);  // jmp near [ecx]
  EXPECT_EQ(decode32({0xff, 0xe9}).op, Op::Other);  // no register form
  EXPECT_EQ(decode32({0xca, 8, 0}).immediate, 8u);
  EXPECT_EQ(decode32({0x66, 0xcf}).operand_size, 2);
}

TEST(Decode, SoftwareInterrupts) {
  const Instruction instruction = decode32({0xcd, 0x80});
  EXPECT_EQ(instruction.op, Op::SoftwareInterrupt);
  EXPECT_EQ(instruction.immediate, 0x80u);
  EXPECT_EQ(instruction.length, 2);
}

TEST(Decode, PortAccess) {
  const Instruction in = decode32({0xe4, 0x71});
  EXPECT_EQ(in.op, Op::In);
  EXPECT_EQ(in.operand_size, 1);
  EXPECT_EQ(in.immediate, 0x71u);
  EXPECT_FALSE(in.port_in_dx);
  const Instruction out = decode32({0x66, 0xef});
  EXPECT_EQ(out.op, Op::Out);
  EXPECT_EQ(out.operand_size, 2);
  EXPECT_TRUE(out.port_in_dx);
}

TEST(Decode, StringPortAccess) {
  const Instruction ins = decode32({0xf3, 0x64, 0x6d});  // rep ins dword: ES cannot be overridden
  EXPECT_EQ(ins.op, Op::Ins);
  EXPECT_TRUE(ins.rep);
  EXPECT_EQ(ins.operand_size, 4);
  EXPECT_EQ(*ins.memory, (MemoryOperand{.base = kEdi, .segment = Segment::Es}));
  const Instruction outs = decode32({0x2e, 0x67, 0x6e});
  EXPECT_EQ(outs.op, Op::Outs);
  EXPECT_FALSE(outs.rep);
  EXPECT_EQ(outs.operand_size, 1);
  EXPECT_EQ(outs.segment, Segment::Cs);
  EXPECT_EQ(*outs.memory, (MemoryOperand{.base = kEsi, .address16 = true, .segment = Segment::Cs}));
}

TEST(Decode, LmswTakesRegisterOrMemory) {
  EXPECT_EQ(decode32({0x0f, 0x01, 0xf3}).rm, kEbx);
  EXPECT_EQ(decode32({0x0f, 0x01, 0x32}).memory->base, kEdx);
  EXPECT_EQ(decode32({0x0f, 0x01, 0xe3}).op, Op::Other);  // smsw
}

TEST(Decode, TooFewOrTooManyBytes) {
  EXPECT_EQ(decode({}, true), Instruction{});
  EXPECT_EQ(decode32({0x0f}), Instruction{});
  EXPECT_EQ(decode32({0x0f, 0x22}), Instruction{});
  EXPECT_EQ(decode32({0x0f, 0x01, 0x15, 0, 0, 0}), Instruction{});
  std::vector<std::uint8_t> longest(14, 0x66);
  longest.push_back(0xf4);
  EXPECT_EQ(decode(longest, true).length, 15);
  longest.insert(longest.begin(), 0x66);
  EXPECT_EQ(decode(longest, true), Instruction{});
}

}  // namespace
}  // namespace mezzo::ia32
