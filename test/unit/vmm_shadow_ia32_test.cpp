// The shadow engine with IA-32's formats: accessed and dirty bits, a root switch as a flush, ring
// and write protection, PAE's root, and error codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "mem/shadow.hpp"
#include "support/shadow_guest_ia32.hpp"

namespace mezzo::test {
namespace {

using mem::Access;
using mem::GuestPhysical;
using mem::GuestVirtual;
using mem::HostPhysical;
using mem::Outcome;
using mem::Privilege;
using mem::Separation;

template <class Word>
class ShadowIa32 : public testing::Test {
 protected:
  using Guest = Ia32Guest<Word>;
  using Hardware = typename Guest::Hardware;
  using Machine = typename Guest::Machine;
  using Format = typename Guest::Format;
  using Engine = mem::Shadow<Format, Machine>;

  static constexpr std::uint32_t kPoolBytes = 1u << 20;
  static constexpr std::uint32_t kRoot = Machine::kGuest + 0x8000;
  static constexpr std::uint32_t kDirectory = Machine::kGuest + 0x10000;
  static constexpr std::uint32_t kTable = Machine::kGuest + 0x20000;
  static constexpr Word kPresent = 1, kWritable = 2, kUser = 4, kAccessed = 0x20, kDirty = 0x40,
                        kLarge = 0x80, kGlobal = 0x100;

  ShadowIa32() {
    machine.make_executable();
    for (std::uint32_t n = 0; n < 4; ++n) put(kRoot + n * 8, (kDirectory + n * 0x1000) | 1);
    for (std::uint32_t n = 0; n < 4; ++n) put(kRoot + 32 + n * 8, (kDirectory + n * 0x1000) | 1);
    controls.root = GuestPhysical{Guest::kPae ? kRoot : kDirectory};
    controls.paging = controls.write_protect = controls.global_pages = true;
    update();
  }
  void TearDown() override {
    machine.tables.finish();
    EXPECT_THAT(machine.tables.errors(), testing::IsEmpty());
  }
  void update() { shadow.set_translation(controls); }
  void put(std::uint32_t at, Word entry) {
    machine.put(GuestPhysical{at}, static_cast<std::uint32_t>(entry));
    if (Guest::kPae) {
      machine.put(GuestPhysical{at + 4}, static_cast<std::uint32_t>(std::uint64_t{entry} >> 32));
    }
  }
  // In the first slot: its table, and an entry of it.
  void table(Word bits) { put(kDirectory, kTable | bits); }
  void page(std::uint32_t n, Word bits) {
    put(kTable + n * sizeof(Word), (Machine::kGuest + 0x5000) | bits);
  }
  std::uint32_t guest_page(std::uint32_t n) {
    return machine.get(GuestPhysical{kTable + n * sizeof(Word)});
  }
  Outcome miss(std::uint32_t at, Access access, Privilege privilege) {
    return shadow.miss(GuestVirtual{at}, access, privilege).outcome;
  }
  std::optional<typename Hardware::Leaf> seen(std::uint32_t at) {
    return machine.tables.walk(Guest::directory(shadow.current()), at);
  }

  Machine machine{kPoolBytes};
  Engine shadow{machine,
                HostPhysical{Machine::kPool},
                kPoolBytes,
                {.pages = Machine::kPages},
                GuestVirtual{Guest::kMonitor},
                Guest::kMonitorEntries};
  typename Format::Controls controls;
};

using Words = testing::Types<std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(ShadowIa32, Words);

TYPED_TEST(ShadowIa32, AccessedAndDirtyAreSetInTheGuestsTables) {
  this->table(this->kPresent | this->kWritable | this->kUser);
  this->page(0, this->kPresent | this->kWritable | this->kUser);
  EXPECT_EQ(this->miss(0, Access::Read, Privilege::User), Outcome::Filled);
  EXPECT_EQ(this->guest_page(0) & 0x60, 0x20u);
  EXPECT_EQ(this->machine.get(GuestPhysical{this->kDirectory}) & 0x60, 0x20u);
  // Not writable before a write has been seen.
  EXPECT_FALSE(this->seen(0)->write);
  EXPECT_EQ(this->miss(0, Access::Write, Privilege::User), Outcome::Filled);
  EXPECT_EQ(this->guest_page(0) & 0x60, 0x60u);
  EXPECT_TRUE(this->seen(0)->write);
}

TYPED_TEST(ShadowIa32, NewRootDropsWhatIsNotGlobal) {
  this->table(this->kPresent | this->kWritable | this->kUser);
  this->page(0, this->kPresent | this->kUser);
  EXPECT_EQ(this->miss(0, Access::Read, Privilege::User), Outcome::Filled);
  const std::uint32_t slot = TestFixture::Hardware::kSlotBytes;
  this->put(this->kDirectory + sizeof(TypeParam),
            TypeParam{0x60000000} | this->kPresent | this->kLarge | this->kGlobal);
  EXPECT_EQ(this->miss(slot, Access::Read, Privilege::Kernel), Outcome::Filled);
  EXPECT_TRUE(this->seen(slot)->global);
  EXPECT_TRUE(this->seen(slot)->block);
  this->controls.root = GuestPhysical{this->controls.root.value() + 32};
  this->update();
  EXPECT_FALSE(this->seen(0));
  EXPECT_TRUE(this->seen(slot));
  this->shadow.invalidate_context(0);
  EXPECT_TRUE(this->seen(slot));
  this->shadow.invalidate_address(GuestVirtual{slot + 0x5000}, 0);
  EXPECT_FALSE(this->seen(slot));
}

TYPED_TEST(ShadowIa32, KernelWritesWhereItIsNotProtected) {
  this->table(this->kPresent | this->kWritable | this->kUser);
  this->page(0, this->kPresent | this->kUser);
  EXPECT_EQ(this->miss(0, Access::Write, Privilege::Kernel), Outcome::GuestFault);
  this->controls.write_protect = false;
  this->update();
  for (int n = 0; n < 2; ++n) {
    // The machine's supervisor is bound by its entries: one of the two at a time.
    EXPECT_EQ(this->miss(0, Access::Write, Privilege::Kernel), Outcome::Filled);
    EXPECT_TRUE(this->seen(0)->write);
    EXPECT_FALSE(this->seen(0)->user);
    EXPECT_EQ(this->miss(0, Access::Write, Privilege::User), Outcome::GuestFault);
    EXPECT_EQ(this->miss(0, Access::Read, Privilege::User), Outcome::Filled);
    EXPECT_FALSE(this->seen(0)->write);
    EXPECT_TRUE(this->seen(0)->user);
  }
}

TYPED_TEST(ShadowIa32, PagingOffIsOneToOne) {
  this->controls.paging = false;
  this->update();
  EXPECT_EQ(this->miss(0x60001000, Access::Write, Privilege::Kernel), Outcome::Filled);
  EXPECT_EQ(this->seen(0x60001000)->machine, this->machine.kMachine);
  EXPECT_EQ(this->miss(0x40000000, Access::Read, Privilege::Kernel), Outcome::Nothing);
  this->controls.paging = true;
  this->update();
  EXPECT_FALSE(this->seen(0x60001000));
}

TYPED_TEST(ShadowIa32, CacheBitsAreTheGuests) {
  this->table(this->kPresent | this->kUser);
  for (std::uint32_t n = 0; n < 4; ++n) {
    this->page(16 * n, this->kPresent | this->kUser | static_cast<TypeParam>(n << 3));
    EXPECT_EQ(this->miss(n << 16, Access::Read, Privilege::User), Outcome::Filled);
    EXPECT_EQ(this->seen(n << 16)->attributes, n);
  }
}

using ShadowPae = ShadowIa32<std::uint64_t>;

TEST_F(ShadowPae, RootLeadsToTheFourDirectories) {
  const mem::Root root = shadow.current();
  EXPECT_TRUE(root.table.is_aligned(32));
  const std::uint32_t directory = Guest::directory(root);
  for (std::uint32_t n = 0; n < 4; ++n) {
    EXPECT_EQ(machine.read(root.table + n * 8), (directory + n * 0x1000) | 1);
    EXPECT_EQ(machine.read(root.table + n * 8 + 4), 0u);
  }
}

TEST_F(ShadowPae, NoExecute) {
  table(kPresent | kUser);
  page(0, kPresent | kUser | std::uint64_t{1} << 63);
  EXPECT_EQ(miss(0, Access::Read, Privilege::User), Outcome::Filled);
  EXPECT_FALSE(seen(0)->execute);
  EXPECT_EQ(miss(0, Access::Execute, Privilege::User), Outcome::GuestFault);
}

TEST(Ia32Fault, ErrorCodes) {
  using Kind = mem::Ia32Fault::Kind;
  const auto code = [](Kind kind, Access access, Privilege privilege) {
    return mem::Ia32Fault{kind, 1}.error_code(access, privilege, true);
  };
  EXPECT_EQ(code(Kind::NotPresent, Access::Read, Privilege::Kernel), 0u);
  EXPECT_EQ(code(Kind::Unreadable, Access::Write, Privilege::User), 6u);
  EXPECT_EQ(code(Kind::Protection, Access::Write, Privilege::Kernel), 3u);
  EXPECT_EQ(code(Kind::Protection, Access::Execute, Privilege::User), 0x15u);
  EXPECT_EQ(code(Kind::Reserved, Access::Read, Privilege::User), 0xdu);
  EXPECT_EQ(
      (mem::Ia32Fault{Kind::Protection, 1}.error_code(Access::Execute, Privilege::User, false)),
      5u);
}

}  // namespace
}  // namespace mezzo::test
