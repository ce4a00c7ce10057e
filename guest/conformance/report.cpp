// Lines of the report.
#include "conformance/conformance.hpp"

namespace guest {
namespace {

constexpr const char* kExceptionNames[8] = {"reset",      "undefined", "svc", "prefetch-abort",
                                            "data-abort", "?",         "irq", "fiq"};

}  // namespace

void begin_line(const char* name) { print(name); }
void add_name(const char* part) {
  print(" ");
  print(part);
}
void add_name(u32 number) {
  print(" ");
  print_hex(number);
}
void begin_values() { print(":"); }
void show(const char* label, u32 value) {
  print(" ");
  print(label);
  print("=");
  print_hex(value);
}
void show(u32 value) {
  print(" ");
  print_hex(value);
}
void show(const char* text) {
  print(" ");
  print(text);
}

void show_of(const char* whose, const char* what, u32 value) {
  print(" ");
  print(whose);
  print(".");
  print(what);
  print("=");
  print_hex(value);
}
void show_of(const char* whose, u32 index, u32 value) {
  print(" ");
  print(whose);
  print("[");
  print_number(index);
  print("]=");
  print_hex(value);
}

void show(const Taken& taken, u32 from) {
  if (taken.left()) return;
  show(kExceptionNames[static_cast<u32>(taken.exception)]);
  show("at", taken.frame.lr - from);  // LR less where it began
  show("spsr", taken.frame.spsr);
  show("in", taken.frame.cpsr);
  if (taken.is(Exception::DataAbort)) {
    show("dfsr", taken.dfsr);
    show("dfar", taken.dfar);
  }
  if (taken.is(Exception::PrefetchAbort)) {
    constexpr u32 kDebugEvent = 2;  // IFAR is unknown then (B3.13.2)
    show("ifsr", taken.ifsr);
    if (taken.ifsr != kDebugEvent) show("ifar", taken.ifar);
  }
}

void end_line() { print("\n"); }
void end_line_differing(const char* reason) {
  print(" (by design: ");
  print(reason);
  print(")\n");
}

}  // namespace guest
