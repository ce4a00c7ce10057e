// The table of stubs: which words have one, where, and the way back from inside.
#include "arch/armv7/stubs.hpp"

#include <algorithm>

#include "abi/plan.hpp"
#include "arch/armv7/maintenance_loop.hpp"

namespace mezzo::armv7 {

void Stubs::reset(std::span<std::uint32_t> code, HostPhysical machine, const StubOptions& options) {
  code_ = code;
  machine_ = machine;
  options_ = options;
  next_ = used_ = refused_ = 0;
  patience_ = 1;
  written_ = {};
  // As bytes: element by element they take twenty times as long.
  __builtin_memset(code_.data(), 0, code_.size_bytes());
  __builtin_memset(sites_.data(), 0, sizeof sites_);
  __builtin_memset(hash_.data(), 0, sizeof hash_);
  exits_.fill({});
}

// ---- choosing ----

std::uint32_t Stubs::branch_to(std::uint32_t slot, std::uint32_t word, std::uint32_t at) {
  constexpr std::uint32_t kAlwaysCondition = 0xe0000000;
  const std::uint32_t condition = word >> 28 == 15 ? kAlwaysCondition : word & 0xf0000000;
  return condition | 0x0a000000 | ((address_of(slot) - (at + 8)) >> 2 & 0xffffff);
}

std::optional<std::uint32_t> Stubs::branch(std::uint32_t word, GuestVirtual at,
                                           const Surroundings& around) {
  if (reads_kernel_thread(word)) {
    return is_exchanged(word) ? std::optional(word ^ kOtherThread) : std::nullopt;
  }
  const bool possible = is_in_reach(at.value()) && !(reads_psr(word) && is_copied(around));
  const auto slot = possible ? slot_for(word, at.value(), around) : std::nullopt;
  if (!slot) return std::nullopt;
  exits_[exits_of(at.value())] = {};  // what takes the stub's place again may ask again
  return branch_to(*slot, word, at.value());
}

// The slot of the stub that this branch at an address leads to, if it is one of ours.
std::optional<std::uint32_t> Stubs::slot_of_branch(std::uint32_t word, GuestVirtual at) const {
  if ((word & 0x0f000000) != 0x0a000000 || !is_in_reach(at.value())) return std::nullopt;
  const auto slot = slot_at(target_of(word, at.value()));
  if (!slot || sites_[*slot].address != at.value()) return std::nullopt;
  if (branch_to(*slot, sites_[*slot].word, at.value()) != word) return std::nullopt;
  return slot;
}

std::optional<std::uint32_t> Stubs::original(std::uint32_t word, GuestVirtual at) const {
  if (reads_user_thread(word)) return word ^ kOtherThread;
  const auto slot = slot_of_branch(word, at);
  if (!slot) return std::nullopt;
  return sites_[*slot].word;
}

bool Stubs::relies_on_others(std::uint32_t word, GuestVirtual at) const {
  const auto slot = slot_of_branch(word, at);
  return slot && (relies_[*slot / 32] >> *slot % 32 & 1) != 0;
}

ChangedRange Stubs::take_written() {
  const ChangedRange written = written_;
  written_ = {};
  return written;
}

// Of those that have the same place the first one keeps it until it is due, unless it does not exit
// any more.
bool Stubs::is_due(std::uint32_t word, GuestVirtual at) {
  constexpr std::uint32_t kExits = 2, kPatience = 16;
  if (is_exchanged(word)) return true;
  Exits& exits = exits_[exits_of(at.value())];
  if (exits.address != at.value() || exits.word != word) {
    const bool keeps = exits.count != 0 && exits.count < kExits;
    if (keeps && ++exits.passed_over < kPatience) return false;
    exits = {.address = at.value(), .word = word};
    // Of a page that has been patched anew, or a word whose surroundings have changed.
    if (find(word, at.value(), [](std::uint32_t) { return true; })) exits.count = kExits - 1;
  }
  return ++exits.count == kExits;
}

template <class IsLike>
std::optional<std::uint32_t> Stubs::find(std::uint32_t word, std::uint32_t at,
                                         IsLike is_like) const {
  for (std::uint32_t n = hash_of(at); hash_[n] != 0; n = (n + 1) % hash_.size()) {
    const std::uint32_t slot = hash_[n] - 1u;
    if (sites_[slot].address == at && sites_[slot].word == word && is_like(slot)) return slot;
  }
  return std::nullopt;
}

// The stub of a word at an address, made if there is none yet; nothing if there can be none.
std::optional<std::uint32_t> Stubs::slot_for(std::uint32_t word, std::uint32_t at,
                                             const Surroundings& around) {
  const Meaning meaning = meaning_of(word, around);
  // Where the next one is, if nothing is in the way.
  const std::uint32_t here = is_good(next_) ? next_ : 0;
  const StubCode draft = StubCode::of(word, at, address_of(here), options_, meaning);
  if (draft.empty()) return std::nullopt;
  // The same word may have stood there among others.
  const auto known = find(word, at, [&](std::uint32_t slot) {
    const StubCode wanted = StubCode::of(word, at, address_of(slot), options_, meaning);
    return std::ranges::equal(wanted.words(), code_at(slot).first(wanted.words().size()));
  });
  if (known) return known;
  const auto slot = free_run(draft.slots());
  if (!slot) {
    ++refused_;
    return std::nullopt;
  }
  const bool is_here = *slot == here;
  put(*slot, is_here ? draft : StubCode::of(word, at, address_of(*slot), options_, meaning), word,
      at);
  enter(*slot);
  return slot;
}

// So many free slots in a row where a stub may begin, from next_ on.
std::optional<std::uint32_t> Stubs::free_run(std::uint32_t slots) {
  for (std::uint32_t slot = next_; slot + slots <= kSlots; ++slot) {
    if (!is_good(slot)) continue;
    std::uint32_t free = 0;
    while (free < slots && sites_[slot + free].is_free()) ++free;
    if (free == slots) return slot;
    slot += free;
  }
  return std::nullopt;
}

void Stubs::put(std::uint32_t slot, const StubCode& stub, std::uint32_t word, std::uint32_t at) {
  std::ranges::copy(stub.words(), code_at(slot).begin());
  written_.add(machine_ + slot * kSlotBytes);
  written_.add(machine_ + (slot + stub.slots()) * kSlotBytes - 4);
  sites_[slot] = {at, word};
  for (std::uint32_t n = 1; n < stub.slots(); ++n) sites_[slot + n] = {0, n};
  const std::uint32_t bit = 1u << slot % 32;
  relies_[slot / 32] =
      stub.relies_on_others() ? relies_[slot / 32] | bit : relies_[slot / 32] & ~bit;
  used_ += stub.slots();
  next_ = slot + stub.slots();
}

void Stubs::enter(std::uint32_t slot) {
  std::uint32_t n = hash_of(sites_[slot].address);
  while (hash_[n] != 0) n = (n + 1) % hash_.size();
  hash_[n] = static_cast<std::uint16_t>(slot + 1);
}

bool Stubs::release(Pages& patched) {
  constexpr std::uint32_t kMany = kSlots / 8, kPatience = 1024;
  hash_.fill(0);
  for (std::uint32_t slot = 0; slot < kSlots;) {
    const std::uint32_t head = slot++;
    if (sites_[head].address == 0) continue;
    while (slot < kSlots && sites_[slot].address == 0 && !sites_[slot].is_free()) ++slot;
    if (patched.has(GuestVirtual{sites_[head].address})) {
      enter(head);
      continue;
    }
    used_ -= slot - head;
    std::ranges::fill(std::span(sites_).subspan(head, slot - head), Site());
  }
  next_ = refused_ = 0;
  exits_.fill({});
  const bool room = kSlots - used_ >= kMany;
  patience_ = room ? 1 : kPatience;
  return room;
}

// ---- what words say together ----

// MRS in code that Linux copies elsewhere, where the branch would lead elsewhere: the vectors'
// handlers, and the template of what an optimized kprobe branches to. Neither is executed before.
bool Stubs::is_copied(const Surroundings& around) {
  constexpr std::uint32_t kReadSaved = 0xe14fe000;  // MRS LR, SPSR
  constexpr std::uint32_t kStoreAll = 0xe88d7fff;   // STM SP, {R0-LR}
  return std::ranges::any_of(around.before, [](std::uint32_t before) {
    return before == kReadSaved || before == kStoreAll;
  });
}

// What a stub of the word must keep: the registers that it may name, by where they can be; and
// those that may be others' when it is emulated instead, in another mode.
std::uint32_t Stubs::kept_registers(std::uint32_t word) {
  constexpr std::uint32_t kBanked = 0x7f00;
  const bool may_change_mode = (word & 0x0fb0fff0) == 0x0120f000;  // MSR CPSR
  return 1u << (word >> 16 & 15) | 1u << (word >> 12 & 15) | 1u << (word & 15) |
         (may_change_mode ? kBanked : 0);
}

// Linux returns to user mode by LDMDB R2, {R0 or R1 to LR}^; NOP; ADD SP, SP, #n; MOVS PC, LR, some
// words after it has written the process's TPIDRURO.
Meaning Stubs::meaning_of(std::uint32_t word, const Surroundings& around) const {
  constexpr std::uint32_t kLoadAll = 0xe9527fff, kLoadAllButFirst = 0xe9527ffe;
  constexpr std::uint32_t kNop = 0xe1a00000, kAddToSp = 0xe28dd000, kReturn = 0xe1b0f00e;
  constexpr std::uint32_t kMoveToSp = 0xe1a0d000, kBehindLoad = 3;
  const auto& after = around.after;
  Meaning meaning;
  if (const auto dead = dead_register(after, kept_registers(word))) meaning.dead = *dead;
  if (cleans_line(word)) {
    meaning.cleans_table = is_table_flush(word, around);
    look_for_table_loop(word, around, meaning);
  }
  if ((options_.slow_paths & plan::kFastReturn) != 0) return meaning;
  // Whether LDM ^ and what is behind it, from `n` on, returns.
  const auto is_return = [&](std::uint32_t load, std::size_t n) {
    const std::uint32_t add = after[n + 1];
    return (load == kLoadAll || load == kLoadAllButFirst) && after[n] == kNop &&
           (add & 0xfffff000) == kAddToSp && (add & 0xfff) < 0x100 && after[n + 2] == kReturn;
  };
  // A change of threads goes on on the new one's stack, with another value: it exits.
  const bool switches = (after[0] & ~15u) == kMoveToSp;
  if (writes_thread(word) && !switches) {
    for (std::size_t n = 0; n + kBehindLoad < after.size() && !meaning.leaves_kernel; ++n) {
      meaning.leaves_kernel = is_return(after[n], n + 1);
    }
    meaning.threads = true;
  } else if (is_return(word, 0)) {
    meaning.call = kReturnCall | (word == kLoadAllButFirst ? kKeepsFirst : 0) | (after[1] & 0xff);
  }
  return meaning;
}

// A line is cleaned behind a store to it, and not in a loop, or as Linux asks first whether walks
// miss the caches: TST Rn, #0x40000000; MCRNE (arch/arm/include/asm/tlbflush.h, TLB_DCLEAN). That
// is the flush of an entry of a translation table, which nobody but the monitor walks, through the
// same cache.
bool Stubs::is_table_flush(std::uint32_t word, const Surroundings& around) const {
  constexpr std::uint32_t kTestOfFlag = 0xe3100101, kNotEqual = 1;
  const unsigned rt = transferred(word);
  const std::uint32_t next = around.after[0];
  if ((options_.slow_paths & plan::kFastTableFlush) != 0 || next == 0) return false;
  const bool steps = (next & 0xfdf00000) == 0xe0800000 && (next >> 12 & 15) == rt;  // ADD Rt, ..
  if (steps) return false;
  if (word >> 28 == kNotEqual && (around.before[0] & 0xfff0ffff) == kTestOfFlag) return true;
  return std::ranges::any_of(around.before, [&](std::uint32_t before) {
    const bool stores = (before & 0xfe500000) == 0xe4000000;  // STR, any immediate
    return stores && (before >> 16 & 15) == rt;
  });
}

// Linux cleans new translation tables by a loop that counts down, for nobody but walkers: a DSB
// ISHST behind it would be none for devices (arch/arm/mm/proc-v7.S, cpu_v7_dcache_clean_area).
void Stubs::look_for_table_loop(std::uint32_t word, const Surroundings& around,
                                Meaning& meaning) const {
  constexpr std::uint32_t kBarrier = 0xf57ff04a;
  const auto& after = around.after;
  if ((options_.slow_paths & plan::kFastTableFlush) != 0 || after[3] != kBarrier) return;
  const Instruction i = decode(word);
  const auto loop = loop_of({word, after[0], after[1], after[2]}, i, control_register_of(i));
  if (!loop || i.condition != kAlways || !loop->counts_down) return;
  meaning.rest = loop->end;
  meaning.step = *loop->step_register;
}

// ---- the way back ----

std::optional<std::uint32_t> Stubs::roll_back(Frame& frame, const SharedState& shared) const {
  auto slot = slot_at(frame.pc);
  if (!slot) return std::nullopt;
  if (sites_[*slot].address == 0) *slot -= sites_[*slot].word;
  const Site& site = sites_[*slot];
  if (site.address == 0) return std::nullopt;
  const std::uint32_t done = (frame.pc - address_of(*slot)) / 4;
  // All that is left is the branch back, and the word may not be executed twice.
  constexpr std::uint32_t kBranch = 0xea;
  const bool is_call = (code_at(*slot)[0] & 0x0f000000) == 0x0f000000;
  if (code_at(*slot)[done] >> 24 == kBranch && !is_call) {
    frame.pc = site.address + 4;
    return site.word;
  }
  // What a stub has saved is still where it saved it, whether it has been loaded again or not.
  const auto borrowed = borrowed_registers(code_at(*slot).first<2>(), address_of(*slot));
  for (std::uint32_t n = 0; n < borrowed.size() && n < done; ++n) {
    if (borrowed[n] != kNoRegister) frame.r[borrowed[n]] = shared.saved[n];
  }
  frame.pc = site.address;
  return site.word;
}

}  // namespace mezzo::armv7
