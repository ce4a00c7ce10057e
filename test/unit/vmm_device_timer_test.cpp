// Virtual timers: held against counters that are clocked tick by tick.
#include "device/mpcore_timer.hpp"

#include <gtest/gtest.h>

#include <random>

namespace mezzo::device {
namespace {

using Random = std::independent_bits_engine<std::mt19937, 32, std::uint32_t>;

constexpr std::uint32_t kEnable = 1, kReload = 2, kInterrupt = 4;

// The private timer as DDI 0407I 4.2 describes it, one tick of the clock at a time.
struct Clocked {
  std::uint32_t load = 0, counter = 0, control = 0, phase = 0;
  bool event = false;

  void tick() {
    if ((control & kEnable) == 0) return;
    if (++phase <= (control >> 8 & 0xff)) return;
    phase = 0;
    if (counter == 0) {
      if ((control & kReload) != 0) counter = load;
      return;
    }
    if (--counter == 0) event = true;
  }
  void write(std::uint32_t offset, std::uint32_t value) {
    if (offset == 0) load = counter = value;
    if (offset == 4) counter = value;
    if (offset == 8) control = value & 0xff07;
    if (offset == 8 && counter == 0 && (control & kReload) != 0) counter = load;
    if (offset == 12 && (value & 1) != 0) event = false;
    if (offset < 12) phase = 0;
  }
};

TEST(Division, IsDivision) {
  std::mt19937_64 random(1);
  for (int n = 0; n < 10000; ++n) {
    const std::uint64_t a = random() >> random() % 64, b = (random() >> random() % 64) | 1;
    EXPECT_EQ(Division::of(a, b).quotient, a / b);
    EXPECT_EQ(Division::of(a, b).remainder, a % b);
  }
  EXPECT_EQ(Division::of(~0ull, ~0ull).quotient, 1u);
  EXPECT_EQ(Division::of(~0ull, 1).quotient, ~0ull);
}

TEST(DownCounter, AgreesWithACounterThatIsClocked) {
  Random random(2);
  for (int round = 0; round < 400; ++round) {
    DownCounter timer;
    Clocked reference;
    std::uint64_t now = random();
    for (int step = 0; step < 60; ++step) {
      const std::uint32_t ticks = random() % (random() % 4 == 0 ? 200 : 12);
      for (std::uint32_t n = 0; n < ticks; ++n) reference.tick();
      now += ticks;
      switch (random() % 6) {
        case 0: {
          const std::uint32_t offset = random() % 4 * 4;
          // Reloading from 0 is left out: the architecture does not say what happens.
          const std::uint32_t control = (random() % 8) | (random() % 3) << 8;
          const std::uint32_t value = offset == 8 ? control : 1 + random() % 20;
          // A prescaler that is amid its count starts again in ours: write at its end only.
          if (reference.phase != 0) break;
          timer.write(offset, value, now);
          reference.write(offset, value);
          break;
        }
        case 1: {
          (void)timer.asserts(now);
          const auto next = timer.next();
          const bool armed = (reference.control & kInterrupt) != 0 && !reference.event;
          if (!armed || (reference.control & kEnable) == 0) ASSERT_EQ(next, std::nullopt);
          if (!next || *next - now > 1000) break;
          while (now + 1 < *next) {
            reference.tick();
            ++now;
          }
          ASSERT_FALSE(reference.event) << "too late";
          reference.tick();
          ++now;
          ASSERT_TRUE(reference.event) << "too early";
          break;
        }
        default:
          ASSERT_EQ(timer.read(0, now), reference.load);
          ASSERT_EQ(timer.read(4, now), reference.counter) << round << " " << step;
          ASSERT_EQ(timer.read(8, now), reference.control);
          ASSERT_EQ(timer.read(12, now), std::uint32_t{reference.event});
          ASSERT_EQ(timer.asserts(now), reference.event && (reference.control & kInterrupt) != 0);
      }
    }
  }
}

TEST(DownCounter, AnswersWhateverIsWritten) {
  Random random(3);
  DownCounter timer;
  std::uint64_t now = ~0ull - 100000;
  for (int n = 0; n < 100000; ++n) {
    now += random() % 2;
    const std::uint32_t values[] = {0, 1, 0xffffffff, random()};
    timer.write(random() % 8 * 4, values[random() % 4], now);
    (void)timer.read(random() % 8 * 4, now);
    (void)timer.asserts(now);
    (void)timer.next();
  }
}

TEST(DownCounter, LongAfterItsEndItIsInARoundLikeAnyOther) {
  DownCounter timer;
  timer.write(0, 99, 0);  // rounds of 100 after the first 99
  timer.write(8, kEnable | kReload | kInterrupt, 0);
  EXPECT_EQ(timer.next(), 99u);
  EXPECT_FALSE(timer.asserts(98));
  EXPECT_TRUE(timer.asserts(99 + 100ull * 1'000'000'000'000 + 1));
  EXPECT_EQ(timer.read(4, 99 + 100ull * 1'000'000'000'000 + 1), 99u);
  EXPECT_EQ(timer.next(), std::nullopt) << "the guest has not cleared the last";
  timer.write(12, 1, 99 + 100ull * 1'000'000'000'000 + 2);
  EXPECT_EQ(timer.next(), 99 + 100ull * 1'000'000'000'001);
}

TEST(Comparator, ComparesOnceOrAgainAndAgain) {
  Comparator timer;
  EXPECT_EQ(timer.read(0, 0x123456789), 0x23456789u);
  EXPECT_EQ(timer.read(4, 0x123456789), 1u);
  timer.write(0x10, 0x00000010, 0);
  timer.write(0x14, 2, 0);
  timer.write(0x08, 0xffffffff & ~8u, 0);
  EXPECT_EQ(timer.read(0x08, 0), 7u);
  const std::uint64_t at = 0x200000010;
  EXPECT_EQ(timer.next(), at);
  EXPECT_FALSE(timer.asserts(at - 1));
  EXPECT_TRUE(timer.asserts(at));
  EXPECT_EQ(timer.next(), std::nullopt);

  timer.write(0x18, 1000, at);
  timer.write(0x08, 0xf, at);
  timer.write(0x0c, 1, at + 2500);
  EXPECT_FALSE(timer.asserts(at + 2500));
  EXPECT_EQ(timer.next(), at + 3000);
  EXPECT_EQ(timer.read(0x10, at + 2500), static_cast<std::uint32_t>(at + 3000));
  EXPECT_EQ(timer.read(0x14, at + 2500), 2u);
  EXPECT_TRUE(timer.asserts(at + 3000));
  timer.write(0x08, 0, at + 3000);
  EXPECT_FALSE(timer.asserts(at + 3000)) << "its interrupt is off";
  EXPECT_EQ(timer.read(0x0c, at + 3000), 1u);
}

TEST(Comparator, AnswersWhateverIsWritten) {
  Random random(4);
  Comparator timer;
  std::uint64_t now = ~0ull - 100000;
  for (int n = 0; n < 100000; ++n) {
    now += random() % 2;
    const std::uint32_t values[] = {0, 1, 0xffffffff, random()};
    timer.write(random() % 8 * 4, values[random() % 4], now);
    (void)timer.read(random() % 8 * 4, now);
    (void)timer.asserts(now);
    (void)timer.next();
  }
}

}  // namespace
}  // namespace mezzo::device
