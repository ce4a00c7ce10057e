// The ring of messages between two guests: order, room, restarts, and another end that writes what
// it likes. What it may write at any moment is test/fuzz/ring_fuzz.cpp's.
#include "guest/channel/ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace mezzo {
namespace {

struct Message {
  std::uint32_t number, twice, thrice;
  bool operator==(const Message&) const = default;
};
Message message(std::uint32_t number) { return {number, 2 * number, 3 * number}; }

// Room for ten messages, of which nine can wait.
struct Ring : testing::Test {
  static constexpr std::uint32_t kRoom = 9, kBytes = 2 * (128 + 120 + 8);
  alignas(64) std::array<std::byte, kBytes + 64> memory{};

  [[nodiscard]] void* ring() { return channel::ring_of(memory.data(), kBytes, 0); }
  [[nodiscard]] channel::Positions& positions() {
    return *static_cast<channel::Positions*>(ring());
  }
  [[nodiscard]] channel::Sender<Message> sender() { return {ring(), kBytes}; }
  [[nodiscard]] channel::Receiver<Message> receiver() { return {ring(), kBytes}; }
};

TEST_F(Ring, MessagesArriveInOrder) {
  auto to = sender();
  auto from = receiver();
  Message got{};
  EXPECT_FALSE(from.receive(got));
  std::uint32_t received = 0;
  for (std::uint32_t n = 0; n < 100; ++n) {
    EXPECT_TRUE(to.send(message(n)));
    if (n % 3 == 0) continue;
    while (from.receive(got)) EXPECT_EQ(got, message(received++));
  }
  while (from.receive(got)) EXPECT_EQ(got, message(received++));
  EXPECT_EQ(received, 100u);
  EXPECT_EQ(to.errors() + from.errors(), 0u);
}

TEST_F(Ring, AFullOneTakesNothing) {
  auto to = sender();
  auto from = receiver();
  for (std::uint32_t n = 0; n < kRoom; ++n) EXPECT_TRUE(to.send(message(n)));
  EXPECT_FALSE(to.send(message(99)));
  Message got{};
  EXPECT_TRUE(from.receive(got));
  EXPECT_EQ(got, message(0));
  EXPECT_TRUE(to.send(message(kRoom)));
  EXPECT_FALSE(to.send(message(99)));
  EXPECT_EQ(to.errors(), 0u);
}

TEST_F(Ring, TheTwoDirectionsAreApart) {
  channel::Sender<Message> one(channel::ring_of(memory.data(), kBytes, 0), kBytes);
  channel::Sender<Message> other(channel::ring_of(memory.data(), kBytes, 1), kBytes);
  channel::Receiver<Message> from_one(channel::ring_of(memory.data(), kBytes, 0), kBytes);
  channel::Receiver<Message> from_other(channel::ring_of(memory.data(), kBytes, 1), kBytes);
  for (std::uint32_t n = 0; n < kRoom; ++n) {
    EXPECT_TRUE(one.send(message(n)));
    EXPECT_TRUE(other.send(message(100 + n)));
  }
  Message got{};
  for (std::uint32_t n = 0; n < kRoom; ++n) {
    EXPECT_TRUE(from_one.receive(got) && got == message(n));
    EXPECT_TRUE(from_other.receive(got) && got == message(100 + n));
  }
}

TEST_F(Ring, RestartedEndsGoOnWhereTheyWere) {
  {
    auto to = sender();
    for (std::uint32_t n = 0; n < 4; ++n) EXPECT_TRUE(to.send(message(n)));
  }
  Message got{};
  {
    auto from = receiver();
    EXPECT_TRUE(from.receive(got));
  }
  auto to = sender();
  auto from = receiver();
  EXPECT_TRUE(to.send(message(4)));
  for (std::uint32_t n = 1; n < 5; ++n) EXPECT_TRUE(from.receive(got) && got == message(n));
  EXPECT_FALSE(from.receive(got));
}

TEST_F(Ring, PositionsThatCannotBeAreCountedAndMeanNothing) {
  auto to = sender();
  auto from = receiver();
  Message got{};
  EXPECT_TRUE(to.send(message(1)));
  for (const std::uint32_t position : {10u, 11u, 0x80000000u, ~0u}) {
    positions().written = position;
    EXPECT_FALSE(from.receive(got));
    positions().read = position;
    EXPECT_FALSE(to.send(message(2)));
  }
  EXPECT_EQ(from.errors(), 4u);
  EXPECT_EQ(to.errors(), 4u);
  // Each has said again where it is.
  EXPECT_FALSE(to.send(message(2)) && false);
  while (from.receive(got)) {
  }
  EXPECT_TRUE(to.send(message(3)));
  EXPECT_TRUE(from.receive(got));
  EXPECT_EQ(got, message(3));
}

TEST_F(Ring, EndsThatFindNonsenseBeginAtTheStart) {
  std::memset(memory.data(), 0xff, memory.size());
  auto to = sender();
  auto from = receiver();
  Message got{};
  EXPECT_FALSE(from.receive(got));
  EXPECT_TRUE(to.send(message(7)));
  EXPECT_TRUE(from.receive(got));
  EXPECT_EQ(got, message(7));
}

TEST_F(Ring, NothingIsWrittenBehindTheRing) {
  std::memset(memory.data() + kBytes / 2, 0x5a, memory.size() - kBytes / 2);
  auto to = sender();
  auto from = receiver();
  Message got{};
  for (std::uint32_t n = 0; n < 50; ++n) {
    EXPECT_TRUE(to.send(message(~0u)));
    EXPECT_TRUE(from.receive(got));
  }
  for (std::size_t n = kBytes / 2; n < memory.size(); ++n) {
    ASSERT_EQ(memory.at(n), std::byte{0x5a}) << n;
  }
}

}  // namespace
}  // namespace mezzo
