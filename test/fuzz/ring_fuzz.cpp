// Fuzzer: a ring whose other end writes anything anywhere in the memory, before each single access.
// Nothing beyond the ring is touched, every call comes to its end, and once the other end behaves,
// messages arrive again.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "guest/channel/ring.hpp"

namespace {

struct Message {
  std::uint32_t words[3];
};

constexpr std::uint32_t kWords = 128, kBytes = kWords * 4, kAround = 16;
// The channel, with something of somebody else's before and behind it.
alignas(64) std::array<std::uint32_t, kAround + kWords + kAround> memory;
constexpr std::uint32_t kElse = 0x5a5a5a5a;

FuzzedDataProvider* hostile = nullptr;  // nothing: the other end behaves
std::uint32_t accesses = 0;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Writes into the channel whatever the input says, whenever it is asked.
void interfere() {
  ++accesses;
  if (hostile == nullptr || hostile->remaining_bytes() == 0) return;
  for (int n = hostile->ConsumeIntegralInRange(0, 2); n > 0; --n) {
    const auto at = hostile->ConsumeIntegralInRange<std::uint32_t>(0, kWords - 1);
    const auto small = hostile->ConsumeIntegralInRange<std::uint32_t>(0, 12);
    memory.at(kAround + at) =
        hostile->ConsumeBool() ? small : hostile->ConsumeIntegral<std::uint32_t>();
  }
}

struct Interfered {
  static void check(const volatile std::uint32_t& word) {
    const auto* begin = &memory.at(kAround);
    require(&word >= begin && &word < begin + kWords, "an access beside the channel");
  }
  static std::uint32_t load(const volatile std::uint32_t& word) {
    check(word);
    interfere();
    return channel::Memory::load(word);
  }
  static void store(volatile std::uint32_t& word, std::uint32_t value) {
    check(word);
    interfere();
    channel::Memory::store(word, value);
  }
};
using Sender = channel::Sender<Message, Interfered>;
using Receiver = channel::Receiver<Message, Interfered>;

void require_else() {
  for (std::uint32_t n = 0; n < kAround; ++n) {
    require(memory.at(n) == kElse && memory.at(kAround + kWords + n) == kElse, "a write beside");
  }
}

// Both ends behave from now on: what is sent arrives, whatever there was before.
void require_recovery(Sender& sender, Receiver& receiver) {
  Message got{};
  (void)sender.send({});
  while (receiver.receive(got)) {
  }
  for (std::uint32_t n = 0; n < 20; ++n) {
    require(sender.send({{n, ~n, n * n}}), "no room in an empty ring");
    require(receiver.receive(got), "nothing arrives");
    require(got.words[0] == n && got.words[1] == ~n && got.words[2] == n * n, "another message");
    require(!receiver.receive(got), "a message too many");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  memory.fill(kElse);
  for (std::uint32_t n = 0; n < kWords; ++n) {
    memory.at(kAround + n) = data.ConsumeBool() ? 0 : data.ConsumeIntegral<std::uint32_t>();
  }
  hostile = &data;
  void* const ring =
      channel::ring_of(&memory.at(kAround), kBytes, data.ConsumeIntegralInRange(0u, 1u));
  Sender sender(ring, kBytes);
  Receiver receiver(ring, kBytes);
  while (data.remaining_bytes() > 0) {
    Message message{};
    accesses = 0;
    (void)(data.ConsumeBool() ? sender.send(message) : receiver.receive(message));
    require(accesses <= 2 + 3, "more accesses than a message has words");
  }
  hostile = nullptr;
  require_recovery(sender, receiver);
  require_else();
  return 0;
}
