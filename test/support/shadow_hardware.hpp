// How processors read the tables that the shadow engine makes, by the manuals' bit numbers; shares
// no code with the formats under test.
#pragma once

#include <cstdint>

namespace mezzo::test {

template <class Word>
constexpr std::uint64_t bits(Word word, unsigned high, unsigned low) {
  return std::uint64_t{word} >> low & ((std::uint64_t{2} << (high - low)) - 1);
}
template <class Word>
constexpr bool bit(Word word, unsigned number) {
  return bits(word, number, number) != 0;
}

// Arm DDI 0406C, B3.5.1, with SCTLR.AFE = TRE = 0, at PL0.
struct ArmHardware {
  using Entry = std::uint32_t;
  static constexpr std::uint32_t kSlots = 4096, kSlotBytes = 1u << 20;
  static constexpr std::uint32_t kDirectoryBytes = 0x4000;
  static constexpr std::uint32_t kFirstContext = 2;
  static constexpr bool kWithholdsExecute = true;

  struct Leaf {
    std::uint64_t machine = 0;
    bool read = false, write = false, execute = false, user = true;
    bool global = false, block = false;
    std::uint32_t tag = 0;         // domain
    std::uint32_t attributes = 0;  // TEX, C, B, S
    bool operator==(const Leaf&) const = default;
  };

  static bool is_valid(Entry entry) { return bits(entry, 1, 0) != 0; }
  static bool is_table(Entry entry) { return bits(entry, 1, 0) == 1; }
  static std::uint32_t table(Entry entry) { return static_cast<std::uint32_t>(entry & ~0x3ffu); }
  static Leaf block(Entry entry) {
    Leaf leaf = at_pl0(bits(entry, 15, 15) << 2 | bits(entry, 11, 10), bit(entry, 4));
    leaf.machine = bits(entry, 31, 20) << 20;
    leaf.global = !bit(entry, 17);
    leaf.block = true;
    leaf.tag = static_cast<std::uint32_t>(bits(entry, 8, 5));
    leaf.attributes = attributes(bits(entry, 14, 12), entry, bit(entry, 16));
    return leaf;
  }
  static Leaf leaf(Entry directory, Entry entry) {
    Leaf leaf = at_pl0(bits(entry, 9, 9) << 2 | bits(entry, 5, 4), bit(entry, 0));
    leaf.machine = bits(entry, 31, 12) << 12;
    leaf.global = !bit(entry, 11);
    leaf.tag = static_cast<std::uint32_t>(bits(directory, 8, 5));
    leaf.attributes = attributes(bits(entry, 8, 6), entry, bit(entry, 10));
    return leaf;
  }
  // Whether the register of domains lets the access through to the entry's own rights.
  static bool opens(std::uint32_t domains, const Leaf& leaf) {
    return bits(domains, 2 * leaf.tag + 1, 2 * leaf.tag) == 1;
  }

 private:
  static Leaf at_pl0(std::uint64_t ap, bool never_execute) {
    Leaf leaf;
    leaf.read = ap == 2 || ap == 3 || ap == 6 || ap == 7;
    leaf.write = ap == 3;
    leaf.execute = leaf.read && !never_execute;
    return leaf;
  }
  static std::uint32_t attributes(std::uint64_t tex, Entry entry, bool shared) {
    return static_cast<std::uint32_t>(tex << 3 | bits(entry, 3, 2) << 1 | (shared ? 1 : 0));
  }
};

// Intel SDM volume 3, 4.3 and 4.4, with CR0.WP = 1. The guest's user mode is ring 3; its kernel is
// supervisor, or ring 3 too with two roots.
template <class Word>
struct Ia32Hardware {
  using Entry = Word;
  static constexpr bool kPae = sizeof(Word) == 8;
  static constexpr std::uint32_t kSlots = kPae ? 2048 : 1024;
  static constexpr std::uint32_t kSlotBytes = kPae ? 2u << 20 : 4u << 20;
  static constexpr std::uint32_t kDirectoryBytes = kPae ? 0x5000 : 0x1000;
  static constexpr std::uint32_t kFirstContext = 0;
  static constexpr bool kWithholdsExecute = kPae;

  struct Leaf {
    std::uint64_t machine = 0;
    bool read = true, write = false, execute = false, user = false;
    bool global = false, block = false;
    std::uint32_t attributes = 0;  // PCD, PWT
    bool operator==(const Leaf&) const = default;
  };

  static bool is_valid(Entry entry) { return bit(entry, 0); }
  static bool is_table(Entry entry) { return !bit(entry, 7); }
  static std::uint32_t table(Entry entry) { return static_cast<std::uint32_t>(entry & ~0xfffu); }
  static Leaf block(Entry entry) {
    Leaf leaf = of(entry, entry);
    leaf.machine =
        kPae ? bits(entry, 51, 21) << 21 : bits(entry, 31, 22) << 22 | bits(entry, 20, 13) << 32;
    leaf.block = true;
    return leaf;
  }
  static Leaf leaf(Entry directory, Entry entry) {
    Leaf leaf = of(directory, entry);
    leaf.machine = kPae ? bits(entry, 51, 12) << 12 : bits(entry, 31, 12) << 12;
    return leaf;
  }
  static bool opens(std::uint32_t, const Leaf&) { return true; }

 private:
  static Leaf of(Entry directory, Entry entry) {
    Leaf leaf;
    leaf.write = bit(directory, 1) && bit(entry, 1);
    leaf.user = bit(directory, 2) && bit(entry, 2);
    if constexpr (kPae) {
      leaf.execute = !bit(directory, 63) && !bit(entry, 63);
    } else {
      leaf.execute = true;
    }
    leaf.global = bit(entry, 8);
    leaf.attributes = static_cast<std::uint32_t>(bits(entry, 4, 3));
    return leaf;
  }
};

}  // namespace mezzo::test
