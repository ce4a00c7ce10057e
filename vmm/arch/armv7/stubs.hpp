// Short pieces of code that do for the guest's kernel, without an exit, what frequent sensitive
// instructions mean: a patched word branches to its own stub, which works on the state that guest
// and monitor share and branches back behind the word. stub_region.hpp says where they are,
// stub_code.hpp what they are; here is which there are, and what an exit inside one means.
//
// A stub changes no flag and no register that is used behind it, but what it is to change. Where it
// cannot go on, because an interrupt is pending or the guest's mode changes, it touches an address
// that is not mapped and exits; an exit of any kind inside a stub is first rolled back to the
// patched word, which is possible because a stub may be executed any number of times up to its
// branch back. There it has done what the word does.
//
// The shared page is the guest's to write: nothing read from it decides anything for the monitor.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "abi/plan.hpp"
#include "arch/armv7/decode.hpp"
#include "arch/armv7/liveness.hpp"
#include "arch/armv7/patch.hpp"
#include "arch/armv7/stub_code.hpp"
#include "arch/armv7/stub_region.hpp"
#include "arch/armv7/vcpu.hpp"

namespace mezzo::armv7 {

class Stubs : public StubRegion {
 public:
  // `code`: kCodeBytes of memory, at `machine`. There are no stubs afterwards. Both objects' bits
  // are all zero to begin with.
  void reset(std::span<std::uint32_t> code, HostPhysical machine, const StubOptions& options);

  // --- PatchPolicy ---
  // What exits to assembly or by a short way, which would not ask for a stub; and MRS, the one
  // sensitive word that Linux puts kprobes on, as it puts them on branches.
  [[nodiscard]] static bool is_at_once(std::uint32_t word) {
    return reads_psr(word) || writes_thread(word) || cleans_line(word) || maintains_code(word);
  }
  [[nodiscard]] std::optional<std::uint32_t> branch(std::uint32_t word, GuestVirtual at,
                                                    const Surroundings& around);
  [[nodiscard]] std::optional<std::uint32_t> original(std::uint32_t word, GuestVirtual at) const;
  [[nodiscard]] static bool may_have_become(std::uint32_t word, GuestVirtual page) {
    const std::uint32_t target =
        target_of(word, page.value());  // at its beginning; or up to a page on
    const bool leads_here = target - (kBase - mem::kPageSize) < kRegion + mem::kPageSize;
    return ((word & 0x0f000000) == 0x0a000000 && leads_here) || reads_user_thread(word);
  }
  [[nodiscard]] bool relies_on_others(std::uint32_t word, GuestVirtual at) const;
  [[nodiscard]] ChangedRange take_written();

  // Whether a word that exits at an address is to be asked a stub for now: it exits again, or has
  // had one; and it has not been asked for in vain lately.
  [[nodiscard]] bool is_due(std::uint32_t word, GuestVirtual at);

  // --- exits inside a stub ---
  // Makes the frame what it was before the patched word or, where only the branch back is left,
  // what it is behind it. Returns the word as the guest wrote it; nothing if no stub is at its PC.
  // The word's destination may have been written already, and a register that is dead behind the
  // word.
  std::optional<std::uint32_t> roll_back(Frame& frame, const SharedState& shared) const;

  // --- when there is no room ---
  // Pages by their guest-virtual addresses, as far as stubs reach.
  class Pages {
   public:
    void insert(GuestVirtual page) { word_of(page) |= bit_of(page); }
    [[nodiscard]] bool has(GuestVirtual page) { return (word_of(page) & bit_of(page)) != 0; }

   private:
    static constexpr std::uint32_t kPages = (64u << 20) / mem::kPageSize;
    static std::uint32_t bit_of(GuestVirtual page) {
      return 1u << page.value() / mem::kPageSize % 32;
    }
    std::uint32_t& word_of(GuestVirtual page) {
      return bits_[page.value() / mem::kPageSize / 32 % bits_.size()];
    }
    std::array<std::uint32_t, kPages / 32> bits_{};
  };
  // Whether words have become traps for want of a stub, so many that it is worth a release().
  [[nodiscard]] bool wants_release() const { return refused_ >= patience_; }
  // Frees the stubs of all pages but `patched`. Whether there is room for many again.
  bool release(Pages& patched);

  // Slots in use.
  [[nodiscard]] std::uint32_t used() const { return used_; }

 private:
  struct Site {             // without initializers, so that many are cleared as bytes
    std::uint32_t address;  // of the patched word; 0: a slot inside a stub, or a free one
    std::uint32_t word;     // original; inside a stub: how many slots back it begins

    [[nodiscard]] bool is_free() const { return address == 0 && word == 0; }
  };
  // Of a word without a stub at an address, lately.
  struct Exits {
    std::uint32_t address = 0, word = 0;
    std::uint32_t count = 0;
    std::uint32_t passed_over = 0;  // how often another one would have had its place
  };
  static constexpr std::uint32_t kExitsBits = 9;
  static constexpr std::uint32_t kHashBits = 15;
  static_assert(kSlots < 1u << kHashBits);

  [[nodiscard]] static std::uint32_t hash_of(std::uint32_t at) {
    return (at >> 2) * 0x9e3779b1u >> (32 - kHashBits);
  }
  [[nodiscard]] static std::uint32_t exits_of(std::uint32_t at) {
    return (at >> 2) * 0x9e3779b1u >> (32 - kExitsBits);
  }
  // Whether another word does the same, so that it needs no stub.
  [[nodiscard]] bool is_exchanged(std::uint32_t word) const {
    return reads_kernel_thread(word) && (options_.slow_paths & plan::kFastThreadId) == 0;
  }
  // Where B at an address leads.
  [[nodiscard]] static std::uint32_t target_of(std::uint32_t word, std::uint32_t at) {
    const std::uint32_t distance = (word & 0xffffff) << 8;  // and its sign is where it should be
    return at + 8 + static_cast<std::uint32_t>(static_cast<std::int32_t>(distance) >> 6);
  }
  [[nodiscard]] static std::uint32_t branch_to(std::uint32_t slot, std::uint32_t word,
                                               std::uint32_t at);
  [[nodiscard]] static std::uint32_t kept_registers(std::uint32_t word);
  [[nodiscard]] std::optional<std::uint32_t> slot_of_branch(std::uint32_t word,
                                                            GuestVirtual at) const;
  // The stub of a word at an address that is_like(slot), if there is one.
  template <class IsLike>
  [[nodiscard]] std::optional<std::uint32_t> find(std::uint32_t word, std::uint32_t at,
                                                  IsLike is_like) const;
  [[nodiscard]] Meaning meaning_of(std::uint32_t word, const Surroundings& around) const;
  [[nodiscard]] static bool is_copied(const Surroundings& around);
  [[nodiscard]] bool is_table_flush(std::uint32_t word, const Surroundings& around) const;
  void look_for_table_loop(std::uint32_t word, const Surroundings& around, Meaning& meaning) const;
  [[nodiscard]] std::optional<std::uint32_t> slot_for(std::uint32_t word, std::uint32_t at,
                                                      const Surroundings& around);
  [[nodiscard]] std::span<std::uint32_t> code_at(std::uint32_t slot) const {
    return code_.subspan(slot * kSlotWords);
  }
  [[nodiscard]] std::optional<std::uint32_t> free_run(std::uint32_t slots);
  void put(std::uint32_t slot, const StubCode& stub, std::uint32_t word, std::uint32_t at);
  void enter(std::uint32_t slot);

  std::span<std::uint32_t> code_;
  HostPhysical machine_{};
  StubOptions options_;
  std::uint32_t next_ = 0;  // where to look for free slots
  std::uint32_t used_ = 0;
  std::uint32_t refused_ = 0, patience_ = 1;
  ChangedRange written_;
  std::array<Site, kSlots> sites_{};
  std::array<std::uint16_t, 1u << kHashBits> hash_{};  // slot + 1
  std::array<std::uint32_t, kSlots / 32> relies_{};    // StubCode::relies_on_others(), a bit a slot
  std::array<Exits, 1u << kExitsBits> exits_{};
  static_assert(kFarthestUse <= Surroundings::kReach);
};

// Makes room for stubs if that is wanted: whether there is.
template <class Patched>
bool make_room(Stubs& stubs, Patched& patched) {
  if (!stubs.wants_release()) return false;
  Stubs::Pages pages;
  patched.for_each_page([&](HostPhysical, GuestVirtual at) { pages.insert(at); });
  return stubs.release(pages);
}

// Patches `page` to be run at `address`, and unpatches others if their room is needed. Calls
// `forget(page)` for each whose words are others now. False if its words do not fit the dictionary.
template <class Patched, class Forget>
[[nodiscard]] bool patch_with_room(Stubs& stubs, Patched& patched, HostPhysical page,
                                   GuestVirtual address, Forget forget) {
  (void)make_room(stubs, patched);
  if (patched.unpatch_page(page)) forget(page);
  for (;;) {
    switch (patched.patch_page(page, address)) {
      case PatchResult::Patched:
        forget(page);
        return true;
      case PatchResult::NoRoom: {
        const HostPhysical victim = patched.victim(page);
        (void)patched.unpatch_page(victim);
        forget(victim);
        break;
      }
      case PatchResult::DictionaryFull:
        return false;
    }
  }
}

// Puts a stub's branch in the place of `word` at `at`, which the guest's kernel has run into at
// `address`: whether there is one now.
template <class Patched>
[[nodiscard]] bool put_branch_with_room(Stubs& stubs, Patched& patched, HostPhysical at,
                                        GuestVirtual address) {
  if (patched.put_branch(at, address)) return true;
  return make_room(stubs, patched) && patched.put_branch(at, address);
}

}  // namespace mezzo::armv7
