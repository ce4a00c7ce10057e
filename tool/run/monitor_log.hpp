// What the monitor of a running machine says, wherever the board lets us read it: a file that its
// debug port is written to, or the ring in the status region.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "abi/status.hpp"

namespace mezzo::run {

class MonitorLog {
 public:
  // Of a board with a debug port: `file` is what QEMU writes it to.
  explicit MonitorLog(const std::filesystem::path& file);
  // Of a board without. `ring` must outlive us.
  explicit MonitorLog(const status::Log& ring);

  // What has been written since the last call. Of a ring that has overtaken us, the part that is
  // still there.
  std::string next();
  // All that next() has returned.
  [[nodiscard]] const std::string& seen() const { return seen_; }

 private:
  [[nodiscard]] std::string next_of_file();
  [[nodiscard]] std::string next_of_ring();

  std::ifstream file_;
  const status::Log* ring_ = nullptr;
  std::uint32_t read_ = 0;  // bytes of the ring, ever
  std::string seen_;
};

}  // namespace mezzo::run
