// Fuzzer: hypercalls with any arguments and memory, against what abi/hypercall.hpp promises:
// results and errors, registers that are kept, and a log that gets exactly the text that was
// written.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "arch/ia32/hypercalls.hpp"
#include "support/fake_machine.hpp"

namespace mezzo::test {
namespace {

using hypercall::Call;
using hypercall::Error;
using Kind = Verdict::Kind;

struct TextLog {
  std::string text;
  void write(auto... parts) { ((text += parts), ...); }
};

constexpr std::array<std::uint32_t, 8> kAddresses{0,          0x30000,    0x30fff,    0x31000,
                                                  0xffbff000, 0xffbfffff, 0xffc00000, 0xffffffff};
constexpr std::array<std::uint32_t, 4> kPresent{0x0, 0x30000, 0x31000, 0xffbff000};

void require(bool condition, const char* what, const ia32::Frame& f) {
  if (condition) return;
  std::fprintf(stderr, "%s: eax %#x ebx %#x ecx %#x edx %#x\n", what, f.eax, f.ebx, f.ecx, f.edx);
  std::abort();
}

std::uint8_t byte_of(std::uint32_t address) { return static_cast<std::uint8_t>(address * 37 >> 3); }

// The text at [address, +bytes), as far as the pages reach.
std::string readable(std::uint32_t address, std::uint32_t bytes) {
  std::string text;
  for (std::uint32_t n = 0; n < bytes; ++n) {
    const std::uint64_t at = std::uint64_t{address} + n;
    const bool present = std::ranges::any_of(kPresent, [&](std::uint32_t page) {
      return at >= page && at < std::uint64_t{page} + 4096;
    });
    if (!present) break;
    text += static_cast<char>(byte_of(static_cast<std::uint32_t>(at)));
  }
  return text;
}

void check_console(const ia32::Frame& before, const ia32::Frame& after, const std::string& log) {
  constexpr std::string_view kPrefix = "fuzz: ";
  const auto is = [&](Error error) { return after.eax == static_cast<std::uint32_t>(error); };
  if (before.ecx > hypercall::kConsoleWriteMax) {
    return require(is(Error::BadArgument) && log.empty(), "an over-long text", after);
  }
  const std::string text = readable(before.ebx, before.ecx);
  const std::string whole = before.ecx == 0 ? "" : std::string(kPrefix) + text;
  if (text.size() == before.ecx) {
    return require(after.eax == before.ecx && log == whole, "a good text", after);
  }
  require(is(Error::BadAddress), "a text that cannot be read", after);
  require(log.empty() || whole.starts_with(log), "a text of somebody else's", after);
}

// The partition has one channel, at whose other end CPU 7 listens.
void check_channel(const ia32::Frame& before, const ia32::Frame& after, const plan::Plan& plan) {
  const auto is_error = after.eax == static_cast<std::uint32_t>(Error::BadArgument);
  if (before.ebx != 0) return require(is_error, "a channel that is not there", after);
  switch (static_cast<Call>(before.eax)) {
    case Call::Channel:
      return require(after.eax == 0 && after.ebx == plan.channels[0].base &&
                         after.ecx == plan.channels[0].size && after.edx == 1,
                     "a channel", after);
    case Call::Listen: {
      const bool own = before.ecx >= 0xf1 && before.ecx <= 0xf3;
      const bool good = before.ecx == 0 || (before.ecx >= 32 && before.ecx < 256 && !own);
      return require(good ? after.eax == 0 : is_error, "a vector", after);
    }
    default:
      require(after.eax == 1, "a doorbell", after);
  }
}

void check_result(const ia32::Frame& before, const ia32::Frame& after, const Verdict& verdict,
                  const plan::Plan& plan, const status::PartitionStatus& status) {
  const auto call = static_cast<Call>(before.eax);
  const bool resumes = call != Call::StopSelf && call != Call::RestartSelf;
  require(resumes == (verdict.kind == Kind::Resume), "a verdict", after);
  switch (call) {
    case Call::Null:
    case Call::KickWatchdog:
      return require(after.eax == 0, "null", after);
    case Call::TellLatency:
      require(status.latency.mean == before.ebx && status.latency.most == before.ecx, "told",
              after);
      return require(after.eax == 0, "telling", after);
    case Call::Version:
      return require(after.eax == hypercall::kVersion, "version", after);
    case Call::PartitionInfo:
      return require(after.eax == 0 && after.ebx == 0 && after.ecx == 2 && after.edx == 5, "info",
                     after);
    case Call::MemoryStart:
      for (const plan::Piece& piece :
           std::span(plan.pieces).first(plan.partitions[0].piece_count)) {
        require(piece.size <= after.ebx, "a larger piece", after);
      }
      return;
    case Call::Counter:
      if (before.ebx >= status::kExitCauses) {
        return require(after.eax == static_cast<std::uint32_t>(Error::BadArgument), "cause", after);
      }
      return require((std::uint64_t{after.edx} << 32 | after.eax) == status.exits[before.ebx],
                     "counter", after);
    case Call::Channel:
    case Call::Listen:
    case Call::Ring:
      return check_channel(before, after, plan);
    case Call::ConsoleWrite:
    case Call::StopSelf:
    case Call::RestartSelf:
      return;
    default:
      require(after.eax == static_cast<std::uint32_t>(Error::UnknownCall), "unknown", after);
  }
}

void prepare(plan::Plan& plan, status::PartitionStatus& status, FuzzedDataProvider& data) {
  plan::Partition& row = plan.partitions[0];
  std::ranges::copy(std::string_view("fuzz"), row.name);
  row.cpu = 2;
  row.piece_count = data.ConsumeIntegralInRange<std::uint32_t>(1, plan::kMaxPieces);
  for (std::uint32_t n = 0; n < row.piece_count; ++n) {
    plan.pieces[n] = {n << 20, data.ConsumeIntegral<std::uint32_t>() & ~0xfffu, n << 20};
  }
  plan.partition_count = 2;
  plan.partitions[1].cpu = 7;
  plan.channel_count = 1;
  plan.channels[0] = {0x7000000, 0x3000, {{1, plan::kNoLine}, {0, plan::kNoLine}}};
  status.restarts = 5;
  for (std::uint64_t& count : status.exits) count = data.ConsumeIntegral<std::uint64_t>();
}

// The guest's memory: pages full of text, made once.
FakeMachine& text_machine() {
  static FakeMachine machine;
  static bool made = false;
  if (made) return machine;
  for (const std::uint32_t page : kPresent) {
    for (std::uint32_t n = 0; n < 4096; ++n) machine.put(page + n, byte_of(page + n));
  }
  made = true;
  return machine;
}

void run(FuzzedDataProvider& data) {
  ia32::Vcpu vcpu;
  ia32::Frame frame{};
  ia32::Context<FakeMachine> context{text_machine(), vcpu, frame};
  plan::Plan plan{};
  status::PartitionStatus status{};
  frame.eax = data.ConsumeIntegralInRange<std::uint32_t>(0, 12);
  if (data.ConsumeBool()) frame.eax = static_cast<std::uint32_t>(Call::ConsoleWrite);
  frame.ebx = data.ConsumeBool() ? data.ConsumeIntegral<std::uint32_t>()
                                 : data.PickValueInArray(kAddresses) -
                                       data.ConsumeIntegralInRange<std::uint32_t>(0, 64);
  if (frame.eax >= static_cast<std::uint32_t>(Call::Channel) && data.ConsumeBool()) frame.ebx = 0;
  frame.ecx = data.ConsumeBool() ? data.ConsumeIntegral<std::uint32_t>()
                                 : data.ConsumeIntegralInRange<std::uint32_t>(0, 1030);
  prepare(plan, status, data);
  const Partition partition(plan, plan.partitions[0], status);
  const ia32::Frame before = frame;
  TextLog log;
  Doorbells doorbells;
  doorbells.listen({0, 0}, 0x60);
  context.machine.interrupts.clear();
  const Verdict verdict = ia32::answer_hypercall(context, partition, doorbells, log);
  const ia32::Frame& after = frame;
  for (const Interrupt& sent : context.machine.interrupts) {
    require(static_cast<Call>(before.eax) == Call::Ring && sent.cpu == 7 && sent.vector == 0x60,
            "an interrupt that nobody asked for", after);
  }
  require(after.esi == before.esi && after.edi == before.edi && after.ebp == before.ebp &&
              after.esp == before.esp && after.eip == before.eip && after.cs == before.cs &&
              after.ss == before.ss && after.eflags == before.eflags,
          "a register that is kept", after);
  check_result(before, after, verdict, plan, status);
  if (static_cast<Call>(before.eax) == Call::ConsoleWrite) {
    check_console(before, after, log.text);
  } else {
    require(log.text.empty(), "a log nobody wrote", after);
  }
}

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  mezzo::test::run(data);
  return 0;
}
