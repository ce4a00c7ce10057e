// The hypercall interface: what a guest kernel may ask of the monitor, if it knows it runs on one.
//
// A guest calls with `int $0x18` from ring 1 (a vector that Intel reserves and no processor raises;
// from ring 3 it is #GP). EAX holds the number, EBX and ECX the arguments; EAX returns the result,
// EBX, ECX and EDX more of it where a row says so. All other registers are kept.
// A guest finds out that it runs on Mezzo by its own CS: the low two bits are 1.
#pragma once

#include <cstdint>

namespace mezzo::hypercall {

inline constexpr std::uint8_t kVector = 0x18;
inline constexpr std::uint32_t kVersion = 4;

enum class Call : std::uint32_t {
  Null = 0,           // -> 0
  Version = 1,        // -> kVersion
  PartitionInfo = 2,  // -> 0; ebx: partition index, ecx: cpu index, edx: restarts so far
  MemoryStart = 3,   // -> machine address where the partition's largest piece starts; ebx: its size
  ConsoleWrite = 4,  // ebx: linear address, ecx: bytes (at most kConsoleWriteMax) -> bytes written
  StopSelf = 5,      // does not return
  RestartSelf = 6,   // does not return
  Counter = 7,       // ebx: exit cause -> low half; edx: high half
  // Of the channels that the partition has an end of, the one at index ebx, from 0. Since
  // version 2.
  Channel = 8,        // -> 0; ebx: machine address, ecx: bytes, edx: which of its ends, 0 or 1
  Listen = 9,         // ecx: vector that the other end's ringing raises (32 to 255), 0: none -> 0
  Ring = 10,          // -> 1: the other end is interrupted, 0: it does not listen
  KickWatchdog = 11,  // -> 0. Since version 3
  // How late it has been of late, in ticks of the TSC, for who watches. Since version 4.
  TellLatency = 12,  // ebx: on average, ecx: at most -> 0
  Count
};

inline constexpr std::uint32_t kConsoleWriteMax = 1024;

// A process that its kernel allows this port (ioperm) kicks the watchdog by writing anything to it:
// a Linux has no other way to. No chip of a PC is there, and nothing of it reaches the bus.
inline constexpr std::uint16_t kWatchdogPort = 0xe8;
// Processes, which can make no hypercall, ring by writing a byte to this port plus the channel's
// number in the system file, if their kernel lets them (ioperm()). A kernel's own writes go past
// the monitor.
inline constexpr std::uint16_t kDoorbellPort = 0xe80;

// Errors are returned in EAX as negative numbers.
enum class Error : std::int32_t { UnknownCall = -1, BadArgument = -2, BadAddress = -3 };

}  // namespace mezzo::hypercall
