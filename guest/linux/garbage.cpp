// mezzo-garbage SECONDS: the worst that a process of Linux can do to a channel. It writes anything
// anywhere in the memory, most often where the rings have their positions, and rings the other
// end's doorbell, all as fast as it can.
#include "channel/ring.hpp"
#include "linux/channel.hpp"

namespace guest::linux_ia32 {
namespace {

// Marsaglia's xorshift.
class Random {
 public:
  u32 next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }

 private:
  u32 state_ = 2463534242;
};

void scribble(const Channel& channel, Random& random) {
  auto* const words = static_cast<volatile u32*>(channel.memory);
  constexpr u32 kWord = sizeof(u32);
  u32 at = random.next() % (channel.bytes / kWord);
  if (random.next() % 4 != 0) {
    const auto half = static_cast<u32>(random.next() % 2) * channel.bytes / 2;
    at = (half + (random.next() % 2 == 0 ? 0 : offsetof(channel::Positions, read))) / kWord;
  }
  // A position that can be, or anything.
  words[at] = random.next() % 2 == 0 ? random.next() % 2048 : random.next();
}

}  // namespace

void run(const int* stack) {
  if (stack[0] != 2) fail("usage: mezzo-garbage SECONDS\n");
  const u32 microseconds = number_of(reinterpret_cast<const char*>(stack[2])) * 1'000'000;
  const Channel channel = open_channel();
  const Doorbell doorbell(channel.number);
  Random random;
  for (const u32 begin = now(); now() - begin < microseconds;) {
    for (int n = 0; n < 100; ++n) {
      for (int m = 0; m < 10; ++m) scribble(channel, random);
      doorbell.ring();
    }
  }
  for (;;) call(Call::Exit, 0);
}

}  // namespace guest::linux_ia32
