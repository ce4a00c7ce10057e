// A ring of messages in memory that is shared with somebody who may do anything to it at any time.
//
// One end sends, the other receives; a channel has a ring for each direction, in a half of its
// memory. Messages are of one type and size, so there are no lengths and no flags in the memory:
// only the messages, and how far each end has got. A position is read once and must be below the
// number of slots; a message is copied out before anybody looks at it. So the worst that the other
// end can do is to lose messages, or to send what means nothing: that is for the receiver of the
// message to check. Nothing here waits.
//
// Each end knows its own position by itself; it reads it from the memory once, to go on where the
// one before it was if its guest has been restarted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace channel {

// At the start of a ring; each is written by one end, in a cache line of its own.
struct Positions {
  alignas(64) volatile std::uint32_t written;
  alignas(64) volatile std::uint32_t read;
};

// How the memory is accessed: word by word, each once, in the order of the program.
struct Memory {
  static std::uint32_t load(const volatile std::uint32_t& word) {
    return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
  }
  static void store(volatile std::uint32_t& word, std::uint32_t value) {
    __atomic_store_n(&word, value, __ATOMIC_RELEASE);
  }
};

// Which half of a channel's memory end `sender` sends by.
[[nodiscard]] inline void* ring_of(void* memory, std::uint32_t bytes, std::uint32_t sender) {
  return static_cast<std::byte*>(memory) + (sender == 0 ? 0 : bytes / 2);
}

// What both ends of a ring have: T is a message, M the memory's access.
template <class T, class M>
class RingEnd {
 public:
  // Positions of the other end's that could not be.
  [[nodiscard]] std::uint32_t errors() const { return errors_; }
  // More messages than this were never there at one time: for who bounds a loop.
  [[nodiscard]] std::uint32_t slots() const { return slots_; }

 protected:
  static constexpr std::uint32_t kWords = sizeof(T) / sizeof(std::uint32_t);
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(std::uint32_t) == 0);
  using Words = std::array<std::uint32_t, kWords>;

  // `ring`: ring_of(); `bytes`: of the whole channel.
  RingEnd(void* ring, std::uint32_t bytes)
      : positions_(*static_cast<Positions*>(ring)),
        words_(reinterpret_cast<volatile std::uint32_t*>(&positions_ + 1)),
        slots_((bytes / 2 - static_cast<std::uint32_t>(sizeof(Positions))) /
               static_cast<std::uint32_t>(sizeof(T))) {}

  // Where an end goes on that finds `word` in the memory.
  [[nodiscard]] std::uint32_t begin(const volatile std::uint32_t& word) const {
    const std::uint32_t position = M::load(word);
    return position < slots_ ? position : 0;
  }
  // The other end's position; false, and counted, if there is no such slot.
  [[nodiscard]] bool look(const volatile std::uint32_t& word, std::uint32_t& position) {
    position = M::load(word);
    if (position < slots_) return true;
    ++errors_;
    return false;
  }
  [[nodiscard]] std::uint32_t behind(std::uint32_t position) const {
    return position + 1 < slots_ ? position + 1 : 0;
  }
  [[nodiscard]] volatile std::uint32_t* slot(std::uint32_t position) const {
    return words_ + position * kWords;
  }

  Positions& positions_;

 private:
  volatile std::uint32_t* words_;
  std::uint32_t slots_;
  std::uint32_t errors_ = 0;
};

template <class T, class M = Memory>
class Sender : RingEnd<T, M> {
  using Base = RingEnd<T, M>;

 public:
  Sender(void* ring, std::uint32_t bytes)
      : Base(ring, bytes), position_(Base::begin(Base::positions_.written)) {}

  // False if there is no room. The position is written again, should somebody else have done so.
  [[nodiscard]] bool send(const T& message) {
    std::uint32_t read = 0;
    const std::uint32_t next = Base::behind(position_);
    const bool has_room = Base::look(Base::positions_.read, read) && next != read;
    if (has_room) {
      const auto words = __builtin_bit_cast(typename Base::Words, message);
      volatile std::uint32_t* to = Base::slot(position_);
      for (std::uint32_t n = 0; n < Base::kWords; ++n) M::store(to[n], words[n]);
      position_ = next;
    }
    M::store(Base::positions_.written, position_);
    return has_room;
  }
  using Base::errors;
  using Base::slots;

 private:
  std::uint32_t position_;
};

template <class T, class M = Memory>
class Receiver : RingEnd<T, M> {
  using Base = RingEnd<T, M>;

 public:
  Receiver(void* ring, std::uint32_t bytes)
      : Base(ring, bytes), position_(Base::begin(Base::positions_.read)) {}

  // False if there is none.
  [[nodiscard]] bool receive(T& message) {
    std::uint32_t written = 0;
    const bool is_there = Base::look(Base::positions_.written, written) && written != position_;
    if (is_there) {
      typename Base::Words words;
      const volatile std::uint32_t* from = Base::slot(position_);
      for (std::uint32_t n = 0; n < Base::kWords; ++n) words[n] = M::load(from[n]);
      message = __builtin_bit_cast(T, words);
      position_ = Base::behind(position_);
    }
    M::store(Base::positions_.read, position_);
    return is_there;
  }
  using Base::errors;
  using Base::slots;

 private:
  std::uint32_t position_;
};

}  // namespace channel
