// One partition's console: its UART's byte stream, what it has said, and who is attached to it.
#pragma once

#include <poll.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "run/line_prefixer.hpp"
#include "run/script.hpp"

namespace mezzo::run {

class Console {
 public:
  // Of partition number `partition`. `uart` is our end of the UART's socket; other processes attach
  // through `socket`. Throws UserError.
  Console(std::string name, std::size_t partition, std::string prefix, base::Descriptor uart,
          const std::filesystem::path& socket);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::size_t partition() const { return partition_; }
  // What the guest has written: everything, or at least the last kTranscript bytes.
  [[nodiscard]] const std::string& transcript() const { return transcript_; }

  // Queues bytes for the guest.
  void type(std::string_view bytes) { to_guest_ += bytes; }

  // Adds what is to be polled; serve() then finds its entries from `first` on.
  void add_to(std::vector<pollfd>& fds);
  // Moves bytes in both directions. Returns what the guest has newly written.
  std::string serve(const std::vector<pollfd>& fds);

  bool has_shell = false;  // a Linux with something to start
  LinePrefixer prefixer;
  std::optional<Script> script;

  static constexpr std::size_t kTranscript = 8 << 20;

 private:
  void serve_client(base::Descriptor& client, const std::vector<pollfd>& fds);

  std::string name_;
  std::size_t partition_;
  base::Descriptor uart_;
  base::Descriptor listener_;
  std::vector<base::Descriptor> clients_;
  std::string transcript_;
  std::string to_guest_;
};

// Two connected sockets: QEMU's end, which children inherit, and ours. Throws UserError.
struct UartPair {
  base::Descriptor qemu, ours;
};
[[nodiscard]] UartPair make_uart();

// Connects to the console socket of a run. Throws UserError.
[[nodiscard]] base::Descriptor connect_console(const std::filesystem::path& socket);

}  // namespace mezzo::run
