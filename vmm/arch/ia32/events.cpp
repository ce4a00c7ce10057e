// Interrupts that reach a guest as stock Xen's do, to compare with: another processor takes its
// timer's, between two instructions of its own guest's that let interrupts in; a tick is noted, the
// guest's processor is told by an inter-processor interrupt, and injects it. One that comes before
// the last one has been injected is merged with it.
#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "board/pc.hpp"

namespace mezzo::ia32 {
namespace {

// By CPU: a tick for its partition is due. Set by the forwarder, taken by the CPU.
constinit std::array<bool, status::kMaxCpus> tick_due{};

void forward_ticks(const Cpu& cpu) {
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    const plan::Partition& row = the_plan.partitions[n];
    if (row.ia32.is_forwarded == 0 || row.ia32.forwarder != cpu.index) continue;
    status::PartitionStatus& status = status_region.partitions[n];
    status.forwarded = status.forwarded + 1;
    if (__atomic_exchange_n(&tick_due[row.cpu], true, __ATOMIC_ACQ_REL)) {
      status.merged = status.merged + 1;
    }
    local_apic::send_beside_guest(apic_ids[row.cpu], kEventVector);
  }
}

}  // namespace

void route_forwarded_timers() {
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    const plan::Ia32& row = the_plan.partitions[n].ia32;
    if (row.is_forwarded != 0) {
      board::pc::route_pit(layout::kIoApic, apic_ids[row.forwarder], kTickVector);
    }
  }
}

std::optional<std::uint8_t> take_event(const Cpu& cpu, std::uint8_t vector) {
  if (vector == kStrayVector) mask_stray(cpu);  // before it is ended, as it may be a level
  local_apic::write(local_apic::Register::EndOfInterrupt, 0);
  if (vector == kTickVector) forward_ticks(cpu);
  if (!__atomic_exchange_n(&tick_due[cpu.index], false, __ATOMIC_ACQ_REL)) return std::nullopt;
  return static_cast<std::uint8_t>(the_plan.partitions[cpu.partition].ia32.timer_vector);
}

void forget_events(const Cpu& cpu) {
  __atomic_store_n(&tick_due[cpu.index], false, __ATOMIC_RELEASE);
}

}  // namespace mezzo::ia32
