// Shadow page tables: the machine walks tables that are filled from the guest's as it touches
// pages.
//
// What they hold behaves like a TLB of unlimited patience: nothing the guest writes into its own
// tables is watched; its TLB maintenance, which every correct guest does, drops entries, and the
// next access misses and fills again. Contexts are the guest's (its ASIDs): each has a directory of
// its own; entries that the guest calls global are shared by all contexts through the masters.
//
// Invariant: what an entry allows is allowed by the guest's tables, as they were at some time since
// its last maintenance of that address, and by the partition. No entry leads anywhere else.
//
// How a client uses it:
//   Shadow<Format, Env> shadow(env, pool, bytes, shape, monitor_entries);   if is_usable()
//   shadow.set_translation(controls);            at every write of a register that Controls has
//   shadow.invalidate_...                        at the guest's TLB maintenance
//   on a fault: shadow.miss(address, access, privilege), see Outcome
//   before the guest runs: load current(privilege) and access_control(privilege, with_user)
// Everything runs on the partition's CPU with interrupts off, where env can reach the pool.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "mem/shadow_refusal.hpp"
#include "mem/shadow_reverse.hpp"
#include "mem/shadow_tables.hpp"
#include "mem/shadow_tags.hpp"
#include "mem/shadow_types.hpp"

namespace mezzo::mem {

struct ShadowShape {
  std::uint32_t contexts = 48;  // at most, as far as the pool reaches
  std::uint32_t pages = 0;      // env.frame() numbers these
  Separation separation = Separation::OneRoot;
  bool ahead = true;  // entries that are likely to be needed next are filled, too
};

template <ShadowFormat Format, ShadowEnvironment Env>
class Shadow {
 public:
  using Entry = typename Format::Entry;
  using Mapping = typename Format::Mapping;
  using Fault = typename Format::Fault;
  using Controls = typename Format::Controls;

  struct MissResult {
    Outcome outcome = Outcome::Filled;
    // Filled, for the guest's kernel, by an entry with its user mode's rights: the kernel reaches
    // it only under access_control(Kernel, true).
    bool through_user_view = false;
    Fault fault{};
    GuestPhysical physical{};  // of the address; of all outcomes but GuestFault and MonitorWindow
    HostPhysical machine{};    // of its page; of NeedsExecute and WriteProtected
  };
  using WalkOutcome = std::expected<Mapping, Fault>;

  // `pool`: aligned to Format::kDirectoryAlignment, below 4 GiB, used by nothing else. `monitor`:
  // directory entries that every directory has from `monitor_base` on; the guest maps nothing
  // there. Invalidates the TLB.
  Shadow(Env& env, HostPhysical pool, std::uint32_t pool_bytes, const ShadowShape& shape,
         GuestVirtual monitor_base, std::span<const Entry> monitor)
      : env_(env),
        two_roots_(shape.separation == Separation::TwoRoots),
        ahead_(shape.ahead),
        tables_(env, pool, pool_bytes, shape.contexts, two_roots_ ? 2 : 1,
                ReverseMap::bytes(shape.pages), slot_of(monitor_base), monitor),
        reverse_(env, tables_, shape.pages) {
    if (is_usable()) tables_.select(format_.context());
  }
  Shadow(const Shadow&) = delete;
  Shadow& operator=(const Shadow&) = delete;

  // What so many contexts and tables take.
  [[nodiscard]] static constexpr std::uint32_t pool_bytes(const ShadowShape& shape,
                                                          std::uint32_t tables) {
    return Tables::pool_bytes(shape.contexts, shape.separation == Separation::TwoRoots ? 2 : 1,
                              tables, ReverseMap::bytes(shape.pages));
  }
  // False if the pool is too small or not aligned: nothing else may be called then.
  [[nodiscard]] bool is_usable() const { return tables_.is_usable(); }

  // Directory entries from `base` on that the guest's kernel may use as they are and can map
  // nothing in the place of; their tag is Format::kLentTag. Once, before the guest runs.
  void lend(GuestVirtual base, std::span<const Entry> entries) {
    tables_.lend(slot_of(base), entries);
  }

  // The guest's control registers, after any write to one. Cheap if only a root, the context or
  // what keys allow has changed. A format without contexts drops what is not global when the root
  // changes; if the guest writes the same root again, call invalidate_context.
  void set_translation(const Controls& controls) {
    const Change change = format_.set(controls);
    if (change == Change::All) invalidate_all();
    if (change == Change::Context) tables_.drop_group(tables_.current_group());
    if (format_.context() != context_) {
      context_ = format_.context();
      tables_.select(context_);
    }
  }

  // What the processor must use while the guest runs in `privilege`: these two change with any call
  // that is not const.
  [[nodiscard]] Root current(Privilege privilege = Privilege::Kernel) const {
    return tables_.current_root(privilege);
  }
  // The register that opens and closes tags, following the guest's own. In user mode what holds the
  // kernel's rights is closed. In kernel mode, without `with_user`, what holds the user mode's
  // rights is closed, so that the first access there misses (through_user_view).
  [[nodiscard]] std::uint32_t access_control(Privilege privilege, bool with_user) {
    return tags_.access(format_, privilege, with_user);
  }

  // Where `address` leads and that the access is allowed, by the guest's tables alone.
  [[nodiscard]] WalkOutcome translate(GuestVirtual address, Access access, Privilege privilege) {
    Mapping mapping;
    if (const auto fault = walk(address, access, privilege, mapping)) {
      return std::unexpected(*fault);
    }
    return mapping;
  }

  // An access of the guest that the machine refused, or that is about to be made in its name.
  [[nodiscard]] MissResult miss(GuestVirtual address, Access access, Privilege privilege) {
    if (tables_.is_monitors(slot_of(address))) return {.outcome = Outcome::MonitorWindow};
    Mapping mapping;
    if (const auto fault = walk(address, access, privilege, mapping)) {
      return {.outcome = Outcome::GuestFault, .fault = *fault};
    }
    if constexpr (Format::kMarksGuest) format_.mark(mapping, access, writer());
    if (const auto page = env_.page(mapping.physical.aligned_down(), address)) {
      return settle(address, access, privilege, mapping, *page);
    }
    return settle_slowly({address, privilege, mapping, {}}, access);
  }

  // The guest has told of a change at `address`, in one of its contexts or in all, and is likely to
  // touch that next: fills its entry if it is one page of memory and needs nothing else. As if the
  // processor had walked there by itself.
  void preload(GuestVirtual address, std::optional<std::uint32_t> context) {
    if constexpr (!Format::kMarksGuest) {
      const std::uint32_t slot = slot_of(address);
      Mapping mapping;
      if (!ahead_ || tables_.is_monitors(slot)) return;
      // Under a domain that is closed now the entry waits for its tag to be opened.
      if (format_.walk(address, reader(), mapping, true) || mapping.span != kPageSize) return;
      if (!mapping.global && context && *context != format_.context()) return;
      const auto backing = env_.page(mapping.physical.aligned_down(), address);
      if (!backing || backing->machine.value() >> Format::kMachineBits != 0) return;
      const Privilege privilege = mapping.user.any() ? Privilege::User : Privilege::Kernel;
      const Entry entry = tables_.current_entry(privilege, slot);
      const std::uint8_t known = tags_.meaning(entry);
      const View view = view_for(mapping, Access::Read, privilege, known);
      if (!suits(entry, known, mapping, view)) return;
      const std::uint32_t table = tables_.table_behind(entry);
      const Place place{tables_.pool().owner(table), slot, table};
      const std::uint32_t index = index_of(address);
      if (mapping.global != tables_.is_master(place.owner)) return;
      if (tables_.leaf(table, index) != 0) return;
      Grant made = grant(privilege, view, place.owner);
      give(made, mapping, *backing);
      tables_.pool().mark_used(table, index);
      if (!prefill(place, index, made, backing->frame)) return;
      ++tables_.counters().prefills;
      tables_.clean_leaves(table, index, 1);
    }
  }

  // The guest's TLB maintenance: of an address in one of its contexts or in all; of what is not
  // global in a context; of everything.
  // Of an address: whether any entry was there.
  bool invalidate_address(GuestVirtual address, std::optional<std::uint32_t> context) {
    const std::uint32_t slot = slot_of(address);
    bool dropped = false;
    for_each_owner(slot, context,
                   [&](unsigned owner) { dropped |= drop_at(owner, slot, address); });
    if (wide_seen_) invalidate_wide(address, context);
    return dropped;
  }
  // At least the addresses of one directory entry from `address` on, a multiple of
  // Format::kSlotBytes.
  void invalidate_slot(GuestVirtual address, std::optional<std::uint32_t> context) {
    const std::uint32_t slot = slot_of(address);
    for_each_owner(slot, context, [&](unsigned owner) { tables_.drop(owner, slot); });
    if (wide_seen_) invalidate_wide(address, context);
  }
  void invalidate_context(std::uint32_t context) {
    const std::uint32_t group = tables_.group_of(context);
    if (group != 0) tables_.empty_group(group);
  }
  void invalidate_all() {
    tables_.drop_all();
    tags_.forget();
    mixed_ = {};
    wide_seen_ = false;
    users_slots_ = Format::kSlots;
  }

  // Afterwards no entry maps this page of the machine.
  void forget_page(HostPhysical page) { reverse_.forget(page.aligned_down()); }

  [[nodiscard]] const ShadowCounters& counters() const { return tables_.counters(); }
  // Slots below this one have had nothing but entries of the user mode's view since the last flush,
  // so that who reaches one reaches what the user mode may. Of formats with tags, and one root.
  [[nodiscard]] std::uint32_t users_slots() const { return users_slots_; }
  // The context whose root has become another's at the last of counters().recycles.
  [[nodiscard]] std::uint32_t recycled() const { return tables_.recycled(); }
  [[nodiscard]] const Format& format() const { return format_; }
  // For looking at all of it: roots in use, the masters' first.
  [[nodiscard]] unsigned root_count() const { return tables_.directory_end(); }
  [[nodiscard]] Root root(unsigned number) const { return tables_.root(number); }

 private:
  using Tables = ShadowTables<Format, Env>;
  using Tags = ShadowTags<Format>;
  using ReverseMap = ShadowReverseMap<Format, Env>;
  using Pool = typename Tables::Pool;

  static constexpr std::uint32_t kPrefill = 16;  // entries that are filled together
  static_assert(Format::kWidestInTable <= Pool::kGroupEntries * kPageSize);

  struct Request {
    GuestVirtual address;
    Privilege privilege;
    Mapping mapping;
    Backing backing;  // of the page
  };
  // A table behind a slot, and whose directory that is.
  struct Place {
    unsigned owner;
    std::uint32_t slot;
    std::uint32_t table;
  };

  static constexpr std::uint32_t slot_of(GuestVirtual address) {
    return address.value() / Format::kSlotBytes;
  }
  static constexpr std::uint32_t index_of(GuestVirtual address) {
    return address.offset_in(Format::kSlotBytes) / kPageSize;
  }

  // --- the guest's memory ---

  [[nodiscard, gnu::always_inline]] std::optional<Fault> walk(GuestVirtual address, Access access,
                                                              Privilege privilege,
                                                              Mapping& mapping) {
    if (const auto fault = format_.walk(address, reader(), mapping)) return fault;
    if (mapping.rights(privilege).allows(access)) return std::nullopt;
    return format_.permission_fault(mapping);
  }
  auto reader() {
    return [this](GuestPhysical at) -> std::optional<Entry> {
      const std::optional<HostPhysical> machine = env_.memory(at);
      if (!machine) return std::nullopt;
      return read_entry(*machine);
    };
  }
  auto writer() {
    return [this](GuestPhysical at, Entry entry) {
      const Backing table = env_.backing(at, sizeof(Entry), GuestVirtual{});
      if (table.kind != Backing::Kind::Memory || !table.writable) return;
      env_.write(table.machine, static_cast<std::uint32_t>(entry));
      if constexpr (sizeof(Entry) == 8) {
        env_.write(table.machine + 4, static_cast<std::uint32_t>(entry >> 32));
      }
    };
  }
  [[nodiscard]] Entry read_entry(HostPhysical machine) {
    if constexpr (sizeof(Entry) == 8) {
      const Entry high = env_.read(machine + 4);
      return env_.read(machine) | high << 32;
    } else {
      return env_.read(machine);
    }
  }

  // --- whose rights ---

  // `known`: what the slot's entries are for.
  [[nodiscard]] View view_for(const Mapping& mapping, Access access, Privilege privilege,
                              std::uint8_t known) const {
    if (!Tags::kAny && !two_roots_) return View::Both;
    if (privilege == Privilege::User) return View::User;
    // The kernel may use what holds its user mode's rights, but not run there: nothing is patched.
    if (two_roots_ || access == Access::Execute || !mapping.user.allows(access)) {
      return View::Kernel;
    }
    const bool users =
        known == Tags::kNothing ? !mapping.global : known == Tags::combine(mapping.key, View::User);
    return users ? View::User : View::Kernel;
  }
  // Whether what is behind an entry is a table for these pages.
  [[nodiscard]] bool suits(Entry entry, std::uint8_t known, const Mapping& mapping,
                           View view) const {
    if (entry == 0 || !Format::is_table(entry)) return false;
    if (Tags::kAny && known != Tags::combine(mapping.key, view)) return false;
    return mapping.global || !tables_.is_master(tables_.pool().owner(tables_.table_behind(entry)));
  }
  // What entries in a directory's slots have in common.
  [[nodiscard]] Grant grant(Privilege asked, View view, unsigned owner) const {
    return {.asked = asked, .view = view, .global = !two_roots_ && tables_.is_master(owner)};
  }
  [[gnu::always_inline]] static void give(Grant& grant, const Mapping& mapping,
                                          const Backing& backing) {
    grant.machine = backing.machine;
    grant.kernel = limited<Format>(mapping.kernel, backing, Privilege::Kernel);
    // What the kernel touches first it may run next.
    grant.user = limited<Format>(mapping.user, backing, grant.asked);
    grant.device = backing.kind == Backing::Kind::Device;
    grant.attributes = mapping.attributes;
  }

  // --- filling ---

  // Decides about an access that the guest's tables allow.
  [[nodiscard, gnu::always_inline]] MissResult settle(GuestVirtual address, Access access,
                                                      Privilege privilege, const Mapping& mapping,
                                                      const Backing& backing) {
    const Outcome refused = refusal<Format>(backing, access, privilege);
    if (refused != Outcome::Filled) {
      return {.outcome = refused, .physical = mapping.physical, .machine = backing.machine};
    }
    const Entry entry = tables_.current_entry(privilege, slot_of(address));
    const std::uint8_t known = tags_.meaning(entry);
    const View view = view_for(mapping, access, privilege, known);
    if (suits(entry, known, mapping, view)) {
      fill_page(address, privilege, mapping, backing, view, entry);
    } else {
      // What is passed on is a copy, so that everything else may stay in registers.
      fill_slot({address, privilege, mapping, backing}, view);
    }
    ++tables_.counters().fills;
    return {.through_user_view = view == View::User && privilege == Privilege::Kernel,
            .physical = mapping.physical};
  }
  [[nodiscard, gnu::noinline]] MissResult settle_slowly(const Request& request, Access access) {
    const Backing backing =
        env_.backing(request.mapping.physical.aligned_down(), kPageSize, request.address);
    return settle(request.address, access, request.privilege, request.mapping, backing);
  }

  // Gives a slot of the directory in use, which is empty or has what does not suit, a block, or a
  // new table with the page.
  [[gnu::noinline]] void fill_slot(const Request& request, View view) {
    const Mapping& mapping = request.mapping;
    const unsigned directory = tables_.current(request.privilege);
    const std::uint32_t slot = slot_of(request.address);
    const Entry old = tables_.entry(directory, slot);
    const std::uint8_t wanted = Tags::combine(mapping.key, view);
    if (Tags::kAny && old != 0 && tags_.meaning(old) != wanted) ++tables_.counters().retags;
    if (!tags_.has(wanted) && tags_.is_exhausted()) invalidate_all();
    if (view != View::User) users_slots_ = std::min(users_slots_, slot);
    const unsigned before = tables_.owner(directory, slot);
    if (mapping.span > Format::kSlotBytes) wide_seen_ = true;
    const bool shared = is_shared(mapping, directory, slot);
    const unsigned owner = shared ? tables_.master_of(directory) : directory;
    if (!tags_.has(wanted)) ++tables_.counters().regrants;
    const std::uint8_t tag = tags_.give(wanted);
    const Backing whole = backing_of_slot(request);
    if (whole.kind == Backing::Kind::None) {
      tables_.drop(before, slot);
      tables_.put_table(owner, slot, tag);
      return fill_page(request.address, request.privilege, mapping, request.backing, view,
                       tables_.entry(owner, slot));
    }
    Grant made = grant(request.privilege, view, owner);
    give(made, mapping, whole);
    made.tag = tag;
    const Entry block = Format::block(made);
    if (block == tables_.entry(directory, slot)) return;
    tables_.drop(before, slot);
    tables_.put_block(owner, slot, block);
    reverse_.note_block(whole.machine, owner, slot);
  }
  // Of the whole slot around the request, if one entry can map it.
  [[nodiscard]] Backing backing_of_slot(const Request& request) {
    if (request.mapping.span < Format::kSlotBytes) return {};
    const std::uint32_t offset = request.address.offset_in(Format::kSlotBytes);
    const Backing whole = env_.backing(request.mapping.physical - offset, Format::kSlotBytes,
                                       request.address - offset);
    const bool fits =
        whole.maps(Format::kSlotBytes) && whole.machine.is_aligned(Format::kSlotBytes);
    return fits ? whole : Backing{};
  }
  // Whether the slot is, or becomes, one of all contexts: only while everything that has been seen
  // there is global, and if the machine's TLB may know it so.
  [[nodiscard]] bool is_shared(const Mapping& mapping, unsigned directory, std::uint32_t slot) {
    const bool shared = tables_.is_master(tables_.owner(directory, slot));
    if (!mapping.global) {
      if (shared) set_mixed(slot);
      return false;
    }
    if (shared || is_mixed(slot)) return shared;
    if (!env_.may_be_global(Tables::page_address(slot, 0))) {
      set_mixed(slot);
      return false;
    }
    const unsigned view = tables_.master_of(directory);
    for (std::uint32_t group = 1; group < tables_.group_end(); ++group) {
      const unsigned other = tables_.directory(group, view);
      if (other == directory || tables_.entry(other, slot) == 0) continue;
      set_mixed(slot);
      return false;
    }
    return true;
  }
  [[nodiscard]] bool is_mixed(std::uint32_t slot) const {
    return (mixed_[slot / 32] >> slot % 32 & 1) != 0;
  }
  void set_mixed(std::uint32_t slot) { mixed_[slot / 32] |= 1u << slot % 32; }

  // Writes the entry of a page into the table behind `entry`, which suits, and those of pages that
  // the same entry of the guest's maps.
  [[gnu::always_inline]] void fill_page(GuestVirtual address, Privilege privilege,
                                        const Mapping& mapping, const Backing& backing, View view,
                                        Entry entry) {
    const std::uint32_t table = tables_.table_behind(entry);
    const Place place{tables_.pool().owner(table), slot_of(address), table};
    const bool shared = tables_.is_master(place.owner);
    if (mapping.global && !shared) set_mixed(place.slot);
    const std::uint32_t index = index_of(address);
    Grant made = grant(privilege, view, place.owner);
    give(made, mapping, backing);
    const Entry wanted = Format::leaf(made);
    const Entry old = tables_.leaf(table, index);
    if (old == wanted) return;
    // An entry that allows too little is replaced alone, so that nothing else the instruction needs
    // goes: a store-exclusive would never come to its end.
    if (old != 0) tables_.drop_leaf(table, index);
    tables_.pool().mark_used(table, index);
    put_leaf(place, index, wanted, backing.frame);
    if (mapping.span > kPageSize) {
      tables_.pool().mark_wide(table, index, mapping.span);
      if (old == 0 && ahead_) {
        return fill_alike({address, privilege, mapping, backing}, view, place);
      }
    }
    tables_.clean_leaves(table, index, 1);
  }
  [[gnu::always_inline]] void put_leaf(const Place& place, std::uint32_t index, Entry entry,
                                       std::uint32_t frame) {
    tables_.put_leaf(place.table, index, entry);
    reverse_.note_leaf(frame, entry, place.owner, place.slot, index);
  }
  // The guest's kernel gets no right to run it: the client is to see where each page is first run.
  // False if nobody gets anything.
  [[gnu::always_inline]] bool prefill(const Place& place, std::uint32_t index, Grant made,
                                      std::uint32_t frame) {
    if (Format::kWithholdsExecute) made.kernel = made.kernel.without(Rights::kExecute);
    const Entry entry = Format::leaf(made);
    if (entry == 0) return false;
    put_leaf(place, index, entry, frame);
    return true;
  }
  // The pages after this one that the same entry of the guest's maps, as far as they are alike.
  [[gnu::noinline]] void fill_alike(const Request& request, View view, const Place place) {
    const std::uint32_t index = index_of(request.address);
    const std::uint32_t pages = kPrefill - index % kPrefill;
    const Backing run =
        env_.backing(request.mapping.physical.aligned_down(), pages * kPageSize, request.address);
    Grant made = grant(request.privilege, view, place.owner);
    give(made, request.mapping, run);
    std::uint32_t n = 1;
    for (; n < pages && run.maps((n + 1) * kPageSize); ++n) {
      if (tables_.leaf(place.table, index + n) != 0) continue;
      made.machine = run.machine + n * kPageSize;
      if (prefill(place, index + n, made, run.frame + n)) ++tables_.counters().prefills;
    }
    tables_.clean_leaves(place.table, index, n);
  }

  // --- dropping ---

  // Calls `visit(directory)` for those that have a slot of their own which a context of the guest
  // sees, or any context. What is global and not shared is each context's own.
  template <class Visit>
  [[gnu::always_inline]] void for_each_owner(std::uint32_t slot,
                                             std::optional<std::uint32_t> context, Visit visit) {
    if (tables_.is_monitors(slot)) return;
    const bool all = !context || is_mixed(slot);
    const std::uint32_t only = all ? 0 : tables_.group_of(*context);
    for (unsigned view = 0; view < tables_.views(); ++view) {
      const unsigned master = tables_.directory(0, view);
      if (tables_.entry(master, slot) != 0) {
        visit(master);
      } else if (all) {
        for (std::uint32_t group = 1; group < tables_.group_end(); ++group) {
          visit(tables_.directory(group, view));
        }
      } else if (only != 0) {
        visit(tables_.directory(only, view));
      }
    }
  }
  // Drops what came from the guest's entry for `address`, within the slot. False if that is
  // nothing.
  bool drop_at(unsigned owner, std::uint32_t slot, GuestVirtual address) {
    const Entry entry = tables_.entry(owner, slot);
    if (entry == 0) return false;
    const bool whole =
        !Format::is_table(entry) || tables_.pool().from_block(tables_.table_behind(entry));
    if (whole) {
      tables_.drop(owner, slot);
      return true;
    }
    const std::uint32_t table = tables_.table_behind(entry);
    const std::uint32_t index = index_of(address);
    const std::uint32_t group = index / Pool::kGroupEntries;
    if ((tables_.pool().wide(table) >> group & 1) == 0) return tables_.drop_leaf(table, index);
    for (std::uint32_t n = 0; n < Pool::kGroupEntries; ++n) {
      tables_.drop_leaf(table, group * Pool::kGroupEntries + n);
    }
    return true;
  }
  // The guest has had entries of several slots: drops whatever may come from one around `address`.
  void invalidate_wide(GuestVirtual address, std::optional<std::uint32_t> context) {
    const std::uint32_t first = slot_of(address.aligned_down(Format::kWidestSpan));
    for (std::uint32_t n = 0; n < Format::kWidestSpan / Format::kSlotBytes; ++n) {
      for_each_owner(first + n, context, [&](unsigned owner) {
        const Entry entry = tables_.entry(owner, first + n);
        if (entry == 0) return;
        const bool small =
            Format::is_table(entry) && !tables_.pool().from_block(tables_.table_behind(entry));
        if (!small) tables_.drop(owner, first + n);
      });
    }
  }

  Env& env_;
  bool two_roots_;
  bool ahead_;
  bool wide_seen_ = false;
  std::uint32_t users_slots_ = Format::kSlots;
  std::uint32_t context_ = 0;
  Format format_{};
  Tags tags_;
  Tables tables_;
  ReverseMap reverse_;
  // Slots where global and other pages have met, or global ones where nothing may be global to the
  // TLB: they are each context's own.
  std::array<std::uint32_t, Format::kSlots / 32> mixed_{};
};

}  // namespace mezzo::mem
