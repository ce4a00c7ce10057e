// The order in which the shadow engine writes entries, cleans them, and invalidates the TLB, step
// by step (Arm DDI 0406C, B3.10.1). Random guests against the worst TLB:
// vmm_shadow_random_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "arch/armv7/short_descriptor.hpp"
#include "mem/shadow.hpp"
#include "support/shadow_hardware.hpp"
#include "support/shadow_machine.hpp"

namespace mezzo::test {
namespace {

using armv7::ShortDescriptor;
using mem::Access;
using mem::GuestPhysical;
using mem::GuestVirtual;
using mem::HostPhysical;
using mem::Outcome;
using mem::Privilege;
using mem::Separation;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint32_t kContexts = 2, kTables = 12;

// A machine that keeps a list of what is done to its tables.
class Recorder : public ShadowMachine<ArmHardware> {
 public:
  using Base = ShadowMachine<ArmHardware>;
  using Base::Base;
  std::vector<std::string> log;

  void write(HostPhysical at, std::uint32_t value) {
    if (tables.has(at.value()) && read(at) != value) {
      note("%s %s", name(at), value == 0 ? "= 0" : "set");
    }
    Base::write(at, value);
  }
  void clear(HostPhysical at, std::uint32_t bytes) {
    note("clear %s", name(at));
    Base::clear(at, bytes);
  }
  void clean(HostPhysical at, std::uint32_t bytes) {
    note("clean %s", name(at));
    Base::clean(at, bytes);
  }
  void barrier() {
    log.emplace_back("barrier");
    Base::barrier();
  }
  void invalidate_page(GuestVirtual at, std::uint32_t context) {
    if (context == mem::kGlobalEntries) {
      note("page %x, global", at.value());
    } else if (context == mem::kEveryContext) {
      note("page %x, all", at.value());
    } else {
      note("page %x, %u", at.value(), context);
    }
    Base::invalidate_page(at, context);
  }
  void invalidate_context(std::uint32_t context) {
    note("context %u", context);
    Base::invalidate_context(context);
  }
  void invalidate_all() {
    log.emplace_back("all");
    Base::invalidate_all();
  }

 private:
  template <class... Values>
  void note(const char* format, Values... values) {
    char text[64];
    std::snprintf(text, sizeof text, format, values...);
    if (std::string(text).find("record") == std::string::npos) log.emplace_back(text);
  }
  static const char* name(HostPhysical at) {
    const auto offset = static_cast<std::uint32_t>(at.value()) - kPool;
    constexpr std::uint32_t kDirectories = (kContexts + 1) * 0x4000;
    if (offset < 0x4000) return "master";
    if (offset < kDirectories) return "slot";
    return offset < kDirectories + kTables * 0x400 ? "leaf" : "record";
  }
};

constexpr std::uint32_t kFirst = Recorder::kGuest + 0x4000, kSecond = Recorder::kGuest + 0x8000;
constexpr std::uint32_t kSmall = 2, kRead = 2u << 4, kWrite = 3u << 4, kNotGlobal = 1u << 11;

class ShadowMaintenance : public testing::Test {
 protected:
  using Engine = mem::Shadow<ShortDescriptor, Recorder>;
  static constexpr mem::ShadowShape kShape{.contexts = kContexts, .pages = Recorder::kPages};
  static constexpr std::uint32_t kPoolBytes = Engine::pool_bytes(kShape, kTables);
  static constexpr std::array<std::uint32_t, 1> kMonitor{0xa00001e1};

  ShadowMaintenance() {
    controls.sctlr = 1;
    controls.ttbr0 = kFirst;
    controls.dacr = 0x55555555;
    controls.contextidr = 1;
    shadow.set_translation(controls);
    // The machine's contexts are 2 (of no use any more) and 3.
    machine.log.clear();
  }
  void TearDown() override {
    machine.tables.finish();
    EXPECT_THAT(machine.tables.errors(), IsEmpty());
  }
  void section(std::uint32_t at, std::uint32_t entry) {
    machine.put(GuestPhysical{kFirst + (at >> 20) * 4}, entry);
  }
  void page(std::uint32_t at, std::uint32_t entry) {
    section(at, kSecond | 1);
    machine.put(GuestPhysical{kSecond + (at >> 12 & 0xff) * 4}, entry);
  }
  void fill(std::uint32_t at, Access access = Access::Read,
            Privilege privilege = Privilege::Kernel) {
    ASSERT_EQ(shadow.miss(GuestVirtual{at}, access, privilege).outcome, Outcome::Filled);
  }
  // What was done since the last call.
  std::vector<std::string> done() { return std::exchange(machine.log, {}); }

  Recorder machine{kPoolBytes};
  Engine shadow{machine, HostPhysical{Recorder::kPool}, kPoolBytes,
                kShape,  GuestVirtual{0xffa00000},      kMonitor};
  ShortDescriptor::Controls controls;
};

TEST_F(ShadowMaintenance, FirstPageOfASlot) {
  page(0x8000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  fill(0x8000);
  EXPECT_THAT(done(), ElementsAre("slot set", "clean slot", "leaf set", "clean leaf", "barrier"));
  page(0x20000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  fill(0x20000);
  EXPECT_THAT(done(), ElementsAre("leaf set", "clean leaf", "barrier"));
  fill(0x20000);
  EXPECT_THAT(done(), IsEmpty());
}

TEST_F(ShadowMaintenance, GlobalPagesAreOfAllDirectories) {
  page(0xc0008000, Recorder::kGuest + kSmall + kRead);
  fill(0xc0008000);
  EXPECT_THAT(done(), ElementsAre("master set", "clean master", "slot set", "clean slot",
                                  "slot set", "clean slot", "leaf set", "clean leaf", "barrier"));
  shadow.invalidate_address(GuestVirtual{0xc0008000}, 77);
  EXPECT_THAT(done(),
              ElementsAre("leaf = 0", "clean leaf", "barrier", "page c0008000, global", "barrier"));
}

TEST_F(ShadowMaintenance, MoreRightsReplaceOneEntryAlone) {
  page(0x8000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  page(0x9000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  fill(0x8000, Access::Read, Privilege::User);
  done();
  page(0x8000, Recorder::kGuest + kSmall + kWrite + kNotGlobal);
  fill(0x8000, Access::Write, Privilege::User);
  EXPECT_THAT(done(), ElementsAre("leaf = 0", "clean leaf", "barrier", "page 8000, 3", "barrier",
                                  "leaf set", "clean leaf", "barrier"));
}

TEST_F(ShadowMaintenance, MaintenanceOfWhatIsNotThere) {
  shadow.invalidate_address(GuestVirtual{0x8000}, 1);
  shadow.invalidate_address(GuestVirtual{0x8000}, std::nullopt);
  shadow.invalidate_context(1);
  shadow.invalidate_context(200);
  EXPECT_THAT(done(), IsEmpty());
}

TEST_F(ShadowMaintenance, ContextIsEmptied) {
  page(0x8000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  fill(0x8000);
  done();
  shadow.invalidate_context(1);
  EXPECT_THAT(done(), ElementsAre("clear leaf", "clean leaf", "barrier", "context 3", "barrier"));
  // Its table is where it was.
  fill(0x8000);
  EXPECT_THAT(done(), ElementsAre("leaf set", "clean leaf", "barrier"));
}

TEST_F(ShadowMaintenance, ATableThatIsNotUsedAgainIsFree) {
  page(0x8000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  fill(0x8000);
  shadow.invalidate_context(1);
  done();
  shadow.invalidate_context(1);
  EXPECT_THAT(done(), ElementsAre("slot = 0", "clean slot", "barrier", "context 3", "barrier"));
  shadow.invalidate_context(1);
  EXPECT_THAT(done(), IsEmpty());
}

// A processor may know a table that has no entries.
TEST_F(ShadowMaintenance, AnEmptyTableIsForgottenBeforeItIsUsedElsewhere) {
  page(0x8000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  fill(0x8000);
  shadow.invalidate_context(1);
  done();
  shadow.invalidate_slot(GuestVirtual{0}, 1);
  EXPECT_THAT(done(),
              ElementsAre("slot = 0", "clean slot", "barrier", "page 0, 3", "barrier", "barrier"));
}

TEST_F(ShadowMaintenance, SectionBecomesPages) {
  section(0xc0000000, (Recorder::kGuest + 0x100000) | kSmall | 1u << 10);
  fill(0xc0001000, Access::Write);
  EXPECT_THAT(done(), ElementsAre("master set", "clean master", "slot set", "clean slot",
                                  "slot set", "clean slot", "barrier"));
  const auto result = shadow.miss(GuestVirtual{0xc0001000}, Access::Execute, Privilege::Kernel);
  ASSERT_EQ(result.outcome, Outcome::NeedsExecute);
  machine.state_of(result.machine) = {.writable = false, .executable = true};
  shadow.forget_page(result.machine);
  EXPECT_THAT(done(),
              ElementsAre("master = 0", "clean master", "slot = 0", "clean slot", "slot = 0",
                          "clean slot", "barrier", "page c0000000, global", "barrier"));
  fill(0xc0001000, Access::Execute);
  EXPECT_THAT(done(), SizeIs(9));
  shadow.forget_page(result.machine);
  EXPECT_THAT(done(),
              ElementsAre("leaf = 0", "clean leaf", "barrier", "page c0001000, global", "barrier"));
}

TEST_F(ShadowMaintenance, AnotherViewOfASlot) {
  page(0x8000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  page(0x9000, Recorder::kGuest + kSmall + (1u << 4) + kNotGlobal);
  fill(0x8000, Access::Read, Privilege::User);
  done();
  fill(0x9000, Access::Read, Privilege::Kernel);
  EXPECT_THAT(done(), ElementsAre("slot = 0", "clean slot", "barrier", "page 8000, 3", "barrier",
                                  "clear leaf", "clean leaf", "barrier",  // the old
                                  "slot set", "clean slot", "leaf set", "clean leaf", "barrier"));
  EXPECT_EQ(shadow.counters().retags, 1u);
}

TEST_F(ShadowMaintenance, RecycledContext) {
  page(0x8000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  fill(0x8000);
  controls.contextidr = 2;  // takes the group that context 0 had
  shadow.set_translation(controls);
  done();
  EXPECT_EQ(shadow.current().context, 2u);
  controls.contextidr = 3;
  shadow.set_translation(controls);
  EXPECT_EQ(shadow.current().context, 3u);
  EXPECT_THAT(done(), ElementsAre("slot = 0", "clean slot", "barrier", "context 3", "barrier",
                                  "clear leaf", "clean leaf", "barrier"));
}

TEST_F(ShadowMaintenance, EverythingIsDropped) {
  page(0x8000, Recorder::kGuest + kSmall + kRead + kNotGlobal);
  fill(0x8000);
  done();
  shadow.invalidate_all();
  EXPECT_THAT(done(), ElementsAre("slot = 0", "clean slot", "barrier", "all", "barrier",
                                  "clear leaf", "clean leaf", "barrier"));
}

TEST_F(ShadowMaintenance, LentEntriesAreCleaned) {
  const std::array<std::uint32_t, 2> lent{0xa0001000 | 14u << 5 | 1, 0xa0001400 | 14u << 5 | 1};
  shadow.lend(GuestVirtual{0xbff00000}, lent);
  EXPECT_EQ(done().back(), "barrier");
  EXPECT_EQ(shadow.miss(GuestVirtual{0xc0000000}, Access::Read, Privilege::Kernel).outcome,
            Outcome::MonitorWindow);
  shadow.invalidate_all();
  shadow.invalidate_address(GuestVirtual{0xbff00000}, std::nullopt);
  const auto root = static_cast<std::uint32_t>(shadow.current().table.value());
  EXPECT_EQ(machine.tables.directory_entry(root, 0xbff00000), lent[0]);
  EXPECT_EQ(machine.tables.directory_entry(root, 0xc0000000), lent[1]);
  // Open to the kernel alone.
  EXPECT_EQ(shadow.access_control(Privilege::User, true) >> 28 & 3, 0u);
  EXPECT_EQ(shadow.access_control(Privilege::Kernel, false) >> 28 & 3, 1u);
}

}  // namespace
}  // namespace mezzo::test
