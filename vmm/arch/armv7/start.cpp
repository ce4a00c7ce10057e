// From the boot loader's hand-over to every CPU in its own private memory: verifies the plan,
// builds the monitor's own roots, and releases the other processors. Runs once, on the first
// processor.
#include <algorithm>
#include <new>
#include <span>

#include "arch/armv7/instructions.hpp"
#include "arch/armv7/monitor.hpp"
#include "arch/armv7/paging.hpp"
#include "core/verify_devices.hpp"
#include "irq/gic.hpp"

namespace mezzo::armv7 {

constinit plan::Plan the_plan{};
[[gnu::section(".status")]] constinit status::Region status_region{};
constinit diag::Log log{status_region.log, [](char) {}};
constinit std::uint32_t image_offset = 0;

namespace {

constinit volatile std::uint32_t arrived = 0;  // the CPU that was released last has its own memory

[[noreturn]] void refuse(const char* what, std::uint32_t index) {
  log.line("cannot start: ", what, " (", index, ")");
  for (;;) wait_for_interrupt();
}
void require(const PlanCheck& check) {
  if (!check.good()) refuse(describe(check.error), check.index);
}

// Takes the plan out of the loaded image; the store stays where it was loaded.
void take_plan() {
  map_for_boot(mezzo_bundle_address, sizeof(plan::Plan));
  __builtin_memcpy(&the_plan, pointer_to<const void>(mezzo_bundle_address), sizeof the_plan);
  require(verify_header(the_plan, plan::Architecture::Armv7));
  if (the_plan.monitor_base != layout::kWindow + image_offset) {
    refuse("the image is not where the plan says", layout::kWindow + image_offset);
  }
  const MemoryRange ram{the_plan.board.ram_base, the_plan.board.ram_size};
  require(verify_memory(the_plan, std::span(&ram, 1)));
  require(verify_partitions(the_plan, kMaxCpus));
  require(verify_devices(the_plan));
}

constinit std::array<Core, kMaxCpus> cores{};

// The partition with which a processor starts: of those that share it the least urgent one.
std::uint32_t partition_of(std::uint32_t cpu) {
  std::uint32_t found = kNoPartition;
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    const plan::Partition& row = the_plan.partitions[n];
    if (row.cpu != cpu) continue;
    const bool is_less_urgent =
        found == kNoPartition || row.armv7.priority > the_plan.partitions[found].armv7.priority;
    if (is_less_urgent) found = n;
  }
  return found;
}

// Memory for a partition that shares its processor with another: that of a processor that will not
// start.
Cpu& spare_cpu(std::uint32_t partition) {
  for (std::uint32_t n = 1; n < kMaxCpus; ++n) {
    Cpu& cpu = cpu_in_memory(n);
    if (cpu.partition == kNoPartition) return cpu;
  }
  refuse("no memory for a partition that shares a processor", partition);
}

// Gives each partition that is not the one its processor starts with a struct Cpu, and every shared
// processor its partitions in the order of their urgency.
void share_processors() {
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    const std::uint32_t index = the_plan.partitions[n].cpu;
    if (partition_of(index) == n) continue;
    if (the_plan.board.private_timer == 0) refuse("this board's processor cannot be shared", n);
    Cpu& cpu = spare_cpu(n);
    cpu.index = index;
    cpu.partition = n;
  }
  for (std::uint32_t index = 0; index < kMaxCpus; ++index) {
    for (;;) {
      Cpu* next = nullptr;
      std::uint32_t count = 0;
      for (std::uint32_t n = 0; n < kMaxCpus; ++n) {
        Cpu& cpu = cpu_in_memory(n);
        if (cpu.index != index || cpu.partition == kNoPartition) continue;
        ++count;
        if (cpu.core != nullptr) continue;
        const auto priority = [](const Cpu& of) {
          return the_plan.partitions[of.partition].armv7.priority;
        };
        if (next == nullptr || priority(cpu) < priority(*next)) next = &cpu;
      }
      if (count < 2 || next == nullptr) break;
      cores[index].add(*next);
      if (cores[index].is_broken()) refuse("an interrupt has two owners", next->partition);
    }
    const plan::Schedule* const schedule = schedule_of(the_plan, index);
    if (schedule == nullptr) continue;
    cores[index].set_schedule(*schedule);
    if (cores[index].is_broken()) refuse("a time table that does not fit its processor", index);
  }
}

void publish_status() {
  status_region.version = status::kVersion;
  status_region.size = sizeof status_region;
  status_region.architecture = plan::Architecture::Armv7;
  status_region.cpu_count = kMaxCpus;
  status_region.partition_count = the_plan.partition_count;
  status_region.tsc_khz = sun4i_page() != 0 ? irq::sun4i::kClockKhz : kPeripheralClockMhz * 1000;
  status_region.boot_tsc = now();
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    const plan::Partition& row = the_plan.partitions[n];
    status::PartitionStatus& status = status_region.partitions[n];
    __builtin_memcpy(status.name, row.name, sizeof status.name);
    status.cpu = row.cpu;
  }
  __atomic_store_n(&status_region.magic, status::kMagic, __ATOMIC_RELEASE);
}

extern "C" [[noreturn]] void cpu_main();

// Leaves the boot root and the boot stack for `cpu`'s own.
[[noreturn]] void enter_cpu(const Cpu& cpu) {
  constexpr std::uint32_t kMonitorOnly = 1u << 2 * ShortDescriptor::kMonitorDomain;
  Dacr::write(kMonitorOnly | 1);
  load_root(address_of(cpu.root) | walk_attributes(), kMonitorAsid);
  Dacr::write(kMonitorOnly);
  InvalidateTlb::write(0);
  data_barrier();
  instruction_barrier();
  asm volatile("mov sp, %0; bx %1" : : "r"(layout::kFrame), "r"(&cpu_main));
  __builtin_unreachable();
}

void release_others() {
  constexpr std::uint32_t kPatience = 100'000'000;
  for (std::uint32_t n = 1; n < kMaxCpus; ++n) {
    if (partition_of(n) == kNoPartition) continue;
    log.share();
    arrived = 0;
    released_cpu = n;
    this_cpu().memory.clean_to_unification(HostPhysical{address_of(released_cpu) + image_offset},
                                           4);
    send_event();
    for (std::uint32_t tries = 0; tries < kPatience && arrived != n; ++tries) send_event();
    if (arrived != n) log.line("processor ", n, " did not start");
  }
}

// The first CPU comes here before the others.
void initialize_interrupts(Cpu& cpu) {
  const plan::Board& board = the_plan.board;
  if (sun4i_page() != 0) cpu.interrupts.initialize_sun4i(the_plan.heartbeat_us);
  if (board.distributor == 0) return;
  const irq::GicDistributor distributor(io::MachineRegisters(HostPhysical{board.distributor}));
  if (cpu.index == 0) distributor.initialize();
  cpu.interrupts.initialize(distributor, PrivateLayout::of(board), the_plan.heartbeat_us);
}

// The root that `cpu` starts with is known to it.
void adopt_root(Cpu& cpu) {
  cpu.walk_attributes = walk_attributes();
  cpu.roots.adopt_flat(cpu.machine + (address_of(cpu.root) - address_of(cpu)) |
                       cpu.walk_attributes);
}

// The other partitions of a shared processor know the processor, too.
void start_sharing(Cpu& cpu) {
  for (std::uint32_t n = 0; n < kMaxCpus; ++n) {
    Cpu& other = cpu_in_memory(n);
    if (other.core != cpu.core || other.member == cpu.member) continue;
    adopt_root(other);
    other.interrupts = cpu.interrupts;
  }
  cpu.core->start(cpu);
}

extern "C" [[noreturn]] void cpu_main() {
  Cpu& cpu = this_cpu();
  adopt_root(cpu);
  set_stacks();
  VectorBase::write(address_of(vectors[0]));
  Cpacr::write(0x00f00000);
  instruction_barrier();
  write_fpexc(0);
  close_execution_environments();
  initialize_interrupts(cpu);
  if (cpu.index == 0) {
    publish_status();
    release_others();
  } else {
    arrived = cpu.index;
  }
  if (cpu.partition == kNoPartition) park(cpu);
  if (cpu.core != nullptr) start_sharing(cpu);
  start_partition(cpu);
}

}  // namespace

extern "C" [[noreturn]] void partition_main() { start_partition(this_cpu()); }

extern "C" [[noreturn]] void monitor_main(std::uint32_t offset) {
  image_offset = offset;
  log.line("monitor at work at ", diag::Hex{layout::kWindow + offset}, ", plan at ",
           diag::Hex{mezzo_bundle_address});
  take_plan();
  log.line(the_plan.partition_count, " partitions");
  map_for_boot(the_plan.monitor_base, the_plan.monitor_size);
  for (std::uint32_t n = 0; n < kMaxCpus; ++n) {
    Cpu& cpu = *new (&cpu_in_memory(n)) Cpu;
    cpu.index = n;
    cpu.machine = address_of(cpu);
    cpu.partition = partition_of(n);
    build_root(cpu);
  }
  share_processors();
  enter_cpu(cpu_in_memory(0));
}

extern "C" [[noreturn]] void secondary_main() { enter_cpu(cpu_in_memory(Mpidr::read() & 0xff)); }

Cpu& cpu_in_memory(std::uint32_t index) {
  return *pointer_to<Cpu>(the_plan.monitor_base + plan::kMonitorSize + index * plan::kArmv7CpuSize);
}

std::uint32_t sun4i_page() {
  const auto windows = std::span(the_plan.windows).first(the_plan.window_count);
  const auto found = std::ranges::find(windows, plan::WindowKind::SunxiTimer, &plan::Window::kind);
  return found == windows.end() ? 0 : found->base;
}

std::uint64_t now() {
  using namespace device::mpcore;
  if (sun4i_page() != 0) return this_cpu().interrupts.sun4i_now();
  if (the_plan.board.private_timer == 0) return 0;
  const CpuInterrupts::Block timer(PrivatePage{}, kGlobalTimer);
  if ((timer.read32(kControl) & kEnable) == 0) {
    timer.write32(kControl, timer.read32(kControl) | kEnable);
  }
  for (;;) {
    const std::uint32_t high = timer.read32(kGlobalHigh), low = timer.read32(kGlobalLow);
    if (timer.read32(kGlobalHigh) == high) return std::uint64_t{high} << 32 | low;
  }
}

[[noreturn]] void bug(const char* what, const Frame* frame) {
  status::CrashRecord& crash = status_region.crash;
  crash.cpu = this_cpu().index;
  crash.vector = ~0u;
  if (frame != nullptr) {
    crash.eip = frame->pc;
    crash.eflags = frame->cpsr;
    crash.esp = frame->r[13];
    crash.cr2 = Dfar::read();
    crash.error_code = Dfsr::read();
    for (unsigned n = 0; n < 8; ++n) crash.registers[n] = frame->r[n];
  }
  std::size_t n = 0;
  for (; what[n] != 0 && n + 1 < sizeof crash.message; ++n) crash.message[n] = what[n];
  crash.message[n] = 0;
  crash.valid = 1;
  log.line("BUG on CPU ", crash.cpu, ": ", what, ", pc ", diag::Hex{crash.eip}, " cpsr ",
           diag::Hex{crash.eflags}, " dfar ", diag::Hex{crash.cr2}, " dfsr ",
           diag::Hex{crash.error_code});
  for (;;) wait_for_interrupt();
}

}  // namespace mezzo::armv7
