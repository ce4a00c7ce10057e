// The emulated devices of one partition, as its row of the plan names them.
//
// | window of the plan | device                                                    |
// |--------------------|-----------------------------------------------------------|
// | Direct             | the chip itself, mapped                                   |
// | Distributor        | device/gic_distributor.hpp                                |
// | Interface          | device/mpcore_private.hpp                                 |
// | SystemRegisters    | device/vexpress_registers.hpp                             |
// | SunxiTimer         | device/sun4i_timer.hpp                                    |
// | Ignored            | reads as 0, ignores writes                                |
// | Watchdog           | device/sp805.hpp                                          |
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "abi/plan.hpp"
#include "device/gic_distributor.hpp"
#include "device/mpcore_private.hpp"
#include "device/sp805.hpp"
#include "device/sun4i_timer.hpp"
#include "device/vexpress_registers.hpp"
#include "io/mmio.hpp"
#include "io/register_block.hpp"
#include "irq/gic.hpp"
#include "irq/line.hpp"
#include "mem/address_space.hpp"

namespace mezzo::device {

// Whether a window's registers are read past the monitor and only writes come to its device. Where
// a kernel's clock is a counter among them, nothing else is fast enough.
[[nodiscard]] constexpr bool can_read_directly(plan::WindowKind kind) {
  return kind == plan::WindowKind::SystemRegisters || kind == plan::WindowKind::SunxiTimer;
}

// A window of the plan in the address space. `reads_directly`: if it can.
[[nodiscard]] constexpr mem::AddressSpace::Interval interval_of(const plan::Window& window,
                                                                bool reads_directly) {
  using Kind = mem::AddressSpace::Kind;
  const bool is_direct = window.kind == plan::WindowKind::Direct;
  const bool is_read_directly = reads_directly && can_read_directly(window.kind);
  return {.guest = window.guest_base,
          .machine = window.base,
          .size = window.size,
          .kind = is_direct || is_read_directly ? Kind::Device : Kind::Emulated,
          .writable = !is_read_directly,
          .id = static_cast<std::uint8_t>(window.kind)};
}

// The interrupt lines of a partition.
[[nodiscard]] constexpr irq::LineSet lines_of(const plan::Armv7& row) {
  static_assert(plan::kMaxLines == irq::kMaxLines);
  irq::LineSet lines;
  for (std::uint32_t n = 0; n < irq::LineSet::kWords; ++n) lines.set_word(n, row.lines[n]);
  return lines;
}

// A device that the partition may lack.
template <io::Device D>
class Optional {
 public:
  template <class... Arguments>
  void emplace(Arguments&&... arguments) {
    device_.emplace(std::forward<Arguments>(arguments)...);
  }
  void clear() { device_.reset(); }
  [[nodiscard]] D* get() { return device_ ? &*device_ : nullptr; }

  [[nodiscard]] io::Answer access(const io::Access& access) {
    return device_ ? device_->access(access) : io::Answer::missing();
  }

 private:
  std::optional<D> device_;
};

struct Ignored {
  [[nodiscard]] static io::Answer access(const io::Access& access) {
    return io::is_sound(access) ? io::Answer::done() : io::Answer::missing();
  }
};

// `Chip`: how registers of the machine are reached; `Distributor` and `Page`: those of the
// interrupt controller and of the private page, which are other ones on a shared core
// (irq/virtual_gic.hpp, device/shared_core_page.hpp). The devices refer to each other: an object
// stays where it is.
template <io::RegisterBlock Chip, io::Lock Lock, class Clock, io::RegisterBlock Distributor = Chip,
          io::RegisterBlock Page = Chip>
class PartitionDevices {
 public:
  PartitionDevices() = default;
  PartitionDevices(const PartitionDevices&) = delete;
  PartitionDevices& operator=(const PartitionDevices&) = delete;

  // What the partition has is made before it starts; clear() before the next plan row.
  Optional<FilteredDistributor<Distributor, Lock>> distributor;
  Optional<MpcorePrivate<Page>> private_page;
  Optional<VexpressRegisters<Chip>> system_registers;
  Optional<Sun4iTimer<Chip, Clock>> sunxi_timer;

  void clear() {
    distributor.clear();
    private_page.clear();
    system_registers.clear();
    sunxi_timer.clear();
  }

  // On the partition's CPU, before its first instruction: all as after a reset.
  void start() {
    if (auto* device = distributor.get()) device->start();
    if (auto* device = private_page.get()) device->reset();
    if (auto* device = system_registers.get()) device->reset();
    if (auto* device = sunxi_timer.get()) device->reset();
    watchdog_.reset();
  }
  // On the partition's CPU, after its last one: nothing of it interrupts any more. `interface`: the
  // chip's, or on a shared core the partition's.
  template <io::RegisterBlock Interface>
  void stop(const irq::GicInterface<Interface>& interface) {
    if (auto* device = distributor.get()) device->stop(interface);
    if (auto* device = private_page.get()) device->reset();
    if (auto* device = sunxi_timer.get()) device->stop();
  }
  // Whether a watchdog has run out. To be asked now and then.
  [[nodiscard]] bool expired() {
    auto* device = sunxi_timer.get();
    return device != nullptr && device->expired();
  }

  // The answer to an access that did not go to memory or a mapped device.
  [[nodiscard]] io::Answer access(const mem::AddressSpace& space, mem::GuestPhysical address,
                                  std::uint8_t size, bool write, std::uint32_t value) {
    return mmio_.access(space, address, size, write, value);
  }

 private:
  // In the order of plan::WindowKind.
  static_assert(static_cast<int>(plan::WindowKind::Distributor) == 1 &&
                static_cast<int>(plan::WindowKind::Interface) == 2 &&
                static_cast<int>(plan::WindowKind::SystemRegisters) == 3 &&
                static_cast<int>(plan::WindowKind::SunxiTimer) == 4 &&
                static_cast<int>(plan::WindowKind::Ignored) == 5 &&
                static_cast<int>(plan::WindowKind::Watchdog) == 6 &&
                static_cast<int>(plan::WindowKind::Count) == 7);
  Ignored ignored_;
  Sp805 watchdog_;
  io::Mmio<decltype(distributor), decltype(private_page), decltype(system_registers),
           decltype(sunxi_timer), Ignored, Sp805>
      mmio_{distributor, private_page, system_registers, sunxi_timer, ignored_, watchdog_};
};

}  // namespace mezzo::device
