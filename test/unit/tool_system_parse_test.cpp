// Reading system files: every key, and every mistake with its line and column.
#include <gtest/gtest.h>

#include "base/places.hpp"
#include "tool_system_support.hpp"

namespace mezzo::system {
namespace {

using test::all;
using test::find;

struct Mistake {
  std::string_view name;
  std::string_view text;
  std::string_view words;  // part of the message
  std::uint32_t line, column;
};

class ParseMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ParseMistake, IsReportedWhereItIs) {
  const auto system = parse_system(GetParam().text, "dir/a.toml");
  ASSERT_FALSE(system.has_value());
  const Diagnostic* found = find(system.error(), GetParam().words);
  ASSERT_NE(found, nullptr) << all(system.error());
  EXPECT_EQ(found->where.file, "dir/a.toml");
  EXPECT_EQ(found->where.position.line, GetParam().line) << all(system.error());
  EXPECT_EQ(found->where.position.column, GetParam().column) << all(system.error());
  EXPECT_FALSE(found->remedy.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, ParseMistake,
    testing::Values(
        Mistake{"Syntax", "[machine]\nmemory = = 3\n", "", 2, 10},
        Mistake{"NoMachine", "name = \"x\"\n", "no 'machine'", 1, 1},
        Mistake{"NoMemory", "[machine]\nboard = \"pc\"\n", "no 'memory'", 1, 1},
        Mistake{"UnknownKey", "[machine]\nmemory = \"1 GiB\"\nmemry = 3\n", "unknown key 'memry'",
                3, 1},
        Mistake{"UnknownTable", "[machine]\nmemory = \"1 GiB\"\n[extra]\n", "unknown key 'extra'",
                3, 2},
        Mistake{"BadSize", "[machine]\nmemory = \"12 MB\"\n", "'memory' must be a size", 2, 10},
        Mistake{"BadBoard", "[machine]\nmemory = 4\nboard = \"vax\"\n", "'vax' is not", 3, 9},
        Mistake{"BadTime", "[machine]\nmemory = 4\nheartbeat = \"1 day\"\n", "not a time", 3, 13},
        Mistake{"NumberForString", "[machine]\nmemory = 4\ncpu = 3\n", "'cpu' must be", 3, 7},
        Mistake{"NegativeCpus", "[machine]\nmemory = 4\ncpus = -1\n", "'cpus' must be", 3, 8},
        Mistake{"PartitionIsTable", "[machine]\nmemory = 4\n[partition]\nname = \"a\"\n",
                "must be a list of tables", 3, 1},
        Mistake{"NoKernel", "[machine]\nmemory = 4\n[[partition]]\nname = \"a\"\n", "no 'kernel'",
                3, 1},
        Mistake{"NoCpu", "[machine]\nmemory = 4\n[[partition]]\nname = \"a\"\n", "no 'cpu'", 3, 1},
        Mistake{
            "KernelBoth",
            "[machine]\nmemory = 4\n[[partition]]\nkernel = { package = \"a\", file = \"b\" }\n",
            "either a package or a file", 4, 10},
        Mistake{"DiskBoth",
                "[machine]\nmemory = 4\n[[partition]]\ndisk = { debian = \"bookworm\", file = "
                "\"b\" }\n",
                "either a file, a Debian root file system, or empty", 4, 8},
        Mistake{"DiskOfNothing", "[machine]\nmemory = 4\n[[partition]]\ndisk = {}\n",
                "either a file, a Debian root file system, or empty", 4, 8},
        Mistake{"EmptyDiskToKeep",
                "[machine]\nmemory = 4\n[[partition]]\ndisk = { size = 4096, read_only = false }\n",
                "keeps nothing", 4, 35},
        Mistake{"DebianOnArm",
                "[machine]\nboard = \"vexpress-a9\"\nmemory = 4\n[[partition]]\n"
                "disk = { debian = \"bookworm\" }\n",
                "'debian' has no meaning on board vexpress-a9", 5, 19},
        Mistake{"LinkWithOneEnd", "[machine]\nmemory = 4\n[[link]]\nends = [{}]\n",
                "a link has two ends", 4, 8},
        Mistake{"LinkToNobody",
                "[machine]\nmemory = 4\n[[link]]\nends = [{ partition = \"x\" }, {}]\n",
                "there is no partition 'x'", 4, 23},
        Mistake{"KernelString", "[machine]\nmemory = 4\n[[partition]]\nkernel = \"vmlinuz\"\n",
                "'kernel' must be a table", 4, 10},
        Mistake{"RawWithoutEntry",
                "[machine]\nmemory = 4\n[[partition]]\n"
                "kernel = { file = \"a\", format = \"raw\", load = 0x100000 }\n",
                "needs 'load' and 'entry'", 4, 10},
        Mistake{
            "LoadWithoutRaw",
            "[machine]\nmemory = 4\n[[partition]]\nkernel = { file = \"a\", load = 0x100000 }\n",
            "for raw images only", 4, 10},
        Mistake{
            "UnknownInKernel",
            "[machine]\nmemory = 4\n[[partition]]\nkernel = { file = \"a\", fromat = \"elf\" }\n",
            "unknown key 'fromat'", 4, 24},
        Mistake{"InitramfsBoth",
                "[machine]\nmemory = 4\n[[partition]]\n"
                "initramfs = { file = \"a\", busybox = true }\n",
                "either a file or assembled", 4, 13},
        Mistake{"ModulesWithoutBusybox",
                "[machine]\nmemory = 4\n[[partition]]\n"
                "initramfs = { file = \"a\", modules = [\"e1000\"] }\n",
                "either a file or assembled", 4, 13},
        Mistake{"RelativeGuestPath",
                "[machine]\nmemory = 4\n[[partition]]\n"
                "initramfs = { busybox = true, files = { \"etc/a\" = \"a\" } }\n",
                "absolute path in the guest", 4, 51},
        Mistake{"RelativePathInPackage",
                "[machine]\nmemory = 4\n[[partition]]\n"
                "initramfs = { busybox = true, packages = { a = [\"bin/a\"] } }\n",
                "not the path of a file in a package", 4, 49},
        Mistake{"PieceWithoutSize",
                "[machine]\nmemory = 4\n[[partition]]\nmemory = [{ base = 0x1000 }]\n", "no 'size'",
                4, 11},
        Mistake{"PieceIsNumber", "[machine]\nmemory = 4\n[[partition]]\nmemory = [ 3 ]\n",
                "must be a table", 4, 12},
        Mistake{"BadPorts", "[machine]\nmemory = 4\n[[partition]]\nports = [\"0x71-0x70\"]\n",
                "not a range of ports", 4, 10},
        Mistake{"BadIrq", "[machine]\nmemory = 4\n[[partition]]\nirqs = [5, 16]\n",
                "'irqs' is a list", 4, 12},
        Mistake{"LimitWithoutRestart", "[machine]\nmemory = 4\n[[partition]]\nrestart_limit = 3\n",
                "no effect without restarts", 4, 17},
        Mistake{"BadConsole", "[machine]\nmemory = 4\n[[partition]]\nconsole = \"com5\"\n",
                "'com5' is not a value", 4, 11},
        Mistake{"TimerOfNoRealTime", "[machine]\nmemory = 4\n[[partition]]\ntimer = \"hpet\"\n",
                "'timer' is for real-time partitions", 4, 9},
        Mistake{"UnknownTimer",
                "[machine]\nmemory = 4\n[[partition]]\nkind = \"realtime\"\ntimer = \"rtc\"\n",
                "'rtc' is not a value", 5, 9},
        Mistake{"LowTimerVector",
                "[machine]\nmemory = 4\n[[partition]]\nkind = \"realtime\"\nforwarded_by = \"b\"\n"
                "timer_vector = 31\n",
                "vectors below 32", 6, 16},
        Mistake{"VectorWithoutForwarder",
                "[machine]\nmemory = 4\n[[partition]]\nkind = \"realtime\"\ntimer_vector = 64\n",
                "interrupts that are forwarded", 5, 16},
        Mistake{"BadPaging", "[machine]\nmemory = 4\n[[partition]]\npaging = \"shadow\"\n",
                "'shadow' is not a value", 4, 10}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ParseSystem, CollectsAllMistakes) {
  const auto system = parse_system("[machine]\nmemory = \"x\"\nfoo = 1\nbar = 2\n", "a.toml");
  ASSERT_FALSE(system.has_value());
  EXPECT_NE(find(system.error(), "'memory'"), nullptr);
  EXPECT_NE(find(system.error(), "'foo'"), nullptr);
  EXPECT_NE(find(system.error(), "'bar'"), nullptr);
}

TEST(ParseSystem, SuggestsTheNearestKey) {
  const auto system = parse_system("[machine]\nmemory = 4\ncpuss = 3\n", "a.toml");
  ASSERT_FALSE(system.has_value());
  const Diagnostic* found = find(system.error(), "unknown key 'cpuss'");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->remedy, "did you mean 'cpus'?");
}

TEST(ParseSystem, ReadsEveryKey) {
  const auto system = parse_system(R"(
name = "demo"
[machine]
board = "pc"
memory = "1 GiB"
cpus = 3
cpu = "coreduo"
heartbeat = "500 us"
[[partition]]
name = "a"
cpu = 2
memory = [{ base = 0x100000, size = "15 MiB" }, { base = "0x10000", size = 65536 }]
kernel = { file = "k.bin", format = "raw", load = 0x100000, entry = 0x100010 }
devices = ["pci"]
ports = ["0x60-0x64", "128"]
irqs = [1, 12]
console = "com3"
paging = "direct"
on_fault = "restart"
restart_limit = 7
disk = { file = "/tmp/d.img", read_only = true }
network = { mode = "user", forward = ["tcp:2222:22"] }
[[partition]]
name = "b"
cpu = 0
memory = "64 MiB"
kernel = { package = "linux-image-686" }
initramfs = { busybox = true, modules = ["e1000"], script = "date", files = { "/a" = "b" }, packages = { c = ["/bin/c"] } }
cmdline = "quiet"
interrupts = "pic"
[[link]]
ends = [{ partition = "b", port = "com2", address = "10.0.0.1" },
        { partition = "a", port = "com4", address = "10.0.0.2" }]
)",
                                   "dir/x.toml");
  ASSERT_TRUE(system.has_value()) << all(system.error());
  EXPECT_EQ(system->name, "demo");
  EXPECT_EQ(system->machine.memory, 1U << 30);
  EXPECT_EQ(system->machine.cpus, 3U);
  EXPECT_EQ(system->machine.cpu_model, "coreduo");
  EXPECT_EQ(system->machine.heartbeat_us, 500U);
  ASSERT_EQ(system->partitions.size(), 2U);
  const Partition& a = system->partitions[0];
  ASSERT_EQ(a.memory.pieces.size(), 2U);
  EXPECT_EQ(a.memory.pieces[0].size, 15U << 20);
  EXPECT_EQ(a.memory.pieces[1].base, 0x10000U);
  EXPECT_EQ(a.kernel.file, "dir/k.bin");
  EXPECT_EQ(a.kernel.format, KernelFormat::Raw);
  EXPECT_EQ(a.kernel.load, 0x100000U);
  EXPECT_EQ(a.kernel.entry, 0x100010U);
  EXPECT_TRUE(a.owns("pci"));
  EXPECT_TRUE(a.owns("ahci")) << "a disk needs the controller";
  EXPECT_TRUE(a.owns("e1000")) << "a network needs the card";
  ASSERT_EQ(a.ports.size(), 2U);
  EXPECT_EQ(a.ports[0].first, 0x60);
  EXPECT_EQ(a.ports[0].last, 0x64);
  EXPECT_EQ(a.ports[1].first, 128);
  ASSERT_EQ(a.irqs.size(), 2U);
  EXPECT_EQ(a.irqs[1].line, 12);
  EXPECT_EQ(a.console, 3U);
  EXPECT_EQ(a.interrupts, plan::InterruptController::IoApic) << "the default with PCI";
  EXPECT_EQ(a.fault_policy, plan::FaultPolicy::Restart);
  EXPECT_EQ(a.restart_limit, 7U);
  EXPECT_EQ(a.disk->file, "/tmp/d.img");
  EXPECT_TRUE(a.disk->read_only);
  EXPECT_EQ(a.network->forwards, std::vector<std::string>{"tcp:2222:22"});
  const Partition& b = system->partitions[1];
  EXPECT_EQ(b.memory.size, 64U << 20);
  EXPECT_EQ(b.kernel.package, "linux-image-686");
  EXPECT_TRUE(b.initramfs->busybox);
  EXPECT_EQ(b.initramfs->modules, std::vector<std::string>{"e1000"});
  EXPECT_EQ(b.initramfs->script, "date");
  EXPECT_EQ(b.initramfs->files.at("/a"), "dir/b");
  EXPECT_EQ(b.initramfs->packages.at("c"), std::vector<std::string>{"/bin/c"});
  EXPECT_EQ(b.cmdline, "quiet");
  EXPECT_EQ(b.interrupts, plan::InterruptController::Pic);
  EXPECT_EQ(b.console, 0U);
  ASSERT_EQ(system->links.size(), 1U);
  EXPECT_EQ(system->links[0].ends[0].partition, 1U);
  EXPECT_EQ(system->links[0].ends[0].com, 2U);
  EXPECT_EQ(system->links[0].ends[1].address, "10.0.0.2");
  EXPECT_EQ(system->uarts_of(0), (std::vector<unsigned>{3, 4})) << "console and link";
  EXPECT_EQ(system->uarts_of(1), std::vector<unsigned>{2});
}

TEST(ParseSystem, FindsOurOwnGuestsWhereTheyAreBuilt) {
  const auto system = parse_system(
      "[machine]\nmemory = \"64 MiB\"\n[[partition]]\nname = \"a\"\ncpu = 0\nmemory = 4194304\n"
      "kernel = { file = \"mezzo:rtos.elf\" }\n",
      "dir/a.toml");
  ASSERT_TRUE(system.has_value()) << all(system.error());
  EXPECT_EQ(system->partitions[0].kernel.file, base::build_directory() / "guest" / "rtos.elf");
}

TEST(ParseSystem, TakesADiskWithDebian) {
  const auto system = parse_system(
      test::system_text(test::partition_text(
          "a", 0, "\"128 MiB\"",
          "initramfs = { busybox = true, root = \"/dev/sda\" }\n"
          "disk = { debian = \"bookworm\", packages = [\"less\"], size = \"1 GiB\" }")),
      "a.toml");
  ASSERT_TRUE(system.has_value()) << all(system.error());
  const Partition& a = system->partitions.at(0);
  EXPECT_EQ(a.initramfs->root, "/dev/sda");
  EXPECT_TRUE(a.disk->debian);
  EXPECT_TRUE(a.disk->read_only) << "the cached image stays as it was made";
  EXPECT_EQ(a.disk->packages, std::vector<std::string>{"less"});
  EXPECT_EQ(a.disk->size, 1U << 30);
}

TEST(ParseSystem, TakesAnEmptyDisk) {
  const auto system = parse_system(test::system_text(test::partition_text(
                                       "a", 0, "\"128 MiB\"", "disk = { size = \"64 MiB\" }")),
                                   "a.toml");
  ASSERT_TRUE(system.has_value()) << all(system.error());
  const Partition& a = system->partitions.at(0);
  EXPECT_TRUE(a.disk->file.empty() && !a.disk->debian);
  EXPECT_EQ(a.disk->size, 64U << 20);
  EXPECT_TRUE(a.disk->read_only) << "all runs share one image";
}

TEST(ParseSystem, TakesAsManyProcessorsAsPartitionsNeed) {
  const auto system =
      parse_system("[machine]\nmemory = \"1 GiB\"\n" + test::partition_text("a", 3), "a.toml");
  ASSERT_TRUE(system.has_value()) << all(system.error());
  EXPECT_EQ(system->machine.cpus, 4U);
  EXPECT_EQ(system->name, "a");
}

TEST(LoadSystem, SaysThatTheFileIsMissing) {
  const auto system = load_system("/nonexistent/x.toml");
  ASSERT_FALSE(system.has_value());
  EXPECT_EQ(system.error().front().where.file, "/nonexistent/x.toml");
}

TEST(ParseSize, KnowsBinaryUnitsOnly) {
  EXPECT_EQ(parse_size("192 MiB"), 192U << 20);
  EXPECT_EQ(parse_size("64KiB"), 65536U);
  EXPECT_EQ(parse_size("2 GiB"), 2ULL << 30);
  EXPECT_EQ(parse_size("4096"), 4096U);
  EXPECT_EQ(parse_size("0x1000"), 4096U);
  EXPECT_FALSE(parse_size("1 MB"));
  EXPECT_FALSE(parse_size("MiB"));
  EXPECT_FALSE(parse_size("-1"));
  EXPECT_FALSE(parse_size("18446744073709551615 KiB")) << "overflow";
}

TEST(Diagnostic, PrintsLikeACompiler) {
  const Diagnostic diagnostic{Severity::Error, {"a.toml", {3, 7}}, "it is wrong", "right it"};
  EXPECT_EQ(fmt::format("{}", diagnostic), "a.toml:3:7: error: it is wrong\n    do this: right it");
}

}  // namespace
}  // namespace mezzo::system
