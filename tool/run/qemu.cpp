// Which QEMU there is, and its life.
#include "run/qemu.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "base/error.hpp"
#include "base/process.hpp"

namespace mezzo::run {

namespace {

constexpr std::pair kOldest = {7, 2};
constexpr int kGraceMs = 2000;

}  // namespace

std::string qemu_program(plan::Architecture architecture) {
  return architecture == plan::Architecture::Armv7 ? "qemu-system-arm" : "qemu-system-i386";
}

std::optional<std::pair<int, int>> parse_qemu_version(std::string_view text) {
  constexpr std::string_view kBefore = "version ";
  const auto start = text.find(kBefore);
  if (start == std::string_view::npos) return std::nullopt;
  const char* at = text.data() + start + kBefore.size();
  const char* const end = text.data() + text.size();
  std::pair<int, int> version{};
  const auto major = std::from_chars(at, end, version.first);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return std::nullopt;
  if (std::from_chars(major.ptr + 1, end, version.second).ec != std::errc{}) return std::nullopt;
  return version;
}

QemuVersion find_qemu(plan::Architecture architecture) {
  const std::string program = qemu_program(architecture);
  QemuVersion qemu{.program = base::find_program(program), .text = {}};
  const std::string remedy = fmt::format(
      "Install QEMU 7.2 or newer: apt-get install {}",
      architecture == plan::Architecture::Armv7 ? "qemu-system-arm" : "qemu-system-x86");
  if (qemu.program.empty()) {
    throw UserError(fmt::format("{} is not in PATH", program), remedy);
  }
  const base::Finished finished = base::run({.argv = {qemu.program.string(), "--version"}});
  const auto version = parse_qemu_version(finished.output);
  if (finished.status != 0 || !version) {
    throw UserError(
        fmt::format("{} --version does not work:\n{}", qemu.program.string(), finished.output),
        remedy);
  }
  if (*version < kOldest) {
    throw UserError(fmt::format("{} is version {}.{}, which is too old", qemu.program.string(),
                                version->first, version->second),
                    remedy);
  }
  const auto start = finished.output.find("version ") + sizeof("version ") - 1;
  qemu.text = finished.output.substr(start, finished.output.find('\n') - start);
  return qemu;
}

Qemu::Qemu(const std::vector<std::string>& arguments, const std::filesystem::path& log)
    : log_(log),
      process_(base::start({.argv = arguments}, log)),
      ended_(static_cast<int>(syscall(SYS_pidfd_open, process_, 0))) {}

Qemu::~Qemu() {
  kill(process_, SIGTERM);
  pollfd ended = {.fd = ended_.get(), .events = POLLIN, .revents = 0};
  if (poll(&ended, 1, kGraceMs) <= 0) kill(process_, SIGKILL);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::string Qemu::messages() const {
  const base::Bytes bytes = base::read_file(log_);
  return {bytes.begin(), bytes.end()};
}

}  // namespace mezzo::run
