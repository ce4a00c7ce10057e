#include "arch/armv7/devices.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "arch/armv7/monitor.hpp"
#include "device/silence.hpp"

namespace mezzo::armv7 {
namespace {

using plan::WindowKind;

constinit SpinLock distributor_lock;  // of the machine's one distributor

std::span<const plan::Window> windows_of(const plan::Plan& plan, const plan::Partition& row) {
  return std::span(plan.windows).subspan(row.first_window, row.window_count);
}

constinit std::array<std::optional<SharedDevices>, plan::kMaxPartitions> shared_devices{};

// One access to a device's register; false if the bus refuses it.
bool access_machine(std::uint32_t address, const io::Access& access, std::uint32_t& value) {
  bool aborted = false;
  if (access.write) {
    if (access.size == 1) device_store_8(address, value, &aborted);
    if (access.size == 2) device_store_16(address, value, &aborted);
    if (access.size == 4) device_store_32(address, value, &aborted);
  } else {
    if (access.size == 1) value = device_load_8(address, &aborted);
    if (access.size == 2) value = device_load_16(address, &aborted);
    if (access.size == 4) value = device_load_32(address, &aborted);
  }
  data_barrier();
  return !aborted;
}

struct Bus {
  static bool store(std::uint32_t address, std::uint32_t word) {
    return access_machine(address, {.size = 4, .write = true}, word);
  }
  static bool load(std::uint32_t address, std::uint32_t& word) {
    return access_machine(address, {.size = 4}, word);
  }
};

void silence(const plan::Plan& plan, const plan::Partition& row) {
  const auto index = static_cast<std::uint32_t>(&row - plan.partitions);
  if (const std::uint32_t busy = device::silence(plan, index, Bus{}); busy != 0) {
    log.line(row.name, ": ", busy, " of its devices do not fall silent");
  }
}

// Makes the devices that the partition's windows lead to; `distributor` and `page`: the chip's
// registers, or what is in their place.
template <class Emulated, class Distributor, class Page>
void make(Emulated& emulated, const plan::Plan& plan, const plan::Partition& row,
          Distributor distributor, Page page) {
  const plan::Board& board = plan.board;
  const irq::LineSet lines = all_lines_of(row.armv7);
  emulated.clear();
  if (board.distributor != 0) {
    emulated.distributor.emplace(distributor, distributor_lock, lines, row.cpu);
  }
  if (board.private_timer != 0) emulated.private_page.emplace(page, lines, row.cpu);
  for (const plan::Window& window : windows_of(plan, row)) {
    const io::MachineRegisters registers(mem::HostPhysical{window.base});
    if (window.kind == WindowKind::SystemRegisters) {
      using System = device::VexpressRegisters<io::MachineRegisters>;
      emulated.system_registers.emplace(
          registers, device::vexpress_a9::kBoard,
          is_read_directly(plan, window) ? System::Reads::Direct : System::Reads::Trapped);
    } else if (window.kind == WindowKind::SunxiTimer) {
      emulated.sunxi_timer.emplace(registers, MachineClock{}, irq::sun4i::kClockKhz * 500);
    }
  }
}

}  // namespace

std::uint64_t SharedDevices::Clock::now() { return armv7::now(); }

// Software generated interrupts, the private timer and the global timer's comparator are every
// CPU's own; the watchdog is the monitor's heartbeat.
irq::LineSet all_lines_of(const plan::Armv7& row) {
  constexpr std::uint32_t kSoftware = 0xffff;
  irq::LineSet lines = device::lines_of(row);
  lines.set_word(0, kSoftware);
  lines.add(device::mpcore::kPrivateTimerLine).add(device::mpcore::kGlobalTimerLine);
  return lines.remove(irq::kMonitorPoke);
}

bool is_read_directly(const plan::Plan& plan, const plan::Window& window) {
  if (window.kind != WindowKind::SystemRegisters) return true;
  const auto all = std::span(plan.windows).first(plan.window_count);
  return &*std::ranges::find(all, WindowKind::SystemRegisters, &plan::Window::kind) == &window;
}

std::uint64_t MachineClock::now() { return armv7::now(); }

SharedDevices& Devices::share(const plan::Plan& plan, const plan::Partition& row) {
  auto& devices = shared_devices[static_cast<std::size_t>(&row - plan.partitions)];
  shared_ = &devices.emplace(plan.board, row.cpu);
  return *shared_;
}

void Devices::build(const plan::Plan& plan, const plan::Partition& row) {
  end_ = io::Outcome::Done;
  is_filtered_ = is_accessed_ = has_kicked_ = false;
  if (shared_ != nullptr) {
    SharedDevices& devices = share(plan, row);
    return make(devices.emulated, plan, row, devices.gic.distributor(), devices.page.block());
  }
  make(emulated_, plan, row, Registers(mem::HostPhysical{plan.board.distributor}), PrivatePage{});
  const bool has_page = emulated_.private_page.get() != nullptr;
  is_filtered_ = has_page && std::ranges::any_of(windows_of(plan, row), [](const auto& window) {
                   return window.kind == WindowKind::Interface;
                 });
}

CpuInterrupts::Filter* Devices::filter() {
  return is_filtered_ ? &emulated_.private_page.get()->interface() : nullptr;
}

void Devices::start(const plan::Plan& plan, const plan::Partition& row, CpuInterrupts& interrupts) {
  build(plan, row);
  stop(plan, row, interrupts);
  if (shared_ != nullptr) {
    shared_->emulated.start();
  } else {
    emulated_.start();
  }
  interrupts.reset(filter());
}

void Devices::stop(const plan::Plan& plan, const plan::Partition& row, CpuInterrupts& interrupts) {
  silence(plan, row);
  (void)interrupts.take_own();
  if (shared_ != nullptr) {
    shared_->emulated.stop(irq::GicInterface(shared_->gic.interface()));
  } else {
    emulated_.stop(interrupts.interface());
  }
  interrupts.reset(filter());
}

bool Devices::access(const mem::AddressSpace& space, mem::GuestPhysical address,
                     std::uint32_t bytes, bool write, std::uint32_t& value,
                     CpuInterrupts& interrupts) {
  const mem::AddressSpace::Found found = space.lookup(address);
  const auto size = static_cast<std::uint8_t>(bytes);
  if (found.kind == mem::AddressSpace::Kind::Device && (found.writable || !write)) {
    const io::Access access{.offset = found.offset, .size = size, .write = write};
    return io::is_sound(access) && found.bytes >= bytes &&
           access_machine(static_cast<std::uint32_t>(found.machine.value()), access, value);
  }
  is_accessed_ = true;
  const io::Answer answer = shared_ != nullptr
                                ? shared_->emulated.access(space, address, size, write, value)
                                : emulated_.access(space, address, size, write, value);
  if (is_filtered_) {
    if (const auto taken = filter()->take_monitors()) interrupts.handle(*taken);
  }
  switch (answer.outcome) {
    case io::Outcome::Done:
      value = answer.value;
      return true;
    case io::Outcome::Missing:
      return false;
    case io::Outcome::Kick:
      has_kicked_ = true;
      return true;
    case io::Outcome::PowerOff:
    case io::Outcome::Reboot:
      end_ = answer.outcome;
      return true;
  }
  return false;
}

}  // namespace mezzo::armv7
