// Guarded runs and the exceptions that end them; making words executable.
#include "armv7/machine.hpp"

#include "common/text.hpp"

extern "C" {
guest::u32 run_guarded(guest::u32 psr, guest::Body body, guest::u32 argument);
[[noreturn]] void leave_run(guest::u32 value);
}

namespace guest {
namespace {

bool guarded;
Taken current;
Hook hooks[8];

// ExT and FS: what else IFSR has is unknown (B4.1.96); QEMU writes a domain there.
constexpr u32 kIfsrBits = 0x140f;

constexpr u32 kLeaveArm = GUEST_LEAVE, kLeaveThumb = GUEST_LEAVE & 0xff;

bool is_leave(const TrapFrame& frame) {
  if ((frame.spsr & psr::kThumb) != 0) {
    return (memory_at<const u16>(frame.lr - 2) & 0xff) == kLeaveThumb;
  }
  return (memory_at<const u32>(frame.lr - 4) & 0xffffff) == kLeaveArm;
}

[[noreturn]] void die(Exception exception, const TrapFrame& frame) {
  print("unexpected exception ");
  print_number(static_cast<u32>(exception));
  print(" lr ");
  print_hex(frame.lr);
  print(" spsr ");
  print_hex(frame.spsr);
  print(" dfsr ");
  print_hex(Dfsr::read());
  print(" dfar ");
  print_hex(Dfar::read());
  print(" ifsr ");
  print_hex(Ifsr::read());
  print("\naborted\n");
  stop_for_ever();
}

}  // namespace

extern "C" void on_exception(TrapFrame* frame, u32 kind) {
  auto exception = static_cast<Exception>(kind);
  if (hooks[kind] != nullptr && hooks[kind](*frame)) return;
  if (!guarded) die(exception, *frame);
  if (exception == Exception::SupervisorCall && is_leave(*frame)) exception = Exception::None;
  guarded = false;
  current = {.exception = exception, .frame = *frame};
  if (exception == Exception::DataAbort) {
    current.dfsr = Dfsr::read();
    current.dfar = Dfar::read();
  } else if (exception == Exception::PrefetchAbort) {
    current.ifsr = Ifsr::read() & kIfsrBits;
    current.ifar = Ifar::read();
  }
  leave_run(0);
}

Taken run(u32 psr, Body body, u32 argument) {
  guarded = true;
  run_guarded(psr, body, argument);
  return current;
}

void set_hook(Exception exception, Hook hook) { hooks[static_cast<u32>(exception)] = hook; }

u32 origin(Exception exception, const TrapFrame& frame) {
  const bool thumb = (frame.spsr & psr::kThumb) != 0;
  switch (exception) {
    case Exception::None:
    case Exception::Undefined:
    case Exception::SupervisorCall:
      return frame.lr - (thumb ? 2 : 4);
    case Exception::DataAbort:
      return frame.lr - 8;
    default:
      return frame.lr - 4;
  }
}

void make_executable(u32 address, u32 bytes) {
  constexpr u32 kLine = 32;  // the smallest of the processors we know
  for (u32 at = address & ~(kLine - 1); at < address + bytes; at += kLine) {
    CleanToUnification::write(at);
  }
  data_barrier();
  InvalidateInstructions::write(0);
  InvalidatePrediction::write(0);
  data_barrier();
  instruction_barrier();
}

}  // namespace guest
