// Fuzzer: the A32 decoder against Capstone, any words.
// Input: words as the processor fetches them, little-endian.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "arch/armv7/decode.hpp"
#include "fuzz/armv7_decode_oracle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const mezzo::test::Armv7DecodeOracle oracle;
  for (; size >= 4; data += 4, size -= 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, data, sizeof word);
    const auto objection = oracle.objection(word);
    if (!objection) continue;
    std::fprintf(stderr, "%s\n", objection->c_str());
    std::abort();
  }
  return 0;
}
