// Fuzzer: the instruction decoder against Zydis, any bytes, both code sizes.
// Input: one byte whose lowest bit is the code segment's D bit, then the instruction's bytes.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "arch/ia32/decode.hpp"
#include "fuzz/decode_oracle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mezzo;
  static const test::DecodeOracle oracle16(false);
  static const test::DecodeOracle oracle32(true);
  if (size == 0) return -1;
  const bool code32 = (data[0] & 1) != 0;
  const std::span bytes(data + 1, size - 1);
  const ia32::Instruction ours = ia32::decode(bytes, code32);
  const ia32::Instruction expected = (code32 ? oracle32 : oracle16).decode(bytes);
  if (ours == expected) return 0;
  std::fprintf(stderr, "%s\n  ours   %s\n  Zydis  %s\n", test::describe(bytes).c_str(),
               test::describe(ours).c_str(), test::describe(expected).c_str());
  std::abort();
}
