// An Intel MultiProcessor table with one processor, one bus and no I/O APIC.
//
// Linux looks for it in low memory in steps of 16 bytes, each through a temporary mapping of its
// own, which costs a guest some 40,000 exits. It goes on until it finds one, so there is one near
// the start. What it says counts for nothing: the MADT of each guest overrides it.
#pragma once

#include <cstdint>
#include <vector>

namespace mezzo::firmware {

// Where the floating pointer must be to be found first; the table follows it. It ends below the
// BIOS data area at 0x400.
inline constexpr std::uint32_t kMpTableAddress = 0x10;
inline constexpr std::uint32_t kMpTableEnd = 0x400;

// The bytes to place at kMpTableAddress. `apic_id` is the processor's, `local_apic` its address.
[[nodiscard]] std::vector<std::uint8_t> make_mp_table(std::uint8_t apic_id,
                                                      std::uint32_t local_apic);

}  // namespace mezzo::firmware
