// Abbreviated words, as tmsh takes them: any beginning of a word that only one word has.
//
// Called by: control/cli/commands. Runs on: sluicectl. Tested by: tests/control/cli/commands_test.cc
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/result.h"

namespace CLI {
class App;
}

namespace sluice::cli {

// The one of `words` that is `word` or alone begins with it.
std::optional<std::string> complete_word(const std::string& word, const std::vector<std::string>& words);

// Replaces each word that shortens a subcommand by its full name. Fails when it could be several of them.
Result<std::vector<std::string>> expand_words(CLI::App& app, std::vector<std::string> words);

}  // namespace sluice::cli
