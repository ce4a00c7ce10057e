#include "armv7/tables.hpp"

namespace guest {

alignas(16384) FirstTable first_table;
alignas(1024) SecondTable second_tables[kSecondTables];

namespace {

// What SCTLR has while translation is on: M, C, Z, I.
constexpr u32 kOn = 1u << 0 | 1u << 2 | 1u << 11 | 1u << 12;

[[nodiscard]] u32 one_to_one(u32 at) {
  if (at - kRam < kRamMapped) return descriptor::section(at, kEveryone);
  const bool device = at == 0x10000000 || at == 0x1e000000;
  return device ? descriptor::device_section(at, kEveryone) : 0;
}

}  // namespace

void map_one_to_one(FirstTable& table) {
  for (u32 n = 0; n < 4096; ++n) {
    // Written once each: the table may be in use.
    table[n] = one_to_one(n * kMiB);
  }
}

void tables_written() {
  data_barrier();
  InvalidateTlb::write(0);
  data_barrier();
  instruction_barrier();
}

void translate_by(const FirstTable& table) {
  Ttbcr::write(0);
  Ttbr0::write(address_of(table));
  Dacr::write(kOpenDomain);
  tables_written();
  Sctlr::write(Sctlr::read() | kOn);
}

void stop_translating() {
  Sctlr::write(Sctlr::read() & ~kOn);
  tables_written();
}

}  // namespace guest
