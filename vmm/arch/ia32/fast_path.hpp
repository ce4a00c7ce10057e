// What fast_path.S decides on: kept up to date by C++, read by assembly at fixed addresses
// (layout.h).
#pragma once

#include <cstdint>

#include "arch/ia32/instructions.hpp"

namespace mezzo::ia32 {

struct FastPath {
  TableRegister guest_idt, monitor_idt;
  // An NMI hit the monitor itself; looked at before the guest goes on.
  volatile bool nmi_pending;
  // The code segment of the guest's kernel, if it is flat, the guest has paging on and there is a
  // heartbeat; else 0, and no exit is fast. A selector, because a descriptor in use stays what it
  // was when it was loaded.
  std::uint16_t code;
  std::uint16_t data;   // the data segment that the kernel had then, if it is flat; else 0
  std::uint32_t exits;  // address of the partition's counters
  std::uint32_t root_first, root_bytes;  // the partition's largest piece, for page directories
  std::uint32_t directory_entry;         // what each of the guest's page directories holds last
};

}  // namespace mezzo::ia32
