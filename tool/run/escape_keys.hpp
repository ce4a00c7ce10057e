// The keys that are the tool's and not the guest's: Ctrl-A and what follows it. As in Xen, Ctrl-A
// three times goes to the next console.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mezzo::run {

enum class Key {
  Forward,  // bytes for the guest
  Next,     // Ctrl-A Ctrl-A Ctrl-A: the next console
  Select,   // Ctrl-A 1..8: this console
  Watch,    // Ctrl-A w: all consoles, line by line
  Detach,   // Ctrl-A d: leave the console, the machine goes on
  Quit,     // Ctrl-A q: end the machine
  Help,     // Ctrl-A h or ?
};

struct KeyEvent {
  Key key = Key::Forward;
  std::string bytes{};   // Forward only
  unsigned console = 0;  // Select only: counted from 0

  bool operator==(const KeyEvent&) const = default;
};

class EscapeKeys {
 public:
  // Splits what was typed into events; Ctrl-A is remembered from one call to the next.
  // "Ctrl-A a" gives the guest one Ctrl-A; Ctrl-A with any other key is given to it as typed.
  [[nodiscard]] std::vector<KeyEvent> feed(std::string_view typed);

  static constexpr char kCtrlA = 0x01;
  static constexpr char kHelp[] =
      "Ctrl-A three times: next console   Ctrl-A 1..8: that console   Ctrl-A w: watch all\n"
      "Ctrl-A a: send Ctrl-A   Ctrl-A q: end the machine   Ctrl-A h: this help\n";

 private:
  unsigned pending_ = 0;  // Ctrl-A typed so far
};

}  // namespace mezzo::run
