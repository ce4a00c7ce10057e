// The machine's directories and tables of one partition, and the order in which they are written,
// cleaned and invalidated. Knows no guest tables and decides nothing about rights; see shadow.hpp.
//
// A group is what one context of the guest has: a directory, or two of them, one a privilege. Group
// 0 are the masters: their entries are in the directories of all groups, and the monitor's entries
// are among them. A directory's number is group * views + view.
//
// Order of maintenance (Arm DDI 0406C, B3.10.1; it suits every processor): a valid entry is first
// made invalid, cleaned, past a barrier, invalidated in the TLB and past another; only then is it
// written anew, or the table behind it cleared and used for something else. A table is clear, and
// that is cleaned and past a barrier, before it is linked.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "mem/shadow_pool.hpp"
#include "mem/shadow_types.hpp"

namespace mezzo::mem {

struct ShadowCounters {
  std::uint32_t fills = 0;      // by a miss
  std::uint32_t prefills = 0;   // ahead of one
  std::uint32_t evictions = 0;  // contexts or tables emptied for want of a table
  std::uint32_t flushes = 0;    // of everything
  std::uint32_t regrants = 0;   // flushes, and tags that were given: access_control() may differ
  std::uint32_t retags = 0;     // slots emptied for another key or view
  std::uint32_t recycles = 0;   // groups given to another context
};

template <ShadowFormat Format, ShadowEnvironment Env>
class ShadowTables {
 public:
  using Entry = typename Format::Entry;
  using Pool = ShadowPool<Format, Env>;

  static constexpr std::uint32_t kMaxGroups = 64;
  // One instruction may need as many at once: of itself and its operands, each across a boundary.
  static constexpr std::uint32_t kLeastTables = 8;

  // Bytes of a pool for so many contexts and tables.
  [[nodiscard]] static constexpr std::uint32_t pool_bytes(std::uint32_t contexts, unsigned views,
                                                          std::uint32_t tables,
                                                          std::uint32_t reverse_bytes) {
    return (std::min(contexts, Format::kContexts) + 1) * views * Format::kDirectoryBytes +
           tables * (Pool::kTableBytes + Pool::kRecordBytes) + reverse_bytes;
  }

  // Uses `bytes` at `pool` for `contexts` groups (fewer, if not even kLeastTables would be left)
  // and as many tables as fit, and leaves `reverse_bytes`. `monitor`: entries from `first_slot` on
  // that every directory has.
  ShadowTables(Env& env, HostPhysical pool, std::uint32_t bytes, std::uint32_t contexts,
               unsigned views, std::uint32_t reverse_bytes, std::uint32_t first_slot,
               std::span<const Entry> monitor)
      : env_(env),
        pool_(env, pool),
        views_(views),
        monitor_first_(first_slot),
        monitor_count_(static_cast<std::uint32_t>(monitor.size())) {
    if (!pool.is_aligned(Format::kDirectoryAlignment)) return;
    if (bytes < pool_bytes(1, views, kLeastTables, reverse_bytes)) return;
    const std::uint32_t group_bytes = views * Format::kDirectoryBytes;
    const std::uint32_t more =
        (bytes - pool_bytes(1, views, kLeastTables, reverse_bytes)) / group_bytes;
    groups_ = 1 + std::min({std::max(contexts, 1u), 1 + more, kMaxGroups - 1, Format::kContexts});
    const std::uint32_t tables =
        (bytes - reverse_bytes - groups_ * group_bytes) / (Pool::kTableBytes + Pool::kRecordBytes);
    pool_.lay_out(groups_ * views, std::min(tables, Pool::kMaxTables));
    create_masters(monitor);
  }

  [[nodiscard]] bool is_usable() const { return groups_ != 0; }
  [[nodiscard]] Pool& pool() { return pool_; }
  [[nodiscard]] const Pool& pool() const { return pool_; }
  [[nodiscard]] unsigned views() const { return views_; }
  [[nodiscard]] ShadowCounters& counters() { return counters_; }
  [[nodiscard]] const ShadowCounters& counters() const { return counters_; }
  [[nodiscard]] bool is_monitors(std::uint32_t slot) const {
    return slot - monitor_first_ < monitor_count_ || slot - lent_first_ < lent_count_;
  }

  // More entries for every directory, which the guest's kernel may use: before the guest runs.
  void lend(std::uint32_t first_slot, std::span<const Entry> entries) {
    lent_first_ = first_slot;
    lent_count_ = static_cast<std::uint32_t>(entries.size());
    for (unsigned directory = 0; directory < used_groups_ * views_; ++directory) {
      for (std::uint32_t n = 0; n < lent_count_; ++n) {
        pool_.store(pool_.entry_at(directory, first_slot + n), entries[n]);
      }
      pool_.clean(pool_.entry_at(directory, first_slot),
                  static_cast<std::uint32_t>(entries.size_bytes()));
    }
    env_.barrier();
  }

  // --- contexts ---

  // Makes the group of a context of the guest the current one. A context without a group gets a
  // fresh one, or the one that was least recently current.
  void select(std::uint32_t context) {
    std::uint32_t group = group_of_[context];
    if (group == 0) group = assign(context);
    group_[group].used = ++clock_;
    current_ = group;
    for (const Privilege privilege : {Privilege::Kernel, Privilege::User}) {
      current_at_[index_of(privilege)] = pool_.directory_at(current(privilege));
      current_root_[index_of(privilege)] = root(current(privilege));
    }
  }
  // The directory of the current group that is in use in a mode of the guest's, and an entry of it.
  [[nodiscard]] unsigned current(Privilege privilege) const {
    return directory(current_, views_ == 2 ? index_of(privilege) : 0);
  }
  [[nodiscard]] const Root& current_root(Privilege privilege) const {
    return current_root_[index_of(privilege)];
  }
  [[nodiscard]] Entry current_entry(Privilege privilege, std::uint32_t slot) const {
    return pool_.load(current_at_[index_of(privilege)] + slot * Pool::kEntryBytes);
  }
  [[nodiscard]] std::uint32_t current_group() const { return current_; }
  // 0: the context has none.
  [[nodiscard]] std::uint32_t group_of(std::uint32_t context) const { return group_of_[context]; }
  // The context that has lost its group last: see ShadowCounters::recycles.
  [[nodiscard]] std::uint32_t recycled() const { return recycled_; }
  // One past the last group in use.
  [[nodiscard]] std::uint32_t group_end() const { return used_groups_; }
  [[nodiscard]] unsigned directory_end() const { return used_groups_ * views_; }
  [[nodiscard]] unsigned directory(std::uint32_t group, unsigned view) const {
    return group * views_ + view;
  }
  [[nodiscard]] unsigned master_of(unsigned directory) const { return directory & (views_ - 1); }
  [[nodiscard]] bool is_master(unsigned directory) const { return directory < views_; }
  // With two roots a context, the TLB must not use the kernel's global entries in user mode: none
  // is global to it.
  [[nodiscard]] std::uint32_t machine_context(unsigned directory) const {
    if (is_master(directory)) return views_ == 1 ? kGlobalEntries : kEveryContext;
    return Format::kFirstContext + directory - views_;
  }
  [[nodiscard]] Root root(unsigned directory) const {
    return {Format::root(HostPhysical{pool_.directory_at(directory)}), machine_context(directory)};
  }

  // --- slots ---

  [[nodiscard]] Entry entry(unsigned directory, std::uint32_t slot) const {
    return pool_.load(pool_.entry_at(directory, slot));
  }
  [[nodiscard]] std::uint32_t table_behind(Entry entry) const {
    return pool_.number_of(Format::table_of(entry));
  }
  // The directory that a slot belongs to: itself, or the master.
  [[nodiscard]] unsigned owner(unsigned directory, std::uint32_t slot) const {
    const unsigned master = master_of(directory);
    return entry(master, slot) != 0 ? master : directory;
  }
  [[nodiscard]] bool has_blocks(unsigned directory) const { return blocks_[directory] != 0; }

  // Puts a table, which is empty, into an empty slot; others may be taken away for it. put_leaf and
  // clean_leaves, which has the barrier, must follow.
  std::uint32_t put_table(unsigned directory, std::uint32_t slot, std::uint32_t tag) {
    if (!pool_.has_free()) evict();
    const std::uint32_t table = pool_.take(directory, slot);
    publish(directory, slot, Format::table(pool_.table_at(table), static_cast<std::uint8_t>(tag)));
    return table;
  }
  // Puts a block into an empty slot.
  void put_block(unsigned directory, std::uint32_t slot, Entry block) {
    ++blocks_[directory];
    publish(directory, slot, block);
    env_.barrier();
  }
  // Empties a slot of a directory's own.
  void drop(unsigned directory, std::uint32_t slot) {
    const Entry old = entry(directory, slot);
    if (old == 0) return;
    publish(directory, slot, 0);
    env_.barrier();
    if (Format::is_table(old)) {
      const std::uint32_t table = table_behind(old);
      invalidate_table(table, directory, slot);
      env_.barrier();
      pool_.release(table);
    } else {
      env_.invalidate_page(page_address(slot, 0), machine_context(directory));
      --blocks_[directory];
    }
    env_.barrier();
  }

  // --- entries of tables ---

  [[nodiscard]] static constexpr GuestVirtual page_address(std::uint32_t slot,
                                                           std::uint32_t index) {
    return GuestVirtual{slot * Format::kSlotBytes + index * kPageSize};
  }
  [[nodiscard]] Entry leaf(std::uint32_t table, std::uint32_t index) const {
    return pool_.load(pool_.leaf_at(table, index));
  }
  // Writes an entry that is invalid; clean_leaves must follow.
  void put_leaf(std::uint32_t table, std::uint32_t index, Entry entry) {
    pool_.store(pool_.leaf_at(table, index), entry);
  }
  void clean_leaves(std::uint32_t table, std::uint32_t first, std::uint32_t count) {
    pool_.clean(pool_.leaf_at(table, first), count * Pool::kEntryBytes);
    env_.barrier();
  }
  // Makes an entry invalid, for the TLB as well. False if it is.
  bool drop_leaf(std::uint32_t table, std::uint32_t index) {
    if (leaf(table, index) == 0) return false;
    put_leaf(table, index, 0);
    clean_leaves(table, index, 1);
    env_.invalidate_page(page_address(pool_.slot_of(table), index),
                         machine_context(pool_.owner(table)));
    env_.barrier();
    return true;
  }

  // --- much at once ---

  // Empties what a group has of its own. Tables that have been used stay where they are, empty: the
  // context, or the next one that has the group, is likely to use them again.
  void empty_group(std::uint32_t group) {
    emptied_[group / 32] |= 1u << group % 32;
    if (has_blocks_in(group)) return drop_group(group);
    bool any = false;
    for_each_table(group, [&](std::uint32_t table) {
      any = true;
      if (pool_.used(table) != 0) return pool_.clear_used(table);
      publish(pool_.owner(table), pool_.slot_of(table), 0);
    });
    if (!any) return;
    invalidate_group(group);
    for_each_table(group, [&](std::uint32_t table) {
      if (entry(pool_.owner(table), pool_.slot_of(table)) == 0) pool_.release(table);
    });
  }
  // The same, and the tables are free.
  void drop_group(std::uint32_t group) {
    bool any = false;
    for (unsigned view = 0; view < views_; ++view) any = unpublish(directory(group, view)) || any;
    if (!any) return;
    invalidate_group(group);
    for (unsigned view = 0; view < views_; ++view) release_all(directory(group, view));
    env_.barrier();
  }
  // Empties everything but the monitor's entries.
  void drop_all() {
    ++counters_.flushes;
    ++counters_.regrants;
    for (unsigned d = 0; d < directory_end(); ++d) unpublish(d);
    env_.barrier();
    env_.invalidate_all();
    env_.barrier();
    for (unsigned d = 0; d < directory_end(); ++d) release_all(d);
    env_.barrier();
  }

 private:
  struct Group {
    std::uint32_t used = 0;  // when it was last made current
    std::uint32_t context = 0;
  };

  static constexpr unsigned index_of(Privilege privilege) {
    return static_cast<unsigned>(privilege);
  }
  void create_masters(std::span<const Entry> monitor) {
    for (unsigned view = 0; view < views_; ++view) {
      const std::uint32_t at = pool_.directory_at(view);
      env_.clear(HostPhysical{at}, Format::kDirectoryBytes);
      prepare(at);
      for (std::uint32_t n = 0; n < monitor_count_; ++n) {
        pool_.store(pool_.entry_at(view, monitor_first_ + n), monitor[n]);
      }
      pool_.clean(at, Format::kDirectoryBytes);
    }
    // The TLB may know the machine's contexts from before.
    env_.barrier();
    env_.invalidate_all();
    env_.barrier();
  }
  void prepare(std::uint32_t directory_at) {
    Format::prepare_directory(HostPhysical{directory_at}, [&](HostPhysical place, Entry entry) {
      pool_.store(static_cast<std::uint32_t>(place.value()), entry);
    });
  }
  void create_group(std::uint32_t group) {
    for (unsigned view = 0; view < views_; ++view) {
      const std::uint32_t at = pool_.directory_at(directory(group, view));
      env_.copy(HostPhysical{at}, HostPhysical{pool_.directory_at(view)}, Format::kDirectoryBytes);
      prepare(at);
      pool_.clean(at, Format::kDirectoryBytes);
    }
    env_.barrier();
  }
  std::uint32_t assign(std::uint32_t context) {
    std::uint32_t group = emptied();
    if (group == 0 && used_groups_ < groups_) {
      group = used_groups_++;
      create_group(group);
    } else {
      if (group == 0) {
        group = oldest([](std::uint32_t) { return true; });
        drop_group(group);
      }
      recycled_ = group_[group].context;
      group_of_[recycled_] = 0;
      ++counters_.recycles;
    }
    group_[group].context = context;
    group_of_[context] = static_cast<std::uint8_t>(group);
    return group;
  }
  // A group that the guest has emptied, as it does when a process ends, and that is empty still; 0
  // if there is none.
  [[nodiscard]] std::uint32_t emptied() {
    for (std::uint32_t word = 0; word < emptied_.size(); ++word) {
      for (; emptied_[word] != 0; emptied_[word] &= emptied_[word] - 1) {
        const auto bit = static_cast<std::uint32_t>(std::countr_zero(emptied_[word]));
        const std::uint32_t group = word * 32 + bit;
        if (group != current_ && is_empty(group)) return group;
      }
    }
    return 0;
  }
  // The least recently current group that will do; 0 if none will.
  template <class WillDo>
  [[nodiscard]] std::uint32_t oldest(WillDo will_do) const {
    std::uint32_t found = 0;
    for (std::uint32_t group = 1; group < used_groups_; ++group) {
      if (!will_do(group)) continue;
      if (found == 0 || clock_ - group_[group].used > clock_ - group_[found].used) found = group;
    }
    return found;
  }
  [[nodiscard]] bool has_tables(std::uint32_t group) const {
    for (unsigned view = 0; view < views_; ++view) {
      if (pool_.first(directory(group, view)) != Pool::kNone) return true;
    }
    return false;
  }
  [[nodiscard]] bool has_blocks_in(std::uint32_t group) const {
    for (unsigned view = 0; view < views_; ++view) {
      if (has_blocks(directory(group, view))) return true;
    }
    return false;
  }
  [[nodiscard]] bool is_empty(std::uint32_t group) const {
    bool used = has_blocks_in(group);
    for_each_table(group, [&](std::uint32_t table) { used = used || pool_.used(table) != 0; });
    return !used;
  }
  // Calls `visit(table)`, which may release it.
  template <class Visit>
  void for_each_table(std::uint32_t group, Visit visit) const {
    for (unsigned view = 0; view < views_; ++view) {
      for (std::uint32_t table = pool_.first(directory(group, view)); table != Pool::kNone;) {
        const std::uint32_t next = pool_.next(table);
        visit(table);
        table = next;
      }
    }
  }
  // Frees tables: those of a context that are empty, or of the context that was current longest
  // ago, or, if only the current one and the masters have any, the next one in turn.
  void evict() {
    ++counters_.evictions;
    const auto may_go = [&](std::uint32_t g) { return g != current_ && has_tables(g); };
    std::uint32_t group = oldest([&](std::uint32_t g) { return may_go(g) && is_empty(g); });
    if (group == 0) group = oldest(may_go);
    if (group != 0) return drop_group(group);
    const std::uint32_t table = hand_;
    hand_ = hand_ + 1 == pool_.table_count() ? 0 : hand_ + 1;
    drop(pool_.owner(table), pool_.slot_of(table));
  }

  // Writes a slot of a directory; of all directories, if it is a master's.
  void publish(unsigned directory, std::uint32_t slot, Entry entry) {
    const unsigned end = is_master(directory) ? directory_end() : directory + 1;
    for (unsigned d = directory; d < end; d += views_) {
      pool_.store(pool_.entry_at(d, slot), entry);
      pool_.clean(pool_.entry_at(d, slot), Pool::kEntryBytes);
    }
  }
  // Empties a directory's own slots; its tables stay in its list until release_all. False if it had
  // none.
  bool unpublish(unsigned directory) {
    const std::uint32_t first = pool_.first(directory);
    for (std::uint32_t table = first; table != Pool::kNone; table = pool_.next(table)) {
      publish(directory, pool_.slot_of(table), 0);
    }
    std::uint32_t blocks = blocks_[directory];
    const bool any = first != Pool::kNone || blocks != 0;
    for (std::uint32_t slot = 0; blocks != 0 && slot < Format::kSlots; ++slot) {
      const Entry old = entry(directory, slot);
      if (old == 0 || Format::is_table(old) || is_monitors(slot)) continue;
      if (owner(directory, slot) != directory) continue;
      publish(directory, slot, 0);
      --blocks;
    }
    return any;
  }
  void release_all(unsigned directory) {
    while (pool_.first(directory) != Pool::kNone) pool_.release(pool_.first(directory));
    blocks_[directory] = 0;
  }
  // What a group had is void from here on.
  void invalidate_group(std::uint32_t group) {
    env_.barrier();
    for (unsigned view = 0; view < views_; ++view) {
      env_.invalidate_context(machine_context(directory(group, view)));
    }
    env_.barrier();
  }
  // Invalidates what the TLB may hold from a table: page by page if there are few.
  void invalidate_table(std::uint32_t table, unsigned directory, std::uint32_t slot) {
    constexpr int kFew = 2;
    const std::uint32_t used = pool_.used(table);
    // The table itself may be known.
    if (used == 0) return env_.invalidate_page(page_address(slot, 0), machine_context(directory));
    if (std::popcount(used) > kFew) {
      if (is_master(directory)) return env_.invalidate_all();
      return env_.invalidate_context(machine_context(directory));
    }
    for (std::uint32_t rest = used; rest != 0; rest &= rest - 1) {
      const auto group = static_cast<std::uint32_t>(std::countr_zero(rest));
      const std::uint32_t first = group * Pool::kGroupEntries;
      for (std::uint32_t index = first; index < first + Pool::kGroupEntries; ++index) {
        if (leaf(table, index) == 0) continue;
        env_.invalidate_page(page_address(slot, index), machine_context(directory));
      }
    }
  }

  Env& env_;
  Pool pool_;
  unsigned views_;
  std::uint32_t monitor_first_, monitor_count_;
  std::uint32_t lent_first_ = 0, lent_count_ = 0;
  std::uint32_t groups_ = 0;       // there is memory for, the masters included
  std::uint32_t used_groups_ = 1;  // have directories, which follow the masters
  std::uint32_t current_ = 0;
  std::uint32_t recycled_ = 0;
  // Directories of the current group, by privilege, and what the processor is given for them.
  std::array<std::uint32_t, 2> current_at_{};
  std::array<Root, 2> current_root_{};
  std::uint32_t clock_ = 0;
  std::uint32_t hand_ = 0;  // the next table to be evicted
  ShadowCounters counters_{};
  std::array<Group, kMaxGroups> group_{};
  std::array<std::uint32_t, kMaxGroups / 32> emptied_{};       // a bit each: perhaps in use again
  std::array<std::uint16_t, Pool::kMaxDirectories> blocks_{};  // of a directory's own
  std::array<std::uint8_t, Format::kContexts> group_of_{};
};

}  // namespace mezzo::mem
