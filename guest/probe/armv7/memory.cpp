// Memory that is not the guest's: the monitor's window and machine memory, other partitions', what
// is nobody's; by mappings, by translation tables that lie elsewhere, and without translation.
#include <initializer_list>

#include "armv7/tables.hpp"
#include "probe/armv7/probe.hpp"

namespace probe {
namespace {

using namespace guest::descriptor;
using guest::first_table, guest::kEveryone, guest::kEveryoneReads, guest::kMiB, guest::kPage,
    guest::second_tables, guest::tables_written;

constexpr u32 kPlace = 0x80000000;

void read_there(u32 at) { leave_value(read32(at)); }
void write_there(u32 at) { write32(at, 0x5a5a5a5a); }
void execute_there(u32 at) { reinterpret_cast<void (*)()>(at)(); }
constexpr Body kAccesses[] = {read_there, write_there, execute_there};

// A guest may write what it likes into the entries of the window.
void window() {
  constexpr u32 kOwn = guest::kRam + 40 * kMiB;
  constexpr u32 kBranchBack = 0xe12fff1e;
  for (u32 at = 0; at < 2 * kMiB; at += 4) write32(kOwn + at, kBranchBack);
  for (u32& entry : second_tables[0]) entry = small_page(kOwn, kEveryone);
  const u32 by_table = table(address_of(second_tables[0]));
  const u32 entries[] = {0, section(kOwn, kEveryone), by_table, section(kOwn, kEveryone, 15)};
  for (const u32 entry : entries) {
    for (u32 n = 0; n < kWindowSize / kMiB; ++n) first_table[kWindow / kMiB + n] = entry;
    guest::Dacr::write(0xffffffff);  // a manager of all domains, the monitor's among them
    tables_written();
    u32 reached = 0;
    for (u32 at = kWindow; at < kWindow + kWindowSize; at += 0x8000) {
      for (const Mode& mode : {kSupervisor, kUser}) {
        for (const Body body : kAccesses) reached += in_mode(mode, body, at).taken.left();
      }
    }
    if (under_monitor()) check("window", reached == 0, reached);
  }
  both("end-of-window", read_there, under_monitor() ? fault() : returns(),
       kWindow + kWindowSize - 4);
  for (u32 n = 0; n < kWindowSize / kMiB; ++n) first_table[kWindow / kMiB + n] = 0;
  guest::Dacr::write(guest::kOpenDomain);
  tables_written();
}

// Instructions that the monitor carries out itself, on its own addresses.
template <u32 at>
void emulated_at_window() {
  if (!under_monitor()) return;
  kernel(
      "ldrt-window", [](u32 a) { asm volatile("ldrt r1, [%0]"
                                              :
                                              : "r"(a)
                                              : "r1"); }, fault(), at);
  kernel("strt-window", [](u32 a) { asm volatile("strt r1, [%0]" : : "r"(a)); }, fault(), at);
  kernel(
      "ldm-user-window", [](u32 a) { asm volatile("ldm %0, {sp, lr}^"
                                                  :
                                                  : "r"(a)); }, fault(), at);
  kernel(
      "stm-user-window", [](u32 a) { asm volatile("stm %0, {r8-r14}^"
                                                  :
                                                  : "r"(a)); }, fault(), at);
  kernel("rfe-window", [](u32 a) { asm volatile("rfeia %0" : : "r"(a)); }, fault(), at);
  kernel(
      "srs-window",
      [](u32 a) {
        asm volatile("cps #0x1f\n\tmov r1, sp\n\tmov sp, %0\n\tcps #0x13\n\tsrsia sp, #0x1f"
                     :
                     : "r"(a)
                     : "r1");
      },
      fault(), at);
  kernel(
      "return-window",
      [](u32 a) {
        asm volatile("msr spsr_cxsf, %1\n\tldm %0, {r0-r14}^\n\tldm %0, {r0-r12, pc}^"
                     :
                     : "r"(a), "r"(0x1d0));
      },
      fault(), at);
  for (const Body body : {Body([](u32 a) { guest::Cp15<0, 7, 10, 1>::write(a); }),
                          Body([](u32 a) { guest::Cp15<0, 7, 11, 1>::write(a); }),
                          Body([](u32 a) { guest::Cp15<0, 7, 14, 1>::write(a); }),
                          Body([](u32 a) { guest::Cp15<0, 7, 6, 1>::write(a); }),
                          Body([](u32 a) { guest::Cp15<0, 7, 5, 1>::write(a); }),
                          Body([](u32 a) { guest::Cp15<0, 7, 5, 7>::write(a); }),
                          Body([](u32 a) { guest::InvalidateTlbAddress::write(a); })}) {
    kernel("maintenance-window", body, survives(), at);
  }
  kernel(
      "translate-window",
      [](u32 a) {
        guest::TranslateKernelRead::write(a);
        leave_value(guest::Par::read() & 1);
      },
      value(1), at);
}

// Addresses that may be anything but memory: what is expected there.
[[nodiscard]] bool is_own(u32 physical) {
  const Memory own = memory();
  if (physical - own.base < own.size) return true;
  // Devices are probed by name.
  return physical - 0x10000000 < 0x200000 || physical - 0x1e000000 < 0x100000;
}

void report_reached(u32 physical) {
  guest::print("reached ");
  guest::print_hex(physical);
  guest::print("\n");
}

// Every MiB of guest-physical memory, mapped: only what is the partition's answers.
void everything_mapped() {
  if (!under_monitor()) return guest::skip("elsewhere", "this machine is all the guest's");
  u32 reached = 0, own = 0;
  for (u32 n = 0; n < 4096; ++n) {
    if (is_own(n * kMiB)) continue;
    first_table[kPlace / kMiB] = section(n * kMiB, kEveryone);
    tables_written();
    for (const Body body : kAccesses) {
      const bool got = in_mode(kSupervisor, body, kPlace + 0xffffc).taken.left();
      if (got) report_reached(n * kMiB);
      reached += got;
    }
    reached += in_mode(kUser, read_there, kPlace).taken.left();
  }
  check("elsewhere-mapped", reached == 0, reached);
  const Memory all = memory();
  for (const u32 at : {all.base, all.base + all.size - kMiB}) {
    first_table[kPlace / kMiB] = section(at, kEveryone);
    tables_written();
    own += in_mode(kUser, read_there, kPlace + 0xffffc).taken.left();
  }
  check("own-memory", own == 2, own);
  // The end of the memory, within one entry.
  for (u32 n = 0; n < 16; ++n) {
    first_table[kPlace / kMiB + n] =
        section((all.base + all.size) & 0xff000000, kEveryone) | kSupersection;
  }
  tables_written();
  kernel("supersection-behind-memory", write_there, aborts(kExternal), kPlace + 15 * kMiB);
  for (u32 n = 0; n < 16; ++n) first_table[kPlace / kMiB + n] = 0;
  // 40-bit addresses do not wrap into memory.
  for (u32 n = 0; n < 16; ++n) {
    first_table[kPlace / kMiB + n] = section(all.base, kEveryone) | kSupersection | 0x00100020;
  }
  tables_written();
  kernel("supersection-above-4-gib", read_there, aborts(kExternal), kPlace);
  for (u32 n = 0; n < 16; ++n) first_table[kPlace / kMiB + n] = 0;
  tables_written();
}

// The same without translation.
void everything_unmapped() {
  if (!under_monitor()) return;
  guest::stop_translating();
  u32 reached = 0;
  for (u32 n = 0; n < 4096; ++n) {
    // The stubs are there in any case; they are probed by themselves.
    if (is_own(n * kMiB) || n * kMiB - (kStubs & ~(kMiB - 1)) < kStubsSize) continue;
    for (const Body body : kAccesses) {
      const bool got = in_mode(kSupervisor, body, n * kMiB + 0x1230).taken.left();
      if (got) report_reached(n * kMiB + 0x1230);
      reached += got;
    }
  }
  guest::translate_by(first_table);
  check("elsewhere-untranslated", reached == 0, reached);
}

// First-level tables for the first GiB anywhere, while this guest is in the second (TTBCR.N = 2).
void tables_elsewhere() {
  if (!under_monitor()) return;
  guest::Ttbr1::write(address_of(first_table));
  const Memory own = memory();
  constexpr u32 kFirstGiB = 0x00100000;  // an address that TTBR0 translates
  struct Place {
    const char* name;
    u32 at;
  };
  const Place kPlaces[] = {
      {"table-at-0", 0},
      {"table-behind-memory", own.base + own.size},
      {"table-in-monitor", 0x9fc00000},
      {"table-in-window", kWindow},
      {"table-in-uart", 0x10009000},
      {"table-in-distributor", 0x1e001000},
      {"table-at-end", 0xfffff000},
  };
  Outcome outcomes[sizeof kPlaces / sizeof *kPlaces];
  u32 n = 0;
  for (const Place& place : kPlaces) {
    guest::Ttbr0::write(place.at);
    guest::Ttbcr::write(2);
    tables_written();
    outcomes[n++] = in_mode(kSupervisor, read_there, kFirstGiB);
    guest::Ttbcr::write(0);
    guest::Ttbr0::write(address_of(first_table));
    tables_written();
  }
  n = 0;
  for (const Place& place : kPlaces) {
    check(place.name, kSupervisor.name, outcomes[n++], aborts(kExternalOnWalk1));
  }
  for (const Place& place : kPlaces) {
    first_table[kPlace / kMiB] = table(place.at & 0xfffffc00);
    tables_written();
    kernel(place.name, read_there, aborts(kExternalOnWalk2), kPlace);
  }
  first_table[kPlace / kMiB] = 0;
  tables_written();
}

// Tables that are their own entries.
void self_reference() {
  first_table[kPlace / kMiB] = table(address_of(first_table) + kPlace / kMiB * 4 & 0xfffffc00);
  tables_written();
  for (u32 n = 0; n < 256; ++n) (void)in_mode(kUser, write_there, kPlace + n * kPage + 0xff0);
  kernel("table-of-itself", read_there, survives(), kPlace);
  guest::map_one_to_one(first_table);
  tables_written();
  guest::SecondTable& second = second_tables[1];
  for (u32& entry : second) entry = small_page(address_of(second) & ~(kPage - 1), kEveryone);
  first_table[kPlace / kMiB] = table(address_of(second));
  tables_written();
  // A process overwrites the table that maps it.
  user(
      "table-overwritten",
      [](u32 at) {
        for (u32 n = 0; n < kPage; n += 4) write32(at + n, n * 0x01000193);
      },
      survives(), kPlace);
  kernel("table-overwritten", read_there, survives(), kPlace);
  for (u32& entry : second) entry = 0;
  first_table[kPlace / kMiB] = 0;
  tables_written();
}

// Tables of random words, and random accesses to what they map. The guest's own half is left alone.
void random_tables() {
  u32 seed = 0x2545f491, survived = 0;
  const auto random = [&seed] {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^= seed << 5;
  };
  for (u32 round = 0; round < 200; ++round) {
    for (u32& entry : second_tables[2]) entry = random();
    for (u32 n = 0; n < 8; ++n) {
      const u32 kinds[] = {random(), table(address_of(second_tables[2]), random() & 15),
                           section(guest::kRam + (random() & 15) * kMiB + 40 * kMiB, random() & 7)};
      first_table[kPlace / kMiB + n] = kinds[random() % 3];
    }
    guest::Dacr::write(random() | guest::kOpenDomain);
    guest::ContextId::write(random());
    tables_written();
    for (u32 n = 0; n < 16; ++n) {
      // Reads only: what a random table maps may be this guest.
      (void)in_mode(random() % 2 != 0 ? kUser : kSupervisor, read_there,
                    kPlace + (random() & 0x7ffffc));
      ++survived;
    }
  }
  guest::ContextId::write(0);
  guest::map_one_to_one(first_table);
  guest::Dacr::write(guest::kOpenDomain);
  tables_written();
  check("random-tables", survived == 3200, survived);
}

// Tables that the guest's own mapping makes read-only: they are followed all the same, changes by
// another mapping too, and only the guest's own rights say who may write them.
void tables_read_only() {
  constexpr u32 kAlias = kPlace + 4 * kMiB, kData = guest::kRam + 40 * kMiB;
  static struct alignas(4096) {
    u32 words[1024];
  } tables;
  guest::SecondTable& own = second_tables[4];
  const auto protect = [](guest::SecondTable& own, u32 from, u32 bytes) {
    for (u32 at = from; at < from + bytes; at += kPage) {
      own[at / kPage % 256] = small_page(at, kEveryoneReads);
    }
  };
  for (u32 n = 0; n < 256; ++n) own[n] = small_page(guest::kRam + n * kPage, kEveryone);
  protect(own, address_of(first_table), sizeof first_table);
  protect(own, address_of(tables.words), sizeof tables);
  write32(kData, 1);
  write32(kData + kPage, 2);
  tables.words[0] = small_page(kData, kEveryone);
  first_table[kPlace / kMiB] = table(address_of(tables.words));
  first_table[kAlias / kMiB] = section(guest::kRam, kEveryone);
  tables_written();
  first_table[guest::kRam / kMiB] = table(address_of(own));  // from here on
  tables_written();
  both("tables-read-only", read_there, value(1), kPlace);
  both("tables-read-only", write_there, aborts(kPermission2), address_of(first_table));
  both("tables-read-only", write_there, aborts(kPermission2), address_of(tables.words));
  const auto alias = [](u32 at) { return at - guest::kRam + kAlias; };
  write32(alias(address_of(tables.words)), small_page(kData + kPage, kEveryone));
  tables_written();
  both("tables-read-only-changed", read_there, value(2), kPlace);
  write32(alias(address_of(&first_table[guest::kRam / kMiB])), section(guest::kRam, kEveryone));
  tables_written();
  guest::map_one_to_one(first_table);
  tables_written();
}

// High vectors, on one page and then on another whose table is another one.
void vectors_elsewhere() {
  constexpr u32 kHigh = 0xffff0000, kHighVectors = 1u << 13;
  constexpr u32 kPages = guest::kRam + 42 * kMiB;
  constexpr u32 kLoadPc = 0xe59ff018;  // ldr pc, [pc, #24]
  for (const u32 page : {kPages, kPages + kPage}) {
    for (u32 n = 0; n < 8; ++n) {
      const bool second = page != kPages;
      write32(page + n * 4, kLoadPc);
      // On the second page what is undefined is taken for a supervisor call.
      write32(page + 32 + n * 4, guest::handlers[second && n == 1 ? 2 : n]);
    }
    guest::make_executable(page, 64);
  }
  guest::SecondTable& second = second_tables[5];
  u32& entry = second[kHigh / kPage % 256];
  entry = small_page(kPages, kEveryone);
  first_table[kHigh / kMiB] = table(address_of(second));
  tables_written();
  const u32 control = guest::Sctlr::read();
  guest::Sctlr::write(control | kHighVectors);
  const auto take = [] { return in_mode(kUser, [](u32) { asm volatile("udf #0"); }).taken; };
  const Taken first = take();
  entry = small_page(kPages + kPage, kEveryone);
  tables_written();
  const Taken moved = take();
  guest::Sctlr::write(control);
  const Taken low = take();
  check("high-vectors", first.is(Exception::Undefined), static_cast<u32>(first.exception));
  check("high-vectors-moved", moved.is(Exception::SupervisorCall),
        static_cast<u32>(moved.exception));
  check("low-vectors-again", low.is(Exception::Undefined), static_cast<u32>(low.exception));
  first_table[kHigh / kMiB] = entry = 0;
  tables_written();
}

void abort_storm() {
  u32 aborted = 0;
  for (u32 n = 0; n < 5'000; ++n) {
    aborted += in_mode(n % 2 != 0 ? kUser : kSupervisor, n % 4 < 2 ? read_there : execute_there,
                       0xc0000000 + n * 0x1000)
                       .taken.left()
                   ? 0
                   : 1;
  }
  check("abort-storm", aborted == 5'000, aborted);
}

}  // namespace

void probe_memory() {
  window();
  emulated_at_window<kWindow>();
  emulated_at_window<kWindow + kWindowSize - 8>();
  everything_mapped();
  everything_unmapped();
  tables_elsewhere();
  self_reference();
  tables_read_only();
  vectors_elsewhere();
  random_tables();
  abort_storm();
}

}  // namespace probe
