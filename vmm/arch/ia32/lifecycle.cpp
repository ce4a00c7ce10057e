// The life of a partition on its CPU: built from pristine copies, running, paused, stopped, and
// again. Every function here runs in ring 0 on that CPU with interrupts off.
#include "arch/ia32/descriptor_tables.hpp"
#include "arch/ia32/instructions.hpp"
#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "arch/ia32/paging.hpp"
#include "arch/ia32/processor.hpp"
#include "board/pc.hpp"

namespace mezzo::ia32 {
namespace {

using status::Command;
using status::CommandResult;
using status::State;

// The 32-bit Linux boot protocol's selectors; multiboot leaves them open.
constexpr std::uint16_t kBootCs = 0x10, kBootDs = 0x18;

Partition partition_of(const Cpu& cpu) {
  return {the_plan, the_plan.partitions[cpu.partition], status_region.partitions[cpu.partition]};
}

// Reloads the partition's memory. Returns the index of a load whose copy is damaged, or nothing.
std::optional<std::uint32_t> load_images(const Partition& partition) {
  for (const plan::Load& load : partition.loads()) {
    const auto* copy = pointer_to<const unsigned char>(the_plan.store_base + load.store_offset);
    if (plan::crc32(copy, load.file_size) != load.crc32) {
      return static_cast<std::uint32_t>(&load - the_plan.loads);
    }
    auto* destination = pointer_to<unsigned char>(load.destination);
    __builtin_memcpy(destination, copy, load.file_size);
    __builtin_memset(destination + load.file_size, 0, load.memory_size - load.file_size);
  }
  return std::nullopt;
}

void write_tsc_frequency(const plan::Partition& row) {
  if (row.tsc_khz_field == 0) return;
  constexpr unsigned kFieldSize = 10;
  char digits[kFieldSize];
  unsigned count = 0;
  for (std::uint32_t rest = status_region.tsc_khz; rest != 0 && count < kFieldSize; rest /= 10) {
    digits[count++] = static_cast<char>('0' + rest % 10);
  }
  auto* field = pointer_to<char>(row.tsc_khz_field);
  for (unsigned n = 0; n < kFieldSize; ++n) field[n] = n < count ? digits[count - 1 - n] : ' ';
}

// Devices quiet, paging off, no descriptor of the guest's in use.
void reset_processor(Cpu& cpu, Processor& processor, const Partition& partition) {
  board::pc::quiesce(partition.row(), layout::kIoApic);
  local_apic::reset(partition.row().interrupts == plan::InterruptController::Pic);
  cpu.vcpu = Vcpu::at_entry();
  processor.install_identity();
  processor.write_cr0(cpu.vcpu.cr0);
  (void)processor.write_cr4(0);
  processor.use_copied_gdt();
  cpu.copied_gdt = {};
  cpu.copied_gdt[kBootCs / 8] = flat_code(1, kLastGuestAddress);
  cpu.copied_gdt[kBootDs / 8] = flat_data(1, kLastGuestAddress);
  processor.load_fs_gs(0, 0);
  processor.load_ldt(0);
  for (std::uint32_t n = 0; n < 4; ++n) processor.write_debug(n, 0);
  processor.write_debug(6, 0);
  processor.write_debug(7, 0);
  processor.reset_fpu();
  Context<Processor> context{processor, cpu.vcpu, *pointer_to<Frame>(layout::kCpuArea)};
  mirror_idt(context);
  cpu.guest_idt[hypercall::kVector] = stub_gate(hypercall::kVector, 1);
  use_guest_idt(cpu);
}

// No exit is fast until the guest has paging on and a flat code segment (trap.cpp).
void prepare_fast_path(FastPath& fast, const Partition& partition) {
  const plan::Piece& largest = partition.largest_piece();
  fast.code = fast.data = 0;
  fast.exits = address_of(partition.status().exits);
  fast.root_first = largest.base;
  fast.root_bytes = largest.size;
}

Frame first_frame(const plan::Partition& row) {
  Frame frame{};
  frame.eip = row.entry;
  frame.eax = row.eax;
  frame.ebx = row.ebx;
  frame.esi = row.esi;
  frame.cs = kBootCs | 1;
  frame.ss = kBootDs | 1;
  frame.ds = frame.es = kBootDs | 1;
  frame.eflags = eflags::kAlwaysSet | eflags::kIopl1;
  return frame;
}

void answer(std::uint32_t request, CommandResult result) {
  status::Control& control = status_region.control;
  control.result = result;
  __atomic_store_n(&control.completed, request, __ATOMIC_RELEASE);
}

// The state that the tool commanded is reached.
void answer_if_owed(Cpu& cpu) {
  if (!cpu.owes_answer) return;
  cpu.owes_answer = false;
  answer(cpu.request, CommandResult::Done);
}

// Sleeps until an NMI, with interrupts off; without a heartbeat there may be none, so it only
// rests.
void sleep(Cpu& cpu) {
  if (!has_heartbeat) return pause();
  if (!cpu.fast.nmi_pending) halt();
}

[[noreturn]] void restart_partition(Cpu& cpu) {
  partition_of(cpu).restarting();
  start_partition(cpu);
}

// What a command does to a partition in `state`; nothing if it does not fit.
struct Transition {
  Command command;
  bool from_running, from_paused, from_stopped;
};
constexpr std::array kTransitions = {
    Transition{Command::Stop, true, true, false},
    Transition{Command::Restart, true, true, true},
    Transition{Command::Pause, true, false, false},
    Transition{Command::Resume, false, true, false},
};

CommandResult judge(Command command, State state) {
  for (const Transition& t : kTransitions) {
    if (t.command != command) continue;
    const bool fits = (state == State::Running && t.from_running) ||
                      (state == State::Paused && t.from_paused) ||
                      (state == State::Stopped && t.from_stopped);
    return fits ? CommandResult::Done : CommandResult::WrongState;
  }
  return CommandResult::UnknownCommand;
}

void pause_partition(Cpu& cpu) {
  status::PartitionStatus& status = partition_of(cpu).status();
  status.state = State::Paused;
  answer_if_owed(cpu);
  while (status.state == State::Paused) {
    sleep(cpu);
    obey_control(cpu);
  }
}

void execute(Cpu& cpu, Command command) {
  status::PartitionStatus& status = partition_of(cpu).status();
  switch (command) {
    case Command::Stop:
      end_partition(cpu, Verdict::stop(status::StopReason::ByCommand));
    case Command::Restart:
      restart_partition(cpu);
    case Command::Pause:
      return pause_partition(cpu);
    case Command::Resume:
      status.state = State::Running;
      return answer_if_owed(cpu);
    case Command::None:
      return;
  }
}

}  // namespace

[[noreturn]] void start_partition(Cpu& cpu) {
  Partition partition = partition_of(cpu);
  prepare_fast_path(cpu.fast, partition);
  Processor processor(cpu, partition);
  reset_processor(cpu, processor, partition);
  if (const auto damaged = load_images(partition)) {
    partition.stopped(Verdict::stop(status::StopReason::CorruptImage, *damaged), read_tsc());
    log.line(partition.row().name, ": pristine copy is damaged, load ", *damaged);
    answer_if_owed(cpu);
    park(cpu);
  }
  write_tsc_frequency(partition.row());
  log.line(partition.row().name, ": starts on CPU ", cpu.index, " at ",
           diag::Hex{partition.row().entry});
  partition.running(read_tsc());
  answer_if_owed(cpu);
  auto* frame = pointer_to<Frame>(layout::kCpuArea + sizeof cpu.stack - sizeof(Frame));
  *frame = first_frame(partition.row());
  launch(frame);
}

[[noreturn]] void end_partition(Cpu& cpu, const Verdict& verdict) {
  Partition partition = partition_of(cpu);
  Processor processor(cpu, partition);
  processor.install_identity();
  board::pc::quiesce(partition.row(), layout::kIoApic);
  local_apic::reset(false);
  if (verdict.kind == Verdict::Kind::Restart) restart_partition(cpu);
  partition.stopped(verdict, read_tsc());
  answer_if_owed(cpu);
  log.line(partition.row().name, ": stopped, reason ", static_cast<std::uint32_t>(verdict.reason),
           " (", diag::Hex{verdict.detail[0]}, ", ", diag::Hex{verdict.detail[1]}, ", ",
           diag::Hex{verdict.detail[2]}, ")");
  const bool wanted = verdict.reason == status::StopReason::ByCommand ||
                      verdict.reason == status::StopReason::BySelf ||
                      verdict.reason == status::StopReason::Halted;
  if (!wanted && partition.restarts_by_policy()) restart_partition(cpu);
  park(cpu);
}

[[noreturn]] void park(Cpu& cpu) {
  unblock_nmi();
  for (;;) {
    sleep(cpu);
    obey_control(cpu);
  }
}

void obey_control(Cpu& cpu) {
  const bool heartbeat = cpu.fast.nmi_pending;
  cpu.fast.nmi_pending = false;
  unblock_nmi();
  if (heartbeat && cpu.index == 0) {
    status_region.heartbeats = status_region.heartbeats + 1;
    status_region.now_tsc = read_tsc();
  }
  const status::Control& control = status_region.control;
  const std::uint32_t request = __atomic_load_n(&control.requested, __ATOMIC_ACQUIRE);
  if (cpu.owes_answer || request == __atomic_load_n(&control.completed, __ATOMIC_ACQUIRE)) return;
  if (control.partition >= the_plan.partition_count) {
    if (cpu.index == 0) answer(request, CommandResult::NoSuchPartition);
    return;
  }
  if (control.partition != cpu.partition) return;
  const Command command = control.command;
  const CommandResult result = judge(command, partition_of(cpu).status().state);
  if (result != CommandResult::Done) return answer(request, result);
  cpu.owes_answer = true;
  cpu.request = request;
  execute(cpu, command);
}

}  // namespace mezzo::ia32
