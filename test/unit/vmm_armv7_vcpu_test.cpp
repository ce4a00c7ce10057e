// The banks of an ARMv7 virtual CPU: which registers each mode sees (DDI 0406C figure B1-2), and
// that nothing is lost on the way through any sequence of modes.
#include "arch/armv7/vcpu.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <utility>

namespace mezzo::armv7 {
namespace {

constexpr std::array kModes{psr::kUser,  psr::kFiq,       psr::kIrq,   psr::kSupervisor,
                            psr::kAbort, psr::kUndefined, psr::kSystem};

struct Guest {
  SharedState shared;
  Vcpu vcpu = Vcpu::at_entry(shared);
  Frame frame{};
};

TEST(Armv7Vcpu, StartsAsAKernelExpectsIt) {
  Guest guest;
  EXPECT_EQ(guest.vcpu.status(guest.frame), psr::kSupervisor | psr::kMasks);
  EXPECT_FALSE(guest.vcpu.translating());
  EXPECT_FALSE(guest.vcpu.is_user());
  EXPECT_TRUE(guest.vcpu.has_spsr());
}

TEST(Armv7Vcpu, ModesAreThoseOfTheManualWithoutMonitorAndHyp) {
  unsigned known = 0;
  for (std::uint32_t mode = 0; mode < 32; ++mode) known += psr::is_mode(mode) ? 1 : 0;
  EXPECT_EQ(known, kModes.size());
  for (const std::uint32_t mode : kModes) EXPECT_TRUE(psr::is_mode(mode));
}

// The reference: a register is identified by its number and by the mode that has its own copy.
using Name = std::pair<unsigned, std::uint32_t>;
Name name_of(unsigned number, std::uint32_t mode) {
  if (mode == psr::kSystem) mode = psr::kUser;
  if (number >= 13) return {number, mode};
  if (number >= 8 && mode == psr::kFiq) return {number, mode};
  return {number, psr::kUser};
}

TEST(Armv7Vcpu, EveryModeKeepsItsOwnRegisters) {
  constexpr unsigned kSpsr = 15;
  Guest guest;
  std::map<Name, std::uint32_t> expected;
  std::mt19937 random(1);
  for (int step = 0; step < 20000; ++step) {
    const std::uint32_t mode = kModes[random() % kModes.size()];
    change_mode(guest.vcpu, guest.frame, mode);
    ASSERT_EQ(guest.vcpu.mode, mode);
    for (unsigned number = 0; number < 15; ++number) {
      ASSERT_EQ(guest.frame.r[number], expected[name_of(number, mode)]) << number << " " << mode;
      ASSERT_EQ(user_register(guest.vcpu, guest.frame, number),
                expected[name_of(number, psr::kUser)]);
    }
    if (guest.vcpu.has_spsr()) {
      ASSERT_EQ(guest.shared.spsr, expected[name_of(kSpsr, mode)]);
      expected[name_of(kSpsr, mode)] = guest.shared.spsr = static_cast<std::uint32_t>(random());
    }
    const unsigned number = random() % 15;
    const auto value = static_cast<std::uint32_t>(random());
    if (random() % 2 == 0) {
      expected[name_of(number, mode)] = guest.frame.r[number] = value;
    } else {
      user_register(guest.vcpu, guest.frame, number) = value;
      expected[name_of(number, psr::kUser)] = value;
    }
  }
}

TEST(Armv7Vcpu, OnlyMasksAreTakenFromTheSharedPage) {
  Guest guest;
  for (const std::uint32_t mode : kModes) {
    change_mode(guest.vcpu, guest.frame, mode);
    guest.shared.psr = 0xffffffff;
    EXPECT_EQ(guest.vcpu.status(guest.frame), mode | psr::kMasks);
    guest.shared.psr = psr::kIrqOff;
    change_mode(guest.vcpu, guest.frame, mode);
    EXPECT_EQ(guest.shared.psr, mode | psr::kIrqOff);
  }
}

TEST(Armv7Vcpu, StatusTakesFlagsAndStateFromTheProcessor) {
  Guest guest;
  guest.frame.cpsr = 0xffffffff;
  guest.vcpu.set_masks(psr::kFiqOff);
  EXPECT_EQ(guest.vcpu.status(guest.frame), 0xff0ffe20 | psr::kFiqOff | psr::kSupervisor);
}

}  // namespace
}  // namespace mezzo::armv7
