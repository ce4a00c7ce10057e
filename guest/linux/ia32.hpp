// What the static i386 Linux programs of our guests ask of the kernel, without a C library.
#pragma once

namespace guest::linux_ia32 {

enum class Call : int {
  Exit = 1,
  Read = 3,
  Write = 4,
  Open = 5,
  Pause = 29,
  Ioctl = 54,
  Map = 90,
  PortRights = 101,  // ioperm
  FileStatus = 108,  // fstat
  Sleep = 162,       // nanosleep
  GetTime = 265,     // clock_gettime
};

inline int call(Call number, long first = 0, long second = 0, long third = 0) {
  int result;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(third)
               : "memory");
  return result;
}

inline long address_of(const volatile void* object) { return reinterpret_cast<long>(object); }

// Says what is wrong, on standard error, and ends the program.
[[noreturn]] inline void fail(const char* what) {
  int length = 0;
  while (what[length] != 0) ++length;
  call(Call::Write, 2, address_of(what), length);
  for (;;) call(Call::Exit, 1);
}

// The number at the beginning of an argument.
[[nodiscard]] inline unsigned number_of(const char* digits) {
  unsigned value = 0;
  for (; *digits >= '0' && *digits <= '9'; ++digits) {
    value = value * 10 + static_cast<unsigned>(*digits - '0');
  }
  return value;
}

// The program. `stack`: the argument count and the arguments' addresses, as the kernel puts them on
// top of the stack.
extern "C" [[noreturn]] void run(const int* stack);

}  // namespace guest::linux_ia32
