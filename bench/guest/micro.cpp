// The micro-benchmark: a static Linux program that does each operation a fixed number of times,
// each time between two markers. It takes no time itself; the counting plugin looks at the markers.
// `micro` runs everything, `micro boot` marks the end of the start, `micro exit` does nothing. The
// loads of a neighbour end never: `micro hog` writes memory, `micro storm` calls the kernel, `micro
// flood ADDRESS` sends datagrams.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dhrystone.hpp"
#include "operations.hpp"

namespace {

using mezzo::bench::measure;
using mezzo::bench::Operation;

constexpr int kWarmUp = 16;
// So many repetitions that one strike of the timer more or less does not show.
constexpr int kTiny = 65536;  // of what takes less than a thousand instructions
constexpr int kShort = 4096;  // of what takes some thousands
constexpr int kLong = 128;    // of what makes a process
constexpr size_t kPage = 4096;
constexpr size_t kFilePages = 64;
constexpr char kFile[] = "/tmp/micro-file";

[[noreturn]] void fail(const char* what) {
  perror(what);
  _exit(1);
}

void require(bool good, const char* what) {
  if (!good) fail(what);
}

// Repeats `body`, the last `times` of them between markers.
template <Operation operation, class Body>
void repeat(int times, Body body) {
  for (int n = 0; n < kWarmUp; ++n) body();
  for (int n = 0; n < times; ++n) measure<operation>(body);
}

void system_calls() {
  repeat<Operation::NullSyscall>(kTiny, [] { syscall(SYS_getppid); });
  char byte = 0;
  const int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
  require(zero >= 0 && null >= 0, "/dev/zero, /dev/null");
  repeat<Operation::Read>(kTiny, [&] { require(read(zero, &byte, 1) == 1, "read"); });
  repeat<Operation::Write>(kTiny, [&] { require(write(null, &byte, 1) == 1, "write"); });
  struct stat status;
  repeat<Operation::Stat>(kShort, [&] { require(stat(kFile, &status) == 0, "stat"); });
  repeat<Operation::OpenClose>(kShort, [] {
    const int file = open(kFile, O_RDONLY);
    require(file >= 0, kFile);
    close(file);
  });
}

void signals() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  repeat<Operation::SignalInstall>(kTiny, [&] { sigaction(SIGUSR1, &action, nullptr); });
  const pid_t self = getpid();
  repeat<Operation::SignalCatch>(kShort, [&] { kill(self, SIGUSR1); });
}

// A child that sends back each byte that comes, until the pipe is closed.
[[noreturn]] void echo(int from, int to) {
  char byte;
  while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1) {
  }
  _exit(0);
}

void pipes() {
  int there[2], back[2];
  require(pipe(there) == 0 && pipe(back) == 0, "pipe");
  const pid_t child = fork();
  require(child >= 0, "fork");
  if (child == 0) {
    close(there[1]);
    echo(there[0], back[1]);
  }
  char byte = 0;
  repeat<Operation::Pipe>(kShort, [&] {
    require(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "pipe");
  });
  close(there[1]);
  waitpid(child, nullptr, 0);
}

void* map(size_t pages, int file) {
  void* const at = mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE,
                        file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, file, 0);
  require(at != MAP_FAILED, "mmap");
  return at;
}

void memory() {
  constexpr size_t kPages = kWarmUp + kShort;
  void* const fresh = map(kPages, -1);
  volatile char* next = static_cast<char*>(fresh);
  repeat<Operation::PageFault>(kShort, [&] {
    *next = 1;
    next += kPage;
  });
  munmap(fresh, kPages * kPage);  // or each fork would copy its page tables
  const int file = open(kFile, O_RDWR);
  require(file >= 0, kFile);
  repeat<Operation::Mmap>(kLong, [&] {
    volatile char* const at = static_cast<char*>(map(kFilePages, file));
    for (size_t page = 0; page < kFilePages; ++page) at[page * kPage] = 1;
    munmap(const_cast<char*>(at), kFilePages * kPage);
  });
  close(file);
}

void processes(const char* program) {
  const auto wait_for = [](pid_t child) {
    int status = 0;
    require(child > 0 && waitpid(child, &status, 0) == child, "fork");
    if (status != 0) fail("the child failed");
  };
  repeat<Operation::ForkExit>(kLong, [&] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    wait_for(child);
  });
  repeat<Operation::ForkExec>(kLong, [&] {
    const pid_t child = fork();
    if (child == 0) {
      execl(program, program, "exit", nullptr);
      _exit(1);
    }
    wait_for(child);
  });
}

[[noreturn]] void hog() {
  constexpr size_t kBytes = size_t{64} << 20;
  auto* const memory = static_cast<char*>(map(kBytes / kPage, -1));
  for (int value = 0;; ++value) memset(memory, value, kBytes);
}

[[noreturn]] void storm() {
  for (;;) syscall(SYS_getppid);
}

[[noreturn]] void flood(const char* address) {
  constexpr uint16_t kDiscard = 9;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(kDiscard);
  require(inet_pton(AF_INET, address, &to.sin_addr) == 1, address);
  const int out = socket(AF_INET, SOCK_DGRAM, 0);
  require(out >= 0, "socket");
  static const char datagram[1400] = {};
  // A full queue is no reason to stop.
  for (;;) {
    sendto(out, datagram, sizeof datagram, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
}

void make_file() {
  static const char page[kPage] = {};
  const int file = open(kFile, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  require(file >= 0, kFile);
  for (size_t n = 0; n < kFilePages; ++n) require(write(file, page, kPage) == kPage, kFile);
  close(file);
}

}  // namespace

int main(int argc, char** argv) {
  using mezzo::bench::Mark;
  if (argc > 1 && strcmp(argv[1], "exit") == 0) return 0;
  if (argc > 1 && strcmp(argv[1], "boot") == 0) {
    mezzo::bench::mark_here<Mark::End, Operation::Boot>();
    return 0;
  }
  if (argc > 1 && strcmp(argv[1], "hog") == 0) hog();
  if (argc > 1 && strcmp(argv[1], "storm") == 0) storm();
  if (argc > 2 && strcmp(argv[1], "flood") == 0) flood(argv[2]);
  make_file();
  system_calls();
  signals();
  pipes();
  memory();
  processes(argv[0]);
  Dhrystone dhrystone;
  repeat<Operation::Dhrystone>(kTiny, [&] { dhrystone.iterate(); });
  return dhrystone.is_as_expected() ? 0 : 1;
}
