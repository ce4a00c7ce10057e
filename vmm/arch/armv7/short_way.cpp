// The short ways of aborts of processes, of the return from them, of misses of the kernel's, and of
// maintenance.
#include "arch/armv7/short_way.hpp"

#include "arch/armv7/exception.hpp"
#include "arch/armv7/exit.hpp"
#include "arch/armv7/instructions.hpp"
#include "arch/armv7/maintenance_loop.hpp"
#include "arch/armv7/view.hpp"

namespace mezzo::armv7 {
namespace {

using mem::Outcome;
using status::Armv7Exit;

// Whether assembly would let this process call its kernel, too: see fast_path.hpp.
[[nodiscard]] bool may_call(const Cpu& cpu) {
  return (cpu.fast.blocked & ~FastPath::kMissed) == 0 && cpu.core == nullptr && !cpu.slow_vectors &&
         cpu.fast.dacr == cpu.vcpu.shared->dacr;
}

// Enters the kernel's handler behind its vector stub; false if that cannot be told.
template <Exception exception>
[[nodiscard]] bool enter_handler(Cpu& cpu, Frame& frame, std::uint32_t fault_status,
                                 GuestVirtual at) {
  Vcpu& vcpu = cpu.vcpu;
  const VectorStub* const stub =
      cpu.vector_stubs.known(exception, vector_of(vcpu.control, exception));
  if (stub == nullptr || (psr::kAbort ^ stub->mode_change) != psr::kSupervisor) return false;
  if (!has_view(cpu, Privilege::Kernel)) return false;
  cpu.roots.use_guest();
  Dacr::write(cpu.fast.kernel_access);
  instruction_barrier();
  Processor processor(cpu);
  Context<Processor> context{processor, vcpu, frame};
  if (!enter_behind(context, abort_verdict(exception, fault_status, at), *stub, psr::kUser,
                    psr::kSupervisor)) {
    return false;
  }
  SharedState& shared = *vcpu.shared;
  const Bank& user = vcpu.bank(BankName::User);
  shared.user_sp = user.sp;
  shared.user_lr = user.lr;
  share_faults(vcpu);
  load_threads(shared, Privilege::Kernel);
  return true;
}

}  // namespace

bool answer_process_abort(Cpu& cpu, Frame& frame, const Refused& refused) {
  if (!refused.is_by_tables() || !may_call(cpu)) return false;
  const GuestVirtual at = refused.at;
  const Access access = refused.access;
  follow_guest(cpu);
  Processor processor(cpu);
  processor.follow_stubs();
  const auto result = processor.shadow().miss(at, access, Privilege::User);
  const std::uint32_t pc = frame.pc;
  if (result.outcome == Outcome::Filled) {
    note_execution(cpu, result.physical, access, Privilege::User);
    record_exit(cpu, Armv7Exit::ShadowFill, pc, at.value());
    // A process runs with the rights that assembly knows, which are no others as long as it has its
    // view.
    if (has_view(cpu, Privilege::User)) {
      cpu.roots.use_guest();
    } else {
      enter_guest(cpu);
    }
    return true;
  }
  if (result.outcome != Outcome::GuestFault) return false;
  const Abort abort = Processor::abort_of(result.fault, at, access);
  const bool done =
      access == Access::Execute
          ? enter_handler<Exception::PrefetchAbort>(cpu, frame, abort.instruction_status(), at)
          : enter_handler<Exception::DataAbort>(cpu, frame, abort.data_status(), at);
  if (!done) return false;
  expect_return(cpu, at, access);
  record_exit(cpu, Armv7Exit::GuestAbort, pc, at.value());
  return true;
}

bool answer_kernel_miss(Cpu& cpu, const Frame& frame, Refused& refused,
                        ShadowPaging::MissResult& answer) {
  const bool waits = (cpu.fast.blocked & FastPath::kInterrupt) != 0;
  const bool is_short = refused.is_by_tables() && refused.access != Access::Execute && !waits &&
                        cpu.core == nullptr && !Stubs::contains(frame.pc);
  if (!is_short) return false;
  follow_guest(cpu);
  Processor processor(cpu);
  processor.follow_stubs();
  answer = processor.shadow().miss(refused.at, refused.access, Privilege::Kernel);
  if (answer.outcome != Outcome::Filled) {
    refused.answer = &answer;
    return false;
  }
  share_last_users_slot(cpu);
  record_exit(cpu, Armv7Exit::ShadowFill, frame.pc, refused.at.value());
  if (is_view_loaded(cpu) && are_rights_loaded(cpu)) {
    cpu.roots.use_guest();
  } else {
    enter_guest(cpu);
  }
  return true;
}

// For assembly: a process goes on whose access its kernel has had to settle, and would miss again.
extern "C" void fill_missed() {
  Cpu& cpu = this_cpu();
  cpu.fast.blocked &= ~FastPath::kMissed;
  follow_guest(cpu);
  Processor processor(cpu);
  processor.follow_stubs();
  const auto [at, access] = cpu.missed;
  const auto result = processor.shadow().miss(at, access, Privilege::User);
  if (result.outcome == Outcome::Filled) {
    note_execution(cpu, result.physical, access, Privilege::User);
  }
  if (is_view_loaded(cpu)) return cpu.roots.use_guest();
  enter_guest(cpu);
}

bool answer_maintenance(Cpu& cpu, Frame& frame) {
  constexpr std::uint32_t kWord = 4;
  const bool is_arm = (frame.cpsr & psr::kThumb) == 0;
  const bool waits = (cpu.fast.blocked & FastPath::kInterrupt) != 0;
  if (!is_arm || waits || cpu.core != nullptr || Stubs::contains(frame.pc - kWord)) return false;
  follow_guest(cpu);
  Processor processor(cpu);
  alignas(8) LoopWords words;
  if (!processor.load_four(frame.pc - kWord, words.data())) return false;
  const auto& [at, decoded, is_maintenance, is_tlb, shape] =
      cpu.maintenance.look_up(words, cpu.decoded);
  if (!is_maintenance) return false;
  const std::uint32_t behind = frame.pc;
  Context<Processor> context{processor, cpu.vcpu, frame};
  const Instruction& i = decoded.instruction;
  if (is_tlb && has(processor, decoded.control->having) &&
      condition_passed(i.condition, frame.cpsr)) {
    maintain_tlb(context, static_cast<TlbOperation>(decoded.control->what), frame.r[i.rt]);
  } else if (frame.pc -= kWord; !shape || !run_one(context, *shape)) {
    const auto loop = shape ? begin(context, *shape) : std::nullopt;
    const Verdict verdict = loop ? run(context, decoded.instruction, *loop)
                                 : emulate(context, decoded.instruction, decoded.control);
    if (verdict.kind == Verdict::Kind::Skip) {
      finish_instruction(frame);
    } else if (verdict.kind != Verdict::Kind::Resume) {
      frame.pc = behind;
      return false;
    }
  }
  record_exit(cpu, decoded.cause, behind, words[0]);
  if (has_view(cpu, Privilege::Kernel)) {
    cpu.roots.use_guest();
  } else {
    enter_guest(cpu);
  }
  return true;
}

}  // namespace mezzo::armv7
