// mezzo-slip TTY: makes a network interface of a serial port (Linux's SLIP line discipline) and
// waits for ever, because the interface lives as long as the port is open.
//
// A static i386 Linux program without a C library, for guests whose busybox has no slattach. It
// sets no address; that is for ip(8).
#include "linux/ia32.hpp"

namespace guest::linux_ia32 {
namespace {

constexpr int kReadWrite = 2, kNoControllingTerminal = 0400;
constexpr unsigned kSetTermios = 0x5402, kSetLineDiscipline = 0x5423, kSetEncapsulation = 0x8926;
constexpr int kSlipDiscipline = 1, kUncompressed = 0;
constexpr unsigned k115200 = 0010002, k8Bits = 0000060, kReceiver = 0000200, kLocal = 0004000;

// asm-generic/termbits.h
struct Termios {
  unsigned input, output, control, local;
  unsigned char line;
  unsigned char characters[19];
};

}  // namespace

void run(const int* stack) {
  const int arguments = stack[0];
  if (arguments != 2) fail("usage: mezzo-slip TTY\n");
  const int port = call(Call::Open, stack[2], kReadWrite | kNoControllingTerminal);
  if (port < 0) fail("mezzo-slip: cannot open the port\n");
  Termios raw = {};
  raw.control = k115200 | k8Bits | kReceiver | kLocal;
  if (call(Call::Ioctl, port, kSetTermios, address_of(&raw)) < 0) fail("mezzo-slip: not a tty\n");
  int discipline = kSlipDiscipline;
  if (call(Call::Ioctl, port, kSetLineDiscipline, address_of(&discipline)) < 0) {
    fail("mezzo-slip: the kernel has no SLIP\n");
  }
  int encapsulation = kUncompressed;
  if (call(Call::Ioctl, port, kSetEncapsulation, address_of(&encapsulation)) < 0) {
    fail("mezzo-slip: cannot set the encapsulation\n");
  }
  for (;;) call(Call::Pause);
}

}  // namespace guest::linux_ia32
