// An SP805 watchdog as a guest sees it: a way for Linux' own driver to kick the watchdog that its
// partition has in the system file. It counts nothing and raises no interrupt; how long the guest
// may be silent is the system file's, and not the value that the guest loads.
//
// Source: ARM DDI 0270B (SP805), chapter 3.
#pragma once

#include <cstdint>

#include "io/mmio.hpp"

namespace mezzo::device {

namespace sp805 {
inline constexpr std::uint32_t kLoad = 0x00, kValue = 0x04, kControl = 0x08, kClear = 0x0c;
inline constexpr std::uint32_t kLock = 0xc00, kIdentity = 0xfe0, kSize = 0x1000;
inline constexpr std::uint32_t kUnlocked = 0x1acce551;
inline constexpr std::uint32_t kControlBits = 3;  // INTEN, RESEN
}  // namespace sp805

class Sp805 {
 public:
  // As after power-on: the partition starts.
  void reset() { *this = {}; }

  [[nodiscard]] io::Answer access(const io::Access& access) {
    if (!io::is_sound(access) || access.offset >= sp805::kSize) return io::Answer::missing();
    if (!access.write) return io::Answer::done(io::narrow(read(access.offset & ~3u), access));
    return access.size == 4 ? write(access.offset, access.value) : io::Answer::done();
  }

 private:
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const {
    // Peripheral and PrimeCell identification, one byte in each word.
    constexpr std::uint8_t kIdentities[] = {0x05, 0x18, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    if (offset >= sp805::kIdentity) return kIdentities[(offset - sp805::kIdentity) / 4];
    switch (offset) {
      case sp805::kLoad:
      case sp805::kValue:
        return load_;
      case sp805::kControl:
        return control_;
      case sp805::kLock:
        return is_locked_ ? 1 : 0;
      default:
        return 0;
    }
  }
  // What reloads the chip's counter is a kick: a new value, and the interrupt's end.
  [[nodiscard]] io::Answer write(std::uint32_t offset, std::uint32_t value) {
    if (offset == sp805::kLock) {
      is_locked_ = value != sp805::kUnlocked;
      return io::Answer::done();
    }
    if (is_locked_) return io::Answer::done();
    if (offset == sp805::kControl) control_ = value & sp805::kControlBits;
    if (offset == sp805::kLoad) load_ = value;
    const bool is_kick = offset == sp805::kLoad || offset == sp805::kClear;
    return is_kick ? io::Answer::kick() : io::Answer::done();
  }

  std::uint32_t load_ = 0xffffffff, control_ = 0;
  bool is_locked_ = false;
};

}  // namespace mezzo::device
