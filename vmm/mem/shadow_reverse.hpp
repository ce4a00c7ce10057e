// Which shadow entries map a page of the machine: one word a page of the partition and one a block,
// so that in the common case (no entry, or one) it is found at once. A word may name an entry that
// is gone; it never misses one that is there.
#pragma once

#include <cstdint>

#include "mem/shadow_tables.hpp"

namespace mezzo::mem {

template <ShadowFormat Format, ShadowEnvironment Env>
class ShadowReverseMap {
 public:
  using Entry = typename Format::Entry;
  using Tables = ShadowTables<Format, Env>;

  // For so many pages of the partition, as env.frame() numbers them.
  [[nodiscard]] static constexpr std::uint32_t bytes(std::uint32_t pages) {
    return 4 * (2 * pages + pages / Format::kTableEntries + 1);
  }
  ShadowReverseMap(Env& env, Tables& tables, std::uint32_t pages)
      : env_(env), tables_(tables), pages_(pages), at_(tables.pool().reverse_map()) {
    if (tables.is_usable()) env_.clear(HostPhysical{at_}, bytes(pages));
  }

  // The entry `leaf` has just been written; it maps the page of this number.
  [[gnu::always_inline]] void note_leaf(std::uint32_t frame, Entry leaf, unsigned directory,
                                        std::uint32_t slot, std::uint32_t index) {
    if (frame >= pages_) return;
    const std::uint32_t word = at_ + 8 * frame;
    const std::uint32_t place = encode(Tables::page_address(slot, index), directory);
    const std::uint32_t first = env_.read(HostPhysical{word});
    if (first == kNone) return env_.write(HostPhysical{word}, place);
    if (first != place && first != kMany) note_another(word, place, Format::page_of(leaf));
  }
  void note_block(HostPhysical block, unsigned directory, std::uint32_t slot) {
    const std::uint32_t word = word_of_block(block);
    if (word == 0) return;
    note(word, encode(Tables::page_address(slot, 0), directory),
         [&](std::uint32_t known) { return is_block(known, block); });
  }
  // Drops all entries that map `page`.
  void forget(HostPhysical page) {
    // What is no memory of the partition's has no word, and might be anywhere.
    const HostPhysical block = page.aligned_down(Format::kSlotBytes);
    const std::uint32_t word = word_of_page(page);
    if (word == 0) {
      scan_blocks(block);
      return scan_tables(page);
    }
    forget(
        word_of_block(block),
        [&](std::uint32_t known) {
          if (is_block(known, block)) drop_slot(directory_of(known), slot_of(known));
        },
        [&] { scan_blocks(block); });
    const auto drop = [&](std::uint32_t known) {
      if (const auto leaf = find_leaf(known, page)) tables_.drop_leaf(leaf->table, leaf->index);
    };
    bool many = false;
    forget(word, drop, [&] { many = true; });
    forget(word + 4, drop, [&] { many = true; });
    if (many) scan_tables(page);
  }

 private:
  // Two words a page, as many pages have a second address for a while (a kernel that changes its
  // text through a fixed mapping); one a block. A word: nothing is known; one entry: its address
  // and directory; or there may be several.
  static constexpr std::uint32_t kNone = 0, kOne = 1, kMany = 2;
  struct Leaf {
    std::uint32_t table, index;
  };

  static constexpr std::uint32_t encode(GuestVirtual address, unsigned directory) {
    return address.value() | directory << 2 | kOne;
  }
  static constexpr std::uint32_t slot_of(std::uint32_t known) { return known / Format::kSlotBytes; }
  static constexpr std::uint32_t index_of(std::uint32_t known) {
    return known % Format::kSlotBytes / kPageSize;
  }
  static constexpr unsigned directory_of(std::uint32_t known) { return known >> 2 & 0x3ff; }

  // Where the words are; 0 for what is not the partition's memory.
  [[nodiscard]] std::uint32_t word_of_page(HostPhysical page) const {
    const std::uint32_t frame = env_.frame(page);
    return frame < pages_ ? at_ + 8 * frame : 0;
  }
  // Blocks whose first pages are both the partition's do not share a word.
  [[nodiscard]] std::uint32_t word_of_block(HostPhysical block) const {
    const std::uint32_t frame = env_.frame(block);
    return frame < pages_ ? at_ + 4 * (2 * pages_ + frame / Format::kTableEntries) : 0;
  }

  // The first word of the page's two has another entry.
  [[gnu::noinline]] void note_another(std::uint32_t word, std::uint32_t place, HostPhysical page) {
    const auto is_there = [&](std::uint32_t known) { return find_leaf(known, page).has_value(); };
    if (!is_there(env_.read(HostPhysical{word}))) return env_.write(HostPhysical{word}, place);
    note(word + 4, place, is_there);
    if (env_.read(HostPhysical{word + 4}) == kMany) env_.write(HostPhysical{word}, kMany);
  }
  template <class StillThere>
  void note(std::uint32_t at, std::uint32_t place, StillThere still_there) {
    const std::uint32_t known = env_.read(HostPhysical{at});
    if (known == place || known == kMany) return;
    const bool another = known != kNone && still_there(known);
    env_.write(HostPhysical{at}, another ? kMany : place);
  }
  template <class One, class All>
  void forget(std::uint32_t at, One one, All all) {
    const std::uint32_t known = at == 0 ? kNone : env_.read(HostPhysical{at});
    if (known == kNone) return;
    if (known == kMany) {
      all();
    } else {
      one(known);
    }
    env_.write(HostPhysical{at}, kNone);
  }

  [[nodiscard]] std::optional<Leaf> find_leaf(std::uint32_t known, HostPhysical page) const {
    const Entry entry = tables_.entry(directory_of(known), slot_of(known));
    if (entry == 0 || !Format::is_table(entry)) return std::nullopt;
    const Leaf leaf{tables_.table_behind(entry), index_of(known)};
    const Entry found = tables_.leaf(leaf.table, leaf.index);
    if (found == 0 || Format::page_of(found) != page) return std::nullopt;
    return leaf;
  }
  [[nodiscard]] bool is_block(std::uint32_t known, HostPhysical block) const {
    const Entry entry = tables_.entry(directory_of(known), slot_of(known));
    return entry != 0 && !Format::is_table(entry) && Format::block_of(entry) == block;
  }
  void drop_slot(unsigned directory, std::uint32_t slot) {
    tables_.drop(tables_.owner(directory, slot), slot);
  }
  void scan_tables(HostPhysical page) {
    const auto& pool = tables_.pool();
    for (std::uint32_t table = 0; table < pool.table_count(); ++table) {
      if (!pool.is_in_use(table)) continue;
      for (std::uint32_t rest = pool.used(table); rest != 0; rest &= rest - 1) {
        const auto group = static_cast<std::uint32_t>(std::countr_zero(rest));
        const std::uint32_t first = group * Tables::Pool::kGroupEntries;
        for (std::uint32_t n = first; n < first + Tables::Pool::kGroupEntries; ++n) {
          const Entry leaf = tables_.leaf(table, n);
          if (leaf != 0 && Format::page_of(leaf) == page) tables_.drop_leaf(table, n);
        }
      }
    }
  }
  void scan_blocks(HostPhysical block) {
    for (unsigned directory = 0; directory < tables_.directory_end(); ++directory) {
      if (!tables_.has_blocks(directory)) continue;
      for (std::uint32_t slot = 0; slot < Format::kSlots; ++slot) {
        if (tables_.is_monitors(slot)) continue;
        const std::uint32_t place = encode(Tables::page_address(slot, 0), directory);
        if (is_block(place, block)) drop_slot(directory, slot);
      }
    }
  }

  Env& env_;
  Tables& tables_;
  std::uint32_t pages_;
  std::uint32_t at_;
};

}  // namespace mezzo::mem
