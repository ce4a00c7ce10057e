// The short-descriptor translation table format, as the guest writes it and as the machine's shadow
// tables have it. Source: Arm DDI 0406C, B3.5 (format), B3.7 (rights, domains, access flag), B3.8
// (memory attributes, TEX remap), B3.13 (fault status).
//
// The machine runs with SCTLR.AFE = TRE = 0 and TTBCR = 0. The guest is at PL0 in all its modes, so
// the machine's entries only use what PL0 may do; the domain of a directory entry tells the guest's
// kernel from its user mode. Domain 15 is the monitor's.
//
// Not supported, as on Cortex-A8 and A9 [B3.5.1]: PXN, the hardware access flag, 40-bit addresses
// other than in supersections; the security bit (NS) is ignored.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "mem/shadow_types.hpp"

namespace mezzo::armv7 {

// A fault of the guest's own tables [B3.12].
struct ShortFault {
  enum class Kind : std::uint8_t {
    Translation,
    AccessFlag,
    Domain,
    Permission,
    External,  // the descriptor lies where the partition has no memory
  };
  Kind kind = Kind::Translation;
  std::uint8_t level = 1;
  std::uint8_t domain = 0;

  // FS[3:0] of DFSR and IFSR in the short format [table B3-23]; FS[4] is 0 for all of these.
  [[nodiscard]] constexpr std::uint32_t status() const {
    const std::uint32_t second = level == 2 ? 2 : 0;
    switch (kind) {
      case Kind::Translation:
        return 0b00101 + second;
      case Kind::AccessFlag:
        return level == 2 ? 0b00110 : 0b00011;
      case Kind::Domain:
        return 0b01001 + second;
      case Kind::Permission:
        return 0b01101 + second;
      case Kind::External:
        break;
    }
    return 0b01100 + second;
  }
  // The same with DFSR's Domain field [7:4], which is UNKNOWN for some kinds and 0 here then.
  [[nodiscard]] constexpr std::uint32_t data_status() const {
    return status() | std::uint32_t{domain} << 4;
  }
  bool operator==(const ShortFault&) const = default;
};

class ShortDescriptor {
 public:
  using Entry = std::uint32_t;
  using Fault = ShortFault;
  using Rights = mem::Rights;

  struct Controls {
    std::uint32_t sctlr = 0, ttbcr = 0, ttbr0 = 0, ttbr1 = 0;
    std::uint32_t dacr = 0, prrr = 0, nmrr = 0, contextidr = 0;
  };
  struct Mapping : mem::GuestMapping {
    std::uint8_t level = 1;
    std::uint8_t domain = 0;
  };

  static constexpr std::uint32_t kSlots = 4096, kSlotBytes = 1u << 20;
  static constexpr std::uint32_t kTableEntries = 256;
  static constexpr std::uint32_t kWidestSpan = 16u << 20;     // a supersection
  static constexpr std::uint32_t kWidestInTable = 64u << 10;  // a large page
  static constexpr std::uint32_t kDirectoryBytes = kSlots * 4;
  static constexpr std::uint32_t kDirectoryAlignment = 16u << 10;
  static constexpr unsigned kMachineBits = 32;
  static constexpr std::uint32_t kContexts = 256;
  // The machine's ASID 0 is for switching, 1 is the monitor's own.
  static constexpr std::uint32_t kFirstContext = 2;
  static constexpr std::uint32_t kMonitorDomain = 15;
  static constexpr std::uint32_t kTags = 14;     // domains 0 to 13
  static constexpr std::uint32_t kLentTag = 14;  // what the monitor lends the guest's kernel
  // A key: the guest's domain, +16 if the guest manages it; or translation is off.
  static constexpr std::uint8_t kManaged = 16, kFlat = 32;
  static constexpr std::uint32_t kKeys = 33;
  static constexpr bool kWithholdsExecute = true;
  static constexpr bool kMarksGuest = false;  // young and dirty are the guest's own business

  // --- the guest's side ---

  mem::Change set(const Controls& controls) {
    constexpr std::uint32_t kHow = kEnable | kAccessFlagEnable | kRemap;
    const bool all = ((controls.sctlr ^ now_.sctlr) & kHow) != 0 || controls.prrr != now_.prrr ||
                     controls.nmrr != now_.nmrr;
    now_ = controls;
    set_first_tables();
    if (!all) return mem::Change::Nothing;
    set_attributes();
    return mem::Change::All;
  }
  [[nodiscard]] std::uint32_t context() const { return now_.contextidr & 0xff; }
  [[nodiscard]] const Controls& controls() const { return now_; }

  // The machine's register of domains.
  static constexpr std::uint32_t kAlwaysOpen = 1u << 2 * kMonitorDomain;
  [[nodiscard]] static constexpr std::uint32_t opened(std::uint32_t tag) { return 1u << 2 * tag; }
  [[nodiscard]] bool is_open(std::uint8_t key) const {
    if (key == kFlat) return true;
    return access_of(key & 15u) == ((key & kManaged) != 0 ? kManager : kClient);
  }

  [[nodiscard]] std::uint32_t opened_keys() const { return now_.dacr; }

  // [B3.19.4, TranslationTableWalkSD; B3.19.1 for the order of checks]. `opened`: as if the guest
  // were a client of a domain that it has closed.
  template <class Read>
  [[nodiscard, gnu::always_inline]] std::optional<Fault> walk(mem::GuestVirtual address,
                                                              Read&& read, Mapping& mapping,
                                                              bool opened = false) const {
    const std::uint32_t at = address.value();
    if ((now_.sctlr & kEnable) == 0) {
      mapping = flat(at);
      return std::nullopt;
    }
    const std::uint32_t table = first_table(at);
    if (table == kNoTable) return Fault{Fault::Kind::Translation, 1, 0};
    const std::optional<Entry> read_first = read(mem::GuestPhysical{table + (at >> 20) * 4});
    if (!read_first) return Fault{Fault::Kind::External, 1, 0};
    const Entry first = *read_first;
    if ((first & 3) == 2) {
      // By an object of its own, so that `mapping` may stay in registers.
      Mapping found;
      const std::optional<Fault> fault = section(first, at, found);
      mapping = found;
      return fault;
    }
    if ((first & 3) != 1) return Fault{Fault::Kind::Translation, 1, 0};

    const std::uint8_t domain = first >> 5 & 15;
    const mem::GuestPhysical place{(first & 0xfffffc00) + (at >> 12 & 0xff) * 4};
    const std::optional<Entry> read_second = read(place);
    if (!read_second) return Fault{Fault::Kind::External, 2, domain};
    const Entry second = *read_second;
    if ((second & 3) == 0) return Fault{Fault::Kind::Translation, 2, domain};
    if (lacks_access_flag(second)) return Fault{Fault::Kind::AccessFlag, 2, domain};
    const std::uint32_t access = access_of(domain);
    if (!opened && (access & kClient) == 0) return Fault{Fault::Kind::Domain, 2, domain};
    mapping.level = 2;
    mapping.domain = domain;
    mapping.key = access == kManager ? domain | kManaged : domain;
    if ((second & 2) != 0) {
      small_page(mapping, second, at);
    } else {
      mapping = large_page(mapping, second, at);
    }
    return std::nullopt;
  }
  [[nodiscard]] static Fault permission_fault(const Mapping& mapping) {
    return {Fault::Kind::Permission, mapping.level, mapping.domain};
  }
  template <class Write>
  static void mark(Mapping&, mem::Access, Write&&) {}

  // --- the machine's side [B3.5.1] ---

  [[gnu::always_inline]] static Entry leaf(const mem::Grant& grant) {
    const Rights rights = rights_at_pl0(grant);
    if (!rights.allows(mem::Access::Read)) return 0;
    return static_cast<Entry>(grant.machine.value()) | 2 | attributes_of(grant) |
           (rights.allows(mem::Access::Write) ? 3u << 4 : 2u << 4) |
           (rights.allows(mem::Access::Execute) ? 0 : 1u) | (grant.global ? 0 : 1u << 11);
  }
  static Entry block(const mem::Grant& grant) {
    const Rights rights = rights_at_pl0(grant);
    if (!rights.allows(mem::Access::Read)) return 0;
    // TEX and S are six bits higher than in a small page.
    const std::uint32_t small = attributes_of(grant);
    const std::uint32_t attributes = (small & 0xc) | (small & 0x5c0) << 6;
    return static_cast<Entry>(grant.machine.value()) | 2 | attributes |
           std::uint32_t{grant.tag} << 5 |
           (rights.allows(mem::Access::Write) ? 3u << 10 : 2u << 10) |
           (rights.allows(mem::Access::Execute) ? 0 : 1u << 4) | (grant.global ? 0 : 1u << 17);
  }
  static constexpr Entry table(mem::HostPhysical machine, std::uint8_t tag) {
    return static_cast<Entry>(machine.value()) | std::uint32_t{tag} << 5 | 1;
  }
  static constexpr bool is_table(Entry entry) { return (entry & 3) == 1; }
  static constexpr std::uint32_t tag(Entry entry) { return entry >> 5 & 15; }
  static constexpr mem::HostPhysical table_of(Entry entry) {
    return mem::HostPhysical{entry & 0xfffffc00};
  }
  static constexpr mem::HostPhysical page_of(Entry entry) {
    return mem::HostPhysical{entry & 0xfffff000};
  }
  static constexpr mem::HostPhysical block_of(Entry entry) {
    return mem::HostPhysical{entry & 0xfff00000};
  }
  static constexpr mem::HostPhysical root(mem::HostPhysical directory) { return directory; }
  template <class Store>
  static void prepare_directory(mem::HostPhysical, Store&&) {}

  // A directory entry of the monitor's: its own domain, nothing for PL0, for one context: guests
  // have something else at its address.
  // `attributes`: TEX, C, B and S as in a small page [B3.5.1].
  static constexpr Entry monitor_section(mem::HostPhysical machine, std::uint16_t attributes,
                                         bool executable) {
    return static_cast<Entry>(machine.value()) | 2 | 1u << 10 | kMonitorDomain << 5 |
           (attributes & 0xcu) | (attributes & 0x5c0u) << 6 | (executable ? 0 : 1u << 4) | 1u << 17;
  }
  static constexpr Entry lent_table(mem::HostPhysical machine) { return table(machine, kLentTag); }
  static constexpr Entry monitor_table(mem::HostPhysical machine) {
    return table(machine, kMonitorDomain);
  }

 private:
  static constexpr std::uint32_t kEnable = 1u << 0, kRemap = 1u << 28, kAccessFlagEnable = 1u << 29;
  // Of a domain: bit 0 is set in these two of its four values, not in no access and reserved.
  static constexpr std::uint32_t kClient = 1, kManager = 3;

  // Attributes as a small page of the machine has them: TEX [8:6], C, B [3:2], S [10].
  static constexpr std::uint16_t kStronglyOrdered = 0, kSharedDevice = 1u << 2, kDevice = 2u << 6,
                                 kNormalUncached = 1u << 6;
  static constexpr std::uint16_t kShared = 1u << 10;
  static constexpr std::uint16_t kUntranslated = 1u << 15;  // what it is decides: see attributes_of
  static constexpr std::uint16_t normal(std::uint32_t inner, std::uint32_t outer) {
    return static_cast<std::uint16_t>((4 | outer) << 6 | inner << 2);
  }

  [[nodiscard]] std::uint32_t access_of(std::uint32_t domain) const {
    return now_.dacr >> 2 * domain & 3;
  }
  [[nodiscard]] bool lacks_access_flag(Entry second) const {
    return (now_.sctlr & kAccessFlagEnable) != 0 && (second & 1u << 4) == 0;
  }

  // The tables of level 1, for the lower addresses and the others; kNoTable if walks from a
  // register are disabled [B3.5.4].
  void set_first_tables() {
    constexpr std::uint32_t kDisabled0 = 1u << 4, kDisabled1 = 1u << 5;
    const std::uint32_t split = now_.ttbcr & 7;
    last_lower_ = ~0u >> split;
    lower_table_ = now_.ttbr0 & ~((1u << (14 - split)) - 1);
    upper_table_ = now_.ttbr1 & ~((1u << 14) - 1);
    if ((now_.ttbcr & kDisabled0) != 0) lower_table_ = kNoTable;
    if ((now_.ttbcr & kDisabled1) != 0) upper_table_ = kNoTable;
  }
  [[nodiscard]] std::uint32_t first_table(std::uint32_t at) const {
    return at <= last_lower_ ? lower_table_ : upper_table_;
  }

  // Rights of the kernel and, three bits higher, of user mode, by AP[2:0] and XN [table B3-8]; with
  // the access flag on, AP[0] is set here and the rest means the same [table B3-9]. 100 is
  // reserved.
  static constexpr std::array<std::uint8_t, 16> kRights = [] {
    constexpr unsigned r = Rights::kRead, rw = r | Rights::kWrite, x = Rights::kExecute;
    constexpr std::array<unsigned, 8> kernel{0, rw, rw, rw, 0, r, r, r};
    constexpr std::array<unsigned, 8> user{0, 0, r, rw, 0, 0, r, r};
    std::array<std::uint8_t, 16> rights{};
    for (unsigned n = 0; n < 16; ++n) {
      const auto run = [&](unsigned data) { return n < 8 && data != 0 ? data | x : data; };
      rights[n] = static_cast<std::uint8_t>(run(kernel[n % 8]) | run(user[n % 8]) << 3);
    }
    return rights;
  }();
  [[gnu::always_inline]] static void set_rights(Mapping& mapping, std::uint32_t ap,
                                                std::uint32_t never_execute) {
    // Of what is managed not even XN is looked at [B3.7.2].
    const std::uint8_t rights =
        (mapping.key & kManaged) != 0 ? 0x3f : kRights[ap | never_execute << 3];
    mapping.kernel = Rights{static_cast<std::uint8_t>(rights & 7)};
    mapping.user = Rights{static_cast<std::uint8_t>(rights >> 3)};
  }

  [[gnu::always_inline]] void small_page(Mapping& mapping, Entry entry, std::uint32_t at) const {
    mapping.span = 1u << 12;
    mapping.physical = mem::GuestPhysical{(entry & 0xfffff000) | (at & 0xfff)};
    mapping.global = (entry & 1u << 11) == 0;
    set_rights(mapping, (entry >> 4 & 3) | (entry >> 7 & 4), entry & 1);
    mapping.attributes = attributes(entry >> 6, entry, entry >> 10);
  }
  [[nodiscard, gnu::noinline]] Mapping large_page(Mapping mapping, Entry entry,
                                                  std::uint32_t at) const {
    mapping.span = 1u << 16;
    mapping.physical = mem::GuestPhysical{(entry & 0xffff0000) | (at & 0xffff)};
    mapping.global = (entry & 1u << 11) == 0;
    set_rights(mapping, (entry >> 4 & 3) | (entry >> 7 & 4), entry >> 15 & 1);
    mapping.attributes = attributes(entry >> 12, entry, entry >> 10);
    return mapping;
  }
  [[nodiscard, gnu::noinline]] std::optional<Fault> section(Entry entry, std::uint32_t at,
                                                            Mapping& mapping) const {
    const bool super = (entry & 1u << 18) != 0;
    const std::uint8_t domain = super ? 0 : entry >> 5 & 15;
    if ((now_.sctlr & kAccessFlagEnable) != 0 && (entry & 1u << 10) == 0) {
      return Fault{Fault::Kind::AccessFlag, 1, domain};
    }
    const std::uint32_t access = access_of(domain);
    if ((access & kClient) == 0) return Fault{Fault::Kind::Domain, 1, domain};
    mapping.domain = domain;
    mapping.key = access == kManager ? domain | kManaged : domain;
    mapping.span = super ? 16u << 20 : 1u << 20;
    std::uint64_t physical = (entry & ~(mapping.span - 1)) | (at & (mapping.span - 1));
    if (super) {
      physical |= std::uint64_t{entry >> 20 & 15} << 32 | std::uint64_t{entry >> 5 & 15} << 36;
    }
    mapping.physical = mem::GuestPhysical{physical};
    mapping.global = (entry & 1u << 17) == 0;
    set_rights(mapping, (entry >> 10 & 3) | (entry >> 13 & 4), entry >> 4 & 1);
    mapping.attributes = attributes(entry >> 12, entry, entry >> 16);
    return std::nullopt;
  }
  // Translation off [B3.2.1]: everything is where it says, and allowed, in all contexts alike.
  [[nodiscard]] static Mapping flat(std::uint32_t at) {
    Mapping mapping;
    mapping.physical = mem::GuestPhysical{at};
    mapping.span = 1u << 20;
    mapping.kernel = mapping.user = Rights{Rights::kAll};
    mapping.global = true;
    mapping.key = kFlat;
    mapping.attributes = kUntranslated;
    return mapping;
  }

  // By TEX, C and B, and S, to what the machine's entries say.
  [[nodiscard]] std::uint16_t attributes(std::uint32_t tex, Entry entry, std::uint32_t s) const {
    return attributes_[(s & 1) << 5 | (tex & 7) << 2 | (entry >> 2 & 3)];
  }
  void set_attributes() {
    for (std::uint32_t n = 0; n < attributes_.size(); ++n) {
      const bool shared = (n & 1u << 5) != 0;
      attributes_[n] = (now_.sctlr & kRemap) != 0 ? remapped(n & 7, shared) : plain(n & 31, shared);
    }
  }
  // TEX, C, B without remap [table B3-10]; what is reserved becomes strongly-ordered.
  static std::uint16_t plain(std::uint32_t tex_c_b, bool shared) {
    const auto as_given = static_cast<std::uint16_t>((tex_c_b >> 2) << 6 | (tex_c_b & 3) << 2);
    const std::uint16_t with_share = shared ? as_given | kShared : as_given;
    switch (tex_c_b) {
      case 0b000'01:
      case 0b010'00:
        return as_given;  // devices
      case 0b000'10:
      case 0b000'11:
      case 0b001'00:
      case 0b001'11:
        return with_share;
      default:
        return tex_c_b >= 0b100'00 ? with_share : kStronglyOrdered;
    }
  }
  // TEX[0], C, B by PRRR and NMRR [B3.8.3].
  [[nodiscard]] std::uint16_t remapped(std::uint32_t n, bool shared) const {
    const auto prrr_bit = [&](std::uint32_t bit) { return (now_.prrr >> bit & 1) != 0; };
    switch (now_.prrr >> 2 * n & 3) {
      case 1:
        return prrr_bit(shared ? 17 : 16) ? kSharedDevice : kDevice;
      case 2: {
        const std::uint16_t cached = normal(now_.nmrr >> 2 * n & 3, now_.nmrr >> (16 + 2 * n) & 3);
        return prrr_bit(shared ? 19 : 18) ? cached | kShared : cached;
      }
      default:
        return kStronglyOrdered;
    }
  }

  // With translation off data accesses are strongly-ordered and fetches normal; memory that is not
  // cached does for both.
  static std::uint32_t attributes_of(const mem::Grant& grant) {
    if (grant.attributes != kUntranslated) return grant.attributes;
    return grant.device ? kStronglyOrdered : kNormalUncached;
  }
  static Rights rights_at_pl0(const mem::Grant& grant) {
    return grant.view == mem::View::User ? grant.user : grant.kernel;
  }

  static constexpr std::uint32_t kNoTable = 1;

  Controls now_{};
  std::uint32_t last_lower_ = ~0u, lower_table_ = 0, upper_table_ = 0;
  std::array<std::uint16_t, 64> attributes_{};
};

}  // namespace mezzo::armv7
