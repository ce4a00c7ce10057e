// Channels in the tool: what a system file may say, where the memory is put, and what a guest is
// told.
#include <gtest/gtest.h>

#include "core/verify.hpp"
#include "firmware/acpi.hpp"
#include "firmware/channel_functions.hpp"
#include "image/compile.hpp"
#include "image/memory.hpp"
#include "image/report.hpp"
#include "system/check.hpp"
#include "tool_system_support.hpp"

namespace mezzo {
namespace {

using loader::get;
using test::all;
using test::find;
using test::partition_text;
using test::system_text;

std::string channel_text(std::string_view name, std::string_view ends, std::string_view size) {
  return fmt::format("[[channel]]\nname = \"{}\"\nends = [{}]\nsize = {}\n", name, ends, size);
}
constexpr std::string_view kEnds = "\"a\", \"b\"";

// Two partitions, of which the first has PCI, and the channels.
std::string with(const std::string& channels) {
  return system_text(partition_text("a", 0, "\"128 MiB\"", "devices = [\"pci\"]") +
                     partition_text("b", 1, "\"128 MiB\"") + channels);
}
system::System parsed(const std::string& text) {
  auto system = system::parse_system(text, "t.toml");
  EXPECT_TRUE(system) << (system ? "" : all(system.error()));
  return system.value_or(system::System{});
}
// What is found in the text, by the parser or else by the checker.
system::Diagnostics found_in(const std::string& text) {
  const auto system = system::parse_system(text, "t.toml");
  return system ? check(*system) : system.error();
}
image::CompiledImage compiled(const std::string& text) {
  const system::System system = parsed(text);
  auto image = image::compile(system, test::make_artifacts(system, test::make_bzimage()));
  EXPECT_TRUE(image) << (image ? "" : all(image.error()));
  return image.value_or(image::CompiledImage{});
}

TEST(ChannelText, IsRead) {
  const system::System system = parsed(with(channel_text("x", "\"b\", \"a\"", "\"64 KiB\"")));
  ASSERT_EQ(system.channels.size(), 1u);
  EXPECT_EQ(system.channels[0].name, "x");
  EXPECT_EQ(system.channels[0].size, 65536u);
  EXPECT_EQ(system.channels[0].ends[0], 1u);
  EXPECT_EQ(system.channels[0].ends[1], 0u);
  EXPECT_EQ(system.channels_of(0), std::vector<std::size_t>{0});
  EXPECT_TRUE(check(system).empty()) << all(check(system));
}

struct Case {
  std::string name, channels, words;
};
class BadChannel : public testing::TestWithParam<Case> {};

TEST_P(BadChannel, IsReportedWithARemedy) {
  const system::Diagnostics found = found_in(with(GetParam().channels));
  const system::Diagnostic* diagnostic = find(found, GetParam().words);
  ASSERT_NE(diagnostic, nullptr) << all(found);
  EXPECT_EQ(diagnostic->severity, system::Severity::Error);
  EXPECT_GT(diagnostic->where.position.line, 0u);
  EXPECT_FALSE(diagnostic->remedy.empty());
}

std::string many() {
  std::string text;
  for (const char* name : {"c0", "c1", "c2", "c3", "c4"}) text += channel_text(name, kEnds, "4096");
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    All, BadChannel,
    testing::Values(
        Case{"UnknownEnd", channel_text("x", "\"a\", \"c\"", "4096"), "there is no partition 'c'"},
        Case{"SameEnds", channel_text("x", "\"a\", \"a\"", "4096"), "both ends of x are a"},
        Case{"OneEnd", channel_text("x", "\"a\"", "4096"), "a channel has two ends"},
        Case{"ThreeEnds", channel_text("x", "\"a\", \"b\", \"a\"", "4096"),
             "a channel has two ends"},
        Case{"NoSize", "[[channel]]\nname = \"x\"\nends = [\"a\", \"b\"]\n", "size"},
        Case{"Nothing", channel_text("x", kEnds, "0"), "0 bytes is not a multiple of 4 KiB"},
        Case{"HalfAPage", channel_text("x", kEnds, "6144"), "6144 bytes is not a multiple"},
        Case{"TooLarge", channel_text("x", kEnds, "\"32 MiB\""),
             "is not a multiple of 4 KiB up to"},
        Case{"BadName", channel_text("x y", kEnds, "4096"), "cannot be a channel's name"},
        Case{"NameTwice", channel_text("x", kEnds, "4096") + channel_text("x", kEnds, "4096"),
             "the name 'x' is taken"},
        Case{"TooMany", many(), "5 channels are more than 4"},
        Case{"UnknownKey", channel_text("x", kEnds, "4096") + "port = \"com3\"\n", "port"},
        Case{"NoList", "[channel]\nname = \"x\"\n", "'channel' must be a list of tables"}),
    [](const auto& info) { return info.param.name; });

TEST(ChannelText, MeansNothingOnAnArmBoard) {
  const system::Diagnostics found = found_in(
      "[machine]\nboard = \"vexpress-a9\"\nmemory = \"256 MiB\"\n"
      "[[partition]]\nname = \"a\"\ncpu = 0\nmemory = \"64 MiB\"\n"
      "kernel = { package = \"linux-image-armmp\" }\n" +
      channel_text("x", kEnds, "4096"));
  EXPECT_NE(find(found, "channel"), nullptr) << all(found);
}

TEST(ChannelLayout, LiesBetweenTheCopiesAndTheMonitor) {
  const image::CompiledImage image =
      compiled(with(channel_text("x", kEnds, "65536") + channel_text("y", kEnds, "4096")));
  const plan::Plan& plan = image.plan;
  ASSERT_EQ(plan.channel_count, 2u);
  EXPECT_EQ(plan.channels[0].base, plan.monitor_base - 65536);
  EXPECT_EQ(plan.channels[1].base, plan.channels[0].base - 4096);
  EXPECT_LE(plan.store_base + plan.store_size, plan.channels[1].base);
  const MemoryRange ram[] = {{0, 0x9fc00}, {0x100000, std::uint64_t{plan.monitor_base} + 0x100000}};
  EXPECT_EQ(verify_header(plan, plan::Architecture::Ia32).error, PlanError::None);
  EXPECT_STREQ(describe(verify_memory(plan, ram).error), "good");
}

TEST(ChannelLayout, IsReservedInBothMaps) {
  const image::CompiledImage image = compiled(with(channel_text("x", kEnds, "65536")));
  for (const image::PartitionReport& partition : image.partitions) {
    bool reserved = false;
    for (const image::E820Entry& entry : partition.e820) {
      const std::uint64_t base = image.plan.channels[0].base;
      if (entry.base > base || entry.base + entry.size < base + 65536) continue;
      reserved = entry.type == image::MemoryType::Reserved;
    }
    EXPECT_TRUE(reserved) << partition.name;
  }
}

TEST(ChannelLayout, OnlyALinuxWithPciHasALine) {
  const image::CompiledImage image =
      compiled(with(channel_text("x", kEnds, "4096") + channel_text("y", "\"b\", \"a\"", "4096")));
  const plan::Plan& plan = image.plan;
  EXPECT_EQ(plan.channels[0].ends[0].line, 20u);
  EXPECT_EQ(plan.channels[0].ends[1].line, plan::kNoLine);
  EXPECT_EQ(plan.channels[1].ends[0].line, plan::kNoLine);
  EXPECT_EQ(plan.channels[1].ends[1].line, 21u);
  EXPECT_NE(test::find_load(image, 0, "PCI functions of the channels"), nullptr);
  EXPECT_EQ(test::find_load(image, 1, "PCI functions of the channels"), nullptr);
}

TEST(ChannelLayout, IsReported) {
  const std::string text = with(channel_text("x", kEnds, "65536"));
  const std::string report = image::report(parsed(text), compiled(text));
  EXPECT_NE(report.find("channel x"), std::string::npos) << report;
  EXPECT_NE(report.find("channel: x, end 0, 64 KiB at "), std::string::npos) << report;
  EXPECT_NE(report.find("to b, its doorbell is interrupt 20"), std::string::npos) << report;
  EXPECT_NE(report.find("to a, its doorbell by hypercall"), std::string::npos) << report;
}

TEST(ChannelFunctions, SayWhatALinuxLooksFor) {
  const firmware::ChannelFunction functions[] = {
      {.number = 2, .end = 1, .line = 22, .base = 0xfee0000, .size = 0x10000},
      {.number = 3, .end = 0, .line = 23, .base = 0xfed0000, .size = 0x1000}};
  const std::vector<std::uint8_t> space = firmware::make_functions(functions);
  ASSERT_EQ(space.size(), 2 * 4096u);
  for (std::size_t n = 0; n < 2; ++n) {
    const auto page = std::span(space).subspan(n * 4096, 4096);
    EXPECT_EQ(get<std::uint16_t>(page, 0), firmware::kChannelVendor);
    EXPECT_EQ(get<std::uint16_t>(page, 2), firmware::kChannelDevice);
    EXPECT_EQ(get<std::uint8_t>(page, 8), functions[n].end);
    EXPECT_EQ(get<std::uint8_t>(page, 0x0e), 0x80) << "several functions";
    EXPECT_EQ(get<std::uint16_t>(page, 0x2e), functions[n].number);
    EXPECT_EQ(get<std::uint8_t>(page, 0x3d), n + 1) << "pin";
    const std::size_t capability = get<std::uint8_t>(page, 0x34);
    EXPECT_EQ(get<std::uint8_t>(page, capability), 0x14) << "Enhanced Allocation";
    EXPECT_EQ(get<std::uint8_t>(page, capability + 1), 0) << "the last one";
    EXPECT_EQ(get<std::uint8_t>(page, capability + 2), 1) << "entries";
    EXPECT_EQ(get<std::uint32_t>(page, capability + 8), functions[n].base);
    EXPECT_EQ(get<std::uint32_t>(page, capability + 12) | 3, functions[n].size - 1);
  }
}

TEST(ChannelFunctions, AreInTheFirmwareTables) {
  firmware::AcpiInput input;
  input.interrupts = plan::InterruptController::IoApic;
  input.pci = true;
  input.tables_address = 0x1000000;
  input.pci_window_start = 512u << 20;
  input.functions_address = 0x7f00000;
  input.channels = {{.number = 0, .end = 0, .line = 20, .base = 0xfee0000, .size = 0x10000}};
  const auto tables = make_acpi_tables(input, system::board_info(system::Board::Pc));
  ASSERT_TRUE(tables) << tables.error().what;
  const auto& bytes = tables->tables;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t mcfg = text.find("MCFG");
  ASSERT_NE(mcfg, std::string_view::npos);
  EXPECT_EQ(get<std::uint32_t>(bytes, mcfg + 4), 60u);
  EXPECT_EQ(test::byte_sum(std::span(bytes).subspan(mcfg, 60)), 0u);
  EXPECT_EQ(get<std::uint64_t>(bytes, mcfg + 44), 0x7f00000u);
  EXPECT_EQ(get<std::uint16_t>(bytes, mcfg + 52), firmware::kFunctionsSegment);
  const std::string source = make_dsdt_source(input, system::board_info(system::Board::Pc));
  EXPECT_NE(source.find("Edge, ActiveHigh, Exclusive) {20}"), std::string::npos);
  EXPECT_NE(source.find("0x0FEE0000, 0x0FEEFFFF"), std::string::npos);
}

}  // namespace
}  // namespace mezzo
