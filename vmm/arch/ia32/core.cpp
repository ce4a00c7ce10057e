// Which of a processor's two partitions runs, and what the processor itself keeps for it.
#include "arch/ia32/core.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "arch/ia32/instructions.hpp"
#include "arch/ia32/local_apic.hpp"
#include "arch/ia32/monitor.hpp"
#include "arch/ia32/msr.hpp"
#include "arch/ia32/paging.hpp"
#include "arch/ia32/processor.hpp"
#include "core/division.hpp"
#include "core/schedule.hpp"
#include "core/trace.hpp"
#include "core/verify.hpp"
#include "irq/heartbeat.hpp"

namespace mezzo::ia32::core {
namespace {

using local_apic::Register;

// Leaves the current stack, its place in `stack`, and loads the root of another Cpu, in which the
// same place says where to go on. Returns when somebody switches back.
extern "C" void switch_stacks(std::uint32_t& stack, std::uint32_t root);
extern "C" [[noreturn]] void partition_main() { start_partition(this_cpu()); }

// Model-specific registers that guests may write and that have an effect on what else runs; if the
// processor has them.
constinit bool has_page_attributes = false, has_no_execute = false;

void find_registers() {
  constexpr std::uint32_t kExtended = 0x80000000;
  has_page_attributes = (cpuid(1).edx >> 16 & 1) != 0;
  has_no_execute = cpuid(kExtended).eax > kExtended && (cpuid(kExtended + 1).edx >> 20 & 1) != 0;
}

[[nodiscard]] std::uint64_t read_register(bool is_there, std::uint32_t number) {
  std::uint32_t halves[2] = {0, 0};
  if (is_there) (void)read_msr_safe(number, halves);
  return std::uint64_t{halves[1]} << 32 | halves[0];
}
void write_register(bool is_there, std::uint32_t number, std::uint64_t value) {
  if (!is_there) return;
  (void)write_msr_safe(number, static_cast<std::uint32_t>(value),
                       static_cast<std::uint32_t>(value >> 32));
}

// Afterwards the processor has no translation but those of the current root, and none global.
void save(Cpu& cpu) {
  KeptRegisters& kept = cpu.sharing.kept;
  kept.cr0 = read_cr<0>();
  kept.cr2 = read_cr<2>();
  kept.cr3 = read_cr<3>();
  kept.cr4 = read_cr<4>();
  write_cr<0>(kept.cr0 & ~(cr0::kTaskSwitched | cr0::kEmulation));
  write_cr<4>((kept.cr4 & ~cr4::kGlobalPages) | cr4::kFxsr);
  save_fpu(&kept.fpu);
  kept.debug_control = read_dr<7>();
  kept.debug_status = read_dr<6>();
  kept.breakpoints = {read_dr<0>(), read_dr<1>(), read_dr<2>(), read_dr<3>()};
  write_dr<7>(0);
  kept.fs = read_fs();
  kept.gs = read_gs();
  kept.page_attributes = read_register(has_page_attributes, msr::kPageAttributes);
  kept.extended_features = read_register(has_no_execute, msr::kExtendedFeatures);
}

// The LDT's descriptor, which the guest may have changed since it loaded it, is made anew. Its
// memory may be absent.
void restore_segments(Cpu& cpu) {
  constexpr std::uint32_t kLongest = 0xffff;  // what a selector reaches
  const Vcpu& vcpu = cpu.vcpu;
  const bool has_ldt = vcpu.ldt_register != 0;
  monitor_descriptor(cpu, layout::kGuestLdt) =
      ldt(vcpu.ldt.base, vcpu.ldt.limit < kLongest ? vcpu.ldt.limit : kLongest);
  ia32::load_ldt(has_ldt ? layout::kGuestLdt : std::uint16_t{0});
  use_monitor_idt(cpu);
  load_fs_gs_safe(cpu.sharing.kept.fs, cpu.sharing.kept.gs);
  use_guest_idt(cpu);
}

// `cpu` is current again, on its root page.
void restore(Cpu& cpu) {
  const KeptRegisters& kept = cpu.sharing.kept;
  write_register(has_no_execute, msr::kExtendedFeatures, kept.extended_features);
  write_register(has_page_attributes, msr::kPageAttributes, kept.page_attributes);
  load_fpu(&kept.fpu);
  write_cr<4>(kept.cr4);
  write_cr<3>(kept.cr3);
  write_cr<0>(kept.cr0);
  restore_segments(cpu);
  write_cr<2>(kept.cr2);
  write_dr<0>(kept.breakpoints[0]);
  write_dr<1>(kept.breakpoints[1]);
  write_dr<2>(kept.breakpoints[2]);
  write_dr<3>(kept.breakpoints[3]);
  write_dr<6>(kept.debug_status);
  write_dr<7>(kept.debug_control);
}

// What `cpu` has run until now is counted.
void charge(Cpu& cpu) {
  const std::uint64_t now = read_tsc();
  status::Share& share = status_region.partitions[cpu.partition].share;
  share.run_ticks = share.run_ticks + (now - cpu.sharing.running_since);
  cpu.sharing.running_since = now;
}

// The PIC's interrupts come, or wait.
void open_line(bool open) {
  local_apic::write(Register::LineZero,
                    local_apic::kDeliverExternal | (open ? 0 : local_apic::kMasked));
  // QEMU: what has been told to the processor already is taken back when a priority is written.
  if (!open) local_apic::write(Register::TaskPriority, local_apic::read(Register::TaskPriority));
}

// The two share by a time table; if there is none, by priority.
constinit std::optional<Schedule> the_schedule{};

// `vector`, by which the local APIC may interrupt the urgent one, leads to the monitor while the
// other one runs.
void keep_vector(Cpu& urgent, std::uint32_t entry) {
  Cpu& other = *urgent.sharing.partner;
  const auto vector = static_cast<std::uint8_t>(entry);
  if (vector < MEZZO_FIRST_DEVICE_VECTOR || keeps_vector(other, vector)) return;
  urgent.sharing.vectors[vector / 32] |= 1u << vector % 32;
  other.guest_idt[vector] = stub_gate(vector, other.guest_idt[vector].dpl());
}

// While it lives, an urgent one that is not current holds nothing up but its own: a spurious
// interrupt has a vector that leads to the monitor, and no interrupt comes, if none is to end the
// other one's turn.
class Hold {
 public:
  Hold(Cpu& cpu, Rest rest)
      : is_urgent_(cpu.sharing.is_urgent), holds_(the_schedule || rest == Rest::Dormant) {
    constexpr std::uint32_t kAll = 0xff, kSpurious = 0xff;
    if (!is_urgent_) return;
    keep_vector(cpu, kSpurious);
    spurious_ = local_apic::read(Register::SpuriousVector);
    local_apic::write(Register::SpuriousVector, local_apic::kEnabled | kSpurious);
    if (!holds_) return;
    priority_ = local_apic::read(Register::TaskPriority);
    local_apic::write(Register::TaskPriority, kAll);
  }
  ~Hold() {
    if (!is_urgent_) return;
    local_apic::write(Register::SpuriousVector, spurious_);
    if (holds_) local_apic::write(Register::TaskPriority, priority_);
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  bool is_urgent_, holds_;
  std::uint32_t spurious_ = 0, priority_ = 0;
};

// The partner is current for a while.
void run_partner(Cpu& cpu, Rest rest) {
  Cpu& partner = *cpu.sharing.partner;
  const Hold hold(cpu, rest);
  cpu.sharing.rest = rest;
  charge(cpu);
  partner.sharing.running_since = cpu.sharing.running_since;
  open_line(cpu.sharing.is_urgent && (the_schedule || partner.sharing.rest != Rest::Dormant));
  record_switch(status_region, status_region.traces[cpu.index],
                static_cast<std::uint32_t>(partner.sharing.running_since),
                status::ExitCause::PartitionSwitch, cpu.partition, partner.partition);
  save(cpu);
  switch_stacks(cpu.sharing.kept.stack, machine_address(partner, partner.root_page));
  restore(cpu);
  cpu.sharing.rest = Rest::None;
  // A heartbeat of this processor's is for who runs.
  partner.fast.nmi_pending = partner.fast.nmi_pending || partner.sharing.has_beaten;
  partner.sharing.has_beaten = false;
  if (std::exchange(partner.fast.nmi_pending, false)) cpu.fast.nmi_pending = true;
}

// Whether a command, or the end of its watchdog's patience, waits for the partition. One that is
// being loaded obeys when it has been.
[[nodiscard]] bool is_meant(const Cpu& cpu) {
  const status::State state = status_region.partitions[cpu.partition].state;
  if (state == status::State::Built || state == status::State::Restarting) return false;
  const bool is_expired =
      state == status::State::Running && health::is_due(status_region, cpu.partition);
  const bool has_command =
      is_commanded() && status_region.control.partition == cpu.partition && !cpu.owed.is_owed;
  return is_expired || has_command;
}

// Whether the local APIC has an interrupt for the urgent one that would come through, if the other
// one let it.
[[nodiscard]] bool is_interrupted(const Cpu& urgent) {
  constexpr std::uint32_t kClass = 0xf0;  // of a vector; it comes if it is above the processor's
  const std::uint32_t priority = local_apic::read(Register::ProcessorPriority) & kClass;
  for (std::uint32_t word = 0; word < urgent.sharing.vectors.size(); ++word) {
    const std::uint32_t own = urgent.sharing.vectors[word];
    const std::uint32_t waiting =
        own == 0 ? 0 : own & local_apic::word_of(Register::InterruptRequest, word);
    if (waiting == 0) continue;
    const auto highest = word * 32 + static_cast<std::uint32_t>(std::bit_width(waiting)) - 1;
    if ((highest & kClass) > priority) return true;
  }
  return false;
}

[[nodiscard]] bool wants_to_run(const Cpu& cpu) {
  if (is_meant(cpu)) return true;
  if (!cpu.sharing.is_urgent || cpu.sharing.rest == Rest::Dormant) return false;
  return cpu.sharing.rest == Rest::None || cpu.fast.woken_by != kNoVector || is_interrupted(cpu);
}

// The vectors of the urgent one, as it has its local APIC and its doorbells now, lead to the
// monitor while the partner runs.
void keep_vectors(Cpu& urgent) {
  const auto keep = [&urgent](Register entry) { keep_vector(urgent, local_apic::read(entry)); };
  local_apic::for_each_entry(keep);
  for (std::uint32_t n = 0; n < the_plan.channel_count; ++n) {
    if (const auto end = end_of_channel(the_plan, urgent.partition, n)) {
      keep_vector(urgent, doorbells.vector_of(*end));
    }
  }
}

// The HPET can send single NMIs.
constinit bool has_single_nmi = false;

// Ticks of the HPET in 2^24 clocks of the local APIC's timer, and in 2^24 ticks of the time table.
constinit std::uint64_t ticks_in_clocks = 0, ticks_in_table = 0;
constexpr unsigned kClocksShift = 24;

// A table's tick is so many of the TSC, so that the longest frame has fewer than 2^32 of them with
// any clock below 6.8 GHz.
constexpr unsigned kTableShift = 4;
[[nodiscard]] std::uint64_t table_time() { return read_tsc() >> kTableShift; }

constexpr std::uint32_t kMicrosecondsLate = 2;  // so long after the timer's interrupt the NMI comes

constexpr std::uint32_t kFurthestNmi = 1u << 30;  // ticks; a wrong clock is never followed further

[[nodiscard]] std::uint64_t compute_table_clock(const irq::Hpet& hpet) {
  constexpr std::uint64_t kFemtoseconds = 1'000'000'000'000'000;  // of a second
  const std::uint64_t hertz = Division::of(kFemtoseconds, hpet.period_fs()).quotient;
  const std::uint64_t tsc_hertz = std::uint64_t{status_region.tsc_khz} * 1000;
  return Division::of(hertz << (kTableShift + kClocksShift), tsc_hertz).quotient;
}

[[nodiscard]] std::uint64_t measure_clock(const irq::Hpet& hpet) {
  constexpr std::uint32_t kMicroseconds = 10'000, kLongest = ~0u;
  local_apic::reset(false);
  const std::uint32_t divide = local_apic::read(Register::DivideConfiguration);
  local_apic::write(Register::DivideConfiguration, local_apic::kDivideBy1);
  const std::uint32_t begin = hpet.ticks();
  local_apic::write(Register::InitialCount, kLongest);
  while (hpet.ticks() - begin < hpet.ticks_of(kMicroseconds)) pause();
  const std::uint32_t clocks = kLongest - local_apic::read(Register::CurrentCount);
  const std::uint64_t ticks = hpet.ticks() - begin;
  local_apic::write(Register::InitialCount, 0);
  local_apic::write(Register::DivideConfiguration, divide);
  return (ticks << kClocksShift) / clocks;
}

// An NMI has come. The one that was expected is to be set anew, as it may have been that.
constinit bool must_expect_nmi = false;

// The NMI that follows the interrupt of the urgent one's timer, if the other guest does not let it
// in. False if the interrupt is due now.
[[nodiscard]] bool expect_timer() {
  const std::uint64_t clocks = local_apic::clocks_to_timer();
  if (clocks == 0 || clocks > kFurthestNmi || !has_single_nmi) return true;
  const std::uint64_t ticks = clocks * ticks_in_clocks >> kClocksShift;
  constexpr std::uint64_t kMismatch = 8192;  // the two clocks are not measured better than that
  const irq::Hpet hpet(layout::kHpet);
  const std::uint64_t due = ticks + ticks / kMismatch + hpet.ticks_of(kMicrosecondsLate);
  return due > kFurthestNmi || hpet.send_nmi_in(static_cast<std::uint32_t>(due));
}
void expect_no_nmi() {
  if (has_single_nmi) irq::Hpet(layout::kHpet).cancel_nmi();
}

// False if the slot is over.
[[nodiscard]] bool expect_boundary() {
  const std::uint64_t now = table_time(), end = the_schedule->slot().end;
  if (now >= end) return false;
  const std::uint64_t ticks = (end - now) * ticks_in_table >> kClocksShift;
  const auto due = static_cast<std::uint32_t>(std::min<std::uint64_t>(ticks, kFurthestNmi));
  return irq::Hpet(layout::kHpet).send_nmi_in(due);
}

// What has not begun to share does so when both are built, at the beginning of the first frame.
void begin_sharing(Cpu& cpu) {
  the_schedule->start(table_time());
  must_expect_nmi = true;
  cpu.sharing.running_since = read_tsc();
  for (const std::uint32_t partition : {cpu.partition, cpu.sharing.partner->partition}) {
    status::Share& share = status_region.partitions[partition].share;
    share.since_tsc = cpu.sharing.running_since;
    share.run_ticks = 0;
  }
}

// So long before it ends a slot is taken to be over: the clocks of table and NMI are two, and what
// is nearer is not worth another NMI.
constexpr std::uint32_t kNearUs = 2;
constinit std::uint32_t near = 0;

// Nobody has run since follow_clock() was here last.
constinit bool has_slept = false;

// The present slot; the NMI comes when it ends. `running`: as of Schedule::advance().
[[nodiscard]] const TimeTable::Slot& follow_clock(std::optional<std::size_t> running) {
  if (std::exchange(has_slept, false)) running = std::nullopt;
  do {
    if (the_schedule->advance(table_time() + near, running)) must_expect_nmi = true;
  } while (must_expect_nmi && !expect_boundary());
  must_expect_nmi = false;
  return the_schedule->slot();
}

// Sleeps until an NMI, whatever interrupts. If one has come already, which may be the one to wait
// for, it is kept for later, and there is no sleep.
void sleep(Cpu& cpu) {
  charge(cpu);
  if (std::exchange(cpu.fast.nmi_pending, false)) {
    cpu.sharing.has_beaten = true;
  } else {
    unblock_nmi();
    idle_sleep();
  }
  has_slept = must_expect_nmi = true;
  cpu.sharing.running_since = read_tsc();
}

// Whose turn it is by the table. Whether it was not that of `cpu` for a while, which is `rest`.
bool follow_table(Cpu& cpu, Rest rest) {
  const Cpu& partner = *cpu.sharing.partner;
  if (!the_schedule->has_started()) {
    if (!cpu.sharing.is_built) return false;
    if (!partner.sharing.is_built) {
      run_partner(cpu, rest);
      return true;
    }
    begin_sharing(cpu);
  }
  const bool runs = rest == Rest::None;
  const TimeTable::Slot& slot =
      follow_clock(runs ? std::optional<std::size_t>(cpu.partition) : std::nullopt);
  if (slot.owner == cpu.partition) {
    the_schedule->enter(table_time(), log);
    if (std::exchange(cpu.sharing.has_beaten, false)) cpu.fast.nmi_pending = true;
    return false;
  }
  if (slot.owner) {
    run_partner(cpu, rest);
  } else {
    sleep(cpu);
  }
  return true;
}

// Halts until an interrupt or an NMI. FastPath::woken_by says which.
void halt_until_woken(Cpu& cpu) {
  charge(cpu);
  use_monitor_idt(cpu);
  // Without heartbeats nobody but the waiting guest's own interrupts would end it.
  if (has_heartbeat || cpu.sharing.rest != Rest::Dormant) {
    idle_wait(false);
  } else {
    idle_look();
  }
  use_guest_idt(cpu);
  cpu.sharing.running_since = read_tsc();
  const std::uint32_t woken_by = cpu.fast.woken_by;
  if (woken_by != kNoVector && take_for_partner(cpu, static_cast<std::uint8_t>(woken_by))) {
    cpu.fast.woken_by = kNoVector;
  }
}

}  // namespace

bool pair(Cpu& urgent, Cpu& other) {
  urgent.sharing.partner = &other;
  urgent.sharing.is_urgent = true;
  other.sharing.partner = &urgent;
  find_registers();
  const std::uint64_t now = read_tsc();
  for (Cpu* const cpu : {&urgent, &other}) {
    cpu->sharing.running_since = now;
    cpu->fast.woken_by = kNoVector;
    status_region.partitions[cpu->partition].share.since_tsc = now;
  }
  const irq::Hpet hpet(layout::kHpet);
  has_single_nmi = hpet.present() && hpet.prepare_single_nmi(apic_ids[urgent.index]);
  if (has_single_nmi) ticks_in_clocks = measure_clock(hpet);
  // What switch_stacks() finds when it comes there for the first time: four registers, and where to
  // go.
  constexpr std::uint32_t kSaved = 5;
  auto* const top = reinterpret_cast<std::uint32_t*>(other.stack.data() + other.stack.size());
  top[-1] = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&partition_main));
  other.sharing.kept.stack = layout::kCpuArea + sizeof other.stack - kSaved * sizeof *top;
  const plan::Schedule* const schedule = schedule_of(the_plan, urgent.index);
  if (schedule == nullptr) return true;
  the_schedule.emplace(*schedule, the_plan, status_region,
                       Schedule::Clock{status_region.tsc_khz, kTableShift});
  near = the_schedule->ticks_of(kNearUs);
  if (has_single_nmi) ticks_in_table = compute_table_clock(hpet);
  return has_single_nmi && !the_schedule->is_broken();
}

void begin(Cpu& cpu) {
  cpu.sharing.is_built = true;
  yield(cpu);
  if (the_schedule) the_schedule->forgive(cpu.partition);
}

void yield(Cpu& cpu) {
  while (give_way(cpu)) {
  }
}

bool give_way(Cpu& cpu) {
  if (the_schedule) return follow_table(cpu, Rest::None);
  const Cpu& partner = *cpu.sharing.partner;
  bool runs = wants_to_run(partner);
  if (!runs && std::exchange(must_expect_nmi, false) && partner.sharing.rest == Rest::Waiting) {
    runs = !expect_timer() || wants_to_run(partner);  // it may have run out since the first look
  }
  if (runs) run_partner(cpu, cpu.sharing.rest);
  return runs;
}

void wait(Cpu& cpu) {
  if (the_schedule) {
    if (!follow_table(cpu, Rest::Waiting)) halt_until_woken(cpu);
    return;
  }
  if (!cpu.sharing.is_urgent) {
    if (!give_way(cpu)) halt_until_woken(cpu);
    return;
  }
  use_monitor_idt(cpu);
  idle_look();
  use_guest_idt(cpu);
  if (cpu.fast.woken_by != kNoVector || cpu.fast.nmi_pending || give_way(cpu)) return;
  keep_vectors(cpu);
  if (expect_timer()) run_partner(cpu, Rest::Waiting);
  expect_no_nmi();
}

// A dormant guest's interrupts wait: the urgent one's in the local APIC, the other one's in the
// PIC.
void rest(Cpu& cpu) {
  if (cpu.fast.nmi_pending) return;
  if (the_schedule) {
    cpu.sharing.is_built = true;  // or cannot be, for now
    if (!follow_table(cpu, Rest::Dormant)) sleep(cpu);
    return;
  }
  if (cpu.sharing.is_urgent) return run_partner(cpu, Rest::Dormant);
  cpu.sharing.rest = Rest::Dormant;
  open_line(false);
  cpu.fast.woken_by = kNoVector;
  if (!give_way(cpu)) halt_until_woken(cpu);
  cpu.sharing.rest = Rest::None;
  open_line(true);
}

bool has_overrun(const Cpu& cpu) {
  return the_schedule && the_schedule->has_overrun(cpu.partition);
}

void heed_nmi(Cpu& cpu) {
  charge(cpu);
  must_expect_nmi = true;
}

void repeat_nmi(const Cpu& cpu) {
  constexpr std::uint32_t kAgainUs = 10;
  // What is being loaded, or rests, looks for it by itself.
  const bool runs = status_region.partitions[cpu.partition].state == status::State::Running;
  if (!runs || !has_single_nmi || (cpu.sharing.is_urgent && !the_schedule)) return;
  const irq::Hpet hpet(layout::kHpet);
  while (!hpet.send_nmi_in(hpet.ticks_of(kAgainUs))) {
  }
}

bool needs_nmi(const Cpu& cpu) { return !the_schedule && cpu.sharing.rest == Rest::Waiting; }

std::optional<Verdict> take_overrun(const Cpu& cpu) {
  return the_schedule ? the_schedule->take_overrun(cpu.partition) : std::nullopt;
}

bool take_for_partner(Cpu& cpu, std::uint8_t vector) {
  if (!keeps_vector(cpu, vector)) return false;
  Cpu& urgent = *cpu.sharing.partner;
  const bool is_in_service =
      (local_apic::word_of(Register::InService, vector / 32) >> vector % 32 & 1) != 0;
  if (is_in_service) urgent.fast.woken_by = MEZZO_WOKEN | vector;
  const auto spurious = static_cast<std::uint8_t>(local_apic::read(Register::SpuriousVector));
  return is_in_service || vector == spurious;
}

bool keeps_vector(const Cpu& cpu, std::uint8_t vector) {
  const Cpu* const urgent = cpu.sharing.is_urgent ? nullptr : cpu.sharing.partner;
  return urgent != nullptr && (urgent->sharing.vectors[vector / 32] >> vector % 32 & 1) != 0;
}

}  // namespace mezzo::ia32::core
