// What TLB maintenance promises: after each operation an access sees the tables as they are, in
// this context and in others; address spaces by ASID; entries that change their kind.
#include <initializer_list>

#include "armv7/tables.hpp"
#include "conformance/conformance.hpp"

namespace guest {
namespace {

using namespace descriptor;

constexpr u32 kPlace = 0x90000000;
constexpr u32 kOne = kRam + 34 * kMiB, kTwo = kRam + 35 * kMiB;  // told apart by what they hold
constexpr u32 kAsids = 256;

// The outcome of a read, a write and a fetch in both privileges, and what was read.
void show_access() {
  struct Access {
    const char* name;
    u32 mode;
    Body body;
  };
  static u32 found;
  static constexpr Access kAccesses[] = {
      {"kr", psr::kSupervisor, [](u32 at) { found = read32(at); }},
      {"ur", psr::kUser, [](u32 at) { found = read32(at); }},
      {"kw", psr::kSupervisor, [](u32 at) { write32(at + 8, 0); }},
      {"uw", psr::kUser, [](u32 at) { write32(at + 8, 0); }},
      {"kx", psr::kSupervisor, [](u32 at) { reinterpret_cast<void (*)()>(at + 4)(); }},
      {"ux", psr::kUser, [](u32 at) { reinterpret_cast<void (*)()>(at + 4)(); }},
  };
  begin_values();
  for (const Access& access : kAccesses) {
    found = 0;
    const Taken taken = run(psr::kMasks | access.mode, access.body, kPlace);
    if (taken.left()) {
      show(access.name, found);
    } else {
      show(access.name, taken.is(Exception::DataAbort) ? taken.dfsr : taken.ifsr);
    }
  }
  end_line();
}

void invalidate(u32 how) {
  data_barrier();
  switch (how) {
    case 0:
      InvalidateTlb::write(0);
      break;
    case 1:
      InvalidateTlbAddress::write(kPlace);
      break;
    case 2:
      InvalidateTlbAddressOfAll::write(kPlace);
      break;
    case 3:
      Cp15<0, 8, 3, 0>::write(0);  // the same for the inner shareable domain
      break;
    case 4:
      Cp15<0, 8, 3, 1>::write(kPlace);
      break;
    case 5:
      Cp15<0, 8, 3, 3>::write(kPlace);
      break;
    case 6:
      Cp15<0, 8, 5, 1>::write(kPlace);  // instructions and data apart
      Cp15<0, 8, 6, 1>::write(kPlace);
      break;
    default:
      // Of entries of one ASID: only those that are not global.
      InvalidateTlbContext::write(0);
      break;
  }
  InvalidatePrediction::write(0);
  data_barrier();
  instruction_barrier();
}
constexpr u32 kWays = 8, kByAsid = 7;

// One entry after the other at the same address, with maintenance between them.
void changes() {
  SecondTable& second = second_tables[4];
  for (u32& entry : second) entry = 0;
  struct Step {
    const char* name;
    u32 first, page;
  };
  const u32 by_table = table(address_of(second));
  const Step kSteps[] = {
      {"page one", by_table, small_page(kOne, kEveryone)},
      {"page two", by_table, small_page(kTwo, kEveryone)},
      {"read-only", by_table, small_page(kTwo, kEveryoneReads)},
      {"kernel only", by_table, small_page(kTwo, kKernelOnly)},
      {"never executed", by_table, small_page(kTwo, kEveryone) | kSmallNeverExecute},
      {"executed again", by_table, small_page(kTwo, kEveryone)},
      {"nothing", by_table, 0},
      {"page one again", by_table, small_page(kOne, kUserReads)},
      {"section two", section(kTwo, kEveryone), 0},
      {"section one", section(kOne, kKernelOnly), 0},
      {"large page two", by_table, large_page(kTwo, kEveryone)},
      {"no table", 0, large_page(kTwo, kEveryone)},
      {"section of a closed domain", section(kOne, kEveryone, 5), 0},
      {"page not global", by_table, small_page(kOne, kEveryone) | kPageNotGlobal},
      {"other page not global", by_table, small_page(kTwo, kEveryone) | kPageNotGlobal},
      {"section not global", section(kOne, kEveryone) | kSectionNotGlobal, 0},
      {"nothing at all", 0, 0},
  };
  for (u32 how = 0; how < kWays; ++how) {
    for (const Step& step : kSteps) {
      const bool global = (step.first & 3) == kSection ? (step.first & kSectionNotGlobal) == 0
                                                       : (step.page & kPageNotGlobal) == 0;
      for (u32 n = 0; n < 16; ++n) second[n] = (step.page & 3) == kLarge || n == 0 ? step.page : 0;
      first_table[kPlace / kMiB] = step.first;
      // By ASID only what is not global goes; here all but the first of a kind is.
      invalidate(how);
      if (how == kByAsid && global) invalidate(0);
      begin_line("maintained");
      add_name(how);
      add_name(step.name);
      show_access();
      if (how == kByAsid) invalidate(0);
    }
  }
}

// A kernel's tables and a process's: each ASID with a table of its own, pages not global.
alignas(16384) FirstTable tables_of_asids[3];
alignas(1024) SecondTable second_of_asids[3];

void switch_to(u32 asid) {
  // By way of a table that has only global entries (B3.10.4).
  Ttbr0::write(address_of(first_table));
  ContextId::write(asid);
  Ttbr0::write(address_of(tables_of_asids[asid % 3]));
}

void show_asids(const char* name, u32 asid) {
  begin_line(name);
  add_name(asid);
  show_access();
}

void address_spaces() {
  for (u32 n = 0; n < 3; ++n) {
    map_one_to_one(tables_of_asids[n]);
    tables_of_asids[n][kPlace / kMiB] = table(address_of(second_of_asids[n]));
    for (u32& entry : second_of_asids[n]) entry = 0;
  }
  first_table[kPlace / kMiB] = 0;
  second_of_asids[0][0] = small_page(kOne, kEveryone) | kPageNotGlobal;
  second_of_asids[1][0] = small_page(kTwo, kEveryoneReads) | kPageNotGlobal;
  tables_written();
  for (const u32 asid : {1u, 2u, 3u, 1u, 3u, 2u}) {
    switch_to(asid);
    show_asids("asid", asid);
  }
  // Another context's entry changes: by its ASID, and by address.
  second_of_asids[1][0] = small_page(kOne, kEveryone) | kPageNotGlobal;
  data_barrier();
  InvalidateTlbContext::write(1);
  data_barrier();
  switch_to(1);
  show_asids("asid changed", 1);
  second_of_asids[1][0] = small_page(kTwo, kKernelOnly) | kPageNotGlobal;
  data_barrier();
  switch_to(3);
  InvalidateTlbAddress::write(kPlace | 1);
  data_barrier();
  switch_to(1);
  show_asids("asid changed by address", 1);
  second_of_asids[1][0] = small_page(kOne, kEveryone) | kPageNotGlobal;
  second_of_asids[0][0] = small_page(kTwo, kEveryone) | kPageNotGlobal;
  data_barrier();
  InvalidateTlbAddressOfAll::write(kPlace);
  data_barrier();
  for (const u32 asid : {1u, 3u}) {
    switch_to(asid);
    show_asids("asid changed for all", asid);
  }
  // All ASIDs there are, so that a monitor that keeps fewer must drop some; twice.
  u32 wrong = 0;
  for (u32 n = 0; n < 2 * kAsids; ++n) {
    const u32 asid = n % kAsids;
    switch_to(asid);
    const bool mapped = asid % 3 != 2;
    const Taken taken = run(psr::kMasks | psr::kUser, [](u32 at) { (void)read32(at); }, kPlace);
    wrong += taken.left() != mapped;
  }
  line("all ASIDs, wrong", wrong);
  // An ASID is used again with another table, after its old entries are invalidated.
  for (u32 n = 0; n < 9; ++n) {
    Ttbr0::write(address_of(first_table));
    ContextId::write(7);
    InvalidateTlbContext::write(7);
    Ttbr0::write(address_of(tables_of_asids[n % 3]));
    show_asids("asid used again", n % 3);
  }
  Ttbr0::write(address_of(first_table));
  ContextId::write(0);
  tables_written();
}

// The tables themselves are mapped elsewhere, read-only, and written where they are; and a page
// that holds a table is mapped through that table.
void tables_within_tables() {
  SecondTable& second = second_tables[5];
  for (u32& entry : second) entry = 0;
  first_table[kPlace / kMiB] = table(address_of(second));
  second[0] = small_page(kOne, kEveryone);
  second[1] = small_page(address_of(second) & ~(kPage - 1), kEveryoneReads);
  second[2] = small_page(address_of(second) & ~(kPage - 1), kEveryone);
  tables_written();
  const u32 inside = address_of(second) & (kPage - 1);
  begin_line("table seen through itself");
  begin_values();
  show(read32(kPlace + kPage + inside) & 3);
  show(read32(kPlace + 2 * kPage + inside + 8) & 3);
  end_line();
  // Changed through its own mapping.
  write32(kPlace + 2 * kPage + inside, small_page(kTwo, kEveryone));
  tables_written();
  begin_line("table changed through itself");
  show_access();
  first_table[kPlace / kMiB] = 0;
  tables_written();
}

}  // namespace

void test_maintenance() {
  map_one_to_one(first_table);
  translate_by(first_table);
  constexpr u32 kBranchBack = 0xe12fff1e;  // bx lr
  for (const u32 at : {kOne, kTwo}) {
    write32(at, at == kOne ? 0x11111111 : 0x22222222);
    write32(at + 4, kBranchBack);
    make_executable(at, 8);
  }
  changes();
  address_spaces();
  tables_within_tables();
  stop_translating();
}

}  // namespace guest
