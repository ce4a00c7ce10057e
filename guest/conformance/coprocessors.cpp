// Coprocessor registers: who may read and write each, what they hold, and what a write leaves in
// those that a kernel writes; the operations that are named like registers. Not a scan of all
// encodings: QEMU knows registers that no manual of the processor has.
#include <utility>

#include "conformance/conformance.hpp"

namespace guest {
namespace {

struct Name {
  u8 coprocessor, crn, opc1, crm, opc2;
};
consteval Name cp15(unsigned crn, unsigned opc1, unsigned crm, unsigned opc2) {
  return {15, static_cast<u8>(crn), static_cast<u8>(opc1), static_cast<u8>(crm),
          static_cast<u8>(opc2)};
}
consteval Name cp14(unsigned crn, unsigned opc1, unsigned crm, unsigned opc2) {
  return {14, static_cast<u8>(crn), static_cast<u8>(opc1), static_cast<u8>(crm),
          static_cast<u8>(opc2)};
}

constexpr unsigned kReadTo = 1, kWriteFrom = 2;  // r1, r2
[[nodiscard]] constexpr u32 encode(const Name& name, bool read) {
  return 0xee000010 | (read ? 1u << 20 : 0) | u32{name.opc1} << 21 | u32{name.crn} << 16 |
         (read ? kReadTo : kWriteFrom) << 12 | u32{name.coprocessor} << 8 | u32{name.opc2} << 5 |
         name.crm;
}

struct Register {
  Name name;
  const char* title;
  const char* difference = nullptr;  // why a monitor's guest may find something else
};

constexpr const char* kNoCounters = "no performance counters";
constexpr const char* kNoDebug = "no debug registers";
constexpr const char* kNonSecure = "the guest is in the Non-secure world";

constexpr Register kRegisters[] = {
    {cp15(0, 0, 0, 0), "MIDR"},
    {cp15(0, 0, 0, 1), "CTR"},
    {cp15(0, 0, 0, 2), "TCMTR"},
    {cp15(0, 0, 0, 3), "TLBTR"},
    {cp15(0, 0, 0, 5), "MPIDR", "one CPU"},
    {cp15(0, 0, 0, 6), "REVIDR"},
    {cp15(0, 0, 1, 0), "ID_PFR0", "no ThumbEE"},
    {cp15(0, 0, 1, 1), "ID_PFR1", kNonSecure},
    {cp15(0, 0, 1, 2), "ID_DFR0", "no counters, no debug registers"},
    {cp15(0, 0, 1, 3), "ID_AFR0"},
    {cp15(0, 0, 1, 4), "ID_MMFR0"},
    {cp15(0, 0, 1, 5), "ID_MMFR1"},
    {cp15(0, 0, 1, 6), "ID_MMFR2"},
    {cp15(0, 0, 1, 7), "ID_MMFR3"},
    {cp15(0, 0, 2, 0), "ID_ISAR0"},
    {cp15(0, 0, 2, 1), "ID_ISAR1"},
    {cp15(0, 0, 2, 2), "ID_ISAR2"},
    {cp15(0, 0, 2, 3), "ID_ISAR3"},
    {cp15(0, 0, 2, 4), "ID_ISAR4"},
    {cp15(0, 0, 2, 5), "ID_ISAR5"},
    {cp15(0, 1, 0, 0), "CCSIDR"},
    {cp15(0, 1, 0, 1), "CLIDR"},
    {cp15(0, 1, 0, 7), "AIDR"},
    {cp15(0, 2, 0, 0), "CSSELR"},
    {cp15(1, 0, 0, 0), "SCTLR"},
    {cp15(1, 0, 0, 1), "ACTLR"},
    {cp15(1, 0, 0, 2), "CPACR"},
    {cp15(1, 0, 1, 0), "SCR", kNonSecure},
    {cp15(1, 0, 1, 1), "SDER", kNonSecure},
    {cp15(1, 0, 1, 2), "NSACR", kNonSecure},
    {cp15(2, 0, 0, 0), "TTBR0"},
    {cp15(2, 0, 0, 1), "TTBR1"},
    {cp15(2, 0, 0, 2), "TTBCR"},
    {cp15(3, 0, 0, 0), "DACR"},
    {cp15(5, 0, 0, 0), "DFSR"},
    {cp15(5, 0, 0, 1), "IFSR"},
    {cp15(5, 0, 1, 0), "ADFSR"},
    {cp15(5, 0, 1, 1), "AIFSR"},
    {cp15(6, 0, 0, 0), "DFAR"},
    {cp15(6, 0, 0, 2), "IFAR"},
    {cp15(7, 0, 4, 0), "PAR"},
    {cp15(9, 0, 12, 0), "PMCR", kNoCounters},
    {cp15(9, 0, 13, 0), "PMCCNTR", kNoCounters},
    {cp15(9, 0, 14, 0), "PMUSERENR"},
    {cp15(10, 0, 2, 0), "PRRR", "unknown after reset"},
    {cp15(10, 0, 2, 1), "NMRR", "unknown after reset"},
    {cp15(12, 0, 0, 0), "VBAR"},
    {cp15(12, 0, 0, 1), "MVBAR", kNonSecure},
    {cp15(12, 0, 1, 0), "ISR"},
    {cp15(13, 0, 0, 0), "FCSEIDR"},
    {cp15(13, 0, 0, 1), "CONTEXTIDR"},
    {cp15(13, 0, 0, 2), "TPIDRURW"},
    {cp15(13, 0, 0, 3), "TPIDRURO"},
    {cp15(13, 0, 0, 4), "TPIDRPRW"},
    {cp15(15, 0, 0, 0), "power control"},
    {cp15(15, 4, 0, 0), "CBAR"},
    {cp14(0, 0, 0, 0), "DBGDIDR", kNoDebug},
    {cp14(0, 0, 1, 0), "DBGDSCRint", kNoDebug},
    {cp14(1, 0, 0, 0), "DBGDRAR", kNoDebug},
    {cp14(2, 0, 0, 0), "DBGDSAR", kNoDebug},
    {cp14(0, 6, 0, 0), "TEECR", "no ThumbEE"},
    {cp14(1, 6, 0, 0), "TEEHBR", "no ThumbEE"},
    {cp14(0, 7, 0, 0), "JIDR"},
    {cp14(1, 7, 0, 0), "JOSCR"},
    {cp14(2, 7, 0, 0), "JMCR"},
};

constexpr Register kOperations[] = {
    {cp15(7, 0, 0, 4), "NOP, once WFI"}, {cp15(7, 0, 1, 0), "ICIALLUIS"},
    {cp15(7, 0, 1, 6), "BPIALLIS"},      {cp15(7, 0, 5, 0), "ICIALLU"},
    {cp15(7, 0, 5, 1), "ICIMVAU"},       {cp15(7, 0, 5, 4), "CP15ISB"},
    {cp15(7, 0, 5, 6), "BPIALL"},        {cp15(7, 0, 5, 7), "BPIMVA"},
    {cp15(7, 0, 6, 1), "DCIMVAC"},       {cp15(7, 0, 6, 2), "DCISW"},
    {cp15(7, 0, 8, 0), "ATS1CPR"},       {cp15(7, 0, 8, 1), "ATS1CPW"},
    {cp15(7, 0, 8, 2), "ATS1CUR"},       {cp15(7, 0, 8, 3), "ATS1CUW"},
    {cp15(7, 0, 10, 1), "DCCMVAC"},      {cp15(7, 0, 10, 2), "DCCSW"},
    {cp15(7, 0, 10, 4), "CP15DSB"},      {cp15(7, 0, 10, 5), "CP15DMB"},
    {cp15(7, 0, 11, 1), "DCCMVAU"},      {cp15(7, 0, 13, 1), "NOP, once prefetch"},
    {cp15(7, 0, 14, 1), "DCCIMVAC"},     {cp15(7, 0, 14, 2), "DCCISW"},
    {cp15(8, 0, 3, 0), "TLBIALLIS"},     {cp15(8, 0, 3, 1), "TLBIMVAIS"},
    {cp15(8, 0, 3, 2), "TLBIASIDIS"},    {cp15(8, 0, 3, 3), "TLBIMVAAIS"},
    {cp15(8, 0, 5, 0), "ITLBIALL"},      {cp15(8, 0, 5, 1), "ITLBIMVA"},
    {cp15(8, 0, 5, 2), "ITLBIASID"},     {cp15(8, 0, 6, 0), "DTLBIALL"},
    {cp15(8, 0, 6, 1), "DTLBIMVA"},      {cp15(8, 0, 6, 2), "DTLBIASID"},
    {cp15(8, 0, 7, 0), "TLBIALL"},       {cp15(8, 0, 7, 1), "TLBIMVA"},
    {cp15(8, 0, 7, 2), "TLBIASID"},      {cp15(8, 0, 7, 3), "TLBIMVAA"},
};

constexpr Mode kWho[] = {kSupervisor, {"sys", psr::kSystem}, {"fiq", psr::kFiq}, kUser};

// One access in each kind of mode.
void try_access(const Register& row, bool read) {
  for (const Mode& mode : kWho) {
    WordState after;
    const Taken taken =
        execute_word(mode, encode(row.name, read), word_input(mode, 0x5a5a5a5a), &after);
    begin_line(read ? "read" : "operation");
    add_name(mode.name);
    add_name(row.title);
    begin_values();
    if (!taken.left()) {
      show(after.r[kReadTo]);
    } else {
      show("refused", static_cast<u32>(taken.exception));
    }
    if (row.difference != nullptr) {
      end_line_differing(row.difference);
    } else {
      end_line();
    }
  }
}

// Reads what `values` leave in a register, and puts back what was there. No exception may happen
// between.
template <class R, unsigned n>
void write_and_read(const char* title, const u32 (&values)[n]) {
  const u32 before = R::read();
  u32 found[n];
  for (unsigned i = 0; i < n; ++i) {
    R::write(values[i]);
    found[i] = R::read();
  }
  R::write(before);
  for (unsigned i = 0; i < n; ++i) {
    begin_line("write");
    add_name(title);
    add_name(values[i]);
    begin_values();
    show(found[i]);
    end_line();
  }
}

void writes() {
  constexpr u32 kAll[] = {0xffffffff, 0, 0x5a5a5a5a, 0xa5a5a5a5};
  write_and_read<Ttbr0>("TTBR0", kAll);
  write_and_read<Ttbr1>("TTBR1", kAll);
  write_and_read<Ttbcr>("TTBCR", {1, 7, 0x10, 0x20, 0x37});
  write_and_read<Dacr>("DACR", kAll);
  write_and_read<Ifar>("IFAR", kAll);
  write_and_read<Dfar>("DFAR", kAll);
  write_and_read<Dfsr>("DFSR", {0, 0x0f, 0x5f, 0x40f, 0x80f, 0x1cff});
  write_and_read<Ifsr>("IFSR", {0, 0x0f, 0x40f, 0x140f});
  write_and_read<Par>("PAR", kAll);
  write_and_read<Cp15<0, 10, 2, 0>>("PRRR", {0x000a81a8, 0, 0xff0fffff});
  write_and_read<Cp15<0, 10, 2, 1>>("NMRR", kAll);
  write_and_read<VectorBase>("VBAR", {0x60000000, 0x60000020, 0xffffffe0});
  write_and_read<ContextId>("CONTEXTIDR", kAll);
  write_and_read<Cp15<0, 13, 0, 2>>("TPIDRURW", kAll);
  write_and_read<Cp15<0, 13, 0, 3>>("TPIDRURO", kAll);
  write_and_read<Cp15<0, 13, 0, 4>>("TPIDRPRW", kAll);
  write_and_read<Cp15<2, 0, 0, 0>>("CSSELR", {0, 1, 2, 3});
  write_and_read<Cpacr>("CPACR", {0, 0x00500000, 0x00f00000, 0x00f0ffff, 0x00a00000});
  // M, V, EE and TE have cases of their own.
  const u32 sctlr = Sctlr::read();
  for (const u32 bit : {1u, 2u, 10u, 11u, 12u, 14u, 28u, 29u}) {
    Sctlr::write(sctlr ^ 1u << bit);
    const u32 found = Sctlr::read();
    Sctlr::write(sctlr);
    begin_line("write SCTLR bit");
    add_name(bit);
    begin_values();
    show(found);
    end_line();
  }
}

// What one mode writes to a thread ID register, the others see there and in no other one. In turn,
// and again, so that what a monitor does about a word that is executed often is seen, too.
void thread_ids() {
  using UserWritable = Cp15<0, 13, 0, 2>;
  using UserReadOnly = Cp15<0, 13, 0, 3>;
  using Privileged = Cp15<0, 13, 0, 4>;
  UserReadOnly::write(0x44444444);
  u32 number = 0x11111111;
  for (u32 round = 0; round < 4; ++round) {
    Privileged::write(0x33333333 + round);
    for (const Mode& mode : kWho) {
      WordState after;
      WordState before = word_input(mode, 0);
      before.r[kWriteFrom] = ++number;
      const Taken written = execute_word(mode, encode(cp15(13, 0, 0, 2), false), before, &after);
      const Taken read = execute_word(mode, encode(cp15(13, 0, 0, 2), true), before, &after);
      begin_line("thread ids");
      add_name(mode.name);
      add_name(round);
      begin_values();
      show(after.r[kReadTo]);
      show("written", static_cast<u32>(written.exception));
      show("read", static_cast<u32>(read.exception));
      show(UserWritable::read());
      show(UserReadOnly::read());
      show(Privileged::read());
      end_line();
    }
  }
}

// What a process has in them is there when it goes on, whatever has stopped it, and the kernel has
// its own meanwhile.
void thread_ids_of_the_stopped() {
  constexpr u32 kUndefined = 0xe7f000f0, kBreakpoint = 0xe1200070, kCall = 0xef000000,
                kLoad = 0xe1913f9f /* LDREX R3, [R1], of what is not aligned */;
  constexpr Name kUserWritable = cp15(13, 0, 0, 2);
  using Privileged = Cp15<0, 13, 0, 4>;
  u32 number = 0x55555555;
  for (const u32 stopping : {kUndefined, kBreakpoint, kCall, kLoad, kUndefined}) {
    Privileged::write(++number);
    WordState after;
    WordState before = word_input(kUser, address_of(block) + 1);
    before.r[kWriteFrom] = ++number;
    (void)execute_word(kUser, encode(kUserWritable, false), before, &after);
    const Taken stopped = execute_word(kUser, stopping, before, nullptr);
    begin_line("thread ids, stopped by");
    add_name(stopping);
    begin_values();
    show("exception", static_cast<u32>(stopped.exception));
    show(Cp15<0, 13, 0, 2>::read());
    show(Privileged::read());
    (void)execute_word(kUser, encode(kUserWritable, true), before, &after);
    show(after.r[kReadTo]);
    show(Privileged::read());
    end_line();
  }
}

void cache_sizes() {
  using CacheSize = Cp15<1, 0, 0, 0>;
  using Selection = Cp15<2, 0, 0, 0>;
  for (u32 selected = 0; selected < 2; ++selected) {
    Selection::write(selected);
    begin_line("CCSIDR of");
    add_name(selected);
    begin_values();
    show(CacheSize::read());
    end_line();
  }
  Selection::write(0);
}

// An MRC to r15 goes to the flags.
void to_flags() {
  u32 before = 0xf0000000, after = 0;
  asm volatile("mcr p15, 0, %1, c13, c0, 4\n\tmrc p15, 0, apsr_nzcv, c13, c0, 4\n\tmrs %0, cpsr"
               : "=r"(after)
               : "r"(before)
               : "cc");
  line("mrc to the flags", after & 0xf0000000);
}

}  // namespace

void test_coprocessors() {
  for (const Register& row : kRegisters) try_access(row, true);
  for (const Register& row : kOperations) try_access(row, false);
  writes();
  thread_ids();
  thread_ids_of_the_stopped();
  cache_sizes();
  to_flags();
}

}  // namespace guest
