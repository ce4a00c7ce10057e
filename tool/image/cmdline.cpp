// The parameters are described in Linux Documentation/admin-guide/kernel-parameters.txt.
#include "image/cmdline.hpp"

#include <algorithm>
#include <array>

#include "system/board.hpp"

namespace mezzo::image {
namespace {

using plan::InterruptController;

constexpr std::size_t kTscDigits = 10;

// QEMU's models that have none of MONITOR, SMAP, UMIP and INVPCID.
constexpr std::array<std::string_view, 7> kPlainModels = {
    "486", "pentium", "pentium2", "pentium3", "athlon", "qemu32", "kvm32"};

// A model may carry features, as in "pentium3,+sse2"; the first word is its name.
bool is_plain(std::string_view model) {
  return std::ranges::find(kPlainModels, model.substr(0, model.find(','))) != kPlainModels.end();
}

// "0x3f8,8,0x2f8,8": the UARTs of the other partitions.
std::string foreign_uarts(const system::System& system, const system::Partition& partition) {
  const system::BoardInfo& board = system::board_info(system.machine.board);
  std::string list;
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    if (&system.partitions[i] == &partition) continue;
    for (const unsigned com : system.uarts_of(i)) {
      list += fmt::format("{}{:#x},8", list.empty() ? "" : ",", board.uart(com).port);
    }
  }
  return list;
}

class Builder {
 public:
  void add(std::string text, std::string why) {
    result_.text += (result_.text.empty() ? "" : " ") + text;
    result_.additions.push_back({std::move(text), std::move(why)});
  }

  // The parameter whose value the monitor writes.
  void add_tsc() {
    constexpr std::string_view kParameter = "tsc_early_khz=";
    add(std::string(kParameter) + std::string(kTscDigits, ' '),
        "the TSC's frequency, measured and filled in by the monitor: there is no timer to do it");
    result_.tsc_khz_offset = result_.text.size() - kTscDigits;
  }

  Cmdline finish(const std::string& user) {
    if (!user.empty()) result_.text += " " + user;
    return std::move(result_);
  }

 private:
  Cmdline result_;
};

// With PAE and NX, Debian's kernel looks for writable code in all page tables, the monitor's too,
// which it cannot reach (CONFIG_DEBUG_WX).
void add_processor(const system::System& system, const system::Partition& partition,
                   const loader::LinuxImage& kernel, Builder& builder) {
  const std::string nx = kernel.needs_pae ? ",nx" : "";
  const std::string why_nx =
      kernel.needs_pae ? "; with NX the kernel would look into the monitor's page tables" : "";
  builder.add(fmt::format("reservetop={}M", plan::kMonitorWindowSize >> 20),
              "the monitor is at the top of the address space");
  const bool polls = partition.ia32.idle == plan::IdleWait::Poll;
  if (is_plain(system.machine.cpu_model)) {
    builder.add("clearcpuid=sep" + nx, "SYSENTER would enter ring 0" + why_nx);
  } else {
    builder.add("clearcpuid=sep,monitor,smap,umip,invpcid" + nx,
                "SYSENTER would enter ring 0; the others fail outside ring 0" + why_nx);
    if (!polls) builder.add("idle=halt", "MWAIT fails outside ring 0");
  }
  if (polls) builder.add("idle=poll", "the partition does not halt");
  builder.add_tsc();
  builder.add("tsc=reliable", "there is no other clock to compare it with");
  builder.add("no_timer_check", "the check may fail by chance on a loaded host");
  if (const system::Partition* const partner = system.partner_of(partition)) {
    builder.add("nolapic", "the local APIC is " + partner->name + "'s, which shares the processor");
    if (!is_plain(system.machine.cpu_model)) {
      builder.add("noxsave", "a switch between the two saves the FPU and SSE registers only");
    }
  } else {
    builder.add(
        "apic=bigsmp",
        "interrupts are addressed by APIC id: every guest gives itself the same logical one");
  }
}

void add_devices(const system::System& system, const system::Partition& partition,
                 Builder& builder) {
  if (partition.interrupts == InterruptController::Pic) {
    builder.add("noapic", "the I/O APIC is not this partition's");
  }
  if (!partition.owns("pci")) builder.add("pci=off", "PCI is not this partition's");
  if (!partition.owns("rtc")) {
    builder.add("initcall_blacklist=cmos_init",
                "the clock's alarm is not this partition's; its time is read at boot");
  }
  const std::string uarts = foreign_uarts(system, partition);
  if (!uarts.empty()) {
    builder.add("reserve=" + uarts, "serial ports of other partitions");
  }
}

}  // namespace

Cmdline derive_cmdline(const system::System& system, const system::Partition& partition,
                       const loader::LinuxImage& kernel) {
  if (!kernel.is_linux) return {.text = partition.cmdline, .tsc_khz_offset = {}, .additions = {}};
  Builder builder;
  add_processor(system, partition, kernel, builder);
  if (kernel.needs_pae) {
    builder.add("nopti", "page-table isolation would load CR3 twice a system call: two exits");
  }
  builder.add("reboot=t", "a triple fault ends the partition; other methods reset the machine");
  if (!(" " + partition.cmdline).contains(" panic=")) {
    builder.add("panic=-1", "a panic ends the partition at once");
  }
  add_devices(system, partition, builder);
  if (partition.console != 0) {
    builder.add(fmt::format("console=ttyS{},115200", partition.console - 1),
                "this partition's console");
  }
  return builder.finish(partition.cmdline);
}

}  // namespace mezzo::image
