// Tables in the order of the enumerations.
#include "run/names.hpp"

#include <array>
#include <cstddef>
#include <cstring>

namespace mezzo::run {

namespace {

constexpr std::array<std::string_view, 5> kStates = {"built", "running", "paused", "stopped",
                                                     "restarting"};

constexpr std::array<std::string_view, static_cast<std::size_t>(status::StopReason::Count)>
    kReasons = {"none",          "reset",         "halted",      "triple_fault",
                "by_command",    "by_self",       "unsupported", "forbidden",
                "corrupt_image", "machine_check", "watchdog",    "overrun"};

constexpr std::array<std::string_view, static_cast<std::size_t>(status::ExitCause::Count)> kCauses =
    {"read_cr0",
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
     "monitor_fault",
     "event",
     "partition_switch"};

constexpr std::array<std::string_view, static_cast<std::size_t>(status::Armv7Exit::Count)>
    kArmv7Causes = {"supervisor_call",
                    "cps",
                    "read_cpsr",
                    "write_cpsr",
                    "saved_psr",
                    "exception_return",
                    "user_bank",
                    "unprivileged",
                    "wait",
                    "identification",
                    "system_control",
                    "translation",
                    "domain_access",
                    "fault_status",
                    "thread_id",
                    "cache_operation",
                    "tlb_operation",
                    "address_translation",
                    "performance",
                    "debug",
                    "floating_point",
                    "other_coprocessor",
                    "undefined_instruction",
                    "shadow_fill",
                    "guest_abort",
                    "patch_page",
                    "patched_store",
                    "device_access",
                    "interrupt",
                    "deferred_interrupt",
                    "heartbeat",
                    "hypercall",
                    "partition_switch"};

constexpr std::array<std::string_view, 4> kResults = {
    "done", "no such partition", "not possible in its present state", "unknown command"};

// By the enumerations Unsupported of the monitor's architectures.
struct Unsupported {
  std::uint32_t what;
  std::string_view words;
};
constexpr Unsupported kUnsupported[] = {{2, "long mode"},
                                        {3, "a GDT of more than a page"},
                                        {16, "a kernel in Thumb code"},
                                        {17, "big-endian exceptions"},
                                        {18, "more sensitive instructions than can be replaced"},
                                        {19, "an interrupt as FIQ"}};

static_assert(!kReasons.back().empty(), "a stop reason has no name");
static_assert(!kCauses.back().empty() && !kArmv7Causes.back().empty(), "an exit cause has no name");

template <std::size_t N, class E>
std::string_view look_up(const std::array<std::string_view, N>& names, E value) {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : "unknown";
}

}  // namespace

std::string_view name_of(status::State state) { return look_up(kStates, state); }
std::string_view name_of(status::StopReason reason) { return look_up(kReasons, reason); }
std::string_view name_of(status::CommandResult result) { return look_up(kResults, result); }

std::string_view name_of(const status::PartitionStatus& partition) {
  return {partition.name, strnlen(partition.name, plan::kNameSize)};
}

std::string_view words_for_unsupported(std::uint32_t what) {
  for (const Unsupported& known : kUnsupported) {
    if (known.what == what) return known.words;
  }
  return {};
}

std::uint32_t exit_causes_of(plan::Architecture architecture) {
  return architecture == plan::Architecture::Armv7 ? kArmv7Causes.size() : kCauses.size();
}
std::string_view name_of_cause(plan::Architecture architecture, std::uint32_t cause) {
  return architecture == plan::Architecture::Armv7 ? look_up(kArmv7Causes, cause)
                                                   : look_up(kCauses, cause);
}

}  // namespace mezzo::run
