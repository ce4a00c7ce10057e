// Boot parameters, MP table and multiboot information, byte by byte.
#include <gtest/gtest.h>

#include "firmware/boot_params.hpp"
#include "firmware/mp_table.hpp"
#include "firmware/multiboot.hpp"
#include "loader/kernel.hpp"
#include "tool_system_support.hpp"

namespace mezzo::firmware {
namespace {

using loader::get;
using test::byte_sum;

constexpr E820Entry kMap[] = {{0, 0x9f000, MemoryType::Ram},
                              {0x9f000, 0x1000, MemoryType::Reserved},
                              {0x100000, 0x7f00000, MemoryType::Ram},
                              {0x8000000, 0x4000, MemoryType::AcpiData}};

TEST(BootParams, HoldsTheSetupHeaderAndTheLoadersFields) {
  const test::Bytes file = test::make_bzimage();
  const auto kernel = loader::read_bzimage(file);
  ASSERT_TRUE(kernel);
  BootParamsInput input;
  input.load_address = 0x1000000;
  input.cmdline_address = 0xbffb000;
  input.initramfs_address = 0xb000000;
  input.initramfs_size = 12345;
  input.rsdp_address = 0xbffc000;
  input.e820 = kMap;
  const auto page = make_boot_params(kernel->linux_image, input);
  ASSERT_EQ(page.size(), 4096U);
  EXPECT_EQ(get<std::uint64_t>(page, 0x070), 0xbffc000U) << "acpi_rsdp_addr";
  EXPECT_EQ(page[0x1ef], 0) << "sentinel";
  EXPECT_EQ(page[0x1f1], 3) << "setup_sects, copied";
  EXPECT_EQ(get<std::uint16_t>(page, 0x1fa), 0xffff) << "vid_mode";
  EXPECT_EQ(get<std::uint32_t>(page, 0x202), 0x53726448U) << "HdrS, copied";
  EXPECT_EQ(get<std::uint16_t>(page, 0x206), 0x20f) << "version, copied";
  EXPECT_EQ(page[0x210], 0xff) << "type_of_loader";
  EXPECT_EQ(page[0x211], 1) << "LOADED_HIGH alone";
  EXPECT_EQ(get<std::uint32_t>(page, 0x214), 0x1000000U) << "code32_start";
  EXPECT_EQ(get<std::uint32_t>(page, 0x218), 0xb000000U) << "ramdisk_image";
  EXPECT_EQ(get<std::uint32_t>(page, 0x21c), 12345U) << "ramdisk_size";
  EXPECT_EQ(get<std::uint32_t>(page, 0x228), 0xbffb000U) << "cmd_line_ptr";
  EXPECT_EQ(get<std::uint32_t>(page, 0x260), 0x1000000U) << "init_size, copied";
  ASSERT_EQ(page[0x1e8], 4) << "e820_entries";
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(get<std::uint64_t>(page, 0x2d0 + 20 * i), kMap[i].base);
    EXPECT_EQ(get<std::uint64_t>(page, 0x2d8 + 20 * i), kMap[i].size);
    EXPECT_EQ(get<std::uint32_t>(page, 0x2e0 + 20 * i), static_cast<std::uint32_t>(kMap[i].type));
  }
  for (std::size_t i = 0; i < 0x40; ++i) EXPECT_EQ(page[i], 0) << "screen_info";
}

TEST(BootParams, SayNothingOfAnAbsentInitramfs) {
  const test::Bytes file = test::make_bzimage();
  const auto kernel = loader::read_bzimage(file);
  ASSERT_TRUE(kernel);
  const auto page = make_boot_params(kernel->linux_image, {});
  EXPECT_EQ(get<std::uint64_t>(page, 0x218), 0U);
}

TEST(MpTable, IsFoundFirstAndSound) {
  const auto bytes = make_mp_table(1, 0xfee00000);
  ASSERT_EQ(kMpTableAddress % 16, 0U);
  EXPECT_LE(kMpTableAddress + bytes.size(), kMpTableEnd);
  EXPECT_EQ(std::string(bytes.begin(), bytes.begin() + 4), "_MP_");
  const std::span all(bytes);
  EXPECT_EQ(byte_sum(all.first(16)), 0U);
  EXPECT_EQ(get<std::uint32_t>(bytes, 4), kMpTableAddress + 16) << "the table follows";
  EXPECT_EQ(bytes[8], 1) << "length in 16 bytes";
  const auto table = all.subspan(16);
  EXPECT_EQ(std::string(table.begin(), table.begin() + 4), "PCMP");
  EXPECT_EQ(get<std::uint16_t>(table, 4), table.size());
  EXPECT_EQ(byte_sum(table), 0U);
  EXPECT_EQ(get<std::uint32_t>(table, 36), 0xfee00000U);
  // The entries fill the table exactly: a processor, a bus, an interrupt, no I/O APIC (type 2).
  std::vector<unsigned> types;
  std::size_t at = 44;
  while (at < table.size()) {
    types.push_back(table[at]);
    at += table[at] == 0 ? 20 : 8;
  }
  EXPECT_EQ(at, table.size());
  EXPECT_EQ(types, (std::vector<unsigned>{0, 1, 3}));
  EXPECT_EQ(get<std::uint16_t>(table, 34), types.size());
  EXPECT_EQ(table[44 + 1], 1) << "APIC id";
  EXPECT_EQ(table[44 + 3], 3) << "enabled, boot processor";
}

TEST(MultibootInfo, PointsIntoItsOwnPage) {
  constexpr std::uint32_t kAt = 0x7ffe000;
  const auto page = make_multiboot_info({.info_address = kAt,
                                         .cmdline_address = 0x7fff000,
                                         .module_address = 0x7000000,
                                         .module_size = 1000,
                                         .e820 = kMap});
  ASSERT_EQ(page.size(), 4096U);
  EXPECT_EQ(get<std::uint32_t>(page, 0), 1U | 4 | 8 | 64);
  EXPECT_EQ(get<std::uint32_t>(page, 4), 0x9f000U / 1024) << "mem_lower";
  EXPECT_EQ(get<std::uint32_t>(page, 8), 0x7f00000U / 1024) << "mem_upper";
  EXPECT_EQ(get<std::uint32_t>(page, 16), 0x7fff000U);
  ASSERT_EQ(get<std::uint32_t>(page, 20), 1U);
  const std::size_t module = get<std::uint32_t>(page, 24) - kAt;
  ASSERT_LE(module + 16, page.size());
  EXPECT_EQ(get<std::uint32_t>(page, module), 0x7000000U);
  EXPECT_EQ(get<std::uint32_t>(page, module + 4), 0x7000000U + 1000);
  ASSERT_EQ(get<std::uint32_t>(page, 44), 4 * 24U);
  std::size_t entry = get<std::uint32_t>(page, 48) - kAt;
  for (const E820Entry& expected : kMap) {
    EXPECT_EQ(get<std::uint64_t>(page, entry + 4), expected.base);
    EXPECT_EQ(get<std::uint64_t>(page, entry + 12), expected.size);
    EXPECT_EQ(get<std::uint32_t>(page, entry + 20), static_cast<std::uint32_t>(expected.type));
    entry += get<std::uint32_t>(page, entry) + 4;
  }
}

}  // namespace
}  // namespace mezzo::firmware
