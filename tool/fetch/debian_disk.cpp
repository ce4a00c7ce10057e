// mmdebstrap makes a tar file of the root file system; the recipe below completes it and puts it
// into an ext4 image. Both are whole before the image gets its name in the cache.
#include "fetch/debian_disk.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"

namespace mezzo::fetch {

namespace {

constexpr char kKeyring[] = "/usr/share/keyrings/debian-archive-keyring.gpg";

// sysvinit boots several times faster than systemd on an emulated processor.
constexpr char kPackages[] = "sysvinit-core,ifupdown,iproute2,iputils-ping,kmod,procps,wget";

// $1: size of the image in KiB. The user `root` logs in on the serial console without a password.
// The network is the one of QEMU's user mode. fakeroot remembers owners and device nodes.
constexpr std::string_view kRecipe = R"sh(set -e
PATH=$PATH:/usr/sbin:/sbin
mkdir root
tar -C root --numeric-owner -xf root.tar
sed -i 's|^\([1-6]:.*getty\)|#\1|' root/etc/inittab
echo 'T0:2345:respawn:/sbin/agetty -L ttyS0 115200 vt100' >>root/etc/inittab
sed -i 's|^root:[^:]*:|root::|' root/etc/shadow
echo debian >root/etc/hostname
echo '127.0.0.1 localhost debian' >root/etc/hosts
echo '/dev/sda / ext4 errors=remount-ro 0 1' >root/etc/fstab
cat >root/etc/network/interfaces <<'END'
auto lo eth0
iface lo inet loopback
iface eth0 inet static
  address 10.0.2.15/24
  gateway 10.0.2.2
END
echo 'nameserver 10.0.2.3' >root/etc/resolv.conf
echo 'deb http://deb.debian.org/debian bookworm main' >root/etc/apt/sources.list
rm -f root/etc/apt/apt.conf.d/99mmdebstrap root/etc/rcS.d/S*hwclock.sh
mke2fs -q -t ext4 -L mezzo-debian -d root disk.img "$1"
)sh";

void need_programs() {
  for (const char* program : {"mmdebstrap", "fakeroot"}) {
    if (!base::find_program(program).empty()) continue;
    throw UserError(fmt::format("{} is missing, which makes the disk with Debian", program),
                    "Install it: apt-get install mmdebstrap fakeroot e2fsprogs");
  }
}

std::string packages_of(const system::DiskSpec& spec) {
  std::string packages = kPackages;
  for (const std::string& package : spec.packages) packages += "," + package;
  return packages;
}

std::string image_name(const system::DiskSpec& spec) {
  const std::string key = fmt::format("{}\n{}\n{}", kRecipe, packages_of(spec), spec.size);
  return fmt::format(
      "debian-bookworm-i386-{}.img",
      base::sha256({reinterpret_cast<const std::uint8_t*>(key.data()), key.size()}).substr(0, 16));
}

// Runs `command` and shows what it announces by lines "I: ...". Throws UserError with its errors.
void make(const base::Command& command, const std::filesystem::path& cache,
          const Progress& progress) {
  std::string errors;
  const base::Finished finished = base::run(command, [&](std::string_view line) {
    if (line.starts_with("I: ")) {
      progress(fmt::format("disk with Debian: {}", line.substr(3)), -1);
    } else if (line.starts_with("E: ")) {
      errors += fmt::format("\n    {}", line);
    }
  });
  if (finished.status == 0) return;
  throw UserError(
      fmt::format("the disk with Debian could not be made; {} failed:{}", command.argv.front(),
                  errors.empty() ? "\n" + finished.output : errors),
      fmt::format("Check the network, the names under 'packages', and that {} and /tmp have 1 GiB\n"
                  "  free. Other users than root need user namespaces: apt-get install uidmap",
                  cache.string()));
}

}  // namespace

system::DiskArtifact make_debian_disk(const system::DiskSpec& spec,
                                      const std::filesystem::path& cache, bool refresh,
                                      const Progress& progress) {
  const auto disks = cache / "disks";
  const std::filesystem::path image = disks / image_name(spec);
  base::make_directory(disks);
  const base::FileLock lock(disks / "lock",
                            [&] { progress("waiting for another mezzo to finish a disk", -1); });
  if (refresh || !std::filesystem::exists(image)) {
    need_programs();
    progress("making a disk with Debian; this takes some minutes, once", -1);
    const base::TemporaryDirectory partial(disks, "partial");
    base::write_file(partial.path() / "apt.conf", acquire_configuration());
    make({.argv = {"mmdebstrap", "--skip=check/qemu", "--architectures=i386", "--variant=minbase",
                   "--include=" + packages_of(spec), "--format=tar", "--aptopt=apt.conf",
                   fmt::format("--keyring={}", kKeyring), "bookworm", "root.tar", system_mirror()},
          .directory = partial.path()},
         cache, progress);
    progress("disk with Debian: creating the file system", -1);
    make({.argv = {"fakeroot", "sh", "-c", std::string(kRecipe), "recipe",
                   fmt::format("{}k", spec.size / 1024)},
          .directory = partial.path()},
         cache, progress);
    std::filesystem::rename(partial.path() / "disk.img", image);
  }
  return {image, fmt::format("Debian bookworm with {}", packages_of(spec))};
}

}  // namespace mezzo::fetch
