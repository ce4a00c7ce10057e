// The checker: one test for each contradiction, with the place it is reported at.
#include <gtest/gtest.h>

#include "system/check.hpp"
#include "tool_system_support.hpp"

namespace mezzo::system {
namespace {

using test::all;
using test::find;
using test::partition_text;
using test::system_text;

System parsed(const std::string& text) {
  auto system = parse_system(text, "t.toml");
  EXPECT_TRUE(system.has_value()) << (system ? "" : all(system.error()));
  return system.value_or(System{});
}

// Lines 1 to 4 are the machine's (memory 2, cpus 3, free 4); the first partition's table starts on
// line 5: name 6, cpu 7, memory 8, kernel 9, rest from 10.
constexpr std::uint32_t kFirst = 5;
constexpr std::uint32_t kName = 1, kCpu = 2, kMemory = 3, kKernel = 4, kRest = 5;
constexpr std::uint32_t kLines = 6;  // of one partition with a line of `rest`
constexpr std::uint32_t kLinkLine = kFirst + 2 * (kLines + 1);  // after two with two such lines

struct Case {
  std::string name;
  std::string text;
  std::string words;
  std::uint32_t line;
};

class Contradiction : public testing::TestWithParam<Case> {};

TEST_P(Contradiction, IsReported) {
  const Diagnostics found = check(parsed(GetParam().text));
  const Diagnostic* diagnostic = find(found, GetParam().words);
  ASSERT_NE(diagnostic, nullptr) << all(found);
  EXPECT_EQ(diagnostic->severity, Severity::Error);
  EXPECT_EQ(diagnostic->where.position.line, GetParam().line) << all(found);
  if (GetParam().line != 0) {
    EXPECT_GT(diagnostic->where.position.column, 0U);
  }
  EXPECT_FALSE(diagnostic->remedy.empty());
}

std::string two(std::string_view first, std::string_view second, int second_cpu = 1,
                std::string_view memory1 = "\"128 MiB\"",
                std::string_view memory2 = "\"128 MiB\"") {
  return system_text(partition_text("a", 0, memory1, first) +
                     partition_text("b", second_cpu, memory2, second));
}

std::string one(std::string_view rest, std::string_view memory = "\"128 MiB\"", int cpu = 0) {
  return system_text(partition_text("a", cpu, memory, rest));
}

INSTANTIATE_TEST_SUITE_P(
    Machine, Contradiction,
    testing::Values(
        Case{"TooMuchMemory", "[machine]\nmemory = \"8 GiB\"\n" + partition_text("a", 0),
             "has from 16 to 3072 MiB", 2},
        Case{"TooLittleMemory", "[machine]\nmemory = \"8 MiB\"\n" + partition_text("a", 0),
             "has from 16 to 3072 MiB", 2},
        Case{"OddMemory", "[machine]\nmemory = \"262145 KiB\"\n" + partition_text("a", 0),
             "not a multiple of 1 MiB", 2},
        Case{"TooManyProcessors",
             "[machine]\nmemory = \"1 GiB\"\ncpus = 9\n" + partition_text("a", 0),
             "more than the 8 of board pc", 3},
        Case{"SlowHeartbeat",
             "[machine]\nmemory = \"1 GiB\"\nheartbeat = \"1000 ms\"\n" + partition_text("a", 0),
             "out of range", 3},
        Case{"NoPartition", "partition = []\n[machine]\nmemory = \"1 GiB\"\n", "0 partitions", 0}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Partition, Contradiction,
    testing::Values(
        Case{"BadName", system_text(partition_text("a b", 0)), "cannot be a partition's name",
             kFirst + kName},
        Case{"LongName", system_text(partition_text(std::string(32, 'x'), 0)),
             "cannot be a partition's name", kFirst + kName},
        Case{"MissingProcessor", one("", "\"128 MiB\"", 2), "wants processor 2", kFirst + kCpu},
        Case{"Amd64Package",
             "[machine]\nmemory = \"1 GiB\"\n\n\n[[partition]]\nname = \"a\"\ncpu = 0\nmemory = "
             "\"128 MiB\"\nkernel = { package = \"linux-image-amd64\" }\n",
             "64-bit kernel is not supported yet", kFirst + kKernel},
        Case{"MissingKernelFile",
             "[machine]\nmemory = \"1 GiB\"\n\n\n[[partition]]\nname = \"a\"\ncpu = 0\nmemory = "
             "\"128 MiB\"\nkernel = { file = \"/nonexistent/vmlinuz\" }\n",
             "kernel /nonexistent/vmlinuz does not exist", kFirst + kKernel},
        Case{"MissingInitramfs", one("initramfs = { file = \"/nonexistent/i\" }"),
             "initramfs /nonexistent/i does not exist", kFirst + kRest},
        Case{"MissingDisk", one("disk = { file = \"/nonexistent/d\" }"),
             "disk /nonexistent/d does not exist", kFirst + kRest},
        Case{"UnknownDevice", one("devices = [\"tape\"]"), "no device 'tape'", kFirst + kRest},
        Case{"CardWithoutPci", one("network = { mode = \"user\" }"), "does not own PCI",
             kFirst + kRest},
        Case{"PciWithPic", one("devices = [\"pci\"]\ninterrupts = \"pic\""),
             "arrive at the I/O APIC", kFirst + kRest + 1},
        Case{"BadForward",
             one("devices = [\"pci\"]\nnetwork = { mode = \"user\", forward = [\"tcp:x:22\"] }"),
             "not a forwarded port", kFirst + kRest + 1}),
    [](const auto& info) { return info.param.name; });

std::string linked(std::string_view first_end, std::string_view second_end,
                   std::string_view first = "console = \"com1\"\ninterrupts = \"ioapic\"") {
  return two(first, "console = \"com2\"\ninterrupts = \"pic\"") +
         fmt::format("[[link]]\nends = [{{ {} }},\n{{ {} }}]\n", first_end, second_end);
}

constexpr std::string_view kEndA = "partition = \"a\", port = \"com3\", address = \"10.77.0.1\"";
constexpr std::string_view kEndB = "partition = \"b\", port = \"com4\", address = \"10.77.0.2\"";

INSTANTIATE_TEST_SUITE_P(
    Links, Contradiction,
    testing::Values(
        Case{"BothEndsInOne",
             linked(kEndA, "partition = \"a\", port = \"com4\", address = \"10.77.0.2\""),
             "both ends of the link are in a", kLinkLine},
        Case{"PortOfConsole",
             linked("partition = \"a\", port = \"com1\", address = \"10.77.0.1\"", kEndB),
             "COM1 of a is used twice, here and as its console", kLinkLine + 1},
        Case{"PortOfBoth",
             linked(kEndA, "partition = \"b\", port = \"com3\", address = \"10.77.0.2\""),
             "serial port COM 3 has two owners: b (link) and a (link", kLinkLine + 2},
        Case{"PortOfOthersConsole",
             linked("partition = \"a\", port = \"com2\", address = \"10.77.0.1\"", kEndB),
             "serial port COM 2 has two owners: a (link) and b (console", kLinkLine + 1},
        Case{"BadAddress", linked(kEndA, "partition = \"b\", port = \"com4\", address = \"10.77\""),
             "'10.77' is not an IPv4 address", kLinkLine + 2},
        Case{"NoInterrupts", linked(kEndA, kEndB, "console = \"com1\"\ninterrupts = \"none\""),
             "a has no interrupt controller", kLinkLine + 1}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Memory, Contradiction,
    testing::Values(
        Case{"MisalignedPiece", one("", "[{ base = 0x100800, size = \"1 MiB\" }]"),
             "not a multiple of 4 KiB", kFirst + kMemory},
        Case{"MisalignedSize", one("", "1000000"), "not a multiple of 4 KiB", kFirst + kMemory},
        Case{"EmptyPiece", one("", "[{ base = 0x100000, size = 0 }]"), "no size", kFirst + kMemory},
        Case{"NoPieces", one("", "[]"), "has no memory", kFirst + kMemory},
        Case{"BeyondRam", one("", "[{ base = 0x1ff00000, size = \"2 MiB\" }]"),
             "more than the machine has", kFirst + kMemory},
        Case{"HugePiece", one("", "[{ base = 0x1000, size = 0x7ffffffffffff000 }]"),
             "more than the machine has", kFirst + kMemory},
        Case{"LegacyHole", one("", "[{ base = 0, size = \"16 MiB\" }]"),
             "firmware and video adapters", kFirst + kMemory},
        Case{"SumTooLarge", two("", "", 1, "\"300 MiB\"", "\"300 MiB\""), "the machine has 512 MiB",
             2},
        Case{"OverlapOfTwo",
             two("", "", 1, "[{ base = 0x100000, size = \"16 MiB\" }]",
                 "[{ base = 0x800000, size = \"16 MiB\" }]"),
             "memory 0x800000-0x17fffff of b overlaps 0x100000-0x10fffff of a (line 8) in "
             "0x800000-0x10fffff",
             kFirst + kLines + kMemory},
        Case{"OverlapWithItself",
             one("", "[{ base = 0x100000, size = 8192 }, { base = 0x101000, size = 4096 }]"),
             "overlaps 0x100000-0x101fff of a", kFirst + kMemory}),
    [](const auto& info) { return info.param.name; });

// Likewise on Arm, the board being named on line 4; each partition has a priority.
std::string on_board(std::string_view board, std::initializer_list<std::pair<int, int>> cpus) {
  std::string text =
      fmt::format("[machine]\nmemory = \"512 MiB\"\ncpus = 1\nboard = \"{}\"\n", board);
  char name = 'a';
  for (const auto& [cpu, priority] : cpus) {
    text += partition_text(std::string(1, name++), cpu, "\"16 MiB\"",
                           fmt::format("priority = {}", priority));
  }
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    SharedProcessors, Contradiction,
    testing::Values(
        Case{"Priority", on_board("vexpress-a9", {{0, 1}, {0, 1}}),
             "processor 0 has two owners of priority 1: b and a (line 7)", kFirst + kLines + kCpu},
        Case{"Cubieboard", on_board("cubieboard", {{0, 0}, {0, 1}}),
             "a processor of board cubieboard cannot be shared", kFirst + kLines + kCpu},
        Case{"TooMany", on_board("vexpress-a9", {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}}),
             "4 partitions share the processor of another one; there is room for 3",
             kFirst + 4 * kLines + kCpu}),
    [](const auto& info) { return info.param.name; });

TEST(SharedProcessors, FourPartitionsOnOneAreFine) {
  const Diagnostics found =
      check(parsed(on_board("vexpress-a9", {{0, 0}, {0, 1}, {0, 2}, {0, 3}})));
  EXPECT_EQ(find(found, "share"), nullptr) << all(found);
}

// A partition with the PIC and a real-time one on processor 0 of a PC.
constexpr std::string_view kUrgent = "kind = \"realtime\"\n", kPic = "interrupts = \"pic\"";
std::string urgent(std::string_view keys) { return fmt::format("{}{}", kUrgent, keys); }

INSTANTIATE_TEST_SUITE_P(
    SharedByARealTimePartition, Contradiction,
    testing::Values(
        Case{"TwoUrgent", two(kUrgent, kUrgent, 0),
             "processor 0 has two owners: b and a (line 7), both of them real-time partitions",
             kFirst + kLines + 1 + kCpu},
        Case{"Third",
             system_text(partition_text("a", 0, "\"16 MiB\"", kPic) +
                         partition_text("b", 0, "\"16 MiB\"", kUrgent) +
                         partition_text("c", 0, "\"16 MiB\"", "")),
             "c is the third partition of processor 0", kFirst + 2 * kLines + 1 + kCpu},
        Case{"Hpet", two(kPic, urgent("timer = \"hpet\""), 0),
             "b shares its processor, whose local APIC is all that can interrupt it",
             kFirst + kLines + kRest + 1},
        Case{"Pit", two("", urgent("timer = \"pit\""), 0),
             "b shares its processor, whose local APIC is all that can interrupt it",
             kFirst + kLines + kRest + 1},
        Case{"Pic", two(kPic, urgent("interrupts = \"ioapic\""), 0),
             "b shares its processor, whose local APIC is all that can interrupt it",
             kFirst + kLines + kRest + 1},
        Case{"Poll", two(kPic, urgent("idle = \"poll\""), 0),
             "b would never let go of the processor that it shares", kFirst + kLines + kRest + 1},
        Case{"IoApic", two("interrupts = \"ioapic\"", kUrgent, 0),
             "a shares the processor of b, which has the local APIC: only the PIC is left",
             kFirst + kRest},
        Case{"Channel",
             two(kPic, kUrgent, 0) +
                 "[[channel]]\nname = \"c\"\nends = [\"a\", \"b\"]\nsize = \"4 KiB\"\n",
             "a cannot hear the doorbell of c", kFirst + 2 * kLines + 1 + 2}),
    [](const auto& info) { return info.param.name; });

TEST(SharedProcessors, ARealTimePartitionAndOneWithThePicAreFine) {
  for (const bool is_first : {false, true}) {
    const std::string_view first = is_first ? kUrgent : kPic, second = is_first ? kPic : kUrgent;
    const Diagnostics found = check(parsed(two(first, second, 0)));
    EXPECT_EQ(find(found, "processor"), nullptr) << all(found);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Owners, Contradiction,
    testing::Values(
        Case{"Names", system_text(partition_text("a", 0) + partition_text("a", 1)),
             "the name 'a' is taken by the partition of line 6", kFirst + kLines + kName},
        Case{"Processors", two("", "", 0),
             "processor 0 has two owners: b and a (line 7), neither of them a real-time partition",
             kFirst + kLines + kCpu},
        Case{"Consoles", two("console = \"com1\"", "console = \"com1\""),
             "serial port COM 1 has two owners", kFirst + kLines + kRest},
        Case{"Pci", two("devices = [\"pci\"]", "devices = [\"pci\"]\ninterrupts = \"none\""),
             "device 'pci' has two owners", kFirst + kLines + kRest},
        Case{"Clock", two("devices = [\"rtc\"]", "devices = [\"rtc\"]"),
             "device 'rtc' has two owners", kFirst + kLines + kRest},
        Case{"IoApics", two("interrupts = \"ioapic\"", "interrupts = \"ioapic\""),
             "the I/O APIC has two owners", kFirst + kLines + kRest},
        Case{"Pics", two("interrupts = \"pic\"", "interrupts = \"pic\""), "the PIC has two owners",
             kFirst + kLines + kRest},
        Case{"SerialInterrupt", two("console = \"com1\"", "irqs = [4]"),
             "interrupt 4 has two owners: b (irqs) and a (COM1, line 10)", kFirst + kLines + kRest},
        Case{"InterruptOfDevice", two("devices = [\"rtc\"]", "irqs = [8]"),
             "interrupt 8 has two owners", kFirst + kLines + kRest},
        Case{"Ports", two("ports = [\"0x60-0x64\"]", "ports = [\"0x64-0x66\"]"),
             "port 0x64 has two owners", kFirst + kLines + kRest},
        Case{"PortsOfConsole", two("console = \"com1\"", "ports = [\"0x3ff\"]"),
             "port 0x3ff has two owners", kFirst + kLines + kRest},
        Case{"PortsOfPit", two("interrupts = \"pic\"", "ports = [\"0x42\"]"),
             "port 0x42 has two owners", kFirst + kLines + kRest}),
    [](const auto& info) { return info.param.name; });

constexpr std::string_view kPit = "kind = \"realtime\"\ntimer = \"pit\"\n";
std::string forwarded(std::string_view by, std::string_view timer = kPit) {
  return fmt::format("{}forwarded_by = \"{}\"", timer, by);
}

INSTANTIATE_TEST_SUITE_P(
    Timers, Contradiction,
    testing::Values(
        Case{"Hpets",
             two("kind = \"realtime\"\ntimer = \"hpet\"", "kind = \"realtime\"\ntimer = \"hpet\""),
             "timer 'hpet' has two owners: b and a (line 11)", kFirst + kLines + kRest + 2},
        Case{"Pits", two(kPit, kPit), "the PIC has two owners", kFirst + kLines + 2},
        Case{"PitWithoutPic", two("", fmt::format("{}interrupts = \"none\"", kPit)),
             "the PIT interrupts through the PIC, which b does not have",
             kFirst + kLines + kRest + 1},
        Case{"ForwardedTimer", two("", forwarded("a", "kind = \"realtime\"\n")),
             "only the PIT's interrupts can be forwarded", kFirst + kLines + kRest + 1},
        Case{"UnknownForwarder", two("", forwarded("c")), "there is no partition 'c'",
             kFirst + kLines + kRest + 2},
        Case{"OwnForwarder", two("", forwarded("b")), "b cannot forward its own interrupts",
             kFirst + kLines + kRest + 2},
        Case{"RealTimeForwarder", two("kind = \"realtime\"", forwarded("a")),
             "a is a real-time partition itself", kFirst + kLines + kRest + 2}),
    [](const auto& info) { return info.param.name; });

TEST(Timers, APartitionWithThePitHasThePic) {
  const System system = parsed(two("", forwarded("a")));
  EXPECT_EQ(check(system).size(), 0u) << all(check(system));
  EXPECT_EQ(system.partitions[1].interrupts, plan::InterruptController::Pic);
}

INSTANTIATE_TEST_SUITE_P(
    Cmdline, Contradiction,
    testing::Values(
        Case{"Reservetop", one("cmdline = \"quiet reservetop=16M\""),
             "must not contain 'reservetop=16M'", kFirst + kRest},
        Case{"QuotedReservetop", one("cmdline = \"\\\"reservetop=16M\\\"\""),
             "must not contain '\"reservetop=16M\"'", kFirst + kRest},
        Case{"DashForUnderscore", one("cmdline = \"tsc-early-khz=1\""), "must not contain",
             kFirst + kRest},
        Case{"Nolapic", one("cmdline = \"nolapic\""), "must not contain 'nolapic'", kFirst + kRest},
        Case{"Clearcpuid", one("cmdline = \"clearcpuid=1\""), "must not contain", kFirst + kRest},
        Case{"Tsc", one("cmdline = \"tsc=unstable\""), "must not contain", kFirst + kRest},
        Case{"Reboot", one("cmdline = \"reboot=p\""), "must not contain", kFirst + kRest},
        Case{"Acpi", one("cmdline = \"acpi=off\""), "must not contain", kFirst + kRest},
        Case{"Apic", one("cmdline = \"apic=flat\""), "must not contain", kFirst + kRest},
        Case{"Memmap", one("cmdline = \"memmap=4M$0x100000\""), "must not contain", kFirst + kRest},
        Case{"PciOffForOwner", one("cmdline = \"pci=off\"\ndevices = [\"pci\"]"),
             "must not contain 'pci=off'", kFirst + kRest},
        Case{"EndInTheMiddle", one("cmdline = \"quiet\\u0000panic=10\""), "has the character 0x00",
             kFirst + kRest},
        Case{"TerminalCommand", one("cmdline = \"a\\u001b[2J\""), "has the character 0x1b",
             kFirst + kRest},
        Case{"ForeignConsole",
             two("cmdline = \"console=ttyS1,115200\"\nconsole = \"com1\"", "console = \"com2\""),
             "'console=ttyS1,115200' is the serial port of b", kFirst + kRest}),
    [](const auto& info) { return info.param.name; });

TEST(Check, ReportsOneConflictOnce) {
  const Diagnostics found = check(parsed(two("console = \"com1\"", "console = \"com1\"")));
  EXPECT_EQ(found.size(), 1U) << all(found);
}

TEST(Check, LeavesInnocentCommandLinesAlone) {
  const Diagnostics found = check(
      parsed(one("cmdline = \"quiet panic=10 console=tty0 pci=off -- reservetop=1 nolapic\"")));
  EXPECT_TRUE(found.empty()) << all(found);
}

TEST(Check, AcceptsTheExamples) {
  const auto examples = std::filesystem::path(__FILE__).parent_path() / "../../example";
  for (const auto& entry : std::filesystem::directory_iterator(examples)) {
    if (entry.path().extension() != ".toml") continue;
    const auto system = load_system(entry.path());
    ASSERT_TRUE(system.has_value()) << all(system.error());
    const Diagnostics found = check(*system);
    EXPECT_TRUE(found.empty()) << all(found);
  }
}

TEST(CheckArtifacts, RefusesWhatTheFilesContain) {
  const System system = parsed(one("initramfs = { busybox = true }"));
  Artifacts artifacts = test::make_artifacts(system, test::make_bzimage());
  EXPECT_TRUE(check(system, artifacts).empty()) << all(check(system, artifacts));

  Artifacts damaged = artifacts;
  damaged[0].kernel.bytes[3000] ^= 1;
  const Diagnostics kernel = check(system, damaged);
  ASSERT_NE(find(kernel, "vmlinuz: the kernel is corrupted"), nullptr) << all(kernel);
  EXPECT_EQ(kernel[0].where.position.line, kFirst + kKernel);

  damaged = artifacts;
  damaged[0].initramfs->bytes.back() ^= 1;
  const Diagnostics initramfs = check(system, damaged);
  ASSERT_NE(find(initramfs, "the initramfs is corrupted"), nullptr) << all(initramfs);
  EXPECT_EQ(initramfs[0].where.position.line, kFirst + kRest);
}

TEST(CheckArtifacts, WarnsOfALinuxWithoutRootFileSystem) {
  const System system = parsed(one(""));
  const Diagnostics found = check(system, test::make_artifacts(system, test::make_bzimage()));
  ASSERT_EQ(found.size(), 1U) << all(found);
  EXPECT_EQ(found[0].severity, Severity::Warning);
  EXPECT_EQ(found[0].where.position.line, kFirst);
  EXPECT_FALSE(has_errors(found));
  EXPECT_NE(to_string(found[0]).find("t.toml:5:1: warning: a has neither"), std::string::npos);
}

TEST(CheckArtifacts, GivesNoTextToKernelsThatTakeNone) {
  const System system = parsed(one("cmdline = \"quiet\""));
  const Diagnostics found = check(system, test::make_artifacts(system, test::make_elf32(0x100000)));
  const Diagnostic* diagnostic = find(found, "takes no command line");
  ASSERT_NE(diagnostic, nullptr) << all(found);
  EXPECT_EQ(diagnostic->where.position.line, kFirst + kRest);
}

}  // namespace
}  // namespace mezzo::system
