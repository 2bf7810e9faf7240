// The parts of Reader that no type needs; see reader.h.
#include "control/config/reader.h"

#include <algorithm>

#include "control/config/print.h"

namespace sluice::config {

Error ReadContext::make(Mark mark, const std::string& path, std::string message) const {
  std::string place = mark.line == 0 ? file_ : fmt::format("{}:{}:{}", file_, mark.line, mark.column);
  if (!path.empty()) place += ' ' + path;
  return {std::move(place), std::move(message)};
}

void ReadContext::error(Mark mark, const std::string& path, std::string message) {
  if (full()) return;
  found_.push_back({mark, make(mark, path, std::move(message))});
  if (full()) found_.push_back({{~0u, 0}, {file_, "more errors are not shown: mend these first"}});
}

Mark ReadContext::locate(std::string_view path) const {
  for (;;) {
    if (const auto found = marks_.find(path); found != marks_.end()) return found->second;
    const auto cut = path.find_last_of(".[");
    if (cut == std::string_view::npos) return {};
    path = path.substr(0, cut);
  }
}

Errors ReadContext::take() {
  std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
    return std::pair(a.mark.line, a.mark.column) < std::pair(b.mark.line, b.mark.column);
  });
  Errors out;
  for (auto& found : found_) out.push_back(std::move(found.error));
  found_.clear();
  return out;
}

const Node* Reader::take(std::string_view key) {
  known_.push_back(key);
  const Node* node = node_.find(key);
  if (node != nullptr) context_.note(join(key), node->mark);
  return node;
}

void Reader::report_unknown() {
  for (std::size_t i = 0; i < node_.keys.size(); ++i) {
    const std::string& key = node_.keys[i];
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::string hint = did_you_mean(key, known_);
    if (hint.empty()) {
      hint = ": valid are ";
      for (std::size_t k = 0; k < known_.size(); ++k) hint += (k == 0 ? "" : ", ") + std::string(known_[k]);
    }
    context_.error(node_.key_marks[i], path_, fmt::format("unknown key {}{}", in_quotes(key), hint));
  }
}

bool Reader::check_count(const Node& list, const std::string& path, std::size_t max) {
  if (list.items.size() <= max) return true;
  error(list, path, fmt::format("has {} entries: at most {} are possible", list.items.size(), max));
  return false;
}

void Reader::secret(std::string_view key, std::string& value) {
  const Node* node = take(key);
  if (node == nullptr) return;
  // Never echo the value, whatever is wrong with it.
  if (!node->is_scalar())
    error(*node, join(key), "has no value");
  else if (node->text == kMaskedSecret)
    error(*node, join(key), "is the mask that `show config` prints: write the password itself");
  else
    value = node->text;
}

}  // namespace sluice::config
