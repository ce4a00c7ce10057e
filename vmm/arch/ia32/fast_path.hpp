// What fast_path.S decides on: kept up to date by C++, read by assembly at fixed addresses
// (layout.h).
#pragma once

#include <cstdint>

#include "arch/ia32/instructions.hpp"

namespace mezzo::ia32 {

inline constexpr std::uint32_t kNoVector = ~0u;

struct FastPath {
  TableRegister guest_idt, monitor_idt;
  // An NMI hit the monitor itself; looked at before the guest goes on.
  volatile bool nmi_pending;
  // The code segment of the guest's kernel, if it is flat and there is a heartbeat; else 0, and no
  // exit is fast. A selector, because a descriptor in use stays what it was when it was loaded.
  std::uint16_t code;
  std::uint16_t data, stack;  // the segments that the kernel had then, if they are flat; else 0
  std::uint32_t exits;        // address of the partition's counters
  // The partition's largest piece, for roots: its size is in `root_bytes` if the guest's are page
  // directories, in `pointers_bytes` if they are PAE's. Otherwise 0, as while paging is off.
  std::uint32_t root_first, root_bytes, pointers_bytes;
  // Of PAE's pointers the guest's last one as it was loaded: its directory has the window.
  std::uint32_t last_pointer;
  std::uint32_t directory_entry;  // what each of the guest's page directories holds last
  // MEZZO_WOKEN and the vector that ended a HLT, or kNoVector.
  volatile std::uint32_t woken_by;
  bool polls;  // HLT waits without halting
};

}  // namespace mezzo::ia32
