// Counts against the plan's fixed tables and makes the checksums.
#include "image/plan_builder.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <zlib.h>

#include "system/check.hpp"

namespace mezzo::image {
namespace {

using loader::ByteView;

std::uint32_t crc(ByteView bytes) {
  return static_cast<std::uint32_t>(crc32(0, bytes.data(), static_cast<uInt>(bytes.size())));
}

std::uint64_t whole_pages(std::uint64_t size) {
  return (size + plan::kPageSize - 1) / plan::kPageSize * plan::kPageSize;
}

}  // namespace

ByteView as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1};
}

PlanBuilder::PlanBuilder(const system::System& system, const system::Artifacts& artifacts,
                         std::span<const loader::KernelImage> kernels)
    : system_(system), artifacts_(artifacts), kernels_(kernels) {
  image_.plan.magic = plan::kMagic;
  image_.plan.version = plan::kVersion;
  image_.plan.size = sizeof(plan::Plan);
  image_.plan.heartbeat_us = system.machine.heartbeat_us;
}

plan::Partition& PlanBuilder::begin_partition(std::size_t index) {
  plan::Plan& plan = image_.plan;
  const system::Partition& partition = system_.partitions[index];
  const system::PartitionArtifacts& artifacts = artifacts_[index];
  ++plan.partition_count;
  plan::Partition& begun = row();
  std::memcpy(begun.name, partition.name.data(),
              std::min<std::size_t>(partition.name.size(), plan::kNameSize - 1));
  begun.cpu = partition.cpu;
  begun.fault_policy = partition.fault_policy;
  begun.restart_limit = partition.restart_limit;
  begun.watchdog_us = partition.watchdog_us;
  begun.watchdog_boot_us = partition.watchdog_boot_us;
  begun.on_watchdog = partition.on_watchdog;
  begun.interrupts = partition.interrupts;
  begun.first_piece = plan.piece_count;
  begun.first_load = plan.load_count;
  begun.first_window = plan.window_count;
  PartitionReport& words = image_.partitions.emplace_back();
  words.name = partition.name;
  words.kernel_format = kernels_[index].summary;
  words.kernel_package = artifacts.kernel.package;
  words.kernel_version = artifacts.kernel.version;
  words.kernel_sha256 = artifacts.kernel.sha256;
  if (artifacts.initramfs) words.initramfs = artifacts.initramfs->description;
  return begun;
}

void PlanBuilder::add_piece(const plan::Piece& piece) {
  plan::Plan& plan = image_.plan;
  if (plan.piece_count == plan::kMaxPieces) {
    return error({}, fmt::format("more than {} memory pieces in all", plan::kMaxPieces),
                 "use fewer partitions or pieces");
  }
  plan.pieces[plan.piece_count++] = piece;
  ++row().piece_count;
}

void PlanBuilder::add_window(const plan::Window& window) {
  plan::Plan& plan = image_.plan;
  if (plan.window_count == plan::kMaxWindows) {
    return error({}, fmt::format("more than {} device windows in all", plan::kMaxWindows),
                 "use fewer partitions or devices");
  }
  plan.windows[plan.window_count++] = window;
  ++row().window_count;
}

void PlanBuilder::add_silence(std::uint32_t address, std::uint32_t value, std::uint32_t busy) {
  plan::Plan& plan = image_.plan;
  if (plan.silence_count == plan::kMaxSilences) {
    return error({}, fmt::format("more than {} writes to silence devices", plan::kMaxSilences),
                 "use fewer devices");
  }
  plan.silences[plan.silence_count++] = {plan.partition_count - 1, address, value, busy};
}

void PlanBuilder::load(std::string what, std::uint32_t destination, ByteView bytes,
                       std::size_t memory_size) {
  plan::Plan& plan = image_.plan;
  if (plan.load_count == plan::kMaxLoads) {
    return error({}, fmt::format("more than {} parts to load in all", plan::kMaxLoads),
                 "use kernels with fewer segments");
  }
  const auto file_size = static_cast<std::uint32_t>(bytes.size());
  const auto size = static_cast<std::uint32_t>(memory_size);
  plan.loads[plan.load_count++] = {destination, store_.add(bytes), file_size, size, crc(bytes)};
  ++row().load_count;
  report().loads.push_back({std::move(what), destination, file_size, size});
}

void PlanBuilder::error(system::Position where, std::string what, std::string remedy) {
  add_error(system_, where, std::move(what), std::move(remedy), diagnostics_);
}

void PlanBuilder::warn(system::Position where, std::string what, std::string remedy) {
  diagnostics_.push_back(
      {system::Severity::Warning, system_.at(where), std::move(what), std::move(remedy)});
}

std::uint64_t PlanBuilder::bundle_size() const {
  return whole_pages(sizeof(plan::Plan)) + store_size();
}

// check() has seen to it that there is room.
void PlanBuilder::add_schedules() {
  plan::Plan& plan = image_.plan;
  for (const system::Schedule& schedule : system_.schedules) {
    plan::Schedule& added = plan.schedules[plan.schedule_count++];
    added.cpu = schedule.cpu;
    added.frame_us = schedule.frame_us;
    added.tolerance_us = schedule.tolerance_us;
    added.on_overrun = schedule.on_overrun;
    for (const system::TimeWindow& window : schedule.windows) {
      added.windows[added.window_count++] = {static_cast<std::uint32_t>(window.partition),
                                             window.start_us, window.length_us};
    }
  }
}

CompiledImage PlanBuilder::seal(std::uint32_t bundle_address) {
  plan::Plan& plan = image_.plan;
  add_schedules();
  image_.store = store_.release();
  image_.bundle_address = bundle_address;
  image_.warnings = diagnostics_;
  plan.store_size = static_cast<std::uint32_t>(image_.store.size());
  plan.crc32 = 0;
  plan.crc32 = crc({reinterpret_cast<const std::uint8_t*>(&plan), sizeof plan});
  return std::move(image_);
}

}  // namespace mezzo::image
