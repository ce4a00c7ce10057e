// The table of rows behind lmbench.hpp, and the reading of lmbench's output.
#include "bench/lmbench.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <vector>

namespace mezzo::bench {

namespace {

constexpr std::array kRows{
    LmbenchRow{
        .name = "null", .command = "lat_syscall -N 3 null", .what = "getppid", .quick = true},
    LmbenchRow{.name = "read",
               .command = "lat_syscall -N 3 read",
               .what = "a byte of /dev/zero",
               .quick = true},
    LmbenchRow{.name = "write",
               .command = "lat_syscall -N 3 write",
               .what = "a byte to /dev/null",
               .quick = true},
    LmbenchRow{.name = "stat",
               .command = "lat_syscall -N 3 stat /tmp/file",
               .what = "stat a file",
               .quick = true},
    LmbenchRow{.name = "fstat",
               .command = "lat_syscall -N 3 fstat /tmp/file",
               .what = "stat an open file",
               .quick = true},
    LmbenchRow{.name = "open+close",
               .command = "lat_syscall -N 3 open /tmp/file",
               .what = "open and close a file",
               .quick = true},
    LmbenchRow{.name = "signal install",
               .command = "lat_sig -N 3 install",
               .what = "install a signal handler",
               .quick = true},
    LmbenchRow{.name = "signal catch",
               .command = "lat_sig -N 3 catch",
               .what = "catch a signal",
               .quick = true},
    LmbenchRow{.name = "signal prot",
               .command = "lat_sig -N 3 prot /lmbench/lat_sig",
               .what = "catch a protection fault",
               .quick = true},
    LmbenchRow{.name = "pipe", .command = "lat_pipe -N 3", .what = "pipe round trip"},
    LmbenchRow{.name = "context switch 2p/0k",
               .command = "lat_ctx -N 3 -s 0 2",
               .what = "2 processes, no data"},
    LmbenchRow{.name = "context switch 8p/0k",
               .command = "lat_ctx -N 3 -s 0 8",
               .what = "8 processes, no data"},
    LmbenchRow{.name = "context switch 2p/16k",
               .command = "lat_ctx -N 3 -s 16 2",
               .what = "2 processes, 16 KiB each"},
    LmbenchRow{.name = "context switch 8p/16k",
               .command = "lat_ctx -N 3 -s 16 8",
               .what = "8 processes, 16 KiB each"},
    LmbenchRow{.name = "page fault",
               .command = "lat_pagefault -N 3 /tmp/big",
               .what = "touch a mapped file's page"},
    LmbenchRow{
        .name = "mmap", .command = "lat_mmap -N 3 4m /tmp/big", .what = "map and unmap 4 MiB"},
    LmbenchRow{
        .name = "fork+exit", .command = "lat_proc -N 3 fork", .what = "fork, exit", .quick = true},
    LmbenchRow{.name = "fork+exec",
               .command = "cp /lmbench/hello /var/tmp/lmbench/hello && lat_proc -N 3 exec",
               .what = "fork, execute a dynamic program"},
    LmbenchRow{.name = "fork+exec static",
               .command = "cp /lmbench/hello-static /var/tmp/lmbench/hello && lat_proc -N 3 exec",
               .what = "fork, execute a static program"},
    LmbenchRow{.name = "fork+sh", .command = "lat_proc -N 3 shell", .what = "fork, /bin/sh -c"},
    LmbenchRow{.name = "pipe bandwidth",
               .command = "bw_pipe -N 3 -m 64k -M 1m",
               .what = "1 MiB through a pipe",
               .unit = Unit::InstructionsPerMegabyte},
    LmbenchRow{.name = "memory read",
               .command = "bw_mem -N 3 1m rd",
               .what = "read 1 MiB of memory",
               .unit = Unit::InstructionsPerMegabyte},
};

constexpr std::array kPrograms{"lat_syscall", "lat_sig",  "lat_pipe", "lat_ctx", "lat_pagefault",
                               "lat_mmap",    "lat_proc", "bw_pipe",  "bw_mem",  "hello"};

// What the rows stand on. lat_proc measures the failure if `hello` does not run, so it is tried.
constexpr std::string_view kHead = R"sh(export ENOUGH=10000 TIMING_O=0 LOOP_O=0
mkdir -p /var/tmp/lmbench
echo file >/tmp/file
dd if=/dev/zero of=/tmp/big bs=1M count=4 2>/dev/null
for hello in hello hello-static; do
  /lmbench/$hello >/dev/null || echo "@missing $hello"
done
)sh";

// The last number in `text`, and where it begins; nothing if there is none.
std::optional<double> last_number(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789.";
  const auto end = text.find_last_of("0123456789");
  if (end == std::string_view::npos) return std::nullopt;
  const auto before = text.find_last_not_of(kDigits, end);
  const auto start = before == std::string_view::npos ? 0 : before + 1;
  double value = 0;
  const auto result = std::from_chars(text.data() + start, text.data() + end + 1, value);
  if (result.ec != std::errc{}) return std::nullopt;
  return value;
}

}  // namespace

std::span<const LmbenchRow> lmbench_rows() { return kRows; }

std::span<const char* const> lmbench_programs() { return kPrograms; }

std::string lmbench_script(bool quick) {
  std::string script(kHead);
  for (const LmbenchRow& row : kRows) {
    if (quick && !row.quick) continue;
    script += fmt::format("run '{}' sh -c '{}'\n", row.name, row.command);
  }
  return script;
}

std::optional<double> lmbench_figure(const LmbenchRow& row, std::string_view output) {
  constexpr double kNanosecondsPerMicrosecond = 1000, kMicrosecondsPerSecond = 1e6;
  const auto value = last_number(output);
  if (!value || *value <= 0) return std::nullopt;
  if (row.unit == Unit::Instructions) return *value * kNanosecondsPerMicrosecond;
  return kMicrosecondsPerSecond * kNanosecondsPerMicrosecond / *value;
}

}  // namespace mezzo::bench
