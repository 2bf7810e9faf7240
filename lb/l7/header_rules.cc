// What a header rule may do; see header_rules.h.
#include "lb/l7/header_rules.h"

#include <array>

#include "lb/l7/byte_class.h"
#include "lb/l7/http_head.h"

namespace sluice::lb::http {
namespace {

constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kValueBytesMax = 1024;

}  // namespace

bool is_token(std::string_view text) { return !text.empty() && all_in(text, kToken); }

bool is_field_value(std::string_view text) {
  return find_control(text.data(), text.data() + text.size()) == text.data() + text.size() && trimmed(text) == text;
}

std::optional<std::string> check_header_rule(const HeaderRule& rule) {
  if (!is_token(rule.name)) return "is no header name: letters, digits and !#$%&'*+-.^_`|~ only";
  if (rule.name.size() > kNameBytesMax) return "is longer than 128 bytes";
  switch (field_id_of(rule.name)) {
    case FieldId::connection:
    case FieldId::content_length:
    case FieldId::framing_lookalike:
    case FieldId::host:
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::te:
    case FieldId::trailer:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return "is a header that the proxy itself decides; no rule can change it";
    default:
      break;
  }
  if (rule.action == HeaderRuleAction::remove) {
    if (!rule.value.empty()) return "has a value, but is to be removed";
    return std::nullopt;
  }
  if (rule.value.size() > kValueBytesMax) return "has a value longer than 1024 bytes";
  if (!is_field_value(rule.value)) return "has a value with line ends or control bytes, or white space around it";
  return std::nullopt;
}

}  // namespace sluice::lb::http
