// The monitor's log: the ring in the status region, and number formats.
#include "diag/log.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

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

// Two partitions that started at once wrote "mmezzo: ezzo: baetalpha:: starts on CPU".
TEST_F(LogTest, LinesOfTwoProcessorsStayApart) {
  log.share();
  constexpr unsigned kLines = 500;
  const auto write_lines = [this](std::string_view name) {
    for (unsigned n = 0; n < kLines; ++n) log.line(name, ": starts on CPU ", n);
  };
  std::thread other(write_lines, "beta");
  write_lines("alpha");
  other.join();
  unsigned alpha = 0, beta = 0;
  std::istringstream lines(sunk);
  for (std::string line; std::getline(lines, line);) {
    const bool is_alpha = line == fmt::format("mezzo: alpha: starts on CPU {}", alpha);
    ASSERT_TRUE(is_alpha || line == fmt::format("mezzo: beta: starts on CPU {}", beta)) << line;
    ++(is_alpha ? alpha : beta);
  }
  EXPECT_EQ(alpha, kLines);
  EXPECT_EQ(beta, kLines);
}

// A processor that fails while it writes a line comes back to write the message of its failure.
TEST_F(LogTest, MessageOfAFailureInTheMiddleOfALineIsWritten) {
  static Log* failing = nullptr;
  static bool is_first = true;
  Log nested(*ring, [](char character) {
    sunk += character;
    if (std::exchange(is_first, false)) failing->line("BUG");
  });
  nested.share();
  failing = &nested;
  nested.line("one");
  nested.line("two");
  EXPECT_THAT(sunk, testing::HasSubstr("mezzo: BUG\n"));
  EXPECT_THAT(sunk, testing::EndsWith("mezzo: two\n"));
}

TEST_F(LogTest, NumbersAtTheirLimits) {
  log.write(0u, ' ', 4294967295u, ' ', Hex{0}, ' ', Hex{0xffffffff}, ' ', std::uint16_t{65535});
  EXPECT_EQ(text(), "0 4294967295 0x00000000 0xffffffff 65535");
}

TEST_F(LogTest, RingKeepsTheLastText) {
  for (unsigned n = 0; n < 3000; ++n) log.line(n);
  EXPECT_EQ(ring->written, sunk.size());
  EXPECT_EQ(text(), sunk.substr(sunk.size() - status::kLogSize));
}

TEST_F(LogTest, RingIsFullExactlyAtItsSize) {
  log.write(std::string(status::kLogSize, 'a'));
  EXPECT_EQ(text(), std::string(status::kLogSize, 'a'));
  log.write('b');
  EXPECT_EQ(ring->text[0], 'b');
  EXPECT_EQ(ring->text[1], 'a');
}

TEST_F(LogTest, CountOfBytesWrapsWithoutAGapInTheRing) {
  ring->written = ~0u - 1;
  log.write("wxyz");
  EXPECT_EQ(ring->written, 2u);
  EXPECT_EQ(ring->text[status::kLogSize - 2], 'w');
  EXPECT_EQ(ring->text[status::kLogSize - 1], 'x');
  EXPECT_EQ(ring->text[0], 'y');
  EXPECT_EQ(ring->text[1], 'z');
}

}  // namespace
}  // namespace mezzo::diag
