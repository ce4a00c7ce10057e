// QEMU as the machine: is it there, how is it called, and is it gone afterwards.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "abi/plan.hpp"
#include "base/file.hpp"
#include "system/model.hpp"

namespace mezzo::run {

struct QemuVersion {
  std::filesystem::path program;
  std::string text;  // "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)"
};

// What the QEMU that emulates processors of `architecture` is called.
[[nodiscard]] std::string qemu_program(plan::Architecture architecture);

// Looks for it in PATH. Throws UserError if it is missing or older than 7.2.
[[nodiscard]] QemuVersion find_qemu(plan::Architecture architecture);

// Major and minor number in the first line of `qemu --version`, or nothing.
[[nodiscard]] std::optional<std::pair<int, int>> parse_qemu_version(std::string_view text);

struct QemuFiles {
  std::filesystem::path image;
  std::filesystem::path ram;
  std::filesystem::path directory;             // of the run
  std::vector<std::filesystem::path> disks{};  // by partition; empty for those that have none
};

// The whole command line for `system`. `uart_fds` has, for the board's UARTs in order, the
// connected socket that QEMU inherits, or -1 for one that nobody has. Throws UserError if a disk's
// image has a size that the board's device for it cannot have.
[[nodiscard]] std::vector<std::string> qemu_arguments(const system::System& system,
                                                      const QemuFiles& files,
                                                      const std::vector<int>& uart_fds);

// A running QEMU. Destruction ends it.
class Qemu {
 public:
  // Throws UserError if it cannot be started; its messages go to `log`.
  Qemu(const std::vector<std::string>& arguments, const std::filesystem::path& log);
  ~Qemu();
  Qemu(const Qemu&) = delete;
  Qemu& operator=(const Qemu&) = delete;

  // Becomes readable when QEMU has ended.
  [[nodiscard]] int fd() const { return ended_.get(); }
  // What QEMU has said so far.
  [[nodiscard]] std::string messages() const;

 private:
  std::filesystem::path log_;
  pid_t process_;
  base::Descriptor ended_;
};

}  // namespace mezzo::run
