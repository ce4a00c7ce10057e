// The encodings of all A32 instructions that the decoder knows: one table, for the decoder only.
//
// Source: ARM DDI 0406C; each row names the section that has its encoding.
#pragma once

#include <array>
#include <cstdint>

#include "arch/armv7/decode.hpp"

namespace mezzo::armv7::detail {

// How the operands are laid out.
enum class Form : std::uint8_t {
  None,
  Cps,
  Setend,
  Rfe,
  Srs,
  Mrs,
  MsrRegister,
  MsrImmediate,
  MrsBanked,
  MsrBanked,
  AluRegister,
  AluImmediate,
  Immediate24,
  Immediate12And4,
  Immediate4,
  CoprocessorRegister,
  CoprocessorPair,
  FloatingPointRegister,
  WordImmediate,   // word and byte transfers: 12-bit offset
  WordRegister,    // shifted register
  ExtraImmediate,  // halfword, signed and dual transfers: 8-bit offset in two parts
  ExtraRegister,
  Multiple,
  Exclusive,
  Swap,
};

// How the instruction is sensitive, see Sensitivity.
enum class Sensitive : std::uint8_t {
  No,
  Yes,          // Certain, unless it has a condition that is common in addresses
  UnlessFlags,  // likewise, if the psr_mask touches more than the flags
  Ambiguous,
};

struct Row {
  std::uint32_t mask;
  std::uint32_t match;
  Op op;
  Form form;
  Sensitive sensitive = Sensitive::No;
  std::uint8_t size = 0;
  bool sign_extended = false;

  // Rows that say nothing about bits 31:28 are for conditional words, that is, not for 0b1111.
  [[nodiscard]] constexpr bool is_conditional() const { return mask >> 28 == 0; }
  [[nodiscard]] constexpr bool matches(std::uint32_t word) const { return (word & mask) == match; }
};

inline constexpr auto kYes = Sensitive::Yes;
inline constexpr auto kMaybe = Sensitive::Ambiguous;
inline constexpr auto kNo = Sensitive::No;

// The first row that matches counts.
inline constexpr auto kRows = [] {
  using enum Op;
  return std::to_array<Row>({
      // Unconditional: A5.7.
      {0xfff1fe20, 0xf1000000, Cps, Form::Cps, kYes},       // B9.3.2
      {0xfffffdff, 0xf1010000, Setend, Form::Setend},       // A8.8.167
      {0xfe50ffff, 0xf8100a00, Rfe, Form::Rfe, kYes},       // B9.3.13
      {0xfe5fffe0, 0xf84d0500, Srs, Form::Srs, kYes},       // B9.3.16
      {0xfe000000, 0xf2000000, FloatingPoint, Form::None},  // A7.4
      {0xff100000, 0xf4000000, FloatingPoint, Form::None},  // A7.7

      // Data processing with S to the PC: B9.3.20. With a shift by register it is unpredictable.
      {0x0f10f010, 0x0010f000, DataToPc, Form::AluRegister, kMaybe},   // AND to RSC
      {0x0fb0f010, 0x0190f000, DataToPc, Form::AluRegister, kMaybe},   // ORR, BIC
      {0x0fbff010, 0x01b0f000, DataToPc, Form::AluRegister, kMaybe},   // MOV, MVN, shifts
      {0x0f10f000, 0x0210f000, DataToPc, Form::AluImmediate, kMaybe},  // the same with a constant
      {0x0fb0f000, 0x0390f000, DataToPc, Form::AluImmediate, kMaybe},
      {0x0fbff000, 0x03b0f000, DataToPc, Form::AluImmediate, kMaybe},

      // Miscellaneous: A5.2.11, A5.2.12.
      {0x0fff0fff, 0x010f0000, MrsCpsr, Form::Mrs, kYes},                             // B9.3.8
      {0x0fff0fff, 0x014f0000, MrsSpsr, Form::Mrs, kYes},                             // B9.3.8
      {0x0ff0fff0, 0x0120f000, MsrCpsr, Form::MsrRegister, Sensitive::UnlessFlags},   // B9.3.12
      {0x0ff0fff0, 0x0160f000, MsrSpsr, Form::MsrRegister, kYes},                     // B9.3.12
      {0x0fffffff, 0x0320f001, Yield, Form::None},                                    // A8.8.426
      {0x0fffffff, 0x0320f002, Wfe, Form::None},                                      // A8.8.424
      {0x0fffffff, 0x0320f003, Wfi, Form::None, kYes},                                // A8.8.425
      {0x0fffffff, 0x0320f004, Sev, Form::None},                                      // A8.8.168
      {0x0ff0f000, 0x0320f000, MsrCpsr, Form::MsrImmediate, Sensitive::UnlessFlags},  // B9.3.11
      {0x0ff0f000, 0x0360f000, MsrSpsr, Form::MsrImmediate, kYes},                    // B9.3.11
      {0x0fb00eff, 0x01000200, MrsBanked, Form::MrsBanked},                           // B9.3.9
      {0x0fb0fef0, 0x0120f200, MsrBanked, Form::MsrBanked},                           // B9.3.10
      {0x0ff000f0, 0x01400070, Hvc, Form::Immediate12And4},                           // B9.3.4
      {0x0ffffff0, 0x01600070, Smc, Form::Immediate4},                                // B9.3.14

      // Synchronization primitives: A5.2.10.
      {0x0ff00ff0, 0x01000090, Swap, Form::Swap, kNo, 4},                 // A8.8.229
      {0x0ff00ff0, 0x01400090, Swap, Form::Swap, kNo, 1},                 // A8.8.229
      {0x0ff00ff0, 0x01800f90, StoreExclusive, Form::Exclusive, kNo, 4},  // A8.8.212
      {0x0ff00fff, 0x01900f9f, LoadExclusive, Form::Exclusive, kNo, 4},   // A8.8.75
      {0x0ff00ff0, 0x01a00f90, StoreExclusive, Form::Exclusive, kNo, 8},  // A8.8.214
      {0x0ff00fff, 0x01b00f9f, LoadExclusive, Form::Exclusive, kNo, 8},   // A8.8.77
      {0x0ff00ff0, 0x01c00f90, StoreExclusive, Form::Exclusive, kNo, 1},  // A8.8.213
      {0x0ff00fff, 0x01d00f9f, LoadExclusive, Form::Exclusive, kNo, 1},   // A8.8.76
      {0x0ff00ff0, 0x01e00f90, StoreExclusive, Form::Exclusive, kNo, 2},  // A8.8.215
      {0x0ff00fff, 0x01f00f9f, LoadExclusive, Form::Exclusive, kNo, 2},   // A8.8.78

      // Extra transfers, unprivileged: A5.2.9. Immediate and register offset of each.
      {0x0f7000f0, 0x006000b0, StoreUnprivileged, Form::ExtraImmediate, kMaybe, 2},  // A8.8.219
      {0x0f700ff0, 0x002000b0, StoreUnprivileged, Form::ExtraRegister, kMaybe, 2},   //
      {0x0f7000f0, 0x007000b0, LoadUnprivileged, Form::ExtraImmediate, kMaybe, 2},   // A8.8.83
      {0x0f700ff0, 0x003000b0, LoadUnprivileged, Form::ExtraRegister, kMaybe, 2},    //
      {0x0f7000f0, 0x007000d0, LoadUnprivileged, Form::ExtraImmediate, kMaybe, 1, true},  // A8.8.87
      {0x0f700ff0, 0x003000d0, LoadUnprivileged, Form::ExtraRegister, kMaybe, 1, true},   //
      {0x0f7000f0, 0x007000f0, LoadUnprivileged, Form::ExtraImmediate, kMaybe, 2, true},  // A8.8.91
      {0x0f700ff0, 0x003000f0, LoadUnprivileged, Form::ExtraRegister, kMaybe, 2, true},   //

      // Extra transfers: A5.2.8.
      {0x0e5000f0, 0x004000b0, Store, Form::ExtraImmediate, kNo, 2},       // A8.8.217
      {0x0e500ff0, 0x000000b0, Store, Form::ExtraRegister, kNo, 2},        // A8.8.218
      {0x0e5000f0, 0x005000b0, Load, Form::ExtraImmediate, kNo, 2},        // A8.8.80, 81
      {0x0e500ff0, 0x001000b0, Load, Form::ExtraRegister, kNo, 2},         // A8.8.82
      {0x0e5000f0, 0x004000d0, LoadDual, Form::ExtraImmediate, kNo, 8},    // A8.8.72, 73
      {0x0e500ff0, 0x000000d0, LoadDual, Form::ExtraRegister, kNo, 8},     // A8.8.74
      {0x0e5000f0, 0x005000d0, Load, Form::ExtraImmediate, kNo, 1, true},  // A8.8.84, 85
      {0x0e500ff0, 0x001000d0, Load, Form::ExtraRegister, kNo, 1, true},   // A8.8.86
      {0x0e5000f0, 0x004000f0, StoreDual, Form::ExtraImmediate, kNo, 8},   // A8.8.210
      {0x0e500ff0, 0x000000f0, StoreDual, Form::ExtraRegister, kNo, 8},    // A8.8.211
      {0x0e5000f0, 0x005000f0, Load, Form::ExtraImmediate, kNo, 2, true},  // A8.8.88, 89
      {0x0e500ff0, 0x001000f0, Load, Form::ExtraRegister, kNo, 2, true},   // A8.8.90

      // Word and byte: A5.3. The unprivileged ones are those with P clear and W set.
      {0x0f700000, 0x04200000, StoreUnprivileged, Form::WordImmediate, kMaybe, 4},  // A8.8.220
      {0x0f700010, 0x06200000, StoreUnprivileged, Form::WordRegister, kMaybe, 4},   //
      {0x0f700000, 0x04300000, LoadUnprivileged, Form::WordImmediate, kMaybe, 4},   // A8.8.92
      {0x0f700010, 0x06300000, LoadUnprivileged, Form::WordRegister, kMaybe, 4},    //
      {0x0f700000, 0x04600000, StoreUnprivileged, Form::WordImmediate, kMaybe, 1},  // A8.8.209
      {0x0f700010, 0x06600000, StoreUnprivileged, Form::WordRegister, kMaybe, 1},   //
      {0x0f700000, 0x04700000, LoadUnprivileged, Form::WordImmediate, kMaybe, 1},   // A8.8.71
      {0x0f700010, 0x06700000, LoadUnprivileged, Form::WordRegister, kMaybe, 1},    //
      {0x0e500000, 0x04000000, Store, Form::WordImmediate, kNo, 4},                 // A8.8.204
      {0x0e500010, 0x06000000, Store, Form::WordRegister, kNo, 4},                  // A8.8.205
      {0x0e500000, 0x04100000, Load, Form::WordImmediate, kNo, 4},                  // A8.8.63, 64
      {0x0e500010, 0x06100000, Load, Form::WordRegister, kNo, 4},                   // A8.8.66
      {0x0e500000, 0x04400000, Store, Form::WordImmediate, kNo, 1},                 // A8.8.207
      {0x0e500010, 0x06400000, Store, Form::WordRegister, kNo, 1},                  // A8.8.208
      {0x0e500000, 0x04500000, Load, Form::WordImmediate, kNo, 1},                  // A8.8.68, 69
      {0x0e500010, 0x06500000, Load, Form::WordRegister, kNo, 1},                   // A8.8.70

      // Block transfers: A5.5.
      {0x0e708000, 0x08500000, LoadMultipleUser, Form::Multiple, kMaybe},    // B9.3.6
      {0x0e508000, 0x08508000, LoadMultipleReturn, Form::Multiple, kMaybe},  // B9.3.5
      {0x0e700000, 0x08400000, StoreMultipleUser, Form::Multiple, kMaybe},   // B9.3.17
      {0x0e500000, 0x08100000, LoadMultiple, Form::Multiple},                // A8.8.58 to 61
      {0x0e500000, 0x08000000, StoreMultiple, Form::Multiple},               // A8.8.199 to 202

      // Coprocessors and SVC: A5.6. VFP and Advanced SIMD are p10 and p11.
      {0x0ff00fff, 0x0ef00a10, Vmrs, Form::FloatingPointRegister},     // B9.3.21
      {0x0ff00fff, 0x0ee00a10, Vmsr, Form::FloatingPointRegister},     // B9.3.22
      {0x0e000e00, 0x0c000a00, FloatingPoint, Form::None},             // A7.6, A7.9
      {0x0f000e00, 0x0e000a00, FloatingPoint, Form::None},             // A7.5, A7.8
      {0x0fff0fff, 0x0e100e10, Mrc, Form::CoprocessorRegister, kYes},  // C11.11: DBGDIDR
      {0x0fff0fff, 0x0e100e11, Mrc, Form::CoprocessorRegister, kYes},  // C11.11: DBGDSCRint
      {0x0fff0fff, 0x0e110e10, Mrc, Form::CoprocessorRegister, kYes},  // C11.11: DBGDRAR
      {0x0fff0fff, 0x0e120e10, Mrc, Form::CoprocessorRegister, kYes},  // C11.11: DBGDSAR
      {0x0fff0fff, 0x0e1d0f50, Mrc, Form::CoprocessorRegister, kYes},  // B4.1.150: TPIDRURW
      {0x0fff0fff, 0x0e0d0f50, Mcr, Form::CoprocessorRegister, kYes},  // B4.1.150: TPIDRURW
      {0x0f100010, 0x0e000010, Mcr, Form::CoprocessorRegister},        // A8.8.98
      {0x0f100010, 0x0e100010, Mrc, Form::CoprocessorRegister},        // A8.8.107
      {0x0ff00000, 0x0c400000, Mcrr, Form::CoprocessorPair},           // A8.8.99
      {0x0ff00000, 0x0c500000, Mrrc, Form::CoprocessorPair},           // A8.8.108
      {0x0f000000, 0x0f000000, Svc, Form::Immediate24},                // A8.8.228
  });
}();

static_assert([] {
  for (const Row& row : kRows) {
    const bool whole_condition = row.mask >> 28 == 15 && row.match >> 28 == 15;
    if ((row.match & ~row.mask) != 0 || !(row.is_conditional() || whole_condition)) return false;
  }
  return true;
}());

}  // namespace mezzo::armv7::detail
