// One processor's private memory, mapped at the same linear address on every processor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "abi/status.hpp"
#include "arch/ia32/deliver.hpp"
#include "arch/ia32/layout.hpp"
#include "arch/ia32/vcpu.hpp"

namespace mezzo::ia32 {

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

  alignas(plan::kPageSize) TaskState task_state;
  Vcpu vcpu;
  std::uint32_t index;            // the plan's CPU number
  std::uint32_t machine;          // machine address of this structure
  std::uint32_t partition;        // index in the plan, or kNoPartition
  std::uint32_t directory_entry;  // what each of the guest's page directories holds last

  bool owes_answer;  // to the request below, when the commanded state is reached
  std::uint32_t request;
  volatile bool nmi_pending;  // an NMI hit the monitor itself; looked at before the guest goes on
  volatile std::uint32_t woken_by;  // vector that ended idle_wait(), or kNoVector
};

inline constexpr std::uint32_t kNoPartition = ~0u;
inline constexpr std::uint32_t kNoVector = ~0u;

// This processor's.
[[nodiscard]] inline Cpu& this_cpu() {
  return *reinterpret_cast<Cpu*>(layout::kCpuArea);  // NOLINT(performance-no-int-to-ptr)
}

static_assert(layout::kCpuArea + sizeof(Cpu) <= layout::kGdtWindow);
static_assert(offsetof(Cpu, stack) == 0);

// All processors', by the plan's number; for the boot processor that prepares them.
extern std::array<Cpu, status::kMaxCpus> cpus;

}  // namespace mezzo::ia32
