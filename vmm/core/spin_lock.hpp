// Keeps processors apart for a few instructions.
#pragma once

namespace mezzo {

// Held for a short while with interrupts off, so that waiting for it is short.
class SpinLock {
 public:
  void lock() {
    while (!try_lock()) {
    }
  }
  [[nodiscard]] bool try_lock() { return !__atomic_test_and_set(&taken_, __ATOMIC_ACQUIRE); }
  void unlock() { __atomic_clear(&taken_, __ATOMIC_RELEASE); }

 private:
  bool taken_ = false;
};

}  // namespace mezzo
