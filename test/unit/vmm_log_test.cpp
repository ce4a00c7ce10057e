// The monitor's log: the ring in the status region, and number formats.
#include "diag/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

namespace mezzo::diag {
namespace {

std::string sunk;
void sink(char character) { sunk += character; }

struct LogTest : testing::Test {
  std::unique_ptr<status::Log> ring = std::make_unique<status::Log>();
  Log log{*ring, sink};

  void SetUp() override { sunk.clear(); }
  // What a reader of the ring sees, oldest first.
  [[nodiscard]] std::string text() const {
    std::string result;
    const std::uint32_t kept = std::min(ring->written, status::kLogSize);
    for (std::uint32_t n = ring->written - kept; n != ring->written; ++n) {
      result += ring->text[n % status::kLogSize];
    }
    return result;
  }
};

TEST_F(LogTest, LinesCarryTheirSenderAndEnd) {
  log.line("partition ", std::string_view("linux"), ' ', 7u, ": ", Hex{0xbadf00d});
  EXPECT_EQ(text(), "mezzo: partition linux 7: 0x0badf00d\n");
  EXPECT_EQ(sunk, text());
}

TEST_F(LogTest, NumbersAtTheirLimits) {
  log.put(0u);
  log.put(' ');
  log.put(4294967295u);
  log.put(' ');
  log.put(Hex{0});
  log.put(' ');
  log.put(Hex{0xffffffff});
  log.put(' ');
  log.put(std::uint16_t{65535});
  EXPECT_EQ(text(), "0 4294967295 0x00000000 0xffffffff 65535");
}

TEST_F(LogTest, RingKeepsTheLastText) {
  for (unsigned n = 0; n < 3000; ++n) log.line(n);
  EXPECT_EQ(ring->written, sunk.size());
  EXPECT_EQ(text(), sunk.substr(sunk.size() - status::kLogSize));
}

TEST_F(LogTest, RingIsFullExactlyAtItsSize) {
  log.put(std::string(status::kLogSize, 'a'));
  EXPECT_EQ(text(), std::string(status::kLogSize, 'a'));
  log.put('b');
  EXPECT_EQ(ring->text[0], 'b');
  EXPECT_EQ(ring->text[1], 'a');
}

TEST_F(LogTest, CountOfBytesWrapsWithoutAGapInTheRing) {
  ring->written = ~0u - 1;
  log.put("wxyz");
  EXPECT_EQ(ring->written, 2u);
  EXPECT_EQ(ring->text[status::kLogSize - 2], 'w');
  EXPECT_EQ(ring->text[status::kLogSize - 1], 'x');
  EXPECT_EQ(ring->text[0], 'y');
  EXPECT_EQ(ring->text[1], 'z');
}

}  // namespace
}  // namespace mezzo::diag
