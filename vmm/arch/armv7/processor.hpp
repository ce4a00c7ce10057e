// The machine that emulation works on, for real: this processor, its shadow tables, and the guest's
// memory. Satisfies the Machine concept of context.hpp. One short function per operation.
#pragma once

#include "arch/armv7/context.hpp"
#include "arch/armv7/cpu.hpp"

namespace mezzo::armv7 {

class Processor {
 public:
  explicit Processor(Cpu& cpu) : cpu_(cpu) {}

  [[nodiscard]] std::optional<Abort> read(GuestVirtual at, void* to, std::uint32_t bytes,
                                          Privilege privilege);
  [[nodiscard]] std::optional<Abort> write(GuestVirtual at, const void* from, std::uint32_t bytes,
                                           Privilege privilege);
  [[nodiscard]] bool load_four(std::uint32_t at, std::uint32_t* words) {
    if (cpu_.vcpu.is_user()) return false;
    cpu_.roots.use_guest();
    return guest_load_four(at, words);
  }
  [[nodiscard]] Translated translate(GuestVirtual at, Access access, Privilege privilege);
  void translation_changed(TranslationPart part);
  void invalidate_all();
  void invalidate_context(std::uint8_t asid);
  void invalidate_address(GuestVirtual at, std::uint8_t asid);
  void invalidate_address_of_all(GuestVirtual at);
  void invalidate_block(GuestVirtual at);
  // Cleans the lines at `at`, `at` + `step` and so on below `limit`, as far as the guest's
  // addresses are mapped and a bound on the time allows. Returns the first one that is not done.
  [[nodiscard]] std::uint32_t maintain_lines(CacheOperation operation, std::uint32_t at,
                                             std::uint32_t limit, std::uint32_t step);
  [[nodiscard]] std::optional<Abort> maintain_cache(CacheOperation operation,
                                                    std::uint32_t operand);
  [[nodiscard]] std::uint32_t id_register(IdRegister id);
  [[nodiscard]] std::uint32_t cache_size(std::uint32_t selection);
  [[nodiscard]] std::uint32_t read_thread_id(ThreadId id);
  void write_thread_id(ThreadId id, std::uint32_t value);
  void kernel_thread_changed();
  void floating_point_changed();

  // --- beyond the concept ---

  // The shadow engine, with flat memory at hand.
  [[nodiscard]] ShadowPaging& shadow() {
    cpu_.roots.use_flat();
    return *cpu_.shadow;
  }
  // VBAR or SCTLR may have another value.
  void vectors_changed();
  // Tells the shadow engine what the guest's translation registers hold now.
  void follow_controls();
  // The same, if stubs may have written one: they do so without an exit.
  void follow_stubs() {
    const ShortDescriptor::Controls& known = cpu_.shadow->format().controls();
    const SharedState& shared = *cpu_.vcpu.shared;
    if (known.dacr != shared.dacr || known.ttbr0 != shared.ttbr0) follow_controls();
  }
  // Where the guest's access leads, or the abort that it takes instead.
  [[nodiscard]] std::expected<GuestPhysical, Abort> reach(GuestVirtual at, Access access,
                                                          Privilege privilege);
  // The abort that the format's fault is.
  [[nodiscard]] static Abort abort_of(const ShadowPaging::Fault& fault, GuestVirtual at,
                                      Access access) {
    return {.status = static_cast<FaultStatus>(fault.status()),
            .domain = fault.domain,
            .write = access == Access::Write,
            .address = at};
  }
  // Makes a page of the guest's memory fit to be run by its kernel at `at`, and nowhere else; false
  // if its words do not fit the dictionary.
  [[nodiscard]] bool patch(HostPhysical page, GuestVirtual at);
  // Puts a branch to a stub in the place of the word at `at`, in the kernel's text: whether there
  // is one for it.
  [[nodiscard]] bool put_stub(GuestVirtual at);
  // Whether words of the page are replaced.
  [[nodiscard]] bool has_replaced_words(GuestPhysical physical);
  // The other way round: the guest's own words, writable, not to be run by its kernel.
  void unpatch(HostPhysical page);
  // Stores a word with the rights of the guest's mode; false if there is no entry that allows it.
  [[nodiscard]] bool put_word(std::uint32_t at, std::uint32_t word);
  // Three of them in a row, with the rights that are loaded; false if one of them has not been
  // stored.
  [[nodiscard]] bool put_words(std::uint32_t at, std::uint32_t first, std::uint32_t second,
                               std::uint32_t third) {
    cpu_.roots.use_guest();
    return guest_store_three(at, first, second, third);
  }
  // A word of the guest's text at `at`, which it has just executed.
  [[nodiscard]] std::optional<std::uint32_t> instruction_at(std::uint32_t at) {
    cpu_.roots.use_guest();
    const std::uint64_t loaded = guest_load(at);
    if (loaded >> 32 != 0) return std::nullopt;
    return static_cast<std::uint32_t>(loaded);
  }

 private:
  void invalidate(GuestVirtual at, std::optional<std::uint32_t> asid);
  // Whether the processor, in the guest's root, makes this access as the guest's kernel would.
  [[nodiscard]] bool is_by_processor(GuestVirtual at, std::uint32_t bytes,
                                     Privilege privilege) const {
    return bytes == 4 && at.is_aligned(4) && privilege == Privilege::Kernel && !cpu_.vcpu.is_user();
  }
  std::optional<Abort> store_patched(HostPhysical at, const void* from, std::uint32_t bytes);
  void leave_no_line(HostPhysical at, std::uint32_t bytes);
  // An access to what is no memory: `value` is what is stored, or what a load gets. False if
  // nothing answers.
  [[nodiscard]] bool access_device(GuestPhysical at, std::uint32_t bytes, bool write,
                                   std::uint32_t& value);

  Cpu& cpu_;
};

}  // namespace mezzo::armv7
