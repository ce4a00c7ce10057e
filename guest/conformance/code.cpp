// Code that is not where or what it was when it first ran: aliases, copies, changes, data in
// between; translation switched off and on around it.
#include <initializer_list>

#include "armv7/tables.hpp"
#include "conformance/conformance.hpp"

namespace guest {
namespace {

using namespace descriptor;

constexpr u32 kKernelText = 0xc0000000;  // an alias of the image
constexpr u32 kLowText = 0x30000000;     // another
constexpr u32 kPhysical = kRam + 36 * kMiB;

u32 results[4];

void show_results(const char* name, const char* part, const Taken& taken, u32 count) {
  begin_line(name);
  add_name(part);
  begin_values();
  show(taken, 0);
  for (u32 n = 0; n < count; ++n) show(results[n]);
  end_line();
  for (u32& result : results) result = 0;
}

Taken call(u32 address, u32 mode = psr::kSupervisor) {
  // Not all masks are set, so that what the code does to them can be seen.
  return run(psr::kIrqOff | mode, reinterpret_cast<Body>(address), address_of(results));
}

void map_aliases() {
  for (const u32 alias : {kKernelText, kLowText}) {
    for (u32 at = 0; at < 4 * kMiB; at += kMiB) {
      first_table[(alias + at) / kMiB] = section(kRam + at, kEveryone);
    }
    for (u32 at = 0; at < 2 * kMiB; at += kMiB) {
      first_table[(alias + 64 * kMiB + at) / kMiB] = section(kPhysical + at, kEveryone);
    }
  }
  tables_written();
}

[[nodiscard]] u32 copied_bytes() { return static_cast<u32>(copied_code_end - copied_code) * 4; }

void copy_words(u32 to, u32 from, u32 bytes) {
  for (u32 n = 0; n < bytes; n += 4) write32(to + n, read32(from + n));
}

// The same words by several addresses, in turn.
void aliases() {
  const u32 linked = address_of(copied_code);
  for (u32 n = 0; n < 2; ++n) {
    show_results("alias", "linked", call(linked), 2);
    show_results("alias", "kernel text", call(linked - kRam + kKernelText), 2);
    show_results("alias", "low", call(linked - kRam + kLowText), 2);
  }
}

// A copy of code that has been executed, made by loads and stores, executed elsewhere.
void copies() {
  const u32 linked = address_of(copied_code), bytes = copied_bytes();
  copy_words(kPhysical, linked, bytes);
  make_executable(kPhysical, bytes);
  show_results("copy", "at its place", call(kPhysical), 2);
  show_results("copy", "in kernel text", call(kKernelText + 64 * kMiB), 2);
  // Of a copy that was executed at the alias.
  copy_words(kPhysical + kPage, kKernelText + 64 * kMiB, bytes);
  make_executable(kPhysical + kPage, bytes);
  show_results("copy of a copy", "at its place", call(kPhysical + kPage), 2);
  show_results("copy of a copy", "in kernel text", call(kKernelText + 64 * kMiB + kPage), 2);
  // By a byte at a time, and by multiple words.
  for (u32 n = 0; n < bytes; ++n) {
    memory_at<volatile u8>(kPhysical + 2 * kPage + n) = memory_at<volatile u8>(kPhysical + n);
  }
  make_executable(kPhysical + 2 * kPage, bytes);
  show_results("copy", "by bytes", call(kPhysical + 2 * kPage), 2);
  // Over code that has been executed.
  copy_words(kPhysical, kPhysical + 2 * kPage, bytes);
  make_executable(kPhysical, bytes);
  show_results("copy", "over itself", call(kPhysical), 2);
}

// A kernel writes its read-only text through another mapping, as Linux does for its jump labels.
void changed_by_alias() {
  constexpr u32 kReadStatus = 0xe10f1000, kReadThread = 0xee1d1f90;  // mrs r1, cpsr; TPIDRPRW to r1
  constexpr u32 kStore = 0xe5801000, kBack = 0xe12fff1e;             // str r1, [r0]; bx lr
  constexpr u32 kNop = 0xe320f000, kMoveSeven = 0xe3a01007;
  const u32 text = kKernelText + 64 * kMiB + 3 * kPage, alias = kPhysical + 3 * kPage;
  first_table[(kKernelText + 64 * kMiB) / kMiB] = section(kPhysical, kKernelReads);
  tables_written();
  Cp15<0, 13, 0, 4>::write(0x7d7d7d7d);
  for (const u32 word : {kReadStatus, kMoveSeven, kReadThread, kNop, kReadStatus, kReadThread}) {
    write32(alias, word);
    write32(alias + 4, kStore);
    write32(alias + 8, kBack);
    make_executable(alias, 12);
    make_executable(text, 12);
    // Fixed before it is stored, whatever the word does.
    asm volatile("mov r1, #0" : : : "r1");
    const Taken taken = call(text);
    begin_line("changed by alias");
    add_name(word);
    begin_values();
    show(taken, text);
    show(word == kNop ? 0 : results[0]);
    end_line();
  }
  first_table[(kKernelText + 64 * kMiB) / kMiB] = section(kPhysical, kEveryone);
  tables_written();
}

// Stores of all kinds to the page that the code itself is in.
void mixed() {
  struct Case {
    const char* name;
    Body body;
  };
  constexpr Case kCases[] = {{"stores", mixed_store}, {"stack", mixed_stack}};
  for (const u32 alias : {0u, kKernelText - kRam}) {
    for (const Case& each : kCases) {
      for (u32 n = 0; n < 8; ++n) mixed_data[n] = 0;
      const u32 at = address_of(each.body) + alias;
      const Taken taken =
          run(psr::kMasks | psr::kSupervisor, reinterpret_cast<Body>(at), 0x76543210);
      begin_line("data in code");
      add_name(each.name);
      add_name(alias);
      begin_values();
      show(taken, at);
      for (u32 n = 0; n < 8; ++n) show(mixed_data[n]);
      end_line();
    }
  }
  // A process writes there.
  const Taken taken = run(
      psr::kMasks | psr::kUser,
      [](u32 at) {
        write32(at, 0x12345678);
        memory_at<volatile u8>(at + 4) = 0x9a;
      },
      address_of(mixed_data));
  begin_line("data in code written by a process");
  begin_values();
  show(taken, 0);
  show(mixed_data[0]);
  show(mixed_data[1]);
  end_line();
  (void)run(psr::kMasks | psr::kSupervisor, mixed_store, 1);
  line("code works on", mixed_data[2]);
}

// A table in a page that is executed.
void table_in_code() {
  const u32 page = kPhysical + 5 * kPage;
  copy_words(page, address_of(copied_code), copied_bytes());
  for (u32 n = 0; n < 256; ++n) write32(page + 1024 + n * 4, 0);
  make_executable(page, kPage);
  show_results("table in code", "before", call(page), 2);
  first_table[0x910] = table(page + 1024);
  for (u32 n = 0; n < 4; ++n) {
    write32(kPhysical + (8 + n) * kPage, 0x50505050 + n);
    write32(page + 1024, small_page(kPhysical + (8 + n) * kPage, kEveryone));
    tables_written();
    line("table in code", read32(0x91000000));
    show_results("table in code", "after", call(page), 2);
  }
  first_table[0x910] = 0;
  tables_written();
}

// A page that is code, then data, then code again, many times.
void code_and_data() {
  const u32 page = kPhysical + 6 * kPage;
  u32 wrong = 0;
  for (u32 n = 0; n < 50; ++n) {
    for (u32 at = 0; at < kPage; at += 4) write32(page + at, n * 0x01010101 + at);
    for (u32 at = 0; at < kPage; at += 4) wrong += read32(page + at) != n * 0x01010101 + at;
    copy_words(page + 16 * n, kPhysical, copied_bytes());
    make_executable(page + 16 * n, copied_bytes());
    const Taken taken = call(page + 16 * n);
    wrong += !taken.left() || results[1] == 0;
  }
  line("code and data in turn, wrong", wrong);
}

// The kernel and a process execute the same words.
void shared_with_process() {
  show_results("run by the kernel", "", call(address_of(copied_code)), 2);
  const Taken taken = run(
      psr::kMasks | psr::kUser,
      [](u32) {
        u32 status = 0xffffffff;
        asm volatile("mrs %0, cpsr\n\tcpsid i\n\tmsr cpsr_f, #0xf0000000" : "+r"(status) : : "cc");
      },
      0);
  begin_line("sensitive words run by a process first");
  begin_values();
  show(taken, 0);
  end_line();
  static constexpr Body kBoth = [](u32) {
    asm volatile("mrs r1, cpsr\n\tcpsid i\n\tmsr cpsr_f, #0xf0000000" : : : "r1", "cc");
  };
  for (u32 n = 0; n < 2; ++n) {
    for (const Mode& mode : {kSupervisor, kUser}) {
      const Taken each = run(psr::kMasks | mode.number, kBoth, 0);
      begin_line("sensitive words run by both");
      add_name(mode.name);
      begin_values();
      show(each, address_of(kBoth));
      end_line();
    }
  }
}

// Translation is switched off and on in the middle of code; it goes on where it is one to one.
void switch_translation() {
  for (u32 n = 0; n < 3; ++n) {
    stop_translating();
    show_results("translation off", "", call(address_of(copied_code)), 2);
    line("translation off, SCTLR", Sctlr::read() & 0x3fff);
    translate_by(first_table);
    show_results("translation on", "", call(address_of(copied_code) - kRam + kKernelText), 2);
  }
  // What is mapped elsewhere is itself while translation is off.
  write32(kPhysical, 0x01020304);
  write32(kPhysical + kMiB, 0x05060708);
  first_table[kPhysical / kMiB] = section(kPhysical + kMiB, kEveryone);
  tables_written();
  const u32 mapped = read32(kPhysical);
  stop_translating();
  const u32 itself = read32(kPhysical);
  first_table[kPhysical / kMiB] = section(kPhysical, kEveryone);
  translate_by(first_table);
  begin_line("mapped elsewhere, and itself");
  begin_values();
  show(mapped);
  show(itself);
  end_line();
}

}  // namespace

void test_code() {
  map_one_to_one(first_table);
  translate_by(first_table);
  map_aliases();
  aliases();
  copies();
  changed_by_alias();
  Cpacr::write(0x00f00000);
  asm volatile(".fpu neon\n\tvmsr fpexc, %0" : : "r"(1u << 30));
  mixed();
  asm volatile(".fpu neon\n\tvmsr fpexc, %0" : : "r"(0));
  Cpacr::write(0);
  table_in_code();
  code_and_data();
  for (const u32 alias : {0u, kKernelText - kRam, kLowText - kRam}) {
    show_results("across pages", "", call(address_of(across_pages) + alias), 1);
  }
  shared_with_process();
  switch_translation();
  stop_translating();
}

}  // namespace guest
