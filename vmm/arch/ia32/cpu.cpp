// Brings one processor into its private memory and onto its own tables, and wakes the other ones.
// Source: Intel SDM volume 3, 8.4 (INIT and start-up messages), 9.8 (protected-mode set-up).
#include "arch/ia32/cpu.hpp"

#include "arch/ia32/instructions.hpp"
#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "arch/ia32/msr.hpp"
#include "arch/ia32/paging.hpp"
#include "arch/ia32/processor.hpp"
#include "board/pc.hpp"

namespace mezzo::ia32 {
namespace {

extern "C" const char ap_start_begin[], ap_start_end[], ap_start_directory[], ap_start_stack[];

volatile bool arrived;  // set by the processor that is being woken
volatile bool
    complete;  // all have been woken: their start-up code's page may be a guest's from now on

constexpr std::uint16_t kPitMillisecond = board::pc::kPitHertz / 1000;

void set_up_gdt(Cpu& cpu) {
  const auto entry = [&](std::uint16_t selector) -> Descriptor& {
    return monitor_descriptor(cpu, selector);
  };
  entry(layout::kMonitorCs) = flat_code(0, ~0u);
  entry(layout::kMonitorDs) = flat_data(0, ~0u);
  entry(layout::kMonitorTss) =
      tss(layout::kCpuArea + offsetof(Cpu, task_state), sizeof(TaskState) - 1);
  entry(layout::kSpareCs) = flat_code(1, kLastGuestAddress);
  entry(layout::kSpareDs) = flat_data(3, kLastGuestAddress);
  entry(layout::kSpareSs) = flat_data(1, kLastGuestAddress);
}

// What is at the same address in every Cpu's window.
template <class Table>
[[nodiscard]] TableRegister table_of(const Cpu& cpu, const Table& table) {
  return {sizeof table - 1, layout::kCpuArea + (address_of(table) - address_of(cpu))};
}

void set_up_tables(Cpu& cpu) {
  cpu.task_state = {};
  cpu.task_state.esp0 = layout::kCpuArea + sizeof cpu.stack;
  cpu.task_state.ss0 = layout::kMonitorDs;
  cpu.task_state.io_map_base = sizeof(TaskState);  // past the limit: every port of ring 3 faults
  set_up_gdt(cpu);
  for (unsigned n = 0; n < 256; ++n) {
    cpu.monitor_idt[n] = n < MEZZO_FIRST_DEVICE_VECTOR ? stub_gate(n, 0) : wake_gate(n);
    cpu.guest_idt[n] = stub_gate(n, 0);
  }
  cpu.fast.guest_idt = table_of(cpu, cpu.guest_idt);
  cpu.fast.monitor_idt = table_of(cpu, cpu.monitor_idt);
}

void load_tables(const Cpu& cpu) {
  ia32::load_gdt({MEZZO_GDT_LIMIT, layout::kGdtWindow});
  asm volatile(
      "ljmpl %0, $1f\n1:\n\t"
      "movl %1, %%ds; movl %1, %%es; movl %1, %%ss"
      :
      : "i"(MEZZO_MONITOR_CS), "r"(std::uint32_t{layout::kMonitorDs})
      : "memory");
  clear_fs_gs();
  load_task_register(layout::kMonitorTss);
  ia32::load_ldt(0);
  use_guest_idt(cpu);
  // SYSENTER of a process must fault, not enter ring 0. A processor without it faults here instead,
  // which needs the vectors.
  (void)write_msr_safe(msr::kSysenterCs, 0, 0);
}

}  // namespace

extern "C" [[noreturn]] void cpu_main() {
  Cpu& cpu = this_cpu();
  set_up_tables(cpu);
  if (is_shared(cpu)) set_up_tables(*cpu.sharing.partner);
  load_tables(cpu);
  local_apic::reset(false);
  arrived = true;
  if (cpu.index == 0) {
    complete = true;
    start_heartbeat();
  }
  while (!complete) pause();
  if (cpu.partition == kNoPartition) park(cpu);
  start_partition(cpu);
}

void start_processor(Cpu& cpu, std::uint8_t apic_id) {
  log.share();
  auto* code = pointer_to<char>(layout::kApStart);
  const auto bytes = static_cast<std::uint32_t>(ap_start_end - ap_start_begin);
  __builtin_memcpy(code, ap_start_begin, bytes);
  const auto patch = [&](const char* at, std::uint32_t value) {
    __builtin_memcpy(code + (at - ap_start_begin), &value, sizeof value);
  };
  patch(ap_start_directory, machine_address(cpu, cpu.identity_directory));
  patch(ap_start_stack, layout::kCpuArea + sizeof cpu.stack);

  // A processor that misses its time is asked again from INIT on, so that no late message finds it.
  constexpr int kAttempts = 3, kPatienceMs = 2000;
  arrived = false;
  for (int attempt = 0; attempt < kAttempts && !arrived; ++attempt) {
    local_apic::send(apic_id, local_apic::kDeliverInit | local_apic::kAssert);
    for (int n = 0; n < 10; ++n) board::pc::wait_pit(kPitMillisecond);
    local_apic::send(apic_id, local_apic::kDeliverStartUp | local_apic::kAssert |
                                  layout::kApStart / plan::kPageSize);
    for (int n = 0; n < kPatienceMs && !arrived; ++n) board::pc::wait_pit(kPitMillisecond);
  }
  cpu.has_started = arrived;
  if (!arrived) {
    local_apic::send(apic_id, local_apic::kDeliverInit | local_apic::kAssert);
    log.line("processor ", cpu.index, " did not start");
  }
}

}  // namespace mezzo::ia32
