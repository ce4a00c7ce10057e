// What the monitor decides at an exit: the only way back into a guest, or out of it.
#pragma once

#include <array>
#include <cstdint>

#include "abi/status.hpp"

namespace mezzo {

struct Verdict {
  enum class Kind : std::uint8_t {
    Resume,   // continue where the frame says
    Skip,     // the instruction is done: continue after it
    Inject,   // deliver `vector` to the guest
    Wait,     // the guest is idle until its next interrupt; the instruction is done
    Stop,     // the partition ends with `reason`
    Restart,  // the partition asked for its own restart
  };

  Kind kind = Kind::Resume;
  std::uint8_t vector = 0;  // IA-32: 0 to 255; ARMv7: armv7::Exception
  bool software = false;    // Inject: by INT n, so no error code is pushed and EIP is past it
  std::uint32_t error_code =
      0;  // Inject on ARMv7: of an abort, DFSR or IFSR; detail[0] its address
  status::StopReason reason = status::StopReason::None;
  std::array<std::uint32_t, 4> detail{};

  [[nodiscard]] static constexpr Verdict resume() { return {}; }
  [[nodiscard]] static constexpr Verdict skip() { return {.kind = Kind::Skip}; }
  [[nodiscard]] static constexpr Verdict wait() { return {.kind = Kind::Wait}; }
  [[nodiscard]] static constexpr Verdict restart() { return {.kind = Kind::Restart}; }
  [[nodiscard]] static constexpr Verdict inject(std::uint8_t vector, std::uint32_t error_code = 0) {
    return {.kind = Kind::Inject, .vector = vector, .error_code = error_code};
  }
  [[nodiscard]] static constexpr Verdict software_interrupt(std::uint8_t vector) {
    return {.kind = Kind::Inject, .vector = vector, .software = true};
  }
  [[nodiscard]] static constexpr Verdict stop(status::StopReason reason, std::uint32_t detail0 = 0,
                                              std::uint32_t detail1 = 0,
                                              std::uint32_t detail2 = 0) {
    return {.kind = Kind::Stop, .reason = reason, .detail = {detail0, detail1, detail2, 0}};
  }
};

}  // namespace mezzo
