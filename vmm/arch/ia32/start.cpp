// From the boot loader's hand-over to every CPU in its own private memory: reads the memory map,
// verifies the plan, moves the monitor and the pristine copies to the top of memory, measures the
// clock, and wakes the other processors. Runs once, on the boot processor, in ring 0 with
// interrupts off.
#include <utility>

#include "arch/ia32/firmware.hpp"
#include "arch/ia32/instructions.hpp"
#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "arch/ia32/multiboot.hpp"
#include "arch/ia32/paging.hpp"
#include "board/pc.hpp"
#include "core/verify.hpp"
#include "irq/heartbeat.hpp"

namespace mezzo::ia32 {

constinit plan::Plan the_plan{};
[[gnu::section(".status")]] constinit status::Region status_region{};
constinit diag::Log log{status_region.log, board::pc::put_debug};
constinit std::array<Cpu, status::kMaxCpus + 1> cpus{};
constinit Doorbells doorbells{};
constinit std::array<std::uint8_t, status::kMaxCpus> apic_ids{};

namespace {

[[noreturn]] void refuse(const char* what, std::uint32_t index) {
  log.line("cannot start: ", what, " (", index, ")");
  for (;;) halt();
}

// Machine memory below the window, while the identity directory is in use.
std::span<const std::uint8_t> read_machine(std::uint32_t at, std::uint32_t bytes) {
  const bool inside = at < layout::kWindow && bytes <= layout::kWindow - at;
  return inside ? std::span(pointer_to<const std::uint8_t>(at), bytes)
                : std::span<const std::uint8_t>{};
}

void require(const PlanCheck& check) {
  if (!check.good()) refuse(describe(check.error), check.index);
}

// Takes the plan and the store out of the loaded image.
void take_plan(std::uint32_t bundle, std::span<const MemoryRange> ram) {
  if (!is_ram(ram, bundle, sizeof(plan::Plan))) refuse("the image is not in RAM", bundle);
  __builtin_memcpy(&the_plan, pointer_to<const void>(bundle), sizeof the_plan);
  require(verify_header(the_plan, plan::Architecture::Ia32));
  require(verify_memory(the_plan, ram));
  constexpr std::uint32_t kStoreOffset =
      (sizeof(plan::Plan) + plan::kPageSize - 1) / plan::kPageSize * plan::kPageSize;
  const std::uint32_t store = bundle + kStoreOffset;
  if (!is_ram(ram, store, the_plan.store_size)) refuse("the image is not in RAM", store);
  require(verify_store(the_plan, pointer_to<const unsigned char>(store)));
  __builtin_memmove(pointer_to<void>(the_plan.store_base), pointer_to<const void>(store),
                    the_plan.store_size);
}

void clear_channels() {
  for (const plan::Channel& channel : std::span(the_plan.channels, the_plan.channel_count)) {
    __builtin_memset(pointer_to<void>(channel.base), 0, channel.size);
  }
}

// Moves the running monitor to its place at the top of memory.
void move_to_top() {
  build_page_tables(cpus[0], the_plan.monitor_base);
  relocate(the_plan.monitor_base, layout::kImageLoad, plan::kMonitorSize,
           machine_address(cpus[0], cpus[0].identity_directory));
}

// A moment on both clocks. Something may come between the two readings (system management, or an
// emulator's host): of a few tries the tightest counts.
struct Moment {
  std::uint64_t tsc;
  std::uint32_t ticks;
};
Moment now(const irq::Hpet& hpet) {
  constexpr int kTries = 16;
  std::uint64_t tightest = ~0ull;
  Moment best{};
  for (int n = 0; n < kTries; ++n) {
    const std::uint64_t before = read_tsc();
    const std::uint32_t ticks = hpet.ticks();
    const std::uint64_t width = read_tsc() - before;
    if (width >= tightest) continue;
    tightest = width;
    best = {before + width / 2, ticks};
  }
  return best;
}

// Kilohertz of the time-stamp counter, against the HPET or else the PIT, over some 50 ms.
std::uint32_t measure_tsc() {
  const irq::Hpet hpet(layout::kHpet);
  constexpr std::uint32_t kMilliseconds = 50;
  if (!hpet.present()) {
    constexpr std::uint32_t kCounts = board::pc::kPitHertz / 1000 * kMilliseconds;
    const std::uint64_t begin = read_tsc();
    board::pc::wait_pit(kCounts);
    return static_cast<std::uint32_t>((read_tsc() - begin) / kMilliseconds);
  }
  hpet.run();
  const Moment begin = now(hpet);
  while (hpet.ticks() - begin.ticks < hpet.ticks_of(kMilliseconds * 1000)) pause();
  const Moment end = now(hpet);
  constexpr std::uint64_t kMillion = 1'000'000;  // in two steps: 10^12 would overflow
  const std::uint64_t scaled = (end.tsc - begin.tsc) * kMillion / (end.ticks - begin.ticks);
  return static_cast<std::uint32_t>(scaled * kMillion / hpet.period_fs());
}

void publish_status(std::uint32_t cpu_count) {
  status_region.version = status::kVersion;
  status_region.size = sizeof status_region;
  status_region.cpu_count = cpu_count;
  status_region.partition_count = the_plan.partition_count;
  status_region.boot_tsc = read_tsc();
  status_region.tsc_khz = measure_tsc();
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    status::PartitionStatus& row = status_region.partitions[n];
    __builtin_memcpy(row.name, the_plan.partitions[n].name, sizeof row.name);
    row.cpu = the_plan.partitions[n].cpu;
  }
  // Last: who sees it may read the rest.
  __atomic_store_n(&status_region.magic, status::kMagic, __ATOMIC_RELEASE);
}

void prepare(Cpu& cpu, std::uint32_t index) {
  if (&cpu != &cpus[0]) build_page_tables(cpu, the_plan.monitor_base);
  cpu.index = index;
  cpu.partition = kNoPartition;
}

// Gives each partition its processor, which two may share; then the real-time one is the urgent
// one.
void assign_partitions() {
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    const plan::Partition& row = the_plan.partitions[n];
    Cpu& cpu = cpus[row.cpu];
    if (cpu.partition == kNoPartition) {
      cpu.partition = n;
      continue;
    }
    Cpu& partner = cpus[kPartnerCpu];
    prepare(partner, row.cpu);
    partner.partition = n;
    if (row.ia32.real_time != 0) std::swap(cpu.partition, partner.partition);
    if (!core::pair(cpu, partner)) {
      refuse("the time table cannot be kept: is there an HPET that can send NMIs?", row.cpu);
    }
  }
}

[[noreturn]] void enter_cpu_main(const Cpu& cpu) {
  asm volatile("movl %0, %%esp; pushl $0; jmp *%1"
               :
               : "r"(layout::kCpuArea + sizeof cpu.stack), "r"(&cpu_main));
  __builtin_unreachable();
}

}  // namespace

extern "C" [[noreturn]] void monitor_main(std::uint32_t magic, const MultibootInfo* info,
                                          std::uint32_t bundle) {
  log.line("monitor at work, image at ", diag::Hex{bundle});
  if (magic != kMultibootMagic) refuse("not started by a multiboot loader", magic);
  if (!info->has_map()) refuse("the boot loader gave no memory map", info->flags);
  const RamMap map = read_memory_map(read_machine, info->map_address, info->map_length);
  take_plan(bundle, map.all());
  move_to_top();
  clear_channels();  // the image has left its first place

  const Processors processors = find_processors(read_machine, local_apic::id());
  const std::uint32_t count = std::min<std::uint32_t>(processors.count, status::kMaxCpus);
  require(verify_partitions(the_plan, count));
  publish_status(count);
  log.line(count, " processors, TSC ", status_region.tsc_khz, " kHz, ", the_plan.partition_count,
           " partitions");
  for (std::uint32_t n = 0; n < count; ++n) {
    prepare(cpus[n], n);
    apic_ids[n] = processors.ids[n];
  }
  assign_partitions();
  constexpr std::uint32_t kFxsr = 1u << 24;
  if (is_shared(cpus[kPartnerCpu]) && (cpuid(1).edx & kFxsr) == 0) {
    refuse("this processor cannot be shared: it has no FXSAVE", cpus[kPartnerCpu].index);
  }
  board::pc::mask_all(layout::kIoApic);  // before any guest runs: it may own one of them
  route_forwarded_timers();
  cpus[0].has_started = true;
  for (std::uint32_t n = 1; n < count; ++n) start_processor(cpus[n], processors.ids[n]);
  enter_cpu_main(cpus[0]);
}

[[noreturn]] void bug(const char* what, const Frame* frame) {
  status::CrashRecord& crash = status_region.crash;
  Cpu& cpu = this_cpu();
  crash.cpu = cpu.index;
  crash.vector = ~0u;
  if (frame != nullptr) {
    crash.vector = frame->vector;
    crash.error_code = frame->error_code;
    crash.eip = frame->eip;
    crash.cs = frame->cs;
    crash.eflags = frame->eflags;
    crash.esp = address_of(*frame) + offsetof(Frame, esp);
    crash.cr0 = read_cr<0>();
    crash.cr2 = read_cr<2>();
    crash.cr3 = read_cr<3>();
    crash.cr4 = read_cr<4>();
    for (unsigned n = 0; n < 8; ++n) crash.registers[n] = (&frame->edi)[7 - n];
  }
  std::size_t n = 0;
  for (; what[n] != 0 && n + 1 < sizeof crash.message; ++n) crash.message[n] = what[n];
  crash.message[n] = 0;
  crash.valid = 1;
  log.line("BUG on CPU ", cpu.index, ": ", what, ", vector ", crash.vector, " error ",
           diag::Hex{crash.error_code}, " eip ", diag::Hex{crash.eip}, " cr2 ",
           diag::Hex{crash.cr2});
  for (;;) halt();
}

}  // namespace mezzo::ia32
