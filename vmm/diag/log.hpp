// The monitor's own messages: kept in the status region's ring, and copied to the board's debug
// port. Not a console for guests, and never called with guest text of unbounded length.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include "abi/status.hpp"
#include "core/spin_lock.hpp"

namespace mezzo::diag {

// Wraps a number to be printed in hexadecimal.
struct Hex {
  std::uint32_t value;
};

// Where one character of the log goes besides the ring; a board provides it.
using CharacterSink = void (*)(char);

class Log {
 public:
  constexpr Log(status::Log& ring, CharacterSink sink) : ring_(ring), sink_(sink) {}

  // Appends each argument and a newline.
  template <class... Parts>
  void line(const Parts&... parts) {
    write("mezzo: ", parts..., '\n');
  }

  // Appends each argument. Safe from every CPU: what one call writes stays together. A CPU that
  // never ends its call, because it failed in the middle, holds up the others for a while only.
  template <class... Parts>
  void write(const Parts&... parts) {
    if (is_shared_) lock();
    (put(parts), ...);
    lock_.unlock();
  }

  // From now on other processors may write, too. A single one may have no exclusive accesses that
  // come to an end: on Cortex-A8 they do not for memory that is shareable.
  void share() { is_shared_ = true; }

 private:
  // When patience is over, the owner is gone, and the lock is taken from it.
  void lock() {
    constexpr unsigned kPatience = 10'000'000;
    for (unsigned tries = 0; tries < kPatience && !lock_.try_lock(); ++tries) {
    }
  }

  void put(char character) {
    ring_.text[ring_.written % status::kLogSize] = character;
    ring_.written = ring_.written + 1;
    sink_(character);
  }
  void put(std::string_view text) {
    for (const char character : text) put(character);
  }
  void put(const char* text) { put(std::string_view(text)); }
  void put(Hex number);
  template <std::unsigned_integral Number>
  void put(Number number) {
    put_decimal(number);
  }
  void put_decimal(std::uint32_t number);

  status::Log& ring_;
  CharacterSink sink_;
  bool is_shared_ = false;
  SpinLock lock_;
};

}  // namespace mezzo::diag
