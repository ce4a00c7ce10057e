// One exit, top down: what happened, who owns it, what is decided, and back. The table of owners is
// in doc/; each row is a case here or a row of emulate.hpp.
#include <utility>

#include "arch/ia32/emulate.hpp"
#include "arch/ia32/hypercalls.hpp"
#include "arch/ia32/instructions.hpp"
#include "arch/ia32/monitor.hpp"
#include "arch/ia32/paging.hpp"
#include "arch/ia32/processor.hpp"
#include "board/pc.hpp"
#include "core/health.hpp"
#include "core/trace.hpp"

namespace mezzo::ia32 {
namespace {

using Kind = Verdict::Kind;
using status::ExitCause;
using status::StopReason;

struct Fixup {
  std::uint32_t fault, resume;
};
extern "C" const Fixup fixups[], fixups_end[];

// What an exit was, for the counters and the trace ring.
struct Exit {
  Cpu& cpu;
  Partition partition;
  Processor processor;
  Context<Processor> context;
  ExitCause cause = ExitCause::ReflectedGp;
  std::uint32_t value = 0;
  std::uint32_t length = 0;  // of the emulated instruction

  Exit(Cpu& of, Frame& frame)
      : cpu(of),
        partition(the_plan, the_plan.partitions[of.partition],
                  status_region.partitions[of.partition]),
        processor(of, partition),
        context{processor, of.vcpu, frame} {}

  void record(std::uint32_t eip) {
    partition.count(cause);
    mezzo::record(status_region.traces[cpu.index], {static_cast<std::uint32_t>(read_tsc()),
                                                    static_cast<std::uint32_t>(cause), eip, value});
  }
};

// The short way takes roots of the kind in use, and none while paging is off.
void allow_roots(Exit& exit) {
  const Vcpu& vcpu = exit.cpu.vcpu;
  const std::uint32_t roots = vcpu.paging() ? exit.partition.largest_piece().size : 0;
  const bool pae = vcpu.root_kind() == RootKind::Pointers;
  exit.cpu.fast.root_bytes = pae ? 0 : roots;
  exit.cpu.fast.pointers_bytes = pae ? roots : 0;
}

// From its first access to a control register or HLT on, the kernel's segments of that moment have
// fast exits, if they are flat: until the guest loads other tables.
void allow_fast_path(Exit& exit, Op op) {
  const Frame& frame = exit.context.frame;
  FastPath& fast = exit.cpu.fast;
  if (op == Op::Lgdt || op == Op::Lldt) fast.code = fast.data = fast.stack = 0;
  if (op == Op::MovToCr) allow_roots(exit);
  // Without a heartbeat every exit looks for a command.
  if (!has_heartbeat || frame.ring() != 1) return;
  if (op != Op::MovFromCr && op != Op::MovToCr && op != Op::Hlt) return;
  const auto flat = [&](std::uint32_t selector) {
    const auto descriptor = descriptor_of(exit.context, static_cast<std::uint16_t>(selector));
    const bool is_flat = descriptor && descriptor->is_default32() && descriptor->base() == 0;
    return static_cast<std::uint16_t>(is_flat ? selector : 0);
  };
  fast.code = flat(frame.cs);
  fast.data = flat(frame.ds);
  fast.stack = is_shared(exit.cpu) ? std::uint16_t{0} : flat(frame.ss);  // no HLT is fast
}

// Finds out by which vectors the guest lets in the doorbells that are lines of its I/O APIC.
void follow_lines(const Exit& exit) {
  for (std::uint32_t number = 0; number < the_plan.channel_count; ++number) {
    const auto end = end_of_channel(the_plan, exit.partition.index(), number);
    if (!end) continue;
    const std::uint32_t line = the_plan.channels[number].ends[end->which].line;
    if (line == plan::kNoLine) continue;
    const std::uint8_t vector = board::pc::vector_of(layout::kIoApic, line);
    doorbells.listen(*end, is_event_vector(vector) ? std::uint8_t{0} : vector);
  }
}

// What an NMI is for: a look at the lines, and at the tool's commands.
void heed_heartbeat(const Exit& exit) {
  const Cpu& cpu = exit.cpu;
  const bool has_beaten = cpu.fast.nmi_pending;
  // The partner's heartbeat may have found that the watchdog has run out.
  const bool is_ending =
      is_shared(cpu) && (health::is_due(status_region, cpu.partition) || core::has_overrun(cpu));
  if (!has_beaten && !is_commanded() && !is_ending) return;
  if (has_beaten) follow_lines(exit);
  obey_control(exit.cpu);
  if (!is_ending) return;
  if (const auto overrun = core::take_overrun(cpu)) end_partition(exit.cpu, *overrun);
}

Verdict emulate_instruction(Exit& exit) {
  Frame& frame = exit.context.frame;
  std::array<std::uint8_t, kMaxInstructionLength> bytes{};
  const std::uint32_t at =
      segment_base(exit.context, static_cast<std::uint16_t>(frame.cs)) + frame.eip;
  // The instruction may be the last one of a mapped page.
  std::uint32_t available = bytes.size();
  if (!exit.processor.read(at, bytes.data(), available)) {
    available = std::min(available, plan::kPageSize - at % plan::kPageSize);
    if (!exit.processor.read(at, bytes.data(), available)) available = 0;
  }

  const auto code = descriptor_of(exit.context, static_cast<std::uint16_t>(frame.cs));
  const bool code32 = (frame.eflags & eflags::kVirtual8086) == 0 && (!code || code->is_default32());
  const Instruction instruction = decode(std::span(bytes).first(available), code32);
  exit.cause = exit_cause(instruction);
  exit.length = instruction.length;
  exit.value = instruction.op == Op::Rdmsr || instruction.op == Op::Wrmsr ? frame.ecx
               : instruction.op == Op::MovToCr ? frame.general(instruction.rm)
                                               : frame.error_code;
  const Verdict verdict = emulate(exit.context, instruction, frame.error_code);
  allow_fast_path(exit, instruction.op);
  if (exit.cause == ExitCause::PortIo) follow_lines(exit);
  return verdict;
}

// #TS, #NP, #SS and #GP.
Verdict answer_fault(Exit& exit) {
  const Frame& frame = exit.context.frame;
  const auto vector = static_cast<std::uint8_t>(frame.vector);
  const bool protection = vector == static_cast<unsigned>(Vector::GeneralProtection);
  exit.cause = protection ? ExitCause::ReflectedGp : ExitCause::ReflectedFault;
  if (const auto verdict = settle_fault(exit.context, vector, frame.error_code)) {
    if (verdict->kind == Kind::Resume) exit.cause = ExitCause::MovSeg;
    return *verdict;
  }
  return protection ? emulate_instruction(exit) : Verdict::inject(vector, frame.error_code);
}

// An IRET of ours faulted: the guest's code or stack selector is not in the table it loaded last.
// Its kernel runs on with flat segments, as it would with the processor's cached descriptors.
Verdict repair_return(Exit& exit) {
  Frame& frame = exit.context.frame;
  if (frame.ring() != 1) return general_protection(selector_error(frame.cs));
  const auto code = descriptor_of(exit.context, frame.cs);
  const bool code_good = code && code->present() && code->is_code();
  const auto stack = descriptor_of(exit.context, frame.ss);
  const bool stack_good = stack && stack->present() && stack->is_data() && stack->dpl() == 1;
  if (code_good && stack_good) {
    return Verdict::stop(StopReason::Forbidden, static_cast<std::uint32_t>(ExitCause::Iret),
                         frame.eip);
  }
  if (!code_good) frame.cs = layout::kSpareCs | 1;
  if (!stack_good) frame.ss = layout::kSpareSs | 1;
  return Verdict::resume();
}

// `otherwise`: what becomes of the guest if the event is not for it.
Verdict answer_event(Exit& exit, std::uint8_t vector, const Verdict& otherwise) {
  exit.cause = ExitCause::Event;
  exit.value = vector;
  const auto due = take_event(exit.cpu, vector);
  return due ? Verdict::software_interrupt(*due) : otherwise;
}

// What ended a HLT. An NMI is no reason to go on.
Verdict end_waiting(Exit& exit, std::uint8_t vector) {
  if (is_event_vector(vector)) return answer_event(exit, vector, Verdict::wait());
  if (vector == static_cast<unsigned>(Vector::Nmi)) {
    exit.cause = ExitCause::Nmi;
    return Verdict::wait();
  }
  exit.cause = ExitCause::IdleWakeup;
  exit.value = vector;
  return Verdict::software_interrupt(vector);
}

Verdict decide(Exit& exit) {
  Frame& frame = exit.context.frame;
  const auto vector = static_cast<std::uint8_t>(frame.vector);
  exit.value = frame.vector;
  if (frame.vector == MEZZO_RETURN_FAULT) {
    exit.cause = ExitCause::MonitorFault;
    return repair_return(exit);
  }
  if ((frame.vector & MEZZO_EXTERNAL) != 0) {
    exit.cause = ExitCause::UnsettledVector;
    return Verdict::software_interrupt(vector);
  }
  if ((frame.vector & MEZZO_WOKEN) != 0) return end_waiting(exit, vector);
  if (is_event_vector(vector)) return answer_event(exit, vector, Verdict::resume());
  switch (vector) {
    case 2:
      exit.cause = ExitCause::Nmi;
      exit.cpu.fast.nmi_pending = true;
      // The heartbeat's, unless the board reports an error: that is for the owner of its bus.
      if (exit.partition.row().owns_pci != 0 && board::pc::reports_error())
        return Verdict::inject(2);
      return Verdict::resume();
    case 8:
      exit.cause = ExitCause::DoubleFault;
      return Verdict::inject(8);
    case 10:
    case 11:
    case 12:
    case 13:
      return answer_fault(exit);
    case 18:
      exit.cause = ExitCause::MachineCheck;
      if ((exit.cpu.vcpu.cr4 & cr4::kMachineCheck) != 0) return Verdict::inject(18);
      return Verdict::stop(StopReason::MachineCheck);
    case hypercall::kVector:
      exit.cause = ExitCause::Hypercall;
      exit.value = frame.eax;
      return answer_hypercall(exit.context, exit.partition, doorbells, log);
    default:
      if (is_shared(exit.cpu) && core::take_for_partner(exit.cpu, vector)) {
        exit.cause = ExitCause::Event;
        return Verdict::resume();
      }
      exit.cause = ExitCause::UnsettledVector;
      return Verdict::inject(vector, frame.error_code);
  }
}

// Ends the instruction at EIP, once: what waits may come here again. Single-stepping sees it as
// executed.
Verdict finish_instruction(Exit& exit) {
  constexpr std::uint32_t kSingleStep = 1u << 14;  // DR6.BS
  Frame& frame = exit.context.frame;
  frame.eip += std::exchange(exit.length, 0);
  frame.eflags &= ~eflags::kResume;
  if ((frame.eflags & eflags::kTrap) == 0) return Verdict::resume();
  write_dr<6>(read_dr<6>() | kSingleStep);
  return Verdict::inject(static_cast<std::uint8_t>(Vector::Debug));
}

// HLT: waits in ring 0 until an interrupt for the guest, then delivers it. The guest's gates cannot
// be entered from here, so meanwhile every vector is the monitor's.
Verdict wait_for_interrupt(Exit& exit) {
  Cpu& cpu = exit.cpu;
  if ((exit.context.frame.eflags & eflags::kInterrupts) == 0) {
    return Verdict::stop(StopReason::Halted, exit.context.frame.eip);
  }
  const Verdict stepped = finish_instruction(exit);
  if (stepped.kind != Kind::Resume) return stepped;
  volatile std::uint32_t& woken_by = cpu.fast.woken_by;
  woken_by = kNoVector;
  while (woken_by == kNoVector) {
    heed_heartbeat(exit);
    if (is_shared(cpu)) {
      core::wait(cpu);
      continue;
    }
    use_monitor_idt(cpu);
    idle_wait(cpu.fast.polls);
    use_guest_idt(cpu);
  }
  const Verdict verdict = end_waiting(exit, static_cast<std::uint8_t>(woken_by));
  exit.record(exit.context.frame.eip);
  return verdict;
}

Verdict apply(Exit& exit, const Verdict& verdict) {
  switch (verdict.kind) {
    case Kind::Skip:
      return finish_instruction(exit);
    case Kind::Wait:
      return wait_for_interrupt(exit);
    case Kind::Inject: {
      const Verdict next =
          deliver(exit.context, verdict.vector, verdict.software, verdict.error_code);
      if (next.kind == Kind::Resume) settle_gate(exit.context, verdict.vector);
      return next;
    }
    case Kind::Resume:
    case Kind::Stop:
    case Kind::Restart:
      return verdict;
  }
  bug("a verdict of no kind", &exit.context.frame);
}

void handle_exit(Cpu& cpu, Frame& frame) {
  Exit exit(cpu, frame);
  const std::uint32_t eip = frame.eip;
  Verdict verdict = decide(exit);
  exit.record(eip);
  while (verdict.kind != Kind::Resume) {
    if (verdict.kind == Kind::Stop || verdict.kind == Kind::Restart) end_partition(cpu, verdict);
    verdict = apply(exit, verdict);
  }
  follow_kernel_stack(exit.context);
  renew_used_gates(exit.context);
  do {
    heed_heartbeat(exit);
  } while (is_shared(cpu) && core::give_way(cpu));
}

template <class... Arguments>
std::uint32_t address_of_code(void (*function)(Arguments...)) {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(function));
}

// A trap of the monitor's own: an NMI, an interrupt that ends idling, or a fault at an expected
// place. The window in which a trap ends idling is exactly STI and HLT, on the short way also what
// looks for an NMI before: an NMI may come at any later instruction too, and must then change
// nothing but its flag.
void handle_own_trap(Cpu& cpu, Frame& frame) {
  const std::uint32_t idle_end = address_of_code(idle_wait_end);
  const bool idling = frame.eip >= address_of_code(idle_look) && frame.eip <= idle_end;
  const bool fast_idling =
      frame.eip >= address_of_code(fast_idle) && frame.eip < address_of_code(fast_idle_end);
  const bool is_nmi = frame.vector == static_cast<unsigned>(Vector::Nmi);
  if (is_nmi) cpu.fast.nmi_pending = true;
  if (idling || fast_idling) {
    frame.eip = idling ? idle_end : address_of_code(fast_idle_woken);
    frame.eflags &= ~eflags::kInterrupts;
    if (fast_idling || !is_nmi) cpu.fast.woken_by = MEZZO_WOKEN | (frame.vector & 0xff);
    return;
  }
  if (is_nmi) {
    if (is_shared(cpu)) core::repeat_nmi(cpu);
    return;
  }
  // A watchpoint of the guest's on memory that the monitor touched for it: a trap, nothing to
  // repeat.
  if (frame.vector == static_cast<unsigned>(Vector::Debug)) return;
  for (const Fixup* fixup = fixups; fixup != fixups_end; ++fixup) {
    if (frame.eip == fixup->fault) {
      frame.eip = fixup->resume;
      return;
    }
  }
  bug("unexpected trap in the monitor", &frame);
}

}  // namespace

extern "C" void handle_trap(Frame* frame) {
  Cpu& cpu = this_cpu();
  frame->cs &= 0xffff;
  frame->ds &= 0xffff;
  frame->es &= 0xffff;
  // What comes between any two instructions, as NMIs do. A fault right after a CMPXCHG8B would have
  // to be asked for; its way is kept short.
  if (frame->vector != static_cast<std::uint32_t>(Vector::GeneralProtection)) {
    frame->eflags = eflags::possible(frame->eflags);
  }
  const bool from_guest = frame->ring() != 0 || frame->vector == MEZZO_RETURN_FAULT;
  if (!from_guest) return handle_own_trap(cpu, *frame);
  frame->ss &= 0xffff;
  handle_exit(cpu, *frame);
}

}  // namespace mezzo::ia32
