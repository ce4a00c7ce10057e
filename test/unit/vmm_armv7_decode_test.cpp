// The A32 decoder on encodings written by hand from the manual. The comparison with another decoder
// is in test/fuzz/.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "arch/armv7/decode.hpp"
#include "support/armv7_print.hpp"

namespace mezzo::armv7 {
namespace {

constexpr std::uint8_t kSp = 13, kLr = 14, kPc = 15;

Op op_of(std::uint32_t word) { return decode(word).op; }

// Decodes to `expected`, and is sensitive.
void expect_sensitive(std::uint32_t word, const Instruction& expected) {
  EXPECT_EQ(decode(word), expected) << std::hex << word;
  EXPECT_TRUE(is_sensitive(word)) << std::hex << word;
}
// Decodes to `expected`, and is not.
void expect_plain(std::uint32_t word, const Instruction& expected) {
  EXPECT_EQ(decode(word), expected) << std::hex << word;
  EXPECT_FALSE(is_sensitive(word)) << std::hex << word;
}
void expect_other(std::uint32_t word) {
  EXPECT_EQ(op_of(word), Op::Other) << std::hex << word;
  EXPECT_FALSE(is_sensitive(word)) << std::hex << word;
}

TEST(Armv7Decode, ChangeProcessorState) {
  expect_sensitive(0xf10c0080,  // cpsid i
                   {.op = Op::Cps, .interrupts = Interrupts::Disable, .psr_bits = 0x80});
  expect_sensitive(0xf10801c0,  // cpsie aif
                   {.op = Op::Cps, .interrupts = Interrupts::Enable, .psr_bits = 0x1c0});
  expect_sensitive(0xf10e00d3,  // cpsid if, #19
                   {.op = Op::Cps,
                    .interrupts = Interrupts::Disable,
                    .psr_bits = 0xc0,
                    .changes_mode = true,
                    .mode = 0x13});
  expect_sensitive(0xf1020012, {.op = Op::Cps, .changes_mode = true, .mode = 0x12});
}

TEST(Armv7Decode, UnpredictableChangesOfStateAreOther) {
  for (const std::uint32_t word : {0xf1000000u,     // changes nothing
                                   0xf1080000u,     // enables nothing
                                   0xf1000080u,     // keeps, but names I
                                   0xf1040080u,     // imod 1
                                   0xf10c0093u,     // a mode without M
                                   0xf10c00a0u,     // bit 5
                                   0xf10c0280u}) {  // bit 9
    expect_other(word);
  }
  EXPECT_EQ(op_of(0xe10c0080), Op::Other);  // a condition
}

TEST(Armv7Decode, SetendWorksAtPl0) {
  expect_plain(0xf1010200, {.op = Op::Setend, .immediate = 1});
  expect_plain(0xf1010000, {.op = Op::Setend});
  expect_other(0xf1010201);
}

TEST(Armv7Decode, ReadsOfStatusRegisters) {
  expect_sensitive(0xe10f3000, {.op = Op::MrsCpsr, .rd = 3});
  expect_sensitive(0x114f4000, {.op = Op::MrsSpsr, .condition = 1, .rd = 4});
  expect_other(0xe10ff000);  // to the PC
  expect_other(0xe10e3000);  // a should-be-one bit
  expect_other(0xe10f3001);
  EXPECT_EQ(decode(0xe1003200), (Instruction{.op = Op::MrsBanked, .rd = 3}));  // mrs r3, r8_usr
  EXPECT_FALSE(is_sensitive(0xe1003200));
  expect_plain(0xe160f303, {.op = Op::MsrBanked, .rm = 3, .immediate = 0x30});  // spsr_irq
}

TEST(Armv7Decode, WritesOfStatusRegisters) {
  const auto msr = [](Op op, std::uint8_t mask, std::uint8_t rm) {
    return Instruction{.op = op, .rm = rm, .register_operand = true, .psr_mask = mask};
  };
  expect_sensitive(0xe121f005, msr(Op::MsrCpsr, 1, 5));
  expect_sensitive(0xe12ff006, msr(Op::MsrCpsr, 15, 6));
  expect_sensitive(0xe122f006, msr(Op::MsrCpsr, 2, 6));  // CPSR_x holds A
  expect_sensitive(0xe16ff007, msr(Op::MsrSpsr, 15, 7));
  expect_sensitive(0xe168f007, msr(Op::MsrSpsr, 8, 7));
  expect_sensitive(0xe321f0d3, {.op = Op::MsrCpsr, .immediate = 0xd3, .psr_mask = 1});
  expect_sensitive(0xe361f013, {.op = Op::MsrSpsr, .immediate = 0x13, .psr_mask = 1});
  // Flags only.
  expect_plain(0xe128f006, msr(Op::MsrCpsr, 8, 6));
  expect_plain(0xe12cf006, msr(Op::MsrCpsr, 12, 6));
  expect_plain(0xe328f20f, {.op = Op::MsrCpsr, .immediate = 0xf0000000, .psr_mask = 8});
  // Unpredictable.
  expect_other(0xe120f005);  // no field
  expect_other(0xe121f00f);  // from the PC
  expect_other(0xe1210005);
  expect_other(0xe360f013);
  EXPECT_EQ(psr_field_bits(1), 0xffu);
  EXPECT_EQ(psr_field_bits(9), 0xff0000ffu);
}

TEST(Armv7Decode, ExceptionReturnsByDataProcessing) {
  const auto mov = [](std::uint8_t rm) {
    return Instruction{
        .op = Op::DataToPc, .rd = kPc, .rm = rm, .register_operand = true, .alu = Alu::Mov};
  };
  expect_sensitive(0xe1b0f00e, mov(kLr));  // movs pc, lr
  expect_sensitive(0xe25ef004,             // subs pc, lr, #4
                   {.op = Op::DataToPc, .rd = kPc, .rn = kLr, .immediate = 4, .alu = Alu::Sub});
  Instruction rrx = mov(1);  // movs pc, r1, rrx
  rrx.shift = Shift::Rrx;
  rrx.shift_amount = 1;
  expect_sensitive(0xe1b0f061, rrx);
  expect_sensitive(0x0052f023,  // subseq pc, r2, r3, lsr #32
                   {.op = Op::DataToPc,
                    .condition = 0,
                    .rd = kPc,
                    .rn = 2,
                    .rm = 3,
                    .shift = Shift::Lsr,
                    .shift_amount = 32,
                    .register_operand = true,
                    .alu = Alu::Sub});
  expect_sensitive(0xe191f1c2,  // orrs pc, r1, r2, asr #3
                   {.op = Op::DataToPc,
                    .rd = kPc,
                    .rn = 1,
                    .rm = 2,
                    .shift = Shift::Asr,
                    .shift_amount = 3,
                    .register_operand = true,
                    .alu = Alu::Orr});
  expect_sensitive(0xe3f0f4ff,  // mvns pc, #0xff000000
                   {.op = Op::DataToPc, .rd = kPc, .immediate = 0xff000000, .alu = Alu::Mvn});
  expect_sensitive(0xe3d1f001,
                   {.op = Op::DataToPc, .rd = kPc, .rn = 1, .immediate = 1, .alu = Alu::Bic});
}

TEST(Armv7Decode, EveryAluOpcodeToThePc) {
  for (std::uint32_t opcode = 0; opcode < 16; ++opcode) {
    const std::uint32_t word = 0xe010f00e | opcode << 21;
    const bool compare = opcode >= 8 && opcode < 12;
    EXPECT_EQ(op_of(word), compare ? Op::Other : Op::DataToPc) << opcode;
    EXPECT_EQ(is_sensitive(word), !compare) << opcode;
    EXPECT_EQ(op_of(word | 1u << 25), compare ? Op::Other : Op::DataToPc) << opcode;
    EXPECT_FALSE(is_sensitive(word & ~(1u << 20))) << opcode;  // no S
    EXPECT_FALSE(is_sensitive(word & ~0x8000u)) << opcode;     // another register
    EXPECT_FALSE(is_sensitive(word | 0x110)) << opcode;        // shifted by a register
  }
  expect_other(0xe1b1f00e);  // MOV has no first operand
}

TEST(Armv7Decode, MultipleTransfersWithCaret) {
  expect_sensitive(0xe8dd7fff,
                   {.op = Op::LoadMultipleUser, .rn = kSp, .registers = 0x7fff, .add = true});
  expect_sensitive(0xe8516000, {.op = Op::LoadMultipleUser, .rn = 1, .registers = 0x6000});
  expect_sensitive(
      0xe9406000, {.op = Op::StoreMultipleUser, .rn = 0, .registers = 0x6000, .pre_indexed = true});
  expect_sensitive(0xe8c0ffff,
                   {.op = Op::StoreMultipleUser, .rn = 0, .registers = 0xffff, .add = true});
  expect_sensitive(0xe9f08002,  // ldmib r0!, {r1, pc}^
                   {.op = Op::LoadMultipleReturn,
                    .registers = 0x8002,
                    .pre_indexed = true,
                    .add = true,
                    .writeback = true});
  expect_other(0xe8fd7fff);  // user registers with writeback
  expect_other(0xe8e07fff);
  expect_other(0xe8df7fff);  // relative to the PC
  expect_other(0xe8d00000);  // none
  expect_other(0xe8f08001);  // base in the list and written back
}

TEST(Armv7Decode, RfeAndSrs) {
  expect_sensitive(0xf8bd0a00, {.op = Op::Rfe, .rn = kSp, .add = true, .writeback = true});
  expect_sensitive(0xf9130a00, {.op = Op::Rfe, .rn = 3, .pre_indexed = true});
  expect_other(0xf81f0a00);
  expect_other(0xf8bd0a01);
  expect_sensitive(0xf96d0513,
                   {.op = Op::Srs, .pre_indexed = true, .writeback = true, .mode = 0x13});
  expect_sensitive(0xf8cd051f, {.op = Op::Srs, .add = true, .mode = 0x1f});
  expect_other(0xf8cc051f);
}

TEST(Armv7Decode, UnprivilegedTransfers) {
  expect_sensitive(0xe4b10004, {.op = Op::LoadUnprivileged,
                                .rn = 1,
                                .size = 4,
                                .immediate = 4,
                                .add = true,
                                .writeback = true});
  expect_sensitive(0xe6232104,  // strt r2, [r3], -r4, lsl #2
                   {.op = Op::StoreUnprivileged,
                    .rn = 3,
                    .rm = 4,
                    .rt = 2,
                    .size = 4,
                    .shift_amount = 2,
                    .register_operand = true,
                    .writeback = true});
  expect_sensitive(
      0xe4610001,
      {.op = Op::StoreUnprivileged, .rn = 1, .size = 1, .immediate = 1, .writeback = true});
  expect_sensitive(0xe0f101b2, {.op = Op::LoadUnprivileged,
                                .rn = 1,
                                .size = 2,
                                .immediate = 0x12,
                                .add = true,
                                .writeback = true});
  expect_sensitive(0xe0a100b2, {.op = Op::StoreUnprivileged,
                                .rn = 1,
                                .rm = 2,
                                .size = 2,
                                .register_operand = true,
                                .add = true,
                                .writeback = true});
  expect_sensitive(0xe03100d2, {.op = Op::LoadUnprivileged,
                                .rn = 1,
                                .rm = 2,
                                .size = 1,
                                .register_operand = true,
                                .writeback = true,
                                .sign_extended = true});
  expect_sensitive(0xe0710fff, {.op = Op::LoadUnprivileged,
                                .rn = 1,
                                .size = 2,
                                .immediate = 0xff,
                                .writeback = true,
                                .sign_extended = true});
  EXPECT_TRUE(is_sensitive(0xe4a0f000));  // strt pc, [r0], #0
  expect_other(0xe4b0f000);               // ldrt pc
  expect_other(0xe4b00004);               // loses its base
  expect_other(0xe4bf0004);
  expect_other(0xe0a101b2);  // a register offset with bits 11:8
  expect_other(0xe6b1000f);
}

TEST(Armv7Decode, Hints) {
  expect_sensitive(0xe320f003, {.op = Op::Wfi});
  expect_plain(0x0320f002, {.op = Op::Wfe, .condition = 0});
  expect_plain(0xe320f004, {.op = Op::Sev});
  expect_plain(0xe320f001, {.op = Op::Yield});
  expect_other(0xe320f000);  // nop
  expect_other(0xe320f0f1);  // dbg
  expect_other(0xe320f103);
}

TEST(Armv7Decode, Coprocessors) {
  expect_plain(0xee011f50,
               {.op = Op::Mcr, .rt = 1, .coprocessor = 15, .crn = 1, .crm = 0, .opc2 = 2});
  expect_plain(
      0xee77ff3e,
      {.op = Op::Mrc, .rt = kPc, .coprocessor = 15, .opc1 = 3, .crn = 7, .crm = 14, .opc2 = 1});
  expect_plain(0xec454f2c,
               {.op = Op::Mcrr, .rt = 4, .rt2 = 5, .coprocessor = 15, .opc1 = 2, .crm = 12});
  expect_plain(0xec554e01, {.op = Op::Mrrc, .rt = 4, .rt2 = 5, .coprocessor = 14, .crm = 1});
  EXPECT_EQ(op_of(0xee01ff50), Op::Other);  // mcr from the PC
  EXPECT_EQ(op_of(0xec544e01), Op::Other);  // mrrc to the same twice
  EXPECT_EQ(op_of(0xfe011f50), Op::Other);  // mcr2
}

TEST(Armv7Decode, DebugStatusThatPl0MayRead) {
  expect_sensitive(0xee103e10, {.op = Op::Mrc, .rt = 3, .coprocessor = 14});  // DBGDIDR
  expect_sensitive(0xee10fe11, {.op = Op::Mrc, .rt = kPc, .coprocessor = 14, .crm = 1});
  expect_sensitive(0xee113e10, {.op = Op::Mrc, .rt = 3, .coprocessor = 14, .crn = 1});
  expect_sensitive(0xee123e10, {.op = Op::Mrc, .rt = 3, .coprocessor = 14, .crn = 2});
  EXPECT_FALSE(is_sensitive(0xee173ede));  // DBGAUTHSTATUS
  EXPECT_FALSE(is_sensitive(0xee103f10));  // MIDR
}

TEST(Armv7Decode, FloatingPoint) {
  expect_plain(0xeef82a10, {.op = Op::Vmrs, .rt = 2, .crn = 8});
  expect_plain(0xeee12a10, {.op = Op::Vmsr, .rt = 2, .crn = 1});
  expect_plain(0xeef1fa10, {.op = Op::Vmrs, .rt = kPc, .crn = 1});
  EXPECT_EQ(op_of(0xeef8fa10), Op::Other);
  for (const std::uint32_t word : {0xed943b00u,     // vldr d3, [r4]
                                   0xec521b13u,     // vmov r1, r2, d3
                                   0xee300b01u,     // vadd.f64 d0, d0, d1
                                   0xf2200802u,     // vadd.i32 d0, d0, d2
                                   0xf421078fu}) {  // vld1.32 {d0}, [r1]
    expect_plain(word, {.op = Op::FloatingPoint});
  }
}

TEST(Armv7Decode, Calls) {
  expect_plain(0xefa50001, {.op = Op::Svc, .immediate = 0xa50001});
  expect_plain(0x0fffffff, {.op = Op::Svc, .condition = 0, .immediate = 0xffffff});
  expect_plain(0xe1600077, {.op = Op::Smc, .immediate = 7});
  expect_plain(0xe1412374, {.op = Op::Hvc, .immediate = 0x1234});
  EXPECT_EQ(op_of(0x01412374), Op::Other);
}

TEST(Armv7Decode, WordAndByteTransfers) {
  expect_plain(0xe5b21004, {.op = Op::Load,
                            .rn = 2,
                            .rt = 1,
                            .size = 4,
                            .immediate = 4,
                            .pre_indexed = true,
                            .add = true,
                            .writeback = true});
  expect_plain(
      0xe51f1008,
      {.op = Op::Load, .rn = kPc, .rt = 1, .size = 4, .immediate = 8, .pre_indexed = true});
  expect_plain(0xe491f004, {.op = Op::Load,
                            .rn = 1,
                            .rt = kPc,
                            .size = 4,
                            .immediate = 4,
                            .add = true,
                            .writeback = true});
  expect_plain(0xe78213e3, {.op = Op::Store,
                            .rn = 2,
                            .rm = 3,
                            .rt = 1,
                            .size = 4,
                            .shift = Shift::Ror,
                            .shift_amount = 7,
                            .register_operand = true,
                            .pre_indexed = true,
                            .add = true});
  expect_plain(0xe7421003, {.op = Op::Store,
                            .rn = 2,
                            .rm = 3,
                            .rt = 1,
                            .size = 1,
                            .register_operand = true,
                            .pre_indexed = true});
  expect_plain(0xe4d21fff, {.op = Op::Load,
                            .rn = 2,
                            .rt = 1,
                            .size = 1,
                            .immediate = 0xfff,
                            .add = true,
                            .writeback = true});
  EXPECT_EQ(op_of(0xe5b11004), Op::Other);  // loses its base
  EXPECT_EQ(op_of(0xe5d2f000), Op::Other);  // ldrb pc
  EXPECT_EQ(op_of(0xe7821013), Op::Other);  // a media instruction
  EXPECT_EQ(op_of(0xf5d2f000), Op::Other);  // pld
}

TEST(Armv7Decode, ExtraTransfers) {
  expect_plain(
      0xe1521abb,
      {.op = Op::Load, .rn = 2, .rt = 1, .size = 2, .immediate = 0xab, .pre_indexed = true});
  expect_plain(0xe1a210b3, {.op = Op::Store,
                            .rn = 2,
                            .rm = 3,
                            .rt = 1,
                            .size = 2,
                            .register_operand = true,
                            .pre_indexed = true,
                            .add = true,
                            .writeback = true});
  expect_plain(0xe09210d3, {.op = Op::Load,
                            .rn = 2,
                            .rm = 3,
                            .rt = 1,
                            .size = 1,
                            .register_operand = true,
                            .add = true,
                            .writeback = true,
                            .sign_extended = true});
  expect_plain(0xe1d210f0, {.op = Op::Load,
                            .rn = 2,
                            .rt = 1,
                            .size = 2,
                            .pre_indexed = true,
                            .add = true,
                            .sign_extended = true});
  expect_plain(0xe1c420d8, {.op = Op::LoadDual,
                            .rn = 4,
                            .rt = 2,
                            .rt2 = 3,
                            .size = 8,
                            .immediate = 8,
                            .pre_indexed = true,
                            .add = true});
  expect_plain(0xe08640f7, {.op = Op::StoreDual,
                            .rn = 6,
                            .rm = 7,
                            .rt = 4,
                            .rt2 = 5,
                            .size = 8,
                            .register_operand = true,
                            .add = true,
                            .writeback = true});
  EXPECT_EQ(op_of(0xe1c430d8), Op::Other);  // odd register
  EXPECT_EQ(op_of(0xe1c4e0d8), Op::Other);  // the PC as second
  EXPECT_EQ(op_of(0xe0e420d8), Op::Other);  // dual with P clear and W set
}

TEST(Armv7Decode, MultipleTransfers) {
  expect_plain(0xe9318004, {.op = Op::LoadMultiple,
                            .rn = 1,
                            .registers = 0x8004,
                            .pre_indexed = true,
                            .writeback = true});
  expect_plain(
      0xe9828004,
      {.op = Op::StoreMultiple, .rn = 2, .registers = 0x8004, .pre_indexed = true, .add = true});
  expect_plain(0xe92d4010, {.op = Op::StoreMultiple,
                            .rn = kSp,
                            .registers = 0x4010,
                            .pre_indexed = true,
                            .writeback = true});
  EXPECT_EQ(op_of(0xe9200001), Op::StoreMultiple);  // base stored and written back
  EXPECT_EQ(op_of(0xe9300001), Op::Other);          // base loaded and written back
}

TEST(Armv7Decode, ExclusivesAndSwaps) {
  expect_plain(0xe1921f9f, {.op = Op::LoadExclusive, .rn = 2, .rt = 1, .size = 4});
  expect_plain(0xe1823f91, {.op = Op::StoreExclusive, .rd = 3, .rn = 2, .rt = 1, .size = 4});
  expect_plain(0xe1b42f9f, {.op = Op::LoadExclusive, .rn = 4, .rt = 2, .rt2 = 3, .size = 8});
  expect_plain(0xe1a40f92, {.op = Op::StoreExclusive, .rn = 4, .rt = 2, .rt2 = 3, .size = 8});
  expect_plain(0xe1d21f9f, {.op = Op::LoadExclusive, .rn = 2, .rt = 1, .size = 1});
  expect_plain(0xe1e20f91, {.op = Op::StoreExclusive, .rn = 2, .rt = 1, .size = 2});
  expect_plain(0xe1031092, {.op = Op::Swap, .rn = 3, .rm = 2, .rt = 1, .size = 4});
  expect_plain(0xe1431092, {.op = Op::Swap, .rn = 3, .rm = 2, .rt = 1, .size = 1});
  EXPECT_EQ(op_of(0xe1821f91), Op::Other);  // status over the value
  EXPECT_EQ(op_of(0xe1b43f9f), Op::Other);  // odd pair
}

TEST(Armv7Decode, OrdinaryCodeIsNone) {
  for (const std::uint32_t word : {0xe3a00001u,  // mov r0, #1
                                   0xe0911002u,  // adds r1, r1, r2
                                   0xe1500001u,  // cmp r0, r1
                                   0xe12fff1eu,  // bx lr
                                   0xe16f1f11u,  // clz
                                   0xeafffffeu,  // b
                                   0xe1a0f00eu,  // mov pc, lr
                                   0xe0000291u,  // mul
                                   0xf57ff04fu,  // dsb sy
                                   0xf57ff01fu,  // clrex
                                   0xe7f001f2u,  // udf
                                   0xe1200070u,  // bkpt
                                   0x00000000u, 0xffffffffu}) {
    expect_other(word);
  }
}

TEST(Armv7Decode, ConditionOfEveryWord) {
  for (std::uint32_t condition = 0; condition < 15; ++condition) {
    EXPECT_EQ(decode(condition << 28 | 0x03a00001).condition, condition);
    EXPECT_EQ(decode(condition << 28 | 0x010f0000),
              (Instruction{.op = Op::MrsCpsr, .condition = static_cast<std::uint8_t>(condition)}));
    EXPECT_TRUE(is_sensitive(condition << 28 | 0x010f0000));
  }
  EXPECT_EQ(decode(0xf10c0080).condition, kAlways);
  EXPECT_EQ(decode(0xffffffff).condition, kAlways);
}

TEST(Armv7Decode, WhatConstantsLookLikeIsAmbiguous) {
  // Nothing but code: changes of state, status registers, WFI.
  for (const std::uint32_t word : {0xf10c0080u, 0xe10f3000u, 0x114f4000u, 0xe121f005u, 0x0321f0d3u,
                                   0xe320f003u, 0xf8bd0a00u, 0xf96d0513u, 0xee103e10u}) {
    EXPECT_EQ(sensitivity(word), Sensitivity::Certain) << std::hex << word;
  }
  for (const std::uint32_t word : {0xe1b0f00eu, 0xe8dd7fffu, 0xe8f08002u, 0xe9406000u, 0xe4b10004u,
                                   0xe0f101b2u, 0xe25ef004u}) {
    EXPECT_EQ(sensitivity(word), Sensitivity::Ambiguous) << std::hex << word;
  }
  EXPECT_EQ(sensitivity(0xc1b0f00e), Sensitivity::Ambiguous);
  // As addresses of a kernel: MRS, MSR and WFI.
  for (const std::uint32_t top : {3u, 4u, 7u, 8u, 11u, 12u}) {
    EXPECT_EQ(sensitivity(top << 28 | 0x010f0000), Sensitivity::Ambiguous) << top;
    EXPECT_EQ(sensitivity(top << 28 | 0x0121f000), Sensitivity::Ambiguous) << top;
    EXPECT_EQ(sensitivity(top << 28 | 0x0320f003), Sensitivity::Ambiguous) << top;
  }
  // MSR with a constant, unless it writes a mode that exists to the CPSR.
  EXPECT_EQ(sensitivity(0xe361f013), Sensitivity::Ambiguous);
  EXPECT_EQ(sensitivity(0xe321f001), Sensitivity::Ambiguous);
  EXPECT_EQ(sensitivity(0xe322f013), Sensitivity::Ambiguous);
  EXPECT_EQ(sensitivity(0xe128f006), Sensitivity::None);
  EXPECT_EQ(sensitivity(0xe1a00000), Sensitivity::None);
}

TEST(Armv7Decode, TheFilterLetsThroughWhatTheScanNeeds) {
  std::mt19937 random(5);
  int passed = 0;
  constexpr int kCount = 1000000;
  for (int i = 0; i < kCount; ++i) {
    const auto word = static_cast<std::uint32_t>(random());
    const Op op = op_of(word);
    passed += is_of_interest(word) ? 1 : 0;
    if (is_of_interest(word)) ASSERT_NE(interest(word), 0u) << std::hex << word;
    if (is_sensitive(word) || op == Op::Svc || op == Op::Mcr) {
      ASSERT_TRUE(is_of_interest(word)) << std::hex << word;
    }
  }
  EXPECT_LT(passed, kCount / 4);
  for (const std::uint32_t common : {0xe320f000u /* NOP */, 0xee1d0f90u /* MRC TPIDRPRW */,
                                     0xe12fff1eu /* BX */, 0xe2511001u /* SUBS */}) {
    EXPECT_FALSE(is_of_interest(common)) << std::hex << common;
  }
  for (const std::uint32_t common : {0xe1a00000u, 0xe5930000u, 0xe3500000u, 0xe92d4070u,
                                     0xe8bd8070u, 0x0a000000u, 0xebfffffeu, 0xe2811001u}) {
    EXPECT_EQ(interest(common), 0u) << std::hex << common;
  }
}

}  // namespace
}  // namespace mezzo::armv7
