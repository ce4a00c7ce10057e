// The monitor's own page tables: the window's table of each CPU, the directory used while a guest
// has paging off, and temporary mappings of machine pages. And a walk of the guest's tables, for
// the few places that must know where a guest-linear page lies. Does not touch guest tables
// otherwise.
#pragma once

#include <cstdint>
#include <optional>

#include "arch/ia32/cpu.hpp"
#include "core/partition.hpp"

namespace mezzo::ia32 {

template <class T>
[[nodiscard]] inline T* pointer_to(std::uint32_t linear) {
  return reinterpret_cast<T*>(linear);  // NOLINT(performance-no-int-to-ptr)
}
template <class T>
[[nodiscard]] inline std::uint32_t address_of(const T& object) {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&object));
}

// The machine address of a member of this CPU's private memory.
template <class T>
[[nodiscard]] inline std::uint32_t machine_address(const Cpu& cpu, const T& member) {
  return cpu.machine + (address_of(member) - address_of(cpu));
}

// Builds a CPU's window table and identity directory. `monitor_base`: where the image lies now.
// Called by the boot processor on cpus[index], before that CPU runs on them.
void build_page_tables(Cpu& cpu, std::uint32_t monitor_base);

// Maps a machine page into this CPU's window at `linear`, for roots of either kind.
void map_window_page(Cpu& cpu, std::uint32_t linear, std::uint32_t machine);

// Maps a machine page for a short look; valid until the next call on this CPU. Returns its linear
// address.
[[nodiscard]] std::uint32_t map_machine_page(Cpu& cpu, std::uint32_t machine);

struct GuestPage {
  std::uint32_t machine;  // of the 4 KiB page
  bool writable;
};

// The window in roots of guests with PAE.
[[nodiscard]] pae::Window pae_window(const Cpu& cpu);

// Where the guest maps the page of `linear`, by its current tables; with paging off, one to one.
// Tables outside the partition's memory count as not present.
[[nodiscard]] std::optional<GuestPage> translate(Cpu& cpu, const Partition& partition,
                                                 std::uint32_t linear);

}  // namespace mezzo::ia32
