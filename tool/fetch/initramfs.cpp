// The contents of the initramfs that initramfs.hpp describes.
#include "fetch/initramfs.hpp"

#include <fmt/format.h>

#include <string_view>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/sha256.hpp"
#include "fetch/cpio.hpp"
#include "fetch/modules.hpp"

namespace mezzo::fetch {

namespace {

constexpr std::string_view kInitHead = R"sh(#!/bin/busybox sh
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
)sh";

// Process 1 becomes busybox's init, so that poweroff, reboot and halt work as on any system.
constexpr std::string_view kInitTail = R"sh(hostname "$(cat /etc/hostname)"
exec /sbin/init
)sh";

// Process 1 becomes the init of the root file system {0}; the drivers take a while to find its
// disk.
constexpr std::string_view kInitSwitchRoot = R"sh([ -e /etc/modules ] && while read -r module; do
  insmod "$module" || echo "mezzo: cannot load $module"
done </etc/modules
for i in $(seq 300); do [ -b {0} ] && break; sleep 0.1; done
mkdir /root-disk
mount -o ro {0} /root-disk || {{ echo "mezzo: cannot mount {0}"; exec /bin/sh; }}
mount -o move /dev /root-disk/dev
umount /proc /sys
exec switch_root /root-disk /sbin/init
)sh";

constexpr std::string_view kInittab = R"sh(::sysinit:/etc/init.d/rcS
::respawn:/bin/cttyhack /bin/sh -l
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/umount -a -r
)sh";

constexpr std::string_view kStartup = R"sh(#!/bin/sh
[ -e /etc/modules ] && while read -r module; do
  insmod "$module" || echo "mezzo: cannot load $module"
done </etc/modules
ip link set lo up
[ -e /etc/mezzo-script ] && sh /etc/mezzo-script
:
)sh";

constexpr std::string_view kProfile =
    R"sh(export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/ TERM=linux
PS1='\h:\w# '
)sh";

// What udhcpc runs when it has got a lease.
constexpr std::string_view kDhcpScript = R"sh(#!/bin/sh
case "$1" in
  deconfig) ip addr flush dev "$interface"; ip link set "$interface" up ;;
  bound | renew)
    ip addr replace "$ip/${mask:-24}" dev "$interface"
    [ -n "$router" ] && ip route replace default via "${router%% *}" dev "$interface"
    for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
    ;;
esac
)sh";

constexpr const char* kDirectories[] = {"bin",  "dev",     "etc",     "etc/init.d", "etc/udhcpc",
                                        "proc", "root",    "sbin",    "sys",        "tmp",
                                        "usr",  "usr/bin", "usr/sbin"};

std::string make_init(const std::string& root) {
  return std::string(kInitHead) +
         (root.empty() ? std::string(kInitTail) : fmt::format(kInitSwitchRoot, root));
}

void add_base(CpioWriter& cpio, const std::string& name, const std::string& root,
              const Package& busybox) {
  for (const char* directory : kDirectories) cpio.directory(directory);
  cpio.character_device("dev/console", 5, 1);
  cpio.character_device("dev/null", 1, 3, 0666);
  cpio.file("bin/busybox", base::read_file(busybox.root / "bin/busybox"), 0755);
  cpio.symlink("bin/sh", "busybox");
  cpio.file("init", make_init(root), 0755);
  cpio.file("etc/hostname", name + "\n");
  cpio.file("etc/inittab", kInittab);
  cpio.file("etc/init.d/rcS", kStartup, 0755);
  cpio.file("etc/profile", kProfile);
  cpio.file("etc/passwd", "root::0:0:root:/root:/bin/sh\n");
  cpio.file("etc/udhcpc/default.script", kDhcpScript, 0755);
}

std::string add_modules(CpioWriter& cpio, const std::vector<Module>& modules,
                        const std::filesystem::path& kernel_root) {
  std::string list;
  for (const Module& module : modules) {
    const std::string path = module.path.string();
    cpio.parents(path);
    cpio.file(path, base::read_file(kernel_root / module.path));
    list += fmt::format("/{}\n", path);
  }
  return list;
}

std::string_view without_slash(std::string_view path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  return path;
}

}  // namespace

void add_package_files(const Package& package, const std::vector<std::string>& paths,
                       system::InitramfsSpec& spec) {
  for (const std::string& path : paths) {
    spec.files.emplace(path, file_in(package, path));
  }
}

system::InitramfsArtifact build_initramfs(const system::InitramfsSpec& spec,
                                          const std::string& name, const Package& busybox,
                                          const std::filesystem::path& kernel_root) {
  std::vector<Module> modules;
  if (!spec.modules.empty()) {
    if (kernel_root.empty()) {
      throw UserError(
          fmt::format("partition '{}' asks for kernel modules, but its kernel is a file", name),
          "Name a kernel package, or add the module files under `files`.");
    }
    modules = resolve_modules(kernel_root, spec.modules);
  }
  CpioWriter cpio;
  add_base(cpio, name, spec.root, busybox);
  if (const std::string list = add_modules(cpio, modules, kernel_root); !list.empty()) {
    cpio.file("etc/modules", list);
  }
  if (!spec.script.empty()) cpio.file("etc/mezzo-script", spec.script);
  for (const auto& [target, source] : spec.files) {
    const bool executable = (std::filesystem::status(source).permissions() &
                             std::filesystem::perms::owner_exec) != std::filesystem::perms::none;
    cpio.parents(without_slash(target));
    cpio.file(without_slash(target), base::read_file(source), executable ? 0755 : 0644);
  }
  system::InitramfsArtifact artifact;
  artifact.bytes = gzip(cpio.finish());
  artifact.sha256 = base::sha256(artifact.bytes);
  artifact.description =
      fmt::format("{} {}, {} modules", busybox.name, busybox.version, modules.size());
  return artifact;
}

}  // namespace mezzo::fetch
