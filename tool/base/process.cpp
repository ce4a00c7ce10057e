// fork, exec and wait behind process.hpp.
#include "base/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/interrupt.hpp"

namespace mezzo::base {

namespace {

constexpr int kCannotStart = 127;

// The child's side between fork and exec. Does not return.
[[noreturn]] void become(const Command& command, int output, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kCannotStart);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  if (!command.directory.empty() && chdir(command.directory.c_str()) != 0) {
    dprintf(STDERR_FILENO, "%s: %s\n", command.directory.c_str(), std::strerror(errno));
    _exit(kCannotStart);
  }
  for (const auto& [name, value] : command.environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const std::string& argument : command.argv) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  dprintf(STDERR_FILENO, "%s: %s\n", argv[0], std::strerror(errno));
  _exit(kCannotStart);
}

// Passes on the complete lines at the end of `output` that start at `seen`.
void pass_lines(const std::string& output, std::size_t& seen, const LineSink& on_line) {
  for (std::size_t end; (end = output.find('\n', seen)) != std::string::npos; seen = end + 1) {
    if (on_line) on_line(std::string_view(output).substr(seen, end - seen));
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Finished run(const Command& command, const LineSink& on_line) {
  check_interrupt();
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw UserError("cannot make a pipe");
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw UserError(fmt::format("cannot start {}", command.argv[0]));
  if (child == 0) become(command, writer.get(), parent);
  writer.reset();

  Finished finished;
  std::array<char, 4096> buffer{};
  std::size_t seen = 0;
  bool ended = false;
  std::array<pollfd, 2> fds = {{{.fd = reader.get(), .events = POLLIN, .revents = 0},
                                {.fd = interrupt_fd(), .events = POLLIN, .revents = 0}}};
  for (;;) {
    poll(fds.data(), fds.size(), -1);
    if (interrupted_by() != 0 && !ended) {
      kill(child, SIGTERM);
      ended = true;
      fds[1].fd = -1;
    }
    if (fds[0].revents == 0) continue;
    const ssize_t count = read(reader.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    finished.output.append(buffer.data(), static_cast<std::size_t>(count));
    pass_lines(finished.output, seen, on_line);
  }
  finished.status = wait_for(child);
  check_interrupt();
  return finished;
}

pid_t start(const Command& command, const std::filesystem::path& log) {
  const Descriptor output(open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (output.get() < 0) throw_errno(fmt::format("cannot write {}", log.string()));
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw_errno(fmt::format("cannot start {}", command.argv[0]));
  if (child == 0) {
    setpgid(0, 0);
    become(command, output.get(), parent);
  }
  return child;
}

std::filesystem::path find_program(std::string_view program) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const std::string_view directory = rest.substr(0, rest.find(':'));
    const auto candidate = std::filesystem::path(directory) / program;
    if (!directory.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
  }
  return {};
}

}  // namespace mezzo::base
