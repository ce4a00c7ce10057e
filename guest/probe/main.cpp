// Start of the probe: the command line, then a mode or the whole suite.
//
//   com=1..4       console UART (1)
//   mode=NAME      end in a certain way, or count for ever, instead of probing; see modes.cpp
//   exit=PORT      at the end write to this port (QEMU's isa-debug-exit) before halting
#include "probe.hpp"

namespace probe {
namespace {

constexpr u32 kMultibootMagic = 0x2badb002;
constexpr u32 kHasCommandLine = 1u << 2;
struct MultibootInfo {
  u32 flags, memory_low, memory_high, boot_device, command_line;
};

const char* command_line_of(u32 magic, const MultibootInfo& info) {
  if (magic != kMultibootMagic || (info.flags & kHasCommandLine) == 0) return "";
  return reinterpret_cast<const char*>(info.command_line);
}

u16 console_port() {
  switch (option("com").number(1)) {
    case 2:
      return 0x2f8;
    case 3:
      return 0x3e8;
    case 4:
      return 0x2e8;
    default:
      return 0x3f8;
  }
}

void find_out_about_limits() {
  set_descriptor(PROBE_SPARE_B, 0x00000fff, 0x00409200);  // data, one page
  const Outcome outcome = in_kernel([] {
    u32 value;
    asm volatile("movl %1, %%fs; movl %%fs:0x2000, %0" : "=r"(value) : "r"(PROBE_SPARE_B));
    return value;
  });
  limits_enforced = outcome.faulted;
}

void run_suite() {
  probe_instructions();
  probe_segments();
  probe_exceptions();
  probe_tables();
  probe_memory();
  probe_ports();
  probe_interrupts();
  probe_hypercalls();
}

}  // namespace

extern "C" [[noreturn]] void probe_main(u32 magic, const MultibootInfo* info) {
  guest::keep_command_line(command_line_of(magic, *info));
  open_console(console_port());
  print("probe starts in ring ");
  print_number(kernel_ring());
  print("\n");
  set_up_machine();
  if (option("mode").begin != nullptr) {
    run_mode(option("mode"));
    print("probe: no such mode\n");
    stop_for_ever();
  }
  find_out_about_limits();
  print(limits_enforced ? "probe: segment limits are enforced\n"
                        : "probe: this machine does not enforce segment limits\n");
  print("probe: interrupt table still being written\n");
  run_suite();
  print("probe: interrupt table read-only\n");
  settle_idt();
  run_suite();
  summarize();
  if (const Option port = option("exit"); port.begin != nullptr) {
    out8(static_cast<u16>(port.number(0)), 0);
  }
  stop_for_ever();
}

}  // namespace probe
