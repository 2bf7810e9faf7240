// parse: the text of sluice.yaml to a checked Config, or every error in it at once.
//
//   auto outcome = config::parse("sluice.yaml", text);
//   if (!outcome.config) for (const Error& error : outcome.errors) report(error.text());
//
// Each error names file:line:column, the path inside it, the value, and what would be valid. The steps, in order:
// YAML -> tree (tree.h) -> typed values (schema.h, reader.h) -> normalise -> validate. A file with one error gives no
// Config: all or nothing. Keys are described in SCHEMA.md.
//
// Called by: control/daemon, control/admin (apply), sluicectl (check). Runs on: control thread.
// Tested by: tests/control/config/parse_test.cc, tests/fuzz/yaml_fuzz.cc
#pragma once

#include <optional>
#include <string_view>

#include "control/config/model.h"
#include "dataplane/base/result.h"

namespace sluice::config {

struct ParseOutcome {
  std::optional<Config> config;  // empty if there are errors
  Errors errors;                 // in the order of the file
  Errors warnings;               // accepted, but probably not what was meant
};

// `file` is only a name for messages. The Config is normalised and valid in itself; manifests are not read here.
ParseOutcome parse(std::string_view file, std::string_view text);

// Reads the file at `path` (at most 16 MB) and parses it. A relative `manifests:` becomes relative to the file's
// folder.
ParseOutcome load_file(const std::string& path);

}  // namespace sluice::config
