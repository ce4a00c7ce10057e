// QEMU's options for each board.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <span>

#include "base/error.hpp"
#include "run/qemu.hpp"
#include "system/board.hpp"

namespace mezzo::run {

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

// QEMU's option parser takes a doubled comma for one comma.
std::string escaped(const std::filesystem::path& path) {
  std::string text;
  for (const char c : path.string()) text.append(c == ',' ? 2 : 1, c);
  return text;
}

class Arguments {
 public:
  Arguments(const system::System& system, const QemuFiles& files, const std::vector<int>& uart_fds)
      : system_(system),
        board_(system::board_info(system.machine.board)),
        files_(files),
        uart_fds_(uart_fds) {}

  std::vector<std::string> make() {
    add_machine();
    if (board_.is_armv7()) {
      add_armv7();
    } else {
      add_pc();
    }
    for (index_ = 0; index_ < system_.partitions.size(); ++index_) {
      const system::Partition& partition = system_.partitions[index_];
      if (const auto device = network_device(partition)) add_network(partition, *device);
      if (partition.disk) add_disk(partition);
    }
    return std::move(arguments_);
  }

 private:
  void add(std::initializer_list<std::string> arguments) {
    arguments_.insert(arguments_.end(), arguments);
  }

  // What all boards have.
  void add_machine() {
    const std::uint64_t mib = system_.machine.memory / kMiB;
    const std::string memory = fmt::format(
        "memory-backend-file,id=ram,size={}M,mem-path={},share=on", mib, escaped(files_.ram));
    const std::string qmp =
        fmt::format("unix:{},server=on,wait=off", escaped(files_.directory / "qmp.sock"));
    add({qemu_program(board_.architecture), "-nodefaults", "-display", "none", "-no-reboot"});
    add({"-machine", fmt::format("{},memory-backend=ram", board_.machine)});
    add({"-accel", "tcg,thread=multi", "-m", fmt::format("{}M", mib), "-object", memory});
    add({"-kernel", files_.image.string(), "-qmp", qmp});
  }

  void add_pc() {
    // One socket for each processor: SeaBIOS's MP table leaves out other cores and threads.
    add({"-smp", fmt::format("{0},sockets={0},cores=1,threads=1", system_.machine.cpus)});
    // The monitor's heartbeat: an HPET comparator that delivers its interrupt as a message.
    add({"-cpu", system_.machine.cpu_model, "-global", "hpet.msi=on"});
    add({"-debugcon", fmt::format("file:{}", (files_.directory / "monitor.log").string())});
    for (std::size_t i = 0; i < uart_fds_.size(); ++i) {
      if (uart_fds_[i] < 0) continue;
      const std::string id = fmt::format("com{}", i + 1);
      add({"-chardev", fmt::format("socket,id={},fd={}", id, uart_fds_[i])});
      add({"-device",
           fmt::format("isa-serial,index={},irq={},chardev={}", i, board_.uarts[i].irq, id)});
    }
  }

  void add_armv7() {
    // The boards have a sound chip, which must not look for the host's.
    add({"-smp", fmt::format("{}", system_.machine.cpus), "-audiodev", "none,id=audio"});
    // UARTs are on the board, and given their ends in order.
    for (std::size_t i = 0; i < board_.uarts.size(); ++i) {
      if (i >= uart_fds_.size() || uart_fds_[i] < 0) {
        add({"-serial", "none"});
        continue;
      }
      add({"-chardev", fmt::format("socket,id=uart{},fd={}", i, uart_fds_[i])});
      add({"-serial", fmt::format("chardev:uart{}", i)});
    }
  }

  // The first of `candidates` that the partition owns.
  static std::optional<std::string_view> first_owned(const system::Partition& partition,
                                                     std::span<const std::string_view> candidates) {
    const auto found = std::ranges::find_if(
        candidates, [&](std::string_view device) { return partition.owns(device); });
    return found == candidates.end() ? std::nullopt : std::optional(*found);
  }

  // Virtio may be there for a disk only; other network devices are wired up in any case.
  [[nodiscard]] std::optional<std::string_view> network_device(
      const system::Partition& partition) const {
    const auto device = first_owned(partition, board_.network_devices);
    return device == "virtio" && !partition.network ? std::nullopt : device;
  }

  void add_network(const system::Partition& partition, std::string_view device) {
    const std::string id = fmt::format("net{}", index_);
    std::string network = "user,id=" + id;
    if (partition.network) {
      for (const std::string& forward : partition.network->forwards) {
        // "tcp:HOSTPORT:GUESTPORT", on the host's loopback address only
        const auto first = forward.find(':');
        const auto second = forward.find(':', first + 1);
        network +=
            fmt::format(",hostfwd={}:127.0.0.1:{}-:{}", forward.substr(0, first),
                        forward.substr(first + 1, second - first - 1), forward.substr(second + 1));
      }
    }
    add({"-netdev", network});
    if (device == "e1000") {
      add({"-device", fmt::format("e1000,netdev={},addr=3", id)});
    } else if (device == "virtio") {
      add({"-device", fmt::format("virtio-net-device,netdev={},bus=virtio-mmio-bus.0", id)});
    } else {
      add({"-net", fmt::format("nic,netdev={}", id)});  // on the board
    }
  }

  void add_disk(const system::Partition& partition) {
    const std::filesystem::path& image = files_.disks.at(index_);
    const std::string id = fmt::format("disk{}", index_);
    const std::string file = fmt::format("id={},file={},format=raw{}", id, escaped(image),
                                         partition.disk->read_only ? ",snapshot=on" : "");
    const auto device = first_owned(partition, board_.disk_devices);
    if (device == "pl181" || device == "mmc0" || device == "sdio0") {
      check_card(image);
      add({"-drive", "if=sd," + file});
      return;
    }
    add({"-drive", "if=none," + file});
    if (device == "usdhc4") {
      check_card(image);
      add({"-device",
           "sd-card,drive=" + id});  // QEMU takes the first slot that it finds, which it is
    } else if (device == "virtio") {
      add({"-device", fmt::format("virtio-blk-device,drive={},bus=virtio-mmio-bus.1", id)});
    } else if (device == "sata") {
      add({"-device", fmt::format("ide-hd,drive={},bus=ide.0", id)});
    } else {
      add({"-device", "ich9-ahci,id=ahci0,addr=4", "-device",
           fmt::format("ide-hd,drive={},bus=ahci0.0", id)});
    }
  }

  // QEMU's SD cards have the sizes of real ones.
  static void check_card(const std::filesystem::path& image) {
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(image, error);
    if (error || std::has_single_bit(size)) return;
    throw UserError(
        fmt::format("the disk {} of {} bytes cannot be an SD card: its size is no power of two",
                    image.string(), size),
        fmt::format("Extend it: truncate -s {} {}", std::bit_ceil(size), image.string()));
  }

  const system::System& system_;
  const system::BoardInfo& board_;
  const QemuFiles& files_;
  const std::vector<int>& uart_fds_;
  std::size_t index_ = 0;  // of the partition being wired up
  std::vector<std::string> arguments_;
};

}  // namespace

std::vector<std::string> qemu_arguments(const system::System& system, const QemuFiles& files,
                                        const std::vector<int>& uart_fds) {
  return Arguments(system, files, uart_fds).make();
}

}  // namespace mezzo::run
