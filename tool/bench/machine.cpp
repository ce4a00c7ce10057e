// Packages, initramfs and QEMU command lines behind machine.hpp.
#include "bench/machine.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/sha256.hpp"
#include "bench/lmbench.hpp"
#include "command/prepare.hpp"
#include "fetch/cpio.hpp"
#include "fetch/package_cache.hpp"
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

// Nothing in a guest may depend on chance. Mitigations are off everywhere: that favours Xen, whose
// guests pay for them at each entry.
constexpr char kCmdline[] =
    "console={} quiet nokaslr norandmaps mitigations=off panic=-1 rdinit=/init";

bool is_amd64(const Machine& machine) { return machine.architecture == std::string_view("amd64"); }

struct Guest {
  std::filesystem::path kernel, initramfs;
  std::vector<Part> parts;
};

class GuestBuilder {
 public:
  GuestBuilder(const Machine& machine, const Sources& sources)
      : machine_(machine),
        sources_(sources),
        // The kernels are in `main`, and so is busybox; only lmbench is not free.
        cache_(sources.cache / (is_amd64(machine) ? "bench-amd64" : "bench-i386"), sources.progress,
               sources.refresh,
               {.architecture = machine.architecture, .components = "main non-free"}) {}

  const fetch::Package& package(const std::string& name) {
    packages_.push_back(cache_.get(name));
    const fetch::Package& package = packages_.back();
    guest_.parts.push_back({package.name, package.version, package.sha256});
    return package;
  }

  Guest build(std::string_view suite) {
    packages_.reserve(kMaxPackages);
    guest_.kernel =
        kernel_of(package(is_amd64(machine_) ? "linux-image-amd64" : "linux-image-686"));
    for (const char* folder :
         {"bin", "dev", "lib", "lib64", "lmbench", "proc", "sys", "tmp", "var"}) {
      cpio_.directory(folder);
    }
    cpio_.character_device("dev/console", 5, 1);
    cpio_.character_device("dev/null", 1, 3, 0666);
    add("bin/busybox", package("busybox-static").root / "bin/busybox");
    add("bin/micro", program("mezzo-micro"));
    add("init", sources_.guest / "init.sh");
    cpio_.file("suite", suite);
    add_c_library();
    add("bin/sh", package("dash").root / "bin/dash");
    add_lmbench();
    // Initramfs' and scripts' names are the contents, so that equal ones are equal files.
    const fetch::Bytes archive = fetch::gzip(cpio_.finish());
    guest_.initramfs =
        sources_.directory / fmt::format("{}.cpio.gz", base::sha256(archive).substr(0, 16));
    base::write_file(guest_.initramfs, archive);
    guest_.parts.push_back({"initramfs", "", base::sha256(archive)});
    return guest_;
  }

 private:
  static constexpr std::size_t kMaxPackages = 16;

  static std::filesystem::path kernel_of(const fetch::Package& package) {
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(package.root / "boot", error)) {
      if (file.path().filename().string().starts_with("vmlinuz-")) return file.path();
    }
    throw UserError(fmt::format("the package {} holds no kernel (boot/vmlinuz-*)", package.name));
  }

  std::filesystem::path program(const char* name) const {
    const auto path = sources_.build / "bench" / "guest" /
                      fmt::format("{}{}", name, is_amd64(machine_) ? 64 : 32);
    if (!std::filesystem::exists(path)) {
      throw UserError(fmt::format("the guest program {} is not built", path.string()),
                      "Start the benchmark by ./mezzo bench, which builds what it needs.");
    }
    return path;
  }

  void add(std::string_view target, const std::filesystem::path& source) {
    cpio_.file(target, base::read_file(source), 0755);
  }

  // The loader is where the programs look for it: /lib64 on amd64, /lib on i386.
  void add_c_library() {
    const auto root = package("libc6").root;
    const bool amd64 = is_amd64(machine_);
    const auto libraries = root / "lib" / (amd64 ? "x86_64-linux-gnu" : "i386-linux-gnu");
    const char* const loader = amd64 ? "ld-linux-x86-64.so.2" : "ld-linux.so.2";
    add(fmt::format("{}/{}", amd64 ? "lib64" : "lib", loader), libraries / loader);
    add("lib/libc.so.6", libraries / "libc.so.6");
    add("lib/libm.so.6", libraries / "libm.so.6");
  }

  void add_lmbench() {
    const auto programs = package("lmbench").root / "usr/lib/lmbench/bin" /
                          (is_amd64(machine_) ? "x86_64-linux-gnu" : "i686-pc-linux-gnu");
    for (const char* name : lmbench_programs()) {
      if (!std::filesystem::exists(programs / name)) {
        throw UserError(fmt::format("the package lmbench lacks {}", (programs / name).string()),
                        "Fetch it anew: mezzo bench --update");
      }
      add(fmt::format("lmbench/{}", name), programs / name);
    }
    add("lmbench/hello-static", program("mezzo-hello"));
  }

  const Machine& machine_;
  const Sources& sources_;
  fetch::PackageCache cache_;
  fetch::CpioWriter cpio_;
  std::vector<fetch::Package> packages_;
  Guest guest_;
};

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

void append(std::vector<std::string>& command, std::initializer_list<std::string> arguments) {
  command.insert(command.end(), arguments);
}

// Our own part: the system file's text, compiled as `mezzo image` would.
std::filesystem::path mezzo_image(const Guest& guest, const Sources& sources) {
  const auto file = sources.directory / "mezzo-bench.toml";
  base::write_file(file, fmt::format(R"toml(# Written by `mezzo bench`.
[machine]
board = "pc"
memory = "1024 MiB"
cpus = 1
cpu = "pentium3"

[[partition]]
name = "linux"
cpu = 0
memory = "512 MiB"
kernel = {{ file = "{}" }}
initramfs = {{ file = "{}" }}
cmdline = "quiet nokaslr norandmaps mitigations=off rdinit=/init"
devices = ["pci", "rtc"]
console = "com1"
interrupts = "ioapic"
)toml",
                                     guest.kernel.string(), guest.initramfs.string()));
  const system::System system = command::load(file.string());
  const auto image =
      command::take(image::compile(system, command::fetch_all(system, sources.refresh)));
  const auto elf = sources.directory / "mezzo-bench.elf";
  if (const auto written = image::write_elf(image, command::monitor_elf(), elf); !written) {
    command::show(written.error());
  }
  return elf;
}

// The hypervisor is compressed in its package; QEMU wants a multiboot ELF.
std::filesystem::path xen_image(GuestBuilder& builder, const Sources& sources) {
  const fetch::Package& package = builder.package("xen-hypervisor-4.17-amd64");
  const auto compressed = package.root / "boot/xen-4.17-amd64.gz";
  gzFile file = gzopen(compressed.c_str(), "rb");
  if (file == nullptr) throw UserError(fmt::format("{} is missing", compressed.string()));
  fetch::Bytes bytes;
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

Boot prepare(const Machine& machine, std::string_view suite, const Sources& sources) {
  base::make_directory(sources.directory);
  GuestBuilder builder(machine, sources);
  Guest guest = builder.build(suite);
  Boot boot{.command = qemu(machine, is_amd64(machine) ? "qemu64" : "pentium3"), .parts = {}};
  switch (machine.host) {
    case Host::Bare:
      append(boot.command, {"-kernel", guest.kernel.string(), "-initrd", guest.initramfs.string(),
                            "-append", fmt::format(kCmdline, "ttyS0") + " mem=512M"});
      break;
    case Host::Mezzo:
      append(boot.command, {"-kernel", mezzo_image(guest, sources).string()});
      break;
    case Host::Xen:
      append(boot.command,
             {"-kernel", xen_image(builder, sources).string(), "-append",
              "dom0_mem=512M console=com1 com1=115200 loglvl=warning noreboot spec-ctrl=no xpti=no",
              "-initrd",
              fmt::format("{} {},{}", guest.kernel.string(), fmt::format(kCmdline, "hvc0"),
                          guest.initramfs.string())});
      break;
  }
  boot.parts = std::move(guest.parts);
  return boot;
}

}  // namespace mezzo::bench
