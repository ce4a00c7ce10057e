// Where the stubs are in the guest's address space: a region that Linux leaves unmapped, within a
// branch's reach of its text and modules. Pages of code alternate with mappings of the one page
// that guest and monitor share, so that a stub reaches its fields relative to the PC, in either
// direction, and needs no base register.
//
//   | shared | stubs | shared | stubs | ... | shared | unmapped | doorbell: shared | 63 unmapped |
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "arch/armv7/vcpu.hpp"
#include "mem/address.hpp"

namespace mezzo::armv7 {

struct StubRegion {
  static constexpr std::uint32_t kBase = 0xbfe00000;  // guest-virtual; 2 MiB, as Linux' PKMAP
  static constexpr std::uint32_t kRegion = 0x00200000;
  static constexpr std::uint32_t kSlotWords = 4, kSlotBytes = kSlotWords * 4;
  static constexpr std::uint32_t kSlots = 24576;
  static constexpr std::uint32_t kCodeBytes = kSlots * kSlotBytes;
  static constexpr std::uint32_t kSharedOffset = 2048;  // of the SharedState in its page
  // What an MSR reads at, at a distance of one page for each change of mode or state: the first is
  // mapped.
  static constexpr std::uint32_t kDoorbell = 0xbffa0000, kDoorbellPages = 64;
  // Where the doorbell leads while an interrupt is pending: the monitor's window.
  static constexpr std::uint32_t kAlarm = 0xffa00000;
  // Added to the PC, leads from any stub to where nothing is mapped.
  static constexpr std::uint32_t kOffTheMap = 1u << 20;
  static constexpr std::uint32_t kLongest = 12;  // words of a stub

  [[nodiscard]] static constexpr bool contains(std::uint32_t address) {
    return address - kBase < kRegion;
  }
  [[nodiscard]] static constexpr std::uint32_t address_of(std::uint32_t slot) {
    return kBase + (slot / kSlotsPerPage * 2 + 1) * mem::kPageSize +
           slot % kSlotsPerPage * kSlotBytes;
  }
  // The slot that an address is in, if it is in one.
  [[nodiscard]] static constexpr std::optional<std::uint32_t> slot_at(std::uint32_t address) {
    const std::uint32_t offset = address - kBase, page = offset / mem::kPageSize;
    if (page % 2 == 0 || page / 2 >= kCodePages) return std::nullopt;
    return page / 2 * kSlotsPerPage + offset % mem::kPageSize / kSlotBytes;
  }
  // Whether a stub may begin there: it lies in one page, and not where a field is 4096 bytes away
  // in both directions, one more than a load reaches: around the fields' own offset.
  [[nodiscard]] static constexpr bool is_good(std::uint32_t slot) {
    constexpr std::uint32_t kFirstField = kSharedOffset - 8;
    constexpr std::uint32_t kLastField = kFirstField + sizeof(SharedState);
    const std::uint32_t begin = slot % kSlotsPerPage * kSlotBytes, end = begin + kLongest * 4;
    return end <= mem::kPageSize && (end <= kFirstField || begin >= kLastField);
  }
  // Whether words at `address` and any stub can branch to each other.
  [[nodiscard]] static constexpr bool is_in_reach(std::uint32_t address) {
    constexpr std::uint32_t kReach = 32u << 20;
    constexpr std::uint32_t kFirst = kBase + kRegion - kReach, kLast = kBase + kReach - kRegion;
    return address - kFirst < kLast - kFirst;
  }

  static constexpr std::uint32_t kTableEntries = kRegion / mem::kPageSize;
  // The second-level tables of the region: small pages of normal memory, code for reading and
  // execution only, `shared` never for execution (DDI 0406C, B3.5.1). `global`: for the TLB, in all
  // contexts.
  static void write_tables(std::span<std::uint32_t, kTableEntries> entries, mem::HostPhysical code,
                           mem::HostPhysical shared, bool global) {
    constexpr std::uint32_t kSmall = 2, kNeverExecute = 1, kReadOnly = 2u << 4,
                            kReadWrite = 3u << 4, kNotGlobal = 1u << 11;
    const std::uint32_t kind = 1u << 6 | 3u << 2 | 1u << 10 | (global ? 0 : kNotGlobal);  // normal
    const auto machine = [](mem::HostPhysical at) {
      return static_cast<std::uint32_t>(at.value());
    };
    for (std::uint32_t n = 0; n < kTableEntries; ++n) {
      const bool is_code = n % 2 != 0 && n / 2 < kCodePages;
      const bool is_shared =
          (n % 2 == 0 && n / 2 <= kCodePages) || n == (kDoorbell - kBase) / mem::kPageSize;
      const std::uint32_t kinds[] = {0, machine(code + n / 2 * mem::kPageSize) | kReadOnly,
                                     machine(shared) | kReadWrite | kNeverExecute};
      const std::uint32_t entry = kinds[is_code ? 1 : is_shared ? 2 : 0];
      entries[n] = entry == 0 ? 0 : entry | kSmall | kind;
    }
  }

 private:
  static constexpr std::uint32_t kSlotsPerPage = mem::kPageSize / kSlotBytes;
  static constexpr std::uint32_t kCodePages = kCodeBytes / mem::kPageSize;
  static constexpr std::uint32_t kMappedEnd = kBase + (2 * kCodePages + 1) * mem::kPageSize;
  static_assert(kMappedEnd <= kDoorbell);
  static_assert(kDoorbell + kDoorbellPages * mem::kPageSize <= kBase + kRegion);
  static_assert(kMappedEnd - kBase <= kOffTheMap);
  static_assert((kDoorbell - kBase) / mem::kPageSize % 2 == 0);  // so that no code is so far off
};

}  // namespace mezzo::armv7
