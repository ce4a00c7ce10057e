// Whole systems on ARMv7 boards: addresses, the plan as the monitor's own verifier sees it, the
// trees inside, and the boot image as an independent ELF reader sees it.
#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/verify_devices.hpp"
#include "firmware/fdt.hpp"
#include "image/compile.hpp"
#include "image/layout.hpp"
#include "image/report.hpp"
#include "image/write.hpp"
#include "system/board.hpp"
#include "tool_armv7_support.hpp"

namespace mezzo::image {
namespace {

using loader::get;
using test::all;
using test::armv7_partition;
using test::find;
using test::find_load;
using test::stored;
using test::vexpress_text;

constexpr std::uint32_t kMiB = 1 << 20;
constexpr std::uint32_t kRamBase = 0x60000000, kRamEnd = 0x80000000;
constexpr MemoryRange kRam[] = {{kRamBase, kRamEnd - kRamBase}};
const std::string kBusybox = "initramfs = { busybox = true }\n";

system::System parsed(const std::string& text) {
  auto system = system::parse_system(text, "t.toml");
  EXPECT_TRUE(system.has_value()) << (system ? "" : all(system.error()));
  return system.value_or(system::System{});
}

system::Result<CompiledImage> compile_text(const std::string& text,
                                           const test::Bytes& kernel = test::make_zimage(),
                                           const test::Bytes& tree = test::make_vexpress_tree()) {
  const system::System system = parsed(text);
  auto artifacts = test::make_armv7_artifacts(system, kernel, tree);
  for (std::size_t i = 0; i < artifacts.size(); ++i) {
    if (system.partitions[i].kernel.package == "elf")
      artifacts[i].kernel.bytes = test::make_arm_elf(0x60010000);
  }
  return compile(system, artifacts);
}

CompiledImage compiled(const std::string& text, const test::Bytes& kernel = test::make_zimage()) {
  auto image = compile_text(text, kernel);
  EXPECT_TRUE(image) << (image ? "" : all(image.error()));
  return image.value_or(CompiledImage{});
}

std::string refusal(const std::string& text, const test::Bytes& kernel = test::make_zimage()) {
  const auto image = compile_text(text, kernel);
  return image ? "" : all(image.error());
}

// Linux twice and a small guest beside the first, on its processor.
std::string three() {
  return vexpress_text(armv7_partition("a", 0, kBusybox + "console = \"uart0\"") +
                       armv7_partition("b", 1, kBusybox + "console = \"uart1\"\nnetwork = {}") +
                       armv7_partition("rt", 0, "priority = 1\nuser_access = \"strict\"",
                                       "\"2 MiB\"", "package = \"elf\""));
}

std::vector<std::uint32_t> lines_of(const plan::Partition& row) {
  std::vector<std::uint32_t> lines;
  for (std::uint32_t line = 0; line < plan::kMaxLines; ++line) {
    if ((row.armv7.lines[line / 32] >> line % 32 & 1) != 0) lines.push_back(line);
  }
  return lines;
}

std::optional<plan::WindowKind> window_at(const CompiledImage& image, std::size_t partition,
                                          std::uint32_t address) {
  const plan::Partition& row = image.plan.partitions[partition];
  for (std::uint32_t i = 0; i < row.window_count; ++i) {
    const plan::Window& window = image.plan.windows[row.first_window + i];
    if (address - window.guest_base < window.size) return window.kind;
  }
  return std::nullopt;
}

TEST(Armv7Compile, TheMonitorAcceptsThePlan) {
  const CompiledImage image = compiled(three());
  EXPECT_EQ(verify_header(image.plan, plan::Architecture::Armv7).error, PlanError::None);
  EXPECT_EQ(verify_memory(image.plan, kRam).error, PlanError::None);
  EXPECT_EQ(verify_store(image.plan, image.store.data()).error, PlanError::None);
  EXPECT_EQ(verify_partitions(image.plan, plan::kArmv7MaxCpus).error, PlanError::None);
  EXPECT_EQ(verify_devices(image.plan).error, PlanError::None);
  EXPECT_EQ(image.plan.board.ram_base, kRamBase);
  EXPECT_EQ(image.plan.board.ram_size, kRamEnd - kRamBase);
  EXPECT_EQ(image.plan.board.distributor, 0x1e001000U);
}

TEST(Armv7Compile, MemoryIsWholeMegabytesAndNobodysTwice) {
  const CompiledImage image = compiled(three());
  const plan::Plan& plan = image.plan;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents = {
      {plan.monitor_base, plan.monitor_size},
      {image.bundle_address,
       plan.store_base - image.bundle_address + std::uint64_t{plan.store_size}}};
  for (std::uint32_t i = 0; i < plan.piece_count; ++i) {
    extents.emplace_back(plan.pieces[i].base, plan.pieces[i].size);
    EXPECT_EQ(plan.pieces[i].guest_base, kRamBase);
  }
  for (std::uint32_t i = 0; i < plan.partition_count; ++i) {
    const plan::Armv7& row = plan.partitions[i].armv7;
    extents.emplace_back(row.shadow_base, row.shadow_size);
  }
  EXPECT_EQ(extents.front().first + extents.front().second, kRamEnd);
  for (std::size_t i = 0; i < extents.size(); ++i) {
    EXPECT_EQ(extents[i].first % kMiB, 0U) << i;
    EXPECT_GE(extents[i].first, kRamBase);
    EXPECT_LE(extents[i].first + extents[i].second, kRamEnd);
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(
          overlap({extents[i].first, extents[i].second}, {extents[j].first, extents[j].second}))
          << i << " and " << j;
    }
  }
  EXPECT_EQ(plan.store_base % plan::kPageSize, 0U);
}

TEST(Armv7Compile, LinuxStartsUnpackedWithItsTree) {
  const CompiledImage image = compiled(three());
  const plan::Partition& row = image.plan.partitions[1];
  EXPECT_EQ(row.entry, kRamBase + 0x208000);
  EXPECT_EQ(row.registers[0], 0U);
  EXPECT_EQ(row.registers[1], 0xffffffffU);
  const std::uint32_t moved = image.plan.pieces[row.first_piece].base - kRamBase;
  EXPECT_NE(moved, 0U);
  const plan::Load* kernel = find_load(image, 1, "kernel, unpacked");
  const plan::Load* tree = find_load(image, 1, "device tree");
  const plan::Load* initramfs = find_load(image, 1, "initramfs");
  ASSERT_TRUE(kernel != nullptr && tree != nullptr && initramfs != nullptr);
  EXPECT_EQ(kernel->destination, row.entry + moved) << "loads are made by machine addresses";
  EXPECT_EQ(tree->destination, row.registers[2] + moved);
  EXPECT_TRUE(std::ranges::equal(stored(image, *kernel), test::make_arm_kernel()));
  const auto opened = firmware::Fdt::open(stored(image, *tree));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->cells("/memory@60000000", "reg"), (firmware::Fdt::Cells{kRamBase, 128 * kMiB}));
  EXPECT_EQ(opened->number("/chosen", "linux,initrd-start", 0), initramfs->destination - moved);
  EXPECT_EQ(opened->text("/chosen", "bootargs"), "panic=-1 console=ttyAMA1");
  EXPECT_TRUE(opened->has("/bus/ethernet@3,2000000"));
}

TEST(Armv7Compile, AZImageUnpacksItselfOnRequest) {
  const CompiledImage image = compiled(vexpress_text(
      armv7_partition("a", 0, kBusybox, "\"128 MiB\"", "package = \"z\", decompress = false")));
  EXPECT_EQ(image.plan.partitions[0].entry, kRamBase + 0x300000) << "above where it unpacks to";
  EXPECT_NE(find_load(image, 0, "kernel, which unpacks itself"), nullptr);
}

TEST(Armv7Compile, WindowsAndLinesAreTheDevicesOwn) {
  using enum plan::WindowKind;
  const CompiledImage image = compiled(three());
  EXPECT_EQ(lines_of(image.plan.partitions[0]), (std::vector<std::uint32_t>{34, 37}));
  EXPECT_EQ(lines_of(image.plan.partitions[1]), (std::vector<std::uint32_t>{35, 38, 47}));
  EXPECT_TRUE(lines_of(image.plan.partitions[2]).empty());
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(window_at(image, i, 0x1e001000), Distributor);
    EXPECT_EQ(window_at(image, i, 0x10000000), SystemRegisters);
    EXPECT_EQ(window_at(image, i, 0x1e00a000), std::nullopt) << "the second-level cache";
  }
  EXPECT_EQ(window_at(image, 0, 0x1e000000), Interface) << "its processor is shared";
  EXPECT_EQ(window_at(image, 1, 0x1e000000), Direct);
  EXPECT_EQ(window_at(image, 0, 0x10009000), Direct);
  EXPECT_EQ(window_at(image, 1, 0x10009000), std::nullopt);
  EXPECT_EQ(window_at(image, 1, 0x4e00f000), Direct) << "16 pages";
}

// The addresses that the monitor writes to silence the partition's devices.
std::vector<std::uint32_t> silenced(const CompiledImage& image, std::uint32_t partition) {
  std::vector<std::uint32_t> addresses;
  for (const plan::Silence& row : std::span(image.plan.silences).first(image.plan.silence_count)) {
    if (row.partition == partition) addresses.push_back(row.address);
  }
  return addresses;
}

TEST(Armv7Compile, ThePlanSilencesThePartitionsOwnDevices) {
  const CompiledImage image = compiled(three());
  EXPECT_EQ(silenced(image, 0), (std::vector<std::uint32_t>{0x10009038, 0x10009048, 0x10009044,
                                                            0x10011008, 0x10011028}));
  EXPECT_EQ(silenced(image, 1),
            (std::vector<std::uint32_t>{0x1000a038, 0x1000a048, 0x1000a044, 0x4e00005c, 0x4e000074,
                                        0x10012008, 0x10012028}));
  EXPECT_TRUE(silenced(image, 2).empty());
}

// From the board's description to what the monitor verifies: one guest that has everything.
TEST(Armv7Compile, EveryBusMasterOfEveryBoardIsSilenced) {
  using system::Board;
  for (const Board board : {Board::VexpressA9, Board::Cubieboard, Board::Sabrelite, Board::Zynq}) {
    const system::BoardInfo& info = system::board_info(board);
    std::string devices;
    for (const system::BoardDevice& device : info.devices) {
      devices += fmt::format("{}\"{}\"", devices.empty() ? "" : ", ", device.name);
    }
    system::System system = parsed(fmt::format(
        "[machine]\nboard = \"{}\"\nmemory = \"512 MiB\"\n{}", info.name,
        armv7_partition("a", 0,
                        fmt::format("console = \"{}\"\ndevices = [{}]", info.uarts[0].key, devices),
                        "\"16 MiB\"")));
    auto artifacts = test::make_artifacts(
        system, test::make_arm_elf(static_cast<std::uint32_t>(info.ram_base) + 0x10000));
    const auto image = compile(system, artifacts);
    ASSERT_TRUE(image) << info.name << ": " << all(image.error());
    EXPECT_EQ(verify_partitions(image->plan, 1).error, PlanError::None) << info.name;
    const std::vector<std::uint32_t> addresses = silenced(*image, 0);
    for (const system::BoardDevice& device : info.devices) {
      if (!device.bus_master) continue;
      EXPECT_TRUE(std::ranges::any_of(addresses,
                                      [&device](std::uint32_t address) {
                                        return address - device.regions.front().base <
                                               device.regions.front().size;
                                      }))
          << info.name << ": " << device.name;
    }
  }
}

TEST(Armv7Compile, EachLinuxGetsATimerWhileThereAreSome) {
  const CompiledImage image =
      compiled(vexpress_text(armv7_partition("a", 0, kBusybox) + armv7_partition("b", 1, kBusybox) +
                             armv7_partition("c", 2, kBusybox + "devices = [\"timer0\"]")));
  EXPECT_EQ(lines_of(image.plan.partitions[0]), std::vector<std::uint32_t>{35});
  EXPECT_TRUE(lines_of(image.plan.partitions[1]).empty());
  EXPECT_EQ(lines_of(image.plan.partitions[2]), std::vector<std::uint32_t>{34});
  EXPECT_NE(find(image.warnings, "no timer of the board is left for b"), nullptr)
      << all(image.warnings);
}

TEST(Armv7Compile, ABusMasterGetsTheFirstPlace) {
  const CompiledImage image =
      compiled(vexpress_text(armv7_partition("a", 0, kBusybox) +
                             armv7_partition("b", 1, kBusybox + "devices = [\"virtio\"]")));
  EXPECT_EQ(image.plan.pieces[image.plan.partitions[1].first_piece].base, kRamBase);
  EXPECT_EQ(image.plan.pieces[image.plan.partitions[0].first_piece].base, kRamBase + 128 * kMiB);
  EXPECT_EQ(lines_of(image.plan.partitions[1]), (std::vector<std::uint32_t>{35, 72, 73, 74, 75}));
}

TEST(Armv7Compile, CarriesWhatTheUserChose) {
  const CompiledImage image = compiled(vexpress_text(armv7_partition(
      "a", 0,
      kBusybox + "view = \"roots\"\nuser_access = \"strict\"\nslow_paths = [\"return\"]\n"
                 "shadow_memory = \"6 MiB\"\npriority = 2")));
  const plan::Armv7& row = image.plan.partitions[0].armv7;
  EXPECT_EQ(row.view, plan::View::Roots);
  EXPECT_EQ(row.user_access, plan::UserAccess::Strict);
  EXPECT_EQ(row.slow_paths, plan::kFastReturn);
  EXPECT_EQ(row.shadow_size, 6 * kMiB);
  EXPECT_EQ(row.priority, 2U);
}

TEST(Armv7Compile, CarriesTimeTablesAndWatchdogs) {
  const std::string text =
      vexpress_text(armv7_partition("a", 0,
                                    kBusybox + "watchdog = \"2 s\"\nwatchdog_boot = \"9 s\"\n"
                                               "on_watchdog = \"stop\"") +
                    armv7_partition("rt", 0, "", "\"2 MiB\"", "package = \"elf\"")) +
      "[[schedule]]\ncpu = 0\nframe = \"10 ms\"\non_overrun = \"stop\"\nwindows = [\n"
      "{ partition = \"a\", start = \"3 ms\", length = \"7 ms\" },\n"
      "{ partition = \"rt\", start = \"0 ms\", length = \"2500 us\" }]\n";
  const CompiledImage image = compiled(text);
  EXPECT_EQ(image.plan.partitions[0].watchdog_us, 2'000'000U);
  EXPECT_EQ(image.plan.partitions[0].watchdog_boot_us, 9'000'000U);
  EXPECT_EQ(image.plan.partitions[0].on_watchdog, plan::WatchdogPolicy::Stop);
  EXPECT_EQ(window_at(image, 0, 0x1000f000), plan::WindowKind::Watchdog);
  EXPECT_EQ(window_at(image, 1, 0x1000f000), std::nullopt);
  ASSERT_EQ(image.plan.schedule_count, 1U);
  const plan::Schedule& schedule = image.plan.schedules[0];
  EXPECT_EQ(schedule.on_overrun, plan::OverrunPolicy::Stop);
  ASSERT_EQ(schedule.window_count, 2U);
  EXPECT_EQ(schedule.windows[0].partition, 1U);
  EXPECT_EQ(schedule.windows[0].length_us, 2'500U);
  EXPECT_EQ(schedule.windows[1].start_us, 3'000U);
  EXPECT_TRUE(verify_schedules(image.plan).good());
  const std::string words = report(parsed(text), image);
  for (const char* part :
       {"time table of processor 0: frame 10 ms, tolerance 200 us, on an overrun: "
        "stop\n  at 0 ms: rt for 2500 us\n  at 3 ms: a for 7 ms\n",
        "without a kick for 2000 ms, or 9000 ms from its start: stop", "watchdog, emulated"}) {
    EXPECT_NE(words.find(part), std::string::npos) << part << "\n" << words;
  }
}

TEST(Armv7Compile, ASmallGuestWithATreeGetsItInR2) {
  const std::string tree =
      (std::filesystem::temp_directory_path() / fmt::format("tree-{}.dtb", getpid())).string();
  std::ofstream(tree) << "x";  // the artifact is what counts
  const CompiledImage image = compiled(vexpress_text(
      armv7_partition("rt", 0, fmt::format("device_tree = \"{}\"\ncmdline = \"quick\"", tree),
                      "\"4 MiB\"", "package = \"elf\"")));
  std::filesystem::remove(tree);
  EXPECT_EQ(image.plan.partitions[0].entry, 0x60010010U);
  EXPECT_NE(image.plan.partitions[0].registers[2], 0U);
  EXPECT_NE(find_load(image, 0, "device tree"), nullptr);
}

std::string with_initramfs_at(std::uint32_t address) {
  return vexpress_text(armv7_partition(
      "a", 0, fmt::format("initramfs = {{ busybox = true, address = {:#x} }}", address)));
}

TEST(Armv7Compile, AnInitramfsIsPutWhereTheUserWants) {
  const CompiledImage image = compiled(with_initramfs_at(0x64000000));
  const plan::Load* initramfs = find_load(image, 0, "initramfs");
  ASSERT_NE(initramfs, nullptr);
  EXPECT_EQ(initramfs->destination, 0x64000000U);
}

TEST(Armv7Compile, RefusesWhatDoesNotFit) {
  const auto expect = [](const std::string& text, std::string_view words) {
    EXPECT_NE(refusal(text).find(words), std::string::npos) << refusal(text);
  };
  expect(with_initramfs_at(0x60208000), "is in the way of its kernel");
  expect(with_initramfs_at(0x60205000), "is in the way of its kernel");  // its first page tables
  expect(with_initramfs_at(0x67fff000), "covers its device tree");
  expect(with_initramfs_at(0x68000000), "outside the memory that Linux maps directly");
  expect(with_initramfs_at(0x10000000), "outside the memory that Linux maps directly");
  expect(vexpress_text(armv7_partition("a", 0, kBusybox, "\"2 MiB\"")), "is too small");
  expect(vexpress_text(armv7_partition("a", 0, "", "\"1 MiB\"", "package = \"elf\"") +
                       armv7_partition("b", 1, "",
                                       "[ { base = 0x60000000, size = 0x100000, "
                                       "guest = 0x61000000 } ]",
                                       "package = \"elf\"")),
         "outside its memory");
  expect(vexpress_text(armv7_partition("a", 0, kBusybox, "\"504 MiB\"")),
         "no room for the monitor");
  expect(vexpress_text(
             armv7_partition("a", 0, kBusybox, "[ { base = 0x60000000, size = \"32 MiB\" } ]") +
             armv7_partition("b", 1, kBusybox + "devices = [\"virtio\"]")),
         "its memory must start at 0x60000000");
}

// What the ARMv7 monitor's file looks like: addresses from 0, a word for the bundle's address.
test::Bytes make_monitor(std::uint32_t size = 0x2000) {
  constexpr std::uint32_t kOffset = 0x1000, kSymbols = 0x1800, kNames = 0x1900, kSections = 0x1a00;
  test::Bytes file(0x2000 + size, 0);
  const std::span<std::uint8_t> bytes(file);
  const auto at = [&bytes](std::size_t offset, const auto& value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  };
  Elf32_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG "\1\1\1", 7);
  header.e_type = ET_EXEC;
  header.e_machine = EM_ARM;
  header.e_version = 1;
  header.e_entry = 0x1040;
  header.e_phoff = sizeof header;
  header.e_shoff = kSections;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf32_Phdr);
  header.e_phnum = 2;
  header.e_shentsize = sizeof(Elf32_Shdr);
  header.e_shnum = 3;
  at(0, header);
  at(sizeof header, Elf32_Phdr{PT_LOAD, 0, 0xffa00000, 0, 0, 0x1000, PF_R | PF_W, 0x1000});
  at(sizeof header + sizeof(Elf32_Phdr),
     Elf32_Phdr{PT_LOAD, kOffset, 0xffa01000, 0x1000, 0x800, size, PF_R | PF_X, 0x1000});
  at(kSymbols + 16, Elf32_Sym{1, 0xffa01100, 4, 0, 0, 1});
  std::memcpy(&file[kNames], "\0mezzo_bundle_address", 22);
  at(kSections + 40, Elf32_Shdr{0, SHT_SYMTAB, 0, 0, kSymbols, 32, 2, 1, 4, 16});
  at(kSections + 80, Elf32_Shdr{0, SHT_STRTAB, 0, 0, kNames, 32, 0, 0, 1, 0});
  return file;
}

TEST(Armv7Elf, IsAtMachineAddresses) {
  const CompiledImage image = compiled(three());
  const auto file = make_elf(image, make_monitor());
  ASSERT_TRUE(file) << all(file.error());
  Elf32_Ehdr header;
  std::memcpy(&header, file->data(), sizeof header);
  EXPECT_EQ(header.e_machine, EM_ARM);
  EXPECT_EQ(header.e_entry, image.plan.monitor_base + 0x1040);
  ASSERT_EQ(header.e_phnum, 3);
  Elf32_Phdr segments[3];
  std::memcpy(segments, file->data() + header.e_phoff, sizeof segments);
  EXPECT_EQ(segments[0].p_paddr, image.plan.monitor_base);
  EXPECT_EQ(segments[0].p_filesz, 0U) << "the status region";
  EXPECT_EQ(segments[1].p_paddr, image.plan.monitor_base + 0x1000);
  EXPECT_EQ(segments[1].p_vaddr, segments[1].p_paddr);
  EXPECT_EQ(get<std::uint32_t>(*file, segments[1].p_offset + 0x100), image.bundle_address);
  EXPECT_EQ(segments[2].p_paddr, image.bundle_address);
  plan::Plan plan;
  std::memcpy(&plan, file->data() + segments[2].p_offset, sizeof plan);
  EXPECT_EQ(plan.crc32, image.plan.crc32);
  EXPECT_EQ(plan.store_base + plan.store_size, segments[2].p_paddr + segments[2].p_filesz)
      << "the store needs no copying";
}

TEST(Armv7Elf, RefusesAMonitorThatIsNone) {
  const CompiledImage image = compiled(three());
  const auto words = [&image](const test::Bytes& monitor) {
    const auto file = make_elf(image, monitor);
    return file ? std::string() : all(file.error());
  };
  EXPECT_NE(words(test::make_elf32(0x100000)).find("not for little-endian 32-bit Arm"),
            std::string::npos);
  EXPECT_NE(words(test::make_arm_elf(0x1000)).find("no initialized word"), std::string::npos);
  EXPECT_NE(words(make_monitor(0x200000)).find("larger than its memory"), std::string::npos);
}

TEST(Armv7Report, ShowsBothSidesOfMemory) {
  const std::string text = three();
  const std::string words = report(parsed(text), compiled(text));
  for (const char* part :
       {"board vexpress-a9", "monitor: shadow page tables of b", "in the machine at 0x68000000",
        "console: UART1 (0x1000a000, interrupt 38)", "interrupts: 35 38 47",
        "interrupt distributor: its own lines only", "kernel: zImage, Linux 6.1.0-test-armmp",
        "at priority 1", "user access strict", "timer1 (SP804 dual timer 1) is its clock"}) {
    EXPECT_NE(words.find(part), std::string::npos) << part << "\n" << words;
  }
}

}  // namespace
}  // namespace mezzo::image
