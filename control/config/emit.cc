// Trees to YAML text that people like to read: blocks, short lists on one line, quotes only where needed; see tree.h.
#include <fmt/format.h>

#include <algorithm>

#include "control/config/tree.h"

namespace sluice::config {
namespace {

constexpr std::size_t kFlowWidth = 90;

// Whether the text, written without quotes, would be read back as the same text in every position.
bool is_plain_safe(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return false;
  const auto safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '/' || c == '-' || c == ':' || c == '+' || c == '%' || c == '=';
  };
  if (!std::all_of(text.begin(), text.end(), safe)) return false;
  const char first = text.front();
  return first != '-' && first != ':' && first != '%' && first != '=' && text.back() != ':' && text != "...";
}

std::string scalar(const Node& node) {
  if (node.is_null()) return "null";
  if (is_plain_safe(node.text)) return node.text;
  std::string out = "\"";
  for (const char c : node.text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out + '"';
}

// "[a, b]" if all are scalars and the line stays short.
std::optional<std::string> flow(const Node& node) {
  if (node.items.empty()) return node.is_map() ? "{}" : "[]";
  if (!node.is_sequence()) return std::nullopt;
  std::string out = "[";
  for (const auto& item : node.items) {
    if (!item.is_scalar()) return std::nullopt;
    if (out.size() > 1) out += ", ";
    out += scalar(item);
    if (out.size() > kFlowWidth) return std::nullopt;
  }
  return out + "]";
}

void emit_block(const Node& node, std::size_t indent, std::string& out);

// What follows "key:" or "-".
void emit_value(const Node& node, std::size_t indent, bool in_sequence, std::string& out) {
  if (node.is_scalar() || node.is_null()) {
    out += ' ' + scalar(node) + '\n';
  } else if (const auto line = flow(node)) {
    out += ' ' + *line + '\n';
  } else if (in_sequence && node.is_map()) {
    // The first key stands on the dash's line.
    std::string block;
    emit_block(node, indent + 2, block);
    out += ' ' + block.substr(indent + 2);
  } else {
    out += '\n';
    emit_block(node, indent + 2, out);
  }
}

void emit_block(const Node& node, std::size_t indent, std::string& out) {
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    out.append(indent, ' ');
    if (node.is_map()) {
      out += scalar(Node::plain_text(node.keys[i])) + ':';
      emit_value(node.items[i], indent, false, out);
    } else {
      out += '-';
      emit_value(node.items[i], indent, true, out);
    }
  }
}

}  // namespace

std::string emit_yaml(const Node& node) {
  std::string out;
  if (node.items.empty()) return "{}\n";
  emit_block(node, 0, out);
  return out;
}

}  // namespace sluice::config
