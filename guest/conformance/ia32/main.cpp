// Start of the IA-32 conformance guest: every part in turn.
#include "conformance/ia32/conformance.hpp"

namespace conformance {

void tried(const char* name, Body body, const char* how) {
  begin_line(name);
  if (how != nullptr) guest::add_name(how);
  begin_values();
  const Outcome outcome = in_kernel(body);
  if (outcome.faulted) {
    show("vector", outcome.vector);
    show("error", outcome.error_code);
    if (outcome.vector == kPage) show("at", outcome.address);
  } else {
    show(outcome.value);
  }
  end_line();
}

u32 wait_for(const volatile u32& count, u32 wanted) {
  constexpr u64 kPatience = 5'000'000'000;
  const u64 start = read_tsc();
  asm volatile("sti");
  while (count < wanted && read_tsc() - start < kPatience) {
  }
  asm volatile("cli");
  return count < wanted ? count : wanted;
}

void pass(u64 counts) {
  for (const u64 start = read_tsc(); read_tsc() - start < counts;) {
  }
}

}  // namespace conformance

extern "C" [[noreturn]] void probe_main(probe::u32, const void*) {
  using namespace conformance;
  open_console(0x3f8);
  guest::print("conformance starts\n");
  set_up_machine();
  test_segments();
  test_yields();
  test_pic();
  test_local_apic();
  test_ticks();
  test_locks();
  test_hpet();
  test_rest();
  test_pae();
  guest::print("conformance ends\n");
  stop_for_ever();
}
