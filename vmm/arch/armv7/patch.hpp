// Replaces the sensitive instructions in a guest's kernel code, in place, a page at a time.
//
// A page of guest memory is unpatched (the guest may write it, its kernel may not run it) or
// patched (its kernel may run it, nobody may write it). Patching replaces each sensitive word by a
// trap from the dictionary; unpatching restores every word. What turns out to be executed becomes a
// branch to a stub, if a policy has one: most words of a page never are. A guest's store to a
// patched page is done here: what it stores is patched in turn. Data reads of a patched page see
// the replaced words. Nothing here knows of mappings: the caller keeps the shadow page tables in
// step, and drops what maps a page after its state has changed.
//
//   word -- sensitive? -- no --------------------> stays
//             | yes, by what it is or by what is around it (is_among_code)
//             '---> dictionary ------------------> SVC<same condition> #(kFirstNumber + n)
//   either, executed, and it exits --- policy ---> B stub or another word that does the same, of
//                                                  which the policy knows the original
//
// Every function needs the monitor's own root (machine addresses), with the guest not running.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <optional>

#include "arch/armv7/decode.hpp"
#include "arch/armv7/dictionary.hpp"
#include "arch/armv7/patch_table.hpp"
#include "mem/address.hpp"

namespace mezzo::armv7 {

using mem::GuestVirtual;
using mem::HostPhysical;

// Machine memory, and what must follow writes to code: DDI 0406C A3.5.4 and B2.2.9. The instruction
// cache is invalidated as a whole, because one that is virtually indexed has no other way to
// invalidate a machine address under every virtual one (B3.11.2).
template <class M>
concept PatchMemory = requires(M m, HostPhysical at, std::uint32_t n, bool patched) {
  { m.read(at) } -> std::same_as<std::uint32_t>;
  { m.page_words(at) } -> std::same_as<const std::uint32_t*>;  // all of a page
  { m.write(at, n) };
  { m.clean_to_unification(at, n) };  // data cache, n bytes
  { m.clean_to_memory(at, n) };       // likewise, past all levels; and invalidate them
  { m.invalidate_instructions() };    // ICIALLU: the branch predictor too
  { m.barrier() };                    // DSB, ISB
  { m.page_patched(at, patched) };    // the state of this page is now this
};

// From the first byte written to the last.
struct ChangedRange {
  HostPhysical first{};
  std::uint32_t bytes = 0;

  void add(HostPhysical at) {
    if (bytes == 0) {
      first = at;
      bytes = 4;
    } else if (at < first) {
      bytes += static_cast<std::uint32_t>(first - at);
      first = at;
    } else {
      bytes = std::max(bytes, static_cast<std::uint32_t>(at - first) + 4);
    }
  }
};

// The words before and after one, the nearest first; 0 where the page ends.
struct Surroundings {
  static constexpr unsigned kReach = 3;   // what decides whether a word is code
  static constexpr unsigned kAhead = 14;  // what may decide which stub it gets
  std::array<std::uint32_t, kReach> before{};
  std::array<std::uint32_t, kAhead> after{};
};

// Has branches, or other words, for words at addresses of the guest's kernel, and knows what each
// was, at least as long as a page is patched for that address. They are right there only: a copy,
// which the guest may make, is taken for what it looks like.
template <class P>
concept PatchPolicy =
    requires(P p, std::uint32_t word, GuestVirtual address, const Surroundings& around) {
      // Whether a word's branch takes its place as soon as its page is patched. Asked about what
      // is_of_interest(): sensitive words and MCR.
      { p.is_at_once(word) } -> std::same_as<bool>;
      // The whole instruction, for this address; nothing if the word is to stay what it is.
      { p.branch(word, address, around) } -> std::same_as<std::optional<std::uint32_t>>;
      // The word that became this one at this address.
      { p.original(word, address) } -> std::same_as<std::optional<std::uint32_t>>;
      // Whether a word may have become one somewhere on the page at this address: most have not.
      { p.may_have_become(word, address) } -> std::same_as<bool>;
      // Whether what this branch at this address leads to relies on the words around it, which are
      // Surroundings: it is to be chosen anew when one of them changes.
      { p.relies_on_others(word, address) } -> std::same_as<bool>;
      // The code that branches lead to and that has been written since the last call.
      { p.take_written() } -> std::same_as<ChangedRange>;
    };

struct TrapAll {
  [[nodiscard]] static constexpr bool is_at_once(std::uint32_t) { return false; }
  [[nodiscard]] static constexpr std::optional<std::uint32_t> branch(std::uint32_t, GuestVirtual,
                                                                     const Surroundings&) {
    return std::nullopt;
  }
  [[nodiscard]] static constexpr std::optional<std::uint32_t> original(std::uint32_t,
                                                                       GuestVirtual) {
    return std::nullopt;
  }
  [[nodiscard]] static constexpr bool may_have_become(std::uint32_t, GuestVirtual) { return false; }
  [[nodiscard]] static constexpr bool relies_on_others(std::uint32_t, GuestVirtual) {
    return false;
  }
  [[nodiscard]] static constexpr ChangedRange take_written() { return {}; }
};

// Whether a word of ambiguous sensitivity at `address` is an instruction and not a constant, an
// address or part of a table. Errs on the side of constants, as those must not be changed.
[[nodiscard]] bool is_among_code(std::uint32_t word, GuestVirtual address,
                                 const Surroundings& around);

enum class PatchResult : std::uint8_t {
  Patched,         // now, or already
  NoRoom,          // too many patched pages: unpatch victim() first
  DictionaryFull,  // the page is as it was; the partition must stop
};

struct StoreResult {
  enum class Kind : std::uint8_t { Stored, NotPatched, DictionaryFull };
  Kind kind = Kind::NotPatched;
  std::uint32_t stores = 0;  // to this page since it was patched; after many, unpatch it
};

struct PatchCounters {
  std::uint32_t pages = 0;  // patched so far; those below likewise
  std::uint32_t traps = 0;
  std::uint32_t branches = 0;
  std::uint32_t stores = 0;
};

template <PatchMemory Memory, PatchPolicy Policy, std::uint32_t max_pages = 8192>
class PatchedPages {
 public:
  // Comes before anything else. Forgets all pages and words without touching memory: call it before
  // the partition's memory is loaded. Both objects must outlive this one, whose bits are all zero
  // to begin with, so that it costs no room in the image.
  void reset(Memory& memory, Policy& policy) {
    memory_ = &memory;
    policy_ = &policy;
    dictionary_.reset();
    pages_.reset();
    counters_ = {};
    uncached_ = false;
  }

  // Whether the guest fetches and stores past the caches from now on, as it does with its MMU off.
  // Pages are then left in memory as they are meant, and nothing of them in the caches.
  void set_uncached(bool uncached) { uncached_ = uncached; }

  // Makes a page fit to be run by the guest's kernel at `address`, both page-aligned, and at no
  // other address any longer. On return the replaced words are what instruction fetches see.
  [[nodiscard]] PatchResult patch_page(HostPhysical page, GuestVirtual address) {
    if (runs_at(page, address)) return PatchResult::Patched;
    (void)unpatch_page(page);
    Page* const entry = pages_.insert(PageTable::key_of(number(page)));
    if (entry == nullptr) return PatchResult::NoRoom;
    entry->address = address.value();
    if (!replace_all(*entry)) {
      restore_all(*entry);
      entry->key = 0;
      return PatchResult::DictionaryFull;
    }
    ++counters_.pages;
    memory_->page_patched(page, true);
    return PatchResult::Patched;
  }

  // Whether the page is patched, for that address: its branches lead elsewhere from others.
  [[nodiscard]] bool runs_at(HostPhysical page, GuestVirtual address) const {
    const Page* const entry = pages_.find(PageTable::key_of(number(page)));
    return entry != nullptr && entry->address == address.value();
  }

  // Restores the guest's words. Whether the page was patched.
  bool unpatch_page(HostPhysical page) {
    Page* const entry = pages_.find(PageTable::key_of(number(page)));
    if (entry == nullptr) return false;
    unpatch(*entry);
    return true;
  }

  // Calls `unpatched(HostPhysical)` after each page.
  template <class Callback>
  void unpatch_all(Callback unpatched) {
    pages_.for_each([&](Page& entry) {
      const HostPhysical page = entry.machine();
      unpatch(entry);
      unpatched(page);
    });
  }

  // Calls `visit(HostPhysical, GuestVirtual)` for each patched page and the address it is for.
  template <class Visit>
  void for_each_page(Visit visit) {
    pages_.for_each(
        [&](const Page& entry) { visit(entry.machine(), GuestVirtual{entry.address}); });
  }

  // The patched page to unpatch when there is no room for `page`.
  [[nodiscard]] HostPhysical victim(HostPhysical page) {
    return pages_.victim(PageTable::key_of(number(page))).machine();
  }

  // The address for which a page is patched, if it is.
  [[nodiscard]] std::optional<GuestVirtual> patched_at(HostPhysical page) const {
    const Page* const entry = pages_.find(PageTable::key_of(number(page)));
    if (entry == nullptr) return std::nullopt;
    return GuestVirtual{entry->address};
  }

  // A guest's store of `size` bytes (1 to 4, within the page), the lowest byte of `value` first, to
  // a patched page. The bytes go into the guest's words, not into what replaced them.
  [[nodiscard]] StoreResult store(HostPhysical at, std::uint32_t size, std::uint32_t value) {
    Page* const entry = pages_.find(PageTable::key_of(number(at)));
    if (entry == nullptr) return {};
    const auto room = mem::kPageSize - static_cast<std::uint32_t>(at.offset_in(mem::kPageSize));
    size = std::min({size, room, 4u});
    ChangedRange changed;
    bool stored = true;
    for (std::uint32_t done = 0; done < size && stored;) {
      const HostPhysical byte = at + done;
      const auto offset = static_cast<std::uint32_t>(byte.offset_in(4));
      const std::uint32_t count = std::min(size - done, 4 - offset);
      const std::uint32_t mask = ~0u >> (32 - 8 * count) << 8 * offset;
      const std::uint32_t bits = value >> 8 * done << 8 * offset;
      stored = store_word(*entry, byte.aligned_down(4), mask, bits, changed);
      done += count;
    }
    publish(*entry, changed);
    ++counters_.stores;
    if (entry->stores != 0xffff) ++entry->stores;
    const auto kind = stored ? StoreResult::Kind::Stored : StoreResult::Kind::DictionaryFull;
    return {.kind = kind, .stores = entry->stores};
  }

  // The guest's kernel, at `address`, is about to execute the word at `at`, and would exit. Whether
  // it branches to a stub there from now on, which it did not before.
  [[nodiscard]] bool put_branch(HostPhysical at, GuestVirtual address) {
    Page* const entry = pages_.find(PageTable::key_of(number(at)));
    if (entry == nullptr || address_of(*entry, at) != address) return false;
    const std::uint32_t present = memory_->read(at);
    const auto branch = branch_for(*entry, at, original_of(*entry, at, present));
    if (!branch || *branch == present) return false;
    ChangedRange changed;
    write(at, *branch, changed);
    publish(*entry, changed);
    return true;
  }

  // The guest's word at a word-aligned address, whether it is replaced or not.
  [[nodiscard]] std::uint32_t original_word(HostPhysical at) const {
    const std::uint32_t word = memory_->read(at);
    const Page* const entry = pages_.find(PageTable::key_of(number(at)));
    return entry == nullptr ? word : original_of(*entry, at, word);
  }

  [[nodiscard]] const Dictionary& dictionary() const { return dictionary_; }
  [[nodiscard]] const PatchCounters& counters() const { return counters_; }

 private:
  struct Page {  // without initializers, so that many are cleared as bytes
    std::uint32_t key;
    std::uint32_t address;  // guest-virtual
    std::uint16_t stores;   // 0xffff: or more

    [[nodiscard]] HostPhysical machine() const { return HostPhysical{key & ~(mem::kPageSize - 1)}; }
  };
  using PageTable = PatchTable<Page, max_pages, mem::kPageSize>;

  static std::uint32_t number(HostPhysical at) { return static_cast<std::uint32_t>(at.value()); }
  static GuestVirtual address_of(const Page& page, HostPhysical at) {
    return GuestVirtual{page.address + static_cast<std::uint32_t>(at.offset_in(mem::kPageSize))};
  }

  // Puts a word into memory, if it is another one.
  void write(HostPhysical at, std::uint32_t word, ChangedRange& changed) {
    if (memory_->read(at) == word) return;
    memory_->write(at, word);
    changed.add(at);
  }

  void publish(const Page& page, const ChangedRange& changed) {
    if (changed.bytes == 0 && !uncached_) return;
    const ChangedRange stubs = policy_->take_written();
    if (stubs.bytes != 0) memory_->clean_to_unification(stubs.first, stubs.bytes);
    if (uncached_) {
      memory_->clean_to_memory(page.machine(), mem::kPageSize);
    } else {
      memory_->clean_to_unification(changed.first, changed.bytes);
    }
    memory_->barrier();
    memory_->invalidate_instructions();
    memory_->barrier();
  }

  // Whether a word is a branch, SVC or MRC; most are neither.
  [[nodiscard]] static std::uint32_t may_be_replaced(std::uint32_t word) {
    constexpr std::uint32_t kReplacing = 1u << 0xa | 1u << 0xe | 1u << 0xf;  // by bits 27:24
    return kReplacing >> (word >> 24 & 15) & 1;
  }
  // What the guest means by `word`, which is or is to be in memory there.
  [[nodiscard]] std::uint32_t original_of(const Page& page, HostPhysical at,
                                          std::uint32_t word) const {
    if (may_be_replaced(word) == 0) return word;
    const auto branched = policy_->original(word, address_of(page, at));
    return branched ? *branched : dictionary_.original(word).value_or(word);
  }

  // What is around, up to `ahead` words behind.
  [[nodiscard]] Surroundings around(const Page& page, HostPhysical at, std::uint32_t ahead) const {
    Surroundings words;
    const auto index = static_cast<std::uint32_t>(at.offset_in(mem::kPageSize)) / 4;
    for (std::uint32_t i = 0; i < Surroundings::kReach && i < index; ++i) {
      const HostPhysical before = at - 4 * (i + 1);
      words.before[i] = original_of(page, before, memory_->read(before));
    }
    for (std::uint32_t i = 0; i < ahead && index + i + 1 < mem::kPageSize / 4; ++i) {
      const HostPhysical after = at + 4 * (i + 1);
      words.after[i] = original_of(page, after, memory_->read(after));
    }
    return words;
  }

  [[nodiscard]] bool is_code(const Page& page, HostPhysical at, std::uint32_t word) const {
    return is_among_code(word, address_of(page, at), around(page, at, Surroundings::kReach));
  }

  [[nodiscard]] std::optional<std::uint32_t> branch_for(const Page& page, HostPhysical at,
                                                        std::uint32_t word) {
    const auto branch =
        policy_->branch(word, address_of(page, at), around(page, at, Surroundings::kAhead));
    if (branch) ++counters_.branches;
    return branch;
  }

  // What to put into memory for a word of the guest, itself perhaps; nothing if the dictionary is
  // full.
  [[nodiscard]] std::optional<std::uint32_t> replaced(const Page& page, HostPhysical at,
                                                      std::uint32_t word) {
    // A copy of a replaced word counts as replaced. An SVC of our range that stands for nothing yet
    // gets a number like an instruction, as its own might come into use.
    if (Dictionary::is_in_range(word)) {
      return dictionary_.original(word) ? word : dictionary_.replacement(word);
    }
    const Sensitivity sensitive = sensitivity(word);
    if (sensitive == Sensitivity::Ambiguous && !is_code(page, at, word)) return word;
    if (policy_->is_at_once(word)) {
      if (const auto branch = branch_for(page, at, word)) return branch;
    }
    if (sensitive == Sensitivity::None) return word;
    ++counters_.traps;
    return dictionary_.replacement(word);
  }

  // The offset in a page, from `offset` on, of the next word that is wanted(), or the page's size.
  // `maybe(word)` is not 0 for each of these. Four words at a time, as it is 0 for most.
  template <class Maybe, class Wanted>
  [[nodiscard]] std::uint32_t next(HostPhysical page, std::uint32_t offset, Maybe maybe,
                                   Wanted wanted) const {
    constexpr std::uint32_t kAtOnce = 4;
    const std::uint32_t* const words = memory_->page_words(page);
    std::uint32_t n = offset / 4;
    for (; n % kAtOnce != 0; ++n) {
      if (maybe(words[n]) != 0 && wanted(words[n])) return n * 4;
    }
    for (; n < mem::kPageSize / 4; n += kAtOnce) {
      const std::uint32_t* const w = words + n;
      const std::array which{maybe(w[0]), maybe(w[1]), maybe(w[2]), maybe(w[3])};
      if ((which[0] | which[1] | which[2] | which[3]) == 0) continue;
      for (std::uint32_t i = 0; i < kAtOnce; ++i) {
        if (which[i] != 0 && wanted(w[i])) return (n + i) * 4;
      }
    }
    return mem::kPageSize;
  }
  // What is not certainly left alone, and what may have been put there.
  [[nodiscard]] std::uint32_t next_of_interest(HostPhysical page, std::uint32_t offset) const {
    return next(page, offset, interest, is_of_interest);
  }
  [[nodiscard]] std::uint32_t next_replaced(const Page& page, std::uint32_t offset) const {
    return next(page.machine(), offset, may_be_replaced, [&](std::uint32_t word) {
      return Dictionary::is_in_range(word) ||
             policy_->may_have_become(word, GuestVirtual{page.address});
    });
  }

  [[nodiscard]] bool replace_all(Page& page) {
    ChangedRange changed;
    const HostPhysical first = page.machine();
    if (uncached_) {
      memory_->clean_to_memory(first, mem::kPageSize);
      memory_->barrier();
    }
    for (std::uint32_t offset = next_of_interest(first, 0); offset < mem::kPageSize;
         offset = next_of_interest(first, offset + 4)) {
      const HostPhysical at = first + offset;
      if (!put(page, at, memory_->read(at), changed)) return false;
    }
    publish(page, changed);
    return true;
  }

  void restore_all(Page& page) {
    ChangedRange changed;
    const HostPhysical first = page.machine();
    for (std::uint32_t offset = next_replaced(page, 0); offset < mem::kPageSize;
         offset = next_replaced(page, offset + 4)) {
      const HostPhysical at = first + offset;
      write(at, original_of(page, at, memory_->read(at)), changed);
    }
    publish(page, changed);
  }

  void unpatch(Page& page) {
    const HostPhysical machine = page.machine();
    restore_all(page);
    page.key = 0;
    memory_->page_patched(machine, false);
  }

  // False if the dictionary is full.
  [[nodiscard]] bool store_word(Page& page, HostPhysical at, std::uint32_t mask, std::uint32_t bits,
                                ChangedRange& changed) {
    const std::uint32_t before = original_of(page, at, memory_->read(at));
    const std::uint32_t word = (before & ~mask) | (bits & mask);
    if (!put(page, at, word, changed)) return false;
    // Ambiguous words around it may be judged otherwise now, and stubs may have relied on it.
    const auto offset = static_cast<std::uint32_t>(at.offset_in(mem::kPageSize));
    constexpr std::uint32_t kReach = 4 * Surroundings::kReach, kAhead = 4 * Surroundings::kAhead;
    const std::uint32_t first = offset < kAhead ? 0 : offset - kAhead;
    const std::uint32_t last = std::min(offset + kReach, mem::kPageSize - 4);
    for (std::uint32_t next = first; next <= last; next += 4) {
      const HostPhysical neighbour = page.machine() + next;
      const std::uint32_t present = memory_->read(neighbour);
      if (may_be_replaced(present) == 0 && !is_of_interest(present)) continue;
      const std::uint32_t original = original_of(page, neighbour, present);
      const bool relies = policy_->relies_on_others(present, address_of(page, neighbour));
      const bool is_near = next + kReach >= offset;
      const bool stays = !relies && !(is_near && sensitivity(original) == Sensitivity::Ambiguous);
      if (next == offset || stays) continue;
      if (!put(page, neighbour, original, changed)) return false;
    }
    return true;
  }

  // Puts a word of the guest into memory, replaced if it has to be.
  [[nodiscard]] bool put(Page& page, HostPhysical at, std::uint32_t word, ChangedRange& changed) {
    const std::optional<std::uint32_t> now = replaced(page, at, word);
    if (now) write(at, *now, changed);
    return now.has_value();
  }

  Memory* memory_ = nullptr;
  Policy* policy_ = nullptr;
  Dictionary dictionary_;
  PageTable pages_;
  PatchCounters counters_;
  bool uncached_ = false;
};

}  // namespace mezzo::armv7
