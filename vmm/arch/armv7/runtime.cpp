// The functions that a freestanding compiler may call without being asked. Source: "Run-time ABI
// for the Arm Architecture" (IHI 0043), 4.3.4.
#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t kLine = 32;

// Eight words at a time, while interrupts are off: pools of translation tables are megabytes.
std::uint32_t* fill_lines(std::uint32_t* to, std::uint32_t word, std::size_t lines) {
  if (lines == 0) return to;
  asm volatile(
      "mov r4, %2\n\tmov r5, %2\n\tmov r6, %2\n\tmov r7, %2\n\t"
      "mov r8, %2\n\tmov r9, %2\n\tmov r10, %2\n\tmov r12, %2\n"
      "1:\tstmia %0!, {r4-r10, r12}\n\tsubs %1, %1, #1\n\tbne 1b"
      : "+&r"(to), "+&r"(lines)
      : "r"(word)
      : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r12", "cc", "memory");
  return to;
}

// And copies one, and goes on behind it.
[[gnu::always_inline]] inline void copy_line(unsigned char*& to, const unsigned char*& from) {
  asm volatile(
      "ldmia %0!, {r3-r10}\n"
      "stmia %1!, {r3-r10}"
      : "+r"(from), "+r"(to)
      :
      : "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "memory");
}

}  // namespace

extern "C" {

void* memcpy(void* to, const void* from, std::size_t bytes) {
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  if (((reinterpret_cast<std::uintptr_t>(out) | reinterpret_cast<std::uintptr_t>(in)) & 3) == 0) {
    for (; bytes >= 4 * kLine; bytes -= 4 * kLine) {
      for (int n = 0; n < 4; ++n) copy_line(out, in);
    }
    for (; bytes >= kLine; bytes -= kLine) copy_line(out, in);
    // Word by word; volatile keeps the compiler from making this a call of memcpy.
    for (; bytes >= 4; bytes -= 4, in += 4, out += 4) {
      *reinterpret_cast<volatile std::uint32_t*>(out) = *reinterpret_cast<const std::uint32_t*>(in);
    }
  }
  for (auto* at = static_cast<volatile unsigned char*>(out); bytes > 0; --bytes) *at++ = *in++;
  return to;
}

void* memmove(void* to, const void* from, std::size_t bytes) {
  if (to <= from) return memcpy(to, from, bytes);
  auto* out = static_cast<volatile unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  while (bytes-- > 0) out[bytes] = in[bytes];
  return to;
}

void* memset(void* to, int value, std::size_t bytes) {
  auto* out = static_cast<volatile unsigned char*>(to);
  const auto byte = static_cast<unsigned char>(value);
  if ((reinterpret_cast<std::uintptr_t>(to) & 3) == 0) {
    const std::uint32_t word = byte * 0x01010101u;
    out = reinterpret_cast<unsigned char*>(
        fill_lines(static_cast<std::uint32_t*>(to), word, bytes / kLine));
    for (bytes %= kLine; bytes >= 4; bytes -= 4, out += 4) {
      *reinterpret_cast<volatile std::uint32_t*>(out) = word;
    }
  }
  for (; bytes > 0; --bytes) *out++ = byte;
  return to;
}

// Unsigned division, one bit at a time: these processors have no instruction for it.
struct Division {
  std::uint32_t quotient, rest;
};
static Division divide(std::uint32_t dividend, std::uint32_t divisor) {
  Division result{0, 0};
  for (int bit = 31; bit >= 0; --bit) {
    result.rest = result.rest << 1 | (dividend >> bit & 1);
    if (result.rest < divisor) continue;
    result.rest -= divisor;
    result.quotient |= 1u << bit;
  }
  return result;
}
std::uint32_t __aeabi_uidiv(std::uint32_t dividend, std::uint32_t divisor) {
  return divide(dividend, divisor).quotient;
}
// The rest comes back in the second register.
std::uint64_t __aeabi_uidivmod(std::uint32_t dividend, std::uint32_t divisor) {
  const Division result = divide(dividend, divisor);
  return std::uint64_t{result.rest} << 32 | result.quotient;
}

void __aeabi_memcpy(void* to, const void* from, std::size_t bytes) { memcpy(to, from, bytes); }
void __aeabi_memcpy4(void* to, const void* from, std::size_t bytes) { memcpy(to, from, bytes); }
void __aeabi_memcpy8(void* to, const void* from, std::size_t bytes) { memcpy(to, from, bytes); }
void __aeabi_memmove(void* to, const void* from, std::size_t bytes) { memmove(to, from, bytes); }
void __aeabi_memmove4(void* to, const void* from, std::size_t bytes) { memmove(to, from, bytes); }
void __aeabi_memset(void* to, std::size_t bytes, int value) { memset(to, value, bytes); }
void __aeabi_memset4(void* to, std::size_t bytes, int value) { memset(to, value, bytes); }
void __aeabi_memset8(void* to, std::size_t bytes, int value) { memset(to, value, bytes); }
void __aeabi_memclr(void* to, std::size_t bytes) { memset(to, 0, bytes); }
void __aeabi_memclr4(void* to, std::size_t bytes) { memset(to, 0, bytes); }
void __aeabi_memclr8(void* to, std::size_t bytes) { memset(to, 0, bytes); }

}  // extern "C"
