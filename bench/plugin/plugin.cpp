// The counting plugin: between QEMU's translator and the recorders. Arguments:
//
//   domains=FILE   what addresses mean (table.hpp)
//   out=FILE       where the counts go, as JSON (recorder.hpp), when QEMU ends
//   pages=on       count the pages touched between root switches too; slow
//
// What is counted is an instruction's start: one that faults and is started again counts twice, on
// every system alike. Markers (bench/guest/operations.hpp) begin and end regions and are not
// counted.
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/guest/operations.hpp"
#include "qemu_plugin.hpp"
#include "recorder.hpp"

namespace mezzo::count {

namespace {

using bench::Mark;

struct Plugin {
  Table table;
  std::vector<Recorder> recorders;  // by virtual CPU
  std::string out;
  bool pages = false;
};
// Never destroyed: QEMU calls back after the destructors of this library's statics.
Plugin* plugin = nullptr;

Recorder& recorder(unsigned vcpu) { return plugin->recorders[vcpu]; }

// What a callback is told, packed into its pointer: a domain, and a kind or marker.
void* pack(std::size_t domain, std::size_t what = 0) {
  return reinterpret_cast<void*>(what << 8 | domain);  // NOLINT(performance-no-int-to-ptr)
}
std::size_t domain_in(void* data) { return reinterpret_cast<std::uintptr_t>(data) & 0xff; }
std::size_t what_in(void* data) { return reinterpret_cast<std::uintptr_t>(data) >> 8; }

void write_counts() {
  std::ofstream file(plugin->out);
  file << to_json(plugin->table, plugin->recorders);
  file.flush();
  if (!file) std::fprintf(stderr, "mezzo-count: cannot write %s\n", plugin->out.c_str());
}

void on_mark(unsigned vcpu, void* data) {
  const auto marker = static_cast<std::uint32_t>(what_in(data));
  const std::uint32_t id = marker & 0xfff;
  switch (static_cast<Mark>(marker >> 12)) {
    case Mark::Begin:
      recorder(vcpu).begin(id);
      break;
    case Mark::End:
      recorder(vcpu).end(id);
      break;
    case Mark::Arrival:
      recorder(vcpu).arrive();
      break;
  }
}

void on_block(unsigned vcpu, void* data) { recorder(vcpu).block(domain_in(data)); }
void on_instruction(unsigned vcpu, void* data) { recorder(vcpu).instruction(domain_in(data)); }
void on_sensitive(unsigned vcpu, void* data) {
  recorder(vcpu).sensitive(what_in(data), domain_in(data));
}
void on_code_page(unsigned vcpu, void* data) {
  recorder(vcpu).touch(reinterpret_cast<std::uintptr_t>(data));
}
// QEMU 7.2 reports the loads of an instruction that has both to whoever asks for its stores.
void on_store(unsigned vcpu, qemu_plugin_meminfo_t info, std::uint64_t address, void*) {
  if (qemu_plugin_mem_is_store(info)) recorder(vcpu).store(address);
}
void on_memory(unsigned vcpu, qemu_plugin_meminfo_t, std::uint64_t address, void*) {
  recorder(vcpu).touch(address);
}

// A marker as the low half of x86's: kind << 12 | region. Nothing if this is no marker.
std::optional<std::uint32_t> marker_of(const std::array<std::uint8_t, 8>& bytes) {
  std::uint32_t word = 0;
  if (plugin->table.processor == Processor::Arm) {
    std::memcpy(&word, bytes.data(), sizeof word);
    const std::uint32_t region = word & ~bench::kArmMask;
    const auto kind = [&](Mark mark) { return static_cast<std::uint32_t>(mark) << 12 | region; };
    if ((word & bench::kArmMask) == bench::kArmBegin) return kind(Mark::Begin);
    if ((word & bench::kArmMask) == bench::kArmEnd) return kind(Mark::End);
    return std::nullopt;
  }
  if (bytes[0] != 0x0f || bytes[1] != 0x1f || bytes[2] != 0x80) return std::nullopt;
  std::memcpy(&word, bytes.data() + 3, sizeof word);
  if ((word & 0xffff0000) != bench::kMarker) return std::nullopt;
  return word & 0xffff;
}

// The kind of a sensitive instruction. What A32 and Thumb mean by a word differs, and the plugin is
// not told which it is: on Arm only code of A32 kernels and monitors is looked at.
std::optional<std::size_t> kind_of(const std::array<std::uint8_t, 8>& bytes, std::size_t domain) {
  const Table& table = plugin->table;
  if (table.processor == Processor::Arm && table.domains[domain] == "user") return std::nullopt;
  return sensitive_kind(bytes, table.processor);
}

void translate_instruction(qemu_plugin_insn* instruction) {
  const std::uint64_t address = qemu_plugin_insn_vaddr(instruction);
  const std::size_t domain = plugin->table.domain_of(address);
  const auto bytes = bytes_of(instruction);
  const auto on_execution = [&](qemu_plugin_vcpu_udata_cb_t callback, void* data) {
    qemu_plugin_register_vcpu_insn_exec_cb(instruction, callback, QEMU_PLUGIN_CB_NO_REGS, data);
  };
  if (const auto marker = marker_of(bytes)) return on_execution(on_mark, pack(0, *marker));
  // Before it is counted: what is registered first is called first, and inline additions are last.
  if (const auto kind = kind_of(bytes, domain)) {
    on_execution(on_sensitive, pack(domain, *kind));
  }
  // One virtual CPU needs no call to find its counter.
  const bool is_counted = plugin->table.counts(domain);
  if (is_counted &&
      (plugin->recorders.size() > 1 || !count_inline(instruction, recorder(0).counter(domain)))) {
    on_execution(on_instruction, pack(domain));
  }
  if (plugin->table.has_events(domain)) {
    qemu_plugin_register_vcpu_mem_cb(instruction, on_store, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_W, nullptr);
  }
  if (plugin->pages) {
    qemu_plugin_register_vcpu_mem_cb(instruction, on_memory, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, nullptr);
  }
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* block) {
  const std::size_t count = qemu_plugin_tb_n_insns(block);
  const std::uint64_t address = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, 0));
  qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, QEMU_PLUGIN_CB_NO_REGS,
                                       pack(plugin->table.domain_of(address)));
  if (plugin->pages) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_code_page, QEMU_PLUGIN_CB_NO_REGS,
                                         reinterpret_cast<void*>(address));
  }
  for (std::size_t n = 0; n < count; ++n) translate_instruction(qemu_plugin_tb_get_insn(block, n));
}

Processor processor_of(std::string_view target) {
  if (target == "arm") return Processor::Arm;
  return target == "x86_64" ? Processor::X86_64 : Processor::X86;
}

int refuse(const std::string& why) {
  std::fprintf(stderr, "mezzo-count: %s\n", why.c_str());
  return 1;
}

// Reads the table; an error message if that fails.
std::optional<std::string> read_table(const std::string& path, Table& table) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return "cannot read the table " + path;
  auto parsed = parse_table(text.str());
  if (!parsed) return path + ": " + parsed.error();
  table = std::move(*parsed);
  return std::nullopt;
}

int install(const qemu_info_t& info, int argc, char** argv) {
  plugin = new Plugin;
  std::string domains;
  for (int n = 0; n < argc; ++n) {
    const std::string_view argument = argv[n];
    if (argument.starts_with("domains=")) {
      domains = argument.substr(8);
    } else if (argument.starts_with("out=")) {
      plugin->out = argument.substr(4);
    } else if (argument == "pages=on" || argument == "pages=off") {
      plugin->pages = argument == "pages=on";
    } else {
      return refuse("unknown argument '" + std::string(argument) + "'");
    }
  }
  if (domains.empty() || plugin->out.empty()) return refuse("needs domains=FILE and out=FILE");
  if (const auto error = read_table(domains, plugin->table)) return refuse(*error);
  plugin->table.processor = processor_of(info.target_name);
  if (!std::ofstream(plugin->out)) return refuse("cannot write " + plugin->out);
  for (int n = 0; n < info.system.max_vcpus; ++n) plugin->recorders.emplace_back(plugin->table);
  return 0;
}

}  // namespace

}  // namespace mezzo::count

extern "C" {
[[gnu::visibility("default")]] extern const int qemu_plugin_version = MEZZO_PLUGIN_API;

[[gnu::visibility("default")]] int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info,
                                                       int argc, char** argv) {
  using namespace mezzo::count;
  if (const int status = install(*info, argc, argv); status != 0) return status;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, [](qemu_plugin_id_t, void*) { write_counts(); }, nullptr);
  return 0;
}
}
