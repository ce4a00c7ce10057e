// Translation tables of a guest in the short-descriptor format. Source: ARM DDI 0406C, B3.5.
#pragma once

#include "armv7/machine.hpp"

namespace guest {

// Descriptors. `ap` is AP[2:0]; attributes are those of normal, write-back memory unless a function
// says otherwise.
namespace descriptor {
inline constexpr u32 kSection = 2, kTable = 1, kSmall = 2, kLarge = 1;
inline constexpr u32 kSectionNeverExecute = 1u << 4, kSmallNeverExecute = 1u << 0,
                     kLargeNeverExecute = 1u << 15;
inline constexpr u32 kSectionNotGlobal = 1u << 17, kPageNotGlobal = 1u << 11;
inline constexpr u32 kSupersection = 1u << 18;

[[nodiscard]] constexpr u32 section(u32 physical, u32 ap, u32 domain = 0) {
  constexpr u32 kNormal = 1u << 12 | 3u << 2 | 1u << 16;
  return physical | kSection | kNormal | (ap & 3) << 10 | (ap & 4) << 13 | domain << 5;
}
[[nodiscard]] constexpr u32 device_section(u32 physical, u32 ap) {
  constexpr u32 kDevice = 1u << 2;
  return physical | kSection | kDevice | kSectionNeverExecute | (ap & 3) << 10 | (ap & 4) << 13;
}
[[nodiscard]] constexpr u32 small_page(u32 physical, u32 ap) {
  constexpr u32 kNormal = 1u << 6 | 3u << 2 | 1u << 10;
  return physical | kSmall | kNormal | (ap & 3) << 4 | (ap & 4) << 7;
}
[[nodiscard]] constexpr u32 large_page(u32 physical, u32 ap) {
  constexpr u32 kNormal = 1u << 12 | 3u << 2 | 1u << 10;
  return physical | kLarge | kNormal | (ap & 3) << 4 | (ap & 4) << 7;
}
[[nodiscard]] constexpr u32 table(u32 physical, u32 domain = 0) {
  return physical | kTable | domain << 5;
}
}  // namespace descriptor

inline constexpr u32 kPage = 4096, kMiB = 1u << 20;
inline constexpr u32 kRam = 0x60000000, kRamMapped = 64 * kMiB;
// AP[2:0] without the access flag (table B3-8).
inline constexpr u32 kNoAccess = 0, kKernelOnly = 1, kUserReads = 2, kEveryone = 3,
                     kKernelReads = 5, kEveryoneReads = 7;
inline constexpr u32 kOpenDomain = 1;  // of DACR: a client of domain 0

using FirstTable = u32[4096];
using SecondTable = u32[256];

// The tables in use: memory and devices where they are, for everyone. `second_tables` are free.
inline constexpr u32 kSecondTables = 8;
extern FirstTable first_table;
extern SecondTable second_tables[kSecondTables];

// Fills `table` with memory and devices one to one.
void map_one_to_one(FirstTable& table);
// Makes what was written to tables visible to walks (B3.10.1), and forgets all old entries.
void tables_written();

// Translation by `table`, from here on; DACR gives domain 0 to clients.
void translate_by(const FirstTable& table);
void stop_translating();
[[nodiscard]] inline bool translating() { return (Sctlr::read() & 1) != 0; }

}  // namespace guest
