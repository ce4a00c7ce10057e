// The comparison behind claims.hpp.
#include "bench/claims.hpp"

#include <fmt/format.h>

#include <optional>

#include "base/error.hpp"
#include "base/file.hpp"
#include "bench/result.hpp"

namespace mezzo::bench {

namespace {

constexpr const char* kSuite = "armv7";
constexpr const char* kNative = "native-armv7";
constexpr const char* kVirtual = "mezzo-armv7";

std::optional<double> number_of(const Json& table, const std::string& name) {
  const auto found = table.find(name);
  if (found == table.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

// The peer's ratio to its own native run.
std::optional<double> peer_ratio(const Json& published, const std::string& operation) {
  const auto native = number_of(published["native"], operation);
  const auto virtual_one = number_of(published["virtual"], operation);
  if (!native || !virtual_one || *native == 0) return std::nullopt;
  return *virtual_one / *native;
}

std::string ratio_text(const Json& claim, const char* key, int digits) {
  return claim.contains(key) ? fmt::format("{:.{}f}", claim[key].get<double>(), digits) : "-";
}

const char* verdict(const Json& claim, const char* key) {
  if (!claim.contains(key)) return "-";
  return claim[key].get<bool>() ? "met" : "not met";
}

}  // namespace

Json armv7_claims(const Json& result, const Json& published) {
  Json claims = Json::array();
  const Json* const native = cell_of(result, kSuite, kNative);
  const Json* const ours = cell_of(result, kSuite, kVirtual);
  if (native == nullptr || ours == nullptr) return claims;
  const Json& known = published["armv7"];
  for (const auto& [operation, figures] : ours->items()) {
    const auto now = instructions_of(figures);
    const auto bare = native->contains(operation) ? instructions_of((*native)[operation])
                                                  : std::optional<double>();
    if (!now || !bare || *bare == 0) continue;
    const double ratio = *now / *bare;
    Json claim = {{"operation", operation}, {"ratio", ratio}};
    if (const auto expected = number_of(known["expected"], operation)) {
      claim["expected"] = *expected;
      claim["met"] = ratio <= *expected;
    }
    if (const auto peer = peer_ratio(known, operation)) {
      claim["peer"] = *peer;
      claim["times better"] = *peer / ratio;
      // Nothing can be much better than what is nearly native.
      const double least = known["times_better"];
      if (*peer >= least) claim["peer met"] = *peer / ratio >= least;
    }
    claims.push_back(std::move(claim));
  }
  return claims;
}

std::string claims_text(const Json& result) {
  if (!result.contains("claims") || result["claims"].empty()) return {};
  std::string text = fmt::format("\n{:<24}{:>8}{:>10}{:>9}{:>8}{:>14}{:>9}\n", "expected on ARMv7",
                                 "ratio", "at most", "", "peer", "times better", "");
  int stated = 0, met = 0;
  for (const Json& claim : result["claims"]) {
    for (const char* key : {"met", "peer met"}) {
      if (!claim.contains(key)) continue;
      ++stated;
      met += claim[key].get<bool>() ? 1 : 0;
    }
    text += fmt::format("{:<24}{:>8}{:>10}{:>9}{:>8}{:>14}{:>9}\n",
                        claim["operation"].get<std::string>(), ratio_text(claim, "ratio", 3),
                        ratio_text(claim, "expected", 3), verdict(claim, "met"),
                        ratio_text(claim, "peer", 1), ratio_text(claim, "times better", 1),
                        verdict(claim, "peer met"));
  }
  return text + fmt::format("{} of {} expectations are met.\n", met, stated);
}

Json read_published(const std::filesystem::path& folder) {
  const auto file = folder / "published.json";
  Json json = Json::parse(base::read_file(file), nullptr, false);
  if (!json.is_object() || !json.contains("armv7")) {
    throw UserError(fmt::format("{} is not the table of published figures", file.string()));
  }
  return json;
}

}  // namespace mezzo::bench
