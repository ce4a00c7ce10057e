// Fuzzer: loads of PAE roots, with any pointers anywhere. A load that is taken leaves pointers that
// the processor accepts, the window in the last directory, and all else of the guest's memory as it
// was; one that is refused changes nothing.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "support/pae_memory.hpp"

namespace mezzo::test {
namespace {

using ia32::RootResult;
namespace pae = ia32::pae;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Anywhere, or in or near the partition's memory.
std::uint32_t any_address(FuzzedDataProvider& data) {
  if (data.ConsumeBool()) return data.ConsumeIntegral<std::uint32_t>();
  constexpr std::uint32_t kSpan = (PaeMemory::kPages + 2) * plan::kPageSize;
  return PaeMemory::kBase - plan::kPageSize + data.ConsumeIntegralInRange<std::uint32_t>(0, kSpan);
}

// Any bits, or those of an honest guest with some of them flipped.
std::uint64_t any_pointer(FuzzedDataProvider& data) {
  if (data.ConsumeIntegralInRange(0, 3) == 0) return data.ConsumeIntegral<std::uint64_t>();
  std::uint64_t pointer = (any_address(data) & ~0xfffU) | pae::kPresent;
  if (data.ConsumeBool()) {
    pointer ^= std::uint64_t{1} << data.ConsumeIntegralInRange<unsigned>(0, 63);
  }
  return pointer;
}

void check_taken(PaeMemory& memory, const PaeMemory& before) {
  for (const std::uint64_t pointer : memory.pointers) {
    const bool good = pointer == 0 || ((pointer & pae::kPresent) != 0 &&
                                       (pointer & pae::kReserved) == 0 && pointer >> 32 == 0);
    require(good, "a pointer that the processor refuses");
  }
  PaeMemory expected = before;
  if (memory.pointers[3] != PaeMemory::kWindow.directory) {
    const auto directory = static_cast<std::uint32_t>(memory.pointers[3] & pae::kAddress);
    expected.word(directory + 510 * 8) = PaeMemory::kWindow.entries[0];
    expected.word(directory + 511 * 8) = PaeMemory::kWindow.entries[1];
  }
  require(memory.words() == expected.words(), "other memory than the window's entries");
}

void one_load(PaeMemory& memory, FuzzedDataProvider& data) {
  std::uint32_t cr3 = any_address(data);
  if (data.ConsumeBool()) {
    const std::uint32_t last = PaeMemory::kWords / 4 - 1;
    cr3 = PaeMemory::kBase + data.ConsumeIntegralInRange<std::uint32_t>(0, last) * 32;
    for (std::uint64_t& pointer : memory.table(cr3)) pointer = any_pointer(data);
  }
  const PaeMemory before = memory;
  if (memory.take(cr3) == RootResult::Installed) return check_taken(memory, before);
  require(memory.pointers == before.pointers, "a refused load changed the pointers");
  require(memory.words() == before.words(), "a refused load changed memory");
}

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  mezzo::test::PaeMemory memory;
  while (data.remaining_bytes() != 0) mezzo::test::one_load(memory, data);
  return 0;
}
