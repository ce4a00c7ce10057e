// QEMU's interface for TCG plugins, as far as it is used here; Debian does not package
// qemu-plugin.h. Source: QEMU's documentation, "QEMU TCG Plugins", API version 1 (QEMU 7.2) and 4
// (QEMU 10.0). MEZZO_PLUGIN_API says which one is compiled for.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
using qemu_plugin_id_t = std::uint64_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

struct qemu_info_t {
  const char* target_name;
  struct {
    int min, cur;
  } version;
  bool system_emulation;
  union {
    struct {
      int smp_vcpus, max_vcpus;
    } system;
  };
};

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };
using qemu_plugin_meminfo_t = std::uint32_t;

using qemu_plugin_vcpu_udata_cb_t = void (*)(unsigned vcpu, void* data);
using qemu_plugin_vcpu_mem_cb_t = void (*)(unsigned vcpu, qemu_plugin_meminfo_t info,
                                           std::uint64_t address, void* data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, qemu_plugin_tb*));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void*), void*);
void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb*, qemu_plugin_vcpu_udata_cb_t,
                                          qemu_plugin_cb_flags, void*);
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn*, qemu_plugin_vcpu_udata_cb_t,
                                            qemu_plugin_cb_flags, void*);
#if MEZZO_PLUGIN_API == 1
void qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_insn*, qemu_plugin_op, void* number,
                                                std::uint64_t add);
#endif
void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn*, qemu_plugin_vcpu_mem_cb_t,
                                      qemu_plugin_cb_flags, qemu_plugin_mem_rw, void*);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb*, std::size_t);
std::uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn*);
std::size_t qemu_plugin_insn_size(const qemu_plugin_insn*);
void* qemu_plugin_insn_haddr(const qemu_plugin_insn*);  // in QEMU's own memory
#if MEZZO_PLUGIN_API == 1
const void* qemu_plugin_insn_data(const qemu_plugin_insn*);
#else
std::size_t qemu_plugin_insn_data(const qemu_plugin_insn*, void* to, std::size_t bytes);
#endif
}

namespace mezzo::count {

// Adds 1 to `number` at each execution of the instruction, without a call; false if this version of
// the interface cannot.
inline bool count_inline(qemu_plugin_insn* instruction, std::uint64_t* number) {
#if MEZZO_PLUGIN_API == 1
  qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, number, 1);
  return true;
#else
  (void)instruction, (void)number;
  return false;
#endif
}

// The first bytes at an instruction; zero behind its page.
inline std::array<std::uint8_t, 8> bytes_of(const qemu_plugin_insn* instruction) {
  std::array<std::uint8_t, 8> bytes{};
  const std::size_t size = qemu_plugin_insn_size(instruction);
  const std::size_t count = size < bytes.size() ? size : bytes.size();
#if MEZZO_PLUGIN_API == 1
  std::memcpy(bytes.data(), qemu_plugin_insn_data(instruction), count);
#else
  (void)qemu_plugin_insn_data(instruction, bytes.data(), count);
#endif
  // A privileged instruction that will fault is not always read to its end.
  const auto* host = static_cast<const std::uint8_t*>(qemu_plugin_insn_haddr(instruction));
  const std::size_t left = 4096 - qemu_plugin_insn_vaddr(instruction) % 4096;
  for (std::size_t n = count; host != nullptr && n < std::min(left, bytes.size()); ++n) {
    bytes[n] = host[n];
  }
  return bytes;
}

}  // namespace mezzo::count
