// Both systems boot the same unpacked kernel with the same device tree, which the tool makes for a
// partition: what differs is the monitor. (The zImage would unpack itself on the bare machine, and
// be unpacked by the tool for Mezzo; the board's own tree has devices that a partition has not.)
#include "bench/machine_armv7.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "abi/plan.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "bench/image.hpp"
#include "loader/kernel.hpp"
#include "run/qemu.hpp"

namespace mezzo::bench {

namespace {

constexpr int kGuestMiB = 256, kMachineMiB = 512;

std::string system_file(const Machine& machine, const Files& files) {
  return fmt::format(R"toml([machine]
board = "vexpress-a9"
memory = "{} MiB"

[[partition]]
name = "guest"
cpu = 0
memory = "{} MiB"
kernel = {{ file = "{}" }}
device_tree = "{}"
initramfs = {{ file = "{}" }}
cmdline = "{}"
devices = ["smsc911x", "pl181", "rtc", "timer0"]
console = "uart0"
{}
)toml",
                     kMachineMiB, kGuestMiB, files.kernel.string(), files.device_tree.string(),
                     files.initramfs.string(), files.cmdline,
                     machine.variant == nullptr ? "" : machine.variant);
}

// The device tree that the guest's R2 points to.
base::Bytes device_tree_of(const image::CompiledImage& image) {
  const plan::Partition& partition = image.plan.partitions[0];
  const plan::Piece& piece = image.plan.pieces[partition.first_piece];
  const std::uint32_t at = partition.registers[2] - piece.guest_base + piece.base;
  const auto first = std::begin(image.plan.loads) + partition.first_load;
  const auto load = std::find_if(first, first + partition.load_count,
                                 [&](const plan::Load& one) { return one.destination == at; });
  if (load == first + partition.load_count) throw UserError("the guest has no device tree");
  const auto start = image.store.begin() + load->store_offset;
  return {start, start + load->file_size};
}

void put(base::Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (int byte = 0; byte < 4; ++byte) {
    bytes[at + static_cast<std::size_t>(byte)] =
        static_cast<std::uint8_t>(value >> (24 - 8 * byte));
  }
}

std::uint32_t crc_of(const base::Bytes& bytes) {
  return plan::crc32(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}

// The unpacked kernel as U-Boot's image, whose header says where it goes (U-Boot, include/image.h):
// QEMU itself would put a raw one elsewhere.
base::Bytes boot_image(const std::filesystem::path& kernel, std::uint32_t ram_base) {
  constexpr std::uint32_t kMagic = 0x27051956;
  constexpr std::array<std::uint8_t, 4> kLinuxArmKernelPlain = {5, 2, 2, 0};
  constexpr std::size_t kHeader = 64, kDataCrc = 24, kKind = 28;
  const base::Bytes bytes = base::read_file(kernel);
  const auto image = loader::read_kernel(bytes, {}, plan::Architecture::Armv7);
  if (!image) throw UserError(fmt::format("{}: {}", kernel.string(), image.error().what));
  if (image->zimage.unpacked.empty()) {
    throw UserError(fmt::format("{}: {}", kernel.string(), image->zimage.unpack_problem));
  }
  const std::uint32_t address = ram_base + image->zimage.text_offset;
  base::Bytes file(kHeader, 0);
  put(file, 0, kMagic);
  put(file, 12, static_cast<std::uint32_t>(image->zimage.unpacked.size()));
  put(file, 16, address);
  put(file, 20, address);
  put(file, kDataCrc, crc_of(image->zimage.unpacked));
  std::ranges::copy(kLinuxArmKernelPlain, file.begin() + kKind);
  put(file, 4, crc_of(file));  // of the header without it
  file.insert(file.end(), image->zimage.unpacked.begin(), image->zimage.unpacked.end());
  return file;
}

void boot_bare(Boot& boot, const Files& files, const image::CompiledImage& image,
               const Sources& sources) {
  const auto kernel = sources.directory / "linux.uimage", tree = sources.directory / "guest.dtb";
  base::write_file(kernel, boot_image(files.kernel, image.plan.board.ram_base));
  base::write_file(tree, device_tree_of(image));
  boot.command.insert(
      boot.command.end(),
      {"-m", fmt::format("{}M", kGuestMiB), "-kernel", kernel.string(), "-dtb", tree.string(),
       "-initrd", files.initramfs.string(), "-append", image.partitions[0].cmdline});
}

}  // namespace

Boot prepare_armv7(const Machine& machine, const Files& files, const Sources& sources) {
  Boot boot;
  boot.qemu = run::find_qemu(plan::Architecture::Armv7).text;
  boot.command = {run::qemu_program(plan::Architecture::Armv7), "-machine", "vexpress-a9"};
  append_fixed_time(boot.command);
  // The board's sound chip must not look for the host's.
  boot.command.insert(boot.command.end(), {"-audiodev", "none,id=audio"});
  const image::CompiledImage image = make_image(system_file(machine, files), sources);
  if (machine.host == Host::Bare) {
    boot_bare(boot, files, image, sources);
    return boot;
  }
  boot.monitor = sources.build / "vmm" / "mezzo-vmm-armv7.elf";
  boot.command.insert(boot.command.end(), {"-m", fmt::format("{}M", kMachineMiB), "-kernel",
                                           write_image(image, sources).string()});
  return boot;
}

}  // namespace mezzo::bench
