// Puts the parts of a PC's image together: layout, firmware tables and command lines become pieces,
// loads and registers.
#include <algorithm>

#include <fmt/format.h>

#include "firmware/acpi.hpp"
#include "firmware/boot_params.hpp"
#include "firmware/mp_table.hpp"
#include "firmware/multiboot.hpp"
#include "image/cmdline.hpp"
#include "image/e820.hpp"
#include "image/layout.hpp"
#include "image/memory.hpp"
#include "image/plan_builder.hpp"
#include "system/board.hpp"

namespace mezzo::image {
namespace {

using loader::ByteView;
using system::KernelFormat;

// Compiles one partition after the other into the plan and the store.
class Compiler {
 public:
  Compiler(const system::System& system, const system::Artifacts& artifacts,
           std::span<const loader::KernelImage> kernels, std::span<const Placement> placements)
      : system_(system),
        board_(system::board_info(system.machine.board)),
        artifacts_(artifacts),
        kernels_(kernels),
        placements_(placements),
        builder_(system, artifacts, kernels) {}

  system::Result<CompiledImage> run() {
    for (std::size_t i = 0; i < system_.partitions.size(); ++i) compile_partition(i);
    check_mp_table();
    if (has_errors(builder_.diagnostics())) return std::unexpected(builder_.diagnostics());
    const auto monitor =
        place_monitor(system_, placements_, builder_.store_size(), builder_.bundle_size());
    if (!monitor) return std::unexpected(monitor.error());
    plan::Plan& plan = builder_.plan();
    plan.architecture = plan::Architecture::Ia32;
    plan.monitor_base = monitor->monitor_base;
    plan.monitor_size = plan::monitor_size(plan.architecture);
    plan.store_base = monitor->store_base;
    list_channels(plan);
    plan.ia32_strays = lines_of_nobody();
    return builder_.seal(monitor->bundle_address);
  }

 private:
  void list_channels(plan::Plan& plan) const {
    for (std::size_t n = 0; n < system_.channels.size(); ++n) {
      const system::Channel& channel = system_.channels[n];
      plan::Channel& row = plan.channels[plan.channel_count++];
      row.base = static_cast<std::uint32_t>(channel_base(system_, n));
      row.size = static_cast<std::uint32_t>(channel.size);
      for (std::size_t end = 0; end < channel.ends.size(); ++end) {
        const std::size_t partition = channel.ends[end];
        row.ends[end] = {static_cast<std::uint32_t>(partition),
                         has_functions(system_, kernels_, partition) ? line(n) : plan::kNoLine};
      }
    }
  }

  // A bit an input of the I/O APIC. The PIT, ISA's first line, is at the third one; at the first
  // one is the PIC.
  [[nodiscard]] std::uint32_t lines_of_nobody() const {
    constexpr std::uint32_t kAll = 0xfffffe, kPit = 1u << 2;
    std::uint32_t owned = 0;
    const auto own = [&](std::uint32_t irq) { owned |= irq == 0 ? kPit : 1u << irq; };
    for (std::size_t n = 0; n < system_.channels.size(); ++n) own(line(n));
    for (std::size_t n = 0; n < system_.partitions.size(); ++n) {
      const system::Partition& partition = system_.partitions[n];
      const bool has_pit = partition.interrupts != plan::InterruptController::None ||
                           partition.ia32.timer == plan::Timer::Pit;
      if (has_pit) own(0);
      for (const unsigned com : system_.uarts_of(n)) own(board_.uart(com).irq);
      for (const system::IrqLine& use : partition.irqs) own(use.line);
      for (const system::DeviceUse& use : partition.devices) {
        const system::BoardDevice* device =
            board_.find(use.name);  // check() says that there is one
        for (const std::uint8_t irq : device->irqs) own(irq);
      }
    }
    return kAll & ~owned;
  }

  // The doorbell's input of the I/O APIC.
  [[nodiscard]] std::uint8_t line(std::size_t channel) const {
    return static_cast<std::uint8_t>(board_.channel_line + channel);
  }

  void compile_partition(std::size_t index) {
    const system::Partition& partition = system_.partitions[index];
    plan::Partition& row = builder_.begin_partition(index);
    row.owns_pci = partition.owns("pci") ? 1 : 0;
    row.uart_port = partition.console != 0 ? board_.uart(partition.console).port : 0;
    row.ia32 = make_ia32(partition);
    list_link_ports(index, row);
    if (row.owns_pci != 0) list_bus_masters(row);
    for (const Extent& piece : placements_[index].pieces) {
      const auto base = static_cast<std::uint32_t>(piece.base);
      builder_.add_piece({base, static_cast<std::uint32_t>(piece.size), base});
    }
    PartitionReport& report = builder_.report();
    report.e820 = make_e820(placements_[index], system_.machine.memory);
    switch (kernels_[index].format) {
      case KernelFormat::BzImage:
        compile_linux(index, row, report);
        break;
      case KernelFormat::Multiboot:
        compile_multiboot(index, row, report);
        break;
      default:
        compile_segments(index, row);
        break;
    }
  }

  [[nodiscard]] plan::Ia32 make_ia32(const system::Partition& partition) const {
    const system::Ia32Spec& spec = partition.ia32;
    plan::Ia32 row{};
    row.real_time = spec.real_time ? 1 : 0;
    row.idle = spec.idle;
    row.timer = spec.timer;
    if (spec.forwarded_by.empty()) return row;
    row.is_forwarded = 1;
    row.forwarder = system_.find(spec.forwarded_by)->cpu;  // check() says that there is one
    row.timer_vector = spec.timer_vector;
    return row;
  }

  void list_link_ports(std::size_t index, plan::Partition& row) const {
    std::size_t count = 0;
    for (const system::Link& link : system_.links) {
      for (const system::LinkEnd& end : link.ends) {
        if (end.partition != index || count == plan::kMaxLinks) continue;
        row.link_ports[count++] = board_.uart(end.com).port;
      }
    }
  }

  // The owner of configuration space drives every bus master of the board.
  void list_bus_masters(plan::Partition& row) const {
    for (const system::BoardDevice& device : board_.devices) {
      if (!device.pci_function || row.bus_master_count == plan::kMaxBusMasters) continue;
      row.bus_masters[row.bus_master_count++] = *device.pci_function;
    }
  }

  void compile_linux(std::size_t index, plan::Partition& row, PartitionReport& report) {
    const system::Partition& partition = system_.partitions[index];
    const Placement& place = placements_[index];
    const loader::LinuxImage& kernel = kernels_[index].linux_image;
    const Cmdline cmdline = derive_cmdline(system_, partition, kernel);
    report.cmdline = cmdline.text;
    report.additions = cmdline.additions;
    if (cmdline.text.size() > std::min<std::size_t>(kernel.cmdline_max, plan::kPageSize - 1)) {
      return builder_.error(partition.cmdline_where,
                            fmt::format("the command line of {} has {} bytes, its kernel takes {}",
                                        partition.name, cmdline.text.size(), kernel.cmdline_max),
                            "shorten 'cmdline'");
    }
    const auto acpi = firmware::make_acpi_tables(acpi_input(partition, place), board_);
    if (!acpi) return builder_.error(partition.where, acpi.error().what, acpi.error().remedy);
    report.firmware = acpi->summary;

    firmware::BootParamsInput input;
    input.load_address = place.kernel;
    input.cmdline_address = place.cmdline;
    input.rsdp_address = place.acpi;
    input.e820 = report.e820;
    builder_.load("kernel", place.kernel, kernel.payload, kernel.payload.size());
    if (const auto& initramfs = artifacts_[index].initramfs) {
      input.initramfs_address = place.initramfs;
      input.initramfs_size = static_cast<std::uint32_t>(initramfs->bytes.size());
      builder_.load("initramfs", place.initramfs, initramfs->bytes, initramfs->bytes.size());
    }
    builder_.load("boot parameters", place.boot_info, firmware::make_boot_params(kernel, input),
                  firmware::kBootParamsSize);
    builder_.load("command line", place.cmdline, as_bytes(cmdline.text), plan::kPageSize);
    builder_.load("ACPI tables", place.acpi, acpi->tables, firmware::kAcpiSize);
    if (!acpi->nvs.empty())
      builder_.load("ACPI registers", place.nvs, acpi->nvs, firmware::kNvsSize);
    if (place.functions != 0) {
      const std::vector<std::uint8_t> functions = firmware::make_functions(channels_of(index));
      builder_.load("PCI functions of the channels", place.functions, functions,
                    firmware::kFunctionsSize);
    }
    load_mp_table(partition, place, report);
    row.entry = place.kernel;
    row.registers[2] = place.boot_info;
    if (cmdline.tsc_khz_offset) {
      row.tsc_khz_field = place.cmdline + static_cast<std::uint32_t>(*cmdline.tsc_khz_offset);
    }
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
    if (place.functions != 0) {
      input.channels = channels_of(index);
      input.functions_address = place.functions;
    }
    for (const unsigned com : system_.uarts_of(index)) {
      const system::BoardUart& uart = board_.uart(com);
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

  // The partition's ends of channels, as PCI functions.
  [[nodiscard]] std::vector<firmware::ChannelFunction> channels_of(std::size_t index) const {
    std::vector<firmware::ChannelFunction> functions;
    for (const std::size_t n : system_.channels_of(index)) {
      const system::Channel& channel = system_.channels[n];
      functions.push_back({.number = static_cast<std::uint16_t>(n),
                           .end = static_cast<std::uint8_t>(channel.ends[0] == index ? 0 : 1),
                           .line = line(n),
                           .base = static_cast<std::uint32_t>(channel_base(system_, n)),
                           .size = static_cast<std::uint32_t>(channel.size)});
    }
    return functions;
  }

  // A Linux that an MP table tells of a local APIC switches it off at its reboot, though it was
  // told not to use it. Where one must not, the table that all find first has no address: they
  // take it for faulty, and look no further.
  [[nodiscard]] const system::Partition* find_sharing_linux() const {
    for (const system::Partition& partition : system_.partitions) {
      const auto index = static_cast<std::size_t>(&partition - system_.partitions.data());
      const bool is_linux = kernels_[index].format == KernelFormat::BzImage;
      if (is_linux && system_.partner_of(partition) != nullptr) return &partition;
    }
    return nullptr;
  }
  void check_mp_table() {
    const system::Partition* const linux = find_sharing_linux();
    const plan::Plan& plan = builder_.plan();
    const auto loads = std::span(plan.loads).first(plan.load_count);
    const auto is_table = [](const plan::Load& load) {
      return load.destination == firmware::kMpTableAddress;
    };
    if (linux == nullptr || std::ranges::any_of(loads, is_table)) return;
    builder_.error(linux->cpu_where,
                   fmt::format("{} shares its processor and would find the firmware's MP table, by "
                               "which it switches the local APIC off when it reboots",
                               linux->name),
                   "leave address 0 to a Linux: its own table is found first");
  }

  void load_mp_table(const system::Partition& partition, const Placement& place,
                     PartitionReport& report) {
    if (place.pieces.empty() || place.pieces.front().base != 0) return;
    const auto table =
        firmware::make_mp_table(static_cast<std::uint8_t>(partition.cpu),
                                find_sharing_linux() == nullptr ? board_.local_apic_address : 0);
    builder_.load("MP table", firmware::kMpTableAddress, table, table.size());
    report.firmware.push_back(
        fmt::format("MP table at {:#x}: ends the search of all guests early; ACPI overrides it",
                    firmware::kMpTableAddress));
  }

  void compile_segments(std::size_t index, plan::Partition& row) {
    const loader::KernelImage& kernel = kernels_[index];
    for (const loader::Segment& segment : kernel.segments) {
      builder_.load("kernel segment", segment.address, segment.file, segment.memory_size);
    }
    row.entry = kernel.entry;
  }

  void compile_multiboot(std::size_t index, plan::Partition& row, PartitionReport& report) {
    const Placement& place = placements_[index];
    compile_segments(index, row);
    report.cmdline = system_.partitions[index].cmdline;
    if (report.cmdline.size() >= plan::kPageSize) {
      return builder_.error(
          system_.partitions[index].cmdline_where,
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
      builder_.load("module", place.initramfs, initramfs->bytes, initramfs->bytes.size());
    }
    builder_.load("multiboot information", place.boot_info, firmware::make_multiboot_info(input),
                  firmware::kMultibootInfoSize);
    builder_.load("command line", place.cmdline, as_bytes(report.cmdline), plan::kPageSize);
    row.registers[0] = firmware::kMultibootMagic;
    row.registers[1] = place.boot_info;
  }

  const system::System& system_;
  const system::BoardInfo& board_;
  const system::Artifacts& artifacts_;
  std::span<const loader::KernelImage> kernels_;
  std::span<const Placement> placements_;
  PlanBuilder builder_;
};

}  // namespace

system::Result<CompiledImage> compile_ia32(const system::System& system,
                                           const system::Artifacts& artifacts,
                                           std::span<const loader::KernelImage> kernels) {
  const auto placements = place_partitions(system, kernels, artifacts);
  if (!placements) return std::unexpected(placements.error());
  return Compiler(system, artifacts, kernels, *placements).run();
}

}  // namespace mezzo::image
