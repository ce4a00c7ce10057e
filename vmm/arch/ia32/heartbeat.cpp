// Which processors the heartbeat reaches. A real-time partition's is not among them, if there is
// one without, so that nothing of the monitor comes between its guest and its interrupts.
#include "irq/heartbeat.hpp"

#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "core/health.hpp"

namespace mezzo::ia32 {

constinit bool has_heartbeat = false;

namespace {

constinit std::uint32_t the_timekeeper = 0;
constinit bool is_relayed = false;

// Whether nobody but a real-time partition has the processor.
bool is_real_time(std::uint32_t cpu) {
  const std::uint32_t partition = cpus[cpu].partition;
  return partition != kNoPartition && !is_shared(cpus[cpu]) &&
         the_plan.partitions[partition].ia32.real_time != 0;
}

// Whether the partition may be in the way of a more urgent one, which gets its processor back by
// heartbeats.
bool is_interrupted(std::uint32_t partition) {
  const Cpu& partner = cpus[kPartnerCpu];
  return is_shared(partner) && partner.partition == partition;
}

// Whether the monitor follows lines of the partition's I/O APIC at each heartbeat (trap.cpp).
bool has_doorbell_line(std::uint32_t partition) {
  for (std::uint32_t n = 0; n < the_plan.channel_count; ++n) {
    for (const auto& end : the_plan.channels[n].ends) {
      if (end.partition == partition && end.line != plan::kNoLine) return true;
    }
  }
  return false;
}

}  // namespace

std::uint32_t timekeeper() { return the_timekeeper; }

void start_heartbeat() {
  std::uint32_t first = status_region.cpu_count;
  for (std::uint32_t n = status_region.cpu_count; n-- > 0;) {
    if (is_real_time(n)) {
      is_relayed = true;
    } else if (cpus[n].has_started) {
      first = n;
    }
  }
  is_relayed = is_relayed && first != status_region.cpu_count;
  the_timekeeper = is_relayed ? first : 0;
  const irq::Hpet hpet(layout::kHpet);
  const std::uint8_t to = is_relayed ? apic_ids[the_timekeeper] : irq::Hpet::kAllProcessors;
  choose_listener();
  has_heartbeat = hpet.present() && hpet.start_nmi(to, the_plan.heartbeat_us);
  if (!has_heartbeat) {
    log.line("no HPET that can send NMIs: the monitor sees commands only at exits");
  }
}

void relay_heartbeat(const Cpu& cpu) {
  if (!is_relayed || cpu.index != the_timekeeper) return;
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    const plan::Partition& row = the_plan.partitions[n];
    const bool is_meant = (is_commanded() && status_region.control.partition == n) ||
                          health::is_due(status_region, n);
    const bool is_followed = is_interrupted(n) || is_listener(row.cpu) ||
                             (row.ia32.real_time == 0 && has_doorbell_line(n));
    if (row.cpu == cpu.index || !(is_meant || is_followed)) continue;
    local_apic::send_beside_guest(apic_ids[row.cpu], local_apic::kDeliverNmi);
  }
}

}  // namespace mezzo::ia32
