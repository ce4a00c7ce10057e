// Delivers an exception or interrupt to the guest the way the processor would: through the guest's
// own IDT, on the guest's own stack. Used whenever an event reached the monitor instead of the
// guest. Source: Intel SDM volume 3, 6.12 (exception and interrupt handling) and 7.3 (task
// switching).
#pragma once

#include "arch/ia32/context.hpp"

namespace mezzo::ia32 {

// The 32-bit task-state segment (SDM volume 3, figure 7-2).
struct TaskState {
  std::uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
  std::uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
  std::uint32_t es, cs, ss, ds, fs, gs, ldt;
  std::uint16_t trap, io_map_base;
};
static_assert(sizeof(TaskState) == 104);

// Where a stack selector's segment lies, and which bits of ESP count in it.
struct StackSegment {
  std::uint32_t base = 0;
  std::uint32_t mask = ~0u;
};

template <Machine M>
[[nodiscard]] StackSegment stack_segment(Context<M>& c, std::uint32_t ss) {
  const auto descriptor = descriptor_of(c, ss);
  if (!descriptor) return {};
  return {descriptor->base(), descriptor->is_default32() ? ~0u : 0xffffu};
}

// Pushes onto a guest stack; remembers whether every push succeeded.
template <Machine M>
class GuestStack {
 public:
  GuestStack(Context<M>& c, std::uint32_t ss, std::uint32_t esp)
      : machine_(c.machine), segment_(stack_segment(c, ss)), esp_(esp) {}
  void push(std::uint32_t value) {
    const std::uint32_t offset = (esp_ - 4) & segment_.mask;
    esp_ = (esp_ & ~segment_.mask) | offset;
    if (!machine_.write(segment_.base + offset, &value, sizeof value)) good_ = false;
  }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] std::uint32_t esp() const { return esp_; }

 private:
  M& machine_;
  StackSegment segment_;
  std::uint32_t esp_;
  bool good_ = true;
};

// The guest has no way to take `vector`: what a bare processor answers with a shutdown. A kernel
// that wants a reset loads an empty IDT first, so that case has its own reason.
template <Machine M>
[[nodiscard]] Verdict shutdown(Context<M>& c, std::uint8_t vector) {
  if (c.vcpu.idt.limit < 8) return Verdict::stop(status::StopReason::Reset, vector, c.frame.eip);
  return Verdict::stop(status::StopReason::TripleFault, vector, c.frame.eip, c.machine.read_cr2());
}

template <Machine M>
[[nodiscard]] std::optional<Gate> guest_gate(Context<M>& c, std::uint8_t vector) {
  Gate gate{};
  const std::uint32_t offset = std::uint32_t{vector} * 8;
  if (offset + 7 > c.vcpu.idt.limit) return std::nullopt;
  if (!c.machine.read(c.vcpu.idt.base + offset, &gate, sizeof gate)) return std::nullopt;
  return gate;
}

// A TSS descriptor in use says so, and cannot be loaded or switched to again.
template <Machine M>
void mark_busy(Context<M>& c, std::uint16_t selector) {
  constexpr std::uint32_t kBusy = 1u << 9;
  c.machine.guest_gdt()[selector / 8].high |= kBusy;
  if (!c.vcpu.gdt_copied) return;
  const std::uint32_t at = c.vcpu.gdt.base + (selector & 0xfff8u) +
                           static_cast<std::uint32_t>(offsetof(Descriptor, high));
  std::uint32_t high = 0;
  if (!c.machine.read(at, &high, sizeof high)) return;
  high |= kBusy;
  (void)c.machine.write(at, &high, sizeof high);
}

// Where the task state lies that a task gate names, if a task switch may go there.
template <Machine M>
[[nodiscard]] std::optional<TableLocation> available_task(Context<M>& c, std::uint16_t selector) {
  const auto descriptor = (selector & 4) == 0 ? renewed_descriptor_of(c, selector) : std::nullopt;
  if (!descriptor || !descriptor->is(SystemType::Tss32) || !descriptor->present() ||
      descriptor->limit() < sizeof(TaskState) - 1) {
    return std::nullopt;
  }
  return TableLocation{descriptor->base(), descriptor->limit()};
}

// Whether a task may start with code segment `cs`. It must not be null: the monitor's own IRET
// would then fault as a return to ring 0.
template <Machine M>
[[nodiscard]] bool is_task_code(Context<M>& c, std::uint16_t cs) {
  const auto code = (cs & 4) == 0 ? renewed_descriptor_of(c, cs) : std::nullopt;
  if (!code || !code->present() || !code->is_code()) return false;
  const unsigned ring = (cs & 3) == 0 ? 1 : cs & 3;
  return code->conforming() ? code->dpl() <= ring : code->dpl() == ring;
}

template <Machine M>
void save_task(Context<M>& c) {
  const TableLocation& task = c.vcpu.task_state;
  const Frame& f = c.frame;
  TaskState old{};
  if (c.vcpu.task_register == 0 || task.limit < sizeof old - 1) return;
  if (!c.machine.read(task.base, &old, sizeof old)) return;
  old.eip = f.eip, old.eflags = f.eflags;
  old.eax = f.eax, old.ecx = f.ecx, old.edx = f.edx, old.ebx = f.ebx;
  old.esp = f.esp, old.ebp = f.ebp, old.esi = f.esi, old.edi = f.edi;
  old.es = f.es & 0xffff, old.cs = f.cs & 0xffff, old.ss = f.ss & 0xffff, old.ds = f.ds & 0xffff;
  old.fs = c.machine.fs(), old.gs = c.machine.gs();
  (void)c.machine.write(task.base, &old, sizeof old);
}

template <Machine M>
void load_task(Context<M>& c, const TaskState& next) {
  Frame& f = c.frame;
  const auto ring1 = [](std::uint32_t s) {
    return (s & 3) == 0 && (s & 0xfffc) != 0 ? (s & 0xfffc) | 1 : s & 0xffff;
  };
  f.eip = next.eip, f.esp = next.esp;
  f.eflags = (next.eflags & ~(eflags::kIopl | eflags::kVirtual8086)) | eflags::kAlwaysSet |
             eflags::kIopl1 | eflags::kNestedTask;
  f.eax = next.eax, f.ecx = next.ecx, f.edx = next.edx, f.ebx = next.ebx;
  f.ebp = next.ebp, f.esi = next.esi, f.edi = next.edi;
  f.cs = ring1(next.cs), f.ss = ring1(next.ss), f.ds = next.ds & 0xffff, f.es = next.es & 0xffff;
  c.machine.load_fs_gs(static_cast<std::uint16_t>(next.fs), static_cast<std::uint16_t>(next.gs));
  c.machine.load_ldt(0);
  c.vcpu.ldt_register = 0;
}

// Switches to the task a task gate names, as a double fault does in Linux. The interrupted state
// goes to the current task's segment, so that the guest's handler can print it. False, with the
// frame unchanged, if the task cannot be entered; also if it wants a local descriptor table.
template <Machine M>
[[nodiscard]] bool enter_task(Context<M>& c, std::uint16_t selector) {
  Vcpu& v = c.vcpu;
  const auto place = available_task(c, selector);
  TaskState next{};
  if (!place || !c.machine.read(place->base, &next, sizeof next)) return false;
  if (!is_task_code(c, static_cast<std::uint16_t>(next.cs)) || (next.ldt & 0xfffc) != 0)
    return false;

  save_task(c);
  next.link = v.task_register;
  if (!c.machine.write(place->base, &next.link, sizeof next.link)) return false;
  if (v.paging()) {
    if (c.machine.install_root(next.cr3, v.root_kind()) != RootResult::Installed) return false;
    v.cr3 = next.cr3;
  }
  mark_busy(c, selector);
  v.task_register = selector;
  v.task_state = *place;
  load_task(c, next);
  v.cr0 |= cr0::kTaskSwitched;
  c.machine.write_cr0(v.cr0);
  return true;
}

// The ring that a handler with code segment `code` runs in, entered from ring `from`.
[[nodiscard]] constexpr unsigned handler_ring(const Descriptor& code, unsigned from) {
  if (code.conforming()) return from;
  return code.dpl() == 0 ? 1 : code.dpl();
}

// The fault of a gate's code segment, or nothing if a handler may run there.
template <Machine M>
[[nodiscard]] std::optional<Vector> code_fault(Context<M>& c,
                                               const std::optional<Descriptor>& code) {
  if (!code || !code->is_code()) return Vector::GeneralProtection;
  const unsigned ring = handler_ring(*code, c.frame.ring());
  const bool leaves_virtual = (c.frame.eflags & eflags::kVirtual8086) != 0;
  if (ring > c.frame.ring() || (leaves_virtual && ring != 1)) return Vector::GeneralProtection;
  if (!code->present()) return Vector::SegmentNotPresent;
  return std::nullopt;
}

// Enters the guest's handler through an interrupt or trap gate whose code segment has no fault.
// False if the stack is unusable; the frame is then unchanged.
template <Machine M>
[[nodiscard]] bool enter_gate(Context<M>& c, const Gate& gate, const Descriptor& code,
                              std::uint8_t vector, std::optional<std::uint32_t> error_code) {
  Frame& f = c.frame;
  const unsigned from = f.ring();
  const unsigned to = handler_ring(code, from);
  std::uint32_t ss = f.ss;
  std::uint32_t esp = f.esp;
  if (to < from) {
    struct {
      std::uint32_t esp, ss;
    } inner{};
    if (c.vcpu.task_register == 0 ||
        !c.machine.read(c.vcpu.task_state.base + offsetof(TaskState, esp0), &inner, sizeof inner)) {
      return false;
    }
    ss = (inner.ss & 0xfffc) | to;
    esp = inner.esp;
  }
  GuestStack<M> stack(c, ss, esp);
  if ((f.eflags & eflags::kVirtual8086) != 0) {
    const std::uint32_t* outer = &f.ss + 1;  // the processor pushed ES, DS, FS, GS beyond SS
    for (int n : {3, 2, 1, 0}) stack.push(outer[n] & 0xffff);
  }
  if (to < from) {
    stack.push(f.ss & 0xffff);
    stack.push(f.esp);
  }
  stack.push(f.eflags);
  // Linux's early handlers recognise kernel faults by CS with RPL 0; the IRET that follows traps.
  const bool early = !c.vcpu.idt_settled && from == 1 && vector < 32;
  stack.push(early ? f.cs & 0xfffc : f.cs & 0xffff);
  stack.push(f.eip);
  if (error_code) stack.push(*error_code);
  if (!stack.good()) return false;

  if ((f.eflags & eflags::kVirtual8086) != 0) {
    f.ds = f.es = 0;
    c.machine.load_fs_gs(0, 0);
  }
  f.ss = ss;
  f.esp = stack.esp();
  f.cs = (gate.selector() & 0xfffcu) | to;
  f.eip = gate.offset();
  f.eflags &= ~(eflags::kTrap | eflags::kNestedTask | eflags::kResume | eflags::kVirtual8086);
  if (gate.is_interrupt_gate()) f.eflags &= ~eflags::kInterrupts;
  return true;
}

// Whether a second fault while this exception is delivered makes a double fault (SDM volume 3,
// table 6-5).
[[nodiscard]] constexpr bool doubles(unsigned vector) {
  return vector == 0 || (vector >= 10 && vector <= 14) || vector == 20 || vector == 21;
}

// The exception raised instead of an event; a double fault also where several are not told apart.
struct DeliveryFault {
  Vector vector;
  std::uint32_t error_code;
};

// Enters the guest's handler of `vector`. Returns nothing, or what kept it from being entered.
template <Machine M>
[[nodiscard]] std::optional<DeliveryFault> try_deliver(Context<M>& c, std::uint8_t vector,
                                                       bool software, std::uint32_t error_code) {
  constexpr std::uint32_t kInIdt = 2;
  constexpr DeliveryFault kUnusable{Vector::DoubleFault, 0};
  const std::uint32_t external = software ? 0 : 1;
  const std::uint32_t of_gate = std::uint32_t{vector} * 8 + kInIdt + external;
  const auto gate = guest_gate(c, vector);
  if (!gate || !(gate->is_task_gate() || gate->is_32())) {
    return DeliveryFault{Vector::GeneralProtection, of_gate};
  }
  if (!gate->present()) return DeliveryFault{Vector::SegmentNotPresent, of_gate};
  if (gate->is_task_gate()) {
    return enter_task(c, gate->selector()) ? std::nullopt : std::optional(kUnusable);
  }
  const auto code = renewed_descriptor_of(c, gate->selector());
  if (const auto fault = code_fault(c, code)) {
    return DeliveryFault{*fault, selector_error(gate->selector()) | external};
  }
  const bool with_code = has_error_code(vector) && !software;
  const auto pushed = with_code ? std::optional(error_code) : std::nullopt;
  return enter_gate(c, *gate, *code, vector, pushed) ? std::nullopt : std::optional(kUnusable);
}

// Delivers `vector`. What cannot be delivered raises the fault of its gate, or else a double fault;
// and a double fault that cannot be delivered ends the partition. Calls itself at most twice.
// `software`: by INT n, so no error code is pushed. Returns Resume or Stop.
template <Machine M>
[[nodiscard]] Verdict deliver(Context<M>& c, std::uint8_t vector, bool software,
                              std::uint32_t error_code) {
  constexpr auto kDoubleFault = static_cast<std::uint8_t>(Vector::DoubleFault);
  const auto fault = try_deliver(c, vector, software, error_code);
  if (!fault) return Verdict::resume();
  const bool exception = !software;
  if ((exception && vector == kDoubleFault) || c.vcpu.idt.limit < 8) return shutdown(c, vector);
  if (fault->vector == Vector::DoubleFault || (exception && doubles(vector))) {
    return deliver(c, kDoubleFault, false, 0);
  }
  return deliver(c, static_cast<std::uint8_t>(fault->vector), false, fault->error_code);
}

}  // namespace mezzo::ia32
