// The instruction decoder against Zydis: every opcode of both maps with every ModRM byte under
// every prefix that matters, every SIB byte for the instructions we know, random bytes, and
// truncation.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "arch/ia32/decode.hpp"
#include "fuzz/decode_oracle.hpp"

namespace mezzo::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

class DecodeAgainstZydis : public testing::TestWithParam<bool> {
 protected:
  // Returns whether it was one of the decoder's instructions.
  bool compare(const Bytes& bytes) const {
    const ia32::Instruction ours = ia32::decode(bytes, GetParam());
    const ia32::Instruction expected = oracle_.decode(bytes);
    if (ours != expected) {
      ADD_FAILURE() << describe(bytes) << "\n  ours   " << describe(ours) << "\n  Zydis  "
                    << describe(expected);
    }
    return ours.op != ia32::Op::Other;
  }

 private:
  DecodeOracle oracle_{GetParam()};
};

const std::vector<Bytes> kPrefixes{
    {},           {0x66},       {0x67},       {0x66, 0x67}, {0xf2},       {0xf3},      {0xf0},
    {0x26},       {0x2e},       {0x36},       {0x3e},       {0x64},       {0x65},      {0x64, 0x26},
    {0xf3, 0x66}, {0xf2, 0xf3}, {0x67, 0x2e}, {0x66, 0xf0}, {0xf3, 0xf0}, {0x66, 0x66}};
const Bytes kTail{0x65, 0x12, 0x80, 0xfe, 0x7f, 0x34, 0x56, 0x78, 0x9a, 0xbc};

Bytes make(const Bytes& prefixes, unsigned opcode, unsigned modrm) {
  Bytes bytes = prefixes;
  if (opcode >= 0x100) bytes.push_back(0x0f);
  bytes.push_back(static_cast<std::uint8_t>(opcode));
  bytes.push_back(static_cast<std::uint8_t>(modrm));
  bytes.insert(bytes.end(), kTail.begin(), kTail.end());
  return bytes;
}

TEST_P(DecodeAgainstZydis, EveryOpcodeAndModRmUnderEachPrefix) {
  int known = 0;
  for (const Bytes& prefixes : kPrefixes) {
    for (unsigned opcode = 0; opcode < 0x200 && !HasFailure(); ++opcode) {
      for (unsigned modrm = 0; modrm < 0x100; ++modrm) {
        known += compare(make(prefixes, opcode, modrm)) ? 1 : 0;
      }
    }
  }
  EXPECT_GT(known, 100000);
}

TEST_P(DecodeAgainstZydis, EverySibByte) {
  int known = 0;
  for (const unsigned opcode : {0x8eu, 0xc4u, 0xffu, 0x100u, 0x101u, 0x1b2u}) {
    for (unsigned modrm = 0; modrm < 0xc0; ++modrm) {
      for (unsigned sib = 0; sib < 0x100; ++sib) {
        for (const Bytes& prefixes : {Bytes{}, Bytes{0x67}, Bytes{0x65}}) {
          Bytes bytes = make(prefixes, opcode, modrm);
          bytes[bytes.size() - kTail.size()] = static_cast<std::uint8_t>(sib);
          known += compare(bytes) ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(known, 100000);
}

TEST_P(DecodeAgainstZydis, RandomBytes) {
  std::mt19937 random(21);
  Bytes bytes;
  for (int i = 0; i < 500000 && !HasFailure(); ++i) {
    bytes.resize(random() % 20);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    // Random bytes are seldom prefixes or two-byte opcodes.
    for (std::size_t j = 0; j < bytes.size() && random() % 2 == 0; ++j) {
      const Bytes& some = kPrefixes[random() % kPrefixes.size()];
      if (!some.empty()) bytes[j] = some[0];
      if (random() % 2 == 0 && j + 1 < bytes.size()) bytes[j + 1] = 0x0f;
    }
    compare(bytes);
  }
}

TEST_P(DecodeAgainstZydis, EveryTruncation) {
  for (const Bytes& prefixes : kPrefixes) {
    for (unsigned opcode = 0; opcode < 0x200 && !HasFailure(); ++opcode) {
      for (const unsigned modrm : {0x05u, 0x14u, 0x5cu, 0x94u, 0x1eu, 0xd1u}) {
        Bytes bytes = make(prefixes, opcode, modrm);
        while (!bytes.empty()) {
          compare(bytes);
          bytes.pop_back();
        }
      }
    }
  }
}

TEST_P(DecodeAgainstZydis, PrefixesUpToTheLongestInstruction) {
  for (std::size_t count = 0; count < 20; ++count) {
    for (const std::uint8_t prefix : Bytes{0x66, 0x67, 0x64, 0xf3, 0xf0}) {
      compare(make(Bytes(count, prefix), 0xf4, 0));
      compare(make(Bytes(count, prefix), 0x101, 0x15));
      compare(make(Bytes(count, prefix), 0x120, 0xc0));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, DecodeAgainstZydis, testing::Bool(),
                         [](const auto& mode) { return mode.param ? "Code32" : "Code16"; });

}  // namespace
}  // namespace mezzo::test
