// The checks of single fields and the words for each breach; see fields.h.
#include "control/k8s/fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/config/text.h"

namespace sluice::k8s {
namespace {

constexpr std::size_t kBreachesMax = 100;

std::string list_of(const std::vector<std::string_view>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

}  // namespace

Fields::Fields(const config::Node& node, std::string path, std::vector<Breach>& breaches)
    : node_(&node), path_(std::move(path)), breaches_(&breaches), valid_(node.is_map()) {
  if (!valid_ && breaches_->size() < kBreachesMax)
    breaches_->push_back({path_, node.mark, fmt::format("{} stands where an object is expected", node.describe())});
}

std::string Fields::join(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void Fields::breach(std::string_view key, std::string message) {
  if (breaches_->size() >= kBreachesMax) return;
  const config::Node* value = node_->find(key);
  breaches_->push_back({join(key), value != nullptr ? value->mark : node_->mark, std::move(message)});
}

bool Fields::has(std::string_view key) const { return node_->find(key) != nullptr; }

const config::Node* Fields::get(std::string_view key, Need need) {
  known_.push_back(key);
  const config::Node* value = node_->find(key);
  if (value == nullptr && need == Need::required && valid_) breach(key, "is missing");
  return value;
}

std::optional<std::string> Fields::text(std::string_view key, Need need) {
  const config::Node* value = get(key, need);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    breach(key, fmt::format("{} is no text: write it in quotes", value->describe()));
    return std::nullopt;
  }
  if (value->text.empty()) {
    breach(key, "is empty: write at least one character");
    return std::nullopt;
  }
  return value->text;
}

std::optional<std::string> Fields::one_of(std::string_view key, Need need,
                                          std::initializer_list<std::string_view> words) {
  auto value = text(key, need);
  if (!value || std::find(words.begin(), words.end(), *value) != words.end()) return value;
  breach(key, fmt::format("{} is not valid here: write {}", config::in_quotes(*value), list_of(words)));
  return std::nullopt;
}

std::optional<unsigned> Fields::integer(std::string_view key, Need need, unsigned min, unsigned max) {
  const config::Node* value = get(key, need);
  if (value == nullptr) return std::nullopt;
  if (!value->is_integer()) {
    breach(key, fmt::format("{} is no whole number: write {} to {}", value->describe(), min, max));
    return std::nullopt;
  }
  std::uint64_t number = 0;
  if (auto problem = config::number_from_text(value->text, min, max, number)) {
    breach(key, fmt::format("{} {}", value->describe(), *problem));
    return std::nullopt;
  }
  return static_cast<unsigned>(number);
}

std::optional<bool> Fields::boolean(std::string_view key) {
  const config::Node* value = get(key, Need::optional);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_boolean()) {
    breach(key, fmt::format("{} is neither true nor false", value->describe()));
    return std::nullopt;
  }
  return value->text == "true";
}

std::optional<Fields> Fields::object(std::string_view key, Need need) {
  const config::Node* value = get(key, need);
  if (value == nullptr || (value->is_null() && need == Need::optional)) return std::nullopt;
  Fields fields(*value, join(key), *breaches_);
  if (!fields.valid_) return std::nullopt;
  return fields;
}

std::vector<Fields> Fields::objects(std::string_view key) {
  std::vector<Fields> out;
  const config::Node* value = get(key, Need::optional);
  if (value == nullptr || value->is_null()) return out;
  if (!value->is_sequence()) {
    breach(key, fmt::format("{} stands where a list is expected", value->describe()));
    return out;
  }
  out.reserve(value->items.size());
  for (std::size_t i = 0; i < value->items.size(); ++i) {
    Fields fields(value->items[i], fmt::format("{}[{}]", join(key), i), *breaches_);
    if (fields.valid_) out.push_back(std::move(fields));
  }
  return out;
}

std::vector<std::string> Fields::texts(std::string_view key) {
  std::vector<std::string> out;
  const config::Node* value = get(key, Need::optional);
  if (value == nullptr || value->is_null()) return out;
  if (!value->is_sequence()) {
    breach(key, fmt::format("{} stands where a list is expected", value->describe()));
    return out;
  }
  for (const auto& item : value->items) {
    if (item.is_string() && !item.text.empty())
      out.push_back(item.text);
    else
      breach(key, fmt::format("has {} in it: write text in quotes", item.describe()));
  }
  return out;
}

void Fields::no_others() {
  if (!valid_) return;
  for (std::size_t i = 0; i < node_->keys.size(); ++i) {
    const std::string& key = node_->keys[i];
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::string hint = config::did_you_mean(key, known_);
    if (hint.empty()) hint = ": valid are " + list_of(known_);
    breach(key, "is an unknown field" + hint);
  }
}

}  // namespace sluice::k8s
