// What the shadow engine and those around it agree on: rights, what a guest's page tables say, what
// the partition has behind an address, and the two concepts the engine is written over: the format
// of entries (a processor's) and the environment (memory and TLB maintenance).
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

#include "mem/access.hpp"
#include "mem/address.hpp"

namespace mezzo::mem {

struct Rights {
  std::uint8_t bits = 0;

  static constexpr std::uint8_t kRead = 1, kWrite = 2, kExecute = 4, kAll = 7;
  [[nodiscard]] constexpr bool allows(Access access) const {
    return (bits >> static_cast<unsigned>(access) & 1) != 0;
  }
  [[nodiscard]] constexpr Rights without(unsigned removed) const {
    return {static_cast<std::uint8_t>(bits & ~removed)};
  }
  [[nodiscard]] constexpr bool any() const { return bits != 0; }
  friend constexpr Rights operator&(Rights a, Rights b) {
    return {static_cast<std::uint8_t>(a.bits & b.bits)};
  }
  bool operator==(const Rights&) const = default;
};

// Where a guest's tables lead, and what they allow. Formats add what they need.
struct GuestMapping {
  GuestPhysical physical{};  // of the address itself, not of its page
  std::uint32_t span = 0;    // bytes that the guest's entry maps
  Rights kernel{}, user{};   // by privilege
  bool global = false;       // the same in all contexts
  std::uint8_t key = 0;      // protection key: pages that the guest opens and closes as one by a
                             // register (an ARM domain), with how it opens them now
  std::uint16_t attributes = 0;  // memory type, in the format's own encoding

  [[nodiscard]] constexpr Rights rights(Privilege privilege) const {
    return privilege == Privilege::Kernel ? kernel : user;
  }
};

// What a guest-physical address is in this partition.
struct Backing {
  static constexpr std::uint32_t kNoFrame = 1u << 31;  // nor are those after it any page's

  enum class Kind : std::uint8_t { None, Memory, Device, Emulated };
  Kind kind = Kind::None;
  HostPhysical machine{};          // Memory, Device
  std::uint32_t bytes = 0;         // from the address on, contiguous and with the same answer
  std::uint32_t frame = kNoFrame;  // of Memory: env.frame(machine)
  bool writable = false;
  bool executable = false;  // by the guest's kernel, at the address that was asked about: nothing
                            // on these pages needs patching first

  // Whether `wanted` bytes can be mapped from here on.
  [[nodiscard]] constexpr bool maps(std::uint32_t wanted) const {
    return (kind == Kind::Memory || kind == Kind::Device) && bytes >= wanted;
  }
};

// Whose rights the entries under one directory entry hold.
enum class View : std::uint8_t {
  Kernel,  // the guest's kernel's; its user mode must not reach them
  User,    // the guest's user mode's; its kernel may use them as far as they go
  Both,    // the processor tells the two apart by the entry itself
};
// How the guest's kernel and user mode share the machine's tables.
enum class Separation : std::uint8_t {
  OneRoot,   // one root a context; views are told apart by the format's tags, or by its entries
  TwoRoots,  // a root a context and privilege
};

// An entry to be made.
struct Grant {
  HostPhysical machine{};
  Rights kernel{}, user{};
  Privilege asked = Privilege::Kernel;  // who needs it now, where one entry cannot serve both
  View view = View::Both;
  bool global = false;  // the machine's TLB may use it in all contexts
  bool device = false;  // not memory
  std::uint16_t attributes = 0;
  std::uint8_t tag = 0;  // blocks only
};

// For the TLB: entries of one of the machine's contexts (an ASID), or one of these.
inline constexpr std::uint32_t kGlobalEntries = 0xffffffff;
inline constexpr std::uint32_t kEveryContext = 0xfffffffe;

struct Root {
  HostPhysical table{};
  std::uint32_t context = 0;  // the machine's
  bool operator==(const Root&) const = default;
};

// How far a change of the guest's controls reaches.
enum class Change : std::uint8_t {
  Nothing,
  Context,  // what is not global is void
  All,      // everything is void
};

// A processor's tables: the guest's, which are walked, and the machine's, which are made. The
// machine's have two levels: a directory of kSlots entries, each a block of kSlotBytes or a table
// of kTableEntries pages. 0 is an entry that maps nothing.
template <class Format>
concept ShadowFormat =
    std::unsigned_integral<typename Format::Entry> &&
    std::derived_from<typename Format::Mapping, GuestMapping> &&
    requires(Format format, const Format& made, const typename Format::Controls& controls,
             typename Format::Mapping& mapping, typename Format::Entry entry, HostPhysical machine,
             const Grant& grant, std::uint8_t key,
             std::optional<typename Format::Entry> (&read)(GuestPhysical),
             void (&write)(GuestPhysical, typename Format::Entry)) {
      typename Format::Fault;
      requires Format::kSlots* std::uint64_t{Format::kSlotBytes} == std::uint64_t{1} << 32;
      requires Format::kTableEntries* kPageSize == Format::kSlotBytes;
      { Format::kWidestSpan } -> std::convertible_to<std::uint32_t>;     // of a guest's entry
      { Format::kWidestInTable } -> std::convertible_to<std::uint32_t>;  // if less than a slot
      { Format::kDirectoryBytes } -> std::convertible_to<std::uint32_t>;
      { Format::kMachineBits } -> std::convertible_to<unsigned>;    // of addresses in its entries
      { Format::kContexts } -> std::convertible_to<std::uint32_t>;  // that a guest can name
      { Format::kFirstContext } -> std::convertible_to<std::uint32_t>;  // of the machine's
      { Format::kTags } -> std::convertible_to<std::uint32_t>;          // 0: none
      { Format::kKeys } -> std::convertible_to<std::uint32_t>;
      { Format::kWithholdsExecute } -> std::convertible_to<bool>;  // entries can forbid it
      { Format::kMarksGuest } -> std::convertible_to<bool>;        // see mark

      { format.set(controls) } -> std::same_as<Change>;
      { made.context() } -> std::same_as<std::uint32_t>;
      // Fills in where an address leads, or says why it leads nowhere. Formats that do not mark
      // take a fourth argument: true ignores that the guest has closed a key.
      {
        made.walk(GuestVirtual{}, read, mapping)
      } -> std::same_as<std::optional<typename Format::Fault>>;
      { made.permission_fault(mapping) } -> std::same_as<typename Format::Fault>;
      // Before an allowed access is granted: sets accessed and dirty bits in the guest's tables,
      // and takes from `mapping` what must trap to set one later.
      made.mark(mapping, Access::Read, write);
      // Whether the guest opens pages of this key to accesses of `privilege`.
      { made.is_open(key) } -> std::same_as<bool>;
      // What decides that: the same number, the same keys.
      { made.opened_keys() } -> std::same_as<std::uint32_t>;

      { Format::leaf(grant) } -> std::same_as<typename Format::Entry>;   // 0: nothing to grant
      { Format::block(grant) } -> std::same_as<typename Format::Entry>;  // likewise
      { Format::table(machine, key) } -> std::same_as<typename Format::Entry>;
      { Format::is_table(entry) } -> std::same_as<bool>;
      { Format::tag(entry) } -> std::same_as<std::uint32_t>;  // of a directory entry
      { Format::table_of(entry) } -> std::same_as<HostPhysical>;
      { Format::page_of(entry) } -> std::same_as<HostPhysical>;
      { Format::block_of(entry) } -> std::same_as<HostPhysical>;
      { Format::root(machine) } -> std::same_as<HostPhysical>;  // what the processor is given
    };

// Memory and TLB. All tables of the machine lie in [pool, pool + bytes) given to the engine. The
// order of maintenance is the engine's business: see shadow_tables.hpp.
template <class Env>
concept ShadowEnvironment = requires(Env& env, GuestPhysical guest, HostPhysical machine,
                                     std::uint32_t number, GuestVirtual address) {
  // What is at `guest`; `bytes` of it need not look farther than `number`. `executable` is for the
  // guest's kernel on the page of `address` and those after it: asked only about memory that is to
  // be mapped there.
  { env.backing(guest, number, address) } -> std::same_as<Backing>;
  // The same for a page, if it is memory about which nothing needs to be looked up: most are.
  { env.page(guest, address) } -> std::same_as<std::optional<Backing>>;
  // The machine address of a guest table's word; none outside the partition's memory.
  { env.memory(guest) } -> std::same_as<std::optional<HostPhysical>>;
  // Numbers the partition's pages of memory from 0, those of a piece one after the other; others
  // get a number past the last.
  { env.frame(machine) } -> std::same_as<std::uint32_t>;

  { env.read(machine) } -> std::same_as<std::uint32_t>;
  env.write(machine, number);
  env.clear(machine, number);          // bytes
  env.copy(machine, machine, number);  // to, from, bytes

  env.clean(machine, number);  // entries written in so many bytes: out to where walks look
  env.barrier();               // what was written, cleaned and invalidated so far is done
  env.invalidate_page(address, number);  // in a context of the machine's
  env.invalidate_context(number);
  env.invalidate_all();
  // Whether the TLB may use entries of the slot of an address in all contexts: not where the
  // monitor has something else in its own.
  { env.may_be_global(address) } -> std::same_as<bool>;
};

}  // namespace mezzo::mem
