// Text to Config; see parse.h.
#include "control/config/parse.h"

#include <fmt/format.h>

#include <filesystem>

#include "control/config/file.h"
#include "control/config/normalise.h"
#include "control/config/reader.h"
#include "control/config/validate.h"

namespace sluice::config {
namespace {

constexpr TreeLimits kFileLimits{.bytes_max = kFileBytesMax, .depth_max = 16, .documents_max = 2};

}  // namespace

ParseOutcome parse(std::string_view file, std::string_view text) {
  ParseOutcome out;
  const auto documents = parse_yaml(file, text, kFileLimits);
  if (documents.empty()) {
    out.errors.push_back(
        {std::string(file), "is empty: write at least `ports:` and `self-ips:` (control/config/SCHEMA.md)"});
    return out;
  }
  for (const auto& document : documents)
    out.errors.insert(out.errors.end(), document.errors.begin(), document.errors.end());
  if (documents.size() > 1 && out.errors.empty()) {
    const Mark second = documents[1].start;
    out.errors.push_back({fmt::format("{}:{}:{}", file, second.line, second.column),
                          "a second document: sluice.yaml is one document, without `---` inside"});
  }
  if (!out.errors.empty()) return out;

  ReadContext context(file);
  Config config;
  Reader::read(context, documents[0].root, "", config);
  out.errors = context.take();
  // What was read wrong would only be reported a second time by the cross checks.
  if (!out.errors.empty()) return out;

  normalise(config);
  auto findings = validate(config);
  for (auto& finding : findings.errors)
    context.error(context.locate(finding.path), finding.path, std::move(finding.message));
  out.errors = context.take();
  for (auto& finding : findings.warnings)
    out.warnings.push_back(context.located(finding.path, std::move(finding.message)));
  if (out.errors.empty()) out.config = std::move(config);
  return out;
}

ParseOutcome load_file(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return {.errors = {text.error()}};
  auto out = parse(path, *text);
  if (out.config && !out.config->manifests.empty()) {
    const std::filesystem::path folder = out.config->manifests;
    if (folder.is_relative())
      out.config->manifests = (std::filesystem::path(path).parent_path() / folder).lexically_normal();
  }
  return out;
}

}  // namespace sluice::config
