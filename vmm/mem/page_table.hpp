// Walks a guest's page tables, in whatever entry format they have.
//
// The walk only reads, through a callable that may refuse; it sets no Accessed or Dirty bit, and
// knows neither CR0.WP nor the TLB: it says what the tables say. Source: Intel SDM volume 3, 4.3
// and 4.4.
//
//   linear address   | index of level N | ... | index of level 1 | offset |
//                            |                       |
//   root -> table of level N [entry] -> ... -> table of level 1 [entry] -> page
#pragma once

#include <concepts>
#include <cstdint>
#include <expected>
#include <optional>

#include "mem/address.hpp"

namespace mezzo::mem {

// What the walk must know about a format. `level` counts from 1 (tables whose entries map 4 KiB
// pages) up to kLevels (the root).
template <class Format>
concept EntryFormat = std::unsigned_integral<typename Format::Entry> &&
                      requires(typename Format::Entry entry, unsigned level, GuestVirtual address) {
                        { Format::kLevels } -> std::convertible_to<unsigned>;
                        {
                          Format::index(address, level)
                        } -> std::same_as<std::uint32_t>;  // in that level's table
                        {
                          Format::page_size(level)
                        } -> std::same_as<std::uint32_t>;  // bytes that one entry covers
                        { Format::is_present(entry) } -> std::same_as<bool>;
                        {
                          Format::is_page(entry, level)
                        } -> std::same_as<bool>;  // maps a page, leads to no table
                        { Format::has_reserved_bits(entry, level) } -> std::same_as<bool>;
                        { Format::is_writable(entry, level) } -> std::same_as<bool>;
                        { Format::is_user(entry, level) } -> std::same_as<bool>;
                        { Format::is_executable(entry, level) } -> std::same_as<bool>;
                        {
                          Format::is_global(entry)
                        } -> std::same_as<bool>;  // of an entry that maps a page
                        {
                          Format::target(entry, level)
                        } -> std::same_as<GuestPhysical>;  // page or next table
                      };

// Two levels, 4-byte entries, pages of 4 KiB and (CR4.PSE is taken to be on) 4 MiB, those with the
// 40 physical address bits of PSE-36. Root: CR3 with its low 12 bits clear.
struct Ia32 {
  using Entry = std::uint32_t;
  static constexpr unsigned kLevels = 2;

  static constexpr std::uint32_t index(GuestVirtual address, unsigned level) {
    return address.value() >> (level == 2 ? 22 : 12) & 0x3ff;
  }
  static constexpr std::uint32_t page_size(unsigned level) {
    return level == 2 ? 1u << 22 : 1u << 12;
  }
  static constexpr bool is_present(Entry entry) { return (entry & 1) != 0; }
  static constexpr bool is_page(Entry entry, unsigned level) {
    return level == 1 || (entry & 0x80) != 0;
  }
  static constexpr bool has_reserved_bits(Entry entry, unsigned level) {
    return level == 2 && is_page(entry, level) && (entry & 1u << 21) != 0;
  }
  static constexpr bool is_writable(Entry entry, unsigned) { return (entry & 2) != 0; }
  static constexpr bool is_user(Entry entry, unsigned) { return (entry & 4) != 0; }
  static constexpr bool is_executable(Entry, unsigned) { return true; }
  static constexpr bool is_global(Entry entry) { return (entry & 0x100) != 0; }
  static constexpr GuestPhysical target(Entry entry, unsigned level) {
    if (level == 2 && is_page(entry, level)) {
      return GuestPhysical{(entry & 0xffc00000) | std::uint64_t{entry >> 13 & 0xff} << 32};
    }
    return GuestPhysical{entry & 0xfffff000};
  }
};

// Three levels, 8-byte entries, pages of 4 KiB and 2 MiB, no-execute (EFER.NXE is taken to be on).
// Root: CR3 with its low 5 bits clear.
struct Ia32Pae {
  using Entry = std::uint64_t;
  static constexpr unsigned kLevels = 3;
  static constexpr Entry kAddress = 0x000ffffffffff000;
  static constexpr Entry kNoExecute = Entry{1} << 63;

  static constexpr std::uint32_t index(GuestVirtual address, unsigned level) {
    if (level == 3) return address.value() >> 30;
    return address.value() >> (level == 2 ? 21 : 12) & 0x1ff;
  }
  static constexpr std::uint32_t page_size(unsigned level) {
    return level == 3 ? 1u << 30 : level == 2 ? 1u << 21 : 1u << 12;
  }
  static constexpr bool is_present(Entry entry) { return (entry & 1) != 0; }
  static constexpr bool is_page(Entry entry, unsigned level) {
    return level == 1 || (level == 2 && (entry & 0x80) != 0);
  }
  static constexpr bool has_reserved_bits(Entry entry, unsigned level) {
    const Entry high = entry & 0x7ff0000000000000;
    if (level == 3) return (entry & (kNoExecute | 0x1e6)) != 0 || high != 0;
    return high != 0 || (level == 2 && is_page(entry, level) && (entry & 0x1fe000) != 0);
  }
  // The four entries of the root restrict nothing.
  static constexpr bool is_writable(Entry entry, unsigned level) {
    return level == 3 || (entry & 2) != 0;
  }
  static constexpr bool is_user(Entry entry, unsigned level) {
    return level == 3 || (entry & 4) != 0;
  }
  static constexpr bool is_executable(Entry entry, unsigned level) {
    return level == 3 || (entry & kNoExecute) == 0;
  }
  static constexpr bool is_global(Entry entry) { return (entry & 0x100) != 0; }
  static constexpr GuestPhysical target(Entry entry, unsigned level) {
    const bool large = level == 2 && is_page(entry, level);
    return GuestPhysical{entry & kAddress & ~(large ? Entry{page_size(2) - 1} : Entry{0})};
  }
};

// Where a linear address leads, and what all levels together allow.
struct Translation {
  GuestPhysical physical{};  // of the address itself, not of its page
  bool writable = false;     // from ring 3, and with CR0.WP from everywhere
  bool user = false;         // from ring 3
  bool executable = false;
  bool global = false;
  std::uint32_t page_size = 0;  // bytes

  bool operator==(const Translation&) const = default;
};

enum class MissReason : std::uint8_t {
  NotPresent,  // the guest's own page fault
  Reserved,    // likewise, with the RSVD bit in the error code
  Unreadable,  // the entry lies where `read_entry` cannot read
};

struct Miss {
  unsigned level = 0;  // of the entry that ended the walk
  MissReason reason = MissReason::NotPresent;

  bool operator==(const Miss&) const = default;
};

using WalkResult = std::expected<Translation, Miss>;

// Translates `address` by the tables at `root`.
//   read_entry  (GuestPhysical) -> std::optional<Format::Entry>; nothing if there is no such memory
template <EntryFormat Format, class ReadEntry>
  requires std::is_invocable_r_v<std::optional<typename Format::Entry>, ReadEntry&, GuestPhysical>
[[nodiscard]] constexpr WalkResult walk(GuestPhysical root, GuestVirtual address,
                                        ReadEntry&& read_entry) {
  GuestPhysical table = root;
  Translation result{.writable = true, .user = true, .executable = true};
  for (unsigned level = Format::kLevels;; --level) {
    const auto index = Format::index(address, level);
    const std::optional<typename Format::Entry> read =
        read_entry(table + index * sizeof(typename Format::Entry));
    if (!read) return std::unexpected(Miss{level, MissReason::Unreadable});
    const auto entry = *read;
    if (!Format::is_present(entry)) return std::unexpected(Miss{level, MissReason::NotPresent});
    if (Format::has_reserved_bits(entry, level)) {
      return std::unexpected(Miss{level, MissReason::Reserved});
    }
    result.writable = result.writable && Format::is_writable(entry, level);
    result.user = result.user && Format::is_user(entry, level);
    result.executable = result.executable && Format::is_executable(entry, level);
    if (Format::is_page(entry, level)) {
      result.page_size = Format::page_size(level);
      result.global = Format::is_global(entry);
      result.physical = Format::target(entry, level) + address.offset_in(result.page_size);
      return result;
    }
    table = Format::target(entry, level);
  }
}

}  // namespace mezzo::mem
