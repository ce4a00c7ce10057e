// Devices that are not the guest's, and the shared ones: the interrupt controller, the private
// page.
#include <initializer_list>

#include "armv7/gic.hpp"
#include "armv7/tables.hpp"
#include "probe/armv7/probe.hpp"

namespace probe {
namespace {

namespace gicd = guest::gicd;
namespace gicc = guest::gicc;

void read_there(u32 at) { leave_value(read32(at)); }
void write_there(u32 at) { write32(at, 0xffffffff); }

// The board's devices, less what every partition has a view of and the probe's own console.
void others_devices() {
  struct Device {
    const char* name;
    u32 at;
  };
  constexpr Device kDevices[] = {
      {"sp810", 0x10001000},    {"aaci", 0x10004000},    {"mmci", 0x10005000},
      {"kmi0", 0x10006000},     {"kmi1", 0x10007000},    {"uart1", 0x1000a000},
      {"uart2", 0x1000b000},    {"uart3", 0x1000c000},   {"watchdog", 0x1000f000},
      {"timer01", 0x10011000},  {"timer23", 0x10012000}, {"virtio", 0x10013000},
      {"i2c", 0x10016000},      {"rtc", 0x10017000},     {"flash", 0x1001a000},
      {"lcd", 0x10020000},      {"memctrl", 0x100e0000}, {"sp804-tile", 0x100e4000},
      {"gpio", 0x100e8000},     {"l2", 0x1e00a000},      {"nor0", 0x40000000},
      {"nor1", 0x44000000},     {"sram", 0x48000000},    {"video", 0x4c000000},
      {"ethernet", 0x4e000000}, {"usb", 0x4f000000},
  };
  for (const Device& device : kDevices) {
    guest::first_table[device.at / guest::kMiB] =
        guest::descriptor::device_section(device.at & ~(guest::kMiB - 1), guest::kEveryone);
  }
  guest::tables_written();
  for (const Device& device : kDevices) {
    kernel(device.name, read_there, fault(), device.at);
    kernel(device.name, write_there, fault(), device.at);
    user(device.name, read_there, fault(), device.at);
  }
}

// The distributor: lines that are not the partition's do not exist for it.
void distributor() {
  // Shared lines of the board, less those of the console: 32 to 255.
  constexpr u32 kConsoleLine = 37;
  u32 kept = 0;
  for (u32 n = 1; n < 8; ++n) {
    const u32 own = n == kConsoleLine / 32 ? 1u << kConsoleLine % 32 : 0;
    const u32 before = read32(guest::kDistributor + gicd::kSetEnable + n * 4);
    write32(guest::kDistributor + gicd::kSetEnable + n * 4, 0xffffffff);
    kept += (read32(guest::kDistributor + gicd::kSetEnable + n * 4) & ~own) != 0;
    write32(guest::kDistributor + gicd::kClearEnable + n * 4, ~before);
    write32(guest::kDistributor + gicd::kSetPending + n * 4, ~own);
    kept += (read32(guest::kDistributor + gicd::kSetPending + n * 4) & ~own) != 0;
    write32(guest::kDistributor + gicd::kActive + n * 4, ~own);
    kept += (read32(guest::kDistributor + gicd::kActive + n * 4) & ~own) != 0;
    write32(guest::kDistributor + 0x80 + n * 4, 0xffffffff);  // groups
    kept += read32(guest::kDistributor + 0x80 + n * 4) != 0;
  }
  check("lines-of-others", kept == 0, kept);
  kept = 0;
  for (u32 line = 32; line < 256; ++line) {
    if (line == kConsoleLine) continue;
    guest::memory_at<volatile u8>(guest::kDistributor + gicd::kPriority + line) = 0;
    guest::memory_at<volatile u8>(guest::kDistributor + gicd::kTarget + line) = 0xff;
    kept += guest::memory_at<volatile u8>(guest::kDistributor + gicd::kTarget + line) != 0;
  }
  check("targets-of-others", kept == 0, kept);
  // Nothing of its own is more urgent than the monitor.
  guest::memory_at<volatile u8>(guest::kDistributor + gicd::kPriority + guest::kTimerLine) = 0;
  const u32 priority =
      guest::memory_at<volatile u8>(guest::kDistributor + gicd::kPriority + guest::kTimerLine);
  check("most-urgent-priority", priority >= 0x20, priority);
  // Software interrupts to others, of every number; itself it may interrupt.
  for (u32 line = 0; line < 16; ++line) {
    write32(guest::kDistributor + gicd::kSoftware, 0x00fe0000 | line);
    write32(guest::kDistributor + gicd::kSoftware, 1u << 24 | line);
  }
  const u32 pending = read32(guest::kDistributor + gicd::kSetPending) & 0xffff;
  check("software-interrupts-to-others", pending == 0, pending);
  guest::raise(15);  // the monitor's own
  check("monitors-software-interrupt", (guest::InterruptStatus::read() & psr::kIrqOff) == 0, 15);
  // Off for this partition only, which its neighbour shows.
  write32(guest::kDistributor + gicd::kControl, 0);
  write32(guest::kDistributor + gicd::kControl, 3);
  write32(guest::kDistributor + gicd::kControl, 1);
}

// Whether the partition has its CPU's private page mapped, as the tool does for a CPU of its own.
[[nodiscard]] bool has_private_page() { return guest::option("private").is("mapped"); }

// What is refused only where that page is filtered (doc/promises.md).
void check_filtered(const char* name, bool good, u32 seen) {
  if (good || !has_private_page()) return check(name, good, seen);
  guest::skip(name, "not promised for a private page that is mapped");
}

// The private page: nothing there may keep the monitor from its interrupts, or stop what others
// use.
void private_page() {
  const u32 scu = read32(guest::kPrivate);
  write32(guest::kPrivate, ~scu);
  check_filtered("scu-control", read32(guest::kPrivate) == scu, read32(guest::kPrivate));
  write32(guest::kPrivate, scu);
  write32(guest::kPrivate + 0x0c, 0xffff);  // invalidates tags
  write32(guest::kPrivate + 0x08, 0x03030303);
  check_filtered("scu-power", (read32(guest::kPrivate + 8) & 0x03030300) == 0,
                 read32(guest::kPrivate + 8));
  write32(guest::kPrivate + 0x08, 0);
  const u32 control = read32(guest::kGlobalTimer + 8);
  write32(guest::kGlobalTimer + 8, control & ~1u);
  const u32 first = read32(guest::kGlobalTimer);
  for (u32 n = 0; n < 1000; ++n) guest::data_barrier();
  const u32 second = read32(guest::kGlobalTimer);
  check_filtered("global-timer-stopped", (control & 1) == 0 || first != second, second - first);
  const u32 high = read32(guest::kGlobalTimer + 4);
  write32(guest::kGlobalTimer + 4, 0x80000000);
  check_filtered("global-timer-written", read32(guest::kGlobalTimer + 4) - high < 2,
                 read32(guest::kGlobalTimer + 4));
  write32(guest::kGlobalTimer + 8, control);
  // The CPU interface off, all priorities masked, interrupts as FIQ: and on again.
  for (const u32 value : {0u, 0x1fu, 0xffffffffu, 0x8u, 0x9u}) {
    write32(guest::kInterface + gicc::kControl, value);
    for (u32 line = 0; line < 1024; line += 7) guest::end_interrupt(line);
    write32(guest::kInterface + gicc::kPriorityMask, value);
    write32(guest::kInterface + 8, value);  // binary point
  }
  guest::start_interrupts();
  const u32 now = read32(guest::kInterface + gicc::kControl);
  check("interface-after-all", (now & 1) == 1, now);
  // The watchdog in watchdog mode would reset the machine.
  write32(guest::kPrivate + 0x620, 0x10000000);
  write32(guest::kPrivate + 0x628, 9);
  const u32 watchdog = read32(guest::kPrivate + 0x628);
  check_filtered("watchdog-mode", (watchdog & 8) == 0, watchdog);
  write32(guest::kPrivate + 0x634, 0x12345678);
  write32(guest::kPrivate + 0x634, 0x87654321);
  write32(guest::kPrivate + 0x628, 0);
}

// Odd ways to reach an emulated device: sizes, alignment, instructions, from user mode.
void odd_accesses() {
  for (const u32 at : {guest::kDistributor, 0x10000000u}) {
    kernel(
        "byte-read", [](u32 a) { leave_value(guest::memory_at<volatile u8>(a)); }, survives(),
        at + 1);
    kernel("byte-write", [](u32 a) { guest::memory_at<volatile u8>(a) = 0; }, survives(), at + 3);
    kernel("unaligned-read", [](u32 a) { leave_value(read32(a)); }, survives(), at + 2);
    kernel(
        "ldm",
        [](u32 a) {
          asm volatile("ldm %0, {r1-r3}" : : "r"(a) : "r1", "r2", "r3");
        },
        survives(), at);
    kernel(
        "ldm-end",
        [](u32 a) {
          asm volatile("ldm %0, {r1-r3}" : : "r"(a) : "r1", "r2", "r3");
        },
        survives(), at + 0xff8);
    kernel(
        "stm", [](u32 a) { asm volatile("stm %0, {r1-r3}"
                                        :
                                        : "r"(a)); }, survives(), at + 0xff8);
    kernel(
        "ldrd",
        [](u32 a) {
          asm volatile("ldrd r2, r3, [%0]" : : "r"(a) : "r2", "r3");
        },
        survives(), at);
    kernel(
        "ldrex",
        [](u32 a) {
          asm volatile("ldrex r1, [%0]\n\tstrex r2, r1, [%0]" : : "r"(a) : "r1", "r2");
        },
        survives(), at);
    kernel(
        "swp", [](u32 a) { asm volatile("swp r1, r2, [%0]"
                                        :
                                        : "r"(a)
                                        : "r1"); }, survives(), at);
    kernel("execute", [](u32 a) { reinterpret_cast<void (*)()>(a)(); }, fault(), at);
    kernel("clean", [](u32 a) { guest::Cp15<0, 7, 10, 1>::write(a); }, survives(), at);
  }
}

}  // namespace

void probe_devices() {
  if (!under_monitor()) return guest::skip("devices", "this machine's are all the guest's");
  others_devices();
  distributor();
  private_page();
  odd_accesses();
}

}  // namespace probe
