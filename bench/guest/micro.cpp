// The micro-benchmark: a static Linux program that does each operation a fixed number of times,
// each time between two markers. It takes no time itself; the counting plugin looks at the markers.
// `micro` runs everything, `micro GROUP` one group of operations, `micro boot` marks the end of the
// start, `micro exit` does nothing.
// x86/ and armv7/ have posix.hpp, of the C library or, where there is none, our own, and
// marker.hpp.
#include "dhrystone.hpp"
#include "marker.hpp"
#include "posix.hpp"

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
constexpr char kProgram[] = "/bin/micro";  // this one

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
  repeat<Operation::NullSyscall>(kTiny, null_call);
  char byte = 0;
  const int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
  require(zero >= 0 && null >= 0, "/dev/zero, /dev/null");
  repeat<Operation::Read>(kTiny, [&] { require(read(zero, &byte, 1) == 1, "read"); });
  repeat<Operation::Write>(kTiny, [&] { require(write(null, &byte, 1) == 1, "write"); });
}

void files() {
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

void wait_for(pid_t child) {
  int status = 0;
  require(child > 0 && waitpid(child, &status, 0) == child, "fork");
  if (status != 0) fail("the child failed");
}

// A process that runs `program`, from its start to its end.
template <Operation operation>
void execute(const char* program, const char* argument) {
  char* const arguments[] = {const_cast<char*>(program), const_cast<char*>(argument), nullptr};
  repeat<operation>(kLong, [&] {
    const pid_t child = fork();
    if (child == 0) {
      execv(program, arguments);
      _exit(1);
    }
    wait_for(child);
  });
}

void processes() {
  repeat<Operation::ForkExit>(kLong, [&] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    wait_for(child);
  });
  execute<Operation::ForkExec>(kProgram, "exit");
  execute<Operation::ExecBusybox>("/bin/busybox", "true");
}

// Writes each page of a stretch of memory that a child shares since the fork: each is copied.
void copies() {
  constexpr size_t kPages = 1024;
  constexpr int kTimes = 8;
  volatile char* const memory = static_cast<char*>(map(kPages, -1));
  const auto write_all = [&] {
    for (size_t page = 0; page < kPages; ++page) memory[page * kPage] = 1;
  };
  write_all();
  for (int n = 0; n < kTimes; ++n) {
    int ends[2];
    require(pipe(ends) == 0, "pipe");
    const pid_t child = fork();
    if (child == 0) {
      close(ends[1]);
      char byte;
      (void)!read(ends[0], &byte, 1);  // until the parent has closed its end
      _exit(0);
    }
    close(ends[0]);
    measure<Operation::CopyOnWrite>(write_all);
    close(ends[1]);
    wait_for(child);
  }
  munmap(const_cast<char*>(memory), kPages * kPage);
}

// Two processes of one real-time priority give the processor to each other: there and back.
void switches() {
  constexpr sched_param kPriority = {.sched_priority = 1}, kNone = {.sched_priority = 0};
  const pid_t self = getpid();
  require(sched_setscheduler(self, SCHED_FIFO, &kPriority) == 0, "sched_setscheduler");
  const pid_t child = fork();
  require(child >= 0, "fork");
  if (child == 0) {
    for (;;) sched_yield();
  }
  repeat<Operation::ContextSwitch>(kShort, [] { sched_yield(); });
  kill(child, SIGKILL);
  require(sched_setscheduler(self, SCHED_OTHER, &kNone) == 0, "sched_setscheduler");
  waitpid(child, nullptr, 0);
}

// Nothing but instructions: what a monitor takes from it is what its interrupts take.
void compute() {
  constexpr uint32_t kRounds = 1 << 20;
  repeat<Operation::Compute>(kWarmUp, [] {
    uint32_t value = 1;
    for (uint32_t round = 0; round < kRounds; ++round) {
      value = value * 1664525 + 1013904223;
      asm volatile("" : "+r"(value));
    }
  });
  static Dhrystone dhrystone;
  repeat<Operation::Dhrystone>(kTiny, [] { dhrystone.iterate(); });
  require(dhrystone.is_as_expected(), "dhrystone");
}

void make_file() {
  static const char page[kPage] = {};
  const int file = open(kFile, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  require(file >= 0, kFile);
  for (size_t n = 0; n < kFilePages; ++n) require(write(file, page, kPage) == kPage, kFile);
  close(file);
}

struct Group {
  const char* name;
  void (*run)();
};
constexpr Group kGroups[] = {
    {"calls", system_calls}, {"files", files},       {"signals", signals},
    {"pipes", pipes},        {"memory", memory},     {"processes", processes},
    {"copies", copies},      {"switches", switches}, {"compute", compute},
};

}  // namespace

int main(int argc, char** argv) {
  using mezzo::bench::Mark;
  const char* const what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "exit") == 0) return 0;
  if (strcmp(what, "boot") == 0) {
    mezzo::bench::mark_here<Mark::End, Operation::Boot>();
    return 0;
  }
  make_file();
  for (const Group& group : kGroups) {
    if (argc == 1 || strcmp(what, group.name) == 0) group.run();
  }
  return 0;
}
