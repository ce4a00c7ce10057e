// The guests' files behind guest.hpp.
#include "bench/guest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/sha256.hpp"
#include "bench/lmbench.hpp"
#include "fetch/cpio.hpp"
#include "fetch/modules.hpp"

namespace mezzo::bench {

struct Distribution {
  const char* architecture;
  const char* kernel;     // package
  const char* libraries;  // folder in lib/
  const char* loader;     // of dynamic programs, where they look for it
  const char* lmbench;    // folder in usr/lib/lmbench/bin/
  const char* suffix;     // of our own programs (bench/guest/CMakeLists.txt)
  const char* device_tree = nullptr;
};

namespace {

constexpr std::array kDistributions{
    Distribution{.architecture = "i386",
                 .kernel = "linux-image-686",
                 .libraries = "i386-linux-gnu",
                 .loader = "lib/ld-linux.so.2",
                 .lmbench = "i686-pc-linux-gnu",
                 .suffix = "32"},
    Distribution{.architecture = "amd64",
                 .kernel = "linux-image-amd64",
                 .libraries = "x86_64-linux-gnu",
                 .loader = "lib64/ld-linux-x86-64.so.2",
                 .lmbench = "x86_64-linux-gnu",
                 .suffix = "64"},
    Distribution{.architecture = "armhf",
                 .kernel = "linux-image-armmp",
                 .libraries = "arm-linux-gnueabihf",
                 .loader = "lib/ld-linux-armhf.so.3",
                 .lmbench = "armv7l-linux-gnu",
                 .suffix = "-armv7",
                 .device_tree = "vexpress-v2p-ca9.dtb"},
};

// Nothing in a guest may depend on chance. Mitigations are off everywhere: that favours Xen, whose
// guests pay for them at each entry.
constexpr char kCmdline[] = "quiet nokaslr norandmaps mitigations=off panic=-1 rdinit=/init";

void add(fetch::CpioWriter& cpio, std::string_view target, const std::filesystem::path& source) {
  cpio.file(target, base::read_file(source), 0755);
}

void add_c_library(fetch::CpioWriter& cpio, const fetch::Package& package,
                   const Distribution& distribution) {
  const auto libraries = package.root / "lib" / distribution.libraries;
  add(cpio, distribution.loader, libraries / std::filesystem::path(distribution.loader).filename());
  add(cpio, "lib/libc.so.6", libraries / "libc.so.6");
  add(cpio, "lib/libm.so.6", libraries / "libm.so.6");
}

void add_lmbench(fetch::CpioWriter& cpio, const fetch::Package& package,
                 const Distribution& distribution) {
  const auto programs = package.root / "usr/lib/lmbench/bin" / distribution.lmbench;
  for (const char* name : lmbench_programs()) {
    if (!std::filesystem::exists(programs / name)) {
      throw UserError(fmt::format("the package lmbench lacks {}", (programs / name).string()),
                      "Fetch it anew: mezzo bench --update");
    }
    add(cpio, fmt::format("lmbench/{}", name), programs / name);
  }
}

// In the order of their loading, by name.
void add_modules(fetch::CpioWriter& cpio, const fetch::Package& kernel,
                 const std::vector<std::string>& names) {
  if (names.empty()) return;
  cpio.directory("modules");
  int order = 10;
  for (const fetch::Module& module : fetch::resolve_modules(kernel.root, names)) {
    add(cpio, fmt::format("modules/{}-{}.ko", order++, module.name), kernel.root / module.path);
  }
}

}  // namespace

GuestBuilder::GuestBuilder(std::string_view architecture, const Sources& sources)
    : distribution_(*std::ranges::find(kDistributions, architecture, &Distribution::architecture)),
      sources_(sources) {}

// The kernels are in `main`, and so is busybox; only lmbench is not free.
fetch::PackageCache& GuestBuilder::cache() {
  if (!cache_) {
    cache_ = std::make_unique<fetch::PackageCache>(
        sources_.cache / fmt::format("bench-{}", distribution_.architecture), sources_.progress,
        sources_.refresh,
        fetch::Archive{.architecture = distribution_.architecture, .components = "main non-free"});
  }
  return *cache_;
}

fetch::Package GuestBuilder::package(const std::string& name) {
  fetch::Package package = cache().get(name);
  parts_.push_back({package.name, package.version, package.sha256});
  return package;
}

std::filesystem::path GuestBuilder::program(const std::string& name) const {
  auto path = sources_.build / name;
  if (std::filesystem::exists(path)) return path;
  throw UserError(fmt::format("the guest program {} is not built", path.string()),
                  "Start the benchmark by ./mezzo bench, which builds what it needs.");
}

// The name is the contents', so that equal ones are equal files.
std::filesystem::path GuestBuilder::initramfs(const Workload& workload,
                                              const fetch::Package& kernel) {
  fetch::CpioWriter cpio;
  for (const char* folder :
       {"bin", "dev", "lib", "lib64", "lmbench", "proc", "sys", "tmp", "var"}) {
    cpio.directory(folder);
  }
  cpio.character_device("dev/console", 5, 1);
  cpio.character_device("dev/null", 1, 3, 0666);
  add(cpio, "bin/busybox", package("busybox-static").root / "bin/busybox");
  const auto ours = [&](const char* name) {
    return program(fmt::format("bench/guest/mezzo-{}{}", name, distribution_.suffix));
  };
  add(cpio, "bin/micro", ours("micro"));
  // Modules are what neighbours have, and these programs are theirs, too.
  if (!workload.modules.empty()) add(cpio, "bin/load", ours("load"));
  add(cpio, "init", sources_.guest / "init.sh");
  cpio.file("suite", workload.text);
  add_modules(cpio, kernel, workload.modules);
  add_c_library(cpio, package("libc6"), distribution_);
  add(cpio, "bin/sh", package("dash").root / "bin/dash");
  add_lmbench(cpio, package("lmbench"), distribution_);
  add(cpio, "lmbench/hello-static", ours("hello"));
  const fetch::Bytes archive = fetch::gzip(cpio.finish());
  const std::string digest = base::sha256(archive);
  auto path = sources_.directory / fmt::format("{}.cpio.gz", digest.substr(0, 16));
  base::write_file(path, archive);
  parts_.push_back({"initramfs", "", digest});
  return path;
}

Files GuestBuilder::build(const Workload& workload) {
  if (workload.guest != Guest::Linux) {
    const std::string name = workload.guest == Guest::Probe ? "probe" : "rtos";
    Files files{.kernel = program(fmt::format("guest/{}.elf", name)),
                .initramfs = {},
                .cmdline = workload.text};
    parts_.push_back({name, "", base::sha256(base::read_file(files.kernel))});
    return files;
  }
  const auto kernel = package(distribution_.kernel);
  Files files{.kernel = fetch::kernel_file(kernel),
              .initramfs = initramfs(workload, kernel),
              .cmdline = kCmdline};
  if (distribution_.device_tree != nullptr) {
    files.device_tree = fetch::device_tree_file(kernel, distribution_.device_tree);
  }
  return files;
}

}  // namespace mezzo::bench
