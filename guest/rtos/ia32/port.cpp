// Source: Intel SDM 3A, 10 (local APIC); 3.4.5 (descriptors).
#include "rtos/ia32/port.hpp"

#include "abi/hypercall.hpp"
#include "common/text.hpp"

extern "C" {
extern const char timer_entry[], spurious_entry[], unexpected_entry[];
void reload_segments();
void on_unexpected(const std::uint32_t* stack);
}

namespace rtos::ia32 {
namespace {

constexpr std::uint32_t kLocalApic = 0xfee00000;
constexpr std::uint32_t kTimerVector = 0x40, kSpuriousVector = 0xff;
std::uint16_t uart_port;

struct [[gnu::packed]] TableRegister {
  std::uint16_t limit;
  std::uint32_t base;
};
constexpr std::uint64_t kFlatCode = 0x00cf9a000000ffff, kFlatData = 0x00cf92000000ffff;
alignas(8) std::uint64_t gdt[] = {0, kFlatCode, kFlatData};
alignas(8) std::uint64_t idt[256];
alignas(4096) std::uint32_t directory[1024];

std::uint8_t in8(std::uint16_t port) {
  std::uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "d"(port));
  return value;
}
void out8(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "d"(port));
}
volatile std::uint32_t& apic(std::uint32_t offset) {
  return *reinterpret_cast<volatile std::uint32_t*>(kLocalApic + offset);
}

// abi/hypercall.hpp.
bool is_under_monitor() {
  std::uint32_t cs;
  asm volatile("movl %%cs, %0" : "=r"(cs));
  return (cs & 3) != 0;
}

void set_gate(std::uint32_t vector, const char* entry) {
  const auto at = reinterpret_cast<std::uint32_t>(entry);
  idt[vector] = std::uint64_t{(at & 0xffff0000) | 0x8e00} << 32 | 0x08u << 16 | (at & 0xffff);
}

void set_up_tables() {
  const TableRegister segments{sizeof gdt - 1, reinterpret_cast<std::uint32_t>(gdt)};
  asm volatile("lgdt %0" : : "m"(segments));
  reload_segments();
  for (std::uint32_t vector = 0; vector < 256; ++vector) set_gate(vector, unexpected_entry);
  set_gate(kTimerVector, timer_entry);
  set_gate(kSpuriousVector, spurious_entry);
  const TableRegister gates{sizeof idt - 1, reinterpret_cast<std::uint32_t>(idt)};
  asm volatile("lidt %0" : : "m"(gates));
}

void set_up_paging() {
  constexpr std::uint32_t kPresent = 1, kWritable = 2, kNoCache = 0x10, kLarge = 0x80;
  constexpr std::uint32_t kPse = 0x10, kControl0 = 0x80010031;  // PG WP NE ET PE
  for (std::uint32_t n = 0; n < 256; ++n) directory[n] = n << 22 | kLarge | kWritable | kPresent;
  directory[kLocalApic >> 22] =
      (kLocalApic & 0xffc00000) | kLarge | kNoCache | kWritable | kPresent;
  asm volatile("movl %0, %%cr4" : : "r"(kPse));
  asm volatile("movl %0, %%cr3" : : "r"(directory) : "memory");
  asm volatile("movl %0, %%cr0" : : "r"(kControl0) : "memory");
}

}  // namespace

void set_up(std::uint16_t uart) {
  uart_port = uart;
  // Under a monitor the PICs may be somebody else's.
  if (!is_under_monitor()) {
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
  }
  out8(static_cast<std::uint16_t>(uart_port + 1), 0);     // no interrupts
  out8(static_cast<std::uint16_t>(uart_port + 3), 0x03);  // 8 bits
  set_up_tables();
  set_up_paging();
}

void kick_watchdog() {
  if (!is_under_monitor()) return;
  auto call = static_cast<std::uint32_t>(mezzo::hypercall::Call::KickWatchdog);
  asm volatile("int %1" : "+a"(call) : "N"(mezzo::hypercall::kVector) : "memory");
}

void start_timer(std::uint32_t period) {
  constexpr std::uint32_t kPeriodic = 1u << 17, kEnabled = 1u << 8, kDivideBy1 = 0xb;
  apic(0xf0) = kEnabled | kSpuriousVector;
  apic(0x80) = 0;  // every priority
  apic(0x3e0) = kDivideBy1;
  apic(0x320) = kPeriodic | kTimerVector;
  apic(0x380) = period;
}
std::uint32_t timer_age(std::uint32_t period) { return period - apic(0x390); }
void end_of_interrupt() { apic(0xb0) = 0; }

}  // namespace rtos::ia32

void guest::put(char c) {
  using namespace rtos::ia32;
  while ((in8(static_cast<std::uint16_t>(uart_port + 5)) & 0x20) == 0) {
  }
  out8(uart_port, static_cast<std::uint8_t>(c));
}

void on_unexpected(const std::uint32_t* stack) {
  guest::print("rtos: unexpected exception, stack");
  for (int n = 0; n < 4; ++n) {
    guest::print(" ");
    guest::print_hex(stack[n]);
  }
  guest::print("\n");
}
