// Start of the conformance guest: every part in turn, with translation off and on.
#include "conformance/conformance.hpp"

namespace guest {

extern "C" [[noreturn]] void guest_main(u32) {
  open_console();
  print("conformance starts\n");
  test_program_status();
  test_coprocessors();
  test_translation();
  test_exceptions();
  test_maintenance();
  test_code();
  test_floating_point();
  test_interrupts();
  print("conformance ends\n");
  stop_for_ever();
}

}  // namespace guest
