// Packages, initramfs and QEMU command lines behind machine.hpp.
#include "bench/machine.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/file.hpp"
#include "command/prepare.hpp"
#include "image/compile.hpp"
#include "image/write.hpp"

namespace mezzo::bench {

namespace {

constexpr std::array kMachines{
    Machine{"native", "Linux on the bare machine, i386", "i386", Host::Bare},
    Machine{"mezzo", "Linux on Mezzo, i386", "i386", Host::Mezzo},
    Machine{"native-amd64", "Linux on the bare machine, amd64", "amd64", Host::Bare},
    Machine{"xen", "Linux as Xen's PV dom0, amd64", "amd64", Host::Xen},
};

bool is_amd64(const Machine& machine) { return machine.architecture == std::string_view("amd64"); }

// Virtual time, one processor, no chance, the console on stdout's place. QEMU's -icount repeats a
// run exactly only with one thread, `sleep=off` and a fixed date.
std::vector<std::string> qemu(const Machine& machine, const char* cpu) {
  return {is_amd64(machine) ? "qemu-system-x86_64" : "qemu-system-i386",
          "-nodefaults",
          "-display",
          "none",
          "-no-reboot",
          "-machine",
          "pc",
          "-accel",
          "tcg,thread=single",
          "-icount",
          "shift=0,sleep=off",
          "-seed",
          "1",
          "-rtc",
          "base=2026-01-01,clock=vm",
          "-smp",
          "1",
          "-m",
          "1024M",
          "-cpu",
          cpu,
          "-global",
          "hpet.msi=on"};
}

void append(std::vector<std::string>& command, const std::vector<std::string>& arguments) {
  command.insert(command.end(), arguments.begin(), arguments.end());
}

// The probe at its own address, as the partition's only piece of memory, or Linux.
std::string partition_text(const Files& files) {
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

// Our own part: the system file's text, compiled as `mezzo image` would.
std::filesystem::path mezzo_image(const Files& files, const Sources& sources) {
  const auto file = sources.directory / "mezzo-bench.toml";
  base::write_file(file, fmt::format(R"toml(# Written by `mezzo bench`.
[machine]
board = "pc"
memory = "1024 MiB"
cpus = 1
cpu = "pentium3"

[[partition]]
name = "guest"
cpu = 0
kernel = {{ file = "{}" }}
cmdline = "{}"
console = "com1"
{})toml",
                                     files.kernel.string(), files.cmdline, partition_text(files)));
  const system::System system = command::load(file.string());
  const auto image =
      command::take(image::compile(system, command::fetch_all(system, sources.refresh)));
  const auto elf = sources.directory / "mezzo-bench.elf";
  if (const auto written = image::write_elf(image, command::monitor_elf(), elf); !written) {
    command::show(written.error());
  }
  return elf;
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

}  // namespace

std::span<const Machine> machines() { return kMachines; }

const Machine& native_of(const Machine& machine) {
  return *std::ranges::find_if(kMachines, [&](const Machine& other) {
    return other.host == Host::Bare && std::string_view(other.architecture) == machine.architecture;
  });
}

Boot prepare(const Machine& machine, const Workload& workload, const Sources& sources) {
  base::make_directory(sources.directory);
  GuestBuilder builder(machine.architecture, sources);
  const Files files = builder.build(workload);
  Boot boot{.command = qemu(machine, is_amd64(machine) ? "qemu64" : "pentium3"), .parts = {}};
  switch (machine.host) {
    case Host::Bare:
      append(boot.command, boot_arguments(files));
      break;
    case Host::Mezzo:
      append(boot.command, {"-kernel", mezzo_image(files, sources).string()});
      break;
    case Host::Xen:
      append(boot.command,
             {"-kernel", xen_image(builder, sources).string(), "-append",
              "dom0_mem=512M console=com1 com1=115200 loglvl=warning noreboot spec-ctrl=no xpti=no",
              "-initrd",
              fmt::format("{} console=hvc0 {},{}", files.kernel.string(), files.cmdline,
                          files.initramfs.string())});
      break;
  }
  boot.parts = builder.parts();
  return boot;
}

}  // namespace mezzo::bench
