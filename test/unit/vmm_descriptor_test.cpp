// Segment descriptors and gates: field accessors against the manual's layouts, and what the
// sanitisers let through. Known descriptors are those of Linux's boot GDT.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>

#include "arch/ia32/descriptor.hpp"

namespace mezzo::ia32 {
namespace {

constexpr Descriptor kLinuxKernelCode{0x0000ffff, 0x00cf9a00};
constexpr Descriptor kLinuxKernelData{0x0000ffff, 0x00cf9200};
constexpr Descriptor kLinuxUserCode{0x0000ffff, 0x00cffa00};
constexpr std::uint32_t kPresent = 1u << 15;

// The manual's layout, written down a second time and field by field.
struct Fields {
  std::uint32_t base, limit20;
  std::uint32_t type, s, dpl, p, avl, l, db, g;

  [[nodiscard]] Descriptor pack() const {
    return {(base & 0xffff) << 16 | (limit20 & 0xffff),
            (base >> 24) << 24 | g << 23 | db << 22 | l << 21 | avl << 20 | (limit20 >> 16) << 16 |
                p << 15 | dpl << 13 | s << 12 | type << 8 | ((base >> 16) & 0xff)};
  }
  [[nodiscard]] std::uint64_t last_offset() const {
    return g != 0 ? (std::uint64_t{limit20} + 1) * 4096 - 1 : limit20;
  }
};

Fields random_fields(std::mt19937& random) {
  return {.base = static_cast<std::uint32_t>(random()),
          .limit20 = static_cast<std::uint32_t>(random()) & 0xfffff,
          .type = static_cast<std::uint32_t>(random()) & 15,
          .s = static_cast<std::uint32_t>(random()) & 1,
          .dpl = static_cast<std::uint32_t>(random()) & 3,
          .p = static_cast<std::uint32_t>(random()) & 1,
          .avl = static_cast<std::uint32_t>(random()) & 1,
          .l = 0,
          .db = static_cast<std::uint32_t>(random()) & 1,
          .g = static_cast<std::uint32_t>(random()) & 1};
}

TEST(Descriptor, AccessorsFollowTheManual) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    const Fields fields = random_fields(random);
    const Descriptor descriptor = fields.pack();
    EXPECT_EQ(descriptor.base(), fields.base);
    EXPECT_EQ(descriptor.limit(), fields.last_offset());
    EXPECT_EQ(descriptor.type(), fields.type);
    EXPECT_EQ(descriptor.is_code_or_data(), fields.s == 1);
    EXPECT_EQ(descriptor.dpl(), fields.dpl);
    EXPECT_EQ(descriptor.present(), fields.p == 1);
    EXPECT_EQ(descriptor.is_default32(), fields.db == 1);
    EXPECT_EQ(descriptor.granular(), fields.g == 1);
    EXPECT_EQ(descriptor.wraps(), fields.base + fields.last_offset() > 0xffffffffull);
    EXPECT_EQ(descriptor.expands_down(), fields.s == 1 && (fields.type & 0b1100) == 0b0100);
    EXPECT_EQ(descriptor.conforming(), fields.s == 1 && (fields.type & 0b1100) == 0b1100);
  }
}

TEST(Descriptor, BuildersMakeWhatTheyAreAskedFor) {
  EXPECT_EQ(flat_code(0, 0xffffffff), (Descriptor{0x0000ffff, 0x00cf9b00}));
  EXPECT_EQ(flat_data(0, 0xffffffff), (Descriptor{0x0000ffff, 0x00cf9300}));
  EXPECT_EQ(flat_code(1, kLastGuestAddress), (Descriptor{0x0000fbff, 0x00cfbb00}));
  EXPECT_EQ(flat_data(3, 0x1234), (Descriptor{0x00001234, 0x0040f300}));
  EXPECT_EQ(tss(0xffe01234, 103), (Descriptor{0x12340067, 0xff0089e0}));
  EXPECT_EQ(ldt(0xc0001000, 0xffff), (Descriptor{0x1000ffff, 0xc0008200}));
}

TEST(Descriptor, LimitsFromOneMebibyteOnAreRoundedDownToPages) {
  for (const std::uint32_t limit : {0u, 1u, 0xfffu, 0x1000u, 0xfffffu}) {
    EXPECT_EQ(flat_data(0, limit).limit(), limit);
  }
  EXPECT_EQ(flat_data(0, 0x00100000).limit(), 0x000fffffu);
  EXPECT_EQ(flat_data(0, 0x00100fff).limit(), 0x00100fffu);
  EXPECT_EQ(flat_data(0, 0xffbffffe).limit(), 0xffbfefffu);
  EXPECT_EQ(flat_data(0, 0xffffffff).limit(), 0xffffffffu);
}

TEST(Deprivilege, FlatKernelSegmentsEndBelowTheWindowInRing1) {
  EXPECT_EQ(deprivilege(kLinuxKernelCode), flat_code(1, 0xffbfffff));
  EXPECT_EQ(deprivilege(kLinuxKernelData), flat_data(1, 0xffbfffff));
  EXPECT_EQ(deprivilege(kLinuxUserCode), flat_code(3, 0xffbfffff));
}

TEST(Deprivilege, NonPresentStaysSo) {
  const Descriptor absent{kLinuxKernelCode.low, kLinuxKernelCode.high & ~kPresent};
  EXPECT_FALSE(deprivilege(absent).present());
  EXPECT_EQ(deprivilege(absent).dpl(), 1);
  EXPECT_EQ(deprivilege({}), Descriptor{});
}

TEST(Deprivilege, WrappingSegmentsKeepTheirLimit) {
  const Fields per_cpu{.base = 0xe0000000,
                       .limit20 = 0xfffff,
                       .type = 2,
                       .s = 1,
                       .dpl = 0,
                       .p = 1,
                       .avl = 0,
                       .l = 0,
                       .db = 1,
                       .g = 1};
  const Descriptor result = deprivilege(per_cpu.pack());
  EXPECT_EQ(result.limit(), 0xffffffffu);
  EXPECT_EQ(result.base(), 0xe0000000u);
  EXPECT_EQ(result.dpl(), 1);
}

TEST(Deprivilege, SegmentsOfTheWindowBecomeNull) {
  const Fields inside{.base = 0xffc00000,
                      .limit20 = 0xfff,
                      .type = 2,
                      .s = 1,
                      .dpl = 0,
                      .p = 1,
                      .avl = 0,
                      .l = 0,
                      .db = 1,
                      .g = 0};
  EXPECT_EQ(deprivilege(inside.pack()), Descriptor{});
  Fields before = inside;
  before.base = 0xffbfffff;
  EXPECT_EQ(deprivilege(before.pack()).limit(), 0u);
  before.base = 0xffbff800;  // a limit that pages cannot express
  before.limit20 = 0x3ff;
  before.g = 1;
  EXPECT_EQ(deprivilege(before.pack()).limit(), 0x7ffu);
}

TEST(Deprivilege, GatesBecomeNullAndSystemSegmentsStay) {
  for (const std::uint32_t type : {0u, 4u, 5u, 6u, 7u, 8u, 10u, 12u, 13u, 14u, 15u}) {
    EXPECT_EQ(deprivilege({0x00601234, 0x00008000u | type << 8}), Descriptor{}) << type;
  }
  const Descriptor ldt{0x10000fff, 0x00008210};
  EXPECT_EQ(deprivilege(ldt), ldt);
  EXPECT_EQ(deprivilege(tss(0xc0001000, 0x206b)), tss(0xc0001000, 0x206b));
}

TEST(Deprivilege, NoTaskSwitchIsOpenToTheGuest) {
  EXPECT_EQ(deprivilege(tss(0xc0001000, 103).with_dpl(3)), tss(0xc0001000, 103));
}

// The property that all of the above serves, over descriptors of every kind.
TEST(Deprivilege, OnlyDocumentedSegmentsReachTheWindow) {
  std::mt19937 random(2);
  for (int i = 0; i < 200000; ++i) {
    Fields fields = random_fields(random);
    if (i % 3 == 0) fields.base &= 0x0000ffff;  // small bases and large limits are the common case
    if (i % 5 == 0) fields.limit20 |= 0xff000;
    const Descriptor guest = fields.pack();
    const Descriptor result = deprivilege(guest);
    if (result == Descriptor{}) continue;
    if (!result.is_code_or_data()) {
      EXPECT_TRUE(result.is(SystemType::Ldt) || result.dpl() == 0);
      continue;
    }
    EXPECT_GE(result.dpl(), 1);
    EXPECT_TRUE(result.accessed());
    EXPECT_EQ(result.base(), guest.base());
    EXPECT_EQ(result.type() | 1, guest.type() | 1);
    EXPECT_EQ(result.present(), guest.present());
    EXPECT_EQ(result.is_default32(), guest.is_default32());
    const std::uint64_t last = std::uint64_t{result.base()} + result.limit();
    if (guest.wraps() || guest.expands_down()) {
      EXPECT_EQ(result.limit(), guest.limit());
    } else {
      EXPECT_LE(last, kLastGuestAddress);
      EXPECT_LE(result.limit(), guest.limit());
      // Nothing is lost but what lies in the window, and less than a page at its edge.
      const std::uint64_t wanted = std::uint64_t{guest.base()} + guest.limit();
      EXPECT_LT(std::min<std::uint64_t>(wanted, kLastGuestAddress) - last, 4096u);
    }
  }
}

TEST(Deprivilege, IsIdempotent) {
  std::mt19937 random(3);
  for (int i = 0; i < 50000; ++i) {
    const Descriptor once = deprivilege(random_fields(random).pack());
    EXPECT_EQ(deprivilege(once), once);
  }
}

TEST(Gate, AccessorsAndBuilder) {
  const Gate gate = interrupt_gate(0x60, 0xc1234567, 3);
  EXPECT_EQ(gate, (Gate{0x00604567, 0xc123ee00}));
  EXPECT_EQ(gate.offset(), 0xc1234567u);
  EXPECT_EQ(gate.selector(), 0x60);
  EXPECT_EQ(gate.dpl(), 3);
  EXPECT_TRUE(gate.present());
  EXPECT_TRUE(gate.is_interrupt_gate());
  EXPECT_FALSE(gate.is_trap_gate());
  EXPECT_TRUE(gate.is_32());
  EXPECT_TRUE((Gate{0x00600000, 0x00008f00}.is_trap_gate()));
  EXPECT_TRUE((Gate{0x00600000, 0x00008500}.is_task_gate()));
  EXPECT_FALSE((Gate{0x00600000, 0x00008600}.is_32()));
}

TEST(ReflectGate, RaisesDplAndKeepsTheRest) {
  constexpr std::uint16_t kMonitor = 0x1000;
  EXPECT_EQ(reflect_gate(interrupt_gate(0x60, 0xc1000000, 0), kMonitor),
            interrupt_gate(0x60, 0xc1000000, 1));
  for (std::uint8_t dpl = 1; dpl <= 3; ++dpl) {
    const Gate gate = interrupt_gate(0x63, 0x80001234, dpl);
    EXPECT_EQ(reflect_gate(gate, kMonitor), gate);
  }
  const Gate absent{0x00601234, 0xc0000e00};
  EXPECT_EQ(reflect_gate(absent, kMonitor), absent.with_dpl(1));
}

TEST(ReflectGate, OnlyInterruptAndTrapGates) {
  for (std::uint32_t type = 0; type < 32; ++type) {  // with the S bit
    const Gate gate{0x00601234, 0xc0008000u | type << 8};
    const bool wanted = type == 6 || type == 7 || type == 14 || type == 15;
    EXPECT_EQ(reflect_gate(gate, 0x1000).has_value(), wanted) << type;
  }
}

TEST(ReflectGate, NeverLeadsToTheMonitorsDescriptors) {
  constexpr std::uint16_t kMonitor = 0x1000;
  for (std::uint32_t selector = 0; selector < 0x10000; ++selector) {
    const Gate gate = interrupt_gate(static_cast<std::uint16_t>(selector), 0xffc01234, 0);
    const bool in_ldt = (selector & 4) != 0;
    EXPECT_EQ(reflect_gate(gate, kMonitor).has_value(), in_ldt || selector < kMonitor) << selector;
  }
}

}  // namespace
}  // namespace mezzo::ia32
