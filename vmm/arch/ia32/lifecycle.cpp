// What the life of a partition (core/lifecycle.hpp) asks of this processor and of a PC. Every
// function here runs in ring 0 on that CPU with interrupts off.
#include "core/lifecycle.hpp"
#include "arch/ia32/descriptor_tables.hpp"
#include "arch/ia32/instructions.hpp"
#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "arch/ia32/msr.hpp"
#include "arch/ia32/paging.hpp"
#include "arch/ia32/processor.hpp"
#include "board/pc.hpp"
#include "irq/heartbeat.hpp"

namespace mezzo::ia32 {
namespace {

// The 32-bit Linux boot protocol's selectors; multiboot leaves them open.
constexpr std::uint16_t kBootCs = 0x10, kBootDs = 0x18;

Partition partition_of(const Cpu& cpu) {
  return {the_plan, the_plan.partitions[cpu.partition], status_region.partitions[cpu.partition]};
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

// Its devices are quiet; its interrupt controller has kept nothing but what is other partitions'.
void quiesce(const Partition& partition) {
  const plan::Partition& row = partition.row();
  doorbells.forget(the_plan, partition.index());
  board::pc::quiesce(row, layout::kIoApic);
  if (row.interrupts == plan::InterruptController::IoApic) route_forwarded_timers();
  if (row.ia32.timer == plan::Timer::Hpet) irq::Hpet(layout::kHpet).stop_partition_timer();
}

// Of two partitions that share a processor, the urgent one has it.
bool has_local_apic(const Cpu& cpu) { return !is_shared(cpu) || cpu.sharing.is_urgent; }

// Devices quiet, paging off, no descriptor of the guest's in use.
void reset_processor(Cpu& cpu, Processor& processor, const Partition& partition) {
  quiesce(partition);
  const plan::Partition& row = partition.row();
  const bool has_line =
      row.interrupts == plan::InterruptController::Pic && row.ia32.is_forwarded == 0;
  if (has_local_apic(cpu)) local_apic::reset(has_line);
  forget_events(cpu);
  cpu.vcpu = Vcpu::at_entry();
  cpu.vcpu.settles_by_use = row.ia32.real_time != 0;
  processor.install_identity();
  processor.write_cr0(cpu.vcpu.cr0);
  (void)processor.write_cr4(0);
  (void)processor.write_msr(msr::kExtendedFeatures, 0);  // no such register, no feature
  (void)processor.write_msr(msr::kPageAttributes, msr::kPageAttributesAtReset);
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

// No exit is fast until the guest has a flat code segment (trap.cpp).
void prepare_fast_path(FastPath& fast, const Partition& partition) {
  fast.code = fast.data = fast.stack = 0;
  fast.exits = address_of(partition.status().exits);
  fast.root_first = partition.largest_piece().base;
  fast.root_bytes = fast.pointers_bytes = 0;
  fast.polls = partition.row().ia32.idle == plan::IdleWait::Poll;
}

Frame first_frame(const plan::Partition& row) {
  Frame frame{};
  frame.eip = row.entry;
  frame.eax = row.registers[0];
  frame.ebx = row.registers[1];
  frame.esi = row.registers[2];
  frame.cs = kBootCs | 1;
  frame.ss = kBootDs | 1;
  frame.ds = frame.es = kBootDs | 1;
  frame.eflags = eflags::kAlwaysSet | eflags::kIopl1;
  return frame;
}

// This processor and its board, for the lifecycle.
class Pc {
 public:
  explicit Pc(Cpu& cpu) : cpu_(cpu) {}

  // Sleeps until an NMI, with interrupts off; without a heartbeat there may be none, so it only
  // rests.
  void sleep() const {
    if (is_shared(cpu_)) return core::rest(cpu_);
    if (!has_heartbeat) return pause();
    if (!cpu_.fast.nmi_pending) halt();
  }
  [[nodiscard]] bool take_heartbeat() const {
    const bool came = cpu_.fast.nmi_pending;
    cpu_.fast.nmi_pending = false;
    unblock_nmi();
    if (came) relay_heartbeat(cpu_);
    if (came && is_shared(cpu_)) core::heed_nmi(cpu_);
    return came;
  }
  [[nodiscard]] bool keeps_time() const { return cpu_.index == timekeeper(); }
  template <class Work>
  void for_each_stray(Work&& work) const {
    if (const auto line = take_stray(cpu_)) work(*line);
  }
  [[nodiscard]] static std::uint64_t now() { return read_tsc(); }

  void quiesce() const {
    const Partition partition = partition_of(cpu_);
    Processor(cpu_, partition).install_identity();
    ia32::quiesce(partition);
    if (has_local_apic(cpu_)) local_apic::reset(false);
  }
  void reset() const {
    const Partition partition = partition_of(cpu_);
    prepare_fast_path(cpu_.fast, partition);
    Processor processor(cpu_, partition);
    reset_processor(cpu_, processor, partition);
  }
  [[nodiscard]] static unsigned char* memory(std::uint32_t address) {
    return pointer_to<unsigned char>(address);
  }
  static void written(std::uint32_t, std::uint32_t) {}  // caches are coherent
  void give_way() const {
    if (is_shared(cpu_)) core::yield(cpu_);
  }
  [[nodiscard]] static bool trusts_boot_loader() { return false; }
  [[nodiscard]] bool complete() const {
    write_tsc_frequency(partition_of(cpu_).row());
    return true;
  }

 private:
  Cpu& cpu_;
};

Lifecycle<Pc> lifecycle_of(Pc& pc, Cpu& cpu) {
  return {pc, the_plan, status_region, log, cpu.index, cpu.partition, cpu.owed};
}

[[noreturn]] void begin(Cpu& cpu) {
  if (is_shared(cpu)) core::begin(cpu);
  auto* frame = pointer_to<Frame>(layout::kCpuArea + sizeof cpu.stack - sizeof(Frame));
  *frame = first_frame(partition_of(cpu).row());
  partition_of(cpu).enters(Pc::now());
  launch(frame);
}

}  // namespace

[[noreturn]] void start_partition(Cpu& cpu) {
  Pc pc(cpu);
  lifecycle_of(pc, cpu).start();
  begin(cpu);
}

[[noreturn]] void end_partition(Cpu& cpu, const Verdict& verdict) {
  Pc pc(cpu);
  lifecycle_of(pc, cpu).end(verdict);
  begin(cpu);
}

[[noreturn]] void park(Cpu& cpu) {
  Pc pc(cpu);
  lifecycle_of(pc, cpu).idle();
}

void obey_control(Cpu& cpu) {
  Pc pc(cpu);
  if (lifecycle_of(pc, cpu).obey() == Lifecycle<Pc>::Next::Begin) begin(cpu);
}

}  // namespace mezzo::ia32
