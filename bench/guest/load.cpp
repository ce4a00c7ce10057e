// What a neighbour does to disturb the measured guest, without end: `load hog` writes memory, `load
// storm` calls the kernel, `load flood ADDRESS` sends datagrams.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "hog") == 0) hog();
  if (argc > 1 && strcmp(argv[1], "storm") == 0) storm();
  if (argc > 2 && strcmp(argv[1], "flood") == 0) flood(argv[2]);
  return 1;
}
