// Channels as PCI functions: what a Linux with PCI finds them by, and its stock drivers serve.
//
// They are on a bus of their own, of PCI segment 1, whose configuration space is memory of the
// partition (PCI Firmware Specification 3.0, 4.1.2: "ECAM"). Nothing emulates it: what the guest
// writes, it reads back. So the memory of a function cannot be told by base address registers,
// whose size is found out by writing to them; it is told by the capability that is for memory which
// cannot be moved (PCI Local Bus 3.0, ECN "Enhanced Allocation", 2014). The interrupt pin leads to
// an input of the I/O APIC by the DSDT (dsdt.cpp).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mezzo::firmware {

inline constexpr std::uint16_t kFunctionsSegment = 1;
// Configuration space of one bus; aligned to that.
inline constexpr std::uint32_t kFunctionsSize = 1 << 20;

// Nobody's numbers: no driver takes them for something else.
inline constexpr std::uint16_t kChannelVendor = 0x4d5a, kChannelDevice = 0x0c01;

// A partition's end of a channel. The n-th is function n of device 0, and has interrupt pin n.
struct ChannelFunction {
  std::uint16_t number = 0;  // the channel's, in the system file: the subsystem id
  std::uint8_t end = 0;      // which of its ends, 0 or 1: the revision
  std::uint8_t line = 0;     // the doorbell's input of the I/O APIC
  std::uint32_t base = 0;    // machine address
  std::uint32_t size = 0;    // bytes
};

// The first bytes of the configuration space, in whole pages; the rest is zero, which Linux takes
// for absent.
[[nodiscard]] std::vector<std::uint8_t> make_functions(std::span<const ChannelFunction> functions);

}  // namespace mezzo::firmware
