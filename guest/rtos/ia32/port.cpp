// Source: Intel SDM 3A, 3.4.5 (descriptors), 4.3 (paging).
#include "rtos/ia32/port.hpp"

#include "abi/hypercall.hpp"
#include "common/text.hpp"
#include "rtos/ia32/timer.hpp"

extern "C" {
extern const char timer_entry[], doorbell_entry[], spurious_entry[], unexpected_entry[];
void reload_segments();
void on_unexpected(const std::uint32_t* stack);
}

namespace rtos::ia32 {
namespace {

constexpr std::uint8_t kDoorbellVector = 0x30;
std::uint16_t uart_port;

struct [[gnu::packed]] TableRegister {
  std::uint16_t limit;
  std::uint32_t base;
};
constexpr std::uint64_t kFlatCode = 0x00cf9a000000ffff, kFlatData = 0x00cf92000000ffff;
alignas(8) std::uint64_t gdt[] = {0, kFlatCode, kFlatData};
alignas(8) std::uint64_t idt[256];
alignas(4096) std::uint32_t directory[1024];

void set_gate(std::uint32_t vector, const char* entry) {
  const auto at = reinterpret_cast<std::uint32_t>(entry);
  idt[vector] = std::uint64_t{(at & 0xffff0000) | 0x8e00} << 32 | 0x08u << 16 | (at & 0xffff);
}

void set_up_tables() {
  const TableRegister segments{sizeof gdt - 1, reinterpret_cast<std::uint32_t>(gdt)};
  asm volatile("lgdt %0" : : "m"(segments));
  reload_segments();
  for (std::uint32_t vector = 0; vector < 256; ++vector) set_gate(vector, unexpected_entry);
  for (const Timer& timer : timers()) set_gate(timer.vector, timer_entry);
  set_gate(kDoorbellVector, doorbell_entry);
  for (const std::uint32_t vector : {kSpuriousVector, kPicSpuriousVector}) {
    set_gate(vector, spurious_entry);
  }
  const TableRegister gates{sizeof idt - 1, reinterpret_cast<std::uint32_t>(idt)};
  asm volatile("lidt %0" : : "m"(gates));
}

constexpr std::uint32_t kPresent = 1, kWritable = 2, kNoCache = 0x10, kLarge = 0x80;

void set_up_paging() {
  constexpr std::uint32_t kPse = 0x10, kControl0 = 0x80010031;  // PG WP NE ET PE
  for (std::uint32_t n = 0; n < 256; ++n) directory[n] = n << 22 | kLarge | kWritable | kPresent;
  directory[kLocalApic >> 22] =
      (kLocalApic & 0xffc00000) | kLarge | kNoCache | kWritable | kPresent;
  asm volatile("movl %0, %%cr4" : : "r"(kPse));
  asm volatile("movl %0, %%cr3" : : "r"(directory) : "memory");
  asm volatile("movl %0, %%cr0" : : "r"(kControl0) : "memory");
}

bool is_under_monitor() {
  std::uint32_t cs;
  asm volatile("movl %%cs, %0" : "=r"(cs));
  return (cs & 3) != 0;
}

struct Answer {
  std::uint32_t eax, ebx, ecx, edx;
};
Answer call_monitor(mezzo::hypercall::Call number, std::uint32_t ebx = 0, std::uint32_t ecx = 0) {
  Answer answer{static_cast<std::uint32_t>(number), ebx, ecx, 0};
  asm volatile("int %4"
               : "+a"(answer.eax), "+b"(answer.ebx), "+c"(answer.ecx), "=d"(answer.edx)
               : "i"(mezzo::hypercall::kVector)
               : "memory");
  return answer;
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
  if (is_under_monitor()) call_monitor(mezzo::hypercall::Call::KickWatchdog);
}

void tell_latency(std::uint32_t mean, std::uint32_t most) {
  if (is_under_monitor()) call_monitor(mezzo::hypercall::Call::TellLatency, mean, most);
}

ChannelMemory find_channel() {
  using mezzo::hypercall::Call;
  if (!is_under_monitor()) return {};
  const Answer found = call_monitor(Call::Channel);
  if (found.eax != 0) return {};
  // One to one, where it is not yet.
  for (std::uint32_t n = found.ebx >> 22; n <= (found.ebx + found.ecx - 1) >> 22; ++n) {
    directory[n] = n << 22 | kLarge | kWritable | kPresent;
  }
  call_monitor(Call::Listen, 0, kDoorbellVector);
  return {reinterpret_cast<void*>(found.ebx), found.ecx, found.edx};
}
void ring_doorbell() { call_monitor(mezzo::hypercall::Call::Ring); }

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
