// A guest, a machine and a shadow engine between them, driven by random choices. After every step
// what the machine's walker would find is held against the guest's tables and the partition:
//   - every entry that user mode or the kernel can use allows no more than the guest's tables do,
//   or
//     did since the last maintenance of that address, and no more than the partition;
//   - nothing leads outside the partition, and the monitor's entries are untouched;
//   - the TLB may use nothing in all contexts where the monitor has something else in its own;
//   - an access that was let through works, and the others were refused for the right reason;
//   - maintenance was done in order (walked_tables.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "mem/shadow.hpp"
#include "support/shadow_guest.hpp"

namespace mezzo::test {

template <class Guest, Chooser Choose>
class ShadowWorld {
 public:
  using Machine = typename Guest::Machine;
  using Hardware = typename Guest::Hardware;
  using Engine = mem::Shadow<typename Guest::Format, Machine>;
  using Privilege = mem::Privilege;
  using Access = mem::Access;
  using Outcome = mem::Outcome;

  ShadowWorld(Choose& choose, mem::Separation separation, std::uint32_t pool_bytes)
      : choose_(choose),
        separation_(separation),
        machine(pool_bytes),
        shadow(machine, mem::HostPhysical{Machine::kPool}, pool_bytes,
               {.contexts = 3, .pages = Machine::kPages, .separation = separation},
               mem::GuestVirtual{Guest::kMonitor}, Guest::kMonitorEntries) {
    guest.prepare(machine);
    for (unsigned n = 0; n < 100; ++n) guest.scribble(machine, choose_);
    if (!Guest::kIsPatched) machine.make_executable();
    shadow.set_translation(guest.now);
    for (const std::uint32_t slot : Guest::kSlots) {
      constexpr std::uint32_t kLast = Hardware::kSlotBytes / mem::kPageSize - 1;
      for (const std::uint32_t page :
           {0u, 1u, 2u, 3u, 15u, 16u, 17u, 31u, 200u, kLast - 1, kLast}) {
        addresses_.push_back(slot + page * mem::kPageSize);
      }
    }
  }

  // What went wrong first; empty if nothing did.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  // How often an address has been checked that anybody may use as a process may.
  [[nodiscard]] unsigned users_slots_met() const { return users_slots_met_; }

  void step() {
    switch (choose_(32)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        change_tables();
        break;
      case 5:
        maintain(any_address());
        break;
      case 6:
      case 7:
        switch_context(choose_(Guest::kContexts));
        break;
      case 8:
        change_page();
        break;
      case 9:
        guest.change_access(choose_);
        shadow.set_translation(guest.now);
        break;
      case 10:
        if (choose_(16) == 0) change_format();
        break;
      default:
        access();
    }
    check();
    if (++steps_ % 32 == 0) check_everywhere(std::nullopt);
  }

 private:
  using Leaf = typename Hardware::Leaf;
  using Place = std::pair<std::uint32_t, std::uint32_t>;  // context and address

  void fail(const std::string& what, std::uint32_t at) {
    if (!problem_.empty()) return;
    char text[64];
    std::snprintf(text, sizeof text, " at %#x, step %u", at, steps_);
    problem_ = what + text;
  }
  std::uint32_t any_address() {
    return addresses_[choose_(static_cast<std::uint32_t>(addresses_.size()))];
  }
  RawWalk fetch(std::uint32_t context, std::uint32_t at) {
    return guest.fetch(machine, context, at);
  }
  [[nodiscard]] bool is_global(const RawWalk& walk, std::uint32_t at) const {
    const Reading reading = guest.interpret_opened(walk, at);
    return !reading.fault && reading.global;
  }

  // --- steps ---

  std::map<Place, RawWalk> snapshot() {
    std::map<Place, RawWalk> all;
    for (std::uint32_t context = 0; context < Guest::kContexts; ++context) {
      for (const std::uint32_t at : addresses_) all[{context, at}] = fetch(context, at);
    }
    return all;
  }
  // What the tables said before may be in a TLB until it is invalidated.
  std::vector<Place> remember(const std::map<Place, RawWalk>& before) {
    std::vector<Place> changed;
    for (const auto& [place, walk] : before) {
      if (fetch(place.first, place.second) == walk) continue;
      stale_[place].push_back(walk);
      changed.push_back(place);
    }
    return changed;
  }
  void change_tables() {
    const auto before = snapshot();
    guest.scribble(machine, choose_);
    const std::vector<Place> changed = remember(before);
    const std::uint32_t how = choose_(16);
    if (how < 2) return;  // later
    if (how == 2) return invalidate_all();
    if (how == 3) {
      for (std::uint32_t context = 0; context < Guest::kContexts; ++context) {
        invalidate_context(context);
      }
      return;
    }
    // One address of each entry that is gone will do, in one context if it is global.
    const auto count = static_cast<std::uint32_t>(changed.size());
    const std::uint32_t first = count == 0 ? 0 : choose_(count);
    for (std::uint32_t n = 0; n < count; ++n) {
      const Place& place = changed[(first + n) % count];
      if (!stale_[place].empty()) invalidate_address(place.second, place.first);
    }
  }
  void maintain(std::uint32_t at) {
    switch (choose_(16)) {
      case 0:
        return invalidate_all();
      case 1:
        return invalidate_context(guest.context);
      case 2:
        return invalidate_address(at, std::nullopt);
      default:
        return invalidate_address(at, guest.context);
    }
  }
  void invalidate_all() {
    shadow.invalidate_all();
    stale_.clear();
  }
  void invalidate_context(std::uint32_t context) {
    shadow.invalidate_context(Guest::context_number(context));
    forget_stale([&](const Place& place, const RawWalk& walk) {
      return (place.first == context || !Guest::kHasContexts) && !is_global(walk, place.second);
    });
  }
  void invalidate_address(std::uint32_t at, std::optional<std::uint32_t> context) {
    std::optional<std::uint32_t> number;
    if (context) number = Guest::context_number(*context);
    shadow.invalidate_address(mem::GuestVirtual{at}, number);
    if (choose_(2) == 0) shadow.preload(mem::GuestVirtual{at}, number);
    forget_stale([&](const Place& place, const RawWalk& walk) {
      const Reading reading = guest.interpret_opened(walk, place.second);
      const std::uint32_t span = reading.fault ? mem::kPageSize : reading.span;
      if ((at ^ place.second) >= span) return false;
      return !context || place.first == *context || !Guest::kHasContexts ||
             is_global(walk, place.second);
    });
  }
  template <class Gone>
  void forget_stale(Gone gone) {
    for (auto& [place, walks] : stale_) {
      std::erase_if(walks, [&](const RawWalk& walk) { return gone(place, walk); });
    }
  }
  void switch_context(std::uint32_t context) {
    guest.use(context);
    shadow.set_translation(guest.now);
    if (Guest::kHasContexts) return;
    shadow.invalidate_context(0);  // the same root may have been loaded again
    forget_stale(
        [&](const Place& place, const RawWalk& walk) { return !is_global(walk, place.second); });
  }
  void change_format() {
    const auto before = snapshot();
    const bool all = guest.change_format(choose_);
    shadow.set_translation(guest.now);
    if (all) {
      stale_.clear();
    } else {
      remember(before);
    }
  }
  void change_page() {
    const auto page = Machine::translate(mem::GuestPhysical{any_of(choose_, kPagesWanted)});
    if (!page || machine.frame(*page) >= Machine::kPages) return;
    set_state(*page, choose_(2) == 0);
  }
  void set_state(mem::HostPhysical page, bool executable) {
    machine.state_of(page) = {.writable = !executable,
                              .executable = executable || !Guest::kIsPatched};
    shadow.forget_page(page);
    check_everywhere(page);
  }

  void access() {
    const auto kind = static_cast<Access>(choose_(3));
    const auto privilege = static_cast<Privilege>(choose_(2));
    std::uint32_t at = choose_(32) == 0 ? choose_(0x10000) << 16 : any_address();
    // Most of what comes to mind is forbidden, which is soon tested.
    for (unsigned n = choose_(16); n > 0 && !is_allowed(at, kind, privilege); --n) {
      at = any_address();
    }
    at += choose_(mem::kPageSize);
    const auto result = attempt(at, kind, privilege);
    if (result.outcome == Outcome::NeedsExecute && choose_(4) != 0) {
      set_state(result.machine, true);
      if (attempt(at, kind, privilege).outcome != Outcome::Filled) fail("no execution", at);
    }
    if (result.outcome == Outcome::WriteProtected && choose_(2) != 0 &&
        machine.frame(result.machine) < Machine::kPages) {
      set_state(result.machine, false);
      if (attempt(at, kind, privilege).outcome != Outcome::Filled) fail("no write", at);
    }
  }
  bool is_allowed(std::uint32_t at, Access access, Privilege privilege) {
    const Reading reading = guest.interpret(fetch(guest.context, at), at);
    const unsigned rights = privilege == Privilege::Kernel ? reading.kernel : reading.user;
    return !reading.fault && (rights >> static_cast<unsigned>(access) & 1) != 0;
  }
  typename Engine::MissResult attempt(std::uint32_t at, Access access, Privilege privilege) {
    const RawWalk walk = fetch(guest.context, at);
    const auto result = shadow.miss(mem::GuestVirtual{at}, access, privilege);
    if (at - Guest::kMonitor < 2 * Hardware::kSlotBytes) {
      if (result.outcome != Outcome::MonitorWindow) fail("not the monitor's", at);
      return result;
    }
    const Reading reading = guest.interpret(walk, at);
    if (reading.fault) {
      expect_fault(result, *reading.fault, at);
      return result;
    }
    const unsigned rights = privilege == Privilege::Kernel ? reading.kernel : reading.user;
    if ((rights >> static_cast<unsigned>(access) & 1) == 0) {
      expect_fault(result, Guest::permission_fault(walk), at);
      return result;
    }
    if (!guest.is_marked(fetch(guest.context, at), access == Access::Write)) {
      fail("not marked", at);
    }
    if (result.outcome != expected(reading, access, privilege)) fail("another outcome", at);
    if (result.physical.value() != reading.physical) fail("another address", at);
    if (result.outcome == Outcome::Filled) expect_access(result, at, access, privilege);
    return result;
  }
  void expect_fault(const typename Engine::MissResult& result, std::uint32_t number,
                    std::uint32_t at) {
    if (result.outcome != Outcome::GuestFault) return fail("no fault", at);
    if (Guest::fault_number(result.fault) != number) fail("another fault", at);
  }
  Outcome expected(const Reading& reading, Access access, Privilege privilege) {
    const mem::GuestPhysical where{reading.physical};
    if (Machine::within(where, Machine::kEmulated, Machine::kEmulatedBytes)) {
      return Outcome::Emulated;
    }
    const auto page = Machine::translate(where);
    if (!page) return Outcome::Nothing;
    const bool fetch = access == Access::Execute && Hardware::kWithholdsExecute;
    if (machine.frame(*page) >= Machine::kPages) return fetch ? Outcome::Nothing : Outcome::Filled;
    const auto state = machine.state_of(*page);
    if (access == Access::Write && !state.writable) return Outcome::WriteProtected;
    if (fetch && privilege == Privilege::Kernel && !state.executable) return Outcome::NeedsExecute;
    return Outcome::Filled;
  }
  // The machine lets the access through now.
  void expect_access(const typename Engine::MissResult& result, std::uint32_t at, Access access,
                     Privilege privilege) {
    const auto leaf = usable(at, privilege, result.through_user_view);
    const bool works =
        leaf && (access == Access::Read || (access == Access::Write ? leaf->write : leaf->execute));
    if (!works) fail("filled and yet refused", at);
  }

  // --- what must hold ---

  std::uint32_t directory(Privilege privilege) const {
    return Guest::directory(shadow.current(privilege));
  }
  // What the machine uses for an access of the guest.
  std::optional<Leaf> usable(std::uint32_t at, Privilege privilege, bool with_user) {
    const auto leaf = machine.tables.walk(directory(privilege), at);
    if (!leaf || !leaf->read) return std::nullopt;
    if (!leaf->user && (privilege == Privilege::User || separation_ == mem::Separation::TwoRoots)) {
      return std::nullopt;
    }
    if (!Hardware::opens(shadow.access_control(privilege, with_user), *leaf)) return std::nullopt;
    return leaf;
  }
  void check() {
    machine.tables.finish();
    if (!machine.tables.errors().empty()) fail(machine.tables.errors().front(), 0);
    for (const std::uint32_t at : addresses_) {
      if (const auto leaf = usable(at, Privilege::User, false)) check(*leaf, at, Privilege::User);
      // What the kernel reaches by its user mode's entries has that mode's rights.
      if (const auto leaf = usable(at, Privilege::Kernel, false)) {
        check(*leaf, at, Privilege::Kernel);
      } else if (const auto users = usable(at, Privilege::Kernel, true)) {
        check(*users, at, Privilege::User);
      }
      check_users_slot(at);
    }
  }
  // What everybody reaches below users_slots() has the user mode's rights.
  void check_users_slot(std::uint32_t at) {
    if (Guest::Format::kTags == 0 || separation_ != mem::Separation::OneRoot) return;
    if (at / Hardware::kSlotBytes >= shadow.users_slots()) return;
    if (const auto leaf = usable(at, Privilege::Kernel, true)) check(*leaf, at, Privilege::User);
    ++users_slots_met_;
  }
  void check(const Leaf& leaf, std::uint32_t at, Privilege privilege) {
    const std::uint64_t machine_page = leaf.machine + (leaf.block ? at % Hardware::kSlotBytes : 0);
    if (allows(fetch(guest.context, at), at, leaf, machine_page, privilege)) return;
    const auto stale = stale_.find({guest.context, at});
    if (stale != stale_.end()) {
      for (const RawWalk& walk : stale->second) {
        if (allows(walk, at, leaf, machine_page, privilege)) return;
      }
    }
    // What another context has as global counts here, too.
    for (std::uint32_t context = 0; context < Guest::kContexts; ++context) {
      const RawWalk walk = fetch(context, at);
      if (is_global(walk, at) && allows(walk, at, leaf, machine_page, privilege)) return;
      const auto others = stale_.find({context, at});
      if (others == stale_.end()) continue;
      for (const RawWalk& old : others->second) {
        if (is_global(old, at) && allows(old, at, leaf, machine_page, privilege)) return;
      }
    }
    fail(privilege == Privilege::User ? "user mode may do too much" : "the kernel may do too much",
         at);
  }
  bool allows(const RawWalk& walk, std::uint32_t at, const Leaf& leaf, std::uint64_t page,
              Privilege privilege) {
    const Reading reading = guest.interpret(walk, at);
    if (reading.fault) return false;
    const auto where = Machine::translate(mem::GuestPhysical{reading.physical});
    if (!where || where->value() != page) return false;
    if (leaf.global && !reading.global) return false;
    const bool memory = machine.frame(*where) < Machine::kPages;
    const auto state = memory ? machine.state_of(*where) : typename Machine::PageState{};
    unsigned rights = privilege == Privilege::Kernel ? reading.kernel_cached : reading.user_cached;
    if (!state.writable) rights &= ~2u;
    const bool executable = state.executable || (memory && privilege == Privilege::User);
    if (!executable && Hardware::kWithholdsExecute) rights &= ~4u;
    const unsigned has = 1u | (leaf.write ? 2 : 0) | (leaf.execute ? 4 : 0);
    return (has & ~rights & (Hardware::kWithholdsExecute ? 7u : 3u)) == 0;
  }
  // All entries of all roots: inside the partition, and none of `gone`.
  void check_everywhere(std::optional<mem::HostPhysical> gone) {
    for (const std::uint32_t root : machine.tables.roots()) {
      for (std::uint32_t n = 0; n < 2; ++n) {
        const std::uint32_t at = Guest::kMonitor + n * Hardware::kSlotBytes;
        if (machine.tables.directory_entry(root, at) != Guest::kMonitorEntries[n]) {
          fail("the monitor's entry is gone", at);
        }
      }
      machine.tables.for_each_mapping(root, [&](std::uint32_t at, const Leaf& leaf) {
        const std::uint32_t size = leaf.block ? Hardware::kSlotBytes : mem::kPageSize;
        const bool device = leaf.machine - Machine::kDeviceMachine < Machine::kDeviceBytes;
        const mem::HostPhysical last{leaf.machine + size - mem::kPageSize};
        const bool inside =
            device ? !leaf.block
                   : machine.frame(mem::HostPhysical{leaf.machine}) < Machine::kPages &&
                         machine.frame(last) < Machine::kPages;
        if (!inside) fail("outside the partition", at);
        if (leaf.global && !machine.may_be_global(mem::GuestVirtual{at})) {
          fail("global where the monitor reaches", at);
        }
        if (gone && gone->value() - leaf.machine < size) fail("not forgotten", at);
      });
    }
  }

  Choose& choose_;
  mem::Separation separation_;
  std::vector<std::uint32_t> addresses_;
  std::map<Place, std::vector<RawWalk>> stale_;
  unsigned steps_ = 0;
  unsigned users_slots_met_ = 0;
  std::string problem_;

 public:
  Machine machine;
  Guest guest;
  Engine shadow;
};

}  // namespace mezzo::test
