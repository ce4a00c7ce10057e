// Wraps libfdt. Everything is looked up by path again, as offsets move with every change; trees are
// small.
#include "firmware/fdt.hpp"

#include <libfdt.h>

#include <algorithm>
#include <cstring>

namespace mezzo::firmware {
namespace {

// Far more than what is ever added: command line, memory, clocks.
constexpr std::size_t kRoom = 64 << 10;

std::string join(const std::string& parent, std::string_view name) {
  return (parent == "/" ? parent : parent + "/") + std::string(name);
}

// Whether every node can be named by its path, and none is so deep that walking it is a danger.
bool has_sound_names(const void* blob) {
  constexpr int kDeepest = 32;
  int depth = -1;  // the root is at 0
  for (int node = fdt_next_node(blob, -1, &depth); node >= 0 && depth >= 0;
       node = fdt_next_node(blob, node, &depth)) {
    const char* const name = fdt_get_name(blob, node, nullptr);
    if (name == nullptr || depth > kDeepest) return false;
    if (depth > 0 && (*name == 0 || std::strchr(name, '/') != nullptr)) return false;
  }
  return true;
}

}  // namespace

std::optional<Fdt> Fdt::open(std::span<const std::uint8_t> blob) {
  constexpr std::size_t kHeader = 40;
  if (blob.size() < kHeader || fdt_check_full(blob.data(), blob.size()) != 0 ||
      !has_sound_names(blob.data()))
    return std::nullopt;
  Bytes bytes(fdt_totalsize(blob.data()) + kRoom);
  if (fdt_open_into(blob.data(), bytes.data(), static_cast<int>(bytes.size())) != 0) {
    return std::nullopt;
  }
  return Fdt(std::move(bytes));
}

Fdt::Bytes Fdt::pack() const {
  Bytes packed = bytes_;
  fdt_pack(packed.data());
  packed.resize(fdt_totalsize(packed.data()));
  return packed;
}

int Fdt::offset(const std::string& path) const {
  return fdt_path_offset_namelen(bytes_.data(), path.data(), static_cast<int>(path.size()));
}

bool Fdt::has(const std::string& path) const { return offset(path) >= 0; }

std::vector<std::string> Fdt::children(const std::string& path) const {
  std::vector<std::string> paths;
  const int parent = offset(path);
  if (parent < 0) return paths;
  int child = 0;
  fdt_for_each_subnode(child, bytes_.data(), parent) {
    paths.push_back(join(path, fdt_get_name(bytes_.data(), child, nullptr)));
  }
  return paths;
}

std::vector<std::string> Fdt::properties(const std::string& path) const {
  std::vector<std::string> names;
  const int node = offset(path);
  if (node < 0) return names;
  int property = 0;
  fdt_for_each_property_offset(property, bytes_.data(), node) {
    const char* name = nullptr;
    if (fdt_getprop_by_offset(bytes_.data(), property, &name, nullptr) != nullptr) {
      names.emplace_back(name);
    }
  }
  return names;
}

std::optional<Fdt::Cells> Fdt::cells(const std::string& path, const char* property) const {
  const int node = offset(path);
  int size = 0;
  const void* data = node < 0 ? nullptr : fdt_getprop(bytes_.data(), node, property, &size);
  if (data == nullptr || size % 4 != 0) return std::nullopt;
  Cells cells(static_cast<std::size_t>(size) / 4);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    cells[i] = fdt32_ld(static_cast<const fdt32_t*>(data) + i);
  }
  return cells;
}

std::optional<std::string> Fdt::text(const std::string& path, const char* property) const {
  const int node = offset(path);
  int size = 0;
  const void* data = node < 0 ? nullptr : fdt_getprop(bytes_.data(), node, property, &size);
  if (data == nullptr) return std::nullopt;
  const char* const start = static_cast<const char*>(data);
  return std::string(start, strnlen(start, static_cast<std::size_t>(size)));
}

bool Fdt::lists(const std::string& path, const char* property, std::string_view value) const {
  const int node = offset(path);
  return node >= 0 &&
         fdt_stringlist_search(bytes_.data(), node, property, std::string(value).c_str()) >= 0;
}

std::uint32_t Fdt::number(const std::string& path, const char* property,
                          std::uint32_t otherwise) const {
  const auto found = cells(path, property);
  return found && found->size() == 1 ? found->front() : otherwise;
}

bool Fdt::has_phandle(std::uint32_t phandle) const {
  return fdt_node_offset_by_phandle(bytes_.data(), phandle) >= 0;
}

void Fdt::remove(const std::string& path) {
  if (const int node = offset(path); node >= 0) fdt_del_node(bytes_.data(), node);
}

void Fdt::remove(const std::string& path, const char* property) {
  if (const int node = offset(path); node >= 0) fdt_delprop(bytes_.data(), node, property);
}

void Fdt::put(const std::string& path, const char* property, const void* data, std::size_t size) {
  if (!has(path)) return;
  while (fdt_setprop(bytes_.data(), offset(path), property, data, static_cast<int>(size)) ==
         -FDT_ERR_NOSPACE) {
    Bytes larger(bytes_.size() + kRoom + size);
    fdt_open_into(bytes_.data(), larger.data(), static_cast<int>(larger.size()));
    bytes_ = std::move(larger);
  }
}

void Fdt::set(const std::string& path, const char* property, std::span<const std::uint32_t> cells) {
  std::vector<fdt32_t> data(cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) fdt32_st(&data[i], cells[i]);
  put(path, property, data.data(), data.size() * sizeof(fdt32_t));
}

void Fdt::set(const std::string& path, const char* property,
              std::initializer_list<std::uint32_t> cells) {
  set(path, property, std::span(cells.begin(), cells.size()));
}

void Fdt::set(const std::string& path, const char* property, std::string_view text) {
  const std::string terminated(text);
  put(path, property, terminated.c_str(), terminated.size() + 1);
}

void Fdt::set_flag(const std::string& path, const char* property) { put(path, property, "", 0); }

std::string Fdt::add(const std::string& parent, const std::string& name) {
  std::string path = join(parent, name);
  if (has(parent) && !has(path)) {
    while (fdt_add_subnode(bytes_.data(), offset(parent), name.c_str()) == -FDT_ERR_NOSPACE) {
      Bytes larger(bytes_.size() + kRoom);
      fdt_open_into(bytes_.data(), larger.data(), static_cast<int>(larger.size()));
      bytes_ = std::move(larger);
    }
  }
  return path;
}

std::uint32_t Fdt::phandle(const std::string& path) {
  const int node = offset(path);
  if (node < 0) return 0;
  if (const std::uint32_t known = fdt_get_phandle(bytes_.data(), node); known != 0) return known;
  std::uint32_t fresh = 0;
  fdt_generate_phandle(bytes_.data(), &fresh);
  set(path, "phandle", {fresh});
  return fresh;
}

void Fdt::walk(const std::string& from,
               const std::function<bool(const std::string&)>& visit) const {
  if (!has(from) || !visit(from)) return;
  for (const std::string& child : children(from)) walk(child, visit);
}

}  // namespace mezzo::firmware
