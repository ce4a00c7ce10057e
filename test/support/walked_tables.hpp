// Memory that holds the machine's tables, as its walker may see it, and the worst TLB there can be.
//
// A word that was written reaches the walker when its line is evicted, that is at any time, but
// only for sure when it has been cleaned and a barrier passed. So each word has two values, and a
// walk may see either of each. The TLB takes up whatever any such walk of any root finds at any
// moment, and gives it up only when it is invalidated and a barrier passed. errors() says where
// that goes wrong:
//   - an entry was replaced by another one while the TLB still had the first (break before make),
//   - a table was linked before it was clear for the walker,
//   - at the end of an operation the TLB has what the tables have not, or the walker is not sure to
//     see what was written.
// `Hardware` decodes entries; see shadow_hardware.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "mem/shadow_types.hpp"

namespace mezzo::test {

template <class Hardware>
class WalkedTables {
 public:
  using Entry = typename Hardware::Entry;
  using Leaf = typename Hardware::Leaf;

  WalkedTables(std::uint32_t base, std::uint32_t bytes)
      : base_(base), words_(bytes / 4), walked_(bytes / 4) {}

  [[nodiscard]] bool has(std::uint64_t at) const {
    return at >= base_ && (at - base_) / 4 < words_.size();
  }
  [[nodiscard]] const std::vector<std::string>& errors() const { return errors_; }
  // Directories that a processor may be given, in the order they were made; their contexts.
  [[nodiscard]] const std::vector<std::uint32_t>& roots() const { return roots_; }
  [[nodiscard]] static std::uint32_t context_of(std::size_t root) {
    return Hardware::kFirstContext + static_cast<std::uint32_t>(root);
  }
  // How often the TLB was told something.
  struct Counts {
    unsigned pages = 0, contexts = 0, everything = 0, barriers = 0;
  };
  Counts counts;

  // --- what the engine does ---

  [[nodiscard]] std::uint32_t read(std::uint32_t at) const { return words_.at(index(at)); }
  void write(std::uint32_t at, std::uint32_t value) {
    if (words_.at(index(at)) == value) return;
    words_[index(at)] = value;
    word_changed(at);
  }
  void clear(std::uint32_t at, std::uint32_t bytes) {
    for (std::uint32_t n = 0; n < bytes; n += 4) write(at + n, 0);
  }
  // Directories are made by this, and by nothing else.
  void copy(std::uint32_t to, std::uint32_t from, std::uint32_t bytes) {
    for (std::uint32_t n = 0; n < bytes; n += 4) words_.at(index(to + n)) = read(from + n);
    if (bytes == Hardware::kDirectoryBytes) new_roots_.push_back(to);
  }
  void clean(std::uint32_t at, std::uint32_t bytes) {
    cleaned_ = cleaned_ || bytes != 0;
    for (std::uint32_t n = 0; n < bytes; n += 4) {
      const std::uint32_t value = read(at + n);
      if (walked_.at(index(at + n)) != value || cleaning_.contains(at + n)) {
        cleaning_[at + n] = value;
      }
    }
  }
  void barrier() {
    ++counts.barriers;
    cleaned_ = false;
    // Nothing says in which order these happen, so the TLB may still take up what was not cleaned.
    std::set<std::uint64_t> gone;
    for (const auto& invalidation : invalidations_) invalidation(gone);
    invalidations_.clear();
    for (const std::uint64_t key : gone) tlb_.erase(key);
    for (const std::uint64_t key : gone) take_up_again(key);
    const std::map<std::uint32_t, std::uint32_t> cleaned = std::exchange(cleaning_, {});
    for (const auto& [at, value] : cleaned) walked_.at(index(at)) = value;
    for (const auto& [at, value] : cleaned) word_changed(at);
    for (const std::uint32_t root : std::exchange(new_roots_, {})) add_root(root);
  }
  void invalidate_page(mem::GuestVirtual address, std::uint32_t context) {
    ++counts.pages;
    invalidations_.push_back([=, this](std::set<std::uint64_t>& gone) {
      for (const auto& [key, leaf] : tlb_) {
        const std::uint32_t page = address_of(key);
        const std::uint32_t size = leaf.block ? Hardware::kSlotBytes : mem::kPageSize;
        if (address.value() - page >= size) continue;
        const bool global = context_of_key(key) == kGlobal;
        if (global || context == mem::kEveryContext || context == context_of_key(key)) {
          gone.insert(key);
        }
      }
    });
  }
  void invalidate_context(std::uint32_t context) {
    ++counts.contexts;
    invalidations_.push_back([=, this](std::set<std::uint64_t>& gone) {
      for (const auto& [key, leaf] : tlb_) {
        if (context_of_key(key) == context) gone.insert(key);
      }
    });
  }
  void invalidate_all() {
    ++counts.everything;
    invalidations_.push_back([this](std::set<std::uint64_t>& gone) {
      for (const auto& [key, leaf] : tlb_) gone.insert(key);
    });
  }

  // --- what the test asks ---

  // After an operation of the engine.
  void finish() {
    if (!invalidations_.empty() || cleaned_ || !new_roots_.empty()) {
      error("maintenance without a barrier", 0);
    }
    for (const std::uint32_t at : std::exchange(touched_, {})) {
      if (walked_.at(index(at)) != read(at)) error("not cleaned", at);
    }
    for (const auto& [key, leaf] : tlb_) {
      if (!any_root_has(key, leaf)) error("stale in the TLB", address_of(key));
    }
  }
  // What a processor with this root finds, without its TLB.
  [[nodiscard]] std::optional<Leaf> walk(std::uint32_t root, std::uint32_t address) const {
    const Entry directory = load(words_, root + slot(address) * kEntryBytes);
    if (!Hardware::is_valid(directory)) return std::nullopt;
    if (!Hardware::is_table(directory)) return Hardware::block(directory);
    const Entry leaf = load(words_, Hardware::table(directory) + page(address) * kEntryBytes);
    if (!Hardware::is_valid(leaf)) return std::nullopt;
    return Hardware::leaf(directory, leaf);
  }
  // Calls visit(address, leaf) for all that a root maps but the monitor's slots.
  template <class Visit>
  void for_each_mapping(std::uint32_t root, Visit visit) const {
    for (std::uint32_t n = 0; n < Hardware::kSlots; ++n) {
      const Entry directory = load(words_, root + n * kEntryBytes);
      if (!Hardware::is_valid(directory) || is_foreign(directory)) continue;
      const std::uint32_t at = n * Hardware::kSlotBytes;
      if (!Hardware::is_table(directory)) {
        visit(at, Hardware::block(directory));
        continue;
      }
      for (std::uint32_t i = 0; i < kTableEntries; ++i) {
        const Entry leaf = load(words_, Hardware::table(directory) + i * kEntryBytes);
        if (Hardware::is_valid(leaf)) {
          visit(at + i * mem::kPageSize, Hardware::leaf(directory, leaf));
        }
      }
    }
  }
  [[nodiscard]] Entry directory_entry(std::uint32_t root, std::uint32_t address) const {
    return load(words_, root + slot(address) * kEntryBytes);
  }

 private:
  static constexpr std::uint32_t kEntryBytes = sizeof(Entry);
  static constexpr std::uint32_t kTableEntries = Hardware::kSlotBytes / mem::kPageSize;
  static constexpr std::uint32_t kTableBytes = kTableEntries * kEntryBytes;
  static constexpr std::uint32_t kGlobal = 0xffffffff;

  struct Link {
    std::size_t root;
    std::uint32_t slot;
    auto operator<=>(const Link&) const = default;
  };

  static std::uint32_t slot(std::uint32_t address) { return address / Hardware::kSlotBytes; }
  static std::uint32_t page(std::uint32_t address) {
    return address % Hardware::kSlotBytes / mem::kPageSize;
  }
  static std::uint64_t key(std::uint32_t context, std::uint32_t address) {
    return std::uint64_t{context} << 32 | address;
  }
  static std::uint32_t context_of_key(std::uint64_t key) {
    return static_cast<std::uint32_t>(key >> 32);
  }
  static std::uint32_t address_of(std::uint64_t key) { return static_cast<std::uint32_t>(key); }

  [[nodiscard]] std::size_t index(std::uint32_t at) const { return (at - base_) / 4; }
  [[nodiscard]] Entry load(const std::vector<std::uint32_t>& words, std::uint32_t at) const {
    Entry entry = words.at(index(at));
    if constexpr (kEntryBytes == 8) entry |= Entry{words.at(index(at) + 1)} << 32;
    return entry;
  }
  // The monitor's: leads to a table that is not here.
  [[nodiscard]] bool is_foreign(Entry directory) const {
    return Hardware::is_table(directory) && !has(Hardware::table(directory));
  }
  void error(const std::string& what, std::uint32_t at) {
    if (errors_.size() > 10) return;
    char text[16];
    std::snprintf(text, sizeof text, " at %#x", at);
    errors_.push_back(what + text);
  }

  void add_root(std::uint32_t root) {
    roots_.push_back(root);
    for (std::uint32_t n = 0; n < Hardware::kDirectoryBytes; n += 4) {
      if (walked_.at(index(root + n)) != read(root + n)) error("not cleaned", root + n);
    }
    for (std::uint32_t n = 0; n < Hardware::kSlots; ++n) slot_changed(roots_.size() - 1, n);
  }
  // A word has a new value for the processor or for the walker.
  void word_changed(std::uint32_t at) {
    const std::uint32_t entry_at = at & ~(kEntryBytes - 1);
    for (std::size_t r = 0; r < roots_.size(); ++r) {
      const std::uint32_t offset = entry_at - roots_[r];
      if (offset >= Hardware::kSlots * kEntryBytes) continue;
      touched_.push_back(at);
      return slot_changed(r, offset / kEntryBytes);
    }
    const auto links = links_.find(at & ~(kTableBytes - 1));
    if (links == links_.end()) return;
    touched_.push_back(at);
    for (const Link& link : std::set<Link>(links->second)) {
      page_changed(link, (entry_at & (kTableBytes - 1)) / kEntryBytes);
    }
  }
  void slot_changed(std::size_t root, std::uint32_t n) {
    forget_old_links(root, n);
    for (const auto* view : {&words_, &walked_}) {
      const Entry directory = load(*view, roots_[root] + n * kEntryBytes);
      if (!Hardware::is_valid(directory) || is_foreign(directory)) continue;
      if (!Hardware::is_table(directory)) {
        take_up(root, n * Hardware::kSlotBytes, Hardware::block(directory));
        continue;
      }
      const std::uint32_t table = Hardware::table(directory);
      if (links_[table].empty()) check_is_clear(table);
      links_[table].insert({root, n});
      for (std::uint32_t i = 0; i < kTableEntries; ++i) page_changed({root, n}, i);
    }
  }
  void forget_old_links(std::size_t root, std::uint32_t n) {
    const Entry now = load(words_, roots_[root] + n * kEntryBytes);
    const Entry walked = load(walked_, roots_[root] + n * kEntryBytes);
    for (auto& [table, links] : links_) {
      const bool linked = (Hardware::is_valid(now) && Hardware::table(now) == table) ||
                          (Hardware::is_valid(walked) && Hardware::table(walked) == table);
      if (!linked) links.erase({root, n});
    }
  }
  void check_is_clear(std::uint32_t table) {
    for (std::uint32_t n = 0; n < kTableBytes; n += 4) {
      if (read(table + n) != 0 || walked_.at(index(table + n)) != 0) {
        return error("linked before it was clear", table + n);
      }
    }
  }
  // All that the walker may find for one page through one slot.
  void page_changed(Link link, std::uint32_t i) {
    bool linked = false;
    for (const auto* upper : {&words_, &walked_}) {
      const Entry directory = load(*upper, roots_[link.root] + link.slot * kEntryBytes);
      if (!Hardware::is_valid(directory) || !Hardware::is_table(directory)) continue;
      if (is_foreign(directory)) continue;
      linked = true;
      for (const auto* lower : {&words_, &walked_}) {
        const Entry leaf = load(*lower, Hardware::table(directory) + i * kEntryBytes);
        if (!Hardware::is_valid(leaf)) continue;
        take_up(link.root, link.slot * Hardware::kSlotBytes + i * mem::kPageSize,
                Hardware::leaf(directory, leaf));
      }
    }
    if (linked) return;
    for (auto& [table, links] : links_) links.erase(link);
  }
  void take_up(std::size_t root, std::uint32_t address, const Leaf& leaf) {
    const std::uint32_t context = leaf.global ? kGlobal : context_of(root);
    const std::uint64_t own = key(context, address);
    const auto known = tlb_.find(own);
    if (known != tlb_.end()) {
      if (known->second != leaf) error("replaced while in the TLB", address);
      return;
    }
    check_for_others(context, address, leaf.block);
    tlb_[own] = leaf;
  }
  // An access must not find two entries.
  void check_for_others(std::uint32_t context, std::uint32_t address, bool block) {
    const std::uint32_t first = address - address % Hardware::kSlotBytes;
    const auto check = [&](std::uint32_t other) {
      auto at = tlb_.lower_bound(key(other, first));
      const auto end = tlb_.upper_bound(key(other, first + (Hardware::kSlotBytes - 1)));
      for (; at != end; ++at) {
        if (block || at->second.block || address_of(at->first) == address) {
          error("two entries in the TLB", address);
        }
      }
    };
    check(context);
    if (context != kGlobal) return check(kGlobal);
    for (std::size_t root = 0; root < roots_.size(); ++root) check(context_of(root));
  }
  void take_up_again(std::uint64_t gone) {
    for (std::size_t root = 0; root < roots_.size(); ++root) {
      const std::uint32_t context = context_of_key(gone);
      if (context != kGlobal && context != context_of(root)) continue;
      const std::uint32_t n = slot(address_of(gone));
      page_changed({root, n}, page(address_of(gone)));
      for (const auto* view : {&words_, &walked_}) {
        const Entry directory = load(*view, roots_[root] + n * kEntryBytes);
        if (!Hardware::is_valid(directory) || Hardware::is_table(directory)) continue;
        take_up(root, n * Hardware::kSlotBytes, Hardware::block(directory));
      }
    }
  }
  [[nodiscard]] bool any_root_has(std::uint64_t known, const Leaf& leaf) const {
    for (std::size_t root = 0; root < roots_.size(); ++root) {
      const std::uint32_t context = context_of_key(known);
      if (context != kGlobal && context != context_of(root)) continue;
      const std::optional<Leaf> found = walk(roots_[root], address_of(known));
      if (found && *found == leaf) return true;
    }
    return false;
  }

  std::uint32_t base_;
  std::vector<std::uint32_t> words_;   // as the processor reads them
  std::vector<std::uint32_t> walked_;  // as cleaned so far
  bool cleaned_ = false;               // since the last barrier
  std::map<std::uint32_t, std::uint32_t> cleaning_;
  std::vector<std::function<void(std::set<std::uint64_t>&)>> invalidations_;
  std::vector<std::uint32_t> roots_, new_roots_;
  std::map<std::uint32_t, std::set<Link>> links_;  // by table
  std::map<std::uint64_t, Leaf> tlb_;              // by context and address
  std::vector<std::uint32_t> touched_;
  std::vector<std::string> errors_;
};

}  // namespace mezzo::test
