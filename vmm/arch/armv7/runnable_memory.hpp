// A partition's memory as the shadow engine sees it: the guest's kernel may run a patched page at
// the address for which it is patched, as branches to stubs lead elsewhere from any other. There
// the page is as if it were not patched, and patching moves it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "mem/shadow_types.hpp"

namespace mezzo::armv7 {

// `Memory` has backing() without an address: executable is what is patched. `Patched` is the
// partition's PatchedPages.
template <class Memory, class Patched>
class RunnableMemory : public Memory {
 public:
  using Memory::Memory;

  // Comes before the first backing(). `patched` must outlive this.
  void set_patched_pages(const Patched& patched) { pages_ = &patched; }

  [[nodiscard]] mem::Backing backing(mem::GuestPhysical at, std::uint32_t wanted,
                                     mem::GuestVirtual address) const {
    mem::Backing backing = Memory::backing(at, wanted);
    if (backing.kind != mem::Backing::Kind::Memory || !backing.executable) return backing;
    const mem::HostPhysical first = backing.machine.aligned_down();
    const mem::GuestVirtual page = address.aligned_down();
    const auto skipped = static_cast<std::uint32_t>(backing.machine - first);
    const std::uint32_t end = skipped + backing.bytes;
    backing.executable = pages_->runs_at(first, page);
    std::uint32_t alike = mem::kPageSize;
    while (alike < end && pages_->runs_at(first + alike, page + alike) == backing.executable) {
      alike += mem::kPageSize;
    }
    backing.bytes = std::min(end, alike) - skipped;
    return backing;
  }

 private:
  const Patched* pages_ = nullptr;
};

}  // namespace mezzo::armv7
