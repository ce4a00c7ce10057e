// System calls of 32-bit Arm (EABI: number in r7, arguments in r0 to r5, result or negated error
// number in r0), the few functions on strings, the start of a program, and what the compiler calls.
#include "posix.hpp"

namespace {

// Source: Linux, arch/arm/tools/syscall.tbl.
enum class Call : long {
  Fork = 2,
  Read = 3,
  Write = 4,
  Open = 5,
  Close = 6,
  Execve = 11,
  Getpid = 20,
  Kill = 37,
  Pipe = 42,
  Getppid = 64,
  Munmap = 91,
  Wait4 = 114,
  SchedSetscheduler = 156,
  SchedYield = 158,
  RtSigaction = 174,
  Mmap2 = 192,
  Stat64 = 195,
  ExitGroup = 248,
};

long raw(Call call, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long r7 asm("r7") = static_cast<long>(call);
  register long r0 asm("r0") = a;
  register long r1 asm("r1") = b;
  register long r2 asm("r2") = c;
  register long r3 asm("r3") = d;
  register long r4 asm("r4") = e;
  register long r5 asm("r5") = f;
  asm volatile("svc #0"
               : "+r"(r0)
               : "r"(r7), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5)
               : "memory");
  return r0;
}

long word(long value) { return value; }
long word(const void* value) { return reinterpret_cast<long>(value); }

template <class... Arguments>
int ask(Call call, Arguments... arguments) {
  constexpr long kLastError = -4095;
  const long result = raw(call, word(arguments)...);
  return result < 0 && result >= kLastError ? -1 : static_cast<int>(result);
}

}  // namespace

int main(int argc, char** argv);

extern "C" {

int open(const char* path, int flags, mode_t mode) {
  return ask(Call::Open, path, flags, static_cast<long>(mode));
}
int close(int file) { return ask(Call::Close, file); }
ssize_t read(int file, void* to, size_t bytes) {
  return ask(Call::Read, file, to, static_cast<long>(bytes));
}
ssize_t write(int file, const void* from, size_t bytes) {
  return ask(Call::Write, file, from, static_cast<long>(bytes));
}
int stat(const char* path, struct stat* to) { return ask(Call::Stat64, path, to); }
int pipe(int ends[2]) { return ask(Call::Pipe, ends); }

void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) {
  constexpr off_t kPage = 4096;
  const int result =
      ask(Call::Mmap2, at, static_cast<long>(bytes), protection, flags, file, offset / kPage);
  return reinterpret_cast<void*>(result);  // NOLINT(performance-no-int-to-ptr)
}
int munmap(void* at, size_t bytes) { return ask(Call::Munmap, at, static_cast<long>(bytes)); }

pid_t fork() { return ask(Call::Fork); }
void _exit(int status) {
  for (;;) ask(Call::ExitGroup, status);
}
pid_t waitpid(pid_t child, int* status, int options) {
  return ask(Call::Wait4, child, status, options, 0L);
}
int execv(const char* path, char* const* arguments) {
  constexpr const char* kNoEnvironment[] = {nullptr};
  return ask(Call::Execve, path, arguments, kNoEnvironment);
}
pid_t getpid() { return ask(Call::Getpid); }
int kill(pid_t process, int signal) { return ask(Call::Kill, process, signal); }

int sigaction(int signal, const struct sigaction* now, struct sigaction* before) {
  return ask(Call::RtSigaction, signal, now, before, static_cast<long>(sizeof now->sa_mask));
}
int sched_setscheduler(pid_t process, int policy, const sched_param* parameters) {
  return ask(Call::SchedSetscheduler, process, policy, parameters);
}
int sched_yield() { return ask(Call::SchedYield); }

void perror(const char* what) {
  constexpr int kStandardError = 2;
  write(kStandardError, what, strlen(what));
  write(kStandardError, ": failed\n", 9);
}
int puts(const char* text) {
  constexpr int kStandardOutput = 1;
  write(kStandardOutput, text, strlen(text));
  return write(kStandardOutput, "\n", 1);
}

void* memcpy(void* to, const void* from, size_t bytes) {
  auto* next = static_cast<char*>(to);
  for (const auto* at = static_cast<const char*>(from); bytes > 0; --bytes) *next++ = *at++;
  return to;
}
void* memset(void* to, int value, size_t bytes) {
  for (auto* next = static_cast<char*>(to); bytes > 0; --bytes) *next++ = static_cast<char>(value);
  return to;
}
char* strcpy(char* to, const char* from) {
  for (char* next = to; (*next = *from) != 0; ++next) ++from;
  return to;
}
int strcmp(const char* one, const char* two) {
  while (*one != 0 && *one == *two) ++one, ++two;
  return static_cast<unsigned char>(*one) - static_cast<unsigned char>(*two);
}
size_t strlen(const char* text) {
  size_t length = 0;
  while (text[length] != 0) ++length;
  return length;
}

// Run-time ABI for the Arm Architecture (IHI 0043), 4.3.1: what the compiler calls, because
// Cortex-A8 and A9 have no instruction for it.
int __aeabi_idiv(int dividend, int divisor) {
  const bool negative = (dividend < 0) != (divisor < 0);
  uint32_t rest =
      dividend < 0 ? 0u - static_cast<uint32_t>(dividend) : static_cast<uint32_t>(dividend);
  const uint32_t by =
      divisor < 0 ? 0u - static_cast<uint32_t>(divisor) : static_cast<uint32_t>(divisor);
  if (by == 0) return 0;
  uint32_t quotient = 0;
  for (int bit = __builtin_clz(by) - (rest == 0 ? 31 : __builtin_clz(rest)); bit >= 0; --bit) {
    if (rest >= by << bit) rest -= by << bit, quotient |= 1u << bit;
  }
  return static_cast<int>(negative ? 0u - quotient : quotient);
}

// A program begins with the stack pointer at its argument count, the arguments behind it.
[[gnu::used]] void start_program(const long* stack) {
  char* const* const arguments = reinterpret_cast<char* const*>(stack + 1);
  _exit(main(static_cast<int>(*stack), const_cast<char**>(arguments)));
}
[[gnu::naked]] void _start() { asm("mov r0, sp\n bic sp, sp, #7\n b start_program"); }
}

void null_call() { ask(Call::Getppid); }
