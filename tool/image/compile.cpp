// Puts the parts together: layout, firmware tables and command lines become pieces, loads and
// registers.
#include "image/compile.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <zlib.h>

#include "firmware/acpi.hpp"
#include "firmware/boot_params.hpp"
#include "firmware/mp_table.hpp"
#include "firmware/multiboot.hpp"
#include "image/cmdline.hpp"
#include "image/e820.hpp"
#include "image/layout.hpp"
#include "image/store.hpp"
#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::image {
namespace {

using loader::ByteView;
using system::Diagnostics;
using system::KernelFormat;

std::uint32_t crc(ByteView bytes) {
  return static_cast<std::uint32_t>(crc32(0, bytes.data(), static_cast<uInt>(bytes.size())));
}

ByteView as_bytes(const std::string& text) {
  // With the terminating zero.
  return {reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1};
}

// Compiles one partition after the other into the plan and the store.
class Compiler {
 public:
  Compiler(const system::System& system, const system::Artifacts& artifacts,
           std::span<const loader::KernelImage> kernels, std::span<const Placement> placements)
      : system_(system),
        board_(system::board_info(system.machine.board)),
        artifacts_(artifacts),
        kernels_(kernels),
        placements_(placements) {}

  system::Result<CompiledImage> run() {
    image_.plan.magic = plan::kMagic;
    image_.plan.version = plan::kVersion;
    image_.plan.size = sizeof(plan::Plan);
    image_.plan.heartbeat_us = system_.machine.heartbeat_us;
    image_.plan.partition_count = static_cast<std::uint32_t>(system_.partitions.size());
    for (std::size_t i = 0; i < system_.partitions.size(); ++i) compile_partition(i);
    if (has_errors(diagnostics_)) return std::unexpected(diagnostics_);
    image_.plan.piece_count = piece_count_;
    image_.plan.load_count = load_count_;
    image_.store = store_.release();
    if (auto failure = finish()) return std::unexpected(*failure);
    return std::move(image_);
  }

 private:
  void error(system::Position where, std::string what, std::string remedy) {
    add_error(system_, where, std::move(what), std::move(remedy), diagnostics_);
  }

  void compile_partition(std::size_t index) {
    const system::Partition& partition = system_.partitions[index];
    plan::Partition& row = image_.plan.partitions[index];
    PartitionReport& report = image_.partitions.emplace_back();
    describe(index, report);
    std::memcpy(row.name, partition.name.data(),
                std::min<std::size_t>(partition.name.size(), plan::kNameSize - 1));
    row.cpu = partition.cpu;
    row.fault_policy = partition.fault_policy;
    row.restart_limit = partition.restart_limit;
    row.interrupts = partition.interrupts;
    row.owns_pci = partition.owns("pci") ? 1 : 0;
    row.uart_port = partition.console != 0 ? board_.uarts[partition.console - 1].port : 0;
    list_link_ports(index, row);
    if (row.owns_pci != 0) list_bus_masters(row);
    add_pieces(placements_[index], row);
    row.first_load = load_count_;
    report.e820 = make_e820(placements_[index], system_.machine.memory);
    switch (kernels_[index].format) {
      case KernelFormat::BzImage:
        compile_linux(index, row, report);
        break;
      case KernelFormat::Multiboot:
        compile_multiboot(index, row, report);
        break;
      default:
        compile_segments(index, row, report);
        break;
    }
    row.load_count = load_count_ - row.first_load;
  }

  void describe(std::size_t index, PartitionReport& report) const {
    const system::PartitionArtifacts& artifacts = artifacts_[index];
    report.name = system_.partitions[index].name;
    report.kernel_format = kernels_[index].summary;
    report.kernel_package = artifacts.kernel.package;
    report.kernel_version = artifacts.kernel.version;
    report.kernel_sha256 = artifacts.kernel.sha256;
    if (artifacts.initramfs) report.initramfs = artifacts.initramfs->description;
  }

  void list_link_ports(std::size_t index, plan::Partition& row) const {
    std::size_t count = 0;
    for (const system::Link& link : system_.links) {
      for (const system::LinkEnd& end : link.ends) {
        if (end.partition != index || count == plan::kMaxLinks) continue;
        row.link_ports[count++] = board_.uarts[end.com - 1].port;
      }
    }
  }

  // The owner of configuration space drives every bus master of the board.
  void list_bus_masters(plan::Partition& row) const {
    for (const system::BoardDevice& device : board_.devices) {
      if (!device.bus_master || row.bus_master_count == plan::kMaxBusMasters) continue;
      row.bus_masters[row.bus_master_count++] = *device.bus_master;
    }
  }

  void add_pieces(const Placement& placement, plan::Partition& row) {
    row.first_piece = piece_count_;
    for (const Extent& piece : placement.pieces) {
      if (piece_count_ == plan::kMaxPieces) {
        return error({}, fmt::format("more than {} memory pieces in all", plan::kMaxPieces),
                     "use fewer partitions or pieces");
      }
      image_.plan.pieces[piece_count_++] = {static_cast<std::uint32_t>(piece.base),
                                            static_cast<std::uint32_t>(piece.size)};
    }
    row.piece_count = piece_count_ - row.first_piece;
  }

  // `memory_size` bytes at `destination`, of which the first are `bytes`.
  void load(PartitionReport& report, std::string what, std::uint32_t destination, ByteView bytes,
            std::size_t memory_size) {
    if (load_count_ == plan::kMaxLoads) {
      return error({}, fmt::format("more than {} parts to load in all", plan::kMaxLoads),
                   "use kernels with fewer segments");
    }
    const auto file_size = static_cast<std::uint32_t>(bytes.size());
    const auto size = static_cast<std::uint32_t>(memory_size);
    image_.plan.loads[load_count_++] = {destination, store_.add(bytes), file_size, size,
                                        crc(bytes)};
    report.loads.push_back({std::move(what), destination, file_size, size});
  }

  void compile_linux(std::size_t index, plan::Partition& row, PartitionReport& report) {
    const system::Partition& partition = system_.partitions[index];
    const Placement& place = placements_[index];
    const loader::LinuxImage& kernel = kernels_[index].linux_image;
    const Cmdline cmdline = derive_cmdline(system_, partition);
    report.cmdline = cmdline.text;
    report.additions = cmdline.additions;
    if (cmdline.text.size() > std::min<std::size_t>(kernel.cmdline_max, plan::kPageSize - 1)) {
      return error(partition.cmdline_where,
                   fmt::format("the command line of {} has {} bytes, its kernel takes {}",
                               partition.name, cmdline.text.size(), kernel.cmdline_max),
                   "shorten 'cmdline'");
    }
    const auto acpi = firmware::make_acpi_tables(acpi_input(partition, place), board_);
    if (!acpi) return error(partition.where, acpi.error().what, acpi.error().remedy);
    report.firmware = acpi->summary;

    firmware::BootParamsInput input;
    input.load_address = place.kernel;
    input.cmdline_address = place.cmdline;
    input.rsdp_address = place.acpi;
    input.e820 = report.e820;
    load(report, "kernel", place.kernel, kernel.payload, kernel.payload.size());
    if (const auto& initramfs = artifacts_[index].initramfs) {
      input.initramfs_address = place.initramfs;
      input.initramfs_size = static_cast<std::uint32_t>(initramfs->bytes.size());
      load(report, "initramfs", place.initramfs, initramfs->bytes, initramfs->bytes.size());
    }
    load(report, "boot parameters", place.boot_info, firmware::make_boot_params(kernel, input),
         firmware::kBootParamsSize);
    load(report, "command line", place.cmdline, as_bytes(cmdline.text), plan::kPageSize);
    load(report, "ACPI tables", place.acpi, acpi->tables, firmware::kAcpiSize);
    if (!acpi->nvs.empty())
      load(report, "ACPI registers", place.nvs, acpi->nvs, firmware::kNvsSize);
    load_mp_table(partition, place, report);
    row.entry = place.kernel;
    row.esi = place.boot_info;
    row.tsc_khz_field = place.cmdline + static_cast<std::uint32_t>(cmdline.tsc_khz_offset);
  }

  [[nodiscard]] firmware::AcpiInput acpi_input(const system::Partition& partition,
                                               const Placement& place) const {
    firmware::AcpiInput input;
    input.apic_id = static_cast<std::uint8_t>(partition.cpu);  // board pc: one core a socket
    input.interrupts = partition.interrupts;
    input.pci = partition.owns("pci");
    input.rtc = partition.owns("rtc");
    input.pci_window_start = static_cast<std::uint32_t>(system_.machine.memory);
    input.tables_address = place.acpi;
    input.nvs_address = place.nvs;
    const auto index = static_cast<std::size_t>(&partition - system_.partitions.data());
    for (const unsigned com : system_.uarts_of(index)) {
      const system::BoardUart& uart = board_.uarts[com - 1];
      firmware::AcpiUart device = {com, uart.port, std::nullopt};
      if (partition.interrupts != plan::InterruptController::None) device.irq = uart.irq;
      if (com == partition.console) {
        input.uart = device;
      } else {
        input.links.push_back(device);
      }
    }
    return input;
  }

  void load_mp_table(const system::Partition& partition, const Placement& place,
                     PartitionReport& report) {
    if (place.pieces.empty() || place.pieces.front().base != 0) return;
    const auto table = firmware::make_mp_table(static_cast<std::uint8_t>(partition.cpu),
                                               board_.local_apic_address);
    load(report, "MP table", firmware::kMpTableAddress, table, table.size());
    report.firmware.push_back(
        fmt::format("MP table at {:#x}: ends the search of all guests early; ACPI overrides it",
                    firmware::kMpTableAddress));
  }

  void compile_segments(std::size_t index, plan::Partition& row, PartitionReport& report) {
    const loader::KernelImage& kernel = kernels_[index];
    for (const loader::Segment& segment : kernel.segments) {
      load(report, "kernel segment", segment.address, segment.file, segment.memory_size);
    }
    row.entry = kernel.entry;
  }

  void compile_multiboot(std::size_t index, plan::Partition& row, PartitionReport& report) {
    const Placement& place = placements_[index];
    compile_segments(index, row, report);
    report.cmdline = system_.partitions[index].cmdline;
    if (report.cmdline.size() >= plan::kPageSize) {
      return error(system_.partitions[index].cmdline_where,
                   fmt::format("a command line of {} bytes is too long", report.cmdline.size()),
                   fmt::format("shorten it to {} bytes", plan::kPageSize - 1));
    }
    firmware::MultibootInput input;
    input.info_address = place.boot_info;
    input.cmdline_address = place.cmdline;
    input.e820 = report.e820;
    if (const auto& initramfs = artifacts_[index].initramfs) {
      input.module_address = place.initramfs;
      input.module_size = static_cast<std::uint32_t>(initramfs->bytes.size());
      load(report, "module", place.initramfs, initramfs->bytes, initramfs->bytes.size());
    }
    load(report, "multiboot information", place.boot_info, firmware::make_multiboot_info(input),
         firmware::kMultibootInfoSize);
    load(report, "command line", place.cmdline, as_bytes(report.cmdline), plan::kPageSize);
    row.eax = firmware::kMultibootMagic;
    row.ebx = place.boot_info;
  }

  // Places the monitor and seals the plan.
  std::optional<Diagnostics> finish() {
    plan::Plan& plan = image_.plan;
    const std::uint64_t plan_pages =
        (sizeof(plan::Plan) + plan::kPageSize - 1) / plan::kPageSize * plan::kPageSize;
    const auto monitor =
        place_monitor(system_, placements_, image_.store.size(), plan_pages + image_.store.size());
    if (!monitor) return monitor.error();
    plan.monitor_base = monitor->monitor_base;
    plan.store_base = monitor->store_base;
    plan.store_size = static_cast<std::uint32_t>(image_.store.size());
    image_.bundle_address = monitor->bundle_address;
    plan.crc32 = 0;
    plan.crc32 = crc({reinterpret_cast<const std::uint8_t*>(&plan), sizeof plan});
    return std::nullopt;
  }

  const system::System& system_;
  const system::BoardInfo& board_;
  const system::Artifacts& artifacts_;
  std::span<const loader::KernelImage> kernels_;
  std::span<const Placement> placements_;
  CompiledImage image_;
  Store store_;
  std::uint32_t piece_count_ = 0, load_count_ = 0;
  Diagnostics diagnostics_;
};

}  // namespace

system::Result<CompiledImage> compile(const system::System& system,
                                      const system::Artifacts& artifacts) {
  Diagnostics found = system::check(system, artifacts);
  if (has_errors(found)) return std::unexpected(found);
  std::vector<loader::KernelImage> kernels;
  kernels.reserve(system.partitions.size());
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    // The checker has already refused what cannot be read.
    kernels.push_back(
        loader::read_kernel(artifacts[i].kernel.bytes, system.partitions[i].kernel).value());
  }
  const auto placements = place_partitions(system, kernels, artifacts);
  if (!placements) return std::unexpected(placements.error());
  auto image = Compiler(system, artifacts, kernels, *placements).run();
  if (image) image->warnings = std::move(found);
  return image;
}

}  // namespace mezzo::image
