// What the real-time kernel's example and guest/linux/histogram.cpp tell each other by a channel.
#pragma once

#include <cstdint>

namespace rtos {

enum class ReportKind : std::uint32_t { Sample = 1, Answer = 2 };

// From the real-time kernel. Times are counts of its timer.
struct Report {
  ReportKind kind;
  std::uint32_t number;  // the tick; of an answer, the question's
  std::uint32_t
      handler;  // how late the timer's handler was; of an answer: reports lost for want of room
  std::uint32_t task;  // how late the task was; of an answer: errors in what came from the channel
};

// To it.
enum class QuestionKind : std::uint32_t { Echo = 1 };

struct Question {
  QuestionKind kind;
  std::uint32_t number;
};

}  // namespace rtos
