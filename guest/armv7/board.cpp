// The Versatile Express with Cortex-A9: its console, and what the boot loader says.
// Source: ARM DDI 0183 (PL011); Devicetree Specification 0.4, chapter 5.
#include "armv7/machine.hpp"
#include "common/text.hpp"

namespace guest {
namespace {

constexpr u32 kUart0 = 0x10009000, kUartSize = 0x1000;
constexpr u32 kData = 0x00, kFlags = 0x18, kLineControl = 0x2c, kControl = 0x30, kMask = 0x38;
constexpr u32 kFull = 1u << 5;

u32 uart = kUart0;

[[nodiscard]] u32 from_big_endian(u32 at) { return __builtin_bswap32(memory_at<const u32>(at)); }

[[nodiscard]] bool same(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == 0) return true;
  }
  return false;
}

}  // namespace

void open_console(u32 number) {
  uart = kUart0 + number * kUartSize;
  write32(uart + kControl, 0);
  write32(uart + kMask, 0);
  write32(uart + kLineControl, 0x70);  // 8 bits, FIFO
  write32(uart + kControl, 0x301);     // on, both ways
}

void put(char c) {
  while ((read32(uart + kFlags) & kFull) != 0) {
  }
  write32(uart + kData, static_cast<u8>(c));
}

const char* boot_arguments(u32 tree) {
  constexpr u32 kMagic = 0xd00dfeed, kBegin = 1, kEnd = 2, kProperty = 3, kNothing = 4;
  if (tree == 0 || tree % 4 != 0 || from_big_endian(tree) != kMagic) return "";
  const u32 strings = tree + from_big_endian(tree + 12);
  for (u32 at = tree + from_big_endian(tree + 8);;) {
    const u32 token = from_big_endian(at);
    at += 4;
    if (token == kBegin) {
      while (memory_at<const char>(at) != 0) ++at;
      at = (at + 4) & ~3u;
    } else if (token == kProperty) {
      const u32 size = from_big_endian(at);
      if (same(&memory_at<const char>(strings + from_big_endian(at + 4)), "bootargs")) {
        return &memory_at<const char>(at + 8);
      }
      at += (8 + size + 3) & ~3u;
    } else if (token != kEnd && token != kNothing) {
      return "";
    }
  }
}

}  // namespace guest
