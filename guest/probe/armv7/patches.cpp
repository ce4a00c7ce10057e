// The monitor's stubs, which a guest's kernel branches to where its own words were, and the page of
// state that it shares with them. A guest that does not use them as it is meant to hurts nobody
// else.
#include <cstddef>
#include <initializer_list>

#include "armv7/tables.hpp"
#include "probe/armv7/probe.hpp"

namespace probe {
namespace {

constexpr u32 kKernelText = 0xc0000000;  // in a branch's reach of the stubs
using mezzo::armv7::SharedState;
constexpr u32 kShared = kStubs + mezzo::armv7::StubRegion::kSharedOffset, kSharedWords = 32;
constexpr u32 kDacrWord = offsetof(SharedState, dacr) / 4;
constexpr u32 kTableWord = offsetof(SharedState, ttbr0) / 4;
constexpr u32 kLastUsersSlotWord = offsetof(SharedState, last_users_slot) / 4;
static_assert(kSharedWords * 4 > sizeof(SharedState));

struct alignas(4096) Page {
  u32 words[1024];
};
Page page;

void read_there(u32 at) { leave_value(read32(at)); }
void write_there(u32 at) { write32(at, 0x5a5a5a5a); }
void execute_there(u32 at) { reinterpret_cast<void (*)()>(at)(); }

// Sensitive words of every kind that has a stub, ending in a return.
void write_code() {
  constexpr u32 kWords[] = {0xe92d5ff0,   // push {r4-r12, lr}
                            0xe10f2000,   // mrs r2, cpsr
                            0xf10c0080,   // cpsid i
                            0xf1080080,   // cpsie i
                            0xe121f002,   // msr cpsr_c, r2
                            0xee1d3f90,   // mrc TPIDRPRW
                            0xee133f10,   // mrc DACR
                            0xee033f10,   // mcr DACR
                            0xee113f10,   // mrc SCTLR
                            0xee153f10,   // mrc DFSR
                            0xe14f3000,   // mrs r3, spsr
                            0xe16ff003,   // msr spsr_fsxc, r3
                            0xe24d4040,   // sub r4, sp, #64
                            0xe9446000,   // stmdb r4, {sp, lr}^
                            0xe121f002,   // msr cpsr_c, r2
                            0xe8bd9ff0};  // pop {r4-r12, pc}
  u32 n = 0;
  for (const u32 word : kWords) page.words[n++] = word;
  guest::make_executable(address_of(page.words), n * 4);
}
[[nodiscard]] u32 code() { return address_of(page.words) - guest::kRam + kKernelText; }

Outcome run_code() { return in_mode(kSupervisor, reinterpret_cast<Body>(code())); }

void region() {
  check("stubbed-code", kSupervisor.name, run_code(), returns());
  u32 user = 0, written = 0;
  for (u32 at = kStubs; at < kStubs + kStubsSize; at += 0x1000) {
    for (const Body body : {read_there, write_there, execute_there}) {
      user += in_mode(kUser, body, at + 0x10).taken.left();
    }
    // Code pages come between mappings of the shared one.
    const bool is_code = (at - kStubs) / 0x1000 % 2 != 0;
    if (is_code) written += in_mode(kSupervisor, write_there, at + 0x10).taken.left();
  }
  check("stubs-from-user-mode", user == 0, user);
  check("stubs-written", written == 0, written);
  check("stubbed-code", kSupervisor.name, run_code(), returns());
}

// Branches to every word of the first pages of stubs, as if the code had come that far. All
// registers are 1, which is a DACR that this guest can live with.
void into_stub(u32 at) {
  asm volatile(
      "push {r4-r11, lr}\n\tmrs r1, cpsr\n\tmsr spsr_cxsf, r1\n\tadr lr, 1f\n\t"
      "push {r4-r12, lr}\n\tpush {%0}\n\t"
      "mov r0, #1\n\tmov r1, r0\n\tmov r2, r0\n\tmov r3, r0\n\tmov r4, r0\n\tmov r5, r0\n\t"
      "mov r6, r0\n\tmov r7, r0\n\tmov r8, r0\n\tmov r9, r0\n\tmov r10, r0\n\tmov r11, r0\n\t"
      "mov r12, r0\n\tpop {pc}\n1:\tpop {r4-r11, lr}"
      :
      : "r"(at)
      : "r1", "r2", "r3", "r12", "memory");
}

void middle_of_stubs() {
  u32 returned = 0, tried = 0;
  for (u32 at = kStubs + 0x1000; at < kStubs + 0x8000; at += 4) {
    if ((at - kStubs) / 0x1000 % 2 == 0) continue;
    ++tried;
    returned += in_mode(kSupervisor, into_stub, at).taken.left();
  }
  check("middle-of-stubs", returned != 0 && returned < tried, returned);
  check("stubbed-code", kSupervisor.name, run_code(), returns());
}

// Enters at every word what the monitor carries out as a whole: Linux' return to user mode, and a
// loop of maintenance.
void middle_of_sequences() {
  constexpr u32 kReturn[] = {0xe9527fff,   // ldmdb r2, {r0-lr}^
                             0xe1a00000,   // nop
                             0xe28dd000,   // add sp, sp, #0
                             0xe1b0f00e};  // movs pc, lr
  constexpr u32 kLoop[] = {0xee070f3e,     // mcr DCCIMVAC, r0
                           0xe2800020,     // add r0, r0, #32
                           0xe1500001,     // cmp r0, r1
                           0x3afffffb,     // blo
                           0xe1b0f00e};    // movs pc, lr
  static u32 saved[15];
  u32 n = 0;
  for (const u32 word : kReturn) page.words[n++] = word;
  for (const u32 word : kLoop) page.words[n++] = word;
  guest::make_executable(address_of(page.words), n * 4);
  const auto enter = [](u32 at) {
    register u32 from asm("r0") = guest::kRam + 40 * guest::kMiB;
    register u32 to asm("r1") = from + 4 * guest::kPage;
    register u32 behind asm("r2") = address_of(saved) + sizeof saved;
    register u32 entry asm("r3") = at;
    asm volatile(
        "push {r4-r11, lr}\n\tmrs r12, cpsr\n\tmsr spsr_cxsf, r12\n\tadr lr, 1f\n\tbx r3\n"
        "1:\tpop {r4-r11, lr}"
        : "+r"(from), "+r"(to), "+r"(behind), "+r"(entry)
        :
        : "r12", "memory", "cc");
  };
  for (u32 word = 0; word < n; ++word) {
    check("middle-of-sequence", kSupervisor.name, in_mode(kSupervisor, enter, code() + word * 4),
          returns());
  }
  write_code();
  check("stubbed-code", kSupervisor.name, run_code(), returns());
}

// A loop that cleans a translation table, of which the monitor does nothing but what it leaves
// behind: of any size and step, where nothing is mapped, over the monitor's window, around the end
// of the address space.
void table_loops() {
  constexpr u32 kLoop[] = {0xee070f3a,   // mcr DCCMVAC, r0
                           0xe0800002,   // add r0, r0, r2
                           0xe0511002,   // subs r1, r1, r2
                           0x8afffffb,   // bhi
                           0xf57ff04a,   // dsb ishst
                           0xe12fff1e};  // bx lr
  u32 n = 0;
  for (const u32 word : kLoop) page.words[n++] = word;
  guest::make_executable(address_of(page.words), n * 4);
  constexpr u32 kMapped = guest::kRam + 40 * guest::kMiB;
  static u32 size, step;
  for (const u32 at : {kMapped, kWindow, kStubs, 0x00700000u, 0xffffff00u}) {
    for (const u32 each : {1u, 32u, 48u, 0x80000000u, 0xffffffffu}) {
      for (const u32 bytes : {0u, 1u, 64u, 4096u}) {
        size = bytes;
        step = each;
        const auto clean = [](u32 from) {
          register u32 address asm("r0") = from;
          register u32 rest asm("r1") = size;
          register u32 by asm("r2") = step;
          asm volatile("push {r4-r11, lr}\n\tblx %3\n\tpop {r4-r11, lr}"
                       : "+r"(address), "+r"(rest)
                       : "r"(by), "r"(code())
                       : "r3", "r12", "memory", "cc");
        };
        kernel("table-loop", clean, survives(), at);
      }
    }
  }
  write_code();
  check("stubbed-code", kSupervisor.name, run_code(), returns());
}

// A kernel's accesses with the rights of a process: to a process's memory, to its own, and, as if
// all of that were a process's, to the monitor's. The entry behind a page has been made by the
// kernel's own access.
constexpr u32 kAnyMiB = 0x7fffffff;
u32 unprivileged_load = 0, unprivileged_store = 0;
void write_unprivileged() {
  constexpr u32 kWords[] = {0xe92d4010,   // push {r4, lr}
                            0xe4b01000,   // ldrt r1, [r0], #0
                            0xe1a00001,   // mov r0, r1
                            0xe8bd8010,   // pop {r4, pc}
                            0xe92d4010,   // push {r4, lr}
                            0xe4a01000,   // strt r1, [r0], #0
                            0xe1a00001,   // mov r0, r1
                            0xe8bd8010};  // pop {r4, pc}
  u32 n = 0;
  for (const u32 word : kWords) page.words[n++] = word;
  guest::make_executable(address_of(page.words), n * 4);
  unprivileged_load = code();
  unprivileged_store = code() + 16;
}
void load_unprivileged(u32 at) {
  leave_value(reinterpret_cast<u32 (*)(u32)>(unprivileged_load)(at));
}
void store_unprivileged(u32 at) {
  reinterpret_cast<void (*)(u32, u32)>(unprivileged_store)(at, 0x5a5a5a5a);
}
void load_as_if_a_process_had_it(u32 at) {
  write32(kShared + kLastUsersSlotWord * 4, kAnyMiB);
  load_unprivileged(at);
}
void store_as_if_a_process_had_it(u32 at) {
  write32(kShared + kLastUsersSlotWord * 4, kAnyMiB);
  store_unprivileged(at);
}

void unprivileged_accesses() {
  constexpr u32 kUsers = 2 * guest::kMiB, kOwn = 3 * guest::kMiB, kMixed = kUsers + guest::kPage;
  constexpr u32 kMemory = guest::kRam + 42 * guest::kMiB;
  using guest::descriptor::kPageNotGlobal;
  const u32 before[] = {guest::first_table[2], guest::first_table[3]};
  guest::SecondTable& users = guest::second_tables[0];
  guest::SecondTable& own = guest::second_tables[1];
  const u32 old[] = {users[0], users[1], own[0]};
  users[0] = guest::descriptor::small_page(kMemory, guest::kEveryone) | kPageNotGlobal;
  users[1] =
      guest::descriptor::small_page(kMemory + guest::kPage, guest::kKernelOnly) | kPageNotGlobal;
  own[0] =
      guest::descriptor::small_page(kMemory + guest::kPage, guest::kKernelOnly) | kPageNotGlobal;
  guest::first_table[2] = guest::descriptor::table(address_of(users));
  guest::first_table[3] = guest::descriptor::table(address_of(own));
  guest::tables_written();
  write32(kMemory, 0x11223344);
  write32(kMemory + guest::kPage, 0x55667788);
  write_unprivileged();
  for (int round = 0; round < 2; ++round) {
    kernel("process-memory", read_there, value(0x11223344), kUsers);
    kernel("process-memory-unprivileged", load_unprivileged, value(0x11223344), kUsers);
    kernel("own-memory", read_there, value(0x55667788), kOwn);
    kernel("own-memory-unprivileged", load_unprivileged, aborts(kPermission2), kOwn);
    kernel("own-memory-unprivileged", store_unprivileged, aborts(kPermission2), kOwn);
    kernel("process-memory-unprivileged", load_unprivileged, value(0x11223344), kUsers);
    kernel("mixed-memory", read_there, value(0x55667788), kMixed);
    kernel("mixed-memory-unprivileged", load_unprivileged, aborts(kPermission2), kMixed);
    kernel("mixed-memory-unprivileged", store_unprivileged, aborts(kPermission2), kMixed);
    kernel("process-memory-unprivileged", store_unprivileged, returns(), kUsers);
    kernel("process-memory", read_there, value(0x5a5a5a5a), kUsers);
    write32(kMemory, 0x11223344);
  }
  u32 reached = 0;
  for (u32 at = kWindow; at - kWindow < kWindowSize; at += 0x4000) {
    reached += in_mode(kSupervisor, load_as_if_a_process_had_it, at).taken.left();
    reached += in_mode(kSupervisor, store_as_if_a_process_had_it, at).taken.left();
  }
  check("window-unprivileged", reached == 0, reached);
  u32 written = 0;
  for (u32 at = kStubs + 0x1000; at < kStubs + 0x000c0000; at += 0x2000) {  // every page of code
    written += in_mode(kSupervisor, store_as_if_a_process_had_it, at + 0x10).taken.left();
  }
  check("stubs-written-unprivileged", written == 0, written);
  for (const u32 at : {kOwn, 0xfffffffdu, 0xffffffffu, kStubs + 0x1fffffu}) {
    kernel("as-if-a-process-had-it", load_as_if_a_process_had_it, survives(), at);
  }
  guest::first_table[2] = before[0];
  guest::first_table[3] = before[1];
  users[0] = old[0];
  users[1] = old[1];
  own[0] = old[2];
  guest::tables_written();
  write_code();
  check("stubbed-code", kSupervisor.name, run_code(), returns());
}

// Every word of the shared page, with values that a monitor might fall for.
void shared_page() {
  constexpr u32 kValues[] = {0,          0xffffffff, 0x5a5a5a5a, 0x10,       0x1d6,
                             0x1da,      0x16,       0xffa00000, 0xffbf0800, 0xbfe00800,
                             0x80000000, 0x60010000, 0xdf,       0xf0000020, 1};
  static u32 saved[kSharedWords];
  u32 survived = 0;
  for (u32 n = 0; n < kSharedWords; ++n) saved[n] = read32(kShared + n * 4);
  for (u32 n = 0; n < kSharedWords; ++n) {
    for (const u32 attack : kValues) {
      // Written and used with nothing in between, and put back before anything else.
      static u32 where, what, before;
      where = kShared + n * 4;
      // DACR leaves this kernel its own domain, and TTBR0 its own table, or it could not come back.
      what = n == kDacrWord    ? attack | guest::kOpenDomain
             : n == kTableWord ? address_of(guest::first_table) | (attack & 0x7f)
                               : attack;
      before = saved[n];
      const Outcome outcome = in_mode(
          kSupervisor,
          [](u32 at) {
            register u32 place asm("r4") = where;
            register u32 old asm("r5") = before;
            asm volatile(
                "push {r6-r11, lr}\n\tstr %1, [r4]\n\tblx %3\n\tstr r5, [r4]\n\tpop {r6-r11, lr}"
                :
                : "r"(place), "r"(what), "r"(old), "r"(at)
                : "r1", "r2", "r3", "r12", "memory");
          },
          code());
      (void)outcome;
      write32(kShared + n * 4, saved[n]);
      guest::Dacr::write(guest::kOpenDomain);
      ++survived;
    }
  }
  check("shared-page", survived == kSharedWords * 15, survived);
  check("stubbed-code", kSupervisor.name, run_code(), returns());
}

// Mappings of the guest's own where the stubs are: they have to go, or the guest's have.
void own_mapping_of_region() {
  constexpr u32 kOwn = guest::kRam + 41 * guest::kMiB;
  for (u32 n = 0; n < guest::kMiB; n += 4) write32(kOwn + n, 0xe12fff1e);
  for (u32 n = 0; n < kStubsSize / guest::kMiB; ++n) {
    guest::first_table[kStubs / guest::kMiB + n] =
        guest::descriptor::section(kOwn, guest::kEveryone);
  }
  guest::tables_written();
  check("stubs-mapped-over", kSupervisor.name, run_code(), returns());
  kernel("stubs-mapped-over", read_there, survives(), kStubs + 0x1010);
  user("stubs-mapped-over", write_there, survives(), kStubs + 0x1010);
  check("stubs-mapped-over", kSupervisor.name, run_code(), returns());
  for (u32 n = 0; n < kStubsSize / guest::kMiB; ++n) {
    guest::first_table[kStubs / guest::kMiB + n] = 0;
  }
  guest::tables_written();
}

// Code of which words are changed while the monitor holds their originals; and that is patched
// where it is run, then run from elsewhere.
void moving_code() {
  constexpr u32 kChanges = 100, kNop = 0xe1a00000;
  u32 returned = 0;
  for (u32 n = 0; n < kChanges; ++n) {
    u32& word = page.words[2 + n % 4];  // CPS, MSR, MRC: what follows does not need them
    const u32 before = word;
    for (const u32 now : {kNop, before}) {
      word = now;
      guest::make_executable(address_of(&word), sizeof word);
      returned += run_code().taken.left();
    }
  }
  check("changed-code", returned == 2 * kChanges, returned);
  check("moved-code", kSupervisor.name, run_code(), returns());
  check("moved-code", kSupervisor.name,
        in_mode(kSupervisor, reinterpret_cast<Body>(address_of(page.words))), returns());
  check("moved-code", kSupervisor.name, run_code(), returns());
}

// More pages of code than are kept patched.
void many_pages() {
  constexpr u32 kPages = 9'000;
  constexpr u32 kAt = guest::kRam + 20 * guest::kMiB;
  u32 done = 0;
  for (u32 n = 0; n < kPages; ++n) {
    const u32 at = kAt + n * guest::kPage;
    write32(at, 0xe10f1000);      // mrs r1, cpsr
    write32(at + 4, 0xe129f001);  // msr cpsr_fc, r1
    write32(at + 8, 0xe12fff1e);  // bx lr
    guest::make_executable(at, 12);
    done += in_mode(kSupervisor, execute_there, at).taken.left();
  }
  check("many-patched-pages", done == kPages, done);
}

}  // namespace

void probe_patches() {
  if (!under_monitor()) return guest::skip("stubs", "this machine has none");
  for (u32 at = 0; at < 4 * guest::kMiB; at += guest::kMiB) {
    guest::first_table[(kKernelText + at) / guest::kMiB] =
        guest::descriptor::section(guest::kRam + at, guest::kEveryone);
  }
  guest::tables_written();
  write_code();
  region();
  middle_of_stubs();
  middle_of_sequences();
  table_loops();
  unprivileged_accesses();
  shared_page();
  own_mapping_of_region();
  moving_code();
  many_pages();
}

}  // namespace probe
