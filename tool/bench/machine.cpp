// Packages, initramfs and QEMU command lines behind machine.hpp.
#include "bench/machine.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/file.hpp"
#include "bench/image.hpp"
#include "bench/machine_armv7.hpp"
#include "run/qemu.hpp"

namespace mezzo::bench {

namespace {

// The neighbours' scripts. The row that never ends is what a neighbour does; without, it does
// nothing. The flood stays in the machine: one of two network cards on a hub sends to the other, so
// that it comes at the same virtual time in each run.
constexpr char kIdle[] = "run idle sleep 1000000\n";
constexpr char kHog[] = "run hog /bin/load hog\n";
constexpr char kStorm[] = "run storm /bin/load storm\n";
constexpr char kFlood[] = R"sh(for module in /modules/*; do insmod $module; done
ifconfig eth0 10.0.0.1 netmask 255.255.255.0 up
ifconfig eth1 10.0.1.1 netmask 255.255.255.0 up
arp -i eth0 -s 10.0.0.2 $(cat /sys/class/net/eth1/address)
sleep 2
/bin/load flood 10.0.0.2 &
sleep 2
cat /proc/net/dev /proc/interrupts
[ $(cat /sys/class/net/eth1/statistics/rx_packets) -gt 1000 ] && run flood sleep 1000000
)sh";

constexpr Machine variant(const char* name, const char* title, const char* keys) {
  return {
      .name = name, .title = title, .architecture = "armhf", .host = Host::Mezzo, .variant = keys};
}

// Beside them: on the bare machine there is no Linux. By the record's first tick the load is there;
// a kernel that keeps its processor busy leaves Linux half of the virtual time.
constexpr Machine realtime(const char* name, const char* title, const char* options,
                           const char* neighbour = nullptr, const char* keys = nullptr) {
  return {.name = name,
          .title = title,
          .architecture = "i386",
          .host = neighbour == nullptr ? Host::Bare : Host::Mezzo,
          .neighbour = neighbour,
          .variant = keys,
          .realtime = options};
}
constexpr char kHalts[] = "timer=pit idle=halt from=14000";
constexpr char kPolls[] = "timer=pit idle=poll from=26000";

constexpr Machine by_clock(const char* name, const char* title, const char* options) {
  Machine machine = realtime(name, title, options, kIdle);
  machine.device = "rtc";
  return machine;
}

constexpr char kForwarded[] = "forwarded_by = \"neighbour\"\n";

constexpr std::array kMachines{
    Machine{"native", "Linux on the bare machine, i386", "i386", Host::Bare},
    Machine{"mezzo", "Linux on Mezzo, i386", "i386", Host::Mezzo},
    Machine{"native-amd64", "Linux on the bare machine, amd64", "amd64", Host::Bare},
    Machine{"xen", "Linux as Xen's PV dom0, amd64", "amd64", Host::Xen},
    Machine{"beside-idle", "Linux on Mezzo beside one that idles", "i386", Host::Mezzo, kIdle},
    Machine{"beside-hog", "beside one that writes memory without end", "i386", Host::Mezzo, kHog},
    Machine{"beside-storm", "beside one that calls its kernel without end", "i386", Host::Mezzo,
            kStorm},
    Machine{"beside-flood", "beside one that floods its network", "i386", Host::Mezzo, kFlood},
    realtime("rt-native-halt", "a real-time kernel alone on the bare machine, which waits by HLT",
             "timer=pit idle=halt from=10"),
    realtime("rt-native-poll", "the same, which keeps its processor busy",
             "timer=pit idle=poll from=10"),
    realtime("rt-direct-halt", "on Mezzo beside a Linux that idles; waits by HLT", kHalts, kIdle),
    realtime("rt-direct-halt-flood", "the same beside a Linux that floods its network", kHalts,
             kFlood),
    realtime("rt-direct-poll", "beside a Linux that idles; keeps its processor busy", kPolls,
             kIdle),
    realtime("rt-direct-poll-flood", "the same beside a Linux that floods its network", kPolls,
             kFlood),
    by_clock("rt-device-halt",
             "interrupted by the real-time clock's chip beside a Linux that idles; waits by HLT",
             "timer=rtc idle=halt from=14000"),
    by_clock("rt-device-poll", "the same, which keeps its processor busy",
             "timer=rtc idle=poll from=26000"),
    realtime("rt-event-halt",
             "its ticks forwarded as events from the processor of a Linux that idles", kHalts,
             kIdle, kForwarded),
    realtime("rt-event-halt-flood", "the same from that of a Linux that floods its network", kHalts,
             kFlood, kForwarded),
    Machine{"native-armv7", "Linux on the bare machine, Cortex-A9", "armhf", Host::Bare},
    Machine{"mezzo-armv7", "Linux on Mezzo, Cortex-A9", "armhf", Host::Mezzo},
    variant("armv7-strict", "the same with strict user access", "user_access = \"strict\"\n"),
    variant("armv7-roots", "the same with kernel and programs told apart by roots",
            "view = \"roots\"\n"),
    variant("armv7-no-masks", "without stubs for CPS, MRS and MSR", R"(slow_paths = ["masks"])"),
    variant("armv7-no-thread-id", "without stubs for TPIDRPRW", R"(slow_paths = ["thread_id"])"),
    variant("armv7-no-domain-access", "without stubs for DACR",
            R"(slow_paths = ["domain_access"])"),
    variant("armv7-no-return", "calls and returns by C++", R"(slow_paths = ["return"])"),
    variant("armv7-no-prefill", "nothing filled ahead of need", R"(slow_paths = ["prefill"])"),
    variant("armv7-no-table-flush", "with each flush of an entry of the guest's tables",
            R"(slow_paths = ["table_flush"])"),
    variant("armv7-no-vectors", "exception handlers from their first instruction",
            R"(slow_paths = ["vectors"])"),
    variant("armv7-no-interrupts", "interrupts delivered by C++", R"(slow_paths = ["interrupts"])"),
    variant("armv7-no-transfers", "context switches, cache maintenance and LDRT by C++",
            R"(slow_paths = ["transfers"])"),
    variant(
        "armv7-trap-all", "without all of these",
        R"(slow_paths = ["masks", "thread_id", "domain_access", "return", "prefill", "table_flush", "vectors", "interrupts", "transfers"])"),
};

void append(std::vector<std::string>& command, const std::vector<std::string>& arguments) {
  command.insert(command.end(), arguments.begin(), arguments.end());
}

bool is_amd64(const Machine& machine) { return machine.architecture == std::string_view("amd64"); }

std::vector<std::string> qemu(const Machine& machine, const char* cpu) {
  std::vector<std::string> command = {is_amd64(machine) ? "qemu-system-x86_64" : "qemu-system-i386",
                                      "-machine", "pc"};
  append_fixed_time(command);
  append(command, {"-m", "1024M", "-cpu", cpu, "-global", "hpet.msi=on"});
  return command;
}

// The probe at its own address, as the partition's only piece of memory, or Linux.
std::string alone(const Files& files) {
  if (files.initramfs.empty()) {
    return R"toml(memory = [{ base = "4 MiB", size = "8 MiB" }]
interrupts = "none"
)toml";
  }
  return fmt::format(R"toml(memory = "512 MiB"
initramfs = {{ file = "{}" }}
devices = ["pci", "rtc"]
interrupts = "ioapic"
)toml",
                     files.initramfs.string());
}

// An element of a list of strings, or none.
std::string quoted(const char* text) {
  return text == nullptr ? std::string() : fmt::format("\"{}\"", text);
}

// What is measured, at its own address, with the PIT.
std::string realtime(const Machine& machine) {
  return fmt::format(R"toml(memory = [{{ base = "4 MiB", size = "4 MiB" }}]
kind = "realtime"
timer = "pit"
devices = [{}]
{})toml",
                     quoted(machine.device), machine.variant == nullptr ? "" : machine.variant);
}

// The neighbour has the network cards, so the measured guest has the PIC.
std::string measured_linux(const Files& files) {
  return fmt::format(R"toml(memory = "256 MiB"
initramfs = {{ file = "{}" }}
interrupts = "pic"
)toml",
                     files.initramfs.string());
}

// The real-time clock is its own, if the measured guest has not got it.
std::string neighbour_of(const Machine& machine, const Files& neighbour) {
  return fmt::format(R"toml(
[[partition]]
name = "neighbour"
cpu = 1
kernel = {{ file = "{}" }}
cmdline = "{}"
console = "com2"
memory = "256 MiB"
initramfs = {{ file = "{}" }}
devices = ["pci"{}]
interrupts = "ioapic"
)toml",
                     neighbour.kernel.string(), neighbour.cmdline, neighbour.initramfs.string(),
                     machine.device == nullptr ? ", \"rtc\"" : "");
}

// `rest`: of the measured guest's partition, and what follows.
std::filesystem::path mezzo_image(const Files& files, int cpus, const std::string& rest,
                                  const Sources& sources) {
  return write_image(make_image(fmt::format(R"toml([machine]
board = "pc"
memory = "1024 MiB"
cpus = {}
cpu = "pentium3"

[[partition]]
name = "guest"
cpu = 0
kernel = {{ file = "{}" }}
cmdline = "{}"
console = "com1"
{})toml",
                                            cpus, files.kernel.string(), files.cmdline, rest),
                                sources),
                     sources);
}

std::vector<std::string> boot_arguments(const Files& files) {
  std::vector<std::string> arguments{"-kernel", files.kernel.string(), "-append"};
  if (files.initramfs.empty()) {
    arguments.push_back(files.cmdline);
  } else {
    arguments.push_back("console=ttyS0 mem=512M " + files.cmdline);
    append(arguments, {"-initrd", files.initramfs.string()});
  }
  return arguments;
}

// The hypervisor is compressed in its package; QEMU wants a multiboot ELF.
std::filesystem::path xen_image(GuestBuilder& builder, const Sources& sources) {
  const fetch::Package package = builder.package("xen-hypervisor-4.17-amd64");
  const auto compressed = package.root / "boot/xen-4.17-amd64.gz";
  gzFile file = gzopen(compressed.c_str(), "rb");
  if (file == nullptr) throw UserError(fmt::format("{} is missing", compressed.string()));
  base::Bytes bytes;
  std::array<std::uint8_t, 1 << 16> block;
  int count = 0;
  while ((count = gzread(file, block.data(), block.size())) > 0) {
    bytes.insert(bytes.end(), block.begin(), block.begin() + count);
  }
  gzclose(file);
  if (count < 0) throw UserError(fmt::format("{} is damaged", compressed.string()));
  const auto path = sources.directory / "xen.elf";
  base::write_file(path, bytes);
  return path;
}

// A QEMU of our own for two guests: with 7.2 and -icount one virtual processor starves the other.
// Debian's backports have a newer one; it runs unpacked, with the libraries of the system's.
void use_newer_qemu(Boot& boot, const Sources& sources) {
  fetch::PackageCache cache(sources.cache / "bench-qemu", sources.progress, sources.refresh,
                            {.architecture = "amd64", .suites = {"bookworm-backports"}});
  for (const char* name : {"qemu-system-x86", "qemu-system-data", "seabios"}) {
    const fetch::Package package = cache.get(name);
    boot.parts.push_back({package.name, package.version, package.sha256});
    if (name == std::string_view("qemu-system-x86")) {
      boot.command.front() = (package.root / "usr/bin" / boot.command.front()).string();
      boot.qemu = package.version;
    } else {
      append(boot.command, {"-L", (package.root / "usr/share" /
                                   (name == std::string_view("seabios") ? "seabios" : "qemu"))
                                      .string()});
    }
  }
  boot.plugin_api = 4;
}

void boot_mezzo(Boot& boot, const Machine& machine, const Files& files, GuestBuilder& builder,
                const Sources& sources) {
  boot.monitor = sources.build / "vmm" / "mezzo-vmm.elf";
  if (machine.neighbour == nullptr) {
    append(boot.command, {"-kernel", mezzo_image(files, 1, alone(files), sources).string()});
    return;
  }
  const bool is_realtime = machine.realtime != nullptr;
  const bool compares_clocks = is_realtime && machine.device == nullptr;
  const std::string clock = compares_clocks ? "/bin/load clock &\n" : "";
  const Files neighbour = builder.build(
      {.guest = Guest::Linux, .text = clock + machine.neighbour, .modules = {"e1000"}});
  const auto image = mezzo_image(
      files, 2,
      (is_realtime ? realtime(machine) : measured_linux(files)) + neighbour_of(machine, neighbour),
      sources);
  append(boot.command, {"-kernel", image.string(), "-smp", "2"});
  for (const char* card : {"0", "1"}) {
    append(boot.command, {"-netdev", fmt::format("hubport,id=port{},hubid=0", card), "-device",
                          fmt::format("e1000,netdev=port{}", card)});
  }
}

// Two processors, or a real-time kernel whose time is measured, need the newer QEMU. What the
// monitor executes says the installed one, too.
void choose_qemu(Boot& boot, const Machine& machine, const Sources& sources) {
  if (machine.neighbour == nullptr && machine.realtime == nullptr) return;
  if (machine.realtime == nullptr) return use_newer_qemu(boot, sources);
  Boot newer = boot;
  try {
    use_newer_qemu(newer, sources);
    boot = std::move(newer);
  } catch (const UserError& error) {
    fmt::print(stderr,
               "mezzo: {}: no times of intervals, only instructions before each tick: {}\n    do "
               "this: {}\n",
               machine.name, error.what(), error.remedy());
    const auto icount = std::ranges::find(boot.command, "-icount");
    boot.command.erase(icount, icount + 2);
    boot.exact_time = false;
  }
}

}  // namespace

std::span<const Machine> machines() { return kMachines; }

bool is_flooded(const Machine& machine) { return machine.neighbour == kFlood; }

void append_fixed_time(std::vector<std::string>& command) {
  append(command,
         {"-nodefaults", "-display", "none", "-no-reboot", "-accel", "tcg,thread=single", "-icount",
          "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01,clock=vm"});
}

const Machine& baseline_of(const Machine& machine) {
  return *std::ranges::find_if(kMachines, [&](const Machine& other) {
    if (machine.neighbour != nullptr) return other.neighbour != nullptr;
    return other.host == Host::Bare && std::string_view(other.architecture) == machine.architecture;
  });
}

Boot prepare(const Machine& machine, const Workload& workload, const Sources& sources) {
  base::make_directory(sources.directory);
  GuestBuilder builder(machine.architecture, sources);
  Workload whole = workload;
  if (machine.realtime != nullptr) whole.text += machine.realtime;
  const Files files = builder.build(whole);
  Boot boot;
  if (machine.is_armv7()) {
    boot = prepare_armv7(machine, files, sources);
    boot.parts = builder.parts();
    return boot;
  }
  boot.command = qemu(machine, is_amd64(machine) ? "qemu64" : "pentium3");
  boot.qemu = run::find_qemu(plan::Architecture::Ia32).text;
  switch (machine.host) {
    case Host::Bare:
      append(boot.command, boot_arguments(files));
      break;
    case Host::Mezzo:
      boot_mezzo(boot, machine, files, builder, sources);
      break;
    case Host::Xen:
      boot.monitor = xen_image(builder, sources);
      append(boot.command,
             {"-kernel", boot.monitor.string(), "-append",
              "dom0_mem=512M console=com1 com1=115200 loglvl=warning noreboot spec-ctrl=no xpti=no",
              "-initrd",
              fmt::format("{} console=hvc0 {},{}", files.kernel.string(), files.cmdline,
                          files.initramfs.string())});
      break;
  }
  choose_qemu(boot, machine, sources);
  boot.parts.insert(boot.parts.begin(), builder.parts().begin(), builder.parts().end());
  return boot;
}

}  // namespace mezzo::bench
