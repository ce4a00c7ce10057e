// Recursion over schema and value side by side.
#include "support/json_schema.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mezzo::test {

namespace {

using nlohmann::json;

bool has_type(const json& value, const std::string& type) {
  if (type == "number") return value.is_number();
  if (type == "integer") return value.is_number_integer();
  return type == value.type_name();
}

class Checker {
 public:
  explicit Checker(const json& root) : root_(root) {}

  void check(const json& value, const json& schema, const std::string& where) {
    if (schema.contains("$ref")) {
      const json::json_pointer target(schema["$ref"].get<std::string>().substr(1));
      return check(value, root_.at(target), where);
    }
    if (schema.contains("anyOf")) check_alternatives(value, schema["anyOf"], where);
    if (schema.contains("type")) check_type(value, schema["type"], where);
    if (schema.contains("enum")) {
      const json& allowed = schema["enum"];
      if (std::ranges::find(allowed, value) == allowed.end()) {
        report(where, fmt::format("{} is not among {}", value.dump(), allowed.dump()));
      }
    }
    if (value.is_object()) check_object(value, schema, where);
    if (value.is_array() && schema.contains("items")) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        check(value[i], schema["items"], fmt::format("{}/{}", where, i));
      }
    }
  }

  std::string text;

 private:
  void report(const std::string& where, const std::string& what) {
    text += fmt::format("{}: {}\n", where, what);
  }

  // What is wrong with each is told if it is none of them.
  void check_alternatives(const json& value, const json& schemas, const std::string& where) {
    std::string all;
    for (const json& schema : schemas) {
      Checker alternative(root_);
      alternative.check(value, schema, where);
      if (alternative.text.empty()) return;
      all += alternative.text;
    }
    text += all;
  }

  void check_type(const json& value, const json& type, const std::string& where) {
    const json types = type.is_array() ? type : json::array({type});
    const bool fits = std::ranges::any_of(
        types, [&](const json& name) { return has_type(value, name.get<std::string>()); });
    if (!fits) report(where, fmt::format("is {}, not {}", value.type_name(), type.dump()));
  }

  void check_object(const json& value, const json& schema, const std::string& where) {
    for (const json& name : schema.value("required", json::array())) {
      if (!value.contains(name.get<std::string>())) {
        report(where, fmt::format("lacks {}", name.dump()));
      }
    }
    const json properties = schema.value("properties", json::object());
    const json others = schema.value("additionalProperties", json(true));
    for (const auto& [name, member] : value.items()) {
      const std::string inside = where + "/" + name;
      if (properties.contains(name)) {
        check(member, properties[name], inside);
      } else if (others.is_object()) {
        check(member, others, inside);
      } else if (others == false) {
        report(inside, "is not in the schema");
      }
    }
  }

  const json& root_;
};

}  // namespace

std::string violations(const json& value, const json& schema) {
  Checker checker(schema);
  checker.check(value, schema, "");
  return checker.text;
}

}  // namespace mezzo::test
