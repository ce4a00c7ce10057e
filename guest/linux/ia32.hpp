// What static i386 programs for Linux guests need in place of a C library: system calls, and a
// start that calls run() with the stack as the kernel leaves it: the number of arguments, then
// their addresses. For the one source file of a program.
#pragma once

extern "C" [[noreturn]] void run(const int* stack);

namespace guest {

inline int call(int number, long first = 0, long second = 0, long third = 0) {
  int result;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(third)
               : "memory");
  return result;
}

inline long address_of(const void* object) { return reinterpret_cast<long>(object); }

[[noreturn]] inline void fail(const char* what) {
  constexpr int kExit = 1, kWrite = 4;
  int length = 0;
  while (what[length] != 0) ++length;
  call(kWrite, 2, address_of(what), length);
  for (;;) call(kExit, 1);
}

}  // namespace guest

asm(".globl _start\n_start: mov %esp, %eax\n and $-16, %esp\n sub $12, %esp\n push %eax\n call "
    "run");
