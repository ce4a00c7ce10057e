// What the Linux programs of our tests ask of the kernel, without a C library: 32-bit Arm, EABI.
#pragma once

namespace guest {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned;
using u64 = unsigned long long;

enum class Call : u32 {
  Read = 3,
  Write = 4,
  SetTimer = 104,
  Yield = 158,
  SignalAction = 174,
  ExitAll = 248,
  SocketPair = 288,
  SetSocketOption = 294,
  Bpf = 386,
};

extern "C" {
// call.S
int call(Call number, u32 first = 0, u32 second = 0, u32 third = 0, u32 fourth = 0, u32 fifth = 0);
int start_thread(void (*body)(), void* stack_top);
}

[[nodiscard]] inline u32 address_of(const volatile void* object) {
  return reinterpret_cast<u32>(object);
}

// ---- output ----

inline void print(const char* text) {
  u32 length = 0;
  while (text[length] != 0) ++length;
  (void)call(Call::Write, 1, address_of(text), length);
}

// In decimal; there is no division on these processors.
inline void print(u64 number) {
  constexpr u32 kDigits = 20;
  u64 power = 1;
  u32 digits = 1;
  while (digits < kDigits && number >= power * 10) {
    power *= 10;
    ++digits;
  }
  char text[kDigits + 1] = {};
  for (u32 n = 0; n < digits; ++n) {
    u64 unit = 1;
    for (u32 left = n + 1; left < digits; ++left) unit *= 10;
    text[n] = '0';
    while (number >= unit) {
      number -= unit;
      ++text[n];
    }
  }
  print(text);
}

[[noreturn]] inline void leave(u32 status) {
  for (;;) (void)call(Call::ExitAll, status);
}

// Ends the program if the kernel has refused something.
inline int need(int result, const char* what) {
  if (result >= 0) return result;
  print("refused: ");
  print(what);
  print("\n");
  leave(2);
}

}  // namespace guest
