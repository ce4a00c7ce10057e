// Fuzzer: whatever a guest writes to its views of the GIC's distributor and CPU interface, lines
// that are not its own, other CPUs and the monitor's lines stay as they are, it never sees a
// foreign line, and the monitor's interrupt always gets through.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "device/gic_distributor.hpp"
#include "device/gic_interface.hpp"
#include "support/model_gic.hpp"

namespace mezzo::test {
namespace {

constexpr std::uint32_t kCpu = 2;
using Guest = device::FilteredDistributor<ModelGic::Distributor, ModelLock>;

void require(bool condition, const char* what, const io::Access& access) {
  if (condition) return;
  std::fprintf(stderr, "%s: %s %#x, %u bytes, %#x\n", what, access.write ? "write" : "read",
               access.offset, access.size, access.value);
  std::abort();
}

// All that is not the guest's: its own lines and its CPU interface taken out of the chip's state.
ModelGic::State others(ModelGic& gic, const irq::LineSet& lines) {
  ModelGic::State state = gic.state;
  lines.for_each([&](irq::Line line) {
    if (line.is_banked()) {
      state.cpus[kCpu].banked[line.number] = {};
    } else {
      state.lines[line.number] = {};
    }
  });
  ModelGic::CpuState& cpu = state.cpus[kCpu];
  cpu.threshold = cpu.binary_point = 0;
  cpu.running.clear();
  return state;
}

// A register shows nothing of lines that are not the guest's: reading with their state inverted
// gives the same.
void check_read(ModelGic& gic, Guest& guest, const irq::LineSet& lines, const io::Access& access) {
  const ModelGic::State before = gic.state;
  const io::Answer seen = guest.access(access);
  require(gic.state == before, "a read changed the chip", access);
  for (std::uint32_t n = 0; n < ModelGic::kLines; ++n) {
    if (lines.contains(irq::Line{n})) continue;
    ModelGic::LineState& line = gic.line(n, kCpu);
    line = {.enabled = !line.enabled,
            .pending = !line.pending,
            .active = !line.active,
            .level = !line.level,
            .priority = static_cast<std::uint8_t>(~line.priority),
            .target = static_cast<std::uint8_t>(~line.target),
            .configuration = static_cast<std::uint8_t>(line.configuration ^ 3),
            .senders = static_cast<std::uint8_t>(~line.senders)};
  }
  require(guest.access(access) == seen, "a foreign line shows", access);
  gic.state = before;
}

void check_own(ModelGic& gic, const irq::LineSet& lines, const io::Access& access) {
  lines.for_each([&](irq::Line line) {
    const ModelGic::LineState& state = gic.line(line.number, kCpu);
    require(state.priority >= irq::kGuestPriorities, "a priority of the monitor's", access);
    const bool stays = line.is_banked() || state.target == 1u << kCpu;
    require(stays, "a line routed elsewhere", access);
    require((state.senders & ~(1u << kCpu)) == 0, "another sender", access);
  });
}

io::Access any_access(FuzzedDataProvider& data) {
  io::Access access;
  const auto choice = data.ConsumeIntegral<std::uint8_t>();
  access.size = (choice & 3) < 2 ? 4 : static_cast<std::uint8_t>(choice & 1u ? 1 : 2);
  access.write = (choice & 4) != 0;
  access.offset = data.ConsumeIntegralInRange<std::uint32_t>(0, 0x1010);
  if (choice < 230) access.offset &= ~(access.size - 1u);
  access.value = (choice & 8) != 0 ? data.ConsumeIntegral<std::uint32_t>()
                                   : 1u << (data.ConsumeIntegral<std::uint8_t>() & 31);
  return access;
}

// One partition on one CPU of a chip, and its neighbours' lines in any state.
class Run {
 public:
  explicit Run(FuzzedDataProvider& data)
      : data_(data),
        gic_(data.ConsumeBool() ? ModelGic::Architecture::One : ModelGic::Architecture::Two,
             data.PickValueInArray<std::uint32_t>({32, 96, 160, 256})),
        chip_((start_chip(gic_), gic_.interface(kCpu))),
        lines_(any_lines(data, gic_)),
        guest_(gic_.distributor(kCpu), lock_, lines_, kCpu),
        interface_(gic_.interface(kCpu), lines_, kCpu) {
    const auto seed = data.ConsumeIntegral<std::uint32_t>();
    for (std::uint32_t n = 0; n < ModelGic::kLines; ++n) {
      if (lines_.contains(irq::Line{n}) || irq::Line{n} == irq::kMonitorPoke) continue;
      const auto bits = static_cast<std::uint8_t>((seed + n) * 2654435761u >> 24);
      ModelGic::LineState& line = gic_.line(n, kCpu);
      line.enabled = (bits & 1) != 0 && n >= irq::kFirstShared;
      line.pending = (bits & 2) != 0 && n >= irq::kFirstPrivate;
      line.priority = bits;
    }
    guest_.start();
    interface_.reset();
    kept_ = others(gic_, lines_);
    if (data.ConsumeBool()) open_all();
  }

  void step() {
    if (data_.ConsumeIntegral<std::uint8_t>() < 25) {
      const auto number = data_.ConsumeIntegralInRange<std::uint32_t>(16, ModelGic::kLines - 1);
      if (lines_.contains(irq::Line{number})) gic_.set_level(number, data_.ConsumeBool(), kCpu);
    }
    const io::Access access = any_access(data_);
    if (data_.ConsumeBool()) {
      access_interface(access);
    } else if (access.write) {
      const io::Answer answer = guest_.access(access);
      require(answer.outcome == io::Outcome::Done || !io::is_sound(access) ||
                  access.offset >= irq::gicd::kSize,
              "an access refused", access);
    } else {
      check_read(gic_, guest_, lines_, access);
    }
    check_poke(access);
    require(others(gic_, lines_) == kept_, "something that is not the guest's changed", access);
    check_own(gic_, lines_, access);
  }

  void stop() {
    lines_.for_each([&](irq::Line line) { gic_.set_level(line.number, false, kCpu); });
    guest_.stop(chip_);
    interface_.reset();
    lines_.for_each([&](irq::Line line) {
      const ModelGic::LineState& state = gic_.line(line.number, kCpu);
      require(!state.pending && !state.active && state.senders == 0, "a line is not quiet", {});
      require(line.is_software() || !state.enabled, "a stopped guest's line is open", {});
    });
    require(lines_.empty() || chip_.running_priority() == irq::gicc::kIdlePriority,
            "a stopped guest's priority stays", {});
  }

 private:
  static void start_chip(ModelGic& gic) {
    const irq::GicDistributor monitor(gic.distributor(kCpu));
    monitor.initialize();
    monitor.initialize_cpu();
    irq::GicInterface(gic.interface(kCpu)).initialize();
  }
  static irq::LineSet any_lines(FuzzedDataProvider& data, ModelGic& gic) {
    const std::uint32_t words = (gic.distributor(0).read32(irq::gicd::kType) & 0x1f) + 1;
    irq::LineSet lines;
    for (std::uint32_t n = 0; n < words; ++n) {
      lines.set_word(n, data.ConsumeIntegral<std::uint32_t>());
    }
    return lines.remove(irq::kMonitorPoke);
  }

  // As a guest sets it up, so that interrupts come.
  void open_all() {
    const auto write = [](auto& device, std::uint32_t offset, std::uint32_t value) {
      (void)device.access({.offset = offset, .write = true, .value = value});
    };
    write(guest_, irq::gicd::kControl, 1);
    for (std::uint32_t n = 0; n < irq::LineSet::kWords; ++n) {
      write(guest_, irq::gicd::kSetEnable + n * 4, ~0u);
    }
    write(interface_, irq::gicc::kPriorityMask, 0xf0);
    write(interface_, irq::gicc::kControl, 1);
  }
  // Sometimes with an interrupt of the monitor's on its way, which the guest may catch by reading.
  void access_interface(io::Access access) {
    const auto choice = data_.ConsumeIntegral<std::uint8_t>();
    access.offset %= irq::gicc::kSize + 16;
    if (choice < 160) access.offset %= 0x20;
    if (choice < 64) access = {.offset = irq::gicc::kAcknowledge};
    if (choice < 32)
      access = {.offset = irq::gicc::kEnd, .write = true, .value = access.value % 96};
    const bool poked = data_.ConsumeBool();
    const irq::GicDistributor other(gic_.distributor(0));
    if (poked) other.send(kCpu);
    const io::Answer answer = interface_.access(access);
    const std::uint32_t line = answer.value & irq::gicc::kLineMask;
    const bool shows_line = !access.write && (access.offset == irq::gicc::kAcknowledge ||
                                              access.offset == irq::gicc::kHighestPending);
    const bool is_hidden =
        line == irq::gicc::kSpurious || lines_.contains(irq::Line{line}) || access.size != 4;
    require(!shows_line || is_hidden, "a foreign line shows", access);
    if (const auto caught = interface_.take_monitors()) {
      require(poked && caught->line() == irq::kMonitorPoke, "not the monitor's", access);
      chip_.end(*caught);
    } else if (poked) {
      take_poke(access);
    }
    if (data_.ConsumeBool()) interface_.hold(data_.ConsumeBool());
  }
  void check_poke(const io::Access& access) {
    const irq::GicDistributor other(gic_.distributor(0));
    other.send(kCpu);
    take_poke(access);
  }
  void take_poke(const io::Access& access) {
    require(gic_.signals(kCpu), "the monitor does not get through", access);
    const auto taken = chip_.acknowledge();
    require(taken && taken->line() == irq::kMonitorPoke, "something before the monitor", access);
    chip_.end(*taken);
  }

  FuzzedDataProvider& data_;
  ModelGic gic_;
  ModelLock lock_;
  irq::GicInterface<ModelGic::Interface> chip_;
  irq::LineSet lines_;
  Guest guest_;
  device::FilteredInterface<ModelGic::Interface> interface_;
  ModelGic::State kept_;
};

}  // namespace
}  // namespace mezzo::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  mezzo::test::Run run(data);
  while (data.remaining_bytes() > 0) run.step();
  run.stop();
  return 0;
}
