// Calls and returns in assembly, executed by an emulator: they do what the C++ for the same exits
// does, or give up with everything as it was; and with anything at all in what the guest shares and
// in its registers, nothing comes out that the monitor has not decided.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>

#include "arch/armv7/stub_code.hpp"
#include "support/armv7_fast_bench.hpp"
#include "support/armv7_guest.hpp"

namespace mezzo::armv7 {
namespace {

using test::Armv7Guest;
using test::FastBench;
using End = FastBench::End;
using status::Armv7Exit;

constexpr std::uint32_t kStub = MEZZO_STUBS + 0x1000;  // a return stub
constexpr std::uint32_t kDacr = 0x55555551, kKernelAccess = 0x50000005, kUserAccess = 0x40000004;
constexpr std::uint32_t kVector = 0xffff0008;
constexpr std::uint32_t kGuestCpsr = psr::kUser | psr::kAbortOff;
constexpr std::uint32_t kLoad = 0xe9527fff, kLoadButFirst = 0xe9527ffe, kReturn = 0xe1b0f00e;
constexpr std::uint32_t kRaised = 0x48;  // SP, by a return

struct FastPathTest : testing::Test {
  FastBench bench{MEZZO_FAST_PATH_IMAGE};
  std::mt19937 random{1};
  Armv7Guest model{psr::kSupervisor};

  std::uint32_t any() { return static_cast<std::uint32_t>(random()); }

  // The model in `mode`, and the bench alike, with everything that may differ from call to call.
  void begin(std::uint32_t mode) {
    model.in_mode(mode);
    for (unsigned n = 0; n < 15; ++n) model.frame.r[n] = any();
    model.frame.cpsr = (any() & (psr::kFlags | psr::kGreaterEqual)) | kGuestCpsr;
    model.vcpu.set_masks(any() & ~psr::kIrqOff);
    model.vcpu.control.sctlr |= sctlr::kHighVectors;
    SharedState& shared = model.shared;
    shared.dacr = kDacr;
    shared.spsr = (any() & (psr::kFlags | psr::kGreaterEqual)) | psr::kUser;
    shared.kernels_thread = any();
    shared.process_thread = any();
    shared.tpidrprw = any();
    shared.tpidrurw = any();
    for (Bank& bank : model.vcpu.banks) bank = {any(), any(), any()};
    bench.fast() = {.transfers_off = 0,
                    .blocked = 0,
                    .dacr = kDacr,
                    .kernel_access = kKernelAccess,
                    .user_access = kUserAccess,
                    .call_vector = kVector,
                    .exits = FastBench::kCounters};
  }
  void load() {
    bench.shared() = model.shared;
    bench.vcpu() = {model.vcpu.mode, model.vcpu.banks};
    bench.word(kStub) = kReturnCall | kRaised;
    bench.word(kStub + 16) = kReturnCall | kRaised | kKeepsFirst;
  }
  // The registers of a process behind whose end R2 points, on the bench and in the model.
  void put_registers(std::uint32_t r2) {
    model.frame.r[2] = r2;
    for (std::uint32_t at = r2 - 60; at != r2; at += 4) {
      const std::uint32_t value = any();
      bench.word(at) = value;
      model.machine.put(at, value);
    }
  }

  // Behind an SVC, back in the guest as the model is.
  void expect_guest(const FastBench::Result& result) {
    ASSERT_EQ(result.end, End::Guest) << std::hex << result.pc;
    Frame frame = bench.cpu.get();
    for (unsigned n = 0; n < 15; ++n) EXPECT_EQ(frame.r[n], model.frame.r[n]) << "r" << n;
    EXPECT_EQ(frame.pc, model.frame.pc);
    EXPECT_EQ(frame.cpsr, model.frame.cpsr);
    EXPECT_EQ(bench.vcpu().mode, model.vcpu.mode);
    EXPECT_EQ(bench.shared().psr, model.shared.psr);
    EXPECT_TRUE(bench.is_rest_untouched());
  }
  // Given up: handle_trap() sees the call, and nothing has changed.
  void expect_monitor(const Frame& registers) {
    const SharedState shared = bench.shared();
    const FastBench::VcpuHead vcpu = bench.vcpu();
    const FastPath fast = bench.fast();
    const auto result = bench.call(registers);
    ASSERT_EQ(result.end, End::Monitor) << std::hex << result.pc;
    EXPECT_EQ(bench.cpu.read(UC_ARM_REG_R0), std::uint32_t{MEZZO_TRAP_SUPERVISOR_CALL});
    EXPECT_EQ(bench.cpu.read(UC_ARM_REG_R1), registers.cpsr);
    EXPECT_EQ(bench.cpu.read(UC_ARM_REG_CPSR) & psr::kModeMask, psr::kSupervisor);
    EXPECT_EQ(bench.cpu.read(UC_ARM_REG_SP), layout::kFrame);
    EXPECT_EQ(std::memcmp(&bench.frame(), &registers, sizeof registers), 0);
    EXPECT_EQ(std::memcmp(&bench.shared(), &shared, sizeof shared), 0);
    EXPECT_EQ(bench.vcpu().mode, vcpu.mode);
    EXPECT_EQ(std::memcmp(&bench.fast(), &fast, sizeof fast), 0);
    EXPECT_FALSE(result.access);
    EXPECT_FALSE(result.thread);
    EXPECT_FALSE(result.user_thread);
    EXPECT_TRUE(bench.is_rest_untouched());
  }
};
using Armv7FastPath = FastPathTest;

// ---- alike with C++ ----

TEST_F(Armv7FastPath, ACallIsWhatDeliveryDoes) {
  for (int round = 0; round < 60; ++round) {
    begin(psr::kUser);
    if (round % 3 == 0) model.frame.cpsr |= psr::kThumb;
    if (round % 5 == 0) model.frame.cpsr |= psr::kEndian;
    const bool thumb = (model.frame.cpsr & psr::kThumb) != 0;
    model.frame.pc = any() & (thumb ? ~1u : ~3u);
    load();
    const std::uint32_t users = any();
    bench.cpu.set_user_thread(users);
    bench.counter(Armv7Exit::SupervisorCall) = round == 0 ? 0xffffffff : 7;
    const std::uint64_t before = bench.counter(Armv7Exit::SupervisorCall);
    const auto result = bench.call(model.frame);
    model.frame.pc -= thumb ? 2 : 4;  // as handle_trap() does
    ASSERT_EQ(deliver(model.context, raise(Exception::SupervisorCall)).kind, Verdict::Kind::Resume);
    expect_guest(result);
    EXPECT_EQ(bench.shared().spsr, model.shared.spsr);
    EXPECT_EQ(bench.vcpu().banks[0].sp, model.vcpu.banks[0].sp);
    EXPECT_EQ(bench.vcpu().banks[0].lr, model.vcpu.banks[0].lr);
    EXPECT_EQ(bench.shared().user_sp, model.vcpu.banks[0].sp);
    EXPECT_EQ(bench.shared().user_lr, model.vcpu.banks[0].lr);
    EXPECT_EQ(result.access, kKernelAccess);
    EXPECT_EQ(result.thread, model.shared.kernels_thread);
    EXPECT_EQ(result.user_thread, model.shared.tpidrprw);
    EXPECT_EQ(bench.shared().tpidrurw, users);
    EXPECT_EQ(bench.counter(Armv7Exit::SupervisorCall), before + 1);
    if (HasFailure()) return;
  }
}

TEST_F(Armv7FastPath, AReturnIsWhatItsInstructionsDo) {
  for (int round = 0; round < 60; ++round) {
    begin(psr::kSupervisor);
    if (round % 3 == 0) model.shared.spsr |= psr::kThumb;
    model.shared.spsr |= any() & psr::kAbortOff;
    put_registers(Armv7Guest::kData + 60 + any() % 0x1fc0 / 4 * 4);
    load();
    const bool keeps = round % 2 != 0;
    const std::uint32_t at = keeps ? kStub + 16 : kStub;
    model.frame.pc = at + 4;
    bench.counter(Armv7Exit::ExceptionReturn) = round == 0 ? 0xffffffff : 7;
    const std::uint64_t before = bench.counter(Armv7Exit::ExceptionReturn);
    const auto result = bench.call(model.frame);
    ASSERT_EQ(model.execute(keeps ? kLoadButFirst : kLoad).kind, Verdict::Kind::Skip);
    model.frame.r[13] += kRaised;
    const Frame kernel = model.frame;
    ASSERT_EQ(model.execute(kReturn).kind, Verdict::Kind::Resume);
    expect_guest(result);
    const Bank& supervisor = bench.vcpu().banks[1];
    EXPECT_EQ(supervisor.sp, kernel.r[13]);
    EXPECT_EQ(supervisor.lr, kernel.r[14]);
    EXPECT_EQ(supervisor.spsr, model.vcpu.banks[1].spsr);
    EXPECT_EQ(result.access, kUserAccess);
    EXPECT_EQ(result.thread, model.shared.process_thread);
    EXPECT_EQ(result.user_thread, model.shared.tpidrurw);
    EXPECT_EQ(bench.counter(Armv7Exit::ExceptionReturn), before + 1);
    if (HasFailure()) return;
  }
}

// What a process has missed is filled at the return to it, and by no other word.
TEST_F(Armv7FastPath, AReturnFillsWhatTheProcessHasMissed) {
  const auto result_of = [&](std::uint32_t mode, std::uint32_t pc, std::uint32_t cpsr = 0) {
    begin(mode);
    put_registers(Armv7Guest::kData + 0x100);
    load();
    bench.fast().blocked = FastPath::kMissed;
    model.frame.pc = pc;
    model.frame.cpsr |= cpsr;
    return bench.call(model.frame);
  };
  const auto returned = result_of(psr::kSupervisor, kStub + 4);
  EXPECT_TRUE(returned.filled);
  ASSERT_EQ(model.execute(kLoad).kind, Verdict::Kind::Skip);
  model.frame.r[13] += kRaised;
  ASSERT_EQ(model.execute(kReturn).kind, Verdict::Kind::Resume);
  expect_guest(returned);
  EXPECT_EQ(bench.fast().blocked, 0u);

  const auto called = result_of(psr::kUser, 0x8000);
  EXPECT_EQ(called.end, End::Guest);
  EXPECT_FALSE(called.filled);
  EXPECT_EQ(bench.fast().blocked, FastPath::kMissed);
  bench.word(0xc0300000) = kReturnCall;
  const auto other = result_of(psr::kSupervisor, 0xc0300004);  // not a stub's
  EXPECT_EQ(other.end, End::Monitor);
  EXPECT_FALSE(other.filled);
  // In Thumb code the word before need not be aligned: nobody looks at it.
  bench.word(kStub) = kReturnCall << 16;
  bench.word(kStub + 4) = kReturnCall >> 16;
  const auto thumb = result_of(psr::kSupervisor, kStub + 6, psr::kThumb);
  EXPECT_EQ(thumb.end, End::Monitor);
  EXPECT_FALSE(thumb.filled);
}

constexpr std::uint32_t kText = 0xc0300000;
constexpr std::uint32_t kMcrThread = 0xee0d0f70, kMcrContext = 0xee0d0f30;
constexpr std::uint32_t kMcrPrediction = 0xee070fd5, kMcrPredictionAll = 0xee070fd1;
constexpr std::uint32_t kMcrInstructions = 0xee070f15, kMcrInstructionsAll = 0xee070f11;

TEST_F(Armv7FastPath, TransfersAreWhatTheirEmulationDoes) {
  struct Case {
    std::uint32_t word;
    Armv7Exit cause;
  };
  constexpr Case kCases[] = {{kMcrThread, Armv7Exit::ThreadId},
                             {kMcrContext, Armv7Exit::Translation},
                             {kMcrPrediction, Armv7Exit::CacheOperation},
                             {kMcrPredictionAll, Armv7Exit::CacheOperation},
                             {kMcrInstructions, Armv7Exit::CacheOperation},
                             {kMcrInstructionsAll, Armv7Exit::CacheOperation}};
  for (int round = 0; round < 100; ++round) {
    const Case& transfer = kCases[any() % std::size(kCases)];
    const std::uint32_t rt = any() % 15;
    begin(round % 2 != 0 ? psr::kSupervisor : psr::kIrq);
    load();
    const std::uint32_t value = model.frame.r[rt];
    const FastBench::Context known{any() | 1, any() & 0xff};
    bench.context(value & 0xff) = known;
    bench.contextidr() = model.vcpu.control.contextidr;
    bench.word(kText) = transfer.word | rt << 12;
    bench.counter(transfer.cause) = 0xffffffff;
    model.frame.pc = kText;
    ASSERT_EQ(model.execute(transfer.word | rt << 12).kind, Verdict::Kind::Skip);
    model.frame.pc = kText + 4;
    const auto result = bench.undefined(model.frame);
    ASSERT_NO_FATAL_FAILURE(expect_guest(result));
    EXPECT_EQ(bench.contextidr(), model.vcpu.control.contextidr);
    EXPECT_EQ(bench.counter(transfer.cause), 0x100000000u);
    EXPECT_FALSE(result.access);
    const bool thread = transfer.word == kMcrThread, context = transfer.word == kMcrContext;
    EXPECT_EQ(result.thread, thread ? std::optional(value) : std::nullopt);
    EXPECT_EQ(result.table, context ? std::optional(known.table) : std::nullopt);
    EXPECT_EQ(result.asid, context ? std::optional(known.asid) : std::nullopt);
    EXPECT_EQ(result.invalidations, thread || context ? 0u : 1u);
    if (thread) {
      EXPECT_EQ(bench.shared().kernels_thread, value);
      EXPECT_EQ(bench.shared().process_thread, value);
    }
    bench.context(value & 0xff) = {};
    if (HasFailure()) return;
  }
}

// ---- given up ----

TEST_F(Armv7FastPath, TransfersOutOfTheOrdinaryGoToCpp) {
  const auto expect = [&](std::uint32_t mode, std::uint32_t word, std::uint32_t cpsr = 0,
                          std::uint32_t off = 0) {
    begin(mode);
    load();
    bench.fast().transfers_off = off;
    bench.word(kText) = word;
    model.frame.pc = kText + 4;
    model.frame.cpsr |= cpsr;
    const auto result = bench.undefined(model.frame);
    ASSERT_EQ(result.end, End::Monitor) << std::hex << word;
    EXPECT_EQ(bench.cpu.read(UC_ARM_REG_R0), std::uint32_t{MEZZO_TRAP_UNDEFINED});
    EXPECT_EQ(bench.cpu.read(UC_ARM_REG_R1), model.frame.cpsr);
    EXPECT_EQ(std::memcmp(&bench.frame(), &model.frame, sizeof(Frame)), 0);
    EXPECT_FALSE(result.thread || result.table || result.asid || result.invalidations != 0);
  };
  for (const std::uint32_t word : {kMcrThread, kMcrContext, kMcrPrediction, kMcrInstructions}) {
    expect(psr::kUser, word);
    expect(psr::kSupervisor, word, psr::kThumb);
    expect(psr::kSupervisor, word, 0, 1);
    expect(psr::kSupervisor, word & 0x0fffffff);  // a condition
    expect(psr::kSupervisor, word | 1u << 20);    // MRC
  }
  expect(psr::kSupervisor, kMcrContext);  // a context that is not known
  expect(psr::kSupervisor, 0);
  begin(psr::kSupervisor);
  load();
  model.frame.pc = 0x00700000;  // text that is not mapped any more
  EXPECT_EQ(bench.undefined(model.frame).end, End::Monitor);
}

// The kernel's own text is SVC where words of it have been replaced.
TEST_F(Armv7FastPath, ReplacedWordsGoToCpp) {
  for (const std::uint32_t call : {0xefa50000u, 0xefa50005u, 0x1fa50fffu, 0xef000000u}) {
    begin(psr::kSupervisor);
    load();
    bench.word(kText) = call;
    model.frame.pc = kText + 4;
    const FastPath fast = bench.fast();
    const auto result = bench.call(model.frame);
    ASSERT_EQ(result.end, End::Monitor) << std::hex << call;
    EXPECT_EQ(std::memcmp(&bench.frame(), &model.frame, sizeof(Frame)), 0);
    EXPECT_EQ(std::memcmp(&bench.fast(), &fast, sizeof fast), 0);
    EXPECT_FALSE(result.access);
  }
}

TEST_F(Armv7FastPath, WhatIsBlockedOrStaleGoesToCpp) {
  for (const std::uint32_t mode : {psr::kUser, psr::kSupervisor}) {
    for (const std::uint32_t blocked : {1u, 2u, 4u, 8u, 15u, 17u, 31u}) {
      begin(mode);
      put_registers(Armv7Guest::kData + 0x100);
      load();
      bench.fast().blocked = blocked;
      model.frame.pc = kStub + 4;
      expect_monitor(model.frame);
    }
    begin(mode);
    load();
    model.frame.pc = kStub + 4;
    bench.shared().dacr ^= 4;
    expect_monitor(model.frame);
  }
}

TEST_F(Armv7FastPath, CallsInTheKernelThatAreNoReturnsGoToCpp) {
  const auto expect = [&](std::uint32_t mode, std::uint32_t pc, std::uint32_t cpsr = 0) {
    begin(mode);
    put_registers(Armv7Guest::kData + 0x100);
    load();
    model.frame.pc = pc;
    model.frame.cpsr |= cpsr;
    expect_monitor(model.frame);
  };
  for (const std::uint32_t mode :
       {psr::kSystem, psr::kIrq, psr::kAbort, psr::kUndefined, psr::kFiq}) {
    expect(mode, kStub + 4);
  }
  expect(psr::kSupervisor, kStub + 4, psr::kThumb);
  bench.word(0xc0300000) = kReturnCall;
  expect(psr::kSupervisor, 0xc0300004);  // not a stub
  bench.word(MEZZO_STUBS - 4) = kReturnCall;
  expect(psr::kSupervisor, MEZZO_STUBS);  // just before them
  expect(psr::kSupervisor, MEZZO_STUBS + MEZZO_STUBS_SIZE + 4);
  expect(psr::kSupervisor, 0);
}

TEST_F(Armv7FastPath, ReturnsToAnythingButPlainUserModeGoToCpp) {
  for (std::uint32_t bit = 0; bit < 32; ++bit) {
    begin(psr::kSupervisor);
    put_registers(Armv7Guest::kData + 0x100);
    model.shared.spsr = psr::kUser ^ 1u << bit;
    load();
    model.frame.pc = kStub + 4;
    constexpr std::uint32_t kHarmless =
        psr::kFlags | psr::kGreaterEqual | psr::kThumb | psr::kAbortOff;
    if ((kHarmless >> bit & 1) != 0) {
      EXPECT_EQ(bench.call(model.frame).end, End::Guest) << bit;
    } else {
      expect_monitor(model.frame);
    }
  }
}

TEST_F(Armv7FastPath, RegistersThatCannotBeLoadedLeaveTheFrameAlone) {
  constexpr std::uint32_t kBoundary = 0x00500000;  // of two pages
  for (const bool first : {false, true}) {
    for (const bool second : {false, true}) {
      for (std::uint32_t behind = 0; behind <= 64; behind += 4) {
        begin(psr::kSupervisor);
        load();
        const std::uint32_t base = kBoundary + (first ? 0x10000 : 0) + (second ? 0x20000 : 0);
        if (first) bench.map(base - 4);
        if (second) bench.map(base);
        model.frame.r[2] = base + behind;
        model.frame.pc = kStub + 4;
        const bool readable = (first || behind >= 60) && (second || behind == 0);
        if (readable) {
          EXPECT_EQ(bench.call(model.frame).end, End::Guest);
        } else {
          expect_monitor(model.frame);
        }
      }
    }
  }
}

// They may lie around the end of the address space, too.
TEST_F(Armv7FastPath, RegistersAroundTheEndOfTheAddressSpace) {
  constexpr std::uint32_t kLastPage = 0xfffff000;
  const auto call = [&](std::uint32_t r2, bool readable) {
    begin(psr::kSupervisor);
    load();
    model.frame.r[2] = r2;
    model.frame.pc = kStub + 4;
    if (!readable) return expect_monitor(model.frame);
    EXPECT_EQ(bench.call(model.frame).end, End::Guest) << r2;
  };
  for (std::uint32_t r2 = 0; r2 < 60; r2 += 4) call(r2, false);
  bench.map(kLastPage);
  for (std::uint32_t r2 = 0; r2 < 60; r2 += 4) call(r2, r2 == 0);
  bench.map(0);
  for (std::uint32_t r2 = 0; r2 < 60; r2 += 4) call(r2, true);
}

TEST_F(Armv7FastPath, TheMonitorIsNotReadForTheGuest) {
  const auto expect = [&](std::uint32_t r2) {
    begin(psr::kSupervisor);
    load();
    model.frame.r[2] = r2;
    model.frame.pc = kStub + 4;
    expect_monitor(model.frame);
  };
  for (std::uint32_t r2 = MEZZO_WINDOW; r2 < MEZZO_WINDOW + 0x200000 + 60; r2 += 1036) expect(r2);
  for (const std::uint32_t r2 : {MEZZO_CPU_AREA + 0x100u, MEZZO_FRAME + 60u, MEZZO_SHARED + 64u,
                                 MEZZO_WINDOW + 4u, 0xffc00038u}) {
    expect(r2);
  }
  for (const std::uint32_t odd : {1u, 2u, 3u}) {
    put_registers(Armv7Guest::kData + 0x100);
    expect(Armv7Guest::kData + 0x100 + odd);
  }
}

// ---- anything ----

// Every word that the guest can write has any value; the monitor's own are right.
TEST_F(Armv7FastPath, NothingComesOutThatTheMonitorHasNotDecided) {
  constexpr std::uint32_t kModes[] = {psr::kUser, psr::kSupervisor, psr::kSupervisor, psr::kSystem,
                                      psr::kIrq};
  unsigned ends[3] = {};
  for (int round = 0; round < 150; ++round) {
    const std::uint32_t mode = kModes[any() % std::size(kModes)];
    begin(mode);
    if (any() % 2 == 0) put_registers(Armv7Guest::kData + 60 + any() % 0x1fc0);
    load();
    auto* words = reinterpret_cast<std::uint32_t*>(&bench.shared());
    for (std::uint32_t n = 0; n < sizeof(SharedState) / 4; ++n) {
      const bool dacr = n == MEZZO_SHARED_DACR / 4, spsr = n == MEZZO_SHARED_SPSR / 4;
      if (any() % 4 != 0 && !(dacr && any() % 8 != 0)) words[n] = any();
      if (dacr && any() % 8 != 0) words[n] = kDacr;
      if (spsr && any() % 2 == 0) words[n] &= 0xf80f01f0;
    }
    const bool is_stub = any() % 4 != 0;
    model.frame.pc = is_stub ? kStub + 4 + any() % 2 * 16 : any() & ~3u;
    if (any() % 4 == 0) model.frame.r[2] = any();
    if (mode == psr::kUser && any() % 2 == 0) model.frame.cpsr |= psr::kThumb;
    const auto result = bench.call(model.frame);
    ++ends[static_cast<unsigned>(result.end)];
    ASSERT_NE(result.end, End::Broken) << std::hex << result.pc;
    ASSERT_TRUE(bench.is_rest_untouched());
    if (result.end == End::Monitor) {
      ASSERT_EQ(std::memcmp(&bench.frame(), &model.frame, sizeof(Frame)), 0);
      ASSERT_EQ(bench.vcpu().mode, mode);
      ASSERT_FALSE(result.access);
      continue;
    }
    const std::uint32_t cpsr = bench.cpu.read(UC_ARM_REG_CPSR);
    constexpr std::uint32_t kFree = psr::kFlags | psr::kGreaterEqual | psr::kThumb;
    ASSERT_EQ(cpsr & ~kFree, kGuestCpsr);
    ASSERT_TRUE(mode == psr::kUser || mode == psr::kSupervisor);
    const bool calls = mode == psr::kUser;
    ASSERT_EQ(bench.vcpu().mode, calls ? psr::kSupervisor : psr::kUser);
    ASSERT_EQ(result.access, calls ? kKernelAccess : kUserAccess);
    if (calls) ASSERT_EQ(bench.cpu.pc(), kVector);
    for (std::size_t bank = 2; bank < model.vcpu.banks.size(); ++bank) {
      ASSERT_EQ(std::memcmp(&bench.vcpu().banks[bank], &model.vcpu.banks[bank], sizeof(Bank)), 0);
    }
  }
  EXPECT_GT(ends[0], 15u);
  EXPECT_GT(ends[1], 100u);
}

}  // namespace
}  // namespace mezzo::armv7
