// What the benchmark's programs ask of Linux, by the C library.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The cheapest system call, without what a library may do around it.
inline void null_call() { syscall(SYS_getppid); }
