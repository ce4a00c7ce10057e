// What emulation works on: the machine, the virtual CPU, the interrupted context. The machine is a
// template parameter, so that the same code runs on the processor and in host tests.
#pragma once

#include <concepts>
#include <cstdint>
#include <expected>
#include <optional>

#include "arch/armv7/registers.hpp"
#include "arch/armv7/vcpu.hpp"
#include "core/verdict.hpp"
#include "mem/access.hpp"
#include "mem/address.hpp"

namespace mezzo::armv7 {

using mem::Access;
using mem::GuestVirtual;
using mem::Privilege;

// Fault status of the short-descriptor format (DDI 0406C table B3-23): FS[4] is bit 4 here.
enum class FaultStatus : std::uint8_t {
  Alignment = 0x01,
  Debug = 0x02,
  AccessFlagSection = 0x03,
  CacheMaintenance = 0x04,
  TranslationSection = 0x05,
  AccessFlagPage = 0x06,
  TranslationPage = 0x07,
  External = 0x08,
  DomainSection = 0x09,
  DomainPage = 0x0b,
  ExternalOnWalkSection = 0x0c,
  PermissionSection = 0x0d,
  ExternalOnWalkPage = 0x0e,
  PermissionPage = 0x0f,
  AsynchronousExternal = 0x16,
};

// An access that the guest's own translation, or what is behind it, refuses.
struct Abort {
  FaultStatus status = FaultStatus::TranslationSection;
  std::uint8_t domain = 0;  // of a data access, where the first-level entry has one
  bool write = false;       // also for cache maintenance by address
  GuestVirtual address;

  // The value of DFSR (B4.1.52), and of IFSR (B4.1.96), which has no domain and no direction.
  [[nodiscard]] constexpr std::uint32_t data_status() const {
    return instruction_status() | (domain & 15u) << 4 | (write ? 1u << 11 : 0);
  }
  [[nodiscard]] constexpr std::uint32_t instruction_status() const {
    const auto code = static_cast<std::uint32_t>(status);
    return (code & 15) | (code >> 4 & 1) << 10;
  }
  bool operator==(const Abort&) const = default;
};

// What address translation operations answer on success (B4.1.112): PAR, whose bit 0 is clear.
using Translated = std::expected<std::uint32_t, Abort>;

// Read-only registers of the processor, as it has them; what the guest sees is filtered in
// control.hpp.
enum class IdRegister : std::uint8_t {
  Midr,
  Ctr,
  Tcmtr,
  Tlbtr,
  Mpidr,
  Revidr,
  Pfr0,
  Pfr1,
  Dfr0,
  Afr0,
  Mmfr0,
  Mmfr1,
  Mmfr2,
  Mmfr3,
  Isar0,
  Isar1,
  Isar2,
  Isar3,
  Isar4,
  Isar5,
  Clidr,
  Aidr,
  Cbar,  // Cortex-A9: where the guest finds the private peripherals
  Fpsid,
  Mvfr0,
  Mvfr1,
  Count
};

// What of the guest's translation has been written, in the Vcpu already.
enum class TranslationPart : std::uint8_t {
  Control,  // SCTLR, any bit
  Table0,   // TTBR0
  Table1,   // TTBR1
  Split,    // TTBCR
  Domains,  // DACR
  Context,  // CONTEXTIDR, the ASID among it
  Remap,    // PRRR or NMRR
};

// Cache and branch predictor maintenance. Those by address take a guest-virtual one and may abort.
enum class CacheOperation : std::uint8_t {
  InvalidateInstructions,         // ICIALLU, ICIALLUIS
  InvalidateInstructionsAt,       // ICIMVAU
  InvalidatePrediction,           // BPIALL, BPIALLIS
  InvalidatePredictionAt,         // BPIMVA
  CleanDataAt,                    // DCCMVAC
  CleanDataToUnificationAt,       // DCCMVAU
  CleanInvalidateDataAt,          // DCCIMVAC, DCIMVAC
  CleanInvalidateDataBySetAndWay  // DCCISW, DCCSW, DCISW: takes their operand, a line that exists
};

// Thread ID registers that a process can read.
enum class ThreadId : std::uint8_t { UserWritable, UserReadOnly };  // TPIDRURW, TPIDRURO

// What emulation needs of the processor and of the partition's memory. Rights of the guest's mode
// (the processor's DACR) and its translation root follow the Vcpu at every return to the guest: a
// change of mode is not announced.
template <class M>
concept Machine = requires(M m, GuestVirtual va, std::uint32_t n, std::uint32_t* words, void* to,
                           const void* from, Access access, Privilege privilege,
                           TranslationPart part, CacheOperation operation, IdRegister id_register,
                           ThreadId thread_id, std::uint8_t asid) {
  // Guest-virtual memory with the guest's own rights and data accesses only; `n` bytes within
  // one naturally aligned word. An access that aborts has had no effect.
  { m.read(va, to, n, privilege) } -> std::same_as<std::optional<Abort>>;
  { m.write(va, from, n, privilege) } -> std::same_as<std::optional<Abort>>;
  // Four words on one page, with the kernel's rights; false if that is not done at once, and
  // then nothing has been.
  { m.load_four(n, words) } -> std::same_as<bool>;
  // The guest's translation, as ATS1C* answer it. Changes nothing.
  { m.translate(va, access, privilege) } -> std::same_as<Translated>;
  { m.translation_changed(part) };
  // TLB maintenance: drops what was derived from the guest's tables.
  { m.invalidate_all() };
  { m.invalidate_context(asid) };
  { m.invalidate_address(va, asid) };  // this ASID's entry or a global one
  { m.invalidate_address_of_all(va) };
  { m.maintain_cache(operation, n) } -> std::same_as<std::optional<Abort>>;
  { m.id_register(id_register) } -> std::same_as<std::uint32_t>;
  { m.cache_size(n) } -> std::same_as<std::uint32_t>;  // CCSIDR for CSSELR `n`
  { m.read_thread_id(thread_id) } -> std::same_as<std::uint32_t>;
  { m.write_thread_id(thread_id, n) };
  { m.kernel_thread_changed() };  // TPIDRPRW has been written
  // CPACR or FPEXC of the Vcpu have been written: whether the guest may use floating point.
  { m.floating_point_changed() };
};

template <Machine M>
struct Context {
  M& machine;
  Vcpu& vcpu;
  Frame& frame;

  [[nodiscard]] Privilege privilege() const {
    return vcpu.is_user() ? Privilege::User : Privilege::Kernel;
  }
};

}  // namespace mezzo::armv7
