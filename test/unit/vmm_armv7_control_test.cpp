// CP15 and CP14 of an ARMv7 guest: which registers and operations exist and for whom, against lists
// made from the manuals (DDI 0406C tables B3-42 to B3-51, C6.3), and the registers' values.
#include "arch/armv7/control.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/armv7_coprocessor.hpp"

namespace mezzo::armv7 {
namespace {

using Name = test::CoprocessorName;
using test::Armv7Guest;
using test::is_undefined;
using test::is_unsupported;
using test::kActlr;
using test::kContextidr;
using test::kCpacr;
using test::kCsselr;
using test::kDacr;
using test::kDbgdidr;
using test::kDfar;
using test::kDfsr;
using test::kIfar;
using test::kIfsr;
using test::kIsr;
using test::kMidr;
using test::kMpidr;
using test::kNmrr;
using test::kPar;
using test::kPrrr;
using test::kSctlr;
using test::kTpidrprw;
using test::kTpidruro;
using test::kTpidrurw;
using test::kTtbcr;
using test::kTtbr0;
using test::kTtbr1;
using test::kVbar;
using test::mcr;
using test::mrc;
using test::read;
using test::skips;
using test::text;
using test::write;
using testing::ElementsAre;

// ---- who may use what ----

enum Core : unsigned { kBoth, kOnlyA8, kOnlyA9 };

struct Listed {
  Name name;
  const char* kernel;  // "r", "w", "rw"
  const char* user;
  Core core = kBoth;
};

std::vector<Listed> listed() {
  std::vector<Listed> all{
      // The rights of debug and Jazelle registers without CP14 access to debug.
      {kDbgdidr, "r", "r"},
      {{14, 0, 0, 1, 0}, "r", "r"},
      {{14, 0, 0, 5, 0}, "rw", "rw"},
      {{14, 1, 0, 0, 0}, "r", "r"},
      {{14, 2, 0, 0, 0}, "r", "r"},
      {{14, 0, 7, 0, 0}, "rw", ""},
      {{14, 1, 7, 0, 0}, "rw", ""},
      {{14, 2, 7, 0, 0}, "rw", ""},
      {kCsselr, "rw", ""},
      {{15, 0, 1, 0, 0}, "r", ""},
      {{15, 0, 1, 0, 1}, "r", ""},
      {{15, 0, 1, 0, 7}, "r", ""},
      {kSctlr, "rw", ""},
      {kActlr, "rw", ""},
      {kCpacr, "rw", ""},
      {{15, 1, 0, 1, 2}, "r", ""},  // NSACR
      {kTtbr0, "rw", ""},
      {kTtbr1, "rw", ""},
      {kTtbcr, "rw", ""},
      {kDacr, "rw", ""},
      {kDfsr, "rw", ""},
      {kIfsr, "rw", ""},
      {{15, 5, 0, 1, 0}, "rw", ""},  // ADFSR
      {{15, 5, 0, 1, 1}, "rw", ""},  // AIFSR
      {kDfar, "rw", ""},
      {kIfar, "rw", ""},
      {{15, 7, 0, 0, 4}, "w", ""},
      {{15, 7, 0, 1, 0}, "w", "", kOnlyA9},
      {{15, 7, 0, 1, 6}, "w", "", kOnlyA9},
      {kPar, "rw", ""},
      {{15, 7, 0, 5, 4}, "w", "w"},
      {{15, 7, 0, 10, 4}, "w", "w"},
      {{15, 7, 0, 10, 5}, "w", "w"},
      {{15, 8, 0, 7, 3}, "w", "", kOnlyA9},
      {{15, 9, 0, 12, 4}, "w", ""},
      {{15, 9, 0, 12, 5}, "rw", ""},
      {{15, 9, 0, 14, 0}, "rw", "r"},
      {{15, 9, 0, 14, 1}, "rw", ""},
      {{15, 9, 0, 14, 2}, "rw", ""},
      {{15, 9, 1, 0, 0}, "rw", "", kOnlyA8},
      {{15, 9, 1, 0, 2}, "rw", "", kOnlyA8},
      {{15, 10, 0, 0, 0}, "rw", ""},
      {{15, 10, 0, 0, 1}, "rw", "", kOnlyA8},
      {kPrrr, "rw", ""},
      {kNmrr, "rw", ""},
      {{15, 11, 0, 0, 0}, "r", ""},
      {kVbar, "rw", ""},
      {kIsr, "r", ""},
      {{15, 13, 0, 0, 0}, "rw", ""},
      {kContextidr, "rw", ""},
      {kTpidrurw, "rw", "rw"},
      {kTpidruro, "rw", "r"},
      {kTpidrprw, "rw", ""},
      {{15, 15, 0, 0, 0}, "rw", "", kOnlyA9},
      {{15, 15, 0, 0, 1}, "rw", "", kOnlyA9},
      {{15, 15, 0, 1, 0}, "r", "", kOnlyA9},
      {{15, 15, 4, 0, 0}, "r", "", kOnlyA9},
  };
  for (unsigned crm = 0; crm < 3; ++crm) {
    for (unsigned opc2 = 0; opc2 < 8; ++opc2) all.push_back({{15, 0, 0, crm, opc2}, "r", ""});
  }
  for (const auto [crm, opc2] : std::vector<std::pair<unsigned, unsigned>>{{5, 0},
                                                                           {5, 1},
                                                                           {5, 6},
                                                                           {5, 7},
                                                                           {6, 1},
                                                                           {6, 2},
                                                                           {8, 0},
                                                                           {8, 1},
                                                                           {8, 2},
                                                                           {8, 3},
                                                                           {10, 1},
                                                                           {10, 2},
                                                                           {11, 1},
                                                                           {13, 1},
                                                                           {14, 1},
                                                                           {14, 2}}) {
    all.push_back({{15, 7, 0, crm, opc2}, "w", ""});
  }
  for (unsigned opc2 = 0; opc2 < 4; ++opc2) {
    all.push_back({{15, 8, 0, 3, opc2}, "w", "", kOnlyA9});
    all.push_back({{15, 9, 0, 12, opc2}, "rw", ""});
    if (opc2 == 3) continue;
    for (unsigned crm = 5; crm < 8; ++crm) all.push_back({{15, 8, 0, crm, opc2}, "w", ""});
    all.push_back({{15, 9, 0, 13, opc2}, "rw", ""});
  }
  return all;
}

TEST(Armv7ControlTable, HasOneRowForEachListedRegister) {
  std::vector<Listed> all = listed();
  EXPECT_EQ(all.size(), table::kControlRegisters.size());
  for (const Listed& each : all) {
    const Name& n = each.name;
    const auto* row = find_control_register(
        {static_cast<std::uint8_t>(n.coprocessor), static_cast<std::uint8_t>(n.crn),
         static_cast<std::uint8_t>(n.opc1), static_cast<std::uint8_t>(n.crm),
         static_cast<std::uint8_t>(n.opc2)});
    EXPECT_NE(row, nullptr) << text(n);
  }
}

// Every name there is, from kernel and process, on both processors.
TEST(Armv7ControlTable, EverythingElseIsUndefinedAndChangesNothing) {
  for (const bool a9 : {false, true}) {
    for (const bool process : {false, true}) {
      std::map<Name, std::string> allowed;
      for (const Listed& each : listed()) {
        if (each.core == (a9 ? kOnlyA8 : kOnlyA9)) continue;
        allowed[each.name] = process ? each.user : each.kernel;
      }
      Armv7Guest guest(process ? psr::kUser : psr::kSupervisor, a9);
      for (unsigned coprocessor = 14; coprocessor < 16; ++coprocessor) {
        for (unsigned n = 0; n < 1u << 14; ++n) {
          const Name name{coprocessor, n >> 10, n >> 7 & 7, n >> 3 & 15, n & 7};
          const auto found = allowed.find(name);
          const std::string rights = found == allowed.end() ? "" : found->second;
          guest.frame.r[3] = 0;
          const Verdict reading = guest.execute(mrc(name));
          ASSERT_EQ(reading.kind == Verdict::Kind::Skip, rights.contains('r')) << text(name);
          if (!rights.contains('r')) ASSERT_TRUE(is_undefined(reading)) << text(name);
          guest.frame.r[3] = 0x20000;
          const Verdict writing = guest.execute(mcr(name));
          ASSERT_EQ(writing.kind == Verdict::Kind::Skip, rights.contains('w')) << text(name);
          if (!rights.contains('w')) ASSERT_TRUE(is_undefined(writing)) << text(name);
        }
      }
    }
  }
}

TEST(Armv7ControlTable, ProcessesReachNothingOfTheKernels) {
  Armv7Guest guest(psr::kUser);
  const SystemControl before = guest.vcpu.control;
  for (const Listed& each : listed()) {
    if (std::string(each.user) == "rw" || std::string(each.user) == "w") continue;
    guest.frame.r[3] = 0xffffffff;
    EXPECT_TRUE(is_undefined(guest.execute(mcr(each.name)))) << text(each.name);
  }
  EXPECT_TRUE(guest.machine.is_untouched());
  EXPECT_EQ(std::memcmp(&before, &guest.vcpu.control, sizeof before), 0);
}

// All that Debian's armmp kernel (6.1.176-1) does on a Cortex-A8 or -A9, from a scan of its text:
// boot, memory management, switching, faults, cache and TLB maintenance, suspend, hw_breakpoint.
TEST(Armv7ControlTable, HasWhatLinuxUses) {
  const std::vector<Name> reads{kMidr,
                                {15, 0, 0, 0, 1},
                                kMpidr,
                                {15, 0, 0, 0, 6},
                                {15, 0, 0, 1, 0},
                                {15, 0, 0, 1, 1},
                                {15, 0, 0, 1, 4},
                                {15, 0, 0, 1, 7},
                                {15, 0, 0, 2, 0},
                                {15, 0, 0, 2, 3},
                                {15, 0, 1, 0, 0},
                                {15, 0, 1, 0, 1},
                                kSctlr,
                                kActlr,
                                kCpacr,
                                kTtbr0,
                                kTtbr1,
                                kTtbcr,
                                kDacr,
                                kDfsr,
                                kIfsr,
                                kDfar,
                                kIfar,
                                {15, 13, 0, 0, 0},
                                kTpidrurw,
                                kTpidruro,
                                kTpidrprw,
                                {15, 9, 0, 12, 0},
                                {15, 9, 0, 12, 3},
                                {15, 9, 0, 13, 0},
                                {15, 9, 0, 13, 2},
                                {15, 9, 0, 14, 0},
                                {15, 15, 0, 0, 0},
                                {15, 15, 0, 0, 1},
                                {15, 15, 4, 0, 0},
                                kDbgdidr,
                                {14, 0, 0, 1, 0}};
  const std::vector<Name> writes{kCsselr,
                                 kActlr,
                                 kCpacr,
                                 kTtbr0,
                                 kTtbr1,
                                 kTtbcr,
                                 kDacr,
                                 kPrrr,
                                 kNmrr,
                                 {15, 13, 0, 0, 0},
                                 kContextidr,
                                 kTpidrurw,
                                 kTpidruro,
                                 kTpidrprw,
                                 {15, 7, 0, 0, 4},
                                 {15, 7, 0, 1, 0},
                                 {15, 7, 0, 1, 6},
                                 {15, 7, 0, 10, 1},
                                 {15, 7, 0, 10, 4},
                                 {15, 7, 0, 11, 1},
                                 {15, 7, 0, 14, 1},
                                 {15, 7, 0, 14, 2},
                                 {15, 7, 0, 5, 0},
                                 {15, 7, 0, 5, 1},
                                 {15, 7, 0, 5, 6},
                                 {15, 7, 0, 6, 2},
                                 {15, 8, 0, 3, 0},
                                 {15, 8, 0, 3, 1},
                                 {15, 8, 0, 3, 3},
                                 {15, 8, 0, 7, 0},
                                 {15, 8, 0, 7, 1},
                                 {15, 8, 0, 7, 2},
                                 {15, 9, 0, 12, 0},
                                 {15, 9, 0, 12, 1},
                                 {15, 9, 0, 12, 2},
                                 {15, 9, 0, 12, 3},
                                 {15, 9, 0, 12, 5},
                                 {15, 9, 0, 13, 0},
                                 {15, 9, 0, 13, 1},
                                 {15, 9, 0, 13, 2},
                                 {15, 9, 0, 14, 0},
                                 {15, 9, 0, 14, 1},
                                 {15, 9, 0, 14, 2}};
  Armv7Guest guest;
  for (const Name& name : reads) (void)read(guest, name);
  for (const Name& name : writes) write(guest, name, Armv7Guest::kData);
}

// ---- identification ----

TEST(Armv7Identity, IsTheProcessorsButForWhatTheGuestDoesNotHave) {
  Armv7Guest guest;
  EXPECT_EQ(read(guest, kMidr), 0x410fc090u);
  EXPECT_EQ(read(guest, {15, 0, 0, 0, 4}), 0x410fc090u);  // MIDR's other names
  EXPECT_EQ(read(guest, {15, 0, 0, 0, 7}), 0x410fc090u);
  EXPECT_EQ(read(guest, {15, 0, 0, 0, 1}), 0x83338003u);  // CTR
  EXPECT_EQ(read(guest, {15, 0, 0, 1, 0}), 0x00000231u);  // ID_PFR0 without ThumbEE
  EXPECT_EQ(read(guest, {15, 0, 0, 1, 1}), 0x00100011u);  // ID_PFR1 without virtualization
  EXPECT_EQ(read(guest, {15, 0, 0, 1, 2}), 0x0f000000u);  // ID_DFR0: nothing
  EXPECT_EQ(read(guest, {15, 0, 0, 1, 4}), 0x00100103u);
  EXPECT_EQ(read(guest, {15, 0, 1, 0, 1}), 0x09000003u);  // CLIDR
  EXPECT_EQ(read(guest, {15, 15, 4, 0, 0}), 0x1e000000u);
}

TEST(Armv7Identity, OneProcessorWithoutOthers) {
  for (const std::uint32_t real : {0x80000000u, 0x80000003u, 0xc0000000u, 0x81000fffu}) {
    EXPECT_EQ(guest_identity(IdRegister::Mpidr, real), 0xc0000000u);
  }
  EXPECT_EQ(guest_identity(IdRegister::Mpidr, 0), 0u);
}

TEST(Armv7Identity, OnlyShortDescriptors) {
  for (std::uint32_t vmsa = 0; vmsa < 16; ++vmsa) {
    EXPECT_EQ(guest_identity(IdRegister::Mmfr0, 0x12345670 | vmsa) & 15, std::min(vmsa, 3u));
  }
}

TEST(Armv7Identity, CacheSizeIsThatOfTheSelectedCache) {
  Armv7Guest guest;
  write(guest, kCsselr, 0xfffffff1);
  EXPECT_EQ(read(guest, kCsselr), 1u);
  EXPECT_EQ(read(guest, {15, 0, 1, 0, 0}), 0x200fe01au);
  write(guest, kCsselr, 0);
  EXPECT_EQ(read(guest, {15, 0, 1, 0, 0}), 0x200fe019u);
}

TEST(Armv7Identity, LinuxFindsNoBreakpointsThroughCoprocessor14) {
  Armv7Guest guest;
  // hw_breakpoint.c: versions 1 to 3 and 5 on have registers for it to use.
  EXPECT_EQ(read(guest, kDbgdidr) >> 16 & 15, 4u);
  EXPECT_TRUE(is_undefined(guest.execute(mcr({14, 1, 0, 0, 4}))));  // DBGOSLAR
  EXPECT_TRUE(is_undefined(guest.execute(mrc({14, 0, 0, 0, 5}))));  // DBGBCR0
}

TEST(Armv7Identity, FlagsFromTheDebugStatus) {
  Armv7Guest guest;
  guest.frame.cpsr |= 0xf8000000;
  EXPECT_TRUE(skips(guest.execute(mrc({14, 0, 0, 1, 0}, 15))));
  EXPECT_EQ(guest.frame.cpsr, 0x08000000u | Armv7Guest::kProcessor);
}

// ---- registers that keep a value ----

TEST(Armv7Control, ResetValues) {
  Armv7Guest guest;
  EXPECT_EQ(read(guest, kSctlr), 0x00c50078u);
  EXPECT_EQ(read(guest, kPrrr), 0x00098aa4u);
  EXPECT_EQ(read(guest, kNmrr), 0x44e048e0u);
  EXPECT_EQ(read(guest, {15, 1, 0, 1, 2}), 0xc00u);
  for (const Name& name : {kActlr, kCpacr, kTtbr0, kTtbr1, kTtbcr, kDfsr, kIfsr, kDfar, kIfar, kPar,
                           kVbar, kContextidr, kCsselr}) {
    EXPECT_EQ(read(guest, name), 0u) << text(name);
  }
}

TEST(Armv7Control, RegistersKeepTheBitsTheyHave) {
  const std::vector<std::pair<Name, std::uint32_t>> registers{
      {kActlr, 0xffffffff},    {kTtbr0, 0xffffffff},      {kTtbr1, 0xffffffff},
      {kTtbcr, 0x37},          {kDacr, 0xffffffff},       {kDfsr, 0x1cff},
      {kIfsr, 0x140f},         {kDfar, 0xffffffff},       {kIfar, 0xffffffff},
      {kPar, 0xfffff6ff},      {kPrrr, 0xff0fffff},       {kNmrr, 0xffffffff},
      {kVbar, 0xffffffe0},     {kContextidr, 0xffffffff}, {kTpidrurw, 0xffffffff},
      {kTpidruro, 0xffffffff}, {kTpidrprw, 0xffffffff},   {kCsselr, 0xf}};
  Armv7Guest guest;
  for (const std::uint32_t value : {0xffffffffu, 0x55555555u, 0xaaaaaaaau, 0u}) {
    for (const auto& [name, mask] : registers) write(guest, name, value);
    for (const auto& [name, mask] : registers)
      EXPECT_EQ(read(guest, name), value & mask) << text(name);
  }
}

TEST(Armv7Control, CountersAndIgnoredRegistersStayZero) {
  Armv7Guest a9(psr::kSupervisor, true), a8(psr::kSupervisor, false);
  for (const Name& name : std::vector<Name>{{15, 9, 0, 12, 0},
                                            {15, 9, 0, 12, 1},
                                            {15, 9, 0, 13, 0},
                                            {15, 9, 0, 14, 0},
                                            {15, 9, 0, 14, 1},
                                            {15, 5, 0, 1, 0},
                                            {15, 10, 0, 0, 0},
                                            {15, 13, 0, 0, 0},
                                            {14, 0, 0, 5, 0},
                                            {14, 1, 7, 0, 0}}) {
    for (Armv7Guest* guest : {&a9, &a8}) {
      write(*guest, name, 0xffffffff);
      EXPECT_EQ(read(*guest, name), 0u) << text(name);
    }
  }
  write(a9, {15, 15, 0, 0, 1}, 0xffffffff);
  EXPECT_EQ(read(a9, {15, 15, 0, 0, 1}), 0u);
  write(a8, {15, 9, 1, 0, 2}, 0xffffffff);
  EXPECT_EQ(read(a8, {15, 9, 1, 0, 2}), 0u);
  EXPECT_TRUE(a9.machine.is_untouched());
  EXPECT_TRUE(a8.machine.is_untouched());
}

TEST(Armv7Control, SystemControlHasFixedBitsAndTellsTheMachineOfChanges) {
  Armv7Guest guest;
  write(guest, kSctlr, 0);
  EXPECT_TRUE(guest.machine.translation_changes.empty());  // nothing has changed
  write(guest, kSctlr, 0xbdffffff);                        // all but TE and EE
  EXPECT_EQ(read(guest, kSctlr), 0x30c57c7fu);
  EXPECT_EQ(guest.shared.sctlr, 0x30c57c7fu);
  EXPECT_THAT(guest.machine.translation_changes, ElementsAre(TranslationPart::Control));
  EXPECT_TRUE(guest.vcpu.translating());
}

TEST(Armv7Control, ThumbAndBigEndianKernelsAreNotSupported) {
  Armv7Guest guest;
  guest.frame.r[3] = 1u << 30;
  EXPECT_TRUE(is_unsupported(guest.execute(mcr(kSctlr)), Unsupported::ThumbKernel));
  guest.frame.r[3] = 1u << 25;
  EXPECT_TRUE(is_unsupported(guest.execute(mcr(kSctlr)), Unsupported::BigEndianEntry));
  EXPECT_EQ(read(guest, kSctlr), 0x00c50078u);
}

TEST(Armv7Control, WhatTheSharedPageSaysOfSystemControlIsNotBelieved) {
  Armv7Guest guest;
  guest.shared.sctlr = 0xffffffff;
  EXPECT_EQ(read(guest, kSctlr), 0x00c50078u);
}

TEST(Armv7Control, TranslationRegistersAreAnnounced) {
  Armv7Guest guest;
  for (const Name& name : {kTtbr0, kTtbr1, kTtbcr, kDacr, kContextidr, kPrrr, kNmrr}) {
    write(guest, name, 1);
  }
  using enum TranslationPart;
  EXPECT_THAT(guest.machine.translation_changes,
              ElementsAre(Table0, Table1, Split, Domains, Context, Remap, Remap));
  EXPECT_EQ(guest.vcpu.asid(), 1u);
}

TEST(Armv7Control, SharedRegisters) {
  Armv7Guest guest;
  write(guest, kDacr, 0x55555551);
  write(guest, kTpidrprw, 0x1234);
  EXPECT_EQ(guest.shared.dacr, 0x55555551u);
  EXPECT_EQ(guest.shared.tpidrprw, 0x1234u);
  EXPECT_EQ(guest.machine.kernel_thread_changes, 1u);
  EXPECT_EQ(read(guest, kIsr), 0u);
  guest.shared.irq_pending = 1;
  EXPECT_EQ(read(guest, kIsr), 1u << 7);
}

TEST(Armv7Control, ThreadIdsOfProcessesAreTheProcessors) {
  Armv7Guest guest;
  write(guest, kTpidruro, 7);
  write(guest, kTpidrurw, 8);
  EXPECT_THAT(guest.machine.thread_id_writes, ElementsAre(std::pair(ThreadId::UserReadOnly, 7u),
                                                          std::pair(ThreadId::UserWritable, 8u)));
}

TEST(Armv7Control, OtherCoprocessorsAndPairsAreUndefined) {
  Armv7Guest guest;
  for (unsigned coprocessor = 0; coprocessor < 14; ++coprocessor) {
    if (coprocessor == 10 || coprocessor == 11) continue;
    EXPECT_TRUE(is_undefined(guest.execute(mrc({coprocessor, 0, 0, 0, 0}))));
    EXPECT_TRUE(is_undefined(guest.execute(mcr({coprocessor, 0, 0, 0, 0}))));
  }
  EXPECT_TRUE(is_undefined(guest.execute(0xec510f0e)));  // mrrc p15, 0, r0, r1, c14
  EXPECT_TRUE(is_undefined(guest.execute(0xec410f02)));  // mcrr p15, 0, r0, r1, c2
  EXPECT_TRUE(is_undefined(guest.execute(mcr(kTtbr0, 15))));
  EXPECT_TRUE(guest.machine.is_untouched());
}

}  // namespace
}  // namespace mezzo::armv7
