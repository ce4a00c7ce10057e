// Start of the hostile guest: the command line of the device tree, then a mode or the whole suite.
//
//   mode=NAME      end in a certain way, or count for ever, instead of probing; see modes.cpp
//   part=NAME      only that part of the suite
//   uart=0..3      console (0)
//   memory=BYTES   that the partition has, a multiple of 1 MiB (64 MiB)
//   private=mapped it has its CPU's private page as it is
#include "armv7/tables.hpp"
#include "probe/armv7/probe.hpp"

namespace probe {
namespace {

Memory own_memory{guest::kRam, guest::kRamMapped};

struct Part {
  const char* name;
  void (*run)();
};
constexpr Part kParts[] = {{"memory", probe_memory},
                           {"instructions", probe_instructions},
                           {"patches", probe_patches},
                           {"devices", probe_devices}};

}  // namespace

Memory memory() { return own_memory; }

}  // namespace probe

extern "C" [[noreturn]] void guest_main(guest::u32 tree) {
  using namespace probe;
  guest::keep_command_line(guest::boot_arguments(tree));
  guest::open_console(guest::option("uart").number(0));
  guest::print("probe starts\n");
  guest::map_one_to_one(guest::first_table);
  guest::translate_by(guest::first_table);
  if (const guest::Option mode = guest::option("mode"); mode.begin != nullptr) {
    run_mode(mode);
    guest::print("probe: no such mode\n");
    guest::stop_for_ever();
  }
  own_memory.size = guest::option("memory").number(own_memory.size);
  const guest::Option only = guest::option("part");
  for (const Part& part : kParts) {
    if (only.begin == nullptr || only.is(part.name)) part.run();
  }
  guest::summarize();
  guest::stop_for_ever();
}
