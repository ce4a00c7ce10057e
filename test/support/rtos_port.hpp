// The real-time kernel's processor on a host: each task is a context of its own, and an interrupt
// is a call while they are on.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>

#include "guest/rtos/kernel.hpp"

namespace mezzo::test {

struct RtosPort {
  using Masks = bool;

  static inline bool masked = false;
  static inline std::function<void()> interrupt;  // what idle() finds

  static Masks mask() {
    const bool before = masked;
    masked = true;
    return before;
  }
  static void restore(Masks masks) { masked = masks; }
  static void* prepare(std::span<std::byte> stack, rtos::Entry entry, void* argument) {
    Context& context = contexts.emplace_back();
    context.entry = entry;
    context.argument = argument;
    getcontext(&context.registers);
    context.registers.uc_stack.ss_sp = stack.data();
    context.registers.uc_stack.ss_size = stack.size();
    context.registers.uc_link = nullptr;
    makecontext(&context.registers, begin, 0);
    return &context;
  }
  static void switch_to(void*& from, void* to) {
    auto* const before = current;
    from = before;
    current = static_cast<Context*>(to);
    swapcontext(&before->registers, &current->registers);
  }
  static void idle() {
    masked = false;
    if (interrupt) interrupt();
    masked = true;
  }
  static void reset() {
    contexts.clear();
    current = &contexts.emplace_back();
    masked = false;
    interrupt = nullptr;
  }

 private:
  struct Context {
    ucontext_t registers{};
    rtos::Entry entry = nullptr;
    void* argument = nullptr;
  };
  static void begin() {
    masked = false;
    current->entry(current->argument);
    std::abort();
  }
  static inline std::deque<Context> contexts;
  static inline Context* current = nullptr;
};
static_assert(rtos::Port<RtosPort>);

}  // namespace mezzo::test
