// The private memory of a partition's processor, mapped at the same linear address on every one. Of
// two partitions that share a processor each has its own (core.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "abi/hypercall.hpp"
#include "abi/status.hpp"
#include "arch/ia32/core.hpp"
#include "arch/ia32/deliver.hpp"
#include "arch/ia32/fast_path.hpp"
#include "arch/ia32/layout.hpp"
#include "arch/ia32/pae.hpp"
#include "arch/ia32/vcpu.hpp"
#include "core/lifecycle.hpp"

namespace mezzo::ia32 {

// A root of both kinds at once, in which the monitor runs on while PAE is switched on or off.
struct alignas(plan::kPageSize) RootPage {
  pae::Pointers pointers;
  std::array<std::uint32_t, 1023 - sizeof(pae::Pointers) / 4> unused;
  std::uint32_t last_entry;  // of the page directory: the window
};
static_assert(sizeof(RootPage) == plan::kPageSize);

struct alignas(plan::kPageSize) Cpu {
  // Grows down; below it is a page that is never mapped. Exits from the guest leave their frame at
  // its end.
  alignas(16) std::array<std::byte, MEZZO_STACK_SIZE> stack;

  // While the guest runs; while the monitor touches guest memory or idles (every vector is the
  // monitor's).
  alignas(plan::kPageSize) std::array<Gate, 256> guest_idt;
  std::array<Gate, 256> monitor_idt;

  alignas(plan::kPageSize) std::array<Descriptor, 512> copied_gdt;
  alignas(plan::kPageSize) std::array<Descriptor, 512> monitor_gdt;
  alignas(plan::kPageSize) std::array<std::uint32_t, 1024> page_table;          // of the window
  alignas(plan::kPageSize) std::array<std::uint32_t, 1024> identity_directory;  // paging off
  // The same window for guests with PAE; with PAE, the machine's root is always `root_page`.
  alignas(plan::kPageSize) std::array<std::uint64_t, 2 * pae::kDirectoryEntries> pae_tables;
  std::array<std::uint64_t, pae::kDirectoryEntries> pae_directory;  // with nothing else in it
  RootPage root_page;

  alignas(plan::kPageSize) TaskState task_state;
  FastPath fast;
  Vcpu vcpu;
  std::uint32_t index;      // the plan's CPU number
  std::uint32_t machine;    // machine address of this structure
  std::uint32_t partition;  // index in the plan, or kNoPartition
  bool has_started;         // it has answered its start-up message, or is the boot processor

  OwedAnswer owed;
  Sharing sharing;
};

// This processor's.
[[nodiscard]] inline Cpu& this_cpu() {
  return *reinterpret_cast<Cpu*>(layout::kCpuArea);  // NOLINT(performance-no-int-to-ptr)
}

static_assert(layout::kCpuArea + sizeof(Cpu) <= layout::kGdtWindow);
static_assert(offsetof(Cpu, stack) == 0);

// What fast_path.S believes of the layout.
constexpr std::uint32_t in_cpu(std::uint32_t address) { return address - layout::kCpuArea; }
static_assert(offsetof(Cpu, page_table) +
                  (layout::kPhysicalWindow - layout::kWindow) / plan::kPageSize * 4 ==
              in_cpu(MEZZO_PHYSICAL_WINDOW_ENTRY));
static_assert(offsetof(Cpu, pae_tables) +
                  (layout::kPhysicalWindow - layout::kWindow) / plan::kPageSize * 8 ==
              in_cpu(MEZZO_PAE_PHYSICAL_WINDOW_ENTRY));
static_assert(offsetof(Cpu, root_page.pointers) == in_cpu(MEZZO_PAE_POINTERS));
static_assert(offsetof(Cpu, task_state.esp1) == in_cpu(MEZZO_TASK_STATE_ESP1));
static_assert(offsetof(Cpu, task_state.ss1) == in_cpu(MEZZO_TASK_STATE_SS1));
static_assert(offsetof(Cpu, fast.guest_idt) == in_cpu(MEZZO_FAST_GUEST_IDT));
static_assert(offsetof(Cpu, fast.monitor_idt) == in_cpu(MEZZO_FAST_MONITOR_IDT));
static_assert(offsetof(Cpu, fast.nmi_pending) == in_cpu(MEZZO_FAST_NMI_PENDING));
static_assert(offsetof(Cpu, fast.code) == in_cpu(MEZZO_FAST_CODE));
static_assert(offsetof(Cpu, fast.data) == in_cpu(MEZZO_FAST_DATA));
static_assert(offsetof(Cpu, fast.stack) == in_cpu(MEZZO_FAST_STACK));
static_assert(offsetof(Cpu, fast.woken_by) == in_cpu(MEZZO_FAST_WOKEN_BY));
static_assert(offsetof(Cpu, fast.polls) == in_cpu(MEZZO_FAST_POLLS));
static_assert(offsetof(Cpu, guest_idt) == in_cpu(MEZZO_GUEST_IDT));
static_assert(offsetof(Cpu, fast.exits) == in_cpu(MEZZO_FAST_EXITS));
static_assert(offsetof(Cpu, fast.root_first) == in_cpu(MEZZO_FAST_ROOT_FIRST));
static_assert(offsetof(Cpu, fast.root_bytes) == in_cpu(MEZZO_FAST_ROOT_BYTES));
static_assert(offsetof(Cpu, fast.pointers_bytes) == in_cpu(MEZZO_FAST_POINTERS_BYTES));
static_assert(offsetof(Cpu, fast.last_pointer) == in_cpu(MEZZO_FAST_LAST_POINTER));
static_assert(offsetof(Cpu, fast.directory_entry) == in_cpu(MEZZO_FAST_DIRECTORY_ENTRY));
static_assert(offsetof(Cpu, vcpu.cr3) == in_cpu(MEZZO_VCPU_CR3));
static_assert(offsetof(Cpu, vcpu.task_state) == in_cpu(MEZZO_VCPU_TASK_STATE));
static_assert(static_cast<std::uint32_t>(status::ExitCause::ReadCr2) == MEZZO_EXIT_READ_CR2);
static_assert(static_cast<std::uint32_t>(status::ExitCause::ReadCr3) == MEZZO_EXIT_READ_CR3);
static_assert(static_cast<std::uint32_t>(status::ExitCause::WriteCr3) == MEZZO_EXIT_WRITE_CR3);
static_assert(static_cast<std::uint32_t>(status::ExitCause::Invlpg) == MEZZO_EXIT_INVLPG);
static_assert(static_cast<std::uint32_t>(status::ExitCause::Hlt) == MEZZO_EXIT_HLT);
static_assert(static_cast<std::uint32_t>(status::ExitCause::IdleWakeup) == MEZZO_EXIT_IDLE_WAKEUP);
static_assert(static_cast<std::uint32_t>(status::ExitCause::Hypercall) == MEZZO_EXIT_HYPERCALL);
static_assert(hypercall::kVector == MEZZO_HYPERCALL);

// All processors', by the plan's number; for the boot processor that prepares them. The last one is
// for the less urgent partition of the processor that is shared: there is one PIC.
inline constexpr std::uint32_t kPartnerCpu = status::kMaxCpus;
extern std::array<Cpu, status::kMaxCpus + 1> cpus;

[[nodiscard]] inline bool is_shared(const Cpu& cpu) { return cpu.sharing.partner != nullptr; }

// A descriptor of the monitor's own.
[[nodiscard]] inline Descriptor& monitor_descriptor(Cpu& cpu, std::uint16_t selector) {
  return cpu.monitor_gdt[(selector - layout::kMonitorCs) / sizeof(Descriptor)];
}

}  // namespace mezzo::ia32
