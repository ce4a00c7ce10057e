// What a partition's device windows lead to: registers of its own devices, or a device that the
// monitor emulates. Built when the partition starts; every function runs on its CPU, with the
// monitor's own root.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "abi/plan.hpp"
#include "arch/armv7/private_page.hpp"
#include "core/spin_lock.hpp"
#include "core/verdict.hpp"
#include "device/partition_devices.hpp"
#include "device/shared_core_page.hpp"
#include "io/mmio.hpp"
#include "io/register_block.hpp"
#include "irq/virtual_gic.hpp"
#include "mem/address_space.hpp"

namespace mezzo::armv7 {

// Whether a window's registers that can be read past the monitor are. Of system registers only the
// first of the machine: what one guest's commands leave in the board's registers, another would
// read.
[[nodiscard]] bool is_read_directly(const plan::Plan& plan, const plan::Window& window);

// The partition's interrupts: those of its row, and those that every CPU has of its own.
[[nodiscard]] irq::LineSet all_lines_of(const plan::Armv7& row);

struct MachineClock {
  [[nodiscard]] static std::uint64_t now();  // as in monitor.hpp
};

// What a partition that shares its processor has instead of the GIC and the private page.
struct SharedDevices {
  struct Clock {
    [[nodiscard]] static std::uint64_t now();
  };
  using Gic = irq::VirtualGic<io::MachineRegisters>;
  using Page = device::SharedCorePage<PrivatePage, Gic, Clock>;
  using Emulated = device::PartitionDevices<io::MachineRegisters, SpinLock, MachineClock,
                                            Gic::Distributor, Page::Block>;

  SharedDevices(const plan::Board& board, std::uint32_t cpu)
      : gic(io::MachineRegisters(mem::HostPhysical{board.distributor}), cpu),
        page(PrivatePage{}, gic, Clock{}) {}

  Gic gic;
  Page page;
  Emulated emulated;
};

class Devices {
 public:
  // The partition shares its processor: its interrupts are software from now on. Before start().
  SharedDevices& share(const plan::Plan& plan, const plan::Partition& row);
  // They lie in the image, so under every root; nullptr if the partition does not share.
  [[nodiscard]] SharedDevices* shared() const { return shared_; }
  // Whether an emulated device has been accessed since the last call.
  [[nodiscard]] bool take_accessed() { return std::exchange(is_accessed_, false); }

  // As the guest is to find them: the partition's interrupts masked, its timers off, emulated
  // devices as after power-on.
  void start(const plan::Plan& plan, const plan::Partition& row, CpuInterrupts& interrupts);
  // The guest has ended: nothing of the partition interrupts or masters the bus any more.
  void stop(const plan::Plan& plan, const plan::Partition& row, CpuInterrupts& interrupts);

  // The guest's access of `bytes` at `address`, which is no memory; `value`: what it stores, or
  // where a load's result goes. False if nothing answers there.
  [[nodiscard]] bool access(const mem::AddressSpace& space, mem::GuestPhysical address,
                            std::uint32_t bytes, bool write, std::uint32_t& value,
                            CpuInterrupts& interrupts);

  // Whether one of the accesses since the last call kicked the partition's watchdog.
  [[nodiscard]] bool take_kick() { return std::exchange(has_kicked_, false); }
  // How the guest ends, if one of the accesses since the last call switched its machine off or
  // reset it.
  [[nodiscard]] std::optional<Verdict> take_end() {
    if (end_ == io::Outcome::Done) return std::nullopt;
    const bool off = std::exchange(end_, io::Outcome::Done) == io::Outcome::PowerOff;
    return Verdict::stop(off ? status::StopReason::Halted : status::StopReason::Reset);
  }
  // Whether a watchdog of the guest's has run out. To be asked at each heartbeat.
  [[nodiscard]] bool expired() { return emulated_.expired(); }

 private:
  using Registers = io::MachineRegisters;
  using Emulated =
      device::PartitionDevices<Registers, SpinLock, MachineClock, Registers, PrivatePage>;

  void build(const plan::Plan& plan, const plan::Partition& row);
  // Through which the guest sees its CPU interface; nullptr if that is passed through.
  [[nodiscard]] CpuInterrupts::Filter* filter();

  Emulated emulated_;  // refers to itself by its machine address
  SharedDevices* shared_ = nullptr;
  bool is_filtered_ = false;  // the plan gives the private page as an Interface
  bool is_accessed_ = false, has_kicked_ = false;
  io::Outcome end_ = io::Outcome::Done;
};

}  // namespace mezzo::armv7
