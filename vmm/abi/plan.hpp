// The plan: who gets which part of the machine, compiled by the tool and carried in the boot image.
//
// This header is the contract between the tool, which writes a plan, and the monitor, which
// verifies and executes it. Nothing here is text to be parsed: the tool has already read the system
// file, taken the kernels apart, and made boot parameters, memory maps and firmware tables. What is
// left for the monitor is "copy these bytes there, and start this CPU with these registers".
//
// All addresses are machine addresses; all sizes are bytes. The layout has no padding, so that its
// bytes, and with them its checksum, are the same for every compiler.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace mezzo::plan {

inline constexpr std::uint32_t kMagic = 0x4f5a454d;  // "MEZO", little-endian
inline constexpr std::uint32_t kVersion = 2;

inline constexpr std::uint32_t kPageSize = 4096;
inline constexpr std::uint32_t kMaxPartitions = 8;
inline constexpr std::uint32_t kMaxPieces = 32;
inline constexpr std::uint32_t kMaxLoads = 64;
inline constexpr std::uint32_t kMaxBusMasters = 8;
inline constexpr std::uint32_t kMaxLinks = 4;       // of one partition
inline constexpr std::uint32_t kNameSize = 32;      // with the terminating zero
inline constexpr std::uint32_t kTscFieldSize = 10;  // see Partition::tsc_khz_field

// Where the boot loader puts the image's last segment: a Plan, followed by the store.
inline constexpr std::uint32_t kBundleLoadAddress = 0x02000000;

// Everything the monitor itself needs, guests' pristine copies aside: one directory entry's worth
// of address space at most, and the same figure that guests are told in `reservetop=`.
inline constexpr std::uint32_t kMonitorSize = 0x00100000;
inline constexpr std::uint32_t kMonitorWindow = 0xffc00000;  // linear address, in every guest
inline constexpr std::uint32_t kMonitorWindowSize =
    0x00400000;  // 4 MiB: one non-PAE directory entry

enum class FaultPolicy : std::uint32_t { Stop = 0, Restart = 1 };

// How a partition's device interrupts reach it. The two chips are never shared: at most one
// partition each. A partition with None has its local APIC only (timer, message-signalled
// interrupts).
enum class InterruptController : std::uint32_t { None = 0, IoApic = 1, Pic = 2 };

// A stretch of machine memory that belongs to one partition (identity-mapped for its guest).
struct Piece {
  std::uint32_t base;  // page-aligned
  std::uint32_t size;  // a multiple of the page size, not 0
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
  std::uint32_t entry;          // the guest's first EIP, flat 32-bit protected mode, paging off
  std::uint32_t eax, ebx, esi;  // boot registers: Linux wants esi, multiboot wants eax and ebx
  // Address of ten bytes in a loaded command line (inside a piece) that receive the TSC frequency
  // in kHz as decimal digits, left-aligned and padded with spaces; 0 for none.
  std::uint32_t tsc_khz_field;
  FaultPolicy fault_policy;
  std::uint32_t
      restart_limit;  // automatic restarts before the partition stays stopped; 0: no limit
  InterruptController interrupts;
  std::uint32_t owns_pci;               // 1: this guest drives PCI configuration space
  std::uint32_t uart_port;              // I/O port of its console UART, 0: none
  std::uint32_t link_ports[kMaxLinks];  // likewise of its links' UARTs
  std::uint32_t bus_master_count;
  std::uint32_t bus_masters[kMaxBusMasters];  // bus<<8 | device<<3 | function
};

struct Plan {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t size;          // sizeof(Plan)
  std::uint32_t crc32;         // of these `size` bytes with this field 0 (CRC-32/ISO-HDLC, as zlib)
  std::uint32_t monitor_base;  // 4 KiB aligned; kMonitorSize bytes of RAM are the monitor's
  std::uint32_t store_base;    // where the monitor keeps the store for restarts; page-aligned
  std::uint32_t
      store_size;  // bytes; the store follows the Plan in the image at the next page boundary
  std::uint32_t heartbeat_us;  // period of the monitor's NMI heartbeat, microseconds
  std::uint32_t partition_count, piece_count, load_count;
  Partition partitions[kMaxPartitions];
  Piece pieces[kMaxPieces];
  Load loads[kMaxLoads];
};

static_assert(sizeof(Load) == 20);
static_assert(sizeof(Partition) == kNameSize + (16 + kMaxLinks + kMaxBusMasters) * 4);
static_assert(sizeof(Plan) == 11 * 4 + kMaxPartitions * sizeof(Partition) +
                                  kMaxPieces * sizeof(Piece) + kMaxLoads * sizeof(Load));
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
