// Probes of paging: page faults with their error codes, changes to page tables, and the part of the
// address space where the monitor lives.
#include "probe.hpp"

namespace probe {
namespace {

u32 test_register;
constexpr u32 kP = 1, kW = 2, kU = 4;  // page fault error code

template <u32 address>
u32 read() {
  return read32(address) & 0;
}
template <u32 address>
u32 write() {
  write32(address, 0);
  return 0;
}

void page_faults() {
  kernel("read-absent", read<kTestAbsent>, page_fault(0, kTestAbsent));
  user("read-absent", read<kTestAbsent>, page_fault(kU, kTestAbsent));
  kernel("write-absent", write<kTestAbsent>, page_fault(kW, kTestAbsent));
  user("write-absent", write<kTestAbsent>, page_fault(kW | kU, kTestAbsent));
  kernel("read-kernel-page", read<kTestKernelRead>, value(0));
  user("read-kernel-page", read<kTestKernelRead>, page_fault(kP | kU, kTestKernelRead));
  user("write-kernel-page", write<kTestKernelWrite>, page_fault(kP | kW | kU, kTestKernelWrite));
  kernel("write-read-only", write<kTestKernelRead>, page_fault(kP | kW, kTestKernelRead));
  kernel("write-user-read-only", write<kTestUserRead>, page_fault(kP | kW, kTestUserRead));
  user("write-user-read-only", write<kTestUserRead>, page_fault(kP | kW | kU, kTestUserRead));
  both("write-user-page", write<kTestUserWrite>, value(0));
  kernel("read-reserved-bit", read<kReserved>, fault_with_any_code(kPage));
  user("read-reserved-bit", read<kReserved>, fault_with_any_code(kPage));
  write_cr<0>(kControl0 & ~0x10000u);
  kernel("write-read-only-without-wp", write<kTestKernelRead>, value(0));
  write_cr<0>(kControl0);
}

// A page of the image mapped elsewhere, globally; without paging it must be itself at once.
u32 global_page_after_paging_off() {
  constexpr u32 kGlobal = 0x100;
  const u32 linear = address_of(other_page);
  u32& entry = (&memory_at<u32>(page_directory[linear >> 22] & ~0xfffu))[(linear >> 12) % 1024];
  const u32 before = entry;
  write_cr<4>(kPse | kPge);
  entry = address_of(test_page) | kGlobal | 7;
  invalidate(linear);
  const u32 mapped = read32(linear);
  write_cr<0>(kControl0 & ~0x80000000u);
  const u32 itself = read32(linear);
  write_cr<0>(kControl0);
  entry = before;
  invalidate(linear);
  write_cr<4>(kPse);
  return mapped == 0x11111111 ? itself : 0;
}

void table_changes() {
  test_page[0] = 0x11111111;
  other_page[0] = 0x22222222;
  kernel(
      "remap-and-invlpg",
      [] {
        const u32 before = read32(kTestRemapped);
        test_table[(kTestRemapped >> 12) % 1024] = address_of(other_page) | 7;
        invalidate(kTestRemapped);
        const u32 after = read32(kTestRemapped);
        test_table[(kTestRemapped >> 12) % 1024] = address_of(test_page) | 7;
        invalidate(kTestRemapped);
        return before - 0x11111111 + after;
      },
      value(0x22222222));
  kernel(
      "new-directory-entry",
      [] {
        page_directory[0x81000000 >> 22] = page_directory[kTest >> 22];
        const u32 result = read32(0x81000000 + (kTestUserWrite - kTest));
        page_directory[0x81000000 >> 22] = 0;
        write_cr<3>(address_of(page_directory));
        return result;
      },
      value(0x11111111));
  if (cpu_has_global_pages()) {
    other_page[0] = 0x22222222;
    kernel("global-page-after-paging-off", global_page_after_paging_off, value(0x22222222));
  }
  kernel("removed-directory-entry", [] { return read32(0x81000000); }, page_fault(0, 0x81000000));
}

// Calls code at `address`, which may change all registers but ESP; returns its EAX.
u32 call(u32 address) {
  u32 result;
  asm volatile("pushal; call *%%eax; movl %%eax, 28(%%esp); popal"
               : "=a"(result)
               : "0"(address)
               : "memory", "cc");
  return result;
}

// Kernels read CR2 at each page fault, so a monitor may have a short way for it: into any register,
// and when the instruction is the last one of the mapped memory.
void often_read() {
  constexpr u32 kCr2 = 0x12345678, kAfterRemapped = kTestRemapped + 0x1000;
  for (test_register = 0; test_register < 8; ++test_register) {
    if (test_register == 4) continue;  // the stack pointer
    kernel(
        "read-cr2-to-register",
        [] {
          test_page[0] = 0x8900200f + ((0xd0 + test_register) << 16);  // mov %cr2, R; mov R, %eax
          test_page[1] = 0xc300 + (0xc0 + test_register * 8);          // ; ret
          write_cr<2>(kCr2);
          return call(kTestRemapped);
        },
        value(kCr2));
  }
  test_page[1023] = 0xd0200f90;
  kernel(
      "read-cr2-at-end-of-page", [] { return call(kTestRemapped + 0xffd); },
      page_fault(0, kAfterRemapped));
}

// A directory whose last entry, the monitor's, has another use.
void last_entry() {
  for (u32 i = 0; i < 1023; ++i) second_directory[i] = page_directory[i];
  second_directory[1023] = page_directory[kTest >> 22];
  kernel(
      "own-use-of-last-entry",
      [] {
        write_cr<3>(address_of(second_directory));
        write_cr<2>(1);
        write_cr<3>(address_of(page_directory));
        return 1u;
      },
      done());
  kernel(
      "last-entry-is-kept",
      [] { return u32{second_directory[1023] == page_directory[kTest >> 22]}; },
      differs(done(), value(0)));
}

// Ring 1 is kept out of the window by segment limits where the machine checks them; ring 3 by
// paging too.
void window() {
  for (window_address = kWindow; window_address != 0; window_address += 0x10000) {
    const Body read_there = [] { return read32(window_address) & 0; };
    const Body write_there = [] {
      write32(window_address, 0);
      return 0u;
    };
    if (under_monitor()) {
      user("window-read", read_there, any_fault());
      user("window-write", write_there, any_fault());
    } else {
      user("window-read", read_there, differs(page_fault(kU, window_address), any_fault()));
      user("window-write", write_there, differs(page_fault(kU | kW, window_address), any_fault()));
    }
    if (under_monitor() && !limits_enforced) continue;
    kernel("window-read", read_there, differs(page_fault(0, window_address), fault(kProtection)));
    kernel("window-write", write_there,
           differs(page_fault(kW, window_address), fault(kProtection)));
  }
  window_address = kWindow;
  if (under_monitor() && !limits_enforced) {
    skip("window-from-kernel", "this machine does not enforce segment limits");
    return;
  }
  kernel("window-by-ss", write_window_by_ss, differs(page_fault(kW, kWindow), fault(kStack)));
  kernel("window-call", call_into_window, differs(page_fault(0, kWindow), fault(kProtection)));
  kernel(
      "window-straddle", [] { return read32(kWindow - 2); },
      differs(page_fault(0, kWindow - 2), fault(kProtection)));
  kernel(
      "window-rep-movs",
      [] {
        asm volatile("rep movsb" : : "S"(kWindow), "D"(address_of(other_page)), "c"(64) : "memory");
        return 1u;
      },
      differs(page_fault(0, kWindow), fault(kProtection)));
}

}  // namespace

void probe_memory() {
  page_faults();
  table_changes();
  often_read();
  last_entry();
  window();
}

}  // namespace probe
