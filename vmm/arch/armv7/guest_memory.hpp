// A partition's memory and devices as the shadow engine and the patcher reach them: flat machine
// addresses, and the maintenance that ARMv7 wants after tables and code have been written. Every
// function needs the monitor's own root (Roots::use_flat).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "arch/armv7/instructions.hpp"
#include "arch/armv7/short_descriptor.hpp"
#include "mem/address_space.hpp"
#include "mem/shadow_types.hpp"

namespace mezzo::armv7 {

using mem::GuestPhysical;
using mem::GuestVirtual;
using mem::HostPhysical;

class GuestMemory {
 public:
  mem::AddressSpace space;

  // For a new guest with this address space. `patched`: one bit a page of frame(), in which a set
  // one means patched.
  void reset(const mem::AddressSpace& of_guest, std::uint32_t* patched, std::uint32_t words) {
    space = of_guest;
    main_ = {};
    for (const auto& interval : space.intervals()) {
      const bool memory = interval.kind == mem::AddressSpace::Kind::Memory;
      if (memory && interval.writable && interval.size > main_.size) main_ = interval;
    }
    main_frame_ = frame(HostPhysical{main_.machine});
    patched_ = patched;
    patched_words_ = words;
    std::fill_n(patched_, words, 0u);
    line_ = data_line();
    constexpr std::uint32_t kCoherentWalk = 1;
    clean_tables_ = (Cp15<0, 0, 1, 7>::read() >> 20 & 15) != kCoherentWalk;  // ID_MMFR3
  }

  // The monitor's own root (flat_root.hpp), which stays as it is. Before the shadow engine is made.
  void set_flat_root(std::span<const std::uint32_t, ShortDescriptor::kSlots> root) {
    flat_root_ = root.data();
  }

  // --- what the shadow engine asks (mem::ShadowEnvironment) ---

  [[nodiscard]] mem::Backing backing(GuestPhysical at, std::uint32_t wanted) const {
    using Kind = mem::AddressSpace::Kind;
    const mem::AddressSpace::Found found = space.lookup(at);
    mem::Backing backing{
        .machine = found.machine, .bytes = found.bytes, .writable = found.writable};
    switch (found.kind) {
      case Kind::None:
        return {};
      case Kind::Emulated:
        backing.kind = mem::Backing::Kind::Emulated;
        return backing;
      case Kind::Device:
        backing.kind = mem::Backing::Kind::Device;
        return backing;
      case Kind::Memory:
        break;
    }
    backing.kind = mem::Backing::Kind::Memory;
    backing.frame = frame(found.machine);
    if (is_patched(backing.frame)) {
      backing.writable = false;
      backing.executable = true;
    }
    backing.bytes = alike(backing.frame, std::min(found.bytes, wanted));
    return backing;
  }
  // A page of the largest piece that is not patched.
  [[nodiscard]] std::optional<mem::Backing> page(GuestPhysical at, GuestVirtual) const {
    const std::uint32_t offset = offset_in_main(at);
    if (offset >= main_.size) return std::nullopt;
    const std::uint32_t frame = main_frame_ + offset / mem::kPageSize;
    if (is_patched(frame)) return std::nullopt;
    return mem::Backing{.kind = mem::Backing::Kind::Memory,
                        .machine = HostPhysical{main_.machine + offset},
                        .bytes = mem::kPageSize,
                        .frame = frame,
                        .writable = true};
  }
  [[nodiscard]] std::optional<HostPhysical> memory(GuestPhysical at) const {
    const std::uint32_t offset = offset_in_main(at);
    if (offset < main_.size && at.value() % 4 == 0) return HostPhysical{main_.machine + offset};
    return space.memory(at, 4);
  }
  // Pieces are numbered by their order in the address space; each starts at a multiple of 1 MiB.
  [[nodiscard]] std::uint32_t frame(HostPhysical machine) const {
    const auto address = static_cast<std::uint32_t>(machine.value());
    std::uint32_t before = 0;
    for (const auto& interval : space.intervals()) {
      if (interval.kind != mem::AddressSpace::Kind::Memory) continue;
      const std::uint32_t offset = address - interval.machine;
      if (offset < interval.size) return before + offset / mem::kPageSize;
      before += interval.size / mem::kPageSize;
    }
    return patched_words_ * 32;
  }
  [[nodiscard]] std::uint32_t frame_count() const {
    std::uint32_t pages = 0;
    for (const auto& interval : space.intervals()) {
      if (interval.kind == mem::AddressSpace::Kind::Memory) pages += interval.size / mem::kPageSize;
    }
    return pages;
  }

  [[nodiscard]] std::uint32_t read(HostPhysical at) const { return *word(at); }
  [[nodiscard]] const std::uint32_t* page_words(HostPhysical page) const { return word(page); }
  void write(HostPhysical at, std::uint32_t value) { *word(at) = value; }
  void clear(HostPhysical at, std::uint32_t bytes) { __builtin_memset(word(at), 0, bytes); }
  void copy(HostPhysical to, HostPhysical from, std::uint32_t bytes) {
    __builtin_memcpy(word(to), word(from), bytes);
  }

  // The smallest data cache line, in bytes (CTR.DminLine).
  [[nodiscard]] static std::uint32_t data_line() { return 4u << (CacheType::read() >> 16 & 15); }
  void clean(HostPhysical at, std::uint32_t bytes) {
    if (clean_tables_) clean_to_unification(at, bytes);
  }
  void clean_to_unification(HostPhysical at, std::uint32_t bytes) const {
    const auto first = static_cast<std::uint32_t>(at.value());
    for (std::uint32_t line = first & ~(line_ - 1); line < first + bytes; line += line_) {
      CleanDataToUnificationAt::write(line);
    }
  }
  // Out to where accesses past all caches look, and no longer in them. A barrier must follow.
  void clean_to_memory(HostPhysical at, std::uint32_t bytes) const {
    const auto first = static_cast<std::uint32_t>(at.value());
    const std::uint32_t step = data_line(), end = first + bytes;  // also before reset()
    std::uint32_t line = first & ~(step - 1);
    for (; end - line >= 8 * step; line += 8 * step) {
      for (std::uint32_t n = 0; n < 8; ++n) CleanInvalidateDataAt::write(line + n * step);
    }
    for (; line < end; line += step) CleanInvalidateDataAt::write(line);
  }
  void barrier() {
    data_barrier();
    instruction_barrier();
  }
  void invalidate_page(GuestVirtual address, std::uint32_t context) {
    // A global entry is found under every ASID; for all contexts there is no operation on
    // Cortex-A8.
    if (context == mem::kEveryContext) return InvalidateTlb::write(0);
    InvalidateTlbAt::write((address.value() & ~(mem::kPageSize - 1)) |
                           (context == mem::kGlobalEntries ? 0 : context & 0xff));
  }
  void invalidate_context(std::uint32_t context) {
    if (context == mem::kGlobalEntries || context == mem::kEveryContext) return invalidate_all();
    InvalidateTlbContext::write(context);
  }
  void invalidate_all() { InvalidateTlb::write(0); }

  // What the monitor's own root has is in the TLB at the same addresses.
  [[nodiscard]] bool may_be_global(GuestVirtual at) const {
    return flat_root_[at.value() / ShortDescriptor::kSlotBytes] == 0;
  }

  // --- what patching asks besides (PatchMemory) ---

  void invalidate_instructions() {
    InvalidateInstructions::write(0);
    InvalidatePrediction::write(0);
  }
  void page_patched(HostPhysical page, bool patched) { set_patched(frame(page), patched); }

  // --- patched pages ---

  [[nodiscard]] bool is_patched(std::uint32_t frame) const {
    return frame / 32 < patched_words_ && (patched_[frame / 32] >> frame % 32 & 1) != 0;
  }
  void set_patched(std::uint32_t frame, bool patched) {
    if (frame / 32 >= patched_words_) return;
    const std::uint32_t bit = 1u << frame % 32;
    patched_[frame / 32] = patched ? patched_[frame / 32] | bit : patched_[frame / 32] & ~bit;
  }

 private:
  // Not less than its size of what is outside it.
  [[nodiscard]] std::uint32_t offset_in_main(GuestPhysical at) const {
    if (at.value() >> 32 != 0) return ~0u;
    return static_cast<std::uint32_t>(at.value()) - main_.guest;
  }
  // How many of `bytes` from the page numbered `first` on are patched, or not, as it is.
  [[nodiscard]] std::uint32_t alike(std::uint32_t first, std::uint32_t bytes) const {
    if (bytes <= mem::kPageSize) return bytes;
    const bool patched = is_patched(first);
    for (std::uint32_t page = 1; page * mem::kPageSize < bytes; ++page) {
      const std::uint32_t frame = first + page;
      const bool whole_word = frame % 32 == 0 && frame / 32 < patched_words_;
      if (whole_word && !patched && patched_[frame / 32] == 0) {
        page += 31;
        continue;
      }
      if (is_patched(frame) != patched) return page * mem::kPageSize;
    }
    return bytes;
  }
  [[nodiscard]] static std::uint32_t* word(HostPhysical at) {
    return pointer_to<std::uint32_t>(static_cast<std::uint32_t>(at.value()));
  }

  mem::AddressSpace::Interval main_{};  // the largest piece of writable memory
  std::uint32_t main_frame_ = 0;
  const std::uint32_t* flat_root_ = nullptr;
  std::uint32_t* patched_ = nullptr;
  std::uint32_t patched_words_ = 0;
  std::uint32_t line_ = 32;
  bool clean_tables_ = true;
};

}  // namespace mezzo::armv7
