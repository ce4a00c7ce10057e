// A channel as a process of Linux has it: memory by sysfs, doorbells by uio_pci_generic and a port.
#pragma once

#include <cstdint>

#include "abi/hypercall.hpp"
#include "linux/ia32.hpp"

namespace guest::linux_ia32 {

using u8 = std::uint8_t;
using u32 = std::uint32_t;

inline constexpr int kReadWrite = 2;

#define MEZZO_FUNCTION "/sys/bus/pci/devices/0001:00:00.0/"

// This partition's end of the first channel, as a PCI function (doc/channels.md).
struct Channel {
  void* memory;
  u32 bytes;
  u32 number, end;
};

inline Channel open_channel() {
  u8 head[64];
  const int config = call(Call::Open, address_of(MEZZO_FUNCTION "config"));
  if (config < 0 || call(Call::Read, config, address_of(head), sizeof head) != sizeof head) {
    fail("there is no channel (" MEZZO_FUNCTION ")\n");
  }
  const int resource = call(Call::Open, address_of(MEZZO_FUNCTION "resource0"), kReadWrite);
  constexpr int kRights = 3, kShared = 1;
  struct {
    u32 others[5], size, more[10];
  } status{};  // struct stat
  if (resource < 0 || call(Call::FileStatus, resource, address_of(&status)) < 0) {
    fail("cannot open the channel's memory\n");
  }
  const u32 bytes = status.size;
  const long map[] = {0, static_cast<long>(bytes), kRights, kShared, resource, 0};
  const int memory = call(Call::Map, address_of(map));
  constexpr u32 kFirstError = ~4095u;
  if (static_cast<u32>(memory) > kFirstError) fail("cannot map the channel\n");
  return {reinterpret_cast<void*>(memory), bytes, u32{head[0x2e]}, u32{head[8]}};
}

// Both ends' doorbells: /dev/uio0 for ours, a port for the other one's.
class Doorbell {
 public:
  explicit Doorbell(u32 channel)
      : device_(call(Call::Open, address_of("/dev/uio0"), kReadWrite)),
        port_(static_cast<std::uint16_t>(mezzo::hypercall::kDoorbellPort + channel)) {
    if (device_ < 0) fail("no /dev/uio0: give the function to uio_pci_generic\n");
    if (call(Call::PortRights, port_, 1, 1) < 0) fail("not allowed to ring\n");
  }
  void ring() const { asm volatile("outb %b0, %1" : : "a"(0), "d"(port_) : "memory"); }
  // Until the other end has rung.
  void wait() const {
    u32 count = 0;
    call(Call::Read, device_, address_of(&count), sizeof count);
  }

 private:
  int device_;
  std::uint16_t port_;
};

// Microseconds, which wrap around.
inline u32 now() {
  constexpr long kMonotonic = 1;
  struct {
    u32 seconds, nanoseconds;
  } time{};
  call(Call::GetTime, kMonotonic, address_of(&time));
  return time.seconds * 1'000'000 + time.nanoseconds / 1000;
}

}  // namespace guest::linux_ia32
