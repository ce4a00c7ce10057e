// Instructions that are undefined, privileged beyond the guest's privileges, or not what the
// monitor handles often.
#include <initializer_list>

#include "armv7/gic.hpp"
#include "armv7/tables.hpp"
#include "probe/armv7/probe.hpp"

namespace probe {
namespace {

using guest::begin_probe;

struct alignas(4096) Page {
  u32 words[1024];
};
Page kernel_page, user_page;

u32 seed = 0x9e3779b9;
u32 random() {
  seed ^= seed << 13;
  seed ^= seed >> 17;
  return seed ^= seed << 5;
}

// Runs one word; the registers that a body must keep are put right again after it.
Outcome run_word(const Mode& mode, u32 word) {
  Page& page = mode.number == psr::kUser ? user_page : kernel_page;
  page.words[0] = 0xe92d5ff0;  // push {r4-r12, lr}
  page.words[1] = word;
  page.words[2] = 0xe1a00000;  // nop
  page.words[3] = 0xe8bd9ff0;  // pop {r4-r12, pc}
  guest::make_executable(address_of(page.words), 16);
  return in_mode(mode, reinterpret_cast<Body>(address_of(page.words)));
}

// Runs a page of words that change no register but r1, one after the other; those that are
// undefined are passed over. Returns how many were.
u32 undefined_words;
template <class Word>
u32 run_page(const Mode& mode, Word word_of) {
  constexpr u32 kBranchBack = 0xe12fff1e;  // bx lr
  Page& page = mode.number == psr::kUser ? user_page : kernel_page;
  for (u32 n = 0; n < 1023; ++n) page.words[n] = word_of(n);
  page.words[1023] = kBranchBack;
  guest::make_executable(address_of(page.words), sizeof page);
  guest::set_hook(Exception::Undefined, [](guest::TrapFrame&) {
    ++undefined_words;
    return true;
  });
  undefined_words = 0;
  const Outcome outcome = in_mode(mode, reinterpret_cast<Body>(address_of(page.words)));
  guest::set_hook(Exception::Undefined, nullptr);
  return outcome.taken.left() ? undefined_words : 0;
}

void undefined_storm() {
  constexpr u32 kRounds = 30;
  u32 refused = 0;
  for (u32 round = 0; round < kRounds; ++round) {
    refused += run_page(round % 2 != 0 ? kUser : kSupervisor, [](u32 n) {
      // The permanently undefined space, and coprocessors that do not exist.
      const u32 any = random();
      return n % 2 != 0 ? 0xe7f000f0 | (any & 0x000fff0f)
                        : 0xee000000 | (any & 0x00fff0ff) | (any >> 8 & 7) << 8;
    });
  }
  check("undefined-storm", refused == kRounds * 1023, refused);
}

// Encodings of CP14 and CP15 registers, a page of them from `first` on.
constexpr u32 kEncodings = 8 * 16 * 16 * 8;
[[nodiscard]] constexpr u32 encoding(u32 coprocessor, u32 n) {
  return 0xee001010 | coprocessor << 8 | (n >> 11 & 7) << 21 | (n >> 7 & 15) << 16 | (n & 7) << 5 |
         (n >> 3 & 15);
}

// Whatever there is to be read.
void all_reads() {
  for (const u32 coprocessor : {14u, 15u}) {
    for (const Mode& mode : {kSupervisor, kUser}) {
      u32 refused = 0;
      for (u32 first = 0; first < kEncodings; first += 1023) {
        refused += run_page(mode, [&](u32 n) {
          constexpr u32 kRead = 1u << 20;
          return encoding(coprocessor, (first + n) % kEncodings) | kRead;
        });
      }
      begin_probe(coprocessor == 14 ? "read-all-of-p14" : "read-all-of-p15", mode.name,
                  refused != 0);
      guest::print_number(refused);
      guest::print(" refused");
      guest::end_probe();
    }
  }
}

// Writes of registers, less those by which a guest changes what it stands on: control, tables,
// domains, vectors, its ASID.
void all_writes() {
  if (!under_monitor()) return guest::skip("write-all", "this machine is all the guest's");
  for (const u32 coprocessor : {14u, 15u}) {
    u32 refused = 0;
    for (u32 first = 0; first < kEncodings; first += 1023) {
      refused += run_page(kSupervisor, [&](u32 n) {
        constexpr u32 kNop = 0xe320f000;
        const u32 word = encoding(coprocessor, (first + n) % kEncodings);
        const u32 crn = word >> 16 & 15, opc1 = word >> 21 & 7, crm = word & 15;
        const bool harmful =
            coprocessor == 15 && opc1 == 0 && crm == 0 && (crn <= 3 || crn == 12 || crn == 13);
        return harmful ? kNop : word;
      });
    }
    check(coprocessor == 14 ? "write-all-of-p14" : "write-all-of-p15", refused != 0, refused);
  }
}

// To modes that are not the guest's, by every way into one.
void modes() {
  for (const u32 mode :
       {0x14u, 0x15u, 0x16u, 0x18u, 0x19u, 0x1au, 0x1cu, 0x1du, 0x1eu, 0x00u, 0x0fu}) {
    if (!under_monitor()) break;
    kernel(
        "msr-mode",
        [](u32 m) {
          u32 now;
          asm volatile(
              "mrs %0, cpsr\n\tbic %0, %0, #0x1f\n\torr %0, %0, %1\n\tmsr cpsr_c, %0\n\tmrs %0, "
              "cpsr"
              : "=&r"(now)
              : "r"(m));
          leave_value(now & psr::kModeMask);
        },
        value(psr::kSupervisor), mode);
    kernel(
        "return-to-mode",
        [](u32 m) {
          u32 now;
          asm volatile(
              "mrs %0, cpsr\n\tbic %0, %0, #0x1f\n\torr %0, %0, %1\n\tmsr spsr_cxsf, %0\n\t"
              "mov r3, lr\n\tadr lr, 1f\n\tmovs pc, lr\n1:\tmov lr, r3\n\tmrs %0, cpsr"
              : "=&r"(now)
              : "r"(m)
              : "r3", "lr");
          leave_value(now & psr::kModeMask);
        },
        value(psr::kSupervisor), mode);
  }
}

void calls_to_firmware() {
  if (!under_monitor()) return guest::skip("smc", "this machine's firmware is not there");
  for (const u32 word : {0xe1600070u, 0xe160007fu, 0xe1400070u, 0xe14fff7fu, 0xe160006eu}) {
    check("smc-hvc-eret", kSupervisor.name, run_word(kSupervisor, word), undefined());
    check("smc-hvc-eret", kUser.name, run_word(kUser, word), undefined());
  }
}

// The numbers of replaced words, as the guest's own calls.
void numbers_of_patches() {
  constexpr u32 kFirst = 0xa50000, kNumbers = 4096;
  u32 calls = 0, user_calls = 0;
  // One of them is WFI, which must find something.
  guest::start_interrupts();
  guest::raise(3);
  for (u32 n = 0; n < kNumbers; ++n) {
    if (n % 16 != 0 && n > 512) continue;
    calls += run_word(kSupervisor, 0xef000000 | (kFirst + n)).taken.is(Exception::SupervisorCall);
    user_calls += run_word(kUser, 0xef000000 | (kFirst + n)).taken.is(Exception::SupervisorCall);
  }
  check("numbers-of-patches", true, calls);
  check("user-numbers-of-patches", user_calls >= calls, user_calls);
  for (const u32 word : {0xefa60000u, 0xefa61048u, 0xefa600ffu, 0xefa7ffffu}) {
    check("return-call", kSupervisor.name, run_word(kSupervisor, word), survives());
    check("return-call", kUser.name, run_word(kUser, word), survives());
  }
  guest::end_interrupt(guest::acknowledge());
}

void set_and_way() {
  u32 done = 0;
  for (u32 n = 0; n < 4000; ++n) {
    const u32 operand = n < 64 ? n << 26 | n : random();
    const Body body = n % 3 == 0   ? Body([](u32 a) { guest::Cp15<0, 7, 6, 2>::write(a); })
                      : n % 3 == 1 ? Body([](u32 a) { guest::Cp15<0, 7, 10, 2>::write(a); })
                                   : Body([](u32 a) { guest::Cp15<0, 7, 14, 2>::write(a); });
    done += in_mode(kSupervisor, body, operand).taken.left();
  }
  check("set-and-way", done == 4000, done);
}

// Any word, by a process that can write one page and its stack and read the rest; what does not end
// by itself is interrupted.
void random_words() {
  using namespace guest::descriptor;
  constexpr u32 kPatience = 50'000;  // of the private timer
  guest::SecondTable& second = guest::second_tables[3];
  for (u32 n = 0; n < 256; ++n) {
    second[n] = small_page(guest::kRam + n * guest::kPage, guest::kUserReads);
  }
  for (const u32 page : {address_of(user_page.words), address_of(guest::mode_stacks)}) {
    second[page / guest::kPage % 256] = small_page(page, guest::kEveryone);
  }
  for (u32 at = 0; at < guest::kRamMapped; at += guest::kMiB) {
    guest::first_table[(guest::kRam + at) / guest::kMiB] =
        section(guest::kRam + at, guest::kUserReads);
  }
  for (const u32 device : {0x10000000u, 0x1e000000u}) {
    guest::first_table[device / guest::kMiB] = device_section(device, guest::kKernelOnly);
  }
  guest::first_table[guest::kRam / guest::kMiB] = table(address_of(second));
  guest::tables_written();
  guest::start_interrupts();
  guest::enable_line(guest::kTimerLine);
  u32 ends[8] = {};
  constexpr u32 kWords = 1'500;
  for (u32 n = 0; n < kWords; ++n) {
    for (u32 at = 0; at < 64; ++at) user_page.words[at] = random();
    guest::make_executable(address_of(user_page.words), 256);
    guest::start_timer(kPatience, false);
    const Taken taken = guest::run(psr::kFiqOff | psr::kAbortOff | psr::kUser,
                                   reinterpret_cast<Body>(address_of(user_page.words)));
    ++ends[static_cast<u32>(taken.exception) & 7];
    guest::stop_timer();
    if (!taken.is(Exception::Irq)) continue;
    const u32 line = guest::acknowledge();
    if ((line & 0x3ff) < 1020) guest::end_interrupt(line);
  }
  guest::map_one_to_one(guest::first_table);
  guest::tables_written();
  const u32 undefined = ends[static_cast<u32>(Exception::Undefined)];
  check("random-user-words", undefined != 0 && undefined < kWords, undefined);
}

}  // namespace

void probe_instructions() {
  undefined_storm();
  all_reads();
  all_writes();
  modes();
  calls_to_firmware();
  numbers_of_patches();
  set_and_way();
  random_words();
}

}  // namespace probe
