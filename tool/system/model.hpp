// The system file as plain values: which machine, which partitions, who gets what.
//
// It holds what the user wrote, with the defaults filled in that need no other partition's
// knowledge, and where each thing was written. Addresses the tool chooses itself are not here: see
// image/layout.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "abi/plan.hpp"
#include "system/diagnostic.hpp"

namespace mezzo::system {

enum class Board { Pc, VexpressA9, Cubieboard, Sabrelite, Zynq };

struct Machine {
  Board board = Board::Pc;
  std::uint64_t memory = 0;  // bytes of RAM
  unsigned cpus = 0;         // processors the machine is started with
  std::string cpu_model;     // QEMU's name; decides which CPU features guests must not use; IA-32
  std::uint32_t heartbeat_us = 0;
  Position where, memory_where, cpus_where, cpu_model_where, heartbeat_where;
};

// A stretch of machine memory.
struct MemoryPiece {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  // Where the guest sees it, under shadow paging; nothing: behind the piece before, the first at
  // the base of the board's RAM.
  std::optional<std::uint64_t> guest_base;
  Position where;
};

// Either a size that the tool places, or a list of pieces that the user has placed.
struct MemorySpec {
  std::optional<std::uint64_t> size;
  std::vector<MemoryPiece> pieces;
  Position where;
};

enum class KernelFormat { Auto, BzImage, Elf, Multiboot, Raw, ZImage };

// Exactly one of `package` and `file` is set.
struct KernelSpec {
  std::string package;         // a Debian package whose dependencies lead to a kernel image
  std::string path;            // in the package, such as "/boot/x.bin"; empty: its Linux
  std::filesystem::path file;  // relative names are taken from the system file's directory
  KernelFormat format = KernelFormat::Auto;
  std::optional<std::uint32_t> load, entry;  // Raw only: guest-physical addresses
  bool decompress = true;  // ZImage only: here, instead of by the guest's own first instructions
  Position where, load_where, entry_where;
};

// Either `file` is set, or an initramfs is assembled around Debian's static busybox.
struct InitramfsSpec {
  std::filesystem::path file;
  bool busybox = false;
  std::vector<std::string> modules;  // kernel modules by name; their dependencies are added
  std::string script;                // text of a shell script that /init runs; may be empty
  std::map<std::string, std::filesystem::path> files;  // path in the initramfs -> file of the host
  std::map<std::string, std::vector<std::string>> packages;  // name -> the files to take from it
  std::string root;  // disk with the root file system that /init hands over to; empty: none
  std::optional<std::uint32_t> address;  // ARMv7: where the user wants it, guest-physical
  Position where;
};

struct PortRange {
  std::uint16_t first = 0, last = 0;
  Position where;
};

struct IrqLine {
  std::uint8_t line = 0;  // ISA interrupt, 0 to 15
  Position where;
};

struct DeviceUse {
  std::string name;  // of a device of the board (board.hpp)
  Position where;
};

enum class Paging { Direct, Shadow };

// Either `file` is set, or a Debian root file system is made in the cache, or the disk is empty.
struct DiskSpec {
  std::filesystem::path file;  // raw image
  bool debian = false;
  std::vector<std::string> packages;  // Debian: installed besides the base
  std::uint64_t size = 0;             // Debian and empty: bytes
  bool read_only = false;             // writes go to a temporary overlay
  Position where;
};

struct NetworkSpec {
  std::string mode;                   // "user": QEMU's user-mode network behind an e1000
  std::vector<std::string> forwards;  // "tcp:HOSTPORT:GUESTPORT"
  Position where;
};

// What only a partition of an IA-32 machine has.
struct Ia32Spec {
  static constexpr unsigned kTimerVector = 0x20;  // where kernels put the PIC's first interrupt

  bool real_time = false;
  plan::IdleWait idle = plan::IdleWait::Halt;
  plan::Timer timer = plan::Timer::LocalApic;
  std::string forwarded_by;  // partition whose processor takes its timer's interrupts; empty: none
  unsigned timer_vector = kTimerVector;  // of forwarded ones
  Position idle_where, timer_where, forwarded_by_where;
};

// What only a partition of an ARMv7 machine has.
struct Armv7Spec {
  static constexpr std::uint64_t kDefaultShadowMemory = 4 << 20;

  // Empty: the kernel package's tree for the board.
  std::filesystem::path device_tree;
  std::uint64_t shadow_memory = kDefaultShadowMemory;  // bytes for its shadow page tables
  plan::UserAccess user_access = plan::UserAccess::Lazy;
  plan::View view = plan::View::Domains;
  std::uint32_t slow_paths = 0;      // plan::FastPath bits
  std::optional<unsigned> priority;  // among partitions of one CPU; 0, the default, is the highest
  Position device_tree_where, shadow_memory_where, priority_where;
};

struct Partition {
  std::string name;
  unsigned cpu = 0;
  MemorySpec memory;
  KernelSpec kernel;
  std::optional<InitramfsSpec> initramfs;
  std::string cmdline;  // the user's own part
  std::vector<DeviceUse> devices;
  std::vector<PortRange> ports;
  std::vector<IrqLine> irqs;
  plan::InterruptController interrupts = plan::InterruptController::None;
  Paging paging = Paging::Direct;
  plan::FaultPolicy fault_policy = plan::FaultPolicy::Stop;
  std::uint32_t restart_limit = 0;
  std::uint32_t watchdog_us = 0, watchdog_boot_us = 0;  // 0: none
  plan::WatchdogPolicy on_watchdog = plan::WatchdogPolicy::Log;
  unsigned console = 0;  // 1 to 4: the board's serial ports in order; 0: none
  std::optional<DiskSpec> disk;
  std::optional<NetworkSpec> network;
  Ia32Spec ia32;
  Armv7Spec armv7;
  Position where, name_where, cpu_where, cmdline_where, interrupts_where, console_where;
  Position watchdog_where, watchdog_boot_where;

  // True if `device` is among the devices this partition owns.
  [[nodiscard]] bool owns(std::string_view device) const {
    for (const DeviceUse& use : devices) {
      if (use.name == device) return true;
    }
    return false;
  }
};

// One end of a serial line between two partitions.
struct LinkEnd {
  std::size_t partition = 0;  // index in System::partitions
  unsigned com = 0;           // 1 to 4
  std::string address;        // IPv4 address of this end, dotted
  Position where;
};

struct Link {
  std::array<LinkEnd, 2> ends;
  Position where;
};

// A processor's time table.
struct TimeWindow {
  std::size_t partition = 0;  // index in System::partitions
  std::uint32_t start_us = 0, length_us = 0;
  Position where;
};
struct Schedule {
  static constexpr std::uint32_t kDefaultTolerance = 200;  // microseconds

  unsigned cpu = 0;
  std::uint32_t frame_us = 0, tolerance_us = kDefaultTolerance;
  plan::OverrunPolicy on_overrun = plan::OverrunPolicy::Log;
  std::vector<TimeWindow> windows;  // in the order of time
  Position where, cpu_where, frame_where;
};

// Memory that two partitions share, with a doorbell for each.
struct Channel {
  std::string name;
  std::array<std::size_t, 2> ends{};  // indices in System::partitions
  std::uint64_t size = 0;             // bytes
  Position where, name_where, size_where, ends_where;
};

struct System {
  std::string file;  // as the user named it
  std::string name;  // `name` in the file, else the file's stem
  Machine machine;
  std::vector<Partition> partitions;
  std::vector<Link> links;
  std::vector<Channel> channels;
  std::vector<Schedule> schedules;

  // The time table of processor `cpu`, or null.
  [[nodiscard]] const Schedule* schedule_of(unsigned cpu) const {
    const auto found = std::ranges::find(schedules, cpu, &Schedule::cpu);
    return found == schedules.end() ? nullptr : &*found;
  }

  // The COM numbers of the UARTs that partition `index` has: its console's, then its links'.
  [[nodiscard]] std::vector<unsigned> uarts_of(std::size_t index) const {
    std::vector<unsigned> uarts;
    if (partitions[index].console != 0) uarts.push_back(partitions[index].console);
    for (const Link& link : links) {
      for (const LinkEnd& end : link.ends) {
        if (end.partition == index) uarts.push_back(end.com);
      }
    }
    return uarts;
  }

  // The partition that shares a processor with `partition`, the first one if there are several;
  // or null.
  [[nodiscard]] const Partition* partner_of(const Partition& partition) const {
    const auto found = std::ranges::find_if(partitions, [&](const Partition& other) {
      return &other != &partition && other.cpu == partition.cpu;
    });
    return found == partitions.end() ? nullptr : &*found;
  }

  // The partition of that name, or null.
  [[nodiscard]] const Partition* find(std::string_view partition) const {
    for (const Partition& candidate : partitions) {
      if (candidate.name == partition) return &candidate;
    }
    return nullptr;
  }

  // The channels that partition `index` has an end of: their indices.
  [[nodiscard]] std::vector<std::size_t> channels_of(std::size_t index) const {
    std::vector<std::size_t> found;
    for (std::size_t n = 0; n < channels.size(); ++n) {
      const auto& ends = channels[n].ends;
      if (ends[0] == index || ends[1] == index) found.push_back(n);
    }
    return found;
  }

  [[nodiscard]] Location at(Position position) const { return {file, position}; }
};

}  // namespace mezzo::system
