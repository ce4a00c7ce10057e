// The memory map that a guest is shown, as entries of the PC's E820 interface.
#pragma once

#include <cstdint>

namespace mezzo::firmware {

// ACPI specification 6.5, table 15.374 (address range types).
enum class MemoryType : std::uint32_t { Ram = 1, Reserved = 2, AcpiData = 3, AcpiNvs = 4 };

struct E820Entry {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  MemoryType type = MemoryType::Reserved;

  bool operator==(const E820Entry&) const = default;
};

}  // namespace mezzo::firmware
