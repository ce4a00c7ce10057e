// One function a stub. Source of the encodings: ARM DDI 0406C, A8.
#include "arch/armv7/stub_code.hpp"

#include <cstddef>

#include "abi/plan.hpp"
#include "arch/armv7/decode.hpp"

namespace mezzo::armv7 {
namespace {

// Fields of the shared state that stubs use.
enum class Field : std::uint32_t {
  Psr = offsetof(SharedState, psr),
  Doorbell = offsetof(SharedState, doorbell),
  Save0 = offsetof(SharedState, saved),
  Save1 = offsetof(SharedState, saved) + 4,
  UserThread = offsetof(SharedState, tpidrurw),
  Domains = offsetof(SharedState, dacr),
  SavedPsr = offsetof(SharedState, spsr),
  Control = offsetof(SharedState, sctlr),
  UserSp = offsetof(SharedState, user_sp),
  UserLr = offsetof(SharedState, user_lr),
  DataStatus = offsetof(SharedState, dfsr),
  InstructionStatus = offsetof(SharedState, ifsr),
  DataAddress = offsetof(SharedState, dfar),
  InstructionAddress = offsetof(SharedState, ifar),
  CacheType = offsetof(SharedState, ctr),
  MainId = offsetof(SharedState, midr),
  KernelsThread = offsetof(SharedState, kernels_thread),
  ProcessThread = offsetof(SharedState, process_thread),
  TableBase = offsetof(SharedState, ttbr0),
  UpperTableBase = offsetof(SharedState, ttbr1),
  FloatingPoint = offsetof(SharedState, fpexc),
  LastUsersSlot = offsetof(SharedState, last_users_slot),
};

// A coprocessor 15 register that is read, or written, as a word of the shared state.
struct SharedRegister {
  std::uint32_t transfer;  // MRC or MCR without Rt
  Field field;
  std::uint32_t fast_path;  // plan::FastPath
};
constexpr SharedRegister kSharedRegisters[] = {
    {0xee1d0f50, Field::UserThread, plan::kFastThreadId},          // MRC TPIDRURW
    {0xee0d0f50, Field::UserThread, plan::kFastThreadId},          // MCR TPIDRURW
    {0xee130f10, Field::Domains, plan::kFastDomainAccess},         // MRC DACR
    {0xee030f10, Field::Domains, plan::kFastDomainAccess},         // MCR DACR
    {0xee110f10, Field::Control, plan::kFastThreadId},             // MRC SCTLR
    {0xee150f10, Field::DataStatus, plan::kFastThreadId},          // MRC DFSR
    {0xee150f30, Field::InstructionStatus, plan::kFastThreadId},   // MRC IFSR
    {0xee160f10, Field::DataAddress, plan::kFastThreadId},         // MRC DFAR
    {0xee160f50, Field::InstructionAddress, plan::kFastThreadId},  // MRC IFAR
    {0xee100f30, Field::CacheType, plan::kFastThreadId},           // MRC CTR
    {0xee100f10, Field::MainId, plan::kFastThreadId},              // MRC MIDR
    {0xee120f10, Field::TableBase, plan::kFastDomainAccess},       // MRC TTBR0
    {0xee020f10, Field::TableBase, plan::kFastDomainAccess},       // MCR TTBR0
    {0xee120f30, Field::UpperTableBase, plan::kFastDomainAccess},  // MRC TTBR1
    {0xeef80a10, Field::FloatingPoint, plan::kFastThreadId},       // VMRS FPEXC
};
constexpr std::uint32_t kIsRead = 1u << 20;
constexpr std::uint32_t kWriteFloatingPoint = 0xeee80a10;  // VMSR FPEXC

[[nodiscard]] const SharedRegister* shared_register(std::uint32_t word) {
  for (const SharedRegister& candidate : kSharedRegisters) {
    if ((word & kTransferMask) == candidate.transfer) return &candidate;
  }
  return nullptr;
}

// Stubs do not work on SP and PC.
[[nodiscard]] bool may_use(unsigned r) { return r != 13 && r != 15; }

// A register that the instruction does not name.
[[nodiscard]] unsigned spare(unsigned a, unsigned b = kNoRegister, unsigned c = kNoRegister) {
  for (unsigned r = 0;; ++r) {
    if (r != a && r != b && r != c) return r;
  }
}

// An immediate of bits 8:6, as data processing encodes it: rotated right by 26.
[[nodiscard]] std::uint32_t masks_immediate(std::uint32_t bits) { return 0xd00 | bits >> 6; }

constexpr std::uint32_t kOrr = 0xe3800000, kBic = 0xe3c00000;  // Rd, Rn, #imm

// Writes one stub, word by word.
class Writer {
 public:
  explicit Writer(std::uint32_t first) : first_(first) {}

  void put(std::uint32_t word) { words_[count_++] = word; }
  // LDR or STR (byte) of register `rt` from or to the nearer mapping of the shared page.
  void load(unsigned rt, Field field) { transfer(0xe5100000, rt, field); }
  void store(unsigned rt, Field field) { transfer(0xe5000000, rt, field); }
  void store_byte(unsigned rt, Field field) { transfer(0xe5400000, rt, field); }
  void branch_to(std::uint32_t address) {
    put(0xea000000 | ((address - (here() + 8)) >> 2 & 0xffffff));
  }
  [[nodiscard]] std::span<const std::uint32_t> words() const {
    return std::span(words_).first(count_);
  }
  void rely_on_next() { relies_on_next_ = true; }
  [[nodiscard]] bool relies_on_next() const { return relies_on_next_; }

 private:
  [[nodiscard]] std::uint32_t here() const { return first_ + count_ * 4; }
  void transfer(std::uint32_t opcode, unsigned rt, Field field) {
    const std::uint32_t page = here() & ~(mem::kPageSize - 1);
    const std::uint32_t offset = StubRegion::kSharedOffset + static_cast<std::uint32_t>(field);
    const bool after = here() % mem::kPageSize + 8 > offset;
    const std::uint32_t target = (after ? page + mem::kPageSize : page - mem::kPageSize) + offset;
    const std::uint32_t base = here() + 8;
    const std::uint32_t distance = after ? target - base : base - target;
    constexpr std::uint32_t kAdd = 1u << 23, kPc = 15u << 16;
    put(opcode | kPc | (after ? kAdd : 0) | rt << 12 | distance);
  }

  std::uint32_t first_;
  std::uint32_t count_ = 0;
  std::array<std::uint32_t, StubRegion::kLongest> words_{};
  bool relies_on_next_ = false;
};

// A register to work with, other than `named`: one that is dead, or one that is saved and, by
// give_back(), loaded again.
class Borrowed {
 public:
  Borrowed(Writer& w, const Meaning& meaning, unsigned named, unsigned named_too = kNoRegister)
      : w_(w),
        saved_(meaning.dead == kNoRegister),
        number_(saved_ ? spare(named, named_too) : meaning.dead) {
    if (saved_) {
      w_.store(number_, Field::Save0);
    } else {
      w_.rely_on_next();
    }
  }
  [[nodiscard]] unsigned number() const { return number_; }
  void give_back() {
    if (saved_) w_.load(number_, Field::Save0);
  }

 private:
  Writer& w_;
  bool saved_;
  unsigned number_;
};

// CPSID or CPSIE of exceptions only.
[[nodiscard]] bool write_cps(Writer& w, const Instruction& i, const Meaning& meaning) {
  if (i.changes_mode || i.interrupts == Interrupts::Keep) return false;
  const bool enable = i.interrupts == Interrupts::Enable;
  Borrowed borrowed(w, meaning, kNoRegister);
  const unsigned t = borrowed.number();
  if (enable) {
    w.load(t, Field::Doorbell);
    w.put(0xe5900000 | t << 16 | t << 12);  // ldr t, [t]
  }
  w.load(t, Field::Psr);
  w.put((enable ? kBic : kOrr) | t << 16 | t << 12 | masks_immediate(i.psr_bits));
  w.store(t, Field::Psr);
  borrowed.give_back();
  return true;
}

[[nodiscard]] bool write_mrs(Writer& w, const Instruction& i, const Meaning& meaning) {
  const unsigned rd = i.rd;
  if (!may_use(rd)) return false;
  Borrowed borrowed(w, meaning, rd);
  const unsigned t = borrowed.number();
  w.put(0xe10f0000 | rd << 12);  // mrs rd, cpsr
  w.load(t, Field::Psr);
  w.put(0xe7c80010 | rd << 12 | t);  // bfi rd, t, #0, #9
  borrowed.give_back();
  return true;
}

// MSR CPSR_c: the doorbell's pages 1 to 63, not mapped, stand for another mode or state.
[[nodiscard]] bool write_msr(Writer& w, const Instruction& i, const Meaning& meaning) {
  const unsigned rn = i.rm, u = spare(rn, meaning.dead);
  if (!i.register_operand || i.psr_mask != 1 || !may_use(rn)) return false;
  Borrowed borrowed(w, meaning, rn, u);
  const unsigned t = borrowed.number();
  const Field place = meaning.dead == kNoRegister ? Field::Save1 : Field::Save0;
  w.store(u, place);
  w.load(t, Field::Psr);
  w.load(u, Field::Doorbell);
  w.put(0xe0200000 | t << 16 | t << 12 | rn);    // eor t, t, rn
  w.put(0xe2000000 | t << 16 | t << 12 | 0x3f);  // and t, t, #0x3f
  w.put(0xe7900600 | u << 16 | t << 12 | t);     // ldr t, [u, t, lsl #12]
  w.store_byte(rn, Field::Psr);
  borrowed.give_back();
  w.load(u, place);
  return true;
}

// A register is written with what it holds already, mostly: TPIDRURO by a kernel that keeps its
// current thread there, which the monitor has restored at the entry from user mode; FPEXC at a
// change of threads. Otherwise the last load is off the map.
void write_same(Writer& w, unsigned rt, Field field, const Meaning& meaning) {
  Borrowed borrowed(w, meaning, rt);
  const unsigned t = borrowed.number();
  w.load(t, field);
  w.put(0xe0200000 | t << 16 | t << 12 | rt);  // eor t, t, rt
  w.put(0xe16f0f10 | t << 12 | t);             // clz t, t
  w.put(0xe1a002a0 | t << 12 | t);             // lsr t, t, #5
  w.put(0xe2200001 | t << 16 | t << 12);       // eor t, t, #1
  static_assert(StubRegion::kOffTheMap == 1u << 20);
  w.put(0xe79f0a00 | t << 12 | t);  // ldr t, [pc, t, lsl #20]
  borrowed.give_back();
}

// Code is made coherent at an address of the kernel's: the monitor does that itself, when it
// patches a page before its first execution and when it stores to a patched one. Below 0xc0000000
// there may be a process's code.
void write_coherent(Writer& w, unsigned rt, const Meaning& meaning) {
  Borrowed borrowed(w, meaning, rt);
  const unsigned t = borrowed.number();
  w.put(0xe1a00f20 | t << 12 | rt);       // lsr t, rt, #30
  w.put(0xe2200003 | t << 16 | t << 12);  // eor t, t, #3
  w.put(0xe16f0f10 | t << 12 | t);        // clz t, t
  w.put(0xe1a002a0 | t << 12 | t);        // lsr t, t, #5
  w.put(0xe2200001 | t << 16 | t << 12);  // eor t, t, #1
  w.put(0xe79f0a00 | t << 12 | t);        // ldr t, [pc, t, lsl #20]
  borrowed.give_back();
}

// LDRT, LDRBT, STRT and STRBT with an immediate, of a slot that has nothing but what processes may
// use as they may: the same access, as whoever makes it. Of another slot the first load is off the
// map. The access may fault and go on in a fixup, where no register is known to be dead. (A word
// around the end of the address space is unpredictable.)
[[nodiscard]] bool write_unprivileged(Writer& w, std::uint32_t word, const Instruction& i,
                                      const StubOptions& options) {
  constexpr std::uint32_t kUnprivileged = 1u << 21;
  const bool fast = (options.slow_paths & plan::kFastTransfers) == 0 && options.lazy_domains;
  const bool simple = !i.register_operand && (i.size == 1 || i.size == 4) && !i.sign_extended;
  const unsigned rn = i.rn, rt = i.rt, size = i.size;
  if (!fast || !simple || !may_use(rn) || !may_use(rt)) return false;
  const unsigned t = spare(rn, rt), u = spare(rn, rt, t), last = size == 1 ? rn : u;
  w.store(t, Field::Save0);
  if (last == u) {
    w.store(u, Field::Save1);
    w.put(0xe2800000 | rn << 16 | u << 12 | (size - 1));  // add u, rn, #size - 1
  }
  w.load(t, Field::LastUsersSlot);
  w.put(0xe0400a20 | t << 16 | t << 12 | last);  // sub t, t, last, lsr #20
  w.put(0xe1a00fa0 | t << 12 | t);               // lsr t, t, #31
  w.put(0xe79f0a00 | t << 12 | t);               // ldr t, [pc, t, lsl #20]
  w.load(t, Field::Save0);
  if (last == u) w.load(u, Field::Save1);
  w.put((word & 0x0fffffff & ~kUnprivileged) | 0xe0000000);
  return true;
}

// STMDB Rn, {SP, LR}^
[[nodiscard]] bool write_user_bank(Writer& w, const Instruction& i, const Meaning& meaning) {
  const unsigned rn = i.rn;
  if (i.registers != 0x6000 || i.add || !i.pre_indexed || !may_use(rn)) return false;
  Borrowed borrowed(w, meaning, rn);
  const unsigned t = borrowed.number();
  w.load(t, Field::UserSp);
  w.put(0xe5000000 | rn << 16 | t << 12 | 8);  // str t, [rn, #-8]
  w.load(t, Field::UserLr);
  w.put(0xe5000000 | rn << 16 | t << 12 | 4);  // str t, [rn, #-4]
  borrowed.give_back();
  return true;
}

[[nodiscard]] bool write_shared_register(Writer& w, std::uint32_t word, const SharedRegister& row,
                                         const StubOptions& options) {
  const unsigned rt = transferred(word);
  if ((options.slow_paths & row.fast_path) != 0 || !may_use(rt)) return false;
  if (row.field == Field::Domains && !options.lazy_domains) return false;
  if ((word & kIsRead) != 0) {
    w.load(rt, row.field);
  } else {
    w.store(rt, row.field);
  }
  return true;
}

[[nodiscard]] bool write_thread(Writer& w, std::uint32_t word, const Meaning& meaning) {
  const unsigned rt = transferred(word);
  if (!meaning.threads || !may_use(rt)) return false;
  if (meaning.leaves_kernel) {
    w.store(rt, Field::ProcessThread);
  } else {
    write_same(w, rt, Field::KernelsThread, meaning);
  }
  return true;
}

[[nodiscard]] bool write_floating_point(Writer& w, std::uint32_t word, const StubOptions& options,
                                        const Meaning& meaning) {
  const unsigned rt = transferred(word);
  if ((options.slow_paths & plan::kFastThreadId) != 0 || !may_use(rt)) return false;
  write_same(w, rt, Field::FloatingPoint, meaning);
  return true;
}

// The first word of a loop that cleans a table: MCR DCCMVAC, Rt; ADD Rt, Rt, Rstep; SUBS Rrest,
// Rrest, Rstep; BHI. Nothing is to be done but what it leaves behind, so that the last step alone
// is left, if a step is a line. Both registers are borrowed, until all is done, and SUBS writes the
// flags.
[[nodiscard]] bool write_table_loop(Writer& w, unsigned rt, const StubOptions& options,
                                    const Meaning& meaning) {
  const unsigned rest = meaning.rest;
  const std::uint32_t line = options.line;
  if (line > 128) return false;  // no constant of one instruction
  w.store(rt, Field::Save0);
  w.store(rest, Field::Save1);
  w.put(0xe3500000 | rest << 16 | line);                     // cmp rest, #line
  w.put(0x83300000 | meaning.step << 16 | line);             // teqhi step, #line
  w.put(0x02400001 | rest << 16 | rest << 12);               // subeq rest, rest, #1
  w.put(0x00800000 | rt << 16 | rt << 12 | rest);            // addeq rt, rt, rest
  w.put(0x02000000 | rest << 16 | rest << 12 | (line - 1));  // andeq rest, rest, #line - 1
  w.put(0x00400000 | rt << 16 | rt << 12 | rest);            // subeq rt, rt, rest
  w.put(0x02800001 | rest << 16 | rest << 12);               // addeq rest, rest, #1
  return true;
}

[[nodiscard]] bool write_code_maintenance(Writer& w, std::uint32_t word, const StubOptions& options,
                                          const Meaning& meaning) {
  const unsigned rt = transferred(word);
  if ((options.slow_paths & plan::kFastTableFlush) != 0 || !may_use(rt)) return false;
  write_coherent(w, rt, meaning);
  return true;
}

// Writes what `word` does, but for the branch back. False if no stub does it.
[[nodiscard]] bool write_stub(Writer& w, std::uint32_t word, const StubOptions& options,
                              const Meaning& meaning) {
  if (const SharedRegister* const row = shared_register(word)) {
    return write_shared_register(w, word, *row, options);
  }
  if (writes_thread(word)) return write_thread(w, word, meaning);
  if ((word & kTransferMask) == kWriteFloatingPoint) {
    return write_floating_point(w, word, options, meaning);
  }
  if (meaning.cleans_table) return true;  // nothing to do
  if (meaning.rest != kNoRegister) return write_table_loop(w, transferred(word), options, meaning);
  if (maintains_code(word)) {
    return write_code_maintenance(w, word, options, meaning);
  }
  if (meaning.call != 0) {
    w.put(meaning.call);
    return true;
  }
  if ((options.slow_paths & plan::kFastMasks) != 0) return false;
  const Instruction i = decode(word);
  switch (i.op) {
    case Op::Cps:
      return write_cps(w, i, meaning);
    case Op::MrsCpsr:
      return write_mrs(w, i, meaning);
    case Op::MsrCpsr:
      return write_msr(w, i, meaning);
    case Op::MrsSpsr:
      if (!may_use(i.rd)) return false;
      w.load(i.rd, Field::SavedPsr);
      return true;
    case Op::MsrSpsr:
      if (!i.register_operand || i.psr_mask != 15 || !may_use(i.rm)) return false;
      w.store(i.rm, Field::SavedPsr);
      return true;
    case Op::StoreMultipleUser:
      return write_user_bank(w, i, meaning);
    case Op::LoadUnprivileged:
    case Op::StoreUnprivileged:
      return write_unprivileged(w, word, i, options);
    default:
      return false;
  }
}

}  // namespace

StubCode StubCode::of(std::uint32_t word, std::uint32_t site, std::uint32_t address,
                      const StubOptions& options, const Meaning& meaning) {
  StubCode code;
  Writer writer(address);
  if (!write_stub(writer, word, options, meaning)) return code;
  writer.branch_to(site + 4);
  for (const std::uint32_t each : writer.words()) code.words_[code.count_++] = each;
  code.relies_on_others_ = writer.relies_on_next() || meaning.leaves_kernel ||
                           meaning.cleans_table || meaning.rest != kNoRegister || meaning.call != 0;
  return code;
}

std::array<unsigned, 2> borrowed_registers(std::span<const std::uint32_t, 2> code,
                                           std::uint32_t address) {
  std::array<unsigned, 2> registers{kNoRegister, kNoRegister};
  for (std::uint32_t n = 0; n < registers.size(); ++n) {
    const Instruction i = decode(code[n]);
    const std::uint32_t pc = address + 4 * n + 8;
    const std::uint32_t target = i.add ? pc + i.immediate : pc - i.immediate;
    const std::uint32_t place = StubRegion::kSharedOffset + offsetof(SharedState, saved) + 4 * n;
    if (i.op != Op::Store || i.rn != 15 || target % mem::kPageSize != place) break;
    registers[n] = i.rt;
  }
  return registers;
}

}  // namespace mezzo::armv7
