// One processor for two partitions, by fixed priority or by a time table: an urgent one, whose
// guest is a real-time kernel and has the local APIC, and another one, whose interrupts come by the
// PIC. Each has a struct Cpu of its own; at any time one of them is in the monitor's window
// (layout.h) and is *current*. What the monitor does for a partition it does on that partition's
// stack, so that it can leave off anywhere: who is switched away from goes on when it is current
// again.
//
// By priority, the urgent one runs until it waits for an interrupt (HLT). Its interrupts are its
// own meanwhile, as without a partner, and the PIC's wait. While the other one runs, the PIC's
// interrupts go straight to it, and the vectors of the local APIC are the monitor's: such an
// interrupt ends the urgent one's waiting. If the other guest does not let interrupts in, an NMI
// follows: the HPET sends one a little after the urgent one's timer has run out, and another
// processor one after its interrupt. At each NMI and each exit the monitor asks the local APIC
// whether it has an interrupt.
//
// By a time table (core/schedule.hpp), nobody runs outside of its windows. Their boundaries are
// NMIs of the HPET; the interrupts of whoever does not run wait in its chip, which is closed. An
// NMI that hits the monitor itself comes again a little later, so that none is without effect.
//
// All functions run on this processor with interrupts off, `cpu` being current.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/verdict.hpp"

namespace mezzo::ia32 {

struct Cpu;

// What a processor keeps for the partition that is not current.
struct KeptRegisters {
  alignas(16) std::array<std::byte, 512> fpu;  // as FXSAVE writes it
  std::uint32_t stack;
  std::uint32_t cr0, cr2, cr3, cr4;
  std::array<std::uint32_t, 4> breakpoints;
  std::uint32_t debug_status, debug_control;
  std::uint64_t page_attributes, extended_features;  // model-specific registers
  std::uint16_t fs, gs;
};

// Why a partition does not run.
enum class Rest : std::uint8_t {
  None,
  Waiting,  // for an interrupt
  Dormant,  // for a command: it is paused or stopped
};

struct Sharing {
  Cpu* partner = nullptr;  // none: the processor has one partition at most
  bool is_urgent = false;
  bool is_built = false;  // once, or a copy of an image was found damaged
  volatile Rest rest = Rest::None;
  bool has_beaten = false;  // a heartbeat that is to be heeded later
  // Of the urgent one: by which vectors the local APIC may interrupt it. Bit n % 32 of word n / 32:
  // vector n.
  std::array<std::uint32_t, 256 / 32> vectors{};
  std::uint64_t running_since = 0;  // or counted until then
  KeptRegisters kept;
};

namespace core {

// Makes the two partners. Before any runs; `urgent` is the one that starts. False if the plan has a
// time table for them that the machine cannot keep.
[[nodiscard]] bool pair(Cpu& urgent, Cpu& other);
// The guest of `cpu` is built. Returns when it is to run.
void begin(Cpu& cpu);
// Lets the partner run, if it is more urgent and has something to do, or has a command to obey; by
// a table, as long as `cpu` has no window, lets it run or the processor sleep until an NMI. Whether
// it did; then `cpu` may have a command itself.
bool give_way(Cpu& cpu);
// As give_way(), until it is the turn of `cpu`.
void yield(Cpu& cpu);
// The guest of `cpu` waits for an interrupt. Returns when one has come (FastPath::woken_by), or
// there may be a command.
void wait(Cpu& cpu);
// The partition is paused or stopped. Returns when there may be a command.
void rest(Cpu& cpu);
// Whether an interrupt that hit the guest of `cpu`, or the monitor waiting for it, was the
// partner's, who has been told.
[[nodiscard]] bool take_for_partner(Cpu& cpu, std::uint8_t vector);
// Whether `vector` must come to the monitor while `cpu` is current, as it may be the partner's.
[[nodiscard]] bool keeps_vector(const Cpu& cpu, std::uint8_t vector);
// Whether an interrupt for the guest of `cpu`, which another processor has sent, takes an NMI to
// get past its partner's. Called on that other processor: `cpu` may be neither current nor here.
[[nodiscard]] bool needs_nmi(const Cpu& cpu);
// How the partition ends if it was in the way of the partner's window, and the table's policy is to
// stop it. Once.
[[nodiscard]] std::optional<Verdict> take_overrun(const Cpu& cpu);
[[nodiscard]] bool has_overrun(const Cpu& cpu);  // whether that would be something
// An NMI has come. What `cpu` has run until now is counted, and the next one set anew.
void heed_nmi(Cpu& cpu);
// An NMI has hit the monitor itself, which can do nothing about it now.
void repeat_nmi(const Cpu& cpu);

}  // namespace core
}  // namespace mezzo::ia32
