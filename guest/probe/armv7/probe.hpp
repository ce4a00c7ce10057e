// The hostile guest on ARMv7: each experiment runs a body in one of the guest's modes and compares
// what happened with what must happen under the monitor. On the bare machine, where there is nobody
// to attack, what only a monitor refuses is left out.
#pragma once

#include "arch/armv7/stub_region.hpp"
#include "armv7/machine.hpp"
#include "common/option.hpp"
#include "common/tally.hpp"

namespace probe {

using guest::address_of, guest::Body, guest::Exception, guest::kSupervisor, guest::kUser,
    guest::Mode, guest::read32, guest::Taken, guest::u32, guest::u8, guest::write32;
namespace psr = guest::psr;

struct Outcome {
  Taken taken;
  u32 value;  // what the body left, if it was not stopped
};

// Runs `body`; what it gives to leave_value() is the outcome's value.
[[nodiscard]] Outcome in_mode(const Mode& mode, Body body, u32 argument = 0);
void leave_value(u32 value);

struct Expect {
  enum class Kind : u8 { Value, Returns, Aborts, Undefined, Fault, Anything };
  Kind kind;
  u32 value = 0;  // or fault status
};
[[nodiscard]] constexpr Expect value(u32 wanted) { return {Expect::Kind::Value, wanted}; }
[[nodiscard]] constexpr Expect returns() { return {Expect::Kind::Returns}; }
// A data abort with this status, or a prefetch abort.
[[nodiscard]] constexpr Expect aborts(u32 status) { return {Expect::Kind::Aborts, status}; }
[[nodiscard]] constexpr Expect undefined() { return {Expect::Kind::Undefined}; }
[[nodiscard]] constexpr Expect fault() { return {Expect::Kind::Fault}; }
// Whatever happens, the machine goes on.
[[nodiscard]] constexpr Expect survives() { return {Expect::Kind::Anything}; }

inline constexpr u32 kExternal = 0x08, kExternalOnWalk1 = 0x0c, kExternalOnWalk2 = 0x0e,
                     kTranslation1 = 0x05, kPermission2 = 0x0f;

// Found out by MPIDR: a guest is a uniprocessor with the multiprocessing extensions.
[[nodiscard]] bool under_monitor();

void check(const char* name, const char* where, const Outcome& outcome, Expect expected);
// For what is counted by the experiment itself.
void check(const char* name, bool good, u32 seen);
void try_in(const char* name, const Mode& mode, Body body, u32 argument, Expect expected);
inline void kernel(const char* name, Body body, Expect expected, u32 argument = 0) {
  try_in(name, kSupervisor, body, argument, expected);
}
inline void user(const char* name, Body body, Expect expected, u32 argument = 0) {
  try_in(name, kUser, body, argument, expected);
}
inline void both(const char* name, Body body, Expect expected, u32 argument = 0) {
  kernel(name, body, expected, argument);
  user(name, body, expected, argument);
}

// The partition's memory, from the device tree; 64 MiB without one.
struct Memory {
  u32 base, size;
};
[[nodiscard]] Memory memory();

// Where the monitor is in every guest's address space, and the stubs of its patches.
inline constexpr u32 kWindow = 0xffa00000, kWindowSize = 0x00200000;
inline constexpr u32 kStubs = mezzo::armv7::StubRegion::kBase;
inline constexpr u32 kStubsSize = mezzo::armv7::StubRegion::kRegion;

// The parts.
void probe_memory();
void probe_instructions();
void probe_patches();
void probe_devices();

// Runs the mode named `mode`; returns if there is none of that name. Modes end or never return.
void run_mode(const guest::Option& mode);

}  // namespace probe
