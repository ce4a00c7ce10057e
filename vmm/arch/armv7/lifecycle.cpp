// What the life of a partition (core/lifecycle.hpp) asks of this processor and its board. Every
// function here runs on that CPU with interrupts off.
#include "core/lifecycle.hpp"

#include <bit>

#include "arch/armv7/instructions.hpp"
#include "arch/armv7/monitor.hpp"
#include "arch/armv7/paging.hpp"
#include "arch/armv7/processor.hpp"
#include "arch/armv7/set_and_way.hpp"

namespace mezzo::armv7 {
namespace {

// This processor's, for set_and_way.hpp.
struct DataCaches {
  static std::uint32_t level_id() { return CacheLevelId::read(); }
  static std::uint32_t size_id(std::uint32_t selection) {
    CacheSizeSelection::write(selection);
    instruction_barrier();
    return CacheSizeId::read();
  }
  static void clean_and_invalidate(std::uint32_t line) { CleanInvalidateDataSetWay::write(line); }
  static void barrier() { data_barrier(); }
};

bool add_windows(mem::AddressSpace& space, const plan::Partition& row) {
  for (std::uint32_t n = 0; n < row.window_count; ++n) {
    const plan::Window& window = the_plan.windows[row.first_window + n];
    if (!space.add(device::interval_of(window, is_read_directly(the_plan, window)))) return false;
  }
  return true;
}

// What a partition's pool is divided into: shadow tables, then, at its end, one bit a page for what
// is patched, the stubs, their tables and the page they share.
struct Pool {
  std::uint32_t shadow = 0, shadow_bytes = 0, bitmap = 0, bitmap_bytes = 0;
  std::uint32_t stubs = 0, tables = 0, shared = 0;
};
std::optional<Pool> divide(const plan::Armv7& row, std::uint32_t pages) {
  constexpr std::uint32_t kTables = mem::kPageSize;
  const std::uint32_t bitmap = (pages / 8 + mem::kPageSize - 1) & ~(mem::kPageSize - 1);
  const std::uint32_t rest = bitmap + Stubs::kCodeBytes + kTables + mem::kPageSize;
  if (rest >= row.shadow_size) return std::nullopt;
  Pool pool{.shadow = row.shadow_base, .shadow_bytes = row.shadow_size - rest};
  pool.bitmap = pool.shadow + pool.shadow_bytes;
  pool.bitmap_bytes = bitmap;
  pool.stubs = pool.bitmap + bitmap;
  pool.tables = pool.stubs + Stubs::kCodeBytes;
  pool.shared = pool.tables + kTables;
  return pool;
}

// Everything between the guest and the machine's memory, anew.
bool build_paging(Cpu& cpu, const Partition& partition) {
  const plan::Armv7& row = partition.row().armv7;
  mem::AddressSpace space;
  if (!space.add_memory(partition.pieces()) || !add_windows(space, partition.row())) return false;
  cpu.memory.space = space;
  const std::uint32_t pages = cpu.memory.frame_count();
  const auto pool = divide(row, pages);
  if (!pool) return false;
  cpu.memory.set_patched_pages(cpu.patches);
  cpu.memory.set_flat_root(cpu.root);
  cpu.memory.reset(space, pointer_to<std::uint32_t>(pool->bitmap), pool->bitmap_bytes / 4);
  const auto window = window_entries(cpu);
  const bool roots = row.view == plan::View::Roots;
  cpu.shadow.emplace(
      cpu.memory, HostPhysical{pool->shadow}, pool->shadow_bytes,
      mem::ShadowShape{.pages = pages,
                       .separation = roots ? mem::Separation::TwoRoots : mem::Separation::OneRoot,
                       .ahead = (row.slow_paths & plan::kFastPrefill) == 0},
      GuestVirtual{layout::kWindow}, std::span<const std::uint32_t>(window));
  if (!cpu.shadow->is_usable()) return false;
  cpu.stubs.reset(
      std::span(pointer_to<std::uint32_t>(pool->stubs), Stubs::kCodeBytes / 4),
      HostPhysical{pool->stubs},
      {.slow_paths =
           row.view == plan::View::Domains ? row.slow_paths : row.slow_paths | plan::kFastTransfers,
       .lazy_domains = row.user_access == plan::UserAccess::Lazy,
       .line = GuestMemory::data_line()});
  const bool global = cpu.memory.may_be_global(GuestVirtual{Stubs::kBase}) &&
                      cpu.memory.may_be_global(GuestVirtual{Stubs::kBase + Stubs::kRegion - 1});
  Stubs::write_tables(std::span<std::uint32_t, Stubs::kTableEntries>(
                          pointer_to<std::uint32_t>(pool->tables), Stubs::kTableEntries),
                      HostPhysical{pool->stubs}, HostPhysical{pool->shared}, global);
  cpu.memory.clean(HostPhysical{pool->tables}, mem::kPageSize);
  const std::array lent = {
      ShortDescriptor::lent_table(HostPhysical{pool->tables}),
      ShortDescriptor::lent_table(HostPhysical{pool->tables + ShortDescriptor::kTableEntries * 4})};
  cpu.shadow->lend(GuestVirtual{Stubs::kBase}, std::span<const std::uint32_t>(lent));
  __builtin_memset(pointer_to<void>(pool->shared), 0, mem::kPageSize);
  map_shared_page(cpu, HostPhysical{pool->shared});
  cpu.patches.reset(cpu.memory, cpu.stubs);
  cpu.patches.set_uncached(true);  // its MMU is off
  return true;
}

void prepare_fast_path(Cpu& cpu, const Partition& partition) {
  const plan::Armv7& row = partition.row().armv7;
  cpu.fast = {};
  cpu.fast.exits = address_of(partition.status().exits[0]);
  const bool transfers =
      (row.slow_paths & plan::kFastTransfers) == 0 && row.view == plan::View::Domains;
  cpu.fast.transfers_off = transfers ? 0 : 1;
  cpu.contexts.fill({});
  cpu.lazy_domains = row.user_access == plan::UserAccess::Lazy;
  const bool on = (row.slow_paths & plan::kFastReturn) == 0 && row.view == plan::View::Domains &&
                  cpu.lazy_domains;
  if ((row.slow_paths & plan::kFastInterrupts) == 0 && cpu.core == nullptr) {
    const auto pending = cpu.interrupts.pending_register();
    if (pending) cpu.fast.pending = layout::kPrivatePage + *pending;
  }
  cpu.slow_vectors = (row.slow_paths & plan::kFastVectors) != 0;
  cpu.slow_fills = (row.slow_paths & plan::kFastPrefill) != 0;
  cpu.vector_stubs.forget();
  cpu.fast.blocked = on ? FastPath::kStale : FastPath::kOff;
}

// Lines 32 * word to 32 * word + 31, a bit each: those that no partition has.
[[nodiscard]] std::uint32_t lines_of_nobody(std::uint32_t word) {
  std::uint32_t owned = 0;
  for (std::uint32_t n = 0; n < the_plan.partition_count; ++n) {
    owned |= the_plan.partitions[n].armv7.lines[word];
  }
  return ~owned;
}

// This processor and its board, for the lifecycle.
class Board {
 public:
  explicit Board(Cpu& cpu) : cpu_(cpu) {}

  // The guest's interrupts do not wake it. Without a heartbeat nothing does.
  void sleep() const {
    if (cpu_.core != nullptr) return cpu_.core->yield(cpu_, Core::Rest::Dormant);
    cpu_.interrupts.silence();
    if (cpu_.interrupts.has_heartbeat()) wait_for_interrupt();
  }
  [[nodiscard]] bool take_heartbeat() const {
    if (cpu_.core != nullptr) {
      cpu_.core->distribute(cpu_);
    } else if (is_anything_pending()) {
      (void)cpu_.interrupts.take_own();
    }
    return cpu_.interrupts.take_heartbeat();
  }
  [[nodiscard]] bool keeps_time() const { return cpu_.index == 0; }
  // Masked as they are, a GIC shows them. An A10's controller is its guest's, with all its lines.
  template <class Work>
  void for_each_stray(Work&& work) const {
    if (!keeps_time() || the_plan.board.distributor == 0) return;
    cpu_.roots.use_flat();
    const irq::GicDistributor chip(io::MachineRegisters(HostPhysical{the_plan.board.distributor}));
    for (std::uint32_t word = 1; word < plan::kMaxLines / 32; ++word) {
      std::uint32_t left = chip.withdraw(word, lines_of_nobody(word));
      for (; left != 0; left &= left - 1) {
        work(32 * word + static_cast<std::uint32_t>(std::countr_zero(left)));
      }
    }
  }
  [[nodiscard]] static std::uint64_t now() { return armv7::now(); }

  void quiesce() const {
    cpu_.roots.use_flat();
    cpu_.devices.stop(the_plan, partition_of(cpu_).row(), cpu_.interrupts);
  }
  void reset() const {
    const plan::Partition& row = partition_of(cpu_).row();
    cpu_.roots.use_flat();
    cpu_.devices.start(the_plan, row, cpu_.interrupts);
    // What the guest before has left would be written over what the next one writes past the
    // caches.
    DataCaches caches;
    clean_and_invalidate_all(caches);
  }
  // It begins with its MMU off. Nor do the monitor's copies of what was there stay in the caches.
  void written(std::uint32_t address, std::uint32_t bytes) const {
    cpu_.memory.clean_to_memory(HostPhysical{address}, bytes);
  }
  [[nodiscard]] static unsigned char* memory(std::uint32_t address) {
    return pointer_to<unsigned char>(address);
  }
  void give_way() const {
    if (cpu_.core != nullptr) cpu_.core->yield(cpu_, Core::Rest::None);
  }
  // It checks what it loads if it can.
  [[nodiscard]] static bool trusts_boot_loader() { return true; }
  [[nodiscard]] bool complete() const {
    cpu_.memory.barrier();  // what was loaded is in memory
    if (!build_paging(cpu_, partition_of(cpu_))) return false;
    InvalidateTlb::write(0);
    InvalidateInstructions::write(0);
    cpu_.memory.barrier();
    cpu_.vcpu = Vcpu::at_entry(*pointer_to<SharedState>(layout::kShared));
    cpu_.vcpu.shared->ctr = CacheType::read();
    cpu_.vcpu.shared->midr = Midr::read();
    cpu_.vcpu.shared->doorbell = Stubs::kDoorbell;
    prepare_fast_path(cpu_, partition_of(cpu_));
    Processor processor(cpu_);
    processor.translation_changed(TranslationPart::Control);
    processor.vectors_changed();
    processor.floating_point_changed();
    ThreadUserReadOnly::write(0);
    processor.kernel_thread_changed();
    return true;
  }

 private:
  Cpu& cpu_;
};

Lifecycle<Board> lifecycle_of(Board& board, Cpu& cpu) {
  return {board, the_plan, status_region, log, cpu.index, cpu.partition, cpu.owed};
}

[[noreturn]] void begin(Cpu& cpu) {
  if (cpu.core != nullptr) cpu.core->begin(cpu);
  const plan::Partition& row = partition_of(cpu).row();
  auto& frame = *pointer_to<Frame>(layout::kFrame);
  frame = {};
  for (unsigned n = 0; n < 3; ++n) frame.r[n] = row.registers[n];
  frame.pc = row.entry;
  frame.cpsr = psr::kUser | psr::kAbortOff;
  partition_of(cpu).enters(now());
  enter_guest(cpu);
  launch();
}

}  // namespace

[[noreturn]] void start_partition(Cpu& cpu) {
  Board board(cpu);
  lifecycle_of(board, cpu).start();
  begin(cpu);
}

[[noreturn]] void end_partition(Cpu& cpu, const Verdict& verdict) {
  Board board(cpu);
  lifecycle_of(board, cpu).end(verdict);
  begin(cpu);
}

[[noreturn]] void park(Cpu& cpu) {
  Board board(cpu);
  lifecycle_of(board, cpu).idle();
}

void obey_control(Cpu& cpu) {
  Board board(cpu);
  if (lifecycle_of(board, cpu).obey() == Lifecycle<Board>::Next::Begin) begin(cpu);
}

}  // namespace mezzo::armv7
