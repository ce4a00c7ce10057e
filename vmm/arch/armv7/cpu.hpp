// One processor's private memory, mapped at the same virtual address on every processor. It lies in
// the monitor's memory behind the image (Plan::monitor_base), one after the other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "abi/status.hpp"
#include "arch/armv7/core.hpp"
#include "arch/armv7/decoded.hpp"
#include "arch/armv7/devices.hpp"
#include "arch/armv7/fast_path.hpp"
#include "arch/armv7/guest_memory.hpp"
#include "arch/armv7/layout.hpp"
#include "arch/armv7/patch.hpp"
#include "arch/armv7/private_page.hpp"
#include "arch/armv7/roots.hpp"
#include "arch/armv7/runnable_memory.hpp"
#include "arch/armv7/short_descriptor.hpp"
#include "arch/armv7/stubs.hpp"
#include "arch/armv7/vcpu.hpp"
#include "arch/armv7/vector_stub.hpp"
#include "core/lifecycle.hpp"
#include "mem/shadow.hpp"

namespace mezzo::armv7 {

using Patches = PatchedPages<GuestMemory, Stubs>;
using PagedMemory = RunnableMemory<GuestMemory, Patches>;
using ShadowPaging = mem::Shadow<ShortDescriptor, PagedMemory>;

// What assembly reaches, at offsets that are fixed.
struct CpuHead {
  // Grows down; exits from the guest leave their frame at its end.
  alignas(16) std::array<std::byte, MEZZO_STACK_SIZE> stack;
  FastPath fast;
  Vcpu vcpu;
  // By ASIDs of the guest: what to load for one that it has used lately; a table of 0 is not known.
  // C++ learns of a switch by assembly from the vCPU's CONTEXTIDR.
  alignas(16) std::array<LoadedRoot, 256> contexts;
};

struct alignas(16384) Cpu : CpuHead {
  // The monitor's own root, and the second-level tables of its window: the image, and this
  // structure.
  alignas(16384) std::array<std::uint32_t, 4096> root;
  alignas(1024) std::array<std::uint32_t, 256> image_table;
  alignas(1024) std::array<std::uint32_t, 256> cpu_table;

  // An access for which a process's kernel was given an abort.
  struct Missed {
    GuestVirtual at;
    Access access;
  };

  Roots roots;
  PagedMemory memory;
  Stubs stubs;
  std::optional<ShadowPaging> shadow;
  Patches patches;
  VectorStubs vector_stubs;
  DecodedWords decoded;
  DecodedMaintenance maintenance;
  Devices devices;
  CpuInterrupts interrupts;

  std::uint32_t index;            // the plan's CPU number
  std::uint32_t machine;          // machine address of this structure
  std::uint32_t partition;        // index in the plan, or kNoPartition
  std::uint32_t walk_attributes;  // of TTBR0
  std::uint32_t regrants;  // of the shadow tables, when FastPath's rights were last looked up

  std::uint32_t recycles;  // of the shadow tables, when `contexts` was last written
  bool lazy_domains;       // plan::UserAccess::Lazy
  bool slow_vectors;       // plan::kFastVectors is left out
  bool slow_fills;         // plan::kFastPrefill is left out

  Missed missed;  // while FastPath::kMissed is set

  // Of a processor that several partitions share; else nullptr.
  Core* core = nullptr;
  std::size_t member = 0;  // its place there
  ProcessorState kept{};   // while it is not current

  OwedAnswer owed;
};

// This processor's.
[[nodiscard]] inline Cpu& this_cpu() {
  return *reinterpret_cast<Cpu*>(layout::kCpuArea);  // NOLINT(performance-no-int-to-ptr)
}
static_assert(sizeof(Cpu) <= plan::kArmv7CpuSize);
static_assert(layout::kCpuArea + plan::kArmv7CpuSize <= layout::kSharedPage);
static_assert(layout::kSharedPage < layout::kPrivatePage);

// What fast_path.S believes of the layout.
constexpr std::uint32_t from_frame(std::size_t offset) {
  return static_cast<std::uint32_t>(offset) - (layout::kFrame - layout::kCpuArea);
}
constexpr std::size_t of_bank(std::size_t bank, std::size_t member) {
  return offsetof(CpuHead, vcpu.banks) + bank * sizeof(Bank) + member;
}
static_assert(from_frame(offsetof(CpuHead, fast.blocked)) == MEZZO_FAST_BLOCKED);
static_assert(from_frame(offsetof(CpuHead, fast.dacr)) == MEZZO_FAST_DACR);
// Loaded together, in this order.
static_assert(MEZZO_FAST_DACR == MEZZO_FAST_BLOCKED + 4);
static_assert(MEZZO_FAST_KERNEL_ACCESS == MEZZO_FAST_BLOCKED + 8);
static_assert(MEZZO_FAST_USER_ACCESS == MEZZO_FAST_BLOCKED + 12);
static_assert(MEZZO_FAST_CALL_VECTOR == MEZZO_FAST_BLOCKED + 16);
static_assert(MEZZO_FAST_EXITS == MEZZO_FAST_BLOCKED + 20);
static_assert(MEZZO_VCPU_MODE == MEZZO_FAST_BLOCKED + 24);
static_assert(from_frame(offsetof(CpuHead, fast.kernel_access)) == MEZZO_FAST_KERNEL_ACCESS);
static_assert(from_frame(offsetof(CpuHead, fast.user_access)) == MEZZO_FAST_USER_ACCESS);
static_assert(from_frame(offsetof(CpuHead, fast.call_vector)) == MEZZO_FAST_CALL_VECTOR);
static_assert(from_frame(offsetof(CpuHead, fast.irq_vector)) == MEZZO_FAST_IRQ_VECTOR);
static_assert(from_frame(offsetof(CpuHead, fast.pending)) == MEZZO_FAST_PENDING);
static_assert(from_frame(offsetof(CpuHead, fast.delivered)) == MEZZO_FAST_DELIVERED);
static_assert(FastPath::kInterrupt == MEZZO_FAST_INTERRUPT);
static_assert(FastPath::kMissed == MEZZO_FAST_MISSED);
static_assert((FastPath::kStale | FastPath::kOff) == MEZZO_FAST_STALE_OR_OFF);
static_assert(from_frame(offsetof(CpuHead, fast.exits)) == MEZZO_FAST_EXITS);
static_assert(from_frame(offsetof(CpuHead, fast.transfers_off)) == MEZZO_FAST_TRANSFERS_OFF);
static_assert(from_frame(offsetof(CpuHead, vcpu.control.contextidr)) == MEZZO_VCPU_CONTEXTIDR);
static_assert(layout::kCpuArea + offsetof(CpuHead, contexts) == MEZZO_CONTEXTS);
static_assert(offsetof(LoadedRoot, table) == 0 && offsetof(LoadedRoot, asid) == 4);
static_assert(from_frame(offsetof(CpuHead, vcpu.mode)) == MEZZO_VCPU_MODE);
static_assert(from_frame(of_bank(0, 0)) == MEZZO_VCPU_BANKS && sizeof(Bank) == MEZZO_BANK_SIZE);
static_assert(from_frame(of_bank(4, offsetof(Bank, sp))) == MEZZO_VCPU_IRQ_SP);
static_assert(from_frame(of_bank(0, offsetof(Bank, sp))) == MEZZO_VCPU_USER_SP);
static_assert(from_frame(of_bank(0, offsetof(Bank, lr))) == MEZZO_VCPU_USER_LR);
static_assert(from_frame(of_bank(1, offsetof(Bank, sp))) == MEZZO_VCPU_SUPERVISOR_SP);
static_assert(from_frame(of_bank(1, offsetof(Bank, lr))) == MEZZO_VCPU_SUPERVISOR_LR);
static_assert(from_frame(of_bank(1, offsetof(Bank, spsr))) == MEZZO_VCPU_SUPERVISOR_SPSR);
static_assert(bank_of(psr::kUser) == BankName{0} && bank_of(psr::kSupervisor) == BankName{1});
static_assert(bank_of(psr::kAbort) == BankName{2} && bank_of(psr::kUndefined) == BankName{3});
static_assert(bank_of(psr::kIrq) == BankName{4} && bank_of(psr::kSystem) == BankName{0});
static_assert(offsetof(SharedState, psr) == MEZZO_SHARED_PSR);
static_assert(offsetof(SharedState, irq_pending) == MEZZO_SHARED_IRQ_PENDING);
static_assert(offsetof(SharedState, doorbell) == MEZZO_SHARED_DOORBELL);
static_assert(Stubs::kAlarm == MEZZO_ALARM);
static_assert(offsetof(SharedState, dacr) == MEZZO_SHARED_DACR);
static_assert(offsetof(SharedState, spsr) == MEZZO_SHARED_SPSR);
static_assert(offsetof(SharedState, user_sp) == MEZZO_SHARED_USER_SP);
static_assert(offsetof(SharedState, user_lr) == MEZZO_SHARED_USER_LR);
static_assert(offsetof(SharedState, kernels_thread) == MEZZO_SHARED_KERNELS_THREAD);
static_assert(offsetof(SharedState, process_thread) == MEZZO_SHARED_PROCESS_THREAD);
static_assert(offsetof(SharedState, tpidrurw) == MEZZO_SHARED_TPIDRURW);
// Loaded as pairs.
static_assert(MEZZO_SHARED_KERNELS_THREAD % 8 == 0 && MEZZO_SHARED_PROCESS_THREAD % 8 == 0);
static_assert(offsetof(SharedState, tpidrprw) == MEZZO_SHARED_KERNELS_THREAD + 4);
static_assert(MEZZO_SHARED_TPIDRURW == MEZZO_SHARED_PROCESS_THREAD + 4);
static_assert(layout::kShared - layout::kSharedPage == Stubs::kSharedOffset);
static_assert(Stubs::kBase == MEZZO_STUBS && Stubs::kRegion == MEZZO_STUBS_SIZE);
constexpr bool is_counted(status::Armv7Exit cause, std::uint32_t number) {
  return static_cast<std::uint32_t>(cause) == number;
}
static_assert(is_counted(status::Armv7Exit::SupervisorCall, MEZZO_EXIT_SUPERVISOR_CALL));
static_assert(is_counted(status::Armv7Exit::ExceptionReturn, MEZZO_EXIT_RETURN));
static_assert(is_counted(status::Armv7Exit::Translation, MEZZO_EXIT_TRANSLATION));
static_assert(is_counted(status::Armv7Exit::ThreadId, MEZZO_EXIT_THREAD_ID));
static_assert(is_counted(status::Armv7Exit::CacheOperation, MEZZO_EXIT_CACHE_OPERATION));
static_assert(is_counted(status::Armv7Exit::Interrupt, MEZZO_EXIT_INTERRUPT));
static_assert(kReturnCall == MEZZO_RETURN_CALL && kKeepsFirst == MEZZO_RETURN_KEEPS_FIRST);

inline constexpr std::uint32_t kMaxCpus = plan::kArmv7MaxCpus;
// Another CPU's, or one that has no memory of its own yet; where machine memory is flat.
[[nodiscard]] Cpu& cpu_in_memory(std::uint32_t index);

}  // namespace mezzo::armv7
