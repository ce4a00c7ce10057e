// The PC: where its shared chips are, and how a partition's devices are made quiet before its
// memory is reloaded. Chips are described by their data sheets: 8259A, 8254, 16550, HPET 1.0a,
// PCI 2.3.
#pragma once

#include <cstdint>

#include "abi/plan.hpp"

namespace mezzo::board::pc {

inline constexpr std::uint16_t kDebugPort = 0xe9;  // emulators print what is written here
inline constexpr std::uint32_t kLocalApicBase = 0xfee00000;
inline constexpr std::uint32_t kHpetBase = 0xfed00000;
inline constexpr std::uint32_t kIoApicBase = 0xfec00000;

// Writes one character to the debug port.
void put_debug(char character);

// Whether the board raised its NMI for a bus or memory error (port 61h, bits 6 and 7).
[[nodiscard]] bool reports_error();

// The 8254's input clock, and a wait on its second counter for frequency measurements.
inline constexpr std::uint32_t kPitHertz = 1193182;
// Runs counter 2 for `counts` input clocks and returns when it has expired.
void wait_pit(std::uint16_t counts);

// Masks every line of both PICs and of the IO-APIC, as the firmware may have left some open: nobody
// may get an interrupt of a chip that is not its own. Called once, before a guest runs.
void mask_all(std::uint32_t io_apic);

// Leads the PIT's interrupts to the processor with APIC id `to`, as `vector`, by the I/O APIC.
void route_pit(std::uint32_t io_apic, std::uint8_t to, std::uint8_t vector);
// Leads input `line` to the processor with APIC id `to`, as `vector`, if a guest has not opened it;
// and masks it again, if it still raises `vector`. On the processor of the chip's owner, as
// vector_of().
void listen(std::uint32_t io_apic, std::uint32_t line, std::uint8_t to, std::uint8_t vector);
void stop_listening(std::uint32_t io_apic, std::uint32_t line, std::uint8_t vector);
// The vector that input `line` of the IO-APIC raises, or 0 if it is masked, raises none (NMI, SMI,
// INIT), or one that is the processor's. `io_apic`: its linear address. Called on the processor of
// its owner, who may be between its own two accesses, an index and the data: it finds the index as
// it was.
[[nodiscard]] std::uint8_t vector_of(std::uint32_t io_apic, std::uint32_t line);

// Switches off bus mastering of each listed PCI function, masks every interrupt that reaches the
// partition's CPU through the chips it owns, and silences its UARTs. Called on the partition's CPU,
// with the guest not running. `io_apic`: linear address of the IO-APIC.
void quiesce(const plan::Partition& partition, std::uint32_t io_apic);

}  // namespace mezzo::board::pc
