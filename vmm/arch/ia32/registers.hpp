// What the processor and entry.S leave on the stack at an exit, and the control-register bits that
// the monitor reasons about. Values only; no instruction is executed here. Source: Intel SDM volume
// 3, 2.5.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mezzo::ia32 {

// The interrupted context. esp and ss are valid only if it ran in ring 1 or 3.
struct Frame {
  std::uint32_t edi, esi, ebp, esp_in_monitor, ebx, edx, ecx, eax;  // PUSHAD, in memory order
  std::uint32_t es, ds;                                             // upper halves are stale
  std::uint32_t vector, error_code;
  std::uint32_t eip, cs, eflags;
  std::uint32_t esp, ss;

  [[nodiscard]] unsigned ring() const { return (eflags & (1u << 17)) != 0 ? 3 : cs & 3; }

  // General register by its encoding in an instruction (0 EAX, 1 ECX, ... 7 EDI).
  [[nodiscard]] std::uint32_t& general(unsigned number) {
    return number == 4 ? esp : (&edi)[7 - number];
  }
};
static_assert(offsetof(Frame, eax) == 28);
static_assert(offsetof(Frame, eip) == 48);
static_assert(sizeof(Frame) == 68);

namespace eflags {
inline constexpr std::uint32_t kAlwaysSet = 1u << 1;
inline constexpr std::uint32_t kTrap = 1u << 8;
inline constexpr std::uint32_t kInterrupts = 1u << 9;
inline constexpr std::uint32_t kIopl = 3u << 12;
inline constexpr std::uint32_t kIopl1 = 1u << 12;
inline constexpr std::uint32_t kNestedTask = 1u << 14;
inline constexpr std::uint32_t kResume = 1u << 16;
inline constexpr std::uint32_t kVirtual8086 = 1u << 17;
inline constexpr std::uint32_t kArithmetic = 0x8d5;  // CF, PF, AF, ZF, SF, OF

// EFLAGS as a processor can have pushed it. QEMU 7.2 takes bits of an operand for flags, from a
// CMPXCHG8B on until the next flags are written: most operands are no flags of a guest, whose IOPL
// is 1 and which is never in virtual-8086 mode. Of such a value as little is believed as the guest
// needs to go on.
[[nodiscard]] constexpr std::uint32_t possible(std::uint32_t pushed) {
  constexpr std::uint32_t kNever = 0xffc08028 | kVirtual8086;
  constexpr std::uint32_t kSame = kNever | kAlwaysSet | kIopl;
  if ((pushed & kSame) == (kAlwaysSet | kIopl1)) return pushed;
  return (pushed & (kArithmetic | kInterrupts)) | kAlwaysSet | kIopl1;
}
}  // namespace eflags

namespace cr0 {
inline constexpr std::uint32_t kProtection = 1u << 0;
inline constexpr std::uint32_t kMonitorCoprocessor = 1u << 1;
inline constexpr std::uint32_t kEmulation = 1u << 2;
inline constexpr std::uint32_t kTaskSwitched = 1u << 3;
inline constexpr std::uint32_t kExtensionType = 1u << 4;
inline constexpr std::uint32_t kNumericError = 1u << 5;
inline constexpr std::uint32_t kWriteProtect = 1u << 16;
inline constexpr std::uint32_t kAlignmentMask = 1u << 18;
inline constexpr std::uint32_t kNotWriteThrough = 1u << 29;
inline constexpr std::uint32_t kCacheDisable = 1u << 30;
inline constexpr std::uint32_t kPaging = 1u << 31;
// What a guest's value decides about the machine's; the rest is always ours. Caching stays on: the
// other partitions share the caches.
inline constexpr std::uint32_t kGuestOwned = kMonitorCoprocessor | kEmulation | kTaskSwitched |
                                             kNumericError | kWriteProtect | kAlignmentMask;
}  // namespace cr0

namespace cr4 {
inline constexpr std::uint32_t kVirtual8086 = 1u << 0;
inline constexpr std::uint32_t kTimeStampDisable = 1u << 2;
inline constexpr std::uint32_t kDebugging = 1u << 3;
inline constexpr std::uint32_t kLargePages = 1u << 4;
inline constexpr std::uint32_t kPae = 1u << 5;
inline constexpr std::uint32_t kMachineCheck = 1u << 6;
inline constexpr std::uint32_t kGlobalPages = 1u << 7;
inline constexpr std::uint32_t kPerformanceCounter = 1u << 8;
inline constexpr std::uint32_t kFxsr = 1u << 9;
inline constexpr std::uint32_t kSimdExceptions = 1u << 10;
inline constexpr std::uint32_t kXsave = 1u << 18;
inline constexpr std::uint32_t kSupervisorExecution = 1u << 20;
// Bits a guest may set in the machine's CR4, PAE only while its paging is on. Not among them: UMIP
// and SMAP (a guest kernel in ring 1 would fault), VMX, PCID, protection keys.
inline constexpr std::uint32_t kGuestOwned = kVirtual8086 | kTimeStampDisable | kDebugging | kPae |
                                             kMachineCheck | kGlobalPages | kPerformanceCounter |
                                             kFxsr | kSimdExceptions | kXsave;
}  // namespace cr4

namespace efer {
inline constexpr std::uint64_t kLongModeEnable = 1u << 8;
inline constexpr std::uint64_t kNoExecuteEnable = 1u << 11;
}  // namespace efer

// What CR3 names: a page directory, or with CR4.PAE a table of four pointers to page directories.
enum class RootKind : std::uint8_t { Directory, Pointers };
[[nodiscard]] constexpr RootKind root_kind(std::uint32_t cr4) {
  return (cr4 & cr4::kPae) != 0 ? RootKind::Pointers : RootKind::Directory;
}

enum class Vector : std::uint8_t {
  DivideError = 0,
  Debug = 1,
  Nmi = 2,
  Breakpoint = 3,
  Overflow = 4,
  InvalidOpcode = 6,
  DoubleFault = 8,
  InvalidTss = 10,
  SegmentNotPresent = 11,
  StackFault = 12,
  GeneralProtection = 13,
  PageFault = 14,
  AlignmentCheck = 17,
  MachineCheck = 18,
};

// Exceptions that push an error code (SDM volume 3, table 6-1).
[[nodiscard]] constexpr bool has_error_code(unsigned vector) {
  return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 ||
         vector == 29 || vector == 30;
}

// The monitor's own interrupts: lines that nobody has, ticks of another partition's timer, and
// messages of other processors. Linux keeps these vectors for virtual machines of its own, and for
// a hypervisor that it knows.
inline constexpr std::uint8_t kStrayVector = 0xf1, kTickVector = 0xf2, kEventVector = 0xf3;

[[nodiscard]] constexpr bool is_event_vector(unsigned vector) {
  return vector >= kStrayVector && vector <= kEventVector;
}

// Vectors that never go straight into a guest: abort-class events, the faults by which privileged
// instructions announce themselves, and the monitor's own interrupts.
[[nodiscard]] constexpr bool is_monitor_vector(unsigned vector) {
  return vector == 2 || vector == 8 || (vector >= 10 && vector <= 13) || vector == 18 ||
         is_event_vector(vector);
}

}  // namespace mezzo::ia32
