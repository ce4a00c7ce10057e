// Number formatting for the log.
#include "diag/log.hpp"

namespace mezzo::diag {

void Log::put(Hex number) {
  put("0x");
  for (int shift = 28; shift >= 0; shift -= 4) {
    put("0123456789abcdef"[(number.value >> shift) & 15u]);
  }
}

void Log::put_decimal(std::uint32_t number) {
  char digits[10];
  unsigned count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  while (count > 0) put(digits[--count]);
}

}  // namespace mezzo::diag
