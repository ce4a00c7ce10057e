// One exit, top down: what happened, who owns it, what is decided, and back. The table of owners is
// in doc/; each row is a case here or a row of emulate.hpp and control_registers.hpp.
#include <utility>

#include "arch/armv7/emulate.hpp"
#include "arch/armv7/exit.hpp"
#include "arch/armv7/instructions.hpp"
#include "arch/armv7/maintenance_loop.hpp"
#include "arch/armv7/monitor.hpp"
#include "arch/armv7/processor.hpp"
#include "arch/armv7/short_way.hpp"
#include "arch/armv7/view.hpp"

namespace mezzo::armv7 {
namespace {

using Kind = Verdict::Kind;
using mem::Outcome;
using status::Armv7Exit;
using status::StopReason;

// What an exit was, for the counters and the trace ring.
struct Exit {
  Cpu& cpu;
  Frame& frame;
  Processor processor;
  Context<Processor> context;
  Refused refused;  // of an abort
  Armv7Exit cause = Armv7Exit::UndefinedInstruction;
  std::uint32_t value = 0;

  Exit(Cpu& of, Frame& at, const Refused& what)
      : cpu(of), frame(at), processor(of), context{processor, of.vcpu, at}, refused(what) {}
};

[[nodiscard]] bool is_thumb(const Frame& frame) { return (frame.cpsr & psr::kThumb) != 0; }

// Whether the guest's IRQ input is asserted.
[[nodiscard]] bool is_guest_interrupted(const Cpu& cpu) {
  return cpu.core != nullptr ? cpu.devices.shared()->gic.signals() : is_interrupt_pending();
}

// ---- instructions ----

Verdict emulate_word(Exit& exit, std::uint32_t word) {
  const Decoded& decoded = exit.cpu.decoded.look_up(word);
  const Instruction& instruction = decoded.instruction;
  exit.cause = decoded.cause;
  exit.value = word;
  if (const auto loop = maintenance_loop(exit.context, instruction, decoded.control)) {
    return run(exit.context, instruction, *loop);
  }
  if (exit.cause != Armv7Exit::SystemControl) {
    return emulate(exit.context, instruction, decoded.control);
  }
  const bool pending = is_guest_interrupted(exit.cpu) || exit.cpu.interrupts.is_held();
  exit.cpu.vcpu.shared->irq_pending = pending ? 1 : 0;  // what ISR is to say
  const Verdict verdict = emulate(exit.context, instruction, decoded.control);
  exit.processor.vectors_changed();
  return verdict;
}

// A word of the kernel's that exits: whether a stub does from now on what it means. Most words of a
// page are executed never or once, so that few are worth one.
bool gets_stub(Exit& exit, std::uint32_t word) {
  const GuestVirtual at{exit.frame.pc};
  if (!exit.cpu.stubs.is_due(word, at) || !exit.processor.put_stub(at)) return false;
  exit.cause = Armv7Exit::PatchPage;
  exit.value = word;
  return true;
}

// SVC of a process: a call of its kernel, unless it runs words that have been replaced for the
// kernel.
Verdict answer_process(Exit& exit) {
  const bool shares = (exit.cpu.fast.blocked & FastPath::kSharedText) != 0;
  if (!shares || is_thumb(exit.frame)) return raise(Exception::SupervisorCall);
  const auto word = exit.processor.instruction_at(exit.frame.pc);
  const auto original = word ? exit.cpu.patches.dictionary().original(*word) : std::nullopt;
  return original ? emulate_word(exit, *original) : raise(Exception::SupervisorCall);
}

// SVC: a process calls its kernel; in the kernel, the monitor has put it there.
Verdict answer_call(Exit& exit) {
  exit.frame.pc -= is_thumb(exit.frame) ? 2 : 4;
  exit.cause = Armv7Exit::SupervisorCall;
  if (exit.cpu.vcpu.is_user()) return answer_process(exit);
  if (is_thumb(exit.frame)) return unsupported(Unsupported::ThumbKernel, exit.frame.pc);
  const auto word = exit.processor.instruction_at(exit.frame.pc);
  if (!word) return Verdict::resume();
  const auto original = exit.cpu.patches.dictionary().original(*word);
  if (!original) return raise(Exception::SupervisorCall);
  return gets_stub(exit, *original) ? Verdict::resume() : emulate_word(exit, *original);
}

Verdict answer_undefined(Exit& exit) {
  exit.frame.pc -= is_thumb(exit.frame) ? 2 : 4;
  exit.cause = Armv7Exit::UndefinedInstruction;
  exit.value = exit.frame.pc;
  if (exit.cpu.vcpu.is_user() && is_thumb(exit.frame)) return undefined();
  if (is_thumb(exit.frame)) return unsupported(Unsupported::ThumbKernel, exit.frame.pc);
  const auto word = exit.processor.instruction_at(exit.frame.pc);
  if (!word) return Verdict::resume();
  if (!exit.cpu.vcpu.is_user() && gets_stub(exit, *word)) return Verdict::resume();
  const Verdict verdict = emulate_word(exit, *word);
  if (verdict.kind == Kind::Inject) exit.cause = Armv7Exit::UndefinedInstruction;
  return verdict;
}

// ---- memory ----

Verdict give_abort(Exit& exit, const Abort& abort, Access access) {
  exit.cause = Armv7Exit::GuestAbort;
  if (exit.cpu.vcpu.is_user()) expect_return(exit.cpu, abort.address, access);
  return access == Access::Execute ? prefetch_abort(abort) : data_abort(abort);
}

// The load or store at PC, if it is one that the monitor can do in the guest's place.
std::optional<Instruction> access_at_pc(Exit& exit) {
  if (is_thumb(exit.frame)) return std::nullopt;
  const auto word = exit.processor.instruction_at(exit.frame.pc);
  if (!word) return std::nullopt;
  const Instruction instruction =
      decode(exit.cpu.patches.dictionary().original(*word).value_or(*word));
  if (!makes_access(instruction.op)) return std::nullopt;
  return instruction;
}

// A store of the guest's kernel to a page whose text is patched; nothing if it must be the
// processor's: of a process, or exclusive.
std::optional<Verdict> store_for(Exit& exit) {
  if (exit.cpu.vcpu.is_user()) return std::nullopt;
  const auto instruction = access_at_pc(exit);
  if (!instruction) return std::nullopt;
  return emulate(exit.context, *instruction);
}

// An access to an emulated device. What no device takes (a fetch, an exclusive access, Thumb code)
// is an external abort.
Verdict access_device(Exit& exit, GuestVirtual at, Access access) {
  const auto instruction = access == Access::Execute ? std::nullopt : access_at_pc(exit);
  if (instruction) return emulate(exit.context, *instruction);
  const Abort abort = {
      .status = FaultStatus::External, .write = access == Access::Write, .address = at};
  return give_abort(exit, abort, access);
}

// An access that the shadow tables refused.
Verdict settle_access(Exit& exit, GuestVirtual at, Access access, Privilege privilege) {
  exit.processor.follow_stubs();
  for (;;) {
    const auto* const answer = std::exchange(exit.refused.answer, nullptr);
    const auto result =
        answer != nullptr ? *answer : exit.processor.shadow().miss(at, access, privilege);
    switch (result.outcome) {
      case Outcome::Filled:
        note_execution(exit.cpu, result.physical, access, privilege);
        share_last_users_slot(exit.cpu);
        if (exit.cause != Armv7Exit::PatchPage) exit.cause = Armv7Exit::ShadowFill;
        return Verdict::resume();
      case Outcome::GuestFault:
        return give_abort(exit, Processor::abort_of(result.fault, at, access), access);
      case Outcome::NeedsExecute:
        exit.cause = Armv7Exit::PatchPage;
        if (!exit.processor.patch(result.machine, at)) {
          return unsupported(Unsupported::PatchTableFull, exit.frame.pc);
        }
        continue;
      case Outcome::WriteProtected:
        exit.cause = Armv7Exit::PatchedStore;
        if (!exit.cpu.memory.is_patched(exit.cpu.memory.frame(result.machine))) {
          exit.cause = Armv7Exit::DeviceAccess;  // a page that only reads reach directly
          return access_device(exit, at, access);
        }
        if (const auto verdict = store_for(exit)) return *verdict;
        exit.processor.unpatch(result.machine);
        continue;
      case Outcome::Emulated:
        exit.cause = Armv7Exit::DeviceAccess;
        exit.value = static_cast<std::uint32_t>(result.physical.value());
        return access_device(exit, at, access);
      case Outcome::Nothing:
      case Outcome::MonitorWindow:
        exit.value = at.value();
        return give_abort(
            exit,
            {.status = FaultStatus::External, .write = access == Access::Write, .address = at},
            access);
    }
  }
}

Verdict answer_abort(Exit& exit, Exception exception) {
  const Refused& refused = exit.refused;
  exit.value = refused.at.value();
  if (refused.is_by_tables()) {
    return settle_access(exit, refused.at, refused.access, exit.context.privilege());
  }
  const std::uint32_t kept = exception == Exception::DataAbort ? 0x1c0f : 0x140f;
  exit.cause = Armv7Exit::GuestAbort;
  return abort_verdict(exception, refused.status & kept, refused.at);
}

// ---- interrupts ----

// Nothing wakes a guest from a branch to itself with interrupts off: it has halted.
[[nodiscard]] bool is_halted(Exit& exit) {
  constexpr std::uint32_t kBranchToItself = 0xeafffffe;
  const bool masked = (exit.cpu.vcpu.masks() & psr::kIrqOff) != 0;
  return masked && !exit.cpu.vcpu.is_user() && !is_thumb(exit.frame) &&
         exit.processor.instruction_at(exit.frame.pc) == kBranchToItself;
}

// How a guest ends that does nothing any more, or whose watchdog has run out; else it goes on.
Verdict at_heartbeat(Exit& exit) {
  if (exit.cpu.devices.expired()) return Verdict::stop(StopReason::Reset);
  return is_halted(exit) ? Verdict::stop(StopReason::Halted, exit.frame.pc) : Verdict::resume();
}

// The monitor's own are handled here. The guest's stay raised until its handler acknowledges them
// at its CPU interface; settle_interrupts() delivers them, or holds them back. An FIQ is never
// the guest's; where the monitor has none either, the guest has made one of its lines one.
Verdict answer_interrupt(Exit& exit, std::uint32_t trap) {
  const bool masked = (exit.cpu.vcpu.masks() & psr::kIrqOff) != 0;
  exit.cause = masked ? Armv7Exit::DeferredInterrupt : Armv7Exit::Interrupt;
  if (exit.cpu.core != nullptr) {
    exit.cpu.core->distribute(exit.cpu);
    if (exit.cpu.core->take_beat(exit.cpu)) {
      exit.cause = Armv7Exit::Heartbeat;
      return at_heartbeat(exit);
    }
  } else if (exit.cpu.interrupts.take_own()) {
    exit.cause = Armv7Exit::Heartbeat;
    return at_heartbeat(exit);
  }
  if (trap == MEZZO_TRAP_FIQ && !exit.cpu.interrupts.beats_by_fiq()) {
    return unsupported(Unsupported::FastInterrupt, exit.frame.pc);
  }
  return Verdict::resume();
}

// ---- the way back ----

// Goes on to where the guest's handler is, if its vector leads there as Linux' do. Whether it does.
bool deliver_quickly(Exit& exit, const Verdict& verdict) {
  if (exit.cpu.slow_vectors) return false;
  const auto read = [&](std::uint32_t at) -> std::optional<std::uint32_t> {
    std::uint32_t word = 0;
    if (exit.processor.read(GuestVirtual{at}, &word, sizeof word, Privilege::Kernel)) {
      return std::nullopt;
    }
    return exit.cpu.patches.dictionary().original(word).value_or(word);
  };
  enter_view(exit.cpu, Privilege::Kernel);
  const auto exception = static_cast<Exception>(verdict.vector);
  const auto* const stub =
      exit.cpu.vector_stubs.find(exception, vector_of(exit.cpu.vcpu.control, exception), read);
  return stub != nullptr && deliver_through(exit.context, verdict, *stub);
}

// Delivers an exception; stubs read the fault registers where they are shared.
Verdict take(Exit& exit, const Verdict& verdict) {
  const Verdict delivered =
      deliver_quickly(exit, verdict) ? Verdict::resume() : deliver(exit.context, verdict);
  share_faults(exit.cpu.vcpu);
  return delivered;
}

// An interrupt of the guest's. The next one is assembly's, if nothing can be saved by knowing the
// handler.
void deliver_interrupt(Exit& exit) {
  const Verdict verdict = raise(Exception::Irq);
  exit.cpu.fast.irq_vector = 0;
  if (deliver_quickly(exit, verdict)) return;
  if (deliver(exit.context, verdict).kind != Kind::Resume) return;
  if (exit.cpu.fast.pending != 0) exit.cpu.fast.irq_vector = exit.frame.pc;
}

[[nodiscard]] bool has_masked(const Cpu& cpu) { return (cpu.vcpu.masks() & psr::kIrqOff) != 0; }

// What the guest is to run with: whether an interrupt waits for it to unmask, and whether only the
// processor's own mask keeps that one away.
void leave_interrupts(Exit& exit, bool defer, bool only_processor) {
  Cpu& cpu = exit.cpu;
  cpu.vcpu.shared->irq_pending = defer ? 1 : 0;
  cpu.vcpu.shared->doorbell = defer ? Stubs::kAlarm : Stubs::kDoorbell;
  if (defer) {
    cpu.fast.blocked |= FastPath::kInterrupt;
  } else {
    cpu.fast.blocked &= ~FastPath::kInterrupt;
  }
  exit.frame.cpsr = (exit.frame.cpsr & psr::kLive) | psr::kUser | psr::kAbortOff |
                    (only_processor ? psr::kIrqOff : 0);
}

// On a shared processor: more urgent partitions run first; what interrupts the guest is on its
// list.
void settle_shared(Exit& exit, Core& core) {
  Cpu& cpu = exit.cpu;
  if (cpu.devices.take_accessed()) core.timers_changed();
  core.yield(cpu, Core::Rest::None);
  if (const auto end = core.take_overrun(cpu)) end_partition(cpu, *end);
  core.set_timer();
  if (is_guest_interrupted(cpu) && !has_masked(cpu)) deliver_interrupt(exit);
  leave_interrupts(exit, is_guest_interrupted(cpu) && has_masked(cpu), false);
}

// A pending interrupt is taken as soon as the guest allows it; until then it is held back.
void settle_interrupts(Exit& exit) {
  Cpu& cpu = exit.cpu;
  if (cpu.core != nullptr) return settle_shared(exit, *cpu.core);
  CpuInterrupts& interrupts = cpu.interrupts;
  if (std::exchange(cpu.fast.delivered, 0) != 0) interrupts.delivered();
  interrupts.open();
  (void)interrupts.take_stolen();
  if (is_anything_pending()) (void)interrupts.take_own();
  const bool pending = is_interrupt_pending();
  if (pending && !has_masked(cpu)) {
    deliver_interrupt(exit);
    interrupts.delivered();
  }
  const bool defer = pending && has_masked(cpu);
  leave_interrupts(exit, defer, defer && !interrupts.hold());
}

// WFI on a shared processor: others run meanwhile.
Verdict wait_shared(Cpu& cpu, Core& core) {
  for (;;) {
    // Another partition's heartbeat may have found that the watchdog has run out.
    const bool has_expired = health::is_due(status_region, cpu.partition);
    if (cpu.interrupts.has_beaten() || is_commanded() || has_expired) obey_control(cpu);
    if (is_guest_interrupted(cpu)) return Verdict::skip();
    core.yield(cpu, Core::Rest::Waiting);
    if (const auto end = core.take_overrun(cpu)) return *end;
  }
}

// WFI: waits with the guest's context untouched; an interrupt of its own ends it, masked or not
// (B1.8.13).
Verdict wait(Exit& exit) {
  Cpu& cpu = exit.cpu;
  if (cpu.core != nullptr) return wait_shared(cpu, *cpu.core);
  CpuInterrupts& interrupts = cpu.interrupts;
  for (;;) {
    if (interrupts.has_beaten() && cpu.devices.expired()) return Verdict::stop(StopReason::Reset);
    if (interrupts.has_beaten() || is_commanded()) obey_control(cpu);
    interrupts.open();
    if (interrupts.take_stolen()) continue;
    if (is_anything_pending()) {
      if (!interrupts.take_own()) return Verdict::skip();
    } else if (cpu.fast.irq_vector != 0 && !has_masked(cpu) && !cpu.vcpu.is_user()) {
      finish_instruction(exit.frame);
      settle_interrupts(exit);
      enter_guest(cpu);
      sleep_as_guest();
    } else {
      wait_for_interrupt();
    }
  }
}

Verdict apply(Exit& exit, const Verdict& verdict) {
  switch (verdict.kind) {
    case Kind::Skip:
      finish_instruction(exit.frame);
      return Verdict::resume();
    case Kind::Wait:
      return wait(exit);
    case Kind::Inject:
      return take(exit, verdict);
    case Kind::Resume:
    case Kind::Stop:
    case Kind::Restart:
      return verdict;
  }
  bug("a verdict of no kind", &exit.frame);
}

// An exit inside a stub happens, for the guest, before the word that the stub stands for. Returns
// that word if the exit is about it: the stub could not go on.
std::optional<std::uint32_t> leave_stub(Exit& exit, std::uint32_t trap) {
  exit.cpu.roots.use_flat();
  const auto word = exit.cpu.stubs.roll_back(exit.frame, *exit.cpu.vcpu.shared);
  if (!word || trap == MEZZO_TRAP_SUPERVISOR_CALL) return word;
  if (trap != MEZZO_TRAP_DATA_ABORT) return std::nullopt;
  // What an unprivileged access may is the process's business, not the kernel's.
  if (makes_unprivileged_access(*word)) return word;
  const std::uint32_t at = exit.refused.at.value();
  const bool rang = Stubs::contains(at) || at - layout::kWindow < layout::kWindowSize;
  return rang ? word : std::nullopt;
}

// What stubs read of the user mode's bank, and thread ID registers.
void follow_mode(Exit& exit, bool was_user) {
  Vcpu& vcpu = exit.cpu.vcpu;
  SharedState& shared = *vcpu.shared;
  if (!vcpu.is_user()) {
    shared.user_sp = user_register(vcpu, exit.frame, 13);
    shared.user_lr = user_register(vcpu, exit.frame, 14);
  }
  if (was_user == vcpu.is_user()) return;
  load_threads(shared, was_user ? Privilege::Kernel : Privilege::User);
}

Verdict decide(Exit& exit, std::uint32_t trap) {
  const bool kernel = !exit.cpu.vcpu.is_user() && !is_thumb(exit.frame);
  if (kernel && Stubs::contains(exit.frame.pc)) {
    if (const auto word = leave_stub(exit, trap)) return emulate_word(exit, *word);
  }
  switch (trap) {
    case MEZZO_TRAP_SUPERVISOR_CALL:
      return answer_call(exit);
    case MEZZO_TRAP_UNDEFINED:
      return answer_undefined(exit);
    case MEZZO_TRAP_DATA_ABORT:
      return answer_abort(exit, Exception::DataAbort);
    case MEZZO_TRAP_PREFETCH_ABORT:
      return answer_abort(exit, Exception::PrefetchAbort);
    case MEZZO_TRAP_IRQ:
    case MEZZO_TRAP_FIQ:
      return answer_interrupt(exit, trap);
    default:
      bug("a trap of no kind", &exit.frame);
  }
}

// For assembly, which switches between contexts that C++ has entered since one of them lost its
// tables to another.
void remember_context(Cpu& cpu) {
  if (cpu.fast.transfers_off != 0) return;
  const std::uint32_t recycles = cpu.shadow->counters().recycles - cpu.recycles;
  if (recycles == 1) cpu.contexts[cpu.shadow->recycled()] = {};
  if (recycles > 1) cpu.contexts.fill({});
  cpu.recycles += recycles;
  cpu.contexts[cpu.vcpu.asid()] = cpu.roots.guest();
}

// Every exit but those of the short ways.
[[gnu::noinline]] void handle_exit(Cpu& cpu, Frame& frame, std::uint32_t trap,
                                   const Refused& refused) {
  Exit exit(cpu, frame, refused);
  const std::uint32_t pc = frame.pc;
  const bool was_user = cpu.vcpu.is_user();
  const std::uint32_t mode = cpu.vcpu.mode, masks = cpu.vcpu.masks(), dacr = cpu.vcpu.shared->dacr;
  follow_guest(cpu);
  Verdict verdict = decide(exit, trap);
  record_exit(cpu, exit.cause, pc, exit.value);
  if (const auto end = cpu.devices.take_end()) verdict = *end;
  if (cpu.devices.take_kick()) partition_of(cpu).kick(now());
  while (verdict.kind != Kind::Resume) {
    if (verdict.kind == Kind::Stop || verdict.kind == Kind::Restart) end_partition(cpu, verdict);
    verdict = apply(exit, verdict);
  }
  if (cpu.interrupts.has_beaten() || is_commanded()) obey_control(cpu);
  const bool is_interrupt = trap == MEZZO_TRAP_IRQ || trap == MEZZO_TRAP_FIQ;
  const bool quiet = !is_interrupt && (masks & ~cpu.vcpu.masks()) == 0 && cpu.core == nullptr &&
                     (cpu.fast.blocked & FastPath::kInterrupt) == 0;
  // Most exits leave the guest where it was but for a register, or an entry of its tables.
  const bool filled = exit.cause == Armv7Exit::ShadowFill;
  const bool same = quiet && (trap == MEZZO_TRAP_UNDEFINED || filled) && cpu.vcpu.mode == mode &&
                    cpu.vcpu.shared->dacr == dacr && is_view_loaded(cpu) &&
                    (!filled || are_rights_loaded(cpu));
  if (same) return cpu.roots.use_guest();
  if (!quiet) settle_interrupts(exit);
  follow_mode(exit, was_user);
  enter_guest(cpu);
}

[[gnu::noinline]] void handle_kernel_abort(Cpu& cpu, Frame& frame, std::uint32_t trap,
                                           Refused& refused) {
  ShadowPaging::MissResult answer;
  if (!answer_kernel_miss(cpu, frame, refused, answer)) handle_exit(cpu, frame, trap, refused);
}

}  // namespace

void enter_guest(Cpu& cpu) {
  enter_view(cpu, privilege_of(cpu));
  // What assembly loads for a process and for its kernel is known from the last return to one by
  // C++.
  if (cpu.vcpu.is_user() && cpu.fast.blocked != FastPath::kOff) {
    cpu.fast.dacr = cpu.vcpu.shared->dacr;
    cpu.fast.user_access = cpu.shadow->access_control(Privilege::User, true);
    cpu.fast.kernel_access = cpu.shadow->access_control(Privilege::Kernel, true);
    cpu.fast.blocked &= ~(FastPath::kStale | FastPath::kMissed);
  } else if (cpu.regrants != cpu.shadow->counters().regrants) {
    cpu.fast.blocked |= FastPath::kStale;
  }
  cpu.regrants = cpu.shadow->counters().regrants;
  remember_context(cpu);
}

extern "C" void handle_trap(std::uint32_t trap, std::uint32_t psr) {
  Cpu& cpu = this_cpu();
  Frame& frame = *pointer_to<Frame>(layout::kFrame);
  if ((psr & psr::kModeMask) != psr::kUser) bug("unexpected trap in the monitor", &frame);
  if (trap != MEZZO_TRAP_DATA_ABORT && trap != MEZZO_TRAP_PREFETCH_ABORT) {
    const bool is_kernels = trap == MEZZO_TRAP_UNDEFINED && !cpu.vcpu.is_user();
    if (is_kernels && answer_maintenance(cpu, frame)) return;
    return handle_exit(cpu, frame, trap, {});
  }
  Refused refused = Refused::by(trap);
  if (!cpu.vcpu.is_user()) return handle_kernel_abort(cpu, frame, trap, refused);
  if (!answer_process_abort(cpu, frame, refused)) handle_exit(cpu, frame, trap, refused);
}

}  // namespace mezzo::armv7
