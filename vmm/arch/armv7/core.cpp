// Which partition of a shared processor runs, and what the processor itself keeps for it.
#include "arch/armv7/core.hpp"

#include <algorithm>
#include <utility>

#include "arch/armv7/instructions.hpp"
#include "arch/armv7/monitor.hpp"
#include "arch/armv7/processor.hpp"
#include "core/health.hpp"
#include "core/trace.hpp"

namespace mezzo::armv7 {
namespace {

namespace mpcore = device::mpcore;

[[nodiscard]] CpuInterrupts::Block private_timer() {
  return {PrivatePage{}, mpcore::kPrivateTimer};
}

[[nodiscard]] irq::GicDistributor<io::MachineRegisters> distributor() {
  return irq::GicDistributor(io::MachineRegisters(HostPhysical{the_plan.board.distributor}));
}

[[nodiscard]] bool is_commanded(std::uint32_t partition) {
  return armv7::is_commanded() && status_region.control.partition == partition;
}

// Thirty-two registers of floating point, or sixteen (MVFR0, B4.1.148).
[[nodiscard]] bool has_all_registers() { return (read_mvfr0() & 15) == 2; }

void save(Cpu& cpu) {
  cpu.kept.user_writable = ThreadUserWritable::read();
  cpu.kept.user_read_only = ThreadUserReadOnly::read();
}

void restore(Cpu& cpu) {
  ThreadUserWritable::write(cpu.kept.user_writable);
  ThreadUserReadOnly::write(cpu.kept.user_read_only);
  const std::uint32_t alignment = cpu.vcpu.control.sctlr & sctlr::kAlignment;
  Sctlr::write((Sctlr::read() & ~sctlr::kAlignment) | alignment);
  if (cpu.vcpu.shared != nullptr) Processor(cpu).floating_point_changed();
}

}  // namespace

void Core::add(Cpu& cpu) {
  const plan::Partition& row = the_plan.partitions[cpu.partition];
  SharedDevices& devices = cpu.devices.share(the_plan, row);
  is_broken_ |= count_ == kMost || !lines_.add(devices.gic, all_lines_of(row.armv7));
  if (is_broken_) return;
  cpu.core = this;
  cpu.member = count_;
  members_[count_++].cpu = &cpu;
  // What switch_stacks() finds when it comes here for the first time: eight registers and where to
  // go.
  constexpr std::uint32_t kSaved = 9;
  auto* const frame = cpu.stack.data() + (layout::kFrame - layout::kCpuArea);
  auto* const top = reinterpret_cast<std::uint32_t*>(frame);
  std::fill(top - kSaved, top, 0u);
  top[-1] = address_of(partition_main);
  top[MEZZO_FRAME_STACK / 4] = layout::kFrame - kSaved * 4;
}

void Core::set_schedule(const plan::Schedule& schedule) {
  constexpr Schedule::Clock kClock{.status_khz = kPeripheralClockMhz * 1000};
  table_.emplace(schedule, the_plan, status_region, kClock);
  is_broken_ |= table_->is_broken();
}

void Core::start(Cpu& cpu) {
  current_ = floating_point_ = cpu.member;
  distributor().claim(mpcore::kPrivateTimerLine, 0);
}

void Core::begin(Cpu& cpu) {
  members_[cpu.member].is_built = true;
  yield(cpu, Rest::None);
  if (table_) table_->forgive(cpu.partition);
}

void Core::distribute(Cpu& cpu) {
  if (!is_interrupt_pending()) return;
  cpu.roots.use_flat();
  const auto interface = cpu.interrupts.interface();
  bool expired = false;
  while (const auto taken = interface.acknowledge()) {
    const irq::Line line = taken->line();
    if (line == mpcore::kWatchdogLine || line == irq::kMonitorPoke) {
      cpu.interrupts.handle(*taken);
      if (line == mpcore::kWatchdogLine) {
        for (Member& member : members_) member.has_beaten = true;
        charge(now());
      }
      continue;
    }
    if (line == mpcore::kPrivateTimerLine) {
      private_timer().write32(mpcore::kStatus, 1);
      expired = true;
    } else if (!lines_.forward(line)) {
      distributor().mask(line);
    }
    interface.end(*taken);
  }
  if (!expired) return;
  for (const Member& member : std::span(members_).first(count_)) {
    member.cpu->devices.shared()->page.advance();
  }
  must_set_timer_ = true;
}

bool Core::take_beat(const Cpu& cpu) {
  return std::exchange(members_[cpu.member].has_beaten, false);
}

std::optional<Verdict> Core::take_overrun(const Cpu& cpu) {
  return table_ ? table_->take_overrun(cpu.partition) : std::nullopt;
}

bool Core::are_all_built() const {
  return std::ranges::all_of(std::span(members_).first(count_), &Member::is_built);
}

std::uint32_t Core::admitted() const {
  if (!table_) return ~0u;
  std::uint32_t owner = 0;
  for (std::size_t n = 0; n < count_; ++n) {
    if (table_->slot().owner == members_[n].cpu->partition) owner |= 1u << n;
  }
  return owner;
}

status::Share& Core::share_of(std::size_t member) const {
  return status_region.partitions[members_[member].cpu->partition].share;
}

void Core::charge(std::uint64_t time) {
  if (!is_sharing_) return;
  status::Share& share = share_of(current_);
  share.run_ticks = share.run_ticks + (time - charged_);
  charged_ = time;
}

// All partitions are built: from here on guests run.
void Core::begin_sharing() {
  is_sharing_ = true;
  charged_ = now();
  for (std::size_t n = 0; n < count_; ++n) share_of(n).since_tsc = charged_;
  if (!table_) return;
  table_->start(charged_);
  must_set_timer_ = true;
}

// A boundary has passed only if the timer has run out, or was not set.
void Core::follow_table() {
  if (!is_sharing_ && are_all_built()) begin_sharing();
  if (is_sharing_ && table_ && must_set_timer_) {
    const std::size_t running = members_[current_].cpu->partition;
    (void)table_->advance(now(), has_slept_ ? std::nullopt : std::optional(running));
  }
  has_slept_ = false;
}

void Core::rest_until_interrupt() {
  charge(now());
  wait_for_interrupt();
  charged_ = now();
  has_slept_ = true;
}

// Who has not been built yet is first, so that no guest runs before all are. By a table, who rests
// is shown heartbeats in its windows only.
std::optional<std::size_t> Core::choose() const {
  std::uint32_t runnable = 0, waiting = 0;
  for (std::size_t n = 0; n < count_; ++n) {
    const Member& member = members_[n];
    if (!member.is_built) return n;
    const bool has_expired =
        member.rest == Rest::Waiting && health::is_due(status_region, member.cpu->partition);
    const bool runs = member.rest == Rest::None || is_commanded(member.cpu->partition) ||
                      has_expired || (table_ && member.cpu->interrupts.has_beaten());
    if (runs) runnable |= 1u << n;
    if (member.rest == Rest::Waiting) waiting |= 1u << n;
  }
  return lines_.first_to_run(runnable & admitted(), waiting & admitted());
}

void Core::yield(Cpu& cpu, Rest rest) {
  Rest& own = members_[cpu.member].rest;
  own = rest;
  if (rest == Rest::Dormant) members_[cpu.member].is_built = true;  // or cannot be, for now
  for (;;) {
    distribute(cpu);
    cpu.roots.use_flat();  // the others' memory
    follow_table();
    const std::optional<std::size_t> next = choose();
    if (next && next != cpu.member) {
      switch_to(cpu, *next);  // who leaves this loop, or first comes into it, with the timer set
      continue;
    }
    if (is_sharing_ && table_) table_->enter(now(), log);
    set_timer();
    if (next || (!table_ && cpu.interrupts.has_beaten())) break;
    rest_until_interrupt();
  }
  own = Rest::None;
}

void Core::switch_to(Cpu& from, std::size_t to) {
  save(from);
  charge(now());
  status::Trace& trace = status_region.traces[from.index];
  record_switch(status_region, trace, trace.next, status::Armv7Exit::PartitionSwitch,
                from.partition, members_[to].cpu->partition);
  current_ = to;
  const LoadedRoot root = members_[to].cpu->roots.flat();
  switch_stacks(root.table, root.asid);
  restore(from);
}

void Core::set_timer() {
  if (!must_set_timer_) return;
  must_set_timer_ = false;
  constexpr std::uint64_t kLongest = 0xffffffff;
  std::optional<std::uint64_t> earliest;
  if (is_sharing_ && table_) earliest = table_->slot().end;
  for (std::size_t n = 0; n < count_; ++n) {
    if ((admitted() >> n & 1) == 0) continue;  // its timers run out on its list, in its window
    const auto next = members_[n].cpu->devices.shared()->page.next();
    if (next && (!earliest || *next < *earliest)) earliest = next;
  }
  private_timer().write32(mpcore::kControl, 0);
  if (!earliest) return;
  const std::uint64_t time = now();
  const std::uint64_t ticks = *earliest > time ? *earliest - time : 1;
  private_timer().write32(mpcore::kLoad, static_cast<std::uint32_t>(std::min(ticks, kLongest)));
  private_timer().write32(mpcore::kControl, mpcore::kEnable | mpcore::kInterrupt);
}

void Core::own_floating_point(Cpu& cpu) {
  if (floating_point_ == cpu.member) return;
  cpu.roots.use_flat();
  write_fpexc(fpexc::kEnable);
  ProcessorState& others = members_[floating_point_].cpu->kept;
  others.fpscr = read_fpscr();
  save_registers(others.registers.data(), has_all_registers());
  load_registers(cpu.kept.registers.data(), has_all_registers());
  write_fpscr(cpu.kept.fpscr);
  floating_point_ = cpu.member;
}

}  // namespace mezzo::armv7
