// What an ARMv7 guest asks of caches, TLBs and translation through CP15, and the floating-point
// system registers (DDI 0406C B3.17.9, B3.17.10, B4.2, B6.1).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "arch/armv7/control.hpp"
#include "support/armv7_coprocessor.hpp"

namespace mezzo::armv7 {
namespace {

using Name = test::CoprocessorName;
using test::Armv7Guest;
using test::Armv7Machine;
using test::is_undefined;
using test::kCpacr;
using test::kPar;
using test::mcr;
using test::read;
using test::skips;
using test::text;
using test::write;
using testing::ElementsAre;
using What = Armv7Machine::TlbRequest::What;

// ---- operations ----

TEST(Armv7Tlb, EveryOperation) {
  Armv7Guest guest;
  constexpr std::uint32_t kOperand = 0x12345678;
  for (const unsigned crm : {3u, 5u, 6u, 7u}) {
    guest.machine.tlb.clear();
    for (unsigned opc2 = 0; opc2 < 3; ++opc2) write(guest, {15, 8, 0, crm, opc2}, kOperand);
    using Request = Armv7Machine::TlbRequest;
    EXPECT_THAT(guest.machine.tlb,
                ElementsAre(Request{What::All}, Request{What::Address, 0x12345000, 0x78},
                            Request{What::Context, 0, 0x78}));
    if (crm != 3 && crm != 7) continue;
    write(guest, {15, 8, 0, crm, 3}, kOperand);
    EXPECT_EQ(guest.machine.tlb.back(), (Request{What::AddressOfAll, 0x12345000}));
  }
}

TEST(Armv7Cache, ByAddressAndAll) {
  Armv7Guest guest;
  using enum CacheOperation;
  constexpr std::uint32_t kAt = Armv7Guest::kData + 0x40;
  const std::vector<std::pair<Name, CacheOperation>> operations{
      {{15, 7, 0, 1, 0}, InvalidateInstructions},
      {{15, 7, 0, 5, 0}, InvalidateInstructions},
      {{15, 7, 0, 5, 1}, InvalidateInstructionsAt},
      {{15, 7, 0, 1, 6}, InvalidatePrediction},
      {{15, 7, 0, 5, 6}, InvalidatePrediction},
      {{15, 7, 0, 5, 7}, InvalidatePredictionAt},
      {{15, 7, 0, 10, 1}, CleanDataAt},
      {{15, 7, 0, 11, 1}, CleanDataToUnificationAt},
      {{15, 7, 0, 14, 1}, CleanInvalidateDataAt},
      {{15, 7, 0, 6, 1}, CleanInvalidateDataAt}};
  for (const auto& [name, operation] : operations) {
    write(guest, name, kAt);
    EXPECT_EQ(guest.machine.caches.back(), std::pair(operation, kAt)) << text(name);
  }
}

TEST(Armv7Cache, ByAddressMayAbort) {
  Armv7Guest guest;
  guest.frame.r[3] = 0x00500010;
  EXPECT_TRUE(test::aborts(guest.execute(mcr({15, 7, 0, 11, 1})), 0x857, 0x00500010));
}

// 128 sets of 4 ways and 32 bytes: the way in bits 31:30, the set in bits 11:5.
TEST(Armv7Cache, BySetAndWayOnLinesThatExist) {
  Armv7Guest guest;
  using enum CacheOperation;
  for (const Name& name : {Name{15, 7, 0, 6, 2}, Name{15, 7, 0, 10, 2}, Name{15, 7, 0, 14, 2}}) {
    guest.machine.caches.clear();
    write(guest, name, 0xc0000fe0);
    EXPECT_THAT(guest.machine.caches,
                ElementsAre(std::pair(CleanInvalidateDataBySetAndWay, 0xc0000fe0u)));
    write(guest, name, 0x00001000);  // no such set
    write(guest, name, 0x00000002);  // no such level
    write(guest, name, 0x0000000e);  // nor could there be
    EXPECT_EQ(guest.machine.caches.size(), 1u);
  }
}

TEST(Armv7Cache, SetAndWayForOtherGeometries) {
  Armv7Machine machine;
  machine.cache_sizes[0] = 0x7u << 13 | 0x0u << 3 | 2;  // 8 sets, 1 way, 64 bytes
  EXPECT_TRUE(is_cache_line(machine, 0x000001c0));
  EXPECT_FALSE(is_cache_line(machine, 0x00000200));
  EXPECT_FALSE(is_cache_line(machine, 0x80000000));
  machine.cache_sizes[0] = 0x7u << 13 | 0x2u << 3 | 2;  // 3 ways
  EXPECT_TRUE(is_cache_line(machine, 0x80000000));
  EXPECT_FALSE(is_cache_line(machine, 0xc0000000));
  machine.id(IdRegister::Clidr) = 1;  // instructions only
  EXPECT_FALSE(is_cache_line(machine, 0));
}

TEST(Armv7Translate, AnswersInPar) {
  Armv7Guest guest;
  for (unsigned opc2 = 0; opc2 < 4; ++opc2) {
    write(guest, {15, 7, 0, 8, opc2}, Armv7Guest::kData + 0x123);
    EXPECT_EQ(read(guest, kPar), 0x10020ffeu);
  }
}

TEST(Armv7Translate, FaultsAreStatusInPar) {
  Armv7Guest guest;
  guest.machine.map(0x30000, 0x1000,
                    {.kernel_write = false, .user_read = true, .user_write = false});
  guest.machine.map(0x31000, 0x1000,
                    {.kernel_write = true, .user_read = false, .user_write = false});
  const auto par = [&](unsigned opc2, std::uint32_t address) {
    write(guest, {15, 7, 0, 8, opc2}, address);
    return read(guest, kPar);
  };
  constexpr std::uint32_t kPermission = 0xf << 1 | 1, kTranslation = 0x7 << 1 | 1;
  EXPECT_EQ(par(0, 0x30000), 0x10030ffeu);
  EXPECT_EQ(par(1, 0x30000), kPermission);
  EXPECT_EQ(par(2, 0x30000), 0x10030ffeu);
  EXPECT_EQ(par(3, 0x30000), kPermission);
  EXPECT_EQ(par(1, 0x31000), 0x10031ffeu);
  EXPECT_EQ(par(2, 0x31000), kPermission);
  EXPECT_EQ(par(0, 0x40000), kTranslation);
}

TEST(Armv7Barrier, CoprocessorBarriersAreDoneByTheExit) {
  for (const std::uint32_t mode : {psr::kUser, psr::kSupervisor}) {
    Armv7Guest guest(mode);
    write(guest, {15, 7, 0, 5, 4}, 0);
    write(guest, {15, 7, 0, 10, 4}, 0);
    write(guest, {15, 7, 0, 10, 5}, 0);
    EXPECT_TRUE(guest.machine.is_untouched());
  }
}

// ---- floating point ----

constexpr std::uint32_t kVmrsFpsid = 0xeef03a10, kVmrsMvfr1 = 0xeef63a10, kVmrsMvfr0 = 0xeef73a10,
                        kVmrsFpexc = 0xeef83a10, kVmrsFpinst = 0xeef93a10, kVmrsFpscr = 0xeef13a10,
                        kVmsrFpexc = 0xeee83a10, kVmsrFpsid = 0xeee03a10, kVmrsFlags = 0xeef1fa10,
                        kVadd = 0xee300a81;

TEST(Armv7FloatingPoint, NeedsCoprocessorAccess) {
  Armv7Guest guest;
  for (const std::uint32_t word : {kVmrsFpsid, kVmrsFpexc, kVmrsMvfr0, kVmsrFpexc}) {
    EXPECT_TRUE(is_undefined(guest.execute(word)));
  }
  write(guest, kCpacr, 0xffffffff);
  EXPECT_EQ(read(guest, kCpacr), 0xc0f00000u);
  EXPECT_EQ(guest.machine.floating_point_changes, 1u);
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> values{{kVmrsFpsid, 0x41033090},
                                                                    {kVmrsMvfr0, 0x10110222},
                                                                    {kVmrsMvfr1, 0x01111111},
                                                                    {kVmrsFpexc, 0}};
  for (const auto& [word, value] : values) {
    EXPECT_TRUE(skips(guest.execute(word)));
    EXPECT_EQ(guest.frame.r[3], value);
  }
}

TEST(Armv7FloatingPoint, EnableIsTheOnlyBitOfItsRegister) {
  Armv7Guest guest;
  write(guest, kCpacr, 0x00f00000);
  guest.frame.r[3] = 0xffffffff;
  EXPECT_TRUE(skips(guest.execute(kVmsrFpexc)));
  EXPECT_TRUE(skips(guest.execute(kVmrsFpexc)));
  EXPECT_EQ(guest.frame.r[3], 0x40000000u);
  EXPECT_EQ(guest.machine.floating_point_changes, 2u);
  EXPECT_TRUE(skips(guest.execute(kVmsrFpsid)));  // ignored
}

TEST(Armv7FloatingPoint, OthersAreUndefined) {
  Armv7Guest guest;
  write(guest, kCpacr, 0x00f00000);
  for (const std::uint32_t word : {kVmrsFpscr, kVmrsFlags, kVmrsFpinst, kVadd}) {
    EXPECT_TRUE(is_undefined(guest.execute(word)));
  }
  change_mode(guest.vcpu, guest.frame, psr::kUser);
  for (const std::uint32_t word : {kVmrsFpsid, kVmrsFpexc, kVmrsMvfr0, kVmsrFpexc}) {
    EXPECT_TRUE(is_undefined(guest.execute(word)));
  }
}

TEST(Armv7FloatingPoint, WhoMayUseIt) {
  SystemControl control;
  const auto may = [&](Privilege privilege) { return may_use_floating_point(control, privilege); };
  control.cpacr = 0x00f00000;
  EXPECT_FALSE(may(Privilege::Kernel));
  control.fpexc = fpexc::kEnable;
  EXPECT_TRUE(may(Privilege::Kernel) && may(Privilege::User));
  control.cpacr = 0x00500000;  // privileged code only
  EXPECT_TRUE(may(Privilege::Kernel));
  EXPECT_FALSE(may(Privilege::User));
  control.cpacr = 0x00300000;  // CP10 without CP11
  EXPECT_FALSE(may(Privilege::Kernel));
}

TEST(Armv7FloatingPoint, AMachineWithoutItGivesNoAccess) {
  Armv7Guest guest;
  guest.machine.id(IdRegister::Fpsid) = 0;
  write(guest, kCpacr, 0xffffffff);
  EXPECT_EQ(read(guest, kCpacr), 0u);
}

}  // namespace
}  // namespace mezzo::armv7
