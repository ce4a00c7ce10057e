// The A32 decoder against Capstone: every row of the table of encodings with random operands, its
// neighbours at a distance of one bit, each value of bits 27:20 with each of bits 7:4, and random
// words. Classes, operands and sensitivity are compared.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "arch/armv7/decode.hpp"
#include "arch/armv7/encodings.hpp"
#include "fuzz/armv7_decode_oracle.hpp"

namespace mezzo::test {
namespace {

class Armv7DecodeAgainstCapstone : public testing::Test {
 protected:
  // Returns whether it was one of the decoder's instructions.
  bool compare(std::uint32_t word) {
    const auto objection = oracle_.objection(word);
    if (objection) ADD_FAILURE() << *objection;
    return armv7::decode(word).op != armv7::Op::Other;
  }

  std::uint32_t any() { return static_cast<std::uint32_t>(random_()); }
  // Mostly AL, as in code.
  std::uint32_t condition() { return (any() % 4 != 0 ? 14u : any() % 15) << 28; }

 private:
  Armv7DecodeOracle oracle_;
  std::mt19937 random_{21};
};

TEST_F(Armv7DecodeAgainstCapstone, EveryRowAndItsNeighbours) {
  int known = 0;
  for (const armv7::detail::Row& row : armv7::detail::kRows) {
    for (int i = 0; i < 1500 && !HasFailure(); ++i) {
      // Operands with few bits set are met too: r0, offset 0, no shift.
      std::uint32_t word = (i % 2 == 0 ? any() : any() & any() & any()) & ~row.mask;
      word |= row.match;
      if (row.is_conditional()) word = (word & 0x0fffffff) | condition();
      known += compare(word) ? 1 : 0;
      known += compare(word ^ 1u << any() % 32) ? 1 : 0;
    }
  }
  EXPECT_GT(known, 100000);
}

TEST_F(Armv7DecodeAgainstCapstone, EveryOpcode) {
  for (std::uint32_t top = 0; top < 0x1000 && !HasFailure(); ++top) {
    for (std::uint32_t low = 0; low < 16; ++low) {
      compare(top << 20 | (any() & 0x000fff0f) | low << 4);
      compare(top << 20 | (any() & 0x000f0f0f) | 0xf000 | low << 4);
    }
  }
}

TEST_F(Armv7DecodeAgainstCapstone, EveryRegisterList) {
  for (const std::uint32_t top :
       {0xe8900000u, 0xe8b10000u, 0xe8820000u, 0xe9230000u, 0xe8d40000u, 0xe8fd0000u, 0xe9450000u,
        0xe96e0000u, 0xe8df0000u, 0xe8bd0000u, 0xe92d0000u}) {
    for (unsigned n = 0; n < 16; ++n) compare(top | 1u << n);
    for (std::uint32_t list = 0; list < 0x10000 && !HasFailure(); list += 1 + any() % 8) {
      compare(top | list);
    }
  }
}

TEST_F(Armv7DecodeAgainstCapstone, EveryChangeOfProcessorState) {
  for (std::uint32_t low = 0; low < 1u << 20 && !HasFailure(); low += 1 + any() % 5) {
    compare(0xf1000000 | low);
  }
}

TEST_F(Armv7DecodeAgainstCapstone, RandomWords) {
  for (int i = 0; i < 500000 && !HasFailure(); ++i) compare(any());
}

}  // namespace
}  // namespace mezzo::test
