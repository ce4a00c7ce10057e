// Fuzzer: a partition that shares its core. Whatever its guest writes, the core's private lines and
// the neighbours' lines stay as they are, no interrupt comes twice before its end, and none is
// lost: a line that the guest has open and whose wire is up reaches it.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "device/gic_distributor.hpp"
#include "device/mpcore_private.hpp"
#include "device/shared_core_page.hpp"
#include "irq/virtual_gic.hpp"
#include "support/model_gic.hpp"
#include "support/model_registers.hpp"

namespace mezzo::test {
namespace {

constexpr std::uint32_t kCpu = 1;

void require(bool condition, const char* what, const io::Access& access) {
  if (condition) return;
  std::fprintf(stderr, "%s: %s %#x, %u bytes, %#x\n", what, access.write ? "write" : "read",
               access.offset, access.size, access.value);
  std::abort();
}

struct Ticks {
  const std::uint64_t* value;
  [[nodiscard]] std::uint64_t now() const { return *value; }
};

class Run {
 public:
  explicit Run(FuzzedDataProvider& data)
      : data_(data),
        chip_((start_chip(model_), model_.interface(kCpu))),
        gic_(model_.distributor(kCpu), kCpu),
        page_(scu_.block(), gic_, Ticks{&time_}),
        lines_(any_lines(data)),
        distributor_(gic_.distributor(), lock_, lines_, kCpu),
        private_page_(page_.block(), lines_, kCpu) {
    model_.line(kNeighbour) = {.enabled = true, .priority = 0x40, .target = 1u << kCpu};
    distributor_.start();
    private_page_.reset();
    kept_ = model_.state.cpus;
    if (data.ConsumeBool()) open_all();
  }

  void step() {
    time_ += data_.ConsumeIntegral<std::uint8_t>();
    const auto wire = data_.ConsumeIntegral<std::uint8_t>();
    const irq::Line wired{irq::kFirstShared + (wire & 0x3fu)};
    if (lines_.contains(wired)) model_.set_level(wired.number, (wire & 0x80) != 0);
    const io::Access access = any_access();
    const bool to_page = access.offset < mezzo::device::mpcore::kSize;
    io::Access inner = access;
    if (!to_page) inner.offset -= mezzo::device::mpcore::kSize;
    const io::Answer answer = to_page ? private_page_.access(inner) : distributor_.access(inner);
    const bool acknowledges = !access.write && access.size == 4 && access.offset == 0x10c;
    if (acknowledges && answer.value < 1020) check_acknowledged(answer.value, access);
    forward(access);
    check(access);
  }

  void stop() {
    distributor_.stop(irq::GicInterface(gic_.interface()));
    private_page_.reset();
    require(!gic_.signals() && gic_.state().active().empty() && gic_.state().pending().empty(),
            "a stopped guest has interrupts", {});
    lines_.for_each([&](irq::Line line) {
      if (line.is_banked()) return;
      require(!model_.line(line.number).enabled, "a stopped guest's line is open", {});
      require(!model_.line(line.number).pending, "a stopped guest's line is pending", {});
    });
  }

 private:
  static constexpr std::uint32_t kNeighbour = 50;

  static void start_chip(ModelGic& model) {
    const irq::GicDistributor monitor(model.distributor(kCpu));
    monitor.initialize();
    monitor.initialize_cpu();
    irq::GicInterface(model.interface(kCpu)).initialize();
  }
  static irq::LineSet any_lines(FuzzedDataProvider& data) {
    irq::LineSet lines;
    for (std::uint32_t n = 0; n < 3; ++n) lines.set_word(n, data.ConsumeIntegral<std::uint32_t>());
    return lines.remove(irq::kMonitorPoke).remove(irq::Line{kNeighbour});
  }
  // As a guest sets it up, so that interrupts come.
  void open_all() {
    const auto write = [](auto& device, std::uint32_t offset, std::uint32_t value) {
      (void)device.access({.offset = offset, .write = true, .value = value});
    };
    write(distributor_, irq::gicd::kControl, 1);
    for (std::uint32_t n = 0; n < 3; ++n) {
      write(distributor_, irq::gicd::kSetEnable + n * 4, ~0u);
      write(distributor_, irq::gicd::kConfiguration + n * 8,
            data_.ConsumeIntegral<std::uint32_t>());
    }
    write(private_page_, 0x104, 0xf0);
    write(private_page_, 0x100, 1);
  }
  // The page at 0, the distributor behind it. Mostly what a guest would do: acknowledge, end a line
  // that is active, single bits of the distributor's banks.
  io::Access any_access() {
    io::Access access;
    const auto choice = data_.ConsumeIntegral<std::uint8_t>();
    const auto detail = data_.ConsumeIntegral<std::uint8_t>();
    if (choice < 64) {
      access.offset = 0x10c;
    } else if (choice < 112) {
      const auto active = gic_.state().active().first();
      access = {.offset = 0x110, .write = true, .value = active ? active->number : detail};
    } else if (choice < 200) {
      access.offset = 0x1100 + (choice & 7u) * 0x80 + (detail >> 5) % 3 * 4;
      access.write = (choice & 8) == 0;
      access.value = 1u << (detail & 31);
    } else {
      access.size = data_.PickValueInArray<std::uint8_t>({1, 2, 4, 4});
      access.offset = data_.ConsumeIntegralInRange<std::uint32_t>(0, 0x1fff) & ~(access.size - 1u);
      if ((choice & 1) != 0) {
        access.offset = data_.PickValueInArray<std::uint32_t>(
            {0x100, 0x104, 0x108, 0x208, 0x210, 0x600, 0x604, 0x608, 0x60c, 0x1000, 0x1f00});
      }
      access.write = (choice & 2) != 0;
      access.value = data_.ConsumeIntegral<std::uint32_t>();
    }
    return access;
  }

  void check_acknowledged(std::uint32_t number, const io::Access& access) {
    const irq::Line line{number};
    require(lines_.contains(line), "a foreign line shows", access);
    require(gic_.state().active().contains(line), "acknowledged and not active", access);
  }

  // What the monitor does at an IRQ of this core.
  void forward(const io::Access& access) {
    for (std::uint32_t n = 0; model_.signals(kCpu); ++n) {
      require(n < ModelGic::kLines, "a storm", access);
      const auto taken = chip_.acknowledge();
      require(taken.has_value(), "a spurious interrupt", access);
      const irq::Line line = taken->line();
      if (lines_.contains(line)) {
        require(!gic_.state().pending().contains(line) && !gic_.state().active().contains(line),
                "an interrupt came twice", access);
        gic_.forward(line);

      } else {
        require(line == irq::Line{kNeighbour}, "nobody's interrupt", access);
        model_.line(kNeighbour).enabled = false;
      }
      chip_.end(*taken);
    }
  }

  void check(const io::Access& access) {
    require(model_.state.cpus == kept_, "the core's private state changed", access);
    require(model_.line(kNeighbour).priority == 0x40 && model_.line(kNeighbour).target == 2,
            "the neighbour's line changed", access);
    lines_.for_each([&](irq::Line line) {
      if (line.is_banked()) return;
      const ModelGic::LineState& wired = model_.line(line.number);
      const bool in_hand =
          gic_.state().pending().contains(line) || gic_.state().active().contains(line);
      const bool is_open = gic_.state().enabled().contains(line);
      require(wired.enabled == (is_open && !in_hand), "a line is open or closed wrongly", access);
      require(!is_open || in_hand || !wired.level || (wired.configuration & 2) != 0 ||
                  wired.priority == 0xff,
              "a level is lost", access);
    });
  }

  FuzzedDataProvider& data_;
  std::uint64_t time_ = 0;
  ModelGic model_;
  ModelLock lock_;
  ModelRegisters scu_;
  irq::GicInterface<ModelGic::Interface> chip_;
  irq::VirtualGic<ModelGic::Distributor> gic_;
  device::SharedCorePage<ModelRegisters::Block, decltype(gic_), Ticks> page_;
  irq::LineSet lines_;
  device::FilteredDistributor<decltype(gic_)::Distributor, ModelLock> distributor_;
  device::MpcorePrivate<decltype(page_)::Block> private_page_;
  std::array<ModelGic::CpuState, ModelGic::kCpus> kept_;
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
