// Sockets: one to the UART, one to listen on, one for each attached process.
#include "run/console.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"

namespace mezzo::run {

namespace {

constexpr std::size_t kReplay = 4096;  // what a newly attached process is shown of the past

sockaddr_un address_of(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.string().size() >= sizeof(address.sun_path)) {
    throw UserError(fmt::format("the path {} is too long for a socket", socket.string()),
                    "Set XDG_RUNTIME_DIR to a folder with a shorter path.");
  }
  std::strncpy(address.sun_path, socket.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

short ready(const std::vector<pollfd>& fds, int fd) {
  const auto found = std::ranges::find(fds, fd, &pollfd::fd);
  return found == fds.end() ? short{0} : found->revents;
}

// What can be read without waiting; sets `ended` if the other side is gone.
std::string read_some(int fd, bool& ended) {
  std::array<char, 4096> buffer{};
  const ssize_t count = read(fd, buffer.data(), buffer.size());
  ended = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
  return count > 0 ? std::string(buffer.data(), static_cast<std::size_t>(count)) : std::string();
}

}  // namespace

UartPair make_uart() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0)
    base::throw_errno("cannot make sockets");
  UartPair pair{base::Descriptor(ends[0]), base::Descriptor(ends[1])};
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  return pair;
}

base::Descriptor connect_console(const std::filesystem::path& socket) {
  base::Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(socket);
  if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    base::throw_errno(fmt::format("cannot connect to the console {}", socket.string()));
  }
  return fd;
}

Console::Console(std::string name, std::size_t partition, std::string prefix, base::Descriptor uart,
                 const std::filesystem::path& socket)
    : prefixer(std::move(prefix)),
      name_(std::move(name)),
      partition_(partition),
      uart_(std::move(uart)),
      listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const sockaddr_un address = address_of(socket);
  if (!listener_ ||
      bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener_.get(), 4) != 0) {
    base::throw_errno(fmt::format("cannot listen on {}", socket.string()));
  }
}

void Console::add_to(std::vector<pollfd>& fds) {
  const short writable = to_guest_.empty() ? short{0} : short{POLLOUT};
  if (uart_) {
    fds.push_back(
        {.fd = uart_.get(), .events = static_cast<short>(POLLIN | writable), .revents = 0});
  }
  fds.push_back({.fd = listener_.get(), .events = POLLIN, .revents = 0});
  for (const base::Descriptor& client : clients_) {
    fds.push_back({.fd = client.get(), .events = POLLIN, .revents = 0});
  }
}

std::string Console::serve(const std::vector<pollfd>& fds) {
  for (base::Descriptor& client : clients_) serve_client(client, fds);
  std::erase_if(clients_, [](const base::Descriptor& client) { return !client; });
  if ((ready(fds, listener_.get()) & POLLIN) != 0) {
    base::Descriptor client(
        accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client) {
      const std::size_t start = transcript_.size() - std::min(transcript_.size(), kReplay);
      send(client.get(), transcript_.data() + start, transcript_.size() - start, MSG_NOSIGNAL);
      clients_.push_back(std::move(client));
    }
  }
  if (!uart_) return {};
  const short events = ready(fds, uart_.get());
  if ((events & POLLOUT) != 0) {
    const ssize_t count = send(uart_.get(), to_guest_.data(), to_guest_.size(), MSG_NOSIGNAL);
    if (count > 0) to_guest_.erase(0, static_cast<std::size_t>(count));
  }
  if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return {};
  bool ended = false;
  std::string bytes = read_some(uart_.get(), ended);
  if (ended) uart_.reset();
  transcript_ += bytes;
  if (transcript_.size() > 2 * kTranscript) transcript_.erase(0, transcript_.size() - kTranscript);
  // An attached process that does not keep up loses bytes; the transcript has them.
  for (const base::Descriptor& client : clients_) {
    send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  return bytes;
}

void Console::serve_client(base::Descriptor& client, const std::vector<pollfd>& fds) {
  if ((ready(fds, client.get()) & (POLLIN | POLLHUP | POLLERR)) == 0) return;
  bool ended = false;
  type(read_some(client.get(), ended));
  if (ended) client.reset();
}

}  // namespace mezzo::run
