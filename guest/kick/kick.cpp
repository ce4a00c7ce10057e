// mezzo-kick MILLISECONDS [COUNT]: kicks the watchdog of the partition that this Linux runs in, now
// and each so many milliseconds, for ever or so many times. Started by whoever is to be watched: as
// long as it is scheduled, the guest is alive.
//
// A static i386 Linux program without a C library. Needs root, for ioperm(2).
#include "abi/hypercall.hpp"
#include "linux/ia32.hpp"

namespace guest::linux_ia32 {

extern "C" [[noreturn]] void run(const int* stack) {
  const auto argument = [&](int n) {
    return number_of(reinterpret_cast<const char*>(stack[1 + n]));
  };
  const int arguments = stack[0];
  const unsigned period = arguments > 1 ? argument(1) : 0;
  if (period == 0 || arguments > 3) fail("usage: mezzo-kick MILLISECONDS [COUNT]\n");
  unsigned left = arguments == 3 ? argument(2) : 0;
  if (call(Call::PortRights, mezzo::hypercall::kWatchdogPort, 1, 1) < 0) {
    fail("mezzo-kick: the kernel does not permit the port\n");
  }
  const struct {
    long seconds, nanoseconds;
  } time = {static_cast<long>(period / 1000), static_cast<long>(period % 1000 * 1'000'000)};
  for (;;) {
    asm volatile("outb %%al, %0" : : "N"(mezzo::hypercall::kWatchdogPort), "a"(0));
    if (left != 0 && --left == 0) break;
    call(Call::Sleep, address_of(&time), 0);
  }
  for (;;) call(Call::Exit, 0);
}

}  // namespace guest::linux_ia32
