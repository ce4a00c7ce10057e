// The status region: what a running monitor shows, and the mailbox by which it is told what to do.
//
// It is the first thing in the monitor's memory (machine address Plan::monitor_base). The monitor
// writes it, the tool reads it; only `Control`'s request half is written by the tool. Counters are
// 64-bit and written by one CPU only; a reader on another CPU may see a torn value and reads twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "abi/plan.hpp"

namespace mezzo::status {

inline constexpr std::uint32_t kMagic = 0x5453454d;  // "MEST", little-endian
inline constexpr std::uint32_t kVersion = 6;

enum class State : std::uint32_t { Built = 0, Running, Paused, Stopped, Restarting };

// Why a partition stopped. `detail` in PartitionStatus depends on the reason.
enum class StopReason : std::uint32_t {
  None = 0,
  Reset,         // the guest invalidated its IDT and faulted: how a PC kernel reboots
  Halted,        // HLT with interrupts off: power-off, halt, or the end of a panic
  TripleFault,   // an exception the guest had no way to take; detail: vector, eip, cr2
  ByCommand,     // the tool's `stop`
  BySelf,        // the guest's own hypercall
  Unsupported,   // the guest asked for what this mode cannot do (PAE, long mode); detail: what
  Forbidden,     // the guest did what it may not; detail: cause, eip
  CorruptImage,  // a pristine copy's checksum failed; detail: load index
  MachineCheck,  // detail: bank, status low, status high
  Watchdog,      // it did not kick its watchdog in time
  Overrun,       // another partition's window began late because of it; detail: microseconds
  Count
};

// Exit causes of IA-32, in the order of the trap-ownership table in doc/.
enum class ExitCause : std::uint32_t {
  ReadCr0 = 0,
  WriteCr0,
  ReadCr2,
  WriteCr2,
  ReadCr3,
  WriteCr3,
  ReadCr4,
  WriteCr4,
  Clts,
  Lmsw,
  Invlpg,
  Lgdt,
  Lidt,
  Lldt,
  Ltr,
  ReadMsr,
  WriteMsr,
  ReadPmc,
  ReadTsc,
  Hlt,
  Wbinvd,
  ReadDr,
  WriteDr,
  MovSeg,
  FarTransfer,
  Iret,
  Xsetbv,
  Sysexit,
  PortIo,
  ReflectedGp,      // a #GP that is the guest's own business
  ReflectedFault,   // another exception delivered by the monitor (10, 11, 12, 17)
  UnsettledVector,  // any vector delivered by the monitor before the guest's IDT is read-only
  IdleWakeup,       // an interrupt delivered out of HLT
  Nmi,
  MachineCheck,
  DoubleFault,
  Hypercall,
  MonitorFault,     // a fault of the monitor's own on guest memory, survived
  Event,            // another processor's, or an interrupt taken for another partition
  PartitionSwitch,  // no exit: the processor goes to another partition, in whose counter it is
  Count
};

// Exit causes of ARMv7, likewise.
enum class Armv7Exit : std::uint32_t {
  SupervisorCall = 0,  // a process's SVC, delivered to its kernel
  Cps,                 // CPS and SETEND
  ReadCpsr,
  WriteCpsr,
  SavedPsr,         // MRS and MSR of an SPSR
  ExceptionReturn,  // MOVS PC, LDM with PC and ^, RFE
  UserBank,         // LDM and STM of user registers, SRS
  Unprivileged,     // LDRT, STRT and their like
  Wait,             // WFI
  Identification,
  SystemControl,  // SCTLR, ACTLR, CPACR, VBAR
  Translation,    // TTBR, TTBCR, PRRR, NMRR, CONTEXTIDR
  DomainAccess,   // DACR
  FaultStatus,    // DFSR, IFSR, DFAR, IFAR
  ThreadId,       // TPIDRPRW, and writes of TPIDRURO
  CacheOperation,
  TlbOperation,
  AddressTranslation,  // VA to PA
  Performance,         // PMU
  Debug,               // coprocessor 14
  FloatingPoint,       // FPEXC, FPSID
  OtherCoprocessor,
  UndefinedInstruction,  // delivered to the guest's kernel
  ShadowFill,            // a miss of the shadow tables
  GuestAbort,            // the guest's own abort, delivered
  PatchPage,             // first execution of a page by the guest's kernel, or a word gets a stub
  PatchedStore,          // a store to such a page
  DeviceAccess,          // an emulated device
  Interrupt,             // delivered to the guest
  DeferredInterrupt,     // arrived while the guest had interrupts off
  Heartbeat,             // the monitor's own
  Hypercall,
  PartitionSwitch,  // as above
  Count
};

enum class Command : std::uint32_t { None = 0, Stop, Restart, Pause, Resume };

// What the mailbox answers.
enum class CommandResult : std::uint32_t { Done = 0, NoSuchPartition, WrongState, UnknownCommand };

inline constexpr std::uint32_t kExitCauses = 40;  // room for those of each architecture
static_assert(static_cast<std::uint32_t>(ExitCause::Count) <= kExitCauses);
static_assert(static_cast<std::uint32_t>(Armv7Exit::Count) <= kExitCauses);
inline constexpr std::uint32_t kTraceEntries = 256;
inline constexpr std::uint32_t kLogSize = 16384;
inline constexpr std::uint32_t kMaxCpus = plan::kMaxPartitions;

// What a partition gets of a processor that it shares; else all 0. Ticks as of tsc.
struct Share {
  std::uint64_t
      since_tsc;  // when counting began: on ARMv7 all partitions of the processor were built
  std::uint64_t run_ticks;  // so long it ran, or the monitor worked for it; waiting is no running
  // Of a time table.
  std::uint64_t windows;     // that began for it
  std::uint64_t late_ticks;  // by which they began late, together
  std::uint64_t late_most;   // likewise, the worst one
  std::uint64_t overruns;    // of them that began later than the table tolerates, or behind missed
  std::uint64_t missed;      // windows that were over before they could begin
};

// A partition's watchdog: written by its CPU, but for what a CPU writes that finds it run out.
struct Watchdog {
  std::uint32_t last_kick;  // or its start, in coarse time (core/health.hpp); 0: it is not watched
  std::uint32_t kicks;      // of this incarnation
  std::uint32_t expiries;   // since the monitor started
  std::uint32_t has_expired;    // 1: its CPU is to end it
  std::uint64_t expired_tsc;    // when it ran out, until its next incarnation begins; 0
  std::uint64_t restart_ticks;  // the last time from there to its first instruction
  std::uint64_t restart_most;   // the longest such time
};

// What a guest tells of its own latencies: TSC ticks since what it waited for. 0: nothing.
struct Latency {
  std::uint32_t mean, most;
};

struct PartitionStatus {
  char name[plan::kNameSize];
  State state;
  StopReason reason;  // of the last stop, also while the partition runs again
  std::uint32_t detail[4];
  std::uint32_t restarts;  // since the monitor started
  std::uint32_t cpu;
  std::uint64_t started_tsc;  // of this incarnation
  std::uint64_t stopped_tsc;  // 0 while it runs
  std::uint64_t exits[kExitCauses];
  Share share;
  Watchdog watchdog;
  Latency latency;
  // Ticks of its timer that another processor has forwarded as events (plan::Ia32::forwarder), and
  // those of them that came before the one before had been taken.
  std::uint32_t forwarded, merged;
};

struct TraceEntry {
  std::uint32_t tsc_low;
  std::uint32_t cause;  // ExitCause or Armv7Exit
  std::uint32_t pc;
  // The decoder's operand: register value, MSR number, vector. Of a PartitionSwitch the partition
  // that gets the processor, and in the upper half the one that has had it.
  std::uint32_t value;
};

struct Trace {
  std::uint32_t next;  // entries ever written; the newest is at (next - 1) % kTraceEntries
  std::uint32_t reserved;
  TraceEntry entries[kTraceEntries];
};

// Filled once, when the monitor finds its own invariant broken; valid is written last.
struct CrashRecord {
  std::uint32_t valid;
  std::uint32_t cpu;
  std::uint32_t vector;  // or ~0 for a failed assertion
  std::uint32_t error_code, eip, cs, eflags, esp, cr0, cr2, cr3, cr4;
  std::uint32_t registers[8];  // eax ecx edx ebx esp ebp esi edi
  char message[128];
};

// The tool fills command and partition, then increments `requested`. The CPU of that partition
// acts, fills `result`, then sets `completed` to the value of `requested` it answers.
struct Control {
  std::uint32_t requested;
  Command command;
  std::uint32_t partition;
  std::uint32_t completed;
  CommandResult result;
  std::uint32_t reserved[3];
};

struct Log {
  std::uint32_t written;  // bytes ever written; the ring holds the last kLogSize of them
  std::uint32_t reserved;
  char text[kLogSize];
};

struct Region {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t size;       // sizeof(Region)
  std::uint32_t cpu_count;  // processors found
  std::uint32_t tsc_khz;
  std::uint32_t partition_count;
  std::uint32_t heartbeats;  // taken by the processor that keeps time
  plan::Architecture architecture;
  std::uint64_t boot_tsc;
  std::uint64_t now_tsc;  // at the last heartbeat
  Control control;
  CrashRecord crash;
  PartitionStatus partitions[plan::kMaxPartitions];
  Trace traces[kMaxCpus];
  // By interrupt line that no partition has: at how many heartbeats it was found raised.
  std::uint32_t strays[plan::kMaxLines];
  Log log;
};

static_assert(offsetof(Region, control) == 48);
static_assert(std::is_trivially_copyable_v<Region>);

}  // namespace mezzo::status
