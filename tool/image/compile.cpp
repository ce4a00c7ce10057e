// Checks, takes the kernels apart, and hands over to the compiler of the board's architecture.
#include "image/compile.hpp"

#include <algorithm>
#include <iterator>

#include "image/plan_builder.hpp"
#include "system/board.hpp"
#include "system/check.hpp"

namespace mezzo::image {

system::Result<CompiledImage> compile(const system::System& system,
                                      const system::Artifacts& artifacts) {
  system::Diagnostics found = system::check(system, artifacts);
  if (has_errors(found)) return std::unexpected(found);
  const system::BoardInfo& board = system::board_info(system.machine.board);
  std::vector<loader::KernelImage> kernels;
  kernels.reserve(system.partitions.size());
  for (std::size_t i = 0; i < system.partitions.size(); ++i) {
    // The checker has already refused what cannot be read.
    kernels.push_back(loader::read_kernel(artifacts[i].kernel.bytes, system.partitions[i].kernel,
                                          board.architecture)
                          .value());
  }
  auto image = board.is_armv7() ? compile_armv7(system, artifacts, kernels)
                                : compile_ia32(system, artifacts, kernels);
  if (image) std::ranges::move(found, std::back_inserter(image->warnings));
  return image;
}

}  // namespace mezzo::image
