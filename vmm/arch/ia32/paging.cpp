// Page tables of the window, and looks at machine pages and guest tables through it.
#include "arch/ia32/paging.hpp"

#include <algorithm>

#include "arch/ia32/instructions.hpp"
#include "mem/page_table.hpp"

namespace mezzo::ia32 {
namespace {

constexpr std::uint32_t kPresent = 1u << 0;
constexpr std::uint32_t kWritable = 1u << 1;
constexpr std::uint32_t kNoCache = 1u << 4;
constexpr std::uint32_t kAccessed = 1u << 5;
constexpr std::uint32_t kLarge = 1u << 7;
constexpr std::uint32_t kGlobal = 1u << 8;
constexpr std::uint32_t kLargePageSize = 4u << 20;
constexpr std::uint32_t kPageMask = ~(plan::kPageSize - 1);

constexpr std::uint32_t kLocalApicAddress = 0xfee00000;
constexpr std::uint32_t kHpetAddress = 0xfed00000;
constexpr std::uint32_t kIoApicAddress = 0xfec00000;

extern "C" const char text_begin[], text_end[];

// The entry of `linear`, in the tables for roots of either kind: without a bit above the 31st, they
// are the same.
void set_entry(Cpu& cpu, std::uint32_t linear, std::uint32_t entry) {
  const std::uint32_t page = (linear - layout::kWindow) / plan::kPageSize;
  cpu.page_table[page] = entry;
  cpu.pae_tables[page] = entry;
}

// Accessed, as the processor would make it, so that it stays equal in a guest's directory.
std::uint32_t directory_entry(std::uint32_t table) {
  return table | kPresent | kWritable | kAccessed;
}

void map_image(Cpu& cpu, std::uint32_t monitor_base) {
  for (std::uint32_t offset = 0; offset < plan::kMonitorSize; offset += plan::kPageSize) {
    const std::uint32_t linear = layout::kWindow + offset;
    const bool text = linear >= address_of(*text_begin) && linear < address_of(*text_end);
    set_entry(cpu, linear, (monitor_base + offset) | kPresent | kGlobal | (text ? 0 : kWritable));
  }
}

// PAE's pointers are those that were loaded, in the monitor's memory; all else is in the guest's.
// QEMU marks pointers as accessed, in a bit that is reserved.
template <mem::EntryFormat Format>
std::optional<GuestPage> translate_by(Cpu& cpu, const Partition& partition, std::uint32_t root,
                                      std::uint32_t linear) {
  const std::uint32_t pointers = machine_address(cpu, cpu.root_page);
  using Entry = Format::Entry;
  const auto read_entry = [&](mem::GuestPhysical at) -> std::optional<Entry> {
    if (at.value() > ~0u) return std::nullopt;
    const auto machine = static_cast<std::uint32_t>(at.value());
    const std::uint32_t pointer = (machine - pointers) / sizeof(std::uint64_t);
    if (pointer < cpu.root_page.pointers.size()) {
      return static_cast<Entry>(cpu.root_page.pointers[pointer] & ~pae::kReserved);
    }
    if (!partition.owns(machine, sizeof(Entry))) return std::nullopt;
    const std::uint32_t page = map_machine_page(cpu, machine);
    return *pointer_to<const Entry>(page + machine % plan::kPageSize);
  };
  const auto result =
      mem::walk<Format>(mem::GuestPhysical{root}, mem::GuestVirtual{linear}, read_entry);
  if (!result || result->physical.value() > ~0u) return std::nullopt;
  return GuestPage{static_cast<std::uint32_t>(result->physical.value()) & kPageMask,
                   result->writable};
}

}  // namespace

void build_page_tables(Cpu& cpu, std::uint32_t monitor_base) {
  cpu.machine = monitor_base + (address_of(cpu) - layout::kWindow);
  map_image(cpu, monitor_base);
  const auto map = [&](std::uint32_t linear, std::uint32_t machine, std::uint32_t attributes) {
    set_entry(cpu, linear, machine | kPresent | kWritable | attributes);
  };
  for (std::uint32_t offset = 0; offset < sizeof(Cpu); offset += plan::kPageSize) {
    map(layout::kCpuArea + offset, cpu.machine + offset, kGlobal);
  }
  map(layout::kGdtWindow, machine_address(cpu, cpu.copied_gdt), 0);
  map(layout::kGdtWindow + plan::kPageSize, machine_address(cpu, cpu.monitor_gdt), kGlobal);
  map(layout::kLocalApic, kLocalApicAddress, kNoCache);
  map(layout::kHpet, kHpetAddress, kNoCache);
  map(layout::kIoApic, kIoApicAddress, kNoCache);

  cpu.fast.directory_entry = directory_entry(machine_address(cpu, cpu.page_table));
  for (std::uint32_t n = 0; n < 1023; ++n) {
    cpu.identity_directory[n] = n * kLargePageSize | kPresent | kWritable | kLarge;
  }
  cpu.identity_directory[1023] = cpu.fast.directory_entry;
  cpu.root_page.last_entry = cpu.fast.directory_entry;
  cpu.root_page.pointers.back() = pae_window(cpu).directory;
  std::ranges::copy(pae_window(cpu).entries, cpu.pae_directory.end() - 2);
}

pae::Window pae_window(const Cpu& cpu) {
  const std::uint32_t tables = machine_address(cpu, cpu.pae_tables);
  return {{directory_entry(tables), directory_entry(tables + plan::kPageSize)},
          machine_address(cpu, cpu.pae_directory) | pae::kPresent};
}

void map_window_page(Cpu& cpu, std::uint32_t linear, std::uint32_t machine) {
  set_entry(cpu, linear, (machine & kPageMask) | kPresent | kWritable);
  invalidate_page(linear);
}

std::uint32_t map_machine_page(Cpu& cpu, std::uint32_t machine) {
  map_window_page(cpu, layout::kPhysicalWindow, machine);
  return layout::kPhysicalWindow;
}

std::optional<GuestPage> translate(Cpu& cpu, const Partition& partition, std::uint32_t linear) {
  if (!cpu.vcpu.paging()) return GuestPage{linear & kPageMask, true};
  if (cpu.vcpu.root_kind() == RootKind::Directory) {
    return translate_by<mem::Ia32>(cpu, partition, cpu.vcpu.cr3 & kPageMask, linear);
  }
  return translate_by<mem::Ia32Pae>(cpu, partition, machine_address(cpu, cpu.root_page), linear);
}

}  // namespace mezzo::ia32
