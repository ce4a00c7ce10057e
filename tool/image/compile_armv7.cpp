// Puts the parts of an ARMv7 board's image together: layout, device trees and command lines become
// pieces, windows, interrupt lines, loads and registers.
#include <algorithm>

#include <fmt/format.h>

#include "firmware/device_tree.hpp"
#include "image/cmdline.hpp"
#include "image/layout_armv7.hpp"
#include "image/plan_builder.hpp"
#include "system/board.hpp"

namespace mezzo::image {
namespace {

using loader::ByteView;
using system::KernelFormat;

// Registers at a Linux' entry: r0 is 0, r1 a machine number that is no longer looked at, r2 the
// device tree (Documentation/arm/booting.rst).
constexpr std::uint32_t kNoMachineNumber = 0xffffffff;
constexpr std::size_t kLongestCmdline = 1023;  // Linux' COMMAND_LINE_SIZE less one

// Compiles one partition after the other into the plan and the store.
class Compiler {
 public:
  Compiler(const system::System& system, const system::Artifacts& artifacts,
           std::span<const loader::KernelImage> kernels, const Armv7Layout& layout)
      : system_(system),
        board_(system::board_info(system.machine.board)),
        artifacts_(artifacts),
        kernels_(kernels),
        layout_(layout),
        builder_(system, artifacts, kernels) {}

  system::Result<CompiledImage> run() {
    share_timers();
    for (std::size_t i = 0; i < system_.partitions.size(); ++i) compile_partition(i);
    if (has_errors(builder_.diagnostics())) return std::unexpected(builder_.diagnostics());
    const auto bundle = place_bundle(system_, layout_, builder_.bundle_size());
    if (!bundle) return std::unexpected(bundle.error());
    plan::Plan& plan = builder_.plan();
    plan.architecture = plan::Architecture::Armv7;
    plan.monitor_base = layout_.monitor_base;
    plan.monitor_size = plan::monitor_size(plan.architecture);
    plan.store_base =
        *bundle + static_cast<std::uint32_t>(builder_.bundle_size() - builder_.store_size());
    plan.board = {static_cast<std::uint32_t>(board_.ram_base),
                  static_cast<std::uint32_t>(system_.machine.memory), board_.armv7.distributor,
                  board_.armv7.interface, board_.armv7.private_timer};
    return builder_.seal(*bundle);
  }

 private:
  // Each Linux without a timer of the board gets the next one that nobody has: it is its clock.
  void share_timers() {
    timers_.resize(system_.partitions.size());
    std::vector<std::string_view> unused;
    for (const std::string_view timer : board_.armv7.timers) {
      const bool taken = std::ranges::any_of(
          system_.partitions, [timer](const system::Partition& p) { return p.owns(timer); });
      if (!taken) unused.push_back(timer);
    }
    for (std::size_t i = 0; i < system_.partitions.size(); ++i) {
      const system::Partition& partition = system_.partitions[i];
      const bool has_one = std::ranges::any_of(
          board_.armv7.timers, [&](std::string_view timer) { return partition.owns(timer); });
      if (has_one || board_.armv7.timers.empty() || kernels_[i].format != KernelFormat::ZImage) {
        continue;
      }
      if (unused.empty()) {
        builder_.warn(partition.where,
                      fmt::format("no timer of the board is left for {}: its Linux will tell the "
                                  "time by its ticks alone",
                                  partition.name),
                      "give it one of another partition's devices, if that one needs none");
        continue;
      }
      timers_[i] = board_.find(unused.front());
      unused.erase(unused.begin());
    }
  }

  void compile_partition(std::size_t index) {
    const system::Partition& partition = system_.partitions[index];
    plan::Partition& row = builder_.begin_partition(index);
    const Armv7Placement& place = layout_.partitions[index];
    for (const plan::Piece& piece : place.pieces) builder_.add_piece(piece);
    row.armv7.view = partition.armv7.view;
    row.armv7.user_access = partition.armv7.user_access;
    row.armv7.slow_paths = partition.armv7.slow_paths;
    row.armv7.priority = partition.armv7.priority.value_or(0);
    row.armv7.shadow_base = layout_.shadows[index];
    row.armv7.shadow_size = static_cast<std::uint32_t>(partition.armv7.shadow_memory);
    add_windows(index, row);
    load_kernel(index, row);
    if (takes_device_tree(partition, kernels_[index])) load_linux_data(index, row);
  }

  [[nodiscard]] bool shares_processor(const system::Partition& partition) const {
    return std::ranges::any_of(system_.partitions, [&partition](const system::Partition& other) {
      return &other != &partition && other.cpu == partition.cpu;
    });
  }

  void add_windows(std::size_t index, plan::Partition& row) {
    const system::Partition& partition = system_.partitions[index];
    add_silences(0, board_.armv7.clocks);
    for (const system::BoardRegion& region : board_.armv7.common) {
      const bool private_page = board_.armv7.interface >= region.base &&
                                board_.armv7.interface - region.base < region.size;
      const bool emulated = private_page && shares_processor(partition);
      add_window(region, emulated ? plan::WindowKind::Interface : region.kind);
    }
    if (partition.watchdog_us != 0) {
      add_window({board_.armv7.watchdog, plan::kPageSize}, plan::WindowKind::Watchdog);
    }
    if (partition.console != 0) {
      const system::BoardUart& uart = board_.uart(partition.console);
      add_window({uart.base, plan::kPageSize}, plan::WindowKind::Direct);
      own_line(row, uart.irq);
      add_silences(uart.base, board_.armv7.uart_silence);
    }
    for (const system::BoardDevice* device : devices_of(index)) {
      for (const system::BoardRegion& region : device->regions) add_window(region, region.kind);
      for (const unsigned irq : device->irqs) own_line(row, irq);
      if (!device->silence.empty()) add_silences(device->regions.front().base, device->silence);
    }
  }

  void add_silences(std::uint32_t base, std::span<const system::BoardSilence> writes) {
    for (const system::BoardSilence& write : writes) {
      builder_.add_silence(base + write.offset, write.value, write.busy);
    }
  }

  [[nodiscard]] std::vector<const system::BoardDevice*> devices_of(std::size_t index) {
    std::vector<const system::BoardDevice*> devices;
    for (const system::DeviceUse& use : system_.partitions[index].devices) {
      if (const auto* device = board_.find(use.name)) devices.push_back(device);
    }
    if (timers_[index] != nullptr) {
      devices.push_back(timers_[index]);
      builder_.report().firmware.push_back(
          fmt::format("{} ({}) is its clock", timers_[index]->name, timers_[index]->what));
    }
    return devices;
  }

  void add_window(const system::BoardRegion& region, plan::WindowKind kind) {
    builder_.add_window({region.base, region.base, region.size, kind});
  }

  static void own_line(plan::Partition& row, unsigned line) {
    row.armv7.lines[line / 32] |= 1U << line % 32;
  }

  // A load at a guest-physical address, which the layout has placed inside one piece.
  void load(const Armv7Placement& place, std::string what, std::uint32_t address, ByteView bytes,
            std::size_t memory_size) {
    const auto machine = place.machine(address, memory_size);
    if (!machine) return builder_.error({}, what + " is outside its partition", "report this");
    builder_.load(std::move(what), *machine, bytes, memory_size);
  }

  void load_kernel(std::size_t index, plan::Partition& row) {
    const loader::KernelImage& kernel = kernels_[index];
    const Armv7Placement& place = layout_.partitions[index];
    if (kernel.format != KernelFormat::ZImage) {
      for (const loader::Segment& segment : kernel.segments) {
        load(place, "kernel segment", segment.address, segment.file, segment.memory_size);
      }
      row.entry = kernel.entry;
      return;
    }
    const bool unpacked =
        system_.partitions[index].kernel.decompress && !kernel.zimage.unpacked.empty();
    const ByteView bytes = unpacked ? ByteView(kernel.zimage.unpacked) : kernel.file;
    load(place, unpacked ? "kernel, unpacked" : "kernel, which unpacks itself", place.kernel, bytes,
         bytes.size());
    row.entry = place.kernel;
  }

  void load_linux_data(std::size_t index, plan::Partition& row) {
    const system::Partition& partition = system_.partitions[index];
    const Armv7Placement& place = layout_.partitions[index];
    const Cmdline cmdline = derive_armv7_cmdline(system_, partition);
    builder_.report().cmdline = cmdline.text;
    builder_.report().additions = cmdline.additions;
    if (cmdline.text.size() > kLongestCmdline) {
      return builder_.error(partition.cmdline_where,
                            fmt::format("the command line of {} has {} bytes, its kernel takes {}",
                                        partition.name, cmdline.text.size(), kLongestCmdline),
                            "shorten 'cmdline'");
    }
    if (const auto& initramfs = artifacts_[index].initramfs) {
      load(place, "initramfs", place.initramfs, initramfs->bytes, initramfs->bytes.size());
    }
    const firmware::DeviceTree tree = make_tree(index, row, cmdline);
    if (tree.blob.size() > place.device_tree_room) {
      return builder_.error(partition.where,
                            fmt::format("the device tree of {} has become too large ({} bytes)",
                                        partition.name, tree.blob.size()),
                            "shorten 'cmdline', or use a smaller 'device_tree'");
    }
    load(place, "device tree", place.device_tree, tree.blob, tree.blob.size());
    auto& words = builder_.report().firmware;
    words.insert(words.end(), tree.summary.begin(), tree.summary.end());
    row.registers[1] = kNoMachineNumber;
    row.registers[2] = place.device_tree;
  }

  [[nodiscard]] firmware::DeviceTree make_tree(std::size_t index, const plan::Partition& row,
                                               const Cmdline& cmdline) {
    const system::Partition& partition = system_.partitions[index];
    const Armv7Placement& place = layout_.partitions[index];
    const plan::Plan& plan = builder_.plan();
    firmware::DeviceTreeInput input;
    input.board = system_.machine.board;
    input.memory = place.pieces;
    input.windows = std::span(plan.windows).subspan(row.first_window, row.window_count);
    input.cmdline = cmdline.text;
    input.initramfs_address = place.initramfs;
    if (const auto& initramfs = artifacts_[index].initramfs) {
      input.initramfs_size = static_cast<std::uint32_t>(initramfs->bytes.size());
    }
    if (partition.console != 0) input.console = &board_.uart(partition.console);
    input.has_disk = partition.disk.has_value();
    return firmware::make_device_tree(artifacts_[index].device_tree->bytes, input);
  }

  const system::System& system_;
  const system::BoardInfo& board_;
  const system::Artifacts& artifacts_;
  std::span<const loader::KernelImage> kernels_;
  const Armv7Layout& layout_;
  std::vector<const system::BoardDevice*> timers_;  // given by share_timers(), or null
  PlanBuilder builder_;
};

}  // namespace

system::Result<CompiledImage> compile_armv7(const system::System& system,
                                            const system::Artifacts& artifacts,
                                            std::span<const loader::KernelImage> kernels) {
  const auto layout = place_armv7(system, kernels, artifacts);
  if (!layout) return std::unexpected(layout.error());
  return Compiler(system, artifacts, kernels, *layout).run();
}

}  // namespace mezzo::image
