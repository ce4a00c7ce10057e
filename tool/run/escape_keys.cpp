// The state machine over typed bytes.
#include "run/escape_keys.hpp"

namespace mezzo::run {

namespace {

constexpr unsigned kToSwitch = 3;

void forward(std::vector<KeyEvent>& events, std::string_view bytes) {
  if (events.empty() || events.back().key != Key::Forward) events.push_back({});
  events.back().bytes += bytes;
}

}  // namespace

std::vector<KeyEvent> EscapeKeys::feed(std::string_view typed) {
  std::vector<KeyEvent> events;
  for (const char c : typed) {
    if (c == kCtrlA) {
      if (++pending_ == kToSwitch) {
        events.push_back({.key = Key::Next});
        pending_ = 0;
      }
      continue;
    }
    if (pending_ == 0) {
      forward(events, {&c, 1});
      continue;
    }
    const unsigned count = pending_;
    pending_ = 0;
    if (c >= '1' && c <= '8') {
      events.push_back({.key = Key::Select, .console = static_cast<unsigned>(c - '1')});
    } else if (c == 'w') {
      events.push_back({.key = Key::Watch});
    } else if (c == 'd') {
      events.push_back({.key = Key::Detach});
    } else if (c == 'q') {
      events.push_back({.key = Key::Quit});
    } else if (c == 'h' || c == '?') {
      events.push_back({.key = Key::Help});
    } else if (c == 'a') {
      forward(events, {&kCtrlA, 1});
    } else {
      forward(events, std::string(count, kCtrlA) + c);
    }
  }
  return events;
}

}  // namespace mezzo::run
