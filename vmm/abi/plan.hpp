// The plan: who gets which part of the machine, compiled by the tool and carried in the boot image.
//
// This header is the contract between the tool, which writes a plan, and the monitor, which
// verifies and executes it. Nothing here is text to be parsed: the tool has already read the system
// file, taken the kernels apart, and made boot parameters, memory maps and firmware tables. What is
// left for the monitor is "copy these bytes there, and start this CPU with these registers".
//
// All addresses are machine addresses unless they say otherwise; all sizes are bytes. The layout
// has no padding, so that its bytes, and with them its checksum, are the same for every compiler.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace mezzo::plan {

inline constexpr std::uint32_t kMagic = 0x4f5a454d;  // "MEZO", little-endian
inline constexpr std::uint32_t kVersion = 6;

inline constexpr std::uint32_t kPageSize = 4096;
inline constexpr std::uint32_t kMaxPartitions = 8;
inline constexpr std::uint32_t kMaxPieces = 32;
inline constexpr std::uint32_t kMaxLoads = 64;
inline constexpr std::uint32_t kMaxWindows = 64;
inline constexpr std::uint32_t kMaxSilences = 64;
inline constexpr std::uint32_t kMaxSchedules = 4;
inline constexpr std::uint32_t kMaxTimeWindows = 32;  // of one time table
inline constexpr std::uint32_t kMaxLines = 256;       // interrupt numbers of a GIC that we handle
inline constexpr std::uint32_t kMaxBusMasters = 8;
inline constexpr std::uint32_t kMaxLinks = 4;  // of one partition
inline constexpr std::uint32_t kMaxChannels = 4;
inline constexpr std::uint32_t kNameSize = 32;      // with the terminating zero
inline constexpr std::uint32_t kTscFieldSize = 10;  // see Partition::tsc_khz_field

// Where the boot loader puts the image's last segment: a Plan, followed by the store.
inline constexpr std::uint32_t kBundleLoadAddress = 0x02000000;

// Everything the monitor itself needs, guests' pristine copies and shadow page tables aside. On
// IA-32 it lies in one directory entry's worth of address space, and guests are told its size in
// `reservetop=`; on ARMv7 it lies where no Linux maps anything (doc/armv7.md).
inline constexpr std::uint32_t kMonitorSize = 0x00100000;
inline constexpr std::uint32_t kMonitorWindow = 0xffc00000;  // linear address, in every guest
inline constexpr std::uint32_t kMonitorWindowSize =
    0x00400000;  // 4 MiB: one non-PAE directory entry

// On ARMv7: the image in its first MiB, then each CPU's own memory.
inline constexpr std::uint32_t kArmv7MaxCpus = 4;
inline constexpr std::uint32_t kArmv7CpuSize = 0x000c0000;
inline constexpr std::uint32_t kArmv7MonitorSize =
    kMonitorSize + kArmv7MaxCpus * kArmv7CpuSize;  // 4 MiB

enum class FaultPolicy : std::uint32_t { Stop = 0, Restart = 1 };

// What happens to a partition that has not kicked its watchdog for too long.
enum class WatchdogPolicy : std::uint32_t { Log = 0, Stop = 1, Restart = 2 };
inline constexpr std::uint32_t kMaxWatchdogUs = 300'000'000;

// How a partition's device interrupts reach it. The two chips are never shared: at most one
// partition each. A partition with None has its local APIC only (timer, message-signalled
// interrupts).
enum class InterruptController : std::uint32_t { None = 0, IoApic = 1, Pic = 2 };

enum class Architecture : std::uint32_t { Ia32 = 0, Armv7 = 1 };

constexpr std::uint32_t monitor_size(Architecture architecture) {
  return architecture == Architecture::Armv7 ? kArmv7MonitorSize : kMonitorSize;
}

// A stretch of machine memory that belongs to one partition. Under direct paging its guest sees it
// where it is; under shadow paging, where the guest expects memory.
struct Piece {
  std::uint32_t base;        // page-aligned
  std::uint32_t size;        // a multiple of the page size, not 0
  std::uint32_t guest_base;  // guest-physical, page-aligned; `base` under direct paging
};

// How a guest reaches a stretch of device registers.
enum class WindowKind : std::uint32_t {
  Direct = 0,       // mapped: the guest's loads and stores go to the device
  Distributor,      // GIC distributor: a filtered view
  Interface,        // page of an A9's private peripherals with the GIC's CPU interface, emulated
  SystemRegisters,  // Versatile Express system registers: identification, clocks, power
  SunxiTimer,       // Allwinner A10: interrupt controller and timers but the monitor's, watchdog
  Ignored,          // reads as zero, ignores writes
  Watchdog,         // an SP805 in software, through which Linux kicks the partition's watchdog
  Count
};

// Whether a window leads to registers of the machine.
constexpr bool is_of_machine(WindowKind kind) {
  return kind != WindowKind::Ignored && kind != WindowKind::Watchdog;
}

// Device registers of one partition. Used under shadow paging only.
struct Window {
  std::uint32_t guest_base;  // page-aligned
  std::uint32_t base;        // machine address, page-aligned; unused without is_of_machine()
  std::uint32_t size;        // a multiple of the page size, not 0
  WindowKind kind;
};

// A write that silences a device before its partition's memory is loaded (again): its interrupts
// and, above all, its accesses to memory. The rows of a partition are executed in their order.
struct Silence {
  std::uint32_t partition;  // index
  std::uint32_t address;    // of a 32-bit register
  std::uint32_t value;
  std::uint32_t busy;  // bits that are read as one until the device has obeyed; 0: it does at once
};

// A processor's time table: a frame that repeats, and windows in it. Times are microseconds.
enum class OverrunPolicy : std::uint32_t { Log = 0, Stop = 1 };
struct TimeWindow {
  std::uint32_t partition;  // index
  std::uint32_t start_us;   // in the frame
  std::uint32_t length_us;  // at least kMinTimeWindowUs
};
struct Schedule {
  std::uint32_t cpu;
  std::uint32_t frame_us;      // at most kMaxFrameUs
  std::uint32_t tolerance_us;  // by which a window may begin late
  OverrunPolicy on_overrun;    // what happens to the partition that was in its way
  std::uint32_t window_count;
  TimeWindow windows[kMaxTimeWindows];  // in the order of time
};
// A switch between partitions takes some ten thousand instructions at worst that are not the
// monitor's long operations; a window should be much longer.
inline constexpr std::uint32_t kMinTimeWindowUs = 100;
inline constexpr std::uint32_t kMaxFrameUs = 10'000'000;

// How the rights of a guest's processes are kept apart from those of its kernel (ARMv7).
enum class View : std::uint32_t { Domains = 0, Roots = 1 };

// When a domain access register that takes rights away from the guest's kernel comes into force:
// at once, or at some later exit (ARMv7; Linux' software PAN).
enum class UserAccess : std::uint32_t { Lazy = 0, Strict = 1 };

// Ways past the monitor that can be left out, to measure what each buys (ARMv7).
enum FastPath : std::uint32_t {
  kFastMasks = 1,         // CPS, MRS and MSR of the CPSR by a branch to a stub
  kFastThreadId = 2,      // reads of TPIDRPRW likewise
  kFastDomainAccess = 4,  // DACR reads and writes likewise
  kFastReturn = 8,        // return to user mode in one entry, by assembly
  kFastPrefill = 16,      // entries that are likely to be needed next
  kFastTableFlush = 32,   // cleaning an entry of the guest's translation tables is left out
  kFastVectors = 64,      // the first steps of the guest's exception handlers are done at once
  kFastInterrupts = 128,  // delivery of an interrupt by assembly
  kFastTransfers = 256,   // frequent coprocessor writes in assembly, LDRT and STRT by a stub
};

// How a HLT waits (IA-32): halted, or ready to go on at once.
enum class IdleWait : std::uint32_t { Halt = 0, Poll = 1 };

// The physical timer that a real-time partition has beside those that all have (IA-32).
enum class Timer : std::uint32_t { LocalApic = 0, Pit = 1, Hpet = 2 };

// What only a partition of an IA-32 machine has.
struct Ia32 {
  // 1: its guest is a real-time kernel. Its processor has no heartbeat, and its handlers are
  // entered directly although it can write its IDT.
  std::uint32_t real_time;
  IdleWait idle;
  Timer timer;
  // 1: the CPU `forwarder` takes the interrupts of its PIT and forwards them as events, which are
  // injected by `timer_vector`. 0: they come to its own CPU.
  std::uint32_t is_forwarded, forwarder, timer_vector;
};

// Where an ARMv7 board has what the monitor itself needs; a PC's monitor finds it by itself.
struct Board {
  std::uint32_t ram_base, ram_size;
  std::uint32_t distributor;    // of the GIC, page-aligned; 0: the board has none
  std::uint32_t interface;      // the GIC's CPU interface
  std::uint32_t private_timer;  // Cortex-A9 MPCore: each CPU's own timer and watchdog; 0: none
};

// What only a partition of an ARMv7 machine has.
struct Armv7 {
  View view;
  UserAccess user_access;
  std::uint32_t slow_paths;             // FastPath bits that are left out
  std::uint32_t shadow_base;            // machine memory for its shadow page tables, 16 KiB aligned
  std::uint32_t shadow_size;            // bytes
  std::uint32_t priority;               // among partitions of one CPU; 0 is the highest
  std::uint32_t lines[kMaxLines / 32];  // bit n % 32 of word n / 32: interrupt n is its own
};

// One copy made when a partition is built or restarted. [destination, +memory_size) lies inside one
// piece of the partition. The first `file_size` bytes come from the store, the rest is zeroed.
struct Load {
  std::uint32_t destination;
  std::uint32_t store_offset;  // from the start of the store
  std::uint32_t file_size;
  std::uint32_t memory_size;  // >= file_size
  std::uint32_t crc32;        // of the file_size bytes in the store
};

struct Partition {
  char name[kNameSize];
  std::uint32_t cpu;  // index: 0 is the boot processor, then the firmware's order
  std::uint32_t first_piece, piece_count;
  std::uint32_t first_load, load_count;
  std::uint32_t first_window, window_count;
  // The guest's first instruction. IA-32: flat 32-bit protected mode, paging off. ARMv7:
  // guest-physical, ARM state, supervisor mode, MMU and caches off.
  std::uint32_t entry;
  // Boot registers. IA-32: eax, ebx, esi (Linux wants esi, multiboot eax and ebx). ARMv7: r0, r1,
  // r2 (Linux wants r2, the device tree's guest-physical address).
  std::uint32_t registers[3];
  // Address of ten bytes in a loaded command line (inside a piece) that receive the TSC frequency
  // in kHz as decimal digits, left-aligned and padded with spaces; 0 for none.
  std::uint32_t tsc_khz_field;
  FaultPolicy fault_policy;
  std::uint32_t
      restart_limit;          // automatic restarts before the partition stays stopped; 0: no limit
  std::uint32_t watchdog_us;  // the longest time between two kicks; 0: there is no watchdog
  std::uint32_t watchdog_boot_us;  // from the start to the first kick; 0: as long as it likes
  WatchdogPolicy on_watchdog;
  InterruptController interrupts;
  std::uint32_t owns_pci;               // 1: this guest drives PCI configuration space
  std::uint32_t uart_port;              // I/O port of its console UART, 0: none
  std::uint32_t link_ports[kMaxLinks];  // likewise of its links' UARTs
  std::uint32_t bus_master_count;
  std::uint32_t bus_masters[kMaxBusMasters];  // bus<<8 | device<<3 | function
  Ia32 ia32;
  Armv7 armv7;
};

// Memory that two partitions share, and each one's doorbell for the other (IA-32). Zeroed when the
// monitor starts; what is in it afterwards is the two guests' affair.
struct ChannelEnd {
  std::uint32_t partition;  // index
  std::uint32_t line;       // its guest has the doorbell at this input of its I/O APIC, or kNoLine
};
inline constexpr std::uint32_t kNoLine = ~0u;
struct Channel {
  std::uint32_t base;  // page-aligned; both guests see it there
  std::uint32_t size;  // a multiple of the page size, not 0
  ChannelEnd ends[2];
};

struct Plan {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t size;   // sizeof(Plan)
  std::uint32_t crc32;  // of these `size` bytes with this field 0 (CRC-32/ISO-HDLC, as zlib)
  Architecture architecture;
  std::uint32_t monitor_base;  // 4 KiB aligned (ARMv7: 1 MiB)
  std::uint32_t monitor_size;  // bytes of RAM from there that are the monitor's
  std::uint32_t store_base;    // where the monitor keeps the store for restarts; page-aligned
  std::uint32_t
      store_size;  // bytes; the store follows the Plan in the image at the next page boundary
  std::uint32_t heartbeat_us;  // period of the monitor's heartbeat, microseconds
  Board board;                 // ARMv7
  std::uint32_t partition_count, piece_count, load_count, window_count;
  Partition partitions[kMaxPartitions];
  Piece pieces[kMaxPieces];
  Load loads[kMaxLoads];
  Window windows[kMaxWindows];
  std::uint32_t silence_count;  // ARMv7
  Silence silences[kMaxSilences];
  std::uint32_t schedule_count;  // ARMv7; at most one for a CPU
  Schedule schedules[kMaxSchedules];
  std::uint32_t ia32_strays;    // bit n: no partition has input n of the I/O APIC
  std::uint32_t channel_count;  // IA-32
  Channel channels[kMaxChannels];
};

static_assert(sizeof(Load) == 20);
static_assert(sizeof(Ia32) == 24);
static_assert(sizeof(Armv7) == (6 + kMaxLines / 32) * 4);
static_assert(sizeof(Partition) ==
              kNameSize + (21 + kMaxLinks + kMaxBusMasters) * 4 + sizeof(Ia32) + sizeof(Armv7));
static_assert(sizeof(Board) == 20);
static_assert(sizeof(Schedule) == 20 + kMaxTimeWindows * 12);
static_assert(sizeof(Channel) == 24);
static_assert(sizeof(Plan) ==
              14 * 4 + sizeof(Board) + kMaxPartitions * sizeof(Partition) +
                  kMaxPieces * sizeof(Piece) + kMaxLoads * sizeof(Load) +
                  kMaxWindows * sizeof(Window) + 4 + kMaxSilences * sizeof(Silence) + 4 +
                  kMaxSchedules * sizeof(Schedule) + 8 + kMaxChannels * sizeof(Channel));
static_assert(std::is_trivially_copyable_v<Plan>);

// CRC-32/ISO-HDLC (the one of zlib and Ethernet), reflected polynomial 0xedb88320, four bytes at a
// time: kCrcTables[z][n] is the remainder of the byte n with z zero bytes behind it. Source: M.
// Kounavis, F. Berry, "A Systematic Approach to Building High Performance Software-Based CRC
// Generators", ISCC 2005 (slicing).
inline constexpr auto kCrcTables = [] {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (auto& table : tables) {
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
      table[byte] = crc;
    }
  }
  return tables;
}();

// `seed` is the result for the bytes before, 0 at the start.
constexpr std::uint32_t crc32(const unsigned char* bytes, std::uint32_t size,
                              std::uint32_t seed = 0) {
  std::uint32_t crc = ~seed;
  for (; size >= 4; size -= 4, bytes += 4) {
    crc ^= bytes[0] | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
           std::uint32_t{bytes[3]} << 24;
    crc = kCrcTables[3][crc & 0xffu] ^ kCrcTables[2][crc >> 8 & 0xffu] ^
          kCrcTables[1][crc >> 16 & 0xffu] ^ kCrcTables[0][crc >> 24];
  }
  for (; size > 0; --size, ++bytes) {
    crc = (crc >> 8) ^ kCrcTables[0][(crc ^ *bytes) & 0xffu];
  }
  return ~crc;
}

}  // namespace mezzo::plan
