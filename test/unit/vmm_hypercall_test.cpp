// Hypercalls as abi/hypercall.hpp describes them, with arguments a guest should not give.
#include "arch/ia32/hypercalls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "support/fake_guest.hpp"

namespace mezzo::ia32 {
namespace {

using hypercall::Call;
using hypercall::Error;
using test::FakeGuest;
using Kind = Verdict::Kind;

constexpr std::uint32_t kText = 0x30000;

struct TextLog {
  std::string text;
  void write(auto... parts) { ((text += parts), ...); }
};

struct Hypercall : testing::Test {
  std::unique_ptr<plan::Plan> plan = std::make_unique<plan::Plan>();
  status::PartitionStatus status{};
  FakeGuest guest;
  TextLog log;
  Doorbells doorbells;

  void SetUp() override {
    plan::Partition& row = plan->partitions[1];
    std::copy_n("zephyr", 7, row.name);
    row.cpu = 3;
    row.first_piece = 1;
    row.piece_count = 3;
    plan->pieces[0] = {0x40000000, 0x10000000, 0x40000000};  // somebody else's
    plan->pieces[1] = {0x10000, 0x10000, 0x10000};
    plan->pieces[2] = {0x10000000, 0x2000000, 0x10000000};
    plan->pieces[3] = {0x20000000, 0x1000000, 0x20000000};
    guest.frame.ebx = guest.frame.ecx = guest.frame.edx = 0x55555555;
  }
  Verdict call(std::uint32_t number) {
    guest.frame.eax = number;
    const Partition partition(*plan, plan->partitions[1], status);
    return answer_hypercall(guest.context, partition, doorbells, log);
  }
  // EAX after a call that resumes.
  std::uint32_t result_of(Call number) {
    EXPECT_EQ(call(static_cast<std::uint32_t>(number)).kind, Kind::Resume);
    return guest.frame.eax;
  }
  std::uint32_t write(std::uint32_t address, std::uint32_t bytes) {
    guest.frame.ebx = address;
    guest.frame.ecx = bytes;
    return result_of(Call::ConsoleWrite);
  }
};
std::uint32_t code(Error error) { return static_cast<std::uint32_t>(error); }

TEST_F(Hypercall, NullAndVersion) {
  EXPECT_EQ(result_of(Call::Null), 0u);
  EXPECT_EQ(result_of(Call::Version), hypercall::kVersion);
  EXPECT_EQ(guest.frame.ebx, 0x55555555u);
  EXPECT_EQ(guest.frame.eip, FakeGuest::kEip) << "INT leaves EIP behind itself already";
}

TEST_F(Hypercall, UnknownNumbersAreRefused) {
  for (const std::uint32_t number : {static_cast<std::uint32_t>(Call::Count), 0x7fffffffu, ~0u}) {
    EXPECT_EQ(call(number).kind, Kind::Resume);
    EXPECT_EQ(guest.frame.eax, code(Error::UnknownCall));
  }
}

TEST_F(Hypercall, PartitionInfo) {
  status.restarts = 7;
  EXPECT_EQ(result_of(Call::PartitionInfo), 0u);
  EXPECT_EQ(guest.frame.ebx, 1u);
  EXPECT_EQ(guest.frame.ecx, 3u);
  EXPECT_EQ(guest.frame.edx, 7u);
}

TEST_F(Hypercall, MemoryStartIsThatOfThePartitionsLargestPiece) {
  EXPECT_EQ(result_of(Call::MemoryStart), 0x10000000u);
  EXPECT_EQ(guest.frame.ebx, 0x2000000u);
}

TEST_F(Hypercall, CountersHaveTwoHalvesAndAnEnd) {
  status.exits[2] = 0x123456789abcdef0;
  guest.frame.ebx = 2;
  EXPECT_EQ(result_of(Call::Counter), 0x9abcdef0u);
  EXPECT_EQ(guest.frame.edx, 0x12345678u);
  for (const std::uint32_t cause : {status::kExitCauses, 0x80000000u, ~0u}) {
    guest.frame.ebx = cause;
    EXPECT_EQ(result_of(Call::Counter), code(Error::BadArgument)) << cause;
  }
  guest.frame.ebx = status::kExitCauses - 1;
  EXPECT_EQ(result_of(Call::Counter), 0u);
}

TEST_F(Hypercall, KickWatchdog) {
  EXPECT_EQ(result_of(Call::KickWatchdog), 0u);
  EXPECT_EQ(guest.machine.kicks, 1u);
}

TEST_F(Hypercall, TellLatency) {
  guest.frame.ebx = 300;
  guest.frame.ecx = 9000;
  EXPECT_EQ(result_of(Call::TellLatency), 0u);
  EXPECT_EQ(status.latency.mean, 300u);
  EXPECT_EQ(status.latency.most, 9000u);
}

TEST_F(Hypercall, StopAndRestart) {
  const Verdict stop = call(static_cast<std::uint32_t>(Call::StopSelf));
  EXPECT_EQ(stop.kind, Kind::Stop);
  EXPECT_EQ(stop.reason, status::StopReason::BySelf);
  EXPECT_EQ(call(static_cast<std::uint32_t>(Call::RestartSelf)).kind, Kind::Restart);
}

TEST_F(Hypercall, ConsoleTextCarriesThePartitionsName) {
  guest.machine.put(kText, std::array{'h', 'e', 'l', 'l', 'o', '\n'});
  EXPECT_EQ(write(kText, 6), 6u);
  EXPECT_EQ(log.text, "zephyr: hello\n");
}

TEST_F(Hypercall, ConsoleTextOfTheGreatestLengthIsWhole) {
  std::string text;
  for (unsigned n = 0; n < hypercall::kConsoleWriteMax; ++n) {
    text += static_cast<char>('a' + n % 26);
    guest.machine.put(kText + n, text.back());
  }
  EXPECT_EQ(write(kText, hypercall::kConsoleWriteMax), hypercall::kConsoleWriteMax);
  EXPECT_EQ(log.text, "zephyr: " + text);
}

TEST_F(Hypercall, ConsoleTextTooLongIsRefusedWhole) {
  guest.machine.map(kText, 0x2000);
  for (const std::uint32_t bytes : {hypercall::kConsoleWriteMax + 1, 0x80000000u, ~0u}) {
    EXPECT_EQ(write(kText, bytes), code(Error::BadArgument)) << bytes;
  }
  EXPECT_EQ(log.text, "");
}

TEST_F(Hypercall, ConsoleTextThatCannotBeReadIsAnError) {
  guest.machine.map(0x40000, 0x1000);
  guest.machine.map(0xffbff000, 0x1000);
  guest.machine.map(0, 0x1000);
  EXPECT_EQ(write(0x77777777, 1), code(Error::BadAddress));
  EXPECT_EQ(write(0x40fff, 2), code(Error::BadAddress)) << "into a missing page";
  EXPECT_EQ(write(0xffbffff0, 17), code(Error::BadAddress)) << "into the window";
  EXPECT_EQ(write(0xffc00000, 1), code(Error::BadAddress)) << "the window";
  EXPECT_EQ(write(0xfffffff0, 0x20), code(Error::BadAddress)) << "around the end";
  EXPECT_EQ(write(0xffbffff0, 16), 16u) << "just below the window";
}

TEST_F(Hypercall, WritingNothingWritesNothing) {
  EXPECT_EQ(write(0x77777777, 0), 0u);
  EXPECT_EQ(log.text, "");
}

TEST_F(Hypercall, AFailedWriteLeavesNoHalfLine) {
  EXPECT_EQ(write(0x77777777, 5), code(Error::BadAddress));
  EXPECT_EQ(log.text, "");
}

}  // namespace
}  // namespace mezzo::ia32
