// A shadow engine with short descriptors on a machine for tests, and a guest with one table of each
// level, for tests of single steps.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "arch/armv7/short_descriptor.hpp"
#include "mem/shadow.hpp"
#include "support/shadow_hardware.hpp"
#include "support/shadow_machine.hpp"

namespace mezzo::test {

class ArmShadow : public testing::TestWithParam<mem::Separation> {
 protected:
  using ShortDescriptor = armv7::ShortDescriptor;
  using Access = mem::Access;
  using GuestPhysical = mem::GuestPhysical;
  using GuestVirtual = mem::GuestVirtual;
  using HostPhysical = mem::HostPhysical;
  using Outcome = mem::Outcome;
  using Privilege = mem::Privilege;
  using Separation = mem::Separation;
  using Machine = ShadowMachine<ArmHardware>;
  using Engine = mem::Shadow<ShortDescriptor, Machine>;

  static constexpr std::uint32_t kPoolBytes = 1u << 20;
  static constexpr std::uint32_t kWindow = 0xffa00000;
  static constexpr std::array<std::uint32_t, 2> kMonitor{
      ShortDescriptor::monitor_table(HostPhysical{0xa0000000}),
      ShortDescriptor::monitor_table(HostPhysical{0xa0000400})};

  static constexpr std::uint32_t kFirst = Machine::kGuest + 0x4000;   // the guest's level 1
  static constexpr std::uint32_t kSecond = Machine::kGuest + 0x8000;  // its tables of level 2
  // Of small pages: AP, nG, C and B.
  static constexpr std::uint32_t kKernelOnly = 1u << 4, kUserReads = 2u << 4, kUserWrites = 3u << 4;
  static constexpr std::uint32_t kSmall = 2, kNotGlobal = 1u << 11, kCached = 3u << 2;
  // Of sections.
  static constexpr std::uint32_t kSection = 2, kKernelSection = 1u << 10, kUserSection = 3u << 10,
                                 kSectionNotGlobal = 1u << 17, kSuper = 1u << 18;

  ArmShadow() {
    controls.sctlr = 1;
    controls.ttbr0 = kFirst;
    controls.dacr = 0x55555555;
    update();
  }
  void update() { shadow.set_translation(controls); }
  void section(std::uint32_t at, std::uint32_t entry) {
    machine.put(GuestPhysical{kFirst + (at >> 20) * 4}, entry);
  }
  // A small page, in table `number` of level 2.
  void page(std::uint32_t at, std::uint32_t entry, std::uint32_t number = 0,
            std::uint32_t domain = 0) {
    const std::uint32_t table = kSecond + number * 0x400;
    section(at, table | domain << 5 | 1);
    machine.put(GuestPhysical{table + (at >> 12 & 0xff) * 4}, entry);
  }
  void small_page(std::uint32_t at, std::uint32_t offset, std::uint32_t bits,
                  std::uint32_t number = 0, std::uint32_t domain = 0) {
    page(at, (Machine::kGuest + offset) | kSmall | bits, number, domain);
  }
  Engine::MissResult miss(std::uint32_t at, Access access, Privilege privilege) {
    return shadow.miss(GuestVirtual{at}, access, privilege);
  }

  // What the machine does with an access of the guest: its walk, under the register of domains.
  struct Seen : ArmHardware::Leaf {
    bool mapped = false;
    std::uint64_t physical = 0;
  };
  Seen seen(std::uint32_t at, Privilege privilege, bool with_user = true) {
    const auto root = static_cast<std::uint32_t>(shadow.current(privilege).table.value());
    const auto leaf = machine.tables.walk(root, at);
    if (!leaf || !ArmHardware::opens(shadow.access_control(privilege, with_user), *leaf)) return {};
    const std::uint32_t size = leaf->block ? 1u << 20 : 1u << 12;
    return {*leaf, leaf->read, leaf->machine + at % size};
  }
  testing::AssertionResult fills(std::uint32_t at, Access access, Privilege privilege) {
    const Outcome outcome = miss(at, access, privilege).outcome;
    if (outcome == Outcome::Filled) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "outcome " << static_cast<int>(outcome);
  }
  // The guest changes to a context; its tables stay.
  void use_context(std::uint32_t number) {
    controls.contextidr = number;
    update();
  }
  void TearDown() override {
    machine.tables.finish();
    EXPECT_THAT(machine.tables.errors(), testing::IsEmpty());
  }

  Machine machine{kPoolBytes};
  Engine shadow{machine,
                HostPhysical{Machine::kPool},
                kPoolBytes,
                {.contexts = 4, .pages = Machine::kPages, .separation = GetParam()},
                GuestVirtual{kWindow},
                kMonitor};
  ShortDescriptor::Controls controls;
};

}  // namespace mezzo::test
