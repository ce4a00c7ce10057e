// What a test expects of a verdict on an ARMv7 guest.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>

#include "arch/armv7/exception.hpp"

namespace mezzo::test {

inline testing::AssertionResult is_kind(const Verdict& verdict, Verdict::Kind kind) {
  if (verdict.kind == kind) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "kind " << static_cast<int>(verdict.kind) << ", vector " << int{verdict.vector};
}
inline testing::AssertionResult skips(const Verdict& verdict) {
  return is_kind(verdict, Verdict::Kind::Skip);
}
inline testing::AssertionResult resumes(const Verdict& verdict) {
  return is_kind(verdict, Verdict::Kind::Resume);
}
inline testing::AssertionResult is_undefined(const Verdict& verdict) {
  if (verdict.kind == Verdict::Kind::Inject &&
      verdict.vector == static_cast<unsigned>(armv7::Exception::Undefined)) {
    return testing::AssertionSuccess();
  }
  return is_kind(verdict, Verdict::Kind::Inject);
}
inline testing::AssertionResult aborts(const Verdict& verdict, std::uint32_t status,
                                       std::uint32_t address) {
  if (verdict.kind == Verdict::Kind::Inject &&
      verdict.vector == static_cast<unsigned>(armv7::Exception::DataAbort) &&
      verdict.error_code == status && verdict.detail[0] == address) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << "kind " << static_cast<int>(verdict.kind) << ", vector " << int{verdict.vector}
         << std::hex << ", status " << verdict.error_code << ", address " << verdict.detail[0];
}
inline testing::AssertionResult is_unsupported(const Verdict& verdict, armv7::Unsupported what) {
  if (verdict.kind == Verdict::Kind::Stop && verdict.reason == status::StopReason::Unsupported &&
      verdict.detail[0] == static_cast<std::uint32_t>(what)) {
    return testing::AssertionSuccess();
  }
  return is_kind(verdict, Verdict::Kind::Stop);
}

}  // namespace mezzo::test
