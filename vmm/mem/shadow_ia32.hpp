// IA-32's formats for the shadow engine: two levels, and PAE. The walk is page_table.hpp's. Source:
// Intel SDM volume 3, 4.3, 4.4, 4.8 (accessed and dirty), 4.10 (what the TLB keeps).
//
// No contexts: a new root drops what is not global. The processor would set accessed and dirty bits
// in the tables it walks, so the guest's are set as entries are filled from them; a page that is
// not dirty yet is not writable in the machine's table until its first write.
//
// With one root, U/S tells the guest's kernel (rings 0 to 2 of the machine) from its user mode; an
// entry serves both if they have the same rights, otherwise the one that asked last (CR0.WP = 0).
// With two roots the guest runs in ring 3 in all its modes, and U/S is always set. Not regarded:
// SMEP, SMAP, PAT's third bit.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "mem/page_table.hpp"
#include "mem/shadow_types.hpp"

namespace mezzo::mem {

// A page fault of the guest's own tables, as far as they decide its error code.
struct Ia32Fault {
  enum class Kind : std::uint8_t {
    NotPresent,
    Protection,
    Reserved,
    Unreadable,  // the entry lies where the partition has no memory; take it as not present
  };
  Kind kind = Kind::NotPresent;
  std::uint8_t level = 1;  // of the entry that ended the walk

  // Bits 4:0 of the error code [4.7]; I/D is set only if `reports_fetch` (EFER.NXE).
  [[nodiscard]] constexpr std::uint32_t error_code(Access access, Privilege privilege,
                                                   bool reports_fetch) const {
    const bool present = kind == Kind::Protection || kind == Kind::Reserved;
    return (present ? 1u : 0) | (access == Access::Write ? 2u : 0) |
           (privilege == Privilege::User ? 4u : 0) | (kind == Kind::Reserved ? 8u : 0) |
           (access == Access::Execute && reports_fetch ? 16u : 0);
  }
  bool operator==(const Ia32Fault&) const = default;
};

template <EntryFormat Guest>
class Ia32Shadow {
 public:
  using Entry = typename Guest::Entry;
  using Fault = Ia32Fault;

  struct Controls {
    GuestPhysical root{};  // CR3 without the bits that are no address
    bool paging = false, write_protect = false, global_pages = false;  // CR0.PG, CR0.WP, CR4.PGE
  };
  struct Step {
    GuestPhysical at{};
    Entry entry{};
  };
  struct Mapping : GuestMapping {
    std::array<Step, 3> steps{};  // by level - 1
    std::uint8_t level = 0;       // of the entry that maps the page; 0: no tables
  };

  static constexpr bool kPae = sizeof(Entry) == 8;
  static constexpr std::uint32_t kSlotBytes = Guest::page_size(2);
  static constexpr std::uint32_t kSlots = (0u - kSlotBytes) / kSlotBytes + 1;
  static constexpr std::uint32_t kTableEntries = kSlotBytes / kPageSize;
  static constexpr std::uint32_t kWidestSpan = kSlotBytes;
  static constexpr std::uint32_t kWidestInTable = kPageSize;
  // PAE: the four directories as one, and behind them the table of four entries that leads to them.
  static constexpr std::uint32_t kPointersAt = kSlots * sizeof(Entry);
  static constexpr std::uint32_t kDirectoryBytes = kPointersAt + (kPae ? kPageSize : 0);
  static constexpr std::uint32_t kDirectoryAlignment = kPageSize;
  static constexpr unsigned kMachineBits = kPae ? 52 : 32;
  static constexpr std::uint32_t kContexts = 1, kFirstContext = 0;
  static constexpr std::uint32_t kTags = 0, kKeys = 1;
  static constexpr bool kWithholdsExecute = kPae;
  static constexpr bool kMarksGuest = true;

  // --- the guest's side ---

  Change set(const Controls& controls) {
    const bool all = controls.paging != now_.paging ||
                     controls.write_protect != now_.write_protect ||
                     controls.global_pages != now_.global_pages;
    const bool root = controls.root != now_.root;
    now_ = controls;
    return all ? Change::All : root ? Change::Context : Change::Nothing;
  }
  [[nodiscard]] static std::uint32_t context() { return 0; }
  [[nodiscard]] static bool is_open(std::uint8_t) { return true; }
  [[nodiscard]] static std::uint32_t opened_keys() { return 0; }

  template <class Read>
  [[nodiscard]] std::optional<Fault> walk(GuestVirtual address, Read&& read,
                                          Mapping& mapping) const {
    if (!now_.paging) {
      mapping.physical = GuestPhysical{address.value()};
      mapping.span = kSlotBytes;
      mapping.kernel = mapping.user = Rights{Rights::kAll};
      return std::nullopt;
    }
    // The walk goes from the highest level down, so the steps are as many as it has read.
    unsigned level = Guest::kLevels;
    const auto result =
        mem::walk<Guest>(now_.root, address, [&](GuestPhysical at) -> std::optional<Entry> {
          const std::optional<Entry> entry = read(at);
          if (entry) mapping.steps[--level] = {at, *entry};
          return entry;
        });
    if (!result) return fault_of(result.error());
    mapping.level = static_cast<std::uint8_t>(level + 1);
    mapping.physical = result->physical;
    mapping.span = result->page_size;
    mapping.global = result->global && now_.global_pages;
    mapping.attributes = attributes(mapping.steps[level].entry);
    set_rights(mapping, result->writable, result->user, result->executable);
    return std::nullopt;
  }
  [[nodiscard]] static Fault permission_fault(const Mapping& mapping) {
    return {Fault::Kind::Protection, mapping.level};
  }
  template <class Write>
  static void mark(Mapping& mapping, Access access, Write&& write) {
    if (mapping.level == 0) return;
    // The entries of PAE's root have neither bit.
    for (unsigned level = 2; level >= mapping.level; --level) {
      const Step& step = mapping.steps[level - 1];
      const bool dirtied = level == mapping.level && access == Access::Write;
      const Entry marked = step.entry | kAccessed | (dirtied ? kDirty : 0);
      if (marked != step.entry) write(step.at, marked);
      if (level == mapping.level && (marked & kDirty) == 0) withhold_write(mapping);
    }
  }

  // --- the machine's side ---

  static Entry leaf(const Grant& grant) { return page(grant, 0); }
  static Entry block(const Grant& grant) { return page(grant, kLarge); }
  static constexpr Entry table(HostPhysical machine, std::uint8_t) {
    return static_cast<Entry>(machine.value()) | kPresent | kWritable | kUser | kAccessed;
  }
  static constexpr bool is_table(Entry entry) { return (entry & kLarge) == 0; }
  static constexpr std::uint32_t tag(Entry) { return 0; }
  static constexpr HostPhysical table_of(Entry entry) { return page_of(entry); }
  static constexpr HostPhysical page_of(Entry entry) { return HostPhysical{entry & kAddress}; }
  static constexpr HostPhysical block_of(Entry entry) {
    return HostPhysical{entry & kAddress & ~Entry{kSlotBytes - 1}};
  }
  static constexpr HostPhysical root(HostPhysical directory) {
    return kPae ? directory + kPointersAt : directory;
  }
  template <class Store>
  static void prepare_directory(HostPhysical directory, Store&& store) {
    if constexpr (kPae) {
      for (std::uint32_t n = 0; n < 4; ++n) {
        store(directory + kPointersAt + n * 8, (directory + n * kPageSize).value() | kPresent);
      }
    }
  }

 private:
  static constexpr Entry kPresent = 1, kWritable = 2, kUser = 4, kCacheBits = 0x18,
                         kAccessed = 0x20, kDirty = 0x40, kLarge = 0x80, kGlobal = 0x100;
  static constexpr Entry kNoExecute = kPae ? Entry{1} << (kPae ? 63 : 0) : 0;
  static constexpr Entry kAddress = static_cast<Entry>(0x000ffffffffff000);

  static Fault fault_of(const Miss& miss) {
    const auto level = static_cast<std::uint8_t>(miss.level);
    switch (miss.reason) {
      case MissReason::NotPresent:
        return {Fault::Kind::NotPresent, level};
      case MissReason::Reserved:
        return {Fault::Kind::Reserved, level};
      case MissReason::Unreadable:
        break;
    }
    return {Fault::Kind::Unreadable, level};
  }
  static std::uint16_t attributes(Entry entry) {
    return static_cast<std::uint16_t>(entry & kCacheBits);
  }
  void set_rights(Mapping& mapping, bool writable, bool user, bool executable) const {
    const unsigned execute = executable ? Rights::kExecute : 0;
    const auto rights = [&](bool write) {
      return Rights{
          static_cast<std::uint8_t>(Rights::kRead | (write ? Rights::kWrite : 0) | execute)};
    };
    mapping.kernel = rights(writable || !now_.write_protect);
    mapping.user = user ? rights(writable) : Rights{};
  }
  static void withhold_write(Mapping& mapping) {
    mapping.kernel = mapping.kernel.without(Rights::kWrite);
    mapping.user = mapping.user.without(Rights::kWrite);
  }

  static Entry page(const Grant& grant, Entry large) {
    Rights rights = grant.view == View::User ? grant.user : grant.kernel;
    bool user = true;
    if (grant.view == View::Both) {
      user = grant.asked == Privilege::User || grant.user == grant.kernel;
      if (user) rights = grant.user;
    }
    if (!rights.allows(Access::Read)) return 0;
    // Accessed and dirty are set, so that the processor writes nothing here.
    return static_cast<Entry>(grant.machine.value()) | large | kPresent | kAccessed | kDirty |
           grant.attributes | (user ? kUser : 0) | (grant.global ? kGlobal : 0) |
           (rights.allows(Access::Write) ? kWritable : 0) |
           (rights.allows(Access::Execute) ? 0 : kNoExecute);
  }

  Controls now_{};
};

using Ia32TwoLevelShadow = Ia32Shadow<Ia32>;
using Ia32PaeShadow = Ia32Shadow<Ia32Pae>;

}  // namespace mezzo::mem
