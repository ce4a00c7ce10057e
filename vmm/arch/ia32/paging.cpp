// Page tables of the window, and looks at machine pages and guest tables through it.
#include "arch/ia32/paging.hpp"

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

std::uint32_t& entry_of(Cpu& cpu, std::uint32_t linear) {
  return cpu.page_table[(linear - layout::kWindow) / plan::kPageSize];
}

void map_image(Cpu& cpu, std::uint32_t monitor_base) {
  for (std::uint32_t offset = 0; offset < plan::kMonitorSize; offset += plan::kPageSize) {
    const std::uint32_t linear = layout::kWindow + offset;
    const bool text = linear >= address_of(*text_begin) && linear < address_of(*text_end);
    entry_of(cpu, linear) = (monitor_base + offset) | kPresent | kGlobal | (text ? 0 : kWritable);
  }
}

}  // namespace

void build_page_tables(Cpu& cpu, std::uint32_t monitor_base) {
  cpu.machine = monitor_base + (address_of(cpu) - layout::kWindow);
  map_image(cpu, monitor_base);
  for (std::uint32_t offset = 0; offset < sizeof(Cpu); offset += plan::kPageSize) {
    entry_of(cpu, layout::kCpuArea + offset) =
        (cpu.machine + offset) | kPresent | kWritable | kGlobal;
  }
  const auto machine = [&](const auto& member) { return machine_address(cpu, member); };
  entry_of(cpu, layout::kGdtWindow) = machine(cpu.copied_gdt) | kPresent | kWritable;
  entry_of(cpu, layout::kGdtWindow + plan::kPageSize) =
      machine(cpu.monitor_gdt) | kPresent | kWritable | kGlobal;
  entry_of(cpu, layout::kLocalApic) = kLocalApicAddress | kPresent | kWritable | kNoCache;
  entry_of(cpu, layout::kHpet) = kHpetAddress | kPresent | kWritable | kNoCache;
  entry_of(cpu, layout::kIoApic) = kIoApicAddress | kPresent | kWritable | kNoCache;

  // Accessed, as the processor would make it, so that it stays equal in a guest's directory.
  cpu.fast.directory_entry = machine(cpu.page_table) | kPresent | kWritable | kAccessed;
  for (std::uint32_t n = 0; n < 1023; ++n) {
    cpu.identity_directory[n] = n * kLargePageSize | kPresent | kWritable | kLarge;
  }
  cpu.identity_directory[1023] = cpu.fast.directory_entry;
}

void map_window_page(Cpu& cpu, std::uint32_t linear, std::uint32_t machine) {
  entry_of(cpu, linear) = (machine & kPageMask) | kPresent | kWritable;
  invalidate_page(linear);
}

std::uint32_t map_machine_page(Cpu& cpu, std::uint32_t machine) {
  map_window_page(cpu, layout::kPhysicalWindow, machine);
  return layout::kPhysicalWindow;
}

std::optional<GuestPage> translate(Cpu& cpu, const Partition& partition, std::uint32_t linear) {
  if (!cpu.vcpu.paging()) return GuestPage{linear & kPageMask, true};
  const auto read_entry = [&](mem::GuestPhysical at) -> std::optional<std::uint32_t> {
    const auto machine = static_cast<std::uint32_t>(at.value());
    if (!partition.owns(machine, sizeof(std::uint32_t))) return std::nullopt;
    const std::uint32_t page = map_machine_page(cpu, machine);
    return *pointer_to<const std::uint32_t>(page + machine % plan::kPageSize);
  };
  const auto result = mem::walk<mem::Ia32>(mem::GuestPhysical{cpu.vcpu.cr3 & kPageMask},
                                           mem::GuestVirtual{linear}, read_entry);
  if (!result || result->physical.value() > ~0u) return std::nullopt;
  return GuestPage{static_cast<std::uint32_t>(result->physical.value()) & kPageMask,
                   result->writable};
}

}  // namespace mezzo::ia32
