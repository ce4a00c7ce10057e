// A small real-time kernel: tasks of fixed priorities that preempt each other, semaphores, queues,
// and alarms. It is an example to start from: all of it is here, but for what a processor does,
// which is a Port (ia32/port.hpp; for tests on a host, support/rtos_port.hpp).
//
// Every function runs to its end with interrupts off, in a time that does not depend on how many
// tasks there are, but for alarms, which are kept in the order of their times, and for a wait that
// comes to its end among others. Tasks use no floating point, of which nothing is saved. Nothing is
// allocated: who uses an object provides it, and it stays where it is.
//
//   Kernel<MyPort> kernel;
//   kernel.add(task, stack, 1, [](void*) { ... }, nullptr);
//   kernel.run();                  becomes the idle task
//   kernel.tick(); kernel.preempt();   at the end of the timer's handler
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace rtos {

// In ticks, which wrap around: of two times the earlier one is less than half of all before.
using Time = std::uint32_t;
[[nodiscard]] constexpr bool is_before(Time a, Time b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

using Entry = void (*)(void* argument);

template <class P>
concept Port = requires(typename P::Masks masks, void*& from, void* to, std::span<std::byte> stack,
                        Entry entry, void* argument) {
  { P::mask() } -> std::same_as<typename P::Masks>;  // interrupts are off; as they were before
  { P::restore(masks) };
  // A stack on which switch_to() enters `entry` with interrupts on; it does not return from there.
  { P::prepare(stack, entry, argument) } -> std::same_as<void*>;
  // Goes on where `to` was left, and returns when somebody comes back to `from`. Interrupts are
  // off.
  { P::switch_to(from, to) };
  // Lets interrupts in, and waits for one if none is there. They are off before and afterwards.
  { P::idle() };
};

// Of objects that are in one list at a time; first in, first out.
template <class T>
class List {
 public:
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] T* first() const { return first_; }
  void append(T& object) {
    object.next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = &object;
    last_ = &object;
  }
  void prepend(T& object) {
    object.next = first_;
    if (first_ == nullptr) last_ = &object;
    first_ = &object;
  }
  // Nothing if it is empty.
  T* take() {
    T* const object = first_;
    if (object != nullptr) first_ = object->next;
    return object;
  }
  // Before the first object that `is_later(it)`.
  template <class IsLater>
  void insert(T& object, IsLater is_later) {
    if (first_ == nullptr || is_later(*first_)) return prepend(object);
    T* at = first_;
    while (at->next != nullptr && !is_later(*at->next)) at = at->next;
    object.next = at->next;
    at->next = &object;
    if (object.next == nullptr) last_ = &object;
  }
  bool remove(T& object) {
    T* before = nullptr;
    for (T* at = first_; at != nullptr; before = at, at = at->next) {
      if (at != &object) continue;
      (before == nullptr ? first_ : before->next) = at->next;
      if (last_ == at) last_ = before;
      return true;
    }
    return false;
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

// Calls a function, with interrupts off, when its time has come: once, or each `period` ticks.
struct Alarm {
  Entry call = nullptr;
  void* argument = nullptr;
  Time due = 0;
  Time period = 0;  // 0: once
  Alarm* next = nullptr;
};

inline constexpr std::uint32_t kPriorities = 32;  // 0 is the most urgent

struct Task {
  void* stack = nullptr;  // as Port::switch_to() left it
  std::uint32_t priority = kPriorities;
  Task* next = nullptr;
  Alarm sleep;             // wakes it
  bool timed_out = false;  // of its last wait
};

template <Port P>
class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  // A task that is ready from now on. `priority` is below kPriorities; several may share one, and
  // then take turns when one waits or yields.
  void add(Task& task, std::span<std::byte> stack, std::uint32_t priority, Entry entry,
           void* argument) {
    const Guard guard;
    task.stack = P::prepare(stack, entry, argument);
    task.priority = priority;
    make_ready(task);
  }
  // The caller becomes the idle task. Does not return while the port waits.
  template <class GoOn>
  void run(GoOn go_on) {
    (void)P::mask();
    while (go_on()) {
      preempt();
      if (ready_ == 0) P::idle();
    }
  }

  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] const Task* current() const { return current_ == &idle_ ? nullptr : current_; }

  // --- for tasks ---

  void yield() {
    const Guard guard;
    make_ready(*current_);
    switch_away();
  }
  void sleep_until(Time time) {
    const Guard guard;
    if (!is_before(now_, time)) return;
    Task& task = *current_;
    set(task.sleep, time, 0, [](void* who) { woken(*static_cast<Waiter*>(who)); }, nullptr);
    Waiter waiter{*this, task};
    task.sleep.argument = &waiter;
    switch_away();
  }
  void sleep(Time ticks) { sleep_until(now_ + ticks); }

  // --- for handlers of interrupts, with interrupts off ---

  // A tick has passed: alarms that are due call their functions.
  void tick() {
    ++now_;
    while (alarms_.first() != nullptr && !is_before(now_, alarms_.first()->due)) {
      Alarm& alarm = *alarms_.take();
      if (alarm.period != 0) {
        alarm.due += alarm.period;
        insert(alarm);
      }
      alarm.call(alarm.argument);
    }
  }
  // Goes to a task that is more urgent than the one that runs, if one is ready. Interrupts are off.
  void preempt() {
    if (ready_ == 0 || most_urgent() >= current_->priority) return;
    if (current_ != &idle_) {  // it goes on before others of its priority
      lists_[current_->priority].prepend(*current_);
      note(current_->priority);
    }
    switch_away();
  }

  // --- alarms ---

  // In `ticks` ticks, at least one, and then each `period`.
  void start(Alarm& alarm, Time ticks, Time period, Entry call, void* argument) {
    const Guard guard;
    (void)alarms_.remove(alarm);
    set(alarm, now_ + ticks, period, call, argument);
  }
  // Whether it was still to come.
  bool cancel(Alarm& alarm) {
    const Guard guard;
    return alarms_.remove(alarm);
  }

 private:
  template <Port>
  friend class Semaphore;

  // Interrupts are off while it lives.
  class Guard {
   public:
    Guard() : masks_(P::mask()) {}
    ~Guard() { P::restore(masks_); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    typename P::Masks masks_;
  };
  // A task that an alarm is to wake.
  struct Waiter {
    Kernel& kernel;
    Task& task;
    List<Task>* waiting = nullptr;  // where it would be taken from
  };

  static void woken(Waiter& waiter) {
    if (waiter.waiting != nullptr && !waiter.waiting->remove(waiter.task)) return;
    waiter.task.timed_out = true;
    waiter.kernel.make_ready(waiter.task);
  }
  void note(std::uint32_t priority) { ready_ |= 1u << priority; }
  [[nodiscard]] std::uint32_t most_urgent() const {
    return static_cast<std::uint32_t>(std::countr_zero(ready_));
  }
  void make_ready(Task& task) {
    lists_[task.priority].append(task);
    note(task.priority);
  }
  // To the most urgent task that is ready; the one that runs is in a list, or waits for something.
  void switch_away() {
    Task* next = &idle_;
    if (ready_ != 0) {
      const std::uint32_t priority = most_urgent();
      next = lists_[priority].take();
      if (lists_[priority].empty()) ready_ &= ~(1u << priority);
    }
    if (next == current_) return;
    Task& before = *current_;
    current_ = next;
    P::switch_to(before.stack, next->stack);
  }
  void set(Alarm& alarm, Time due, Time period, Entry call, void* argument) {
    alarm = {.call = call, .argument = argument, .due = due, .period = period};
    insert(alarm);
  }
  void insert(Alarm& alarm) {
    alarms_.insert(alarm, [&](const Alarm& other) { return is_before(alarm.due, other.due); });
  }

  Time now_ = 0;
  std::uint32_t ready_ = 0;  // a bit a priority
  Task idle_{};
  Task* current_ = &idle_;
  std::array<List<Task>, kPriorities> lists_{};
  List<Alarm> alarms_;
};

// Counts what has come; tasks wait for it, the longest waiting first.
template <Port P>
class Semaphore {
 public:
  Semaphore(Kernel<P>& kernel, std::uint32_t count) : kernel_(kernel), count_(count) {}

  // Waits until there is one, and takes it.
  void wait() { (void)take(nullptr); }
  // At most so many ticks: whether there was one.
  [[nodiscard]] bool wait_for(Time ticks) { return take(&ticks); }
  // For handlers and tasks alike; from a handler call Kernel::preempt() at its end, a task is
  // preempted here.
  void signal() {
    const typename Kernel<P>::Guard guard;
    signal_from_handler();
    kernel_.preempt();
  }
  void signal_from_handler() {
    Task* const task = waiting_.take();
    if (task == nullptr) {
      ++count_;
      return;
    }
    (void)kernel_.alarms_.remove(task->sleep);
    kernel_.make_ready(*task);
  }

 private:
  bool take(const Time* ticks) {
    const typename Kernel<P>::Guard guard;
    if (count_ != 0) {
      --count_;
      return true;
    }
    if (ticks != nullptr && *ticks == 0) return false;
    Task& task = *kernel_.current_;
    task.timed_out = false;
    typename Kernel<P>::Waiter waiter{kernel_, task, &waiting_};
    if (ticks != nullptr) {
      kernel_.set(
          task.sleep, kernel_.now_ + *ticks, 0,
          [](void* who) { Kernel<P>::woken(*static_cast<typename Kernel<P>::Waiter*>(who)); },
          &waiter);
    }
    waiting_.append(task);
    kernel_.switch_away();
    return !task.timed_out;
  }

  Kernel<P>& kernel_;
  std::uint32_t count_;
  List<Task> waiting_;
};

// Messages from tasks and handlers to tasks, in order; `capacity` of them wait at most.
template <Port P, class T, std::uint32_t capacity>
class Queue {
 public:
  explicit Queue(Kernel<P>& kernel) : filled_(kernel, 0), free_(kernel, capacity) {}

  void send(const T& message) {
    free_.wait();
    put(message);
  }
  // For handlers: false, and it is lost, if there is no room.
  [[nodiscard]] bool send_from_handler(const T& message) {
    if (!free_.wait_for(0)) return false;
    const auto masks = P::mask();
    messages_[end_++ % capacity] = message;
    filled_.signal_from_handler();
    P::restore(masks);
    return true;
  }
  [[nodiscard]] T receive() {
    filled_.wait();
    const auto masks = P::mask();
    const T message = messages_[begin_++ % capacity];
    P::restore(masks);
    free_.signal();
    return message;
  }

 private:
  static_assert(std::has_single_bit(capacity));  // as begin and end wrap around
  void put(const T& message) {
    const auto masks = P::mask();
    messages_[end_++ % capacity] = message;
    P::restore(masks);
    filled_.signal();
  }

  std::array<T, capacity> messages_{};
  std::uint32_t begin_ = 0, end_ = 0;
  Semaphore<P> filled_, free_;
};

}  // namespace rtos
