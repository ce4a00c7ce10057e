// Counters that several threads and a signal handler increment with LDREX and STREX of every size,
// in Thumb code. Each is exact at the end, or the program says so and its status is 1.
//
// On one processor what contends is whoever is scheduled between the two instructions; half of the
// increments wait there, to be interrupted.
#include "linux/linux.hpp"

namespace guest {
namespace {

constexpr u32 kThreads = 4, kRounds = 40'000, kStack = 16384;

alignas(8) u64 doubles;
u32 words, finished, signals, retries;
u16 halves;
u8 bytes;
alignas(8) u8 stacks[kThreads][kStack];

// Adds 1, and what it took to `retries`; `wait`: steps between the two instructions.
#define MEZZO_ADD_ONE(type, suffix)                                               \
  void add_one(type& counter, u32 wait, u32& failed) {                            \
    u32 value, status, left;                                                      \
    for (;;) {                                                                    \
      asm volatile("ldrex" suffix                                                 \
                   " %0, [%3]\n\tadd %0, %0, #1\n\tmov %2, %4\n\t"                \
                   "1: subs %2, %2, #1\n\tbpl 1b\n\tstrex" suffix " %1, %0, [%3]" \
                   : "=&r"(value), "=&r"(status), "=&r"(left)                     \
                   : "r"(&counter), "r"(wait)                                     \
                   : "cc", "memory");                                             \
      if (status == 0) return;                                                    \
      ++failed;                                                                   \
    }                                                                             \
  }
MEZZO_ADD_ONE(u32, "")
MEZZO_ADD_ONE(u16, "h")
MEZZO_ADD_ONE(u8, "b")
#undef MEZZO_ADD_ONE

void add_one(u64& counter, u32 wait, u32& failed) {
  for (;;) {
    u32 low, high, status, left;
    asm volatile(
        "ldrexd %0, %1, [%4]\n\tadds %0, %0, #1\n\tadc %1, %1, #0\n\tmov %3, %5\n\t"
        "1: subs %3, %3, #1\n\tbpl 1b\n\tstrexd %2, %0, %1, [%4]"
        : "=&r"(low), "=&r"(high), "=&r"(status), "=&r"(left)
        : "r"(&counter), "r"(wait)
        : "cc", "memory");
    if (status == 0) return;
    ++failed;
  }
}

void add_to_all(u32 wait, u32& failed) {
  add_one(words, wait, failed);
  add_one(halves, wait, failed);
  add_one(bytes, wait, failed);
  add_one(doubles, wait, failed);
}

void work() {
  constexpr u32 kWait = 40;
  u32 failed = 0, unimportant = 0;
  for (u32 round = 0; round < kRounds; ++round) add_to_all(round % 2 * kWait, failed);
  for (; failed != 0; --failed) add_one(retries, 0, unimportant);
  add_one(finished, 0, unimportant);
}

void on_alarm(int) {
  u32 unimportant = 0;
  add_to_all(0, unimportant);
  add_one(signals, 0, unimportant);
}

// A signal every `microseconds`; 0: no more of them.
void set_alarm(u32 microseconds) {
  const u32 timer[] = {0, microseconds, 0, microseconds};
  (void)need(call(Call::SetTimer, 0, address_of(timer), 0), "setitimer");
}

bool report(const char* what, u64 found, u64 expected) {
  print(what);
  print(" ");
  print(found);
  print(found == expected ? " exact\n" : " WRONG, expected ");
  if (found != expected) {
    print(expected);
    print("\n");
  }
  return found == expected;
}

}  // namespace

extern "C" [[noreturn]] void run() {
  constexpr u32 kAlarm = 14, kRestart = 0x10000000, kMaskBytes = 8;
  // handler, flags, restorer (the kernel's own page), mask: struct sigaction of rt_sigaction(2)
  const u32 action[] = {reinterpret_cast<u32>(&on_alarm), kRestart, 0, 0, 0};
  (void)need(call(Call::SignalAction, kAlarm, address_of(action), 0, kMaskBytes), "sigaction");
  set_alarm(1000);
  for (auto& stack : stacks) (void)need(start_thread(work, stack + kStack), "clone");
  while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != kThreads) (void)call(Call::Yield);
  set_alarm(0);
  const u32 handled = __atomic_load_n(&signals, __ATOMIC_ACQUIRE);
  const u32 expected = kThreads * kRounds + handled;
  bool good = report("words", words, expected);
  good &= report("halfwords", halves, static_cast<u16>(expected));
  good &= report("bytes", bytes, static_cast<u8>(expected));
  good &= report("doublewords", doubles, expected);
  print("signals ");
  print(u64{handled});
  print(", retries ");
  print(u64{retries});
  print("\n");
  leave(good ? 0 : 1);
}

}  // namespace guest
