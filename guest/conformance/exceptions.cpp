// Exceptions: wherever the vectors are, from ARM and Thumb state, within one another; alignment.
#include <initializer_list>

#include "armv7/tables.hpp"
#include "conformance/conformance.hpp"

namespace guest {
namespace {

constexpr u32 kAbsent = 0xe0000000;
constexpr u32 kPhysical = kRam + 33 * kMiB;

struct Raiser {
  const char* name;
  Body body;
};
constexpr Raiser kRaisers[] = {
    {"svc", [](u32) { asm volatile("svc #7"
                                   :
                                   :
                                   : "lr"); }},
    {"undefined", [](u32) { asm volatile("udf #7"); }},
    {"breakpoint", [](u32) { asm volatile("bkpt #7"); }},
    {"load", [](u32) { (void)read32(kAbsent); }},
    {"store", [](u32) { write32(kAbsent + 0x123c, 0); }},
    {"branch", [](u32) { reinterpret_cast<void (*)()>(kAbsent + 0x2340)(); }},
};

void raise_all(const char* where) {
  for (const Mode& mode : kModes) {
    for (const Raiser& raiser : kRaisers) {
      const Taken taken = run(psr::kMasks | mode.number, raiser.body);
      begin_line(where);
      add_name(mode.name);
      add_name(raiser.name);
      begin_values();
      show(taken, taken.is(Exception::PrefetchAbort) && taken.ifsr != 2 ? kAbsent
                                                                        : address_of(raiser.body));
      end_line();
    }
  }
}

// A vector table as Linux has it: loads from the words behind it.
void write_vectors(u32 at) {
  constexpr u32 kLoadPc = 0xe59ff018;  // ldr pc, [pc, #24]
  for (u32 n = 0; n < 8; ++n) {
    write32(at + n * 4, kLoadPc);
    write32(at + 32 + n * 4, handlers[n]);
  }
  make_executable(at, 64);
}

void vectors_elsewhere() {
  constexpr u32 kHighVectors = 1u << 13;
  raise_all("vectors linked");
  write_vectors(kPhysical + 0x420);
  VectorBase::write(kPhysical + 0x420);
  raise_all("vectors moved");
  // High vectors, as Linux has them: the kernel may read them, everyone may execute them.
  write_vectors(kPhysical + kPage);
  first_table[0xfff] = descriptor::table(address_of(second_tables[3]));
  second_tables[3][0xf0] = descriptor::small_page(kPhysical + kPage, kEveryoneReads);
  tables_written();
  Sctlr::write(Sctlr::read() | kHighVectors);
  raise_all("vectors high");
  // The page behind them changes while they are in force.
  write_vectors(kPhysical + 2 * kPage);
  second_tables[3][0xf0] = descriptor::small_page(kPhysical + 2 * kPage, kKernelReads);
  tables_written();
  raise_all("vectors high, moved");
  Sctlr::write(Sctlr::read() & ~kHighVectors);
  VectorBase::write(address_of(vectors));
  first_table[0xfff] = 0;
  tables_written();
}

// An exception within a handler: the second one's frame says where the first one was.
void nested() {
  set_hook(Exception::SupervisorCall, [](TrapFrame&) {
    asm volatile("udf #1");
    return true;
  });
  const Taken taken = run(psr::kMasks | psr::kUser, [](u32) { asm volatile("svc #1" : : : "lr"); });
  set_hook(Exception::SupervisorCall, nullptr);
  begin_line("undefined in a handler");
  begin_values();
  show("kind", static_cast<u32>(taken.exception));
  show("spsr", taken.frame.spsr);
  show("in", taken.frame.cpsr);
  end_line();
}

// A handler that mends what was wrong and goes back: to the same instruction, or past it.
void mended() {
  first_table[kAbsent / kMiB] = 0;
  tables_written();
  write32(kPhysical, 0x600df00d);
  static u32 found, times;
  times = 0;
  set_hook(Exception::DataAbort, [](TrapFrame& frame) {
    ++times;
    first_table[kAbsent / kMiB] = descriptor::section(kPhysical, kEveryone);
    data_barrier();
    frame.lr -= 8;
    return true;
  });
  for (const Mode& mode : kModes) {
    if (mode.number == psr::kAbort) continue;  // its LR would be lost
    found = 0;
    (void)run(psr::kMasks | mode.number, [](u32) { found = read32(kAbsent); });
    begin_line("mended abort");
    add_name(mode.name);
    begin_values();
    show(found);
    show("times", times);
    end_line();
    first_table[kAbsent / kMiB] = 0;
    tables_written();
  }
  set_hook(Exception::DataAbort, nullptr);
}

void thumb() {
  struct Case {
    const char* name;
    void (*code)();
    u32 argument;
  };
  const Case kCases[] = {
      {"call", thumb_call, 0},
      {"undefined", thumb_undefined, 0},
      {"load", thumb_load, kAbsent},
      {"if-then", thumb_if_then, kAbsent},
      {"branch", thumb_branch, kAbsent | 1},
      {"branch to ARM", thumb_branch, kAbsent},
      {"branch into a page's end", thumb_branch, (kPhysical + kMiB - 2) | 1},
      {"leave", thumb_leave, 0},
  };
  first_table[kPhysical / kMiB + 1] = 0;
  tables_written();
  for (const Case& each : kCases) {
    static u32 words[2];
    words[0] = address_of(each.code);
    words[1] = each.argument;
    if (each.argument > kPhysical && each.argument < kAbsent) {
      // A 32-bit instruction whose second half is not there.
      memory_at<u16>(kPhysical + kMiB - 2) = 0xf000;
      make_executable(kPhysical + kMiB - 4, 4);
    }
    const Taken taken = run(psr::kMasks | psr::kUser, to_thumb, address_of(words));
    begin_line("thumb");
    add_name(each.name);
    begin_values();
    const bool branch = taken.is(Exception::PrefetchAbort);
    show(taken, branch ? each.argument & ~1u : address_of(each.code) & ~1u);
    end_line();
  }
  // After an abort in the middle of an IT block the block goes on where it was.
  set_hook(Exception::DataAbort, [](TrapFrame& frame) {
    frame.r[0] = kPhysical;
    frame.lr -= 8;
    return true;
  });
  static u32 words[2];
  words[0] = address_of(thumb_if_then);
  words[1] = kAbsent;
  const Taken taken = run(psr::kMasks | psr::kUser, to_thumb, address_of(words));
  set_hook(Exception::DataAbort, nullptr);
  begin_line("thumb if-then resumed");
  begin_values();
  show(taken, address_of(thumb_if_then));
  show("r1", taken.frame.r[1]);
  end_line();
  first_table[kPhysical / kMiB + 1] = descriptor::section(kPhysical + kMiB, kEveryone);
  tables_written();
}

// Addresses that are no multiple of the access. SCTLR.A is left out: in User mode QEMU looks at the
// other world's, so that a monitor that runs the guest there cannot make it true.
void alignment() {
  for (u32 offset = 1; offset < 4; ++offset) {
    for (const Mode& mode : {kSupervisor, kUser}) {
      for (const Word* word = words_access; word != words_access_end; ++word) {
        if ((word->instruction & 0x0f000000) == 0x0e000000) continue;  // maintenance
        WordState before = word_input(mode, 0x5a5a5a5a);
        before.r[4] = kPhysical + 0x100 + offset;
        before.r[6] = 4;
        for (u32 n = 0; n < 4; ++n) write32(kPhysical + 0x100 + n * 4, 0x03020100 + n * 0x04040404);
        begin_line("unaligned");
        add_name(mode.name);
        add_name(offset);
        add_name(word->name);
        run_word(mode, *word, before);
      }
    }
  }
}

}  // namespace

void test_exceptions() {
  map_one_to_one(first_table);
  translate_by(first_table);
  vectors_elsewhere();
  nested();
  mended();
  thumb();
  alignment();
  stop_translating();
}

}  // namespace guest
