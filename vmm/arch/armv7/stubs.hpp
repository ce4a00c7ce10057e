// Short pieces of code that do for the guest's kernel, without an exit, what frequent sensitive
// instructions mean: a patched word branches to its own stub, which works on the state that guest
// and monitor share and branches back behind the word. stub_region.hpp says where they are,
// stub_code.hpp what they are; here is which there are, and what an exit inside one means.
//
// A stub changes no flags and no register that is used behind it. Where it cannot go on, because an
// interrupt is pending or the guest's mode changes, it touches an address that is not mapped and
// exits; an exit of any kind inside a stub is first rolled back to the patched word, which is
// possible because a stub may be executed any number of times up to its branch back. There it has
// done what the word does.
//
// The shared page is the guest's to write: nothing read from it decides anything for the monitor.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "arch/armv7/decode.hpp"
#include "arch/armv7/liveness.hpp"
#include "arch/armv7/patch.hpp"
#include "arch/armv7/stub_code.hpp"
#include "arch/armv7/stub_region.hpp"
#include "arch/armv7/vcpu.hpp"

namespace mezzo::armv7 {

class Stubs : public StubRegion {
 public:
  static constexpr std::uint32_t kPageWords = mem::kPageSize / 4;

  // `code`: kCodeBytes of memory, at `machine`. There are no stubs afterwards. Both objects' bits
  // are all zero to begin with.
  void reset(std::span<std::uint32_t> code, HostPhysical machine, const StubOptions& options);

  // --- PatchPolicy ---
  [[nodiscard]] static bool is_candidate(std::uint32_t word) {
    // MCR and MRC of coprocessor 15, FPEXC, and DCCMVAC of any condition: see StubCode.
    return (word & 0xffe00f10) == 0xee000f10 || (word & 0xffef0fff) == 0xeee80a10 ||
           cleans_line(word);
  }
  [[nodiscard]] Choice choose(std::uint32_t word, GuestVirtual at);
  [[nodiscard]] std::optional<std::uint32_t> original(std::uint32_t word, GuestVirtual at) const;
  [[nodiscard]] bool relies_on_next(std::uint32_t word, GuestVirtual at) const;
  [[nodiscard]] ChangedRange take_written();

  // Before a page is patched for `at`: what its words say together; and when it has been. Words
  // that are stored one by one stand alone.
  void look_at(std::span<const std::uint32_t, kPageWords> words, GuestVirtual at);
  void look_away() { page_address_ = 0; }

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
  struct Site {
    std::uint32_t address = 0;  // of the patched word; 0: a slot inside a stub, or a free one
    std::uint32_t word = 0;     // original; inside a stub: how many slots back it begins

    [[nodiscard]] bool is_free() const { return address == 0 && word == 0; }
  };
  static constexpr std::uint32_t kHashBits = 15;
  static_assert(kSlots < 1u << kHashBits);

  [[nodiscard]] static std::uint32_t hash_of(std::uint32_t at) {
    return (at >> 2) * 0x9e3779b1u >> (32 - kHashBits);
  }
  [[nodiscard]] static std::uint32_t branch(std::uint32_t word, std::uint32_t slot,
                                            std::uint32_t at);
  [[nodiscard]] static std::uint32_t kept_registers(std::uint32_t word);
  [[nodiscard]] std::optional<std::uint32_t> slot_of_branch(std::uint32_t word,
                                                            GuestVirtual at) const;
  [[nodiscard]] Surrounding look_around(std::uint32_t word, std::uint32_t at);
  [[nodiscard]] bool is_table_flush(std::uint32_t word, std::uint32_t index) const;
  [[nodiscard]] bool is_copied(std::uint32_t page) const;
  [[nodiscard]] std::optional<std::uint32_t> slot_for(std::uint32_t word, std::uint32_t at);
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
  // The page that is looked at; 0: none.
  std::uint32_t page_address_ = 0;
  std::array<std::uint32_t, kPageWords> page_{};
  // Pages whose words the guest copies to another address: the last ones.
  std::array<std::uint32_t, 8> copied_{};
  std::uint32_t copied_count_ = 0;
  std::array<Site, kSlots> sites_{};
  std::array<std::uint16_t, 1u << kHashBits> hash_{};  // slot + 1
  std::array<std::uint32_t, kSlots / 32> relies_{};    // StubCode::relies_on_next(), a bit a slot
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

// Patches `page`, whose words are `words`, to be run at `address`, and unpatches others if their
// room is needed. Calls `forget(page)` for each whose words are others now. False if its words do
// not fit the dictionary.
template <class Patched, class Forget>
[[nodiscard]] bool patch_with_room(Stubs& stubs, Patched& patched,
                                   std::span<const std::uint32_t, Stubs::kPageWords> words,
                                   HostPhysical page, GuestVirtual address, Forget forget) {
  // Once: what is free then may be too scattered for this page, and would be again.
  bool made_room = false;
  for (;;) {
    if (patched.unpatch_page(page)) forget(page);
    stubs.look_at(words, address);
    const PatchResult result = patched.patch_page(page, address);
    stubs.look_away();
    switch (result) {
      case PatchResult::Patched:
        forget(page);
        if (made_room || !make_room(stubs, patched)) return true;
        made_room = true;
        break;  // this page, at least, gets what it has been refused
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

}  // namespace mezzo::armv7
