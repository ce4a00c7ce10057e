// Addresses: where partitions, their parts and the monitor are put, and the memory map that
// follows.
#include <gtest/gtest.h>

#include "firmware/acpi.hpp"
#include "image/cmdline.hpp"
#include "image/e820.hpp"
#include "image/layout.hpp"
#include "image/memory.hpp"
#include "system/board.hpp"
#include "tool_system_support.hpp"

namespace mezzo::image {
namespace {

using test::all;
using test::find;
using test::partition_text;
using test::system_text;

constexpr std::uint64_t kMiB = 1 << 20;

// A system with one kernel file for each partition.
struct Fixture {
  system::System system;
  system::Artifacts artifacts;
  std::vector<loader::KernelImage> kernels;

  Fixture(const std::string& text, const std::vector<test::Bytes>& files) {
    auto parsed = system::parse_system(text, "t.toml");
    EXPECT_TRUE(parsed) << (parsed ? "" : all(parsed.error()));
    system = parsed.value_or(system::System{});
    artifacts = test::make_artifacts(system, {});
    for (std::size_t i = 0; i < system.partitions.size(); ++i) {
      artifacts[i].kernel.bytes = files[std::min(i, files.size() - 1)];
    }
    for (std::size_t i = 0; i < system.partitions.size(); ++i) {
      auto kernel = loader::read_kernel(artifacts[i].kernel.bytes, system.partitions[i].kernel);
      EXPECT_TRUE(kernel) << (kernel ? "" : kernel.error().what);
      kernels.push_back(std::move(*kernel));
    }
  }

  [[nodiscard]] auto place() const { return place_partitions(system, kernels, artifacts); }
};

Fixture two_linux() {
  return {system_text(partition_text("a", 0, "\"192 MiB\"", "initramfs = { busybox = true }") +
                      partition_text("b", 1, "\"192 MiB\"", "interrupts = \"pic\"")),
          {test::make_bzimage()}};
}

TEST(Layout, DividesLowMemoryBetweenTwoLinuxGuests) {
  const auto placed = two_linux().place();
  ASSERT_TRUE(placed) << all(placed.error());
  const std::vector<Extent> a = {
      {0, 0x10000}, {0x20000, 0x9f000 - 0x20000}, {0x100000, 191 * kMiB}};
  const std::vector<Extent> b = {{0x10000, 0x10000}, {192 * kMiB, 192 * kMiB}};
  EXPECT_EQ((*placed)[0].pieces, a);
  EXPECT_EQ((*placed)[1].pieces, b);
}

TEST(Layout, PutsEachPartInsideAPieceAndApartFromTheOthers) {
  const Fixture fixture = two_linux();
  const auto placed = fixture.place();
  ASSERT_TRUE(placed) << all(placed.error());
  for (std::size_t i = 0; i < 2; ++i) {
    const Placement& place = (*placed)[i];
    EXPECT_EQ(place.kernel % 0x1000000, 0U);
    std::vector<Extent> parts = {{place.kernel, 0x1000000},
                                 {place.boot_info, 4096},
                                 {place.cmdline, 4096},
                                 {place.acpi, firmware::kAcpiSize}};
    if (i == 0) parts.push_back({place.initramfs, fixture.artifacts[0].initramfs->bytes.size()});
    if (i == 1) parts.push_back({place.nvs, firmware::kNvsSize});
    for (const Extent& part : parts) {
      EXPECT_EQ(part.base % 4096, 0U);
      EXPECT_TRUE(std::ranges::any_of(place.pieces, [&part](const Extent& piece) {
        return part.base >= piece.base && part.end() <= piece.end();
      })) << part.base;
      for (const Extent& other : parts) EXPECT_TRUE(part == other || !overlap(part, other));
    }
  }
  EXPECT_EQ((*placed)[0].kernel, 16 * kMiB) << "the preferred address";
  EXPECT_EQ((*placed)[0].nvs, 0U);
  EXPECT_EQ((*placed)[1].kernel, 192 * kMiB);
  EXPECT_EQ((*placed)[1].initramfs, 0U);
}

TEST(Layout, HonoursExplicitPieces) {
  const auto placed =
      Fixture(system_text(partition_text("a", 0, "\"100 MiB\"") +
                          partition_text("b", 1,
                                         "[{ base = 0x10000000, size = \"192 MiB\" }, "
                                         "{ base = 0x40000, size = \"64 KiB\" }]")),
              {test::make_bzimage()})
          .place();
  ASSERT_TRUE(placed) << all(placed.error());
  const std::vector<Extent> a = {{0, 0x40000}, {0x50000, 0x9f000 - 0x50000}, {0x100000, 99 * kMiB}};
  EXPECT_EQ((*placed)[0].pieces, a) << "b's low piece is cut out";
  EXPECT_EQ((*placed)[1].kernel, 0x10000000U);
}

// Else all would search on behind it for an MP table.
TEST(Layout, GivesPage0ToALinuxIfTheLowMemoryIsNobodys) {
  const auto placed =
      Fixture(system_text(partition_text("rtos", 0, "[{ base = 0x400000, size = \"4 MiB\" }]") +
                          partition_text("linux", 1, "\"128 MiB\"") +
                          partition_text("other", 2, "\"128 MiB\"", "interrupts = \"pic\"")),
              {test::make_elf32(0x400000), test::make_bzimage()})
          .place();
  ASSERT_TRUE(placed) << all(placed.error());
  EXPECT_EQ((*placed)[0].pieces, (std::vector<Extent>{{0x400000, 4 * kMiB}}));
  EXPECT_EQ((*placed)[1].pieces,
            (std::vector<Extent>{{0, 0x1000}, {0x10000, 0x10000}, {16 * kMiB, 128 * kMiB}}));
  EXPECT_EQ((*placed)[2].pieces.front(), (Extent{0x20000, 0x10000}));
}

TEST(Layout, PlacesFixedKernelsFirst) {
  const auto placed = Fixture(system_text(partition_text("linux", 0, "\"128 MiB\"") +
                                          partition_text("rtos", 1, "\"16 MiB\"")),
                              {test::make_bzimage(), test::make_elf32(0x400000)})
                          .place();
  ASSERT_TRUE(placed) << all(placed.error());
  EXPECT_EQ((*placed)[1].pieces.back(), (Extent{0x100000, 15 * kMiB})) << "covers 4 MiB";
  EXPECT_EQ((*placed)[0].pieces.back(), (Extent{16 * kMiB, 128 * kMiB}));
  EXPECT_EQ((*placed)[0].pieces.front(), (Extent{0x10000, 0x10000}));
}

TEST(Layout, CutsNoLowMemoryFromUnderAKernel) {
  const auto placed = Fixture(system_text(partition_text("linux", 0, "\"128 MiB\"") +
                                          partition_text("rtos", 1, "\"16 MiB\"")),
                              {test::make_bzimage(), test::make_elf32(0x18000)})
                          .place();
  ASSERT_TRUE(placed) << all(placed.error());
  EXPECT_EQ((*placed)[0].pieces.front(), (Extent{0x20000, 0x10000}));
}

TEST(Layout, RefusesAKernelOutsideItsMemory) {
  const auto placed =
      Fixture(system_text(partition_text("rtos", 0, "[{ base = 0x800000, size = \"1 MiB\" }]")),
              {test::make_elf32(0x400000)})
          .place();
  ASSERT_FALSE(placed);
  const auto* found = find(placed.error(), "segment at 0x400000-0x40007f, outside its memory");
  ASSERT_NE(found, nullptr) << all(placed.error());
  EXPECT_EQ(found->where.position.line, 9U);
}

TEST(Layout, SaysThatAFixedKernelDoesNotFit) {
  const auto placed = Fixture(system_text(partition_text("rtos", 0, "\"1 MiB\"")),
                              {test::make_elf32(0x100000, 2 * kMiB)})
                          .place();
  ASSERT_FALSE(placed);
  const auto* found =
      find(placed.error(),
           "the kernel of rtos must lie at 0x100000-0x4fffff, and does not fit into "
           "1024 KiB of memory from 0x0 on");
  ASSERT_NE(found, nullptr) << all(placed.error());
  EXPECT_EQ(found->remedy, "give it at least 5 MiB");
}

TEST(Layout, SaysWhoIsWhereAKernelMustLie) {
  const auto placed = Fixture(system_text(partition_text("a", 0, "\"16 MiB\"") +
                                          partition_text("b", 1, "\"16 MiB\"")),
                              {test::make_elf32(0x100000)})
                          .place();
  ASSERT_FALSE(placed);
  EXPECT_NE(
      find(placed.error(), "the kernel of b must lie at 0x100000-0x10007f, where a has its memory"),
      nullptr)
      << all(placed.error());
}

// Such as memtest86+, which starts as Linux does.
TEST(Layout, LeavesABzImageThatCannotBeMovedInItsPlace) {
  const test::Bytes fixed =
      test::make_bzimage({.version = "Memtest86+ v6.10", .relocatable = false});
  const std::vector<test::Bytes> files = {test::make_bzimage(), fixed};
  const auto placed = Fixture(system_text(partition_text("linux", 0, "\"128 MiB\"") +
                                          partition_text("other", 1, "\"48 MiB\"")),
                              files)
                          .place();
  ASSERT_TRUE(placed) << all(placed.error());
  EXPECT_EQ((*placed)[1].kernel, 0x1000000U);
  EXPECT_EQ((*placed)[1].pieces.back(), (Extent{0x100000, 47 * kMiB}));
  EXPECT_EQ((*placed)[0].pieces.back(), (Extent{48 * kMiB, 128 * kMiB}));
  const auto outside =
      Fixture(system_text(partition_text("other", 0, "[{ base = 0x4000000, size = \"16 MiB\" }]")),
              {fixed})
          .place();
  ASSERT_FALSE(outside);
  EXPECT_NE(find(outside.error(), "must lie at 0x1000000-0x1ffffff, outside its memory"), nullptr)
      << all(outside.error());
}

TEST(Layout, KeepsTheStartUpPageFree) {
  const auto placed =
      Fixture(system_text(partition_text("rtos", 0, "[{ base = 0x1000, size = \"60 KiB\" }]")),
              {test::make_elf32(0x8000)})
          .place();
  ASSERT_FALSE(placed);
  EXPECT_NE(find(placed.error(), "where the monitor starts processors from"), nullptr);
}

TEST(Layout, RefusesTooSmallMemory) {
  const auto placed =
      Fixture(system_text(partition_text("a", 0, "\"20 MiB\"")), {test::make_bzimage()}).place();
  ASSERT_FALSE(placed);
  const auto* found = find(placed.error(), "the memory of a is too small");
  ASSERT_NE(found, nullptr) << all(placed.error());
  EXPECT_EQ(found->where.position.line, 8U);
}

TEST(Layout, RefusesLinuxWithoutLowMemory) {
  const auto placed =
      Fixture(system_text(partition_text("a", 0, "[{ base = 0x1000000, size = \"64 MiB\" }]")),
              {test::make_bzimage()})
          .place();
  ASSERT_FALSE(placed);
  EXPECT_NE(find(placed.error(), "has no 64 KiB of memory between"), nullptr)
      << all(placed.error());
}

TEST(Layout, KeepsKernelsInLowmem) {
  const std::string machine = "[machine]\nmemory = \"2 GiB\"\ncpus = 2\n";
  const auto high = Fixture(machine + partition_text("a", 0,
                                                     "[{ base = 0x10000, size = \"64 KiB\" }, "
                                                     "{ base = 0x38000000, size = \"256 MiB\" }]"),
                            {test::make_bzimage()})
                        .place();
  ASSERT_FALSE(high);
  EXPECT_NE(find(high.error(), "in one piece below 864 MiB"), nullptr) << all(high.error());
  const auto large =
      Fixture(machine + partition_text("a", 0, "\"1 GiB\""), {test::make_bzimage()}).place();
  ASSERT_TRUE(large) << all(large.error());
  EXPECT_LE(large->front().acpi + firmware::kAcpiSize, system::kLowmemEnd);
}

TEST(Layout, FindsNoRoomWhereThereIsNone) {
  const auto placed =
      Fixture(system_text(partition_text("a", 0, "[{ base = 0xe000000, size = \"64 MiB\" }]") +
                          partition_text("b", 1, "\"300 MiB\"")),
              {test::make_elf32(0xe000000), test::make_bzimage()})
          .place();
  ASSERT_FALSE(placed);
  EXPECT_NE(find(placed.error(), "no room for the 300 MiB of b"), nullptr) << all(placed.error());
}

TEST(Layout, PutsTheMonitorAtTheTopAndTheBundleBelow) {
  const Fixture fixture = two_linux();
  const auto placed = fixture.place();
  ASSERT_TRUE(placed);
  const auto monitor = place_monitor(fixture.system, *placed, 10 * kMiB + 5, 10 * kMiB + 4101);
  ASSERT_TRUE(monitor) << all(monitor.error());
  EXPECT_EQ(monitor->monitor_base, 510 * kMiB);
  EXPECT_EQ(monitor->store_base, 500 * kMiB - 4096);
  EXPECT_EQ(monitor->bundle_address, plan::kBundleLoadAddress);
}

TEST(Layout, LowersTheBundleOnASmallMachine) {
  const Fixture fixture("[machine]\nmemory = \"48 MiB\"\n" + partition_text("a", 0, "\"4 MiB\""),
                        {test::make_elf32(0x200000)});
  const auto placed = fixture.place();
  ASSERT_TRUE(placed) << all(placed.error());
  const auto monitor = place_monitor(fixture.system, *placed, 16 * kMiB, 16 * kMiB + 4096);
  ASSERT_TRUE(monitor) << all(monitor.error());
  EXPECT_EQ(monitor->bundle_address, 8 * kMiB);
  EXPECT_EQ(monitor->store_base, 30 * kMiB);
  const auto none = place_monitor(fixture.system, *placed, 20 * kMiB, 20 * kMiB + 4096);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().front().where.position.line, 2U);
}

TEST(E820, CoversAllRamWithoutGapsOrOverlaps) {
  const auto placed = two_linux().place();
  ASSERT_TRUE(placed);
  for (const Placement& place : *placed) {
    const auto map = make_e820(place, 512 * kMiB);
    std::uint64_t end = 0;
    for (const E820Entry& entry : map) {
      if (entry.base >= 512 * kMiB) break;
      EXPECT_EQ(entry.base, end == 0xa0000 ? 0xf0000 : end);
      end = entry.base + entry.size;
    }
    EXPECT_EQ(end, 512 * kMiB);
  }
}

TEST(E820, ShowsTheSecondGuestItsOwnMemoryOnly) {
  const auto placed = two_linux().place();
  ASSERT_TRUE(placed);
  const std::uint64_t top = 384 * kMiB;
  const std::uint64_t nvs = top - 0x1000, acpi = nvs - 0x4000;
  const std::vector<E820Entry> expected = {{0, 0x10000, MemoryType::Reserved},
                                           {0x10000, 0x10000, MemoryType::Ram},
                                           {0x20000, 0x80000, MemoryType::Reserved},
                                           {0xf0000, 192 * kMiB - 0xf0000, MemoryType::Reserved},
                                           {192 * kMiB, acpi - 192 * kMiB, MemoryType::Ram},
                                           {acpi, 0x4000, MemoryType::AcpiData},
                                           {nvs, 0x1000, MemoryType::AcpiNvs},
                                           {top, 128 * kMiB, MemoryType::Reserved},
                                           {0xfffc0000, 0x40000, MemoryType::Reserved}};
  EXPECT_EQ(make_e820((*placed)[1], 512 * kMiB), expected);
}

Cmdline cmdline_of(const std::string& text, std::size_t index,
                   const loader::LinuxImage& kernel = {}) {
  const auto system = system::parse_system(text, "t.toml");
  EXPECT_TRUE(system) << (system ? "" : all(system.error()));
  return derive_cmdline(*system, system->partitions[index], kernel);
}

loader::LinuxImage pae_kernel() {
  loader::LinuxImage kernel;
  kernel.needs_pae = true;
  return kernel;
}

bool has_word(const Cmdline& cmdline, std::string_view word) {
  return (" " + cmdline.text + " ").find(fmt::format(" {} ", word)) != std::string::npos;
}

TEST(Cmdline, TellsTheOwnerOfPci) {
  const Cmdline cmdline =
      cmdline_of(system_text(partition_text("a", 0, "\"64 MiB\"",
                                            "devices = [\"pci\", \"rtc\"]\nconsole = \"com1\"\n"
                                            "cmdline = \"quiet -- single\"") +
                             partition_text("b", 1, "\"64 MiB\"", "console = \"com2\"")),
                 0);
  for (const char* word :
       {"reservetop=4M", "clearcpuid=sep", "tsc=reliable", "no_timer_check", "apic=bigsmp",
        "reboot=t", "panic=-1", "console=ttyS0,115200", "reserve=0x2f8,8"}) {
    EXPECT_TRUE(has_word(cmdline, word)) << word;
  }
  for (const char* word : {"noapic", "pci=off", "initcall_blacklist=cmos_init", "idle=halt"}) {
    EXPECT_FALSE(has_word(cmdline, word)) << word;
  }
  EXPECT_TRUE(cmdline.text.ends_with(" quiet -- single"));
  EXPECT_EQ(cmdline.text.substr(cmdline.tsc_khz_offset.value() - 14, 24),
            "tsc_early_khz=          ");
  EXPECT_EQ(cmdline.additions.size(), 10U);
  for (const CmdlineAddition& addition : cmdline.additions) EXPECT_FALSE(addition.why.empty());
}

TEST(Cmdline, AddsNothingForWhatIsNoLinux) {
  const Fixture fixture(
      system_text(partition_text("a", 0, "\"64 MiB\"", "cmdline = \"console=ttyS0\"\n")),
      {test::make_bzimage({.version = "Memtest86+ v6.10"})});
  const Cmdline cmdline =
      derive_cmdline(fixture.system, fixture.system.partitions[0], fixture.kernels[0].linux_image);
  EXPECT_EQ(cmdline.text, "console=ttyS0");
  EXPECT_FALSE(cmdline.tsc_khz_offset);
  EXPECT_TRUE(cmdline.additions.empty());
}

TEST(Cmdline, TellsTheOwnerOfThePic) {
  const Cmdline cmdline = cmdline_of(
      system_text(
          partition_text("a", 0, "\"64 MiB\"", "console = \"com1\"") +
          partition_text("b", 1, "\"64 MiB\"",
                         "console = \"com2\"\ninterrupts = \"pic\"\ncmdline = \"panic=5\"")),
      1);
  for (const char* word : {"noapic", "pci=off", "initcall_blacklist=cmos_init", "panic=5",
                           "console=ttyS1,115200", "reserve=0x3f8,8"}) {
    EXPECT_TRUE(has_word(cmdline, word)) << word;
  }
  EXPECT_FALSE(has_word(cmdline, "panic=-1")) << "the user's counts";
}

TEST(Cmdline, HidesTheLocalApicOfWhoSharesTheProcessor) {
  const std::string partitions = partition_text("a", 0, "\"64 MiB\"", "interrupts = \"pic\"") +
                                 partition_text("b", 0, "\"64 MiB\"", "kind = \"realtime\"");
  const Cmdline cmdline = cmdline_of(system_text(partitions), 0);
  EXPECT_TRUE(has_word(cmdline, "nolapic"));
  EXPECT_FALSE(has_word(cmdline, "apic=bigsmp"));
  EXPECT_FALSE(has_word(cmdline, "noxsave"));
  EXPECT_TRUE(
      has_word(cmdline_of(system_text(partitions, "cpu = \"Skylake-Client\""), 0), "noxsave"));
}

TEST(Cmdline, HidesWhatNewerProcessorsHave) {
  const Cmdline cmdline =
      cmdline_of(system_text(partition_text("a", 0), "cpu = \"Skylake-Client\""), 0);
  EXPECT_TRUE(has_word(cmdline, "clearcpuid=sep,monitor,smap,umip,invpcid"));
  EXPECT_TRUE(has_word(cmdline, "idle=halt"));
  EXPECT_TRUE(
      has_word(cmdline_of(system_text(partition_text("a", 0), "cpu = \"pentium3,+sse2\""), 0),
               "clearcpuid=sep"));
}

TEST(Cmdline, SwitchesPageTableIsolationOffForKernelsThatHaveIt) {
  const std::string text = system_text(partition_text("a", 0));
  EXPECT_FALSE(has_word(cmdline_of(text, 0), "nopti"));
  EXPECT_TRUE(has_word(cmdline_of(text, 0, pae_kernel()), "nopti"));
}

TEST(Cmdline, HidesNxFromKernelsWithPae) {
  const loader::LinuxImage pae = pae_kernel();
  EXPECT_TRUE(
      has_word(cmdline_of(system_text(partition_text("a", 0)), 0, pae), "clearcpuid=sep,nx"));
  EXPECT_TRUE(has_word(cmdline_of(system_text(partition_text("a", 0), "cpu = \"Haswell\""), 0, pae),
                       "clearcpuid=sep,monitor,smap,umip,invpcid,nx"));
}

}  // namespace
}  // namespace mezzo::image
