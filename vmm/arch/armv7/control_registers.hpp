// The table of coprocessor registers and operations of CP15 and CP14: who may read and write each,
// what it does, and what the exit is counted as. What has no row is undefined, as it is on the
// processors. Values only; control.hpp acts on them. Source: ARM DDI 0406C, B3.17 (tables B3-42 to
// B3-51) and C6.3; Cortex-A8 and Cortex-A9 TRM, "System control".
//
// Choices where a manual leaves one, or where one CPU of several is virtual. The guest sees the
// Non-secure world without a monitor behind it (SCR, SDER, MVBAR and the Secure translation
// operations are undefined, VBAR exists); no performance counters (read as 0, writes ignored); no
// ThumbEE, trivial Jazelle; v7 Debug with the baseline CP14 registers, all idle. Implementation
// defined registers that kernels touch read as 0 and ignore writes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "arch/armv7/context.hpp"

namespace mezzo::armv7 {

using status::Armv7Exit;

// A register as MRC and MCR name it.
struct ControlName {
  std::uint8_t coprocessor, crn, opc1, crm, opc2;

  // In the order of the manual's tables.
  [[nodiscard]] constexpr std::uint32_t key() const {
    return std::uint32_t{coprocessor} << 16 | std::uint32_t{crn} << 12 | std::uint32_t{opc1} << 8 |
           std::uint32_t{crm} << 4 | opc2;
  }
};

enum class Rights : std::uint8_t { None = 0, Read = 1, Write = 2, ReadWrite = 3 };

enum class Behaviour : std::uint8_t {
  Identity,          // IdRegister `what`, filtered; read only
  CacheSize,         // CCSIDR of the cache that CSSELR selects
  Field,             // `field`, of which `writable` may be written
  TranslationField,  // the same; the machine is told TranslationPart `what`
  Constant,          // reads as `writable`, writes are ignored
  SystemControl,
  FloatingPointAccess,  // CPACR
  Domains,              // DACR
  KernelThreadId,       // TPIDRPRW
  UserThreadId,         // ThreadId `what`
  InterruptStatus,      // ISR
  Cache,                // CacheOperation `what`
  Tlb,                  // TlbOperation `what`
  Translate,            // bit 0 of `what`: a write; bit 1: with a process's rights
};

enum class TlbOperation : std::uint8_t { All, Address, Context, AddressOfAll };

// Processors that have a register.
enum class Having : std::uint8_t { All, CortexA8, CortexA9, Multiprocessing };

struct ControlRegister {
  ControlName name;
  Rights kernel = Rights::None, user = Rights::None;
  Behaviour behaviour{};
  Armv7Exit exit{};
  std::uint8_t what = 0;
  std::uint32_t SystemControl::* field = nullptr;
  std::uint32_t writable = 0;
  Having having = Having::All;
};

namespace table {

using enum Rights;

consteval ControlName register_of(unsigned coprocessor, unsigned crn, unsigned opc1, unsigned crm,
                                  unsigned opc2) {
  return {static_cast<std::uint8_t>(coprocessor), static_cast<std::uint8_t>(crn),
          static_cast<std::uint8_t>(opc1), static_cast<std::uint8_t>(crm),
          static_cast<std::uint8_t>(opc2)};
}
consteval ControlName cp15(unsigned crn, unsigned opc1, unsigned crm, unsigned opc2) {
  return register_of(15, crn, opc1, crm, opc2);
}
consteval ControlName cp14(unsigned crn, unsigned opc1, unsigned crm, unsigned opc2) {
  return register_of(14, crn, opc1, crm, opc2);
}
template <class What>
consteval ControlRegister row(ControlName name, Rights kernel, Behaviour behaviour, Armv7Exit exit,
                              What what, Having having = Having::All) {
  return {.name = name,
          .kernel = kernel,
          .behaviour = behaviour,
          .exit = exit,
          .what = static_cast<std::uint8_t>(what),
          .having = having};
}
consteval ControlRegister identity(ControlName name, IdRegister id, Having having = Having::All) {
  return row(name, Read, Behaviour::Identity, Armv7Exit::Identification, id, having);
}
consteval ControlRegister special(ControlName name, Rights kernel, Behaviour behaviour,
                                  Armv7Exit exit) {
  return row(name, kernel, behaviour, exit, 0);
}
consteval ControlRegister constant(ControlName name, Rights kernel, Armv7Exit exit,
                                   std::uint32_t value = 0, Having having = Having::All) {
  ControlRegister made = row(name, kernel, Behaviour::Constant, exit, 0, having);
  made.writable = value;
  return made;
}
consteval ControlRegister ignored(ControlName name, Having having = Having::All) {
  return constant(name, ReadWrite, Armv7Exit::OtherCoprocessor, 0, having);
}
consteval ControlRegister counter(ControlName name, Rights kernel = ReadWrite) {
  return constant(name, kernel, Armv7Exit::Performance);
}
consteval ControlRegister barrier(ControlName name) {
  return constant(name, Write, Armv7Exit::OtherCoprocessor);
}
consteval ControlRegister field(ControlName name, std::uint32_t SystemControl::* field,
                                Armv7Exit exit, std::uint32_t writable = 0xffffffff) {
  ControlRegister made = row(name, ReadWrite, Behaviour::Field, exit, 0);
  made.field = field;
  made.writable = writable;
  return made;
}
consteval ControlRegister translation(ControlName name, std::uint32_t SystemControl::* field,
                                      TranslationPart part, std::uint32_t writable = 0xffffffff) {
  ControlRegister made =
      row(name, ReadWrite, Behaviour::TranslationField, Armv7Exit::Translation, part);
  made.field = field;
  made.writable = writable;
  return made;
}
consteval ControlRegister thread_id(ControlName name, ThreadId which) {
  return row(name, ReadWrite, Behaviour::UserThreadId, Armv7Exit::ThreadId, which);
}
consteval ControlRegister cache(ControlName name, CacheOperation operation,
                                Having having = Having::All) {
  return row(name, Write, Behaviour::Cache, Armv7Exit::CacheOperation, operation, having);
}
consteval ControlRegister tlb(ControlName name, TlbOperation operation,
                              Having having = Having::All) {
  return row(name, Write, Behaviour::Tlb, Armv7Exit::TlbOperation, operation, having);
}
consteval ControlRegister translate(ControlName name, unsigned what) {
  return row(name, Write, Behaviour::Translate, Armv7Exit::AddressTranslation, what);
}
// The same, for processes too.
consteval ControlRegister user(Rights rights, ControlRegister made) {
  made.user = rights;
  return made;
}

// DBGDIDR (C11.11.15): one watchpoint, two breakpoints, version 4: no CP14 access to them.
inline constexpr std::uint32_t kDebugId = 0x01040000;
// NSACR (B4.1.111): the Non-secure world may use CP10 and CP11.
inline constexpr std::uint32_t kNonSecureAccess = 0x00000c00;

inline constexpr auto kMp = Having::Multiprocessing;
inline constexpr auto kA8 = Having::CortexA8, kA9 = Having::CortexA9;

inline constexpr auto kControlRegisters = std::to_array<ControlRegister>({
    // CP14: debug, Jazelle (C6.3, B1.17, table A2-17).
    user(Read, constant(cp14(0, 0, 0, 0), Read, Armv7Exit::Debug, kDebugId)),  // DBGDIDR
    user(Read, constant(cp14(0, 0, 1, 0), Read, Armv7Exit::Debug)),            // DBGDSCRint
    user(ReadWrite, constant(cp14(0, 0, 5, 0), ReadWrite, Armv7Exit::Debug)),  // DBGDTRRXint, TXint
    constant(cp14(0, 7, 0, 0), ReadWrite, Armv7Exit::Debug),                   // JIDR
    user(Read, constant(cp14(1, 0, 0, 0), Read, Armv7Exit::Debug)),            // DBGDRAR
    constant(cp14(1, 7, 0, 0), ReadWrite, Armv7Exit::Debug),                   // JOSCR
    user(Read, constant(cp14(2, 0, 0, 0), Read, Armv7Exit::Debug)),            // DBGDSAR
    constant(cp14(2, 7, 0, 0), ReadWrite, Armv7Exit::Debug),                   // JMCR

    // c0: identification (B3.17.2). The encodings without a register of their own are MIDR's.
    identity(cp15(0, 0, 0, 0), IdRegister::Midr),
    identity(cp15(0, 0, 0, 1), IdRegister::Ctr),
    identity(cp15(0, 0, 0, 2), IdRegister::Tcmtr),
    identity(cp15(0, 0, 0, 3), IdRegister::Tlbtr),
    identity(cp15(0, 0, 0, 4), IdRegister::Midr),
    identity(cp15(0, 0, 0, 5), IdRegister::Mpidr),
    identity(cp15(0, 0, 0, 6), IdRegister::Revidr),
    identity(cp15(0, 0, 0, 7), IdRegister::Midr),
    identity(cp15(0, 0, 1, 0), IdRegister::Pfr0),
    identity(cp15(0, 0, 1, 1), IdRegister::Pfr1),
    identity(cp15(0, 0, 1, 2), IdRegister::Dfr0),
    identity(cp15(0, 0, 1, 3), IdRegister::Afr0),
    identity(cp15(0, 0, 1, 4), IdRegister::Mmfr0),
    identity(cp15(0, 0, 1, 5), IdRegister::Mmfr1),
    identity(cp15(0, 0, 1, 6), IdRegister::Mmfr2),
    identity(cp15(0, 0, 1, 7), IdRegister::Mmfr3),
    identity(cp15(0, 0, 2, 0), IdRegister::Isar0),
    identity(cp15(0, 0, 2, 1), IdRegister::Isar1),
    identity(cp15(0, 0, 2, 2), IdRegister::Isar2),
    identity(cp15(0, 0, 2, 3), IdRegister::Isar3),
    identity(cp15(0, 0, 2, 4), IdRegister::Isar4),
    identity(cp15(0, 0, 2, 5), IdRegister::Isar5),
    constant(cp15(0, 0, 2, 6), Read, Armv7Exit::Identification),
    constant(cp15(0, 0, 2, 7), Read, Armv7Exit::Identification),
    special(cp15(0, 1, 0, 0), Read, Behaviour::CacheSize, Armv7Exit::Identification),  // CCSIDR
    identity(cp15(0, 1, 0, 1), IdRegister::Clidr),
    identity(cp15(0, 1, 0, 7), IdRegister::Aidr),
    field(cp15(0, 2, 0, 0), &SystemControl::csselr, Armv7Exit::Identification, 0xf),  // CSSELR

    // c1: system control (B3.17.3).
    special(cp15(1, 0, 0, 0), ReadWrite, Behaviour::SystemControl, Armv7Exit::SystemControl),
    field(cp15(1, 0, 0, 1), &SystemControl::actlr, Armv7Exit::SystemControl),
    special(cp15(1, 0, 0, 2), ReadWrite, Behaviour::FloatingPointAccess, Armv7Exit::SystemControl),
    constant(cp15(1, 0, 1, 2), Read, Armv7Exit::SystemControl, kNonSecureAccess),  // NSACR

    // c2, c3: translation tables and domains (B3.17.4, B3.17.5).
    translation(cp15(2, 0, 0, 0), &SystemControl::ttbr0, TranslationPart::Table0),
    translation(cp15(2, 0, 0, 1), &SystemControl::ttbr1, TranslationPart::Table1),
    translation(cp15(2, 0, 0, 2), &SystemControl::ttbcr, TranslationPart::Split, ttbcr::kWritable),
    special(cp15(3, 0, 0, 0), ReadWrite, Behaviour::Domains, Armv7Exit::DomainAccess),  // DACR

    // c5, c6: faults (B3.17.7, B3.17.8). Neither processor uses the auxiliary registers.
    field(cp15(5, 0, 0, 0), &SystemControl::dfsr, Armv7Exit::FaultStatus, 0x1cff),
    field(cp15(5, 0, 0, 1), &SystemControl::ifsr, Armv7Exit::FaultStatus, 0x140f),
    constant(cp15(5, 0, 1, 0), ReadWrite, Armv7Exit::FaultStatus),  // ADFSR
    constant(cp15(5, 0, 1, 1), ReadWrite, Armv7Exit::FaultStatus),  // AIFSR
    field(cp15(6, 0, 0, 0), &SystemControl::dfar, Armv7Exit::FaultStatus),
    field(cp15(6, 0, 0, 2), &SystemControl::ifar, Armv7Exit::FaultStatus),

    // c7: caches, barriers, address translation (B3.17.9).
    barrier(cp15(7, 0, 0, 4)),                                             // was WFI
    cache(cp15(7, 0, 1, 0), CacheOperation::InvalidateInstructions, kMp),  // ICIALLUIS
    cache(cp15(7, 0, 1, 6), CacheOperation::InvalidatePrediction, kMp),    // BPIALLIS
    field(cp15(7, 0, 4, 0), &SystemControl::par, Armv7Exit::AddressTranslation, 0xfffff6ff),
    cache(cp15(7, 0, 5, 0), CacheOperation::InvalidateInstructions),
    cache(cp15(7, 0, 5, 1), CacheOperation::InvalidateInstructionsAt),
    user(Write, barrier(cp15(7, 0, 5, 4))),  // CP15ISB
    cache(cp15(7, 0, 5, 6), CacheOperation::InvalidatePrediction),
    cache(cp15(7, 0, 5, 7), CacheOperation::InvalidatePredictionAt),
    cache(cp15(7, 0, 6, 1), CacheOperation::CleanInvalidateDataAt),
    cache(cp15(7, 0, 6, 2), CacheOperation::CleanInvalidateDataBySetAndWay),  // DCISW
    translate(cp15(7, 0, 8, 0), 0),                                           // ATS1CPR
    translate(cp15(7, 0, 8, 1), 1),                                           // ATS1CPW
    translate(cp15(7, 0, 8, 2), 2),                                           // ATS1CUR
    translate(cp15(7, 0, 8, 3), 3),                                           // ATS1CUW
    cache(cp15(7, 0, 10, 1), CacheOperation::CleanDataAt),
    cache(cp15(7, 0, 10, 2), CacheOperation::CleanInvalidateDataBySetAndWay),  // DCCSW
    user(Write, barrier(cp15(7, 0, 10, 4))),                                   // CP15DSB
    user(Write, barrier(cp15(7, 0, 10, 5))),                                   // CP15DMB
    cache(cp15(7, 0, 11, 1), CacheOperation::CleanDataToUnificationAt),
    barrier(cp15(7, 0, 13, 1)),  // was prefetch
    cache(cp15(7, 0, 14, 1), CacheOperation::CleanInvalidateDataAt),
    cache(cp15(7, 0, 14, 2), CacheOperation::CleanInvalidateDataBySetAndWay),  // DCCISW

    // c8: TLBs (B3.17.10). The shadow tables know one kind of entry for data and instructions.
    tlb(cp15(8, 0, 3, 0), TlbOperation::All, kMp),
    tlb(cp15(8, 0, 3, 1), TlbOperation::Address, kMp),
    tlb(cp15(8, 0, 3, 2), TlbOperation::Context, kMp),
    tlb(cp15(8, 0, 3, 3), TlbOperation::AddressOfAll, kMp),
    tlb(cp15(8, 0, 5, 0), TlbOperation::All),
    tlb(cp15(8, 0, 5, 1), TlbOperation::Address),
    tlb(cp15(8, 0, 5, 2), TlbOperation::Context),
    tlb(cp15(8, 0, 6, 0), TlbOperation::All),
    tlb(cp15(8, 0, 6, 1), TlbOperation::Address),
    tlb(cp15(8, 0, 6, 2), TlbOperation::Context),
    tlb(cp15(8, 0, 7, 0), TlbOperation::All),
    tlb(cp15(8, 0, 7, 1), TlbOperation::Address),
    tlb(cp15(8, 0, 7, 2), TlbOperation::Context),
    tlb(cp15(8, 0, 7, 3), TlbOperation::AddressOfAll, kMp),

    // c9: performance monitors (table C12-7); Cortex-A8: L2 cache lockdown and auxiliary control.
    counter(cp15(9, 0, 12, 0)),              // PMCR
    counter(cp15(9, 0, 12, 1)),              // PMCNTENSET
    counter(cp15(9, 0, 12, 2)),              // PMCNTENCLR
    counter(cp15(9, 0, 12, 3)),              // PMOVSR
    counter(cp15(9, 0, 12, 4), Write),       // PMSWINC
    counter(cp15(9, 0, 12, 5)),              // PMSELR
    counter(cp15(9, 0, 13, 0)),              // PMCCNTR
    counter(cp15(9, 0, 13, 1)),              // PMXEVTYPER
    counter(cp15(9, 0, 13, 2)),              // PMXEVCNTR
    user(Read, counter(cp15(9, 0, 14, 0))),  // PMUSERENR
    counter(cp15(9, 0, 14, 1)),              // PMINTENSET
    counter(cp15(9, 0, 14, 2)),              // PMINTENCLR
    ignored(cp15(9, 1, 0, 0), kA8),
    ignored(cp15(9, 1, 0, 2), kA8),

    // c10: memory remap (B3.17.12) and TLB lockdown.
    ignored(cp15(10, 0, 0, 0)),
    ignored(cp15(10, 0, 0, 1), kA8),
    translation(cp15(10, 0, 2, 0), &SystemControl::prrr, TranslationPart::Remap, 0xff0fffff),
    translation(cp15(10, 0, 2, 1), &SystemControl::nmrr, TranslationPart::Remap),

    // c11: the preload engine identifies itself as absent.
    constant(cp15(11, 0, 0, 0), Read, Armv7Exit::OtherCoprocessor),  // PLEIDR

    // c12: vectors and interrupts (B3.17.14).
    field(cp15(12, 0, 0, 0), &SystemControl::vbar, Armv7Exit::SystemControl, 0xffffffe0),
    special(cp15(12, 0, 1, 0), Read, Behaviour::InterruptStatus, Armv7Exit::SystemControl),  // ISR

    // c13: process, context and thread IDs (B3.17.15). FCSE is not implemented.
    constant(cp15(13, 0, 0, 0), ReadWrite, Armv7Exit::Translation),  // FCSEIDR
    translation(cp15(13, 0, 0, 1), &SystemControl::contextidr, TranslationPart::Context),
    user(ReadWrite, thread_id(cp15(13, 0, 0, 2), ThreadId::UserWritable)),
    user(Read, thread_id(cp15(13, 0, 0, 3), ThreadId::UserReadOnly)),
    special(cp15(13, 0, 0, 4), ReadWrite, Behaviour::KernelThreadId, Armv7Exit::ThreadId),

    // c15: Cortex-A9 power control, diagnostics, NEON busy, configuration base address (TRM 4.2).
    ignored(cp15(15, 0, 0, 0), kA9),
    ignored(cp15(15, 0, 0, 1), kA9),
    constant(cp15(15, 0, 1, 0), Read, Armv7Exit::OtherCoprocessor, 0, kA9),
    identity(cp15(15, 4, 0, 0), IdRegister::Cbar, kA9),
});

consteval bool is_sorted() {
  for (std::size_t n = 1; n < kControlRegisters.size(); ++n) {
    if (kControlRegisters[n - 1].name.key() >= kControlRegisters[n].name.key()) return false;
  }
  return true;
}
static_assert(is_sorted());

}  // namespace table

// The row of a register, or nothing.
[[nodiscard]] constexpr const ControlRegister* find_control_register(const ControlName& name) {
  const auto row = std::ranges::lower_bound(
      table::kControlRegisters, name.key(), {},
      [](const ControlRegister& candidate) { return candidate.name.key(); });
  const bool found = row != table::kControlRegisters.end() && row->name.key() == name.key();
  return found ? &*row : nullptr;
}

}  // namespace mezzo::armv7
