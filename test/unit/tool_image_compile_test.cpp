// Whole systems: the plan as the monitor's own verifier sees it, and the boot image as an
// independent ELF reader sees it.
#include <elf.h>
#include <gtest/gtest.h>

#include "core/verify.hpp"
#include "firmware/mp_table.hpp"
#include "image/compile.hpp"
#include "image/report.hpp"
#include "image/write.hpp"
#include "tool_system_support.hpp"

namespace mezzo::image {
namespace {

using loader::get;
using test::all;
using test::find_load;
using test::partition_text;
using test::stored;
using test::system_text;

system::System two_linux() {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../example/two-linux.toml";
  auto system = system::load_system(path);
  EXPECT_TRUE(system) << (system ? "" : all(system.error()));
  return system.value_or(system::System{});
}

CompiledImage compiled(const system::System& system, const test::Bytes& kernel) {
  auto image = compile(system, test::make_artifacts(system, kernel));
  EXPECT_TRUE(image) << (image ? "" : all(image.error()));
  return image.value_or(CompiledImage{});
}

// QEMU's memory map for 512 MiB: low memory, and RAM less what SeaBIOS keeps at the top.
constexpr MemoryRange kRam[] = {{0, 0x9fc00}, {0x100000, 0x1fee0000}};

TEST(Compile, TheMonitorAcceptsThePlan) {
  const CompiledImage image = compiled(two_linux(), test::make_bzimage());
  ASSERT_EQ(image.plan.store_size, image.store.size());
  EXPECT_EQ(verify_header(image.plan, plan::Architecture::Ia32).error, PlanError::None);
  EXPECT_EQ(verify_memory(image.plan, kRam).error, PlanError::None);
  EXPECT_EQ(verify_partitions(image.plan, 2).error, PlanError::None);
  EXPECT_EQ(verify_store(image.plan, image.store.data()).error, PlanError::None);
}

TEST(Compile, ListsTheUartsOfLinks) {
  system::System system = two_linux();
  system.links.push_back(
      {.ends = {{{.partition = 0, .com = 3, .address = "10.0.0.1", .where = {}},
                 {.partition = 1, .com = 4, .address = "10.0.0.2", .where = {}}}},
       .where = {}});
  const CompiledImage image = compiled(system, test::make_bzimage());
  EXPECT_EQ(image.plan.partitions[0].link_ports[0], 0x3e8U);
  EXPECT_EQ(image.plan.partitions[0].link_ports[1], 0U);
  EXPECT_EQ(image.plan.partitions[1].link_ports[0], 0x2e8U);
}

TEST(Compile, FillsTheRowsOfTheExample) {
  const CompiledImage image = compiled(two_linux(), test::make_bzimage());
  ASSERT_EQ(image.plan.partition_count, 2U);
  const plan::Partition& alpha = image.plan.partitions[0];
  const plan::Partition& beta = image.plan.partitions[1];
  EXPECT_STREQ(alpha.name, "alpha");
  EXPECT_EQ(alpha.cpu, 0U);
  EXPECT_EQ(alpha.interrupts, plan::InterruptController::IoApic);
  EXPECT_EQ(alpha.owns_pci, 1U);
  EXPECT_EQ(alpha.uart_port, 0x3f8U);
  ASSERT_EQ(alpha.bus_master_count, 2U);
  EXPECT_EQ(alpha.bus_masters[0], 0x18U) << "e1000 at 00:03.0";
  EXPECT_EQ(alpha.bus_masters[1], 0x20U) << "AHCI at 00:04.0";
  EXPECT_EQ(alpha.fault_policy, plan::FaultPolicy::Stop);
  EXPECT_STREQ(beta.name, "beta");
  EXPECT_EQ(beta.cpu, 1U);
  EXPECT_EQ(beta.interrupts, plan::InterruptController::Pic);
  EXPECT_EQ(beta.owns_pci, 0U);
  EXPECT_EQ(beta.bus_master_count, 0U);
  EXPECT_EQ(beta.uart_port, 0x2f8U);
  EXPECT_EQ(beta.fault_policy, plan::FaultPolicy::Restart);
  EXPECT_EQ(beta.restart_limit, 5U);
  EXPECT_EQ(image.plan.heartbeat_us, 20000U) << "the default";
}

TEST(Compile, ListsTheLinesThatNobodyHas) {
  system::System system = two_linux();
  const std::uint32_t lines = compiled(system, test::make_bzimage()).plan.ia32_strays;
  // The example's: PIT, both consoles' UARTs, RTC, PCI.
  for (const unsigned line : {0u, 2u, 3u, 4u, 8u, 10u, 11u})
    EXPECT_EQ(lines >> line & 1, 0U) << line;
  for (const unsigned line : {1u, 6u, 12u, 23u}) EXPECT_EQ(lines >> line & 1, 1U) << line;
  EXPECT_EQ(lines >> 24, 0U) << "an I/O APIC has 24 inputs";
  system.partitions[0].irqs.push_back({6, {}});
  const std::uint32_t without = compiled(system, test::make_bzimage()).plan.ia32_strays;
  EXPECT_EQ(without, lines & ~(1u << 6));

  auto alone =
      system::parse_system("[machine]\nmemory = \"256 MiB\"\n" +
                               partition_text("a", 0, "\"64 MiB\"", "interrupts = \"none\""),
                           "t.toml");
  ASSERT_TRUE(alone) << all(alone.error());
  EXPECT_EQ(compiled(*alone, test::make_bzimage()).plan.ia32_strays >> 2 & 1, 1U) << "the PIT";
}

TEST(Compile, StartsLinuxByTheBootProtocol) {
  const CompiledImage image = compiled(two_linux(), test::make_bzimage());
  for (std::size_t i = 0; i < 2; ++i) {
    const plan::Partition& row = image.plan.partitions[i];
    const plan::Load* kernel = find_load(image, i, "kernel");
    const plan::Load* params = find_load(image, i, "boot parameters");
    const plan::Load* cmdline = find_load(image, i, "command line");
    const plan::Load* acpi = find_load(image, i, "ACPI tables");
    const plan::Load* initramfs = find_load(image, i, "initramfs");
    ASSERT_TRUE(kernel && params && cmdline && acpi && initramfs);
    EXPECT_EQ(row.entry, kernel->destination);
    EXPECT_EQ(row.registers[2], params->destination);
    EXPECT_EQ(row.registers[1], 0U) << "the protocol wants 0";
    const auto page = stored(image, *params);
    EXPECT_EQ(get<std::uint32_t>(page, 0x214), row.entry);
    EXPECT_EQ(get<std::uint32_t>(page, 0x228), cmdline->destination);
    EXPECT_EQ(get<std::uint32_t>(page, 0x218), initramfs->destination);
    EXPECT_EQ(get<std::uint32_t>(page, 0x21c), initramfs->file_size);
    EXPECT_EQ(get<std::uint64_t>(page, 0x70), acpi->destination);
    EXPECT_EQ(page[0x1e8], image.partitions[i].e820.size());
    const auto text = stored(image, *cmdline);
    EXPECT_EQ(std::string(text.begin(), text.end() - 1), image.partitions[i].cmdline);
    EXPECT_EQ(text.back(), 0);
    const std::size_t field = row.tsc_khz_field - cmdline->destination;
    const std::string around(text.begin() + static_cast<std::ptrdiff_t>(field) - 14,
                             text.begin() + static_cast<std::ptrdiff_t>(field) + 11);
    EXPECT_EQ(around, "tsc_early_khz=           ") << "ten blanks and a separator";
  }
}

TEST(Compile, StoresEqualKernelsOnce) {
  const CompiledImage image = compiled(two_linux(), test::make_bzimage({.payload = 1 << 20}));
  const plan::Load* first = find_load(image, 0, "kernel");
  const plan::Load* second = find_load(image, 1, "kernel");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->store_offset, second->store_offset);
  EXPECT_NE(first->destination, second->destination);
  EXPECT_LT(image.store.size(), 2U << 20);
}

TEST(Compile, HidesTheLocalApicFromALinuxThatSharesTheProcessor) {
  constexpr std::size_t kLocalApic = 16 + 36;  // behind the pointer
  const auto address = [](const std::string& keys) {
    const std::string text = "[machine]\nmemory = \"512 MiB\"\ncpus = 2\n" +
                             partition_text("a", 0, "\"64 MiB\"", "interrupts = \"pic\"") +
                             partition_text("b", 0, "\"64 MiB\"", keys);
    auto system = system::parse_system(text, "t.toml");
    EXPECT_TRUE(system) << (system ? "" : all(system.error()));
    system->partitions[1].cpu = keys.empty() ? 1 : 0;
    const CompiledImage image = compiled(*system, test::make_bzimage());
    const plan::Load* const table = find_load(image, 0, "MP table");
    EXPECT_NE(table, nullptr);
    return table == nullptr ? 1 : get<std::uint32_t>(stored(image, *table), kLocalApic);
  };
  EXPECT_EQ(address(""), 0xfee00000U);
  EXPECT_EQ(address("kind = \"realtime\""), 0U);
}

TEST(Compile, GivesTheMpTableToTheOwnerOfPageZero) {
  const CompiledImage image = compiled(two_linux(), test::make_bzimage());
  const plan::Load* table = find_load(image, 0, "MP table");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->destination, firmware::kMpTableAddress);
  EXPECT_EQ(find_load(image, 1, "MP table"), nullptr);
  for (std::uint32_t i = 0; i < image.plan.load_count; ++i) {
    const plan::Load& load = image.plan.loads[i];
    if (&load == table) continue;
    EXPECT_GE(load.destination, 0x100000U) << "nothing else is in low memory";
  }
}

TEST(Compile, StartsMultibootKernels) {
  const auto system = system::parse_system(
      system_text(partition_text("m", 0, "\"32 MiB\"",
                                 "cmdline = \"hello\"\ninitramfs = { busybox = true }")),
      "t.toml");
  ASSERT_TRUE(system) << all(system.error());
  const CompiledImage image = compiled(*system, test::make_elf32(0x400000, 64, 3));
  const plan::Partition& row = image.plan.partitions[0];
  const plan::Load* info = find_load(image, 0, "multiboot information");
  const plan::Load* module = find_load(image, 0, "module");
  ASSERT_TRUE(info && module);
  EXPECT_EQ(row.registers[0], 0x2badb002U);
  EXPECT_EQ(row.registers[1], info->destination);
  EXPECT_EQ(row.entry, 0x400010U);
  EXPECT_EQ(row.tsc_khz_field, 0U);
  EXPECT_EQ(image.plan.loads[0].destination, 0x400000U);
  EXPECT_EQ(image.plan.loads[0].file_size, 64U);
  EXPECT_EQ(image.plan.loads[0].memory_size, 128U);
  EXPECT_EQ(image.partitions[0].cmdline, "hello");
  EXPECT_EQ(verify_partitions(image.plan, 1).error, PlanError::None);
}

TEST(Compile, PassesTheCheckersWarningsOn) {
  EXPECT_TRUE(compiled(two_linux(), test::make_bzimage()).warnings.empty());
  const auto system = system::parse_system(system_text(partition_text("a", 0)), "t.toml");
  ASSERT_TRUE(system) << all(system.error());
  EXPECT_EQ(compiled(*system, test::make_bzimage()).warnings.size(), 1U);
}

TEST(Compile, RefusesTooLongCommandLines) {
  const auto system = system::parse_system(
      system_text(partition_text("a", 0, "\"64 MiB\"",
                                 fmt::format("cmdline = \"{}\"", std::string(2000, 'x')))),
      "t.toml");
  ASSERT_TRUE(system);
  const auto image = compile(*system, test::make_artifacts(*system, test::make_bzimage()));
  ASSERT_FALSE(image);
  EXPECT_NE(test::find(image.error(), "its kernel takes 2047"), nullptr) << all(image.error());
}

TEST(Report, ShowsEverythingThatWasDerived) {
  const system::System system = two_linux();
  const CompiledImage image = compiled(system, test::make_bzimage());
  const std::string text = report(system, image);
  for (const PartitionReport& partition : image.partitions) {
    EXPECT_NE(text.find("partition " + partition.name), std::string::npos);
    EXPECT_NE(text.find(partition.cmdline), std::string::npos);
    for (const CmdlineAddition& addition : partition.additions) {
      EXPECT_NE(text.find(addition.why), std::string::npos) << addition.text;
    }
    for (const std::string& line : partition.firmware) {
      EXPECT_NE(text.find(line), std::string::npos);
    }
  }
  EXPECT_NE(text.find("0x1fe00000-0x1fefffff         1 MiB  monitor\n"), std::string::npos) << text;
  EXPECT_NE(text.find("0x00010000-0x0001ffff        64 KiB  beta\n"), std::string::npos) << text;
}

// A monitor's ELF: a multiboot header and the word for the bundle's address at 2 MiB, and a symbol
// table that names it.
test::Bytes make_monitor() {
  using loader::put;
  test::Bytes file = test::make_elf32(0x200000, 64, 3);
  put(std::span(file), 0x100c, plan::kBundleLoadAddress);
  const std::string names("\0mezzo_bundle_address", 21);
  const std::size_t symbols = file.size();
  file.resize(symbols + 2 * sizeof(Elf32_Sym));
  Elf32_Sym symbol{};
  symbol.st_name = 1;
  symbol.st_value = 0x20000c;
  std::memcpy(&file[symbols + sizeof symbol], &symbol, sizeof symbol);
  const std::size_t strings = file.size();
  file.insert(file.end(), names.begin(), names.end());
  file.push_back(0);
  file.resize((file.size() + 3) & ~std::size_t{3});
  const std::size_t sections = file.size();
  file.resize(sections + 3 * sizeof(Elf32_Shdr));
  Elf32_Shdr table{};
  table.sh_type = SHT_SYMTAB;
  table.sh_offset = static_cast<Elf32_Off>(symbols);
  table.sh_size = 2 * sizeof(Elf32_Sym);
  table.sh_link = 2;
  std::memcpy(&file[sections + sizeof table], &table, sizeof table);
  table = {};
  table.sh_type = SHT_STRTAB;
  table.sh_offset = static_cast<Elf32_Off>(strings);
  table.sh_size = static_cast<Elf32_Word>(names.size() + 1);
  std::memcpy(&file[sections + 2 * sizeof table], &table, sizeof table);
  put(std::span(file), 32, static_cast<std::uint32_t>(sections));
  put(std::span(file), 46, static_cast<std::uint16_t>(sizeof(Elf32_Shdr)));
  put(std::span(file), 48, std::uint16_t{3});
  return file;
}

template <class T>
T read_struct(const test::Bytes& file, std::size_t offset) {
  T value;
  EXPECT_LE(offset + sizeof value, file.size());
  std::memcpy(&value, &file[offset], sizeof value);
  return value;
}

TEST(BootImage, IsAnElfFileWithTheBundleAsItsLastSegment) {
  CompiledImage image = compiled(two_linux(), test::make_bzimage());
  image.bundle_address = 0x1800000;
  constexpr std::size_t kStoreOffset =
      (sizeof(plan::Plan) + plan::kPageSize - 1) / plan::kPageSize * plan::kPageSize;
  const auto file = make_elf(image, make_monitor());
  ASSERT_TRUE(file) << all(file.error());
  const auto header = read_struct<Elf32_Ehdr>(*file, 0);
  EXPECT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
  EXPECT_EQ(header.e_machine, EM_386);
  EXPECT_EQ(header.e_entry, 0x200010U);
  ASSERT_EQ(header.e_phnum, 2);
  EXPECT_LE(header.e_phoff + 2 * sizeof(Elf32_Phdr), 8192U) << "GRUB looks no further";
  const auto monitor = read_struct<Elf32_Phdr>(*file, header.e_phoff);
  const auto bundle = read_struct<Elf32_Phdr>(*file, header.e_phoff + sizeof(Elf32_Phdr));
  EXPECT_EQ(monitor.p_type, static_cast<Elf32_Word>(PT_LOAD));
  EXPECT_EQ(monitor.p_paddr, 0x200000U);
  EXPECT_EQ(monitor.p_filesz, 64U);
  EXPECT_EQ(monitor.p_memsz, 128U);
  EXPECT_EQ(get<std::uint32_t>(*file, monitor.p_offset), 0x1badb002U);
  EXPECT_LT(monitor.p_offset, 8192U) << "the multiboot header is within the first 8 KiB";
  EXPECT_EQ(get<std::uint32_t>(*file, monitor.p_offset + 12), 0x1800000U) << "patched";
  EXPECT_EQ(bundle.p_paddr, 0x1800000U);
  EXPECT_EQ(bundle.p_filesz, kStoreOffset + image.store.size());
  ASSERT_EQ(bundle.p_offset + bundle.p_filesz, file->size());
  EXPECT_EQ(bundle.p_offset % 4096, bundle.p_paddr % 4096);
  const auto plan = read_struct<plan::Plan>(*file, bundle.p_offset);
  EXPECT_EQ(verify_header(plan, plan::Architecture::Ia32).error, PlanError::None);
  EXPECT_EQ(verify_store(plan, &(*file)[bundle.p_offset + kStoreOffset]).error, PlanError::None);
}

TEST(BootImage, RefusesAnUnsuitableMonitor) {
  CompiledImage image = compiled(two_linux(), test::make_bzimage());
  EXPECT_FALSE(make_elf(image, test::Bytes(100, 'x')));
  EXPECT_FALSE(make_elf(image, test::make_elf32(0x200000))) << "no multiboot header";
  const auto no_symbol = make_elf(image, test::make_elf32(0x200000, 64, 3));
  ASSERT_FALSE(no_symbol);
  EXPECT_NE(test::find(no_symbol.error(), "mezzo_bundle_address"), nullptr);
  image.bundle_address = 0x200000;
  const auto overlapping = make_elf(image, make_monitor());
  ASSERT_FALSE(overlapping);
  EXPECT_NE(test::find(overlapping.error(), "overlaps the bundle's"), nullptr);
}

}  // namespace
}  // namespace mezzo::image
