// An exception through a vector stub as Linux has it: what the processor does by itself, and then
// the stub's eleven instructions, at once.
#include "arch/armv7/vector_stub.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>

#include "support/armv7_guest.hpp"

namespace mezzo::armv7 {
namespace {

using test::Armv7Guest;

constexpr std::uint32_t kVectors = 0xffff0000, kStub = 0xffff1000, kHandlers = 0xc0300000;

// The machine, with what deliver_through() wants besides.
struct StubMachine : test::Armv7Machine {
  [[nodiscard]] std::optional<std::uint32_t> instruction_at(std::uint32_t at) {
    if (!text.contains(at)) return std::nullopt;
    return text[at];
  }
  [[nodiscard]] bool put_words(std::uint32_t at, std::uint32_t first, std::uint32_t second,
                               std::uint32_t third) {
    if (refuses_stores) return false;
    put(at, first);
    put(at + 4, second);
    put(at + 8, third);
    return true;
  }
  std::map<std::uint32_t, std::uint32_t> text;
  bool refuses_stores = false;
};

struct Armv7VectorStub : testing::Test {
  StubMachine machine;
  Armv7Guest guest;
  Context<StubMachine> context{machine, guest.vcpu, guest.frame};
  VectorStubs stubs;

  // vector_stub \name, \mode, \correction of arch/arm/kernel/entry-armv.S.
  void put_stub(Exception exception, std::uint32_t correction, std::uint32_t mode) {
    const std::uint32_t vector = kVectors + 4 * static_cast<std::uint32_t>(exception);
    machine.text[vector] = 0xea000000 | (kStub - vector - 8) / 4;
    std::uint32_t at = kStub;
    const auto put = [&](std::uint32_t word) {
      machine.text[at] = word;
      at += 4;
    };
    if (correction != 0) put(0xe24ee000 | correction);
    for (const std::uint32_t word : {0xe88d4001u, 0xe14fe000u, 0xe58de008u, 0xe10f0000u}) put(word);
    put(0xe2200000 | (mode ^ psr::kSupervisor));
    for (const std::uint32_t word : {0xe16ff000u, 0xe20ee00fu, 0xe1a0000du, 0xe79fe10eu}) put(word);
    put(0xe1b0f00e);
    for (std::uint32_t n = 0; n < 16; ++n) put(kHandlers + 0x100 * n);
  }
  [[nodiscard]] const VectorStub* find(Exception exception) {
    const std::uint32_t vector = kVectors + 4 * static_cast<std::uint32_t>(exception);
    return stubs.find(exception, vector,
                      [&](std::uint32_t at) { return machine.instruction_at(at); });
  }
};

TEST_F(Armv7VectorStub, IsWhatDeliveryAndTheStubDo) {
  struct Case {
    Exception exception;
    std::uint32_t correction, through;
  };
  constexpr Case kCases[] = {{Exception::DataAbort, 8, psr::kAbort},
                             {Exception::PrefetchAbort, 4, psr::kAbort},
                             {Exception::Irq, 4, psr::kIrq},
                             {Exception::Undefined, 0, psr::kUndefined}};
  for (const Case& c : kCases) {
    for (const std::uint32_t mode : {psr::kUser, psr::kSupervisor, psr::kSystem}) {
      for (const bool thumb : {false, true}) {
        if (thumb && mode != psr::kUser) continue;
        machine.text.clear();
        stubs.forget();
        put_stub(c.exception, c.correction, c.through);
        const VectorStub* const stub = find(c.exception);
        ASSERT_NE(stub, nullptr);
        guest.vcpu.control.sctlr |= sctlr::kHighVectors;
        guest.in_mode(mode);
        guest.frame.pc = 0x8004;
        guest.frame.cpsr = psr::kUser | psr::kFlags | psr::kEndian | (thumb ? psr::kThumb : 0);
        guest.vcpu.set_masks(psr::kFiqOff);

        // The same by the C++ for one exception, and the stub's instructions by hand.
        Armv7Guest other;
        other.vcpu.control = guest.vcpu.control;
        other.in_mode(mode);
        other.frame = guest.frame;
        other.vcpu.set_masks(psr::kFiqOff);
        const Verdict verdict = c.exception == Exception::DataAbort
                                    ? abort_verdict(c.exception, 0x807, GuestVirtual{0x1234})
                                    : raise(c.exception);
        ASSERT_EQ(deliver(other.context, verdict).kind, Verdict::Kind::Resume);
        const std::uint32_t sp = other.frame.r[13], lr = other.frame.r[14] - c.correction;
        const std::uint32_t saved = other.shared.spsr, r0 = other.frame.r[0];
        const std::uint32_t handler = kHandlers + 0x100 * (saved & 15);
        other.shared.spsr = other.vcpu.status(other.frame) ^ c.through ^ psr::kSupervisor;
        other.frame.r[0] = sp;
        other.frame.r[14] = handler;
        change_mode(other.vcpu, other.frame, psr::kSupervisor);
        other.frame.pc = handler;

        ASSERT_TRUE(deliver_through(context, verdict, *stub));
        EXPECT_EQ(machine.get(sp), r0);
        EXPECT_EQ(machine.get(sp + 4), lr);
        EXPECT_EQ(machine.get(sp + 8), saved);
        for (unsigned n = 0; n < 15; ++n) EXPECT_EQ(guest.frame.r[n], other.frame.r[n]) << n;
        EXPECT_EQ(guest.frame.pc, other.frame.pc);
        EXPECT_EQ(guest.frame.cpsr, other.frame.cpsr);
        EXPECT_EQ(guest.vcpu.mode, psr::kSupervisor);
        EXPECT_EQ(guest.shared.psr, other.shared.psr);
        EXPECT_EQ(guest.vcpu.control.dfsr, other.vcpu.control.dfsr);
        EXPECT_EQ(guest.vcpu.control.dfar, other.vcpu.control.dfar);
        for (const std::uint32_t each : test::kArmv7Modes) {
          change_mode(guest.vcpu, guest.frame, each);
          change_mode(other.vcpu, other.frame, each);
          EXPECT_EQ(guest.frame.r[13], other.frame.r[13]) << each;
          EXPECT_EQ(guest.frame.r[14], other.frame.r[14]) << each;
          EXPECT_EQ(guest.shared.spsr, other.shared.spsr) << each;
        }
      }
    }
  }
}

TEST_F(Armv7VectorStub, ChangesNothingIfItCannotBeDone) {
  put_stub(Exception::DataAbort, 8, psr::kAbort);
  const VectorStub stub = *find(Exception::DataAbort);
  const auto refuses = [&](const VectorStub& tried) {
    const Frame frame = guest.frame;
    const std::uint32_t mode = guest.vcpu.mode, psr = guest.shared.psr;
    const bool done = deliver_through(context, raise(Exception::DataAbort), tried);
    return !done && guest.vcpu.mode == mode && guest.shared.psr == psr &&
           std::memcmp(&frame, &guest.frame, sizeof frame) == 0;
  };
  guest.in_mode(psr::kUser);
  VectorStub changed = stub;
  changed.mode_change = psr::kAbort ^ psr::kUser;
  EXPECT_TRUE(refuses(changed));
  changed.mode_change = psr::kAbort ^ 0x14;  // no mode
  EXPECT_TRUE(refuses(changed));
  changed = stub;
  changed.table = 0x1000;
  EXPECT_TRUE(refuses(changed));
  machine.text[stub.table] |= 1;  // not ARM code, for a process
  EXPECT_TRUE(refuses(stub));
  machine.text[stub.table] &= ~1u;
  machine.refuses_stores = true;
  EXPECT_TRUE(refuses(stub));
  machine.refuses_stores = false;
  guest.in_mode(psr::kAbort);
  EXPECT_TRUE(refuses(stub));
  guest.in_mode(psr::kSupervisor);
  guest.frame.cpsr |= psr::kThumb;
  EXPECT_TRUE(refuses(stub));
}

TEST_F(Armv7VectorStub, OtherCodeIsNone) {
  put_stub(Exception::Irq, 4, psr::kIrq);
  for (auto& [at, word] : machine.text) {
    if (at >= kStub + 44) continue;  // the table
    const std::uint32_t kept = word;
    word ^= 0x00100000;
    stubs.forget();
    EXPECT_EQ(find(Exception::Irq), nullptr) << std::hex << at;
    word = kept;
  }
  stubs.forget();
  EXPECT_NE(find(Exception::Irq), nullptr);
}

}  // namespace
}  // namespace mezzo::armv7
