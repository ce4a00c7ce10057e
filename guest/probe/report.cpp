// Guarded calls, the trap handler behind them, the console and the report.
#include "probe.hpp"

namespace probe {
namespace {

u16 uart;
bool guarded;
Outcome current;
Hook hooks[256];

constexpr const char* kVectorNames[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                        "#NM", "#DF", "#09", "#TS", "#NP", "#SS", "#GP",
                                        "#PF", "#15", "#MF", "#AC", "#MC"};

void print_vector(u32 vector) {
  if (vector < sizeof kVectorNames / sizeof *kVectorNames) {
    print(kVectorNames[vector]);
  } else {
    print("vector ");
    print_hex(vector);
  }
}

bool has_error_code(u32 vector) {
  return vector == kDouble || (vector >= kTask && vector <= kPage) || vector == kAlignment;
}

void print_fault(u32 vector, u32 error_code, u32 address, bool with_address) {
  print_vector(vector);
  if (has_error_code(vector)) {
    print("(");
    print_hex(error_code);
    print(")");
  }
  if (with_address) {
    print(" at ");
    print_hex(address);
  }
}

u32 fault_address(const Outcome& outcome) {
  return outcome.vector == kPage ? outcome.address : outcome.eip;
}

bool meets(const Outcome& o, const Expect& expected) {
  const bool same_fault = o.faulted && o.vector == expected.a && o.error_code == expected.b;
  switch (expected.kind) {
    case Expect::Kind::Value:
      return !o.faulted && o.value == expected.a;
    case Expect::Kind::Returns:
      return !o.faulted;
    case Expect::Kind::Fault:
      return same_fault;
    case Expect::Kind::FaultAt:
      return same_fault && fault_address(o) == expected.c;
    case Expect::Kind::Vector:
      return o.faulted && o.vector == expected.a;
    case Expect::Kind::AnyFault:
      return o.faulted;
    case Expect::Kind::Either:
      return !o.faulted || o.vector == expected.a;
    case Expect::Kind::Anything:
      return true;
  }
  return false;
}

void print_expected(const Expect& expected) {
  switch (expected.kind) {
    case Expect::Kind::Value:
      print("ok ");
      print_hex(expected.a);
      break;
    case Expect::Kind::Fault:
      print_fault(expected.a, expected.b, 0, false);
      break;
    case Expect::Kind::FaultAt:
      print_fault(expected.a, expected.b, expected.c, true);
      break;
    case Expect::Kind::Vector:
    case Expect::Kind::AnyFault:
      print("a fault");
      break;
    default:
      print("ok");
  }
}

// The same everywhere: what varies between machines is not printed.
void print_outcome(const Outcome& outcome, const Expect& expected) {
  if (outcome.faulted) {
    print_fault(outcome.vector, outcome.error_code, fault_address(outcome),
                outcome.vector == kPage || expected.kind == Expect::Kind::FaultAt);
    return;
  }
  print("ok");
  if (expected.kind != Expect::Kind::Returns && expected.kind != Expect::Kind::Either &&
      expected.kind != Expect::Kind::Anything) {
    print(" ");
    print_hex(outcome.value);
  }
}

Outcome guarded_call(u32 (*call)(Body), Body body) {
  current = {};
  guarded = true;
  const u32 returned = call(body);
  guarded = false;
  if (!current.faulted) current.value = returned;
  return current;
}

[[noreturn]] void die(const TrapFrame& frame) {
  print("probe: unexpected ");
  print_fault(frame.vector, frame.error_code, frame.eip, true);
  print(" cr2 ");
  print_hex(read_cr<2>());
  print("\nprobe aborted\n");
  stop_for_ever();
}

}  // namespace

bool limits_enforced;

extern "C" void on_trap(TrapFrame* frame) {
  if (frame->vector == PROBE_LEAVE_USER_VECTOR && frame->from_user()) recover(frame->eax);
  if (hooks[frame->vector] != nullptr && hooks[frame->vector](*frame)) return;
  if (!guarded) die(*frame);
  guarded = false;
  current = {
      .faulted = true, .vector = frame->vector, .error_code = frame->error_code, .eip = frame->eip};
  if (frame->vector == kPage) current.address = read_cr<2>();
  recover(0);
}

Outcome in_kernel(Body body) { return guarded_call(call_in_kernel, body); }
Outcome in_user(Body body) { return guarded_call(call_in_user, body); }

u32 kernel_ring() {
  u32 cs;
  asm volatile("movl %%cs, %0" : "=r"(cs));
  return cs & 3;
}
bool under_monitor() { return kernel_ring() == 1; }

Expect differs(Expect bare, Expect monitored) {
  Expect expected = under_monitor() ? monitored : bare;
  expected.differs = true;
  return expected;
}

void set_hook(u32 vector, Hook hook) { hooks[vector] = hook; }

void check(const char* name, u32 ring, const Outcome& outcome, Expect expected) {
  constexpr const char* kRings[] = {"ring0", "ring1", "ring2", "ring3"};
  const bool good = meets(outcome, expected);
  guest::begin_probe(name, kRings[ring], good);
  print_outcome(outcome, expected);
  if (expected.differs) print(" (differs by design)");
  if (!good) {
    print(" FAILED, expected ");
    print_expected(expected);
  }
  guest::end_probe();
}

void open_console(u16 port) {
  uart = port;
  out8(static_cast<u16>(port + 1), 0);     // no interrupts
  out8(static_cast<u16>(port + 3), 0x80);  // divisor: 115200
  out8(port, 1);
  out8(static_cast<u16>(port + 1), 0);
  out8(static_cast<u16>(port + 3), 3);  // 8n1
  out8(static_cast<u16>(port + 2), 7);
  out8(static_cast<u16>(port + 4), 3);
}

}  // namespace probe

void guest::put(char c) {
  using namespace probe;
  while ((in8(static_cast<u16>(uart + 5)) & 0x20) == 0) {
  }
  out8(uart, static_cast<u8>(c));
}
