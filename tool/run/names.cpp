// Tables in the order of the enumerations.
#include "run/names.hpp"

#include <array>
#include <cstddef>

namespace mezzo::run {

namespace {

constexpr std::array<std::string_view, 5> kStates = {"built", "running", "paused", "stopped",
                                                     "restarting"};

constexpr std::array<std::string_view, static_cast<std::size_t>(status::StopReason::Count)>
    kReasons = {"none",    "reset",       "halted",    "triple_fault",  "by_command",
                "by_self", "unsupported", "forbidden", "corrupt_image", "machine_check"};

constexpr std::array<std::string_view, status::kExitCauses> kCauses = {"read_cr0",
                                                                       "write_cr0",
                                                                       "read_cr2",
                                                                       "write_cr2",
                                                                       "read_cr3",
                                                                       "write_cr3",
                                                                       "read_cr4",
                                                                       "write_cr4",
                                                                       "clts",
                                                                       "lmsw",
                                                                       "invlpg",
                                                                       "lgdt",
                                                                       "lidt",
                                                                       "lldt",
                                                                       "ltr",
                                                                       "read_msr",
                                                                       "write_msr",
                                                                       "read_pmc",
                                                                       "read_tsc",
                                                                       "hlt",
                                                                       "wbinvd",
                                                                       "read_dr",
                                                                       "write_dr",
                                                                       "mov_seg",
                                                                       "far_transfer",
                                                                       "iret",
                                                                       "xsetbv",
                                                                       "sysexit",
                                                                       "port_io",
                                                                       "reflected_gp",
                                                                       "reflected_fault",
                                                                       "unsettled_vector",
                                                                       "idle_wakeup",
                                                                       "nmi",
                                                                       "machine_check",
                                                                       "double_fault",
                                                                       "hypercall",
                                                                       "monitor_fault"};

constexpr std::array<std::string_view, 4> kResults = {
    "done", "no such partition", "not possible in its present state", "unknown command"};

static_assert(!kReasons.back().empty(), "a stop reason has no name");
static_assert(!kCauses.back().empty(), "an exit cause has no name");

template <std::size_t N, class E>
std::string_view look_up(const std::array<std::string_view, N>& names, E value) {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : "unknown";
}

}  // namespace

std::string_view name_of(status::State state) { return look_up(kStates, state); }
std::string_view name_of(status::StopReason reason) { return look_up(kReasons, reason); }
std::string_view name_of(status::ExitCause cause) { return look_up(kCauses, cause); }
std::string_view name_of(status::CommandResult result) { return look_up(kResults, result); }

}  // namespace mezzo::run
