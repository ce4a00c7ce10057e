// A machine for the monitor's emulation to work on in host tests: linear memory as a sparse map of
// pages that may be missing or read-only, and registers that keep what was written. Implements the
// concept, and nothing of the processor: no paging, no segment limits, no faults but those of
// missing pages.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "arch/ia32/context.hpp"

namespace mezzo::test {

class FakeMachine {
 public:
  static constexpr std::uint32_t kPage = plan::kPageSize;
  struct PortAccess {
    std::uint16_t port;
    std::uint32_t bytes, value;
    bool operator==(const PortAccess&) const = default;
  };
  struct Stub {
    std::uint32_t privilege;
    bool operator==(const Stub&) const = default;
  };
  struct InIdt {
    std::optional<Stub> stub;
    std::optional<ia32::Gate> gate;
  };

  // ---- what a test prepares ----

  // Makes the pages of [linear, linear + bytes) present, zeroed if they were not.
  void map(std::uint32_t linear, std::uint32_t bytes) {
    for (std::uint64_t at = linear & ~(kPage - 1); at < std::uint64_t{linear} + bytes;
         at += kPage) {
      pages_.try_emplace(static_cast<std::uint32_t>(at));
    }
  }
  void unmap(std::uint32_t linear) { pages_.erase(linear & ~(kPage - 1)); }
  // The page can be read, not written.
  void write_protect(std::uint32_t linear) { read_only_.insert(linear & ~(kPage - 1)); }

  template <class T>
  void put(std::uint32_t linear, const T& value) {
    map(linear, sizeof value);
    copy_in(linear, &value, sizeof value);
  }
  template <class T>
  [[nodiscard]] T get(std::uint32_t linear) {
    T value{};
    copy_out(linear, &value, sizeof value);
    return value;
  }

  // Roots below this address are the partition's.
  std::uint32_t partition_end = 0x10000000;
  std::set<std::uint32_t> reserved_bits;  // PAE roots that have some
  // Whether a GDT that starts a page is used in place.
  bool maps_gdt_pages = true;
  // Called after every read of guest memory: somebody else changes it between check and use.
  std::function<void(FakeMachine&)> after_read;
  std::uint32_t refused_cr4 = 0;                 // bits this processor lacks
  std::map<std::uint32_t, std::uint64_t> msrs;   // those this processor has
  std::map<std::uint16_t, std::uint32_t> ports;  // what IN answers
  std::uint64_t tsc = 0;
  unsigned kicks = 0;  // of the watchdog
  bool has_xcr = true;

  // ---- what a test looks at ----

  std::uint32_t cr2 = 0;
  std::optional<std::uint32_t> cr0, cr4, root;  // as last written
  ia32::RootKind root_kind = ia32::RootKind::Directory;
  unsigned root_loads = 0;
  bool identity = true;  // the monitor's own directory is in use
  std::vector<std::uint32_t> invalidated;
  std::map<std::uint32_t, std::uint32_t> debug;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> msr_writes;
  std::vector<std::array<std::uint32_t, 3>> xcr_writes;
  unsigned cache_write_backs = 0;
  unsigned task_switched_cleared = 0;
  bool gdt_in_place = false;
  std::array<InIdt, 256> idt{};
  std::optional<std::pair<std::uint16_t, std::uint32_t>> kernel_stack;
  std::uint16_t ldt = 0, fs_selector = 0, gs_selector = 0;
  std::vector<PortAccess> port_writes;
  std::vector<PortAccess> port_reads;
  std::vector<Interrupt> interrupts;  // of other processors
  std::uint64_t accesses = 0;         // to guest memory

  // ---- the concept ----

  [[nodiscard]] bool read(std::uint32_t linear, void* to, std::uint32_t bytes) {
    ++accesses;
    if (!is_guest(linear, bytes) || !is_mapped(linear, bytes)) return false;
    copy_out(linear, to, bytes);
    if (after_read) after_read(*this);
    return true;
  }
  [[nodiscard]] bool write(std::uint32_t linear, const void* from, std::uint32_t bytes) {
    ++accesses;
    if (!is_guest(linear, bytes) || !is_mapped(linear, bytes)) return false;
    for (std::uint32_t n = 0; n < bytes; ++n) {
      if (read_only_.contains((linear + n) & ~(kPage - 1))) return false;
    }
    copy_in(linear, from, bytes);
    return true;
  }

  [[nodiscard]] std::uint32_t read_cr2() const { return cr2; }
  void write_cr2(std::uint32_t value) { cr2 = value; }
  void write_cr0(std::uint32_t value) { cr0 = value; }
  [[nodiscard]] bool write_cr4(std::uint32_t value) {
    if ((value & refused_cr4) != 0) return false;
    cr4 = value;
    return true;
  }
  [[nodiscard]] ia32::RootResult install_root(std::uint32_t value, ia32::RootKind kind) {
    if ((value & ~(kPage - 1)) >= partition_end) return ia32::RootResult::OutsidePartition;
    if (kind == ia32::RootKind::Pointers && reserved_bits.contains(value)) {
      return ia32::RootResult::ReservedBits;
    }
    root = value;
    root_kind = kind;
    ++root_loads;
    identity = false;
    return ia32::RootResult::Installed;
  }
  void install_identity() { identity = true; }
  void invalidate(std::uint32_t linear) { invalidated.push_back(linear); }
  [[nodiscard]] std::uint32_t read_debug(std::uint32_t number) { return debug[number]; }
  void write_debug(std::uint32_t number, std::uint32_t value) { debug[number] = value; }
  [[nodiscard]] bool read_msr(std::uint32_t number, std::uint64_t& value) {
    const auto found = msrs.find(number);
    if (found == msrs.end()) return false;
    value = found->second;
    return true;
  }
  [[nodiscard]] bool write_msr(std::uint32_t number, std::uint64_t value) {
    msr_writes.emplace_back(number, value);
    return msrs.contains(number);
  }
  [[nodiscard]] bool write_xcr(std::uint32_t number, std::uint32_t low, std::uint32_t high) {
    if (has_xcr) xcr_writes.push_back({number, low, high});
    return has_xcr;
  }
  [[nodiscard]] std::uint64_t read_tsc() const { return tsc; }
  void kick_watchdog() { ++kicks; }
  void write_back_caches() { ++cache_write_backs; }
  void clear_task_switched() { ++task_switched_cleared; }

  [[nodiscard]] std::span<ia32::Descriptor> guest_gdt() {
    const auto page = gdt_in_place ? pages_.find(gdt_page_) : pages_.end();
    return page == pages_.end() ? std::span(copied_gdt_) : std::span(page->second);
  }
  [[nodiscard]] bool use_guest_gdt(std::uint32_t linear) {
    if (!maps_gdt_pages || linear % kPage != 0 || !is_guest(linear, kPage) ||
        !is_mapped(linear, kPage)) {
      return false;
    }
    gdt_in_place = true;
    gdt_page_ = linear;
    return true;
  }
  void use_copied_gdt() { gdt_in_place = false; }
  [[nodiscard]] bool is_read_only(std::uint32_t linear) const {
    return read_only_.contains(linear & ~(kPage - 1));
  }
  void use_stub(std::uint8_t vector, std::uint32_t privilege) {
    idt[vector] = {.stub = Stub{privilege}, .gate = {}};
  }
  void use_gate(std::uint8_t vector, ia32::Gate gate) { idt[vector] = {.stub = {}, .gate = gate}; }
  void set_kernel_stack(std::uint16_t ss, std::uint32_t esp) { kernel_stack = {ss, esp}; }
  void load_ldt(std::uint16_t selector) { ldt = selector; }
  [[nodiscard]] std::uint16_t fs() const { return fs_selector; }
  [[nodiscard]] std::uint16_t gs() const { return gs_selector; }
  void load_fs_gs(std::uint16_t fs, std::uint16_t gs) { fs_selector = fs, gs_selector = gs; }
  [[nodiscard]] std::uint32_t in(std::uint16_t port, std::uint32_t bytes) {
    port_reads.push_back({port, bytes, 0});
    return ports[port];
  }
  void out(std::uint16_t port, std::uint32_t bytes, std::uint32_t value) {
    port_writes.push_back({port, bytes, value});
  }
  void interrupt(const Interrupt& target) { interrupts.push_back(target); }

 private:
  // Descriptors, so that a table can be handed out in place; everybody else goes by bytes.
  using Page = std::array<ia32::Descriptor, kPage / sizeof(ia32::Descriptor)>;

  [[nodiscard]] static bool is_guest(std::uint32_t linear, std::uint32_t bytes) {
    return linear < plan::kMonitorWindow && bytes <= plan::kMonitorWindow - linear;
  }
  [[nodiscard]] bool is_mapped(std::uint32_t linear, std::uint32_t bytes) const {
    for (std::uint64_t at = linear & ~(kPage - 1); at < std::uint64_t{linear} + bytes;
         at += kPage) {
      if (!pages_.contains(static_cast<std::uint32_t>(at))) return false;
    }
    return true;
  }
  [[nodiscard]] std::byte& byte_at(std::uint32_t linear) {
    return std::as_writable_bytes(std::span(pages_.at(linear & ~(kPage - 1))))[linear % kPage];
  }
  void copy_out(std::uint32_t linear, void* to, std::uint32_t bytes) {
    for (std::uint32_t n = 0; n < bytes; ++n) static_cast<std::byte*>(to)[n] = byte_at(linear + n);
  }
  void copy_in(std::uint32_t linear, const void* from, std::uint32_t bytes) {
    for (std::uint32_t n = 0; n < bytes; ++n) {
      byte_at(linear + n) = static_cast<const std::byte*>(from)[n];
    }
  }

  std::map<std::uint32_t, Page> pages_;
  std::set<std::uint32_t> read_only_;
  std::uint32_t gdt_page_ = 0;
  Page copied_gdt_{};
};
static_assert(ia32::Machine<FakeMachine>);

}  // namespace mezzo::test
