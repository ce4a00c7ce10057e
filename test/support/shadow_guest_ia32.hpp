// An IA-32 guest for tests of the shadow engine; see shadow_guest.hpp.
#pragma once

#include "support/shadow_guest.hpp"

namespace mezzo::test {

// Two levels with 32-bit entries, or PAE with 64-bit ones.
template <class Word>
class Ia32Guest {
 public:
  using Hardware = Ia32Hardware<Word>;
  using Format = mem::Ia32Shadow<std::conditional_t<sizeof(Word) == 8, mem::Ia32Pae, mem::Ia32>>;
  using Machine = ShadowMachine<Hardware>;

  static constexpr bool kPae = sizeof(Word) == 8;
  static constexpr unsigned kLevels = kPae ? 3 : 2;
  static constexpr std::uint32_t kContexts = 3;
  static constexpr bool kHasContexts = false;
  static constexpr bool kIsPatched = false;
  static constexpr std::uint32_t kMonitor = 0xf0000000;
  static constexpr Word kMonitorEntries[] = {0xa0000063, 0xa0001063};
  static constexpr std::uint32_t kSlots[] = {
      0,          0x00200000, 0x00400000, 0x08000000, 0x40000000, 0x40400000,       0x7fc00000,
      0xc0000000, 0xc0400000, 0xc0800000, 0xfec00000, 0xffc00000, Machine::kMachine};

  Ia32Guest() {
    now.paging = now.write_protect = now.global_pages = true;
    use(0);
  }

  typename Format::Controls now;
  std::uint32_t context = 0;

  void use(std::uint32_t number) {
    context = number;
    now.root = mem::GuestPhysical{root(number)};
  }
  static std::uint32_t context_number(std::uint32_t) { return 0; }
  static std::uint32_t fault_number(const mem::Ia32Fault& fault) {
    return static_cast<std::uint32_t>(fault.kind) << 4 | fault.level;
  }
  static std::uint32_t directory(mem::Root root) {
    return static_cast<std::uint32_t>(root.table.value()) - (kPae ? 0x4000 : 0);
  }

  RawWalk fetch(Machine& machine, std::uint32_t number, std::uint32_t at) const {
    RawWalk walk;
    if (!now.paging) return walk;
    std::uint64_t table = root(number);
    for (unsigned level = kLevels; level > 0; --level) {
      const auto entry = read(machine, table + index(at, level) * sizeof(Word));
      if (!entry) {
        walk.unreadable = true;
        return walk;
      }
      walk.entry[walk.count++] = *entry;
      if (!bit(*entry, 0) || is_large(*entry, level) || is_reserved(*entry, level)) return walk;
      table = bits(*entry, kPae ? 51 : 31, 12) << 12;
    }
    return walk;
  }
  [[nodiscard]] Reading interpret(const RawWalk& walk, std::uint32_t at) const {
    if (!now.paging) {
      return {.fault = {},
              .physical = at,
              .span = Hardware::kSlotBytes,
              .kernel = 7,
              .user = 7,
              .kernel_cached = 7,
              .user_cached = 7};
    }
    const unsigned level = kLevels + 1 - walk.count;
    if (walk.unreadable) return fault(3, level - 1);
    const std::uint64_t last = walk.entry[walk.count - 1];
    if (!bit(last, 0)) return fault(0, level);
    if (is_reserved(last, level)) return fault(2, level);
    bool writable = true, user = true, executable = true, accessed = true;
    for (unsigned n = 0; n < walk.count; ++n) {
      if (kPae && n == 0) continue;
      writable = writable && bit(walk.entry[n], 1);
      user = user && bit(walk.entry[n], 2);
      accessed = accessed && bit(walk.entry[n], 5);
      if (kPae) executable = executable && !bit(walk.entry[n], 63);
    }
    Reading reading;
    reading.span = level == 1 ? 0x1000 : Hardware::kSlotBytes;
    reading.physical = level == 1 ? bits(last, kPae ? 51 : 31, 12) << 12 | bits(at, 11, 0)
                       : kPae
                           ? bits(last, 51, 21) << 21 | bits(at, 20, 0)
                           : bits(last, 20, 13) << 32 | bits(last, 31, 22) << 22 | bits(at, 21, 0);
    reading.global = now.global_pages && bit(last, 8);
    const unsigned rest = executable ? 5 : 1;
    reading.kernel = rest | (writable || !now.write_protect ? 2 : 0);
    reading.user = user ? rest | (writable ? 2 : 0) : 0;
    const unsigned cached = !accessed ? 0 : bit(last, 6) ? 7 : 5;
    reading.kernel_cached = reading.kernel & cached;
    reading.user_cached = reading.user & cached;
    return reading;
  }
  [[nodiscard]] Reading interpret_opened(const RawWalk& walk, std::uint32_t at) const {
    return interpret(walk, at);
  }
  static std::uint32_t permission_fault(const RawWalk& walk) {
    return 1u << 4 | (kLevels + 1 - walk.count);
  }
  // Whether a walk has the marks that an access leaves.
  [[nodiscard]] bool is_marked(const RawWalk& walk, bool written) const {
    for (unsigned n = kPae ? 1 : 0; n < walk.count; ++n) {
      if (!bit(walk.entry[n], 5)) return false;
    }
    return walk.count == 0 || !written || bit(walk.entry[walk.count - 1], 6);
  }

  void scribble(Machine& machine, Chooser auto& choose) {
    const std::uint32_t at = any_of(choose, kSlots);
    const bool everywhere = at >= 0xc0000000 ? choose(8) != 0 : choose(8) == 0;
    const std::uint32_t what = choose(8);
    if (what == 0 && kPae && choose(4) == 0) {
      const Word entry = choose(4) == 0 ? any_bits(choose, 0xffffffff) : directory_entry(at);
      put(machine, root(context) + index(at, 3) * 8, entry);
    } else if (what < 3) {
      const Word entry = any_upper(choose);
      for (std::uint32_t n = 0; n < kContexts; ++n) {
        if (everywhere || n == context) {
          put(machine, directory_of(n, at) + index(at, 2) * sizeof(Word), entry);
        }
      }
    } else {
      const std::uint32_t last = Hardware::kSlotBytes / 4096 - 1;
      const std::uint32_t n = any_of(choose, {0, 1, 2, 3, 15, 16, 17, 31, 200, last - 1, last});
      put(machine, table(choose(kTables)) + n * sizeof(Word), any_leaf(choose));
    }
  }
  void change_access(Chooser auto&) {}
  bool change_format(Chooser auto& choose) {
    switch (choose(3)) {
      case 0:
        now.paging = !now.paging;
        return true;
      case 1:
        now.write_protect = !now.write_protect;
        return true;
      default:
        now.global_pages = !now.global_pages;
        return true;
    }
  }
  // A guest comes with directories that are there.
  void prepare(Machine& machine) {
    if constexpr (kPae) {
      for (std::uint32_t n = 0; n < kContexts; ++n) {
        for (std::uint32_t i = 0; i < 4; ++i) {
          put(machine, root(n) + i * 8, directory_of(n, i << 30) | 1);
        }
      }
    }
  }

 private:
  static constexpr std::uint32_t kTables = 6;

  static std::uint32_t root(std::uint32_t number) {
    return Machine::kGuest + (kPae ? 0x8000 + number * 0x20 : 0x10000 + number * 0x4000);
  }
  static std::uint32_t directory_of(std::uint32_t number, std::uint32_t at) {
    return Machine::kGuest + 0x10000 + number * 0x4000 + (kPae ? (at >> 30) * 0x1000 : 0);
  }
  [[nodiscard]] Word directory_entry(std::uint32_t at) const {
    return directory_of(context, at) | 1;
  }
  static std::uint32_t table(std::uint32_t number) {
    return Machine::kGuest + 0x40000 + number * 0x1000;
  }
  static std::uint32_t index(std::uint32_t at, unsigned level) {
    if constexpr (kPae) {
      return static_cast<std::uint32_t>(level == 3   ? bits(at, 31, 30)
                                        : level == 2 ? bits(at, 29, 21)
                                                     : bits(at, 20, 12));
    } else {
      return static_cast<std::uint32_t>(level == 2 ? bits(at, 31, 22) : bits(at, 21, 12));
    }
  }
  static bool is_large(std::uint64_t entry, unsigned level) { return level == 2 && bit(entry, 7); }
  // SDM volume 3, tables 4-4 to 4-11, with 40 and 52 physical address bits.
  static bool is_reserved(std::uint64_t entry, unsigned level) {
    if (!bit(entry, 0)) return false;
    if (!kPae) return is_large(entry, level) && bit(entry, 21);
    if (bits(entry, 62, 52) != 0) return true;
    if (level == 3) return bit(entry, 63) || bits(entry, 2, 1) != 0 || bits(entry, 8, 5) != 0;
    return is_large(entry, level) && bits(entry, 20, 13) != 0;
  }
  static std::optional<std::uint64_t> read(Machine& machine, std::uint64_t at) {
    const mem::GuestPhysical where{at};
    if (!Machine::translate(where) || Machine::within(where, Machine::kDevice, 0x4000)) return {};
    std::uint64_t entry = machine.get(where);
    if (kPae) entry |= std::uint64_t{machine.get(where + 4)} << 32;
    return entry;
  }
  static void put(Machine& machine, std::uint64_t at, Word entry) {
    machine.put(mem::GuestPhysical{at}, static_cast<std::uint32_t>(entry));
    if constexpr (kPae) {
      machine.put(mem::GuestPhysical{at + 4}, static_cast<std::uint32_t>(entry >> 32));
    }
  }
  static Reading fault(std::uint32_t kind, unsigned level) { return {.fault = kind << 4 | level}; }

  static Word no_execute(Chooser auto& choose) {
    return kPae ? static_cast<Word>(std::uint64_t{choose(2)} << 63) : Word{0};
  }
  static Word any_upper(Chooser auto& choose) {
    const Word bits_below = any_bits(choose, 0x17e) | (choose(8) != 0 ? 1u : 0u);
    switch (choose(6)) {
      case 0:
        return any_bits(choose, 0xfffffffe);
      case 1: {
        const std::uint32_t where =
            any_of(choose, {Machine::kGuest, Machine::kGuest + 0x400000, 0x70000000,
                            Machine::kDevice, 0x40000000, Machine::kPool, 0x70002000});
        return Word{where} | bits_below | 0x80 | no_execute(choose);
      }
      case 2:
        return Word{any_of(choose, {0x12300000, Machine::kDevice, 0x70100000})} |
               (bits_below & ~Word{0x80});
      default:
        return Word{table(choose(kTables))} | (bits_below & ~Word{0x80}) | 6 | no_execute(choose);
    }
  }
  static Word any_leaf(Chooser auto& choose) {
    if (choose(8) == 0) return any_bits(choose, 0xfffffffe);
    Word entry = Word{any_page(choose)} | any_bits(choose, 0xffe) | 1;
    if (kPae) entry |= no_execute(choose);
    if (kPae && choose(16) == 0) entry |= static_cast<Word>(std::uint64_t{1} << 36);
    return entry;
  }
};

}  // namespace mezzo::test
