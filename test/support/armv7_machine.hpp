// A machine for the ARMv7 emulation to work on in host tests: guest-virtual memory as a sparse map
// of pages with rights for kernel and processes, identification registers of a Cortex-A9 or -A8,
// and a record of everything that was asked. Implements the concept, and nothing of the processor:
// no translation, no caches.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "arch/armv7/context.hpp"

namespace mezzo::test {

class Armv7Machine {
 public:
  using Abort = armv7::Abort;
  using FaultStatus = armv7::FaultStatus;
  using GuestVirtual = mem::GuestVirtual;
  using Privilege = mem::Privilege;
  static constexpr std::uint32_t kPage = 4096;
  static constexpr std::uint8_t kDomain = 5;  // of every page

  struct Rights {
    bool kernel_write = true, user_read = true, user_write = true;
  };
  struct TlbRequest {
    enum class What : std::uint8_t { All, Context, Address, AddressOfAll } what;
    std::uint32_t address = 0;
    std::uint8_t asid = 0;
    bool operator==(const TlbRequest&) const = default;
  };
  using CacheRequest = std::pair<armv7::CacheOperation, std::uint32_t>;
  using ThreadIdWrite = std::pair<armv7::ThreadId, std::uint32_t>;

  // ---- what a test prepares ----

  explicit Armv7Machine(bool cortex_a9 = true) {
    using enum armv7::IdRegister;
    id(Midr) = cortex_a9 ? 0x410fc090 : 0x413fc082;
    id(Mpidr) = cortex_a9 ? 0x80000001 : 0;
    id(Ctr) = 0x83338003;
    id(Pfr0) = 0x1231;
    id(Pfr1) = 0x00111011;
    id(Dfr0) = 0x00010444;
    id(Mmfr0) = 0x00100103;
    id(Mmfr3) = 0x02102211;
    id(Clidr) = 0x09000003;  // level 1: separate caches
    id(Cbar) = 0x1e000000;
    id(Fpsid) = 0x41033090;
    id(Mvfr0) = 0x10110222;
    id(Mvfr1) = 0x01111111;
    cache_sizes[0] = 0x200fe019;  // 128 sets, 4 ways, 32 bytes
    cache_sizes[1] = 0x200fe01a;
  }

  void map(std::uint32_t address, std::uint32_t bytes, Rights rights) {
    for (std::uint64_t at = address & ~(kPage - 1); at < std::uint64_t{address} + bytes;
         at += kPage) {
      pages_[static_cast<std::uint32_t>(at)].rights = rights;
    }
  }
  void map(std::uint32_t address, std::uint32_t bytes) { map(address, bytes, Rights()); }
  void put(std::uint32_t address, std::uint32_t word) {
    for (std::uint32_t n = 0; n < 4; ++n) {
      pages_[(address + n) & ~(kPage - 1)].bytes[(address + n) % kPage] =
          static_cast<std::uint8_t>(word >> 8 * n);
    }
  }
  [[nodiscard]] std::uint32_t get(std::uint32_t address) {
    std::uint32_t word = 0;
    for (std::uint32_t n = 0; n < 4; ++n) {
      word |= std::uint32_t{pages_[(address + n) & ~(kPage - 1)].bytes[(address + n) % kPage]}
              << 8 * n;
    }
    return word;
  }
  [[nodiscard]] std::uint32_t& id(armv7::IdRegister which) {
    return ids_[static_cast<std::size_t>(which)];
  }

  std::map<std::uint32_t, std::uint32_t> cache_sizes;  // by CSSELR
  std::function<void(Armv7Machine&)> after_access;     // somebody else changes things meanwhile

  // ---- what a test looks at ----

  std::vector<armv7::TranslationPart> translation_changes;
  std::vector<TlbRequest> tlb;
  std::vector<CacheRequest> caches;
  std::vector<ThreadIdWrite> thread_id_writes;
  std::array<std::uint32_t, 2> thread_ids{};
  unsigned floating_point_changes = 0;
  unsigned kernel_thread_changes = 0;
  unsigned accesses = 0;
  bool broke_contract = false;      // an access across a naturally aligned word
  bool used_kernel_rights = false;  // for an access to memory or a translation

  [[nodiscard]] bool is_untouched() const {
    return translation_changes.empty() && tlb.empty() && caches.empty() &&
           thread_id_writes.empty() && floating_point_changes == 0 && accesses == 0;
  }

  // ---- the concept ----

  [[nodiscard]] bool load_four(std::uint32_t at, std::uint32_t* words) {
    std::array<std::uint32_t, 4> loaded{};
    for (std::uint32_t n = 0; n < loaded.size(); ++n) {
      if (read(GuestVirtual{at + 4 * n}, &loaded[n], 4, Privilege::Kernel)) return false;
    }
    std::ranges::copy(loaded, words);
    return true;
  }
  [[nodiscard]] std::optional<Abort> read(GuestVirtual address, void* to, std::uint32_t bytes,
                                          Privilege privilege) {
    if (const auto abort = check(address.value(), bytes, false, privilege)) return abort;
    std::memcpy(to, &byte_at(address.value()), bytes);
    if (after_access) after_access(*this);
    return std::nullopt;
  }
  [[nodiscard]] std::optional<Abort> write(GuestVirtual address, const void* from,
                                           std::uint32_t bytes, Privilege privilege) {
    if (const auto abort = check(address.value(), bytes, true, privilege)) return abort;
    std::memcpy(&byte_at(address.value()), from, bytes);
    if (after_access) after_access(*this);
    return std::nullopt;
  }
  // Guest-physical is guest-virtual plus 0x10000000; the attributes are all ones.
  [[nodiscard]] armv7::Translated translate(GuestVirtual address, mem::Access access,
                                            Privilege privilege) {
    const bool write = access == mem::Access::Write;
    if (privilege == Privilege::Kernel) used_kernel_rights = true;
    if (const auto abort = fault(address.value(), write, privilege)) return std::unexpected(*abort);
    return ((address.value() + 0x10000000) & ~(kPage - 1)) | 0xffe;
  }
  void translation_changed(armv7::TranslationPart part) { translation_changes.push_back(part); }
  void invalidate_all() { tlb.push_back({TlbRequest::What::All}); }
  void invalidate_context(std::uint8_t asid) {
    tlb.push_back({TlbRequest::What::Context, 0, asid});
  }
  void invalidate_address(GuestVirtual address, std::uint8_t asid) {
    tlb.push_back({TlbRequest::What::Address, address.value(), asid});
  }
  void invalidate_address_of_all(GuestVirtual address) {
    tlb.push_back({TlbRequest::What::AddressOfAll, address.value()});
  }
  [[nodiscard]] std::optional<Abort> maintain_cache(armv7::CacheOperation operation,
                                                    std::uint32_t operand) {
    using enum armv7::CacheOperation;
    caches.emplace_back(operation, operand);
    const bool by_address = operation == CleanDataAt || operation == CleanDataToUnificationAt ||
                            operation == CleanInvalidateDataAt ||
                            operation == InvalidateInstructionsAt ||
                            operation == InvalidatePredictionAt;
    if (!by_address || pages_.contains(operand & ~(kPage - 1))) return std::nullopt;
    return Abort{FaultStatus::TranslationPage, kDomain, true, GuestVirtual{operand}};
  }
  [[nodiscard]] std::uint32_t id_register(armv7::IdRegister which) { return id(which); }
  [[nodiscard]] std::uint32_t cache_size(std::uint32_t selector) {
    const auto found = cache_sizes.find(selector);
    return found == cache_sizes.end() ? 0 : found->second;
  }
  [[nodiscard]] std::uint32_t read_thread_id(armv7::ThreadId which) const {
    return thread_ids[static_cast<std::size_t>(which)];
  }
  void write_thread_id(armv7::ThreadId which, std::uint32_t value) {
    thread_ids[static_cast<std::size_t>(which)] = value;
    thread_id_writes.emplace_back(which, value);
  }
  void kernel_thread_changed() { ++kernel_thread_changes; }
  void floating_point_changed() { ++floating_point_changes; }

 private:
  struct Page {
    std::array<std::uint8_t, kPage> bytes{};
    Rights rights;
  };

  [[nodiscard]] std::uint8_t& byte_at(std::uint32_t address) {
    return pages_.at(address & ~(kPage - 1)).bytes[address % kPage];
  }
  [[nodiscard]] std::optional<Abort> fault(std::uint32_t address, bool write,
                                           Privilege privilege) const {
    const auto page = pages_.find(address & ~(kPage - 1));
    if (page == pages_.end()) {
      return Abort{FaultStatus::TranslationPage, kDomain, write, GuestVirtual{address}};
    }
    const Rights& rights = page->second.rights;
    const bool allowed = privilege == Privilege::Kernel ? !write || rights.kernel_write
                         : write                        ? rights.user_write
                                                        : rights.user_read;
    if (allowed) return std::nullopt;
    return Abort{FaultStatus::PermissionPage, kDomain, write, GuestVirtual{address}};
  }
  [[nodiscard]] std::optional<Abort> check(std::uint32_t address, std::uint32_t bytes, bool write,
                                           Privilege privilege) {
    ++accesses;
    if (privilege == Privilege::Kernel) used_kernel_rights = true;
    if ((bytes != 1 && bytes != 2 && bytes != 4) || address % bytes != 0) broke_contract = true;
    return fault(address, write, privilege);
  }

  std::array<std::uint32_t, static_cast<std::size_t>(armv7::IdRegister::Count)> ids_{};
  std::map<std::uint32_t, Page> pages_;
};
static_assert(armv7::Machine<Armv7Machine>);

}  // namespace mezzo::test
