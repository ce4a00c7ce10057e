// QEMU's options for the board `pc`, and its life.
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
#include "system/board.hpp"

namespace mezzo::run {

namespace {

constexpr char kProgram[] = "qemu-system-i386";
constexpr std::pair kOldest = {7, 2};
constexpr int kGraceMs = 2000;
constexpr std::uint64_t kMiB = 1024 * 1024;

// QEMU's option parser takes a doubled comma for one comma.
std::string escaped(const std::filesystem::path& path) {
  std::string text;
  for (const char c : path.string()) text.append(c == ',' ? 2 : 1, c);
  return text;
}

void add_uarts(std::vector<std::string>& arguments, const system::BoardInfo& board,
               const std::vector<int>& uart_fds) {
  for (std::size_t i = 0; i < uart_fds.size(); ++i) {
    if (uart_fds[i] < 0) continue;
    arguments.insert(
        arguments.end(),
        {"-chardev", fmt::format("socket,id=com{},fd={}", i + 1, uart_fds[i]), "-device",
         fmt::format("isa-serial,index={},irq={},chardev=com{}", i, board.uarts[i].irq, i + 1)});
  }
}

void add_devices(std::vector<std::string>& arguments, const system::Partition& partition,
                 const QemuFiles& files) {
  if (partition.owns("e1000")) {
    std::string network = "user,id=net0";
    if (partition.network) {
      for (const std::string& forward : partition.network->forwards) {
        // "tcp:HOSTPORT:GUESTPORT", on the host's loopback address only
        const auto first = forward.find(':');
        const auto second = forward.find(':', first + 1);
        network +=
            fmt::format(",hostfwd={}:127.0.0.1:{}-:{}", forward.substr(0, first),
                        forward.substr(first + 1, second - first - 1), forward.substr(second + 1));
      }
    }
    arguments.insert(arguments.end(), {"-netdev", network, "-device", "e1000,netdev=net0,addr=3"});
  }
  if (partition.disk) {
    arguments.insert(arguments.end(),
                     {"-device", "ich9-ahci,id=ahci0,addr=4", "-drive",
                      fmt::format("if=none,id=disk0,file={},format=raw{}", escaped(files.disk),
                                  partition.disk->read_only ? ",snapshot=on" : ""),
                      "-device", "ide-hd,drive=disk0,bus=ahci0.0"});
  }
}

}  // namespace

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

QemuVersion find_qemu() {
  QemuVersion qemu{.program = base::find_program(kProgram), .text = {}};
  const std::string remedy = "Install QEMU 7.2 or newer: apt-get install qemu-system-x86";
  if (qemu.program.empty()) {
    throw UserError(fmt::format("{} is not in PATH", kProgram), remedy);
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

std::vector<std::string> qemu_arguments(const system::System& system, const QemuFiles& files,
                                        const std::vector<int>& uart_fds) {
  const std::uint64_t mib = system.machine.memory / kMiB;
  const unsigned cpus = system.machine.cpus;
  std::vector<std::string> arguments = {
      kProgram, "-nodefaults", "-display", "none", "-no-reboot", "-machine",
      "pc,memory-backend=ram", "-accel", "tcg,thread=multi",
      // One socket for each processor: SeaBIOS's MP table leaves out other cores and threads.
      "-smp", fmt::format("{0},sockets={0},cores=1,threads=1", cpus), "-cpu",
      system.machine.cpu_model, "-m", fmt::format("{}M", mib), "-object",
      fmt::format("memory-backend-file,id=ram,size={}M,mem-path={},share=on", mib,
                  escaped(files.ram)),
      // The monitor's heartbeat: an HPET comparator that delivers its interrupt as a message.
      "-global", "hpet.msi=on", "-kernel", files.image.string(), "-debugcon",
      fmt::format("file:{}", (files.directory / "monitor.log").string()), "-qmp",
      fmt::format("unix:{},server=on,wait=off", escaped(files.directory / "qmp.sock"))};
  add_uarts(arguments, system::board_info(system.machine.board), uart_fds);
  for (const system::Partition& partition : system.partitions)
    add_devices(arguments, partition, files);
  return arguments;
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
