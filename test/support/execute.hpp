// Executes one instruction of a fake guest through the decoder and the emulator, and says what came
// of it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "arch/ia32/emulate.hpp"
#include "support/fake_guest.hpp"

namespace mezzo::test {

using Code = std::vector<std::uint8_t>;

inline const Code kMovCr0Eax{0x0f, 0x22, 0xc0}, kMovCr2Eax{0x0f, 0x22, 0xd0},
    kMovCr3Eax{0x0f, 0x22, 0xd8}, kMovCr4Eax{0x0f, 0x22, 0xe0}, kLmswEax{0x0f, 0x01, 0xf0};

constexpr std::uint8_t kInvalidOpcode = 6, kNotPresent = 11, kStackFault = 12, kProtection = 13,
                       kPageFault = 14;

inline Verdict execute(FakeGuest& guest, const Code& code, std::uint32_t error_code = 0) {
  return ia32::emulate(guest.context, decoded(code), error_code);
}
inline Verdict execute16(FakeGuest& guest, const Code& code) {
  return ia32::emulate(guest.context, decoded(code, false), 0);
}

inline testing::AssertionResult raises(const Verdict& verdict, std::uint8_t vector,
                                       std::uint32_t error) {
  if (verdict.kind == Verdict::Kind::Inject && verdict.vector == vector &&
      verdict.error_code == error && !verdict.software) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "kind " << static_cast<int>(verdict.kind) << ", vector "
                                     << int{verdict.vector} << ", error " << verdict.error_code;
}
inline testing::AssertionResult stops(const Verdict& verdict, status::StopReason reason,
                                      std::uint32_t detail) {
  if (verdict.kind == Verdict::Kind::Stop && verdict.reason == reason &&
      verdict.detail[0] == detail) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << "kind " << static_cast<int>(verdict.kind) << ", reason "
         << static_cast<unsigned>(verdict.reason) << ", detail " << verdict.detail[0];
}

}  // namespace mezzo::test
