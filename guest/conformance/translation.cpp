// Translation tables: every kind of entry, right, domain and flag, from the kernel and from user
// mode; the two table registers; address translation operations; single instructions on pages that
// allow too little.
#include <initializer_list>

#include "armv7/tables.hpp"
#include "conformance/conformance.hpp"

namespace guest {
namespace {

using namespace descriptor;

constexpr u32 kTestVirtual = 0x80000000;
constexpr u32 kDomain = 3, kClient = 1;
constexpr u32 kBranchBack = 0xe12fff1e;  // bx lr

// One MiB of memory, all of it code that returns.
constexpr u32 kTestPhysical = kRam + 32 * kMiB;

struct Kind {
  const char* name;
  u32 offset;  // from kTestVirtual, of an address that its entry maps
};
constexpr Kind kKinds[] = {{"section", 0}, {"large", kMiB + 0x10000}, {"small", kMiB + 0x20000}};

void write_entries(u32 ap, bool never_execute) {
  first_table[kTestVirtual / kMiB] =
      section(kTestPhysical, ap, kDomain) | (never_execute ? kSectionNeverExecute : 0);
  SecondTable& second = second_tables[0];
  first_table[kTestVirtual / kMiB + 1] = table(address_of(second), kDomain);
  for (u32 n = 0; n < 16; ++n) {
    second[16 + n] =
        large_page(kTestPhysical + 0x10000, ap) | (never_execute ? kLargeNeverExecute : 0);
  }
  second[32] = small_page(kTestPhysical + 0x20000, ap) | (never_execute ? kSmallNeverExecute : 0);
  tables_written();
}

void read_body(u32 address) { (void)read32(address); }
void write_body(u32 address) { write32(address, kBranchBack); }
void execute_body(u32 address) { reinterpret_cast<void (*)()>(address)(); }

struct Access {
  const char* name;
  const Mode& mode;
  Body body;
};
constexpr Access kAccesses[] = {
    {"kr", kSupervisor, read_body},    {"kw", kSupervisor, write_body},
    {"kx", kSupervisor, execute_body}, {"ur", kUser, read_body},
    {"uw", kUser, write_body},         {"ux", kUser, execute_body},
};

// What became of each access: 0, or the fault's status; more if the fault address is not the one.
void show_outcomes(u32 address) {
  begin_values();
  for (const Access& access : kAccesses) {
    const Taken taken = run(psr::kMasks | access.mode.number, access.body, address);
    if (taken.left()) {
      show(access.name, 0);
    } else if (taken.is(Exception::DataAbort)) {
      show(access.name, taken.dfsr);
      if (taken.dfar != address) show("dfar", taken.dfar);
    } else if (taken.is(Exception::PrefetchAbort)) {
      show(access.name, taken.ifsr);
      if (taken.ifar != address || taken.frame.lr != address + 4) show("ifar", taken.ifar);
    } else {
      show(taken, address);
    }
  }
}

void show_accesses(u32 address) {
  show_outcomes(address);
  end_line();
}

void set_domain(u32 access) { Dacr::write(kOpenDomain | access << 2 * kDomain); }

void rights() {
  constexpr u32 kAccessFlagEnable = 1u << 29;
  for (const u32 flag : {0u, kAccessFlagEnable}) {
    for (u32 ap = 0; ap < 8; ++ap) {
      for (const bool never_execute : {false, true}) {
        if (flag != 0) {  // or the guest's own pages have no access flag: AP[0] is set there
          Sctlr::write(Sctlr::read() | flag);
        }
        write_entries(ap, never_execute);
        for (const u32 access : {kClient, 0u, 2u, 3u}) {
          set_domain(access);
          for (const Kind& kind : kKinds) {
            begin_line(flag != 0 ? "flag" : "rights");
            add_name(kind.name);
            add_name(ap);
            add_name(never_execute ? "xn" : "-");
            add_name(access);
            show_outcomes(kTestVirtual + kind.offset);
            if (flag != 0 && ap % 2 == 0 && (access != kClient || never_execute)) {
              end_line_differing(
                  "the access flag comes before domain and XN (B3.12.3), not in QEMU");
            } else {
              end_line();
            }
          }
        }
      }
    }
  }
  Sctlr::write(Sctlr::read() & ~kAccessFlagEnable);
  tables_written();
}

// Entries that are no mapping, or an unusual one.
void entries() {
  struct Entry {
    const char* name;
    u32 first, second;
  };
  const u32 second = table(address_of(second_tables[1]), kDomain);
  const Entry kEntries[] = {
      {"first 0", 0, 0},
      {"first 3", 3, 0},
      {"first 3 with address", section(kTestPhysical, kEveryone, kDomain) | 1, 0},
      {"second 0", second, 0},
      {"second 0 with bits", second, small_page(kTestPhysical, kEveryone) & ~3u},
      {"device section", device_section(kTestPhysical, kEveryone) | kDomain << 5, 0},
      {"strongly-ordered section", (section(kTestPhysical, kEveryone, kDomain) & ~0x1500cu), 0},
      {"section with implementation defined bit",
       section(kTestPhysical, kEveryone, kDomain) | 1u << 9, 0},
      {"table with implementation defined bit", second | 1u << 9,
       small_page(kTestPhysical, kEveryone)},
      {"small page, not global", second, small_page(kTestPhysical, kEveryone) | kPageNotGlobal},
  };
  set_domain(1);
  for (const Entry& entry : kEntries) {
    first_table[kTestVirtual / kMiB] = entry.first;
    second_tables[1][0] = entry.second;
    tables_written();
    begin_line("entry");
    add_name(entry.name);
    show_accesses(kTestVirtual);
  }
  // A supersection is 16 entries that are alike, of domain 0.
  for (u32 n = 0; n < 16; ++n) {
    first_table[kTestVirtual / kMiB + n] = section(kRam + 32 * kMiB, kEveryone) | kSupersection;
  }
  tables_written();
  for (const u32 access : {0u, 1u}) {
    Dacr::write(kOpenDomain | access << 2 * kDomain);
    begin_line("entry supersection");
    add_name(access);
    show_accesses(kTestVirtual + 3 * kMiB + 0x123000);
  }
  for (u32 n = 0; n < 16; ++n) first_table[kTestVirtual / kMiB + n] = 0;
  tables_written();
}

// TTBCR: which register's table translates an address, and whether it may.
void table_registers() {
  alignas(16384) static FirstTable other;
  map_one_to_one(other);
  // The same address by either table: two MiB of different content.
  constexpr u32 kAddresses[] = {0x00100000, 0x02000000, 0x08000000,
                                0x20000000, 0x40000000, 0x80000000};
  for (const u32 address : kAddresses) {
    first_table[address / kMiB] = section(kTestPhysical, kEveryone);
    other[address / kMiB] = section(kTestPhysical + kMiB, kEveryone);
  }
  write32(kTestPhysical + 0x100, 0x00000000);
  write32(kTestPhysical + kMiB + 0x100, 0x11111111);
  Dacr::write(kOpenDomain);
  tables_written();
  // The guest itself lies at 0x60000000 and its devices at 0x10000000: by either table.
  Ttbr1::write(address_of(other));
  for (const u32 control : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
    Ttbcr::write(control);
    tables_written();
    for (const u32 address : kAddresses) {
      begin_line("ttbcr");
      add_name(control);
      add_name(address);
      begin_values();
      static u32 found;
      const Taken taken =
          run(psr::kMasks | psr::kSupervisor, [](u32 at) { found = read32(at + 0x100); }, address);
      show(taken, address_of(read_body));
      if (taken.left()) show(found);
      end_line();
    }
  }
  // Walks by TTBR1 disabled: from 0x80000000 on, with N = 1.
  Ttbcr::write(1u << 5 | 1);
  tables_written();
  begin_line("ttbcr pd1");
  show_accesses(0x80000000);
  begin_line("ttbcr pd1");
  show_accesses(0x40000000);
  // Walks by TTBR0 disabled, with N = 3: it has the first 512 MiB, and the console. Nothing is
  // printed meanwhile.
  static Taken taken[2];
  Ttbcr::write(1u << 4 | 3);
  tables_written();
  taken[0] = run(psr::kMasks | psr::kSupervisor, read_body, 0x08000000);
  taken[1] = run(psr::kMasks | psr::kUser, write_body, 0x08000000);
  Ttbcr::write(0);
  tables_written();
  for (const Taken& each : taken) {
    begin_line("ttbcr pd0");
    begin_values();
    show(static_cast<u32>(each.exception));
    show(each.dfsr);
    show(each.dfar);
    end_line();
  }
  for (const u32 address : kAddresses) first_table[address / kMiB] = 0;
  tables_written();
}

// ATS1C*: the address, or why not.
void address_translation() {
  for (const u32 ap :
       {kNoAccess, kKernelOnly, kUserReads, kEveryone, kKernelReads, kEveryoneReads}) {
    write_entries(ap, false);
    for (const u32 access : {0u, 1u}) {
      set_domain(access);
      for (const Kind& kind : kKinds) {
        const u32 address = kTestVirtual + kind.offset + 0x234;
        begin_line("translate");
        add_name(kind.name);
        add_name(ap);
        add_name(access);
        begin_values();
        const auto answer = [&] {
          // The memory attributes are not compared.
          const u32 par = Par::read();
          show((par & 1) != 0 ? par & 0x7f : par & 0xfffff001);
        };
        TranslateKernelRead::write(address), answer();
        TranslateKernelWrite::write(address), answer();
        TranslateUserRead::write(address), answer();
        TranslateUserWrite::write(address), answer();
        end_line();
      }
    }
  }
  TranslateKernelRead::write(0xfff00000);
  line("translate nothing", Par::read() & 0x7f);
}

// One instruction at a time, on pages with several rights, at and across their ends.
void instructions() {
  set_domain(1);
  SecondTable& second = second_tables[2];
  for (u32& entry : second) entry = 0;
  first_table[kTestVirtual / kMiB] = table(address_of(second), kDomain);
  constexpr u32 kRights[] = {kEveryone, kNoAccess, kKernelOnly, kUserReads, kKernelReads};
  for (u32 n = 0; n < 5; ++n) second[n] = small_page(kTestPhysical + n * kPage, kRights[n]);
  tables_written();
  for (u32 n = 0; n < 6 * kPage; n += 4) write32(kTestPhysical + n, n * 0x01010101 + 0x80f0e0d0);
  struct Place {
    const char* name;
    u32 offset;
  };
  constexpr Place kPlaces[] = {{"everyone", 0x100},
                               {"nobody", kPage + 0x100},
                               {"kernel", 2 * kPage + 0x100},
                               {"user-reads", 3 * kPage + 0x100},
                               {"kernel-reads", 4 * kPage + 0x100},
                               {"unmapped", 5 * kPage + 0x100},
                               {"end-of-page", kPage - 4},
                               {"end-of-mapping", 5 * kPage - 4}};
  constexpr Mode kWho[] = {kSupervisor, {"sys", psr::kSystem}, kUser};
  for (const Mode& mode : kWho) {
    for (const Place& place : kPlaces) {
      for (const Word* word = words_access; word != words_access_end; ++word) {
        WordState before = word_input(mode, 0x5a5a5a5a);
        before.r[4] = kTestVirtual + place.offset;
        before.r[6] = 4;
        u32 was[2];
        for (u32 n = 0; n < 2; ++n) was[n] = read32(kTestPhysical + place.offset + n * 4);
        begin_line("access");
        add_name(mode.name);
        add_name(place.name);
        add_name(word->name);
        run_word(mode, *word, before);
        for (u32 n = 0; n < 2; ++n) {
          const u32 at = kTestPhysical + place.offset + n * 4;
          if (read32(at) == was[n]) continue;
          line("  stored", read32(at));
          write32(at, was[n]);
        }
      }
    }
  }
}

}  // namespace

void test_translation() {
  map_one_to_one(first_table);
  translate_by(first_table);
  for (u32 at = 0; at < kMiB; at += 4) write32(kTestPhysical + at, kBranchBack);
  make_executable(kTestPhysical, kMiB);
  rights();
  entries();
  table_registers();
  address_translation();
  instructions();
  stop_translating();
}

}  // namespace guest
