// The emulated machine's RAM as a file mapped into the tool, and the monitor's status region in it.
// Reads only; control.hpp writes the mailbox.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "abi/status.hpp"
#include "base/file.hpp"

namespace mezzo::run {

class MachineRam {
 public:
  // Makes the file `path` of `size` bytes, all zero, and locks it as long as we live (see
  // remove_stale_ram). Throws UserError. Room for it is not taken: RunDirectory::choose_ram looks.
  static MachineRam create(const std::filesystem::path& path, std::uint64_t size);
  // Maps a file that another process made. Throws UserError.
  static MachineRam open(const std::filesystem::path& path);

  MachineRam(MachineRam&& other) noexcept;
  MachineRam& operator=(MachineRam&&) = delete;
  ~MachineRam();

  [[nodiscard]] std::uint64_t size() const { return size_; }

  // The status region `offset` bytes from the start of the RAM, whether or not a monitor is there
  // yet. Throws UserError if it would lie outside of the RAM.
  [[nodiscard]] status::Region& region(std::uint64_t offset) const;

 private:
  MachineRam(base::Descriptor file, std::uint64_t size);

  base::Descriptor file_;
  std::uint8_t* bytes_;
  std::uint64_t size_;
};

// A copy of the region whose 64-bit counters are not torn; nothing if no monitor has started there.
// Throws UserError if the monitor speaks another version of the interface.
[[nodiscard]] std::optional<status::Region> snapshot(const status::Region& region);

// The monitor's messages: the last status::kLogSize bytes of them, from the first complete line.
[[nodiscard]] std::string log_text(const status::Log& log);

}  // namespace mezzo::run
