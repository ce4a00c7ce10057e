// The memory that the machine's tables of one partition lie in: its layout, a record for each
// table, the list of free ones, and reading and writing of entries. Decides nothing; see
// shadow_tables.hpp.
//
//   | directories | tables | records | reverse map |
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "mem/shadow_types.hpp"

namespace mezzo::mem {

template <ShadowFormat Format, ShadowEnvironment Env>
class ShadowPool {
 public:
  using Entry = typename Format::Entry;

  static constexpr std::uint32_t kMaxDirectories = 128;
  static constexpr std::uint32_t kMaxTables = 0xfff0;
  static constexpr std::uint32_t kNone = 0xffff;  // no table
  static constexpr std::uint32_t kEntryBytes = sizeof(Entry);
  static constexpr std::uint32_t kTableBytes = Format::kTableEntries * kEntryBytes;
  static constexpr std::uint32_t kRecordBytes = 12;
  static constexpr std::uint32_t kGroups = 16;  // of entries in a table: what is cleared at once
  static constexpr std::uint32_t kGroupEntries = Format::kTableEntries / kGroups;

  ShadowPool(Env& env, HostPhysical at)
      : env_(env), directories_(static_cast<std::uint32_t>(at.value())) {}

  // Once: `tables` tables behind `directories` directories. All of them are clear afterwards.
  void lay_out(std::uint32_t directories, std::uint32_t tables) {
    table_count_ = tables;
    tables_ = directories_ + directories * Format::kDirectoryBytes;
    records_ = tables_ + tables * kTableBytes;
    reverse_map_ = records_ + tables * kRecordBytes;
    clear(tables_, tables * kTableBytes);
    for (std::uint32_t table = 0; table < tables; ++table) {
      write_word(record(table), table + 1 == tables ? kNone : table + 1);
      write_word(record(table) + 4, 0);
      write_word(record(table) + 8, 0);
    }
    free_ = 0;
  }
  [[nodiscard]] std::uint32_t table_count() const { return table_count_; }
  [[nodiscard]] std::uint32_t reverse_map() const { return reverse_map_; }

  // --- addresses ---

  [[nodiscard]] std::uint32_t directory_at(unsigned directory) const {
    return directories_ + directory * Format::kDirectoryBytes;
  }
  [[nodiscard]] std::uint32_t entry_at(unsigned directory, std::uint32_t slot) const {
    return directory_at(directory) + slot * kEntryBytes;
  }
  [[nodiscard]] HostPhysical table_at(std::uint32_t table) const {
    return HostPhysical{tables_ + table * kTableBytes};
  }
  [[nodiscard]] std::uint32_t leaf_at(std::uint32_t table, std::uint32_t index) const {
    return tables_ + table * kTableBytes + index * kEntryBytes;
  }
  [[nodiscard]] std::uint32_t number_of(HostPhysical table) const {
    return (static_cast<std::uint32_t>(table.value()) - tables_) / kTableBytes;
  }

  // --- entries ---

  [[nodiscard]] Entry load(std::uint32_t at) const {
    if constexpr (kEntryBytes == 8) {
      return static_cast<Entry>(word(at)) | static_cast<Entry>(word(at + 4)) << 32;
    } else {
      return word(at);
    }
  }
  // An entry of two words is never seen valid with half of its address: the low word has the bit
  // that makes it so.
  void store(std::uint32_t at, Entry entry) {
    if constexpr (kEntryBytes == 8) {
      if (entry == 0) write_word(at, 0);
      write_word(at + 4, static_cast<std::uint32_t>(entry >> 32));
      if (entry != 0) write_word(at, static_cast<std::uint32_t>(entry));
    } else {
      write_word(at, entry);
    }
  }
  void clean(std::uint32_t at, std::uint32_t bytes) { env_.clean(HostPhysical{at}, bytes); }
  void clear(std::uint32_t at, std::uint32_t bytes) {
    env_.clear(HostPhysical{at}, bytes);
    clean(at, bytes);
  }

  // --- tables ---

  // Where a table in use is linked.
  [[nodiscard]] unsigned owner(std::uint32_t table) const { return place(table) >> 8 & 0xff; }
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t table) const { return place(table) >> 16; }
  [[nodiscard]] bool is_in_use(std::uint32_t table) const { return (place(table) & kInUse) != 0; }
  // Groups of its entries that may be valid; those with entries that are part of a larger one of
  // the guest's; whether that may be as large as the slot.
  [[nodiscard]] std::uint32_t used(std::uint32_t table) const { return groups(table) & 0xffff; }
  [[nodiscard]] std::uint32_t wide(std::uint32_t table) const { return groups(table) >> 16; }
  [[nodiscard]] bool from_block(std::uint32_t table) const {
    return (place(table) & kFromBlock) != 0;
  }
  void mark_used(std::uint32_t table, std::uint32_t index) {
    const std::uint32_t bit = 1u << index / kGroupEntries;
    const std::uint32_t old = groups(table);
    if ((old & bit) == 0) write_word(record(table) + 8, old | bit);
  }
  // Of an entry that is part of one of the guest's of `span` bytes.
  void mark_wide(std::uint32_t table, std::uint32_t index, std::uint32_t span) {
    write_word(record(table) + 8, groups(table) | 0x10000u << index / kGroupEntries);
    if (span >= Format::kSlotBytes) write_word(record(table) + 4, place(table) | kFromBlock);
  }

  [[nodiscard]] bool has_free() const { return free_ != kNone; }
  // Takes a free table, which is clear, for a slot of a directory; there must be one.
  [[nodiscard]] std::uint32_t take(unsigned directory, std::uint32_t slot) {
    const std::uint32_t table = free_;
    free_ = word(record(table)) & 0xffff;
    const std::uint32_t next = first_[directory];
    write_word(record(table), next | kNone << 16);
    if (next != kNone) {
      write_word(record(next), (word(record(next)) & 0xffff) | table << 16);
    }
    first_[directory] = static_cast<std::uint16_t>(table);
    write_word(record(table) + 4, slot << 16 | directory << 8 | kInUse);
    return table;
  }
  // Makes all entries of a table in use invalid.
  void clear_used(std::uint32_t table) {
    for (std::uint32_t rest = used(table); rest != 0; rest &= rest - 1) {
      const auto group = static_cast<std::uint32_t>(std::countr_zero(rest));
      clear(leaf_at(table, group * kGroupEntries), kGroupEntries * kEntryBytes);
    }
    write_word(record(table) + 4, place(table) & ~kFromBlock);
    write_word(record(table) + 8, 0);
  }
  // Clears a table that no walk can reach any more, and makes it free.
  void release(std::uint32_t table) {
    unlist(table);
    clear_used(table);
    write_word(record(table), free_);
    write_word(record(table) + 4, 0);
    free_ = table;
  }
  // The tables of a directory: the first, and the one after another; kNone at the end.
  [[nodiscard]] std::uint32_t first(unsigned directory) const { return first_[directory]; }
  [[nodiscard]] std::uint32_t next(std::uint32_t table) const {
    return word(record(table)) & 0xffff;
  }

 private:
  static_assert(std::has_single_bit(kGroupEntries) && kGroupEntries >= 16);
  static_assert(Format::kSlots <= 0x10000);
  // A record, of a table in use: next and previous table of its directory; slot, directory and
  // these; used and wide groups. Of a free one: the next free one; 0; 0.
  static constexpr std::uint32_t kInUse = 1, kFromBlock = 2;

  [[nodiscard]] std::uint32_t word(std::uint32_t at) const { return env_.read(HostPhysical{at}); }
  void write_word(std::uint32_t at, std::uint32_t value) { env_.write(HostPhysical{at}, value); }
  [[nodiscard]] std::uint32_t record(std::uint32_t table) const {
    return records_ + table * kRecordBytes;
  }
  [[nodiscard]] std::uint32_t place(std::uint32_t table) const { return word(record(table) + 4); }
  [[nodiscard]] std::uint32_t groups(std::uint32_t table) const { return word(record(table) + 8); }
  void unlist(std::uint32_t table) {
    const std::uint32_t links = word(record(table));
    const std::uint32_t next = links & 0xffff;
    const std::uint32_t previous = links >> 16;
    if (previous == kNone) {
      first_[owner(table)] = static_cast<std::uint16_t>(next);
    } else {
      write_word(record(previous), (word(record(previous)) & 0xffff0000) | next);
    }
    if (next == kNone) return;
    write_word(record(next), (word(record(next)) & 0xffff) | previous << 16);
  }

  static constexpr auto no_tables() {
    std::array<std::uint16_t, kMaxDirectories> first;
    first.fill(kNone);
    return first;
  }

  Env& env_;
  std::uint32_t directories_;
  std::uint32_t tables_ = 0, records_ = 0, reverse_map_ = 0;
  std::uint32_t table_count_ = 0;
  std::uint32_t free_ = kNone;
  std::array<std::uint16_t, kMaxDirectories> first_ = no_tables();  // table of each directory
};

}  // namespace mezzo::mem
