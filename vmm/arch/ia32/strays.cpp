// Interrupts by lines that no partition has (core/strays.hpp). A masked input of the I/O APIC
// forgets what comes by it, so one of them at a time, for a few heartbeats, leads to
// the monitor on one processor, and is masked again when it has interrupted: a storm costs an exit
// or two a heartbeat, and later in a round of all lines. While the guest there takes no interrupts,
// nothing is counted.
#include <optional>
#include <utility>

#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "board/pc.hpp"
#include "core/strays.hpp"
#include "irq/heartbeat.hpp"

namespace mezzo::ia32 {
namespace {

constexpr std::uint32_t kNone = ~0u;

constinit std::uint32_t the_listener = kNone;  // a CPU
constinit std::uint32_t the_line = kNone;      // on which it listens
constinit std::uint32_t the_beats = 0;         // for which it has listened
constinit bool has_come = false;

constexpr std::uint32_t kPatience = 8;  // for a line that is quiet; the chip is slow to reach

[[nodiscard]] bool is_general(std::uint32_t cpu) {
  const std::uint32_t partition = cpus[cpu].partition;
  return partition != kNoPartition && !is_shared(cpus[cpu]) &&
         the_plan.partitions[partition].ia32.real_time == 0;
}

[[nodiscard]] std::uint32_t line_after(std::uint32_t line) {
  constexpr std::uint32_t kLines = 32;
  do {
    line = (line + 1) % kLines;
  } while ((the_plan.ia32_strays >> line & 1) == 0);
  return line;
}

[[nodiscard]] bool is_on_its_way() {
  const std::uint32_t word =
      local_apic::word_of(local_apic::Register::InterruptRequest, kStrayVector / 32);
  return (word >> kStrayVector % 32 & 1) != 0;
}

}  // namespace

void choose_listener() {
  if (the_plan.ia32_strays == 0) return;
  std::uint32_t cpu = timekeeper();
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    const plan::Partition& row = the_plan.partitions[n];
    if (row.interrupts == plan::InterruptController::IoApic) cpu = row.cpu;
  }
  if (is_general(cpu)) the_listener = cpu;
}

bool is_listener(std::uint32_t cpu) { return cpu == the_listener; }

std::optional<std::uint32_t> take_stray(const Cpu& cpu) {
  if (!is_listener(cpu.index)) return std::nullopt;
  const std::uint32_t last = the_line;
  if (last != kNone) {
    if (!has_come && ++the_beats < kPatience) return std::nullopt;
    board::pc::stop_listening(layout::kIoApic, last, kStrayVector);
    if (is_on_its_way()) return std::nullopt;  // another one of this line's
  }
  const bool came = std::exchange(has_come, false);
  the_beats = 0;
  // What has begun is followed until it is known to be a storm, or over.
  if (!came || status_region.strays[last] >= kStorm) the_line = line_after(last);
  board::pc::listen(layout::kIoApic, the_line, apic_ids[cpu.index], kStrayVector);
  return came ? std::optional(last) : std::nullopt;
}

void mask_stray(const Cpu& cpu) {
  if (!is_listener(cpu.index) || the_line == kNone) return;
  board::pc::stop_listening(layout::kIoApic, the_line, kStrayVector);
  has_come = true;
}

}  // namespace mezzo::ia32
