// Decoder for 32-bit ARM (A32) instructions that the monitor emulates or must replace.
//
// It answers two questions. `decode`: which of the monitor's instructions does a word spell, and
// what are its operands. `is_sensitive`: does a word have to be replaced before a guest's kernel
// may run it, because in user mode (PL0) the processor would do something else without a trap. It
// reads no register and no memory, and condition codes are for the caller to check. Thumb is not
// decoded.
//
// What the manual calls UNPREDICTABLE, including words whose should-be-one or should-be-zero bits
// are wrong, is `Op::Other`: no compiler writes it, and literal pools look like it. Source: ARM
// Architecture Reference Manual, ARM DDI 0406C, chapters A5 (encodings), A8 and B9 (instructions).
#pragma once

#include <array>
#include <cstdint>

namespace mezzo::armv7 {

// "S" in a comment marks what is sensitive without trapping at PL0.
enum class Op : std::uint8_t {
  Other,  // none of ours, or unpredictable

  // Processor state.
  Cps,      // S: interrupts, psr_bits; changes_mode, mode
  MrsCpsr,  // S: rd
  MrsSpsr,  // S: rd
  MsrCpsr,  // S if psr_mask touches more than the flags: psr_mask; rm or immediate
  MsrSpsr,  // S: likewise
  // SETEND changes CPSR.E, which is a guest's own in every mode and stays in its frame: not
  // replaced.
  Setend,  // immediate: the new E bit, 0 or 1

  // Exception entry and return.
  DataToPc,  // S: MOVS PC, LR; SUBS PC, LR, #4 and all others: alu; rd = 15, rn, rm or immediate
  LoadMultipleReturn,  // S: LDM with ^ and the PC: rn, registers, addressing
  Rfe,                 // S: rn, addressing
  Srs,                 // S: mode, addressing (the base is that mode's R13)

  // User registers and user accesses from the kernel.
  LoadMultipleUser,   // S: LDM with ^ without the PC: rn, registers, addressing, no writeback
  StoreMultipleUser,  // S: STM with ^: likewise
  LoadUnprivileged,   // S: LDRT, LDRBT, LDRHT, LDRSBT, LDRSHT: as Load, always post-indexed
  StoreUnprivileged,  // S: STRT, STRBT, STRHT: as Store, always post-indexed

  // Hints. WFI must sleep in the monitor, which alone knows the guest's pending interrupts. WFE,
  // SEV and YIELD do their work at PL0: an interrupt, which always is the monitor's, ends WFE, and
  // an event too many is allowed by the architecture.
  Wfi,  // S
  Wfe,
  Sev,
  Yield,

  // Undefined at PL0, so they trap by themselves, but for S: reads of DBGDIDR, DBGDSCRint, DBGDRAR
  // and DBGDSAR (p14), which PL0 may do unless DBGDSCR.UDCCdis is set; and TPIDRURW, which holds
  // something else while the guest's kernel runs (stub_code.hpp).
  Mcr,        // coprocessor, opc1, rt, crn, crm, opc2; never p10 or p11
  Mrc,        // likewise; rt = 15 writes the flags
  Mcrr,       // coprocessor, opc1, rt, rt2, crm
  Mrrc,       // likewise
  MrsBanked,  // Virtualization Extensions: rd, immediate = R:M:M1
  MsrBanked,  // likewise: rm
  Smc,        // immediate
  Hvc,        // immediate
  Svc,        // immediate: 24 bits; traps to the monitor as such

  // VFP and Advanced SIMD: undefined while FPEXC.EN is clear.
  Vmrs,           // rt, crn = the register: 0 FPSID, 1 FPSCR, 6 MVFR1, 7 MVFR0, 8 FPEXC
  Vmsr,           // likewise
  FloatingPoint,  // any other of these, loads and stores included; no operands

  // Loads and stores, for emulated devices and for stores to replaced words. `size` is in bytes.
  Load,            // rt, rn, addressing, size, sign_extended; rt = 15 branches
  Store,           // rt, rn, addressing, size
  LoadDual,        // rt, rt2 = rt + 1, rn, addressing, size = 8
  StoreDual,       // likewise
  LoadMultiple,    // rn, registers, addressing
  StoreMultiple,   // likewise
  LoadExclusive,   // rt (rt2 with size 8), rn, size
  StoreExclusive,  // rd = status, rt (rt2 with size 8), rn, size
  Swap,            // SWP, SWPB: rt = loaded, rm = stored, rn, size
};

enum class Alu : std::uint8_t {  // opcode field of data processing
  And = 0,
  Eor,
  Sub,
  Rsb,
  Add,
  Adc,
  Sbc,
  Rsc,
  Orr = 12,
  Mov,
  Bic,
  Mvn,
};

enum class Shift : std::uint8_t { Lsl, Lsr, Asr, Ror, Rrx };

enum class Interrupts : std::uint8_t { Keep = 0, Enable = 2, Disable = 3 };  // imod of CPS

inline constexpr std::uint8_t kAlways = 14;  // condition AL

// Which fields mean something is said at each Op; the others are 0.
//
// Addressing of single and dual transfers: the offset is `immediate`, or rm shifted if
// `register_operand`; it is added if `add`, else subtracted; the address is the sum if
// `pre_indexed`, else rn; the sum goes back to rn if `writeback` (set for post-indexed forms).
// Addressing of multiple transfers, RFE and SRS: upwards if `add`, the first address being rn, or
// one word on if `pre_indexed`; downwards likewise; `writeback` as encoded.
struct Instruction {
  Op op = Op::Other;
  std::uint8_t condition = kAlways;  // 0 (EQ) to 14 (AL); words without a condition: AL
  std::uint8_t rd = 0;
  std::uint8_t rn = 0;
  std::uint8_t rm = 0;
  std::uint8_t rt = 0;
  std::uint8_t rt2 = 0;
  std::uint8_t size = 0;
  std::uint16_t registers = 0;  // bit n: register n
  std::uint32_t immediate = 0;  // offset (its sign is in `add`) or expanded constant
  Shift shift = Shift::Lsl;
  std::uint8_t shift_amount = 0;  // 0 to 32; 1 with Rrx
  bool register_operand = false;  // rm, shifted, rather than immediate
  bool pre_indexed = false;
  bool add = false;
  bool writeback = false;
  bool sign_extended = false;
  Alu alu = Alu::And;
  std::uint8_t psr_mask = 0;  // bit 0 control, 1 extension, 2 status, 3 flags
  Interrupts interrupts = Interrupts::Keep;
  std::uint16_t psr_bits = 0;  // CPS: which of A, I, F, where the CPSR has them (bits 8, 7, 6)
  bool changes_mode = false;
  std::uint8_t mode = 0;  // CPSR.M
  std::uint8_t coprocessor = 0;
  std::uint8_t opc1 = 0;
  std::uint8_t crn = 0;
  std::uint8_t crm = 0;
  std::uint8_t opc2 = 0;

  bool operator==(const Instruction&) const = default;
};

// The bits of a PSR that a psr_mask selects.
[[nodiscard]] constexpr std::uint32_t psr_field_bits(std::uint8_t psr_mask) {
  std::uint32_t bits = 0;
  for (unsigned field = 0; field < 4; ++field) {
    if ((psr_mask >> field & 1) != 0) bits |= 0xffu << 8 * field;
  }
  return bits;
}

// Decodes a word as fetched. Never fails: what is not in the table above is Op::Other, with its
// condition.
[[nodiscard]] Instruction decode(std::uint32_t word);

// Whether a guest's kernel must not run a word as it is, because it executes at PL0 but not as the
// guest means it.
enum class Sensitivity : std::uint8_t {
  None,
  // Nothing but code looks like this.
  Certain,
  // Addresses and other constants between the instructions may look like it too, and must not be
  // changed, as the guest reads them: decide by what is around it. These cost little if left alone:
  // DataToPc and multiple transfers with ^ are unpredictable at PL0, which the known processors
  // take as undefined, so they trap; unprivileged transfers are done with the rights of the kernel.
  // MRC and MCR TPIDRURW with the conditions of addresses, which no kernel has, reach its TPIDRPRW.
  Ambiguous,
};

namespace detail {
// Bits 15:0 of a word, as far as they are the same in several encodings.
class Shape {
 public:
  // Has this encoding as well.
  constexpr void widen(std::uint32_t mask, std::uint32_t match) {
    const auto fixed = static_cast<std::uint16_t>(mask), value = static_cast<std::uint16_t>(match);
    const bool is_first = value_ > fixed_;
    fixed_ = is_first ? fixed : fixed_ & fixed & ~(value_ ^ value);
    value_ = (is_first ? value : value_) & fixed_;
  }
  [[nodiscard]] constexpr bool fits(std::uint32_t word) const { return (word & fixed_) == value_; }
  bool operator==(const Shape&) const = default;

 private:
  std::uint16_t fixed_ = 0, value_ = 1;  // of no encoding: nothing fits
};
using Shapes = std::array<Shape, 2>;
struct Filter {
  std::array<std::uint8_t, 4096> shapes_of{};  // by bits 31:20 of a word; 0: none
  std::array<Shapes, 64> shapes{};
};
extern const Filter kFilter;
[[nodiscard]] Sensitivity sensitivity_in_table(std::uint32_t word);
}  // namespace detail

// For scanning: 0 for most words of a kernel, and for none that is_of_interest().
[[nodiscard]] inline std::uint32_t interest(std::uint32_t word) {
  return detail::kFilter.shapes_of[word >> 20];
}
// False for almost all words that are neither sensitive nor SVC or MCR.
[[nodiscard]] inline bool is_of_interest(std::uint32_t word) {
  constexpr std::uint32_t kNop = 0xe320f000;  // what tracing puts into functions
  const detail::Shapes& shapes = detail::kFilter.shapes[interest(word)];
  return (shapes[0].fits(word) || shapes[1].fits(word)) && word != kNop;
}
[[nodiscard]] inline Sensitivity sensitivity(std::uint32_t word) {
  return is_of_interest(word) ? detail::sensitivity_in_table(word) : Sensitivity::None;
}
[[nodiscard]] inline bool is_sensitive(std::uint32_t word) {
  return sensitivity(word) != Sensitivity::None;
}

}  // namespace mezzo::armv7
