// Source: Intel SDM 3A, 10.5.4 (timer of the local APIC) and 10.11 (messages); Intel 8254 and 8259A
// data sheets; IA-PC HPET specification 1.0a, 2.3; Motorola MC146818 data sheet (periodic
// interrupt).
#include "rtos/ia32/timer.hpp"

#include <array>
#include <bit>

#include "rtos/ia32/port.hpp"

namespace rtos::ia32 {
namespace {

// --- the local APIC's ---

constexpr std::uint32_t kApicVector = 0x40;

volatile std::uint32_t& apic(std::uint32_t offset) {
  return *reinterpret_cast<volatile std::uint32_t*>(kLocalApic + offset);
}
void enable_apic() {
  constexpr std::uint32_t kEnabled = 1u << 8;
  apic(0xf0) = kEnabled | kSpuriousVector;
  apic(0x80) = 0;  // every priority
}
void start_apic(std::uint32_t period) {
  constexpr std::uint32_t kPeriodic = 1u << 17, kDivideBy1 = 0xb;
  enable_apic();
  apic(0x3e0) = kDivideBy1;
  apic(0x320) = kPeriodic | kApicVector;
  apic(0x380) = period;
}
std::uint32_t age_of_apic(std::uint32_t period) { return period - apic(0x390); }
// --- the 8259s ---

constexpr std::uint16_t kPic1 = 0x20, kPic2 = 0xa0;

// Lets in one line of the 16.
void set_up_pics(std::uint32_t line) {
  constexpr std::uint8_t kInitialize = 0x11, kEdges8086 = 0x01;
  constexpr std::uint8_t kCascadeLine = 2;
  const std::uint32_t masks = ~(1u << line | 1u << kCascadeLine);
  for (const std::uint16_t pic : {kPic1, kPic2}) {
    const auto data = static_cast<std::uint16_t>(pic + 1);
    const bool first = pic == kPic1;
    out8(pic, kInitialize);
    out8(data, static_cast<std::uint8_t>(kPicVector + (first ? 0 : 8)));
    out8(data, first ? 1u << kCascadeLine : kCascadeLine);
    out8(data, kEdges8086);
    out8(data, static_cast<std::uint8_t>(first ? masks : masks >> 8));
  }
}
void end_pic_interrupt(std::uint16_t pic) {
  constexpr std::uint8_t kNonSpecificEnd = 0x20;
  out8(pic, kNonSpecificEnd);
}

// --- the PIT: channel 0, which is line 0 ---

constexpr std::uint16_t kPitChannel0 = 0x40, kPitControl = 0x43;

void start_pit(std::uint32_t period) {
  constexpr std::uint8_t kRateGenerator = 0x34;  // channel 0, both bytes, mode 2
  set_up_pics(0);
  out8(kPitControl, kRateGenerator);
  out8(kPitChannel0, static_cast<std::uint8_t>(period));
  out8(kPitChannel0, static_cast<std::uint8_t>(period >> 8));
}
std::uint32_t age_of_pit(std::uint32_t period) {
  constexpr std::uint8_t kLatch = 0x00;  // channel 0
  out8(kPitControl, kLatch);
  const std::uint32_t low = in8(kPitChannel0);
  return period - (low | std::uint32_t{in8(kPitChannel0)} << 8);
}
void end_pit_interrupt() { end_pic_interrupt(kPic1); }

// --- the real-time clock's periodic interrupt, which is line 8; it does not tell its age ---

constexpr std::uint8_t kStatusA = 0xa, kStatusB = 0xb, kStatusC = 0xc;

std::uint8_t read_clock(std::uint8_t index) {
  out8(0x70, index);
  return in8(0x71);
}
void write_clock(std::uint8_t index, std::uint32_t value) {
  out8(0x70, index);
  out8(0x71, static_cast<std::uint8_t>(value));
}
void start_rtc(std::uint32_t period) {
  constexpr std::uint32_t kRate = 0xf, kPeriodic = 1u << 6;
  set_up_pics(kRtcVector - kPicVector);
  const auto rate = static_cast<std::uint32_t>(std::bit_width(period));
  write_clock(kStatusA, (read_clock(kStatusA) & ~kRate) | rate);
  write_clock(kStatusB, read_clock(kStatusB) | kPeriodic);
  read_clock(kStatusC);
}
std::uint32_t age_of_rtc(std::uint32_t) { return 0; }
void end_rtc_interrupt() {
  read_clock(kStatusC);  // or it would not come again
  end_pic_interrupt(kPic2);
  end_pic_interrupt(kPic1);
}

// --- the HPET: comparator 1, set anew for each tick, by a message to the local APIC ---

constexpr std::uint32_t kHpet = 0xfed00000, kCounter = 0xf0, kComparator = 0x128;
constexpr std::uint32_t kHpetVector = 0x41;
std::uint32_t hpet_due, hpet_period;

volatile std::uint32_t& hpet(std::uint32_t offset) {
  return *reinterpret_cast<volatile std::uint32_t*>(kHpet + offset);
}
std::uint32_t age_of_hpet(std::uint32_t period) {
  return (hpet(kCounter) - (hpet_due - period)) % period;
}
// Ticks that are past already are lost.
void set_next_tick() {
  constexpr std::uint32_t kFuture = 1u << 31;
  do {
    hpet_due += hpet_period;
    hpet(kComparator) = hpet_due;
  } while (hpet(kCounter) - hpet_due < kFuture);
}
void start_hpet(std::uint32_t period) {
  constexpr std::uint32_t kMain = 0x10, kTimer = 0x120, kMessage = 0x130, kApicId = 0x20;
  constexpr std::uint32_t kRun = 1, kEnabled = 1u << 2, kOnly32 = 1u << 8, kByMessage = 1u << 14;
  enable_apic();
  hpet(kMain) = hpet(kMain) | kRun;
  hpet(kMessage) = kHpetVector;
  hpet(kMessage + 4) = kLocalApic | apic(kApicId) >> 24 << 12;
  hpet_period = period;
  hpet_due = hpet(kCounter);
  set_next_tick();
  hpet(kTimer) = kByMessage | kOnly32 | kEnabled;
}
void end_hpet_interrupt() {
  end_apic_interrupt();
  set_next_tick();
}

constexpr std::array kTimers{
    Timer{.name = "lapic",
          .vector = kApicVector,
          .usual_period = 1'000'000,
          .start = start_apic,
          .age = age_of_apic,
          .end_of_interrupt = end_apic_interrupt},
    Timer{.name = "pit",
          .vector = kPicVector,
          .usual_period = 1193,  // of 1.193182 MHz: 0.999847 ms
          .start = start_pit,
          .age = age_of_pit,
          .end_of_interrupt = end_pit_interrupt},
    Timer{.name = "hpet",
          .vector = kHpetVector,
          .usual_period = 100'000,
          .start = start_hpet,
          .age = age_of_hpet,
          .end_of_interrupt = end_hpet_interrupt},
    Timer{.name = "rtc",
          .vector = kRtcVector,
          .usual_period = 32,  // of 32.768 kHz, a power of 2: 0.976563 ms
          .start = start_rtc,
          .age = age_of_rtc,
          .end_of_interrupt = end_rtc_interrupt},
};

}  // namespace

void end_apic_interrupt() { apic(0xb0) = 0; }

std::span<const Timer> timers() { return kTimers; }

const Timer* find_timer(const guest::Option& name) {
  if (name.length == 0) return kTimers.data();
  for (const Timer& timer : kTimers) {
    if (name.is(timer.name)) return &timer;
  }
  return nullptr;
}

}  // namespace rtos::ia32
