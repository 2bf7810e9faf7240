// Nodes by themselves: what they are, how they compare and how a message shows them; see tree.h.
#include "control/config/tree.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view take_digits(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  return text.substr(static_cast<std::size_t>(end - text.begin()));
}

}  // namespace

bool Node::is_boolean() const { return kind == Kind::plain && (text == "true" || text == "false"); }

bool Node::is_integer() const {
  if (kind != Kind::plain) return false;
  std::string_view rest = text;
  if (rest.starts_with('-')) rest.remove_prefix(1);
  return !rest.empty() && take_digits(rest).empty();
}

bool Node::is_number() const {
  if (kind != Kind::plain) return false;
  std::string_view rest = text;
  if (rest.starts_with('-')) rest.remove_prefix(1);
  if (rest.empty() || !is_digit(rest.front())) return false;
  rest = take_digits(rest);
  if (rest.starts_with('.')) {
    const auto after = take_digits(rest.substr(1));
    if (after.size() + 1 == rest.size()) return false;
    rest = after;
  }
  if (rest.starts_with('e') || rest.starts_with('E')) {
    rest.remove_prefix(1);
    if (rest.starts_with('+') || rest.starts_with('-')) rest.remove_prefix(1);
    return !rest.empty() && take_digits(rest).empty();
  }
  return rest.empty();
}

bool Node::is_string() const { return kind == Kind::quoted || (kind == Kind::plain && !is_boolean() && !is_number()); }

const Node* Node::find(std::string_view key) const {
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (keys[i] == key) return &items[i];
  return nullptr;
}

void Node::add(std::string key, Node value) {
  kind = Kind::map;
  keys.push_back(std::move(key));
  key_marks.push_back(value.mark);
  items.push_back(std::move(value));
}

std::size_t Node::count() const {
  std::size_t sum = 1;
  for (const auto& item : items) sum += item.count();
  return sum;
}

std::string Node::describe() const {
  switch (kind) {
    case Kind::null:
      return "nothing";
    case Kind::plain:
      return is_boolean() || is_number() ? text.substr(0, 80) : in_quotes(text);
    case Kind::quoted:
      return in_quotes(text);
    case Kind::sequence:
      return items.empty() ? "an empty list" : "a list";
    case Kind::map:
      return items.empty() ? "an empty map" : "a map";
  }
  return "?";
}

bool operator==(const Node& a, const Node& b) {
  return a.kind == b.kind && a.text == b.text && a.keys == b.keys && a.items == b.items;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (text.size() > kShown ? "\"..." : "\"");
}

}  // namespace sluice::config
