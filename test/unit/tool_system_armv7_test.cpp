// System files for ARMv7 boards: the keys only they have, and their contradictions.
#include <gtest/gtest.h>

#include "system/board.hpp"
#include "system/check.hpp"
#include "tool_armv7_support.hpp"

namespace mezzo::system {
namespace {

using test::all;
using test::armv7_partition;
using test::find;
using test::vexpress_text;

System parsed(const std::string& text) {
  auto system = parse_system(text, "t.toml");
  EXPECT_TRUE(system.has_value()) << (system ? "" : all(system.error()));
  return system.value_or(System{});
}

TEST(Armv7File, HasDefaultsOfItsBoard) {
  const System system = parsed(vexpress_text(
      armv7_partition("a", 2, "console = \"uart3\"\nnetwork = {}\ndisk = { file = \"x.img\" }")));
  EXPECT_EQ(system.machine.board, Board::VexpressA9);
  EXPECT_EQ(system.machine.cpu_model, "cortex-a9");
  EXPECT_EQ(system.machine.cpus, 3U);
  const Partition& partition = system.partitions.front();
  EXPECT_EQ(partition.console, 4U);
  EXPECT_EQ(partition.paging, Paging::Shadow);
  EXPECT_TRUE(partition.owns("pl181")) << "programmed I/O, which works anywhere";
  EXPECT_TRUE(partition.owns("smsc911x"));
  EXPECT_TRUE(partition.kernel.decompress);
  EXPECT_EQ(partition.armv7.shadow_memory, Armv7Spec::kDefaultShadowMemory);
  EXPECT_EQ(partition.armv7.user_access, plan::UserAccess::Lazy);
  EXPECT_EQ(partition.armv7.view, plan::View::Domains);
  EXPECT_EQ(partition.armv7.slow_paths, 0U);
  EXPECT_TRUE(find(check(system), "x.img")) << all(check(system));
}

TEST(Armv7File, ReadsEveryKey) {
  const System system = parsed(vexpress_text(armv7_partition(
      "a", 0,
      "device_tree = \"my.dtb\"\nshadow_memory = \"8 MiB\"\nuser_access = \"strict\"\n"
      "view = \"roots\"\nslow_paths = [\"masks\", \"prefill\"]\npriority = 3\n"
      "devices = [\"virtio\"]\nnetwork = {}\ndisk = { file = \"x.img\" }\npaging = \"shadow\"\n"
      "initramfs = { file = \"i\", address = 0x64000000 }",
      "[ { base = 0x60000000, size = \"64 MiB\" },"
      " { base = 0x68000000, size = \"64 MiB\", guest = 0x70000000 } ]",
      "file = \"z\", format = \"zimage\", decompress = false")));
  const Partition& partition = system.partitions.front();
  EXPECT_EQ(partition.armv7.device_tree, "my.dtb");
  EXPECT_EQ(partition.armv7.shadow_memory, 8U << 20);
  EXPECT_EQ(partition.armv7.user_access, plan::UserAccess::Strict);
  EXPECT_EQ(partition.armv7.view, plan::View::Roots);
  EXPECT_EQ(partition.armv7.slow_paths, plan::kFastMasks | plan::kFastPrefill);
  EXPECT_EQ(partition.armv7.priority, 3U);
  EXPECT_EQ(partition.devices.size(), 1U) << "virtio serves both";
  EXPECT_EQ(partition.kernel.format, KernelFormat::ZImage);
  EXPECT_FALSE(partition.kernel.decompress);
  EXPECT_EQ(partition.initramfs->address, 0x64000000U);
  EXPECT_FALSE(partition.memory.pieces[0].guest_base);
  EXPECT_EQ(partition.memory.pieces[1].guest_base, 0x70000000U);
}

TEST(Armv7File, EveryFastPathHasAName) {
  const System system = parsed(vexpress_text(
      armv7_partition("a", 0,
                      "slow_paths = [\"masks\", \"thread_id\", \"domain_access\", \"return\", "
                      "\"prefill\", \"table_flush\", \"vectors\", \"interrupts\", "
                      "\"transfers\"]")));
  EXPECT_EQ(system.partitions.front().armv7.slow_paths, 0x1ffU);
}

struct Case {
  std::string name;
  std::string text;
  std::string words;
  std::uint32_t line;
};

// Lines 1 to 4 are the machine's (board 2, memory 3, free 4); the first partition's table starts on
// line 5: name 6, cpu 7, memory 8, kernel 9, rest from 10.
constexpr std::uint32_t kCpu = 7, kMemory = 8, kKernel = 9, kRest = 10;
constexpr std::uint32_t kLines = 6;  // of one partition with a line of `rest`

std::string one(std::string_view rest, std::string_view memory = "\"128 MiB\"",
                std::string_view kernel = "package = \"linux-image-armmp\"") {
  return vexpress_text(armv7_partition("a", 0, rest, memory, kernel));
}

std::string two(std::string_view first, std::string_view second, int second_cpu = 1,
                std::string_view memory1 = "\"128 MiB\"",
                std::string_view memory2 = "\"128 MiB\"") {
  return vexpress_text(armv7_partition("a", 0, first, memory1) +
                       armv7_partition("b", second_cpu, second, memory2));
}

class Armv7Mistake : public testing::TestWithParam<Case> {};

TEST_P(Armv7Mistake, IsReportedWhereItIs) {
  const auto system = parse_system(GetParam().text, "t.toml");
  ASSERT_FALSE(system.has_value());
  const Diagnostic* found = find(system.error(), GetParam().words);
  ASSERT_NE(found, nullptr) << all(system.error());
  EXPECT_EQ(found->where.position.line, GetParam().line) << all(system.error());
  EXPECT_FALSE(found->remedy.empty());
}

INSTANTIATE_TEST_SUITE_P(
    KeysOfAPc, Armv7Mistake,
    testing::Values(
        Case{"Ports", one("ports = [\"0x70\"]"), "'ports' has no meaning on board vexpress-a9",
             kRest},
        Case{"Irqs", one("irqs = [5]"), "'irqs' has no meaning", kRest},
        Case{"Interrupts", one("interrupts = \"pic\""), "'interrupts' has no meaning", kRest},
        Case{"CpuModel", vexpress_text(armv7_partition("a", 0), "cpu = \"pentium3\""),
             "'cpu' has no meaning", 4},
        Case{"Com1", one("console = \"com1\""), "'com1' is not a value of 'console'", kRest},
        Case{"Direct", one("paging = \"direct\""), "'direct' is not a value of 'paging'", kRest},
        Case{"BzImage", one("", "\"64 MiB\"", "file = \"x\", format = \"bzimage\""),
             "'bzimage' is not a value of 'format'", kKernel},
        Case{"Link", one("") + "[[link]]\nends = []\n", "'link' has no meaning", 11},
        Case{"Prefetch", one("slow_paths = [\"prefetch\"]"), "'prefetch' is no fast path", kRest}),
    [](const auto& info) { return info.param.name; });

std::string pc(std::string_view rest, std::string_view kernel = "file = \"x\"") {
  return fmt::format(
      "[machine]\nmemory = \"512 MiB\"\n[[partition]]\nname = \"a\"\ncpu = 0\nmemory = \"64 MiB\"\n"
      "kernel = {{ {} }}\n{}\n",
      kernel, rest);
}

INSTANTIATE_TEST_SUITE_P(
    KeysOfAnArmBoard, Armv7Mistake,
    testing::Values(Case{"Tree", pc("device_tree = \"x\""), "'device_tree' has no meaning", 8},
                    Case{"Shadow", pc("shadow_memory = 3"), "'shadow_memory' has no meaning", 8},
                    Case{"Access", pc("user_access = \"lazy\""), "'user_access' has no", 8},
                    Case{"View", pc("view = \"roots\""), "'view' has no meaning", 8},
                    Case{"Paths", pc("slow_paths = []"), "'slow_paths' has no meaning", 8},
                    Case{"Priority", pc("priority = 1"), "'priority' has no meaning", 8},
                    Case{"Uart", pc("console = \"uart0\""), "'uart0' is not a value", 8},
                    Case{"ShadowPaging", pc("paging = \"shadow\""), "'shadow' is not a value", 8},
                    Case{"Decompress", pc("", "file = \"x\", decompress = true"),
                         "'decompress' has no meaning", 7},
                    Case{"Address", pc("initramfs = { file = \"x\", address = 3 }"),
                         "'address' has no meaning", 8}),
    [](const auto& info) { return info.param.name; });

class Armv7Contradiction : public testing::TestWithParam<Case> {};

TEST_P(Armv7Contradiction, IsReported) {
  const Diagnostics found = check(parsed(GetParam().text));
  const Diagnostic* diagnostic = find(found, GetParam().words);
  ASSERT_NE(diagnostic, nullptr) << all(found);
  EXPECT_EQ(diagnostic->severity, Severity::Error);
  EXPECT_EQ(diagnostic->where.position.line, GetParam().line) << all(found);
  EXPECT_FALSE(diagnostic->remedy.empty());
}

std::string piece(std::string_view base, std::string_view size, std::string_view guest = "") {
  return fmt::format("[ {{ base = {}, size = {}{} }} ]", base, size, guest);
}

INSTANTIATE_TEST_SUITE_P(
    Memory, Armv7Contradiction,
    testing::Values(
        Case{"OddSize", one("", "\"1025 KiB\""), "not a multiple of 1 MiB", kMemory},
        Case{"OddPiece", one("", piece("0x60080000", "\"64 MiB\"")), "is not a multiple of 1 MiB",
             kMemory},
        Case{"EmptyPiece", one("", piece("0x60000000", "0")), "a memory piece of no size", kMemory},
        Case{"BelowRam", one("", piece("0x40000000", "\"64 MiB\"")), "is outside the machine's",
             kMemory},
        Case{"AboveRam", one("", piece("0x7f000000", "\"64 MiB\"")), "is outside the machine's",
             kMemory},
        Case{"AtDevices", one("", piece("0x60000000", "\"64 MiB\"", ", guest = 0x10000000")),
             "where the board has devices", kMemory},
        Case{"PastTheEnd", one("", piece("0x60000000", "\"64 MiB\"", ", guest = 0xff000000")),
             "where the board has devices", kMemory},
        Case{"Overlap",
             two("", "", 1, piece("0x60000000", "\"64 MiB\""), piece("0x62000000", "\"64 MiB\"")),
             "memory 0x62000000-0x65ffffff of b overlaps 0x60000000-0x63ffffff of a (line 8)",
             kMemory + kLines},
        Case{"SeenTwice",
             one("",
                 "[ { base = 0x60000000, size = 0x100000 },"
                 " { base = 0x70000000, size = 0x100000, guest = 0x60000000 } ]"),
             "a would see two pieces of memory at 0x60000000", kMemory},
        Case{"TooMuch", two("", "", 1, "\"256 MiB\"", "\"256 MiB\""),
             "need 524 MiB, the machine has 512 MiB", 3},
        Case{"NoMemory", one("", "[]"), "a has no memory", kMemory}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Others, Armv7Contradiction,
    testing::Values(
        Case{"LittleShadow", one("shadow_memory = \"1 MiB\""),
             "1024 KiB for the shadow page tables of a are too few", kRest},
        Case{"MuchShadow", one("shadow_memory = \"1 GiB\""), "are too many", kRest},
        Case{"OddShadow", one("shadow_memory = \"4095 KiB\""), "not a multiple of 16 KiB", kRest},
        Case{"OneProcessorTwice", two("", "", 0),
             "processor 0 has two owners of priority 0: b and a (line 7)", kCpu + kLines},
        Case{"OneUartTwice", two("console = \"uart1\"", "console = \"uart1\""),
             "serial port UART 1 has two owners", kRest + kLines},
        Case{"OneDeviceTwice", two("devices = [\"rtc\"]", "devices = [\"rtc\"]"),
             "device 'rtc' has two owners", kRest + kLines},
        Case{"UnknownDevice", one("devices = [\"e1000\"]"), "has no device 'e1000'", kRest},
        Case{"MovedBusMaster", one("devices = [\"virtio\"]", piece("0x68000000", "\"64 MiB\"")),
             "'virtio' masters the bus by machine addresses", kRest},
        Case{"Lpae", one("", "\"64 MiB\"", "package = \"linux-image-armmp-lpae\""),
             "a LPAE kernel is not supported", kKernel},
        Case{"Arm64", one("", "\"64 MiB\"", "package = \"linux-image-arm64\""), "a 64-bit kernel",
             kKernel},
        Case{"NoTree", one("device_tree = \"none.dtb\""), "the device tree none.dtb does not exist",
             kRest},
        Case{"Mem", one("cmdline = \"mem=64M\""), "must not contain 'mem=64M'", kRest},
        Case{"Vmalloc", one("cmdline = \"vmalloc=400M\""), "must not contain", kRest},
        Case{"Earlycon", one("cmdline = \"earlycon=pl011,0x10009000\""), "must not contain", kRest},
        Case{"ForeignConsole", two("console = \"uart0\"", "cmdline = \"console=ttyAMA0,115200\""),
             "is the serial port of a", kRest + kLines},
        Case{"TooManyProcessors", vexpress_text(armv7_partition("a", 0), "cpus = 5"),
             "more than the 4 of board vexpress-a9", 4},
        Case{"OddCubieboard",
             "[machine]\nboard = \"cubieboard\"\nmemory = \"768 MiB\"\n" + armv7_partition("a", 0),
             "not a multiple of 512 MiB", 3},
        Case{"TwoOnCubieboard",
             "[machine]\nboard = \"cubieboard\"\nmemory = \"1 GiB\"\n" + armv7_partition("a", 0) +
                 armv7_partition("b", 0, "priority = 1"),
             "2 partitions on board cubieboard", 0}),
    [](const auto& info) { return info.param.name; });

TEST(Armv7Check, AcceptsASoundSystem) {
  const System system = parsed(two("console = \"uart0\"\ndevices = [\"virtio\"]\nnetwork = {}",
                                   "console = \"uart1\"\ndevices = [\"pl181\"]"));
  EXPECT_TRUE(check(system).empty()) << all(check(system));
}

TEST(Armv7Check, TheRemedyForABusMasterNamesWhatToUse) {
  const auto found =
      check(parsed(one("devices = [\"virtio\"]", piece("0x68000000", "\"64 MiB\""))));
  const Diagnostic* diagnostic = find(found, "masters the bus");
  ASSERT_NE(diagnostic, nullptr);
  EXPECT_NE(diagnostic->remedy.find("pl181, smsc911x"), std::string::npos) << diagnostic->remedy;
}

TEST(Armv7Check, APieceWhereTheMachineHasItMaySuitABusMaster) {
  const auto found = check(parsed(
      one("devices = [\"virtio\"]", piece("0x68000000", "\"64 MiB\"", ", guest = 0x68000000"))));
  EXPECT_TRUE(found.empty()) << all(found);
}

TEST(Armv7Check, PartitionsShareAProcessorByPriority) {
  const auto found = check(parsed(two("", "priority = 1", 0)));
  EXPECT_TRUE(found.empty()) << all(found);
}

Diagnostics with_files(std::string_view rest, const test::Bytes& kernel, const test::Bytes& tree) {
  const System system = parsed(one(rest));
  Artifacts artifacts = test::make_armv7_artifacts(system, kernel, tree);
  if (tree.empty()) artifacts.front().device_tree.reset();
  return check(system, artifacts);
}

TEST(Armv7Check, ALinuxHasNoHighMemory) {
  const auto found = [](std::string_view memory) {
    System system = parsed(one("initramfs = { busybox = true }", memory));
    system.machine.memory = std::uint64_t{1} << 30;
    const auto artifacts =
        test::make_armv7_artifacts(system, test::make_zimage(), test::make_vexpress_tree());
    return all(check(system, artifacts));
  };
  EXPECT_EQ(found("\"768 MiB\""), "");
  EXPECT_NE(found("\"769 MiB\"").find("more than a Linux can have here"), std::string::npos);
  EXPECT_NE(found(piece("0x60000000", "\"64 MiB\"", ", guest = 0x8d000000"))
                .find("memory up to 0x90ffffff"),
            std::string::npos);
}

TEST(Armv7Check, LooksAtKernelsAndTrees) {
  const std::string busybox = "initramfs = { busybox = true }";
  const auto tree = test::make_vexpress_tree();
  const auto zimage = test::make_zimage();
  const auto words = [](const Diagnostics& found, std::string_view text) {
    EXPECT_NE(find(found, text), nullptr) << all(found);
  };
  words(with_files(busybox, zimage, {}), "no device tree vexpress-v2p-ca9.dtb with the kernel");
  words(with_files(busybox, zimage, zimage), "this is no device tree");
  words(with_files(busybox, zimage, test::make_vexpress_tree({.memory = false})), "has no memory");
  words(with_files(busybox, test::make_zimage({.thumb2 = true}), tree), "Thumb-2");
  words(with_files(busybox, test::make_zimage({.lpae = true}), tree), "LPAE");
  words(with_files("", zimage, tree), "neither initramfs nor disk");
  words(with_files(busybox, test::make_arm_elf(0x60100000), tree), "takes no initramfs");
  words(with_files("cmdline = \"x\"", test::make_arm_elf(0x60100000), tree),
        "takes no command line");
}

}  // namespace
}  // namespace mezzo::system
