// Reading what another processor goes on writing.
#include "run/monitor_log.hpp"

#include <algorithm>
#include <array>
#include <atomic>

namespace mezzo::run {

MonitorLog::MonitorLog(const std::filesystem::path& file) : file_(file, std::ios::binary) {}

MonitorLog::MonitorLog(const status::Log& ring) : ring_(&ring) {}

std::string MonitorLog::next() {
  std::string text = ring_ == nullptr ? next_of_file() : next_of_ring();
  seen_ += text;
  return text;
}

std::string MonitorLog::next_of_file() {
  std::string text;
  std::array<char, 4096> buffer{};
  file_.clear();
  do {
    file_.read(buffer.data(), buffer.size());
    text.append(buffer.data(), static_cast<std::size_t>(file_.gcount()));
  } while (file_);
  return text;
}

std::string MonitorLog::next_of_ring() {
  const std::uint32_t written = *const_cast<const volatile std::uint32_t*>(&ring_->written);
  // The monitor counts a byte after it has written it.
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint32_t count = std::min(written - read_, status::kLogSize);
  std::string text;
  for (std::uint32_t at = written - count; at != written; ++at) {
    text += ring_->text[at % status::kLogSize];
  }
  read_ = written;
  return text;
}

}  // namespace mezzo::run
