// The boards' descriptions: each is consistent in itself, and what a user is told about those that
// nobody has tried.
#include "system/board.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "system/check.hpp"
#include "tool_system_support.hpp"

namespace mezzo::system {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr Board kArmBoards[] = {Board::VexpressA9, Board::Cubieboard, Board::Sabrelite,
                                Board::Zynq};

class ArmBoard : public testing::TestWithParam<Board> {
 protected:
  const BoardInfo& board_ = board_info(GetParam());

  // All pages that some partition can get, by what they are for.
  [[nodiscard]] std::vector<std::pair<std::string, BoardRegion>> regions() const {
    std::vector<std::pair<std::string, BoardRegion>> all;
    for (const BoardRegion& region : board_.armv7.common) all.emplace_back("common", region);
    for (const BoardUart& uart : board_.uarts) {
      all.emplace_back(uart.key, BoardRegion{uart.base, plan::kPageSize});
    }
    for (const BoardDevice& device : board_.devices) {
      for (const BoardRegion& region : device.regions) all.emplace_back(device.name, region);
    }
    return all;
  }

  [[nodiscard]] bool is_common(std::uint32_t address) const {
    return std::ranges::any_of(board_.armv7.common, [address](const BoardRegion& region) {
      return address >= region.base && address - region.base < region.size;
    });
  }
};

INSTANTIATE_TEST_SUITE_P(All, ArmBoard, testing::ValuesIn(kArmBoards), [](const auto& info) {
  std::string name(board_info(info.param).name);
  std::erase(name, '-');
  return name;
});

TEST_P(ArmBoard, HasWholePagesThatAreOneOwnersEach) {
  const auto all = regions();
  const std::uint64_t ram_end = board_.ram_base + board_.max_memory;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& [what, region] = all[i];
    EXPECT_EQ(region.base % plan::kPageSize, 0U) << what;
    EXPECT_EQ(region.size % plan::kPageSize, 0U) << what;
    EXPECT_GT(region.size, 0U) << what;
    const std::uint64_t end = std::uint64_t{region.base} + region.size;
    EXPECT_TRUE(end <= board_.ram_base || region.base >= ram_end) << what << " is in memory";
    for (std::size_t j = 0; j < i; ++j) {
      const BoardRegion& other = all[j].second;
      EXPECT_TRUE(end <= other.base || other.base + other.size <= region.base)
          << what << " and " << all[j].first;
    }
  }
}

TEST_P(ArmBoard, HasInterruptsOfOneOwnerEach) {
  // A GIC's first 32 numbers are each CPU's own.
  const unsigned first = board_.armv7.distributor != 0 ? 32 : 0;
  std::set<unsigned> seen;
  for (const BoardUart& uart : board_.uarts) {
    EXPECT_GE(uart.irq, first) << uart.key;
    EXPECT_TRUE(seen.insert(uart.irq).second) << uart.key;
  }
  for (const BoardDevice& device : board_.devices) {
    for (const unsigned irq : device.irqs) {
      EXPECT_GE(irq, first) << device.name;
      EXPECT_TRUE(seen.insert(irq).second) << device.name << " " << irq;
    }
  }
}

TEST_P(ArmBoard, NamesWhatIsThere) {
  std::set<std::string_view> names;
  for (const BoardDevice& device : board_.devices) {
    EXPECT_TRUE(names.insert(device.name).second) << device.name;
    EXPECT_FALSE(device.what.empty()) << device.name;
  }
  for (const BoardUart& uart : board_.uarts) {
    EXPECT_TRUE(names.insert(uart.key).second) << uart.key;
  }
  for (const auto list : {board_.armv7.timers, board_.disk_devices, board_.network_devices}) {
    for (const std::string_view name : list) EXPECT_NE(board_.find(name), nullptr) << name;
  }
  EXPECT_LE(board_.uarts.size(), 4U);
  EXPECT_FALSE(board_.machine.empty());
}

TEST_P(ArmBoard, LetsEveryGuestReachItsInterruptController) {
  if (board_.armv7.distributor == 0) return;
  EXPECT_TRUE(is_common(board_.armv7.distributor));
  EXPECT_TRUE(is_common(board_.armv7.interface));
  EXPECT_TRUE(is_common(board_.armv7.private_timer));
  const auto distributor =
      std::ranges::find(board_.armv7.common, plan::WindowKind::Distributor, &BoardRegion::kind);
  ASSERT_NE(distributor, board_.armv7.common.end());
  EXPECT_EQ(distributor->base, board_.armv7.distributor);
}

// Without that a device would write to memory, or interrupt, while its partition is loaded again.
TEST_P(ArmBoard, SilencesWhatInterruptsOrMastersTheBus) {
  std::size_t writes = board_.armv7.clocks.size();
  for (const BoardDevice& device : board_.devices) {
    if (device.bus_master || !device.irqs.empty()) {
      EXPECT_FALSE(device.silence.empty()) << device.name;
    }
    writes += device.silence.size();
    for (const BoardSilence& write : device.silence) {
      const std::uint32_t address = device.regions.front().base + write.offset;
      EXPECT_EQ(address % 4, 0U) << device.name;
      EXPECT_TRUE(std::ranges::any_of(device.regions, [address](const BoardRegion& region) {
        return region.kind == plan::WindowKind::Direct && address - region.base < region.size;
      })) << device.name;
    }
  }
  EXPECT_FALSE(board_.armv7.uart_silence.empty());
  for (const BoardSilence& write : board_.armv7.uart_silence) {
    EXPECT_EQ(write.offset % 4, 0U);
    EXPECT_LT(write.offset, plan::kPageSize);
  }
  writes += board_.armv7.uart_silence.size() * board_.uarts.size();
  EXPECT_LE(writes, plan::kMaxSilences) << "for partitions that have everything";
  for (const BoardSilence& write : board_.armv7.clocks) {
    EXPECT_TRUE(is_common(write.offset));
  }
}

// A partition with a device that masters the bus sees the machine's memory from its start; so there
// cannot be two.
TEST_P(ArmBoard, IsOnePartitionsWhereClocksAreShared) {
  if (GetParam() == Board::VexpressA9) {
    EXPECT_GT(board_.max_partitions, 1U);
  } else {
    EXPECT_EQ(board_.max_partitions, 1U);
  }
}

std::string text_for(std::string_view board, std::string_view kernel, std::string_view rest = "") {
  return fmt::format(
      "[machine]\nboard = \"{}\"\nmemory = \"512 MiB\"\n[[partition]]\nname = \"solo\"\n"
      "cpu = 0\nmemory = \"256 MiB\"\nkernel = {{ {} }}\n{}\n",
      board, kernel, rest);
}

Diagnostics checked(const std::string& text) {
  const auto system = parse_system(text, "t.toml");
  return system ? check(*system) : system.error();
}

// Once: the first check and the one with the kernels are both shown.
TEST(Boards, SayThatNobodyHasTriedThem) {
  const auto warnings = [](std::string_view board) {
    const auto system = parse_system(text_for(board, "package = \"p\""), "t.toml");
    EXPECT_TRUE(system.has_value());
    EXPECT_THAT(check(*system), IsEmpty()) << board;
    return check(*system, {});
  };
  const Diagnostics zynq = warnings("zynq");
  ASSERT_EQ(zynq.size(), 1U);
  EXPECT_EQ(zynq.front().severity, Severity::Warning);
  EXPECT_THAT(zynq.front().what, HasSubstr("board zynq is untested"));
  EXPECT_EQ(zynq.front().where.position.line, 1U);
  for (const std::string_view board : {"vexpress-a9", "sabrelite"}) {
    EXPECT_THAT(warnings(board), IsEmpty()) << board;
  }
}

TEST(Boards, AreCheckedLikeTheOthers) {
  const auto refusal = [](std::string_view board, std::string_view rest) {
    return test::all(checked(text_for(board, "package = \"linux-image-armmp\"", rest)));
  };
  EXPECT_THAT(refusal("sabrelite", "devices = [\"smsc911x\"]"),
              HasSubstr("board sabrelite has no device 'smsc911x'"));
  EXPECT_THAT(refusal("sabrelite", "console = \"uart0\""), HasSubstr("uart1"));
  EXPECT_THAT(refusal("zynq", "devices = [\"fec\"]"), HasSubstr("use one of: gem0, gem1"));
  EXPECT_THAT(refusal("zynq",
                      "[[partition]]\nname = \"second\"\ncpu = 1\nmemory = \"64 MiB\"\n"
                      "kernel = { package = \"linux-image-armmp\" }"),
              HasSubstr("2 partitions on board zynq"));
}

TEST(Boards, AdviseAKernelThatSupportsThem) {
  EXPECT_EQ(board_info(Board::Sabrelite).kernel_example(), "{ package = \"linux-image-armmp\" }");
  EXPECT_EQ(board_info(Board::Zynq).kernel_example(), "{ file = \"zImage\" }");
  EXPECT_THAT(test::all(checked(text_for("zynq", ""))), HasSubstr("write { file = \"zImage\" }"));
  EXPECT_THAT(test::all(checked(text_for("zynq", "package = \"linux-image-armmp-lpae\""))),
              HasSubstr("write kernel = { file = \"zImage\" }"));
}

TEST(Boards, AreListedByName) {
  EXPECT_THAT(board_names(),
              testing::ElementsAre("pc", "vexpress-a9", "cubieboard", "sabrelite", "zynq"));
}

}  // namespace
}  // namespace mezzo::system
