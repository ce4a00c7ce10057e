// What the benchmark's programs ask of Linux, where there is no C library for them: the part of
// POSIX that they use, with the names, types and meanings of POSIX, for 32-bit Arm (EABI). Calls
// that fail return -1; there is no errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

using pid_t = int;
using ssize_t = int;
using off_t = int32_t;
using mode_t = uint32_t;

inline constexpr int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_TRUNC = 01000;
inline constexpr int PROT_READ = 1, PROT_WRITE = 2;
inline constexpr int MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20;
inline void* const MAP_FAILED = reinterpret_cast<void*>(-1);
inline constexpr int SIGKILL = 9, SIGUSR1 = 10;
inline constexpr int SCHED_OTHER = 0, SCHED_FIFO = 1;

// As the kernel has it: struct stat64 of 104 bytes, which nobody here looks into.
struct stat {
  uint64_t contents[13];
};
// struct sigaction of rt_sigaction(2). Without SA_RESTORER the kernel returns by its own page.
struct sigaction {
  void (*sa_handler)(int);
  unsigned long sa_flags;
  void (*sa_restorer)();
  uint32_t sa_mask[2];
};
struct sched_param {
  int sched_priority;
};

extern "C" {
int open(const char* path, int flags, mode_t mode = 0);
int close(int file);
ssize_t read(int file, void* to, size_t bytes);
ssize_t write(int file, const void* from, size_t bytes);
int stat(const char* path, struct stat* to);
int pipe(int ends[2]);
void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset);
int munmap(void* at, size_t bytes);
pid_t fork();
[[noreturn]] void _exit(int status);
pid_t waitpid(pid_t child, int* status, int options);
int execv(const char* path, char* const* arguments);
pid_t getpid();
int kill(pid_t process, int signal);
int sigaction(int signal, const struct sigaction* now, struct sigaction* before);
int sched_setscheduler(pid_t process, int policy, const sched_param* parameters);
int sched_yield();
void perror(const char* what);  // without the reason
int puts(const char* text);

void* memcpy(void* to, const void* from, size_t bytes);
void* memset(void* to, int value, size_t bytes);
char* strcpy(char* to, const char* from);
int strcmp(const char* one, const char* two);
size_t strlen(const char* text);
}

// The cheapest system call, without what a library may do around it.
void null_call();
