// The operations that the guest programs mark and the tool reports. A marker is an instruction that
// does nothing at any privilege level and that no compiler makes; the counting plugin recognizes
// it, and no monitor has a reason to replace it. marker.hpp of each processor has it.
#pragma once

#include <array>
#include <cstdint>

namespace mezzo::bench {

// An arrival is the first instruction of an interrupt's handler; its region says nothing.
enum class Mark : std::uint32_t { Begin = 1, End = 2, Arrival = 3 };

// x86: NOPL with the displacement kMarker | kind << 12 | region (Intel SDM volume 2, NOP).
inline constexpr std::uint32_t kMarker = 0x4d5a0000;

// Arm: a preload of an instruction relative to PC, PLI [PC, #+0xf00+region] as a begin and PLI [PC,
// #-0xf00-region] as an end (DDI 0406C, A8.8.130): a hint, which changes nothing and cannot fault.
// Read as Thumb it is no instruction that a compiler makes either.
inline constexpr std::uint32_t kArmBegin = 0xf4dfff00, kArmEnd = 0xf45fff00, kArmMask = 0xffffff00;

// Regions by number. What Linux programs do comes first, then what a bare kernel in ring 1 does.
inline constexpr std::array kOperations{
    "boot",            // from the machine's reset to the first instruction of init
    "null-syscall",    // getppid
    "read",            // one byte of /dev/zero
    "write",           // one byte to /dev/null
    "stat",            // a file in the root file system
    "open-close",      // the same file
    "signal-install",  // sigaction
    "signal-catch",    // kill itself, handler, return
    "pipe",            // one byte to a child and back
    "page-fault",      // first write to an anonymous page
    "mmap",            // map 64 pages of a file, touch each, unmap
    "fork-exit",       // fork, exit in the child, wait
    "fork-exec",       // fork, execute a static program that exits, wait
    "exec-busybox",    // the same with busybox
    "copy-on-write",   // write 4 MiB that a child shares since its fork
    "context-switch",  // to another process and back
    "compute",         // a million multiplications and additions
    "dhrystone",       // one iteration
    "null-hypercall",
    "wbinvd",     // a privileged instruction that does nothing
    "read-cr2",   // the faulting address, once in each page fault
    "write-cr3",  // a switch of address spaces
    "read-cr3",   // half of a flush of the TLB
    "invlpg",         "cli-sti",
    "popf",  // a PUSHF and a POPF
    "read-cr0",       "rdmsr",
    "ticks",  // of a real-time kernel's timer, all that are recorded
};

enum class Operation : std::uint32_t {
  Boot,
  NullSyscall,
  Read,
  Write,
  Stat,
  OpenClose,
  SignalInstall,
  SignalCatch,
  Pipe,
  PageFault,
  Mmap,
  ForkExit,
  ForkExec,
  ExecBusybox,
  CopyOnWrite,
  ContextSwitch,
  Compute,
  Dhrystone,
  NullHypercall,
  Wbinvd,
  ReadCr2,
  WriteCr3,
  ReadCr3,
  Invlpg,
  CliSti,
  Popf,
  ReadCr0,
  Rdmsr,
  Ticks,
};
static_assert(kOperations.size() == static_cast<std::size_t>(Operation::Ticks) + 1);

// The marker itself: marker.hpp.
template <Mark mark, Operation operation>
void mark_here();

// One occurrence of an operation: what `body` executes is the region.
template <Operation operation, class Body>
[[gnu::always_inline]] inline void measure(Body body) {
  mark_here<Mark::Begin, operation>();
  body();
  mark_here<Mark::End, operation>();
}

}  // namespace mezzo::bench
