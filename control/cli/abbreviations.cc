// Abbreviated words; see abbreviations.h.
#include "control/cli/abbreviations.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

namespace sluice::cli {
namespace {

std::vector<std::string> matches(const std::string& word, const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const std::string& candidate : words) {
    if (candidate == word) return {candidate};
    if (!word.empty() && candidate.compare(0, word.size(), word) == 0) out.push_back(candidate);
  }
  return out;
}

// Whether the option `word` of this command (or one of its parents) takes the next word as its value.
bool takes_value(CLI::App* app, const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  for (; app != nullptr; app = app->get_parent()) {
    if (const CLI::Option* option = app->get_option_no_throw(word)) return option->get_items_expected_min() > 0;
  }
  return false;
}

}  // namespace

std::optional<std::string> complete_word(const std::string& word, const std::vector<std::string>& words) {
  const auto found = matches(word, words);
  return found.size() == 1 ? std::optional(found.front()) : std::nullopt;
}

Result<std::vector<std::string>> expand_words(CLI::App& app, std::vector<std::string> words) {
  CLI::App* at = &app;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].size() > 1 && words[i].front() == '-') {
      if (takes_value(at, words[i])) ++i;
      continue;
    }
    std::vector<std::string> all, names;
    for (const CLI::App* sub : at->get_subcommands([](CLI::App*) { return true; })) {
      all.push_back(sub->get_name());
      // What ends the daemon must be written out; so "sh" is show.
      const bool ends = sub->get_name() == "shutdown" || sub->get_name() == "restart";
      if (!ends || words[i] == sub->get_name()) names.push_back(sub->get_name());
    }
    const auto found = matches(words[i], names);
    if (found.size() > 1) return fail("", fmt::format("\"{}\" could be {}", words[i], fmt::join(found, ", ")));
    if (found.empty() && at->get_require_subcommand_min() > 0) {
      return fail("", fmt::format("\"{}\" is none of {}", words[i], fmt::join(all, ", ")));
    }
    if (found.empty()) break;  // a name or value: what follows is no command word either
    words[i] = found.front();
    at = at->get_subcommand(found.front());
  }
  return words;
}

}  // namespace sluice::cli
