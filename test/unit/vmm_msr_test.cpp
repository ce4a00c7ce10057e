// RDMSR and WRMSR of a guest kernel: what reaches the processor and what does not.
#include "arch/ia32/msr.hpp"

#include <gtest/gtest.h>

#include "support/fake_guest.hpp"

namespace mezzo::ia32 {
namespace {

using test::FakeGuest;
using Kind = Verdict::Kind;

constexpr std::uint32_t kUnknown = 0xdeadbeef, kMtrr = 0x200, kTsc = 0x10;

Verdict rdmsr(FakeGuest& guest, std::uint32_t number) {
  guest.frame.ecx = number;
  return read_msr(guest.context);
}
Verdict wrmsr(FakeGuest& guest, std::uint32_t number, std::uint64_t value) {
  guest.frame.ecx = number;
  guest.frame.eax = static_cast<std::uint32_t>(value);
  guest.frame.edx = static_cast<std::uint32_t>(value >> 32);
  return write_msr(guest.context);
}
bool is_protection(const Verdict& verdict) {
  return verdict.kind == Kind::Inject && verdict.vector == 13 && verdict.error_code == 0;
}

TEST(ReadMsr, SplitsTheProcessorsValue) {
  FakeGuest guest;
  guest.machine.msrs[msr::kApicBase] = 0x1122334455667788;
  EXPECT_EQ(rdmsr(guest, msr::kApicBase).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.eax, 0x55667788u);
  EXPECT_EQ(guest.frame.edx, 0x11223344u);
}

TEST(ReadMsr, UnknownRegistersFaultOnlyWhenTheGuestCanTakeIt) {
  FakeGuest guest;
  guest.frame.eax = guest.frame.edx = 0x5555;
  guest.vcpu.idt_settled = true;
  EXPECT_TRUE(is_protection(rdmsr(guest, kUnknown)));
  EXPECT_EQ(guest.frame.eax, 0x5555u);
  EXPECT_EQ(guest.frame.edx, 0x5555u);
  guest.vcpu.idt_settled = false;
  EXPECT_EQ(rdmsr(guest, kUnknown).kind, Kind::Skip);
  EXPECT_EQ(guest.frame.eax, 0u);
  EXPECT_EQ(guest.frame.edx, 0u);
}

TEST(WriteMsr, SysenterRegistersAreTheGuestsOwnAndNeverTheProcessors) {
  FakeGuest guest;
  for (const std::uint32_t number : {msr::kSysenterCs, msr::kSysenterEsp, msr::kSysenterEip}) {
    EXPECT_EQ(wrmsr(guest, number, number * 3).kind, Kind::Skip);
  }
  for (const std::uint32_t number : {msr::kSysenterCs, msr::kSysenterEsp, msr::kSysenterEip}) {
    EXPECT_EQ(rdmsr(guest, number).kind, Kind::Skip);
    EXPECT_EQ(guest.frame.eax, number * 3);
    EXPECT_EQ(guest.frame.edx, 0u);
  }
  EXPECT_TRUE(guest.machine.msr_writes.empty());
}

TEST(WriteMsr, RegistersOfThisCpuAloneAreWritten) {
  FakeGuest guest;
  guest.vcpu.idt_settled = true;
  for (const std::uint32_t number :
       {0x48u, 0x49u, 0x17au, 0x17bu, 0x400u, 0x401u, 0x47fu, 0x6e0u}) {
    guest.machine.msrs[number] = 0;
    guest.machine.msr_writes.clear();
    EXPECT_EQ(wrmsr(guest, number, 0x100000002).kind, Kind::Skip);
    ASSERT_EQ(guest.machine.msr_writes.size(), 1u) << number;
    EXPECT_EQ(guest.machine.msr_writes[0],
              (std::pair<std::uint32_t, std::uint64_t>{number, 0x100000002}));
  }
}

TEST(WriteMsr, WhatIsSharedOrTheMonitorsIsAcceptedAndIgnored) {
  FakeGuest guest;
  guest.vcpu.idt_settled = true;
  for (const std::uint32_t number : {kTsc, msr::kApicBase, kMtrr, 0x2ffu, 0x1a0u, 0x3ffu, 0x480u,
                                     0x830u, 0xc0000081u, 0xc0000082u}) {
    guest.machine.msrs[number] = 0;
    EXPECT_EQ(wrmsr(guest, number, ~0ull).kind, Kind::Skip) << number;
  }
  EXPECT_TRUE(guest.machine.msr_writes.empty());
}

TEST(WriteMsr, UnknownRegistersFaultOnlyWhenTheGuestCanTakeIt) {
  FakeGuest guest;
  EXPECT_EQ(wrmsr(guest, kUnknown, 1).kind, Kind::Skip);
  EXPECT_EQ(wrmsr(guest, msr::kSpeculationControl, 1).kind, Kind::Skip);
  guest.vcpu.idt_settled = true;
  EXPECT_TRUE(is_protection(wrmsr(guest, kUnknown, 1)));
  EXPECT_TRUE(is_protection(wrmsr(guest, msr::kSpeculationControl, 1)));
}

TEST(WriteMsr, LongModeEndsThePartition) {
  FakeGuest guest;
  guest.machine.msrs[msr::kExtendedFeatures] = 0;
  const Verdict verdict = wrmsr(guest, msr::kExtendedFeatures, 1u << 8);
  EXPECT_EQ(verdict.kind, Kind::Stop);
  EXPECT_EQ(verdict.reason, status::StopReason::Unsupported);
  EXPECT_EQ(verdict.detail[0], static_cast<std::uint32_t>(Unsupported::LongMode));
  EXPECT_TRUE(guest.machine.msr_writes.empty());
}

TEST(WriteMsr, OfExtendedFeaturesOnlyNoExecuteReachesTheProcessor) {
  FakeGuest guest;
  guest.machine.msrs[msr::kExtendedFeatures] = 0;
  EXPECT_EQ(wrmsr(guest, msr::kExtendedFeatures, ~std::uint64_t{1u << 8}).kind, Kind::Skip);
  ASSERT_EQ(guest.machine.msr_writes.size(), 1u);
  EXPECT_EQ(guest.machine.msr_writes[0].second, efer::kNoExecuteEnable);
}

TEST(PageAttributeTable, EntriesAreMemoryTypesAndTheFirstIsWriteBack) {
  EXPECT_TRUE(is_acceptable_pat(0x0007040600070406));  // after a reset
  EXPECT_TRUE(is_acceptable_pat(0x0407050600070106));  // Linux's
  EXPECT_FALSE(is_acceptable_pat(0x0007040600070400)) << "the monitor would run uncached";
  EXPECT_FALSE(is_acceptable_pat(0x0007040600070401));
  for (int entry = 1; entry < 8; ++entry) {
    for (std::uint64_t type = 0; type < 256; ++type) {
      const std::uint64_t value =
          (0x0606060606060606 & ~(0xffull << (entry * 8))) | type << (entry * 8);
      const bool is_type = type == 0 || type == 1 || (type >= 4 && type <= 7);
      EXPECT_EQ(is_acceptable_pat(value), is_type) << entry << " " << type;
    }
  }
}

TEST(PageAttributeTable, RefusedValuesFaultAndAreNotWritten) {
  FakeGuest guest;
  guest.machine.msrs[msr::kPageAttributes] = 0;
  EXPECT_TRUE(is_protection(wrmsr(guest, msr::kPageAttributes, 0)));
  EXPECT_TRUE(guest.machine.msr_writes.empty());
  EXPECT_EQ(wrmsr(guest, msr::kPageAttributes, 0x0007040600070406).kind, Kind::Skip);
  EXPECT_EQ(guest.machine.msr_writes.size(), 1u);
}

}  // namespace
}  // namespace mezzo::ia32
