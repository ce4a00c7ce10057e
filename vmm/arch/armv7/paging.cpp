// Flat sections and the window's two tables. Source: ARM DDI 0406C, B3.5.1.
#include "arch/armv7/paging.hpp"

#include "arch/armv7/flat_root.hpp"
#include "arch/armv7/monitor.hpp"

namespace mezzo::armv7 {
namespace {

extern "C" std::array<std::uint32_t, 4096> boot_root;
extern "C" const char text_begin[], text_end[], image_end[];

constexpr std::uint32_t kSection = 1u << 20;
constexpr std::uint16_t kNormal = kFlatMemory, kDevice = kFlatDevice;

// A small page of the monitor's own: nothing for PL0.
constexpr std::uint32_t page(std::uint32_t machine, std::uint32_t attributes) {
  constexpr std::uint32_t kSmall = 2, kPrivileged = 1u << 4;
  return machine | kSmall | kPrivileged | attributes;
}
constexpr std::uint32_t kNeverExecute = 1, kReadOnly = 1u << 9;

}  // namespace

void map_for_boot(std::uint32_t at, std::uint32_t bytes) {
  for (std::uint32_t slot = at / kSection; slot <= (at + bytes - 1) / kSection; ++slot) {
    // The other CPUs are to execute the image there, too.
    if (boot_root[slot] != 0) continue;
    boot_root[slot] =
        ShortDescriptor::monitor_section(HostPhysical{slot * kSection}, kNormal, false) &
        ~(ShortDescriptor::kMonitorDomain << 5);
    data_barrier();
    CleanDataToUnificationAt::write(address_of(boot_root[slot]));  // for their walks
  }
  data_barrier();
  InvalidateTlb::write(0);
  data_barrier();
  instruction_barrier();
}

void build_root(Cpu& cpu) {
  const plan::Board& board = the_plan.board;
  map_flat(the_plan, cpu.root);
  for (std::uint32_t n = 0; n < cpu.image_table.size(); ++n) {
    const std::uint32_t at = layout::kWindow + n * mem::kPageSize;
    const bool text = at >= address_of(text_begin[0]) && at < address_of(text_end[0]);
    // Nothing behind the image: there the stack ends.
    if (at >= address_of(image_end[0])) break;
    cpu.image_table[n] = page(at + image_offset, kNormal | (text ? kReadOnly : kNeverExecute));
  }
  for (std::uint32_t n = 0; n < sizeof(Cpu) / mem::kPageSize; ++n) {
    cpu.cpu_table[n] = page(cpu.machine + n * mem::kPageSize, kNormal | kNeverExecute);
  }
  if (const std::uint32_t own = board.interface != 0 ? board.interface : sun4i_page(); own != 0) {
    cpu.cpu_table.back() = page(own & ~(mem::kPageSize - 1), kDevice | kNeverExecute);
  }
  const auto window = window_entries(cpu);
  for (std::uint32_t n = 0; n < window.size(); ++n) {
    cpu.root[layout::kWindow / kSection + n] = window[n];
  }
}

std::array<std::uint32_t, 2> window_entries(const Cpu& cpu) {
  const auto table = [&](const auto& member) {
    return ShortDescriptor::monitor_table(
        HostPhysical{cpu.machine + (address_of(member) - address_of(cpu))});
  };
  return {table(cpu.image_table), table(cpu.cpu_table)};
}

void map_shared_page(Cpu& cpu, HostPhysical shared) {
  constexpr std::uint32_t kIndex = (layout::kSharedPage - layout::kCpuArea) / mem::kPageSize;
  cpu.cpu_table[kIndex] = page(static_cast<std::uint32_t>(shared.value()), kNormal | kNeverExecute);
  cpu.memory.clean_to_unification(
      HostPhysical{cpu.machine + (address_of(cpu.cpu_table[kIndex]) - address_of(cpu))}, 4);
  data_barrier();
  InvalidateTlb::write(0);
  data_barrier();
  instruction_barrier();
}

}  // namespace mezzo::armv7
