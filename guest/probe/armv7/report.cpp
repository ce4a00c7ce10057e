// Guarded experiments and their lines.
#include "probe/armv7/probe.hpp"

namespace probe {
namespace {

using guest::begin_probe, guest::end_probe, guest::print, guest::print_hex;

u32 left;

constexpr const char* kNames[8] = {"reset",      "undefined", "svc", "prefetch-abort",
                                   "data-abort", "?",         "irq", "fiq"};

[[nodiscard]] bool is_abort(const Taken& taken) {
  return taken.is(Exception::DataAbort) || taken.is(Exception::PrefetchAbort);
}
[[nodiscard]] u32 status_of(const Taken& taken) {
  return (taken.is(Exception::DataAbort) ? taken.dfsr : taken.ifsr) & 0x40f;
}

bool meets(const Outcome& outcome, const Expect& expected) {
  const Taken& taken = outcome.taken;
  switch (expected.kind) {
    case Expect::Kind::Value:
      return taken.left() && outcome.value == expected.value;
    case Expect::Kind::Returns:
      return taken.left();
    case Expect::Kind::Aborts:
      return is_abort(taken) && status_of(taken) == expected.value;
    case Expect::Kind::Undefined:
      return taken.is(Exception::Undefined);
    case Expect::Kind::Fault:
      return !taken.left();
    case Expect::Kind::Anything:
      return true;
  }
  return false;
}

void print_outcome(const Outcome& outcome, const Expect& expected) {
  const Taken& taken = outcome.taken;
  if (taken.left()) {
    print("ok");
    if (expected.kind == Expect::Kind::Returns) return;
    print(" ");
    print_hex(outcome.value);
    return;
  }
  print(kNames[static_cast<u32>(taken.exception)]);
  if (!is_abort(taken)) return;
  print("(");
  print_hex(status_of(taken));
  print(") at ");
  print_hex(taken.is(Exception::DataAbort) ? taken.dfar : taken.ifar);
}

void print_expected(const Expect& expected) {
  switch (expected.kind) {
    case Expect::Kind::Value:
      print("ok ");
      print_hex(expected.value);
      break;
    case Expect::Kind::Aborts:
      print("an abort of status ");
      print_hex(expected.value);
      break;
    case Expect::Kind::Undefined:
      print("undefined");
      break;
    case Expect::Kind::Fault:
      print("a fault");
      break;
    default:
      print("ok");
  }
}

}  // namespace

bool under_monitor() { return guest::Mpidr::read() >> 30 == 3; }

void leave_value(u32 value) { left = value; }

Outcome in_mode(const Mode& mode, Body body, u32 argument) {
  left = 0;
  const Taken taken = guest::run(psr::kMasks | mode.number, body, argument);
  return {taken, left};
}

void check(const char* name, const char* where, const Outcome& outcome, Expect expected) {
  const bool good = meets(outcome, expected);
  begin_probe(name, where, good);
  print_outcome(outcome, expected);
  if (!good) {
    print(" FAILED, expected ");
    print_expected(expected);
  }
  end_probe();
}

void check(const char* name, bool good, u32 seen) {
  begin_probe(name, kSupervisor.name, good);
  print_hex(seen);
  if (!good) print(" FAILED");
  end_probe();
}

void try_in(const char* name, const Mode& mode, Body body, u32 argument, Expect expected) {
  check(name, mode.name, in_mode(mode, body, argument), expected);
}

}  // namespace probe
