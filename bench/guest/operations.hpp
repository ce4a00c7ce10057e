// The operations that the guest programs mark and the tool reports. A marker is an instruction that
// does nothing at any privilege level (NOPL with this displacement, Intel SDM volume 2, NOP); the
// counting plugin recognizes it: kMarker | kind << 12 | region.
#pragma once

#include <array>
#include <cstdint>

namespace mezzo::bench {

inline constexpr std::uint32_t kMarker = 0x4d5a0000;
enum class Mark : std::uint32_t { Begin = 1, End = 2 };

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
    "dhrystone",       // one iteration
    "null-hypercall",
    "wbinvd",     // a privileged instruction that does nothing
    "read-cr2",   // the faulting address, once in each page fault
    "write-cr3",  // a switch of address spaces
    "read-cr3",   // half of a flush of the TLB
    "invlpg",         "cli-sti",
    "popf",  // a PUSHF and a POPF
    "read-cr0",       "rdmsr",
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
};
static_assert(kOperations.size() == static_cast<std::size_t>(Operation::Rdmsr) + 1);

#if defined(__i386__) || defined(__x86_64__)
template <Mark mark, Operation operation>
[[gnu::always_inline]] inline void mark_here() {
  constexpr std::uint32_t kDisplacement =
      kMarker | static_cast<std::uint32_t>(mark) << 12 | static_cast<std::uint32_t>(operation);
  asm volatile(".byte 0x0f, 0x1f, 0x80; .long %c0" ::"i"(kDisplacement) : "memory");
}

// One occurrence of an operation: what `body` executes is the region.
template <Operation operation, class Body>
[[gnu::always_inline]] inline void measure(Body body) {
  mark_here<Mark::Begin, operation>();
  body();
  mark_here<Mark::End, operation>();
}
#endif

}  // namespace mezzo::bench
