// This processor's registers and caches, and the guest's memory through the guest's own tables.
#include "arch/armv7/processor.hpp"

#include "arch/armv7/exception.hpp"
#include "arch/armv7/instructions.hpp"
#include "arch/armv7/maintenance_loop.hpp"
#include "arch/armv7/monitor.hpp"

namespace mezzo::armv7 {
namespace {

ShortDescriptor::Controls controls_of(const Vcpu& vcpu) {
  const SystemControl& control = vcpu.control;
  return {.sctlr = control.sctlr,
          .ttbcr = control.ttbcr,
          .ttbr0 = vcpu.shared->ttbr0,
          .ttbr1 = control.ttbr1,
          .dacr = vcpu.shared->dacr,
          .prrr = control.prrr,
          .nmrr = control.nmrr,
          .contextidr = control.contextidr};
}

Abort external_abort(GuestVirtual at, Access access) {
  return {.status = FaultStatus::External, .write = access == Access::Write, .address = at};
}

}  // namespace

void Processor::follow_controls() {
  const ShortDescriptor::Controls wanted = controls_of(cpu_.vcpu);
  shadow().set_translation(wanted);
}

void Processor::vectors_changed() {
  cpu_.fast.call_vector = vector_of(cpu_.vcpu.control, Exception::SupervisorCall);
  cpu_.fast.irq_vector = 0;
}

std::expected<GuestPhysical, Abort> Processor::reach(GuestVirtual at, Access access,
                                                     Privilege privilege) {
  follow_stubs();
  const auto walked = shadow().translate(at, access, privilege);
  if (!walked) return std::unexpected(abort_of(walked.error(), at, access));
  return walked->physical;
}

bool Processor::access_device(GuestPhysical at, std::uint32_t bytes, bool write,
                              std::uint32_t& value) {
  return cpu_.devices.access(cpu_.memory.space, at, bytes, write, value, cpu_.interrupts);
}

// The processor makes an access of the guest's kernel faster than a walk of the guest's tables, if
// the shadow tables have the page.
std::optional<Abort> Processor::read(GuestVirtual at, void* to, std::uint32_t bytes,
                                     Privilege privilege) {
  if (is_by_processor(at, bytes, privilege)) {
    if (const auto word = instruction_at(at.value())) {
      __builtin_memcpy(to, &*word, sizeof *word);
      return std::nullopt;
    }
  }
  const auto physical = reach(at, Access::Read, privilege);
  if (!physical) return physical.error();
  const auto machine = cpu_.memory.space.memory(*physical, bytes);
  if (!machine) {
    std::uint32_t value = 0;
    if (!access_device(*physical, bytes, false, value)) return external_abort(at, Access::Read);
    __builtin_memcpy(to, &value, bytes);
    return std::nullopt;
  }
  __builtin_memcpy(to, pointer_to<const void>(static_cast<std::uint32_t>(machine->value())), bytes);
  leave_no_line(*machine, bytes);
  return std::nullopt;
}

std::optional<Abort> Processor::write(GuestVirtual at, const void* from, std::uint32_t bytes,
                                      Privilege privilege) {
  if (is_by_processor(at, bytes, privilege)) {
    std::uint32_t word = 0;
    __builtin_memcpy(&word, from, sizeof word);
    if (put_word(at.value(), word)) return std::nullopt;
  }
  const auto physical = reach(at, Access::Write, privilege);
  if (!physical) return physical.error();
  const auto machine = cpu_.memory.space.memory(*physical, bytes);
  if (!machine) {
    std::uint32_t value = 0;
    __builtin_memcpy(&value, from, bytes);
    if (!access_device(*physical, bytes, true, value)) return external_abort(at, Access::Write);
    return std::nullopt;
  }
  if (cpu_.memory.is_patched(cpu_.memory.frame(*machine))) {
    return store_patched(*machine, from, bytes);
  }
  __builtin_memcpy(pointer_to<void>(static_cast<std::uint32_t>(machine->value())), from, bytes);
  leave_no_line(*machine, bytes);
  return std::nullopt;
}

// Code that writes much into its own page had better be unpatched: so many stores cost what it
// takes to restore the page and to patch it again.
std::optional<Abort> Processor::store_patched(HostPhysical at, const void* from,
                                              std::uint32_t bytes) {
  constexpr std::uint32_t kMany = 4;
  std::uint32_t value = 0;
  __builtin_memcpy(&value, from, bytes);
  cpu_.vector_stubs.forget();
  const StoreResult result = cpu_.patches.store(at, bytes, value);
  if (result.kind != StoreResult::Kind::Stored || result.stores > kMany) unpatch(at.aligned_down());
  if (result.kind != StoreResult::Kind::Stored) {
    __builtin_memcpy(pointer_to<void>(static_cast<std::uint32_t>(at.value())), from, bytes);
    leave_no_line(at, bytes);
  }
  return std::nullopt;
}

// A guest with its MMU off goes past the caches: what was done for it is out in memory, and no line
// of it is left.
void Processor::leave_no_line(HostPhysical at, std::uint32_t bytes) {
  if (cpu_.vcpu.translating()) return;
  cpu_.memory.clean_to_memory(at, bytes);
  cpu_.memory.barrier();
}

void Processor::unpatch(HostPhysical page) {
  cpu_.vector_stubs.forget();
  (void)cpu_.patches.unpatch_page(page);
  shadow().forget_page(page);
}

bool Processor::has_replaced_words(GuestPhysical physical) {
  if (cpu_.memory.page(physical.aligned_down(), GuestVirtual{})) return false;
  const auto page = cpu_.memory.space.memory(physical.aligned_down(), mem::kPageSize);
  if (!page || !cpu_.memory.is_patched(cpu_.memory.frame(*page))) return false;
  cpu_.roots.use_flat();
  for (std::uint32_t at = 0; at < mem::kPageSize; at += 4) {
    if (cpu_.patches.original_word(*page + at) != cpu_.memory.read(*page + at)) return true;
  }
  return false;
}

bool Processor::patch(HostPhysical page, GuestVirtual at) {
  cpu_.roots.use_flat();
  const auto forget = [this](HostPhysical changed) {
    cpu_.vector_stubs.forget();
    shadow().forget_page(changed);
  };
  return patch_with_room(cpu_.stubs, cpu_.patches, page, at.aligned_down(), forget);
}

bool Processor::put_stub(GuestVirtual at) {
  const auto physical = reach(at, Access::Execute, Privilege::Kernel);
  if (!physical) return false;
  const auto machine = cpu_.memory.space.memory(*physical, 4);
  if (!machine) return false;
  cpu_.roots.use_flat();
  return put_branch_with_room(cpu_.stubs, cpu_.patches, *machine, at);
}

Translated Processor::translate(GuestVirtual at, Access access, Privilege privilege) {
  const auto physical = reach(at, access, privilege);
  if (!physical) return std::unexpected(physical.error());
  // PAR's attributes are those of normal, cacheable memory: nobody asks for them.
  return static_cast<std::uint32_t>(physical->value()) & ~(mem::kPageSize - 1);
}

void Processor::translation_changed(TranslationPart part) {
  const bool was_translating = (cpu_.shadow->format().controls().sctlr & sctlr::kMmu) != 0;
  if (part == TranslationPart::Table0) cpu_.vcpu.shared->ttbr0 = cpu_.vcpu.control.ttbr0;
  cpu_.vcpu.shared->ttbr1 = cpu_.vcpu.control.ttbr1;
  follow_controls();
  if (part == TranslationPart::Control) {
    const std::uint32_t alignment = cpu_.vcpu.control.sctlr & sctlr::kAlignment;
    Sctlr::write((Sctlr::read() & ~sctlr::kAlignment) | alignment);
  }
  if (part != TranslationPart::Control || was_translating == cpu_.vcpu.translating()) return;
  // What has been patched where it lies is to run where it is mapped from now on, in reach of
  // stubs; and the vectors may be another kernel's.
  cpu_.vector_stubs.forget();
  cpu_.patches.set_uncached(true);  // from one to the other: out to both
  cpu_.patches.unpatch_all([this](HostPhysical page) { shadow().forget_page(page); });
  cpu_.patches.set_uncached(!cpu_.vcpu.translating());
}

void Processor::invalidate_all() { shadow().invalidate_all(); }
void Processor::invalidate_context(std::uint8_t asid) { shadow().invalidate_context(asid); }
void Processor::invalidate_address(GuestVirtual at, std::uint8_t asid) { invalidate(at, asid); }
void Processor::invalidate_address_of_all(GuestVirtual at) { invalidate(at, std::nullopt); }
void Processor::invalidate(GuestVirtual at, std::optional<std::uint32_t> asid) {
  if (cpu_.shadow->format().controls().ttbr0 != cpu_.vcpu.shared->ttbr0) follow_controls();
  // What is taken away was there; what was not there is mapped anew.
  if (!shadow().invalidate_address(at, asid)) shadow().preload(at, asid);
}

void Processor::invalidate_block(GuestVirtual at) { shadow().invalidate_slot(at, std::nullopt); }

std::uint32_t Processor::maintain_lines(CacheOperation operation, std::uint32_t at,
                                        std::uint32_t limit, std::uint32_t step) {
  limit = lines_end(at, limit, step);
  if (limit == at) return at;
  cpu_.roots.use_guest();
  switch (operation) {
    case CacheOperation::CleanDataAt:
      return cache_lines_clean(at, limit, step);
    case CacheOperation::CleanDataToUnificationAt:
      return cache_lines_clean_to_unification(at, limit, step);
    case CacheOperation::CleanInvalidateDataAt:
      return cache_lines_clean_invalidate(at, limit, step);
    default:
      return at;
  }
}

std::optional<Abort> Processor::maintain_cache(CacheOperation operation, std::uint32_t operand) {
  const auto by_address = [&](bool (*execute)(std::uint32_t)) -> std::optional<Abort> {
    cpu_.roots.use_guest();
    if (execute(operand)) return std::nullopt;
    // Nothing maps the line yet: find the page, and do it there.
    const GuestVirtual at{operand};
    const auto physical = reach(at, Access::Read, Privilege::Kernel);
    if (!physical) {
      Abort abort = physical.error();
      abort.write = true;  // cache maintenance counts as one (B3.13.6)
      return abort;
    }
    const auto machine = cpu_.memory.space.memory(*physical, 1);
    if (machine) (void)execute(static_cast<std::uint32_t>(machine->value()));
    return std::nullopt;
  };
  switch (operation) {
    case CacheOperation::CleanDataAt:
      return by_address(cache_clean);
    case CacheOperation::CleanDataToUnificationAt:
      return by_address(cache_clean_to_unification);
    case CacheOperation::CleanInvalidateDataAt:
      return by_address(cache_clean_invalidate);
    case CacheOperation::CleanInvalidateDataBySetAndWay:
      CleanInvalidateDataSetWay::write(operand);
      return std::nullopt;
    case CacheOperation::InvalidateInstructions:
    case CacheOperation::InvalidateInstructionsAt:  // the whole cache covers an aliased line, too
      InvalidateInstructions::write(0);
      return std::nullopt;
    case CacheOperation::InvalidatePrediction:
    case CacheOperation::InvalidatePredictionAt:
      InvalidatePrediction::write(0);
      return std::nullopt;
  }
  return std::nullopt;
}

std::uint32_t Processor::id_register(IdRegister id) {
  switch (id) {
    case IdRegister::Midr:
      return Midr::read();
    case IdRegister::Ctr:
      return CacheType::read();
    case IdRegister::Tcmtr:
      return Cp15<0, 0, 0, 2>::read();
    case IdRegister::Tlbtr:
      return Cp15<0, 0, 0, 3>::read();
    case IdRegister::Mpidr:
      return Mpidr::read();
    case IdRegister::Revidr:
      return Cp15<0, 0, 0, 6>::read();
    case IdRegister::Pfr0:
      return Cp15<0, 0, 1, 0>::read();
    case IdRegister::Pfr1:
      return Cp15<0, 0, 1, 1>::read();
    case IdRegister::Dfr0:
      return Cp15<0, 0, 1, 2>::read();
    case IdRegister::Afr0:
      return Cp15<0, 0, 1, 3>::read();
    case IdRegister::Mmfr0:
      return Cp15<0, 0, 1, 4>::read();
    case IdRegister::Mmfr1:
      return Cp15<0, 0, 1, 5>::read();
    case IdRegister::Mmfr2:
      return Cp15<0, 0, 1, 6>::read();
    case IdRegister::Mmfr3:
      return Cp15<0, 0, 1, 7>::read();
    case IdRegister::Isar0:
      return Cp15<0, 0, 2, 0>::read();
    case IdRegister::Isar1:
      return Cp15<0, 0, 2, 1>::read();
    case IdRegister::Isar2:
      return Cp15<0, 0, 2, 2>::read();
    case IdRegister::Isar3:
      return Cp15<0, 0, 2, 3>::read();
    case IdRegister::Isar4:
      return Cp15<0, 0, 2, 4>::read();
    case IdRegister::Isar5:
      return Cp15<0, 0, 2, 5>::read();
    case IdRegister::Clidr:
      return CacheLevelId::read();
    case IdRegister::Aidr:
      return Cp15<1, 0, 0, 7>::read();
    case IdRegister::Cbar:
      return ConfigurationBase::read();
    case IdRegister::Fpsid:
      return read_fpsid();
    case IdRegister::Mvfr0:
      return read_mvfr0();
    case IdRegister::Mvfr1:
      return read_mvfr1();
    case IdRegister::Count:
      break;
  }
  return 0;
}

std::uint32_t Processor::cache_size(std::uint32_t selection) {
  CacheSizeSelection::write(selection);
  instruction_barrier();
  return CacheSizeId::read();
}

std::uint32_t Processor::read_thread_id(ThreadId id) {
  if (id == ThreadId::UserReadOnly) return ThreadUserReadOnly::read();
  return cpu_.vcpu.is_user() ? ThreadUserWritable::read() : cpu_.vcpu.shared->tpidrurw;
}
void Processor::write_thread_id(ThreadId id, std::uint32_t value) {
  SharedState& shared = *cpu_.vcpu.shared;
  if (id == ThreadId::UserReadOnly) {
    shared.kernels_thread = shared.process_thread = value;
    ThreadUserReadOnly::write(value);
  } else if (cpu_.vcpu.is_user()) {
    ThreadUserWritable::write(value);
  } else {
    shared.tpidrurw = value;
  }
}
void Processor::kernel_thread_changed() { ThreadUserWritable::write(cpu_.vcpu.shared->tpidrprw); }

void Processor::floating_point_changed() {
  constexpr std::uint32_t kEveryone = 0x00f00000;
  const SystemControl& control = cpu_.vcpu.control;
  const bool usable = (control.cpacr & kEveryone) == kEveryone;
  const std::uint32_t enable = usable ? control.fpexc & fpexc::kEnable : 0;
  if (enable != 0 && cpu_.core != nullptr) cpu_.core->own_floating_point(cpu_);
  write_fpexc(enable);
  cpu_.vcpu.shared->fpexc = control.fpexc;
}

bool Processor::put_word(std::uint32_t at, std::uint32_t word) {
  cpu_.roots.use_guest();
  bool faulted = false;
  guest_store(at, word, &faulted);
  return !faulted;
}

static_assert(Machine<Processor>);

}  // namespace mezzo::armv7
