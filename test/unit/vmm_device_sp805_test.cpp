// The SP805 that a guest sees: what Linux' driver does with it, and any access at all.
#include "device/sp805.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

namespace mezzo::device {
namespace {

io::Answer write(Sp805& device, std::uint32_t offset, std::uint32_t value, std::uint8_t size = 4) {
  return device.access({.offset = offset, .size = size, .write = true, .value = value});
}
std::uint32_t read(Sp805& device, std::uint32_t offset, std::uint8_t size = 4) {
  return device.access({.offset = offset, .size = size}).value;
}

TEST(Sp805, IdentifiesItself) {
  Sp805 device;
  std::uint32_t peripheral = 0, cell = 0;
  for (std::uint32_t n = 0; n < 4; ++n) {
    peripheral |= read(device, 0xfe0 + n * 4) << n * 8;
    cell |= read(device, 0xff0 + n * 4) << n * 8;
  }
  EXPECT_EQ(peripheral, 0x00141805u);
  EXPECT_EQ(cell, 0xb105f00du);
}

// sp805_wdt.c, wdt_config(): unlock, load, clear, control, lock.
TEST(Sp805, IsKickedByWhatLinuxDoes) {
  Sp805 device;
  EXPECT_EQ(write(device, sp805::kLock, sp805::kUnlocked), io::Answer::done());
  EXPECT_EQ(write(device, sp805::kLoad, 1000), io::Answer::kick());
  EXPECT_EQ(write(device, sp805::kClear, 1), io::Answer::kick());
  EXPECT_EQ(write(device, sp805::kControl, 0xff), io::Answer::done());
  EXPECT_EQ(write(device, sp805::kLock, 1), io::Answer::done());
  EXPECT_EQ(read(device, sp805::kLoad), 1000u);
  EXPECT_EQ(read(device, sp805::kControl), 3u);
  EXPECT_EQ(read(device, sp805::kLock), 1u);
}

TEST(Sp805, ALockedOneIsNotKicked) {
  Sp805 device;
  (void)write(device, sp805::kLock, 1);
  EXPECT_EQ(write(device, sp805::kClear, 1), io::Answer::done());
  EXPECT_EQ(write(device, sp805::kLoad, 7), io::Answer::done());
  EXPECT_NE(read(device, sp805::kLoad), 7u);
  device.reset();
  EXPECT_EQ(write(device, sp805::kClear, 1), io::Answer::kick());
}

TEST(Sp805, AnswersEveryAccessInItsPage) {
  Sp805 device;
  for (std::uint32_t offset = 0; offset < sp805::kSize; ++offset) {
    for (const std::uint8_t size : std::initializer_list<std::uint8_t>{1, 2, 4}) {
      const bool is_sound = offset % size == 0;
      const io::Answer answer = device.access({.offset = offset, .size = size});
      EXPECT_EQ(answer.outcome, is_sound ? io::Outcome::Done : io::Outcome::Missing);
    }
    EXPECT_EQ(write(device, offset, 1, 1), io::Answer::done()) << "words only";
  }
  EXPECT_EQ(device.access({.offset = sp805::kSize, .size = 4}), io::Answer::missing());
}

}  // namespace
}  // namespace mezzo::device
