// A flattened device tree that can be edited: libfdt with values instead of error codes.
//
// Format: Devicetree Specification 0.4, chapter 5. Which nodes mean what is device_tree.hpp's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mezzo::firmware {

class Fdt {
 public:
  using Bytes = std::vector<std::uint8_t>;
  using Cells = std::vector<std::uint32_t>;

  // A copy of `blob` with room for additions, or nothing if it is no sound device tree.
  [[nodiscard]] static std::optional<Fdt> open(std::span<const std::uint8_t> blob);

  // The tree without spare room.
  [[nodiscard]] Bytes pack() const;

  // Nodes are named by their full path. Absent ones are answered as such, never an error.
  [[nodiscard]] bool has(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> children(const std::string& path) const;  // full paths
  [[nodiscard]] std::vector<std::string> properties(const std::string& path) const;
  [[nodiscard]] std::optional<Cells> cells(const std::string& path, const char* property) const;
  [[nodiscard]] std::optional<std::string> text(const std::string& path,
                                                const char* property) const;  // the first string
  // True if `value` is one of the strings of the property.
  [[nodiscard]] bool lists(const std::string& path, const char* property,
                           std::string_view value) const;
  // A number of one cell, or `otherwise`.
  [[nodiscard]] std::uint32_t number(const std::string& path, const char* property,
                                     std::uint32_t otherwise) const;
  [[nodiscard]] bool has_phandle(std::uint32_t phandle) const;

  // The following do nothing for a node that is absent.
  void remove(const std::string& path);
  void remove(const std::string& path, const char* property);
  void set(const std::string& path, const char* property, std::span<const std::uint32_t> cells);
  void set(const std::string& path, const char* property,
           std::initializer_list<std::uint32_t> cells);
  void set(const std::string& path, const char* property, std::string_view text);
  void set_flag(const std::string& path, const char* property);

  // Makes the node `name` below `parent` unless it is there; returns its path.
  std::string add(const std::string& parent, const std::string& name);
  // The node's phandle, given one if it has none.
  std::uint32_t phandle(const std::string& path);

  // Calls `visit` for every node, a parent before its children, until it returns false for a node:
  // then that node's descendants are left out.
  void walk(const std::string& from, const std::function<bool(const std::string&)>& visit) const;

 private:
  explicit Fdt(Bytes bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] int offset(const std::string& path) const;  // negative: absent
  void put(const std::string& path, const char* property, const void* data, std::size_t size);

  Bytes bytes_;
};

}  // namespace mezzo::firmware
