// The short-descriptor format: memory attributes with and without remap, rights in the machine's
// entries, which table serves an address, and fault status, by the manual's tables.
#include <gtest/gtest.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <ostream>
#include <random>
#include <unordered_map>

#include "arch/armv7/short_descriptor.hpp"
#include "support/shadow_hardware.hpp"

namespace mezzo::armv7 {
namespace {

using mem::GuestPhysical;
using mem::GuestVirtual;
using mem::HostPhysical;
using mem::Privilege;
using mem::View;
using test::ArmHardware;
using test::bit;
using test::bits;
using Kind = ShortFault::Kind;

// Words at guest-physical addresses; others cannot be read.
using Memory = std::unordered_map<std::uint64_t, std::uint32_t>;

std::expected<ShortDescriptor::Mapping, ShortFault> walk(const ShortDescriptor& format,
                                                         const Memory& memory, std::uint32_t at) {
  const auto read = [&](GuestPhysical where) -> std::optional<std::uint32_t> {
    const auto found = memory.find(where.value());
    if (found == memory.end()) return std::nullopt;
    return found->second;
  };
  ShortDescriptor::Mapping mapping;
  if (const auto fault = format.walk(GuestVirtual{at}, read, mapping)) {
    return std::unexpected(*fault);
  }
  return mapping;
}

// What memory is like to the processor [A3.5].
struct Kindness {
  enum class Type : std::uint8_t { StronglyOrdered, Device, Normal } type = Type::StronglyOrdered;
  bool shared = true;
  std::uint64_t inner = 0, outer = 0;  // 0: not cached; 1, 2, 3: write-back/through as in B3-11
  bool operator==(const Kindness&) const = default;
  friend void PrintTo(const Kindness& kindness, std::ostream* out) {
    *out << static_cast<int>(kindness.type) << (kindness.shared ? " shared " : " ")
         << kindness.inner << ' ' << kindness.outer;
  }
};
using Type = Kindness::Type;

// Table B3-10; nothing where it says reserved or implementation defined.
std::optional<Kindness> without_remap(std::uint64_t tex, bool c, bool b, bool s) {
  if (bit(tex, 2)) return Kindness{Type::Normal, s, (c ? 2u : 0u) | (b ? 1u : 0u), bits(tex, 1, 0)};
  switch (tex << 2 | (c ? 2 : 0) | (b ? 1 : 0)) {
    case 0b00000:
      return Kindness{};
    case 0b00001:
      return Kindness{.type = Type::Device};
    case 0b00010:
      return Kindness{Type::Normal, s, 2, 2};
    case 0b00011:
      return Kindness{Type::Normal, s, 3, 3};
    case 0b00100:
      return Kindness{Type::Normal, s, 0, 0};
    case 0b00111:
      return Kindness{Type::Normal, s, 1, 1};
    case 0b01000:
      return Kindness{.type = Type::Device, .shared = false};
    default:
      return std::nullopt;
  }
}
// B3.8.3, tables B3-12 and B4-4, B4-12 (PRRR, NMRR).
Kindness with_remap(std::uint32_t prrr, std::uint32_t nmrr, std::uint64_t n, bool s) {
  const auto at = static_cast<unsigned>(2 * n);
  switch (bits(prrr, at + 1, at)) {
    case 1:
      return {.type = Type::Device, .shared = bit(prrr, s ? 17 : 16)};
    case 2:
      return {Type::Normal, bit(prrr, s ? 19 : 18), bits(nmrr, at + 1, at),
              bits(nmrr, at + 17, at + 16)};
    default:
      return {};
  }
}

mem::Grant grant(std::uint16_t attributes) {
  return {.machine = HostPhysical{0x12300000},
          .kernel = mem::Rights{7},
          .user = mem::Rights{},
          .view = View::Kernel,
          .attributes = attributes};
}
std::optional<Kindness> of_machine(const ArmHardware::Leaf& leaf) {
  return without_remap(leaf.attributes >> 3, bit(leaf.attributes, 2), bit(leaf.attributes, 1),
                       bit(leaf.attributes, 0));
}

// All combinations of TEX, C, B and S in small and large pages and in sections.
template <class Expected>
void check_attributes(const ShortDescriptor::Controls& controls, Expected expected) {
  ShortDescriptor format;
  ASSERT_EQ(format.set(controls), mem::Change::All);
  for (std::uint32_t n = 0; n < 64; ++n) {
    const std::uint32_t tex = n >> 3, c = n >> 2 & 1, b = n >> 1 & 1, s = n & 1;
    const std::uint32_t cached = c << 3 | b << 2;
    Memory memory;
    memory[0] = 0x60000000 | 1u << 10 | 2 | tex << 12 | cached | s << 16;
    memory[4] = 0x1000 | 1;
    memory[0x1000] = 0x60000000 | 1u << 4 | 2 | tex << 6 | cached | s << 10;
    memory[0x1040] = 0x60000000 | 1u << 4 | 1 | tex << 12 | cached | s << 10;
    for (const std::uint32_t at : {0u, 0x100000u, 0x110000u}) {
      const auto mapping = walk(format, memory, at);
      ASSERT_TRUE(mapping);
      const std::optional<Kindness> wanted = expected(tex, c != 0, b != 0, s != 0);
      const auto leaf = ArmHardware::leaf(0x1e1, ShortDescriptor::leaf(grant(mapping->attributes)));
      const auto block = ArmHardware::block(ShortDescriptor::block(grant(mapping->attributes)));
      EXPECT_EQ(of_machine(leaf), wanted.value_or(Kindness{})) << n << " at " << at;
      EXPECT_EQ(of_machine(block), wanted.value_or(Kindness{})) << n << " at " << at;
    }
  }
}

TEST(ShortDescriptor, AttributesWithoutRemap) {
  check_attributes({.sctlr = 1, .dacr = 1}, without_remap);
}

TEST(ShortDescriptor, AttributesWithRemap) {
  std::mt19937 random(1);
  for (int n = 0; n < 20; ++n) {
    // First what Linux uses.
    const auto prrr = n == 0 ? 0xff0a81a8u : static_cast<std::uint32_t>(random());
    const auto nmrr = n == 0 ? 0x40e040e0u : static_cast<std::uint32_t>(random());
    check_attributes({.sctlr = 1u | 1u << 28, .dacr = 1, .prrr = prrr, .nmrr = nmrr},
                     [&](std::uint32_t tex, bool c, bool b, bool s) -> std::optional<Kindness> {
                       return with_remap(prrr, nmrr, (tex & 1) << 2 | (c ? 2u : 0u) | (b ? 1u : 0u),
                                         s);
                     });
  }
}

TEST(ShortDescriptor, TranslationOffIsMemoryOrDevice) {
  ShortDescriptor format;
  const auto mapping = walk(format, {}, 0x60123456);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->physical, GuestPhysical{0x60123456});
  EXPECT_EQ(mapping->kernel.bits & mapping->user.bits, 7);
  mem::Grant made = grant(mapping->attributes);
  EXPECT_EQ(of_machine(ArmHardware::block(ShortDescriptor::block(made))),
            (Kindness{Type::Normal, false, 0, 0}));
  made.device = true;
  EXPECT_EQ(of_machine(ArmHardware::block(ShortDescriptor::block(made))), Kindness{});
}

TEST(ShortDescriptor, RightsInTheMachinesEntries) {
  for (const View view : {View::Kernel, View::User}) {
    for (unsigned kernel = 0; kernel < 8; ++kernel) {
      for (unsigned user = 0; user < 8; ++user) {
        mem::Grant made = grant(0);
        made.kernel.bits = static_cast<std::uint8_t>(kernel);
        made.user.bits = static_cast<std::uint8_t>(user);
        made.view = view;
        made.tag = 5;
        made.global = kernel == 3;
        const unsigned rights = view == View::User ? user : kernel;
        const std::uint32_t leaf = ShortDescriptor::leaf(made);
        const std::uint32_t block = ShortDescriptor::block(made);
        if ((rights & 1) == 0) {
          EXPECT_EQ(leaf | block, 0u);
          continue;
        }
        for (const auto& seen : {ArmHardware::leaf(5u << 5, leaf), ArmHardware::block(block)}) {
          EXPECT_TRUE(seen.read);
          EXPECT_EQ(seen.write, (rights & 2) != 0);
          EXPECT_EQ(seen.execute, (rights & 4) != 0);
          EXPECT_EQ(seen.global, kernel == 3);
          EXPECT_EQ(seen.tag, 5u);
        }
      }
    }
  }
}

TEST(ShortDescriptor, TheMonitorsEntriesAreNotForPl0) {
  const std::uint32_t section =
      ShortDescriptor::monitor_section(HostPhysical{0x9ff00000}, 0b001'00'11'00, true);
  const auto leaf = ArmHardware::block(section);
  EXPECT_FALSE(leaf.read);
  EXPECT_FALSE(leaf.global) << "a guest has something else there";
  EXPECT_EQ(leaf.machine, 0x9ff00000u);
  EXPECT_EQ(leaf.tag, 15u);
  EXPECT_EQ(ShortDescriptor::monitor_table(HostPhysical{0x9ff00400}), 0x9ff005e1u);
}

TEST(ShortDescriptor, WhichTableServesAnAddress) {
  for (std::uint32_t n = 0; n < 8; ++n) {
    ShortDescriptor format;
    // Bits of TTBR0 below the table are attributes.
    const std::uint32_t low_table = 0x60000000 | 1u << (14 - n);
    format.set({.sctlr = 1, .ttbcr = n, .ttbr0 = low_table | 0x3f, .ttbr1 = 0x6100406a, .dacr = 1});
    const std::uint32_t border = n == 0 ? 0 : 1u << (32 - n);
    Memory memory;
    memory[low_table + ((border - 1) >> 20) * 4] = 0x70000000 | 2 | 1u << 10;
    memory[0x61004000 + (border >> 20) * 4] = 0x80000000 | 2 | 1u << 10;
    EXPECT_EQ(walk(format, memory, border - 1).value().physical, GuestPhysical{0x700fffff}) << n;
    if (n != 0) EXPECT_EQ(walk(format, memory, border).value().physical, GuestPhysical{0x80000000});
    for (const bool low : {false, true}) {
      format.set({.sctlr = 1,
                  .ttbcr = n | (low ? 1u << 4 : 1u << 5),
                  .ttbr0 = low_table,
                  .ttbr1 = 0x61004000,
                  .dacr = 1});
      EXPECT_EQ(walk(format, memory, border - 1).has_value(), !low);
      if (n != 0) EXPECT_EQ(walk(format, memory, border).has_value(), low);
    }
  }
}

TEST(ShortDescriptor, SupersectionsHaveFortyBits) {
  ShortDescriptor format;
  format.set({.sctlr = 1, .dacr = 1});
  const Memory memory{{0x4 * 0xd05, 0x12300000u | 0xau << 5 | 1u << 18 | 1u << 10 | 2}};
  const auto mapping = walk(format, memory, 0xd0567890);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->physical, GuestPhysical{0xa312567890});
  EXPECT_EQ(mapping->span, 16u << 20);
  EXPECT_EQ(mapping->key, 0);  // always domain 0
}

// Table B3-23.
TEST(ShortDescriptor, FaultStatus) {
  const auto status = [](Kind kind, unsigned level) {
    return ShortFault{kind, static_cast<std::uint8_t>(level), 9}.status();
  };
  EXPECT_EQ(status(Kind::Translation, 1), 0b00101u);
  EXPECT_EQ(status(Kind::Translation, 2), 0b00111u);
  EXPECT_EQ(status(Kind::AccessFlag, 1), 0b00011u);
  EXPECT_EQ(status(Kind::AccessFlag, 2), 0b00110u);
  EXPECT_EQ(status(Kind::Domain, 1), 0b01001u);
  EXPECT_EQ(status(Kind::Domain, 2), 0b01011u);
  EXPECT_EQ(status(Kind::Permission, 1), 0b01101u);
  EXPECT_EQ(status(Kind::Permission, 2), 0b01111u);
  EXPECT_EQ(status(Kind::External, 1), 0b01100u);
  EXPECT_EQ(status(Kind::External, 2), 0b01110u);
  EXPECT_EQ((ShortFault{Kind::Domain, 2, 9}.data_status()), 0x9bu);
}

TEST(ShortDescriptor, OnlyWhatMattersForcesAFlush) {
  ShortDescriptor format;
  ShortDescriptor::Controls controls{.sctlr = 1, .ttbr0 = 0x4000, .dacr = 1, .contextidr = 0x105};
  EXPECT_EQ(format.set(controls), mem::Change::All);
  EXPECT_EQ(format.context(), 5u);
  EXPECT_EQ(format.set(controls), mem::Change::Nothing);
  controls.ttbr0 = 0x8000;
  controls.ttbr1 = 0x8000;
  controls.contextidr = 0x206;
  controls.sctlr |= 1u << 12;  // instruction cache
  EXPECT_EQ(format.set(controls), mem::Change::Nothing);
  controls.dacr = 5;
  EXPECT_EQ(format.set(controls), mem::Change::Nothing);
  controls.nmrr = 1;
  EXPECT_EQ(format.set(controls), mem::Change::All);
}

}  // namespace
}  // namespace mezzo::armv7
