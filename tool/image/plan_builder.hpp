// Collects what a plan consists of: rows, pieces, loads with their bytes, windows, and the words
// about them. What goes in is decided by compile_ia32.cpp and compile_armv7.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "image/compile.hpp"
#include "image/store.hpp"
#include "loader/kernel.hpp"
#include "system/model.hpp"

namespace mezzo::image {

class PlanBuilder {
 public:
  PlanBuilder(const system::System& system, const system::Artifacts& artifacts,
              std::span<const loader::KernelImage> kernels);

  // Starts the row of partition `index`, which is the next one, with what every architecture has.
  plan::Partition& begin_partition(std::size_t index);
  // The following belong to the row begun last.
  [[nodiscard]] PartitionReport& report() { return image_.partitions.back(); }
  void add_piece(const plan::Piece& piece);
  void add_window(const plan::Window& window);
  // A write to a register at the machine address `address`; the row's partition is set here.
  void add_silence(std::uint32_t address, std::uint32_t value, std::uint32_t busy);
  // `memory_size` bytes at the machine address `destination`, of which the first are `bytes`.
  void load(std::string what, std::uint32_t destination, loader::ByteView bytes,
            std::size_t memory_size);

  void error(system::Position where, std::string what, std::string remedy);
  void warn(system::Position where, std::string what, std::string remedy);

  // Bytes of the store so far, and of the plan, in whole pages, with the store behind it.
  [[nodiscard]] std::uint64_t store_size() const { return store_.bytes().size(); }
  [[nodiscard]] std::uint64_t bundle_size() const;

  [[nodiscard]] plan::Plan& plan() { return image_.plan; }
  [[nodiscard]] const system::Diagnostics& diagnostics() const { return diagnostics_; }

  // The finished image, whose plan carries its checksum. To be called once, without errors.
  [[nodiscard]] CompiledImage seal(std::uint32_t bundle_address);

 private:
  void add_schedules();
  plan::Partition& row() { return image_.plan.partitions[image_.plan.partition_count - 1]; }

  const system::System& system_;
  const system::Artifacts& artifacts_;
  std::span<const loader::KernelImage> kernels_;
  CompiledImage image_;
  Store store_;
  system::Diagnostics diagnostics_;
};

// A text with its terminating zero.
[[nodiscard]] loader::ByteView as_bytes(const std::string& text);

// One architecture each; compile() has checked everything and chooses.
[[nodiscard]] system::Result<CompiledImage> compile_ia32(
    const system::System& system, const system::Artifacts& artifacts,
    std::span<const loader::KernelImage> kernels);
[[nodiscard]] system::Result<CompiledImage> compile_armv7(
    const system::System& system, const system::Artifacts& artifacts,
    std::span<const loader::KernelImage> kernels);

}  // namespace mezzo::image
