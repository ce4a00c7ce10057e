// Floating point: who may use it by CPACR and FPEXC, and that its registers are kept.
#include <initializer_list>

#include "conformance/conformance.hpp"

namespace guest {
namespace {

constexpr u32 kKernelOnly = 0x00500000, kEveryone = 0x00f00000;
constexpr u32 kEnable = 1u << 30;

void write_fpexc(u32 value) { asm volatile(".fpu neon\n\tvmsr fpexc, %0\n\tisb" : : "r"(value)); }
u32 read_fpexc() {
  u32 value;
  asm volatile(".fpu neon\n\tvmrs %0, fpexc" : "=r"(value));
  return value;
}
u32 read_fpscr() {
  u32 value;
  asm volatile(".fpu neon\n\tvmrs %0, fpscr" : "=r"(value));
  return value;
}
void write_fpscr(u32 value) { asm volatile(".fpu neon\n\tvmsr fpscr, %0" : : "r"(value)); }
void fill(u32 seed) {
  asm volatile(".fpu neon\n\tvdup.32 q0, %0\n\tvdup.32 q7, %1\n\tvdup.32 q8, %2\n\tvdup.32 q15, %3"
               :
               : "r"(seed), "r"(seed + 1), "r"(seed + 2), "r"(seed + 3));
}
u32 sum() {
  u32 a, b, c, d;
  asm volatile(
      ".fpu neon\n\tvmov.32 %0, d0[1]\n\tvmov.32 %1, d15[0]\n\tvmov.32 %2, d16[1]\n\tvmov.32 %3, "
      "d31[0]"
      : "=r"(a), "=r"(b), "=r"(c), "=r"(d));
  return (a ^ b << 1) + (c ^ d << 2);
}

void rights() {
  for (const u32 access : {0u, kKernelOnly, kEveryone}) {
    for (const u32 enable : {0u, kEnable}) {
      Cpacr::write(kEveryone);
      write_fpexc(enable);
      if (enable != 0) write_fpscr(0);
      Cpacr::write(access);
      for (const Mode& mode : {kSupervisor, kUser}) {
        for (const Word* word = words_float; word != words_float_end; ++word) {
          begin_line("float");
          add_name(access);
          add_name(enable != 0 ? "on" : "off");
          add_name(mode.name);
          add_name(word->name);
          WordState before = word_input(mode, 0x11111111);
          before.r[2] = 0x03000000;  // a rounding mode and flush-to-zero
          run_word(mode, *word, before);
        }
      }
    }
  }
  Cpacr::write(kEveryone);
  write_fpexc(0);
}

// Registers over exceptions of all kinds, over the switch being off, and from mode to mode.
void kept() {
  Cpacr::write(kEveryone);
  write_fpexc(kEnable);
  line("fpexc on", read_fpexc());
  write_fpscr(0xf7c00000);
  fill(0x12340000);
  const u32 before = sum();
  for (const Mode& mode : kModes) {
    (void)run(psr::kMasks | mode.number, [](u32) { asm volatile("udf #1"); });
    (void)run(psr::kMasks | mode.number, [](u32) { asm volatile("svc #1" : : : "lr"); });
    (void)run(psr::kMasks | mode.number, [](u32) { asm volatile("cpsid i"); });
  }
  begin_line("float registers kept");
  begin_values();
  show(sum() == before);
  show(read_fpscr());
  end_line();
  write_fpexc(0);
  line("fpexc off", read_fpexc());
  write_fpexc(kEnable);
  begin_line("float registers kept while off");
  begin_values();
  show(sum() == before);
  show(read_fpscr());
  end_line();
  static u32 seen;
  (void)run(psr::kMasks | psr::kUser, [](u32) {
    seen = sum();
    fill(0x56780000);
  });
  begin_line("float registers of a process");
  begin_values();
  show(seen == before);
  show(sum() == before);
  end_line();
  // As Linux does: off at a switch, on again at the first use.
  write_fpexc(0);
  static u32 traps;
  traps = 0;
  set_hook(Exception::Undefined, [](TrapFrame& frame) {
    ++traps;
    write_fpexc(kEnable);
    frame.lr -= 4;
    return true;
  });
  (void)run(psr::kMasks | psr::kUser, [](u32) { seen = sum(); });
  set_hook(Exception::Undefined, nullptr);
  begin_line("float switched on at first use");
  begin_values();
  show(traps);
  show(seen == sum());
  end_line();
  write_fpscr(0);
  write_fpexc(0);
  Cpacr::write(0);
}

}  // namespace

void test_floating_point() {
  rights();
  kept();
}

}  // namespace guest
