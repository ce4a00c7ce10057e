// Accesses of an ARMv7 guest to coprocessor registers, by their names in the manual.
#pragma once

#include <gtest/gtest.h>

#include <compare>
#include <cstdint>
#include <string>

#include "support/armv7_guest.hpp"
#include "support/armv7_verdict.hpp"

namespace mezzo::test {

struct CoprocessorName {
  unsigned coprocessor, crn, opc1, crm, opc2;
  auto operator<=>(const CoprocessorName&) const = default;
};

constexpr std::uint32_t mcr(const CoprocessorName& n, unsigned rt = 3) {
  return 0xee000010 | n.opc1 << 21 | n.crn << 16 | rt << 12 | n.coprocessor << 8 | n.opc2 << 5 |
         n.crm;
}
constexpr std::uint32_t mrc(const CoprocessorName& n, unsigned rt = 3) {
  return mcr(n, rt) | 1u << 20;
}

inline std::string text(const CoprocessorName& n) {
  return "p" + std::to_string(n.coprocessor) + " c" + std::to_string(n.crn) + " " +
         std::to_string(n.opc1) + " c" + std::to_string(n.crm) + " " + std::to_string(n.opc2);
}

inline void write(Armv7Guest& guest, const CoprocessorName& name, std::uint32_t value) {
  guest.frame.r[3] = value;
  EXPECT_TRUE(skips(guest.execute(mcr(name)))) << text(name);
}
inline std::uint32_t read(Armv7Guest& guest, const CoprocessorName& name) {
  guest.frame.r[3] = 0xdeadbeef;
  EXPECT_TRUE(skips(guest.execute(mrc(name)))) << text(name);
  return guest.frame.r[3];
}

constexpr CoprocessorName kSctlr{15, 1, 0, 0, 0}, kActlr{15, 1, 0, 0, 1}, kCpacr{15, 1, 0, 0, 2};
constexpr CoprocessorName kTtbr0{15, 2, 0, 0, 0}, kTtbr1{15, 2, 0, 0, 1}, kTtbcr{15, 2, 0, 0, 2};
constexpr CoprocessorName kDacr{15, 3, 0, 0, 0}, kDfsr{15, 5, 0, 0, 0}, kIfsr{15, 5, 0, 0, 1};
constexpr CoprocessorName kDfar{15, 6, 0, 0, 0}, kIfar{15, 6, 0, 0, 2}, kPar{15, 7, 0, 4, 0};
constexpr CoprocessorName kPrrr{15, 10, 0, 2, 0}, kNmrr{15, 10, 0, 2, 1}, kVbar{15, 12, 0, 0, 0};
constexpr CoprocessorName kIsr{15, 12, 0, 1, 0}, kContextidr{15, 13, 0, 0, 1},
    kTpidrurw{15, 13, 0, 0, 2};
constexpr CoprocessorName kTpidruro{15, 13, 0, 0, 3}, kTpidrprw{15, 13, 0, 0, 4},
    kCsselr{15, 0, 2, 0, 0};
constexpr CoprocessorName kMidr{15, 0, 0, 0, 0}, kMpidr{15, 0, 0, 0, 5}, kDbgdidr{14, 0, 0, 0, 0};

}  // namespace mezzo::test
