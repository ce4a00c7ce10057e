// How a run ended, in a line of the report.
#include "conformance/conformance.hpp"

namespace guest {
namespace {

constexpr const char* kExceptionNames[8] = {"reset",      "undefined", "svc", "prefetch-abort",
                                            "data-abort", "?",         "irq", "fiq"};

}  // namespace

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

}  // namespace guest
