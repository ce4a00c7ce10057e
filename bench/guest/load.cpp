// What a neighbour does to disturb the measured guest, without end: `load hog` writes memory, `load
// storm` calls the kernel, `load flood ADDRESS` sends datagrams. `load clock` disturbs nobody: it
// says each second what the kernel's clock makes of the seconds of the real-time clock's chip.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

void require(bool good, const char* what) {
  if (good) return;
  perror(what);
  _exit(1);
}

[[noreturn]] void hog() {
  constexpr size_t kBytes = size_t{64} << 20;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED, "mmap");
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

// When the chip's next second begins, in nanoseconds of the kernel's clock.
long long next_second(int chip) {
  unsigned long updates = 0;
  require(read(chip, &updates, sizeof updates) == sizeof updates, "an interrupt of /dev/rtc0");
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

[[noreturn]] void compare_clocks() {
  const int chip = open("/dev/rtc0", O_RDONLY);
  require(chip >= 0 && ioctl(chip, RTC_UIE_ON, 0) == 0, "/dev/rtc0");
  const long long first = next_second(chip);
  for (int seconds = 1;; ++seconds) {
    printf("@clock %d %lld\n", seconds, next_second(chip) - first);
    fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "hog") == 0) hog();
  if (argc > 1 && strcmp(argv[1], "storm") == 0) storm();
  if (argc > 1 && strcmp(argv[1], "clock") == 0) compare_clocks();
  if (argc > 2 && strcmp(argv[1], "flood") == 0) flood(argv[2]);
  return 1;
}
