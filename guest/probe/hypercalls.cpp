// Probes of the hypercall interface with good and bad arguments; only under the monitor.
#include <initializer_list>

#include "abi/hypercall.hpp"
#include "abi/status.hpp"
#include "probe.hpp"

namespace probe {
namespace {

using mezzo::hypercall::Call;
using mezzo::hypercall::Error;

u32 call(u32 number, u32 b = 0, u32 c = 0) {
  asm volatile("int %[vector]"
               : "+a"(number), "+b"(b), "+c"(c)
               : [vector] "i"(mezzo::hypercall::kVector)
               : "edx", "memory");
  return number;
}
u32 call(Call number, u32 b = 0, u32 c = 0) { return call(static_cast<u32>(number), b, c); }
constexpr Expect error(Error which) { return value(static_cast<u32>(which)); }

constexpr char kText[] = "probe says hello by hypercall\n";
constexpr u32 kMost = mezzo::hypercall::kConsoleWriteMax;

u32 vcall_argument;

// Right after a CMPXCHG8B, of whose flags QEMU 7.2 makes virtual-8086 mode, single-stepping, and
// more out of the operand that was added last.
u32 call_after_cmpxchg8b() {
  alignas(8) u32 cell[2] = {4, 0};
  u32 a = 4, b = 0, d = 0;  // a: also ConsoleWrite, of nothing
  asm volatile("pushfl; popfl; jmp 1f; 1: addl %[operand], %%ebx; cmpxchg8b %[cell]; int %[vector]"
               : [cell] "+m"(cell), "+a"(a), "+b"(b), "+d"(d)
               : "c"(0), [operand] "S"(0xc1221100), [vector] "i"(mezzo::hypercall::kVector)
               : "cc", "memory");
  return cell[0];
}

void console_write() {
  kernel(
      "call-console-write",
      [] { return call(Call::ConsoleWrite, address_of(kText), sizeof kText - 1); },
      value(sizeof kText - 1));
  kernel(
      "call-console-write-nothing", [] { return call(Call::ConsoleWrite, 0xffffffff, 0); },
      value(0));
  kernel(
      "call-console-write-too-long",
      [] { return call(Call::ConsoleWrite, address_of(kText), kMost + 1); },
      error(Error::BadArgument));
  kernel(
      "call-console-write-longest", [] { return call(Call::ConsoleWrite, 0, 0xffffffff); },
      error(Error::BadArgument));
  kernel(
      "call-console-write-absent", [] { return call(Call::ConsoleWrite, kTestAbsent, 1); },
      error(Error::BadAddress));
  kernel(
      "call-console-write-window", [] { return call(Call::ConsoleWrite, kWindow, 16); },
      error(Error::BadAddress));
  kernel(
      "call-console-write-into-window", [] { return call(Call::ConsoleWrite, kWindow - 8, 16); },
      error(Error::BadAddress));
  kernel(
      "call-console-write-wrapping", [] { return call(Call::ConsoleWrite, 0xfffffff8, 16); },
      error(Error::BadAddress));
}

}  // namespace

void probe_hypercalls() {
  if (!under_monitor()) return;
  kernel("call-null", [] { return call(Call::Null); }, value(0));
  kernel("call-version", [] { return call(Call::Version); }, value(mezzo::hypercall::kVersion));
  kernel("call-after-cmpxchg8b", call_after_cmpxchg8b, value(0xc1221100));
  kernel("call-partition-info", [] { return call(Call::PartitionInfo); }, value(0));
  kernel(
      "call-memory-start", [] { return u32{call(Call::MemoryStart) <= address_of(image_begin)}; },
      done());
  user(
      "call-null", [] { return call(Call::Null); },
      fault(kProtection, idt_error(mezzo::hypercall::kVector)));
  console_write();
  for (const u32 number : {static_cast<u32>(Call::Count), 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    vcall_argument = number;
    kernel("call-unknown", [] { return call(vcall_argument); }, error(Error::UnknownCall));
  }
  for (const Call number : {Call::Channel, Call::Listen, Call::Ring}) {
    vcall_argument = static_cast<u32>(number);
    kernel(
        "call-channel-absent", [] { return call(vcall_argument, 0, 0x40); },
        error(Error::BadArgument));
  }
  kernel("call-counter", [] { return call(Call::Counter, 0); }, returns());
  for (const u32 cause : {mezzo::status::kExitCauses, 0x20000000u, 0xffffffffu}) {
    vcall_argument = cause;
    kernel(
        "call-counter-bad-cause", [] { return call(Call::Counter, vcall_argument); },
        error(Error::BadArgument));
  }
}

}  // namespace probe
