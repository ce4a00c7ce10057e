// Puts the report together from its parts.
#include "bench/report.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "bench/result.hpp"

namespace mezzo::bench {

namespace {

std::string content_of(const std::filesystem::path& file) {
  const base::Bytes bytes = base::read_file(file);
  return {bytes.begin(), bytes.end()};
}

// Text inside of <script> ends at the first "</", which JSON can write in another way.
std::string for_script(std::string json) {
  for (std::size_t at = 0; (at = json.find("</", at)) != std::string::npos; at += 3) {
    json.insert(at + 1, "\\");
  }
  return json;
}

void put(std::string& page, std::string_view name, const std::string& text) {
  const std::string mark = fmt::format("/*@{}*/", name);
  const auto at = page.find(mark);
  if (at == std::string::npos) {
    throw UserError(fmt::format("the report's page has no place for '{}' ({})", name, mark));
  }
  page.replace(at, mark.size(), text);
}

}  // namespace

std::string report_of(const Json& result, const ReportParts& parts) {
  if (!std::filesystem::exists(parts.echarts)) {
    throw UserError(fmt::format("the chart library {} is missing", parts.echarts.string()),
                    "Start the benchmark by ./mezzo bench, which fetches what it needs.");
  }
  std::string page = content_of(parts.folder / "report.html");
  put(page, "result", for_script(text_of(result)));
  put(page, "published", for_script(content_of(parts.folder / "published.json")));
  put(page, "armv7", content_of(parts.folder / "armv7.js"));
  put(page, "realtime", content_of(parts.folder / "realtime.js"));
  put(page, "report", content_of(parts.folder / "report.js"));
  put(page, "echarts", content_of(parts.echarts));
  return page;
}

}  // namespace mezzo::bench
